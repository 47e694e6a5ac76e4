"""Linear-Gaussian problems have closed-form posteriors; calibrate() must reproduce them."""

import numpy as np
import pytest
from scipy import stats

from physics_twin.errors import CalibrationError
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import EstimatedNoise
from physics_twin.parameters import Parameter
from physics_twin.priors import HalfNormal, LogNormal, Normal, Truncated, Uniform

TIMES = np.linspace(0.0, 10.0, 40)
DESIGN = np.stack([np.ones_like(TIMES), TIMES], axis=1)


def data(seed: int = 3, sd: float = 0.3) -> np.ndarray:
    return 2.0 + 0.5 * TIMES + sd * np.random.default_rng(seed).standard_normal(TIMES.size)


def kolmogorov(draws: np.ndarray, distribution: object) -> float:
    """p of the hypothesis that independent draws follow a distribution."""
    return float(stats.kstest(draws, distribution.cdf).pvalue)  # type: ignore[attr-defined]


def test_flat_prior_and_known_noise_give_the_normal_equations(line, experiment) -> None:
    """Mode and covariance equal those of linear regression to rounding; the draws are that Gaussian."""
    y = data()
    posterior = calibrate(line(), experiment("run", TIMES, y, noise="0.3 K"), unknown=["a", "b"], rng=1)
    covariance = 0.09 * np.linalg.inv(DESIGN.T @ DESIGN)
    mode = np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ y)
    np.testing.assert_allclose([posterior.mode["a"], posterior.mode["b"]], mode, rtol=1e-10)
    np.testing.assert_allclose(posterior.covariance.values, covariance, rtol=1e-8)
    residual = (y - DESIGN @ mode) / 0.3
    assert posterior.misfit == pytest.approx(residual @ residual, rel=1e-10)
    assert posterior.converged
    for j, name in enumerate("ab"):
        assert kolmogorov(posterior[name], stats.norm(mode[j], np.sqrt(covariance[j, j]))) > 1e-3
    # and jointly: squared Mahalanobis distances are chi-square with two degrees
    away = posterior.draws.values - mode
    distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
    assert kolmogorov(distance, stats.chi2(2)) > 1e-3


def test_normal_priors_are_conjugate(line, experiment) -> None:
    """Precisions add: the posterior of a linear model with normal priors is known exactly."""
    y = data()
    model = line(
        parameters=[
            Parameter("a", "1 K", prior=Normal("2.5 K", "0.1 K")),
            Parameter("b", "0.1 K/s", prior=Normal("0.4 K/s", "0.02 K/s")),
        ]
    )
    posterior = calibrate(model, experiment("run", TIMES, y, noise="0.3 K"), unknown=["a", "b"], rng=1)
    precision = DESIGN.T @ DESIGN / 0.09 + np.diag([0.1**-2, 0.02**-2])
    mean = np.linalg.solve(precision, DESIGN.T @ y / 0.09 + np.array([2.5 * 0.1**-2, 0.4 * 0.02**-2]))
    np.testing.assert_allclose([posterior.mode["a"], posterior.mode["b"]], mean, rtol=1e-10)
    np.testing.assert_allclose(posterior.covariance.values, np.linalg.inv(precision), rtol=1e-8)


def test_unknown_noise_gives_the_multivariate_t(line, experiment) -> None:
    """With a flat prior and unknown noise: t with n - p degrees, noise scaled inverse chi-square."""
    y = data(seed=5)
    run = experiment("run", TIMES, y, noise=EstimatedNoise("5 K"))
    posterior = calibrate(line(), run, unknown=["a", "b"], method=GaussNewton(n_draws=4000), rng=2)
    mode = np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ y)
    nu = TIMES.size - 2
    s2 = float(((y - DESIGN @ mode) ** 2).sum()) / nu
    np.testing.assert_allclose([posterior.mode["a"], posterior.mode["b"]], mode, rtol=1e-9)
    assert posterior.mode["noise.y"] == pytest.approx(np.sqrt(s2), rel=1e-7)
    scale = np.sqrt(s2 * np.diag(np.linalg.inv(DESIGN.T @ DESIGN)))
    assert posterior.inflation["a"] == 1.0, "these residuals are white; another seed would widen"
    for j, name in enumerate("ab"):
        assert kolmogorov(posterior[name], stats.t(nu, mode[j], scale[j])) > 1e-3
    assert kolmogorov(nu * s2 / posterior["noise.y"] ** 2, stats.chi2(nu)) > 1e-3
    np.testing.assert_allclose(posterior.standard_errors["b"], scale[1], rtol=1e-7)


