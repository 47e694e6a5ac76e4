"""The steady state for the inputs at the start of a recipe."""

from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError

if TYPE_CHECKING:
    from physics_twin.process.process_model import ProcessModel
    from physics_twin.process.stage import Situation, Stage

_TOLERANCE = 1e-11  # of the last Newton correction, relative to the states' scales
_LONGEST = 1e9  # s; a system that has not settled by then has no steady state in reach


def settle(model: "ProcessModel", stage: "Stage", at: "Situation") -> None:
    """Move `at` to the steady state nearest in time: relaxed by integration, then Newton's method.

    Accumulators keep their initial values. The derivative is that of the implicit function. Raises SolveError when
    the system does not settle or the steady state is not unique (a singular Jacobian).
    """
    c = stage.c
    n = c.n_x - model.equations.n_accumulators
    stage.settle(at)
    span = 1.0
    for _ in range(60):
        if _newton(stage, at, n):
            break
        if span > _LONGEST:
            raise SolveError('no steady state was found; give initial values instead of initial="steady"', time=0.0)
        kept = at.x[n:].copy()
        try:
            x, z, _, _ = stage.solve(at, span, (1.0,), sensitive=False)
        except SolveError as error:
            raise SolveError(f"no steady state was found: {error.reason}", time=0.0) from None
        at.x, at.z = x[:, -1].copy(), z[:, -1].copy()
        at.x[n:] = kept
        stage.settle(at)
        span *= 4.0
    if stage.n_wrt:
        jacobian, by_u, by_p, by_d = _jacobians(stage, at, n)
        forcing = by_u @ stage.inputs.tangent(at.t, left=False) + by_p @ stage.s_p + by_d @ at.s_d
        at.s_x[:n] = -np.linalg.solve(jacobian, forcing)[:n]


def _jacobians(stage: "Stage", at: "Situation", n: int) -> tuple[Array, Array, Array, Array]:
    d = stage.c.flow_jacobian.at(stage.point(at))
    rows = np.r_[0:n, stage.c.n_x : stage.c.n_x + stage.c.n_z]
    return np.hstack([d.x[rows][:, :n], d.z[rows]]), d.u[rows], d.p[rows], d.d[rows]


def _newton(stage: "Stage", at: "Situation", n: int) -> bool:
    """Newton from the present point; True and `at` moved only when it converges to a stable nearby point."""
    c = stage.c
    x, z = at.x.copy(), at.z.copy()
    scale = np.concatenate([c.scale_x[:n], c.scale_z])
    rows = np.r_[0:n, c.n_x : c.n_x + c.n_z]
    moved = 0.0
    for _ in range(20):
        value = c.flow_jacobian.at(stage.point(at)).value[rows]
        jacobian, _, _, _ = _jacobians(stage, at, n)
        try:
            step = np.linalg.solve(jacobian, -value)
        except np.linalg.LinAlgError:
            break
        size = float(np.max(np.abs(step) / scale, initial=0.0))
        moved += size
        # A long way means another basin: integrate first, so that the answer is where the plant would settle.
        if not np.isfinite(size) or moved > 0.1:
            break
        at.x[:n] += step[:n]
        at.z += step[n:]
        if size <= _TOLERANCE:
            eigenvalues = _reduced_eigenvalues(stage, at, n)
            if eigenvalues.size and float(eigenvalues.real.max()) > 0.0:
                break
            return True
    at.x, at.z = x, z
    return False


def _reduced_eigenvalues(stage: "Stage", at: "Situation", n: int) -> Array:
    jacobian, _, _, _ = _jacobians(stage, at, n)
    f_x, f_z, g_x, g_z = jacobian[:n, :n], jacobian[:n, n:], jacobian[n:, :n], jacobian[n:, n:]
    reduced = f_x - f_z @ np.linalg.solve(g_z, g_x) if g_z.size else f_x
    return np.linalg.eigvals(reduced)  # type: ignore[return-value]
