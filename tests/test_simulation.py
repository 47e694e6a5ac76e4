"""simulate(): what it takes, what it writes, what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import physics_twin as pt


def tank() -> pt.ProcessModel:
    m = pt.ProcessBuilder("tank", version="1.0")
    k, u = m.parameter("k", "0.1 1/min", bounds=("0.01 1/min", "1 1/min")), m.input("u", "kg/min")
    x = m.state("x", "kg", initial="1 kg")
    m.rate(x, u - k * x)
    m.output("x", x)
    return m.build()


def test_importing_loads_no_solver() -> None:
    """`import physics_twin` is quick because it loads neither CasADi nor DOLFINx nor SciPy nor pint nor matplotlib."""
    heavy = ("casadi", "dolfinx", "scipy", "pint", "matplotlib", "xarray", "pandas")
    code = f"import sys, physics_twin; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_loads_and_editors_know_it() -> None:
    """The lazy names and those declared for editors are the same."""
    import inspect

    source = inspect.getsource(sys.modules["physics_twin"])
    for name in pt.__all__:
        getattr(pt, name)
        if name not in ("__version__", "datasets"):
            assert f"{name} as {name}," in source, name


def test_the_mode_of_a_fit_with_estimated_noise_simulates_as_it_is() -> None:
    """A posterior also knows the noise of its channels; a simulation leaves that aside and nothing else."""
    recipe = pt.Recipe.constant(u="0.05 kg/min", duration="1 h")
    run = pt.simulate(tank(), [0, 1800], recipe, pt.Values({"k": 0.2 / 60, "noise.x": 0.1, "bias.x": 0.0}))
    assert run["x"].values[1] == pytest.approx(0.25 + 0.75 * np.exp(-6.0), rel=1e-6)
    with pytest.raises(pt.UnknownNameError, match="kk"):
        pt.simulate(tank(), [0.0], recipe, pt.Values({"kk": 1.0}))
    with pytest.raises(pt.RecipeError, match="one experiment"):
        pt.simulate(tank(), [0.0], recipe, pt.Values({"k@monday": 1.0}))


def test_no_number_in_the_file_of_a_run_is_without_its_unit(tmp_path) -> None:
    """Outputs, times, parameters and settings; and the file comes back equal."""
    flow = pt.Setting("flow", "kg/min", bounds=(0, 1), value=0.5)
    run = pt.simulate(tank(), [0, 60], pt.Recipe.constant(u=flow, duration="1 h"))
    run.save(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as data:
        numbers = [name for name in data.attrs if name.startswith("value.") and not name.endswith(".units")]
        assert {name: data.attrs[f"{name}.units"] for name in numbers} == {
            "value.flow": "kg/s",
            "value.initial.x": "kg",
            "value.k": "1/s",
        }
        assert data["x"].attrs["units"] == "kg" and data["time"].attrs["units"] == "s"
    back = pt.Run.load(tmp_path / "run.nc")
    xr.testing.assert_identical(back.dataset, run.dataset)
    np.testing.assert_array_equal(back.state, run.state)


def test_a_state_goes_with_its_own_time() -> None:
    """A state without times, or with times before its phase began, is refused."""
    recipe = pt.Recipe([pt.Phase("a", u="0 kg/min", duration="10 s"), pt.Phase("b", u="1 kg/min", duration="10 s")])
    state = pt.simulate(tank(), [0, 15], recipe).state
    with pytest.raises(pt.ShapeError, match="give times"):
        pt.simulate(tank(), None, recipe, state=state)
    with pytest.raises(pt.ShapeError, match="10 s or later"):
        pt.simulate(tank(), [0, 1], recipe, state=state)


@pytest.mark.parametrize("level", ["inf banana", "inf kg", "inf kg/min"])
def test_infinity_is_a_duration_at_most(level: str) -> None:
    """An input is finite and has its unit, whatever word it begins with."""
    with pytest.raises(pt.UnitError):
        pt.simulate(tank(), [0.0], pt.Recipe.constant(u=level, duration="1 h"))


def test_a_table_that_ends_before_its_phase_raises_unless_it_is_held() -> None:
    """Samples before the last row are given; behind it the input is not known."""
    short = pt.table([0, 10], [0, 1], "kg/min")
    recipe = pt.Recipe([pt.Phase("a", u=short, duration="20 s")])
    assert pt.simulate(tank(), [0, 10], recipe)["x"].shape == (2,)
    with pytest.raises(pt.RecipeError, match="ends after 10 s"):
        pt.simulate(tank(), [0, 15], recipe)
    columns = {"k": np.array([1e-3, 2e-3]), "initial.x": np.array([1.0, 1.0])}
    with pytest.raises(pt.RecipeError, match="hold_after"):
        tank().trajectories(np.array([0.0, 15.0]), recipe, columns)
    held = pt.Recipe([pt.Phase("a", u=pt.table([0, 10], [0, 1], "kg/min", hold_after=True), duration="20 s")])
    assert pt.simulate(tank(), [0, 15], held)["x"].shape == (2,)


def test_an_experiment_binds_its_initial_values_beside_those_of_its_recipe() -> None:
    """Naming one state does not free the others."""
    recipe = pt.Recipe.constant(u="0 kg/min", duration="1 h").replace(initial={"a": "9 kg", "c": "2 kg"})
    channel = pt.Channel("x", unit="kg", noise="0.1 kg")
    run = pt.Experiment.from_arrays("r", [0.0, 1.0], {"x": [1.0, 1.0]}, channels=[channel], recipe=recipe,
                                    initial={"a": "4 kg"})  # fmt: skip
    assert dict(run.recipe.initial) == {"a": "4 kg", "c": "2 kg"}
