"""What is wrong with a heat model is said where it is written, and a run that cannot be is a SolveError."""

import dataclasses
import math

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem

STEEL = fem.Solid(conductivity="40 W/m/K", density="7800 kg/m^3", heat_capacity="500 J/kg/K")


def bar(**changes):
    """A complete model of a bar of 0.1 m; `changes` break it."""
    what = {
        "mesh": fem.mesh.bar("0.1 m", 4),
        "materials": {"bar": STEEL},
        "boundaries": {"left": fem.Convection("500 W/m^2/K", "200 degC")},
        "sensors": {"core": fem.Point("50 mm")},
        **changes,
    }
    return fem.HeatConduction(**what)


def reacting(rate=lambda a: "-0.1 1/s" * a, *, name="a", heat=None, **changes):
    reactions = fem.Reactions({name: fem.Local(rate=rate, initial=1.0)}, heat=heat)
    return bar(materials={"bar": STEEL.replace(reactions=reactions)}, **changes)


def two_layers(**changes):
    return bar(mesh=fem.mesh.bar(["5 cm", "5 cm"], cells=[2, 2], regions=["bar", "rest"]), **changes)


# -- units ----------------------------------------------------------------------------------------------------------

WRONG_UNITS = {
    "conductivity": (lambda: {"materials": {"bar": STEEL.replace(conductivity=lambda T: T)}}, "bar.*conductivity"),
    "density": (lambda: {"materials": {"bar": STEEL.replace(density=lambda T: T)}}, "bar.*density"),
    "heat_capacity": (lambda: {"materials": {"bar": STEEL.replace(heat_capacity=lambda T: T)}}, "bar.*heat capacity"),
    "temperature": (lambda: {"boundaries": {"left": fem.Temperature("3 W")}}, 'temperature of boundary "left"'),
    "flux": (lambda: {"boundaries": {"left": fem.Flux("3 W")}}, 'boundary "left": flux'),
    "flux_function": (lambda: {"boundaries": {"left": fem.Flux(lambda T: T)}}, 'boundary "left": flux'),
    "film": (lambda: {"boundaries": {"left": fem.Convection("5 W/m/K", "1 K")}}, '"left": film coefficient'),
    "ambient": (lambda: {"boundaries": {"left": fem.Convection("5 W/m^2/K", "1 W")}}, '"left": ambient'),
    "emissivity": (lambda: {"boundaries": {"left": fem.Radiation("1 K", "1 K")}}, '"left": emissivity'),
    "surroundings": (lambda: {"boundaries": {"left": fem.Radiation(0.8, "1 m")}}, '"left": surroundings'),
    "source": (lambda: {"sources": {"bar": fem.HeatSource("3 W/m^2")}}, "bar.*heat source"),
    "absorbed_flux": (lambda: {"sources": {"bar": fem.Absorbed("3 W", "1 1/m", "left")}}, "bar.*absorbed flux"),
    "absorption": (lambda: {"sources": {"bar": fem.Absorbed("3 W/m^2", "1 m", "left")}}, "bar.*absorption"),
    "initial": (lambda: {"initial": lambda x: x}, "initial temperature"),
    "velocity": (lambda: {"velocity": {"bar": ("1 m",)}}, "bar.*velocity"),
    "sensor_place": (lambda: {"sensors": {"core": fem.Point("1 s")}}, 'sensor "core": x'),
    "sensor_quantity": (
        lambda: {"sensors": {"core": fem.Average("bar", of=lambda T: T**2, unit="K")}},
        'sensor "core"',
    ),
    "parameter": (
        lambda: {"boundaries": {"left": fem.Flux(pt.Parameter("flux", "3 kW"))}},
        'boundary "left": flux',
    ),
    "signal": (lambda: {"boundaries": {"left": fem.Flux(pt.Signal("flux", "kW"))}}, 'boundary "left": flux'),
    "inside_a_function": (
        lambda: {"boundaries": {"left": fem.Flux(lambda T: "3 W/m^2" + T)}},
        'boundary "left": flux: cannot add',
    ),
    "bare_number": (lambda: {"boundaries": {"left": fem.Flux(3.0)}}, 'boundary "left": flux.*has no unit'),
}


