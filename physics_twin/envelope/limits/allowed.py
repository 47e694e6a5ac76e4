"""How many draws may break which limits at a point.

Limits without a probability of their own form one group, which must be kept jointly; a limit with its own probability
is a group by itself. Everything that judges a point judges it group by group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.limits.limits import Requirement

EVERY, OTHER = "all limits", "all other limits"
"""Names of the joint group, alone and beside others."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Limits that are kept jointly with one probability."""

    columns: tuple[int, ...]
    """Which requirements."""
    probability: float
    name: str
    """For tables: "all limits", or the limit's name."""

    def joint(self, margins: Array, axis: int) -> Array:
        """The smallest of the group's margins along `axis`; NaN where there is one."""
        n = margins.shape[axis]
        own = margins if len(self.columns) == n else margins.take(self.columns, axis=axis)
        return np.asarray(own.min(axis=axis))


@dataclass(frozen=True)
class Allowed:
    """For each group, how many of the search draws may break it at a point."""

    groups: tuple[Group, ...]
    k: tuple[int, ...]

    @classmethod
    def share(cls, groups: tuple[Group, ...], n_draws: int) -> "Allowed":
        """What the required probabilities leave of `n_draws`, without the slack that a certificate needs."""
        return cls(groups, tuple(min(share_of(n_draws, g.probability), n_draws - 1) for g in groups))

    def of_requirement(self, column: int) -> int:
        """Violations allowed in the group of this requirement."""
        return next(k for group, k in zip(self.groups, self.k, strict=True) if column in group.columns)

    def kept(self, broken: Counts) -> bool:
        """Whether violations (n_points, n_groups) are nowhere more than allowed."""
        return bool((broken <= np.array(self.k)).all())


def share_of(n_draws: int, probability: float) -> int:
    """Draws that may break a limit: floor((1 - probability) n_draws), with 1 - 0.9 as a tenth and not just below it."""
    return int((1.0 - probability) * n_draws + 1e-9)


def groups_of(requirements: Sequence[Requirement], probability: float) -> tuple[Group, ...]:
    """The groups of these requirements, the joint one first; `probability` is that of the joint group."""
    joint = tuple(j for j, r in enumerate(requirements) if r.probability is None)
    name = EVERY if len(joint) == len(requirements) else OTHER
    found = [Group(joint, probability, name)] if joint else []
    own: dict[tuple[str, float], list[int]] = {}
    for j, r in enumerate(requirements):
        if r.probability is not None:
            own.setdefault((r.limit, r.probability), []).append(j)
    return (*found, *(Group(tuple(columns), p, limit) for (limit, p), columns in own.items()))


def violations(margins: Array, groups: Sequence[Group]) -> Counts:
    """Draws (n_points, n_groups) that break a limit of the group or failed; margins (n_points, n_draws, n_limits)."""
    counts = [(~(group.joint(margins, 2) >= 0.0)).sum(axis=1) for group in groups]  # NaN, a failed run, keeps nothing
    return np.stack(counts, axis=1).astype(np.int64)


def claim(groups: Sequence[Group]) -> str:
    """What is met with which probability, in words."""
    first = groups[0]
    least = "with a probability of at least"
    if first.name == EVERY:
        return f"all limits are met {least} {first.probability:g}"
    words = [f'"{g.name}" is met {least} {g.probability:g}' for g in groups if g.name != OTHER]
    if first.name == OTHER:
        words.append(f"all other limits are met jointly {least} {first.probability:g}")
    return " and ".join(words)


def broken_text(group: Group) -> str:
    """What is broken where a group of limits is not kept, in words."""
    if group.name == EVERY:
        return "at least one limit"
    return "at least one of the other limits" if group.name == OTHER else f'"{group.name}"'
