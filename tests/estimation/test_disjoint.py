"""Data that a fit has seen are refused for validation, under whatever name; other data are not."""

from dataclasses import replace

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


def batch(seed: int, name: str) -> pt.Experiment:
    values = 10.0 * np.exp(-0.2 * TIMES) + 0.2 * np.random.default_rng(seed).standard_normal(TIMES.size)
    channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
    return pt.Experiment.from_arrays(name, (TIMES, "h"), {"x": values}, channels=[channel])


def fit(runs: list[pt.Experiment]) -> pt.Posterior:
    return pt.calibrate(MODEL, runs, unknown=["k"], method=pt.GaussNewton(n_draws=400), rng=3)


def test_validate_predicts_what_was_not_seen() -> None:
    """The same result as a hold-out of the same experiment."""
    runs, other = [batch(1, "a"), batch(2, "b")], batch(3, "c")
    found = pt.validate(MODEL, fit(runs), other)
    same = pt.holdout(MODEL, runs, fit=fit, held=other)
    assert found.n_fitted == 40 and found.n_samples == 20
    assert found.chance == same.chance and found["x"].low.tolist() == same["x"].low.tolist()


def test_what_was_seen_is_refused() -> None:
    """The experiment itself, its data under another name, a part of it, a whole of which a part was fitted."""
    one, two = batch(1, "a"), batch(2, "b")
    posterior = fit([one, two])
    with pytest.raises(pt.DataError, match='experiment "a" cannot be predicted as one that was not seen: it is'):
        pt.validate(MODEL, posterior, [batch(4, "d"), one])
    with pytest.raises(pt.DataError, match='20 of its 20 samples are also in experiment "b"'):
        pt.validate(MODEL, posterior, replace(two, name="renamed"))
    with pytest.raises(pt.DataError, match='8 of its 8 samples are also in experiment "a"'):
        pt.validate(MODEL, posterior, replace(one.last(8), name="end"))
    with pytest.raises(pt.DataError, match='12 of its 20 samples are also in experiment "a"'):
        pt.validate(MODEL, fit([one.first(12)]), replace(one, name="whole"))
    with pytest.raises(pt.DataError, match="also in experiment"):
        pt.holdout(MODEL, [one, two], fit=fit, held=replace(two, name="renamed"))
    with pytest.raises(pt.DataError, match="no experiment to validate with"):
        pt.validate(MODEL, posterior, [])


def test_the_rest_of_a_run_is_other_data() -> None:
    """The last samples of an experiment of which the first were fitted; an overlap under the same name is refused."""
    run = batch(1, "a")
    posterior = fit([run.first(12)])
    assert pt.validate(MODEL, posterior, run.last(8)).n_samples == 8
    with pytest.raises(pt.DataError, match='3 of its 11 samples are also in experiment "a"'):
        pt.validate(MODEL, posterior, run.last(11))


def test_a_few_equal_samples_are_chance() -> None:
    """Batches that begin at the same temperature, read with few digits, are not the same batch."""
    one, two = batch(1, "a"), batch(2, "b")
    values = np.array(two["x"].values)
    values[:5] = one["x"].values[:5]
    channel = pt.Channel("x", unit="g/L", noise="0.2 g/L")
    alike = pt.Experiment.from_arrays("alike", (TIMES, "h"), {"x": values}, channels=[channel])
    assert pt.validate(MODEL, fit([one]), alike).n_samples == 20


def test_a_posterior_from_a_file_still_knows(tmp_path: "object") -> None:
    """Saved and loaded: the hashes and samples are part of it."""
    run = batch(1, "a")
    posterior = fit([run])
    path = f"{tmp_path}/fit.nc"
    posterior.save(path)
    with pytest.raises(pt.DataError, match="cannot be predicted"):
        pt.validate(MODEL, pt.Posterior.load(path), replace(run, name="again"))


def limited(seed: int) -> pt.Experiment:
    """Samples at standard times, 7 of 10 below what the sensor can show."""
    times = np.arange(1.0, 11.0)
    values = 10.0 * np.exp(-0.8 * times) + 0.05 * np.random.default_rng(seed).standard_normal(10)
    channel = pt.Channel("x", unit="g/L", noise="0.05 g/L", sensor_range=("0.5 g/L", None))
    shown = {"x": np.maximum(values, 0.5)}
    return pt.Experiment.from_arrays(f"lot_{seed}", (times, "h"), shown, channels=[channel])


def test_limits_at_standard_times_are_not_common_samples() -> None:
    """Independent batches whose late samples all read "below 0.5 g/L" are other data; the same batch is not."""
    one, two, three = (limited(seed) for seed in range(3))
    assert one["x"].n_censored == 7
    posterior = fit([one, two])
    assert pt.validate(MODEL, posterior, three).n_samples == 10
    assert len(pt.cross_validate(MODEL, [one, two, three], fit=fit).done) == 3
    with pytest.raises(pt.DataError, match='3 of its 3 samples are also in experiment "lot_1"'):
        pt.validate(MODEL, posterior, replace(two, name="renamed"))


def test_the_posterior_of_another_model_is_refused() -> None:
    """A prediction by equations that were not fitted says nothing about the fit."""
    other = pt.ProcessBuilder("other", version="1")
    k = other.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "1 1/h"))
    x = other.state("x", "g/L", initial="10 g/L")
    other.rate(x, -k * x**2 / other.constant("10 g/L"))
    other.output("x", x)
    model = other.build()
    runs = [batch(1, "a"), batch(2, "b"), batch(3, "c")]
    with pytest.raises(pt.ModelError, match='"other" is not the model that was fitted'):
        pt.validate(model, fit(runs[:2]), runs[2])
    with pytest.raises(pt.ModelError, match='"other" is not the model that was fitted'):
        pt.holdout(model, runs[:2], fit=fit, held=runs[2])
    with pytest.raises(pt.ModelError, match='"other" is not the model that was fitted'):
        pt.cross_validate(model, runs, fit=fit)


def test_a_generator_stays_as_it_was_and_any_integer_is_a_seed() -> None:
    """As everywhere: a copy is used."""
    posterior, other = fit([batch(1, "a")]), batch(2, "b")
    own = np.random.default_rng(3)
    before = own.bit_generator.state
    first = pt.validate(MODEL, posterior, other, rng=own)
    assert own.bit_generator.state == before
    assert pt.validate(MODEL, posterior, other, rng=own).chance == first.chance
    assert pt.validate(MODEL, posterior, other, rng=np.int64(3)).chance == first.chance  # type: ignore[arg-type]
