"""`Modes`: natural frequencies of an elastic body, with exact derivatives.

K phi = lambda M phi with the stiffness of `Elasticity` and the mass of its density, by Krylov-Schur iterations on the
shifted inverse (SLEPc). That no frequency is missed is checked: as many pivots of K - s M are negative as there are
eigenvalues below s (Sylvester's law of inertia). For phi with phi^T M phi = 1

    d lambda = phi^T (dK - lambda dM) phi,

and where m eigenvalues coincide, the eigenvalues of that m x m matrix, in ascending order (Magnus, On differentiating
eigenvalues and eigenvectors, Econometric Theory 1, 1985; Seyranian, Lund and Olhoff, Multiple eigenvalues in structural
optimization problems, Structural Optimization 8, 1994). Sorted frequencies that coincide have derivatives along each
single direction only: those along a sum of directions are not their sum. Their mean is differentiable.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, SolveError
from physics_twin.fem._dolfinx import MPI, PETSc, slepc, ufl
from physics_twin.fem.elasticity import Driven, ElasticBody, ElasticDescription
from physics_twin.fem.form_hash import form_hash
from physics_twin.fem.materials import Solid
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.momentary import DifferentiableModel
from physics_twin.fem.operators import Formulation, Operators
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import as_list, resolve
from physics_twin.fem.strain import Kinematics, product
from physics_twin.fem.supports import Foundation, Pressure, Traction
from physics_twin.fem.symbols import Symbols
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_TOLERANCE = 1e-11  # of an eigenvalue
_RESIDUAL = 1e-6  # of K phi: above it an answer is refused
_SAME = 1e-7  # relative distance of eigenvalues below which they coincide
_MORE = 3  # modes beyond those asked for, so that no set of coinciding ones is cut
_HERTZ = Unit("Hz")


@dataclass(frozen=True)
class ModesDescription:
    """What a person said; see `Modes`."""

    body: ElasticDescription
    n_modes: int


@dataclass(frozen=True)
class Shapes:
    """Mode shapes at the nodes of the elements.

    frequencies (n_modes,) Hz, shapes (n_modes, n_nodes, dimension) normalized to a modal mass of 1 (kg; kg/m in 2-D),
    coordinates (n_nodes, dimension) m. On several ranks the nodes are those of this rank.
    """

    frequencies: Array
    shapes: Array
    coordinates: Array


class ModalModel(DifferentiableModel):
    """Natural frequencies as a model; made by `Modes`."""

    def shapes(self, values: "Mapping[str, float] | None" = None) -> Shapes:
        """Mode shapes, M-normalized, for the parameters' defaults or `values` (SI); inputs and time are zero."""
        found: VibratingBody = self.momentary
        symbols = found.symbols
        numbers = dict(values or {})
        p = [float(numbers.get(q.name, q.value)) for q in symbols.parameters]
        theta = np.array([*p, *[0.0] * (symbols.n_s + 1)])
        pairs = found.pairs(theta)
        space = found.ops.space
        bs = space.dofmap.index_map_bs
        x = space.tabulate_dof_coordinates()[: found.ops.n // bs, : symbols.domain.dimension]
        n = found.n_modes
        return Shapes(found.values(theta), pairs.vectors[:n].reshape(n, -1, bs), np.array(x))


def Modes(
    *,
    mesh: Mesh,
    materials: Mapping[str, Any],
    boundaries: Mapping[str, Any] | None = None,
    n_modes: int = 6,
    kind: Kinematics | None = None,
    temperature: Any = None,
    reference_temperature: Any = "20 degC",
    degree: int = 2,
    parameters: Sequence[Parameter] = (),
    inputs: Sequence[Signal] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "modes",
    version: str = "1.0",
) -> ModalModel:
    """Natural frequencies of an elastic body: outputs frequency_1, frequency_2 ..., Hz, ascending.

    As `Elasticity`, with a density in every material. What `Displacement` prescribes is held at rest; loads have no
    place here, a `Foundation` has. A body that is not held has rigid-body modes; they are left out, frequency_1 is
    the first elastic one. temperature changes properties that are functions of T; thermal stress does not stiffen.
    Frequencies that coincide are counted as often as they occur; how they are differentiated is said at the head of
    this module. An axisymmetric mesh gives the modes of revolution only.

    Raises ModelError, UnitError, UnknownNameError; MissingDependencyError where SLEPc is missing.
    """
    slepc()
    if n_modes < 1:
        raise ModelError(f"n_modes = {n_modes}: at least one mode")
    body = ElasticDescription(
        mesh=mesh,
        materials=dict(materials),
        boundaries=dict(boundaries or {}),
        sensors={},
        kind=kind,
        temperature=temperature,
        reference_temperature=reference_temperature,
        body_force=None,
        parameters=tuple(parameters),
        inputs=tuple(inputs),
        degree=degree,
        solver=None,
    )
    for boundary, given in body.boundaries.items():
        if any(isinstance(c, Pressure | Traction) for c in as_list(given)):
            raise ModelError(
                f'boundary "{boundary}": natural frequencies are those of the unloaded body; leave the load out'
            )
    build = Portable(vibrating_body, ModesDescription(body, n_modes))
    model = ModalModel(name, version, build, dict(validity or {}))
    _ = model.momentary  # a wrong description fails here, at the line of the mistake
    return model


def vibrating_body(d: ModesDescription) -> "VibratingBody":
    """The forms of a description."""
    return VibratingBody(d.body, d.n_modes)


@dataclass(frozen=True)
class Pairs:
    """Eigenvalues (n,) 1/s^2 ascending and vectors (n, n_owned), M-orthonormal; rigid (n_rigid, n_owned) apart."""

    eigenvalues: Array
    vectors: Array
    rigid: Array


class VibratingBody:
    """Stiffness and mass of a body, and its natural frequencies at given symbols."""

    def __init__(self, d: ElasticDescription, n_modes: int) -> None:
        if isinstance(d.temperature, Driven):
            raise ModelError("natural frequencies take a temperature as a quantity or a function, not Driven()")
        for region, solid in d.materials.items():
            if isinstance(solid, Solid):
                solid.requires("density", purpose=f'natural frequencies of "{region}"')
        self.body = ElasticBody(d)
        self.n_modes = n_modes
        self.n_rigid = self.body.n_free_motions()
        ops = self.ops = Operators(self._formulation())
        n_free = int(ops.comm.allreduce(int(ops.free.sum()))) - self.n_rigid
        if n_modes > n_free:
            raise ModelError(f"n_modes = {n_modes}: this mesh has only {n_free} elastic modes; refine it")
        free: Any = (np.flatnonzero(ops.free) + ops.offset).astype(PETSc.IntType)
        comm: Any = ops.comm
        self._free = PETSc.IS().createGeneral(free, comm=comm)
        self._key: bytes | None = None
        self._pairs: Pairs | None = None

    def _formulation(self) -> Formulation:
        body, w = self.body, self.body.domain.weight
        stiffness, mass = [], []
        for region, solid in body.d.materials.items():
            dx = body.domain.dx(region)
            stress = ufl.as_vector([ufl.as_ufl(s) for s in product(body.hooke(region), body.strain)])
            stiffness.append(ufl.inner(stress, body.virtual_strain) * w * dx)
            density = resolve(solid.density, "kg/m^3", body.scope, f'material of "{region}": density').magnitude
            mass.append(density * ufl.inner(body.u, body.test) * w * dx)
        bed = body.external_work((Foundation,))
        residual = sum(stiffness[1:], stiffness[0]) if bed == 0 else sum(stiffness, bed)
        return Formulation(
            symbols=body.symbols,
            field=body.u,
            storage=sum(mass[1:], mass[0]),
            residual=residual,
            essential=body.essential,
        )

    @property
    def symbols(self) -> Symbols:
        """Parameters, inputs and time."""
        return self.body.symbols

    @property
    def outputs(self) -> Sequence[Signal]:
        """The frequencies."""
        return [Signal(f"frequency_{k + 1}", _HERTZ) for k in range(self.n_modes)]

    @property
    def signature(self) -> str:
        """Of forms, mesh and number of modes."""
        f = self.ops.f
        names = {**dict(zip(f.symbols.constants, f.symbols.names, strict=True)), f.field: "the field"}
        parts = [form_hash(f.storage, names), form_hash(f.residual, names), self.body.domain.fingerprint]
        alone = self.ops.comm.size == 1  # on several ranks entries are numbered otherwise
        held = [e.dofs.tobytes() for e in self.body.essential] if alone else []
        return "\x1f".join([*parts, hashlib.sha256(b"".join(held)).hexdigest()])

    def values(self, theta: Array) -> Array:
        """(n_modes,) Hz."""
        return np.sqrt(self.pairs(theta).eigenvalues[: self.n_modes]) / (2.0 * np.pi)

    def slopes(self, theta: Array, directions: Array) -> Array:
        """(n_modes, m) derivatives of the frequencies along directions (n_theta, m)."""
        pairs, ops = self.pairs(theta), self.ops
        n, values = self.n_modes, pairs.eigenvalues
        ops.begin(theta)
        slopes = np.zeros((n, directions.shape[1]))
        for k, direction in enumerate(directions.T):
            if not direction.any():
                continue
            for members in clusters(values):
                if members[0] >= n:
                    break
                vectors = pairs.vectors[members]
                mean = float(values[members].mean())
                images = [ops.direction(-mean, 1.0, v, theta, None, None, direction) for v in vectors]
                block = vectors @ np.array(images).T
                if ops.comm.size > 1:
                    block = ops.comm.allreduce(block, op=MPI.SUM)
                found = np.linalg.eigvalsh(0.5 * (block + block.T)) if len(members) > 1 else block.reshape(-1)
                kept = [j for j in range(len(members)) if members[j] < n]
                slopes[members[kept], k] = found[kept]
        return slopes / (4.0 * np.pi * np.sqrt(values[:n, None]))

    # -- the eigenvalue problem -------------------------------------------------------------------------------------
    def pairs(self, theta: Array) -> Pairs:
        """Eigenvalues and vectors, those of the last call kept; raises SolveError."""
        key = theta[self.ops._matrix_needs].tobytes()
        if key != self._key or self._pairs is None:
            self._key = None
            self._pairs = self._solved(theta)
            self._key = key
        return self._pairs

    def _solved(self, theta: Array) -> Pairs:
        ops = self.ops
        ops.begin(theta)
        ops._refresh(theta)
        k, m = (a.createSubMatrix(self._free, self._free) for a in (ops._stiffness, ops._storage_matrix))
        try:
            for a in (k, m):
                a.setOption(PETSc.Mat.Option.SYMMETRIC, True)
            if float(m.getDiagonal().min()[1]) <= 0.0:
                raise SolveError("the mass is not positive: check the densities", time=0.0)
            shift = self._shift(theta) if self.n_rigid else 0.0
            n_free = int(ops.comm.allreduce(int(ops.free.sum())))
            wanted = min(self.n_modes + _MORE + self.n_rigid, n_free)
            for attempt in range(3):
                values, vectors = _eigenpairs(k, m, min(wanted << attempt, n_free), shift, self._start(attempt))
                if self._complete(k, m, values):
                    break
            else:
                raise SolveError(
                    "a natural frequency was missed: the eigenvalue solver does not find them all", time=0.0
                )
        finally:
            k.destroy()
            m.destroy()
        full = np.zeros((len(vectors), ops.n))
        full[:, ops.free] = vectors
        values = values[self.n_rigid :]
        if values[0] <= 0.0:
            raise SolveError("the stiffness is not positive: check Young's moduli and Poisson's ratios", time=0.0)
        return Pairs(values, full[self.n_rigid :], full[: self.n_rigid])

    def _start(self, attempt: int) -> Array:
        """A first vector that every run takes, and every number of ranks."""
        ops = self.ops
        everywhere = np.random.default_rng(attempt).standard_normal(ops.n_global)
        return everywhere[ops.offset : ops.offset + ops.n][ops.free]

    def _shift(self, theta: Array) -> float:
        """Below zero, where K - shift M has no zero: a hundredth of the least eigenvalue that stretching suggests."""
        ops = self.ops
        space, bs = ops.space, ops.space.dofmap.index_map_bs
        x = space.tabulate_dof_coordinates()[: ops.n // bs]
        quotients = []
        for axis in range(bs):
            u = np.zeros((ops.n // bs, bs))
            u[:, axis] = x[:, axis] - self.body.d.mesh.points[:, axis].mean()
            v = u.reshape(-1)
            energy = ops.sum(v * ops.value(0.0, 1.0, v, theta))
            quotients.append(energy / ops.sum(v * ops.value(1.0, 0.0, v, theta)))
        return -0.01 * min(quotients)

    def _complete(self, k: Any, m: Any, values: Array) -> bool:
        """Whether no eigenvalue below the last kept ones was missed."""
        n = self.n_modes + self.n_rigid
        if len(values) <= n:
            return True
        # Between two eigenvalues that are apart, at or above the last one asked for.
        gaps = np.flatnonzero(np.diff(values[n - 1 :]) > _SAME * np.abs(values[n:]))
        if not gaps.size:
            return False
        upto = n + int(gaps[0])
        shifted = k.duplicate(copy=True)
        solver = PETSc.KSP().create(k.comm)
        try:
            shifted.axpy(
                -0.5 * float(values[upto - 1] + values[upto]), m, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN
            )
            shifted.setOption(PETSc.Mat.Option.SYMMETRIC, True)
            solver.setOperators(shifted)
            _factored(solver)
            solver.getPC().setFactorSetUpSolverType()
            factors = solver.getPC().getFactorMatrix()
            factors.setMumpsIcntl(24, 1)  # pivots that are zero are counted as such ...
            factors.setMumpsIcntl(13, 1)  # ... on all ranks: the last block is not left to another library
            solver.setUp()
            negative, _, _ = factors.getInertia()
        finally:
            solver.destroy()
            shifted.destroy()
        return int(negative) == upto


def clusters(values: Array) -> list[Array]:
    """Numbers of eigenvalues that coincide, set by set, ascending."""
    breaks = np.flatnonzero(np.diff(values) > _SAME * np.abs(values[1:])) + 1
    return list(np.split(np.arange(len(values)), breaks))


def _factored(solver: Any) -> None:
    solver.setType("preonly")
    pc = solver.getPC()
    pc.setType("cholesky")
    pc.setFactorSolverType("mumps")


def _eigenpairs(k: Any, m: Any, n: int, shift: float, start: Array) -> tuple[Array, Array]:
    """The n eigenvalues nearest above the shift, ascending, and their vectors (n, n_owned), M-orthonormal."""
    library = slepc()
    solver = library.EPS().create(k.comm)
    first: Any = start.copy()
    vector = PETSc.Vec().createWithArray(first, comm=k.comm)
    try:
        solver.setOperators(k, m)
        solver.setProblemType(library.EPS.ProblemType.GHEP)
        solver.setType(library.EPS.Type.KRYLOVSCHUR)
        solver.setWhichEigenpairs(library.EPS.Which.TARGET_MAGNITUDE)
        solver.setTarget(shift)
        solver.setTolerances(_TOLERANCE, 500)
        solver.setDimensions(n, min(max(2 * n + 10, 20), k.getSize()[0]))
        transform = solver.getST()
        transform.setType("sinvert")
        _factored(transform.getKSP())
        solver.setInitialSpace([vector])
        try:
            solver.solve()
        except (PETSc.Error, SystemError) as error:  # SLEPc's binding raises either for the same failure
            raise SolveError("the eigenvalue solver failed: a mass or a stiffness is not positive", time=0.0) from error
        found = solver.getConverged()
        if found < n:
            raise SolveError(f"the eigenvalue solver found {found} of {n} modes", time=0.0)
        values = np.array([solver.getEigenvalue(i).real for i in range(n)])
        order = np.argsort(values, kind="stable")
        vectors = []
        for i in order:
            if solver.computeError(int(i), library.EPS.ErrorType.BACKWARD) > _RESIDUAL:
                raise SolveError("the eigenvalue solver left a large residual", time=0.0)
            solver.getEigenvector(int(i), vector)
            vectors.append(_oriented(vector.array.copy(), k.comm))
        return values[order], np.array(vectors)
    finally:
        solver.destroy()
        vector.destroy()


def _oriented(v: Array, comm: Any) -> Array:
    """The vector or its opposite: the one whose largest entry is positive."""
    largest, least = float(v.max(initial=0.0)), float(v.min(initial=0.0))
    if comm.size > 1:
        world = comm.tompi4py()
        largest, least = world.allreduce(largest, op=MPI.MAX), world.allreduce(least, op=MPI.MIN)
    return v if largest >= -least * (1.0 - 1e-9) else -v
