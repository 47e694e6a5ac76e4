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
