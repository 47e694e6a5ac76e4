"""A filter whose uncertainty is right is called consistent, one that is wrong is told what to change."""

import numpy as np
import pytest
from scipy.stats import binom

from physics_twin.measurements.flags import Flag
from physics_twin.twin.consistency import BLOCK, BLOCKS, NONE, remember, verdict
from physics_twin.twin.innovation import MomentRecord, SampleRecord, normalized_innovation_squared
from physics_twin.twin.moments import SECOND
from physics_twin.twin.sensors import Reading, judge, judge_moment
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor, Consistency
from physics_twin.units import unit

K, PA = unit("K"), unit("Pa")


def gaussian_window(seed: int, n: int, *, related: float = 0.0) -> tuple[Consistency, dict[str, ChannelMonitor]]:
    """n moments of two channels (K and Pa) whose residuals are as their covariance says, through the gate."""
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 1e5])
    covariance = np.array([[1.0, related], [related, 1.0]]) * np.outer(scale, scale)
    root = np.linalg.cholesky(covariance)
    consistency, monitors = NONE, {}
    for k in range(n):
        values = root @ rng.normal(size=2)
        share = 0.2 * np.diag(covariance)
        readings = [
            (name, Reading(k * SECOND, v, 0.8 * s * s, Flag.GOOD, 0.0, 0.2 * s * s, PA))
            for name, v, s in zip("ab", values.tolist(), scale.tolist(), strict=True)
        ]
        monitors, verdicts = judge_moment(monitors, Guard(), readings)
        samples = tuple(
            SampleRecord(name, r.value, r.variance, 0.0, p, v)
            for (name, r), p, v in zip(readings, share.tolist(), verdicts, strict=True)
        )
        used = [j for j, v in enumerate(verdicts) if v.use]
        own = covariance[np.ix_(used, used)]
        record = MomentRecord(k * SECOND, samples, normalized_innovation_squared(values[used], own), len(used))
        consistency, monitors = remember(consistency, monitors, record, own)  # type: ignore[assignment]
    return consistency, monitors


@pytest.mark.parametrize("related", [0.0, 0.9])
def test_a_consistent_filter_is_seldom_called_anything_else(related: float) -> None:
    """100 windows of 100 moments at 90 %: no more false verdicts than binomial chance (one in a million) leaves."""
    wrong = 0
    for seed in range(100):
        wrong += not verdict(gaussian_window(seed, 100, related=related)[0], probability=0.9).consistent
    assert wrong <= binom.ppf(1.0 - 1e-6, 100, 0.1)
    assert wrong >= 1  # at 90 % a test that never fails tests nothing: 0.9^100 is 3e-5


def test_related_channels_count_as_fewer() -> None:
    """Two channels correlated by 0.9 tell less of the correlation in time: its limit is sqrt(1 + 0.81) wider."""
    alone, related = (verdict(gaussian_window(0, 100, related=r)[0]).correlation_limit for r in (0.0, 0.9))
    assert related / alone == pytest.approx(np.sqrt(1.81), rel=0.02)


def follow(
    n: int, *, rate: float = 0.01, noise: float = 0.04, believed_rate: float = 0.01, believed_noise: float = 0.04
) -> tuple[Consistency, dict[str, ChannelMonitor]]:
    """A random walk seen through noise, and a filter that believes other variances of both."""
    rng = np.random.default_rng(7)
    truth, mean, variance = 0.0, 0.0, 0.1
    consistency, monitors = NONE, {"T1": ChannelMonitor()}
    for k in range(n):
        truth += rng.normal(0.0, np.sqrt(rate))
        variance += believed_rate
        one = Reading(
            k * SECOND, truth + rng.normal(0.0, np.sqrt(noise)), believed_noise, Flag.GOOD, mean, variance, PA
        )
        monitors["T1"], said = judge(monitors["T1"], Guard(), one)
        spread = variance * (said.widen if said.reopen else 1.0)
        sample = SampleRecord("T1", one.value, believed_noise, mean, spread, said)
        total = np.array([[spread + believed_noise]])
        if not said.use:
            consistency, _ = remember(consistency, monitors, MomentRecord(k * SECOND, (sample,)), np.empty((0, 0)))
        else:
            nis = normalized_innovation_squared(np.array([sample.residual]), total)
            consistency, _ = remember(consistency, monitors, MomentRecord(k * SECOND, (sample,), nis, 1), total)
            gain = spread / (spread + believed_noise)
            mean += gain * sample.residual
            variance = (1.0 - gain) * spread
    return consistency, monitors