@pytest.mark.parametrize("name", WRONG_UNITS)
def test_a_wrong_unit_names_its_place(name):
    """Region or boundary, and which quantity of it."""
    changes, match = WRONG_UNITS[name]
    with pytest.raises(pt.UnitError, match=match):
        bar(**changes())


def test_wrong_units_of_a_reaction_name_their_place():
    """The rate of a local state, its start, the heat of reaction."""
    with pytest.raises(pt.UnitError, match="rate of a"):
        reacting(lambda a: a)
    with pytest.raises(pt.UnitError, match="heat of reaction"):
        reacting(heat=lambda a_rate: "3 J/kg" * a_rate)
    with pytest.raises(pt.UnitError, match=r"initial.a"):
        bar(
            materials={
                "bar": STEEL.replace(
                    reactions=fem.Reactions({"a": fem.Local(rate=lambda a: "-1 1/s" * a, initial="3 K")})
                )
            }
        )


def test_wrong_units_of_values_and_steps():
    """At the start of a run, and of the tolerance of the steps."""
    with pytest.raises(pt.UnitError, match=r"initial\.temperature"):
        pt.simulate(bar(), [1.0], values={"initial.temperature": "3 W"})
    with pytest.raises(pt.UnitError, match="tolerance"):
        pt.simulate(bar(stepping=fem.Adaptive("0.05 s")), [1.0])
    with pytest.raises(pt.UnitError, match="step"):
        bar(stepping=fem.FixedSteps("1 K"))


# -- names and parts ------------------------------------------------------------------------------------------------

