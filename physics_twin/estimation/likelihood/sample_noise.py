"""The noise of each sample: level, share of the model's value, tails, and the sample that it remembers.

Correlated noise is a chain: along the samples of one channel of one experiment each deviation remembers the one before,
with exp(-dt / correlation_time) (an AR(1) process in continuous time). Samples at equal times would have to agree
exactly; they are taken as far apart as the closest samples of the chain that differ in time, and as independent where
there are none. Censored samples are no part of a chain: they are independent of the others, with the marginal noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array

if TYPE_CHECKING:
    from physics_twin.estimation.hypers import Share
    from physics_twin.estimation.problem import ChannelData


@dataclass(frozen=True)
class Numbers:
    """The noise of each sample for given psi, all (n_data,)."""

    level: Array
    """SI"""
    share: Array
    tails: Array
    """Degrees of freedom, infinite for normal noise."""
    memory: Array
    """s; 0 for none."""


@dataclass(frozen=True)
class SampleNoise:
    """Where the noise of each sample comes from; all (n_data,), numbers of psi -1 where the number is given."""

    reference: Array
    """SI: the given level, or the scale of the sample where the level is estimated."""
    level: NDArray[np.intp]
    share: Array
    share_psi: NDArray[np.intp]
    tails: Array
    tails_psi: NDArray[np.intp]
    memory: Array
    memory_psi: NDArray[np.intp]
    before: NDArray[np.intp]
    """The sample that it remembers, -1 for none."""
    gap: Array
    """s since then."""
    censored: NDArray[np.int8]
    proportional: bool
    """Whether the variance of any sample depends on the model's value."""
    gaussian: bool
    """Whether the noise of all samples is normal, of a size that does not depend on the model, and none is censored."""

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(n_data,) samples that are not censored."""
        return np.asarray(self.censored == 0)

    def at(self, psi: Array) -> Numbers:
        """The numbers for given psi (n_psi,)."""
        values = np.append(np.exp(psi), 1.0)

        def number(given: Array, where: NDArray[np.intp]) -> Array:
            return np.asarray(np.where(where >= 0, values[where], given))

        return Numbers(
            self.reference * values[self.level],  # -1 is the last one
            number(self.share, self.share_psi),
            number(self.tails, self.tails_psi),
            number(self.memory, self.memory_psi),
        )


def sample_noise(
    channels: Sequence["ChannelData"],
    groups: NDArray[np.intp],
    noise: Array,
    noise_scale: Array,
    censored: NDArray[np.int8],
    n_groups: int,
) -> SampleNoise:
    """Lay out the noise of all samples; arguments as in `Problem`, `censored` also of size 0 for none."""
    n = groups.size
    hidden = censored if censored.size else np.zeros(n, dtype=np.int8)
    given = {"share": np.zeros(n), "tails": np.full(n, np.inf), "memory": np.zeros(n)}
    number = {what: np.full(n, -1, dtype=np.intp) for what in given}
    before, gap = np.full(n, -1, dtype=np.intp), np.full(n, np.inf)

    def fill(what: str, rows: slice, share: "Share") -> None:
        given[what][rows] = share.given
        if share.hyper >= 0:
            number[what][rows] = n_groups + share.hyper

    for c in channels:
        if c.shape.plain:
            continue
        fill("share", c.rows, c.shape.proportional)
        fill("tails", c.rows, c.shape.degrees_of_freedom)
        fill("memory", c.rows, c.shape.correlation_time)
        if c.shape.correlation_time.hyper >= 0 or c.shape.correlation_time.given > 0.0:
            own = np.flatnonzero(hidden[c.rows] == 0)
            before[c.rows.start + own[1:]] = c.rows.start + own[:-1]
            gap[c.rows.start + own[1:]] = _gaps(c.times[own])
    proportional = bool((given["share"] > 0.0).any() or (number["share"] >= 0).any())
    heavy = bool(np.isfinite(given["tails"]).any() or (number["tails"] >= 0).any())
    return SampleNoise(
        reference=np.where(groups >= 0, noise_scale, noise),
        level=groups,
        share=given["share"],
        share_psi=number["share"],
        tails=given["tails"],
        tails_psi=number["tails"],
        memory=given["memory"],
        memory_psi=number["memory"],
        before=before,
        gap=gap,
        censored=hidden,
        proportional=proportional,
        gaussian=not (proportional or heavy or hidden.any()),
    )


def _gaps(times: Array) -> Array:
    """Times between neighbors; that of equal times as said above."""
    steps = np.diff(times)
    apart = steps[steps > 0.0]
    closest = float(apart.min()) if apart.size else np.inf
    return np.where(steps > 0.0, steps, closest)
