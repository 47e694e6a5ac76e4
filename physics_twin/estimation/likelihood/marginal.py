"""The marginal posterior of psi: noise levels, shapes of noise and spreads, the unknowns integrated out.

On the local model (no simulation), by Laplace's formula: -2 log p(psi) = misfit at the mode given psi + log det of half
its curvature there - 2 log prior(psi). For a linear model and normal noise of given size it is exact, and its mode is
the restricted likelihood's (Patterson and Thompson 1971): with one noise level and flat priors SSE/(n - p). Members of
populations within bounds are integrated out within them (`members_within.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize as scipy_minimize

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.likelihood.cut import Cut
from physics_twin.estimation.likelihood.local_model import (
    LocalModel,
    drawn_in_logarithm,
    in_draw_coordinates,
    local_model,
    population_cuts,
)
from physics_twin.estimation.likelihood.members_within import Within, within
from physics_twin.estimation.likelihood.quadratic import observed_information
from physics_twin.estimation.likelihood.terms import misfit_of, terms
from physics_twin.estimation.log_density import psi_bounds, psi_prior
from physics_twin.estimation.noise import Levels
from physics_twin.estimation.problem import Problem
from physics_twin.posterior.drawing.box_minimum import box_minimum
from physics_twin.posterior.drawing.inverse_root import inverse_root, widest_sd

STEP = 1e-3
"""Of psi, for slopes: -2 log p changes over order one, and is accurate to about 1e-9."""
LOOK = (-4.6, -2.3, -0.7, 0.7, 2.3, 4.6)
"""Moves of one psi that a first search tries, hundredfold either way: where a spread or a memory is far too small, or
far too large, the slope is zero."""
BETTER = 0.1
"""Fall of -2 log p that makes such a move worth it."""
INNER = 1e-4
"""Distance, in standard deviations, at which the mode given psi is found."""
INNER_ITERATIONS = 60
SHORTER = 30


@dataclass(frozen=True)
class Given:
    """The posterior of the unknowns of the local model for given psi: normal about `center`."""

    psi: Array
    objective: float
    """-2 log p(psi) up to a constant."""
    mode: Array
    """(d,) within the bounds."""
    center: Array
    """(d,) beyond a bound that the misfit still falls at."""
    root: Array
    """(d, d) C of the covariance C C^T."""
    within: Within | None = None
    """What the bounds of members change; None where they are far or there are none."""


@dataclass(frozen=True)
class Marginal:
    """The local model and the bounds of its coordinates."""

    problem: Problem
    local: LocalModel
    low: Array
    high: Array
    cuts: tuple[Cut, ...] = ()

    @property
    def widest(self) -> Array:
        """(d,) see `widest_sd`."""
        return widest_sd(self.low, self.high)

    @property
    def closed_form(self) -> bool:
        """Whether the unknowns are normal given psi."""
        return self.problem.sample_noise.gaussian and self.local.extra_jacobian is None

    def given(self, psi: Array, start: Array | None = None) -> Given:
        """Mode and covariance for given psi (n_psi,), and the objective. start (d,): where to look for the mode."""
        noise, local = self.problem.sample_noise, self.local
        y = np.zeros(self.low.size)
        if not self.closed_form:
            y = self._mode(psi, y if start is None else start)
            local = local.moved(y)
        found = terms(noise, psi, local)
        at = misfit_of(noise, psi, local, found)
        root = inverse_root(observed_information(noise, psi, local, found)[None], self.widest)[0]
        step = -root @ (root.T @ at.slope)
        log_determinant = -2.0 * float(np.linalg.slogdet(root)[1])
        prior, _ = psi_prior(self.problem, psi)
        objective = at.value + float(step @ at.slope) + log_determinant - 2.0 * prior
        if not self.cuts:
            return Given(psi, objective, y, y + step, root)
        inside = within(self.cuts, psi, y + step, root, self.low, self.high)
        return Given(psi, objective + (0.0 if inside is None else inside.change), y, y + step, root, inside)

    def _mode(self, psi: Array, start: Array) -> Array:
        """By Newton steps with the observed curvature: no simulation."""
        noise = self.problem.sample_noise
        y = np.clip(start, self.low, self.high)
        local = self.local.moved(y)
        found = terms(noise, psi, local)
        at = misfit_of(noise, psi, local, found)
        for _ in range(INNER_ITERATIONS):
            h = observed_information(noise, psi, local, found)
            h[np.diag_indices_from(h)] += 1e-13 * max(float(np.trace(h)), 1e-300)
            p = box_minimum(h, at.slope, self.low - y, self.high - y)
            decrement = -float(2.0 * at.slope @ p + p @ h @ p)
            if decrement <= INNER**2:
                break
            for share in 0.5 ** np.arange(SHORTER):
                trial = np.clip(y + share * p, self.low, self.high)
                moved = self.local.moved(trial)
                found = terms(noise, psi, moved)
                new = misfit_of(noise, psi, moved, found)
                if new.value < at.value:
                    break
            else:
                break  # as close as rounding allows
            y, local, at = trial, moved, new
        return y

    def only(self, free: NDArray[np.bool_]) -> "Marginal":
        """The same with the other unknowns held."""
        local = self.local
        members = tuple(replace(m, jacobian=m.jacobian[:, free]) for m in local.members)
        return replace(
            self,
            local=replace(
                local,
                jacobian=local.jacobian[:, free],
                signal_jacobian=None if local.signal_jacobian is None else local.signal_jacobian[:, free],
                extra_jacobian=None if local.extra_jacobian is None else local.extra_jacobian[:, free],
                prior_jacobian=local.prior_jacobian[:, free],
                members=members,
                drift_slope=local.drift_slope[free],
            ),
            low=self.low[free],
            high=self.high[free],
            cuts=tuple(c.only(free) for c in self.cuts),
        )


def marginal(problem: Problem, point: Point) -> Marginal:
    """The marginal of psi of the local model at a point."""
    low, high = limits(problem, point)
    local = in_draw_coordinates(problem, local_model(problem, point))
    return Marginal(problem, local, low, high, population_cuts(problem, point))


def limits(problem: Problem, point: Point) -> tuple[Array, Array]:
    """Bounds in the coordinates of the draws."""
    space = problem.space
    slope = space.slope(point.x)
    in_log = drawn_in_logarithm(problem)
    low = np.where(in_log, space.low - point.z, (space.x_low - point.x) / slope)
    high = np.where(in_log, space.high - point.z, (space.x_high - point.x) / slope)
    return np.minimum(low, 0.0), np.maximum(high, 0.0)


def mode_of_psi(objective: Callable[[Array], float], start: Array, low: Array, high: Array, *, look: bool) -> Array:
    """The psi (n_psi,) of the lowest objective within the bounds, near `start`. look: farther afield first."""
    at = np.clip(start, low, high)
    if look:
        best = objective(at)
        for k in range(at.size):
            for move in LOOK:
                trial = at.copy()
                trial[k] = min(max(start[k] + move, low[k]), high[k])
                value = objective(trial)
                if value < best - BETTER:
                    at, best = trial, value

    def with_slope(psi: Array) -> tuple[float, Array]:
        return objective(psi), slope_of(objective, psi)

    found = scipy_minimize(
        with_slope,
        at,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(low, high),
        options={"maxiter": 200, "ftol": 1e-13, "gtol": 1e-6},
    )
    return np.asarray(found.x, dtype=float)


def slope_of(objective: Callable[[Array], float], psi: Array) -> Array:
    """Central differences (n_psi,)."""
    steps = np.eye(psi.size) * STEP
    return np.array([(objective(psi + s) - objective(psi - s)) / (2.0 * STEP) for s in steps])


def curvature_of(objective: Callable[[Array], float], psi: Array) -> Array:
    """Second differences (n_psi, n_psi), with steps at which rounding does not matter."""
    step = 30.0 * STEP
    steps = np.eye(psi.size) * step
    h = np.array([(slope_of(objective, psi + s) - slope_of(objective, psi - s)) / (2.0 * step) for s in steps])
    return np.asarray(0.5 * (h + h.T)).reshape(psi.size, psi.size)


def update(
    problem: Problem, point: Point, levels: Levels, hypers: Array, free: NDArray[np.bool_], *, look: bool
) -> tuple[Levels, Array]:
    """Noise levels and hypers at the mode of their marginal, for the local model at `point`; degrees are left open.

    free (d,): unknowns that no bound holds.
    """
    start = np.log(np.concatenate([levels.sd, hypers]))
    if start.size == 0:
        return levels, hypers
    _check_measured(problem)
    around = marginal(problem, point)
    free = free.copy()
    for cut in around.cuts:
        free[cut.columns] = True  # their bounds are part of the integral
    around = around.only(free if free.any() else ~free)
    at = np.zeros(around.low.size)

    def objective(psi: Array) -> float:
        return around.given(psi, at).objective

    psi = mode_of_psi(objective, start, *psi_bounds(problem), look=look)
    sd = np.exp(psi[: levels.sd.size])
    return Levels(sd, np.full(sd.size, np.nan)), np.exp(psi[levels.sd.size :])


def _check_measured(problem: Problem) -> None:
    """Raises CalibrationError for a level that no measured sample is there for."""
    measured = problem.groups[problem.sample_noise.measured]
    for g, group in enumerate(problem.noise_groups):
        if not (measured == g).any():
            raise CalibrationError(
                f"{group.parameter.name} cannot be estimated: all its samples are censored, and limits do not say how "
                'large the noise is; state it, noise="2 K"'
            )