UNKNOWN = {
    "boundary": (lambda: bar(boundaries={"lft": fem.Flux("1 W/m^2")}), 'boundary.*"lft".*left'),
    "region_of_material": (lambda: bar(materials={"bat": STEEL}), 'region.*"bat".*bar'),
    "region_of_source": (lambda: bar(sources={"bat": fem.HeatSource("1 W/m^3")}), 'region.*"bat".*bar'),
    "region_of_velocity": (lambda: bar(velocity={"bat": ("1 m/s",)}), 'region.*"bat".*bar'),
    "part_of_sensor": (lambda: bar(sensors={"mean": fem.Average("bat")}), '"bat".*bar'),
    "boundary_of_flow": (lambda: bar(sensors={"flow": fem.HeatFlow("lft")}), 'boundary.*"lft".*left'),
    "argument": (lambda: bar(boundaries={"left": fem.Flux(lambda U: "1 W/m^2/K" * U)}), '"left": flux.*"U"'),
    "boundary_of_absorption": (
        lambda: bar(sources={"bar": fem.Absorbed("1 W/m^2", "1 1/m", "lft")}),
        'boundary.*"lft".*left',
    ),
    "local_state": (lambda: reacting(sensors={"b": fem.Point("5 cm", of="b")}), 'local state.*"b".*a'),
    "value": (lambda: pt.simulate(bar(), [1.0], values={"film": "1 W/m^2/K"}), '"film"'),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_said_with_those_that_exist(name):
    """Boundary, region, argument of a function, local state, value."""
    make, match = UNKNOWN[name]
    with pytest.raises(pt.UnknownNameError, match=match):
        make()


BROKEN = {
    "cells_without_material": (two_layers, "2 cells have no material; give materials for rest"),
    "overlap": (
        lambda: bar(
            mesh=dataclasses.replace(fem.mesh.bar("0.1 m", 4), regions={"bar": np.arange(4), "part": np.arange(2)}),
            materials={"bar": STEEL, "part": STEEL},
        ),
        "2 cells are in several regions at once",
    ),
    "material_that_is_none": (lambda: bar(materials={"bar": "steel"}), 'material of "bar" is a fem.Solid'),
    "missing_property": (lambda: bar(materials={"bar": fem.Solid(conductivity="1 W/m/K")}), "no density.*bar"),
    "no_sensor": (lambda: bar(sensors={}), "has no sensor"),
    "sensor_outside": (lambda: bar(sensors={"core": fem.Point("0.13 m")}), '"core" at x = 0.13 m lies 0.03 m outside'),
    "sensor_before": (lambda: bar(sensors={"core": fem.Point("-1 mm")}), "lies 0.001 m outside"),
    "sensor_dimension": (lambda: bar(sensors={"core": fem.Point("1 cm", "1 cm")}), "2 coordinates are given"),
    "sensor_name": (lambda: bar(sensors={"the core": fem.Point("1 cm")}), "identifier"),
    "no_sensor_at_all": (lambda: bar(sensors={"core": "1 cm"}), "is no sensor"),
    "flow_of_insulated": (lambda: bar(sensors={"flow": fem.HeatFlow("right")}), "insulated"),
    "state_name_T": (lambda: reacting(lambda T: "-0.1 1/s", name="T"), '"T" has the name of something else'),
    "state_name_x": (lambda: reacting(lambda x: "-0.1 1/s", name="x"), '"x" has the name of something else'),
    "state_name_of_parameter": (
        lambda: reacting(lambda k: -k, name="k", parameters=(pt.Parameter("k", "1 1/s"),)),
        '"k" has the name of something else',
    ),
    "two_reactions": (
        lambda: two_layers(
            materials={
                name: STEEL.replace(reactions=fem.Reactions({"a": fem.Local(rate=lambda a: "1 1/s" * a)}))
                for name in ("bar", "rest")
            }
        ),
        "two sets of reactions",
    ),
    "steady_reaction": (lambda: reacting(steady=True), "steady model has no reactions"),
    "degree": (lambda: bar(degree=3), "degree = 3"),
    "parameter_and_input": (
        lambda: bar(boundaries={"left": fem.Convection(pt.Parameter("h", "1 W/m^2/K"), pt.Signal("h", "degC"))}),
        '"h" is declared as a parameter and as an input',
    ),
    "two_declarations": (
        lambda: bar(
            boundaries={
                "left": fem.Flux(pt.Parameter("q", "1 W/m^2")),
                "right": fem.Flux(pt.Parameter("q", "2 W/m^2")),
            }
        ),
        '"q" is declared twice and differently',
    ),
    "goldak_in_1d": (
        lambda: bar(sources={"bar": fem.Goldak("1 kW", "1 mm", "1 mm", "1 mm", "1 mm", x="1 cm")}),
        "3-D",
    ),
    "three_conductivities": (
        lambda: bar(materials={"bar": STEEL.replace(conductivity=("1 W/m/K", "2 W/m/K"))}),
        "2 conductivities in 1 dimensions",
    ),
    "velocity_components": (lambda: bar(velocity={"bar": ("1 m/s", "1 m/s")}), "2 components in 1 dimensions"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_description_fails_where_it_is_written(name):
    """When the model is made, not when it is run, and with the place."""
    make, match = BROKEN[name]
    with pytest.raises(pt.ModelError, match=match):
        make()


def test_a_prescribed_temperature_does_not_depend_on_the_temperature():
    """It would be an equation, not a condition; the message names the boundary and the T that it may not use."""
    with pytest.raises(pt.UnknownNameError, match=r'temperature of boundary "left".*"T"'):
        bar(boundaries={"left": fem.Temperature(lambda T: T)})


def test_a_sensor_outside_says_by_how_much_in_every_dimension():
    """Beside a corner the distance is along the diagonal; in a hole it is that to its edge."""
    plate = fem.mesh.plate(("0.3 m", "0.4 m"), cells=(2, 2))
    with pytest.raises(
        pt.ModelError, match=r"lies 0\.05 m outside the body \(x from 0 to 0\.3 m, y from 0 to 0\.4 m\)"
    ):
        bar(mesh=plate, materials={"body": STEEL}, sensors={"p": fem.Point("0.33 m", "0.44 m")})
    tube = fem.mesh.hollow_cylinder("0.1 m", "0.2 m", "0.1 m", cells=(2, 2), axisymmetric=True)
    with pytest.raises(pt.ModelError, match=r"r = 0\.04 m.* lies 0\.06 m outside"):
        bar(mesh=tube, materials={"body": STEEL}, boundaries={}, sensors={"p": fem.Point("4 cm", "5 cm")})


# -- bad numbers ----------------------------------------------------------------------------------------------------


def test_signs_are_checked_when_a_material_is_made():
    """A negative conductivity, a density of zero."""
    with pytest.raises(pt.BoundsError, match="conductivity = -40"):
        fem.Solid(conductivity="-40 W/m/K")
    with pytest.raises(pt.BoundsError, match="density"):
        fem.Solid(density="0 kg/m^3")


def conducting(**changes):
    return bar(materials={"bar": STEEL.replace(conductivity=pt.Parameter("conductivity", "40 W/m/K"))}, **changes)


@pytest.mark.parametrize("steady", [False, True])
def test_a_conductivity_that_becomes_negative_in_a_run_is_an_error(steady):
    """As a parameter's value: no result comes back, and the message names the conductivity."""
    model = conducting(steady=steady)
    with pytest.raises((pt.SolveError, pt.BoundsError), match="conductivity"):
        pt.simulate(model, [10.0], values={"conductivity": "-40 W/m/K"})
    # And the model is still good.
    assert np.isfinite(float(pt.simulate(model, [10.0])["core"][0]))


def test_a_conductivity_of_temperature_that_becomes_negative_is_an_error():
    """1 % per K less: it would be negative from 120 degC on, which the bar reaches."""
    falling = STEEL.replace(conductivity=lambda T: "40 W/m/K" * (1.0 - "0.01 1/K" * (T - "293.15 K")))
    with pytest.raises((pt.SolveError, pt.BoundsError), match="conductivity"):
        pt.simulate(bar(materials={"bar": falling}), [1e4])


@pytest.mark.parametrize("name", ["conductivity", "initial.temperature"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_a_solve_error(name, number):
    """Where values come from a sampler they may be anything; the name is said."""
    model = conducting()
    recipe = pt.Recipe.constant()
    values = dict(model.parameters.values()) | {name: number}
    with pytest.raises(pt.SolveError, match=f'"{name}" is not a finite number'):
        model.trajectory(np.array([10.0]), recipe, values)


def test_a_source_without_bounds_is_a_solve_error():
    """A source that grows with the square of the temperature runs away in finite time."""
    model = bar(
        sources={"bar": fem.HeatSource(lambda T: "1 kW/m^3/K^2" * (T - "273.15 K") ** 2)},
        boundaries={},
        initial="100 degC",
        stepping=fem.FixedSteps("0.1 s"),
    )
    with pytest.raises(pt.SolveError) as raised:
        pt.simulate(model, [100.0])
    # dT/dt = 1e3 / 3.9e6 T^2 from 100: it ends at 39 s.
    assert raised.value.time == pytest.approx(39.0, abs=1.0)


def test_an_insulated_steady_body_is_an_error():
    """Nothing says how warm it is: the equations are singular, and no number comes back."""
    with pytest.raises((pt.SolveError, pt.ModelError)):
        pt.simulate(bar(boundaries={"left": fem.Flux("1 W/m^2")}, steady=True), [0.0])


def test_a_state_of_another_model_is_refused():
    """By its length."""
    model = bar()
    with pytest.raises(pt.ShapeError, match="state"):
        model.advance(np.zeros(3), 0.0, 1.0, pt.Recipe.constant(), model.parameters.values())


def test_temperatures_outside_the_table_of_a_material_are_an_error():
    """A table that is no declared hold: a run that leaves it says so, with the material's range."""
    table = fem.Tabulated(([0.0, 100.0], "degC"), ([40.0, 45.0], "W/m/K"))
    model = bar(materials={"bar": STEEL.replace(conductivity=table)}, initial="20 degC")
    assert np.isfinite(float(pt.simulate(model, [1.0])["core"][0]))
    with pytest.raises((pt.SolveError, pt.BoundsError), match="100 degC"):
        pt.simulate(model, [1e4])
    held = bar(materials={"bar": STEEL.replace(conductivity=table.with_outside(fem.Outside.HOLD))})
    assert float(pt.simulate(held, [1e4]).in_units()["core"][0]) == pytest.approx(200.0, abs=1.0)


MISTAKEN_CONDITIONS = {
    "text": (lambda: {"boundaries": {"left": "25 degC"}}, "none of Temperature, Flux"),
    "mechanical": (lambda: {"boundaries": {"left": fem.Clamped()}}, "none of Temperature, Flux"),
    "source": (lambda: {"sources": {"bar": "5 W/m^3"}}, "none of HeatSource"),
    "held_and_heated": (
        lambda: {"boundaries": {"left": [fem.Temperature("0 degC"), fem.Flux("1 W/m^2")]}},
        "nothing else",
    ),
    "balance": (lambda: {"sensors": {"stored_energy": fem.Point("5 cm")}}, "rename it"),
    "clash": (
        lambda: {
            "sensors": {"film": fem.Point("5 cm")},
            "boundaries": {"left": fem.Convection(pt.Parameter("film", "5 W/m^2/K"), "1 degC")},
        },
        "a sensor and a parameter",
    ),
    "steps": (lambda: {"stepping": "0.05 K"}, "fem.Adaptive"),
    "spot_nowhere": (lambda: {"boundaries": {"left": fem.GaussianSpot("1 W", "1 mm")}}, "where is the spot"),
    "spot_elsewhere": (
        lambda: {"boundaries": {"left": fem.GaussianSpot("1 W", "1 mm", y="0 mm")}},
        "the body has no y",
    ),
    "list_of_boundaries": (lambda: {"boundaries": [fem.Flux("1 W/m^2")]}, "boundaries is a mapping"),
    "list_of_materials": (lambda: {"materials": [STEEL]}, "materials is a mapping"),
    "setting": (
        lambda: {"boundaries": {"left": fem.Flux(pt.Setting("flux", "W/m^2", bounds=(1, 2)))}},
        "belongs to a recipe",
    ),
    "python_math": (lambda: {"sources": {"bar": fem.HeatSource(lambda T: math.exp(T))}}, "use pt.exp"),
    "two_texts": (lambda: {"sources": {"bar": fem.HeatSource(lambda T: "1 W/m^3" * "1 1/K" * T)}}, "two texts"),
    "no_local": (lambda: {"materials": {"bar": STEEL.replace(reactions=fem.Reactions({"a": 1.0}))}}, "is a fem.Local"),
}


@pytest.mark.parametrize("name", MISTAKEN_CONDITIONS)
def test_what_is_no_condition_or_takes_a_name_is_refused(name):
    """A text or a support instead of a thermal condition, two that contradict, names that are taken."""
    change, message = MISTAKEN_CONDITIONS[name]
    with pytest.raises(pt.ModelError, match=message):
        bar(**change())


def test_constants_of_conditions_have_a_range():
    """A film coefficient below zero or an emissivity above one is refused where it is written."""
    with pytest.raises(pt.BoundsError, match=r"film_coefficient = -500 W/m\^2/K must be zero or more"):
        fem.Convection("-500 W/m^2/K", "20 degC")
    with pytest.raises(pt.BoundsError, match=r"emissivity = 1\.2 must be between 0 and 1"):
        fem.Radiation(1.2, "20 degC")


def test_light_that_is_absorbed_within_a_cell_is_refused():
    """Between the quadrature points of a coarse cell nearly all of the heat would be lost, without a word."""
    with pytest.raises(pt.ModelError, match="thinner"):
        fem.HeatConduction(
            mesh=fem.mesh.bar("0.1 m", 4),
            materials={"bar": fem.Solid(conductivity="1 W/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K")},
            sources={"bar": fem.Absorbed("10 kW/m^2", "2000 1/m", through="left")},
            sensors={"middle": fem.Point("5 cm")},
        )
