"""Hold-out: a right model passes, a wrong one fails, and the fit never sees what is held back."""

from collections.abc import Sequence

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.process import ProcessModel

TIMES = np.linspace(0.5, 10.0, 20)


def decay() -> ProcessModel:
    """dx/dt = -k x, x(0) = 10."""
    m = pt.ProcessBuilder("decay", version="1")
    k = m.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "1 1/h"))
    x = m.state("x", "g/L", initial="10 g/L")
    m.rate(x, -k * x)
    m.output("x", x)
    return m.build()


MODEL = decay()


def measured(seed: int, rate: float = 0.2, floor: float = 0.0, name: str = "run", noise: float = 0.2) -> pt.Experiment:
    """A decay towards `floor`, which the model does not know unless it is zero."""
    truth = floor + (10.0 - floor) * np.exp(-rate * TIMES)
    values = truth + noise * np.random.default_rng(seed).standard_normal(TIMES.size)
    channel = pt.Channel("x", unit="g/L", noise=f"{noise} g/L")
    return pt.Experiment.from_arrays(name, (TIMES, "h"), {"x": values}, channels=[channel])


def fit(runs: Sequence[pt.Experiment]) -> pt.Posterior:
    return pt.calibrate(MODEL, runs, unknown=["k"], method=pt.GaussNewton(n_draws=400), rng=3)


def test_a_right_model_passes_at_the_stated_rate() -> None:
    """Of 40 right models about 2 fail (5 %), and 95 % of the held-back samples lie inside."""
    checks = [pt.holdout(MODEL, measured(seed), fit=fit, n_first=12, rng=seed, n_draws=200) for seed in range(40)]
    # Binomial with p = 0.05: more than 7 of 40 in one of 1000 cases.
    assert sum(not check.passed for check in checks) <= 7
    assert np.mean([check.coverage for check in checks]) == pytest.approx(0.95, abs=0.03)


def test_a_wrong_model_fails_and_the_sentence_says_where() -> None:
    """A decay that stops at 3 g/L is not what the model extrapolates."""
    check = pt.holdout(MODEL, measured(1, floor=3.0), fit=fit, n_first=10)
    assert not check.passed and check.chance < 0.01
    assert check.outside == ("x",)
    assert "the check fails" in check.sentence and "less than 1 %" in check.sentence
    assert "standard deviations above" in str(check)


def test_the_fit_sees_the_first_samples_only() -> None:
    """The function is given exactly the first samples; the rest is what is predicted."""
    seen: list[Sequence[pt.Experiment]] = []

    def spy(runs: Sequence[pt.Experiment]) -> pt.Posterior:
        seen.append(runs)
        return fit(runs)

    check = pt.holdout(MODEL, measured(2), fit=spy, n_first=15)
    assert [run.times.size for run in seen[0]] == [15]
    assert check["x"].times == pytest.approx(TIMES[15:] * 3600.0)
    assert check["x"].fitted_times == pytest.approx(TIMES[:15] * 3600.0)
    assert (check.n_fitted, check.n_samples) == (15, 5)


def test_z_scores_are_deviations_in_units_of_the_predicted_sd() -> None:
    """With a rate that is known well, the predicted sd is that of the sensor."""
    runs = [measured(seed, name=f"run_{seed}") for seed in range(8)]
    check = pt.holdout(MODEL, runs, fit=fit, held=measured(9, name="next"))["x"]
    assert check.sd == pytest.approx(0.2, rel=0.15)  # g/L is kg/m3
    assert check.z == pytest.approx((check.observed - check.middle) / check.sd)
    assert check.inside.tolist() == ((check.observed >= check.low) & (check.observed <= check.high)).tolist()


def test_a_whole_experiment_can_be_held_back() -> None:
    """Fitted at one rate, the run at another one is outside."""
    good = pt.holdout(MODEL, measured(3), fit=fit, held=measured(4, name="next"))
    bad = pt.holdout(MODEL, measured(3), fit=fit, held=measured(4, rate=0.35, name="other"))
    assert good.passed and not bad.passed
    assert good.n_fitted == good.n_samples == TIMES.size
    assert good["x"].fitted.size == 0


