"""Faults in the readings of a running twin: what is left out, what is said, and that the estimate stays."""

from collections.abc import Callable

import numpy as np
import pytest

from physics_twin.assimilation import RandomWalk
from physics_twin.measurements import Channel
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe
from physics_twin.twin import Sample, Twin
from physics_twin.twin.consistency import verdict
from physics_twin.twin.innovation import Innovation
from physics_twin.twin.moments import SECOND
from tests.twin.linear_plant import LinearPlant

N, AT = 200, 120
DECAY = 0.05


def followed(fault: Callable[[int, float], float], *, frozen: bool = False) -> tuple[Twin, Innovation, np.ndarray]:
    """x' = 0.05 (20 m - x) from 0 m, read once a second to 1 cm, with a fault; the truth of each second comes along."""
    parameters = [
        Parameter("rate", 1.0, unit="m/s", bounds=("-10 m/s", "10 m/s")),
        Parameter("decay", DECAY, unit="1/s", bounds=("1e-3 1/s", "10 1/s")),
    ]
    rng = np.random.default_rng(0)
    draws = np.array([1.0, DECAY]) * (1.0 + (1e-6 if frozen else 0.02) * rng.normal(size=(200, 2)))
    twin = Twin.start(
        LinearPlant(),
        Posterior.from_draws(parameters, draws),
        at=0,
        recipe=Recipe.constant(inflow="0 m/s"),
        channels=[Channel("x", unit="m", noise="10 mm")],
        initial_sd={"x": "1 mm" if frozen else "0.1 m"},
        process_noise={"x": RandomWalk("1 mm" if not frozen else "0.01 mm", per="1 s")},
        adaptive=not frozen,
    )
    truth = 1.0 / DECAY * (1.0 - np.exp(-DECAY * np.arange(N + 1)))
    samples = [Sample("x", k * SECOND, fault(k, truth[k] + float(rng.normal(0.0, 0.01))), "m") for k in range(1, N + 1)]
    twin, innovation = twin.assimilate(samples, budget=None)
    return twin, innovation, truth


def off(twin: Twin, truth: np.ndarray) -> float:
    """How far the estimate of x is off, in its own standard deviations."""
    return abs(float(twin.mean["x"]) - truth[-1]) / float(twin.spread["x"])


def test_a_healthy_sensor_is_used() -> None:
    """All but what chance turns away, and a consistent filter."""
    twin, innovation, truth = followed(lambda k, v: v)
    assert innovation.n_used >= N - 3
    assert verdict(twin.state.consistency, twin.state.monitors).consistent
    assert off(twin, truth) < 4.0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda k, v: v + (3.0 if k == AT else 0.0), "turned away"),
        (lambda k, v: 100.0 * v if AT <= k < AT + 40 else v, "looks like a factor of 100"),
        (lambda k, v: float("nan") if AT <= k < AT + 40 else v, "nothing was read"),
    ],
    ids=["spike", "unit", "missing"],
)
def test_faults_are_said_and_leave_no_trace(fault: Callable[[int, float], float], words: str) -> None:
    """Flagged by the third reading, left out, and used again once the sensor is well."""
    twin, innovation, truth = followed(fault)
    why = [str(text) for text in innovation["x"]["why"].values]
    assert any(text.startswith(words) or words in text for text in why[AT - 1 : AT + 2])
    assert not innovation["x"]["used"].values[AT - 1]
    assert innovation["x"]["used"].values[-20:].all()
    assert off(twin, truth) < 4.0


def test_a_frozen_sensor_is_flagged_while_the_plant_moves() -> None:
    """Frozen at 12 m while x runs to 20 m: flagged within five readings, and never followed."""
    held: list[float] = []

    def freeze(k: int, v: float) -> float:
        if k < 20:
            return v
        held.append(v)
        return held[0]

    twin, innovation, truth = followed(freeze)
    flags = innovation["x"]["flag"].values
    assert (flags[19:24] >= 3).any()
    assert str(innovation["x"]["why"].values[-1]).startswith("stuck at ")
    assert float(twin.mean["x"]) > 0.9 * truth[-1]


def test_a_step_of_the_plant_is_followed_after_the_run() -> None:
    """3 m more from one second to the next (someone has filled in): four turned away, then the gate opens."""
    _, innovation, _ = followed(lambda k, v: v + 3.0 * float(np.exp(-DECAY * (k - AT))) if k >= AT else v)
    own = innovation["x"]
    assert own["used"].values[AT - 1 : AT + 4].tolist() == [False] * 4 + [True]
    assert own["widened"].values[AT + 3] > 1.0
    assert own["used"].values[AT + 4 :].mean() > 0.95
    assert abs(own["residual"].values[-1]) < 0.1


def test_a_sensor_that_is_bumped_shows_in_the_drift_alarms() -> None:
    """Two standard deviations of bias from one second on: named, above or below, and of a healthy twin nothing is."""
    for bias, sides in ((0.02, ["above"]), (-0.02, ["below"]), (0.0, [])):
        twin, _, _ = followed(lambda k, v, bias=bias: v + bias * (k >= AT), frozen=True)
        alarms = [alarm for alarm in twin.drift_alarms(probability=0.999) if alarm.channel]
        assert [alarm.words.split(" what the model")[0].split()[-1] for alarm in alarms] == sides
        assert twin.snapshots[-1].time == twin.state.time
