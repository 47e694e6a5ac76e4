"""The Jacobian of the residuals at a point, from sensitivities, from backward runs row by row, or of low rank.

Exact where it costs few runs of the model: one integration with sensitivities for few unknowns, one backward run per
residual for few data. Otherwise the part of it that matters: only some directions of the unknowns change the data by
more than their noise within what was known before. These are the dominant right singular vectors of the
prior-preconditioned Jacobian A = W^{1/2} J R, with R R^T the covariance before the data (Bui-Thanh, Ghattas, Martin and
Stadler 2013, A computational framework for infinite-dimensional Bayesian inverse problems, SIAM J. Sci. Comput. 35).
They are found as in Halko, Martinsson and Tropp (2011, Finding structure with randomness, algorithm 4.2): responses
Y = A Omega to random directions by central differences, an orthonormal basis Q of them, then Q^T A exactly, one
backward run per column of Q. Differences only choose Q, so their errors enter the eigenvalues of A^T A squared.
Q (Q^T A) is a Jacobian by rows, so that everything made of one (correlated residuals, noise levels, verdicts) works.

Letters: A, Q, B = Q^T A, Y, Omega as above; eigenvalues of A^T A are those of the data's information measured by what
was known before: 1 halves a variance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.estimation.adjoint import Pulled
from physics_twin.estimation.evaluation import Differences, evaluate
from physics_twin.estimation.problem import Problem
from physics_twin.model import Sensitivities

BLOCK = 10
"""Directions that are tried together."""
NEGLECTED = 0.01
"""Information in a block of directions, as a number of parameters that it would determine, below which the search for
more ends."""
STEP = 1e-2
"""Of differences along a random direction, in standard deviations before the data: only the basis depends on it."""
DISAGREEMENT = 0.02
"""Share by which differences and backward runs may disagree about the same number before that is said."""


@dataclass(frozen=True)
class Found:
    """A Jacobian (n_data, d) of the residuals in SI with respect to z, and how it was found."""

    jacobian: Array
    text: str
    neglected: float = 0.0
    """Information, measured by what was known before, that a direction may hold and not be in it."""
    warnings: tuple[str, ...] = ()


def find_jacobian(
    problem: Problem,
    pulled: Pulled,
    w: Array,
    *,
    exact_up_to: int,
    rng: np.random.Generator,
    record: Callable[[Array, SolveError], None],
) -> Found:
    """The Jacobian at a point, exact if that takes at most `exact_up_to` columns or backward runs.

    w: 1/noise (n_data,). record: is told of simulations that failed on the way. Raises SolveError where a
    backward run fails.
    """
    n, d = problem.n_data, pulled.point.z.size
    if isinstance(problem.model, Sensitivities) and not problem.differenced and d <= exact_up_to:
        point = evaluate(problem, pulled.point.z, Differences(1e-3, True))
        return Found(point.jacobian, "Hessian of Gauss-Newton, exact by sensitivities")
    if n <= exact_up_to:
        rows = np.empty((n, d))
        for i in range(n):
            unit = np.zeros(n)
            unit[i] = 1.0
            rows[i] = pulled.transpose(unit)
        return Found(rows, f"Hessian of Gauss-Newton, exact by {n} backward runs")
    return _low_rank(problem, pulled, w, exact_up_to, rng, record)


def root_before(problem: Problem) -> Array:
    """R (d, d) with R R^T the covariance in z before the data: of the priors, or of an even spread over the bounds."""
    reference = problem.space.reference
    if problem.coupling is None:
        return np.diag(reference)
    return np.asarray(reference[:, None] * np.linalg.inv(problem.coupling))


def _low_rank(
    problem: Problem,
    pulled: Pulled,
    w: Array,
    most: int,
    rng: np.random.Generator,
    record: Callable[[Array, SolveError], None],
) -> Found:
    n, d = problem.n_data, pulled.point.z.size
    root = root_before(problem)
    q, rows = np.zeros((n, 0)), np.zeros((0, d))  # rows = Q^T W^{1/2} J, so that B = rows R
    worst, n_pairs, left = 0.0, 0, np.inf
    while q.shape[1] < min(most, n, d):
        directions, y = [], []
        for _ in range(min(BLOCK, min(most, n, d) - q.shape[1])):
            # What is known already is left out, so that strong directions do not drown weak ones in the differences.
            omega = rng.standard_normal(d)
            known = np.linalg.qr((rows @ root).T)[0]
            omega -= known @ (known.T @ omega)
            pair = _response(problem, pulled.point.z, root @ omega, w, record)
            if pair is not None:
                directions.append(pair[0])
                y.append(pair[1])
        if not y:
            break
        n_pairs += len(y)
        block = np.stack(y, axis=1)
        new = _orthonormal(block, q)
        if new.shape[1] == 0:
            left = 0.0
            break
        own = np.stack([pulled.transpose(w * column) for column in new.T])
        # The same numbers from differences and from backward runs: new^T J direction, in standard deviations.
        for direction, response in zip(directions, y, strict=True):
            apart = float(np.linalg.norm(own @ direction - new.T @ response))
            worst = max(worst, apart / max(float(np.linalg.norm(response)), 1.0))
        left = float(((own @ root) ** 2).sum())
        q, rows = np.concatenate([q, new], axis=1), np.concatenate([rows, own])
        if left < NEGLECTED:
            break
    rank = q.shape[1]
    jacobian = (q @ rows) / w[:, None]
    text = (
        f"Hessian of Gauss-Newton of low rank: {rank} of {d} directions, by {2 * n_pairs} simulations and {rank} "
        "backward runs"
    )
    warnings = []
    if left >= NEGLECTED and rank < min(n, d):
        warnings.append(
            f"the Hessian of rank {rank} may leave out what the data say: its last {BLOCK} directions still hold "
            f"the information of {left:.2g} parameters; raise exact_up_to = {most}"
        )
    if worst > DISAGREEMENT:
        warnings.append(
            f"backward runs and differences of the outputs disagree by {100.0 * worst:.0f} %: the model's adjoint is "
            "wrong, or its outputs are not smooth on the scale of the priors"
        )
    return Found(jacobian, text, NEGLECTED, tuple(warnings))


def _orthonormal(block: Array, q: Array) -> Array:
    """Orthonormal columns for what `block` (n, k) holds beyond the columns of q; fewer than k where it holds less."""
    new = block
    for _ in range(2):  # twice is enough (Giraud, Langou and Rozloznik 2005)
        new = new - q @ (q.T @ new)
        u, s, _ = np.linalg.svd(new, full_matrices=False)
        new = u[:, s > 1e-12 * max(float(np.linalg.norm(block)), 1e-300)]
        block = new
    return np.asarray(new)


def _response(
    problem: Problem, z: Array, direction: Array, w: Array, record: Callable[[Array, SolveError], None]
) -> tuple[Array, Array] | None:
    """A direction within the bounds near the one asked for, and the whitened response to it; None if both sides fail.

    Both ends are clipped to the bounds: the direction is random, so a coordinate on its bound may move one way only.
    """
    space = problem.space
    ends = []
    for sign in (1.0, -1.0):
        at = np.clip(z + sign * STEP * direction, space.low, space.high)
        try:
            ends.append((at, evaluate(problem, at, None).residual))
        except SolveError as error:
            record(at, error)
    if not ends:
        return None
    if len(ends) == 1:
        ends.append((z, evaluate(problem, z, None).residual))
    (a, at_a), (b, at_b) = ends
    return (a - b) / (2.0 * STEP), (at_a - at_b) * w / (2.0 * STEP)