def test_several_experiments_are_judged_together() -> None:
    """Each experiment has its channel; names tell them apart."""
    check = pt.holdout(MODEL, [measured(5, name="a"), measured(6, name="b")], fit=fit, n_first=15)
    assert [c.name for c in check.channels] == ["x@a", "x@b"]
    assert check["x@b"].experiment == "b"
    with pytest.raises(pt.UnknownNameError):
        check["x"]
    assert check.passed


def test_the_same_seed_gives_the_same_check() -> None:
    """No hidden state."""
    first, second = (pt.holdout(MODEL, measured(7), fit=fit, n_first=12, rng=4) for _ in range(2))
    assert first.chance == second.chance and first["x"].low.tolist() == second["x"].low.tolist()


def test_mistakes_are_told() -> None:
    """Nothing held back, or nothing left after the first samples."""
    with pytest.raises(pt.DataError, match="n_first="):
        pt.holdout(MODEL, measured(8), fit=fit)
    with pytest.raises(pt.DataError, match="no sample after its first 20"):
        pt.holdout(MODEL, measured(8), fit=fit, n_first=20)


def test_estimated_noise_and_bias_of_the_sensor_are_in_the_band() -> None:
    """A bias that the fit knows shifts the prediction of a measurement; the estimated noise sets its width."""
    truth = 10.0 * np.exp(-0.2 * TIMES) + 1.5
    values = truth + 0.4 * np.random.default_rng(2).standard_normal(TIMES.size)
    noise, bias = pt.EstimatedNoise("0.1 g/L"), pt.UnknownBias("5 g/L")
    channel = pt.Channel("x", unit="g/L", noise=noise, bias=bias)
    run = pt.Experiment.from_arrays("run", (TIMES, "h"), {"x": values}, channels=[channel])
    check = pt.holdout(MODEL, run, fit=fit, n_first=15)["x"]
    assert check.middle[-1] == pytest.approx(1.5 + 10.0 * np.exp(-2.0), abs=0.8)
    assert check.sd[0] > 0.3


def test_plot_marks_fitted_and_held_back_samples() -> None:
    """One panel, with what was fitted, what was held back, and what is outside."""
    from matplotlib import pyplot as plt

    figure = pt.holdout(MODEL, measured(1, floor=3.0), fit=fit, n_first=10).plot()
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert {"fitted", "held back, outside the band"} <= labels
    plt.close(figure)


def test_the_curve_follows_a_dense_log_before_the_held_back_part_too() -> None:
    """The picture's curve stands at the fitted times as well: no straight line across what was fitted."""
    times = np.linspace(0.01, 10.0, 400)
    channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
    values = 10.0 * np.exp(-0.2 * times)
    run = pt.Experiment.from_arrays("run", (times, "h"), {"x": values}, channels=[channel])
    check = pt.holdout(MODEL, run, fit=fit, n_first=240)["x"]
    exact = 10.0 * np.exp(-0.2 * check.nodes / 3600.0)
    assert check.band[1] == pytest.approx(exact, abs=0.05)
    assert np.diff(check.nodes).max() <= 2.1 * 3600.0 * (times[1] - times[0])


def test_one_sample_in_twenty_may_lie_outside() -> None:
    """A long log always has samples outside a 95 % band; only too many of them are named."""
    times = np.linspace(0.01, 10.0, 400)
    noise = 0.2 * np.random.default_rng(1).standard_normal(400)
    channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
    data = {"x": 10.0 * np.exp(-0.2 * times) + noise}
    run = pt.Experiment.from_arrays("run", (times, "h"), data, channels=[channel])
    check = pt.holdout(MODEL, run, fit=fit, n_first=200)
    assert 0 < check.n_samples - check.n_inside <= 10
    assert check.outside == () and check.passed
