"""Priors: exact against SciPy, residuals that reproduce the density, units converted once."""
# ruff: noqa: S301 -- our own objects, pickled as they are between worker processes

import math
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from physics_twin.errors import BoundsError, PhysicsTwinError, UnitError
from physics_twin.priors import HalfNormal, LogNormal, Normal, Prior, Truncated, Uniform
from physics_twin.units import Unit

ONE = Unit("1")


def in_si(prior: Any, text: str = "1", difference: bool = False) -> Any:
    return prior.in_si(Unit(text), "x", difference)


def cut(frozen: Any, low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of a frozen SciPy distribution cut to an interval, by adaptive quadrature."""
    mass = integrate.quad(frozen.pdf, low, high, epsabs=0, epsrel=1e-12)[0]
    mean = integrate.quad(lambda x: x * frozen.pdf(x), low, high, epsabs=0, epsrel=1e-12)[0] / mass
    square = integrate.quad(lambda x: (x - mean) ** 2 * frozen.pdf(x), low, high, epsabs=0, epsrel=1e-12)[0] / mass
    return mean, math.sqrt(square)


CASES = [  # prior, the same distribution in SciPy
    (Normal(2.0, 0.5), stats.norm(2.0, 0.5)),
    (LogNormal(3.0, 0.7), stats.lognorm(s=0.7, scale=3.0)),
    (Uniform(-1.0, 4.0), stats.uniform(-1.0, 5.0)),
    (HalfNormal(2.0), stats.halfnorm(scale=2.0)),
    (Truncated(Normal(1.0, 1.0), low=0.0), stats.truncnorm(-1.0, np.inf, 1.0, 1.0)),
    (Truncated(Normal(1.0, 2.0), low=0.0, high=2.0), stats.truncnorm(-0.5, 0.5, 1.0, 2.0)),
    (Truncated(Normal(0.0, 1.0), high=-3.0), stats.truncnorm(-np.inf, -3.0)),
    (Truncated(Normal(0.0, 1.0), low=5.0, high=6.0), stats.truncnorm(5.0, 6.0)),
    (Truncated(Uniform(0.0, 4.0), low=1.0), stats.uniform(1.0, 3.0)),
    (Truncated(HalfNormal(1.0), high=1.5), stats.truncnorm(0.0, 1.5)),
    (Truncated(Truncated(Normal(0.0, 1.0), low=-1.0), low=-2.0, high=1.0), stats.truncnorm(-1.0, 1.0)),
]
IDS = [repr(prior) for prior, _ in CASES]


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_density_quantiles_and_moments_are_those_of_scipy(prior: Any, reference: Any) -> None:
    """Against an independent implementation, arrays and scalars alike."""
    p = in_si(prior)
    q = np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 1 - 1e-6])
    x = reference.ppf(q)
    np.testing.assert_allclose(p.quantile(q), x, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(p.logpdf(x), reference.logpdf(x), rtol=1e-9, atol=1e-11)
    assert isinstance(p.quantile(0.3), float) and isinstance(p.logpdf(float(x[2])), float)
    assert p.mean == pytest.approx(reference.mean(), rel=1e-9)
    assert p.sd == pytest.approx(reference.std(), rel=1e-7)
    assert p.support == pytest.approx(reference.support())
    assert isinstance(p, Prior)


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_draws_follow_the_distribution_and_the_generator(prior: Any, reference: Any) -> None:
    """Kolmogorov-Smirnov at 1e-3 with a fixed seed; the same seed gives the same bytes."""
    p = in_si(prior)
    draws = p.sample(np.random.default_rng(3), 4000)
    assert draws.shape == (4000,) and draws.dtype == np.float64
    assert stats.kstest(draws, reference.cdf).pvalue > 1e-3
    assert draws.tobytes() == p.sample(np.random.default_rng(3), 4000).tobytes()
    low, high = p.support
    assert low <= draws.min() and draws.max() <= high


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_minus_two_log_density_is_the_squared_residual_plus_a_constant(prior: Any, reference: Any) -> None:
    """Differences between points within the support; the 1/x of the log-normal included."""
    p = in_si(prior)
    x = reference.ppf([0.05, 0.2, 0.5, 0.7, 0.95])
    surplus = [-2.0 * p.logpdf(float(v)) - p.residual(float(v)) ** 2 for v in x]
    np.testing.assert_allclose(surplus, surplus[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_the_slope_is_the_derivative(prior: Any, reference: Any) -> None:
    """2 r dr/dx = d(-2 log p)/dx by central differences: second order, so 1e-7 at a step of 1e-5."""
    p = in_si(prior)
    for x in reference.ppf([0.1, 0.4, 0.8]):
        h = 1e-5 * max(abs(x), 1.0)
        numeric = -2.0 * (p.logpdf(float(x + h)) - p.logpdf(float(x - h))) / (2.0 * h)
        assert 2.0 * p.residual(float(x)) * p.residual_slope(float(x)) == pytest.approx(numeric, rel=1e-6, abs=1e-6)


def test_the_mode_of_the_residual_is_the_mode_of_the_density() -> None:
    """exp(mu - s^2) for the log-normal, where the residual vanishes."""
    p = in_si(LogNormal(3.0, 0.7))
    assert p.residual(3.0 * math.exp(-0.49)) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(("low", "high"), [(0.5, 2.0), (0.0, 3.0), (10.0, math.inf), (2.9, 2.9001)])
@pytest.mark.parametrize("sigma", [0.2, 1.0, 2.5])
def test_a_cut_log_normal_is_exact(low: float, high: float, sigma: float) -> None:
    """Moments in closed form (Phi of the shifted ends), quantiles through the distribution function."""
    p = in_si(Truncated(LogNormal(3.0, sigma), low=low, high=high if math.isfinite(high) else None))
    a = (math.log(low / 3.0) / sigma) if low > 0 else -math.inf
    b = math.log(high / 3.0) / sigma if math.isfinite(high) else math.inf
    span = lambda k: stats.norm.sf(a - k * sigma) - stats.norm.sf(b - k * sigma)  # noqa: E731
    mean = 3.0 * math.exp(sigma**2 / 2) * span(1) / span(0)
    assert p.mean == pytest.approx(mean, rel=1e-9)
    if high - low > 1e-2:
        square = 9.0 * math.exp(2 * sigma**2) * span(2) / span(0)
        assert p.sd == pytest.approx(math.sqrt(square - mean**2), rel=1e-6)
    reference = stats.lognorm(s=sigma, scale=3.0)
    q = np.array([0.1, 0.5, 0.9])
    mass = (reference.sf(low) - reference.sf(p.quantile(q))) / (reference.sf(low) - reference.sf(high))
    np.testing.assert_allclose(mass, q, rtol=1e-7)


@pytest.mark.parametrize("d", [5.0, 10.0, 40.0, 1000.0])
def test_a_cut_far_in_the_tail_stays_exact(d: float) -> None:
    """Beyond d standard deviations the rest is nearly exponential: mean d + 1/d - 2/d^3 + 10/d^5 - ... (Mills)."""
    p = in_si(Truncated(Normal(0.0, 1.0), low=d))
    m = in_si(Truncated(Normal(0.0, 1.0), high=-d))
    series = d + 1 / d - 2 / d**3 + 10 / d**5 - 74 / d**7
    assert p.mean == pytest.approx(series, rel=1500 / d**10)
    assert m.mean == pytest.approx(-p.mean, rel=1e-12)
    assert p.quantile(0.5) == pytest.approx(d + math.log(2) / d, rel=2 / d**4)
    assert p.quantile(0.0) == d and m.quantile(1.0) == -d
    assert math.isfinite(p.logpdf(d + 0.1))


def test_the_density_of_a_cut_normal_integrates_to_one() -> None:
    """Normalized again, in the tail too."""
    for low, high in ((-1.0, 2.0), (6.0, 8.0), (-8.0, -6.0)):
        p = in_si(Truncated(Normal(0.0, 1.0), low=low, high=high))
        total = integrate.quad(lambda x: math.exp(p.logpdf(x)), low, high, epsrel=1e-11)[0]  # noqa: B023
        assert total == pytest.approx(1.0, rel=1e-9)


def test_outside_the_support_the_density_is_zero_without_a_warning() -> None:
    """-inf, for arrays too; warnings are errors in this suite."""
    for prior, outside in (
        (LogNormal(1.0, 1.0), -1.0),
        (LogNormal(1.0, 1.0), 0.0),
        (Uniform(0.0, 1.0), 2.0),
        (HalfNormal(1.0), -0.1),
        (Truncated(LogNormal(1.0, 1.0), low=0.5), -1.0),
    ):
        p = in_si(prior)
        assert p.logpdf(outside) == -math.inf
        assert p.logpdf(np.array([outside]))[0] == -math.inf
    with pytest.raises(BoundsError, match="no density at -1"):
        in_si(LogNormal(1.0, 1.0)).residual(-1.0)


# Units ---------------------------------------------------------------------------------------------------------------


def test_a_temperature_has_an_absolute_mean_and_a_span_as_sd() -> None:
    """ "850 degC" is 1123.15 K and "20 degC" of it are 20 K."""
    p = in_si(Normal("850 degC", "20 degC"), "degC")
    assert (p.mean, p.sd) == (1123.15, 20.0)
    assert p.describe(Unit("degC")) == "Normal(850 degC, 20 K)"
    assert in_si(Normal(850, 20), "degC") == p  # bare numbers stand beside their declared unit
    d = in_si(Normal("2 degC", "1 degC"), "degC", difference=True)
    assert (d.mean, d.sd) == (2.0, 1.0)


def test_every_prior_converts_its_quantities() -> None:
    """Quantities of any unit of the dimension; sigma is a number."""
    assert in_si(LogNormal("6e-5 1/min", 0.5), "1/min").median == pytest.approx(1e-6)
    assert in_si(Uniform("10 degC", "300 K"), "degC").support == (283.15, 300.0)
    assert in_si(HalfNormal("2 degC"), "degC", difference=True).scale == 2.0
    p = in_si(Truncated(Normal("2 bar", "1 bar"), low="0 barg"), "bar")
    assert p.support == (101325.0, math.inf)


def test_converting_twice_changes_nothing() -> None:
    """A prior in SI stays as it is, so a copy of a parameter cannot convert it again."""
    once = in_si(Normal("5 mm", "1 mm"), "mm")
    assert once.in_si(Unit("mm"), "x") is once


def test_a_prior_in_si_fits_its_own_dimension_only() -> None:
    """One taken from a temperature does not silently become a rate."""
    with pytest.raises(UnitError, match=r"k1: the prior .* is in K, but one in a unit like 1/min is expected"):
        in_si(LogNormal("300 K", 0.5), "K").in_si(Unit("1/min"), "k1")


def test_a_declared_prior_answers_no_questions_before_it_is_in_si() -> None:
    """It would not know in what unit."""
    with pytest.raises(UnitError, match="declared with units"):
        _ = Normal("850 degC", "20 degC").mean
    with pytest.raises(UnitError, match="not in SI"):
        _ = Truncated(Normal("850 degC", "20 degC"), low="800 degC").support


@pytest.mark.parametrize(
    "make",
    [
        lambda: Normal(1.0, 0.0),
        lambda: Normal("1 K", "-1 K"),
        lambda: Normal(1.0, math.nan),
        lambda: LogNormal(0.0, 1.0),
        lambda: LogNormal("-1 kg", 1.0),
        lambda: LogNormal(1.0, 0.0),
        lambda: LogNormal(1.0, "0.5 K"),
        lambda: HalfNormal("0 K"),
        lambda: Uniform(1.0, 1.0),
        lambda: Uniform("5 K", "4 K"),
        lambda: in_si(Uniform("30 degC", "300 K"), "degC"),
        lambda: in_si(Truncated(Normal(0.0, 1.0), low=2.0, high=1.0)),
        lambda: in_si(Truncated(Uniform(0.0, 1.0), low=2.0)),
        lambda: in_si(Truncated(LogNormal(1.0, 1.0), high=-1.0)),
        lambda: in_si(Normal("1 K", "1 m"), "K"),
        lambda: in_si(Normal("1 kg", "1 kg"), "K"),
        lambda: in_si(LogNormal("850 degC", 0.1), "degC"),
        lambda: in_si(HalfNormal("2 K"), "degC"),
        lambda: Normal("1 kgg", "1 kg"),
        lambda: Truncated(stats.norm(0, 1)),  # type: ignore[arg-type]
        lambda: in_si(Normal(0.0, 1.0)).quantile(1.5),
    ],
)
def test_an_impossible_prior_is_an_error(make: Any) -> None:
    """Spreads above zero, ends in order, units that fit."""
    with pytest.raises(PhysicsTwinError):
        make()


def test_errors_of_a_prior_name_the_parameter() -> None:
    """And the argument."""
    with pytest.raises(UnitError, match=r"film: sd of the prior: \"1 m\" is in m"):
        Normal("1 K", "1 m").in_si(Unit("K"), "film")


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_priors_are_values(prior: Any, reference: Any) -> None:
    """Immutable, comparable, hashable, picklable; the repr is the constructor's call."""
    for p in (prior, in_si(prior)):
        back = pickle.loads(pickle.dumps(p))
        assert back == p and hash(back) == hash(p)
        with pytest.raises(AttributeError):
            p.mean = 3.0
    assert eval(repr(prior)) == prior  # noqa: S307  # our own repr
    assert in_si(prior).describe(ONE)
