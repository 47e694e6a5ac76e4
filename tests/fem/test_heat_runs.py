"""Runs of heat models through recipes: inputs over time, levels, splits, states, other processes, the contract."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.simulation import phase_times
from physics_twin.verification import check_model

AMBIENT = pt.Signal("ambient", "degC")
FLUX = pt.Signal("flux", "kW/m^2")
FILM = pt.Parameter("film_coefficient", "500 W/m^2/K", bounds=("100 W/m^2/K", "2 kW/m^2/K"))
STEEL = fem.Solid(
    conductivity=pt.Parameter("conductivity", "40 W/m/K"), density="7800 kg/m^3", heat_capacity="500 J/kg/K"
)


def slab(stepping=None, **changes):
    """50 mm of steel, convection on the left and an input flux on the right."""
    what = {
        "mesh": fem.mesh.bar("50 mm", 8),
        "materials": {"bar": STEEL},
        "boundaries": {"left": fem.Convection(FILM, AMBIENT), "right": fem.Flux(FLUX)},
        "sensors": {"surface": fem.Point("0 mm"), "core": fem.Point("50 mm"), "flow": fem.HeatFlow("left")},
        "stepping": stepping or fem.Adaptive("0.02 K"),
        **changes,
    }
    return fem.HeatConduction(**what)


def radiating(stepping=None):
    """The same with radiation and a conductivity of temperature: Newton's method at every step."""
    return slab(
        stepping,
        materials={"bar": STEEL.replace(conductivity=lambda T, conductivity: conductivity * (T / "300 K") ** 0.5)},
        boundaries={"left": [fem.Convection(FILM, AMBIENT), fem.Radiation(0.8, AMBIENT)], "right": fem.Flux(FLUX)},
        parameters=(pt.Parameter("conductivity", "40 W/m/K"),),
    )


def curing(stepping=None):
    """A slab that cures and warms itself."""
    resin = fem.Solid(
        conductivity="0.5 W/m/K",
        density="1200 kg/m^3",
        heat_capacity="1500 J/kg/K",
        reactions=fem.Reactions(
            {
                "cure": fem.Local(
                    rate=lambda T, cure, factor: factor * pt.exp("-60 kJ/mol" / ("8.314 J/mol/K" * T)) * (1.0 - cure),
                )
            },
            heat=lambda cure_rate: "50 MJ/m^3" * cure_rate,
        ),
    )
    return slab(
        stepping,
        materials={"bar": resin},
        sensors={"surface": fem.Point("0 mm"), "core": fem.Point("50 mm"), "cure": fem.Point("25 mm", of="cure")},
        parameters=(pt.Parameter("factor", "2e6 1/s"),),
    )


def melting(stepping=None):
    """A slab of wax through its melting range."""
    wax = fem.Solid(
        conductivity="0.5 W/m/K",
        density="900 kg/m^3",
        heat_capacity="2000 J/kg/K",
        latent_heat="200 kJ/kg",
        solidus="50 degC",
        liquidus="60 degC",
    )
    return slab(stepping, materials={"bar": wax})


MODELS = {"linear": slab, "radiating": radiating, "curing": curing, "melting": melting}
RECIPES = {
    "steps": pt.Recipe(
        [
            pt.Phase("heat", ambient="200 degC", flux="5 kW/m^2", duration="100 s"),
            pt.Phase("cool", ambient="20 degC", flux="0 W/m^2", duration="200 s"),
        ]
    ),
    "ramp": pt.Recipe(
        [
            pt.Phase("up", ambient=pt.ramp("20 degC", "200 degC", over="80 s"), flux="0 W/m^2", duration="150 s"),
            pt.Phase("down", ambient=pt.ramp("200 degC", "20 degC"), duration="150 s"),
        ]
    ),
    "table": pt.Recipe(
        [
            pt.Phase(
                "given",
                ambient=pt.table(([0.0, 60.0, 90.0, 300.0], "s"), [20.0, 180.0, 120.0, 60.0], "degC"),
                flux=pt.table(([0.0, 100.0, 200.0], "s"), [0.0, 5.0, 0.0], "kW/m^2", pt.HOLD, hold_after=True),
                duration="300 s",
            )
        ]
    ),
    "until": pt.Recipe(
        [
            pt.Phase(
                "heat", ambient="200 degC", flux="5 kW/m^2", until=pt.reaches("surface", "60 degC"), at_most="1 h"
            ),
            pt.Phase("cool", ambient="20 degC", flux="0 W/m^2", duration="100 s"),
        ],
        hold_end=True,
    ),
}
TIMES = np.array([0.0, 37.0, 100.0, 163.0, 250.0, 300.0])


def loose(recipe):
    """Times within every recipe."""
    return TIMES if recipe != "until" else np.array([0.0, 11.0, 60.0, 90.0])


# -- inputs over time ---------------------------------------------------------------------------------------------


