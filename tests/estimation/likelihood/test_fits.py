"""Fits with noise that has a shape, limits and populations, against dense integration and independent answers."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.errors import CalibrationError
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import Channel, Experiment
from physics_twin.measurements.building import Samples, assemble, series_from
from physics_twin.measurements.provenance import Provenance
from physics_twin.parameters import Parameter
from physics_twin.priors import LogNormal, Normal

TIMES = np.sort(np.random.default_rng(4).uniform(0.0, 30.0, 50))
DESIGN = np.stack([np.ones_like(TIMES), TIMES], axis=1)
PRIORS = [
    Parameter("a", "11 K", prior=Normal("10 K", "2 K")),
    Parameter("b", "0.1 K/s", prior=Normal("0.3 K/s", "0.2 K/s")),
]


def covariance_in_time(times: Any, memory: float) -> Any:
    return np.exp(-np.abs(times[:, None] - times[None, :]) / memory)


def remembering(memory: float, size: float, seed: int, times: Any = TIMES) -> Any:
    """A line with AR(1) noise."""
    root = np.linalg.cholesky(covariance_in_time(times, memory))
    return 10.0 + 0.3 * times + size * root @ np.random.default_rng(seed).standard_normal(times.size)


def near(draws: Any, mean: float, sd: float, effective: float) -> None:
    """Mean within four of its Monte Carlo errors, standard deviation within six (its own error: 1/sqrt(2 n))."""
    assert abs(draws.mean() - mean) < 4.0 * sd / np.sqrt(effective)
    assert abs(draws.std() / sd - 1.0) < 6.0 / np.sqrt(2.0 * effective)


def test_noise_that_remembers_gives_the_exact_posterior_of_a_line(line: Any, experiment: Any) -> None:
    """Level and correlation time by dense integration, then the line: means and standard deviations agree."""
    y = remembering(2.0, 0.5, 0)
    noise = pt.Noise(pt.EstimatedNoise("1 K"), correlation_time=pt.Estimated("1 s"))
    posterior = calibrate(
        line(parameters=PRIORS),
        experiment("run", TIMES, y, noise=noise),
        unknown=["a", "b"],
        method=GaussNewton(n_draws=4000),
    )
    sizes, memories = np.log(np.geomspace(0.2, 20.0, 45)), np.log(np.geomspace(0.05, np.ptp(TIMES), 50))
    middle, before = np.array([10.0, 0.3]), np.diag([4.0, 0.04])
    weights, means, squares = [], [], []
    for s in sizes:
        for t in memories:
            noise_covariance = np.exp(2.0 * s) * covariance_in_time(TIMES, np.exp(t))
            total = noise_covariance + DESIGN @ before @ DESIGN.T
            weights.append(stats.multivariate_normal.logpdf(y, DESIGN @ middle, total))
            gain = before @ DESIGN.T @ np.linalg.inv(total)
            mean = middle + gain @ (y - DESIGN @ middle)
            means.append([*mean, s, t])
            squares.append([*np.diag(before - gain @ DESIGN @ before), 0.0, 0.0])
    p = np.exp(np.array(weights) - max(weights))
    p /= p.sum()
    mean = p @ np.array(means)
    sd = np.sqrt(p @ (np.array(means) - mean) ** 2 + p @ np.array(squares))
    effective = posterior.effective_draws
    assert effective > 1000.0
    near(posterior["a"], mean[0], sd[0], effective)
    near(posterior["b"], mean[1], sd[1], effective)
    near(np.log(posterior["noise.y"]), mean[2], sd[2], effective)
    near(np.log(posterior["correlation_time.y"]), mean[3], sd[3], effective)
    assert posterior.standard_errors["a"] == pytest.approx(sd[0], rel=0.1)


def test_the_right_memory_is_neither_widened_nor_warned_about(line: Any, experiment: Any) -> None:
    """Residuals that are correlated as modeled leave no finding; the same data as white noise are widened."""
    times = np.arange(0.0, 120.0, 0.5)
    y = remembering(2.0, 0.5, 3, times)
    shaped = pt.Noise(pt.EstimatedNoise("1 K"), correlation_time=pt.Estimated("1 s"))
    modeled = calibrate(line(), experiment("run", times, y, noise=shaped), unknown=["a", "b"])
    white = calibrate(line(), experiment("run", times, y, noise=pt.EstimatedNoise("1 K")), unknown=["a", "b"])
    assert modeled.warnings == ()
    assert modeled.inflation["b"] == 1.0
    assert white.inflation["b"] > 1.5
    low, high = modeled.interval("correlation_time.y")
    assert low < 2.0 < high
    assert high / low < 6.0
    # both know that neighbors repeat one another: the standard errors of the slope agree to a third
    assert modeled["b"].std() == pytest.approx(white["b"].std(), rel=0.33)


def lots(values: Any, closed_form: Any, noise: str = "0.5 K") -> tuple[Any, list[Experiment]]:
    """A constant in each of some experiments, six samples each."""
    model = closed_form(
        lambda t, v: (v["level"] + 0.0 * t)[:, None],
        pt.ParameterSet([Parameter("level", "20 K", prior=Normal("20 K", "5 K"))]),
        (pt.Signal("y", "K"),),
    )
    rng = np.random.default_rng(6)
    times = np.arange(6.0)
    runs = []
    for i, value in enumerate(values):
        y = value + 0.5 * rng.standard_normal(6)
        runs.append(Experiment.from_arrays(f"lot{i}", times, {"y": y}, channels=[Channel("y", unit="K", noise=noise)]))
    return model, runs


def test_a_population_gives_the_exact_posterior_of_its_lots(closed_form: Any) -> None:
    """Spread, mean and lots against integration over the spread, which leaves normal distributions."""
    model, runs = lots([19.0, 21.0, 20.2, 22.5, 18.7], closed_form)
    posterior = calibrate(
        model, runs, unknown=[pt.Population("level", spread="2 K")], method=GaussNewton(n_draws=4000), rng=3
    )
    means = np.array([r["y"].values.mean() for r in runs])
    exact = integrated(means, 0.25 / 6.0, 20.0, 5.0, 2.0, posterior.parameters["spread.level"].bounds)
    for name, key in (("level@lot0", "lot"), ("mean.level", "mean")):
        near(posterior[name], *exact[key], posterior.effective_draws)
    near(np.log(posterior["spread.level"]), *exact["spread"], posterior.effective_draws)


def test_a_population_of_logarithms_gives_the_exact_posterior_of_its_lots(closed_form: Any) -> None:
    """What a sensor shows is the logarithm of the parameter: lots are log-normal, and normal in what is compared."""
    declared = Parameter("level", "20", bounds=("0.2", "2000"), prior=LogNormal("20", 0.5))
    assert declared.log_scale
    model = closed_form(
        lambda t, v: (np.log(v["level"]) + 0.0 * t)[:, None], pt.ParameterSet([declared]), (pt.Signal("y", "1"),)
    )
    rng, times, runs = np.random.default_rng(6), np.arange(6.0), []
    for i, value in enumerate([2.8, 3.1, 2.9, 3.4, 2.6]):
        y = value + 0.1 * rng.standard_normal(6)
        channel = Channel("y", unit="1", noise="0.1")
        runs.append(Experiment.from_arrays(f"lot{i}", times, {"y": y}, channels=[channel]))
    population = pt.Population("level", spread="30 %")
    posterior = calibrate(model, runs, unknown=[population], method=GaussNewton(n_draws=4000), rng=3)
    means = np.array([r["y"].values.mean() for r in runs])
    bounds = posterior.parameters["spread.level"].bounds
    exact = integrated(means, 0.01 / 6.0, np.log(20.0), 0.5, 0.3, bounds)
    for name, key in (("level@lot0", "lot"), ("mean.level", "mean"), ("spread.level", "spread")):
        near(np.log(posterior[name]), *exact[key], posterior.effective_draws)


def integrated(
    means: Any, error: float, middle: float, before: float, scale: float, bounds: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of the first lot, the mean and ln spread, by integration over the spread.

    error: variance of a lot's mean. The population's mean is Normal(middle, before), its spread half-normal.
    """
    n, rows = means.size, []
    for s in np.exp(np.linspace(np.log(bounds[0]), np.log(bounds[1]), 2000)):
        prior = s**2 * np.eye(n) + before**2
        total = prior + error * np.eye(n)
        log_p = stats.multivariate_normal.logpdf(means, np.full(n, middle), total)
        log_p += stats.halfnorm.logpdf(s, scale=scale) + np.log(s)
        gain, own = prior @ np.linalg.inv(total), before**2 * np.ones(n) @ np.linalg.inv(total)
        lot, covariance = middle + gain @ (means - middle), prior - gain @ prior
        mean, variance = middle + own @ (means - middle), before**2 - before**2 * own.sum()
        rows.append([log_p, lot[0], covariance[0, 0], mean, variance, np.log(s), 0.0])
    table = np.array(rows)
    p = np.exp(table[:, 0] - table[:, 0].max())
    p /= p.sum()
    found = {}
    for k, name in ((1, "lot"), (3, "mean"), (5, "spread")):
        mean = float(p @ table[:, k])
        found[name] = (mean, float(np.sqrt(p @ (table[:, k] - mean) ** 2 + p @ table[:, k + 1])))
    return found


