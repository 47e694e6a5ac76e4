"""Limits in a calibration, and predictions of samples: averaged, with noise that grows, remembers or has outliers."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

import physics_twin as pt
from physics_twin.errors import CalibrationError, DataError
from physics_twin.estimation.predicted import predict_samples
from physics_twin.estimation.problem import set_up
from physics_twin.measurements import Averaged, Channel, Estimated, Experiment, LaboratoryValue, Noise
from physics_twin.measurements.batches.laboratory_series import Drawn, LaboratoryChannels
from physics_twin.measurements.building import assemble
from physics_twin.measurements.provenance import Provenance
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior.sensor_noise import SensorNoise
from physics_twin.signals import Signal
from tests.estimation.conftest import ClosedForm


def decay() -> ClosedForm:
    """c = start exp(-rate t)"""
    parameters = [
        Parameter("start", "10 mol/m^3", bounds=("0.1 mol/m^3", "100 mol/m^3")),
        Parameter("rate", "0.01 1/s", bounds=("1e-4 1/s", "1 1/s")),
    ]
    return ClosedForm(
        lambda t, v: (v["start"] * np.exp(-v["rate"] * t))[:, None],
        ParameterSet(parameters),
        (Signal("c", "mol/m^3"),),
        name="decay",
    )


def run(times: Any, values: Any, noise: Any = "0.2 mol/m^3", name: str = "run", **more: Any) -> Experiment:
    censored = more.pop("censored", None)
    channel = Channel("c", unit="mol/m^3", noise=noise, **more)
    sides = None if censored is None else {"c": censored}
    return Experiment.from_arrays(name, times, {"c": values}, channels=[channel], censored=sides)


def noise_of(n: int = 1, **numbers: float) -> SensorNoise:
    given = {"level": 0.2, "share": 0.0, "memory": 0.0, "tails": np.inf} | numbers
    return SensorNoise(**{key: np.full(n, number) for key, number in given.items()})


# Limits --------------------------------------------------------------------------------------------------------------


def test_results_below_detection_reach_the_problem() -> None:
    """ "<0.05 mol/L" of the laboratory: a row of the problem with the limit and its side."""
    values = [
        LaboratoryValue("c", 0.7, "mol/L", "0.01 mol/L", batch="B"),
        LaboratoryValue("c", 0.05, "mol/L", "0.01 mol/L", censored=-1, batch="B"),
    ]
    drawn = [Drawn(one, 100.0 * k, np.nan) for k, one in enumerate(values)]
    series = LaboratoryChannels.of(values, ()).series(drawn, 0.0, 900.0)
    found = set_up(decay(), (assemble("B", series, provenance=Provenance("laboratory")),), ["rate"])
    np.testing.assert_allclose(found.channels[0].observed, [700.0, 50.0])
    assert found.censored.tolist() == [0, -1]
    assert not found.plain


def test_a_saturated_sensor_reaches_the_problem() -> None:
    """Readings at the end of the range or beyond it: that end, and above; what is left out stays out."""
    own = run([0.0, 1.0, 2.0, 3.0], [8.0, 8.5, 8.1, 7.9], sensor_range=(None, "8 mol/m^3"))
    found = set_up(decay(), (own, run([0.0], [1.0], name="other")), ["rate"])
    np.testing.assert_allclose(found.channels[0].observed, [8.0, 8.0, 8.0, 7.9])
    assert found.censored.tolist() == [1, 1, 1, 0, 0]


def test_an_experiment_without_any_usable_sample_is_told() -> None:
    """Limits count as samples, bad ones do not."""
    set_up(decay(), (run([1.0], [5.0], censored=[-1]),), ["rate"])
    with pytest.raises(DataError, match="no usable sample"):
        set_up(decay(), (run([1.0], [np.nan]),), ["rate"])


def test_a_fit_with_limits_is_the_maximum_of_their_likelihood() -> None:
    """Decay below the limit of detection: the mode of the posterior against a direct maximization."""
    times = np.arange(0.0, 400.0, 20.0)
    truth = 10.0 * np.exp(-0.01 * times)
    y = truth + 0.2 * np.random.default_rng(4).standard_normal(times.size)
    censored = (y < 1.0).astype(int) * -1
    shown = np.where(censored != 0, 1.0, y)
    posterior = pt.calibrate(decay(), run(times, shown, censored=censored), unknown=["start", "rate"], rng=0)

    def minus_log(p: Any) -> float:
        off = (shown - p[0] * np.exp(-p[1] * times)) / 0.2
        return float(0.5 * np.sum(off[censored == 0] ** 2) - np.sum(stats.norm.logcdf(off[censored != 0])))

    best = optimize.minimize(minus_log, [10.0, 0.01], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}).x
    mode = [posterior.mode.scalar(name) for name in ("start", "rate")]
    np.testing.assert_allclose(mode, best, rtol=1e-4)
    naive = pt.calibrate(decay(), run(times, shown), unknown=["start", "rate"], rng=0).mode.scalar("rate")
    sd = float(posterior.draws.sel(parameter="rate").std())
    assert naive < mode[1] - 2.0 * sd  # limits taken for numbers make the decay slower


def test_limits_lie_inside_where_the_band_reaches_their_side() -> None:
    """Held back: a limit above the prediction is inside, one far below it is outside and counts against the fit."""
    times = np.arange(0.0, 200.0, 10.0)
    y = 10.0 * np.exp(-0.01 * times) + 0.2 * np.random.default_rng(5).standard_normal(times.size)

    def check(limit: float) -> pt.HoldOut:
        held = run([100.0, 400.0], [3.6, limit], name="held", censored=[0, -1])
        return pt.holdout(
            decay(),
            run(times, y),
            fit=lambda runs: pt.calibrate(decay(), runs, unknown=["start", "rate"], rng=0),
            held=held,
        )

    right, wrong = check(1.0), check(-2.0)
    assert right["c"].inside.tolist() == [True, True]
    assert right["c"].z[1] == 0.0
    assert right.passed
    assert wrong["c"].inside.tolist() == [True, False]
    assert wrong["c"].z[1] < -5.0
    assert not wrong.passed
    assert "1 of 2 inside" in str(wrong)


def test_compare_draws_and_counts_limits(tmp_path: Any) -> None:
    """Before any fit: a limit that the band reaches is inside, and the picture has a triangle for it."""
    found = pt.compare(decay(), run([0.0, 50.0, 600.0], [10.0, 6.0, 1.0], censored=[0, 0, -1]), n_draws=50)
    assert found["c"].outside[2] == np.False_
    axes = found.plot().axes[0]
    assert "below a limit" in axes.get_legend_handles_labels()[1]
    assert found["c"].rms < 0.2


# Predictions ---------------------------------------------------------------------------------------------------------


def test_deviations_that_remember_have_their_correlation() -> None:
    """AR(1): neighbors 10 s apart correlate by exp(-10/30), those 40 s apart by exp(-40/30); each has the level."""
    n = 40_000
    times = np.array([0.0, 10.0, 50.0])
    noise, rng = noise_of(n, memory=30.0), np.random.default_rng(0)
    e = noise.draw(times, noise.sd(np.zeros((n, 3))), rng.standard_normal((n, 3)), rng)
    found = np.corrcoef(e.T)
    tolerance = 4.0 / np.sqrt(n)
    assert found[0, 1] == pytest.approx(np.exp(-10.0 / 30.0), abs=tolerance)
    assert found[1, 2] == pytest.approx(np.exp(-40.0 / 30.0), abs=tolerance)
    np.testing.assert_allclose(e.std(axis=0), 0.2, rtol=4.0 / np.sqrt(2.0 * n))


def test_deviations_with_heavy_tails_are_those_of_student() -> None:
    """Kolmogorov's distance to Student's t with 3 degrees of freedom; draws without tails stay normal."""
    noise, rng = noise_of(2, tails=3.0), np.random.default_rng(1)
    noise = SensorNoise(noise.level, noise.share, noise.memory, np.array([3.0, np.inf]))
    e = noise.draw(np.arange(20_000.0), noise.sd(np.zeros((2, 20_000))), rng.standard_normal((2, 20_000)), rng) / 0.2
    assert stats.kstest(e[0], stats.t(3).cdf).pvalue > 0.01
    assert stats.kstest(e[1], "norm").pvalue > 0.01
    assert stats.kstest(e[0], "norm").pvalue < 1e-6


def test_densities_are_those_of_the_distributions() -> None:
    """AR(1) against its full covariance, Student's t and limits against SciPy, proportional noise by hand."""
    times, r = np.array([0.0, 10.0, 15.0, 60.0]), np.array([[0.1, 0.3, -0.2, 0.05]])
    true = np.array([[1.0, 2.0, 3.0, 4.0]])
    noise = noise_of(memory=30.0, share=0.1)
    sd = noise.sd(true)
    np.testing.assert_allclose(sd, np.sqrt(0.04 + 0.01 * true**2))
    covariance = sd.T * sd * np.exp(-np.abs(times[:, None] - times) / 30.0)
    expected = stats.multivariate_normal(np.zeros(4), covariance).logpdf(r[0])
    assert noise.log_density(r, times, sd)[0] == pytest.approx(expected, rel=1e-12)
    heavy = noise_of(tails=4.0)
    expected = stats.t(4, scale=0.2).logpdf(r[0]).sum()
    assert heavy.log_density(r, times, heavy.sd(true))[0] == pytest.approx(expected, rel=1e-12)
    sides = np.array([-1, 1, -1, 1], dtype=np.int8)
    expected = np.log(np.where(sides < 0, stats.norm.cdf(r[0] / 0.2), stats.norm.sf(r[0] / 0.2))).sum()
    plain = noise_of()
    assert plain.log_limits(r, sides, plain.sd(true))[0] == pytest.approx(expected, rel=1e-12)


