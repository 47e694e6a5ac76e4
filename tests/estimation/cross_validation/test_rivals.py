"""Rival models on held-out batches: the right sign, an honest error, and nothing claimed that the folds do not say."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation.cross_validation import CrossValidation, Fold
from physics_twin.estimation.predictive_density import BatchDensity
from physics_twin.process import ProcessModel

TIMES = np.linspace(0.5, 10.0, 20)


def decay(order: int) -> ProcessModel:
    """First order, or second order."""
    m = pt.ProcessBuilder(f"decay_{order}", version="1")
    k = m.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "1 1/h"))
    x = m.state("x", "g/L", initial="10 g/L")
    m.rate(x, -k * x if order == 1 else -k * x**2 / m.constant("10 g/L"))
    m.output("x", x)
    return m.build()


def batch(seed: int) -> pt.Experiment:
    values = 10.0 * np.exp(-0.2 * TIMES) + 0.2 * np.random.default_rng(seed).standard_normal(TIMES.size)
    channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
    return pt.Experiment.from_arrays(f"batch_{seed}", (TIMES, "h"), {"x": values}, channels=[channel])


def validated(order: int, runs: list[pt.Experiment]) -> CrossValidation:
    model = decay(order)
    method = pt.GaussNewton(n_draws=400)
    fit = functools.partial(pt.calibrate, model, unknown=["k"], method=method, rng=3)
    return pt.cross_validate(model, runs, fit=fit)


def made(*densities: float) -> CrossValidation:
    """A cross-validation with these densities, one fold each."""
    folds = tuple(
        Fold(f"b{k}", (f"b{k}",), 1, (), (BatchDensity(d, 0.0, 1e3, d, 0.0),), 0.0, np.zeros(1), "", ())
        for k, d in enumerate(densities)
    )
    return CrossValidation("m", "f", "experiment", folds, 0.5)


def test_the_right_model_wins_with_the_right_sign_and_more_than_its_error() -> None:
    """First order against second on first-order data; the difference is what the squared deviations say."""
    runs = [batch(seed) for seed in range(6)]
    right, wrong = validated(1, runs), validated(2, runs)
    found = pt.compare_models({"second order": wrong, "first order": right})
    assert found.best.name == "first order"
    (_, rival) = found.rivals
    assert rival.difference < -2.5 * rival.standard_error < 0.0
    assert '"first order" predicts what it has not seen better than "second order"' in found.verdict
    assert "better on 6 of 6 folds" in found.verdict
    # With a rate that is known to a share of the noise the samples are nearly independent normal numbers.
    alone = [-0.5 * c.z**2 - np.log(np.sqrt(2.0 * np.pi) * c.sd) for f in right.folds for c in f.channels]
    assert right.log_density == pytest.approx(float(np.sum(alone)), abs=3.0)


def test_the_error_is_that_of_a_sum_of_differences() -> None:
    """sqrt(n) times the standard deviation of the differences of folds."""
    a, b = [10.0, 12.0, 9.0, 14.0, 11.0], [4.0, 7.0, 5.0, 6.0, 3.0]
    found = pt.compare_models({"a": made(*a), "b": made(*b)})
    apart = np.array(b) - np.array(a)
    assert found.rivals[1].difference == pytest.approx(apart.sum())
    assert found.rivals[1].standard_error == pytest.approx(np.sqrt(5.0) * apart.std(ddof=1))


def test_nothing_is_claimed_with_few_folds_or_a_small_difference() -> None:
    """Three folds however far apart; differences below four; differences within their error."""
    few = pt.compare_models({"a": made(50.0, 51.0, 52.0), "b": made(1.0, 2.0, 3.0)})
    assert "on 3 of 3 folds" in few.verdict and "3 folds are too few to say how sure that is" in few.verdict
    alike = pt.compare_models({"a": made(*[1.5] * 6), "b": made(*[1.0] * 6)})
    assert "they predict alike" in alike.verdict
    rough = pt.compare_models({"a": made(30.0, -20.0, 25.0, -10.0, 3.0), "b": made(0.0, 0.0, 0.0, 0.0, 0.0)})
    assert "cannot be told apart: the difference of log density is 28.0 +- " in rough.verdict


@pytest.mark.slow
def test_two_equal_models_are_told_apart_no_more_often_than_stated() -> None:
    """Differences that are pure chance, far above four: one in twenty verdicts at most claims a winner."""
    rng = np.random.default_rng(2)
    claimed = 0
    for _ in range(400):
        found = pt.compare_models({"a": made(*(40.0 * rng.standard_normal(8))), "b": made(*np.zeros(8))})
        claimed += "has not seen better than" in found.verdict
    # Binomial with p = 0.05 of 400: at most 0.05 * 400 + 3 * sqrt(19) = 33.
    assert claimed <= 33


def test_failed_folds_are_left_out_for_all_and_other_data_are_refused() -> None:
    """A fold that one model failed in does not count; other folds or samples are an error."""
    one, other = made(5.0, 6.0, 7.0), made(1.0, 2.0, 3.0)
    broken = Fold("b1", ("b1",), 1, (), (), np.nan, np.empty(0), "SolveError: x", ())
    failed = CrossValidation("m", "f", "experiment", (one.folds[0], broken, one.folds[2]), 0.5)
    found = pt.compare_models({"a": failed, "b": other})
    assert found.n_folds == 2 and found.left_out == ("b1",)
    assert "since a model failed there: b1" in found.verdict
    with pytest.raises(pt.DataError, match="other folds"):
        pt.compare_models({"a": one, "b": made(1.0, 2.0)})
    with pytest.raises(pt.DataError, match="two models or more"):
        pt.compare_models({"a": one})
    runs = [batch(seed) for seed in range(3)]
    moved = [runs[0], runs[1], runs[2].first(12)]
    with pytest.raises(pt.DataError, match="other samples"):
        pt.compare_models({"a": validated(1, runs), "b": validated(1, moved)})


def test_the_monte_carlo_error_is_that_of_the_density_that_was_taken() -> None:
    """One model's draws do not carry a batch: the normal density is taken for both, with its error for both."""

    def batches(carried_by: float) -> CrossValidation:
        folds = [
            dataclasses.replace(fold, densities=(BatchDensity(10.0 * k, 9.0, carried_by, 10.0 * k, 0.5),))
            for k, fold in enumerate(made(*np.zeros(5)).folds)
        ]
        return dataclasses.replace(made(*np.zeros(5)), folds=tuple(folds))

    found = pt.compare_models({"a": batches(1000.0), "b": batches(1.0)})
    # No difference in any fold: what is left is the error of two times five densities.
    assert found.rivals[1].standard_error == pytest.approx(np.sqrt(10.0) * 0.5)


def test_saved_and_loaded(tmp_path: Path) -> None:
    """The same text and numbers; another file is refused."""
    found = pt.compare_models({"a": made(1.0, 2.5, 3.0, 4.0), "b": made(1.1, 2.0, 2.5, 1.0)})
    found.save(tmp_path / "rivals.json")
    loaded = pt.ModelComparison.load(tmp_path / "rivals.json")
    assert str(loaded) == str(found) and repr(loaded.rivals) == repr(found.rivals)
    (tmp_path / "other.json").write_text('{"format": "something else"}')
    with pytest.raises(pt.FileFormatError, match="not marked"):
        pt.ModelComparison.load(tmp_path / "other.json")
    (tmp_path / "torn.json").write_text('{"format": "physics_twin model comparison 1"}')
    with pytest.raises(pt.FileFormatError, match="damaged"):
        pt.ModelComparison.load(tmp_path / "torn.json")