def test_lots_that_do_not_differ_leave_a_spread_that_piles_up_at_zero(closed_form: Any) -> None:
    """Three lots of one value: no crash, draws that differ, and a spread whose upper end is still open."""
    model, runs = lots([20.0, 20.0, 20.0], closed_form)
    posterior = calibrate(model, runs, unknown=[pt.Population("level", spread="2 K")], rng=3)
    assert np.unique(posterior["level@lot0"]).size == posterior.n_draws
    assert posterior["level@lot0"].std() > 0.05
    low, high = posterior.interval("spread.level")
    assert low < 0.3
    assert 0.5 < high < 5.0
    assert np.isfinite(posterior.covariance.values).all()


def with_limits(noise: Any, y: Any, censored: Any, times: Any = TIMES) -> Experiment:
    """An experiment some of whose samples are limits."""
    series = series_from(Channel("y", unit="K", noise=noise), Samples(times, y, censored=censored))
    return assemble("run", {"y": series}, provenance=Provenance("arrays"))


def test_limits_give_the_posterior_of_tobit_regression(line: Any) -> None:
    """A sensor that saturates at 15 K: mean and standard deviation against a dense grid; without limits, a bias."""
    y = 10.0 + 0.3 * TIMES + np.random.default_rng(5).standard_normal(TIMES.size)
    high = y > 15.0
    assert 20 < high.sum() < 35
    side = np.where(high, 1, 0).astype(np.int8)
    shown = np.where(high, 15.0, y)
    posterior = calibrate(
        line(), with_limits("1 K", shown, side), unknown=["a", "b"], method=GaussNewton(n_draws=4000), rng=1
    )
    a, b = np.meshgrid(np.linspace(7.5, 12.5, 160), np.linspace(0.05, 0.7, 160), indexing="ij")
    predicted = a[..., None] + b[..., None] * TIMES
    log_p = np.where(high, stats.norm.logsf(15.0 - predicted), stats.norm.logpdf(shown - predicted)).sum(axis=-1)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    for name, x in (("a", a), ("b", b)):
        mean = float((p * x).sum())
        sd = float(np.sqrt((p * (x - mean) ** 2).sum()))
        # the posterior is a little skew: Laplace's mode lies within a fifth of a standard deviation of its mean
        assert abs(posterior[name].mean() - mean) < 0.2 * sd
        assert posterior[name].std() == pytest.approx(sd, rel=0.1)
    low, high_b = posterior.interval("b")
    assert low < 0.3 < high_b
    naive = calibrate(line(), with_limits("1 K", shown, np.zeros(TIMES.size, np.int8)), unknown=["a", "b"])
    assert naive.interval("b")[1] < 0.3