def lumped():
    """A thin sheet that has one temperature: tau = rho c L / h = 1e6 * 1 mm / 100 = 10 s."""
    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 mm", 1),
        materials={"bar": fem.Solid(conductivity="1 MW/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K")},
        boundaries={"left": fem.Convection("100 W/m^2/K", AMBIENT)},
        sensors={"mean": fem.Average("bar")},
        stepping=fem.Adaptive("1e-4 K"),
    )


def relaxed(start, pieces, tau=10.0):
    """The exact temperature at the end of pieces (duration, ambient at its start, slope of ambient)."""
    found = []
    for duration, ambient, slope in pieces:
        # T = ambient(t) - slope tau + C exp(-t / tau)
        c = start - ambient + slope * tau
        start = ambient + slope * duration - slope * tau + c * np.exp(-duration / tau)
        found.append(start)
    return np.array(found)


def test_steps_of_an_input():
    """Ambient up and down again: two exponentials, the corner met exactly."""
    recipe = pt.Recipe(
        [pt.Phase("a", ambient="120 degC", duration="7 s"), pt.Phase("b", ambient="20 degC", duration="13 s")]
    )
    run = pt.simulate(lumped(), [7.0, 20.0], recipe)
    np.testing.assert_allclose(run.in_units()["mean"], relaxed(20.0, [(7.0, 120.0, 0.0), (13.0, 20.0, 0.0)]), atol=2e-3)


def test_ramps_of_an_input():
    """A ramp that ends inside its phase, held after it."""
    phase = pt.Phase("a", ambient=pt.ramp("20 degC", "120 degC", over="8 s"), duration="20 s")
    run = pt.simulate(lumped(), [8.0, 20.0], pt.Recipe([phase]))
    np.testing.assert_allclose(
        run.in_units()["mean"], relaxed(20.0, [(8.0, 20.0, 12.5), (12.0, 120.0, 0.0)]), atol=2e-3
    )


def test_tables_of_an_input():
    """Straight lines between rows, and rows that hold; a value of the table at every corner."""
    for rule, slopes in ((pt.RAMP, (25.0, -10.0)), (pt.HOLD, (0.0, 0.0))):
        table = pt.table(([0.0, 4.0, 14.0], "s"), [20.0, 120.0, 20.0], "degC", rule)
        recipe = pt.Recipe([pt.Phase("a", ambient=table, duration="14 s")])
        run = pt.simulate(lumped(), [4.0, 14.0], recipe)
        exact = relaxed(20.0, [(4.0, 20.0, slopes[0]), (10.0, 120.0, slopes[1])])
        np.testing.assert_allclose(run.in_units()["mean"], exact, atol=2e-3)


def test_a_phase_ends_when_a_sensor_crosses():
    """120 degC outside until 70 degC: 10 s ln 2; the energy balance holds up to there and beyond."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", ambient="120 degC", until=pt.rises_to("mean", "70 degC"), at_most="1 min"),
            pt.Phase("cool", ambient="20 degC", until=pt.falls_to("mean", "45 degC"), at_most="1 min"),
        ]
    )
    model = lumped()
    ends = phase_times(model, recipe, model.parameters.values())
    np.testing.assert_allclose(ends, [0.0, 10.0 * np.log(2.0), 20.0 * np.log(2.0)], atol=1e-3)
    run = pt.simulate(model, [3.0, ends[1], 10.0, ends[2]], recipe)
    np.testing.assert_allclose(run.in_units()["mean"][[1, 3]], [70.0, 45.0], atol=1e-4)
    assert float(np.abs(run["energy_imbalance"]).max()) < 1e-9 * 1e6 * 0.05


def test_a_level_that_is_not_reached_is_an_error():
    """The sheet never gets warmer than its ambient."""
    recipe = pt.Recipe([pt.Phase("heat", ambient="60 degC", until=pt.rises_to("mean", "70 degC"), at_most="2 min")])
    with pytest.raises(pt.SolveError, match='"heat" did not reach its level'):
        phase_times(lumped(), recipe, lumped().parameters.values())


def test_an_initial_value_may_come_from_the_recipe():
    """`initial=` of a recipe goes before the model's own start."""
    recipe = pt.Recipe([pt.Phase("a", ambient="20 degC", duration="10 s")], initial={"temperature": "120 degC"})
    run = pt.simulate(lumped(), [0.0, 10.0], recipe)
    np.testing.assert_allclose(run.in_units()["mean"], [120.0, 20.0 + 100.0 * np.exp(-1.0)], atol=2e-3)


# -- splits, states, bits -----------------------------------------------------------------------------------------


ROWS = [("linear", recipe) for recipe in RECIPES] + [("radiating", "until"), ("curing", "steps"), ("melting", "ramp")]


