"""All that is known of a tag made into its samples: texts get their meaning, cells the flag of their quality."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.logs.cells import read_states, text_notes
from physics_twin.measurements.logs.log import TagSamples
from physics_twin.measurements.logs.moments import Placed
from physics_twin.measurements.logs.pieces import Pieces, joined, kind_slices, no_time_note
from physics_twin.measurements.tags.tag_table import Tag

__all__ = ["tag_samples"]

# All texts of a tag are numbers with a unit: an export that needs another setting, not a tag of states.
_NUMBER_WITH_UNIT = re.compile(
    r"[+-]?\d+(?:[.,]\d+)?(?:\s+[^\d\s]\S{0,11}|\s*%|\s*°\S*)|[+-]?\d+[.,]\d+\s*[^\d\s]\S{0,11}"
)


def tag_samples(
    tag: str,
    pieces: Pieces,
    placed: Placed,
    verdicts: FlagArray,
    texts: Sequence[str],
    declared: Tag | None,
    row: str,
    notes: tuple[str, ...],
) -> TagSamples:
    """Return the samples of a tag, and let go of its pieces.

    verdicts: flag of each kind of quality. texts: those that the codes of `pieces.texts` stand for. declared: what the
    tag table says. row: what a row is called. notes: of its times.
    """
    seconds, time_flags, keep = placed
    values = joined(pieces.values, np.float64)
    flags = joined(pieces.flags, np.int8)
    found = list(notes)
    if pieces.no_time is not None:
        found.append(no_time_note(pieces.no_time, row))
    if pieces.other_unit is not None:
        n, unit, line = pieces.other_unit
        found.append(f'{n} values are in "{unit}" and not in "{pieces.unit}", the first in {row} {line}: they are bad')
    states, words = _states(pieces, declared, values, flags, texts, row)
    found += words
    for rows, kinds in kind_slices(pieces.quality):
        flags[rows] = worst(flags[rows], verdicts[kinds])
    if declared is not None and declared.checks.zero_is_missing and not states:
        zero = values == 0.0
        if zero.any():
            values[zero] = np.nan
            flags[zero] = np.maximum(flags[zero], np.int8(Flag.MISSING))
            found.append(f"{int(zero.sum())} zeros, which stand for nothing measured: they are missing")
    censored: NDArray[np.int8] | None = None
    if pieces.censored:
        censored = np.zeros(values.size, dtype=np.int8)
        for at, side in pieces.censored:
            censored[at] = side
        found.append(f"{int((censored != 0).sum())} values are limits (< or >): the truth lies beyond them")
    if keep is not None:
        values, flags = values[keep], flags[keep]
        censored = None if censored is None or not censored[keep].any() else censored[keep]
    if time_flags is not None:
        flags = worst(flags, time_flags)
    return TagSamples(tag, seconds, values, flags, censored, states, pieces.unit, tuple(found))


def _states(
    pieces: Pieces,
    declared: Tag | None,
    values: Array,
    flags: FlagArray,
    texts: Sequence[str],
    row: str,
) -> tuple[tuple[str, ...], list[str]]:
    """Give the texts of a tag their meaning: declared states, states of a text tag, or errors; in place.

    Returns the states and notes.
    """
    if not pieces.texts:
        return (), []
    at = np.concatenate([piece[0] for piece in pieces.texts])
    codes = np.concatenate([piece[1] for piece in pieces.texts])
    quality = np.concatenate([piece[2] for piece in pieces.texts])
    pieces.texts = []
    meaning: dict[str, float] = {}
    states: tuple[str, ...] = ()
    if declared is not None and declared.states and not pieces.texts_only:
        folded = {text.strip().casefold(): value for text, value in declared.states.items()}
        meaning = {t: folded[t.casefold()] for t in pieces.said if t.casefold() in folded}
    elif pieces.texts_only or (
        not pieces.n_numbers and not all(_NUMBER_WITH_UNIT.fullmatch(text) for text in pieces.said)
    ):
        read = read_states(pl.Series(list(pieces.said), dtype=pl.String))
        states = read.states
        meaning = {
            text: float(code)
            for text, code, flag in zip(pieces.said, read.codes, read.flags, strict=True)
            if flag == Flag.GOOD
        }
    if meaning:
        table = np.full(len(texts), np.nan)
        for code, text in enumerate(texts):
            table[code] = meaning.get(text, np.nan)
        read_as = table[codes]
        good = np.isfinite(read_as)
        values[at[good]] = read_as[good]
        flags[at[good]] = quality[good]
    left = {text: said for text, said in pieces.said.items() if text not in meaning}
    return states, list(text_notes(left, lambda line: f"{row} {line}")) if left else []
