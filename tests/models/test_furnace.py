"""furnace: energy, steady states, slab series, lumped limits, the controller, and one load in all three models."""

import functools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

import physics_twin as pt
from physics_twin_models import heat_treatment
from physics_twin_models.furnace import electric_furnace, furnace, heated_furnace

SIGMA = 5.670374419e-8
CONVECTION_ONLY = {"emissivity": 0.0, "opening_fraction": 0.0, "hearth_conductance": "0 W/K"}


def test_heat_treatment_exports_the_three():
    """`from physics_twin_models.heat_treatment import furnace` works, and takes the mass of the load."""
    assert heat_treatment.furnace is furnace
    assert heat_treatment.electric_furnace is electric_furnace
    assert furnace(load_mass="1.2 t").parameters["load_mass"].value == 1200.0
    with pytest.raises(ValueError, match="n_nodes"):
        furnace(n_nodes=1)


@functools.cache
def controlled_run():
    """A ramp to 900 degC and a soak of the electric furnace, every half minute."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", zone_temperature_setpoint=pt.ramp("20 degC", "900 degC"), duration="90 min"),
            pt.Phase("soak", zone_temperature_setpoint="900 degC", duration="5 h"),
        ]
    )
    return pt.simulate(electric_furnace(), (np.arange(0.0, 390.5, 0.5), "min"), recipe)


def test_energy_is_conserved_under_control():
    """Electric energy = change of what is stored + what went outside, with the power on its limit at times."""
    run = controlled_run()
    assert run["heater_power"].values.max() == pytest.approx(180e3)
    used, lost, stored = (run[f"energy_{name}"].values for name in ("used", "lost", "stored"))
    np.testing.assert_allclose(lost + stored - stored[0], used, rtol=0, atol=1e-7 * used[-1])


def test_controller_holds_the_zone_and_the_power_covers_the_losses():
    """After the soak the zone is at its set point, and the power is what lining, openings and hearth lose."""
    end = {name: v.values[-1] for name, v in controlled_run().dataset.data_vars.items()}
    assert end["zone_temperature"] == pytest.approx(1173.15, abs=0.05)
    wall, surface = end["wall_temperature"], end["surface_temperature"]
    area = 850.0 / (7850.0 * 0.05)
    outside = 0.002 * area * 0.75 * SIGMA * (surface**4 - 298.15**4) + 1.0 * (surface - 298.15)
    assert end["heater_power"] == pytest.approx(12.0 * (wall - 298.15) + outside, rel=2e-3)


def test_steady_state_under_constant_power():
    """Without losses of the load: lining at ambient + P / G_wall, and no heat flows between zone and load."""
    recipe = pt.Recipe.constant(heater_power="9 kW")
    values = {"opening_fraction": 0.0, "hearth_conductance": "0 W/K"}
    run = pt.simulate(heated_furnace(), ([400.0], "h"), recipe, values)
    end = {name: v.values[0] for name, v in run.dataset.data_vars.items()}
    assert end["wall_temperature"] == pytest.approx(298.15 + 9000.0 / 12.0, abs=1e-4)
    for name in ("core_temperature", "surface_temperature"):
        assert end[name] == pytest.approx(end["zone_temperature"], abs=1e-4)
    # elements and zone from the heat flows, area and enclosure of each pair written out
    to_zone = 1.0 / 0.8 + 1.5 / 8.0 * (1.0 / 0.85 - 1.0)
    to_wall = 1.0 / 0.8 + 1.5 / 10.0 * (1.0 / 0.9 - 1.0)
    muffle = 1.0 / 0.85 + 8.0 / 10.0 * (1.0 / 0.9 - 1.0)
    e, z, w = end["element_temperature"], end["zone_temperature"], end["wall_temperature"]
    flow = 1.5 * (8.0 * (e - z) + SIGMA * (e**4 - z**4) / to_zone)
    assert flow == pytest.approx(8.0 * (8.0 * (z - w) + SIGMA * (z**4 - w**4) / muffle), rel=1e-5)
    assert flow + 1.5 * (8.0 * (e - w) + SIGMA * (e**4 - w**4) / to_wall) == pytest.approx(9000.0, rel=1e-6)


def test_steady_load_is_a_root_of_its_heat_balance():
    """In a zone of constant temperature the load settles, without gradient, where gains and losses are equal."""
    run = pt.simulate(furnace(), ([60.0], "h"), pt.Recipe.constant(gas_temperature="900 degC"))
    area = 850.0 / (7850.0 * 0.05)
    exchange = 1.0 / (1.0 / 0.75 + area / 8.0 * (1.0 / 0.85 - 1.0))

    def balance(t):
        gain = 25.0 * area * (1173.15 - t) + 0.998 * area * SIGMA * exchange * (1173.15**4 - t**4)
        return gain - 0.002 * area * 0.75 * SIGMA * (t**4 - 298.15**4) - 1.0 * (t - 298.15)

    expected = brentq(balance, 1000.0, 1173.15, xtol=1e-12)
    assert run["surface_temperature"].values[0] == pytest.approx(expected, abs=1e-5)
    assert run["core_temperature"].values[0] == pytest.approx(expected, abs=1e-5)


def slab(n_nodes, fourier, biot=1.0):
    """(core, surface) as 1 at the start and 0 in balance with the gas, convection only."""
    half, k, rho, c = 0.05, 35.0, 7850.0, 650.0
    values = CONVECTION_ONLY | {
        "film_coefficient": f"{biot * k / half!r} W/m^2/K",
        "load_thickness": f"{2 * half} m",
        "charge_temperature": "20 degC",
    }
    model = furnace(n_nodes=n_nodes)
    t = fourier * half**2 * rho * c / k
    run = pt.simulate(model, [t], pt.Recipe.constant(gas_temperature="520 degC"), values)
    return np.array([(793.15 - run[name].values[0]) / 500.0 for name in ("core_temperature", "surface_temperature")])


def test_slab_with_convection_follows_the_exact_series_at_order_two():
    """Bi = 1 (Heisler): the error at Fo = 0.2 and 1 falls with the square of the distance of the nodes."""
    exact = {0.2: (0.9506417785, 0.6433907845), 1.0: (0.5338594014, 0.3481768517)}  # Heisler, Bi = 1
    for fourier, expected in exact.items():
        errors = [np.abs(slab(n, fourier) - expected).max() for n in (9, 17, 33)]
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        np.testing.assert_allclose(orders, 2.0, atol=0.1)
        assert errors[-1] < 3e-4
    assert np.abs(slab(4, 1.0) - exact[1.0]).max() < 0.01  # the default number of nodes, pinned


def test_lumped_limit_at_small_biot_number():
    """At Bi = 0.005 the load is one lump, exp(-Bi Fo), up to Bi / 2, and has no gradient beyond Bi / 2."""
    biot = 0.005
    core, surface = slab(4, 1.0 / biot, biot)
    assert core == pytest.approx(math.exp(-1.0), rel=0.55 * biot)
    assert 0.0 < core - surface < 0.5 * biot * core


def test_lumped_radiation_takes_the_time_of_its_quadrature():
    """A thin load in a zone of 1200 K: t(T) = integral of m c dT / (radiation + convection), up to Bi / 3."""
    values = {
        "load_mass": "1 kg",
        "load_thickness": "5 mm",
        "conductivity": "400 W/m/K",
        "film_coefficient": "1 W/m^2/K",
        "opening_fraction": 0.0,
        "hearth_conductance": "0 W/K",
        "charge_temperature": "27 degC",
    }
    area = 1.0 / (7850.0 * 2.5e-3)
    exchange = 1.0 / (1.0 / 0.75 + area / 8.0 * (1.0 / 0.85 - 1.0))
    times = np.linspace(20.0, 300.0, 8)
    run = pt.simulate(furnace(), times, pt.Recipe.constant(gas_temperature="1200 K"), values)

    def slowness(t):
        return 650.0 / (area * (SIGMA * exchange * (1200.0**4 - t**4) + 1.0 * (1200.0 - t)))

    taken = [quad(slowness, 300.15, t)[0] for t in run["mean_temperature"].values]
    np.testing.assert_allclose(taken, times, rtol=290.0 * 2.5e-3 / 400.0 / 3.0)


def test_peak_is_the_highest_surface_temperature():
    """After a quench the peak stays where the surface was hottest."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", gas_temperature=pt.ramp("20 degC", "900 degC"), duration="2 h"),
            pt.Phase("quench", gas_temperature="60 degC", duration="1 h"),
        ]
    )
    run = pt.simulate(furnace(), ([120.0, 180.0], "min"), recipe)
    hottest, cold = run["surface_temperature"].values
    np.testing.assert_allclose(run["peak_surface_temperature"].values, hottest, rtol=0, atol=1e-6)
    assert cold < hottest - 200.0


def test_load_is_the_same_in_all_models():
    """`furnace`, fed with the zone temperature of `electric_furnace` every half minute, gives its load back."""
    run = controlled_run()
    columns = {"gas_temperature": (run["zone_temperature"].values, "K", pt.RAMP)}
    recipe = pt.Recipe.from_table(run.time, columns)
    again = pt.simulate(furnace(), run.time, recipe)
    for name in ("core_temperature", "surface_temperature"):
        np.testing.assert_allclose(again[name].values, run[name].values, rtol=0, atol=0.02)


def test_size_of_the_charge_does_not_matter_to_convection():
    """Without radiation and losses, one slab or a ton of them heat alike; quantities in other units."""
    recipe, times = pt.Recipe.constant(gas_temperature="800 degC"), ([10.0, 60.0], "min")
    one = pt.simulate(furnace(), times, recipe, CONVECTION_ONLY | {"load_mass": "50 kg"})
    values = CONVECTION_ONLY | {"load_mass": "1 t", "load_thickness": "0.1 m", "heat_capacity": "0.65 kJ/kg/K"}
    other = pt.simulate(furnace(), times, recipe, values)
    np.testing.assert_allclose(one["core_temperature"].values, other["core_temperature"].values, rtol=0, atol=1e-5)
