"""Designs on a process model: what is predicted comes true, what cannot be done is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.experiment_design.confirmation import _problem, _truth, _with_noise
from physics_twin.experiment_design.knowledge import knowledge, resolved
from physics_twin.experiment_design.planned import simulated
from physics_twin.process import ProcessModel

NOISE = pt.Channel("T", unit="degC", noise="0.5 K")


@pytest.fixture(scope="module")
def model() -> ProcessModel:
    """A body in an oven, with half its temperature as an output, and a color that nobody measures."""
    m = pt.ProcessBuilder("oven", version="1")
    rate = m.parameter("rate", "0.1 1/min", bounds=("0.001 1/min", "1 1/min"))
    share = m.parameter("share", "0.5", bounds=("0", "1"))
    unused = m.parameter("unused", "1 K", bounds=("0 K", "2 K"))
    oven = m.input("oven", "degC")
    T = m.state("T", "degC", initial="20 degC", scale="10 K")
    m.rate(T, rate * (oven - T))
    m.output("T", T)
    m.output("color", unused)
    m.output("half", share * (T - m.constant("0 degC")))
    return m.build()


@pytest.fixture(scope="module")
def today() -> pt.Posterior:
    """Rate (searched in its logarithm) and share, correlated; unused as before."""
    z = np.random.default_rng(0).standard_normal((2000, 3))
    rate = 0.1 / 60 * np.exp(0.1 * z[:, 0])
    share = 0.5 + 0.05 * (0.6 * z[:, 0] + 0.8 * z[:, 1])
    parameters = [
        pt.Parameter("rate", "0.1 1/min", bounds=("0.001 1/min", "1 1/min")),
        pt.Parameter("share", "0.5", bounds=("0", "1")),
        pt.Parameter("unused", "1 K", bounds=("0 K", "2 K")),
    ]
    return pt.Posterior.from_draws(parameters, np.column_stack([rate, share, np.clip(1 + 0.2 * z[:, 2], 0, 2)]))


def heating(oven: Any = "100 degC", duration: str = "20 min") -> pt.Recipe:
    return pt.Recipe.constant(duration=duration, oven=oven)


def planned(recipe: pt.Recipe | None = None, *channels: pt.Channel, **rest: Any) -> pt.Planned:
    return pt.Planned(channels or (NOISE,), ([5.0, 10.0, 20.0], "min"), recipe or heating(), **rest)


def test_what_is_predicted_comes_true(model: ProcessModel, today: pt.Posterior) -> None:
    """Fits of data simulated for the chosen experiments have the predicted standard deviations, and such errors.

    40 fits: their standard deviations vary little; the root mean square error of 40 normal numbers is within 35 % of
    its expectation (3 sd of a chi with 40 degrees of freedom).
    """
    half = pt.Channel("half", unit="K", noise="0.5 K", bias=pt.UnknownBias("0.5 K"))
    found = pt.design_experiment(
        model, today, {"both": planned(None, NOISE, half)}, criterion=pt.DOptimal(["rate", "share"]), confirm=40
    )
    check = found.confirmation
    assert check is not None
    for name, predicted, fitted, error in zip(check.names, check.predicted, check.fitted, check.errors, strict=True):
        assert fitted == pytest.approx(predicted, rel=0.06), name
        assert error == pytest.approx(predicted, rel=0.35), name
    assert set(check.names) >= {"rate", "share", "bias.half"}
    assert "40 fits of simulated data" in str(found)


def test_a_known_bias_stays_known(model: ProcessModel) -> None:
    """The bias of a sensor that was in the fit goes on from there, correlated as it is: in prediction and refits."""
    half = pt.Channel("half", unit="K", noise="0.5 K", bias=pt.UnknownBias("5 K"))
    times = np.linspace(60.0, 600.0, 10)
    truth = pt.simulate(model, times, heating()).dataset
    noise = 0.5 * np.random.default_rng(3).standard_normal((2, 10))
    data = {"T": truth["T"].values - 273.15 + noise[0], "half": truth["half"].values + noise[1] + 2.0}
    run = pt.Experiment.from_arrays("run", times, data, channels=[NOISE, half], recipe=heating())
    today = pt.calibrate(model, run, unknown=["rate", "share"])
    assert today.correlation.sel(parameter="share", parameter_2="bias.half") < -0.5
    plan = pt.Planned([NOISE, half], ([5.0, 10.0, 20.0], "min"), heating())
    check = pt.design_experiment(model, today, plan, criterion=pt.DOptimal(["rate", "share"]), confirm=20).confirmation
    assert check is not None
    assert check.names == ("rate", "share", "bias.half")
    np.testing.assert_allclose(check.fitted, check.predicted, rtol=0.1)


def test_predicted_equals_a_real_fit(model: ProcessModel) -> None:
    """From a posterior of measured data: the next experiment of the same kind halves the variance."""
    times = np.linspace(60.0, 1200.0, 30)
    truth = pt.simulate(model, times, heating())["T"].values - 273.15
    y = truth + 0.5 * np.random.default_rng(1).standard_normal(30)

    def run(name: str) -> pt.Experiment:
        return pt.Experiment.from_arrays(name, times, {"T": y}, channels=[NOISE], recipe=heating())

    one = pt.calibrate(model, run("one"), unknown=["rate"])
    two = pt.calibrate(model, [run("one"), run("two")], unknown=["rate"])
    found = pt.design_experiment(model, one, pt.Planned([NOISE], times, heating()))
    assert found.best.after[0] == pytest.approx(two["rate"].std(), rel=0.06)  # 1000 draws: 2.2 % each


def test_limits_refuse(model: ProcessModel, today: pt.Posterior) -> None:
    """A candidate that breaks a limit too often is not chosen, however much it would tell, and the reason is said."""
    candidates = {"mild": planned(), "hot": planned(heating("300 degC"))}
    free = pt.design_experiment(model, today, candidates, criterion=pt.DOptimal("rate"))
    assert free.best.name == "hot"
    limit = pt.Limit("T", upper="150 degC", over=pt.peak)
    found = pt.design_experiment(model, today, candidates, criterion=pt.DOptimal("rate"), limits=[limit])
    assert found.best.name == "mild"
    assert (found["hot"].kept, found["hot"].allowed, found["mild"].kept) == (0.0, False, 1.0)
    assert "peak T <= 150 degC is kept with probability 0, asked for 0.95" in found["hot"].refused
    assert "refused: hot" in str(found)
    with pytest.raises(pt.CalibrationError, match='no candidate can be done: "hot"'):
        pt.design_experiment(model, today, {"hot": candidates["hot"]}, limits=[limit])


@pytest.mark.slow
def test_open_settings_go_as_far_as_the_limit(model: ProcessModel, today: pt.Posterior) -> None:
    """Hotter tells more about the rate: the oven goes to its bound, or to where the limit holds."""
    oven = pt.Setting("oven_temperature", "degC", bounds=("50 degC", "300 degC"))
    plan = planned(heating(oven))
    free = pt.design_experiment(model, today, plan, criterion=pt.DOptimal("rate"), n_draws=5)
    assert free.best.settings["oven_temperature"] == pytest.approx(573.15, abs=0.1)
    limit = pt.Limit("T", upper="150 degC", over=pt.final)
    held = pt.design_experiment(model, today, plan, criterion=pt.DOptimal("rate"), n_draws=5, limits=[limit])
    chosen = held.best.settings["oven_temperature"]
    assert held["experiment"].kept >= 0.95
    # At the limit: 95 % of draws have a rate below this, and T(20 min) of them is 150 degC.
    warm = 1.0 - np.exp(-1200.0 * np.quantile(today["rate"], 0.95))
    assert chosen == pytest.approx(293.15 + 130.0 / warm, abs=2.0)  # 400 draws of 2000, and 0.05 % of the range
    assert "oven_temperature = " in held.sentence


def test_sequences(model: ProcessModel, today: pt.Posterior) -> None:
    """Without repeats each is done once; with them each step brings what is left. Uninformed parameters are named."""
    half = pt.Channel("half", unit="K", noise="0.5 K")
    candidates = {"T": planned(), "half": planned(None, half)}
    once = pt.design_experiment(model, today, candidates, n=2, repeats=False, criterion=pt.DOptimal(["rate", "share"]))
    assert {c.name for c in once.chosen} == {"T", "half"}
    assert once.chosen[1].score < once.chosen[0].score
    assert once.uninformed == ("unused",)
    assert "No candidate tells anything about unused" in once.sentence
    with pytest.raises(pt.BoundsError, match="allow repeats"):
        pt.design_experiment(model, today, candidates, n=3, repeats=False)


def test_prediction_wants_what_it_depends_on(model: ProcessModel, today: pt.Posterior) -> None:
    """The late temperature depends on nothing unknown any more, the early one on the rate, half of it on the share."""
    half = pt.Channel("half", unit="K", noise="0.05 K")
    candidates = {
        "T": planned(None, pt.Channel("T", unit="degC", noise="0.05 K")),
        "half late": pt.Planned([half], ([50.0, 55.0], "min"), heating(duration="60 min")),
    }
    late = pt.PredictionVariance("half", heating(duration="60 min"))
    early = pt.PredictionVariance("T", heating(duration="5 min"))
    assert pt.design_experiment(model, today, candidates, criterion=late).best.name == "half late"
    found = pt.design_experiment(model, today, candidates, criterion=early)
    assert found.best.name == "T"
    assert [q.name for q in found.quantities] == ["final T"]
    # dT/d ln k = 80 K * kt exp(-kt) with kt = 0.5 and sd(ln k) = 0.1; averages over draws of k change it by percents
    assert found.before == pytest.approx(80.0 * 0.5 * np.exp(-0.5) * 0.1, rel=0.05)


def test_noise_counts_as_in_a_fit(model: ProcessModel, today: pt.Posterior) -> None:
    """Twice the noise, a quarter of the information; correlated samples at nearly equal times are one sample."""

    def left(noise: Any, times: Any) -> float:
        plan = pt.Planned([pt.Channel("T", unit="degC", noise=noise)], times, heating())
        return pt.design_experiment(model, today, plan, criterion=pt.DOptimal("rate")).best.after[0]

    before = float(np.std(np.log(today["rate"])))
    mode = float(today.mode["rate"])

    def information(sd: float) -> float:
        return 1.0 / (sd / mode) ** 2 - 1.0 / before**2

    many = [600.0, 600.01, 600.02, 600.03]
    one = information(left("0.5 K", [600.0]))
    assert information(left("1 K", [600.0])) == pytest.approx(one / 4, rel=0.1)
    assert information(left(pt.EstimatedNoise("0.5 K"), [600.0])) == pytest.approx(one, rel=1e-9)
    assert information(left("0.5 K", many)) == pytest.approx(4 * one, rel=0.1)
    slow = pt.Noise("0.5 K", correlation_time="1 h")
    assert information(left(slow, many)) == pytest.approx(one, rel=0.01)


def test_a_value_of_its_own_is_marginalized(model: ProcessModel) -> None:
    """A rate that each batch has for itself: a new batch tells of the share only what its own unknown rate lets."""
    z = np.random.default_rng(2).standard_normal((2000, 3))
    rates = 0.1 / 60 * np.exp(0.2 * z[:, :2])
    parameters = [
        *(pt.Parameter(f"rate@{b}", "0.1 1/min", bounds=("0.001 1/min", "1 1/min")) for b in ("a", "b")),
        pt.Parameter("share", "0.5", bounds=("0", "1")),
    ]
    posterior = pt.Posterior.from_draws(parameters, np.column_stack([rates, 0.5 + 0.05 * z[:, 2]]))
    half = pt.Channel("half", unit="K", noise="0.01 K")
    wanted = pt.DOptimal("share")
    early = pt.Planned([half], ([1.0], "min"), heating())
    both = pt.Planned([NOISE, half], ([1.0], "min"), heating())
    found = pt.design_experiment(model, posterior, {"early": early, "both": both}, criterion=wanted)
    assert found["both"].after[0] < found["early"].after[0]
    assert found.best.name == "both"
    with pytest.raises(pt.CalibrationError, match="leave confirm out"):
        pt.design_experiment(model, posterior, early, criterion=wanted, confirm=2)


def test_the_executor_changes_nothing(model: ProcessModel, today: pt.Posterior) -> None:
    """The same numbers in the same order."""
    candidates = {"mild": planned(), "hot": planned(heating("300 degC"))}
    here = pt.design_experiment(model, today, candidates)
    with ThreadPoolExecutor(2) as pool:
        assert str(pt.design_experiment(model, today, candidates, executor=pool)) == str(here)
    assert here.dataset()["after"].shape == (2, 3)


def test_a_picture(model: ProcessModel, today: pt.Posterior) -> None:
    """A row per candidate and one for the sequence; marks say which quantity."""
    import matplotlib.pyplot as plt

    candidates = {"mild": planned(), "hot": planned(heating("300 degC"))}
    limit = pt.Limit("T", upper="150 degC", over=pt.peak)
    found = pt.design_experiment(model, today, candidates, n=2, limits=[limit])
    ax = found.plot().axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["mild", "hot", "mild + mild"]
    plt.close("all")


def test_mistakes(model: ProcessModel, today: pt.Posterior) -> None:
    """Each says what to do."""
    with pytest.raises(pt.UnknownNameError, match="rate"):
        pt.design_experiment(model, today, planned(), criterion=pt.DOptimal("rat"))
    with pytest.raises(pt.UnknownNameError, match='candidate "x"'):
        pt.design_experiment(model, today, {"x": planned(None, pt.Channel("t", unit="K", noise="1 K"))})
    with pytest.raises(pt.DataError, match="at no time"):
        pt.Planned([NOISE], [], heating())
    with pytest.raises(pt.DataError, match="before the experiment begins"):
        pt.design_experiment(model, today, pt.Planned([NOISE], [-1.0], heating()))
    with pytest.raises(pt.RecipeError, match="its recipe ends at 1200 s"):
        pt.design_experiment(model, today, pt.Planned([NOISE], [3000.0], heating()))
    with pytest.raises(pt.BoundsError, match="no two bounds"):
        oven = pt.Setting("oven_temperature", "degC", bounds=("50 degC", None))
        pt.design_experiment(model, today, planned(heating(oven)))
    with pytest.raises(pt.CalibrationError, match="no candidate to choose from"):
        pt.design_experiment(model, today, {})
    few = pt.Posterior.from_draws(today.parameters, today.draws.values[:5])
    with pytest.raises(pt.CalibrationError, match="5 draws of 3 unknowns"):
        pt.design_experiment(model, few, planned())


def test_a_check_has_noise_of_the_declared_shape(model: ProcessModel, today: pt.Posterior) -> None:
    """Data simulated for a confirmation: Student's t with its tails, a memory, and a share of the value."""
    times = np.linspace(1.0, 40.0, 100)
    shapes = {
        "tails": pt.Noise("0.5 K", degrees_of_freedom="3"),
        "memory": pt.Noise("0.5 K", correlation_time="10 min"),
        "share": pt.Noise("0.001 K", proportional="1 %"),
    }
    z: dict[str, Any] = {}
    for name, noise in shapes.items():
        plan = pt.Planned([pt.Channel("T", unit="K", noise=noise)], (times, "min"), heating(duration="40 min"))
        known = knowledge(model, today, [], 20, 0)
        full = resolved(known, plan.recipe, {})
        problem = _problem([simulated("run", plan, model, full)], full, known)
        rng = np.random.default_rng(0)
        x = _truth(problem, known, 0, rng)
        values = {n: (float(v), model.parameters[n].unit.si_text) for n, v in zip(problem.names, x, strict=True)}
        true = pt.simulate(model, 60.0 * times, plan.recipe, values=values).dataset["T"].values
        shown = np.array([_with_noise(problem, [plan], x, rng)[0]["T"].values for _ in range(100)])
        z[name] = (shown - true) / (0.01 * true if name == "share" else 0.5)
    # 10 000 numbers: 5.8 % of t(3) lie beyond 3, known to 0.23 %; of normal ones 0.27 %.
    assert np.mean(np.abs(z["tails"]) > 3.0) == pytest.approx(0.058, abs=0.008)
    assert z["share"].std() == pytest.approx(1.0, abs=0.03)
    # Neighbors are 39/99 min apart. 100 series of some two independent stretches each: a variance known to a tenth.
    assert np.mean(z["memory"][:, 1:] * z["memory"][:, :-1]) == pytest.approx(np.exp(-0.0394), abs=0.3)
    assert np.std(np.diff(z["memory"])) == pytest.approx(np.sqrt(2.0 * (1.0 - np.exp(-0.0394))), rel=0.03)


def test_names_and_times_that_are_missing_are_told(model: ProcessModel, today: pt.Posterior) -> None:
    """A candidate that there is not, a channel without times; a generator is a seed as elsewhere."""
    half = pt.Channel("half", unit="K", noise="0.5 K")
    with pytest.raises(pt.DataError, match='"half" would be sampled at no time'):
        pt.Planned([NOISE, half], {"T": [60.0]}, heating())
    own = np.random.default_rng(3)
    found = pt.design_experiment(model, today, {"mild": planned()}, rng=own)
    assert found.best.score == pt.design_experiment(model, today, {"mild": planned()}, rng=own).best.score
    with pytest.raises(pt.UnknownNameError, match='no candidate "mield"; did you mean "mild"'):
        found["mield"]
