"""Exports that begin with the newest row are turned round: that is an order, and not a clock that goes back."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.measurements.logs.log import TagSamples

__all__ = ["oldest_first"]

_LEAST = 0.9  # of the steps in time that go back: a log that is not in order goes back seldom
_SURE = 3  # steps back: fewer may be a clock that was set


def oldest_first(samples: Mapping[str, TagSamples]) -> tuple[dict[str, TagSamples], tuple[str, ...]]:
    """Return the samples of each tag in the order of time if the whole log runs from new to old, and a note.

    Rows that are out of order otherwise stay where they are.
    """
    steps: dict[tuple[int, int], tuple[int, int]] = {}  # columns of a log in wide form share their times
    of_tag = {tag: steps.setdefault(_place(one.times), _steps(one.times)) for tag, one in samples.items()}
    back, forth = (sum(step[k] for step in of_tag.values()) for k in (0, 1))
    if back < _SURE or back < _LEAST * (back + forth):
        return dict(samples), ()
    turned = {tag: _turned(one) if of_tag[tag][0] > of_tag[tag][1] else one for tag, one in samples.items()}
    return turned, ("the rows run from the newest to the oldest: each tag is turned round",)


def _place(times: Array) -> tuple[int, int]:
    return int(times.__array_interface__["data"][0]), int(times.size)


def _steps(times: Array) -> tuple[int, int]:
    """Return how many steps go back, and how many forth."""
    known = times[np.isfinite(times)] if np.isnan(times).any() else times
    return int(np.count_nonzero(known[1:] < known[:-1])), int(np.count_nonzero(known[1:] > known[:-1]))


def _turned(one: TagSamples) -> TagSamples:
    censored = None if one.censored is None else one.censored[::-1]
    return replace(one, times=one.times[::-1], values=one.values[::-1], flags=one.flags[::-1], censored=censored)