def fitted(noise: Any, seed: int = 2, **more: Any) -> tuple[pt.Posterior, Experiment]:
    """A fit whose noise is declared so, to data that are close to the model."""
    times = np.arange(0.0, 300.0, 5.0)
    y = 10.0 * np.exp(-0.01 * times) + 0.02 * np.random.default_rng(seed).standard_normal(times.size)
    own = run(times, y, noise, **more)
    return pt.calibrate(decay(), own, unknown=["start", "rate"], rng=0), own


def test_predicted_samples_have_the_declared_shape() -> None:
    """Proportional, remembering and heavy-tailed noise of given numbers, in the draws of the samples."""
    rng = np.random.default_rng(0)
    posterior, own = fitted(Noise("0.01 mol/m^3", proportional="10 %"))
    (samples,) = predict_samples(decay(), posterior, own, rng=rng).samples
    spread = (samples.noisy - samples.true).std(axis=0)
    np.testing.assert_allclose(spread, np.hypot(0.01, 0.1 * samples.true.mean(axis=0)), rtol=0.15)
    posterior, own = fitted(Noise("0.2 mol/m^3", correlation_time="20 s"))
    (samples,) = predict_samples(decay(), posterior, own, rng=rng).samples
    e = samples.noisy - samples.true
    lag = np.mean(e[:, 1:] * e[:, :-1]) / np.mean(e**2)
    assert lag == pytest.approx(np.exp(-5.0 / 20.0), abs=0.03)
    posterior, own = fitted(Noise("0.2 mol/m^3", degrees_of_freedom=3))
    (samples,) = predict_samples(decay(), posterior, own, rng=rng).samples
    assert stats.kstest((samples.noisy - samples.true).ravel() / 0.2, stats.t(3).cdf).statistic < 0.01


