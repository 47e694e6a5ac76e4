"""What calibrate() promises: names and units are checked, sensors estimated, failures told, nothing changed."""

import copy
import pickle

import numpy as np
import pytest

from physics_twin.errors import CalibrationError, DataError, RecipeError, SolveError, UnitError, UnknownNameError
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment, UnknownBias, UnknownDelay
from physics_twin.parameters import Parameter, ParameterSet, PerExperiment
from physics_twin.posterior import Identification
from physics_twin.priors import Normal
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting, Signal

TIMES = np.linspace(0.0, 20.0, 60)


def concentration(start: float, rate: float, seed: int = 0, sd: float = 0.05) -> np.ndarray:
    return start * np.exp(-rate * TIMES) + sd * np.random.default_rng(seed).standard_normal(TIMES.size)


@pytest.fixture
def batch(experiment):
    """A decay from 8 mol/m3 at 0.3 1/s, noise 0.05."""

    def make(name: str = "batch", seed: int = 0, start: float = 8.0, rate: float = 0.3, **channel) -> Experiment:
        channel = {"noise": "0.05 mol/m^3", **channel}
        y = concentration(start, rate, seed)
        return experiment(name, TIMES, y, output="c", unit="mol/m^3", **channel)

    return make


# Names, units, data --------------------------------------------------------------------------------------------------


def test_a_misspelt_unknown_names_the_nearest(decay, batch) -> None:
    """An unknown name is an error, never a zero sensitivity."""
    with pytest.raises(UnknownNameError, match='did you mean "rate"'):
        calibrate(decay(), [batch()], unknown=["rat"])


def test_a_misspelt_value_names_the_nearest(decay, batch) -> None:
    """The same for values."""
    with pytest.raises(UnknownNameError, match='did you mean "start"'):
        calibrate(decay(), [batch()], unknown=["rate"], values={"strat": "3 mol/m^3"})


def test_a_channel_in_another_unit_stops_before_any_simulation(decay, experiment) -> None:
    """Kelvin are not mol/m3; both are named and nothing was run."""
    model = decay()
    with pytest.raises(UnitError, match=r"is in K, the model's output in mol/m\^3"):
        calibrate(model, [experiment("hot", TIMES, TIMES + 300, output="c", noise="1 K")], unknown=["rate"])
    assert not model.calls


def test_a_channel_that_the_model_does_not_have(decay, experiment) -> None:
    """The experiment is named, and the nearest output."""
    with pytest.raises(UnknownNameError, match=r'experiment "odd".*"cc"'):
        calibrate(
            decay(),
            [experiment("odd", TIMES, TIMES, output="cc", unit="mol/m^3", noise=(1, "mol/m^3"))],
            unknown=["rate"],
        )


def test_a_parameter_given_in_another_unit(decay, batch) -> None:
    """A Parameter among the unknowns redeclares bounds and prior, not the dimension."""
    with pytest.raises(UnitError, match="rate is given in K"):
        calibrate(decay(), [batch()], unknown=[Parameter("rate", "1 K")])


def test_a_parameter_redeclares_start_bounds_and_prior(decay, batch) -> None:
    """Its prior takes part in the fit and is shown."""
    narrow = Parameter("rate", "0.5 1/s", prior=Normal("0.5 1/s", "1e-6 1/s"))
    posterior = calibrate(decay(), [batch()], unknown=["start", narrow])
    assert posterior.mode["rate"] == pytest.approx(0.5, abs=1e-4)
    assert any("contradict" in w for w in posterior.warnings), "prior and data disagree by far"
    assert "Normal" in str(posterior)


def test_named_twice_and_both_given_and_unknown(decay, batch) -> None:
    """Contradictory requests are errors that say so."""
    with pytest.raises(CalibrationError, match="named twice"):
        calibrate(decay(), [batch()], unknown=["rate", "rate"])
    with pytest.raises(CalibrationError, match="both for all experiments and for each"):
        calibrate(decay(), [batch()], unknown=["rate", PerExperiment("rate")])
    with pytest.raises(CalibrationError, match="given in values and named as unknown"):
        calibrate(decay(), [batch()], unknown=["rate"], values={"rate": "1 1/s"})
    with pytest.raises(CalibrationError, match="nothing is unknown"):
        calibrate(decay(), [batch()], unknown=[])


