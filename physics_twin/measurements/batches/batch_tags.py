"""Batches that the log itself tells: a tag shows which batch runs, and perhaps another one its phase."""

import datetime as dt
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements.batches.batch import Batch, Moment, batch_name
from physics_twin.measurements.batches.windows import half_period
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.cells import EXACT
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.quality import duration_text

__all__ = ["ByTag", "batches_by_tag"]

_ZERO = re.compile(r"0+(?:[.,]0+)?")


@dataclass(frozen=True)
class ByTag:
    """A tag whose constant stretches are batches.

    tag: shows the name or number of the batch that runs. phase: the tag of its phase, if there is one. idle: what the
    tags show when nothing runs, upper or lower case; "" stands for empty cells.

    A value holds from its stamp (in a log of averages, from the beginning of its period) until the next one. A batch
    that pauses (its tag is idle, then shows the same name again) is one batch with a note; a name that comes back after
    another batch is a batch of its own, "B101-2".
    Names are texts whatever they look like (00417, 1E5), and `experiments_from` reads both tags so. In a log that was
    read before they may be numbers: whole ones below 2**53 are then the names, and anything else has to be read again
    with `Layout(texts=("BATCH_ID",))`. Where all names are written like 1041.0, they are 1041; 00 and 0.0 are 0.
    Unreadable cells change nothing.
    """

    tag: str
    phase: str | None = None
    idle: tuple[str, ...] = ("", "IDLE", "0")

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that it needs from a log."""
        return (self.tag,) if self.phase is None else (self.tag, self.phase)


@dataclass(frozen=True)
class _Stretch:
    """A value and when it held, s since the log's origin; last: whether no other one follows."""

    text: str
    start: float
    end: float
    last: bool


def batches_by_tag(log: Log, by: ByTag) -> tuple[Batch, ...]:
    """Return the batches that a tag of the log shows, in their order.

    Raises UnknownNameError for a tag that is not there, DataError where it never shows a batch, or was read as numbers
    and holds something that is none.
    """
    end = max((float(np.nanmax(one.times)) for one in log if np.isfinite(one.times).any()), default=0.0)
    begin = min((float(np.nanmin(one.times)) for one in log if np.isfinite(one.times).any()), default=0.0)
    early = half_period(log)
    begin -= early
    idle = frozenset(text.strip().lower() for text in by.idle)
    merged: list[list[_Stretch]] = []
    for one in _stretches(log, by.tag, idle, end, early):
        if merged and merged[-1][0].text == one.text:
            merged[-1].append(one)
        else:
            merged.append([one])
    if not merged:
        raise DataError(f'{log.source}: the tag "{by.tag}" shows no batch; idle is {", ".join(map(repr, by.idle))}')
    phases = [] if by.phase is None else _stretches(log, by.phase, idle, end, early)
    starts = np.array([one.start for one in phases])
    ends = np.array([one.end for one in phases])
    seen: dict[str, int] = {}
    found: list[Batch] = []
    for own in merged:
        text, first, last = own[0].text, own[0].start, own[-1].end
        seen[text] = seen.get(text, 0) + 1
        name = batch_name(text) if seen[text] == 1 else f"{batch_name(text)}-{seen[text]}"
        notes = _notes(own, seen[text], first <= begin, own[-1].last)
        inside = phases[int(np.searchsorted(ends, first, "right")) : int(np.searchsorted(starts, last, "left"))]
        windows = tuple(
            (one.text, _moment(log, max(one.start, first)), _moment(log, min(one.end, last))) for one in inside
        )
        context: dict[str, str | int | float] = {} if name == text else {by.tag: text}
        source = f'{log.source}, tag "{by.tag}"'
        found.append(Batch(name, _moment(log, first), _moment(log, last), context, windows, source, notes))
    twice = [b.name for a, b in itertools.combinations(found, 2) if a.name == b.name] if _repeated(found) else []
    if twice:
        raise DataError(f'{log.source}: two values of the tag "{by.tag}" both make the name "{twice[0]}"')
    return tuple(found)


def _repeated(batches: Sequence[Batch]) -> bool:
    return len({batch.name for batch in batches}) < len(batches)


