"""One run of the plant: what was measured, what was fed in, how it began, and how far each sample can be trusted."""

import datetime as dt
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, ShapeError, UnitError, check_name, unknown_name
from physics_twin.measurements import quality
from physics_twin.measurements.batches import PhaseWindow
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.clocks import Axis, Stamps, read_axis, start_on
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.tables import Table, numbers, read_table
from physics_twin.parameters import Parameter
from physics_twin.recipes import STEADY, Level, Phase, Recipe, Rule, Steady, table as input_table
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, Unit, parse, seconds, to_si, unit as as_unit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Exclusion", "Experiment", "Provenance", "RecordedInput", "Series"]


type Context = Mapping[str, str | int | float]
type Initial = Mapping[str, Level] | Literal["steady"] | Steady
type InputColumn = Column | Level


@dataclass(frozen=True)
class Exclusion:
    """A range of time that a person takes out of the misfit; the samples stay in the record.

    low, high: times since time zero, both inclusive. reason: why. by: who. channels: outputs; empty means all.
    """

    low: QuantityLike
    high: QuantityLike
    reason: str
    by: str = ""
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take the times in seconds and check them."""
        for key in ("low", "high"):
            given = getattr(self, key)
            bare = isinstance(given, int | float) and not isinstance(given, bool)
            object.__setattr__(
                self, key, (float(given) if bare else to_si(given, as_unit("s"), name=f"exclusion {key}"))
            )
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.span[0] > self.span[1]:
            raise DataError(f"exclusion from {self.span[0]:g} s to {self.span[1]:g} s ends before it begins")
        if not self.reason.strip():
            raise DataError("an exclusion needs a reason: it is read by those who trust the fit")

    @property
    def span(self) -> tuple[float, float]:
        """Both ends in s."""
        return cast(float, self.low), cast(float, self.high)


@dataclass(frozen=True)
class Provenance:
    """Where an experiment comes from.

    source: name of the file, or "arrays", "frame". sha256: of the file as it was read, "" if there was none. options:
    how it was read. exclusions: what was taken out by hand. selections: what was cut from the record afterwards.
    """

    source: str
    sha256: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    selections: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedInput:
    """An input that was logged beside the outputs: its column, its samples by flag, and what was bridged in it."""

    name: str
    column: str
    unit: Unit
    rule: Rule
    counts: Mapping[Flag, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Series:
    """The samples of one channel.

    channel: what they show. times: (n,) s since time zero, NaN where the clock was unreadable. values: (n,) SI, NaN
    where nothing was measured. flags: (n,) QARTOD codes. left_out: (n,) 0 for samples that take part in the misfit,
    else k with the reason `reasons[k - 1]`. notes: what the checks found, in words. All arrays are read-only.

    What few series have is None elsewhere. censored: (n,) -1 where the true value is below `values` ("<0.05"), 1 where
    it is above (a saturated sensor), 0 else. noise_scale: (n,) the noise of each sample as a multiple of the channel's
    (an average has less, a laboratory value its own). reported: (n,) s since time zero when each result was known.
    """

    channel: Channel
    times: Array
    values: Array
    flags: FlagArray
    left_out: NDArray[np.int8]
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    censored: NDArray[np.int8] | None = None
    noise_scale: Array | None = None
    reported: Array | None = None

    def __post_init__(self) -> None:
        """Check the shapes and make the arrays read-only copies."""
        for key, kind in _ARRAYS.items():
            if getattr(self, key) is None:
                continue
            array = np.array(getattr(self, key), dtype=kind)
            if array.shape != (n := np.size(self.times),):
                raise ShapeError(f"{self.channel.output}: {key} has the shape {array.shape}, and there are {n} times")
            array.setflags(write=False)
            object.__setattr__(self, key, array)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which samples take part in the misfit, (n,): measured, not censored, not bad, not left out."""
        trusted = (self.flags <= Flag.SUSPECT) & np.isfinite(self.values) & np.isfinite(self.times)
        if self.censored is not None:
            trusted &= self.censored == 0
        return np.asarray(trusted & (self.left_out == 0))

    @property
    def noise(self) -> Array:
        """One standard deviation of each sample, (n,) SI; the starting value where the channel's is estimated."""
        scale = np.ones(self.times.size) if self.noise_scale is None else self.noise_scale
        return self.channel.noise * scale

    @property
    def counts(self) -> Mapping[Flag, int]:
        """How many samples carry each flag."""
        return _count(self.flags)

    def keep(self, mask: NDArray[np.bool_]) -> "Series":
        """Return the series with only the samples of `mask`, (n,)."""
        arrays: dict[str, Any] = {key: getattr(self, key) for key in _ARRAYS}
        kept: dict[str, Any] = {key: None if array is None else array[mask] for key, array in arrays.items()}
        return replace(self, **kept)

    def __eq__(self, other: object) -> bool:
        """Whether all is the same, NaN in the same places included."""
        if not isinstance(other, Series):
            return NotImplemented
        same_arrays = all(_same(getattr(self, key), getattr(other, key)) for key in _ARRAYS)
        return same_arrays and (self.channel, self.reasons, self.notes) == (other.channel, other.reasons, other.notes)

    __hash__ = None  # type: ignore[assignment]