def test_experiments_without_a_usable_sample(decay, experiment, batch) -> None:
    """All samples missing: an error that names the experiment; no experiment at all: likewise."""
    empty = experiment("empty", TIMES, np.full(60, np.nan), output="c", unit="mol/m^3", noise=(1, "mol/m^3"))
    with pytest.raises(DataError, match='"empty" has no usable sample'):
        calibrate(decay(), [batch(), empty], unknown=["rate"])
    with pytest.raises(DataError, match="no experiment"):
        calibrate(decay(), [], unknown=["rate"])
    with pytest.raises(DataError, match="two experiments"):
        calibrate(decay(), [batch(), batch()], unknown=["rate"])


def test_an_initial_value_that_the_experiment_gives_cannot_be_unknown(closed_form, experiment) -> None:
    """`initial.y` is unknown and the experiment binds it: the message names both."""
    model = closed_form(
        lambda t, v: (v["initial.y"] + v["b"] * t)[:, None],
        ParameterSet([Parameter("initial.y", "1 K"), Parameter("b", "1 K/s")]),
        (Signal("y", "K"),),
    )
    channels = [Channel("y", unit="K", noise="1 K")]
    run = Experiment.from_arrays("run", TIMES, {"y": TIMES}, channels=channels, initial={"y": "3 K"})
    with pytest.raises(CalibrationError, match=r'"initial.y" is bound by experiment "run"'):
        calibrate(model, run, unknown=["initial.y", "b"])
    free = Experiment.from_arrays("run", TIMES, {"y": 5.0 + TIMES}, channels=channels)
    assert calibrate(model, free, unknown=["initial.y", "b"]).mode["initial.y"] == pytest.approx(5.0)


def test_a_setting_that_a_recipe_leaves_open(closed_form) -> None:
    """It can be unknown, be given a value, or is an error that says how to give one."""
    model = closed_form(
        lambda t, v: (v["a"] + v["level"] * t)[:, None], ParameterSet([Parameter("a", "1 K")]), (Signal("y", "K"),),
        inputs=(Signal("u", "K"),),
    )  # fmt: skip
    level = Setting("level", "K", bounds=("0 K", "10 K"))
    run = Experiment.from_arrays(
        "run", TIMES, {"y": 2.0 + 3.0 * TIMES}, channels=[Channel("y", unit="K", noise="1 K")],
        recipe=Recipe.constant(u=level),
    )  # fmt: skip
    with pytest.raises(RecipeError, match=r'leave the setting "level" open'):
        calibrate(model, run, unknown=["a"])
    both = calibrate(model, run, unknown=["a", "level"])
    assert both.mode["level"] == pytest.approx(3.0, rel=1e-6)
    given = calibrate(model, run, unknown=["a"], values={"level": "3 K"})
    assert given.mode["a"] == pytest.approx(2.0)
    assert given.fixed["level"] == 3.0


# What is estimated ---------------------------------------------------------------------------------------------------


def test_shared_and_own_parameters(decay, batch) -> None:
    """One rate for all, a start for each: names carry the experiment, and the values are recovered."""
    runs = [batch(f"b{i}", seed=i, start=s) for i, s in enumerate((6.0, 8.0, 11.0))]
    posterior = calibrate(decay(), runs, unknown=["rate", PerExperiment("start")], rng=3)
    assert posterior.names == ("rate", "start@b0", "start@b1", "start@b2")
    for name, true in zip(posterior.names, (0.3, 6.0, 8.0, 11.0), strict=True):
        assert abs(posterior.mode[name] - true) < 4.0 * posterior.standard_errors[name]
    alone = calibrate(decay(), runs[0], unknown=["rate", "start"])
    assert posterior.standard_errors["rate"] < alone.standard_errors["rate"], "three batches know more than one"


