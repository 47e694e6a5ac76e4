"""Unknown functions in field models: a conductivity over temperature, a heat flux over time."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import physics_twin as pt
from physics_twin import fem


def slab(conductivity: object) -> fem.FieldModel:
    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", 20),
        materials={"bar": fem.Solid(conductivity=conductivity)},  # type: ignore[arg-type]
        boundaries={"left": fem.Temperature("500 degC"), "right": fem.Temperature("0 degC")},
        sensors={"middle": fem.Point("50 cm")},
        degree=2,
        steady=True,
    )


def linear_conductivity(**changes: object) -> pt.Spline:
    given: dict[str, object] = {
        "knots": ([0.0, 200.0, 500.0], "degC"),
        "value": ([20.0, 24.0, 30.0], "W/m/K"),
        "bounds": ("1 W/m/K", "100 W/m/K"),
    }
    return pt.Spline("conductivity", over="T", **{**given, **changes})  # type: ignore[arg-type]


def test_a_slab_whose_conductivity_is_a_spline_has_the_exact_temperature() -> None:
    """k = 20 (1 + 1e-3 T/degC) is a straight line, which a spline holds: T + 5e-4 T^2 is linear in x (Kirchhoff)."""
    exact = (np.sqrt(1.0 + 2e-3 * 0.5 * (500.0 + 5e-4 * 500.0**2)) - 1.0) / 1e-3
    run = pt.simulate(slab(linear_conductivity()), [0.0], pt.Recipe.constant())
    # Quadratic elements of 5 cm: the error of fourth order is below 1e-6 K here.
    assert run.in_units()["middle"].values[0] == pytest.approx(exact, abs=1e-6)
    assert exact == pytest.approx(274.7548783982, abs=1e-9)


def test_derivatives_by_the_values_at_the_knots_are_exact(spawned: ProcessPoolExecutor) -> None:
    """The contract of a model holds for a curved conductivity whose logarithm is the spline."""
    curved = linear_conductivity(value=([20.0, 35.0, 22.0], "W/m/K"), log=True)
    pt.check_model(slab(curved), recipe=pt.Recipe.constant(), times=np.array([0.0, 1.0]), executor=spawned)


def test_a_flux_over_time_brings_its_integral() -> None:
    """An insulated bar takes up the integral of the flux, each implicit step the flux at its end."""
    flux = pt.Spline("flux", over="t", knots=([0.0, 20.0, 60.0], "s"), value=([0.0, 30.0, 10.0], "kW/m^2"))
    model = fem.HeatConduction(
        mesh=fem.mesh.bar("10 cm", 10),
        materials={"bar": fem.Solid(conductivity="45 W/m/K", density="7850 kg/m^3", heat_capacity="470 J/kg/K")},
        boundaries={"left": fem.Flux(flux)},
        initial="20 degC",
        sensors={"mean": fem.Average("bar")},
        stepping=fem.FixedSteps("0.5 s"),
    )
    run = pt.simulate(model, [0.0, 60.0], pt.Recipe.constant(duration="60 s"))
    brought = CubicSpline(flux.knots, [p.value for p in flux.parameters], bc_type="natural").integrate(0.0, 60.0)
    # The rule of the step is of first order at worst: half a step times the change of the flux, 2.5 kJ/m^2 of 1.2 MJ.
    warmed = brought / (0.1 * 7850.0 * 470.0)
    assert run.in_units()["mean"].values[-1] - 20.0 == pytest.approx(warmed, rel=3e-3)


def test_the_unit_of_a_spline_is_checked_where_it_stands() -> None:
    """A conductivity in W/m^2 and a function of a name that nobody declared are refused, with the place."""
    with pytest.raises(pt.UnitError, match="conductivity"):
        slab(pt.Spline("k", over="T", knots=([0.0, 500.0], "degC"), value="20 W/m^2/K"))
    with pytest.raises(pt.UnknownNameError, match="lage"):
        slab(pt.Spline("k", over="lage", knots=([0.0, 500.0], "degC"), value="20 W/m/K"))
    with pytest.raises(pt.UnitError, match=r'"k" has its knots in s'):
        slab(pt.Spline("k", over="T", knots=([0.0, 500.0], "s"), value="20 W/m/K"))
