"""Sensors with an unknown bias: the closed-form filter that carries it, through every method."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.twin.moments import SECOND
from physics_twin.twin.timeline import Act, Operation
from tests.twin.linear_plant import LinearPlant
from tests.twin.plants import START, at, fed, heater_block, heater_twin
from tests.twin.test_linear import NOISE, WALK, plant, posterior, timeline, transition

BIAS = 1.5
REPLACED = 250.0


def readings():
    """Those of the linear block, T1 read 2 K too high."""
    return [pt.Sample(s.channel, s.time, s.value + 2.0 * (s.channel == "T1"), s.unit) for s in timeline()]


def closed_form(samples, considered, replaced):
    """Mean and covariance of (T1, T2, room, bias of T1); `considered`: room and bias are not updated."""
    draws = posterior()["room"]
    x = np.array([303.15, 298.15, draws.mean(), 0.0])
    P = np.diag([4.0, 1.0, draws.var(ddof=1), BIAS**2])
    Q = np.diag([*WALK.values(), 0.0])
    now, q = START, 0.5
    for t in sorted({s.time for s in samples}):
        if replaced and now < at(REPLACED) <= t:
            x[3], P[3], P[:, 3] = 0.0, 0.0, 0.0
            P[3, 3] = BIAS**2
        group = sorted((s for s in samples if s.time == t), key=lambda s: s.key)
        F = np.eye(4)
        F[:3, :3] = transition((t - now) / SECOND)[:3, :3]
        x = F @ x + np.append(transition((t - now) / SECOND)[:3, 3] * q, 0.0)
        P = F @ P @ F.T + Q * (t - now) / SECOND
        now = t
        read = [s for s in group if s.channel != "q"]
        if read:
            H = np.array([[s.channel == "T1", s.channel == "T2", 0.0, s.channel == "T1"] for s in read], dtype=float)
            R = np.diag([NOISE[s.channel] ** 2 for s in read])
            K = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
            if considered:
                K[2:] = 0.0
            x = x + K @ (np.array([s.value + (273.15 if s.unit == "degC" else 0.0) for s in read]) - H @ x)
            L = np.eye(4) - K @ H
            P = L @ P @ L.T + K @ R @ K.T
        q = next((s.value for s in group if s.channel == "q"), q)
    return x, P


def twin_of(method, adaptive):
    bias = {"T1": pt.UnknownBias(f"{BIAS} K")}
    return pt.Twin.start(
        plant(),
        posterior(),
        at="2026-11-20T06:00Z",
        recipe=pt.Recipe.constant(q=pt.Setting("q", "W", value="0.5 W")),
        channels=[pt.Channel(name, unit="degC", noise=f"{sd} K", bias=bias.get(name)) for name, sd in NOISE.items()],
        initial_sd={"T1": "2 K", "T2": "1 K"},
        process_noise={"T1": pt.RandomWalk("0.05 K", per="1 min"), "T2": pt.RandomWalk("0.04 K", per="1 min")},
        drift={"room": pt.RandomWalk("0.2 K", per="1 h")},
        method=method,
        adaptive=adaptive,
        guard=pt.Guard(probability=1.0 - 1e-12),
    )


METHODS = [
    (pt.ExtendedKalman(), 1e-8),
    (pt.UnscentedKalman(), 1e-8),
    (pt.UnscentedKalman(steps=pt.RungeKutta("1 s", compiled=False)), 1e-6),
    (pt.MovingHorizon(4), 1e-4),  # of its own integration
    (pt.EnsembleKalman(400), 0.25),  # of 400 draws
]


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize(("method", "tolerance"), METHODS)
def test_the_closed_form(method, tolerance, adaptive, replaced):
    """A bias is one unknown for all readings of a sensor, learned where the twin is adaptive; the next sensor has
    another one.
    """
    samples = readings()
    entries = list(samples)
    twin = twin_of(method, adaptive)
    if replaced:
        entries.append(Operation(Act.SENSOR_REPLACED, at(REPLACED), "N.", "broken", {"channel": "T1"}))
    twin = fed(twin, sorted(entries, key=lambda entry: entry.key))
    x, P = closed_form(samples, not adaptive, replaced)
    sd = np.sqrt(np.diag(P))
    if isinstance(method, pt.MovingHorizon) and not adaptive:
        tolerance = 0.2  # it weighs the samples of its window together, and so is a little sharper
    names = ("T1", "T2", "room", "bias.T1")
    found = np.array([twin.mean[name] for name in names])
    np.testing.assert_allclose((found - x) / sd, 0.0, atol=tolerance * 10)
    np.testing.assert_allclose([twin.spread[name] for name in names], sd, rtol=tolerance + 1e-6)


def test_many_readings_do_not_average_a_bias_away():
    """A standing plant, a sensor 1 m off: after 3000 readings its level is known to the bias and no better."""
    model = LinearPlant()
    exact = pt.Posterior.from_draws([model.parameters["rate"]], 1e-9 * np.arange(-50.0, 50.0)[:, None])
    channel = pt.Channel("x", unit="m", noise="0.1 m", bias=pt.UnknownBias("1 m"))
    rng = np.random.default_rng(1)
    samples = [pt.Sample("inflow", at(0), 0.0, "m/s")]
    samples += [pt.Sample("x", at(k), 1.0 + 0.1 * rng.standard_normal(), "m") for k in range(1, 3000)]
    for adaptive in (True, False):
        twin = pt.Twin.start(
            model,
            exact,
            at="2026-11-20T06:00Z",
            channels=[channel],
            initial_sd={"x": "10 m"},
            adaptive=adaptive,
            method=pt.ExtendedKalman(),
        )
        twin = fed(twin, samples)
        # Of two unknowns whose sum is known: 1 / (1 / 10^2 + 1 / 1^2).
        assert twin.spread["x"] == pytest.approx(np.sqrt(100.0 / 101.0), rel=0.01)
        if adaptive:  # what the sensor will show, behind the two outputs, is known well
            assert twin.state.covariance[2, 2] == pytest.approx(0.1**2 / 2999, rel=0.01)
        assert abs(twin.mean["x"]) < 2.0


def test_a_bias_that_a_fit_has_found_keeps_its_draws():
    """Mean, spread and correlation with the plant's parameters are those of the posterior."""
    channel = pt.Channel("T1", unit="degC", noise="0.1 K", bias=pt.UnknownBias("2 K"))
    rng = np.random.default_rng(0)
    bias = rng.normal(0.7, 0.3, 300)
    table = np.column_stack([0.05 + 0.005 * (bias - 0.7), bias])
    declared = [heater_block().parameters["UA"], channel.parameters["bias"]]
    twin = pt.Twin.start(
        heater_block(), pt.Posterior.from_draws(declared, table), at="2026-11-20T06:00Z", channels=[channel]
    )
    assert twin.parameters["bias.T1"] == pytest.approx(table[:, 1].mean(), rel=1e-6)
    assert twin.spread["bias.T1"] == pytest.approx(table[:, 1].std(ddof=1), rel=1e-6)
    twin = fed(twin, [pt.Sample("q1", at(0), 0.0, "W"), pt.Sample("q2", at(0), 0.0, "W")])
    found = twin.covariance.sel(quantity="UA", quantity_2="bias.T1").item()
    assert found == pytest.approx(np.cov(table.T)[0, 1], rel=1e-6)


def test_the_band_of_a_reading_has_the_bias_in_it():
    """Known: the band stands around what the sensor shows. Unknown and learned: as narrow as the sum is known."""
    inputs = [pt.Sample(name, at(0), 0.0, "W") for name in ("q1", "q2")]
    samples = inputs + [pt.Sample("T1", at(5.0 * k), 28.0, "degC") for k in range(1, 200)]
    for bias in ("5 K", pt.UnknownBias("3 K")):
        channel = pt.Channel("T1", unit="degC", noise="0.1 K", bias=bias)
        twin = fed(heater_twin(channels=[channel]), samples)
        foreseen = twin.forecast(until="10 s")
        band = foreseen["T1_measured"].values[:, 0] - 273.15
        assert band[2] == pytest.approx(28.0, abs=0.1)
        assert 2.0 * 1.96 * 0.1 < band[4] - band[0] < 1.2