def test_bias_and_delay_are_recovered_with_exact_derivatives(closed_form) -> None:
    """A sensor that is 0.7 K high and 1.5 s late; the derivative by the delay comes from dy/dt."""
    model = closed_form(
        lambda t, v: np.stack([v["a"] * np.sin(0.5 * t) + 20.0, v["a"] * np.sin(0.5 * t) + 20.0], axis=1),
        ParameterSet([Parameter("a", "1 K")]),
        (Signal("good", "K"), Signal("bad", "K")),
    )
    rng = np.random.default_rng(0)
    t = np.arange(2.0, 40.0, 0.5)
    run = Experiment.from_arrays(
        "run",
        t,
        {
            "good": 3.0 * np.sin(0.5 * t) + 20.0 + 0.05 * rng.standard_normal(t.size),
            "bad": 3.0 * np.sin(0.5 * (t - 1.5)) + 20.7 + 0.05 * rng.standard_normal(t.size),
        },
        channels=[
            Channel("good", unit="K", noise="0.05 K"),
            Channel("bad", unit="K", noise="0.05 K", bias=UnknownBias("2 K"), delay=UnknownDelay("0 s", "4 s")),
        ],
    )
    posterior = calibrate(model, run, unknown=["a"], rng=1)
    assert posterior.names == ("a", "bias.bad", "delay.bad")
    for name, true in (("a", 3.0), ("bias.bad", 0.7), ("delay.bad", 1.5)):
        assert abs(posterior.mode[name] - true) < 4.0 * posterior.standard_errors[name]
        assert posterior.verdicts[name].identified
    assert "differences" not in posterior.message


def test_models_without_derivatives_give_the_same_answer(decay, without_sensitivities, batch) -> None:
    """Differences instead of exact derivatives: the same mode to 1e-3 standard deviations, and the message says so."""
    exact = calibrate(decay(), [batch()], unknown=["start", "rate"], rng=1)
    plain = calibrate(without_sensitivities(decay()), [batch()], unknown=["start", "rate"], rng=1)
    assert "derivatives by differences for start, rate" in plain.message
    for name in ("start", "rate"):
        assert abs(plain.mode[name] - exact.mode[name]) < 1e-3 * exact.standard_errors[name]
        assert plain.standard_errors[name] == pytest.approx(exact.standard_errors[name], rel=1e-4)


def test_only_what_is_not_differentiable_is_differenced(decay, batch) -> None:
    """A model that is differentiable in `rate` alone is never asked for `start` (the model asserts it)."""
    posterior = calibrate(decay(exact=frozenset(["rate"])), [batch()], unknown=["start", "rate"])
    assert posterior.message.endswith("derivatives by differences for start")


def test_a_product_is_told_as_a_product(closed_form, experiment) -> None:
    """y = a b t: neither factor is identified, and the verdict names the product and the partner."""
    model = closed_form(
        lambda t, v: (v["a"] * v["b"] * t)[:, None],
        ParameterSet([
            Parameter("a", "1 K", bounds=("1e-2 K", "1e2 K")),
            Parameter("b", "1 1/s", bounds=("1e-2 1/s", "1e2 1/s")),
        ]),
        (Signal("y", "K"),),
    )  # fmt: skip
    y = 6.0 * TIMES + np.random.default_rng(0).standard_normal(TIMES.size)
    posterior = calibrate(model, experiment("run", TIMES, y, noise="1 K"), unknown=["a", "b"], rng=2)
    for name, other in (("a", "b"), ("b", "a")):
        verdict = posterior.verdicts[name]
        assert verdict.identification is Identification.NOT
        assert "only the product a*b is seen" in verdict.sentence
        assert verdict.moves_with[0][0] == other and verdict.moves_with[0][1] < -0.99
    low, high = posterior.parameters["a"].bounds
    assert ((posterior["a"] >= low) & (posterior["a"] <= high)).all()


