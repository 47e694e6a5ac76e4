"""Several objectives: the Pareto front of a set of settings, and its knee.

The front is searched on the interpolated objectives with NSGA-II (Deb, Pratap, Agarwal and Meyarivan, IEEE Transactions
on Evolutionary Computation 6 (2002) 182) from pymoo (Blank and Deb, IEEE Access 8 (2020) 89497), started from the best
points of each objective. Its points are then simulated by the model, and those that turn out dominated are dropped.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.set_point.landscape import climbed_within
from physics_twin.envelope.set_point.objectives import Target, measured, standard_error
from physics_twin.errors import EnvelopeError, MissingDependencyError

N_POPULATION, N_GENERATIONS = 80, 100
"""Points of a generation, and generations: all on the interpolation, less than a second for two objectives."""
OTHERS = 1e-4
"""Weight of the other objectives at an end of the front, relative to their ranges."""
LEAST_GAIN = 1e-3
"""What a point of the front has to gain somewhere for giving up 1 elsewhere, in ranges of the objectives."""
N_FRONT = 25
"""Points of the front that the model simulates."""


def pareto_points(
    worth: Callable[[Array], Array],
    inside: ConvexSet,
    optima: Array,
    rng: np.random.Generator,
    level: Callable[[Array], Array] | None = None,
) -> Array:
    """Up to N_FRONT points (n, d) of the unit cube, spread over the front of `worth` in a convex set.

    worth: (n, d) -> (n, n_objectives), the more the better. optima: (n_objectives, d) the best point of each. level:
    (n, d) -> (n,), where it is negative a point is not allowed. Raises MissingDependencyError without pymoo.
    """
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem as Searched
        from pymoo.optimize import minimize
    except ImportError as error:
        raise MissingDependencyError(
            "a front of several objectives needs pymoo: pip install 'physics-twin[pareto]', or give one objective "
            f"({error})"
        ) from error

    def broken(points: Array) -> Array:
        sides = points @ inside.normals.T - inside.offsets
        return sides if level is None else np.column_stack([sides, -level(points)])

    scale = np.maximum(np.ptp(worth(optima), axis=0), 1e-12)
    optima = np.array([_end(worth, j, scale, start, inside, level) for j, start in enumerate(optima)])

    class InSet(Searched):  # type: ignore[misc]  # pymoo has no annotations
        def __init__(self) -> None:
            super().__init__(
                n_var=inside.d,
                n_obj=len(scale),
                n_ieq_constr=broken(optima).shape[1],
                xl=inside.low,
                xu=inside.high,
            )

        def _evaluate(self, x: Array, out: dict[str, Array], *args: Any, **kwargs: Any) -> None:
            out["F"] = -worth(x) / scale
            if self.n_ieq_constr:
                out["G"] = broken(x)

    random = inside.low + rng.random((N_POPULATION - len(optima), inside.d)) * (inside.high - inside.low)
    start = np.concatenate([optima, random])
    result = minimize(
        InSet(), NSGA2(pop_size=N_POPULATION, sampling=start), ("n_gen", N_GENERATIONS), seed=int(rng.integers(2**31))
    )
    if result.X is None:
        return optima
    found = np.concatenate([optima, np.atleast_2d(result.X)])
    best = np.argmax(worth(found) / scale @ _end_weights(len(scale)), axis=0)
    ends = np.array([_end(worth, j, scale, found[i], inside, level) for j, i in enumerate(best)])
    found = np.concatenate([ends, found])
    numbers = worth(found) / scale
    keep = efficient(numbers)
    found, numbers = found[keep], numbers[keep]
    keep = pays(numbers)
    return found[keep][_spread(numbers[keep], N_FRONT)]


def _end_weights(n: int) -> Array:
    """(n_objectives, n_ends) weights of scaled objectives, whose largest sum is an end of the front."""
    return np.where(np.eye(n, dtype=bool), 1.0, OTHERS)


def _end(
    worth: Callable[[Array], Array],
    column: int,
    scale: Array,
    start: Array,
    inside: ConvexSet,
    level: Callable[[Array], Array] | None,
) -> Array:
    """The end of a front: of the points that are best for one objective, one that is best for the others."""
    weights = _end_weights(len(scale))[:, column] / scale
    return climbed_within(lambda u: worth(u) @ weights, start, inside, level)


def efficient(worth: Array) -> NDArray[np.bool_]:
    """(n,) which rows of worth (n, n_objectives) no other row dominates; of equal rows the first."""
    better = (worth[:, None] >= worth[None]).all(axis=2) & (worth[:, None] > worth[None]).any(axis=2)
    same = (worth[:, None] == worth[None]).all(axis=2)
    kept: NDArray[np.bool_] = ~better.any(axis=0) & ~np.triu(same, 1).any(axis=0)
    return kept


def pays(numbers: Array) -> NDArray[np.bool_]:
    """(n,) which rows of an efficient set (n, n_objectives), in ranges, give up at most 1 / LEAST_GAIN for a gain of 1.

    The others are efficient in name only: beside the end of a front a ring of settings can be nearly as good for one
    objective and bad for all others (Geoffrion, Journal of Mathematical Analysis and Applications 22 (1968) 618:
    properly efficient points have bounded trade-offs).
    """
    ahead = numbers[:, None] - numbers[None]
    gained, given_up = ahead.max(axis=2), -ahead.min(axis=2)
    kept: NDArray[np.bool_] = (gained >= LEAST_GAIN * given_up).all(axis=1)
    return kept


def _spread(numbers: Array, n: int) -> NDArray[np.int64]:
    """Rows that cover a front evenly: its ends first, then always the one farthest from those taken."""
    if len(numbers) <= n:
        return np.arange(len(numbers))
    taken = list(dict.fromkeys(int(i) for i in numbers.argmax(axis=0)))
    apart = np.min([np.abs(numbers - numbers[i]).max(axis=1) for i in taken], axis=0)
    while len(taken) < n and apart.max() > 0.0:
        taken.append(int(apart.argmax()))
        apart = np.minimum(apart, np.abs(numbers - numbers[taken[-1]]).max(axis=1))
    return np.array(sorted(taken))


def front_data(
    problem: Problem, targets: Sequence[Target], points: Array, values: Array, independence: float
) -> xr.Dataset:
    """The front as data, in the order of its first objective: those of the simulated points that are efficient.

    points: (n, d) of the unit cube. values: (n, n_draws, n_targets) SI. `settings` and `value` are SI; the coordinates
    `unit` and `objective_unit` name it, `shown_unit` and `objective_shown_unit` what people read.
    """
    numbers = np.stack([measured(values[:, :, j], t.sign, t.measure) for j, t in enumerate(targets)], axis=1)
    signs = np.array([t.sign for t in targets])
    ran = np.isfinite(numbers).all(axis=1)
    if not ran.any():
        raise EnvelopeError("no point of the front could be simulated; see the failures of the runs")
    points, values, numbers = points[ran], values[ran], numbers[ran]
    kept = np.flatnonzero(efficient(signs * numbers))
    kept = kept[np.argsort(numbers[kept, 0], kind="stable")]
    errors = np.array(
        [
            [standard_error(values[i, :, j], t.sign, t.measure, independence) for j, t in enumerate(targets)]
            for i in kept
        ]
    )
    words = {"units": "SI, see the coordinate objective_unit"}
    is_knee = np.arange(len(kept)) == knee(signs * numbers[kept])
    return xr.Dataset(
        {
            "settings": (("point", "setting"), problem.si(points[kept]), {"units": "SI, see the coordinate unit"}),
            "value": (("point", "objective"), numbers[kept], words),
            "standard_error": (
                ("point", "objective"),
                np.array(errors),
                {"units": "SI, see the coordinate objective_unit"},
            ),
            "knee": ("point", is_knee.astype(np.int8), {"long_name": "1 at the knee", "units": "1"}),
        },
        coords={
            "point": np.arange(len(kept)),
            "setting": [s.name for s in problem.settings],
            "unit": ("setting", [s.unit.si_text for s in problem.settings]),
            "shown_unit": ("setting", [s.unit.text for s in problem.settings]),
            "objective": [t.name for t in targets],
            "objective_unit": ("objective", [t.unit.si_text for t in targets]),
            "objective_shown_unit": ("objective", [t.unit.text for t in targets]),
            "goal": ("objective", ["maximize" if t.sign > 0 else "minimize" for t in targets]),
        },
    )


def knee(worth: Array) -> int:
    """Row of the knee of a front (n, n_objectives): where giving up more of one objective buys least of the others.

    The point farthest from the plane through the best points of each objective, the objectives scaled to their ranges
    on the front (Das, Structural Optimization 18 (1999) 107): with two objectives the largest scaled sum.
    """
    low, high = worth.min(axis=0), worth.max(axis=0)
    scaled = (worth - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmax(scaled.sum(axis=1)))


def knee_of(problem: Problem, front: xr.Dataset) -> Array:
    """The knee of a front as a point (d,) of the unit cube."""
    row = int(np.argmax(front["knee"].values))
    point: Array = np.clip(problem.cube(front["settings"].values[row]), 0.0, 1.0)
    return point
