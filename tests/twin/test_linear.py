"""A linear plant through the whole twin: the closed-form Kalman filter, written out here, to 1e-8."""

import functools

import numpy as np
import pytest
from scipy.linalg import expm

import physics_twin as pt
from physics_twin.twin.moments import SECOND
from tests.twin.plants import START, at, fed

TIGHT = pt.Sundials(rtol=1e-12, atol=1e-12)
UA, LINK, C = 0.05, 0.02, 8.0
NOISE = {"T1": 0.1, "T2": 0.3}
WALK = {"T1": 0.05**2 / 60.0, "T2": 0.04**2 / 60.0, "room": 0.2**2 / 3600.0}  # K^2/s


@functools.cache
def plant():
    """Two bodies and the temperature of their room, which is a parameter: linear in all three, heater power live."""
    m = pt.ProcessBuilder("linear_block", version="1.0")
    q = m.input("q", "W")
    room = m.parameter("room", "23 degC")
    t1, t2 = m.state("T1", "degC", initial="30 degC"), m.state("T2", "degC", initial="25 degC")
    ua, link, c = (m.constant(text) for text in (f"{UA} W/K", f"{LINK} W/K", f"{C} J/K"))
    m.rate(t1, (q - ua * (t1 - room) - link * (t1 - t2)) / c)
    m.rate(t2, (-ua * (t2 - room) - link * (t2 - t1)) / c)
    m.output("T1", t1)
    m.output("T2", t2)
    return m.build(integrator=TIGHT)


def posterior():
    rng = np.random.default_rng(0)
    return pt.Posterior.from_draws([plant().parameters["room"]], 296.15 + 1.5 * rng.standard_normal((200, 1)))


def timeline():
    """Irregular times, each channel on its own, powers in between; K for T1, degC for T2."""
    rng = np.random.default_rng(4)
    found = []
    x, now, q = np.array([305.0, 297.0, 297.0]), 0.0, 0.5
    for t in np.cumsum(rng.uniform(0.5, 20.0, 60)):
        F = transition(t - now)
        x, now = F[:3, :3] @ x + F[:3, 3] * q, t
        which = rng.integers(4)
        if which in (0, 2):
            found.append(pt.Sample("T1", at(t), x[0] + 0.1 * rng.normal(), "K"))
        if which in (1, 2):
            found.append(pt.Sample("T2", at(t), x[1] + 0.3 * rng.normal() - 273.15, "degC"))
        if which == 3:
            q = rng.uniform(0.0, 1.0)
            found.append(pt.Sample("q", at(t), q, "W"))
    return found


def transition(dt):
    """(4, 4): of T1, T2, room and power over dt, exact."""
    A = np.array([[-(UA + LINK), LINK, UA, 1.0], [LINK, -(UA + LINK), UA, 0.0], [0.0] * 4, [0.0] * 4]) / C
    return expm(A * dt)


def closed_form(samples, considered=False):
    """Mean and covariance of (T1, T2, room) by the textbook; `considered`: the room's row of the gain is zero."""
    draws = posterior()["room"]
    x = np.array([303.15, 298.15, draws.mean()])
    P = np.diag([4.0, 1.0, draws.var(ddof=1)])
    Q = np.diag(list(WALK.values()))
    now, q = START, 0.5
    for t in sorted({s.time for s in samples}):
        group = sorted((s for s in samples if s.time == t), key=lambda s: s.key)
        dt = (t - now) / SECOND
        F = transition(dt)
        x = F[:3, :3] @ x + F[:3, 3] * q
        P = F[:3, :3] @ P @ F[:3, :3].T + Q * dt
        now = t
        read = [s for s in group if s.channel != "q"]
        if read:
            H = np.array([[s.channel == "T1", s.channel == "T2", 0.0] for s in read], dtype=float)
            R = np.diag([NOISE[s.channel] ** 2 for s in read])
            y = np.array([s.value + (273.15 if s.unit == "degC" else 0.0) for s in read])
            K = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
            if considered:
                K[2] = 0.0
            x = x + K @ (y - H @ x)
            L = np.eye(3) - K @ H
            P = L @ P @ L.T + K @ R @ K.T
        q = next((s.value for s in group if s.channel == "q"), q)
    return x, P


def twin_of(method, adaptive):
    return pt.Twin.start(
        plant(),
        posterior(),
        at="2026-11-20T06:00Z",
        recipe=pt.Recipe.constant(q=pt.Setting("q", "W", value="0.5 W")),
        channels=[pt.Channel(name, unit="degC", noise=f"{sd} K") for name, sd in NOISE.items()],
        initial_sd={"T1": "2 K", "T2": "1 K"},
        process_noise={"T1": pt.RandomWalk("0.05 K", per="1 min"), "T2": pt.RandomWalk("0.04 K", per="1 min")},
        drift={"room": pt.RandomWalk("0.2 K", per="1 h")},
        method=method,
        adaptive=adaptive,
        guard=pt.Guard(probability=1.0 - 1e-12),
    )


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("method", [pt.UnscentedKalman(), pt.ExtendedKalman()])
def test_the_closed_form(method, adaptive):
    """Mean and covariance of states and parameter, with live inputs, units and irregular channels."""
    samples = timeline()
    twin = fed(twin_of(method, adaptive), samples)
    assert twin.state.n_updates == len({s.time for s in samples if s.channel != "q"})
    x, P = closed_form(samples, considered=not adaptive)
    belief, coordinates = twin.state.belief, twin.setup.coordinates
    found = coordinates.of_members(belief.states, belief.parameters)[0] * coordinates.scale
    covariance = belief.root @ belief.root.T * np.outer(coordinates.scale, coordinates.scale)
    sd = np.sqrt(np.diag(P))
    np.testing.assert_allclose(found, x, rtol=1e-8)
    np.testing.assert_allclose(covariance / np.outer(sd, sd), P / np.outer(sd, sd), atol=1e-8)


def test_outputs_after_the_update():
    """What the state says of its outputs is what the model says of the updated belief: both are linear here."""
    twin = fed(twin_of(pt.UnscentedKalman(), True), timeline())
    np.testing.assert_allclose(twin.state.outputs, [twin.mean["T1"], twin.mean["T2"]], rtol=1e-9)
    np.testing.assert_allclose(
        np.sqrt(np.diag(twin.state.covariance)), [twin.spread["T1"], twin.spread["T2"]], rtol=1e-8
    )


def test_the_present_is_one_prediction():
    """A twin shown later than its last entry: the closed form carried on, and nothing of it stays."""
    samples = timeline()
    twin = fed(twin_of(pt.UnscentedKalman(), True), samples)
    end = samples[-1].time + 300 * SECOND
    later, innovation = pt.assimilate(twin, [], until=end)
    assert later.digest == twin.digest and later.until == end and not innovation.records
    x, P = closed_form([*samples, pt.Sample("q", end, 0.0, "W")])
    assert later.mean["T1"] == pytest.approx(x[0], rel=1e-8)
    assert later.spread["room"] == pytest.approx(np.sqrt(P[2, 2]), rel=1e-6)
    assert later.spread["room"] > twin.spread["room"]
    more = pt.Sample("T1", end, 300.0, "K")
    assert fed(later, [more]).digest == fed(twin, [more]).digest
