"""What moving horizon estimation refuses, what fails in it, and what the errors say."""

from dataclasses import replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation import Converged, MovingHorizon, RealTimeIteration
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.errors import BoundsError, ModelError, SolveError
from tests.assimilation import stirred_reactor
from tests.assimilation.decay import decay, of_model, started
from tests.assimilation.plain_models import linear

REAL_TIME = MovingHorizon(solver=RealTimeIteration())


def one_step(of, method, begin, value=2000.0, variance=400.0):
    belief = method.begin(begin, of, Key(0, 0))
    step = Step(0.0, 1.0, {}, np.zeros(2), Key(0, 0))
    seen = Observation(np.array([0]), np.array([value]), np.array([variance]), ("c",))
    return method.update(method.predict(belief, of, step), of, step, seen)


@pytest.mark.parametrize(("value", "variance"), [(np.nan, 400.0), (2000.0, 0.0), (2000.0, np.inf)])
def test_a_sample_that_is_no_number_is_refused_by_name(value, variance):
    """The error says which channel, what came and what is needed."""
    of = of_model(decay(), ["k"])
    with pytest.raises(SolveError, match='sample of "c"'):
        one_step(of, MovingHorizon(), started(of, [0.1, 0.1]), value, variance)


def test_draws_that_are_no_numbers_are_refused():
    """A start of NaN names the coordinate."""
    of = of_model(decay(), ["k"])
    begin = started(of, [0.1, 0.1])
    with pytest.raises(SolveError, match='"k"'):
        one_step(of, MovingHorizon(), replace(begin, parameters=begin.parameters * np.nan))


def test_bounds_that_no_trajectory_meets_are_an_error():
    """A tank that surely empties below its bound: known start, no process noise, nothing to move."""
    m = pt.ProcessBuilder("emptying", version="1.0")
    level = m.state("level", "m", initial="1 m", scale="1 m", lower="0.5 m")
    m.rate(level, -m.constant("1 m/s"))
    m.output("level", level)
    of = of_model(m.build(), [])
    method = MovingHorizon()
    belief = method.begin(started(of, [1e-9]), of, Key(0, 0))
    step = Step(0.0, 1.0, {}, np.zeros(1), Key(0, 0))
    seen = Observation(np.array([0]), np.array([0.0]), np.array([1e-4]), ("level",))
    belief = replace(belief, memory={**belief.memory, "root": np.zeros((1, 1))})
    with pytest.raises(SolveError, match="no trajectory of the window meets all bounds"):
        method.update(method.predict(belief, of, step), of, step, seen)


def test_a_window_on_which_the_equations_fail_is_given_up():
    """A trajectory that overflows would fail at every later step; the estimate goes on from its end."""
    of = stirred_reactor.dynamics()
    rows, _ = stirred_reactor.experiment(of, 6)
    belief = stirred_reactor.run(REAL_TIME, of, stirred_reactor.start(of), rows[:5])[-1]
    nodes = belief.memory["element.x"].copy()
    nodes[1] = 1e200
    spoilt = replace(belief, memory={**belief.memory, "element.x": nodes})
    step, seen = rows[5]
    good, bad = (REAL_TIME.update(REAL_TIME.predict(b, of, step), of, step, seen) for b in (belief, spoilt))
    assert len(bad.memory["times"]) == 2 < len(good.memory["times"])
    difference = (bad.states - good.states)[0, :4] / of.coordinates.scale[:4]
    assert (np.abs(difference) < 0.5 * np.sqrt(np.diag(good.root @ good.root.T))[:4]).all()


def test_too_few_iterations_are_a_failure_and_no_result():
    """One iteration from a poor start has not converged, and says by how much."""
    of = stirred_reactor.dynamics()
    rows, _ = stirred_reactor.experiment(of, 3)
    with pytest.raises(SolveError, match="has not converged in 1 iterations"):
        stirred_reactor.run(MovingHorizon(solver=Converged(most_iterations=1)), of, stirred_reactor.start(of), rows)


def test_a_step_too_long_for_its_elements_says_so_and_is_refined_where_allowed():
    """One element of degree 1 over ten time constants is too coarse; with more it meets the integrator."""
    of = of_model(decay(20.0), ["k"])
    coarse = MovingHorizon(degree=1, accuracy=0.1, most_elements=4)
    with pytest.raises(SolveError, match="4 elements of degree 1"):
        one_step(of, coarse, started(of, [0.1, 0.1]))
    belief = one_step(of, MovingHorizon(degree=1, accuracy=0.1, most_elements=256), started(of, [0.1, 0.1]))
    assert len(belief.memory["element.begin"]) > 4
    few = len(one_step(of, MovingHorizon(accuracy=1e-3), started(of, [0.1, 0.1])).memory["element.begin"])
    fine = len(one_step(of, MovingHorizon(accuracy=1e-6), started(of, [0.1, 0.1])).memory["element.begin"])
    assert few < fine


def with_event():
    m = pt.ProcessBuilder("valve", version="1.0")
    level = m.state("level", "m", initial="1 m")
    m.rate(level, m.constant("0.1 m/s"))
    m.output("level", level)
    m.event("empty", when=level >= "2 m", then={level: "0 m"})
    return m.build()


def with_switch():
    m = pt.ProcessBuilder("switch", version="1.0")
    level = m.state("level", "m", initial="1 m")
    m.rate(level, pt.where(level > "2 m", m.constant("-0.1 m/s"), m.constant("0.1 m/s")))
    m.output("level", level)
    return m.build()


def with_extreme():
    m = pt.ProcessBuilder("peak", version="1.0")
    level = m.state("level", "m", initial="1 m")
    m.rate(level, m.constant("0.1 m/s"))
    m.output("peak", m.maximum("highest", level))
    return m.build()


@pytest.mark.parametrize(
    ("build", "words"),
    [(with_event, r"events \(empty\)"), (with_switch, "switches"), (with_extreme, r"running extremes \(highest\)")],
)
def test_models_with_kinks_are_refused_with_what_to_use_instead(build, words):
    """The error names what stands against it and another filter."""
    of = of_model(build(), [])
    with pytest.raises(ModelError, match=words) as caught:
        MovingHorizon().begin(started(of, [0.1]), of, Key(0, 0))
    assert "EnsembleKalman" in str(caught.value)


def test_models_without_equations_are_refused():
    """A model of plain functions has nothing to write out in time."""
    model = linear(np.eye(2), np.eye(2))
    of = Dynamics(model, pt.Recipe.constant(), {}, Coordinates.of(model, []))
    with pytest.raises(ModelError, match="does not show its equations"):
        MovingHorizon().begin(Start(np.zeros((2, 2)), np.zeros((2, 0)), np.ones(2)), of, Key(0, 0))


@pytest.mark.parametrize(
    "options",
    [
        {"horizon": 0},
        {"degree": 4},
        {"accuracy": 0.0},
        {"most_elements": 0},
        {"longest_element": "0 s"},
    ],
)
def test_options_without_meaning_are_refused(options):
    """When the object is made, not at the first sample."""
    with pytest.raises(BoundsError, match=next(iter(options))):
        MovingHorizon(**options)


@pytest.mark.parametrize("make", [lambda: RealTimeIteration(0), lambda: Converged(tolerance=2.0)])
def test_solvers_without_meaning_are_refused(make):
    """No iteration, or a tolerance above one standard deviation."""
    with pytest.raises(BoundsError):
        make()
