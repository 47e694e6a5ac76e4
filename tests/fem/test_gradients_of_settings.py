"""Derivatives by settings of the recipe, at the start and across breakpoints that move; distributions in sensors."""

import numpy as np

import physics_twin as pt
from physics_twin import fem
from tests.fem.gradients import check_gradients

SOLID = fem.Solid(conductivity="40 W/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K")
TIMES = np.array([0.0, 5.3, 12.3, 20.0])
SOAK = pt.Setting("soak", "degC", bounds=(100, 900), value="400 degC")
HOLD = pt.Setting("hold", "s", bounds=(0, 100), value="8 s")
OVER = pt.Setting("over", "s", bounds=(1, 100), value="6 s")


def bar(**more: object) -> fem.FieldModel:
    said = {
        "mesh": fem.mesh.bar("0.1 m", 4),
        "materials": {"bar": SOLID},
        "boundaries": {
            "left": fem.Convection(pt.Parameter("film", "200 W/m^2/K"), pt.Signal("gas", "degC")),
            "right": fem.Convection("100 W/m^2/K", "20 degC"),
        },
        "sensors": {"mean": fem.Average("bar"), "flow": fem.HeatFlow("left"), "point": fem.Point("3 cm")},
        "stepping": fem.FixedSteps("1 s"),
    }
    return fem.HeatConduction(**(said | more))


def test_a_flow_at_the_start_depends_on_a_setting() -> None:
    """At 0 s the flow through a film is already that of the setting, for tangents and for the adjoint."""
    recipe = pt.Recipe([pt.Phase("soak", gas=SOAK, duration="20 s")])
    check_gradients(bar(), TIMES, recipe, ["soak", "film"])


def test_an_initial_field_that_an_input_gives() -> None:
    """A body that begins 10 K below the gas: its start moves with the setting of the gas."""
    recipe = pt.Recipe([pt.Phase("soak", gas=SOAK, duration="20 s")])
    check_gradients(bar(initial=lambda gas: gas - "10 K"), TIMES, recipe, ["soak", "film"])


def test_the_length_of_a_ramp_moves_its_corner() -> None:
    """The steps before and behind the corner are stretched with it."""
    recipe = pt.Recipe([pt.Phase("heat", gas=pt.ramp("20 degC", SOAK, over=OVER), duration="20 s")])
    check_gradients(bar(), TIMES, recipe, ["over", "soak"], adjoint=False)


def test_a_steady_model_follows_a_phase_that_begins_later() -> None:
    """Without a memory the ramp of the second phase still moves with the length of the first."""
    recipe = pt.Recipe(
        [
            pt.Phase("wait", gas="20 degC", duration=HOLD),
            pt.Phase("heat", gas=pt.ramp("20 degC", SOAK), duration="20 s"),
        ]
    )
    check_gradients(bar(steady=True), TIMES, recipe, ["hold", "soak", "film"], adjoint=False)


def test_a_steady_model_follows_a_phase_that_ends_on_a_level() -> None:
    """The end of the first phase depends on the film coefficient, and the second ramp begins there."""
    recipe = pt.Recipe(
        [
            pt.Phase(
                "to level",
                gas=pt.ramp("20 degC", "500 degC", over="20 s"),
                until=pt.rises_to("mean", "100 degC"),
                at_most="20 s",
            ),
            pt.Phase("heat", gas=pt.ramp("20 degC", SOAK), duration="20 s"),
        ]
    )
    check_gradients(bar(steady=True), TIMES, recipe, ["soak", "film"], adjoint=False)


def test_a_flow_through_a_distributed_film_coefficient() -> None:
    """The sensor holds the distribution itself: the adjoint has that part too."""
    film = fem.Distribution("film", "200 W/m^2/K", along="x", knots=([0, 50, 100], "mm"))
    model = bar(
        mesh=fem.mesh.plate(("0.1 m", "0.05 m"), cells=(4, 2)),
        materials={"body": SOLID},
        boundaries={"top": fem.Convection(film, "200 degC")},
        sensors={"flow": fem.HeatFlow("top"), "point": fem.Point("3 cm", "5 cm")},
    )
    check_gradients(model, TIMES, pt.Recipe.constant(), list(film.names))


def test_stresses_of_a_distributed_modulus() -> None:
    """A stress holds the modulus itself, at a point and where it is largest."""
    modulus = fem.Distribution("modulus", "200 GPa", along="x", knots=([0, 100], "mm"))
    model = fem.Elasticity(
        mesh=fem.mesh.plate(("0.1 m", "0.05 m"), cells=(4, 2)),
        materials={"body": fem.Solid(youngs_modulus=modulus, poissons_ratio=0.3)},
        boundaries={"left": fem.Clamped(), "right": fem.Displacement(x="0.1 mm")},
        kind=fem.PLANE_STRAIN,
        sensors={"stress": fem.Stress("3 cm", "2 cm", component="xx"), "largest": fem.LargestVonMises("body")},
        degree=1,
    )
    check_gradients(model, np.array([0.0]), pt.Recipe.constant(), list(modulus.names), tolerance=1e-5)
