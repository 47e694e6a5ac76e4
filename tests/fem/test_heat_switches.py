"""Switches within quantities, inputs held after the recipe, and what stored energy may depend on."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.simulation import complete_values

TIMES = np.array([0.0, 5.0, 10.0, 15.0, 20.0])


def bar(**more: object) -> fem.FieldModel:
    """A bar of 0.1 m that stores 1e5 J/(m^2 K)."""
    said = {
        "mesh": fem.mesh.bar("0.1 m", 4),
        "materials": {"bar": fem.Solid(conductivity="400 W/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K")},
        "sensors": {"mean": fem.Average("bar")},
        "stepping": fem.FixedSteps("0.5 s", fem.IMPLICIT_EULER),
    }
    return fem.HeatConduction(**(said | more))


def test_a_flux_that_is_switched_off_at_a_time_stops() -> None:
    """The derivative of a switch is zero on both sides; that does not make the load a constant."""
    flux = fem.Flux(lambda t: pt.where(t < "10.1 s", "100 kW/m^2", "0 W/m^2"))
    run = pt.simulate(bar(boundaries={"left": flux}), TIMES)
    np.testing.assert_allclose(run["supplied_energy"], [0.0, 5e5, 1e6, 1e6, 1e6], rtol=1e-9, atol=1e-3)


def test_a_flux_that_an_input_switches_follows_the_input() -> None:
    """The same for a switch on an input."""
    flux = fem.Flux(lambda gate: pt.where(gate > "0.5", "100 kW/m^2", "0 W/m^2"))
    model = bar(boundaries={"left": flux}, inputs=[pt.Signal("gate", "1")])
    recipe = pt.Recipe([pt.Phase("off", gate="0", duration="10 s"), pt.Phase("on", gate="1", duration="10 s")])
    run = pt.simulate(model, TIMES, recipe)
    np.testing.assert_allclose(run["supplied_energy"], [0.0, 0.0, 0.0, 5e5, 1e6], rtol=1e-9, atol=1e-3)


def test_a_source_that_is_switched_off_by_temperature_sees_the_temperature() -> None:
    """A heater of 1 K/s below 303.15 K brings the bar from 293.15 K there and not beyond a step's worth."""
    heater = fem.HeatSource(lambda T: pt.where(T < "303.15 K", "1 MW/m^3", "0 W/m^3"))
    run = pt.simulate(bar(sources={"bar": heater}), TIMES)
    np.testing.assert_allclose(run["mean"][:2], [293.15, 298.15], rtol=1e-9)
    np.testing.assert_allclose(run["mean"][3:], 303.15, atol=0.5)


def test_a_ramp_is_held_at_its_end_after_the_recipe() -> None:
    """It does not begin anew: 100 kW/m^2 after 10 s stays 100 kW/m^2."""
    model = bar(boundaries={"left": fem.Flux(pt.Signal("flux", "W/m^2"))}, stepping=fem.FixedSteps("1 s"))
    ramp = pt.ramp("0 W/m^2", "100 kW/m^2")
    run = pt.simulate(model, TIMES, pt.Recipe([pt.Phase("up", flux=ramp, duration="10 s")], hold_end=True))
    np.testing.assert_allclose(run["supplied_energy"], [0.0, 1.25e5, 5e5, 1e6, 1.5e6], rtol=1e-9, atol=1e-3)


@pytest.mark.parametrize(
    "capacity",
    [lambda t: "1000 J/kg/K" * (1.0 + t * "0.1 1/s"), pt.Signal("capacity", "J/kg/K")],
    ids=["time", "input"],
)
def test_stored_energy_depends_on_the_state_only(capacity: object) -> None:
    """An insulated body would cool while its heat capacity is turned up; it is refused."""
    solid = fem.Solid(conductivity="400 W/m/K", density="1000 kg/m^3", heat_capacity=capacity)
    with pytest.raises(pt.ModelError, match="stored energy is a function of temperature"):
        bar(materials={"bar": solid})


def test_phase_times_know_phases_of_no_length() -> None:
    """Behind a phase that ends on a level a phase of 0 s begins and ends at that moment."""
    model = bar(boundaries={"left": fem.Flux(pt.Signal("flux", "W/m^2"))})
    recipe = pt.Recipe(
        [
            pt.Phase("heat", flux="100 kW/m^2", until=pt.rises_to("mean", "298.15 K"), at_most="100 s"),
            pt.Phase("nothing", flux="0 W/m^2", duration="0 s"),
            pt.Phase("rest", flux="0 W/m^2", duration="7 s"),
        ]
    )
    found = model.phase_times(recipe, complete_values(model, recipe))
    np.testing.assert_allclose(found, [0.0, 5.0, 5.0, 12.0], rtol=1e-9)


def test_light_through_the_curved_side_of_a_body_of_revolution_is_refused() -> None:
    """It converges on the axis, which an exponential of the depth does not know."""
    with pytest.raises(pt.ModelError, match="converges on the axis"):
        bar(
            mesh=fem.mesh.cylinder("10 mm", "20 mm", cells=(4, 4), axisymmetric=True),
            materials={"body": fem.Solid(conductivity="1 W/m/K", density="1000 kg/m^3", heat_capacity="1 kJ/kg/K")},
            sources={"body": fem.Absorbed("1 kW/m^2", "300 1/m", through="side")},
            sensors={"mean": fem.Average("body")},
        )
