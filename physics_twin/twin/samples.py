"""Samples out of what people have: lists, experiments, data frames."""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

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

    A data frame has the columns channel, time, value; where there are, also unit, quality, reported and source.

    Raises DataError for anything else.
    """
    import pandas as pd

    if isinstance(given, Experiment):
        return _of_experiment(given)
    if isinstance(given, pd.DataFrame):
        return _of_frame(given)
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
    times = pd.to_datetime(frame["time"], utc=True)
    rest = {name: frame[name] if name in frame.columns else None for name in ("unit", "quality", "reported", "source")}
    for k in range(len(frame)):
        own = {name: column.iloc[k] for name, column in rest.items() if column is not None}
        reported = own.get("reported")
        yield Sample(
            str(frame["channel"].iloc[k]),
            int(times.iloc[k].value),
            float(frame["value"].iloc[k]),
            str(own.get("unit", "")),
            quality=Flag(int(own.get("quality", Flag.GOOD))),
            reported=None if reported is None or pd.isna(reported) else int(pd.Timestamp(reported).value),
            source=str(own.get("source", "")),
        )


def _at(origin: int, seconds: float) -> int:
    return origin + round(seconds * SECOND)
