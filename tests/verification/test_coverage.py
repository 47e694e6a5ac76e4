"""The judge of calibration methods: passes an exact method, and fails one that is too sure of itself."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation import GaussNewton
from physics_twin.estimation.made_up import made_up
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
    """A truth needs a prior."""
    open_ended = pt.Parameter("slope", "1 K/s", bounds=("0 K/s", "2 K/s"))
    with pytest.raises(pt.CalibrationError, match="has no prior"):
        check_coverage(line, template, unknown=[open_ended], method=GaussNewton(), n_sets=2)


def test_plot_and_table(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """A panel for each parameter; the table names every one."""
    found = check_coverage(line, template, unknown=["slope", "level"], method=GaussNewton(n_draws=50), n_sets=20)
    assert len(found.plot().axes) >= 2
    assert "slope" in str(found) and "level" in str(found)


@pytest.mark.parametrize(
    "noise",
    [
        pt.Noise("2 K", correlation_time="3 s"),
        pt.Noise("0.5 K", proportional="0.7 %"),
        pt.Noise("2 K", degrees_of_freedom=4),
    ],
    ids=["remembers", "proportional", "outliers"],
)
def test_made_up_noise_has_its_shape(line: pt.ProcessModel, noise: pt.Noise) -> None:
    """An exact method passes on noise that is not independent and normal, since the data have that noise too."""
    times = np.linspace(0.5, 10.0, 8)
    own = pt.Experiment.from_arrays(
        "run", times, {"T": 300.0 + times}, channels=[pt.Channel("T", unit="K", noise=noise)]
    )
    found = check_coverage(line, own, unknown=["slope", "level"], method=GaussNewton(n_draws=200), n_sets=150)
    assert np.abs(found.deviations).max() < 3.5, str(found)


def test_truths_of_correlated_priors_and_populations(line: pt.ProcessModel, template: pt.Experiment) -> None:
    """A population: members, mean and spread have truths and ranks."""
    runs = [
        pt.Experiment.from_arrays(
            f"run_{i}", template["T"].times, {"T": 300.0 + template["T"].times}, channels=template.channels
        )
        for i in range(3)
    ]
    unknown = ["slope", pt.Population("level", spread="3 K")]
    found = check_coverage(line, runs, unknown=unknown, method=GaussNewton(n_draws=200), n_sets=40)
    assert set(found.names) == {"slope", "mean.level", "spread.level", *(f"level@run_{i}" for i in range(3))}
    assert np.abs(found.deviations).max() < 3.5, str(found)


def test_a_sensor_shows_nothing_beyond_its_range(line: pt.ProcessModel) -> None:
    """Made-up readings beyond the range are limits, and counted as such by the fit."""
    times = np.linspace(0.5, 10.0, 12)
    channel = pt.Channel("T", unit="K", noise="2 K", sensor_range=("0 K", "305 K"))
    own = pt.Experiment.from_arrays("run", times, {"T": 300.0 + 0.3 * times}, channels=[channel])
    (run,) = made_up(line, [own], ["slope", "level"], np.array([1.0, 300.0]), np.random.default_rng(0))
    assert run["T"].values.max() == 305.0 and run["T"].n_censored >= 3
    found = check_coverage(line, own, unknown=["slope", "level"], method=GaussNewton(n_draws=200), n_sets=60)
    assert np.abs(found.deviations).max() < 3.5, str(found)
