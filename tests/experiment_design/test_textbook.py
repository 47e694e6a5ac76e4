"""Designs that textbooks give in closed form."""

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.process import ProcessModel


def channel(noise: str = "1 K") -> list[pt.Channel]:
    return [pt.Channel("y", unit="K", noise=noise)]


@pytest.fixture(scope="module")
def line() -> ProcessModel:
    """y = a + b t"""
    m = pt.ProcessBuilder("line", version="1")
    a, b = m.parameter("a", "300 K"), m.parameter("b", "0.1 K/s")
    x = m.state("x", "K", initial="0 K", scale="1 K")
    m.rate(x, b)
    m.output("y", a + x)
    return m.build()


@pytest.fixture(scope="module")
def vague() -> pt.Posterior:
    """Before any data: independent, wide."""
    rng = np.random.default_rng(0)
    return posterior({"a": ("300 K", 50.0), "b": ("0.1 K/s", 10.0)}, rng)


def posterior(centers: Mapping[str, tuple[str, float]], rng: np.random.Generator, n: int = 4000) -> pt.Posterior:
    """Normal draws, sample covariance exactly diagonal."""
    parameters = [pt.Parameter(name, start) for name, (start, _) in centers.items()]
    z = rng.standard_normal((n, len(parameters)))
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(z, rowvar=False)))).T
    sd = np.array([s for _, s in centers.values()])
    return pt.Posterior.from_draws(parameters, np.array([p.value for p in parameters]) + sd * z)


def closed_form(times: Any, prior: tuple[float, float] = (50.0, 10.0)) -> np.ndarray:
    """Covariance of a and b of a line after samples of noise 1 at these times."""
    x = np.column_stack([np.ones(len(times)), times])
    return np.linalg.inv(np.diag(1.0 / np.square(prior)) + x.T @ x)


def test_two_points_for_a_line(line: ProcessModel, vague: pt.Posterior) -> None:
    """D-optimal for a straight line: half of the samples at each end (Atkinson, Donev and Tobias 2007, chapter 11)."""
    grid = [0.0, 2.5, 5.0, 7.5, 10.0]
    candidates = {f"at {t:g} s": pt.Planned(channel(), [t]) for t in grid}
    found = pt.design_experiment(line, vague, candidates, n=4, n_draws=2)
    assert sorted(c.name for c in found.chosen) == ["at 0 s", "at 0 s", "at 10 s", "at 10 s"]
    np.testing.assert_allclose(found.chosen[-1].after, np.sqrt(np.diag(closed_form([0, 0, 10, 10]))), rtol=1e-6)


@pytest.mark.parametrize("prior", [(50.0, 10.0), (0.5, 0.3)])
def test_every_criterion_against_brute_force(line: ProcessModel, prior: tuple[float, float]) -> None:
    """D, A and prediction scores of pairs of samples are those of the closed form, and so is the winner."""
    known = posterior({"a": ("300 K", prior[0]), "b": ("0.1 K/s", prior[1])}, np.random.default_rng(1))
    pairs = list(combinations_with_replacement([0.0, 1.0, 4.0, 9.0], 2))
    candidates = {f"{p}": pt.Planned(channel(), list(p)) for p in pairs}
    c = [closed_form(p, prior) for p in pairs]
    g, a, b = np.array([1.0, 6.0]), float(known.mode["a"]), float(known.mode["b"])
    recipe = pt.Recipe.constant(duration="6 s")
    wanted = {
        pt.DOptimal(): [(np.linalg.det(x) / np.prod(np.square(prior))) ** 0.25 for x in c],
        pt.AOptimal(): [np.sqrt((x[0, 0] / a**2 + x[1, 1] / b**2) / 2.0) for x in c],
        pt.AOptimal("b"): [np.sqrt(x[1, 1] / b**2) for x in c],
    }
    for criterion, expected in wanted.items():
        found = pt.design_experiment(line, known, candidates, criterion=criterion, n_draws=2)
        np.testing.assert_allclose([x.score for x in found.candidates], expected, rtol=1e-5)
        assert found.best.name == f"{pairs[int(np.argmin(expected))]}"
    predicted = pt.PredictionVariance("y", recipe)
    found = pt.design_experiment(line, known, candidates, criterion=predicted, n_draws=2)
    np.testing.assert_allclose([x.score for x in found.candidates], [np.sqrt(g @ x @ g) for x in c], rtol=1e-5)


def test_nuisance_is_marginalized(line: ProcessModel, vague: pt.Posterior) -> None:
    """D for b alone is the variance of b with a unknown, not with a known."""
    candidates = {"one": pt.Planned(channel(), [10.0]), "two": pt.Planned(channel(), [0.0, 10.0])}
    found = pt.design_experiment(line, vague, candidates, criterion=pt.DOptimal("b"), n_draws=2)
    for name, times in (("one", [10.0]), ("two", [0.0, 10.0])):
        np.testing.assert_allclose(found[name].score, np.sqrt(closed_form(times)[1, 1]) / 10.0, rtol=1e-6)


