"""Simulating members: nodes, phases, failures."""

import numpy as np
import pytest

from physics_twin.envelope.margins.evaluation import AFTER_JUMP, simulate_members
from physics_twin.recipes import Phase, Recipe, reaches
from physics_twin.signals import Setting

HOLD = Setting("hold_time", "min", bounds=(1, 60))
TWO_PHASES = Recipe([Phase("heat", duration="10 min"), Phase("hold", duration=HOLD)])


@pytest.fixture
def clock(analytic):
    """Its output is the time at which it was asked, in s."""
    return analytic.closed_form({"asked": lambda t, v: t + 0.0 * v["a"]}, ["a"])


def test_nodes_follow_each_member_s_own_duration_and_start_phases_with_a_double_node(clock):
    values = {"a": np.zeros(2), "hold_time": np.array([600.0, 1200.0])}
    times, outputs, failures = simulate_members(clock, TWO_PHASES, values, 8)
    assert not failures
    assert times[:, -1] == pytest.approx([1200.0, 1800.0])
    assert times[0, 8] == times[0, 9] == 600.0
    # at a jump the model is asked just before (left limit) and just after
    assert outputs[0, 8, 0] == 600.0
    assert outputs[0, 9, 0] == pytest.approx(600.0 + AFTER_JUMP * 600.0, rel=1e-12)
    assert (np.diff(times, axis=1) >= 0.0).all()
    assert np.diff(times[0])[9] < 0.3 * np.diff(times[0])[-1]  # graded toward the start of the phase


def test_without_courses_only_the_ends_and_the_moments_are_simulated(clock):
    values = {"a": np.zeros(2), "hold_time": np.array([600.0, 1200.0])}
    times, _, _ = simulate_members(clock, TWO_PHASES, values, 0, at=(1500.0,))
    assert times.tolist() == [[0.0, 1200.0, 1200.0], [0.0, 1500.0, 1800.0]]


def test_a_negative_duration_is_a_failure_of_that_member_alone(clock):
    values = {"a": np.zeros(2), "hold_time": np.array([-5.0, 600.0])}
    _, outputs, failures = simulate_members(clock, TWO_PHASES, values, 0)
    assert [(f.member, "would last -5 s" in f.reason) for f in failures] == [(0, True)]
    assert np.isnan(outputs[0]).all()
    assert np.isfinite(outputs[1]).all()


def test_what_a_model_returns_for_a_failed_member_is_not_looked_at(clock):
    """A model that leaves numbers in the rows of failed members must not have them counted."""

    class Careless:
        def __getattr__(self, name):
            return getattr(clock, name)

        def trajectories(self, times, recipe, values, states=None):
            from physics_twin.model import Failure

            outputs, ends, _ = clock.trajectories(times, recipe, values)
            return outputs, ends, (Failure(1, "stopped early", 3.0),)

        def trajectory(self, *args):
            raise AssertionError

    _, outputs, failures = simulate_members(
        Careless(), TWO_PHASES, {"a": np.zeros(3), "hold_time": np.full(3, 600.0)}, 4
    )
    assert np.isnan(outputs[1]).all()
    assert np.isfinite(outputs[[0, 2]]).all()
    assert failures[0].reason == "stopped early"


def test_phases_that_end_on_a_level_take_their_times_from_the_run(clock):
    recipe = Recipe([Phase("heat", until=reaches("asked", 300.0), at_most="1 h"), Phase("hold", duration="5 min")])

    class Knowing:
        def __getattr__(self, name):
            return getattr(clock, name)

        def trajectories(self, *args):
            return clock.trajectories(*args)

        def phase_times(self, recipe, values):
            from physics_twin.errors import SolveError

            if values["a"] > 1.0:
                raise SolveError("core never reaches its level", time=3600.0)
            return np.array([0.0, 300.0 + values["a"], 600.0 + values["a"]])

    times, outputs, failures = simulate_members(Knowing(), recipe, {"a": np.array([0.0, 1.0, 2.0])}, 4)
    assert times[:2, -1].tolist() == [600.0, 601.0]
    assert failures[0].member == 2
    assert failures[0].reason == "core never reaches its level"
    assert np.isnan(outputs[2]).all()
