"""A parameter that looks like a discrepancy is named, one that does not is left alone; a wrong model is corrected."""

from collections.abc import Sequence

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation.discrepancy import with_discrepancy
from physics_twin.process import ProcessModel

TIMES = np.linspace(1.0, 200.0, 100)


def two_parts() -> ProcessModel:
    """y = slow + fast u, where u is a saw that the recipe gives."""
    m = pt.ProcessBuilder("two_parts", version="1")
    u = m.input("u", "W")
    slow = m.parameter("slow", "1 W", bounds=("-100 W", "100 W"))
    fast = m.parameter("fast", 1.0, bounds=(-10.0, 10.0))
    x = m.state("x", "W", initial="0 W")
    m.rate(x, 0.0 * u / m.constant("1 s"))
    m.output("y", slow + fast * u + x)
    return m.build()


def measured() -> pt.Experiment:
    saw = 5.0 * np.sign(np.sin(TIMES * 2.0 * np.pi / 8.0 + 0.1))
    values = 3.0 + 2.0 * saw + 0.1 * np.random.default_rng(3).standard_normal(TIMES.size)
    recipe = pt.Recipe.from_table(np.append(0.0, TIMES), {"u": (np.append(saw[0], saw), "W")})
    channel = pt.Channel("y", unit="W", noise="0.1 W")
    return pt.Experiment.from_arrays("run", TIMES, {"y": values}, channels=[channel], recipe=recipe)


def decay() -> ProcessModel:
    """dx/dt = -k x; y = x."""
    m = pt.ProcessBuilder("decay", version="1")
    k = m.parameter("k", "0.01 1/s", bounds=("0.001 1/s", "0.1 1/s"), prior=pt.LogNormal("0.01 1/s", 0.5))
    x = m.state("x", "W", initial="10 W")
    m.rate(x, -k * x)
    m.output("y", x)
    return m.build()


def batch(seed: int) -> pt.Experiment:
    """A decay with a slow part that the model does not have."""
    values = 10.0 * np.exp(-0.01 * TIMES) + 2.0 * (1.0 - np.exp(-TIMES / 60.0)) * np.cos(TIMES / 50.0)
    values = values + 0.1 * np.random.default_rng(seed).standard_normal(TIMES.size)
    channel = pt.Channel("y", unit="W", noise="0.1 W")
    return pt.Experiment.from_arrays(f"batch_{seed}", TIMES, {"y": values}, channels=[channel])


def test_the_confounded_parameter_is_named_and_the_other_one_is_not() -> None:
    """A constant looks like a slow discrepancy; the answer to a fast saw does not."""
    inner = two_parts()
    model = with_discrepancy(inner, {"y": pt.Discrepancy("2 W", "60 s", "time", between=("0 s", "200 s"))})
    posterior = pt.calibrate(model, measured(), unknown=["slow", "fast", *model.discrepancy_unknowns()], rng=1)
    said = [w for w in posterior.warnings if "could as well be a discrepancy" in w]
    assert len(said) == 1
    assert "slow (99 %) could as well be a discrepancy of y" in said[0] and "fast" not in said[0]
    assert "W with the discrepancy and 0.0" in said[0]
    # The sd of a constant beside a process of sd 2: at least that of the mean of the process over ten lengths.
    assert posterior["slow"].std() > 0.5
    assert posterior["fast"].std() < 0.01


def test_where_both_can_be_told_apart_nothing_is_said() -> None:
    """The same run with a prior on the constant, or without a discrepancy."""
    inner = two_parts()
    model = with_discrepancy(inner, {"y": pt.Discrepancy("2 W", "60 s", "time", between=("0 s", "200 s"))})
    known = inner.parameters["slow"].replace(prior=pt.Normal("3 W", "0.01 W"))
    for unknown in ([known, "fast", *model.discrepancy_unknowns()], ["fast", *model.discrepancy_unknowns()], ["slow"]):
        posterior = pt.calibrate(model, measured(), unknown=unknown, rng=1)
        assert not [w for w in posterior.warnings if "could as well be" in w]