def test_estimated_shapes_come_from_the_draws() -> None:
    """The share that each draw has is that of its noise, in predictions of samples and of a recipe."""
    times = np.arange(0.0, 300.0, 6.0)
    truth = 10.0 * np.exp(-0.01 * times)
    y = truth * (1.0 + 0.05 * np.random.default_rng(1).standard_normal(times.size))
    own = run(times, y, Noise("0.01 mol/m^3", proportional=Estimated("10 %")))
    posterior = pt.calibrate(decay(), own, unknown=["start", "rate"], rng=0)
    (samples,) = predict_samples(decay(), posterior, own, rng=np.random.default_rng(0), n_draws=300).samples
    share = samples.sd / samples.true
    assert share[:, 0].mean() == pytest.approx(posterior["proportional.c"].mean(), rel=0.03)
    assert share[:, 0].std() == pytest.approx(posterior["proportional.c"].std(), rel=0.2)
    prediction = posterior.predict(decay(), own.recipe, [0.0, 200.0], rng=0, n_draws=1000)
    noise = (prediction.measured - prediction.draws).values[:, :, 0]
    expected = posterior["proportional.c"].mean() * prediction.draws.values[:, :, 0].mean(axis=0)
    np.testing.assert_allclose(noise.std(axis=0), np.hypot(0.01, expected), rtol=0.1)