def test_few_samples_have_the_heavy_tails_of_t(line, experiment) -> None:
    """Five samples, two unknowns: t with three degrees of freedom, which a Gaussian of any width is not."""
    times = np.array([0.0, 2.0, 5.0, 7.0, 10.0])
    y = 2.0 + 0.5 * times + 0.3 * np.random.default_rng(1).standard_normal(5)
    run = experiment("run", times, y, noise=EstimatedNoise("1 K"))
    posterior = calibrate(line(), run, unknown=["a", "b"], method=GaussNewton(n_draws=4000), rng=2)
    design = np.stack([np.ones(5), times], axis=1)
    mode = np.linalg.solve(design.T @ design, design.T @ y)
    s2 = float(((y - design @ mode) ** 2).sum()) / 3
    scale = np.sqrt(s2 * np.diag(np.linalg.inv(design.T @ design)))
    assert posterior.inflation["b"] == 1.0
    assert kolmogorov(posterior["b"], stats.t(3, mode[1], scale[1])) > 1e-3
    assert kolmogorov(posterior["b"], stats.norm(mode[1], posterior["b"].std())) < 1e-6
    # jointly: F-distributed Mahalanobis distances, so that both parameters share one noise level in each draw
    away = posterior.draws.values[:, :2] - mode
    distance = np.einsum("ij,jk,ik->i", away, design.T @ design, away) / (2.0 * s2)
    assert kolmogorov(distance, stats.f(2, 3)) > 1e-3


def test_noise_of_two_channels_is_a_fixed_point(closed_form) -> None:
    """Each group's variance is its sum of squares over n_g - p_g, at the mode for just these variances.

    p_g is the trace of the hat matrix over the rows of the group, so this is the restricted likelihood's stationary
    point.
    """
    from physics_twin.measurements import Channel, Experiment
    from physics_twin.parameters import ParameterSet
    from physics_twin.signals import Signal

    model = closed_form(
        lambda t, v: np.stack([v["a"] + v["b"] * t, v["b"] + v["a"] * t * t / 50.0], axis=1),
        ParameterSet([Parameter("a", "1 K"), Parameter("b", "1 K")]),
        (Signal("y", "K"), Signal("z", "m")),
    )
    rng = np.random.default_rng(8)
    true = model.formula(TIMES, {"a": 2.0, "b": 0.7})
    y, z = true[:, 0] + 0.1 * rng.standard_normal(40), true[:25, 1] + 0.6 * rng.standard_normal(25)
    run = Experiment.from_arrays(
        "run",
        {"y": TIMES, "z": TIMES[:25]},
        {"y": y, "z": z},
        channels=[Channel(n, unit=u, noise=EstimatedNoise(f"1 {u}")) for n, u in (("y", "K"), ("z", "m"))],
    )
    posterior = calibrate(model, run, unknown=["a", "b"], method=GaussNewton(tolerance=1e-7), rng=0)
    sy, sz = posterior.mode["noise.y"], posterior.mode["noise.z"]
    jy = np.stack([np.ones(40), TIMES], axis=1)
    jz = np.stack([TIMES[:25] ** 2 / 50.0, np.ones(25)], axis=1)
    a = jy.T @ jy / sy**2 + jz.T @ jz / sz**2
    mode = np.linalg.solve(a, jy.T @ y / sy**2 + jz.T @ z / sz**2)
    np.testing.assert_allclose([posterior.mode["a"], posterior.mode["b"]], mode, rtol=1e-6)
    p_y, p_z = np.trace(jy @ np.linalg.solve(a, jy.T)) / sy**2, np.trace(jz @ np.linalg.solve(a, jz.T)) / sz**2
    assert p_y + p_z == pytest.approx(2.0, rel=1e-9)
    assert p_y > 1.2, "they do not share alike"
    assert sy**2 == pytest.approx(((y - jy @ mode) ** 2).sum() / (40 - p_y), rel=1e-5)
    assert sz**2 == pytest.approx(((z - jz @ mode) ** 2).sum() / (25 - p_z), rel=1e-5)

    def restricted(log_sd: np.ndarray) -> float:
        """-2 log of the restricted likelihood."""
        v = np.repeat(np.exp(2.0 * log_sd), (40, 25))
        design, shown = np.concatenate([jy, jz]), np.concatenate([y, z])
        h = design.T @ (design / v[:, None])
        r = shown - design @ np.linalg.solve(h, design.T @ (shown / v))
        return float(np.log(v).sum() + (r * r / v).sum() + np.linalg.slogdet(h)[1])

    at = np.log([sy, sz])
    for step in 1e-4 * np.eye(2):
        assert abs(restricted(at + step) - restricted(at - step)) / 2e-4 < 1e-3