def test_a_right_filter_in_the_loop_is_consistent() -> None:
    """The truth is what the filter believes: nothing to say."""
    said = verdict(*follow(600))
    assert said.consistent
    assert said.words.startswith("consistent: NIS")
    assert said.low < said.nis < said.high


def test_too_little_process_noise_is_named() -> None:
    """A walk 25 times as quick as the filter believes: overconfident, innovations agree, process noise is the word."""
    said = verdict(*follow(600, rate=0.01, believed_rate=0.0004))
    assert not said.consistent
    assert said.words.startswith("filter overconfident: NIS")
    assert said.correlation > said.correlation_limit
    assert "raise process noise" in said.words
    assert "most of it in T1" in said.words
    assert "turned away" in said.words


def test_too_little_sensor_noise_is_told_apart() -> None:
    """Noise twice as large as declared and a plant that hardly moves: not the process noise, the channels'."""
    said = verdict(*follow(600, rate=1e-6, believed_rate=1e-6, noise=0.16))
    assert not said.consistent
    assert "raise the noise of the channels by a factor of" in said.words
    assert "process noise" not in said.words


def test_too_much_noise_is_underconfidence() -> None:
    """Noise of a third of what is declared."""
    said = verdict(*follow(600, rate=1e-6, believed_rate=1e-6, noise=0.005))
    assert said.words.startswith("filter underconfident: NIS")
    assert "lower the noise of the channels" in said.words


def test_too_much_process_noise_shows_in_alternating_innovations() -> None:
    """A filter that follows the noise: innovations alternate."""
    said = verdict(*follow(900, rate=1e-6, believed_rate=0.08))
    assert not said.consistent
    assert said.correlation < -said.correlation_limit
    assert "lower process noise" in said.words


def test_the_window_has_an_end() -> None:
    """However long it runs: 20 blocks of 15 moments, and the last moment is among them."""
    consistency, _ = follow(3 * BLOCK * BLOCKS)
    assert consistency.sums.shape[0] == BLOCKS == consistency.times.size
    assert verdict(consistency).n_moments <= BLOCK * BLOCKS
    assert consistency.times[-1] == (3 * BLOCK * BLOCKS - 1) * SECOND


def test_a_window_is_a_value() -> None:
    """What is kept of an earlier moment (a snapshot) does not change when the twin goes on."""
    consistency, monitors = follow(20)
    before = consistency.sums.copy()
    sample = SampleRecord("T1", 1.0, 0.04, 0.0, 0.01, judge(ChannelMonitor(), Guard(), _reading())[1])
    after, _ = remember(consistency, monitors, MomentRecord(10**12, (sample,), 1.0, 1), np.array([[0.05]]))
    assert np.array_equal(consistency.sums, before)
    assert after.sums.sum() != before.sum()


def _reading() -> Reading:
    return Reading(0, 0.1, 0.04, Flag.GOOD, 0.0, 0.01, K)


def test_nothing_is_claimed_without_an_update() -> None:
    """An empty window, and moments without a usable covariance."""
    said = verdict(NONE)
    assert said.consistent and said.words == "no update yet"
    bad = MomentRecord(0, (SampleRecord("a", 1.0, 1.0, 0.0, 1.0, judge(ChannelMonitor(), Guard(), _reading())[1]),))
    assert remember(NONE, {}, bad, np.array([[np.nan]]))[0] is NONE


def test_nis_does_not_depend_on_units() -> None:
    """K and Pa side by side: r^T S^-1 r as by hand, and infinite where S is not positive definite."""
    scale = np.array([1e-3, 1e7])
    covariance = np.array([[2.0, 0.6], [0.6, 1.0]]) * np.outer(scale, scale)
    residuals = np.array([1.0, -0.5]) * scale
    expected = np.array([1.0, -0.5]) @ np.linalg.solve(np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([1.0, -0.5]))
    assert normalized_innovation_squared(residuals, covariance) == pytest.approx(expected, rel=1e-12)
    assert normalized_innovation_squared(np.empty(0), np.empty((0, 0))) == 0.0
    for bad in (np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[0.0, 0.0], [0.0, 1.0]]), np.full((2, 2), np.nan)):
        assert normalized_innovation_squared(residuals, bad) == float("inf")