@pytest.mark.parametrize("what", ["correlation_time", "degrees_of_freedom"])
def test_each_draw_has_its_own_memory_and_tails(what: str) -> None:
    """Draws of the parameters decide: half of them with neighbors that agree, or with outliers; half without."""
    declared = Noise("0.2 mol/m^3", **{what: Estimated("30 s" if what == "correlation_time" else "5")})  # type: ignore[arg-type]
    own = run(np.arange(0.0, 200.0, 5.0), np.full(40, 5.0), declared)
    name = f"{what}.c"
    shape = own.parameters[name]
    low, high = (1.0, 1000.0) if what == "correlation_time" else (2.0, 100.0)
    n = 4000
    columns = {"start": np.full(n, 10.0), "rate": np.full(n, 0.01), name: np.where(np.arange(n) % 2, low, high)}
    parameters = [*decay().parameters.parameters, shape]
    posterior = pt.Posterior.from_draws(parameters, np.column_stack(list(columns.values())))
    (samples,) = predict_samples(decay(), posterior, own, rng=np.random.default_rng(0), n_draws=n).samples
    odd = (samples.noise.memory if what == "correlation_time" else samples.noise.tails) == low
    assert 0.4 < odd.mean() < 0.6
    e = (samples.noisy - samples.true) / 0.2
    if what == "correlation_time":
        lags = [float(np.mean(part[:, 1:] * part[:, :-1])) for part in (e[odd], e[~odd])]
        assert lags == pytest.approx([np.exp(-5.0 / 1.0), np.exp(-5.0 / 1000.0)], abs=0.06)
    else:
        assert stats.kstest(e[odd].ravel(), stats.t(2).cdf).statistic < 0.01
        assert stats.kstest(e[~odd].ravel(), stats.t(100).cdf).statistic < 0.01


@pytest.mark.parametrize(
    ("shape", "sampler"),
    [
        (Noise("0.01 mol/m^3", proportional="5 %"), {"share": 0.05, "level": 0.01}),
        (Noise("0.3 mol/m^3", correlation_time="60 s"), {"level": 0.3, "memory": 60.0}),
    ],
)
def test_a_hold_out_of_shaped_noise_covers(shape: Noise, sampler: dict[str, float]) -> None:
    """Twenty logs with noise as declared: 95 % of held samples inside, and the chance fails a right model seldom.

    1200 held samples, of which those of a log are correlated: the coverage is within 4 %. Two of twenty checks may
    fail at a level of 5 % (probability 0.92), three with probability 0.98.
    """
    times = np.arange(0.0, 300.0, 2.5)
    truth = 10.0 * np.exp(-0.01 * times)
    inside: list[float] = []
    failed = 0
    noise = noise_of(20, **sampler)
    rng = np.random.default_rng(8)
    all_true = np.broadcast_to(truth, (20, times.size))
    data = all_true + noise.draw(times, noise.sd(all_true), rng.standard_normal(all_true.shape), rng)
    for k, y in enumerate(data):
        found = pt.holdout(
            decay(),
            run(times, y, shape),
            fit=lambda runs: pt.calibrate(decay(), runs, unknown=["start", "rate"], rng=0),
            n_first=60,
            rng=k,
            n_draws=400,
        )
        inside.append(found.coverage)
        failed += not found.passed
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)
    assert failed <= 3


def test_predictions_of_means_are_means() -> None:
    """Held-back means over 60 s are compared with means: a fit of moments predicts them, point reading would not."""
    moments = np.arange(0.0, 100.0, 2.0)
    y = 10.0 * np.exp(-0.05 * moments) + 0.02 * np.random.default_rng(0).standard_normal(moments.size)
    ends = np.arange(60.0, 301.0, 60.0)
    mean = 10.0 / 0.05 / 60.0 * (np.exp(-0.05 * (ends - 60.0)) - np.exp(-0.05 * ends))
    held = run(ends, mean, "0.02 mol/m^3", name="held", averaged=Averaged("60 s", stamp="end"))
    found = pt.holdout(
        decay(),
        run(moments, y, "0.02 mol/m^3"),
        fit=lambda runs: pt.calibrate(decay(), runs, unknown=["start", "rate"], rng=0),
        held=held,
    )
    assert found.passed and found["c"].inside.all()
    assert np.abs(found["c"].observed - found["c"].middle).max() < 0.02
    bare = pt.compare(decay(), held, values={"rate": "0.05 1/s"}, n_draws=20)
    np.testing.assert_allclose(bare["c"].nominal, mean, rtol=1e-7)


def test_a_flow_that_stands_still_has_no_mean_to_predict() -> None:
    """A fraction during which nothing flows cannot be predicted: said, and not a band of nothing."""
    parameters = [Parameter("start", "10 mol/m^3"), Parameter("flow", "0 m^3/s")]
    model = ClosedForm(
        lambda t, v: np.stack([v["start"] + 0.0 * t, v["flow"] + 0.0 * t], axis=-1),
        ParameterSet(parameters),
        (Signal("c", "mol/m^3"), Signal("q", "m^3/s")),
        name="still",
    )
    posterior = pt.Posterior.from_draws(parameters[:1], np.full((50, 1), 10.0))
    held = run([60.0], [10.0], averaged=Averaged("60 s", stamp="end", weight="q"))
    with pytest.raises(CalibrationError, match="c@run: no draw has a mean for every sample"):
        predict_samples(model, posterior, held, rng=np.random.default_rng(0))
