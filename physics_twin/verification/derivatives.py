"""Taylor tests: is the jacobian that a model declares the derivative of its outputs?

For a direction of one name, with y the outputs and J the declared column, the remainder

    e(h) = y(p + h) - y(p) - h J

falls with h^2 if J is right and with h if it is wrong (Farrell, Ham, Funke and Rognes, SIAM J. Sci. Comput. 35, 2013,
C369, section 6). Unlike a comparison with differences this has no step size to be lucky with: the order is the result.
Both signs of h are taken. Their odd part, (e(h) - e(-h)) / 2, has no curvature in it and falls with h^3 if J is right:
it shows an error of J that the curvature hides.

An adaptive integrator answers p and p + h with different steps, so that y carries noise of about its tolerance, and J
an error of the same relative size. A remainder counts where it stands clear of both.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, RecipeError, ShapeError, SolveError
from physics_twin.model import Model, Replays, Sensitivities, SIValues
from physics_twin.recipes import Recipe
from physics_twin.simulation import trajectory

_LARGEST = 2.0**-5  # relative step: terms of third order are then a few percent of those of second order
_STEPS = 7
_ORDER = 1.8  # a wrong column gives 1, a right one 2 or more; noise moves a slope by less than 0.2
_CANCELLING = 1e-6
_TINY = np.array([1e-9, -1e-9, 3e-9, -3e-9])  # relative steps at which a remainder is nothing but noise
_CLEAR = 20.0  # a remainder counts from this many times the noise on; then noise bends a slope by 0.1


@dataclass(frozen=True)
class TaylorRow:
    """One name and one output.

    order: the slope of the last remainders that stand clear of the noise, or of their odd parts where that is below
    two; inf where none stands clear (then the column is right to within noise / step). error: the relative distance of
    the column from the central difference with the smallest step, 0 where that is noise.
    """

    name: str
    output: str
    steps: tuple[float, ...]
    remainders: tuple[float, ...]
    floor: tuple[float, ...]
    order: float
    error: float
    passed: bool

    def __str__(self) -> str:
        told = "below noise" if math.isinf(self.order) else f"order {self.order:.2f}"
        return f"d {self.output} / d {self.name}: {told}, error {self.error:.1e}{'' if self.passed else '  WRONG'}"


@dataclass(frozen=True)
class TaylorReport:
    """All rows of a Taylor test."""

    rows: tuple[TaylorRow, ...]

    @property
    def passed(self) -> bool:
        """Whether every column is a derivative."""
        return all(row.passed for row in self.rows)

    @property
    def failures(self) -> tuple[TaylorRow, ...]:
        """The rows that are wrong."""
        return tuple(row for row in self.rows if not row.passed)

    @property
    def order(self) -> float:
        """The lowest order that was seen; inf where every remainder is below the noise."""
        return min((row.order for row in self.rows), default=math.inf)

    def __str__(self) -> str:
        return "\n".join(str(row) for row in self.rows)


def taylor_test(
    model: Model,
    times: Array,
    recipe: Recipe,
    values: SIValues,
    wrt: Sequence[str],
    *,
    state: Array | None = None,
    accuracy: float = 1e-7,
    largest: float = _LARGEST,
) -> TaylorReport:
    """Check the columns `wrt` of a model's jacobian against its own outputs.

    times: (n_times,) s. An output jumps there if an event passes one of them while a value varies; choose others.
    values: every parameter and open setting, SI. wrt: parameters, settings, "time". state: as in `trajectory`.
    accuracy: relative accuracy of the model's outputs and of its jacobian (its tolerance, with some allowance); a
    wrong column is seen from an error of about accuracy / largest on. largest: the first relative step.

    Raises ModelError for a model that declares no sensitivities, SolveError when a run at the point itself fails.
    """
    times = np.asarray(times, dtype=float)
    if isinstance(model, Replays) and state is None:
        # A step that the error control chooses anew is no function of the values; the derivative is that of the steps.
        model = model.replaying(times, recipe, values)
    if not isinstance(model, Sensitivities):
        raise ModelError(f"{model.name} declares no sensitivities")
    outputs, jacobian, _ = model.sensitivity(times, recipe, values, list(wrt), state)
    rows: list[TaylorRow] = []
    for k, name in enumerate(wrt):
        size = _typical(model, recipe, values, name, times)
        shifted = _along(model, times, recipe, values, name, state)
        rows += _rows(model, name, size, outputs, jacobian[:, :, k], shifted, accuracy, largest)
    return TaylorReport(tuple(rows))


Shifted = Callable[[float], Array | None]
"""Outputs (n_times, n_outputs) at a distance from the point; None where that run fails."""


def _along(model: Model, times: Array, recipe: Recipe, values: SIValues, name: str, state: Array | None) -> Shifted:
    def shifted(h: float) -> Array | None:
        try:
            if name == "time":
                # A given state belongs to times[0], so the run goes on from there whichever way the samples move.
                first = times[:1] if state is not None else times[:0]
                moved = trajectory(model, np.concatenate([first, times + h]), recipe, values, state)[0]
                return moved[first.size :]
            return trajectory(model, times, recipe, {**values, name: float(values[name]) + h}, state)[0]
        except (SolveError, ShapeError, RecipeError):
            return None

    return shifted


def _typical(model: Model, recipe: Recipe, values: SIValues, name: str, times: Array) -> float:
    """What 1 means as a relative step of that name, SI."""
    if name == "time":
        gaps = np.diff(np.concatenate([[0.0], np.unique(times)]))
        return float(gaps[gaps > 0.0].min()) if (gaps > 0.0).any() else 1.0
    if values[name] != 0.0:
        return abs(float(values[name]))
    scales = {f"initial.{block.name}": block.scale for block in model.state}
    if name in scales:
        return scales[name]
    low, high = model.parameters[name].bounds if name in model.parameters else recipe.settings[name].bounds
    return 0.1 * (high - low) if math.isfinite(high - low) and high > low else 1.0


def _rows(
    model: Model,
    name: str,
    size: float,
    outputs: Array,
    column: Array,
    shifted: Shifted,
    accuracy: float,
    largest: float,
) -> list[TaylorRow]:
    steps = np.asarray(largest * size * 2.0 ** -np.arange(_STEPS), dtype=float)
    pairs = [(shifted(h), shifted(-h)) for h in steps]
    moves = zip(steps, pairs, strict=True)
    remainders = np.array([_remainder(outputs, column, ((h, up), (-h, down))) for h, (up, down) in moves])
    tiny = [(h, shifted(h)) for h in size * _TINY]
    noise = np.nan_to_num(_remainder(outputs, column, tiny))
    both = [(h, up, down) for h, (up, down) in zip(steps, pairs, strict=True) if up is not None and down is not None]
    differences = [(up - down) / (2.0 * h) for h, up, down in both]
    odd_parts = np.full(remainders.shape, np.nan)
    for j, (h, (up, down)) in enumerate(zip(steps, pairs, strict=True)):
        if up is not None and down is not None:
            odd_parts[j] = np.max(np.abs(0.5 * (up - down) - h * column), axis=0)
    rows = []
    sizes = output_sizes(model, outputs)
    for i, signal in enumerate(model.outputs):
        slope = float(np.max(np.abs(column[:, i]), initial=0.0))
        level = max(float(noise[i]), accuracy * float(sizes[i]))
        floor = np.asarray(_CLEAR * (level + accuracy * steps * slope), dtype=float)
        order = _order(steps, remainders[:, i], floor)
        odd = _order(steps, odd_parts[:, i], floor) if both else math.inf
        order = min(order, odd) if odd < _ORDER else order
        clear = [_distance(d[:, i], column[:, i], level / h) for (h, _, _), d in zip(both, differences, strict=True)]
        rows.append(
            TaylorRow(
                name=name,
                output=signal.name,
                steps=tuple(steps.tolist()),
                remainders=tuple(remainders[:, i].tolist()),
                floor=tuple(floor.tolist()),
                order=order,
                error=clear[-1] if clear else 0.0,
                passed=order >= _ORDER and bool(np.isfinite(column[:, i]).all()),
            )
        )
    return rows


def output_sizes(model: Model, outputs: Array) -> Array:
    """(n_outputs,) the size that errors of an output are measured by: its own largest value.

    An output far below another of the same unit (the imbalance of two energies) is measured by 1e-6 of that one: it is
    what is left of numbers that cancel.
    """
    sizes = np.max(np.abs(outputs), axis=0)
    dimensions = [signal.unit.dimension for signal in model.outputs]
    for i, dimension in enumerate(dimensions):
        largest = max(sizes[j] for j, other in enumerate(dimensions) if other == dimension)
        sizes[i] = max(sizes[i], _CANCELLING * largest)
    return np.asarray(sizes, dtype=float)


def _distance(a: Array, b: Array, noise: float) -> float:
    """Largest difference of two columns relative to their size, or to the noise where that is larger."""
    size = max(float(np.max(np.abs(a))), float(np.max(np.abs(b))))
    if size <= _CLEAR * noise:
        return 0.0
    return float(np.max(np.abs(a - b))) / size if size > 0.0 else 0.0


def _remainder(outputs: Array, column: Array, moved: Iterable[tuple[float, Array | None]]) -> Array:
    """(n_outputs,) the largest remainder over times and signs; NaN where no run succeeded."""
    found = [np.abs(y - outputs - h * column).max(axis=0) for h, y in moved if y is not None]
    return np.max(found, axis=0) if found else np.full(outputs.shape[1], np.nan)


def _order(steps: Array, remainders: Array, floor: Array) -> float:
    """The slope of the last remainders that stand clear; inf where none does, 0 where every run failed."""
    if not np.isfinite(remainders).any():
        return 0.0
    clear = np.flatnonzero(np.isfinite(remainders) & (remainders > floor))
    if clear.size < 2:  # what a wrong column can hide there is 2 floor / step
        return math.inf
    last = int(clear[-1])
    # A remainder that drops into the noise fell at least this fast. It matters where a large step passes an event,
    # so that the first remainders do not fall at all.
    dropped = math.log2(remainders[last] / floor[last + 1]) if last + 1 < steps.size else -math.inf
    tail = clear[-3:]
    fitted = float(np.polyfit(np.log(steps[tail]), np.log(remainders[tail]), 1)[0])
    return max(fitted, dropped)
