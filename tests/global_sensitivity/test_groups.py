"""Influences with a posterior of lots: what is varied is a new lot, what is not varied is never the model's default."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.process import ProcessModel

TIMES = np.linspace(0.5, 10.0, 20)
END = pt.Recipe.constant(duration="2 h")


def decay() -> ProcessModel:
    """dx/dt = -k x, x(0) = 10; y = a x."""
    m = pt.ProcessBuilder("decay", version="1")
    k = m.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "2 1/h"))
    a = m.parameter("a", "1", bounds=("0.1", "10"))
    x = m.state("x", "g/L", initial="10 g/L")
    m.rate(x, -k * x)
    m.output("x", x)
    m.output("y", a * x)
    return m.build()


MODEL = decay()


def batch(name: str, rate: float) -> pt.Experiment:
    truth = 10.0 * np.exp(-rate * TIMES)
    noise = 0.02 * np.random.default_rng(int(100 * rate)).standard_normal((2, TIMES.size))
    channels = [pt.Channel("x", unit="g/L", noise="0.02 g/L"), pt.Channel("y", unit="g/L", noise="0.02 g/L")]
    return pt.Experiment.from_arrays(
        name, (TIMES, "h"), {"x": truth + noise[0], "y": truth + noise[1]}, channels=channels
    )


def fit(k: Any, rates: tuple[float, ...]) -> pt.Posterior:
    runs = [batch(f"b{i}", rate) for i, rate in enumerate(rates)]
    return pt.calibrate(MODEL, runs, unknown=[k, "a"], method=pt.GaussNewton(n_draws=400), rng=1)


@pytest.fixture(scope="module")
def single() -> pt.Posterior:
    return fit(pt.PerExperiment("k"), (0.8, 0.79))


@pytest.fixture(scope="module")
def lots() -> pt.Posterior:
    return fit(pt.Population("k", spread="50 %"), (0.1, 0.2, 0.3, 0.4))


def test_what_a_lot_has_for_itself_is_asked_for(single: pt.Posterior, lots: pt.Posterior) -> None:
    """Not varied and not given: no number would be right, least of all the model's default."""
    for posterior, what in ((single, "batch"), (lots, "experiment")):
        with pytest.raises(pt.RecipeError, match=rf'"k" has a value for each {what}.*values=\{{"k": \.\.\.\}}'):
            pt.rank_influences(MODEL, END, of="y", factors=["a"], posterior=posterior, method=pt.Sobol(8))
    found = pt.rank_influences(
        MODEL, END, of="y", factors=["a"], posterior=single, method=pt.Sobol(64), values={"k": "0.8 1/h"}
    )
    # a is 1, and y(2 h) = 10 exp(-1.6) kg/m^3 = 2.02; with the default of k it would be 6.7.
    assert np.median(found.tables[0].numbers) == pytest.approx(10.0 * np.exp(-1.6), rel=0.02)


def test_what_single_experiments_have_is_varied_over_all_of_them(single: pt.Posterior) -> None:
    """The draws of all, and nothing is asked for."""
    found = pt.rank_influences(MODEL, END, of="y", factors=["k"], posterior=single, method=pt.Sobol(64))
    assert np.median(found.tables[0].numbers) == pytest.approx(10.0 * np.exp(-1.59), rel=0.05)


def test_a_population_is_varied_over_new_lots(lots: pt.Posterior) -> None:
    """The range of x over k is that of a prediction for a lot that nobody has seen, and the words say so."""
    predicted = lots.predict(MODEL, END, [7200.0], n_draws=400).draws.values[:, 0, 0]
    found = pt.rank_influences(
        MODEL, END, of="x", factors=["k"], posterior=lots, method=pt.Sobol(64), values={"a": "1"}
    )
    assert "new experiment" in found.factors[0].words and "population" in found.factors[0].words
    # 5 and 95 % of 400 draws are known to 10 % of the width.
    width = np.ptp(np.quantile(predicted, [0.05, 0.95]))
    for level in (0.05, 0.95):
        assert abs(np.quantile(found.tables[0].numbers, level) - np.quantile(predicted, level)) < 0.15 * width


def test_morris_does_not_depend_on_the_number_of_draws() -> None:
    """Of draws with heavy tails: the ends are quantiles that 500 draws know, not the smallest and the largest."""
    sizes = []
    for n in (500, 50_000):
        z = np.random.default_rng(0).standard_t(3, size=(n, 1))
        a = pt.Parameter("a", "1", bounds=(-1000, 1000))
        posterior = pt.Posterior.from_draws([a], 1.0 + 0.1 * z)
        model = formula()
        found = pt.rank_influences(model, END, of="y", factors=["a"], posterior=posterior, method=pt.Morris(8))
        sizes.append(found.index("mu_star", "a")[0])
    # 2.5 and 97.5 % of t(3) are -3.18 and 3.18, 1/3 and 2/3 are -0.476 and 0.476: a step of 2/3 moves by 3.66, over
    # 2/3 of the range. Of 500 draws these quantiles are known to 0.35, so the effect to 10 %.
    assert sizes[1] == pytest.approx(0.1 * 3.66 / (2.0 / 3.0), rel=0.03)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.3)


def formula() -> ProcessModel:
    """y = a."""
    m = pt.ProcessBuilder("formula", version="1")
    a = m.parameter("a", "1", bounds=(-1000, 1000))
    x = m.state("x", "s", initial="0 s")
    m.rate(x, m.constant("0"))
    m.output("y", a)
    return m.build()
