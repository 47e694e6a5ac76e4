"""How many draws may break which limits at a point.

Limits without a probability of their own form one group, which must be kept jointly; a limit with its own probability
is a group by itself. Everything that judges a point judges it group by group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from physics_twin.envelope.limits import Requirement


@dataclass(frozen=True)
class Group:
    """Limits that are kept jointly with one probability."""

    columns: tuple[int, ...]
    """Which requirements."""
    probability: float
    name: str
    """For tables: "all limits", or the limit's name."""


@dataclass(frozen=True)
class Allowed:
    """For each group, how many of the search draws may break it at a point."""

    groups: tuple[Group, ...]
    k: tuple[int, ...]


def groups_of(requirements: Sequence[Requirement], probability: float) -> tuple[Group, ...]:
    """The groups of these requirements, the joint one first; `probability` is that of the joint group."""
    joint = tuple(j for j, r in enumerate(requirements) if r.probability is None)
    name = "all limits" if len(joint) == len(requirements) else "all other limits"
    found = [Group(joint, probability, name)] if joint else []
    own: dict[tuple[str, float], list[int]] = {}
    for j, r in enumerate(requirements):
        if r.probability is not None:
            own.setdefault((r.limit, r.probability), []).append(j)
    return (*found, *(Group(tuple(columns), p, limit) for (limit, p), columns in own.items()))
