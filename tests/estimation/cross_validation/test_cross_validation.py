"""Batches predicted by fits that have not seen them: rates, groups, failures, and the same result whoever computes."""

import functools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation.cross_validation.result import ChannelBelief
from physics_twin.process import ProcessModel
from physics_twin.units import Unit

TIMES = np.linspace(0.5, 10.0, 20)


def decay(order: int = 1) -> ProcessModel:
    """dx/dt = -k x, x(0) = 10; or -k x^2 / 10."""
    m = pt.ProcessBuilder(f"decay_{order}", version="1")
    k = m.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "1 1/h"))
    x = m.state("x", "g/L", initial="10 g/L")
    m.rate(x, -k * x if order == 1 else -k * x**2 / m.constant("10 g/L"))
    m.output("x", x)
    return m.build()


MODEL = decay()
METHOD = pt.GaussNewton(n_draws=400)
FIT = functools.partial(pt.calibrate, MODEL, unknown=["k"], method=METHOD, rng=3)


def batch(seed: int, rate: float = 0.2, name: str = "", **context: str) -> pt.Experiment:
    truth = 10.0 * np.exp(-rate * TIMES)
    values = truth + 0.2 * np.random.default_rng(seed).standard_normal(TIMES.size)
    channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
    name = name or f"batch_{seed}"
    return pt.Experiment.from_arrays(name, (TIMES, "h"), {"x": values}, channels=[channel], context=context)


@pytest.mark.slow
def test_coverage_of_a_right_model_is_what_is_claimed() -> None:
    """60 batches, each with 20 independent samples: within three binomial standard errors at each level."""
    found = pt.cross_validate(MODEL, [batch(seed) for seed in range(60)], fit=FIT, folds=12, n_draws=400)
    n = 60 * TIMES.size
    for share, level in zip(found.coverage, (0.5, 0.8, 0.95), strict=True):
        assert share == pytest.approx(level, abs=3.0 * np.sqrt(level * (1.0 - level) / n))
    assert found.passed
    (channel,) = found.channels
    assert (channel.n_samples, channel.n_folds) == (n, 12)
    assert abs(channel.bias) < 4.0 * channel.bias_error
    # The standard error of the mean of 1200 deviations of 0.2 g/L, known to 1/sqrt(22) from 12 folds.
    assert channel.bias_error == pytest.approx(0.2 / np.sqrt(n), rel=0.75)


def test_batches_that_differ_are_not_covered_by_a_common_rate() -> None:
    """Rates that vary by a tenth from batch to batch: too sure, by the right folds; the bias has its error."""
    rates = 0.2 * (1.0 + 0.15 * np.random.default_rng(5).standard_normal(8))
    found = pt.cross_validate(MODEL, [batch(k, r) for k, r in enumerate(rates)], fit=FIT)
    assert not found.passed and found.chance < 0.01
    assert found.coverage[2] < 0.85
    assert "more certain of itself than it should be" in found.sentence
    worst = min(found.folds, key=lambda fold: fold.log_density)
    assert worst.name == f"batch_{int(np.argmax(np.abs(rates - np.mean(rates))))}"


@pytest.mark.slow
def test_a_population_covers_a_new_lot() -> None:
    """The same batches with the rate drawn for each from a population: the left-out lot is a new draw of it."""
    rates = 0.2 * (1.0 + 0.15 * np.random.default_rng(5).standard_normal(8))
    runs = [batch(k, r) for k, r in enumerate(rates)]
    population = [pt.Population(MODEL.parameters["k"], spread="50 %")]
    fit = functools.partial(pt.calibrate, MODEL, unknown=population, method=METHOD, rng=3)
    found = pt.cross_validate(MODEL, runs, fit=fit)
    assert found.passed
    # Eight batches whose samples err together: of 8 lots 95 % within their band, three binomial errors of 8.
    assert found.coverage[2] > 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / 8.0)


def test_what_is_left_out_is_not_fitted() -> None:
    """By experiment, by a key of the context, in parts drawn at random; each experiment is left out once."""
    runs = [batch(seed, lot="AB"[seed % 2]) for seed in range(6)]
    seen: list[set[str]] = []

    def spy(train: Sequence[pt.Experiment]) -> pt.Posterior:
        seen.append({run.name for run in train})
        return FIT(train)

    for by, folds, n in ((None, None, 6), ("lot", None, 2), (None, 3, 3)):
        seen.clear()
        found = pt.cross_validate(MODEL, runs, fit=spy, by=by, folds=folds)
        assert len(found.folds) == n
        for fold, train in zip(found.folds, seen, strict=True):
            assert train == {run.name for run in runs} - set(fold.experiments)
        assert sorted(name for fold in found.folds for name in fold.experiments) == sorted(run.name for run in runs)
    assert [fold.name for fold in pt.cross_validate(MODEL, runs, fit=spy, by="lot").folds] == ["A", "B"]


