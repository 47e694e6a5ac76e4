"""The density and its slopes, for every shape of noise and with everything at once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.estimation.likelihood.local_model import local_model
from physics_twin.estimation.likelihood.terms import misfit
from physics_twin.estimation.log_density import log_density, start_psi
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.measurements import Channel, Experiment
from tests.estimation.likelihood.shapes import NOISES, TIMES, decaying, point_at


def central(f: Any, x: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Derivatives of a function of a vector: central differences with one step of Richardson, error h^4."""

    def slope(step: np.ndarray) -> float:
        return float((f(x + step) - f(x - step)) / 2.0)

    rows = np.eye(x.size) * h
    return np.array([(8.0 * slope(row) - slope(2.0 * row)) / (6.0 * h) for row in rows])


@pytest.mark.parametrize("extra", [0.0, 0.05])
@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("shape", NOISES)
def test_slopes_are_those_of_the_value(
    shape: str, groups: bool, censored: bool, extra: float, closed_form: Any
) -> None:
    """By z and by psi, against central differences."""
    problem = decaying(NOISES[shape], closed_form, groups=groups, censored=censored)
    rng = np.random.default_rng(1)
    z = 0.2 * rng.standard_normal(len(problem.columns))
    psi = start_psi(problem) + 0.3 * rng.standard_normal(start_psi(problem).size)
    if extra and problem.plain:
        pytest.skip("a problem with uncertain sampling times is not plain")
    found = log_density(problem, point_at(problem, z, extra), psi)
    of_z = central(lambda at: log_density(problem, point_at(problem, at, extra), psi).value, z)
    of_psi = central(lambda at: log_density(problem, point_at(problem, z, extra), at).value, psi)
    np.testing.assert_allclose(found.slope, of_z, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.slope_psi, of_psi, rtol=1e-6, atol=1e-6)


def test_plain_noise_is_the_same_by_both_ways(closed_form: Any) -> None:
    """The general terms give the value and the slopes of independent normal noise."""
    problem = decaying(NOISES["plain"], closed_form)
    assert problem.plain
    point, psi = point_at(problem, np.array([0.1, -0.2, 0.3])), np.array([-0.4])
    plain, general = log_density(problem, point, psi), misfit(problem.sample_noise, psi, local_model(problem, point))
    assert -0.5 * general.value == pytest.approx(plain.value, rel=1e-12)
    np.testing.assert_allclose(-general.slope, plain.slope, rtol=1e-12)
    np.testing.assert_allclose(-general.slope_psi, plain.slope_psi, rtol=1e-12)


def single(noise: Any, times: Any, y: Any, line: Any, **changes: Any) -> Problem:
    """One channel of y = a + b t."""
    run = Experiment.from_arrays("run", times, {"y": y}, channels=[Channel("y", unit="K", noise=noise)])
    return replace(set_up(line(), (run,), ["a", "b"]), **changes)


def test_noise_that_remembers_is_the_normal_with_the_exponential_covariance(line: Any) -> None:
    """The innovations' density is the dense multivariate normal's, at irregular times, share of the value included."""
    y = np.random.default_rng(3).normal(6.0, 1.0, TIMES.size)
    for share in (None, "20 %"):
        noise = pt.Noise(pt.EstimatedNoise("0.7 K"), proportional=share, correlation_time=pt.Estimated("2 s"))
        problem = single(noise, TIMES, y, line)
        values = []
        for psi in (np.log([0.7, 2.0]), np.log([1.3, 0.4]), np.log([0.9, 50.0])):
            point = point_at(problem, np.array([0.3, -0.1]))
            mean = y - point.residual
            sd = np.sqrt(np.exp(2.0 * psi[0]) + (0.2 * mean) ** 2 * (share is not None))
            covariance = np.outer(sd, sd) * np.exp(-np.abs(TIMES[:, None] - TIMES[None, :]) / np.exp(psi[1]))
            dense = stats.multivariate_normal.logpdf(y, mean, covariance)
            values.append(log_density(problem, point, psi).value - dense)
        np.testing.assert_allclose(values, values[0], rtol=1e-9)
        assert values[0] == pytest.approx(0.5 * TIMES.size * np.log(2.0 * np.pi), rel=1e-9)


