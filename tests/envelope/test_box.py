"""The largest box in a known region."""

import numpy as np
import pytest

from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import Box, corners, largest_box
from physics_twin.envelope.ranges.box_starts import best_rectangle
from physics_twin.envelope.region.design_space import search_cloud


def found(level, d, seed=0, aim=None):
    cloud = search_cloud(d, np.random.default_rng(seed))
    return largest_box(level, cloud, level(cloud), np.zeros((0, d)), aim)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_half_space_and_ball_have_the_known_largest_box(d):
    """sum u <= d/2: a cube of side 1/2. Ball of radius 0.4: side 0.8 / sqrt(d)."""
    box = found(lambda u: 0.5 * d - u.sum(axis=1), d)
    assert box.low == pytest.approx(np.zeros(d), abs=1e-6)
    assert box.high == pytest.approx(np.full(d, 0.5), abs=1e-4)
    box = found(lambda u: 0.16 - ((u - 0.5) ** 2).sum(axis=1), d)
    assert box.widths == pytest.approx(np.full(d, 0.8 / np.sqrt(d)), abs=1e-4)


@pytest.mark.parametrize("d", [2, 3])
def test_of_two_lobes_the_larger_is_taken(d):
    def level(u):
        small = 0.2 - np.abs(u - 0.22).max(axis=1)
        large = 0.24 - np.abs(u - 0.74).max(axis=1)
        return np.maximum(small, large)

    box = found(level, d)
    assert box.low == pytest.approx(np.full(d, 0.5), abs=2e-3)
    assert box.high == pytest.approx(np.full(d, 0.98), abs=2e-3)


def test_a_hole_inside_is_not_enclosed():
    """A forbidden disc in the middle: the box lies beside it, though its corners would be fine around it."""

    def level(u):
        return ((u - 0.5) ** 2).sum(axis=1) - 0.04

    box = found(level, 2)
    inside = box.at(np.random.default_rng(0).random((2000, 2)))
    assert level(inside).min() >= -1e-6
    assert np.exp(box.log_volume) == pytest.approx(0.3, abs=2e-3)  # the full height beside the disc: 0.3 x 1


def test_an_island_between_the_check_positions_is_met_exactly():
    """A forbidden disc at the upper edge, between the first check positions: the box ends at the disc, not at the grid
    line before it, and not above it."""

    def level(u):
        return (u[:, 0] - 0.37) ** 2 + (u[:, 1] - 0.9337) ** 2 - 0.0025

    box = found(level, 2)
    assert box.high[1] == pytest.approx(0.8837, abs=1e-3)
    assert box.widths == pytest.approx([1.0, 0.8837], abs=1e-3)


def test_the_region_everywhere_gives_the_whole_cube_and_nowhere_gives_none():
    whole = found(lambda u: np.ones(len(u)), 2)
    assert (whole.low == 0.0).all()
    assert (whole.high == 1.0).all()
    assert found(lambda u: -np.ones(len(u)), 2) is None


def test_a_region_thinner_than_the_grid_still_has_room():
    """A band 0.012 wide across the diagonal: the largest box is a square of half the band's width along each axis."""

    def level(u):
        return 0.006 - np.abs(u[:, 0] - u[:, 1])

    box = found(level, 2)
    assert np.exp(box.log_volume) == pytest.approx(0.006**2, rel=0.02)


def test_the_exact_rectangle_on_a_grid_beats_all_others():
    """Against brute force over all rectangles of a small random mask."""
    rng = np.random.default_rng(3)
    n = 9
    line = np.linspace(0.0, 1.0, n)
    grid = np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)
    for _ in range(30):
        mask = rng.random((n, n)) < 0.8
        best = max(
            (i1 - i0) * (j1 - j0)
            for i0 in range(n)
            for i1 in range(i0, n)
            for j0 in range(n)
            for j1 in range(j0, n)
            if mask[i0 : i1 + 1, j0 : j1 + 1].all()
        )
        low, high = best_rectangle(grid, mask.ravel(), Aim.volume(2))
        area = np.prod(np.round((high - low) * (n - 1)))
        assert area == best


