"""Drift alarms: rare without drift, soon with it, and in the units of the parameter."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import binom

from physics_twin.assimilation.belief import Belief
from physics_twin.errors import BoundsError, DataError
from physics_twin.measurements import Channel
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe
from physics_twin.twin.consistency import NONE
from physics_twin.twin.drift import alarms, channel_alarms, estimate, parameter_alarms
from physics_twin.twin.moments import SECOND
from physics_twin.twin.sensors import judge
from physics_twin.twin.setup import Guard, Setup, Window
from physics_twin.twin.start import set_up
from physics_twin.twin.state import Batch, ChannelMonitor, FilterState, Mode
from tests.twin.linear_plant import LinearPlant
from tests.twin.sensors.streams import healthy

RATE, DECAY = (
    Parameter(*row[:2], unit=row[2], bounds=row[3])
    for row in (
        ("rate", 0.0, "m/s", ("-10 m/s", "10 m/s")),
        ("decay", 1.0, "1/s", ("0.01 1/s", "10 1/s")),
    )
)
DAY = 86400 * SECOND


@dataclass(frozen=True)
class Plant(LinearPlant):
    """The linear plant with a decay that is estimated in its logarithm."""

    def __post_init__(self) -> None:
        kept = [self.parameters[name] for name in self.parameters if name not in ("rate", "decay")]
        object.__setattr__(self, "parameters", type(self.parameters)([RATE, DECAY, *kept]))


def twin_of(sd: float = 0.1, n_draws: int = 4000, *, seed: int = 0) -> Setup:
    """rate 0 +- sd m/s, ln decay 0 +- sd; one channel x."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n_draws, 2))
    z = sd * (z - z.mean(axis=0)) / z.std(axis=0, ddof=1)
    posterior = Posterior.from_draws([RATE, DECAY], np.column_stack([z[:, 0], np.exp(z[:, 1])]))
    return set_up(
        Plant(),
        posterior,
        0,
        recipe=Recipe.constant(inflow="0 m/s"),
        history=None,
        channels=[Channel("x", unit="mm", noise="1 mm")],
        initial_sd={},
        walks={},
        seed=0,
        adaptive=True,
        method=None,
        guard=Guard(),
        window=Window(),
        batch="",
    )


def state_of(
    setup: Setup, time: int, rate: float, log_decay: float, sd: float, *, n_members: int = 0, seed: int = 0
) -> FilterState:
    """A state in which both parameters are known to sd (m/s, and of the logarithm)."""
    coordinates = setup.coordinates
    n = coordinates.n
    states = np.zeros((max(n_members, 1), 4))
    if n_members:
        z = np.random.default_rng(seed).normal(size=(n_members, 2)) * sd
        rows, root = np.column_stack([rate + z[:, 0], np.exp(log_decay + z[:, 1])]), None
    else:
        rows, root = np.array([[rate, np.exp(log_decay)]]), np.zeros((n, n))
        scales = coordinates.scale[coordinates.n_states :]
        root[range(coordinates.n_states, n), range(coordinates.n_states, n)] = sd / scales
    return FilterState(
        time=time,
        belief=Belief("given", states, rows, root),
        batch=Batch("", 0, Recipe.constant(inflow="0 m/s")),
        settings={},
        mode=Mode.RUNNING,
        masks=(),
        monitors={},
        consistency=NONE,
        outputs=np.zeros(2),
        covariance=np.zeros((2, 2)),
    )


@pytest.fixture(scope="module")
def setup() -> Setup:
    return twin_of()


@pytest.mark.parametrize("forgets", [False, True])
def test_false_alarms_are_at_most_as_likely_as_stated(setup: Setup, forgets: bool) -> None:
    """2000 plants drawn from the posterior, each followed by a filter: at 95 %, no more alarms than chance has it.

    A filter that keeps everything (its estimate is made of the posterior and new data) and one that has forgotten the
    posterior. The second is the limit of the test: there the rate is the stated one.
    """
    rng = np.random.default_rng(1)
    n, sd = 2000, 0.1
    wrong = 0
    for _ in range(n):
        truth = rng.normal(0.0, sd, 2)
        seen = truth + rng.normal(0.0, sd, 2)
        now = (seen, sd) if forgets else (0.5 * seen, sd / np.sqrt(2.0))
        wrong += bool(parameter_alarms(setup, [state_of(setup, DAY, *now[0], now[1])], probability=0.95))
    low, high = binom.ppf([5e-7, 1.0 - 5e-7], n, 0.05)
    assert wrong <= high
    assert not forgets or wrong >= 0.9 * low  # two parameters at 2.5 % each: 1 - 0.975^2 = 4.9 %


