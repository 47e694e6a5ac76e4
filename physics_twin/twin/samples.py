"""Samples out of what people have: lists, experiments, data frames."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.errors import DataError
from physics_twin.measurements import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.recipes import Table
from physics_twin.signals import Setting
from physics_twin.twin.moments import SECOND, moment
from physics_twin.twin.timeline import Entry, Operation, Sample
from physics_twin.units import parse

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("channel", "time", "value")


def samples_of(given: "Iterable[Entry] | Experiment | pd.DataFrame") -> Iterator[Entry]:
    """The samples of a list, an experiment or a data frame, one by one.

    An experiment needs a time zero in UTC. Its outputs come as they were read, bias and all; what was left out of the
    misfit is suspect. Recorded inputs come as their rows; what holds throughout, as one sample at time zero. Ramps come
    as their corners: between the rows a live input holds.

    A data frame has the columns channel, time, value; where there are, also unit, quality, reported and source. Stamps
    have a zone; an empty cell is no reading, or what a sample has without it.

    Raises DataError for anything else, with the number of the row.
    """
    import pandas as pd

    if isinstance(given, Experiment):
        return _of_experiment(given)
    if isinstance(given, pd.DataFrame):
        return _of_frame(given)
    if isinstance(given, Sample | Operation | str) or not isinstance(given, Iterable):
        raise DataError(
            f"{given!r} is no list of samples; give a list [pt.Sample(channel, time, value, unit), ...], an Experiment "
            "or a data frame"
        )
    return _checked(given)


def _checked(given: Iterable[Entry]) -> Iterator[Entry]:
    for entry in given:
        if not isinstance(entry, Sample | Operation):
            raise DataError(f"{entry!r} is no sample; make it one with pt.Sample(channel, time, value, unit)")
        yield entry


def _of_experiment(experiment: Experiment) -> Iterator[Entry]:
    if experiment.t0_utc is None:
        raise DataError(
            f'experiment "{experiment.name}" has elapsed times and no time zero in UTC; give its log a column of '
            "stamps, or set t0_utc, so that its samples have a moment"
        )
    origin = moment(experiment.t0_utc)
    entries = [*_inputs(experiment, origin), *_outputs(experiment, origin)]
    return iter(sorted(entries, key=lambda entry: entry.key))


def _outputs(experiment: Experiment, origin: int) -> Iterator[Sample]:
    for output, series in experiment.series.items():
        unit = series.channel.unit
        values = np.asarray(unit.from_si(series.values))
        for k, t in enumerate(series.times):
            if not math.isfinite(t):
                continue
            flag = Flag(int(series.flags[k]))
            limit = series.censored is not None and series.censored[k] != 0
            if limit:
                flag = max(flag, Flag.BAD)
            elif series.left_out[k]:
                flag = max(flag, Flag.SUSPECT)
            known = None if series.reported is None else series.reported[k]
            reported = None if known is None or not math.isfinite(known) else _at(origin, float(known))
            number = float(values[k])
            number = number if math.isfinite(number) else float("nan")
            yield Sample(output, _at(origin, float(t)), number, unit.text, quality=flag, reported=reported)


def _inputs(experiment: Experiment, origin: int) -> Iterator[Sample]:
    start = 0.0
    for phase in experiment.recipe.phases:
        for name, given in phase.inputs.items():
            if isinstance(given, Table):
                for t, value in zip(given.times, given.values, strict=True):
                    yield Sample(name, _at(origin, start + t), value, given.unit.si_text)
            elif isinstance(given, Setting):
                if given.value is not None:
                    yield Sample(name, _at(origin, start), given.value, given.unit.si_text)
            elif isinstance(given, str | int | float | tuple):
                number, unit = parse(given)
                yield Sample(name, _at(origin, start), number, unit.text)
        length = type(experiment.recipe)([phase]).duration
        if length is None or not math.isfinite(length):
            return
        start += length


def _of_frame(frame: "pd.DataFrame") -> Iterator[Entry]:
    import pandas as pd

    for column in _COLUMNS:
        if column not in frame.columns:
            raise DataError(f'the data frame has no column "{column}"; it needs {", ".join(_COLUMNS)}')
    given = [name for name in (*_COLUMNS, "unit", "quality", "reported", "source") if name in frame.columns]
    for k in range(len(frame)):
        row = {name: frame[name].iloc[k] for name in given}
        try:
            yield _of_row({name: item for name, item in row.items() if not pd.isna(item)})
        except (TypeError, ValueError, DataError) as error:
            raise DataError(f"row {k} of the data frame is no sample: {error}") from None


def _of_row(row: Mapping[str, Any]) -> Sample:
    """row: column -> what stands there; nothing for an empty cell."""
    for name in ("channel", "time"):
        if name not in row:
            raise DataError(f"it has no {name}")
    return Sample(
        str(row["channel"]),
        _stamped(row["time"]),
        float(row.get("value", math.nan)),
        str(row.get("unit", "")),
        quality=Flag(int(row.get("quality", Flag.GOOD))),
        reported=_stamped(row["reported"]) if "reported" in row else None,
        source=str(row.get("source", "")),
    )


def _stamped(when: Any) -> int:
    """ns UTC of a cell; a stamp of pandas holds more digits than the datetime that it is."""
    import pandas as pd

    if isinstance(when, pd.Timestamp) and when.tzinfo is not None:
        return moment(when.tz_convert(None).to_datetime64())
    return moment(when)


def _at(origin: int, seconds: float) -> int:
    return origin + round(seconds * SECOND)
