"""Tangents and adjoints of heat models are the derivatives of the run that they replay."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.simulation import complete_values
from tests.fem.gradients import check_gradients

STEEL = {"density": "7200 kg/m^3", "heat_capacity": "440.5 J/kg/K"}
TIMES = np.array([0.0, 5.0, 20.0, 33.3, 58.0, 75.0])


def heated_bar(conductivity: object, **more: object) -> fem.FieldModel:
    return fem.HeatConduction(
        mesh=fem.mesh.bar("50 mm", 10),
        materials={"bar": fem.Solid(conductivity=conductivity, **STEEL)},
        boundaries={
            "left": fem.Convection(pt.Parameter("film", "300 W/m^2/K"), pt.Signal("gas", "degC")),
            "right": [fem.Radiation(pt.Parameter("emissivity", "0.8"), "20 degC")],
        },
        sensors={
            "middle": fem.Point("20 mm"),
            "hottest": fem.Maximum("bar"),
            "mean": fem.Average("bar"),
            "flow": fem.HeatFlow("left"),
        },
        initial="20 degC",
        parameters=[pt.Parameter("k", "30 W/m/K")],
        stepping=fem.Adaptive("0.1 K"),
        **more,
    )


def heating(soak: pt.Setting, hold: pt.Setting) -> pt.Recipe:
    return pt.Recipe(
        [
            pt.Phase("heat", gas=pt.ramp("20 degC", soak), duration="20 s"),
            pt.Phase("soak", gas=soak, duration=hold),
            pt.Phase("cool", gas="20 degC", duration="30 s"),
        ]
    )


SOAK = pt.Setting("soak", "degC", bounds=(100, 900), value="400 degC")
HOLD = pt.Setting("hold", "s", bounds=(1, 100), value="40 s")


@pytest.mark.parametrize(
    "conductivity",
    [pt.Parameter("k", "30 W/m/K"), lambda T, k: k * (1 + (T - "273.15 K") * "1e-3 1/K")],
    ids=["constant", "of temperature"],
)
def test_gradients_across_a_ramp_a_jump_and_radiation(conductivity: object) -> None:
    """Parameters, the initial temperature and the level of a ramp: tangents, adjoint and differences agree."""
    names = ["film", "k", "emissivity", "initial.temperature", "soak"]
    check_gradients(heated_bar(conductivity), TIMES, heating(SOAK, HOLD), names)


def test_a_duration_that_is_a_setting_moves_the_phases_behind_it() -> None:
    """The steps of a stretch are stretched with it; the adjoint says that it has no such derivative."""
    model, recipe = heated_bar(lambda T, k: k), heating(SOAK, HOLD)
    check_gradients(model, TIMES, recipe, ["hold"], adjoint=False, tolerance=1e-5)
    with pytest.raises(pt.ModelError, match="hold"):
        model.pullback(TIMES, recipe, complete_values(model, recipe), ["hold"])[1](np.zeros((6, 7)))


def test_a_phase_that_ends_on_a_level_moves_its_end() -> None:
    """The end of the phase follows from its level by the implicit function theorem."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", gas=SOAK, until=pt.rises_to("middle", "60 degC"), at_most="200 s"),
            pt.Phase("cool", gas="20 degC", duration="30 s"),
        ]
    )
    # Near the level, where the phase ends at about 13 s, and behind it.
    check_gradients(
        heated_bar(lambda T, k: k), np.array([0.0, 5.0, 12.0, 25.0]), recipe, ["film", "soak"], adjoint=False,
        tolerance=2e-3,
    )  # fmt: skip


def test_time_is_differentiable_too() -> None:
    """dy/dt at samples inside a step is the slope of what is reported there."""
    model, recipe = heated_bar(lambda T, k: k), heating(SOAK, HOLD)
    v = complete_values(model, recipe)
    times = np.array([3.0, 11.0, 37.0, 69.0])
    held = model.replaying(np.array([80.0]), recipe, v)
    _, jacobian, _ = held.sensitivity(np.append(times, 80.0), recipe, v, ["time"])
    up, down = (held.trajectory(np.append(times + s, 80.0), recipe, v)[0][:-1] for s in (1e-3, -1e-3))
    slopes = (up - down) / 2e-3
    np.testing.assert_allclose(jacobian[:-1, 0, 0], slopes[:, 0], rtol=1e-5)