def cubic_beside_constant(closed_form):
    """Six samples of a cubic on one channel, two hundred of a constant on another, both of unknown noise.

    The model, the experiment, the design of the cubic and its samples.
    """
    from physics_twin.measurements import Channel, Experiment
    from physics_twin.parameters import ParameterSet
    from physics_twin.signals import Signal

    names = ["a0", "a1", "a2", "a3"]
    model = closed_form(
        lambda t, v: np.stack([sum(v[n] * t**k for k, n in enumerate(names)), v["b"] + 0.0 * t], axis=-1),
        ParameterSet(
            [*(Parameter(n, f"1 K/s^{k}" if k else "1 K") for k, n in enumerate(names)), Parameter("b", "9 K")]
        ),
        (Signal("y", "K"), Signal("w", "K")),
    )
    rng = np.random.default_rng(1)
    t = np.arange(6.0)
    y = 1.0 + t + 0.3 * t**2 + 0.1 * t**3 + rng.standard_normal(6)
    run = Experiment.from_arrays(
        "run",
        {"y": t, "w": np.arange(200.0) / 40.0},
        {"y": y, "w": 9.0 + rng.standard_normal(200)},
        channels=[Channel(n, unit="K", noise=EstimatedNoise("1 K")) for n in ("y", "w")],
    )
    return model, run, np.vander(t, 4, increasing=True), y


def test_a_channel_pays_for_the_unknowns_that_it_determines(closed_form) -> None:
    """SSE/2 and t with two degrees for the cubic, SSE/199 for the constant, however many samples the other has."""
    model, run, design, y = cubic_beside_constant(closed_form)
    names = ["a0", "a1", "a2", "a3", "b"]
    posterior = calibrate(model, run, unknown=names, method=GaussNewton(n_draws=4000), rng=0)
    assert posterior.inflation["a0"] == 1.0, "these residuals are white; another seed would widen"
    mode, squares = np.linalg.lstsq(design, y)[:2]
    s2 = float(squares[0]) / 2.0
    w = run["w"].values
    assert posterior.mode["noise.y"] == pytest.approx(np.sqrt(s2), rel=1e-6)
    assert posterior.mode["noise.w"] == pytest.approx(w.std(ddof=1), rel=1e-6)
    scale = np.sqrt(s2 * np.linalg.inv(design.T @ design)[0, 0])
    assert kolmogorov(posterior["a0"], stats.t(2, mode[0], scale)) > 1e-3
    assert kolmogorov(2.0 * s2 / posterior["noise.y"] ** 2, stats.chi2(2)) > 1e-3


def test_a_channel_that_its_unknowns_use_up_is_named(closed_form) -> None:
    """Four samples of the cubic leave nothing for its noise, though two hundred of the other channel do."""
    from physics_twin.measurements import Channel, Experiment

    model, run, _, y = cubic_beside_constant(closed_form)
    few = Experiment.from_arrays(
        "few",
        {"y": np.arange(4.0), "w": np.arange(200.0) / 40.0},
        {"y": y[:4], "w": run["w"].values},
        channels=[Channel(n, unit="K", noise=EstimatedNoise("1 K")) for n in ("y", "w")],
    )
    with pytest.raises(CalibrationError, match=r"noise\.y cannot be estimated: 4 samples for 4 unknowns"):
        calibrate(model, few, unknown=["a0", "a1", "a2", "a3", "b"], rng=0)


def test_a_bound_cuts_the_gaussian(line, experiment) -> None:
    """A bound inside the posterior gives the truncated Gaussian, not a shifted or a clipped one."""
    y = data()
    slope_sd = np.sqrt(0.09 * np.linalg.inv(DESIGN.T @ DESIGN)[1, 1])
    free = float(np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ y)[1])
    bound = free - 0.4 * slope_sd
    model = line(parameters=[Parameter("a", "1 K"), Parameter("b", "0.1 K/s", bounds=("-1 K/s", (bound, "K/s")))])
    posterior = calibrate(model, experiment("run", TIMES, y, noise="0.3 K"), unknown=["a", "b"], rng=4)
    assert posterior.mode["b"] == bound
    assert posterior["b"].max() <= bound
    assert kolmogorov(posterior["b"], stats.truncnorm(-np.inf, -0.4, free, slope_sd)) > 1e-3
    assert "upper bound" in str(posterior.verdicts["b"])
    assert any("one-sided" in w for w in posterior.warnings)


