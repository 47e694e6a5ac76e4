"""Light absorbed in depth: Beer and Lambert's law for any absorption, energy, order, and heat that does not matter."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.errors import ModelError
from physics_twin.verification import check_model

STILL = fem.Solid(conductivity="1e-9 W/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K")


def lit(n=200, absorption="400 1/m", sensors=None, **options):
    """10 mm of a body that hardly conducts, 1 mm of a clear one and a black cell; 1 kW/m^2 through the right end."""
    return fem.HeatAndLight(
        mesh=fem.mesh.bar(["0.1 mm", "1 mm", "10 mm"], cells=[1, 4, n], regions=["black", "clear", "body"]),
        materials={"black": STILL, "clear": STILL, "body": STILL},
        absorption={"black": "14450 1/m", "clear": "1e-3 1/m", "body": absorption},
        light={"right": "1 kW/m^2"},
        initial="300 K",
        sensors=sensors or {"heat": fem.Integral("body", of=lambda T: (T - "300 K") * "1e6 J/m^3/K", unit="J/m^3")},
        stepping=fem.FixedSteps("0.25 s"),
        **options,
    )


def test_a_body_takes_up_what_beer_and_lambert_say():
    """1 - exp(-kappa L) of what entered, and what enters is the flux times time less the light's delay of 0.1 s."""
    run = pt.simulate(lit(), [0.0, 100.0, 200.0])
    gained = np.diff(run["heat"].values)[-1]
    assert gained == pytest.approx(1000.0 * 100.0 * (1.0 - np.exp(-4.0)), rel=1e-4)


@pytest.mark.parametrize("n", [50, 100, 200])
def test_absorption_may_vary_in_depth(n):
    """With kappa = a + b x, the heat at a point is kappa exp(-optical depth); second order in the cell."""
    a, b, length = 100.0, 8e4, 0.01
    places = (3.0, 6.0, 9.0)
    sensors = {f"at_{k}": fem.Point(f"{x + 1.1} mm") for k, x in enumerate(places)}
    model = lit(n, absorption=lambda x: "12 1/m" + x * "8e4 1/m^2", sensors=sensors)  # 100 - 8e4 * 1.1 mm
    run = pt.simulate(model, [0.0, 100.0, 200.0])
    for k, place in enumerate(places):
        x = place * 1e-3
        kappa = a + b * x
        depth = a * (length - x) + 0.5 * b * (length**2 - x**2)
        expected = 1000.0 * kappa * np.exp(-depth) * 100.0 / 1e6
        found = np.diff(run[f"at_{k}"].values)[-1]
        assert found == pytest.approx(expected, rel=0.7 * (100.0 / n) ** 2 * 0.02), place


def test_light_is_conserved():
    """What is stored, light under way included, is what entered; the black cell behind takes up the rest."""
    run = pt.simulate(lit(absorption="20 1/m"), [0.0, 50.0, 100.0])
    assert run["supplied_energy"].values[-1] == pytest.approx(1e5, rel=1e-7)  # Newton's method stops there
    np.testing.assert_allclose(run["energy_imbalance"].values, 0.0, rtol=0, atol=1e-5)
    assert run["heat"].values[-1] == pytest.approx(1e5 * (1.0 - np.exp(-0.2)), rel=2e-3)  # 0.1 of 100 s of delay


def test_light_reaches_what_lies_behind_a_layer_that_has_gone():
    """Where a local state has taken the absorption away, light passes: the layer behind is heated as the first was."""
    gone = fem.Reactions(states={"gone": fem.Local(rate=lambda x: "0 1/s" if x is None else "1 1/s")})
    body = fem.Solid(conductivity="1e-9 W/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K", reactions=gone)
    model = fem.HeatAndLight(
        mesh=fem.mesh.bar(
            ["0.1 mm", "1 mm", "5 mm", "5 mm"], cells=[1, 4, 50, 50], regions=["black", "clear", "behind", "before"]
        ),
        materials={"black": STILL, "clear": STILL, "behind": STILL, "before": body},
        absorption={
            "black": "14450 1/m",
            "clear": "1e-3 1/m",
            "behind": "400 1/m",
            "before": lambda gone: "400 1/m" * pt.exp(-gone) + "1e-3 1/m",
        },
        light={"right": "1 kW/m^2"},
        initial="300 K",
        sensors={"middle": fem.Point("3.6 mm")},
        stepping=fem.FixedSteps("0.25 s"),
    )
    run = pt.simulate(model, [0.0, 40.0, 100.0])  # exp(-40): the layer before is clear
    expected = 1000.0 * 400.0 * np.exp(-400.0 * 2.5e-3) * 60.0 / 1e6
    assert np.diff(run["middle"].values)[-1] == pytest.approx(expected, rel=1e-3)


def test_a_region_without_absorption_is_refused():
    """Every region says how it absorbs."""
    with pytest.raises(ModelError, match='"body" has no absorption'):
        fem.HeatAndLight(
            mesh=fem.mesh.bar(["0.1 mm", "10 mm"], cells=[1, 10], regions=["black", "body"]),
            materials={"black": STILL, "body": STILL},
            absorption={"black": "14450 1/m"},
            light={"right": "1 kW/m^2"},
            sensors={"end": fem.Point("1 mm")},
        )


@pytest.mark.slow
def test_model_holds_the_contract(spawned):
    """With conduction, a reaction, radiation and light that follows the recipe."""
    reactions = fem.Reactions(states={"cure": fem.Local(rate=lambda cure, speed: speed * pt.exp(-3.0 * cure))})
    body = fem.Solid(
        conductivity=lambda cure: "0.2 W/m/K" / (1.1 - cure),
        density="1000 kg/m^3",
        heat_capacity=lambda T: "1000 J/kg/K" + "2 J/kg/K^2" * T,
        reactions=reactions,
    )
    model = fem.HeatAndLight(
        mesh=fem.mesh.bar(["0.1 mm", "10 mm"], cells=[1, 8], regions=["black", "body"]),
        materials={"black": STILL, "body": body},
        absorption={"black": "14450 1/m", "body": pt.Parameter("absorption", "900 1/m", bounds=("10 1/m", "9e3 1/m"))},
        light={"right": pt.Signal("flux", "kW/m^2")},
        boundaries={"right": fem.Radiation(0.9, "300 K"), "left": fem.Convection("10 W/m^2/K", "300 K")},
        initial="300 K",
        parameters=[pt.Parameter("speed", "0.01 1/s", bounds=("1e-4 1/s", "1 1/s"))],
        sensors={"front": fem.Point("10.1 mm"), "back": fem.Point("0 mm")},
        stepping=fem.Adaptive("0.2 K"),
    )
    recipe = pt.Recipe(
        [
            pt.Phase("rise", flux=pt.ramp("0 kW/m^2", "10 kW/m^2"), duration="10 s"),
            pt.Phase("hold", flux="10 kW/m^2", duration="20 s"),
        ]
    )
    # Two ways to split a run differ by about the tolerance of its steps.
    check_model(model, recipe=recipe, times=np.linspace(0.0, 25.0, 4), accuracy=1e-3, executor=spawned)