def curing(**more: object) -> fem.FieldModel:
    gas_constant = "8.314462618 J/mol/K"
    reactions = fem.Reactions(
        states={
            "cure": fem.Local(
                rate=lambda T, cure, A, E: A * pt.exp(-E / (T * gas_constant)) * (0.01 + cure) * (1 - cure)
            )
        },
        heat=lambda cure_rate, H: "1200 kg/m^3" * H * cure_rate,
        parameters=(pt.Parameter("A", "2e5 1/s"), pt.Parameter("E", "60 kJ/mol"), pt.Parameter("H", "1e5 J/kg")),
    )
    return fem.HeatConduction(
        mesh=fem.mesh.bar("20 mm", 8),
        materials={
            "bar": fem.Solid(
                conductivity=lambda cure: "0.2 W/m/K" * (1 + 0.5 * cure),
                density="1200 kg/m^3",
                heat_capacity=lambda cure: "1100 J/kg/K" * (1 - 0.2 * cure),
                reactions=reactions,
            )
        },
        boundaries={
            "left": fem.Temperature(pt.Signal("mold", "degC")),
            "right": fem.Convection(pt.Parameter("film", "20 W/m^2/K"), "20 degC"),
        },
        sensors={
            "middle": fem.Point("10 mm"),
            "cure_there": fem.Point("10 mm", of="cure"),
            "mean_cure": fem.Average("bar", of=lambda cure: cure),
            "release": fem.Integral("bar", of=lambda cure_rate: cure_rate, unit="1/s"),
        },
        initial="20 degC",
        stepping=fem.Adaptive("0.5 K"),
        **more,
    )


def test_gradients_with_a_reaction_and_a_prescribed_temperature() -> None:
    """Local states, their heat and their effect on properties: the implicit function theorem at every point."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", mold=pt.ramp("20 degC", "120 degC"), duration="600 s"),
            pt.Phase("soak", mold="120 degC", duration="3000 s"),
        ]
    )
    names = ["A", "E", "H", "film", "initial.temperature", "initial.cure"]
    values = {"initial.cure": 0.02}
    check_gradients(curing(), np.linspace(0.0, 3600.0, 7), recipe, names, values, part=2e-5)


def test_a_distribution_has_as_many_gradients_as_knots() -> None:
    """A source and a conductivity that vary along x: tangents, adjoint and differences agree."""
    heat = fem.Distribution("heat", "1e6 W/m^3", along="x", knots=(np.linspace(0.0, 50.0, 9), "mm"))
    k = fem.Distribution("conductivity", "30 W/m/K", along="x", knots=([0, 20, 50], "mm"))
    model = fem.HeatConduction(
        mesh=fem.mesh.bar("50 mm", 20),
        materials={"bar": fem.Solid(conductivity=k, **STEEL)},
        sources={"bar": fem.HeatSource(heat)},
        boundaries={"left": fem.Convection("500 W/m^2/K", "20 degC")},
        sensors={"middle": fem.Point("20 mm"), "end": fem.Point("50 mm")},
        stepping=fem.FixedSteps("5 s"),
    )
    assert heat.names[0] == "heat_1" and heat.names[-1] == "heat_9"
    check_gradients(model, np.array([0.0, 20.0, 50.0]), pt.Recipe.constant(), [*heat.names, *k.names], tolerance=1e-5)


def test_a_steady_model_has_gradients() -> None:
    """Radiation, a prescribed temperature that is a parameter, and the heat flow through it."""
    model = fem.HeatConduction(
        mesh=fem.mesh.bar("0.1 m", 10),
        materials={"bar": fem.Solid(conductivity=lambda T, k: k * (1 + (T - "300 K") * "5e-4 1/K"))},
        boundaries={
            "left": fem.Temperature(pt.Parameter("base", "1000 K")),
            "right": fem.Radiation(pt.Parameter("emissivity", "0.98"), "300 K"),
        },
        sensors={"end": fem.Point("0.1 m"), "flow": fem.HeatFlow("left")},
        parameters=[pt.Parameter("k", "55.6 W/m/K")],
        steady=True,
    )
    check_gradients(model, np.array([0.0]), pt.Recipe.constant(), ["base", "emissivity", "k"])


def test_an_unknown_name_is_refused() -> None:
    """A misspelt name gives the nearest right one."""
    model, recipe = heated_bar(lambda T, k: k), heating(SOAK, HOLD)
    v = complete_values(model, recipe)
    with pytest.raises(pt.UnknownNameError, match="film"):
        model.sensitivity(TIMES, recipe, v, ["fillm"])
    with pytest.raises(pt.UnknownNameError, match="emissivity"):
        model.pullback(TIMES, recipe, v, ["emisivity"])
