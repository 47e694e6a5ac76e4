"""Ways through regions that are known: a disc with a hole, lobes, a wall with a gap, one to five settings."""

import itertools

import numpy as np
import pytest

from physics_twin.envelope.plan.ways import Pace, shortest_way, straight, way_in


def even(d):
    return Pace(np.zeros(d))


def ring(points):
    """Inside a disc of radius 0.45 and outside of one of radius 0.2."""
    r = np.linalg.norm(points - 0.5, axis=1)
    return np.minimum(0.45 - r, r - 0.2)


def lobes(points):
    """Two discs that do not touch."""
    return 0.15 - np.minimum(*(np.linalg.norm(points - c, axis=1) for c in ([0.25] * 2, [0.75] * 2)))


def wall(points):
    """A wall at x0 = 0.5 +- 0.05 with a gap where all others are above 0.8 (0.5 for more than three settings)."""
    gap = points[:, 1:].min(axis=1) - (0.8 if points.shape[1] <= 3 else 0.5)
    return np.maximum(np.abs(points[:, 0] - 0.5) - 0.05, gap)


def length(corners):
    return np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()


def worst(level, corners):
    return min(level(straight(a, b)).min() for a, b in itertools.pairwise(corners))


def test_a_straight_line_is_taken_where_it_stays_inside():
    way = shortest_way(ring, np.array([0.1, 0.5]), np.array([0.3, 0.75]), even(2))
    np.testing.assert_array_equal(way.corners, [[0.1, 0.5], [0.3, 0.75]])


def test_around_a_hole_the_way_is_little_longer_than_the_shortest_one():
    """Two tangents of length sqrt(0.4^2 - 0.2^2) and an arc between them; a lattice of 1/60 costs a few percent."""
    way = shortest_way(ring, np.array([0.1, 0.5]), np.array([0.9, 0.5]), even(2))
    tangent = np.sqrt(0.4**2 - 0.2**2)
    exact = 2.0 * tangent + 0.2 * (np.pi - 2.0 * np.arccos(0.2 / 0.4))
    assert exact <= length(way.corners) <= 1.04 * exact
    assert worst(ring, way.corners) >= 0.0


def test_separate_lobes_have_no_way_and_it_says_that_they_are_separate():
    way = shortest_way(lobes, np.array([0.25, 0.25]), np.array([0.75, 0.75]), even(2))
    assert way.corners is None
    assert way.parts


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_a_gap_in_a_wall_is_found(d):
    start, goal = np.full(d, 0.2), np.full(d, 0.2)
    goal[0] = 0.8
    way = shortest_way(wall, start, goal, even(d))
    assert way.corners is not None
    assert worst(wall, way.corners) >= 0.0
    np.testing.assert_array_equal(way.corners[[0, -1]], [start, goal])


@pytest.mark.parametrize("d", [2, 3])
def test_one_at_a_time_every_piece_moves_one_setting(d):
    start, goal = np.full(d, 0.2), np.full(d, 0.3)
    goal[0] = 0.8
    way = shortest_way(wall, start, goal, even(d), one_at_a_time=True)
    assert ((np.diff(way.corners, axis=0) != 0.0).sum(axis=1) == 1).all()
    assert worst(wall, way.corners) >= 0.0


def test_one_at_a_time_chooses_the_order_that_stays_inside():
    def corner(points):  # all but the upper left quarter
        return np.maximum(points[:, 0] - 0.5, 0.5 - points[:, 1])

    way = shortest_way(corner, np.array([0.1, 0.1]), np.array([0.9, 0.9]), even(2), one_at_a_time=True)
    np.testing.assert_array_equal(way.corners, [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]])


def test_the_way_in_ends_on_the_nearest_edge_of_the_part_with_the_goal():
    """From the middle of the hole to the ring: anywhere on the circle of radius 0.2."""
    edge = way_in(ring, np.array([0.52, 0.5]), np.array([0.9, 0.5]), even(2))
    assert np.linalg.norm(edge - 0.5) == pytest.approx(0.2, abs=1e-3)
    assert np.linalg.norm(edge - [0.52, 0.5]) == pytest.approx(0.18, abs=0.01)


def test_the_way_in_does_not_lead_into_another_part():
    edge = way_in(lobes, np.array([0.3, 0.5]), np.array([0.75, 0.75]), even(2))
    assert np.linalg.norm(edge - 0.75) == pytest.approx(0.15, abs=1e-3)


def test_slow_settings_are_spared_on_the_way_in():
    """The first setting is twenty times as slow: the way in goes along the second one."""

    def inside(points):
        return np.maximum(points[:, 0] - 0.6, points[:, 1] - 0.8)

    edge = way_in(inside, np.array([0.5, 0.5]), np.array([0.9, 0.9]), Pace(np.array([20.0, 1.0])))
    np.testing.assert_allclose(edge, [0.5, 0.8], atol=0.01)
