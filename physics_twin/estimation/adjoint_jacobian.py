"""The Jacobian of the residuals at a point, from sensitivities, from backward runs row by row, or of low rank.

Exact where it costs few runs of the model: one integration with sensitivities for few unknowns, one backward run per
residual for few data. Otherwise the part of it that matters: only some directions of the unknowns change the data by
more than their noise within what was known before. These are the dominant right singular vectors of the
prior-preconditioned Jacobian A = W^{1/2} J R, with R R^T the covariance before the data (Bui-Thanh, Ghattas, Martin and
Stadler 2013, A computational framework for infinite-dimensional Bayesian inverse problems, SIAM J. Sci. Comput. 35).
They are found as in Halko, Martinsson and Tropp (2011, Finding structure with randomness, algorithm 4.4 with half a
power iteration), a block at a time: backward runs Z = A^T Theta on random weights orthogonal to what is known,
responses Y = A V to an orthonormal basis V of Z by central differences, an orthonormal basis Q of Y, then Q^T A
exactly, by one backward run per column of Q. Differences only choose Q, so their errors enter the eigenvalues of A^T A
squared.
Q (Q^T A) is a Jacobian by rows, so that everything made of one (correlated residuals, noise levels, verdicts) works.

Letters: A, R, Theta, Z, V, Y, Q as above; eigenvalues of A^T A are those of the data's information measured by what
was known before: 1 halves a variance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.errors import SolveError
from physics_twin.estimation.adjoint import Pulled
from physics_twin.estimation.evaluation import Differences, Point, evaluate
from physics_twin.estimation.problem import Problem
from physics_twin.model import Sensitivities

BLOCK = 10
"""Directions that are tried together."""
NEGLECTED = 0.1
"""Information in a block of directions below which the search for more ends: each of them then narrows what was known
before by about half a percent."""
RESPONSE = 1.0
"""Of the data to a difference, in standard deviations of their noise: above integrator noise, and nearly linear."""
LONGEST = 0.1
"""Step of a difference, in standard deviations before the data, at most."""
DISAGREEMENT = 0.05
"""Share by which differences and backward runs may disagree about the same number before a shorter difference is
asked, and before, if that disagrees as well, it is said."""
SHORTER = 0.1


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
    memo: Memo = NO_MEMO,
) -> Found:
    """The Jacobian at a point, exact if that takes at most `exact_up_to` columns or backward runs.

    w: 1/noise (n_data,). memo: where simulations are remembered. record: is told of simulations that failed on the way.
    Raises SolveError where a backward run fails.
    """
    n, d = problem.n_data, pulled.point.z.size
    columns = isinstance(problem.model, Sensitivities) and not problem.differenced
    if columns and d <= min(exact_up_to, n):
        point = evaluate(problem, pulled.point.z, Differences(1e-3, True), memo)
        return Found(point.jacobian, "Hessian of Gauss-Newton, exact by sensitivities")
    if n <= exact_up_to:
        rows = np.empty((n, d))
        for i in range(n):
            unit = np.zeros(n)
            unit[i] = 1.0
            rows[i] = pulled.transpose(unit)
        return Found(rows, f"Hessian of Gauss-Newton, exact by {n} backward runs")
    return _low_rank(problem, pulled, w, exact_up_to, rng, record, memo)


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
    memo: Memo,
) -> Found:
    n, d = problem.n_data, pulled.point.z.size
    root = root_before(problem)
    q, rows = np.zeros((n, 0)), np.zeros((0, d))  # rows = Q^T W^{1/2} J, so that Q^T A = rows R
    worst, n_simulations, n_backward, left = 0.0, 0, 0, np.inf
    while q.shape[1] < min(most, n, d):
        theta = rng.standard_normal((n, min(BLOCK, min(most, n, d) - q.shape[1])))
        theta -= q @ (q.T @ theta)
        z = np.stack([root.T @ pulled.transpose(w * t) for t in theta.T], axis=1)
        n_backward += theta.shape[1]
        v, size, mix = np.linalg.svd(z, full_matrices=False)
        gain = size / np.linalg.norm(theta @ mix.T, axis=0)  # |A v| is at least this
        used = np.flatnonzero(size > 1e-12 * max(float(size[0]), 1e-300))
        trials = [(root @ v[:, i], min(RESPONSE / gain[i], LONGEST)) for i in used]
        pairs = [_response(problem, pulled.point, direction, step, w, record, memo) for direction, step in trials]
        n_simulations += 2 * len(pairs)
        found = [(trial, pair) for trial, pair in zip(trials, pairs, strict=True) if pair is not None]
        new = _orthonormal(np.stack([y for _, (_, y) in found], axis=1), q) if found else q[:, :0]
        if new.shape[1] == 0:
            left = float((z**2).sum()) if found else left
            break
        own = np.stack([pulled.transpose(w * column) for column in new.T])
        n_backward += new.shape[1]
        for (direction, step), pair in found:
            apart = _apart(own, new, *pair)
            if apart > max(worst, DISAGREEMENT):
                again = _response(problem, pulled.point, direction, SHORTER * step, w, record, memo)
                worst = max(worst, apart if again is None else min(apart, _apart(own, new, *again)))
                n_simulations += 2
        left = float(((own @ root) ** 2).sum())
        q, rows = np.concatenate([q, new], axis=1), np.concatenate([rows, own])
        if left < NEGLECTED:
            break
    rank = q.shape[1]
    jacobian = (q @ rows) / w[:, None]
    what = "low rank" if rank < min(n, d) else "full rank"
    text = (
        f"Hessian of Gauss-Newton of {what}: {rank} of {d} directions, by {n_simulations} simulations and "
        f"{n_backward} backward runs"
    )
    warnings = []
    if left >= NEGLECTED and rank < min(n, d):
        warnings.append(
            f"the Hessian of rank {rank} may leave out what the data say: the last ones found still hold "
            f"the information of {left:.2g} parameters; raise exact_up_to = {most}"
        )
    if worst > DISAGREEMENT:
        warnings.append(
            f"backward runs and differences of the outputs disagree by {100.0 * worst:.0f} %: the model's adjoint is "
            "wrong, or its outputs are not smooth on the scale of the priors"
        )
    return Found(jacobian, text, NEGLECTED, tuple(warnings))


def _apart(rows: Array, q: Array, direction: Array, response: Array) -> float:
    """Share by which backward runs and a difference differ about the same numbers, q^T W^{1/2} J direction.

    Responses below a standard deviation of the noise count as one: what they say is below what matters.
    """
    return float(np.linalg.norm(rows @ direction - q.T @ response)) / max(float(np.linalg.norm(response)), 1.0)


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
    problem: Problem,
    point: Point,
    direction: Array,
    step: float,
    w: Array,
    record: Callable[[Array, SolveError], None],
    memo: Memo,
) -> tuple[Array, Array] | None:
    """A direction within the bounds near the one asked for, and the whitened response to it; None if both sides fail.

    From both sides: a direction that the data hardly see is one in which large effects cancel, and their curvatures do
    not. Both ends are clipped to the bounds, so the direction is not quite the one asked for; any like it serves.
    """
    space = problem.space
    ends = []
    for sign in (1.0, -1.0):
        at = np.clip(point.z + sign * step * direction, space.low, space.high)
        try:
            ends.append((at, evaluate(problem, at, None, memo).residual))
        except SolveError as error:
            record(at, error)
    if not ends:
        return None
    if len(ends) == 1:
        ends.append((point.z, point.residual))
    (a, at_a), (b, at_b) = ends
    return (a - b) / step, (at_a - at_b) * w / step