def test_the_output_that_takes_most_is_named() -> None:
    """Two outputs, of which only one shows the parameter."""
    m = pt.ProcessBuilder("two", version="1")
    level = m.parameter("level", "1 W", bounds=("-100 W", "100 W"))
    x = m.state("x", "W", initial="0 W")
    m.rate(x, 0.0 * level / m.constant("1 s"))
    m.output("seen", level + x)
    m.output("blind", x)
    given = pt.Discrepancy("2 W", "60 s", "time", between=("0 s", "200 s"))
    model = with_discrepancy(m.build(), {"blind": given, "seen": given})
    noise = 0.1 * np.random.default_rng(3).standard_normal((2, TIMES.size))
    channels = [pt.Channel(name, unit="W", noise="0.1 W") for name in ("seen", "blind")]
    run = pt.Experiment.from_arrays("run", TIMES, {"seen": 3.0 + noise[0], "blind": noise[1]}, channels=channels)
    posterior = pt.calibrate(model, run, unknown=["level", *model.discrepancy_unknowns()], rng=1)
    said = [w for w in posterior.warnings if "could as well be" in w]
    assert len(said) == 1 and "a discrepancy of seen" in said[0]


def test_a_wrong_model_covers_the_next_batch_with_its_discrepancy_and_not_without() -> None:
    """Three batches fitted, the fourth predicted: the missing slow part is the same in all."""
    inner = decay()
    model = with_discrepancy(inner, {"y": pt.Discrepancy("2 W", "60 s", "time", between=("0 s", "200 s"))})
    runs, held = [batch(seed) for seed in (1, 2, 3)], batch(4)

    def fit_plain(train: Sequence[pt.Experiment]) -> pt.Posterior:
        return pt.calibrate(inner, train, unknown=["k"], rng=1)

    def fit_corrected(train: Sequence[pt.Experiment]) -> pt.Posterior:
        return pt.calibrate(model, train, unknown=["k", *model.discrepancy_unknowns()], rng=1)

    plain = pt.holdout(inner, runs, fit=fit_plain, held=held)
    corrected = pt.holdout(model, runs, fit=fit_corrected, held=held)
    assert plain.coverage < 0.6 and not plain.passed
    # Binomial: 95 of 100 within 4 standard deviations.
    assert corrected.coverage == pytest.approx(0.95, abs=4.0 * np.sqrt(0.95 * 0.05 / 100.0)) and corrected.passed


def test_a_discrepancy_that_is_larger_than_declared_is_said_once() -> None:
    """A missing part of 2 W with a declared sd of 0.1 W; with 2 W nothing is said."""
    inner = decay()
    for sd, n in (("0.1 W", 1), ("2 W", 0)):
        model = with_discrepancy(inner, {"y": pt.Discrepancy(sd, "60 s", "time", between=("0 s", "200 s"))})
        posterior = pt.calibrate(model, batch(1), unknown=["k", *model.discrepancy_unknowns()], rng=1)
        said = [w for w in posterior.warnings if "times as large as its prior lets expect" in w]
        assert len(said) == n
        assert not [w for w in posterior.warnings if "contradict each other: discrepancy" in w]


def test_the_table_has_one_line_for_a_discrepancy_and_the_picture_shows_it() -> None:
    """Coefficients mean nothing one by one; the picture has the unit of the output and the band before the data."""
    from matplotlib import pyplot as plt

    inner = decay()
    model = with_discrepancy(inner, {"y": pt.Discrepancy("2 W", "60 s", "time", between=("0 s", "400 s"))})
    posterior = pt.calibrate(model, batch(1), unknown=["k", *model.discrepancy_unknowns()], rng=1)
    text = str(posterior)
    (line,) = [row for row in text.splitlines() if row.startswith("discrepancy.y ")]
    assert line.split() == ["discrepancy.y", f"{model.term('y').basis.n}", "coefficients"]
    assert "discrepancy.y.x3" not in text
    known = pt.calibrate(model, batch(1), unknown=model.discrepancy_unknowns(), rng=1)
    figure = known.plot_discrepancy(model)
    (axis,) = figure.axes
    assert axis.get_ylabel() == "discrepancy of y / W" and axis.get_xlabel() == "time / s"
    edges = axis.lines[0].get_ydata(), axis.lines[1].get_ydata()
    width = np.asarray(edges[1]) - np.asarray(edges[0])
    # Narrow where the data are, that of the prior (3.92 sd) two lengths after their end.
    assert width[75] < 0.5 and width[-1] == pytest.approx(3.92 * 2.0, rel=0.12)
    plt.close(figure)
    with pytest.raises(pt.ModelError, match="has no discrepancy"):
        posterior.plot_discrepancy(inner)
    plain = pt.calibrate(model, batch(1), unknown=["k"], rng=1)
    with pytest.raises(pt.ModelError, match=r"discrepancy_unknowns\(\)"):
        plain.plot_discrepancy(model)
