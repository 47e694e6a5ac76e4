"""The Taylor test: right columns have order 2, wrong ones order 1, and it sees an error of 1e-4."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import taylor_test
from tests.process.plants import TIGHT, sampled
from tests.verification import sick_models as sick


class Off(sick.Wrapper):
    """Multiplies the column of k."""

    def __init__(self, factor):
        super().__init__(sick.sound().with_integrator(TIGHT))
        self.factor = factor

    def sensitivity(self, times, recipe, values, wrt, state=None):
        outputs, jacobian, end = super().sensitivity(times, recipe, values, wrt, state)
        return outputs, jacobian * self.factor, end


def order(factor, accuracy=1e-8):
    model = Off(factor)
    values = sampled(model, sick.RECIPE)
    return taylor_test(model, np.array([1000.0, 9000.0]), sick.RECIPE, values, ["k"], accuracy=accuracy)


def test_a_right_column_has_order_two():
    """Within 0.05, and its error is small."""
    report = order(1.0)
    assert report.passed
    for row in report.rows:
        assert row.order == pytest.approx(2.0, abs=0.05)
        assert row.error < 1e-6


@pytest.mark.parametrize("factor", [1.0001, 0.999, 1.1, 0.0, -1.0])
def test_a_wrong_column_has_order_one(factor):
    """From one part in ten thousand on; the error says how far it is off."""
    report = order(factor)
    assert not report.passed
    for row in report.failures:
        assert row.order < 1.8
        assert row.error == pytest.approx(abs(factor - 1.0) / max(1.0, abs(factor)), rel=0.1)


def test_a_linear_output_is_below_the_noise_and_passes():
    """Where there is no second order there is nothing to see; the order is told as inf."""
    m = pt.ProcessBuilder("linear", version="1.0")
    k = m.parameter("k", "2 1/s")
    x = m.state("x", "1", initial=0.0)
    m.rate(x, k)
    m.output("x", x)
    model, recipe = m.build(integrator=TIGHT), pt.Recipe.constant()
    report = taylor_test(model, np.array([1.0, 2.0]), recipe, sampled(model, recipe), ["k", "time"])
    assert report.passed
    assert report.order == np.inf
    assert "below noise" in str(report)


def test_a_forgotten_column_is_seen_even_where_the_output_is_linear():
    """A zero instead of t."""
    m = pt.ProcessBuilder("linear", version="1.0")
    k = m.parameter("k", "2 1/s")
    x = m.state("x", "1", initial=0.0)
    m.rate(x, k)
    m.output("x", x)
    model = sick.SilentZero(m.build(integrator=TIGHT))
    model.wrong = "k"
    recipe = pt.Recipe.constant()
    assert not taylor_test(model, np.array([1.0, 2.0]), recipe, sampled(model, recipe), ["k"]).passed


def test_a_model_without_sensitivities_is_told_so():
    """ModelError, not a silent pass."""

    class Plain:
        name = "plain"

    with pytest.raises(pt.ModelError, match="plain"):
        taylor_test(Plain(), np.array([1.0]), pt.Recipe.constant(), {}, ["k"])
