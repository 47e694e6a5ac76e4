"""The gate turns away what is too far off, and lets itself be talked into a plant that has changed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from physics_twin.measurements.flags import Flag
from physics_twin.twin.sensors import judge_moment
from physics_twin.twin.sensors.gate import LONE, agree, insist, widening
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor
from tests.twin.sensors.streams import NORMAL, Follower, healthy, judged, reading

SPREAD = float(np.sqrt(NORMAL.variance + NORMAL.predicted_variance))


def noisy(value: float, n: int, seed: int = 0, *, begin: int = 0) -> list:
    """A plant that stands at a value that the model does not expect."""
    rng = np.random.default_rng(seed)
    return [reading(begin + k, value + float(rng.normal(0.0, 0.2))) for k in range(n)]


@pytest.mark.parametrize("probability", [0.95, 0.99, 0.999])
def test_healthy_readings_are_turned_away_at_the_stated_rate(probability: float) -> None:
    """The share turned away lies within binomial bounds that a right gate leaves once in a million."""
    n = 20_000
    _, verdicts = judged(healthy(n, 1), Guard(probability=probability, reset_after=n))
    off = sum(not verdict.use for verdict in verdicts)
    low, high = binom.ppf([5e-7, 1.0 - 5e-7], n, 1.0 - probability)
    assert low <= off <= high


def test_a_healthy_channel_never_opens_the_gate_again() -> None:
    """Five of 1000 in a row by chance is 1e-15: not in 20 000 readings."""
    _, verdicts = judged(healthy(20_000, 2))
    assert not any(verdict.reopen for verdict in verdicts)


def test_the_gate_moves_the_estimate_by_nothing() -> None:
    """Filters with and without the gate on the same healthy readings: the same mean error, to what the gate takes off.

    The gate takes one reading in 1000, up or down alike: the two estimates differ by a zero mean quantity. The bound is
    five standard errors of the difference, counted at one independent value in 50 readings.
    """
    rng = np.random.default_rng(3)
    gated, open_, difference = Follower(), Follower(guard=Guard(probability=1.0)), []
    truth = 350.0
    for _ in range(20_000):
        truth += rng.normal(0.0, 0.02)
        value = truth + rng.normal(0.0, 0.2)
        gated.take(value)
        open_.take(value)
        difference.append(gated.mean - open_.mean)
    assert abs(np.mean(difference)) < 5.0 * np.std(difference) / np.sqrt(20_000 / 50)
    assert np.std(difference) < 0.1 * np.sqrt(gated.variance)


@pytest.mark.parametrize("step", [2.0, 10.0, 200.0, -30.0])
@pytest.mark.parametrize("reset_after", [1, 2, 3, 5, 8])
def test_a_step_of_the_plant_opens_the_gate_with_the_last_of_the_run(step: float, reset_after: int) -> None:
    """Turned away reset_after - 1 times, then used, with the prediction widened to where the residual is usual."""
    guard = Guard(reset_after=reset_after)
    monitor, _ = judged(healthy(100, 4), guard)
    _, verdicts = judged(noisy(350.0 + step, reset_after, begin=100), guard, monitor)
    assert [verdict.use for verdict in verdicts] == [False] * (reset_after - 1) + [True]
    last = verdicts[-1]
    assert last.reopen and last.flag is Flag.GOOD
    residual = last.surprise * SPREAD
    assert residual**2 == pytest.approx(last.widen * NORMAL.predicted_variance + NORMAL.variance)


def test_a_filter_follows_a_step_within_the_run_and_stays_open() -> None:
    """After the step the filter stands at the new value, and nothing more is turned away than chance has it."""
    rng = np.random.default_rng(5)
    follower = Follower()
    for _ in range(200):
        follower.take(350.0 + rng.normal(0.0, 0.2))
    after = [follower.take(365.0 + rng.normal(0.0, 0.2)) for _ in range(300)]
    assert [k for k, verdict in enumerate(after) if verdict.reopen] == [4]
    assert sum(not verdict.use for verdict in after[5:]) <= binom.ppf(1.0 - 1e-6, 295, 0.001)
    assert abs(follower.mean - 365.0) < 0.4


def test_a_plant_that_runs_away_opens_the_gate_too() -> None:
    """Residuals of a first-order response (time constant 20 s, 40 K) lie on no line; they are believed all the same."""
    rng = np.random.default_rng(6)
    t = np.arange(60.0)
    values = 350.0 + 40.0 * (1.0 - np.exp(-t / 20.0)) + rng.normal(0.0, 0.2, 60)
    _, verdicts = judged(reading(k, float(v)) for k, v in enumerate(values))
    first_off = next(k for k, verdict in enumerate(verdicts) if not verdict.use)
    opened = next(k for k, verdict in enumerate(verdicts) if verdict.reopen)
    assert opened - first_off < 2 * Guard().reset_after


@pytest.mark.parametrize("in_a_row", [1, 2, 4])
def test_spikes_between_good_readings_never_open_the_gate(in_a_row: int) -> None:
    """Bursts shorter than the run, again and again, all of the same size: none is used."""
    rng = np.random.default_rng(7)
    readings = healthy(4000, 8)
    spikes = [k for k in range(100, 4000) if k % (in_a_row + 3) < in_a_row]
    for k in spikes:
        readings[k] = reading(k, 390.0 + float(rng.normal(0.0, 0.2)))
    _, verdicts = judged(readings)
    assert not any(verdicts[k].use for k in spikes)
    assert not any(verdict.reopen for verdict in verdicts)


def test_spikes_in_a_row_do_not_agree_with_each_other() -> None:
    """A loose contact: random readings between 300 and 400 K, without an end. Few of the windows of five look like one.

    Five uniform numbers on one side, within a fifth of their mean about a line: under 1 in 100 (measured 4 in 1000).
    """
    rng = np.random.default_rng(9)
    _, verdicts = judged(reading(k, float(v)) for k, v in enumerate(rng.uniform(250.0, 450.0, 4000)))
    assert sum(verdict.reopen for verdict in verdicts) < 40


def test_residuals_on_both_sides_do_not_agree() -> None:
    """One residual of another sign is no plant that has changed."""
    run = tuple((k, 10.0) for k in range(5))
    assert agree(run, 0.04)
    assert not agree((*run[:4], (4, -10.0)), 0.04)
    assert not agree(tuple((k, -20.0 + 8.0 * k) for k in range(5)), 0.04)  # on a line, and through the model


def test_agreement_does_not_depend_on_the_unit() -> None:
    """Residuals in K and the same in nK or GK agree alike."""
    rng = np.random.default_rng(10)
    for seed in range(20):
        residuals = 3.0 + rng.normal(0.0, 0.3 * (1 + seed % 3), 5)
        said = {
            agree(tuple((k, float(r * unit)) for k, r in enumerate(residuals)), 0.04 * unit**2)
            for unit in (1e-9, 1.0, 1e9, 1e60)
        }
        assert len(said) == 1


def test_a_sensor_at_its_rail_waits_until_it_can_be_told_from_a_plant_at_rest() -> None:
    """The same number to the last bit, finer than the noise: not the plant, before stuck_after has passed."""
    guard = Guard(stuck_after=60.0)
    monitor, _ = judged(healthy(100, 11), guard)
    _, verdicts = judged((reading(100 + k, 473.15) for k in range(80)), guard, monitor)
    assert next(k for k, verdict in enumerate(verdicts) if verdict.reopen) == 60


def test_a_coarse_converter_repeats_itself_by_right() -> None:
    """Where the converter's step exceeds the noise, five equal readings are a plant that has changed."""
    guard = Guard()
    _, verdicts = judged((reading(k, 360.0, resolution=0.5) for k in range(5)), guard)
    assert verdicts[-1].reopen