def test_a_bound_beyond_the_data_leaves_the_tail(line, experiment) -> None:
    """Where the bound excludes most of the Gaussian, its tail is what is drawn."""
    y = data()
    slope_sd = np.sqrt(0.09 * np.linalg.inv(DESIGN.T @ DESIGN)[1, 1])
    free = float(np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ y)[1])
    bound = free + 2.2 * slope_sd
    model = line(parameters=[Parameter("a", "1 K"), Parameter("b", "2 K/s", bounds=((bound, "K/s"), "5 K/s"))])
    posterior = calibrate(model, experiment("run", TIMES, y, noise="0.3 K"), unknown=["a", "b"], rng=4)
    assert posterior.mode["b"] == bound
    assert posterior.inflation["b"] == 1.0
    assert kolmogorov(posterior["b"], stats.truncnorm(2.2, np.inf, free, slope_sd)) > 1e-3


def prior_distribution(name: str) -> object:
    return {
        "normal": stats.norm(3.0, 0.5),
        "log": stats.lognorm(0.7, scale=3.0),
        "half": stats.halfnorm(scale=2.0),
        "cut": stats.truncnorm((1.0 - 3.0) / 2.0, (4.0 - 3.0) / 2.0, 3.0, 2.0),
        "even": stats.uniform(1.0, 4.0),
    }[name]


@pytest.mark.parametrize(
    ("name", "prior", "bounds"),
    [
        ("normal", Normal("3 K", "0.5 K"), None),
        ("log", LogNormal("3 K", 0.7), None),
        ("half", HalfNormal("2 K"), None),
        ("cut", Truncated(Normal("3 K", "2 K"), low="1 K", high="4 K"), None),
        ("even", Uniform("1 K", "5 K"), None),
        ("even", None, ("1 K", "5 K")),
    ],
)
def test_what_the_data_do_not_see_keeps_its_prior(name, prior, bounds, closed_form, experiment) -> None:
    """A parameter that no output depends on: verdict 'not identified', and draws that follow its prior exactly."""
    from physics_twin.parameters import ParameterSet
    from physics_twin.signals import Signal

    model = closed_form(
        lambda t, v: (v["a"] + 0.5 * t + 0.0 * v["ghost"])[:, None],
        ParameterSet([Parameter("a", "1 K"), Parameter("ghost", "2 K", prior=prior, bounds=bounds)]),
        (Signal("y", "K"),),
    )
    run = experiment("run", TIMES, data(), noise="0.3 K")
    posterior = calibrate(model, run, unknown=["a", "ghost"], rng=6)
    assert posterior.verdicts["ghost"].identification.value == "not identified"
    assert "no measured output depends on it" in str(posterior.verdicts["ghost"])
    assert posterior.verdicts["a"].identified
    assert kolmogorov(posterior["ghost"], prior_distribution(name)) > 1e-3


def test_the_answer_does_not_depend_on_the_search_scale(line, experiment) -> None:
    """Bounds of many decades make the search logarithmic; mode, covariance and draws stay as they were."""
    run = experiment("run", TIMES, data(), noise="0.3 K")
    plain = calibrate(line(), run, unknown=["a", "b"], rng=1)
    wide = line(
        parameters=[
            Parameter("a", "1 K", bounds=("1e-3 K", "1e3 K")),
            Parameter("b", "0.1 K/s", bounds=("1e-4 K/s", "1e2 K/s")),
        ]
    )
    logarithmic = calibrate(wide, run, unknown=["a", "b"], rng=1)
    np.testing.assert_allclose(
        list(logarithmic.mode.select(["a", "b"]).values()), list(plain.mode.select(["a", "b"]).values()), rtol=1e-6
    )
    np.testing.assert_allclose(logarithmic.covariance.values, plain.covariance.values, rtol=1e-5)
    np.testing.assert_allclose(logarithmic.draws.values, plain.draws.values, rtol=1e-4)


def test_the_answer_does_not_depend_on_declared_units(line, experiment) -> None:
    """The same data in mK and the same model in K/min give the same numbers in SI."""
    y = data()
    one = calibrate(line(), experiment("run", TIMES, y, noise="0.3 K"), unknown=["a", "b"], rng=1)
    other_model = line(parameters=[Parameter("a", "1000 mK"), Parameter("b", "6 K/min")])
    run = experiment("run", TIMES, 1e3 * y, unit="mK", noise="300 mK")
    other = calibrate(other_model, run, unknown=["a", "b"], rng=1)
    np.testing.assert_allclose(other.draws.values, one.draws.values, rtol=1e-6)
    assert other.sum_of_squares["mK"] == pytest.approx(1e6 * one.sum_of_squares["K"], rel=1e-9)
