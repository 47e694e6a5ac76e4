"""Members of a twin carried on from the present: the model between moments of a grid, random walks at these moments.

What a forecast, a scenario and a time to a limit have in common. Increments of the random walks are named by the twin's
seed, its time and the number of the step, so that two recipes meet the same disturbances (common random numbers), and
a longer horizon on the same grid begins with the same ones. The grid is a round number of seconds for that reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.errors import SolveError
from physics_twin.model import Ensembles, Failure, Model
from physics_twin.simulation import trajectory
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.start import continued

FEWEST_STEPS = 40
"""Of a horizon: a random walk taken in so many steps has its variance at a moment to 1/40 of that at the end."""
NODES_A_STEP = 2
"""Intervals of a step; the node between shows how far the course is from a straight line."""
MOST_NODES_FEWER = 2
"""Of the nodes before a failure, how often one fewer is asked for."""
NODES_AT_REST = 240
"""Intervals of a horizon without random walks, which is one step."""


@dataclass(frozen=True, eq=False)
class Present:
    """What is carried on.

    states: (n_members, n_state) SI. parameters: (n_members, n_parameters) SI. start: now, s on the recipe's clock.
    settings: open settings of the recipe, SI, held. rates: (n_coordinates,) variance of the random walks, per s.
    """

    dynamics: Dynamics
    states: Array
    parameters: Array
    start: float
    settings: dict[str, float]
    rates: Array
    key: Key

    @property
    def n_members(self) -> int:
        """How many members."""
        return len(self.states)

    @property
    def model(self) -> Model:
        """The model."""
        return self.dynamics.model


@dataclass(frozen=True, eq=False)
class Step:
    """The course of all members between two moments at which random walks act.

    number: from 0. times: (n_nodes,) s since now. outputs: (n_members, n_nodes, n_outputs) SI; the first node comes
    after the increment of the step's beginning, the last before that of its end. NaN from where a member failed.
    begin: (n_members, n_state) and parameters: (n_members, n_parameters) at the first node. end: at the last.
    """

    number: int
    times: Array
    outputs: Array
    begin: Array
    parameters: Array
    end: Array
    failures: tuple[Failure, ...] = ()


@dataclass
class _Alive:
    """Which members go on."""

    rows: NDArray[np.intp]
    failures: list[Failure] = field(default_factory=list)


def round_step(horizon: float) -> float:
    """The longest of 1, 2, 5, 10, ... s (and their decimal parts) that goes at least FEWEST_STEPS times into it.

    >>> round_step(5400.0), round_step(4800.0), round_step(60.0)
    (100.0, 100.0, 1.0)
    """
    most = horizon / FEWEST_STEPS
    decade = 10.0 ** np.floor(np.log10(most))
    return float(max(size * decade for size in (1.0, 2.0, 5.0) if size * decade <= most * (1.0 + 1e-12)))


def carry_on(present: Present, until: float, at: Array, *, up_to_failure: bool = False) -> Iterator[Step]:
    """The steps from now to `until` s from now, with a node at each of the times `at`, (n,) s from now.

    The last step has no length: it shows the members after the last increment. A member that fails is NaN in that step
    and after it, or with `up_to_failure` from the node on that it did not reach; it is listed once, with its time on
    the recipe's clock. Raises SolveError when none is left, after the step in which the last one fails.
    """
    edges = _edges(present, until)
    states, parameters = present.states.copy(), present.parameters.copy()
    alive = _Alive(np.arange(present.n_members))
    for number, (a, b) in enumerate(zip(edges, [*edges[1:], edges[-1]], strict=True)):
        if number:
            _walk(present, states, parameters, alive.rows, number, float(edges[number] - edges[number - 1]))
        times = _nodes(a, b, at, bool(present.rates.any()))
        begin, known = states.copy(), len(alive.failures)
        outputs = _advance(present, states, parameters, times, alive)
        failures = tuple(alive.failures[known:])
        if up_to_failure and failures:
            _add_beginnings(present, begin, parameters, times, failures, outputs)
        yield Step(number, times, outputs, begin, parameters.copy(), states.copy(), failures)
        if not alive.rows.size:
            first = alive.failures[0]
            raise SolveError(f"every member of the forecast failed; the first: {first.reason}", time=first.time)


def _edges(present: Present, until: float) -> Array:
    if not present.rates.any():
        return np.array([0.0, until])
    step = round_step(until)
    whole = np.arange(int(np.floor(until / step * (1.0 + 1e-12))) + 1) * step
    complete = until - float(whole[-1]) <= 1e-9 * until
    return np.asarray(whole if complete else np.append(whole, until), dtype=float)


def _nodes(a: float, b: float, at: Array, walks: bool) -> Array:
    if b <= a:
        return np.array([a])
    own = np.linspace(a, b, (NODES_A_STEP if walks else NODES_AT_REST) + 1)
    inside = at[(at > a) & (at < b)]
    nodes = np.unique(np.concatenate([own, inside]))
    # Times that differ by rounding are one: integrators take no steps of 1e-16 s.
    apart = np.concatenate([[True], np.diff(nodes) > 1e-12 * max(abs(b), 1e-3)])
    kept = np.union1d(nodes[apart], inside)
    kept[-1] = b
    return np.asarray(kept)


def _walk(
    present: Present, states: Array, parameters: Array, rows: NDArray[np.intp], number: int, length: float
) -> None:
    """Add the increments of a step in place; reflected where a bound is met, as a walk between walls is."""
    c = present.dynamics.coordinates
    if not present.rates.any():
        return
    u = present.key.rng("forecast", "walk", str(number)).standard_normal((present.n_members, c.n))
    z = c.of_members(states[rows], parameters[rows])
    moved = z + np.sqrt(present.rates * length) * u[rows]
    low, high = np.minimum(c.lower, z), np.maximum(c.upper, z)  # a member that is outside already is not thrown
    moved = np.where(moved < low, 2.0 * low - moved, moved)
    moved = np.where(moved > high, 2.0 * high - moved, moved)
    walked = present.rates > 0.0
    # Coordinates that do not wander keep their bits.
    moved_states, moved_parameters = c.to_members(np.clip(moved, low, high), states[rows])
    kept_states, kept_parameters = states[rows].copy(), parameters[rows].copy()
    own = np.flatnonzero(walked[: c.n_states])
    kept_states[:, c.positions[own]] = moved_states[:, c.positions[own]]
    drifting = walked[c.n_states :]
    kept_parameters[:, drifting] = moved_parameters[:, drifting]
    states[rows], parameters[rows] = kept_states, kept_parameters


def _advance(present: Present, states: Array, parameters: Array, times: Array, alive: _Alive) -> Array:
    """Outputs at the nodes; moves `states` to the last one, in place."""
    outputs = np.full((present.n_members, times.size, len(present.model.outputs)), np.nan)
    rows = alive.rows
    found, ends, failures = courses(present, states[rows], parameters[rows], present.start + times)
    outputs[rows], states[rows] = found, ends
    lost = [f.member for f in failures]
    alive.failures += [Failure(int(rows[f.member]), f.reason, f.time) for f in failures]
    alive.rows = np.delete(rows, lost)
    return outputs


def _add_beginnings(
    present: Present, begin: Array, parameters: Array, times: Array, failures: tuple[Failure, ...], outputs: Array
) -> None:
    """Fill in, in place, what failed members show at the nodes before they failed: the model is run up to there."""
    reached = np.searchsorted(times, np.array([f.time for f in failures]) - present.start)
    for n in np.unique(reached[reached >= MOST_NODES_FEWER]):
        rows = np.array([f.member for f, own in zip(failures, reached, strict=True) if own == n])
        # An integrator steps beyond the last node that is asked for: where the model breaks there, fewer are asked for.
        for fewer in range(MOST_NODES_FEWER):
            clock = present.start + times[: n - fewer]
            found, _, again = courses(present, begin[rows], parameters[rows], clock)
            outputs[rows, : clock.size] = found
            rows = rows[[f.member for f in again]]
            if not rows.size:
                break


def courses(
    present: Present, states: Array, parameters: Array, times: Array
) -> tuple[Array, Array, tuple[Failure, ...]]:
    """Outputs (n, n_times, n_outputs) and end states (n, n_state) of members; NaN in the rows that failures list.

    times: (n_times,) or (n, n_times) s on the recipe's clock, the first of each that of its state.
    """
    dynamics = present.dynamics
    columns = dynamics.values(parameters, present.settings)
    n = len(states)
    if isinstance(dynamics.model, Ensembles):
        outputs, ends, failures = dynamics.model.trajectories(times, dynamics.recipe, columns, states)
        return np.asarray(outputs, dtype=float), np.asarray(ends, dtype=float), tuple(failures)
    each = np.broadcast_to(times, (n, times.shape[-1]))
    outputs = np.full((n, times.shape[-1], len(dynamics.model.outputs)), np.nan)
    ends = np.full_like(states, np.nan)
    failed: list[Failure] = []
    for k in range(n):
        own: dict[str, Any] = {name: float(column[k]) for name, column in columns.items()}
        try:
            outputs[k], ends[k] = trajectory(dynamics.model, each[k], dynamics.recipe, own, states[k])
        except FAILURES as error:
            outputs[k] = np.nan
            reason, time = getattr(error, "reason", error), getattr(error, "time", each[k][0])
            failed.append(Failure(k, str(reason), float(time)))
    return outputs, ends, tuple(failed)


def beginning(model: Model, dynamics: Dynamics, states: Array, values: dict[str, Array]) -> Array:
    """States (n, n_state) that stand at 0 s of the recipe of `dynamics`, before its first events.

    Only what says where in the recipe a member stands is set; everything else goes on as it is.
    values: name -> (n,) SI, as `Dynamics.values` gives them.
    """
    own = {name: float(np.median(column)) for name, column in values.items()}
    fresh = model.initial_state(0.0, dynamics.recipe.replace(initial={}), own)
    return continued(model, states, np.broadcast_to(fresh, states.shape))


def column_of(model: Model, name: str) -> int | None:
    """Where a block of the state begins; None for one that the model does not have."""
    first = 0
    for block in model.state:
        if block.name == name:
            return first
        first += block.size
    return None


__all__ = ["Present", "Step", "beginning", "carry_on", "column_of", "courses", "round_step"]
