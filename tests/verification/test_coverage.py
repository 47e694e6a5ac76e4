"""The judge of calibration methods: passes an exact method, and fails one that is too sure of itself."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation import GaussNewton
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.work import Work
from physics_twin.verification import check_coverage

N_SETS = 300


@pytest.fixture(scope="module")
def line() -> pt.ProcessModel:
    """y = level + slope t: a linear model, whose Laplace posterior is exact."""
    m = pt.ProcessBuilder("line", version="1")
    slope = m.parameter("slope", "1 K/s", prior=pt.Normal("1 K/s", "0.3 K/s"))
    T = m.state("T", "K", initial=m.parameter("level", "300 K", prior=pt.Normal("300 K", "5 K")))
    m.rate(T, slope)
    m.output("T", T)
    return m.build()


@pytest.fixture(scope="module")
def template() -> pt.Experiment:
    times = np.linspace(0.5, 10.0, 8)
    return pt.Experiment.from_arrays(
        "run", times, {"T": np.full(8, 300.0)}, channels=[pt.Channel("T", unit="K", noise="2 K")]
    )


@dataclass(frozen=True)
class TooSure:
    """Gauss-Newton with draws drawn toward their mean."""

    share: float = 0.7

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        found = GaussNewton(n_draws=200).estimate(problem, rng, work)
        middle = found.draws.mean(axis=0)
        return replace(found, draws=middle + self.share * (found.draws - middle))


def test_exact_method_passes(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """On a linear model with given noise ranks are uniform and coverage is binomial."""
    found = check_coverage(line, template, unknown=["slope", "level"], method=GaussNewton(n_draws=200), n_sets=N_SETS)
    assert found.n_sets == N_SETS and not found.failures and found.n_unconverged == 0
    assert np.abs(found.deviations).max() < 3.3
    assert found.chances.min() > 0.005


def test_a_method_that_is_too_sure_fails(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """Standard deviations of 70 % of the right ones: 95 % intervals hold 83 %, which 300 data sets show."""
    found = check_coverage(line, template, unknown=["slope", "level"], method=TooSure(), n_sets=N_SETS)
    assert found.inside[2] == pytest.approx(0.83, abs=0.07)
    assert found.deviations[2].max() < -4.0
    assert found.chances.max() < 1e-4


def test_a_data_set_is_the_same_alone(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """Each data set has its own stream: the first ten of three hundred are those of ten."""
    few = check_coverage(line, template, unknown=["slope"], method=GaussNewton(n_draws=50), n_sets=4)
    more = check_coverage(line, template, unknown=["slope"], method=GaussNewton(n_draws=50), n_sets=8)
    np.testing.assert_array_equal(more.ranks[:4], few.ranks)


def test_what_nobody_declared_cannot_be_drawn(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """A truth needs a prior or bounds."""
    open_ended = pt.Parameter("slope", "1 K/s")
    with pytest.raises(pt.CalibrationError, match="neither a prior nor two bounds"):
        check_coverage(line, template, unknown=[open_ended], method=GaussNewton(), n_sets=2)


def test_plot_and_table(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """A panel for each parameter; the table names every one."""
    found = check_coverage(line, template, unknown=["slope", "level"], method=GaussNewton(n_draws=50), n_sets=20)
    assert len(found.plot().axes) >= 2
    assert "slope" in str(found) and "level" in str(found)
