"""Many small solves in one process: nothing of DOLFINx, PETSc or MPI is left behind."""

import gc
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.errors import ModelError
from physics_twin.fem._dolfinx import MPI
from physics_twin.simulation import complete_values

_STATM = Path("/proc/self/statm")

pytestmark = pytest.mark.skipif(not _STATM.exists(), reason="resident memory is read from /proc")


def resident() -> int:
    """Bytes."""
    return int(_STATM.read_text().split()[1]) * 4096


@pytest.mark.parametrize("solver", [None, fem.Iterative()], ids=["direct", "iterative"])
def test_solves_and_tangents_leave_nothing_behind(solver: object) -> None:
    """After warm-up a solve may grow the process by less than 1 kB; 20,000 of them are in benchmarks/."""
    model = fem.HeatConduction(
        mesh=fem.mesh.bar("50 mm", 10),
        materials={"bar": fem.Solid(conductivity="30 W/m/K")},
        boundaries={
            "left": fem.Convection(pt.Parameter("film", "300 W/m^2/K"), "400 degC"),
            "right": fem.Radiation(0.8, "20 degC") if solver is None else fem.Convection("20 W/m^2/K", "20 degC"),
        },
        sensors={"middle": fem.Point("20 mm"), "flow": fem.HeatFlow("left")},
        steady=True,
        solver=solver,
    )
    recipe = pt.Recipe.constant()
    values = complete_values(model, recipe)

    def solve(n: int) -> None:
        for k in range(n):
            at = values.merge({"film": 300.0 + k % 7})
            model.trajectory([0.0], recipe, at)
            model.sensitivity([0.0], recipe, at, ["film"])

    n = 400
    solve(n)
    gc.collect()
    before = resident()
    solve(n)
    gc.collect()
    assert (resident() - before) / n < 1000


def test_threads_wait_for_one_another() -> None:
    """Runs of one model with different values in four threads give what they give one after the other."""
    from concurrent.futures import ThreadPoolExecutor

    model = fem.HeatConduction(
        mesh=fem.mesh.bar("50 mm", 10),
        materials={"bar": fem.Solid(conductivity="30 W/m/K", density="7850 kg/m^3", heat_capacity="470 J/kg/K")},
        boundaries={"left": fem.Convection(pt.Parameter("film", "300 W/m^2/K"), "400 degC")},
        sensors={"middle": fem.Point("20 mm")},
    )
    recipe = pt.Recipe.constant()
    values = complete_values(model, recipe)

    def run(film: float) -> list[float]:
        return model.trajectory([10.0, 100.0], recipe, values.merge({"film": film}))[0].ravel().tolist()

    films = [100.0 + 10.0 * k for k in range(24)]
    alone = [run(film) for film in films]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, films)) == alone


def communicators() -> "list[MPI.Comm]":
    """All that MPI has left, taken."""
    held: list[MPI.Comm] = []
    try:
        while True:
            held.append(MPI.COMM_WORLD.Dup())
    except MPI.Exception:
        return held


def n_left() -> int:
    """How many communicators MPI has left."""
    held = communicators()
    for one in held:
        one.Free()
    return len(held)


def bar() -> fem.FieldModel:
    """A model that is quick to build and has all that a transient one has."""
    return fem.HeatConduction(
        mesh=fem.mesh.bar("50 mm", 6),
        materials={"bar": fem.Solid(conductivity="30 W/m/K", density="7850 kg/m^3", heat_capacity="500 J/kg/K")},
        boundaries={"left": fem.Convection(pt.Parameter("film", "300 W/m^2/K"), "400 degC")},
        initial="20 degC",
        sensors={"middle": fem.Point("20 mm")},
    )


def test_a_model_that_goes_leaves_no_communicator_behind() -> None:
    """MPI has about 2000 of them for a process; a service that builds models day and night must not use them up."""
    left = []
    for _ in range(4):
        pt.simulate(bar(), [10.0, 20.0])
        gc.collect()
        left.append(n_left())
    assert left[1:] == left[:1] * 3


def test_without_communicators_a_model_is_refused_and_the_process_lives() -> None:
    """The direct solver would write where it should not; the message says what to do."""
    held = communicators()
    try:
        with pytest.raises(ModelError, match="too many field models are alive"):
            bar()
    finally:
        for one in held:
            one.Free()
    assert pt.simulate(bar(), [10.0])["middle"].size == 1
