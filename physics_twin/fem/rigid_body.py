"""Rigid-body motion: which of it a body's supports leave free, by name, and its modes for algebraic multigrid."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError
from physics_twin.fem._dolfinx import MPI, PETSc

_FREE = 1e-8  # of the largest singular value: below it nothing holds a motion (lengths are scaled by the body's size)


def rigid_motions(points: Array, axes: Sequence[str], center: Array, size: float) -> Array:
    """Displacements of unit translations and rotations at points (n, d): (n, d, n_motions), rotations times size.

    1-D: x. Plane: x, y, about z. Axisymmetric: along z only. 3-D: x, y, z, about x, y, z.
    """
    n, d = points.shape
    if "r" in axes:
        motion = np.zeros((n, d, 1))
        motion[:, 1, 0] = 1.0
        return motion
    translations = np.broadcast_to(np.eye(d), (n, d, d))
    s = (points - center) / size
    if d == 1:
        return np.array(translations)
    if d == 2:
        about = np.stack([-s[:, 1], s[:, 0]], axis=1)[:, :, None]
        return np.concatenate([translations, about], axis=2)
    turns = np.stack([np.cross(e, s) for e in np.eye(3)], axis=2)
    return np.concatenate([translations, turns], axis=2)


def free_motions(rows: Array, axes: Sequence[str]) -> list[str]:
    """The rigid-body motions that constraint rows (n_rows, n_motions) do not hold, in words; none if it is held."""
    free = _null_space(rows)
    if not len(free):
        return []
    if "r" in axes:
        return ["move along z"]
    d = len(axes)
    turning = free[:, d:]
    # Motions without rotation, then the axes of the others.
    without = free
    if turning.shape[1]:
        _, s, v = np.linalg.svd(turning.T, full_matrices=True)
        rank = int((s > 1e-6).sum())
        without = v[rank:] @ free
        turning = v[:rank] @ turning
    words = [f"move along {name}" for name in _directions(without[:, :d], axes)]
    if turning.shape[1] and len(turning):
        around = ("z",) if d == 2 else axes
        words += [f"rotate about {name}" for name in _directions(turning, around)]
    return words


def n_free(rows: Array) -> int:
    """How many independent rigid-body motions constraint rows (n_rows, n_motions) do not hold."""
    return len(_null_space(rows))


def _null_space(rows: Array) -> Array:
    """Combinations (n, n_motions) of motions that no row sees."""
    n = rows.shape[1]
    if not rows.any():
        return np.eye(n)
    _, s, v = np.linalg.svd(rows, full_matrices=True)
    size = np.zeros(n)
    size[: s.size] = s
    return np.asarray(v[size <= _FREE * float(s[0])])


def _directions(span: Array, axes: Sequence[str]) -> list[str]:
    """Names of the axes that lie in a span (n, d), or its vectors where no axis does."""
    if not len(span):
        return []
    _, s, v = np.linalg.svd(span, full_matrices=False)
    basis = v[: int((s > 1e-6).sum())]
    inside = [axis for k, axis in enumerate(axes) if np.linalg.norm(basis[:, k]) > 1.0 - 1e-6]
    if len(inside) == len(basis):
        return inside
    rounded = [row / row[np.argmax(np.abs(row))] for row in basis]
    return ["(" + ", ".join(f"{x:.3g}" for x in row) + ")" for row in rounded]


def require_held(rows: Array, axes: Sequence[str], boundaries: Any) -> None:
    """Raise ModelError, naming the motions that are left, unless constraint rows hold the body."""
    words = free_motions(rows, axes)
    if words:
        listed = words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
        raise ModelError(
            f"the body can {listed}; hold it with fem.Clamped(), fem.Symmetry(), fem.Displacement(...) or "
            f"fem.Foundation(...) on one of its boundaries ({', '.join(boundaries)})"
        )


def gathered(comm: Any, rows: Array) -> Array:
    """Constraint rows of all ranks, compressed to a square (n_motions, n_motions) with the same null space."""
    gram = rows.T @ rows
    total = np.asarray(comm.allreduce(gram, op=MPI.SUM) if comm.size > 1 else gram)
    values, vectors = np.linalg.eigh(total)
    # A row of the Gram matrix is the square of a constraint: its rounding is that of the largest.
    values[values < 1e-13 * max(float(values.max(initial=0.0)), 1e-300)] = 0.0
    return np.asarray(np.sqrt(values)[:, None] * vectors.T)


def near_nullspace(space: Any, axes: Sequence[str]) -> Any:
    """The rigid-body modes of a vector space as a PETSc near-nullspace, for algebraic multigrid."""
    index_map, bs = space.dofmap.index_map, space.dofmap.index_map_bs
    n = index_map.size_local
    x = space.tabulate_dof_coordinates()[:n, :bs]
    motions = rigid_motions(x, axes, np.zeros(bs), 1.0)
    comm = space.mesh.comm
    vectors: list[Any] = []
    for k in range(motions.shape[2]):
        entries: Any = np.ascontiguousarray(motions[:, :, k]).reshape(-1)
        v = PETSc.Vec().createWithArray(entries, comm=comm)
        for earlier in vectors:
            v.axpy(-v.dot(earlier), earlier)
        v.normalize()
        vectors.append(v)
    return PETSc.NullSpace().create(vectors=vectors, comm=comm)