def _notes(own: Sequence[_Stretch], time: int, at_begin: bool, at_end: bool) -> tuple[str, ...]:
    notes = []
    if len(own) > 1:
        pause = sum(b.start - a.end for a, b in itertools.pairwise(own))
        notes.append(f"it pauses {len(own) - 1} time{'s' if len(own) > 2 else ''}, {duration_text(pause)} in all")
    if time > 1:
        notes.append(f'the name "{own[0].text}" comes back after another batch: taken as batch number {time} of it')
    if at_begin:
        notes.append("the log begins while it runs: it may have begun earlier")
    if at_end:
        notes.append("the log ends while it runs")
    return tuple(notes)


def _moment(log: Log, seconds: float) -> Moment:
    return seconds if log.origin is None else log.origin + dt.timedelta(seconds=seconds)


def _stretches(log: Log, tag: str, idle: frozenset[str], end: float, early: float) -> list[_Stretch]:
    """Return the stretches in which a tag shows one value that is not idle, in order of time.

    early: by how much a value holds before its sample, s: in a log of averages, from the beginning of its period.
    """
    samples = log[tag]
    usable = np.isfinite(samples.times) & (samples.flags != Flag.BAD)
    codes, texts = _codes(samples, log)
    if "" not in idle:
        usable &= codes >= 0
    t: Array = samples.times[usable]
    t = np.round(t - early, 6) if early else t
    codes = codes[usable]
    if t.size and (np.diff(t) < 0.0).any():
        order = np.argsort(t, kind="stable")
        t, codes = t[order], codes[order]
    if not t.size:
        return []
    edges = np.concatenate([[0], np.flatnonzero(np.diff(codes) != 0) + 1])
    ends = np.append(t[edges[1:]], end)
    return [
        _Stretch(texts[code], float(t[edge]), stop, edge == edges[-1])
        for edge, code, stop in zip(edges.tolist(), codes[edges].tolist(), ends.tolist(), strict=True)
        if code >= 0 and not _is_idle(texts[code], idle)
    ]


def _is_idle(text: str, idle: frozenset[str]) -> bool:
    return text.lower() in idle or ("0" in idle and _ZERO.fullmatch(text) is not None)


def _codes(samples: TagSamples, log: Log) -> tuple[NDArray[np.intp], list[str]]:
    """Return the values as numbers of texts, (n,), -1 where the cell is empty, and the texts."""
    empty = (samples.flags == Flag.MISSING) | ~np.isfinite(samples.values)
    if samples.states:
        codes = np.where(empty, -1.0, samples.values).astype(np.intp)
        return codes, _names(samples.states, log.export_layout.decimal or ".")
    _check_numbers(samples, log.source)
    levels, inverse = np.unique(samples.values, return_inverse=True)
    return np.where(empty, -1, inverse).astype(np.intp), [_number_text(level) for level in levels.tolist()]


def _names(states: Sequence[str], decimal: str) -> list[str]:
    """Return the texts of a tag; where all of them are whole numbers with a fraction of zeros, without it."""
    texts = [text.strip() for text in states]
    found = [re.fullmatch(rf"(\d+){re.escape(decimal)}0+", text) for text in texts]
    whole = [one[1] for one in found if one is not None]
    return whole if len(whole) == len(texts) == len(set(whole)) else texts


def _check_numbers(samples: TagSamples, source: str) -> None:
    """Raise DataError where a tag was read as numbers, and not all of its cells are names that a number can hold."""
    bad = samples.flags == Flag.BAD
    values = samples.values[np.isfinite(samples.values) & ~bad]
    strange = values[(values != np.floor(values)) | (np.abs(values) >= EXACT)]
    n_texts = int(np.count_nonzero(bad & ~np.isfinite(samples.values)))
    what = ""
    if n_texts:
        what = f"{n_texts} cell{' holds' if n_texts == 1 else 's hold'} no number"
    elif strange.size:
        what = f"{strange[0]:.17g} is no whole number that is held exactly"
    elif samples.censored is not None and samples.censored.any():
        what = "some are limits (< or >)"
    if what:
        raise DataError(
            f'{source}: the tag "{samples.tag}" was read as numbers, and {what}; names of batches and phases are '
            f'texts: read the log with layout=pt.Layout(texts=("{samples.tag}",))'
        )


def _number_text(level: float) -> str:
    return str(int(level)) if np.isfinite(level) else ""