def test_samples_at_equal_times_are_a_smallest_step_apart(line: Any) -> None:
    """Duplicates give a finite density, that of times moved by the smallest step; only duplicates: independent ones."""
    noise = pt.Noise("0.7 K", correlation_time="2 s")
    y = np.array([1.0, 1.4, 2.0, 1.1, 0.7])
    doubled = single(noise, np.array([0.0, 1.0, 1.0, 1.5, 4.0]), y, line)
    point = point_at(doubled, np.zeros(2))
    phi = np.exp(-np.array([1.0, 0.5, 0.5, 2.5]) / 2.0)
    e = point.residual / 0.7
    u = (e[1:] - phi * e[:-1]) / np.sqrt(1.0 - phi**2)
    expected = -0.5 * (e[0] ** 2 + u @ u + np.log1p(-(phi**2)).sum())
    assert log_density(doubled, point, np.empty(0)).value == pytest.approx(expected, rel=1e-12)
    same = single(noise, np.full(5, 1.0), y, line)
    point = point_at(same, np.zeros(2))
    e = point.residual / 0.7
    assert log_density(same, point, np.empty(0)).value == pytest.approx(-0.5 * float(e @ e), rel=1e-12)


@pytest.mark.parametrize("nu", [None, 4.0])
def test_censored_samples_have_the_probability_beyond_the_limit(nu: float | None, line: Any) -> None:
    """-1: the truth lies below what is noted, 1: above; the others have their density. Against scipy.stats."""
    y = np.array([1.0, 0.2, 2.0, 0.1, 70.0])
    noise = pt.Noise("0.7 K", degrees_of_freedom=None if nu is None else str(nu))
    side = np.array([0, -1, 1, -1, 1], dtype=np.int8)
    problem = single(noise, np.arange(5.0), y, line, censored=side)
    point = point_at(problem, problem.space.z(np.array([33.0, 0.5])))
    law = stats.norm if nu is None else stats.t(nu)
    e = point.residual / 0.7
    expected = law.logpdf(e[0]) + law.logcdf(e[[1, 3]]).sum() + law.logsf(e[[2, 4]]).sum() + 0.5 * np.log(2.0 * np.pi)
    assert np.abs(e[3:]).min() > 40.0, "far out, where the probability itself underflows for normal noise"
    assert log_density(problem, point, np.empty(0)).value == pytest.approx(expected, rel=1e-9)


def test_censored_samples_are_no_part_of_a_chain(line: Any) -> None:
    """The sample after a censored one remembers the last measured one."""
    times, y = np.array([0.0, 1.0, 2.5, 3.0]), np.array([1.0, 1.4, 2.0, 1.1])
    noise = pt.Noise("0.7 K", correlation_time="2 s")
    kept = [0, 2, 3]
    hidden = single(noise, times, y, line, censored=np.array([0, 1, 0, 0], dtype=np.int8))
    without = single(noise, times[kept], y[kept], line)
    value = log_density(hidden, point_at(hidden, np.zeros(2)), np.empty(0)).value
    rest = log_density(without, point_at(without, np.zeros(2)), np.empty(0)).value
    e = point_at(hidden, np.zeros(2)).residual[1] / 0.7
    assert value - rest == pytest.approx(stats.norm.logsf(e), rel=1e-12)


def test_an_extra_variance_adds_to_that_of_the_noise(line: Any) -> None:
    """var = noise^2 + extra."""
    y = np.array([1.0, 1.4, 2.0])
    problem = single(pt.Noise("0.7 K", proportional="10 %"), np.arange(3.0), y, line)
    point = replace(point_at(problem, np.zeros(2)), extra=np.array([0.0, 0.3, 2.0]))
    sd = np.sqrt(0.49 + (0.1 * (y - point.residual)) ** 2 + point.extra)
    expected = stats.norm.logpdf(point.residual, 0.0, sd).sum() - stats.norm.logpdf(np.zeros(3), 0.0, 0.7).sum()
    assert log_density(problem, point, np.empty(0)).value == pytest.approx(expected, rel=1e-12)


def test_a_population_is_a_normal_prior_of_its_members(closed_form: Any) -> None:
    """ln rate ~ Normal(ln middle, spread weight), as a density of the rate; the spread has its own prior."""
    problem = decaying(NOISES["plain"], closed_form, groups=True)
    differences = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        point, psi = point_at(problem, 0.3 * rng.standard_normal(5)), np.log([0.5, 0.3]) + 0.4 * rng.standard_normal(2)
        x = dict(zip(problem.names, point.x, strict=True))
        sd = np.exp(psi[0])
        expected = stats.norm.logpdf(point.residual, 0.0, sd).sum() + stats.norm.logpdf(x["middle"], 0.3, 0.2)
        expected += stats.lognorm.logpdf(x["start"], 0.5, scale=9.0) + stats.norm.logpdf(x["bias.c"], 0.0, 0.3)
        for name, weight in (("rate@A", 1.0), ("rate@B", 0.5)):
            expected += stats.lognorm.logpdf(x[name], np.exp(psi[1]) * weight, scale=x["middle"])
        expected += stats.halfnorm.logpdf(np.exp(psi[1]), scale=0.5) + psi[1]
        differences.append(log_density(problem, point, psi).value - expected)
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9)