def test_a_ratio_and_a_sum_are_told(closed_form, experiment) -> None:
    """y = (a/b) t and y = (a + b) t: the verdicts name the combination that is seen."""
    both = [
        Parameter("a", "2 K/s", bounds=("0.1 K/s", "50 K/s")),
        Parameter("b", "1 K/s", bounds=("0.1 K/s", "50 K/s")),
    ]
    y = 6.0 * TIMES
    run = experiment("run", TIMES, y, noise="1 K")
    ratio = closed_form(lambda t, v: (v["a"] / v["b"] * t)[:, None], ParameterSet(both), (Signal("y", "K"),))
    assert "only the ratio a/b is seen" in str(calibrate(ratio, run, unknown=["a", "b"]).verdicts["a"])
    total = closed_form(lambda t, v: ((v["a"] + v["b"]) * t)[:, None], ParameterSet(both), (Signal("y", "K"),))
    assert "only the sum a + b is seen" in str(calibrate(total, run, unknown=["a", "b"]).verdicts["b"])


def test_more_unknowns_than_samples_with_unknown_noise(decay, experiment) -> None:
    """Nothing is left over for the noise: an error that says so."""
    run = experiment(
        "two",
        TIMES[[5, 9]],
        concentration(8, 0.3)[[5, 9]],
        output="c",
        unit="mol/m^3",
        noise=EstimatedNoise("1 mol/m^3"),
    )
    with pytest.raises(CalibrationError, match="the noise cannot be estimated: 2 samples for 2 unknowns"):
        calibrate(decay(), run, unknown=["start", "rate"])


def test_data_that_a_model_meets_exactly_have_no_noise(line, experiment) -> None:
    """Noise-free data: the noise goes to the smallest level and the fit ends all the same."""
    posterior = calibrate(
        line(), experiment("run", TIMES, 2.0 + 0.5 * TIMES, noise=EstimatedNoise("1 K")), unknown=["a", "b"]
    )
    assert posterior.converged
    assert posterior.mode["a"] == pytest.approx(2.0, abs=1e-6)
    assert 0.0 < posterior.mode["noise.y"] < 1e-6


# What goes wrong -----------------------------------------------------------------------------------------------------


def test_failures_on_the_way_are_recorded_and_never_residuals(decay, batch) -> None:
    """A region that cannot be simulated between start and mode: the answer is the same, the failures are listed."""
    clean = calibrate(decay(), [batch()], unknown=["start", "rate"], rng=1)
    walled = decay(forbidden=lambda v: v["rate"] > 0.32 or v["start"] > 9.0)
    posterior = calibrate(walled, [batch()], unknown=["start", "rate"], rng=1)
    assert posterior.failures
    assert posterior.failures[0].reason == "the pump cavitates"
    assert posterior.failures[0].experiment == "batch"
    assert set(posterior.failures[0].values) == {"start", "rate"}
    assert "simulations failed on the way" in posterior.message
    np.testing.assert_allclose(posterior.covariance.values, clean.covariance.values, rtol=1e-3)
    for name in ("start", "rate"):
        assert abs(posterior.mode[name] - clean.mode[name]) < 1e-3 * clean.standard_errors[name]


def test_a_start_that_fails_tries_points_nearby(decay, batch) -> None:
    """The declared values cannot be simulated, their neighborhood can."""
    model = decay(forbidden=lambda v: abs(v["rate"] - 0.2) < 0.001)
    posterior = calibrate(model, [batch()], unknown=["start", "rate"], rng=1)
    assert posterior.converged and posterior.failures
    assert posterior.mode["rate"] == pytest.approx(0.3, rel=0.02)


def test_all_starts_failing_is_an_error_with_reasons(decay, batch) -> None:
    """Not a posterior of zeros."""
    with pytest.raises(CalibrationError, match="the pump cavitates"):
        calibrate(decay(forbidden=lambda v: True), [batch()], unknown=["rate"], method=GaussNewton(starts=3))


