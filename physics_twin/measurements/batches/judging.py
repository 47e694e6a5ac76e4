"""The samples of a whole tag, judged once before they are cut into batches.

A batch on its own does not show everything: one that lies wholly after a change of unit is as smooth as the others, and
a sensor that froze an hour before the start is flat from its first sample. So the checks see the whole tag, which is
also quicker than hundreds of calls. What was found is kept by sample, so that each batch can say what hit its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements import quality
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.logs.log import TagSamples
from physics_twin.measurements.quality import MomentText, duration_text
from physics_twin.measurements.sampling import at_the_ends, limit_notes
from physics_twin.measurements.tags.checks import Checks, check_samples
from physics_twin.measurements.tags.export_units import compared_unit
from physics_twin.units import Unit, unit as as_unit

__all__ = ["JudgedTag", "judge"]

# The checks in the order in which they act; a sample counts for the first that marks it.
_WORDS = (
    "without a number",
    "not measured",
    "doubtful by the export's own word",
    "back in time or ahead of it",
    "at the time of the one before",
    "below absolute zero",
    "of zero, which is declared to mean not measured",
    "outside the range of the sensor",
    "after a quicker change than declared",
    "in a spike",
    "in a stretch that is flat for longer than declared",
    "after a change of unit",
    "in a stretch where the sensor is stuck",
    "bad by the export's own word (quality, unit or stamp)",
)
_CELL, _MISSING, _DOUBT, _BACK, _AGAIN, _COLD, _ZERO, _RANGE, _RATE, _SPIKE, _FLAT, _UNIT, _STUCK, _WORD = range(1, 15)


@dataclass(frozen=True, eq=False)
class JudgedTag:
    """The samples of a tag in order of time, with the flags that all checks together give them.

    times: (n,) s since the log's origin, ascending. values: (n,) in `unit`, as logged. flags: (n,). censored: (n,) or
    None. causes: (n,) 0, or k for the check that marked a sample, `words(k)`. n_timeless: samples without a readable
    time; they are in no array. n_disordered: how many stood out of order. notes: of the whole tag. limits: (n,) which
    cells state a limit ("<0.05") and no number, or None. unit_note: on the unit that the export states, where that is
    not plainly the declared one; "" else. Every batch says it.
    """

    tag: str
    unit: Unit
    times: Array
    values: Array
    flags: FlagArray
    censored: NDArray[np.int8] | None
    causes: NDArray[np.int8]
    n_timeless: int
    n_disordered: int
    notes: tuple[str, ...]
    declared_gap: float | None
    limits: NDArray[np.bool_] | None = None
    unit_note: str = ""

    def notes_of(self, rows: slice, zero: float, moment: MomentText = duration_text) -> tuple[str, ...]:
        """Return what the checks found among some samples, in words.

        zero: of the experiment, s since the origin. moment: how a time since then is said.
        """
        notes = [self.unit_note] if self.unit_note else []
        causes, flags = self.causes[rows], self.flags[rows]
        if causes.any():
            for cause in np.flatnonzero(np.bincount(causes, minlength=len(_WORDS) + 1)[1:]) + 1:
                hit = np.flatnonzero(causes == cause)
                flag = Flag(int(flags[hit].max()))
                first = moment(float(self.times[rows][hit[0]]) - zero)
                samples = "1 sample" if hit.size == 1 else f"{hit.size} samples"
                notes.append(f"{samples} {_WORDS[cause - 1]}, the first at {first}: {flag.words}")
        if self.censored is not None:
            notes += limit_notes(self.censored[rows])
        t = self.times[rows][flags <= Flag.SUSPECT]
        steps = np.diff(t)
        if self.declared_gap is None:
            # The usual step is no shorter than the shortest: a batch without long steps needs no median.
            if steps.size and steps.max() > quality.GAP * steps.min():
                notes += quality.gaps(t - zero, moment=moment)
        elif t.size > 1:
            long = np.flatnonzero(steps > self.declared_gap * (1.0 + 1e-9))
            if long.size:
                top = long[np.argmax(steps[long])]
                notes.append(
                    f"{long.size} gaps longer than {duration_text(self.declared_gap)}, the longest "
                    f"{duration_text(float(steps[top]))} from {moment(float(t[top]) - zero)} on"
                )
        return tuple(notes)

    @property
    def usable(self) -> NDArray[np.intp]:
        """Which samples an input can be bridged from: those with a number that are not bad, ascending."""
        sound = (self.flags <= Flag.SUSPECT) & np.isfinite(self.values)
        return np.flatnonzero(sound if self.limits is None else sound & ~self.limits)

    def changes_unit(self, rows: slice) -> bool:
        """Whether some of the samples stand after a change of unit."""
        return bool((self.causes[rows] == _UNIT).any())

    def order(self, rows: NDArray[np.intp]) -> FlagArray:
        """Return flags of the rows for inputs, (n,): suspect where a sample repeats a time, good else."""
        return np.where(self.causes[rows] == _AGAIN, np.int8(Flag.SUSPECT), np.int8(Flag.GOOD))


def judge(
    samples: TagSamples,
    unit: Unit,
    checks: Checks,
    states: Mapping[str, float],
    moment: MomentText = duration_text,
    *,
    export_unit: str | None = None,
    ends: tuple[float, float] | None = None,
) -> JudgedTag:
    """Judge the samples of a tag: cells, order, absolute zero, declared limits, changes of unit, stuck stretches.

    unit: of its numbers. states: text -> number, for a tag that shows texts. moment: how a time since the log's origin
    is said. export_unit: a text of the export that is declared to mean `unit`. ends: of the sensor's range, in `unit`;
    at them and beyond it is saturated.

    Raises UnitError where the export states another unit, or a limit does not fit; DataError for a tag of texts without
    states.
    """
    samples = _numbers(samples, states)
    unit_note = compared_unit(samples.unit, unit, f'tag "{samples.tag}"', accepted=export_unit, remedy=_remedy(samples))
    causes = np.zeros(samples.n, np.int8)
    flags = _cells(samples, causes)
    times, values, censored = samples.times, samples.values, samples.censored
    n_timeless = n_disordered = 0
    steps = np.diff(times)
    if not (steps > 0.0).all() or not np.isfinite(times).all():
        order, _ = quality.in_order(times)
        n_disordered = int(((order == Flag.BAD) & np.isfinite(times)).sum())
        flags = _mark(flags, causes, order == Flag.BAD, Flag.BAD, _BACK)
        flags = _mark(flags, causes, order == Flag.SUSPECT, Flag.SUSPECT, _AGAIN)
        row = np.argsort(times, kind="stable")  # NaN come last
        n_timeless = int((~np.isfinite(times)).sum())
        row = row[: row.size - n_timeless]
        times, values, flags, causes = times[row], values[row], flags[row], causes[row]
        censored = None if censored is None else censored[row]
    notes = [*samples.notes, *([unit_note] if unit_note else [])]
    if n_disordered:
        notes.append(f"{n_disordered} samples stand out of order: bad")
    if n_timeless:
        notes.append(f"{n_timeless} samples have no readable time")
    cold = quality.impossible(np.asarray(unit.to_si(values)), unit) if unit.dimension == _KELVIN.dimension else None
    if cold is not None:
        flags = _mark(flags, causes, cold & (flags <= Flag.SUSPECT), Flag.BAD, _COLD)
    stated = None if censored is None or not censored.any() else censored != 0
    if ends is not None:
        values, censored = at_the_ends(values, flags, censored, ends)
    flags, censored = _declared(samples.tag, times, values, flags, censored, causes, checks, unit, notes, moment)
    trusted = (flags <= Flag.SUSPECT) & np.isfinite(values)
    if censored is not None:
        trusted &= censored == 0
    limits = checks.limits(unit, name=samples.tag)
    sound = values if trusted.all() else np.where(trusted, values, np.nan)
    jumps, found = quality.unit_jumps(
        sound, unit, resolution=limits.smallest_step, place=lambda row: moment(float(times[row]))
    )
    flags = _mark_as(flags, causes, jumps, _UNIT)
    notes += found
    if checks.flat is None and checks.deadband is None:  # what is declared knows better
        still = np.flatnonzero(trusted & (jumps < Flag.BAD))
        flat, found = quality.stuck(values, times, still, resolution=limits.smallest_step, moment=moment)
        flags = _mark_as(flags, causes, flat, _STUCK)
        if found:
            notes.append(found[0] + (f"; {len(found) - 1} more stretches" if len(found) > 1 else ""))
    return JudgedTag(
        samples.tag,
        unit,
        times,
        values,
        flags,
        censored,
        causes,
        n_timeless,
        n_disordered,
        tuple(notes),
        limits.gap,
        stated,
        unit_note,
    )


_KELVIN = as_unit("K")


def _numbers(samples: TagSamples, states: Mapping[str, float]) -> TagSamples:
    """Return the samples with texts turned into the numbers that they stand for; other texts are bad."""
    if not samples.states:
        return samples
    if not states:
        shown = ", ".join(f'"{text}"' for text in samples.states[:3])
        raise DataError(f'the tag "{samples.tag}" shows texts ({shown}); say states={{{shown.split(",")[0]}: 1, ...}}')
    table = np.array([states.get(text.strip(), np.nan) for text in samples.states] or [np.nan])
    finite = np.isfinite(samples.values)
    codes = np.where(finite, samples.values, 0.0).astype(np.intp)
    values = np.where(finite, table[codes], np.nan)
    unknown = finite & np.isnan(values)
    flags = np.where(unknown, np.maximum(samples.flags, np.int8(Flag.BAD)), samples.flags)
    notes = samples.notes
    if unknown.any():
        texts = sorted({samples.states[code] for code in np.unique(codes[unknown]).tolist()})
        notes = (
            *notes,
            f"{int(unknown.sum())} samples show a state that is not declared ({', '.join(texts[:5])}): bad",
        )
    return replace(samples, values=values, flags=flags, states=(), notes=notes)


def _remedy(samples: TagSamples) -> str:
    stated = json.dumps(samples.unit, ensure_ascii=False)  # a text as TOML quotes it
    return f"if the export is wrong, say so in the tag table: export_unit = {stated}"


def _cells(samples: TagSamples, causes: NDArray[np.int8]) -> FlagArray:
    """Return the flags of the cells, (n,), with missing where a value is NaN."""
    flags = samples.flags
    finite = np.isfinite(samples.values)
    if not finite.all():
        empty = ~finite & (flags <= Flag.SUSPECT)
        flags = np.where(empty, np.int8(Flag.MISSING), flags)
    if (flags != Flag.GOOD).any():
        causes[flags == Flag.BAD] = _CELL
        causes[(flags == Flag.BAD) & finite] = _WORD
        causes[flags == Flag.MISSING] = _MISSING
        causes[flags == Flag.SUSPECT] = _DOUBT
    return flags


def _mark(flags: FlagArray, causes: NDArray[np.int8], hit: NDArray[np.bool_], flag: Flag, cause: int) -> FlagArray:
    """Return the flags with those of `hit`, (n,), at least `flag`; `causes` is changed where nothing stood."""
    if not hit.any():
        return flags
    causes[hit & (causes == 0)] = cause
    return np.where(hit, np.maximum(flags, np.int8(flag)), flags)


def _mark_as(flags: FlagArray, causes: NDArray[np.int8], found: FlagArray, cause: int) -> FlagArray:
    graver = found > flags
    if not graver.any():
        return flags
    causes[graver & (causes == 0)] = cause
    return np.where(graver, found, flags)


def _declared(
    tag: str,
    times: Array,
    values: Array,
    flags: FlagArray,
    censored: NDArray[np.int8] | None,
    causes: NDArray[np.int8],
    checks: Checks,
    unit: Unit,
    notes: list[str],
    moment: MomentText,
) -> tuple[FlagArray, NDArray[np.int8] | None]:
    """Apply the declared limits one after the other, so that each sample knows which one it broke."""
    known = Checks(resolution=checks.resolution, deadband=checks.deadband)
    steps = [
        (_ZERO, replace(known, zero_is_missing=True) if checks.zero_is_missing else None),
        (_RANGE, None if checks.low is checks.high is None else replace(known, low=checks.low, high=checks.high)),
        (_RATE, None if checks.rate is None else replace(known, rate=checks.rate)),
        (_SPIKE, None if checks.spike is None else replace(known, spike=checks.spike)),
        (_FLAT, None if checks.flat is None else replace(known, flat=checks.flat)),
    ]
    for cause, one in steps:
        if one is None:
            continue
        found = check_samples(times, values, flags, one, unit, censored=censored, name=tag, moment=moment)
        flags, censored = _mark_as(flags, causes, found.flags, cause), found.censored
        notes += found.notes
    return flags, censored
