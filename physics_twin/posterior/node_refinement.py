"""How finely windows are cut: until the mean of what the model shows no longer depends on it.

Outputs that oscillate, or fronts that pass within a window, are known to the model only. So it is asked once, before a
fit at the declared values and before a prediction on two draws of the posterior: windows whose mean changes by more
than a thousandth of the noise when their pieces are halved are halved, and asked again, up to 64 parts a piece. That
holds at those values; an output that becomes ten times as fast during a fit is as much coarser.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import PhysicsTwinError
from physics_twin.posterior.observation import Course, Look, Windows, lay_out, read

SHARE = 1e-3
"""Of the noise: change of a mean that does not matter, for the bias of ten thousand samples is then a tenth of it."""
ROUNDING = 1e-6
"""Of the value: what an integrator leaves."""
MOST = 64
"""Parts of a piece at most."""


@dataclass(frozen=True)
class Asked:
    """The windows of a channel."""

    windows: Windows
    output_index: int
    delay: float
    """s"""
    noise: Array
    """(n,) SI"""


def refined(asked: Sequence[Asked], course: Course, outputs_at: Callable[[Array], Array]) -> tuple[Windows, ...]:
    """The windows with as many parts as they need.

    outputs_at: outputs (..., n_times, n_outputs) of one run or several at times (n_times,) s. Where it raises an error
    of the library, windows stay as they are: the run itself will say so.
    """
    found = [one.windows for one in asked]
    open_ = [one.windows.ends > one.windows.begins for one in asked]
    while any(own.any() for own in open_):
        finer = [replace(w, parts=np.where(own, 2 * w.parts, w.parts)) for w, own in zip(found, open_, strict=True)]
        certain = [[replace(w, time_sd=None) for w in both] for both in zip(found, finer, strict=True)]
        nodes = [
            [lay_out(w, one.output_index, one.delay, course) for w in both]
            for one, both in zip(asked, certain, strict=True)
        ]
        times = np.unique(np.concatenate([n.times for both in nodes for n in both]))
        try:
            outputs = outputs_at(times)
            shown = [
                [read(replace(n, rows=np.searchsorted(times, n.times)), outputs).value for n in both] for both in nodes
            ]
        except PhysicsTwinError:
            break
        for i, (coarse, fine) in enumerate(shown):
            change = np.abs(fine - coarse)
            far = change > np.maximum(SHARE * asked[i].noise, ROUNDING * np.abs(fine))
            # A draw whose simulation failed compares as not far.
            open_[i] = open_[i] & far.reshape(-1, far.shape[-1]).any(axis=0)
            found[i] = replace(found[i], parts=np.where(open_[i], finer[i].parts, found[i].parts))
            open_[i] = open_[i] & (found[i].parts < MOST)
    return tuple(found)


def looks_refined(
    looks: Mapping[str, Look],
    delays: Mapping[str, float],
    noise: Mapping[str, Array],
    course: Course,
    outputs_at: Callable[[Array], Array],
) -> dict[str, Look]:
    """Looks by output, with windows cut as finely as they need; delays in s, noise (n,) SI of the samples, by output.

    outputs_at: as in `refined`.
    """
    asked = {
        output: Asked(one.windows, one.output_index, delays[output], noise[output])
        for output, one in looks.items()
        if one.windows is not None
    }
    found = dict(looks)
    for output, windows in zip(asked, refined(list(asked.values()), course, outputs_at), strict=True):
        nodes = lay_out(windows, asked[output].output_index, asked[output].delay, course)
        found[output] = replace(looks[output], nodes=nodes, windows=windows)
    return found