def test_numbers_that_are_not_finite_are_failures(closed_form, experiment) -> None:
    """A model that returns NaN without raising is caught."""
    model = closed_form(
        lambda t, v: np.log(-1.0 - v["a"] ** 2 + 0 * t)[:, None],
        ParameterSet([Parameter("a", "-1 K")]),
        (Signal("y", "K"),),
    )
    with np.errstate(invalid="ignore"), pytest.raises(CalibrationError, match="not finite"):
        calibrate(model, experiment("run", TIMES, TIMES, noise="1 K"), unknown=["a"])


def test_several_starts_find_the_better_minimum(closed_form, experiment) -> None:
    """y = sin(w t): the declared start runs into a side minimum; of twenty starts one finds the frequency."""
    model = closed_form(
        lambda t, v: 50.0 + np.sin(v["w"] * t)[:, None],
        ParameterSet([Parameter("w", "0.5 1/s", bounds=("0.1 1/s", "3 1/s"))]),
        (Signal("y", "K"),),
    )
    y = 50.0 + np.sin(1.7 * TIMES) + 0.05 * np.random.default_rng(0).standard_normal(TIMES.size)
    run = experiment("run", TIMES, y, noise="0.05 K")
    stuck = calibrate(model, run, unknown=["w"], rng=1)
    assert abs(stuck.mode["w"] - 1.7) > 0.1
    assert any("declared noise" in w for w in stuck.warnings), "the misfit gives the side minimum away"
    found = calibrate(model, run, unknown=["w"], method=GaussNewton(starts=20), rng=1)
    assert found.mode["w"] == pytest.approx(1.7, abs=0.01)
    assert "of 20 starts reached this minimum" in found.message


def test_too_few_iterations_are_said(decay, batch) -> None:
    """`converged` is False, the message says how far it is, and the print begins with it."""
    posterior = calibrate(decay(), [batch()], unknown=["start", "rate"], method=GaussNewton(max_iterations=1))
    assert not posterior.converged
    assert "NOT CONVERGED" in str(posterior)
    assert any("did not converge" in w for w in posterior.warnings)


@pytest.mark.parametrize("wrong", [{"starts": 0}, {"tolerance": 0.0}, {"difference_step": 0.5}, {"n_draws": 0}])
def test_options_out_of_range(wrong) -> None:
    """Errors at the line of the mistake."""
    with pytest.raises(CalibrationError):
        GaussNewton(**wrong)


# What the residuals show ---------------------------------------------------------------------------------------------


def test_noise_declared_too_small_is_said(decay, batch) -> None:
    """Residuals five times the declared noise."""
    posterior = calibrate(decay(), [batch(noise="0.01 mol/m^3")], unknown=["start", "rate"])
    assert any("times the declared noise" in w for w in posterior.warnings)
    good = calibrate(decay(), [batch(seed=3)], unknown=["start", "rate"])
    assert not good.channels[0].findings


def test_a_model_that_misses_a_trend_is_told(closed_form, experiment) -> None:
    """A constant fitted to a ramp: runs, a trend against time, correlation, and wider draws."""
    model = closed_form(
        lambda t, v: (v["a"] + 0 * t)[:, None], ParameterSet([Parameter("a", "1 K")]), (Signal("y", "K"),)
    )
    y = 5.0 + 0.1 * TIMES + 0.1 * np.random.default_rng(0).standard_normal(TIMES.size)
    posterior = calibrate(model, experiment("run", TIMES, y, noise=EstimatedNoise("1 K")), unknown=["a"])
    text = "\n".join(posterior.warnings)
    assert "something slow is missing" in text
    assert "residuals are correlated" in text
    assert posterior.inflation["a"] > 2.0
    assert posterior["a"].std() > 1.8 * posterior.standard_errors["a"], (
        "the draws are wider, the covariance is classical"
    )
    assert posterior.channels[0].effective_samples < 20


