"""jacketed_reactor: steady states, stability, folds, the limit cycle, and energy whatever the kinetics."""

import functools

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, minimize_scalar

import physics_twin as pt
from physics_twin_models.jacketed_reactor import jacketed_reactor

FEED = {"feed_temperature": "350 K", "feed_concentration": "1 mol/L", "feed_flow": "100 L/min"}
STEADY_STATES = [  # computed independently: coolant K -> (temperature K, concentration mol/L)
    (290.0, [(312.65620889, 0.9519412326)]),
    (300.0, [(324.47544343, 0.8772529461), (350.00552869, 0.4999182860), (369.70491342, 0.2087613796)]),
    (302.0, [(328.70192983, 0.8347854771), (343.52047297, 0.6157674095), (373.64701170, 0.1704971670)]),
    (305.0, [(378.06522295, 0.1351960047)]),
    (310.0, [(383.88759299, 0.0991413757)]),
]


@functools.cache
def reactor():
    return jacketed_reactor()


def rates(temperature, concentration, coolant):
    """(dT/dt K/s, dC/dt mol/m3/s) of the model itself; concentration in mol/L."""
    model = reactor()
    eq = model.equations
    assert eq.differential == ("temperature", "concentration")
    assert eq.inputs == ("coolant_temperature", *FEED)
    p = [model.parameters[name].value for name in eq.parameters]
    u = [coolant, 350.0, 1000.0, 0.1 / 60.0]
    return eq.rate(0.0, [temperature, 1000.0 * concentration], [], u, p, []).full()[:, 0]


def concentration_at(temperature):
    """mol/L at which the balance of A is steady; linear in the concentration."""
    at_0, at_1 = rates(temperature, 0.0, 300.0)[1], rates(temperature, 1.0, 300.0)[1]
    return at_0 / (at_0 - at_1)


def coolant_at(temperature):
    """K of coolant for which `temperature` is steady; linear in the coolant temperature."""
    c = concentration_at(temperature)
    at_300, at_301 = rates(temperature, c, 300.0)[0], rates(temperature, c, 301.0)[0]
    return 300.0 - at_300 / (at_301 - at_300)


def jacobian(temperature, concentration, coolant):
    """1/min, states in K and mol/L, central differences."""
    columns = []
    for dt, dc in ((1e-3, 0.0), (0.0, 1e-6)):
        high = rates(temperature + dt, concentration + dc, coolant)
        low = rates(temperature - dt, concentration - dc, coolant)
        columns.append((high - low) / (2.0 * (dt + dc)) * np.array([60.0, 0.06]))
    return np.column_stack(columns)


@pytest.mark.parametrize(("coolant", "states"), STEADY_STATES)
def test_steady_states(coolant, states):
    """The steady states at each coolant temperature are the published ones, and there are no others."""
    grid = np.linspace(coolant, 450.0, 4001)
    excess = np.array([coolant_at(t) for t in grid]) - coolant
    cells = np.flatnonzero(np.diff(np.sign(excess)) != 0)
    assert cells.size == len(states)
    for cell, (temperature, concentration) in zip(cells, states, strict=True):
        root = brentq(lambda t: coolant_at(t) - coolant, grid[cell], grid[cell + 1], xtol=1e-12)
        assert root == pytest.approx(temperature, abs=1e-8)
        assert concentration_at(root) == pytest.approx(concentration, abs=2e-10)


def test_stability_at_300_k():
    """At 300 K: a stable state, a saddle, and an unstable focus with eigenvalues 1.357 +- 1.540i per min."""
    stable, saddle, focus = (np.linalg.eigvals(jacobian(t, c, 300.0)) for t, c in STEADY_STATES[1][1])
    assert (stable.real < 0).all()
    assert sorted(np.sign(saddle.real)) == [-1.0, 1.0]
    assert saddle.imag == pytest.approx(0.0)
    assert focus.real == pytest.approx(1.357, abs=1e-3)
    assert np.abs(focus.imag) == pytest.approx(1.540, abs=1e-3)


def test_no_steady_state_is_stable_at_305_k():
    """The only steady state at 305 K is unstable; at 310 K it is stable."""
    (hot,), (hotter,) = STEADY_STATES[3][1], STEADY_STATES[4][1]
    assert (np.linalg.eigvals(jacobian(*hot, 305.0)).real > 0).all()
    assert (np.linalg.eigvals(jacobian(*hotter, 310.0)).real < 0).all()


def test_folds():
    """The steady-state curve turns at coolant temperatures of 303.229272 K and 298.080457 K."""
    upper = minimize_scalar(lambda t: -coolant_at(t), bounds=(325.0, 350.0), method="bounded", options={"xatol": 1e-8})
    lower = minimize_scalar(coolant_at, bounds=(350.0, 370.0), method="bounded", options={"xatol": 1e-8})
    assert -upper.fun == pytest.approx(303.229272, abs=1e-6)
    assert upper.x == pytest.approx(335.654068, abs=1e-4)
    assert lower.fun == pytest.approx(298.080457, abs=1e-6)
    assert lower.x == pytest.approx(360.510713, abs=1e-4)


