"""One run of the plant: what was measured, what was fed in, how it began, and how far each sample can be trusted."""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from physics_twin.arrays import Array
from physics_twin.errors import DataError, ShapeError, UnitError, check_name, unknown_name
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.clocks import Stamps
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.provenance import Exclusion, Provenance
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.recorded_inputs import RecordedInput
from physics_twin.measurements.series import RARE, Series
from physics_twin.measurements.tables import read_table
from physics_twin.measurements.tags.certificates import certificate_end, out_of_date
from physics_twin.parameters import Parameter
from physics_twin.recipes import Level, Recipe, Steady
from physics_twin.units import QuantityLike, seconds, to_si, unit as as_unit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.measurements.relations.delays import Delay
    from physics_twin.measurements.windows.steady import SteadyWindows

__all__ = ["Exclusion", "Experiment", "Provenance", "RecordedInput", "Series"]


type Context = Mapping[str, str | int | float]
type Initial = Mapping[str, Level] | Literal["steady"] | Steady
type InputColumn = Column | Level


@dataclass(frozen=True, eq=False)
class Experiment:
    """One run of the plant.

    name: as in parameters of one experiment, `ambient_temperature@charge_0417`. series: output -> samples. recipe: the
    inputs over time and the initial state. context: lot, equipment, shift, ... inputs: what was logged of them.
    provenance: file, hash, options, exclusions. notes: what the checks found about the record as a whole. t0_utc: time
    zero, if the log has stamps. phases: when each phase of the batch ran, if that is known.

    Make one with `from_csv`, `from_frame` or `from_arrays`; `experiment["core_temperature"]` is its `Series`.
    """

    name: str
    series: Mapping[str, Series]
    recipe: Recipe
    provenance: Provenance
    context: Context = field(default_factory=dict)
    inputs: tuple[RecordedInput, ...] = ()
    notes: tuple[str, ...] = ()
    t0_utc: dt.datetime | None = None
    phases: tuple[PhaseWindow, ...] = ()

    def __post_init__(self) -> None:
        """Check names and contradictions, and freeze the mappings."""
        check_name("experiment", f"x@{self.name}", library_forms=True)
        if not self.series:
            raise DataError(f'experiment "{self.name}" has no channels')
        shared: dict[str, Parameter] = {}
        for output, series in self.series.items():
            if series.channel.output != output:
                raise DataError(f'the series "{output}" holds the channel "{series.channel.output}"')
            for parameter in series.channel.parameters.values():
                if shared.setdefault(parameter.name, parameter).unit.dimension != parameter.unit.dimension:
                    raise UnitError(
                        f"{parameter.name} is shared by channels in {shared[parameter.name].unit} and {parameter.unit}"
                    )
        self._check_arrays()
        for key, value in self.context.items():
            if not isinstance(value, str | int | float):
                raise DataError(f"context {key!r}: {value!r} is neither a text nor a number")
        if self.t0_utc is not None and not isinstance(self.t0_utc, dt.datetime):
            raise DataError(f"t0_utc = {self.t0_utc!r} is no datetime; try datetime.fromisoformat, with a zone")
        if self.t0_utc is not None and self.t0_utc.tzinfo is None:
            raise DataError(f"t0_utc = {self.t0_utc} has no zone")
        object.__setattr__(self, "series", MappingProxyType(dict(self.series)))
        self._say_what_expired()
        object.__setattr__(self, "context", MappingProxyType(dict(self.context)))

    def _say_what_expired(self) -> None:
        # Without counts: a part of the record repeats the note word by word, and it stands there once.
        late: list[str] = []
        for output, series in self.series.items():
            sensor = series.channel.sensor
            if sensor is not None and out_of_date(series, self.t0_utc).any():
                which = f"the certificate of sensor {sensor.serial} ({output})"
                late.append(f"{which} ended on {sensor.valid_until}, before the end of the record")
        for one in self.inputs:
            for own in one.sensors:
                if own.last >= certificate_end(own.sensor, self.t0_utc):
                    which = f"the certificate of sensor {own.sensor.serial} (input {one.name})"
                    late.append(f"{which} ended on {own.sensor.valid_until}, before the end of the record")
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *late))) if late else self.notes)

    def _check_arrays(self) -> None:
        first: dict[str, Channel] = {}
        for channel in self.channels:
            if channel.place is None:
                continue
            array = channel.place.array
            if array in self.series:
                raise DataError(f'"{array}" is an array and a channel; rename one')
            known = first.setdefault(array, channel)
            assert known.place is not None
            if len(known.place.coordinates) != len(channel.place.coordinates):
                raise DataError(
                    f'array "{array}": {known.output} has {len(known.place.coordinates)} coordinates, '
                    f"{channel.output} has {len(channel.place.coordinates)}"
                )
            if known.unit.dimension != channel.unit.dimension:
                raise UnitError(f'array "{array}" holds channels in {known.unit} and in {channel.unit}; make it two')

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the fields: a read-only view of a mapping does not travel to worker processes."""
        fields = (dict(self.series), self.recipe, self.provenance, dict(self.context), self.inputs, self.notes)
        return Experiment, (self.name, *fields, self.t0_utc, self.phases)

    # Making one ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        time: str | Column | Stamps,
        channels: Sequence[Channel],
        inputs: Mapping[str, InputColumn] | None = None,
        name: str | None = None,
        recipe: Recipe | None = None,
        initial: Initial | None = None,
        start: QuantityLike | dt.datetime | None = None,
        settle: QuantityLike | None = None,
        context: Context | None = None,
        exclude: Sequence[Exclusion] = (),
        hold_after: bool = False,
        separator: str = ",",
        decimal: str = ".",
        skiprows: int = 0,
        header: int = 1,
        column_names: Sequence[str] | None = None,
        encoding: str = "utf-8-sig",
    ) -> "Experiment":
        """Read a log.

        time: the header of a column of seconds or of ISO stamps with offset, `Column("t", "min")`, or
            `Stamps("when", zone="Europe/Berlin")`.
        channels: what is measured. inputs: model input -> its `Column` (with `pt.HOLD` or `pt.RAMP`), or a quantity or
            setting that holds throughout. recipe: the inputs instead, used as it is.
        initial: state -> quantity, or "steady"; states to be estimated are simply unknown at calibration.
        start: what is time zero: a time of the column, or a stamp. Without it, the first row; an elapsed time that does
            not begin at zero and has no inputs beside it asks for it, since the run may have begun earlier.
        settle: samples before this time are left out of the misfit. exclude: so are these ranges.
        hold_after: keep the last recorded inputs after the end of the log instead of raising.
        separator, decimal, skiprows, header (0, 1, or 2 with a row of units), column_names, encoding: the format.

        Each sample gets a flag: an empty cell is missing, a text bad; bad are rows whose time is unreadable or goes
        back, temperatures below absolute zero and what follows a change of unit; suspect are rows that repeat a time,
        and stuck sensors. Good and suspect samples are used. Nothing is dropped.

        Raises UnknownNameError for a column that is not there, UnitError for a unit that does not fit the file's own,
        DataError, naming row and column, for what cannot be read at all.
        """
        from physics_twin.measurements.table_experiments import from_table

        table = read_table(
            path,
            separator=separator,
            decimal=decimal,
            skiprows=skiprows,
            header=header,
            column_names=column_names,
            encoding=encoding,
        )
        options = {
            "separator": separator,
            "decimal": decimal,
            "skiprows": str(skiprows),
            "header": str(header),
            "encoding": encoding,
        }
        if column_names is not None:
            options["column_names"] = ", ".join(column_names)
        return from_table(
            table,
            options=options,
            name=_as_name(Path(path).stem) if name is None else name,
            time=time,
            channels=channels,
            inputs=inputs,
            recipe=recipe,
            initial=initial,
            start=start,
            settle=settle,
            context=context,
            exclude=exclude,
            hold_after=hold_after,
            decimal=decimal,
        )

    @classmethod
    def from_frame(
        cls,
        frame: "pd.DataFrame",
        *,
        name: str,
        time: str | Column | Stamps,
        channels: Sequence[Channel],
        inputs: Mapping[str, InputColumn] | None = None,
        recipe: Recipe | None = None,
        initial: Initial | None = None,
        start: QuantityLike | dt.datetime | None = None,
        settle: QuantityLike | None = None,
        context: Context | None = None,
        exclude: Sequence[Exclusion] = (),
        hold_after: bool = False,
        decimal: str = ".",
    ) -> "Experiment":
        """Read a pandas data frame; `time` may be a column or the name of the index. The rest is as in `from_csv`."""
        from physics_twin.measurements.table_experiments import from_table, table_of

        return from_table(
            table_of(frame),
            options={},
            name=name,
            time=time,
            channels=channels,
            inputs=inputs,
            recipe=recipe,
            initial=initial,
            start=start,
            settle=settle,
            context=context,
            exclude=exclude,
            hold_after=hold_after,
            decimal=decimal,
        )

    @classmethod
    def from_arrays(
        cls,
        name: str,
        times: Any,
        data: Mapping[str, ArrayLike],
        *,
        channels: Sequence[Channel],
        recipe: Recipe | None = None,
        initial: Initial | None = None,
        settle: QuantityLike | None = None,
        context: Context | None = None,
        exclude: Sequence[Exclusion] = (),
        t0_utc: dt.datetime | None = None,
        censored: Mapping[str, ArrayLike] | None = None,
        windows: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    ) -> "Experiment":
        """Take arrays.

        times: (n,) bare seconds or (array, unit), since time zero; or output -> times, for channels sampled
            at different times. data: output -> (n,) numbers in the unit of its channel, NaN where nothing was measured.
        recipe: the inputs; without it there are none. censored: output -> (n,) -1 where the truth is below the number
            ("<0.05"), 1 where it is above, 0 where it was measured. windows: output -> when the window of which each
            sample is the mean begins and ends, (n,) bare seconds or (array, unit) each. The rest is as in `from_csv`.

        Raises UnknownNameError for data, limits or windows without channel, DataError for a channel without data,
        ShapeError for lengths that differ.
        """
        from physics_twin.measurements.building import Samples, assemble, distinct, series_from

        outputs = dict.fromkeys(channel.output for channel in channels)
        limits, spans = censored or {}, windows or {}
        for output in (*data, *limits, *spans):
            if output not in outputs:
                raise unknown_name("channel", output, outputs)
        series: dict[str, Series] = {}
        for channel in distinct(channels):
            if channel.output not in data:
                raise DataError(f'the channel "{channel.output}" has no data')
            own = times[channel.output] if isinstance(times, Mapping) else times
            t = _bare_or_quantity_times(own)
            values = np.asarray(data[channel.output], dtype=np.float64)
            if values.shape != t.shape or t.ndim != 1:
                raise ShapeError(f"{channel.output}: {values.shape} values at {t.shape} times; both are columns (n,)")
            sides = None if channel.output not in limits else np.asarray(limits[channel.output], dtype=np.int8)
            begins, ends = (
                (None, None) if channel.output not in spans else map(_bare_or_quantity_times, spans[channel.output])
            )
            samples = Samples(t, values, censored=sides, begins=begins, ends=ends)
            series[channel.output] = series_from(channel, samples)
        return assemble(
            name,
            series,
            recipe=recipe,
            initial=initial,
            settle=settle,
            provenance=Provenance("arrays", exclusions=tuple(exclude)),
            context=context,
            t0_utc=t0_utc,
        )

    # Reading it ------------------------------------------------------------------------------------------------------

    def __getitem__(self, output: str) -> Series:
        """Return the samples of one channel. Raises UnknownNameError with the nearest name."""
        if output not in self.series:
            raise unknown_name(f'channel of experiment "{self.name}"', output, self.series)
        return self.series[output]

    def __iter__(self) -> Iterator[Series]:
        """Run through the samples of each channel."""
        return iter(self.series.values())

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What is measured."""
        return tuple(series.channel for series in self)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What is to be estimated about the sensors: `noise.*`, `bias.*`, `delay.*`, by name."""
        found: dict[str, Parameter] = {}
        for channel in self.channels:
            for parameter in channel.parameters.values():
                found.setdefault(parameter.name, parameter)  # a shared noise starts where its first channel says
        return found

    @property
    def times(self) -> Array:
        """All times at which a fit uses a sample, limits included, (n_times,) s, ascending and each once."""
        return np.unique(np.concatenate([series.times[series.informative] for series in self]))

    @property
    def duration(self) -> float:
        """Time of the last sample, in s since time zero."""
        finite = [series.times[np.isfinite(series.times)] for series in self]
        return max((float(t.max()) for t in finite if t.size), default=0.0)

    @property
    def n_used(self) -> int:
        """How many samples take part in the misfit, limits ("<0.05") included, over all channels."""
        return sum(int(series.informative.sum()) for series in self)

    @property
    def arrays(self) -> Mapping[str, tuple[Series, ...]]:
        """Array of sensors -> its channels, for those with more places than moments: they are looked at over places."""
        found: dict[str, list[Series]] = {}
        for series in self:
            if series.channel.place is not None:
                found.setdefault(series.channel.place.array, []).append(series)
        return {array: tuple(own) for array, own in found.items() if len(own) > max(s.times.size for s in own)}

    @property
    def sha256(self) -> str:
        """Hash of the content: name, samples, channels, recipe, context and time zero; not of where it was read."""
        from physics_twin.measurements.records import channel_record, input_sensors_record, recipe_record

        record, tables = recipe_record(self.recipe)
        content: dict[str, Any] = {
            "name": self.name,
            "recipe": record,
            "context": dict(self.context),
            "t0_utc": None if self.t0_utc is None else self.t0_utc.isoformat(),
            "channels": [channel_record(channel) for channel in self.channels],
            "reasons": [series.reasons for series in self],
        }
        if self.phases:  # only where there are: the hash of a record without them is what it was
            content["phases"] = [[phase.name, phase.start, phase.end] for phase in self.phases]
        sensors = {one.name: input_sensors_record(one.sensors) for one in self.inputs if one.sensors}
        if sensors:
            content["input_sensors"] = sensors
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        for one in tables:
            digest.update(np.array([one.times, one.values]).astype("<f8").tobytes())
        for series in self:
            # + 0.0 makes one zero of two; every NaN is the same NaN
            for array in (series.times, series.values):
                digest.update(np.where(np.isnan(array), np.nan, array + 0.0).astype("<f8").tobytes())
            digest.update(series.flags.tobytes())
            digest.update(series.left_out.tobytes())
            for key in RARE:
                rare = getattr(series, key)
                if rare is not None:
                    numbers = np.asarray(rare, dtype=np.float64)
                    digest.update(
                        key.encode() + np.where(np.isnan(numbers), np.nan, numbers + 0.0).astype("<f8").tobytes()
                    )
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Whether content, provenance and notes are the same."""
        if not isinstance(other, Experiment):
            return NotImplemented
        mine, theirs = (
            (x.sha256, dict(x.series), x.provenance, x.inputs, x.notes, x.t0_utc, x.phases) for x in (self, other)
        )
        return mine == theirs

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self.sha256)

    @property
    def quality(self) -> "pd.DataFrame":
        """Samples by flag, censored, left out and used, and what the checks found: a row a channel or input."""
        import pandas as pd

        rows: dict[str, dict[str, object]] = {}
        for output, series in self.series.items():
            rows[output] = {flag.words: n for flag, n in series.counts.items()}
            rows[output] |= {
                "censored": series.n_censored,
                "left out": int((series.left_out > 0).sum()),
                "used": int(series.informative.sum()),
                "notes": "; ".join([*series.notes, *_left_out_words(series)]),
            }
        for one in self.inputs:
            key = one.name if one.name not in rows else f"{one.name} (input)"
            rows[key] = {flag.words: n for flag, n in one.counts.items()}
            said = "; ".join(one.notes)
            rows[key] |= {"censored": 0, "left out": 0, "used": one.used, "notes": said}
        return pd.DataFrame.from_dict(rows, orient="index")

    def __str__(self) -> str:
        """Return name, duration, samples by flag, inputs, notes and provenance, for people."""
        from physics_twin.measurements.report import describe

        return describe(self)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Experiment {self.name!r}: {duration_text(self.duration)}, {', '.join(self.series)}>"

    # Cutting it ------------------------------------------------------------------------------------------------------

    def first(self, n: int) -> "Experiment":
        """Return the first `n` sample times, with time zero and recipe as they are; what is left out counts for none.

        The counterpart of `last` for a check on samples held back.
        """
        return self.between(-np.inf, self._cut(n)[n - 1], _words=f"the first {n} sample times")

    def last(self, n: int) -> "Experiment":
        """Return the last `n` sample times, with time zero and recipe as they are."""
        return self.between(self._cut(n)[-n], np.inf, _words=f"the last {n} sample times")

    def _cut(self, n: int) -> Array:
        times = self.times
        if not 1 <= n <= times.size:
            raise DataError(f'experiment "{self.name}" has {times.size} sample times in use; {n} cannot be taken')
        return times

    def between(self, low: QuantityLike, high: QuantityLike, *, _words: str = "") -> "Experiment":
        """Return the samples at times from `low` to `high` (both inclusive, since time zero; bare numbers are seconds).

        Raises DataError when no sample in use is left.
        """
        ends = [
            float(end)
            if isinstance(end, int | float | np.floating | np.integer)
            else to_si(cast(QuantityLike, end), as_unit("s"), name="between")
            for end in (low, high)
        ]
        kept = {
            output: one.keep((one.times >= ends[0]) & (one.times <= ends[1])) for output, one in self.series.items()
        }
        if not any(one.informative.any() for one in kept.values()):
            raise DataError(f'experiment "{self.name}" has no sample in use from {ends[0]:g} s to {ends[1]:g} s')
        words = _words or f"from {duration_text(ends[0])} to {duration_text(ends[1])}"
        return self._selected(kept, words)

    def without(self, outputs: str | Iterable[str]) -> "Experiment":
        """Return the experiment without these channels. Raises UnknownNameError, DataError when none is left."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        for output in names:
            self[output]
        kept = {output: one for output, one in self.series.items() if output not in names}
        if not kept:
            raise DataError(f'experiment "{self.name}" has no channel besides {", ".join(names)}')
        return self._selected(kept, f"without {', '.join(names)}") if names else self

    def without_suspect(self, outputs: str | Iterable[str] | None = None) -> "Experiment":
        """Return the experiment with suspect samples left out of the misfit, of some channels or of all.

        They stay in the record, with "suspect" as the reason, and the provenance says so. Without this they are used.

        Raises UnknownNameError for an output that is not there, DataError when no sample in use is left.
        """
        names = list(self.series) if outputs is None else [outputs] if isinstance(outputs, str) else list(outputs)
        series = dict(self.series)
        for output in names:
            series[output] = self[output].leave_out(self[output].flags == Flag.SUSPECT, "suspect")
        if not any(one.informative.any() for one in series.values()):
            raise DataError(f'experiment "{self.name}" has no sample in use that is not suspect')
        of = "" if outputs is None else f" of {', '.join(names)}"
        return self._selected(series, f"without suspect samples{of}") if names else self

    def _selected(self, series: Mapping[str, Series], words: str) -> "Experiment":
        provenance = replace(self.provenance, selections=(*self.provenance.selections, words))
        return replace(self, series=series, provenance=provenance)

    # Reducing it -----------------------------------------------------------------------------------------------------

    def average(
        self,
        period: QuantityLike,
        *,
        outputs: str | Sequence[str] | None = None,
        least: int = 1,
        inputs: bool = False,
        compressed: bool | None = None,
    ) -> "Experiment":
        """Return means over windows of `period`, with the noise that a mean has; see `averaging.average`.

        Raises BoundsError for a period or `least` that is not above 0, UnknownNameError for an output that is not
        there, DataError when no mean is left.
        """
        from physics_twin.measurements.windows.averaging import average

        return average(self, period, outputs=outputs, least=least, inputs=inputs, compressed=compressed)

    def resample(self, period: QuantityLike, *, outputs: str | Sequence[str] | None = None) -> "Experiment":
        """Return samples every `period` from time zero on; see `resampling.resample`. `average` keeps more.

        Raises BoundsError for a period that is not above 0, UnknownNameError for an output that is not there, DataError
        for a period finer than the samples, and where no grid time has a value.
        """
        from physics_twin.measurements.windows.resampling import resample

        return resample(self, period, outputs=outputs)

    def select(
        self,
        phase: str | Sequence[str] | None = None,
        *,
        start: QuantityLike | None = None,
        end: QuantityLike | None = None,
    ) -> "Experiment":
        """Return the samples of one phase or several, from `start` to `end`; see `selection.select`.

        Raises UnknownNameError for a phase that did not run, DataError when nothing is asked for or no sample in use is
        left.
        """
        from physics_twin.measurements.windows.selection import select

        return select(self, phase, start=start, end=end)

    def split(self, train: float = 0.7, *, gap: QuantityLike | None = None) -> "tuple[Experiment, Experiment]":
        """Return the first share `train` of the sample times, to fit, and the rest, to test; see `selection.split`.

        Raises BoundsError for a `train` or `gap` out of range, DataError when a part would have no sample in use.
        """
        from physics_twin.measurements.windows.selection import split

        return split(self, train, gap=gap)

    def steady_windows(
        self,
        outputs: str | Sequence[str] | None = None,
        *,
        window: QuantityLike,
        step: QuantityLike | None = None,
        false_alarm: float = 0.05,
        tolerance: Mapping[str, QuantityLike] | None = None,
    ) -> "SteadyWindows":
        """Return the windows in which none of the channels moves, with their means; see `steady.steady_windows`.

        Raises UnknownNameError for an output that is not there, BoundsError for numbers out of range, DataError when no
        window has 20 samples in use of every channel.
        """
        from physics_twin.measurements.windows.steady import steady_windows

        return steady_windows(self, outputs, window=window, step=step, false_alarm=false_alarm, tolerance=tolerance)

    def find_delay(
        self,
        source: str,
        output: str,
        *,
        longest: QuantityLike = "10 min",
        lag: bool = False,
        at_rest: bool = False,
        probability: float = 0.95,
    ) -> "Delay":
        """Return by how much `output` follows `source`, a channel or an input, with an interval; see `delays`.

        Raises UnknownNameError for names that are not there, BoundsError for numbers out of range, and DataError where
        no delay can be told.
        """
        from physics_twin.measurements.relations.delays import find_delay

        return find_delay(self, source, output, longest=longest, lag=lag, at_rest=at_rest, probability=probability)

    # Files and pictures ----------------------------------------------------------------------------------------------

    @property
    def dataset(self) -> "xr.Dataset":
        """Samples, flags and recipe as an xarray Dataset in SI, with units and CF attributes; what `save` writes."""
        from physics_twin.measurements.cf_dataset import to_dataset

        return to_dataset(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write NetCDF, whole or not at all; `Experiment.load` gives back an equal experiment."""
        from physics_twin.measurements.storage import save

        save(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Experiment":
        """Read what `save` wrote. Raises FileFormatError for any other file, and for one that was changed."""
        from physics_twin.measurements.storage import load

        return load(path)

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Draw each channel in its unit over time, with what is not good or not used marked.

        ax: one Axes for all channels, or one for each; without it, a new figure.
        """
        from physics_twin.measurements.plots import plot_experiment

        return plot_experiment(self, ax)


def _as_name(stem: str) -> str:
    """Return a file's name as an experiment can be called; "batch 4 (2)" -> "batch_4_2"."""
    cleaned = "".join(sign if sign.isalnum() or sign in "_.-" else "_" for sign in stem)
    return "_".join(part for part in cleaned.split("_") if part) or "experiment"


def _bare_or_quantity_times(times: Any) -> Array:
    t = np.array(times, dtype=np.float64) if _is_bare(times) else seconds(times)
    return np.atleast_1d(t)


def _is_bare(times: Any) -> bool:
    # NaN times (an unreadable clock) are for the flags to say, so bare numbers do not go through `seconds`.
    try:
        return np.asarray(times).dtype.kind in "fiu"
    except ValueError:  # (array, "min") is ragged
        return False


def _left_out_words(series: Series) -> list[str]:
    return [f"{int((series.left_out == k + 1).sum())} left out ({text})" for k, text in enumerate(series.reasons)]