@pytest.mark.parametrize(("name", "recipe"), ROWS)
def test_advance_in_two_parts_is_advance(name, recipe):
    """Split inside steps and at the ends of phases; steps that end elsewhere differ by their tolerance."""
    model, times = MODELS[name](), loose(recipe)
    recipe = RECIPES[recipe]
    values = model.parameters.values()
    start = model.initial_state(0.0, recipe, values)
    end = float(times[-1])
    whole = model.observe(model.advance(start, 0.0, end, recipe, values), end, recipe, values)
    for split in times[1:-1:2].tolist():
        half = model.advance(start, 0.0, split, recipe, values)
        parts = model.observe(model.advance(half, split, end, recipe, values), end, recipe, values)
        assert abs(parts[0] - whole[0]) < 0.2  # ten steps' tolerance
        assert abs(parts[1] - whole[1]) < 0.2
        np.testing.assert_allclose(parts[2:], whole[2:], rtol=1e-2, atol=1e-2 * np.abs(whole[-3:]).max())


@pytest.mark.parametrize("name", MODELS)
def test_fixed_steps_split_at_their_ends_give_the_same(name):
    """Equal steps of 5 s: split at a multiple of it, nothing but rounding may differ."""
    model, recipe = MODELS[name](fem.FixedSteps("5 s")), RECIPES["ramp"]
    values = model.parameters.values()
    start = model.initial_state(0.0, recipe, values)
    whole = model.advance(start, 0.0, 200.0, recipe, values)
    half = model.advance(start, 0.0, 35.0, recipe, values)
    np.testing.assert_allclose(model.advance(half, 35.0, 200.0, recipe, values), whole, rtol=2e-9, atol=1e-3)


@pytest.mark.parametrize(("name", "recipe"), ROWS)
def test_asking_twice_gives_the_same_bits(name, recipe):
    """A, B, A: factors, loads and guesses of another run leave no trace."""
    model, times = MODELS[name](), loose(recipe)
    recipe = RECIPES[recipe]
    values = model.parameters.values()
    first, state = model.trajectory(times, recipe, values)
    model.trajectory(times[:-1], recipe, {key: 1.03 * value for key, value in values.items()})
    again, state_again = model.trajectory(times, recipe, values)
    assert first.tobytes() == again.tobytes()
    assert state.tobytes() == state_again.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_a_run_goes_on_from_its_state(name):
    """simulate(..., state=run.end_state) continues; energies are counted from the first start."""
    model, recipe = MODELS[name](), RECIPES["table"]
    values = model.parameters.values()
    outputs, _ = model.trajectory(TIMES, recipe, values)
    before, middle = model.trajectory(TIMES[:4], recipe, values)
    rest, _ = model.trajectory(TIMES[3:], recipe, values, middle)
    np.testing.assert_array_equal(rest[0], before[3])
    scale = np.maximum(np.abs(outputs).max(axis=0), 1.0)
    np.testing.assert_allclose(rest / scale, outputs[3:] / scale, atol=2e-3)
    kept = middle.copy()
    model.advance(middle, float(TIMES[3]), float(TIMES[4]), recipe, values)
    np.testing.assert_array_equal(middle, kept)


def test_outputs_do_not_depend_on_where_they_are_asked_for():
    """More output times, the same steps: what is common is the same."""
    model, recipe = slab(), RECIPES["steps"]
    values = model.parameters.values()
    few, _ = model.trajectory(TIMES, recipe, values)
    many, _ = model.trajectory(np.linspace(0.0, 300.0, 301), recipe, values)
    np.testing.assert_allclose(many[[0, 37, 100, 163, 250, 300]], few, rtol=1e-12, atol=1e-6)


def test_error_control_is_the_users_tolerance():
    """Adaptive steps agree with fine fixed ones to a few times the tolerance, through corners of the recipe."""
    recipe, times = RECIPES["ramp"], TIMES
    fine = pt.simulate(slab(fem.FixedSteps("0.2 s")), times, recipe)
    for tolerance in (0.1, 0.01):
        run = pt.simulate(slab(fem.Adaptive(f"{tolerance} K")), times, recipe)
        for name in ("surface", "core"):
            assert float(np.abs(run[name] - fine[name]).max()) < 10.0 * tolerance


# -- other processes ----------------------------------------------------------------------------------------------


def _outputs(model, recipe, times):
    return model.trajectory(times, recipe, model.parameters.values())[0]


def test_a_worker_process_gives_the_same_bits(spawned):
    """Models hold functions and native objects; what travels is the description, also of lambdas."""
    for make in (radiating, curing):
        model = make()
        there = spawned.submit(_outputs, model, RECIPES["steps"], TIMES).result(timeout=120)
        assert there.tobytes() == _outputs(model, RECIPES["steps"], TIMES).tobytes()


# -- the contract -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "radiating"])
def test_models_keep_the_contract(name, spawned):
    """Every clause of `check_model`, derivatives included."""
    # Steps of 0.02 K; energies that come and go are small differences of large flows.
    assert check_model(MODELS[name](), recipe=RECIPES["ramp"], accuracy=1e-3, executor=spawned).passed
