"""From arrays to experiments: the samples of a channel are judged, and series, recipe and context put together.

Tables, data frames, arrays and historian logs all end here, so that a sample gets the same flags whichever way it came.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, ShapeError, unknown_name
from physics_twin.measurements import quality
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.provenance import Provenance
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.recorded_inputs import InputSamples, RecordedInput, recorded_inputs
from physics_twin.measurements.sampling import at_the_ends, limit_notes, range_of
from physics_twin.measurements.series import RARE, Series
from physics_twin.measurements.tags.checks import Checks, check_samples
from physics_twin.measurements.tags.sensors import corrected
from physics_twin.recipes import STEADY, Level, Recipe, Steady
from physics_twin.units import QuantityLike, to_si, unit as as_unit

__all__ = [
    "InputSamples",
    "Samples",
    "assemble",
    "distinct",
    "leave_out",
    "recorded_inputs",
    "series_from",
    "taken",
]


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples as read, before they are judged.

    times: (n,) s since time zero, NaN where unreadable. values: (n,) in the unit of their channel, NaN where nothing
    was measured. flags: (n,) QARTOD codes of the cells; None for missing where a value is NaN, bad where it is infinite
    and good else. censored, noise_scale, reported, begins, ends, time_sd: (n,) as in `Series`, or None. notes: what
    reading found, in words.

    Raises ShapeError for lengths that differ.
    """

    times: Array
    values: Array
    flags: FlagArray | None = None
    censored: NDArray[np.int8] | None = None
    notes: tuple[str, ...] = ()
    noise_scale: Array | None = None
    reported: Array | None = None
    begins: Array | None = None
    ends: Array | None = None
    time_sd: Array | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        n = np.shape(self.times)
        for key in ("values", "flags", *RARE):
            array = getattr(self, key)
            if array is not None and np.shape(array) != n:
                raise ShapeError(f"{key} has the shape {np.shape(array)}, and the times have {n}")

    @property
    def cell_flags(self) -> FlagArray:
        """Flags of the cells, (n,)."""
        if self.flags is not None:
            return self.flags
        found = np.where(np.isnan(self.values), Flag.MISSING, np.where(np.isfinite(self.values), Flag.GOOD, Flag.BAD))
        return found.astype(np.int8)


def series_from(channel: Channel, samples: Samples, order: FlagArray | None = None) -> Series:
    """Judge the samples of a channel.

    order: (n,) flags of the rows, where they are judged already (a table has one clock for all its columns); without
    it the times are judged here. Nothing is dropped: each sample gets the worst flag that cell, row and checks give it.
    The readings are judged as they were logged; the corrections of the sensor's certificate come last.

    Raises UnitError, BoundsError for checks or corrections that do not fit the channel's unit, DataError for a channel
    whose windows are columns of a table where there is none.
    """
    notes: list[str] = []
    if order is None:
        order, found = quality.in_order(samples.times)
        notes += found
    notes += samples.notes
    times, values, censored = samples.times, samples.values, samples.censored
    if channel.sensor_range is not None:
        ends = range_of(channel.sensor_range, channel.unit, channel.output)
        values, censored = at_the_ends(values, worst(samples.cell_flags, order), censored, ends)
    si = np.asarray(channel.unit.to_si(values), dtype=np.float64)
    flags = worst(samples.cell_flags, order)
    cold = quality.impossible(si, channel.unit) & (flags < Flag.BAD)
    if cold.any():
        flags = np.where(cold, np.int8(Flag.BAD), flags)
        low = float(np.nanmin(np.where(cold, values, np.nan)))
        notes.append(f"{int(cold.sum())} values lie below absolute zero ({low:g} {channel.unit}): bad")
    checks = Checks() if channel.checks is None else channel.checks
    if channel.checks is not None:
        checked = check_samples(times, values, flags, checks, channel.unit, censored=censored, name=channel.output)
        flags, censored = checked.flags, checked.censored
        notes += checked.notes
    # A limit of detection, printed again and again, is neither a stuck sensor nor a unit.
    measured = np.isfinite(values) if censored is None else np.isfinite(values) & (censored == 0)
    trusted = (flags <= Flag.SUSPECT) & measured
    judged = np.flatnonzero(trusted)
    least = checks.limits(channel.unit, name=channel.output).smallest_step
    jumps, jump_notes = quality.unit_jumps(np.where(trusted, values, np.nan), channel.unit, resolution=least)
    flags = worst(flags, jumps)
    found_flat: tuple[str, ...] = ()
    if checks.flat is None and checks.deadband is None:  # what is declared knows better
        flat, found_flat = quality.stuck(values, times, judged[jumps[judged] < Flag.BAD], resolution=least)
        flags = worst(flags, flat)
    missing = int((flags == Flag.MISSING).sum())
    if missing:
        notes.append(f"{missing} not measured")
    notes += limit_notes(None if censored is None else censored[flags <= Flag.SUSPECT])
    if not judged.size:
        notes.append("no sample can be used")
    if channel.sensor is not None and channel.sensor.correction:
        notes += channel.sensor.beyond(si[judged], channel.unit)
        si, words = corrected(si, channel.sensor, channel.unit)
        notes.append(words)
    return Series(
        channel,
        times,
        si,
        flags,
        np.zeros(values.size, np.int8),
        (),
        (*notes, *jump_notes, *found_flat),
        censored=censored,
        noise_scale=samples.noise_scale,
        reported=samples.reported,
        **taken(channel, samples),
    )


