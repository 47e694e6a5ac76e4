"""Transient heat in a unit cube of Q1 hexahedra, k = 1, Robin h = 10 on all faces, implicit Euler of 0.005 s, a source
that changes in time, 100 steps: described for physics_twin, and by hand with DOLFINx as an expert and as a tutorial
would write it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import physics_twin as pt
from physics_twin import fem
from physics_twin.fem._dolfinx import MPI, PETSc, dolfinx, ufl
from physics_twin.fem.compilation import compile_form

STEP, N_STEPS = 0.005, 100
TIMES = STEP * np.arange(N_STEPS + 1)
POWER = 100.0 * np.sin(2.0 * np.pi * TIMES)
FACES = ("left", "right", "front", "back", "bottom", "top")


def model(n: int, *, nonlinear: bool = False, points: Mapping[str, Sequence[float]] | None = None) -> Any:
    """The description; with `nonlinear` k = 1 + 0.5 (T - 0 degC). points: name -> where another sensor is, m."""
    conductivity: Any = pt.Parameter("k", "1 W/m/K")
    if nonlinear:
        conductivity = lambda T, k: k * (1.0 + "0.5 1/K" * (T - "273.15 K"))  # noqa: E731
    film = pt.Parameter("film", "10 W/m^2/K")
    return fem.HeatConduction(
        mesh=fem.mesh.box(("1 m", "1 m", "1 m"), cells=(n, n, n)),
        materials={
            "body": fem.Solid(
                conductivity=conductivity, density="1 kg/m^3", heat_capacity=pt.Parameter("capacity", "1 J/kg/K")
            )
        },
        boundaries={face: fem.Convection(film, "0 degC") for face in FACES},
        sources={"body": fem.HeatSource(lambda power, strength: power * strength)},
        initial="0 degC",
        sensors={
            "mean": fem.Average("body"),
            "center": fem.Point("0.5 m", "0.5 m", "0.5 m"),
            **{name: fem.Point(*(f"{x} m" for x in place)) for name, place in (points or {}).items()},
        },
        parameters=[pt.Parameter("k", "1 W/m/K"), pt.Parameter("strength", "1")],
        inputs=[pt.Signal("power", "W/m^3")],
        stepping=fem.FixedSteps((STEP, "s"), fem.IMPLICIT_EULER),
        solver=fem.Iterative(rtol=1e-8),
    )


RECIPE = pt.Recipe([pt.Phase("heat", power=pt.table((TIMES, "s"), POWER, "W/m^3"), duration=(TIMES[-1], "s"))])


def _forms(n: int) -> dict[str, Any]:
    mesh = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, n, n, n, dolfinx.mesh.CellType.hexahedron)
    V = dolfinx.fem.functionspace(mesh, ("Lagrange", 1))
    u, v = ufl.TrialFunction(V), ufl.TestFunction(V)
    dx, ds = ufl.Measure("dx", domain=mesh), ufl.Measure("ds", domain=mesh)
    return {
        "V": V,
        "mass": u * v * dx,
        "stiffness": ufl.inner(ufl.grad(u), ufl.grad(v)) * dx + 10.0 * u * v * ds,
        "load": v * dx,
        "dx": dx,
        "ds": ds,
    }


def expert(n: int) -> Callable[[], float]:
    """Operators assembled once, CG with Jacobi, Fischer's initial guess; returns the solve loop."""
    f = _forms(n)
    mass, stiffness = (dolfinx.fem.petsc.assemble_matrix(compile_form(f[name])) for name in ("mass", "stiffness"))
    mass.assemble()
    stiffness.assemble()
    load = dolfinx.fem.petsc.assemble_vector(compile_form(f["load"]))
    load.ghostUpdate(PETSc.InsertMode.ADD, PETSc.ScatterMode.REVERSE)
    A = mass.copy()
    A.axpy(STEP, stiffness, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
    total = load.sum()

    def run() -> float:
        ksp = PETSc.KSP().create(A.comm)
        ksp.setOptionsPrefix("expert_")
        options = PETSc.Options()
        options["expert_ksp_guess_type"] = "fischer"
        options["expert_ksp_guess_fischer_model"] = "1,24"
        ksp.setOperators(A)
        ksp.setType("cg")
        ksp.getPC().setType("jacobi")
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setTolerances(rtol=1e-8)
        ksp.setFromOptions()
        u, b = A.createVecs()
        u.set(0.0)
        for k in range(1, N_STEPS + 1):
            mass.mult(u, b)
            b.axpy(STEP * POWER[k], load)
            ksp.solve(b, u)
            assert ksp.getConvergedReason() > 0
        value = u.dot(load) / total
        ksp.destroy()
        assert f["V"] is not None  # the mesh owns the communicator: it has to live as long as the matrices
        return float(value)

    return run


def tutorial(n: int) -> Callable[[], float]:
    """The right-hand side assembled in every step, CG with GAMG from a zero guess."""
    f = _forms(n)
    V = f["V"]
    before = dolfinx.fem.Function(V)
    power = dolfinx.fem.Constant(V.mesh, 0.0)
    v, u = ufl.TestFunction(V), ufl.TrialFunction(V)
    a = compile_form(f["mass"] + STEP * f["stiffness"])
    right = compile_form((before + STEP * power) * v * f["dx"])
    A = dolfinx.fem.petsc.assemble_matrix(a)
    A.assemble()
    load = dolfinx.fem.petsc.assemble_vector(compile_form(f["load"]))
    load.ghostUpdate(PETSc.InsertMode.ADD, PETSc.ScatterMode.REVERSE)
    total = load.sum()
    del u

    def run() -> float:
        ksp = PETSc.KSP().create(A.comm)
        ksp.setOperators(A)
        ksp.setType("cg")
        ksp.getPC().setType("gamg")
        ksp.setTolerances(rtol=1e-8)
        x, b = A.createVecs()
        before.x.array[:] = 0.0
        n_own = V.dofmap.index_map.size_local
        for k in range(1, N_STEPS + 1):
            power.value = POWER[k]
            vector = dolfinx.fem.assemble_vector(right)
            vector.scatter_reverse(dolfinx.la.InsertMode.add)
            b.array[:] = vector.array[:n_own]
            ksp.solve(b, x)
            assert ksp.getConvergedReason() > 0
            before.x.array[:n_own] = x.array
            before.x.scatter_forward()
            x.set(0.0)
        b.array[:] = before.x.array[:n_own]
        value = b.dot(load) / total
        ksp.destroy()
        return float(value)

    return run


def nonlinear_problem(n: int, n_steps: int) -> Callable[[], float]:
    """DOLFINx's NonlinearProblem in every step, SNES with CG and GAMG, as its documentation shows."""
    f = _forms(n)
    V = f["V"]
    u, before = dolfinx.fem.Function(V), dolfinx.fem.Function(V)
    power = dolfinx.fem.Constant(V.mesh, 0.0)
    v = ufl.TestFunction(V)
    F = (u - before) / STEP * v * f["dx"] + (1.0 + 0.5 * u) * ufl.inner(ufl.grad(u), ufl.grad(v)) * f["dx"]
    F += 10.0 * u * v * f["ds"] - power * v * f["dx"]
    problem = dolfinx.fem.petsc.NonlinearProblem(
        F,
        u,
        petsc_options_prefix="nonlinear_",
        petsc_options={"ksp_type": "gmres", "pc_type": "gamg", "ksp_rtol": 1e-6, "snes_rtol": 1e-8},
    )
    mean = compile_form(u * f["dx"])

    def run() -> float:
        u.x.array[:] = before.x.array[:] = 0.0
        for k in range(1, n_steps + 1):
            power.value = POWER[k]
            problem.solve()
            before.x.array[:] = u.x.array
        return float(dolfinx.fem.assemble_scalar(mean))

    return run


def scikit_fem(n: int) -> Callable[[], float]:
    """scikit-fem with SciPy's conjugate gradients and Jacobi, warm started."""
    import skfem
    from scipy.sparse import diags
    from scipy.sparse.linalg import cg
    from skfem.helpers import dot, grad

    x = np.linspace(0.0, 1.0, n + 1)
    basis = skfem.Basis(skfem.MeshHex.init_tensor(x, x, x), skfem.ElementHex1())
    M = skfem.BilinearForm(lambda u, v, w: u * v).assemble(basis)
    K = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v))).assemble(basis)
    K = K + 10.0 * skfem.BilinearForm(lambda u, v, w: u * v).assemble(basis.boundary())
    load = skfem.LinearForm(lambda v, w: v).assemble(basis)
    A = (M + STEP * K).tocsr()
    jacobi = diags(1.0 / A.diagonal())

    def run() -> float:
        u = np.zeros(A.shape[0])
        for k in range(1, N_STEPS + 1):
            u, info = cg(A, M @ u + STEP * POWER[k] * load, x0=u, rtol=1e-8, M=jacobi)
            assert info == 0
        return float(u @ load / load.sum())

    return run