@pytest.mark.parametrize("coolant", [290.0, 310.0])
def test_a_run_from_steady_stays_there(coolant):
    """initial = STEADY finds the only, stable steady state, and nothing moves in an hour."""
    recipe = pt.Recipe.constant(coolant_temperature=(coolant, "K"), **FEED).replace(initial=pt.STEADY)
    run = pt.simulate(reactor(), ([0.0, 60.0], "min"), recipe)
    expected = dict(STEADY_STATES)[coolant][0]
    np.testing.assert_allclose(run["temperature"].values, expected[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(run["concentration"].values, 1000.0 * expected[1], rtol=0, atol=1e-4)


def test_energy_without_cooling_ignores_the_kinetics():
    """Without cooling rho c_p T + (-dH) C relaxes as exp(-q t / V) to its value in the feed, for any rate."""
    minutes = np.linspace(0.0, 5.0, 26)
    recipe = pt.Recipe.constant(coolant_temperature="300 K", **FEED)
    for rate_factor in ("7.2e10 1/min", "2e9 1/min"):
        values = {
            "wall_conductance": "0 J/min/K",
            "rate_factor": rate_factor,
            "initial.temperature": "330 K",
            "initial.concentration": "0.2 mol/L",
        }
        run = pt.simulate(reactor(), (minutes, "min"), recipe, values)
        energy = 1000.0 * 239.0 * run["temperature"].values + 5e4 * run["concentration"].values  # J/m3
        feed, start = 1000.0 * 239.0 * 350.0 + 5e4 * 1000.0, 1000.0 * 239.0 * 330.0 + 5e4 * 200.0
        np.testing.assert_allclose(energy, feed + (start - feed) * np.exp(-minutes), rtol=1e-7)


def test_size_does_not_matter():
    """Volume, flow and wall conductance ten times as large: the same temperatures; units of any kind."""
    minutes = (np.linspace(0.0, 3.0, 16), "min")
    small = pt.simulate(reactor(), minutes, pt.Recipe.constant(coolant_temperature="305 K", **FEED))
    recipe = pt.Recipe.constant(coolant_temperature="31.85 degC", **(FEED | {"feed_flow": "60 m^3/h"}))
    large = pt.simulate(reactor(), minutes, recipe, {"volume": "1 m^3", "wall_conductance": "500 kJ/min/K"})
    np.testing.assert_allclose(large["temperature"].values, small["temperature"].values, rtol=0, atol=1e-4)


def textbook(t, y):
    """The equations of the book in its own units: minutes, K, mol/L."""
    temperature, c = y
    k = 7.2e10 * np.exp(-8750.0 / temperature)
    heat = 5e4 * k * c / 239.0 - 5e4 / (100.0 * 239.0) * (temperature - 305.0)
    return [350.0 - temperature + heat, 1.0 - c - k * c]


def test_limit_cycle_at_305_k():
    """At 305 K the reactor oscillates for good: the same cycle after 40 min as after 80 min, as SciPy finds it."""
    model = reactor().with_integrator(pt.Sundials(rtol=1e-10, atol=1e-12))
    minutes = np.linspace(0.0, 100.0, 100_001)
    values = {"initial.temperature": "350 K", "initial.concentration": "0.5 mol/L"}
    recipe = pt.Recipe.constant(coolant_temperature="305 K", **FEED)
    t = pt.simulate(model, (minutes, "min"), recipe, values)["temperature"].values
    own = [cycle(minutes, t, begin) for begin in (40.0, 80.0)]
    np.testing.assert_allclose(own[0], own[1], rtol=0, atol=1e-3)
    solution = solve_ivp(textbook, (0.0, 100.0), [350.0, 0.5], "Radau", minutes, rtol=1e-10, atol=1e-12)
    assert (np.abs(own[1] - cycle(minutes, solution.y[0], 80.0)) < [1e-5, 1e-3, 1e-3]).all()
    assert (np.abs(own[1] - PINNED_CYCLE) < [1e-4, 1e-2, 1e-2]).all()


PINNED_CYCLE = [2.19290, 362.4505, 405.4536]  # period in min, lowest and highest temperature in K


def cycle(minutes, temperature, begin):
    """Period (mean of the upward crossings of 370 K), lowest and highest temperature from `begin` on."""
    late = minutes >= begin
    x, y = minutes[late], temperature[late] - 370.0
    up = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    moments = x[up] - y[up] * (x[up + 1] - x[up]) / (y[up + 1] - y[up])
    return np.array([np.diff(moments).mean(), y.min() + 370.0, y.max() + 370.0])
