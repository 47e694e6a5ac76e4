"""Samples that differ in their noise: averages and laboratory values, against the normal equations."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.measurements.building import Samples, assemble, series_from
from physics_twin.measurements.provenance import Provenance

TIMES = np.linspace(0.0, 10.0, 24)
SCALE = np.where(np.arange(24) % 3 == 0, 0.25, np.where(np.arange(24) % 3 == 1, 1.0, 4.0))


def scaled(times: Any, y: Any, scale: Any, noise: Any = "0.3 K", name: str = "run") -> Experiment:
    """An experiment whose samples have their own noise."""
    channel = Channel("y", unit="K", noise=noise)
    series = series_from(channel, Samples(np.asarray(times), np.asarray(y), noise_scale=np.asarray(scale)))
    return assemble(name, {"y": series}, provenance=Provenance("arrays"))


def data(scale: Any, seed: int = 3) -> Any:
    """A line with noise of 0.3 K times the scale."""
    return 2.0 + 0.5 * TIMES + 0.3 * scale * np.random.default_rng(seed).standard_normal(TIMES.size)


def weighted(times: Any, y: Any, sd: Any) -> tuple[Any, Any]:
    """Estimate and covariance of the weighted normal equations of y = a + b t."""
    design = np.stack([np.ones_like(times), times], axis=1)
    information = design.T @ (design / np.asarray(sd)[:, None] ** 2)
    return np.linalg.solve(information, design.T @ (y / np.asarray(sd) ** 2)), np.linalg.inv(information)


def test_known_noises_give_weighted_least_squares(line: Any) -> None:
    """Mode, covariance and misfit are those of the weighted normal equations."""
    y = data(SCALE)
    posterior = calibrate(line(), scaled(TIMES, y, SCALE), unknown=["a", "b"], rng=1)
    mode, covariance = weighted(TIMES, y, 0.3 * SCALE)
    np.testing.assert_allclose([posterior.mode.scalar("a"), posterior.mode.scalar("b")], mode, rtol=1e-9)
    np.testing.assert_allclose(posterior.covariance.values, covariance, rtol=1e-8)
    white = (y - mode[0] - mode[1] * TIMES) / (0.3 * SCALE)
    assert posterior.misfit == pytest.approx(white @ white, rel=1e-9)
    assert posterior.channels[0].noise == pytest.approx(0.3 * np.sqrt(np.mean(SCALE**2)), rel=1e-12)


def test_an_estimated_noise_is_that_of_scale_one(line: Any) -> None:
    """The level is the weighted sum of squares over n - p, whatever the start; the mode is that of known scales."""
    y = data(SCALE, seed=5)
    run = scaled(TIMES, y, SCALE, EstimatedNoise("2 K"))
    posterior = calibrate(line(), run, unknown=["a", "b"], method=GaussNewton(n_draws=4000), rng=2)
    mode, covariance = weighted(TIMES, y, SCALE)
    variance = float((((y - mode[0] - mode[1] * TIMES) / SCALE) ** 2).sum()) / (TIMES.size - 2)
    np.testing.assert_allclose([posterior.mode.scalar("a"), posterior.mode.scalar("b")], mode, rtol=1e-8)
    assert posterior.mode.scalar("noise.y") == pytest.approx(np.sqrt(variance), rel=1e-7)
    np.testing.assert_allclose(posterior.covariance.values[:2, :2], variance * covariance, rtol=1e-6)
    chi_square = (TIMES.size - 2) * variance / posterior["noise.y"] ** 2
    assert chi_square.mean() == pytest.approx(TIMES.size - 2, rel=0.02)


def test_averages_tell_what_their_samples_tell(line: Any) -> None:
    """Repeated readings, and their means with noise_scale = 1/sqrt(n): the same mode and the same covariance."""
    rng = np.random.default_rng(11)
    counts = np.array([1, 4, 9, 2, 16, 3, 5, 8])
    moments = np.linspace(0.0, 7.0, counts.size)
    times = np.repeat(moments, counts)
    y = 2.0 + 0.5 * times + 0.3 * rng.standard_normal(times.size)
    means = np.array([y[times == t].mean() for t in moments])
    raw = calibrate(line(), scaled(times, y, np.ones(times.size)), unknown=["a", "b"], rng=1)
    mean = calibrate(line(), scaled(moments, means, 1.0 / np.sqrt(counts)), unknown=["a", "b"], rng=1)
    for name in "ab":
        assert mean.mode.scalar(name) == pytest.approx(raw.mode.scalar(name), rel=1e-9)
    np.testing.assert_allclose(mean.covariance.values, raw.covariance.values, rtol=1e-8)


def test_two_channels_with_one_estimated_noise_scale_together(closed_form: Any) -> None:
    """A group of channels: its level is pooled over both, each residual over its own scale."""
    model = closed_form(
        lambda t, v: np.stack([v["a"] + 0.0 * t, v["b"] + 0.0 * t], axis=1),
        pt.ParameterSet([pt.Parameter("a", "290 K"), pt.Parameter("b", "290 K")]),
        (pt.Signal("y", "K"), pt.Signal("z", "K")),
    )
    rng = np.random.default_rng(2)
    noise = EstimatedNoise("1 K", shared="card")
    scales = {"y": np.full(10, 1.0), "z": np.full(14, 0.5)}
    series = {
        name: series_from(
            Channel(name, unit="K", noise=noise),
            Samples(np.arange(float(s.size)), 300.0 + 0.2 * s * rng.standard_normal(s.size), noise_scale=s),
        )
        for name, s in scales.items()
    }
    run = assemble("run", series, provenance=Provenance("arrays"))
    posterior = calibrate(model, run, unknown=["a", "b"], rng=1)
    squares = sum((((s.values - s.values.mean()) / scales[o]) ** 2).sum() for o, s in run.series.items())
    assert posterior.mode.scalar("noise.card") == pytest.approx(np.sqrt(squares / 22), rel=1e-6)
    by_output = {c.output: c.noise for c in posterior.channels}
    assert by_output["z"] == pytest.approx(0.5 * by_output["y"], rel=1e-12)


def test_bands_of_precise_samples_are_narrow(line: Any) -> None:
    """Hold-out and comparison: the band at a sample is that of its own noise, a fortieth beside the others."""
    scale = np.where(np.arange(24) % 2 == 0, 1.0, 0.025)
    run = scaled(TIMES, data(scale), scale)

    def fit(runs: Any, **options: Any) -> pt.Posterior:
        return calibrate(line(), runs, unknown=["a", "b"], rng=1, **options)

    check = pt.holdout(line(), run, fit=fit, n_first=12)["y"]
    assert check.sd[1::2].max() < 0.15 * check.sd[::2].min()
    assert np.median(check.sd[::2]) == pytest.approx(0.3, rel=0.15)
    before = pt.compare(line(), run, n_draws=400)["y"]
    width = before.high - before.low
    np.testing.assert_allclose(width[1::2].mean(), 2 * 1.96 * 0.3 * 0.025, rtol=0.1)
    np.testing.assert_allclose(width[::2].mean(), 2 * 1.96 * 0.3, rtol=0.1)


def test_a_prediction_of_averages_is_one_of_averages(line: Any) -> None:
    """What a sensor would show has the noise of the samples that were fitted: with scale 0.1 a tenth."""
    run = scaled(TIMES, data(np.full(24, 0.1)), np.full(24, 0.1), EstimatedNoise("1 K"))
    posterior = calibrate(line(), run, unknown=["a", "b"], rng=1)
    predicted = posterior.predict(line(), run.recipe, [5.0])
    spread = float((predicted.measured - predicted.draws).std())
    assert spread == pytest.approx(0.1 * posterior.mode.scalar("noise.y"), rel=0.15)


def test_limits_that_say_nothing_change_nothing(line: Any) -> None:
    """Below 50 K where all is below 20 K: the fit with such limits is the fit without them, and they are counted."""
    y = data(np.ones(24))
    censored = np.zeros(24, dtype=np.int8)
    censored[[3, 7]] = -1
    limits = np.where(censored != 0, 50.0, y)
    channel = Channel("y", unit="K", noise="0.3 K")
    series = series_from(channel, Samples(TIMES, limits, censored=censored))
    posterior = calibrate(line(), assemble("run", {"y": series}, provenance=Provenance("arrays")), unknown=["a", "b"])
    mode, _ = weighted(TIMES[censored == 0], y[censored == 0], np.ones(22))
    np.testing.assert_allclose([posterior.mode.scalar("a"), posterior.mode.scalar("b")], mode, rtol=1e-9)
    assert (posterior.channels[0].n_samples, posterior.channels[0].n_excluded) == (22, 0)
    assert "2 below detection: used as limits" in series.notes