def on_a_grid(log_p: Any, axes: Any) -> Any:
    """Mean and standard deviation of each axis of a density."""
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    means = [float((p * x).sum()) for x in axes]
    return [(m, float(np.sqrt((p * (x - m) ** 2).sum()))) for m, x in zip(means, axes, strict=True)]


def test_limits_alone_cut_the_prior(line: Any) -> None:
    """All samples below detection: draws are the prior times the chance of each limit, far from any Gaussian.

    Against a dense grid. The rest is what psi and the linear model leave over: nothing here but Monte Carlo error.
    """
    times = np.linspace(0.0, 10.0, 21)
    own = [
        Parameter("a", "9 K", bounds=("0 K", "40 K")),
        Parameter("b", "0 K/s", prior=Normal("0 K/s", "1 K/s")),
    ]
    data = with_limits("1 K", np.full(21, 10.0), np.full(21, -1, dtype=np.int8), times)
    posterior = calibrate(line(parameters=own), data, unknown=["a", "b"], method=GaussNewton(n_draws=1000), rng=1)
    a, b = np.meshgrid(np.linspace(0.0, 14.0, 281), np.linspace(-4.5, 2.5, 281), indexing="ij")
    log_p = stats.norm.logsf(a[..., None] + b[..., None] * times - 10.0).sum(axis=-1) - 0.5 * b**2
    assert posterior.effective_draws > 250.0
    for name, (mean, sd) in zip(("a", "b"), on_a_grid(log_p, (a, b)), strict=True):
        near(posterior[name], mean, sd, posterior.effective_draws)