_ARRAYS: Mapping[str, Any] = {
    "times": np.float64,
    "values": np.float64,
    "flags": np.int8,
    "left_out": np.int8,
    "censored": np.int8,
    "noise_scale": np.float64,
    "reported": np.float64,
}


def _same(mine: Any, theirs: Any) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")


def _count(flags: FlagArray) -> Mapping[Flag, int]:
    return {flag: int((flags == flag).sum()) for flag in Flag}


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
        if self.t0_utc is not None and self.t0_utc.tzinfo is None:
            raise DataError(f"t0_utc = {self.t0_utc} has no zone")
        object.__setattr__(self, "series", MappingProxyType(dict(self.series)))
        object.__setattr__(self, "context", MappingProxyType(dict(self.context)))

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
    ) -> Self:
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
        return cls._from_table(
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
    ) -> Self:
        """Read a pandas data frame; `time` may be a column or the name of the index. The rest is as in `from_csv`."""
        columns: dict[str, Any] = {}
        if frame.index.name is not None and frame.index.name not in frame.columns:
            columns[str(frame.index.name)] = _cells(frame.index)
        for label in frame.columns:
            if str(label) in columns or not isinstance(frame[label], type(frame.iloc[:, 0])):
                raise DataError(f'two columns of the frame are called "{label}"')
            columns[str(label)] = _cells(frame[label])
        if not len(frame):
            raise DataError("the frame has no rows")
        table = Table(columns, {}, range(1, len(frame) + 1), "frame", "", ())
        return cls._from_table(
            table,
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
    ) -> Self:
        """Take arrays.

        times: (n,) bare seconds or (array, unit), since time zero; or output -> times, for channels sampled
            at different times. data: output -> (n,) numbers in the unit of its channel, NaN where nothing was measured.
        recipe: the inputs; without it there are none. The rest is as in `from_csv`.

        Raises UnknownNameError for data without channel, DataError for a channel without data, ShapeError for lengths
        that differ.
        """
        outputs = dict.fromkeys(channel.output for channel in channels)
        for output in data:
            if output not in outputs:
                raise unknown_name("channel", output, outputs)
        series: dict[str, Series] = {}
        notes: list[str] = []
        for channel in _distinct(channels):
            if channel.output not in data:
                raise DataError(f'the channel "{channel.output}" has no data')
            own = times[channel.output] if isinstance(times, Mapping) else times
            t = _bare_or_quantity_times(own)
            values = np.asarray(data[channel.output], dtype=np.float64)
            if values.shape != t.shape or t.ndim != 1:
                raise ShapeError(f"{channel.output}: {values.shape} values at {t.shape} times; both are columns (n,)")
            order, order_notes = quality.in_order(t)
            flags = np.where(np.isnan(values), Flag.MISSING, np.where(np.isfinite(values), Flag.GOOD, Flag.BAD))
            series[channel.output] = _series(channel, t, values, flags.astype(np.int8), order, list(order_notes))
        provenance = Provenance("arrays", exclusions=tuple(exclude))
        return cls._assemble(name, series, recipe, initial, settle, provenance, context, (), notes, t0_utc)

    @classmethod
    def _from_table(
        cls,
        table: Table,
        *,
        options: Mapping[str, str],
        name: str,
        time: str | Column | Stamps,
        channels: Sequence[Channel],
        inputs: Mapping[str, InputColumn] | None,
        recipe: Recipe | None,
        initial: Initial | None,
        start: QuantityLike | dt.datetime | None,
        settle: QuantityLike | None,
        context: Context | None,
        exclude: Sequence[Exclusion],
        hold_after: bool,
        decimal: str,
    ) -> Self:
        if inputs is not None and recipe is not None:
            raise DataError("give inputs= (recorded) or recipe=, and not both")
        _check_declared_units(table, time, channels, inputs or {})
        axis = read_axis(table, time, decimal=decimal)
        order, order_notes = quality.in_order(axis.seconds)
        order = worst(order, axis.flags)
        notes = [*table.notes, *axis.notes, *order_notes]
        recorded = {key: column for key, column in (inputs or {}).items() if isinstance(column, Column)}
        t, zero = _from_zero(axis, order, start, bool(recorded), table, time)
        if start is None and axis.origin is None and zero != 0.0:
            notes.append(f"time zero is the first row, {zero:g} s on the column's own clock")
        notes += quality.gaps(t[order <= Flag.SUSPECT])

        series = {}
        for channel in _distinct(channels):
            read = numbers(table[channel.column], table, channel.column, decimal=decimal)
            series[channel.output] = _series(
                channel, t, read.values, read.flags, order, _text_notes(read.texts, read.flags, table)
            )
        found: list[RecordedInput] = []
        if recipe is None:
            recipe = Recipe.constant()
            if inputs:
                recipe, found = _recorded(table, t, order, inputs, hold_after, decimal)
        options = {**options, "time": _time_text(time), **({} if start is None else {"start": str(start)})}
        provenance = Provenance(table.source, table.sha256, options, tuple(exclude))
        t0 = None if axis.origin is None else axis.origin + dt.timedelta(seconds=zero)
        return cls._assemble(name, series, recipe, initial, settle, provenance, context, tuple(found), notes, t0)

    @classmethod
    def _assemble(
        cls,
        name: str,
        series: Mapping[str, Series],
        recipe: Recipe | None,
        initial: Initial | None,
        settle: QuantityLike | None,
        provenance: Provenance,
        context: Context | None,
        inputs: tuple[RecordedInput, ...],
        notes: Sequence[str],
        t0_utc: dt.datetime | None,
    ) -> Self:
        recipe = Recipe.constant() if recipe is None else recipe
        if initial is not None:
            if isinstance(initial, str) and initial != "steady":
                raise DataError(f'initial="{initial}": give "steady" or a mapping of state -> quantity')
            if isinstance(initial, str | Steady):
                recipe = recipe.replace(initial=STEADY)
            else:  # what the recipe binds beside these stays bound
                bound = {} if isinstance(recipe.initial, Steady) else recipe.initial
                recipe = recipe.replace(initial={**bound, **initial})
        reasons: list[tuple[float, float, str, tuple[str, ...]]] = [
            (-np.inf, float(np.nextafter(0.0, -1.0)), "before time zero", ())
        ]
        if settle is not None:
            until = to_si(settle, as_unit("s"), name="settle")
            reasons.append((0.0, float(np.nextafter(until, -1.0)), f"settling until {duration_text(until)}", ()))
        for exclusion in provenance.exclusions:
            for output in exclusion.channels:
                if output not in series:
                    raise unknown_name("channel", output, series)
            by = f" ({exclusion.by})" if exclusion.by else ""
            reasons.append((*exclusion.span, f"excluded: {exclusion.reason}{by}", exclusion.channels))
        out = {output: _leave_out(one, reasons) for output, one in series.items()}
        return cls(name, out, recipe, provenance, context or {}, inputs, tuple(notes), t0_utc)

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
        """All times at which a sample is used, (n_times,) s, ascending and each once: what to simulate."""
        return np.unique(np.concatenate([series.times[series.used] for series in self]))

    @property
    def duration(self) -> float:
        """Time of the last sample, in s since time zero."""
        finite = [series.times[np.isfinite(series.times)] for series in self]
        return max((float(t.max()) for t in finite if t.size), default=0.0)

    @property
    def n_used(self) -> int:
        """How many samples take part in the misfit, over all channels."""
        return sum(int(series.used.sum()) for series in self)

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
        from physics_twin.measurements.records import channel_record, recipe_record

        record, tables = recipe_record(self.recipe)
        content = {
            "name": self.name,
            "recipe": record,
            "context": dict(self.context),
            "t0_utc": None if self.t0_utc is None else self.t0_utc.isoformat(),
            "channels": [channel_record(channel) for channel in self.channels],
            "reasons": [series.reasons for series in self],
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        for one in tables:
            digest.update(np.array([one.times, one.values]).astype("<f8").tobytes())
        for series in self:
            # + 0.0 makes one zero of two; every NaN is the same NaN
            for array in (series.times, series.values):
                digest.update(np.where(np.isnan(array), np.nan, array + 0.0).astype("<f8").tobytes())
            digest.update(series.flags.tobytes())
            digest.update(series.left_out.tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Whether content, provenance and notes are the same."""
        if not isinstance(other, Experiment):
            return NotImplemented
        mine, theirs = ((x.sha256, dict(x.series), x.provenance, x.inputs, x.notes, x.t0_utc) for x in (self, other))
        return mine == theirs

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self.sha256)

    @property
    def quality(self) -> "pd.DataFrame":
        """Samples by flag, how many are left out and used, and what the checks found: a row a channel or input."""
        import pandas as pd

        rows: dict[str, dict[str, object]] = {}
        for output, series in self.series.items():
            rows[output] = {flag.words: n for flag, n in series.counts.items()}
            rows[output] |= {
                "left out": int((series.left_out > 0).sum()),
                "used": int(series.used.sum()),
                "notes": "; ".join([*series.notes, *_left_out_words(series)]),
            }
        for one in self.inputs:
            key = one.name if one.name not in rows else f"{one.name} (input)"
            rows[key] = {flag.words: n for flag, n in one.counts.items()}
            rows[key] |= {"left out": 0, "used": one.counts[Flag.GOOD], "notes": "; ".join(one.notes)}
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
        if not any(one.used.any() for one in kept.values()):
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

    def _selected(self, series: Mapping[str, Series], words: str) -> "Experiment":
        provenance = replace(self.provenance, selections=(*self.provenance.selections, words))
        return replace(self, series=series, provenance=provenance)

    # Files and pictures ----------------------------------------------------------------------------------------------

    @property
    def dataset(self) -> "xr.Dataset":
        """Samples, flags and recipe as an xarray Dataset in SI, with units and CF attributes; what `save` writes."""
        from physics_twin.measurements.storage import to_dataset

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

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
        """Draw each channel in its unit over time, with what is not good or not used marked.

        ax: one Axes for all channels, or one for each; without it, a new figure. Returns the axes.
        """
        from physics_twin.measurements.plots import plot_experiment

        return plot_experiment(self, ax)


# Steps of reading ----------------------------------------------------------------------------------------------------


def _cells(column: Any) -> Any:
    """Return the cells of a pandas column: an array of numbers if they are numbers, else a list of objects."""
    if getattr(column.dtype, "kind", "") in "fiu" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return column.tolist()


def _as_name(stem: str) -> str:
    """Return a file's name as an experiment can be called; "batch 4 (2)" -> "batch_4_2"."""
    cleaned = "".join(sign if sign.isalnum() or sign in "_.-" else "_" for sign in stem)
    return "_".join(part for part in cleaned.split("_") if part) or "experiment"


def _distinct(channels: Sequence[Channel]) -> Sequence[Channel]:
    if not channels:
        raise DataError("an experiment needs at least one channel")
    twice = sorted(output for output, n in Counter(channel.output for channel in channels).items() if n > 1)
    if twice:
        raise DataError(f'two channels show "{twice[0]}"; give the model one output for each sensor')
    return channels


def _bare_or_quantity_times(times: Any) -> Array:
    t = np.array(times, dtype=np.float64) if _is_bare(times) else seconds(times)
    return np.atleast_1d(t)


def _is_bare(times: Any) -> bool:
    # NaN times (an unreadable clock) are for the flags to say, so bare numbers do not go through `seconds`.
    try:
        return np.asarray(times).dtype.kind in "fiu"
    except ValueError:  # (array, "min") is ragged
        return False


def _time_text(time: str | Column | Stamps) -> str:
    if isinstance(time, Column):
        return f"{time.name} ({time.unit})"
    return f"{time.column} ({time.zone or 'own offset'})" if isinstance(time, Stamps) else time


def _check_declared_units(
    table: Table, time: str | Column | Stamps, channels: Sequence[Channel], inputs: Mapping[str, InputColumn]
) -> None:
    """Compare the units that the file states in a second header line with those declared."""
    declared = [(channel.column, channel.unit) for channel in channels]
    declared += [(column.name, as_unit(column.unit)) for column in inputs.values() if isinstance(column, Column)]
    if not isinstance(time, Stamps):
        declared.append((time.name, as_unit(time.unit)) if isinstance(time, Column) else (time, as_unit("s")))
    for column, unit in declared:
        stated = table.units.get(column, "").strip("[]() ")
        if not stated:
            continue
        try:
            own = as_unit(stated)
        except UnitError:
            continue  # not every remark in that line is a unit: "(mean of 2)"
        if own != unit:
            raise UnitError(f'{table.source}, column "{column}": the file says {own}, and {unit} is declared')


def _from_zero(
    axis: Axis,
    order: FlagArray,
    start: QuantityLike | dt.datetime | None,
    recorded: bool,
    table: Table,
    time: str | Column | Stamps,
) -> tuple[Array, float]:
    """Return the times since time zero, and time zero on the axis of the log."""
    if start is not None:
        zero = start_on(axis, start)
    else:
        first = int(np.flatnonzero(order <= Flag.SUSPECT)[0])
        zero = float(axis.seconds[first])
        if axis.origin is None and zero != 0.0 and not recorded:
            raise DataError(
                f"{table.source}, {table.where(first)}: the time {_time_text(time)} begins at {zero:g} s and not at 0, "
                f'and no inputs are recorded beside it; say where the run began: start="0 s" or start="{zero:g} s"'
            )
    return axis.seconds - zero, zero


def _text_notes(texts: Sequence[tuple[int, str]], flags: FlagArray, table: Table) -> list[str]:
    if not texts:
        return []
    row, text = texts[0]
    n = int((flags == Flag.BAD).sum())
    return [f'{n} cell{"s are" if n > 1 else " is"} no number ("{text}" in {table.where(row)}): bad']


def _series(
    channel: Channel, times: Array, values: Array, flags: FlagArray, order: FlagArray, notes: list[str]
) -> Series:
    """Judge the samples of a channel; values (n,) in its unit, flags of the cells, order: flags of the rows."""
    si = np.asarray(channel.unit.to_si(values), dtype=np.float64)
    flags = worst(flags, order)
    cold = quality.impossible(si, channel.unit) & (flags < Flag.BAD)
    if cold.any():
        flags = np.where(cold, np.int8(Flag.BAD), flags)
        low = float(np.nanmin(np.where(cold, values, np.nan)))
        notes.append(f"{int(cold.sum())} values lie below absolute zero ({low:g} {channel.unit}): bad")
    judged = np.flatnonzero((flags <= Flag.SUSPECT) & np.isfinite(values))
    jumps, jump_notes = quality.unit_jumps(
        np.where(np.isin(np.arange(values.size), judged), values, np.nan), channel.unit
    )
    flags = worst(flags, jumps)
    flat, flat_notes = quality.stuck(values, times, judged[jumps[judged] < Flag.BAD])
    flags = worst(flags, flat)
    missing = int((flags == Flag.MISSING).sum())
    if missing:
        notes.append(f"{missing} not measured")
    if not judged.size:
        notes.append("no sample can be used")
    return Series(channel, times, si, flags, np.zeros(values.size, np.int8), (), (*notes, *jump_notes, *flat_notes))


def _leave_out(series: Series, reasons: Sequence[tuple[float, float, str, tuple[str, ...]]]) -> Series:
    """Mark the samples in the ranges (low, high, reason, channels); a sample keeps its first reason."""
    left_out = np.zeros(series.times.size, dtype=np.int8)
    texts: list[str] = []
    for low, high, text, channels in reasons:
        if channels and series.channel.output not in channels:
            continue
        hit = (series.times >= low) & (series.times <= high) & (left_out == 0)
        if hit.any():
            texts.append(text)
            left_out[hit] = len(texts)
    return replace(series, left_out=left_out, reasons=tuple(texts))


def _left_out_words(series: Series) -> list[str]:
    return [f"{int((series.left_out == k + 1).sum())} left out ({text})" for k, text in enumerate(series.reasons)]


def _recorded(
    table: Table, times: Array, order: FlagArray, inputs: Mapping[str, InputColumn], hold_after: bool, decimal: str
) -> tuple[Recipe, list[RecordedInput]]:
    """Turn the input columns into a recipe of one phase that lasts as long as the log."""
    kept = np.flatnonzero(order == Flag.GOOD)  # not the suspect rows: they repeat a time
    kept = kept[np.concatenate([[True], np.diff(times[kept]) > 0.0])]
    after = kept[times[kept] >= 0.0]
    if after.size == 0:
        raise DataError(f"{table.source}: start= lies after the last row")
    end = float(times[after[-1]])
    levels: dict[str, Any] = {}
    found: list[RecordedInput] = []
    for name, column in inputs.items():
        if not isinstance(column, Column):
            if not isinstance(column, Setting):
                parse(column)  # a bare number or a misspelt unit is found here, not in the first simulation
            levels[name] = column
            continue
        unit = as_unit(column.unit)
        read = numbers(table[column.name], table, column.name, decimal=decimal)
        notes = _text_notes(read.texts, read.flags, table)
        flags = worst(read.flags, np.where(order == Flag.SUSPECT, np.int8(Flag.GOOD), order))
        cold = quality.impossible(np.asarray(unit.to_si(read.values)), unit)
        flags = np.where(cold & (flags == Flag.GOOD), np.int8(Flag.BAD), flags)
        if cold.any():
            notes.append(f"{int(cold.sum())} values lie below absolute zero: bad")
        good = kept[flags[kept] == Flag.GOOD]
        if not good.size:
            raise DataError(f'{table.source}: the input "{name}" (column "{column.name}") has no reading at all')
        jumps, jump_notes = quality.unit_jumps(read.values[good], unit)
        if (jumps == Flag.BAD).any():
            raise DataError(
                f'{table.source}: the input "{name}" (column "{column.name}"): {jump_notes[0].removesuffix(": bad")}; '
                "an input cannot be left out from there on, so correct the log or cut it before"
            )
        t, v = _from_start(times[good], read.values[good], column.rule)
        n_bridged = int((flags[after] != Flag.GOOD).sum())
        if n_bridged:
            how = "straight lines between" if column.rule is Rule.RAMP else "holding"
            notes.append(f"{n_bridged} of {after.size} rows have no reading: bridged by {how} the others")
        if t[0] > 0.0:
            notes.append(f"no reading before {duration_text(float(t[0]))}: the first one is taken from the start on")
            t, v = np.concatenate([[0.0], t]), np.concatenate([[v[0]], v])
        if t[-1] < end:
            notes.append(f"no reading after {duration_text(float(t[-1]))}: the last one is held")
            t, v = np.concatenate([t, [end]]), np.concatenate([v, [v[-1]]])
        levels[name] = input_table(t, v, unit, column.rule)
        found.append(RecordedInput(name, column.name, unit, column.rule, _count(flags), (*notes, *jump_notes)))
    if not found:
        return Recipe.constant(**levels), []
    duration = (end, "s")
    return Recipe([Phase("recorded", duration=duration, **levels)], hold_end=hold_after), found


def _from_start(times: Array, values: Array, rule: Rule) -> tuple[Array, Array]:
    """Return the rows from time zero on, with the value at time zero put in if rows lie before it."""
    later = times >= 0.0
    if later.all() or not (~later).any():
        return times, values
    t, v = times[later], values[later]
    if t.size and t[0] == 0.0:
        return t, v
    begin = float(np.interp(0.0, times, values)) if rule is Rule.RAMP else float(values[~later][-1])
    return np.concatenate([[0.0], t]), np.concatenate([[begin], v])
