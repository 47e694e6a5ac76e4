"""Flat objectives: among equally good settings, those with the most margin, and always the same ones."""

from functools import partial

import numpy as np
import pytest

from physics_twin.envelope import Budget, Limit, Maximize, Minimize, final, find_envelope
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.set_point.flat import FLAT, most_margin


def cube(d: int, low: float = 0.1, high: float = 0.9) -> ConvexSet:
    return ConvexSet(np.full(d, low), np.full(d, high), np.zeros((0, d)), np.zeros(0))


@pytest.mark.parametrize("begin", [0.1, 0.37, 0.9])
def test_along_an_axis_the_top_is_found_from_anywhere(begin):
    """Worth is u0 alone; the margin is a tent over u1 with its top at 0.37, and would rather have a smaller u0."""
    found = most_margin(
        np.array([0.9, begin]), lambda u: u[:, 0], 0.8, lambda u: -np.abs(u[:, 1] - 0.37) - u[:, 0], cube(2)
    )
    assert found == pytest.approx([0.9, 0.37], abs=1e-4)


def test_along_an_oblique_line_the_sum_stays():
    """Worth is u0 + u1: the point moves along u0 - u1 to the top of a parabola at u0 - u1 = 0.3."""
    found = most_margin(
        np.array([0.5, 0.5]),
        lambda u: u[:, 0] + u[:, 1],
        1.6,
        lambda u: -((u[:, 0] - u[:, 1] - 0.3) ** 2) - 2.0 * (u[:, 0] + u[:, 1]),
        cube(2),
    )
    assert found == pytest.approx([0.65, 0.35], abs=2e-4)
    assert found.sum() >= 1.0 - FLAT * 1.6


def test_a_slope_is_not_given_up_for_margin():
    """Of a point that is the only best one nothing is taken: it stays within what counts as no difference."""
    start = np.array([0.4, 0.6])
    found = most_margin(
        start, lambda u: -((u - start) ** 2).sum(axis=1), 1.0, lambda u: u[:, 0] + 5.0 * u[:, 1], cube(2)
    )
    assert np.abs(found - start).max() <= np.sqrt(FLAT) * 1.001


def test_with_two_free_settings_the_middle_of_the_limits_is_found():
    """Margins fall to the walls of a slanted room: its largest inscribed ball, by brute force over a fine grid."""
    walls = np.array([[1.0, 0.4], [-1.0, 0.2], [0.3, -1.0], [-0.2, 1.0]])
    walls /= np.linalg.norm(walls, axis=1)[:, None]
    levels = np.array([0.9, -0.2, -0.05, 0.7])

    def room(u):
        return (levels - u[:, 1:] @ walls.T).min(axis=1)

    line = np.linspace(0.1, 0.9, 401)
    grid = np.stack([a.ravel() for a in np.meshgrid([0.1], line, line)], axis=1)
    best = room(grid).max()
    for begin in ([0.1, 0.3, 0.4], [0.1, 0.5, 0.3], [0.1, 0.4, 0.6]):
        found = most_margin(np.array(begin), lambda u: -u[:, 0], 0.8, room, cube(3))
        assert found[0] == 0.1 and room(found[None])[0] > best - 0.02


@pytest.fixture(scope="module")
def ask(analytic):
    def run(objective, rng=1):
        formulas = {
            "load": lambda t, v: v["s0"] + 0.5 * v["s1"] + 0.05 * v["a"],
            "wear": lambda t, v: 0.3 * v["s0"] - v["s1"] + 0.1 * v["b"],
            "gain": lambda t, v: 3.0 * v["s0"] + 0.2 * v["a"],
        }
        model = analytic.closed_form(formulas, ["a", "b"])
        settings = analytic.knobs(2)
        return find_envelope(
            model,
            analytic.gaussian_draws(model, 600, 1),
            recipe=analytic.one_hour(settings),
            settings=settings,
            limits=[Limit("load", upper=1.2, lower=0.2, over=final), Limit("wear", upper=0.1, over=final)],
            objectives=objective,
            rng=rng,
            budget=Budget(n_points=40),
        )

    return run


@pytest.mark.parametrize("objective", [Minimize("s0"), Maximize("gain")])
def test_a_setting_that_the_objective_does_not_know_is_balanced(ask, objective):
    """s0 is at its best end, s1 where the limits are farthest; twice the same to the last bit."""
    envelope = ask(objective)
    again = ask(objective)
    assert dict(envelope.set_point) == dict(again.set_point)
    assert "of those as good the one with the most margin" in envelope.message
    (low0, high0), (low1, high1) = envelope.box["s0"], envelope.box["s1"]
    end = low0 + 0.2 * (high0 - low0) if objective.output == "s0" else high0 - 0.2 * (high0 - low0)
    assert envelope.set_point["s0"] == pytest.approx(end, abs=1e-5)
    # The target of the attempt that passed: as many violations as the search draws were allowed there.
    line = np.linspace(low1 + 0.2 * (high1 - low1), high1 - 0.2 * (high1 - low1), 2001)
    points = np.stack([np.full(line.size, envelope.set_point["s0"]), line], axis=1)
    own = np.array([[envelope.set_point["s0"], envelope.set_point["s1"]]])
    level = partial(envelope.space.level, allowed=envelope.searched.allowed)
    assert level(own)[0] >= level(points).max() - 1e-3 * np.ptp(level(points))
