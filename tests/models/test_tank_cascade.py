"""tank_cascade: volume, Torricelli's drain, tanks in series, heat tank by tank, size."""

import math

import numpy as np
import pytest

import physics_twin as pt
from physics_twin_models.tank_cascade import tank_cascade

G = 9.80665
NO_FEED = {"pump_flow": "0 L/min", "feed_tracer": "0 g/L", "feed_temperature": "20 degC"}


def steady_level(flow, coefficient=0.62, outlet=2e-4):
    """m, at which a tank discharges `flow` in m3/s."""
    return (flow / (coefficient * outlet)) ** 2 / (2.0 * G)


def test_volume_is_conserved_through_a_run_dry():
    """Pumped = discharged + change of what is stored, while the pump steps and the tanks run dry."""
    recipe = pt.Recipe(
        [
            pt.Phase("fill", pump_flow="20 L/min", feed_tracer="1 g/L", feed_temperature="60 degC", duration="10 min"),
            pt.Phase("drain", pump_flow="0 L/min", duration="30 min"),
        ]
    )
    run = pt.simulate(tank_cascade(4), recipe=recipe)
    stored = run["stored_volume"].values
    balance = run["pumped_volume"].values - run["discharged_volume"].values - (stored - stored[0])
    np.testing.assert_allclose(balance, 0.0, rtol=0, atol=1e-8)  # m3, of 0.2 pumped
    assert run["pumped_volume"].values[-1] == pytest.approx(0.2, rel=1e-9)
    assert -1e-12 <= stored[-1] < 1e-5  # m3; empty to rounding
    assert min(run[f"level_{k}"].values.min() for k in range(1, 5)) > -1e-7


def test_tracer_is_conserved_while_levels_change():
    """Tracer in the tanks changes by what the feed brings and the discharge takes; even tracer stays even."""
    seconds = np.linspace(0.0, 900.0, 18_001)
    recipe = pt.Recipe.constant(pump_flow="25 L/min", feed_tracer="2 g/L", feed_temperature="60 degC")
    run = pt.simulate(tank_cascade(), seconds, recipe)
    held = sum(0.1 * run[f"level_{k}"].values * run[f"tracer_{k}"].values for k in (1, 2, 3))
    taken = np.trapezoid(run["outlet_flow"].values * run["tracer_3"].values, seconds)
    assert held[-1] - held[0] + taken == pytest.approx(2.0 * 25e-3 / 60.0 * 900.0, rel=1e-6)
    even = {f"initial.tracer_{k}": "2 g/L" for k in (1, 2, 3)}
    run = pt.simulate(tank_cascade(), seconds[::100], recipe, even)
    np.testing.assert_allclose(run["tracer_3"].values, 2.0, rtol=1e-9)


def test_one_tank_drains_by_torricelli():
    """sqrt(h) = sqrt(h0) - C_d a / A sqrt(g / 2) t until the tank is nearly empty."""
    slope = 0.62 * 2e-4 / 0.1 * math.sqrt(G / 2.0)
    times = np.linspace(0.0, 0.95 * math.sqrt(0.2) / slope, 20)
    run = pt.simulate(tank_cascade(1), times, pt.Recipe.constant(**NO_FEED))
    np.testing.assert_allclose(run["level_1"].values, (math.sqrt(0.2) - slope * times) ** 2, rtol=0, atol=1e-7)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_step_of_tracer_follows_tanks_in_series(n):
    """At steady flow F(t) = 1 - exp(-t/tau) sum (t/tau)^k / k! leaves the last tank (Levenspiel, chapter 14)."""
    flow = 10e-3 / 60.0
    level = steady_level(flow)
    tau = 0.1 * level / flow
    theta = np.linspace(0.0, 3.0 * n, 31)
    recipe = pt.Recipe.constant(pump_flow="10 L/min", feed_tracer="1 g/L", feed_temperature="20 degC")
    start = {f"initial.level_{k}": f"{level!r} m" for k in range(1, n + 1)}
    run = pt.simulate(tank_cascade(n), tau * theta, recipe, start)
    expected = 1.0 - np.exp(-theta) * sum(theta**k / math.factorial(k) for k in range(n))
    np.testing.assert_allclose(run[f"tracer_{n}"].values, expected, rtol=0, atol=1e-6)


def test_pulse_of_tracer_is_the_residence_time_distribution():
    """A dose into tank 1 leaves tank n as E(t) = t^(n-1) / (tau^n (n-1)!) exp(-t/tau) with area and mean n tau."""
    n, flow = 4, 10e-3 / 60.0
    level = steady_level(flow)
    tau = 0.1 * level / flow
    theta = np.linspace(0.0, 40.0, 4001)
    phase = pt.Phase(
        "run",
        pump_flow="10 L/min",
        feed_tracer="0 g/L",
        feed_temperature="20 degC",
        duration=(41.0 * tau, "s"),
        start=[pt.dose("tracer_1", "3 g/L")],
    )
    start = {f"initial.level_{k}": f"{level!r} m" for k in range(1, n + 1)}
    run = pt.simulate(tank_cascade(n), tau * theta, pt.Recipe([phase]), start)
    e = run[f"tracer_{n}"].values / 3.0  # tau E
    np.testing.assert_allclose(e, theta ** (n - 1) / math.factorial(n - 1) * np.exp(-theta), rtol=0, atol=1e-6)
    assert np.trapezoid(e, theta) == pytest.approx(1.0, abs=1e-5)
    assert np.trapezoid(theta * e, theta) == pytest.approx(n, abs=1e-4)


def test_steady_temperatures_follow_the_heat_balance_of_each_tank():
    """rho c q (T_in - T) = G (T - T_room), tank by tank, once all is steady."""
    recipe = pt.Recipe.constant(pump_flow="6 L/min", feed_tracer="0 g/L", feed_temperature="80 degC")
    run = pt.simulate(tank_cascade(), ([20.0], "h"), recipe, {"heat_loss": "50 W/K", "ambient_temperature": "10 degC"})
    carried = 998.0 * 4182.0 * 1e-4
    temperature = 80.0
    for k in (1, 2, 3):
        temperature = (carried * temperature + 50.0 * 10.0) / (carried + 50.0)
        assert run.in_units()[f"temperature_{k}"].values[0] == pytest.approx(temperature, abs=1e-5)
        assert run[f"level_{k}"].values[0] == pytest.approx(steady_level(1e-4), rel=1e-6)


def test_size_does_not_matter():
    """Areas, flow and heat loss ten times as large, in other units: the same levels and temperatures."""
    feed = {"feed_tracer": "1 g/L", "feed_temperature": "60 degC"}
    times = ([1.0, 5.0, 20.0], "min")
    small = pt.simulate(tank_cascade(), times, pt.Recipe.constant(pump_flow="12 L/min", **feed))
    recipe = pt.Recipe.constant(pump_flow="7.2 m^3/h", feed_tracer="1 kg/m^3", feed_temperature="140 degF")
    values = {"tank_area": "1e4 cm^2", "outlet_area": "2e-3 m^2", "heat_loss": "0.05 kW/K"}
    large = pt.simulate(tank_cascade(), times, recipe, values)
    for name in ("level_3", "tracer_3", "temperature_3"):
        np.testing.assert_allclose(large[name].values, small[name].values, rtol=1e-6)


def test_a_cascade_has_tanks():
    """n = 0 is refused, and cascades of different length are different models."""
    with pytest.raises(ValueError, match="n = 0"):
        tank_cascade(0)
    assert tank_cascade(2).fingerprint != tank_cascade(3).fingerprint