@pytest.mark.slow
def test_the_same_numbers_from_workers_and_from_a_file(tmp_path: Path) -> None:
    """Two spawned processes; saved and loaded bit for bit; a checkpoint folder for each fold."""
    runs = [batch(seed) for seed in range(3)]
    here = pt.cross_validate(MODEL, runs, fit=FIT, rng=4, checkpoint=tmp_path / "kept")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = pt.cross_validate(MODEL, runs, fit=FIT, rng=4, executor=pool)
        with pytest.raises(pt.CalibrationError, match=r"functools\.partial"):
            pt.cross_validate(MODEL, runs, fit=lambda train: FIT(train), executor=pool)
    assert str(there) == str(here)
    assert there.folds[1].channels[0].low.tolist() == here.folds[1].channels[0].low.tolist()
    assert sorted(folder.name for folder in (tmp_path / "kept").iterdir()) == ["fold-1", "fold-2", "fold-3"]
    here.save(tmp_path / "belief.json")
    loaded = pt.CrossValidation.load(tmp_path / "belief.json")
    assert str(loaded) == str(here) and loaded.folds[2].densities == here.folds[2].densities
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(pt.FileFormatError, match="not marked"):
        pt.CrossValidation.load(tmp_path / "other.json")


def test_a_failed_fold_is_a_row_with_its_reason() -> None:
    """The others are judged; all failing is an error."""
    runs = [batch(seed) for seed in range(4)]

    def moody(train: Sequence[pt.Experiment]) -> pt.Posterior:
        if "batch_1" not in {run.name for run in train}:
            raise pt.CalibrationError("no start could be simulated")
        return FIT(train)

    found = pt.cross_validate(MODEL, runs, fit=moody)
    assert [fold.failed for fold in found.folds] == [False, True, False, False]
    assert "failed: CalibrationError: no start could be simulated" in str(found)
    assert "1 of 4 fits or predictions failed" in found.sentence
    assert found.n_samples == 60

    def broken(train: Sequence[pt.Experiment]) -> pt.Posterior:
        raise pt.CalibrationError("never")

    with pytest.raises(pt.CalibrationError, match="all 4 folds failed; the first: CalibrationError: never"):
        pt.cross_validate(MODEL, runs, fit=broken)


def test_mistakes_are_told() -> None:
    """One group only, a key that is missing, both ways at once, the same data under two names."""
    runs = [batch(1, lot="A"), batch(2, lot="A")]
    with pytest.raises(pt.DataError, match='only one "lot"'):
        pt.cross_validate(MODEL, runs, fit=FIT, by="lot")
    with pytest.raises(pt.DataError, match='does not say its "campaign": its context has lot'):
        pt.cross_validate(MODEL, runs, fit=FIT, by="campaign")
    with pytest.raises(pt.DataError, match="not both"):
        pt.cross_validate(MODEL, runs, fit=FIT, by="lot", folds=2)
    with pytest.raises(pt.DataError, match="between 2 and 2"):
        pt.cross_validate(MODEL, runs, fit=FIT, folds=3)
    with pytest.raises(pt.DataError, match="20 of its 20 samples are also in experiment"):
        pt.cross_validate(MODEL, [*runs, batch(1, name="again")], fit=FIT)


def test_plot_shows_coverage_predictions_and_bias() -> None:
    """Three panels with one output."""
    from matplotlib import pyplot as plt

    figure = pt.cross_validate(MODEL, [batch(seed) for seed in range(3)], fit=FIT, n_draws=100).plot()
    assert len(figure.axes) == 3
    assert figure.axes[1].get_xlabel() == "x predicted / (g/L)"
    plt.close(figure)


def test_limits_count_in_the_density_and_not_in_the_coverage() -> None:
    """Samples "below 2 g/L" at the end: the measured ones are covered, and all of them tell rivals apart."""
    runs = []
    for seed in range(3):
        values = np.array(batch(seed)["x"].values)
        sides = np.where(values < 2.0, -1, 0).astype(np.int8)
        channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
        shown = {"x": np.where(sides < 0, 2.0, values)}
        name = f"limited_{seed}"
        runs.append(pt.Experiment.from_arrays(name, (TIMES, "h"), shown, channels=[channel], censored={"x": sides}))
    found = pt.cross_validate(MODEL, runs, fit=FIT)
    measured = sum(int(run["x"].used.sum()) for run in runs)
    assert 0 < found.n_samples == measured < 60
    assert found.passed and np.isfinite(found.log_density)


def level_model() -> ProcessModel:
    """T = level + 1 K/s t."""
    m = pt.ProcessBuilder("line", version="1")
    T = m.state("T", "K", initial=m.parameter("level", "300 K", prior=pt.Normal("300 K", "5 K")))
    m.rate(T, m.constant("1 K/s"))
    m.output("T", T)
    return m.build()