def taken(channel: Channel, samples: Samples) -> dict[str, Any]:
    """When samples were taken beyond their times, "begins", "ends", "time_sd" (n,) s each, those that there are.

    What the samples say of themselves comes before what the channel declares. Raises DataError for windows that are
    columns of a table where there is none.
    """
    found: dict[str, Any] = {}
    if samples.begins is not None and samples.ends is not None:
        found |= {"begins": samples.begins, "ends": samples.ends}
    elif channel.averaged is not None:
        if channel.averaged.over is None:
            raise DataError(
                f'the windows of "{channel.output}" are columns of a table (Averaged(begin=, end=)), and it is not '
                "read from one; give windows= to Experiment.from_arrays, or a length and its stamp"
            )
        begins, ends = channel.averaged.windows(samples.times)
        found |= {"begins": begins, "ends": ends}
    if samples.time_sd is not None:
        found["time_sd"] = samples.time_sd
    elif channel.time_noise:
        found["time_sd"] = np.full(samples.times.size, channel.time_noise)
    return found


def leave_out(series: Series, reasons: Sequence[tuple[float, float, str, tuple[str, ...]]]) -> Series:
    """Mark the samples in the ranges (low, high, reason, channels); a sample keeps its first reason."""
    for low, high, text, channels in reasons:
        if not channels or series.channel.output in channels:
            series = series.leave_out((series.times >= low) & (series.times <= high), text)
    return series


def distinct(channels: Sequence[Channel]) -> Sequence[Channel]:
    """Return the channels. Raises DataError when there is none, or when two show the same output."""
    if not channels:
        raise DataError("an experiment needs at least one channel")
    twice = sorted(output for output, n in Counter(channel.output for channel in channels).items() if n > 1)
    if twice:
        raise DataError(f'two channels show "{twice[0]}"; give the model one output for each sensor')
    return channels


def assemble(
    name: str,
    series: Mapping[str, Series],
    *,
    recipe: Recipe | None = None,
    initial: Mapping[str, Level] | Literal["steady"] | Steady | None = None,
    settle: QuantityLike | None = None,
    provenance: Provenance,
    context: Mapping[str, str | int | float] | None = None,
    inputs: Sequence[RecordedInput] = (),
    notes: Sequence[str] = (),
    t0_utc: dt.datetime | None = None,
    phases: Sequence[PhaseWindow] = (),
) -> Experiment:
    """Put an experiment together, and leave out what lies before time zero, settles, or is excluded in `provenance`.

    series: output -> samples. recipe: without it there are no inputs. initial, settle: as in `Experiment.from_csv`.

    Raises UnknownNameError for an exclusion of a channel that is not there, DataError for another `initial`.
    """
    recipe = Recipe.constant() if recipe is None else recipe
    if initial is not None:
        if isinstance(initial, str) and initial != "steady":
            raise DataError(f'initial="{initial}": give "steady" or a mapping of state -> quantity')
        if isinstance(initial, str | Steady):
            recipe = recipe.replace(initial=STEADY)
        else:  # what the recipe binds beside these stays bound
            bound: Mapping[str, Any] = {} if isinstance(recipe.initial, Steady) else recipe.initial
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
        reasons.append((*exclusion.span, f"excluded: {exclusion.reason} ({exclusion.by})", exclusion.channels))
    out = {output: leave_out(one, reasons) for output, one in series.items()}
    return Experiment(name, out, recipe, provenance, context or {}, tuple(inputs), tuple(notes), t0_utc, tuple(phases))