def test_a_bias_is_a_nuisance(line: ProcessModel, vague: pt.Posterior) -> None:
    """An unknown bias of the sensor (sd 3 K) is one more parameter, shared by samples and by repeats."""
    biased = [pt.Channel("y", unit="K", noise="1 K", bias=pt.UnknownBias("3 K"))]
    found = pt.design_experiment(line, vague, {"it": pt.Planned(biased, [0.0, 5.0])}, n=2, n_draws=2)
    x = np.array([[1.0, 0.0, 1.0], [1.0, 5.0, 1.0]])
    for n, choice in enumerate(found.chosen, start=1):
        c = np.linalg.inv(np.diag([1 / 50.0**2, 1 / 10.0**2, 1 / 3.0**2]) + n * x.T @ x)
        np.testing.assert_allclose(choice.after, np.sqrt(np.diag(c))[:2], rtol=1e-6)


@pytest.fixture(scope="module")
def decay() -> ProcessModel:
    m = pt.ProcessBuilder("decay", version="1")
    k = m.parameter("k", "0.25 1/s")
    c = m.state("y", "K", initial="10 K", scale="1 K")
    m.rate(c, -k * c)
    m.output("y", c)
    return m.build()


def test_decay_is_measured_at_its_time_constant(decay: ProcessModel) -> None:
    """One sample of exp(-k t) tells most about k at t = 1/k (Box and Lucas 1959); the time is found continuously."""
    known = posterior({"k": ("0.25 1/s", 1e-5)}, np.random.default_rng(2))
    moment = pt.Setting("moment", "s", bounds=("0 s", "20 s"))
    found = pt.design_experiment(decay, known, pt.Planned(channel("0.001 mK"), [moment]), n_draws=2)
    assert found.best.settings["moment"] == pytest.approx(4.0, abs=0.02)  # flat: 1e-4 of 20 s and of the curvature


def test_consecutive_reactions() -> None:
    """A -> B -> C with k1 = 0.7, k2 = 0.2, B measured: D-optimal at 1.23 and 6.86 (Box and Lucas 1959)."""
    m = pt.ProcessBuilder("consecutive", version="1")
    k1, k2 = m.parameter("k1", "0.7 1/s"), m.parameter("k2", "0.2 1/s")
    a, b = m.state("A", "K", initial="1 K", scale="1 K"), m.state("B", "K", initial="0 K", scale="1 K")
    m.rate(a, -k1 * a)
    m.rate(b, k1 * a - k2 * b)
    m.output("y", b)
    known = posterior({"k1": ("0.7 1/s", 1e-4), "k2": ("0.2 1/s", 1e-4)}, np.random.default_rng(3))
    times = [pt.Setting("first", "s", bounds=("0 s", "4 s")), pt.Setting("second", "s", bounds=("4 s", "15 s"))]
    found = pt.design_experiment(m.build(), known, pt.Planned(channel("1e-6 K"), times), n_draws=2)
    assert found.best.settings["first"] == pytest.approx(1.23, abs=0.01)
    assert found.best.settings["second"] == pytest.approx(6.86, abs=0.02)


def test_a_new_lot_tells_about_the_mean(line: ProcessModel) -> None:
    """Lots with a spread of 2 K about a mean known to 3 K: a lot measured to 1 K leaves 1/(1/9 + 1/(4 + 1)).

    Repeats are new lots: two leave 1/(1/9 + 2/(4 + 1)). Slope and rest of what a new lot has are estimated from 20000
    draws: a percent.
    """
    z = np.random.default_rng(4).standard_normal((20000, 2))
    mean = 300.0 + 3.0 * z[:, 0]
    parameters = [
        pt.Parameter("mean.a", "300 K"),
        pt.Parameter("spread.a", "2 K", difference=True),
        pt.Parameter("a@first", "300 K"),
    ]
    known = pt.Posterior.from_draws(parameters, np.column_stack([mean, np.full(20000, 2.0), mean + 2.0 * z[:, 1]]))
    plan = pt.Planned(channel(), [0.0])
    found = pt.design_experiment(line, known, plan, criterion=pt.DOptimal("mean.a"), n=2, n_draws=2)
    expected = [(1.0 / (1.0 / 9.0 + n / 5.0)) ** 0.5 for n in (1, 2)]
    np.testing.assert_allclose([c.after[0] for c in found.chosen], expected, rtol=0.02)
    assert found.uninformed == ()
