"""Reaction in a solid: local states follow their kinetics, their heat and their effect on properties are the body's."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import physics_twin as pt
from physics_twin import fem

RHO, CAPACITY = 1200.0, 1500.0  # kg/m^3, J/(kg K)
R = "8.314462618 J/mol/K"


def body(reactions, *, boundaries=None, initial="80 degC", sensors=None, stepping=None, density=None, cells=2, **more):
    """A bar of 10 mm with reactions, insulated unless said otherwise."""
    return fem.HeatConduction(
        mesh=fem.mesh.bar("10 mm", cells),
        materials={
            "bar": fem.Solid(
                conductivity="0.3 W/m/K",
                density=density or f"{RHO} kg/m^3",
                heat_capacity=f"{CAPACITY} J/kg/K",
                reactions=reactions,
            )
        },
        boundaries=boundaries or {},
        initial=initial,
        sensors=sensors or {"mean": fem.Average("bar"), "a": fem.Point("5 mm", of="a")},
        stepping=stepping or fem.Adaptive("0.001 K", local=1e-6),
        **more,
    )


def arrhenius(T, a):
    """First order, 1e6 1/s, 60 kJ/mol: 1.3e-3 1/s at 80 degC."""
    return -a * "1e6 1/s" * pt.exp("-60 kJ/mol" / (R * T))


def closed(run, part=1e-8):
    size = max(np.abs(run["supplied_energy"]).max(), np.abs(run["stored_energy"]).max())
    assert float(np.abs(run["energy_imbalance"]).max()) < part * float(size)


def test_first_order_decay_at_constant_temperature():
    """da/dt = -k(T) a without heat: exp(-k t)."""
    model = body(fem.Reactions({"a": fem.Local(rate=arrhenius, initial=1.0)}))
    times = np.array([0.0, 100.0, 500.0, 2000.0])
    run = pt.simulate(model, times)
    k = 1e6 * math.exp(-60e3 / (8.314462618 * 353.15))
    # 1e-6 is allowed in each of some 30 steps.
    np.testing.assert_allclose(run["a"], np.exp(-k * times), atol=3e-5)
    np.testing.assert_allclose(run["mean"], 353.15, rtol=1e-12)


def test_kamal_and_sourour_at_constant_temperature():
    """Autocatalytic cure, (k1 + k2 a^m) (1 - a)^n: as scipy integrates it, at two temperatures."""

    def rate(T, a):
        k1 = "2e5 1/s" * pt.exp("-70 kJ/mol" / (R * T))
        k2 = "1e6 1/s" * pt.exp("-65 kJ/mol" / (R * T))
        return (k1 + k2 * a**0.8) * (1.0 - a) ** 1.4

    model = body(fem.Reactions({"a": fem.Local(rate=rate, initial=1e-3)}))
    times = np.linspace(0.0, 3000.0, 7)
    for kelvin in (373.15, 403.15):
        run = pt.simulate(model, times, values={"initial.temperature": f"{kelvin} K"})
        k1, k2 = 2e5 * math.exp(-70e3 / (8.314462618 * kelvin)), 1e6 * math.exp(-65e3 / (8.314462618 * kelvin))

        def right(t, a, k1=k1, k2=k2):
            return (k1 + k2 * a**0.8) * (1.0 - a) ** 1.4

        exact = solve_ivp(right, (0.0, 3000.0), [1e-3], t_eval=times, rtol=1e-10, atol=1e-12, method="LSODA").y[0]
        assert 0.3 < exact[-1] < 0.999
        np.testing.assert_allclose(run["a"], exact, atol=2e-4)


def test_adiabatic_rise_is_heat_over_capacity():
    """Complete conversion of 200 kJ/kg in an insulated body: 200e3 / 1500 K, whatever the path."""
    heat = 2e5 * RHO
    reactions = fem.Reactions(
        {"a": fem.Local(rate=arrhenius, initial=1.0)}, heat=lambda a_rate: f"{-heat!r} J/m^3" * a_rate
    )
    run = pt.simulate(body(reactions), [0.0, 100.0, 300.0, 1e4])
    closed(run)
    np.testing.assert_allclose(run["mean"][-1] - 353.15, heat / (RHO * CAPACITY) * (1.0 - run["a"][-1]), rtol=1e-6)
    assert float(run["a"][-1]) < 1e-6
    # Temperature and conversion belong together at every moment, to the error of the steps.
    np.testing.assert_allclose(run["mean"] - 353.15, heat / (RHO * CAPACITY) * (1.0 - run["a"]), atol=2e-3)


def test_adiabatic_path_agrees_with_the_ordinary_differential_equations():
    """Self-heating, the two equations of one point: temperature and conversion over time as scipy has them."""
    heat = 2e5 * RHO
    reactions = fem.Reactions(
        {"a": fem.Local(rate=arrhenius, initial=1.0)}, heat=lambda a_rate: f"{-heat!r} J/m^3" * a_rate
    )
    times = np.array([0.0, 50.0, 100.0, 200.0, 300.0, 400.0])
    run = pt.simulate(body(reactions), times)

    def right(t, y):
        r = y[1] * 1e6 * math.exp(-60e3 / (8.314462618 * y[0]))
        return [heat / (RHO * CAPACITY) * r, -r]

    exact = solve_ivp(right, (0.0, 400.0), [353.15, 1.0], t_eval=times, rtol=1e-10, atol=1e-10, method="LSODA").y
    np.testing.assert_allclose(run["mean"], exact[0], atol=0.05)
    np.testing.assert_allclose(run["a"], exact[1], atol=5e-4)


def test_steps_in_series_conserve_matter():
    """a -> b -> c: the sum stays 1, and b has the closed form at constant temperature."""
    states = {
        "a": fem.Local(rate=lambda a: "-0.02 1/s" * a, initial=1.0),
        "b": fem.Local(rate=lambda a, b: "0.02 1/s" * a - "0.01 1/s" * b),
        "c": fem.Local(rate=lambda b: "0.01 1/s" * b),
    }
    sensors = {name: fem.Point("5 mm", of=name) for name in states}
    sensors["total"] = fem.Integral("bar", of=lambda a, b, c: a + b + c, unit="1")
    times = np.array([0.0, 20.0, 100.0, 400.0])
    run = pt.simulate(body(fem.Reactions(states), sensors=sensors), times)
    np.testing.assert_allclose(run["total"], 0.01, rtol=1e-10)
    b = 2.0 * (np.exp(-0.01 * times) - np.exp(-0.02 * times))
    np.testing.assert_allclose(run["b"], b, atol=2e-5)


@pytest.mark.parametrize("stepping", [fem.Adaptive("0.05 K"), fem.FixedSteps("5 s", fem.IMPLICIT_EULER)])
def test_balance_closes_with_reaction_gradients_and_loss_of_mass(stepping):
    """A charring slab: density falls with conversion, heat is taken up, flux in front, radiation and convection.

    Heat of reaction is counted at the temperature of the reaction: what leaves takes its own heat along.
    """
    reactions = fem.Reactions(
        {"a": fem.Local(rate=lambda T, a: -a * "1e8 1/s" * pt.exp("-110 kJ/mol" / (R * T)), initial=1.0)},
        heat=lambda a_rate: "200 MJ/m^3" * a_rate,
    )
    model = body(
        reactions,
        density=lambda a: "300 kg/m^3" + "900 kg/m^3" * a,
        boundaries={
            "left": [
                fem.Flux("25 kW/m^2"),
                fem.Radiation(0.9, "20 degC"),
                fem.Convection("10 W/m^2/K", "20 degC"),
            ]
        },
        initial="20 degC",
        cells=10,
        sensors={
            "front": fem.Point("0 mm"),
            "converted": fem.Point("0.5 mm", of="a"),
            "mass": fem.Integral("bar", of=lambda a: "300 kg/m^3" + "900 kg/m^3" * a, unit="kg/m^3"),
            "loss": fem.Integral("bar", of=lambda a_rate: "-900 kg/m^3" * a_rate, unit="kg/m^3/s"),
        },
        stepping=stepping,
    )
    times = np.arange(0.0, 601.0, 5.0)
    run = pt.simulate(model, times)
    closed(run, 1e-7)
    assert float(run["converted"][-1]) < 0.5
    assert float(run["mass"][-1]) < 0.98 * float(run["mass"][0])
    lost = float(np.trapezoid(run["loss"], times))
    np.testing.assert_allclose(lost, run["mass"][0] - run["mass"][-1], rtol=1e-2)


def test_a_body_that_only_loses_mass_keeps_its_temperature():
    """Density falls, no heat of reaction, insulated: what stays has the temperature that it had."""
    model = body(
        fem.Reactions({"a": fem.Local(rate=lambda a: "-0.01 1/s" * a, initial=1.0)}),
        density=lambda a: "300 kg/m^3" + "900 kg/m^3" * a,
    )
    run = pt.simulate(model, [0.0, 100.0, 300.0])
    assert float(run["a"][-1]) < 0.1
    np.testing.assert_allclose(run["mean"], 353.15, atol=0.01)


def test_two_regions_of_which_one_reacts():
    """A film that cures on an inert body: the state lives in the film only, and both warm up by its heat."""
    sensors = {"film": fem.Average("film"), "body": fem.Average("body"), "a": fem.Point("0.5 mm", of="a")}
    film = fem.Solid(
        conductivity="0.3 W/m/K",
        density="1200 kg/m^3",
        heat_capacity="1500 J/kg/K",
        reactions=fem.Reactions(
            {"a": fem.Local(rate=lambda a: "0.1 1/s" * (1.0 - a))}, heat=lambda a_rate: "300 MJ/m^3" * a_rate
        ),
    )
    inert = fem.Solid(conductivity="50 W/m/K", density="7800 kg/m^3", heat_capacity="500 J/kg/K")
    model = fem.HeatConduction(
        mesh=fem.mesh.bar(["1 mm", "9 mm"], cells=[2, 6], regions=["film", "body"]),
        materials={"film": film, "body": inert},
        sensors=sensors,
        stepping=fem.Adaptive("0.01 K", local=1e-6),
    )
    run = pt.simulate(model, [0.0, 10.0, 1000.0])
    closed(run)
    np.testing.assert_allclose(run["a"][1], 1.0 - math.exp(-1.0), atol=1e-4)
    rise = 300e6 * 1e-3 / (1e-3 * 1.8e6 + 9e-3 * 3.9e6)
    np.testing.assert_allclose(run["film"][-1] - 293.15, rise, rtol=1e-6)
    np.testing.assert_allclose(run["body"][-1] - 293.15, rise, rtol=1e-6)
    with pytest.raises(pt.ModelError, match="nothing reacts there"):
        fem.HeatConduction(
            mesh=fem.mesh.bar(["1 mm", "9 mm"], cells=[2, 6], regions=["film", "body"]),
            materials={"film": film, "body": inert},
            sensors={"a": fem.Point("5 mm", of="a")},
        )


def test_a_local_state_has_its_unit():
    """A concentration in mol/m^3 with a scale: the same decay, and the sensor has its unit."""
    reactions = fem.Reactions(
        {"a": fem.Local(rate=lambda a: "-0.01 1/s" * a, initial="2000 mol/m^3", unit="mol/m^3", scale=1000.0)}
    )
    run = pt.simulate(body(reactions), [0.0, 100.0])
    np.testing.assert_allclose(run["a"], 2000.0 * np.exp([0.0, -1.0]), atol=3e-5 * 1000.0)
    changed = pt.simulate(body(reactions), [0.0], values={"initial.a": "1 mol/l"})
    np.testing.assert_allclose(changed["a"], 1000.0)


def test_heat_per_mass_and_state_is_density_times_rate():
    """heat={"cure": "300 kJ/kg"} is the function that multiplies density, heat and rate."""

    def model(heat):
        reactions = fem.Reactions({"cure": fem.Local(rate=lambda cure: "0.01 1/s" * (1 - cure))}, heat=heat)
        return fem.HeatConduction(
            mesh=fem.mesh.bar("10 mm", 2),
            materials={
                "bar": fem.Solid(
                    conductivity="0.2 W/m/K", density="1200 kg/m^3", heat_capacity="1100 J/kg/K", reactions=reactions
                )
            },
            sensors={"middle": fem.Point("5 mm")},
            stepping=fem.FixedSteps("10 s"),
        )

    per_mass = pt.simulate(model({"cure": "300 kJ/kg"}), [0.0, 50.0, 300.0])["middle"].values
    function = pt.simulate(model(lambda cure_rate: "1200 kg/m^3" * ("300 kJ/kg" * cure_rate)), [0.0, 50.0, 300.0])
    np.testing.assert_allclose(per_mass, function["middle"].values, rtol=1e-12)
    with pytest.raises(pt.UnknownNameError, match="cure"):
        model({"cur": "300 kJ/kg"})
