"""One pass of all members over a horizon: outputs at the times asked for, first crossings, accumulators."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.model import Failure, StateKind
from physics_twin.twin.courses import Present, carry_on, column_of
from physics_twin.twin.crossings import FirstCrossings, Level


@dataclass(frozen=True, eq=False)
class Carried:
    """times: (n_times,) s from now. outputs: (n_members, n_times, n_outputs) SI, NaN from where a member failed.

    crossings: (n_waits, n_members) s from now at which the first of the levels of a wait is met, infinite where none
    is. which: (n_waits, n_members) its number, -1 for none. failures: with times on the recipe's clock. accumulated:
    block -> its value now and at the end (n_members, 2, size) SI. phases: (n_members,) of the recipe at the end; NaN of
    a model without.
    """

    times: Array
    outputs: Array
    crossings: Array
    which: Array
    failures: tuple[Failure, ...]
    accumulated: dict[str, Array]
    phases: Array

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(n_members,) True for those that did not reach the end."""
        found = np.zeros(len(self.outputs), dtype=bool)
        found[[f.member for f in self.failures]] = True
        return found


def carry(
    present: Present,
    times: Array,
    horizon: float,
    waits: Sequence[Sequence[Level]] = (),
    *,
    up_to_failure: bool = False,
) -> Carried:
    """Carry all members on to the horizon, s from now, and wait for levels.

    up_to_failure: what members meet before they fail counts. Raises SolveError when no member gets to the horizon, and
    with `up_to_failure` none met a level before.
    """
    outputs = np.full((present.n_members, times.size, len(present.model.outputs)), np.nan)
    firsts = [FirstCrossings(present, levels) for levels in waits]
    failures: list[Failure] = []
    states = present.states
    try:
        for step in carry_on(present, horizon, times, up_to_failure=up_to_failure):
            # A moment at which random walks act is shown after them: the later step writes last.
            at = np.flatnonzero((times >= step.times[0]) & (times <= step.times[-1]))
            outputs[:, at] = step.outputs[:, np.clip(np.searchsorted(step.times, times[at]), 0, step.times.size - 1)]
            for first in firsts:
                first.take(step)
            failures += step.failures
            states = step.end
    except SolveError:
        for first in firsts:
            first.finish()
        if not up_to_failure or not any(np.isfinite(first.times).any() for first in firsts):
            raise
    phase = column_of(present.model, "recipe.phase")
    return Carried(
        times=times,
        outputs=outputs,
        crossings=np.array([first.times for first in firsts]).reshape(len(waits), present.n_members),
        which=np.array([first.which for first in firsts], dtype=int).reshape(len(waits), present.n_members),
        failures=tuple(failures),
        accumulated=_accumulated(present, states),
        phases=np.full(len(states), np.nan) if phase is None else np.asarray(states[:, phase]),
    )


def _accumulated(present: Present, end: Array) -> dict[str, Array]:
    found: dict[str, Array] = {}
    first = 0
    for block in present.model.state:
        last = first + block.size
        if block.kind is StateKind.ACCUMULATOR:
            found[block.name] = np.stack([present.states[:, first:last], end[:, first:last]], axis=1)
        first = last
    return found


__all__ = ["Carried", "carry"]