def test_few_members_widen_the_test() -> None:
    """Ten members know their own spread badly: Student's t keeps the rate where a normal quantile would miss it."""
    setup, rng = twin_of(sd=1e-4), np.random.default_rng(2)
    n, wrong = 2000, 0
    for k in range(n):
        spread = 0.1
        off = rng.normal(0.0, spread * np.sqrt(1.0 - 1.0 / 10.0), 2)
        state = state_of(setup, DAY, *off, spread, n_members=10, seed=k)
        wrong += bool(parameter_alarms(setup, [state], probability=0.95))
    assert wrong <= binom.ppf(1.0 - 1e-6, n, 0.05)


def test_a_parameter_that_has_left_its_posterior_is_named(setup: Setup) -> None:
    """By name, size, spread and unit, and since the first snapshot at which it was outside."""
    states = [state_of(setup, k * DAY, 0.2 * k, 0.0, 0.02) for k in range(6)]
    (alarm,) = parameter_alarms(setup, states)
    assert (alarm.name, alarm.channel) == ("rate", False)
    assert alarm.size == pytest.approx(1.0)
    assert alarm.sd == pytest.approx(np.hypot(0.1, 0.02))
    assert alarm.since == 2 * DAY  # 0.2 is within 3.5 deviations of 0.1, 0.4 is not
    assert alarm.words == str(alarm)
    assert "rate has drifted by +1 m/s (standard deviation 0.102 m/s) since 1970-01-03T00:00:00Z" in alarm.words
    assert "the posterior in force says" in alarm.words


def test_a_logarithmic_parameter_is_compared_in_its_logarithm(setup: Setup) -> None:
    """Twice as large and half as large are as far off, and both are said in the parameter's unit."""
    for factor in (2.0, 0.5):
        (alarm,) = parameter_alarms(setup, [state_of(setup, DAY, 0.0, np.log(factor), 0.02)])
        assert alarm.name == "decay"
        assert alarm.size == pytest.approx(factor - 1.0, rel=1e-3)
        assert alarm.sd == pytest.approx(np.hypot(0.1, 0.02) * factor, rel=1e-3)


def test_a_drift_within_the_posterior_shows_against_an_earlier_estimate(setup: Setup) -> None:
    """The posterior allows 0.2 m/s, the twin of two days ago does not; a moment that is not kept is refused."""
    states = [state_of(setup, k * DAY, 0.1 * k, 0.0, 0.01) for k in range(1, 4)]
    assert not parameter_alarms(setup, states)
    (alarm,) = parameter_alarms(setup, states, against=DAY)
    assert alarm.size == pytest.approx(0.2)
    assert "the estimate of 1970-01-02T00:00:00Z says" in alarm.words
    with pytest.raises(DataError, match="the oldest is of 1970-01-02"):
        parameter_alarms(setup, states, against=0)


def test_estimates_are_those_of_the_belief(setup: Setup) -> None:
    """A root and as many members as one likes say the same."""
    one = estimate(setup, state_of(setup, 0, 0.3, 0.1, 0.05))
    many = estimate(setup, state_of(setup, 0, 0.3, 0.1, 0.05, n_members=20_000))
    assert np.allclose(one.mean, many.mean, atol=5.0 * 0.05 / np.sqrt(20_000))
    assert np.allclose(np.sqrt(one.variance), np.sqrt(many.variance), rtol=0.03)
    assert many.degrees == 19_999.0


def test_a_channel_that_lies_on_one_side_is_named(setup: Setup) -> None:
    """With side, size in its own unit, and since when; a healthy one is not."""
    for bias, side in ((0.3, "above"), (-0.3, "below"), (0.0, "")):
        monitor = ChannelMonitor()
        for k, one in enumerate(healthy(600, 4)):
            monitor, _ = judge(monitor, Guard(), replace(one, value=one.value + (bias if k >= 300 else 0.0)))
        found = channel_alarms(setup, replace(state_of(setup, DAY, 0.0, 0.0, 0.1), monitors={"x": monitor}))
        assert len(found) == bool(side)
        for alarm in found:
            assert alarm.channel and alarm.name == "x"
            # The mean over the stretch, of which a part may lie before the bias began.
            begun = alarm.since // SECOND
            assert 200 <= begun <= 330
            biased = bias * min(300.0 / (600.0 - begun), 1.0)
            assert abs(alarm.size - biased) < 4.0 * alarm.sd
            assert f"mm {side} what the model expects" in alarm.words


def test_both_kinds_come_together_and_arguments_are_checked(setup: Setup) -> None:
    """Parameters first; a probability or a rate that means nothing is refused."""
    state = state_of(setup, DAY, 1.0, 0.0, 0.02)
    assert [alarm.name for alarm in alarms(setup, [state])] == ["rate"]
    with pytest.raises(BoundsError, match="probability = 1"):
        alarms(setup, [state], probability=1.0)
    with pytest.raises(BoundsError, match="every = 0"):
        alarms(setup, [state], every=0.0)