def test_experiments_of_one_fold_share_the_draw() -> None:
    """Two lots of five batches whose level is common to the lot, and their exact prediction: the replicas of a fold
    vary as sums of distances that move together.

    The level dominates (5 K against 0.5 K of noise), so a fold's 10 squared deviations are nearly 10 chi2_1: a variance
    of 200. Drawn independently for the 5 batches it would be 5 x 2^2 x 2 = 40. The variance of 200 replicas of chi2_1
    has a standard error of a quarter.
    """
    rng = np.random.default_rng(0)
    model, at = level_model(), np.array([1.0, 2.0])
    channel = pt.Channel("T", unit="K", noise="0.5 K")
    runs = []
    for lot in range(2):
        level = 300.0 + 5.0 * rng.standard_normal()
        for k in range(5):
            values = {"T": level + at + 0.5 * rng.standard_normal(2)}
            context = {"lot": f"L{lot}"}
            runs.append(pt.Experiment.from_arrays(f"l{lot}b{k}", at, values, channels=[channel], context=context))
    parameters = [pt.Parameter("level", "300 K", prior=pt.Normal("300 K", "5 K"))]
    posterior = pt.Posterior.from_draws(parameters, 300.0 + 5.0 * rng.standard_normal((1000, 1)))
    found = pt.cross_validate(model, runs, fit=lambda train: posterior, by="lot")
    for fold in found.folds:
        assert fold.replicas.mean() == pytest.approx(10.0, rel=0.4)
        assert fold.replicas.var() > 100.0
    judged = pt.validate(model, posterior, runs[:5])
    share = float(np.mean(found.folds[0].replicas >= found.folds[0].distance))
    assert share == pytest.approx(judged.chance, abs=4.0 * np.sqrt(0.25 / 200.0))


def test_a_right_model_is_called_biased_in_one_of_twenty_cases() -> None:
    """Two folds: the standard error is known from one degree of freedom, and the limit is that of Student's t."""

    def belief(n_folds: int, bias: float) -> ChannelBelief:
        return ChannelBelief("x", Unit("g/L"), 40, n_folds, (0.5,) * 3, (0.1,) * 3, bias, 1.0, 1.0)

    assert not belief(2, 12.7).biased and belief(2, 12.71).biased
    assert not belief(4, 3.18).biased and belief(4, -3.19).biased
    assert not belief(1, 100.0).biased
    rng = np.random.default_rng(0)
    means = rng.standard_normal((4000, 3))
    errors = means.std(axis=1, ddof=1) / np.sqrt(3.0)
    called = np.mean([belief(3, m / e).biased for m, e in zip(means.mean(axis=1), errors, strict=True)])
    assert called == pytest.approx(0.05, abs=3.0 * np.sqrt(0.05 * 0.95 / 4000.0))


def test_batches_in_other_units_share_one_axis() -> None:
    """One in mg/L among batches in g/L: drawn in the unit of the first."""
    from matplotlib import pyplot as plt

    runs = [batch(seed) for seed in range(3)]
    channel = pt.Channel("x", unit="mg/L", noise="200 mg/L")
    values = {"x": 1000.0 * np.asarray(runs[1]["x"].channel.unit.from_si(runs[1]["x"].values))}
    runs[1] = pt.Experiment.from_arrays("batch_1", (TIMES, "h"), values, channels=[channel])
    figure = pt.cross_validate(MODEL, runs, fit=FIT, n_draws=100).plot()
    measured = figure.axes[1]
    assert measured.get_xlabel() == "x predicted / (g/L)"
    assert max(float(np.max(line.get_xdata())) for line in measured.lines) < 12.0  # type: ignore[arg-type]
    plt.close(figure)


def test_what_stops_a_run_from_outside_is_not_a_failed_fold(tmp_path: Path) -> None:
    """A folder in use, and one that cannot be written: raised, so that calling again does the fold."""
    runs = [batch(seed) for seed in range(3)]
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "fold-2").write_text("a file where a folder should be")
    with pytest.raises(pt.StoppedError, match="cannot be written"):
        pt.cross_validate(MODEL, runs, fit=FIT, checkpoint=folder)
    (folder / "fold-2").unlink()
    assert len(pt.cross_validate(MODEL, runs, fit=FIT, checkpoint=folder).done) == 3
    with pytest.raises(pt.StoppedError, match="holds another calibration"):
        pt.cross_validate(MODEL, runs, fit=functools.partial(FIT, rng=4), checkpoint=folder)


def test_samples_that_all_are_limits_have_no_coverage() -> None:
    """Printed, and judged by their chance."""
    runs = []
    for seed in range(3):
        channel = pt.Channel("x", unit="g/L", noise="0.05 g/L", sensor_range=("20 g/L", None))
        shown = {"x": np.full(TIMES.size, 20.0)}
        runs.append(pt.Experiment.from_arrays(f"low_{seed}", (TIMES, "h"), shown, channels=[channel]))
    found = pt.cross_validate(MODEL, runs, fit=lambda train: FIT([batch(77)]))
    assert found.n_samples == 0 and np.isnan(found.coverage).all()
    assert found.passed and "every sample left out is a limit" in str(found)
    assert "nan" not in str(found)