def test_limits_that_leave_little_of_the_prior(line: Any) -> None:
    """A hundred limits far out in a wide prior: draws come from about the mode, and know the limits as well."""
    times = np.linspace(0.0, 30.0, 100)
    own = [
        Parameter("a", "30 K", prior=Normal("0 K", "10 K")),
        Parameter("b", "0 K/s", prior=Normal("0 K/s", "1 K/s")),
    ]
    data = with_limits("1 K", np.full(100, 30.0), np.ones(100, dtype=np.int8), times)
    posterior = calibrate(line(parameters=own), data, unknown=["a", "b"], method=GaussNewton(n_draws=1000), rng=1)
    a, b = np.meshgrid(np.linspace(15.0, 70.0, 400), np.linspace(-2.0, 5.0, 400), indexing="ij")
    log_p = stats.norm.logsf(30.0 - a[..., None] - b[..., None] * times).sum(axis=-1) - 0.5 * (b**2 + (a / 10.0) ** 2)
    for name, (mean, sd) in zip(("a", "b"), on_a_grid(log_p, (a, b)), strict=True):
        near(posterior[name], mean, sd, posterior.effective_draws)


def test_one_wild_sample_hardly_moves_a_fit_with_heavy_tails(line: Any, experiment: Any) -> None:
    """A broken contact of 100 K: less than half a standard error with Student's t, more than ten with normal noise."""
    y = 10.0 + 0.3 * TIMES + 0.3 * np.random.default_rng(7).standard_normal(TIMES.size)
    wild = y.copy()
    wild[20] += 100.0
    moved = {}
    for name, noise in (("t", pt.Noise("0.3 K", degrees_of_freedom="4")), ("normal", "0.3 K")):
        clean, hit = (
            calibrate(line(), experiment("run", TIMES, data, noise=noise), unknown=["a", "b"]) for data in (y, wild)
        )
        moved[name] = abs(hit.mode.scalar("a") - clean.mode.scalar("a")) / clean.standard_errors["a"]
        if name == "t":
            assert hit.warnings == ()
    assert moved["t"] < 0.5
    assert moved["normal"] > 10.0


def test_a_share_of_the_value_is_found(line: Any, experiment: Any) -> None:
    """Noise of 0.2 K and 5 % of values from 10 K to 100 K: both within their intervals, which are narrow."""
    times = np.linspace(0.0, 30.0, 200)
    true = 10.0 + 3.0 * times
    rng = np.random.default_rng(8)
    y = true + np.sqrt(0.2**2 + (0.05 * true) ** 2) * rng.standard_normal(times.size)
    noise = pt.Noise(pt.EstimatedNoise("1 K"), proportional=pt.Estimated("1 %"))
    posterior = calibrate(line(), experiment("run", times, y, noise=noise), unknown=["a", "b"], rng=1)
    low, high = posterior.interval("proportional.y")
    assert low < 0.05 < high
    assert high / low < 1.4
    weighted = np.sqrt(0.2**2 + (0.05 * true) ** 2)
    design = np.stack([np.ones_like(times), times], axis=1) / weighted[:, None]
    covariance = np.linalg.inv(design.T @ design)
    assert posterior.standard_errors["b"] == pytest.approx(np.sqrt(covariance[1, 1]), rel=0.25)
    assert abs(posterior.mode.scalar("b") - 3.0) < 3.0 * np.sqrt(covariance[1, 1])