def test_all_channels_off_at_once_are_the_plant() -> None:
    """Two of two off: half of the run is enough; one of three off: three times the run."""
    guard = Guard()
    fine = {name: judged(healthy(50, seed), guard)[0] for seed, name in enumerate(["a", "b", "c"])}

    def opened(off: set[str], names: str) -> int:
        rng = np.random.default_rng(12)
        monitors = dict(fine)
        for k in range(30):
            moment = [
                (name, reading(50 + k, (370.0 if name in off else 350.0) + float(rng.normal(0.0, 0.1))))
                for name in names
            ]
            monitors, verdicts = judge_moment(monitors, guard, moment)
            if any(verdict.reopen for verdict in verdicts):
                return k + 1
        return 0

    assert opened({"a", "b"}, "ab") == 3
    assert opened({"a"}, "ab") == guard.reset_after
    assert opened({"a"}, "abc") == LONE * guard.reset_after
    assert opened({"a", "b"}, "abc") == guard.reset_after


def test_a_moment_of_one_channel_is_judged_as_by_itself() -> None:
    """judge_moment and judge say the same of one channel."""
    readings = [*healthy(50, 13), *noisy(360.0, 10, begin=50)]
    monitor, alone = judged(readings)
    monitors: dict[str, ChannelMonitor] = {}
    together = []
    for one in readings:
        monitors, verdicts = judge_moment(monitors, Guard(), [("a", one)])
        together += verdicts
    assert together == alone
    assert monitors["a"] == monitor


def test_widening_needs_something_to_widen() -> None:
    """A prediction without spread is widened by the most there is, a usual residual by nothing."""
    assert widening(5.0, replace(NORMAL, predicted_variance=0.0)) == 1e8
    assert widening(0.1, NORMAL) == 1.0
    assert not insist(ChannelMonitor(), NORMAL, 1, 5, 120.0)


def test_suspect_readings_count_less_and_are_let_in_farther_off() -> None:
    """A suspect reading counts with more variance, in the gate as in the update; bad and missing ones are left out."""
    off = 350.0 + 3.6 * SPREAD
    monitor, good = judged([reading(0, off)])
    _, suspect = judged([reading(0, off, flag=Flag.SUSPECT)], Guard(suspect_factor=9.0))
    assert not good[0].use
    assert suspect[0].use and suspect[0].variance_factor == 9.0 and suspect[0].flag is Flag.SUSPECT
    for flag in (Flag.BAD, Flag.MISSING):
        after, verdicts = judged([reading(1, 350.0, flag=flag)], monitor=monitor)
        assert not verdicts[0].use and verdicts[0].flag is flag
        assert (after.n_judged, after.share_used) == (2, 0.0)  # neither of the two was used
        assert after.rejected == monitor.rejected and after.last_good == monitor.last_good
    _, unjudged = judged([reading(0, 350.0, flag=Flag.NOT_EVALUATED)])
    assert unjudged[0].use and unjudged[0].variance_factor == 1.0