def test_experiments_that_contradict_one_another(decay, batch) -> None:
    """Two batches with different rates fitted with one: the difference between experiments is said."""
    runs = [batch("slow", seed=1, rate=0.27), batch("fast", seed=2, rate=0.33)]
    posterior = calibrate(decay(), runs, unknown=["rate"], values={"start": "8 mol/m^3"})
    assert any("experiments differ by more than noise" in w for w in posterior.warnings)


def test_channel_table_is_in_declared_units(line, experiment) -> None:
    """Sum of squares and rms in the channel's unit, the misfit whitened, excluded samples counted."""
    y = 273.15 + 20.0 + 0.5 * TIMES + np.random.default_rng(1).standard_normal(TIMES.size)
    celsius = y - 273.15
    celsius[7] = np.nan
    model = line(parameters=[Parameter("a", "20 degC"), Parameter("b", "0.1 K/s")])
    posterior = calibrate(model, experiment("run", TIMES, celsius, unit="degC", noise="1 degC"), unknown=["a", "b"])
    channel = posterior.channels[0]
    assert (channel.unit, channel.difference_unit.text) == ("degC", "K")
    assert (channel.n_samples, channel.n_excluded) == (59, 1)
    keep = np.arange(60) != 7
    design = np.stack([np.ones(59), TIMES[keep]], axis=1)
    residual = y[keep] - design @ np.linalg.lstsq(design, y[keep], rcond=None)[0]
    assert channel.sum_of_squares == pytest.approx(residual @ residual, rel=1e-8)
    assert channel.rms == pytest.approx(np.sqrt(residual @ residual / 59), rel=1e-8)
    assert channel.noise == pytest.approx(1.0)
    assert posterior.sum_of_squares == {"K": pytest.approx(residual @ residual, rel=1e-8)}
    assert posterior.misfit == pytest.approx(residual @ residual, rel=1e-8)
    data = posterior.residuals
    assert data.sizes["sample"] == 60 and not bool(data["used"][7]) and int(data["flag"][7]) == 9
    assert posterior.coverage["time"] == (0.0, 20.0)
    assert "degC" in str(posterior)


# Purity --------------------------------------------------------------------------------------------------------------


def test_nothing_is_changed_and_the_same_inputs_give_the_same_bytes(decay, batch, tmp_path) -> None:
    """Model, experiments and generator stay as they are; two calls give files with equal bytes."""
    model, run = decay(), batch(noise=EstimatedNoise("1 mol/m^3"))
    before = pickle.dumps((run, model.parameters))
    rng = np.random.default_rng(5)
    state = copy.deepcopy(rng.bit_generator.state)
    first = calibrate(model, [run], unknown=["start", "rate"], method=GaussNewton(starts=3), rng=rng)
    second = calibrate(model, [run], unknown=["start", "rate"], method=GaussNewton(starts=3), rng=rng)
    assert rng.bit_generator.state == state
    assert pickle.dumps((run, model.parameters)) == before
    first.save(tmp_path / "a.nc")
    second.save(tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    other = calibrate(model, [run], unknown=["start", "rate"], rng=6)
    assert not np.array_equal(other.draws.values, first.draws.values)


def test_provenance_says_what_was_run(decay, batch) -> None:
    """Model, fingerprint, hashes, method, seed and versions; no clock."""
    run = batch()
    found = calibrate(decay(), run, unknown=["rate"], rng=11).provenance
    assert found["fingerprint"] == "0123456789abcdef"
    assert run.sha256 in found["experiments"]
    assert found["seed"] == "11" and "GaussNewton" in found["method"] and found["numpy"]


def test_solve_errors_of_experiments_carry_their_name(decay, batch) -> None:
    """The record of a failure says which experiment could not be simulated."""
    error = SolveError("x", time=1.0)
    assert pickle.loads(pickle.dumps(error)).reason == "x"  # noqa: S301
    model = decay(forbidden=lambda v: v["start"] > 10.5)
    posterior = calibrate(model, [batch("one"), batch("two", seed=2)], unknown=[PerExperiment("start"), "rate"], rng=0)
    assert {f.experiment for f in posterior.failures} <= {"one", "two"}