@pytest.mark.parametrize(
    "shape",
    [
        {"correlation_time": pt.Estimated("1 s")},
        pytest.param({"proportional": pt.Estimated("3 %")}, marks=pytest.mark.slow),
        pytest.param({"degrees_of_freedom": pt.Estimated("5")}, marks=pytest.mark.slow),
    ],
)
def test_other_units_change_nothing(shape: Any, closed_form: Any) -> None:
    """The same record in kelvin and in numbers a thousand times smaller: mode, draws and shapes agree."""
    y = remembering(2.0, 0.5, 9)
    y[11] += 4.0
    found = []
    for size in (1.0, 1e-3):
        model = closed_form(
            lambda t, v: (v["a"] + v["b"] * t)[:, None],
            pt.ParameterSet([Parameter("a", (10.0 * size, "K")), Parameter("b", (0.2 * size, "K/s"))]),
            (pt.Signal("y", "K"),),
        )
        noise = pt.Noise(pt.EstimatedNoise((0.7 * size, "K")), **shape)
        run = Experiment.from_arrays("run", TIMES, {"y": y * size}, channels=[Channel("y", unit="K", noise=noise)])
        posterior = calibrate(model, run, unknown=["a", "b"], rng=2)
        scale = np.array([size, size, size, 1.0])
        found.append(
            (np.array([posterior.mode.scalar(n) for n in posterior.names]) / scale, posterior.draws.values / scale)
        )
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-4)
    np.testing.assert_allclose(found[1][1].mean(axis=0), found[0][1].mean(axis=0), rtol=1e-3)


def test_nothing_but_limits_leaves_the_prior_and_says_so(line: Any) -> None:
    """All samples beyond the range: the fit speaks of priors and limits, and does not estimate a noise from them."""
    side = np.ones(TIMES.size, dtype=np.int8)
    parameters = [
        Parameter("a", "11 K", prior=Normal("10 K", "2 K")),
        Parameter("b", "0.1 K/s", prior=Normal("0 K/s", "0.01 K/s")),
    ]
    posterior = calibrate(
        line(parameters=parameters), with_limits("1 K", np.full(TIMES.size, 11.0), side), unknown=["a", "b"]
    )
    assert any("no sample was measured" in w for w in posterior.warnings)
    assert posterior["a"].mean() > 11.0
    row = posterior.channels[0]
    assert (row.n_samples, row.n_censored) == (0, TIMES.size)
    assert np.isnan(posterior.residuals["residual"].values).all()
    with pytest.raises(CalibrationError, match="cannot be estimated: all its samples are censored"):
        calibrate(
            line(parameters=parameters),
            with_limits(pt.EstimatedNoise("1 K"), np.full(TIMES.size, 11.0), side),
            unknown=["a", "b"],
        )


def test_a_share_and_a_level_of_a_constant_signal_cannot_be_told_apart(line: Any, experiment: Any) -> None:
    """The warning names both."""
    parameters = [PRIORS[0], Parameter("b", "0 K/s", prior=Normal("0 K/s", "0.0001 K/s"))]
    y = 10.0 + 0.5 * np.random.default_rng(1).standard_normal(TIMES.size)
    noise = pt.Noise(pt.EstimatedNoise("1 K"), proportional=pt.Estimated("3 %"))
    posterior = calibrate(line(parameters=parameters), experiment("run", TIMES, y, noise=noise), unknown=["a", "b"])
    assert any("noise.y and proportional.y cannot be told apart" in w for w in posterior.warnings)


def test_a_memory_beyond_the_record_is_said(line: Any, experiment: Any) -> None:
    """A wander much slower than the record: the warning says that the two cannot be told apart."""
    times = np.linspace(0.0, 10.0, 60)
    y = remembering(200.0, 5.0, 5, times)
    steady = [PRIORS[0], Parameter("b", "0.3 K/s", prior=Normal("0.3 K/s", "0.0001 K/s"))]
    noise = pt.Noise(pt.EstimatedNoise("1 K"), correlation_time=pt.Estimated("1 s"))
    posterior = calibrate(line(parameters=steady), experiment("run", times, y, noise=noise), unknown=["a", "b"])
    assert any("in a record of 10 s: noise that slow cannot be told" in w for w in posterior.warnings)
    assert posterior["correlation_time.y"].max() <= 10.0
