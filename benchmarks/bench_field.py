"""Field models beside DOLFINx by hand and scikit-fem; the answers have to agree. PHYSICS_TWIN_BENCH_CUBE sets the
number of cells along an edge (32: 36k unknowns, 64: 275k)."""

import os
from pathlib import Path
from typing import Any

import cube_problem as cube
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.simulation import complete_values

N = int(os.environ.get("PHYSICS_TWIN_BENCH_CUBE", "32"))
N_NONLINEAR = 10  # steps
SHORT = cube.TIMES[N_NONLINEAR]


@pytest.fixture(scope="module")
def linear() -> Any:
    """The model with its values, once run: compiled and assembled."""
    model = cube.model(N)
    values = complete_values(model, cube.RECIPE)
    model.trajectory(cube.TIMES[-1:], cube.RECIPE, values)
    return model, values


@pytest.fixture(scope="module")
def answer() -> float:
    """The mean temperature after 100 steps, by the expert's way."""
    return cube.expert(N)()


LINEAR = pytest.mark.benchmark(group=f"linear heat, {(N + 1) ** 3} unknowns, 100 steps")


@LINEAR
def test_physics_twin(benchmark: Any, linear: Any, answer: float) -> None:
    model, values = linear
    outputs, _ = benchmark.pedantic(
        lambda: model.trajectory(cube.TIMES[-1:], cube.RECIPE, values), rounds=5, warmup_rounds=1
    )
    assert outputs[0, 0] - 273.15 == pytest.approx(answer, rel=1e-6)


@LINEAR
def test_dolfinx_expert(benchmark: Any, answer: float) -> None:
    run = cube.expert(N)
    assert benchmark.pedantic(run, rounds=5, warmup_rounds=1) == pytest.approx(answer, rel=1e-6)


@LINEAR
def test_dolfinx_tutorial(benchmark: Any, answer: float) -> None:
    run = cube.tutorial(N)
    assert benchmark.pedantic(run, rounds=2) == pytest.approx(answer, rel=1e-6)


@LINEAR
def test_scikit_fem_cg(benchmark: Any, answer: float) -> None:
    pytest.importorskip("skfem")
    run = cube.scikit_fem(N)
    assert benchmark.pedantic(run, rounds=2) == pytest.approx(answer, rel=1e-6)


NONLINEAR = pytest.mark.benchmark(group=f"k(T), {(N + 1) ** 3} unknowns, {N_NONLINEAR} steps")


@NONLINEAR
def test_physics_twin_nonlinear(benchmark: Any) -> None:
    model = cube.model(N, nonlinear=True)
    values = complete_values(model, cube.RECIPE)
    outputs, _ = benchmark.pedantic(
        lambda: model.trajectory(np.array([SHORT]), cube.RECIPE, values), rounds=3, warmup_rounds=1
    )
    assert outputs[0, 0] - 273.15 == pytest.approx(cube.nonlinear_problem(N, N_NONLINEAR)(), rel=1e-5)


@NONLINEAR
def test_dolfinx_nonlinear_problem(benchmark: Any) -> None:
    run = cube.nonlinear_problem(N, N_NONLINEAR)
    benchmark.pedantic(run, rounds=2, warmup_rounds=1)


DERIVATIVES = pytest.mark.benchmark(group=f"derivatives of 100 linear steps, {(N + 1) ** 3} unknowns")
NAMES = ["k", "film", "capacity", "strength"]


@DERIVATIVES
def test_physics_twin_forward_run(benchmark: Any, linear: Any) -> None:
    model, values = linear
    benchmark.pedantic(lambda: model.trajectory(cube.TIMES[-1:], cube.RECIPE, values), rounds=3, warmup_rounds=1)


@DERIVATIVES
def test_run_with_four_tangents(benchmark: Any, linear: Any) -> None:
    model, values = linear
    benchmark.pedantic(
        lambda: model.sensitivity(cube.TIMES[-1:], cube.RECIPE, values, NAMES), rounds=2, warmup_rounds=1
    )


@DERIVATIVES
def test_run_with_adjoint_gradient(benchmark: Any, linear: Any) -> None:
    model, values = linear
    times = cube.TIMES[10::10]
    weights = np.ones((times.size, len(model.outputs)))

    def run() -> Any:
        return model.pullback(times, cube.RECIPE, values, NAMES)[1](weights)

    benchmark.pedantic(run, rounds=2, warmup_rounds=1)


NONLINEAR_DERIVATIVES = pytest.mark.benchmark(group=f"derivatives of {N_NONLINEAR} steps with k(T)")


@pytest.fixture(scope="module")
def nonlinear() -> Any:
    """The model with k(T) and its values."""
    model = cube.model(N, nonlinear=True)
    return model, complete_values(model, cube.RECIPE)


@NONLINEAR_DERIVATIVES
def test_physics_twin_forward_run_nonlinear(benchmark: Any, nonlinear: Any) -> None:
    model, values = nonlinear
    benchmark.pedantic(lambda: model.trajectory(np.array([SHORT]), cube.RECIPE, values), rounds=3, warmup_rounds=1)


@NONLINEAR_DERIVATIVES
def test_nonlinear_run_with_four_tangents(benchmark: Any, nonlinear: Any) -> None:
    model, values = nonlinear
    benchmark.pedantic(
        lambda: model.sensitivity(np.array([SHORT]), cube.RECIPE, values, NAMES), rounds=2, warmup_rounds=1
    )


@NONLINEAR_DERIVATIVES
def test_nonlinear_run_with_adjoint_gradient(benchmark: Any, nonlinear: Any) -> None:
    model, values = nonlinear
    weights = np.ones((1, len(model.outputs)))

    def run() -> Any:
        return model.pullback(np.array([SHORT]), cube.RECIPE, values, NAMES)[1](weights)

    benchmark.pedantic(run, rounds=2, warmup_rounds=1)


@pytest.mark.benchmark(group="20,000 small steady solves in one process")
def test_small_solves_leave_nothing_behind(benchmark: Any) -> None:
    """Growth of the process per solve is in extra_info; it has to stay below 1 kB."""
    from physics_twin import fem

    model = fem.HeatConduction(
        mesh=fem.mesh.bar("50 mm", 10),
        materials={"bar": fem.Solid(conductivity="30 W/m/K")},
        boundaries={
            "left": fem.Convection(pt.Parameter("film", "300 W/m^2/K"), "400 degC"),
            "right": fem.Radiation(0.8, "20 degC"),
        },
        sensors={"middle": fem.Point("20 mm")},
        steady=True,
    )
    recipe = pt.Recipe.constant()
    values = complete_values(model, recipe)

    def solve(n: int) -> None:
        for k in range(n):
            model.trajectory(np.zeros(1), recipe, values.merge({"film": 300.0 + k % 7}))

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    solve(1000)
    before = resident()
    benchmark.pedantic(lambda: solve(20_000), rounds=1)
    benchmark.extra_info["units_of_work"] = 20_000
    growth = (resident() - before) / 20_000
    benchmark.extra_info["bytes_per_solve"] = growth
    assert growth < 1000