def test_the_exact_rectangle_counts_weights_and_holds_its_point():
    """Against brute force over all rectangles of a small random mask that hold a point between its nodes."""
    rng = np.random.default_rng(4)
    n = 9
    line = np.linspace(0.0, 1.0, n)
    grid = np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)
    aim = Aim(np.array([1.5, 0.5]), np.array([0.3, np.nan]))  # 0.3 lies between the rows 2 and 3
    for _ in range(30):
        mask = rng.random((n, n)) < 0.85
        best = max(
            aim.worth(np.array([line[i1] - line[i0], line[j1] - line[j0]]))
            for i0 in range(3)
            for i1 in range(3, n)
            for j0 in range(n)
            for j1 in range(j0, n)
            if mask[i0 : i1 + 1, j0 : j1 + 1].all()
        )
        low, high = best_rectangle(grid, mask.ravel(), aim)
        assert aim.worth(high - low) == pytest.approx(best)
        assert low[0] <= 0.3 <= high[0]


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_weights_share_the_room_in_closed_form(d):
    """sum u <= c: widths c w_i / sum w. Ball of radius r: half widths r sqrt(w_i / sum w)."""
    weights = np.arange(1.0, d + 1.0)
    aim = Aim(weights * d / weights.sum(), np.full(d, np.nan))
    box = found(lambda u: 0.7 - u.sum(axis=1), d, aim=aim)
    assert box.widths == pytest.approx(0.7 * weights / weights.sum(), abs=1e-4)
    box = found(lambda u: 0.16 - ((u - 0.5) ** 2).sum(axis=1), d, aim=aim)
    assert 0.5 * box.widths == pytest.approx(0.4 * np.sqrt(weights / weights.sum()), abs=1e-4)


@pytest.mark.parametrize("d", [2, 3])
def test_a_box_around_a_point_holds_it_where_another_would_be_larger(d):
    """sum u <= 1 around a point with u_0 = 0.8: the first width is then at least 0.8, the others share what is left."""
    aim = Aim(np.ones(d), np.array([0.8] + [0.05] * (d - 1)))
    box = found(lambda u: 1.0 - u.sum(axis=1), d, aim=aim)
    assert box.low == pytest.approx(np.zeros(d), abs=1e-6)
    assert box.high == pytest.approx([0.8] + [0.2 / (d - 1)] * (d - 1), abs=1e-3)
    one = Aim(np.ones(d), np.array([0.8] + [np.nan] * (d - 1)))
    assert found(lambda u: 1.0 - u.sum(axis=1), d, aim=one).high == pytest.approx(box.high, abs=1e-3)


def test_a_box_around_a_point_outside_of_the_region_is_none():
    aim = Aim(np.ones(2), np.array([0.9, 0.9]))
    assert found(lambda u: 1.0 - u.sum(axis=1), 2, aim=aim) is None


def test_a_box_around_a_point_stays_in_the_smaller_of_two_lobes():
    def level(u):
        small = 0.2 - np.abs(u - 0.22).max(axis=1)
        large = 0.24 - np.abs(u - 0.74).max(axis=1)
        return np.maximum(small, large)

    box = found(level, 2, aim=Aim(np.ones(2), np.array([0.3, 0.1])))
    assert (box.low, box.high) == (pytest.approx([0.02, 0.02], abs=2e-3), pytest.approx([0.42, 0.42], abs=2e-3))


def test_boxes_shrink_about_a_point_and_know_their_corners():
    box = Box(np.array([0.2, 0.4]), np.array([0.6, 0.8]))
    half = box.toward(np.array([0.2, 0.4]), 0.5)
    assert half.high == pytest.approx([0.4, 0.6])
    assert half.low == pytest.approx([0.2, 0.4])
    assert len(corners(3)) == 8
    assert box.position(box.at(corners(2))) == pytest.approx(corners(2))
