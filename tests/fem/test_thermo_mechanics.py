"""A thermal run that drives a mechanical model."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from tests.fem.gradients import check_gradients

ALPHA, E = 12e-6, 210e9
STEEL = fem.Solid(
    conductivity="45 W/m/K",
    density="7850 kg/m^3",
    heat_capacity="470 J/kg/K",
    youngs_modulus=pt.Parameter("youngs_modulus", "210 GPa"),
    poissons_ratio="0.3",
    thermal_expansion=pt.Parameter("expansion", "12e-6 1/K"),
)
QUENCH = pt.Recipe([pt.Phase("quench", gas="200 degC", duration="20 s")])
TIMES = np.array([0.0, 5.0, 10.5, 20.0])


def heated_plate(cells: tuple[int, int] = (4, 8)) -> fem.FieldModel:
    return fem.HeatConduction(
        mesh=fem.mesh.plate(("20 mm", "40 mm"), cells=cells),
        materials={"body": STEEL},
        boundaries={"right": fem.Convection(pt.Parameter("film", "2000 W/m^2/K"), pt.Signal("gas", "degC"))},
        sensors={"left_side": fem.Point("0 m", "20 mm"), "mean": fem.Average("body")},
        stepping=fem.FixedSteps("1 s"),
    )


def plate(**more: object) -> fem.FieldModel:
    return fem.Elasticity(
        mesh=fem.mesh.plate(("20 mm", "40 mm"), cells=(3, 7)),
        materials={"body": STEEL},
        boundaries={"left": fem.Symmetry(), "bottom": fem.Symmetry()},
        kind=fem.PLANE_STRESS,
        temperature=fem.Driven(),
        sensors={
            "growth": fem.PointDisplacement("20 mm", "40 mm", component="y"),
            "stress": fem.Stress("3 mm", "20 mm", component="yy"),
        },
        **more,
    )


def test_the_pair_gives_what_the_temperature_does_to_a_free_plate() -> None:
    """Uniform heating of a free plate: growth is alpha dT times the length, and there is no stress."""
    thermal = fem.HeatConduction(
        mesh=fem.mesh.plate(("20 mm", "40 mm"), cells=(2, 2)),
        materials={"body": STEEL},
        sources={"body": fem.HeatSource("1e7 W/m^3")},
        sensors={"mean": fem.Average("body")},
        stepping=fem.FixedSteps("5 s"),
    )
    run = pt.simulate(fem.ThermoMechanics(thermal, plate()), [0.0, 10.0, 20.0])
    rise = 1e7 * np.array([0.0, 10.0, 20.0]) / (7850 * 470)
    np.testing.assert_allclose(run["mean"], 293.15 + rise, rtol=1e-9)
    np.testing.assert_allclose(run["growth"], ALPHA * rise * 0.04, atol=1e-15, rtol=1e-8)
    assert np.abs(run["stress"]).max() < 1e-6 * E * ALPHA * rise[-1]


def test_gradients_go_through_both_models_and_both_meshes() -> None:
    """Thermal and mechanical parameters, on meshes that do not match."""
    pair = fem.ThermoMechanics(heated_plate(), plate())
    names = ["film", "youngs_modulus", "expansion", "initial.temperature"]
    check_gradients(pair, TIMES, QUENCH, names, adjoint=False)


def test_a_finer_thermal_mesh_gives_the_same_stress() -> None:
    """The transfer between meshes is interpolation; the stress converges."""
    coarse, fine = (
        float(pt.simulate(fem.ThermoMechanics(heated_plate(c), plate()), [10.0], QUENCH)["stress"][0])
        for c in ((8, 16), (16, 32))
    )
    assert coarse == pytest.approx(fine, rel=2e-2)


def test_names_of_both_models_are_one_namespace() -> None:
    """Parameters of both models are shared by name; two outputs of one name are refused."""
    pair = fem.ThermoMechanics(heated_plate(), plate())
    assert {"film", "expansion", "youngs_modulus", "initial.temperature"} <= set(pair.parameters.names)
    assert [s.name for s in pair.inputs] == ["gas"]
    with pytest.raises(pt.ModelError, match="mean"):
        fem.ThermoMechanics(
            heated_plate(),
            fem.Elasticity(
                mesh=fem.mesh.plate(("20 mm", "40 mm"), cells=(3, 7)),
                materials={"body": STEEL},
                boundaries={"left": fem.Symmetry(), "bottom": fem.Symmetry()},
                kind=fem.PLANE_STRESS,
                temperature=fem.Driven(),
                sensors={"mean": fem.PointDisplacement("20 mm", "40 mm", component="x")},
            ),
        )


def test_a_model_that_is_not_driven_is_refused() -> None:
    """The error says how to build it."""
    free = fem.Elasticity(
        mesh=fem.mesh.plate(("20 mm", "40 mm"), cells=(3, 7)),
        materials={"body": STEEL},
        boundaries={"left": fem.Symmetry(), "bottom": fem.Symmetry()},
        kind=fem.PLANE_STRESS,
        sensors={"growth": fem.PointDisplacement("20 mm", "40 mm", component="y")},
    )
    with pytest.raises(pt.ModelError, match="Driven"):
        fem.ThermoMechanics(heated_plate(), free)


def test_a_mechanical_body_larger_than_the_thermal_one_is_refused() -> None:
    """A node outside the thermal body is named, with its distance."""
    with pytest.raises(pt.ModelError, match="outside the body"):
        fem.ThermoMechanics(
            heated_plate(),
            fem.Elasticity(
                mesh=fem.mesh.plate(("30 mm", "40 mm"), cells=(3, 7)),
                materials={"body": STEEL},
                boundaries={"left": fem.Symmetry(), "bottom": fem.Symmetry()},
                kind=fem.PLANE_STRESS,
                temperature=fem.Driven(),
                sensors={"growth": fem.PointDisplacement("20 mm", "40 mm", component="y")},
            ),
        )


def test_split_and_travel() -> None:
    """advance in two parts, and a copy through pickle, give the same."""
    import pickle

    from physics_twin.simulation import complete_values

    pair = fem.ThermoMechanics(heated_plate(), plate())
    v = complete_values(pair, QUENCH)
    start = pair.initial_state(0.0, QUENCH, v)
    whole = pair.advance(start, 0.0, 20.0, QUENCH, v)
    parts = pair.advance(pair.advance(start, 0.0, 10.0, QUENCH, v), 10.0, 20.0, QUENCH, v)
    np.testing.assert_allclose(
        pair.observe(parts, 20.0, QUENCH, v), pair.observe(whole, 20.0, QUENCH, v), rtol=1e-9, atol=1e-6
    )
    again = pickle.loads(pickle.dumps(pair))  # noqa: S301  (our own bytes)
    assert again.fingerprint == pair.fingerprint
    np.testing.assert_array_equal(again.trajectory(TIMES, QUENCH, v)[0], pair.trajectory(TIMES, QUENCH, v)[0])


def test_a_plastic_body_takes_the_parameters_of_the_thermal_model() -> None:
    """The film coefficient is declared by the thermal model only; below yield the stress is elastic."""
    steel = STEEL.replace(yield_stress="10 GPa")
    said = {
        "mesh": fem.mesh.plate(("20 mm", "40 mm"), cells=(2, 2), triangles=True),
        "materials": {"body": steel},
        "boundaries": {"left": fem.Symmetry(), "bottom": fem.Symmetry()},
        "kind": fem.PLANE_STRESS,
        "temperature": fem.Driven(),
        "sensors": {"growth": fem.PointDisplacement("20 mm", "40 mm", component="y")},
    }
    thermal = heated_plate((2, 2))
    plastic = fem.ThermoMechanics(thermal, fem.Plasticity(**said))
    elastic = fem.ThermoMechanics(thermal, fem.Elasticity(**said))
    assert "film" in plastic.parameters.names
    grown = [float(pt.simulate(pair, [0.0, 10.0], QUENCH)["growth"][-1]) for pair in (plastic, elastic)]
    assert grown[0] == pytest.approx(grown[1], rel=1e-6) and grown[1] > 1e-6


def held_bar(largest: str) -> fem.ThermoMechanics:
    """A bar between rigid walls, heated evenly through a convective end; it yields in compression."""
    steel = STEEL.replace(yield_stress="100 MPa", hardening=fem.Linear("5 GPa"))
    thermal = fem.HeatConduction(
        mesh=fem.mesh.bar("10 mm", 2),
        materials={"bar": steel},
        boundaries={"left": fem.Convection(pt.Parameter("film", "2000 W/m^2/K"), pt.Signal("gas", "degC"))},
        sensors={"end": fem.Point("10 mm")},
        stepping=fem.Adaptive("4 K", largest=largest),
    )
    bar = fem.Plasticity(
        mesh=fem.mesh.bar("10 mm", 2),
        materials={"bar": steel},
        boundaries={"left": fem.Clamped(), "right": fem.Clamped()},
        temperature=fem.Driven(),
        sensors={"stress": fem.Stress("5 mm", component="xx")},
    )
    return fem.ThermoMechanics(thermal, bar)


def test_plastic_stress_between_steps_follows_the_hardening() -> None:
    """A bar that is heated more and more is pressed more and more, within steps as at their ends.

    The temperature is curved within a step and the plastic strain is not: put together they would make the stress
    wiggle by E alpha times the sag of the temperature, some MPa.
    """
    run = pt.simulate(held_bar("1 h"), np.linspace(0.0, 60.0, 241), QUENCH.replace(hold_end=True))
    stress = run["stress"].values
    assert stress[-1] < -105e6
    assert (np.diff(stress) <= 1e-6 * np.abs(stress).max()).all()


def test_gradients_go_through_plastic_steps() -> None:
    """Thermal parameters move the plastic history of the bar; steps and branches are those of the run."""
    pair = held_bar("2 s")
    times = np.array([0.0, 3.0, 7.3, 15.0])
    check_gradients(pair, times, QUENCH, ["film", "expansion", "youngs_modulus"], adjoint=False, tolerance=1e-4)


STRONG = STEEL.replace(yield_stress="1e6 MPa")


def held_plate(kind: object, material: fem.Solid) -> fem.ThermoMechanics:
    """A plate that starts 100 K above its stress-free temperature between walls, with a pressure that jumps."""
    mesh = fem.mesh.plate(("20 mm", "40 mm"), cells=(4, 4))
    thermal = fem.HeatConduction(
        mesh=mesh,
        materials={"body": STEEL},
        boundaries={"left": fem.Convection(pt.Parameter("film", "2000 W/m^2/K"), pt.Signal("gas", "degC"))},
        initial="120 degC",
        sensors={"mean": fem.Average("body")},
        stepping=fem.FixedSteps("2 s"),
    )
    mechanical = kind(
        mesh=mesh,
        materials={"body": material},
        boundaries={
            "left": fem.Symmetry(),
            "right": fem.Displacement(x="0 m"),
            "bottom": fem.Symmetry(),
            "top": fem.Pressure(pt.Signal("pressure", "MPa")),
        },
        kind=fem.PLANE_STRAIN,
        temperature=fem.Driven(),
        reference_temperature="20 degC",
        sensors={"stress": fem.VonMises("8 mm", "15 mm")},
        degree=1,
    )
    return fem.ThermoMechanics(thermal, mechanical)


PRESSED = pt.Recipe(
    [
        pt.Phase("warm", gas="100 degC", pressure="0 MPa", duration="10 s"),
        pt.Phase("press", gas="100 degC", pressure="50 MPa", duration="10 s"),
    ]
)


def test_a_plastic_body_that_does_not_yield_is_an_elastic_one() -> None:
    """At the start, where it is warmer than without stress, and within the step after a pressure has jumped."""
    times = np.array([0.0, 1.0, 10.0, 10.1, 11.0, 20.0])
    elastic = pt.simulate(held_plate(fem.Elasticity, STEEL), times, PRESSED)["stress"]
    plastic = pt.simulate(held_plate(fem.Plasticity, STRONG), times, PRESSED)["stress"]
    assert float(elastic[0]) > 1e8
    assert abs(float(elastic[3] - elastic[2])) > 1e7
    np.testing.assert_allclose(plastic, elastic, rtol=3e-3)  # temperatures between steps are straight for one of them


def test_gradients_of_first_loads_and_of_loads_that_jump() -> None:
    """What a plastic body takes up at the start and at a jump depends on parameters and settings."""
    hold = pt.Setting("hold", "s", bounds=(1, 100), value="9.3 s")
    press = pt.Setting("press", "MPa", bounds=(0, 100), value="50 MPa")
    recipe = pt.Recipe(
        [
            pt.Phase("warm", gas="100 degC", pressure="1 MPa", duration=hold),
            pt.Phase("press", gas="100 degC", pressure=press, duration="10 s"),
        ]
    )
    names = ["film", "expansion", "youngs_modulus", "initial.temperature", "hold", "press"]
    pair = held_plate(fem.Plasticity, STEEL.replace(yield_stress="200 MPa", hardening=fem.Linear("10 GPa")))
    check_gradients(pair, np.array([0.0, 1.1, 9.9, 17.0]), recipe, names, adjoint=False, tolerance=1e-5)
