"""The largest convex polytope in a known region."""

import itertools

import numpy as np
import pytest

from physics_twin.envelope.limits.allowed import Allowed, Group
from physics_twin.envelope.ranges.box import Box, largest_box
from physics_twin.envelope.ranges.convex_set import ConvexSet, box_inside
from physics_twin.envelope.ranges.inflation import inflated, largest_ellipsoid
from physics_twin.envelope.ranges.operating_polytope import operating_polytope
from physics_twin.envelope.ranges.polytope import largest_polytope
from physics_twin.envelope.ranges.polytope_attempts import confirmed_polytope
from physics_twin.envelope.region.design_space import search_cloud
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.signals import Setting


def found(level, d, n_sides):
    cloud = search_cloud(d, np.random.default_rng(0))
    levels = level(cloud)
    box = largest_box(level, cloud, levels, np.zeros((0, d)))
    return largest_polytope(level, cloud, levels, box, n_sides), box


def inside(body, n=20_000, seed=1):
    """Random points of the set, and points on all straight lines between its vertices."""
    points = np.random.default_rng(seed).random((n, body.d))
    pairs = np.array(list(itertools.combinations(range(len(body.vertices)), 2)))
    between = [t * body.vertices[pairs[:, 0]] + (1 - t) * body.vertices[pairs[:, 1]] for t in np.linspace(0, 1, 21)]
    return np.concatenate([points[body.contains(points)], *between])


def simplex(d):
    """u >= 0.1, sum (u - 0.1) <= 0.6: volume 0.6^d / d!, its vertices are known."""
    return ConvexSet(np.full(d, 0.1), np.ones(d), np.full((1, d), d**-0.5), np.array([(0.6 + 0.1 * d) * d**-0.5]))


# Geometry ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_a_simplex_has_its_vertices_volume_and_areas(d):
    """Divergence theorem: the volume is 1/d of the sum over sides of area times distance, from any point."""
    body = simplex(d)
    assert len(body.vertices) == d + 1
    assert body.volume == pytest.approx(0.6**d / np.prod(range(1, d + 1)), rel=1e-9)
    areas, _ = body.areas
    anywhere = np.full(d, 0.37)
    distances = body.ends - body.matrix @ anywhere
    assert (areas @ distances) / d == pytest.approx(body.volume, rel=1e-9)
    assert body.trimmed().high == pytest.approx(np.full(d, 0.7), abs=1e-12)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_largest_box_under_a_sum_has_equal_widths(d):
    """Sum of widths 0.6: each 0.6 / d, and no corner beyond the side."""
    body = simplex(d)
    box = box_inside(body)
    assert box.widths == pytest.approx(np.full(d, 0.6 / d), rel=1e-5)
    assert body.contains(np.array([box.low, box.high])).all()


def test_the_largest_ellipse_of_a_triangle_touches_the_middles_of_its_sides():
    """Steiner's inellipse: area pi / (3 sqrt 3) of the triangle's, about the centroid."""
    factor, middle = largest_ellipsoid(simplex(2))
    assert middle == pytest.approx([0.3, 0.3], abs=1e-4)
    assert np.pi * abs(np.linalg.det(factor)) == pytest.approx(0.18 * np.pi / (3 * np.sqrt(3)), rel=1e-4)


def test_a_set_without_room_has_no_vertices():
    flat = ConvexSet(np.zeros(2), np.ones(2), np.array([[1.0, 0.0]]), np.array([-0.1]))
    assert flat.center is None
    assert len(flat.vertices) == 0
    assert flat.volume == 0.0
    assert box_inside(flat) is None


def test_inflation_keeps_every_obstacle_out_with_the_sides_it_has():
    """Two slanted sides against a circle of obstacles: the ranges of the settings have to do the rest."""
    angles = np.linspace(0.0, 2.0 * np.pi, 300, endpoint=False)
    obstacles = 0.5 + 0.3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for n_sides in (1, 2, 8):
        body = inflated(np.full(2, 0.5), obstacles, n_sides)
        assert len(body.normals) <= n_sides
        assert not body.contains(obstacles).any()
        assert body.volume > 0.1


# Known largest polytopes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 4])
def test_under_a_linear_limit_the_polytope_is_the_region_and_the_box_a_small_part(d):
    """sum u <= d/2 holds half of the cube; the largest box holds 2^-d of it."""
    body, box = found(lambda u: 0.5 * d - u.sum(axis=1), d, 4 if d < 4 else 8)
    assert body.volume == pytest.approx(0.5, rel=1e-4)
    assert np.exp(box.log_volume) == pytest.approx(0.5**d, rel=1e-3)
    assert body.vertices.sum(axis=1).max() <= 0.5 * d + 1e-8


def test_in_a_disc_the_area_grows_with_the_sides_to_that_of_the_regular_polygon():
    """With n slanted sides and the two ranges the best is a regular (n + 4)-gon, which keeps within the disc."""
    shares = []
    for n, rel in ((0, 1e-3), (4, 1e-3), (8, 0.02)):
        if n == 0:
            _, box = found(lambda u: 0.16 - ((u - 0.5) ** 2).sum(axis=1), 2, 4)
            shares.append(float(np.exp(box.log_volume)))
        else:
            body, _ = found(lambda u: 0.16 - ((u - 0.5) ** 2).sum(axis=1), 2, n)
            assert len(body.normals) <= n
            assert np.linalg.norm(body.vertices - 0.5, axis=1).max() <= 0.4 + 1e-7
            shares.append(body.volume)
        regular = 0.5 * (n + 4) * np.sin(2.0 * np.pi / (n + 4)) * 0.16
        assert regular * (1.0 - rel) <= shares[-1] <= regular * (1.0 + 1e-6)
    assert shares == sorted(shares)


def test_a_band_across_the_settings_is_filled_where_a_box_wastes_it():
    """|u0 - u1| <= 0.05: the polytope takes it all (0.0975), the box a square of half the band's width."""
    body, box = found(lambda u: 0.05 - np.abs(u[:, 0] - u[:, 1]), 2, 4)
    assert body.volume == pytest.approx(1.0 - 0.95**2, rel=1e-3)
    assert np.exp(box.log_volume) == pytest.approx(0.05**2, rel=0.02)


@pytest.mark.parametrize("d", [2, 3])
def test_two_lobes_are_not_bridged_and_the_larger_is_taken(d):
    def level(u):
        small = 0.2 - np.linalg.norm(u - 0.25, axis=1)
        large = 0.24 - np.linalg.norm(u - 0.7, axis=1)
        return np.maximum(small, large)

    body, box = found(level, d, 4 if d == 2 else 8)
    assert level(inside(body)).min() >= -1e-6
    assert np.linalg.norm(body.vertices - 0.7, axis=1).max() <= 0.24 + 1e-6
    assert body.volume > 1.3 * np.exp(box.log_volume)


@pytest.mark.parametrize("d", [2, 3])
def test_a_forbidden_ball_is_passed_on_one_side(d):
    """No convex set that misses a ball of radius 0.2 in the middle holds more than what lies beside it: 0.3."""
    level = lambda u: ((u - 0.5) ** 2).sum(axis=1) - 0.04  # noqa: E731
    body, _ = found(level, d, 8)
    assert body.volume == pytest.approx(0.3, abs=1e-3)
    assert level(inside(body)).min() >= -1e-4  # between the positions that are checked; the certificate looks again


def test_a_curved_limit_that_bends_inward_is_met_by_the_sides_not_only_by_the_vertices():
    """u0 u1 <= 0.25 has a hollow edge: a chord between two points of it lies outside, the tangent inside. The best
    side is a tangent, and by the symmetry of the problem all tangents u0/a + u1/(1/(4a)) <= 2 leave the same triangle,
    the area of which is 2 a (1/(4 a)) = 1/2, cut by the bounds: best at a = 1/2, u0 + u1 <= 1."""
    level = lambda u: 0.25 - u[:, 0] * u[:, 1]  # noqa: E731
    body, _ = found(level, 2, 4)
    points = inside(body)
    assert level(points).min() >= -1e-4
    assert body.volume >= 0.4999


def test_the_model_has_the_last_word_over_the_surrogate():
    """The surrogate sees sum u <= 1, the model keeps 0.03 more off it: the set is drawn in until the model agrees."""
    line = np.linspace(0.0, 1.0, 5)
    design = np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)
    space = DesignSpace(design, (1.0 - design.sum(axis=1))[:, None, None])
    allowed = Allowed((Group((0,), 0.95, "all limits"),), (0,))
    body = ConvexSet(np.zeros(2), np.ones(2), np.full((1, 2), 0.5**0.5), np.array([0.5**0.5])).trimmed()
    cloud = search_cloud(2, np.random.default_rng(0))

    def model(points):
        return (0.97 - points.sum(axis=1))[:, None, None]

    _, confirmed, points = confirmed_polytope(model, space, body, cloud, allowed, (1.0, 0.99, 0.95, 0.9, 0.8), 2)
    assert model(points).min() >= 0.0
    assert model(confirmed.vertices).min() >= 0.0
    assert confirmed.volume > 0.4


# In words ---------------------------------------------------------------------------------------------------------


def furnace(offset=0.9):
    temperature = Setting("soak_temperature", "degC", bounds=(880, 960))
    hold = Setting("hold_time", "min", bounds=(10, 150))
    body = ConvexSet(np.zeros(2), np.ones(2), np.array([[0.6, 0.8]]), np.array([offset]))
    return operating_polytope(body.trimmed(), (temperature, hold), ["setting bound"] * 4 + ["peak <= 3"], 0.9, 0.4)


def test_sides_in_si_hold_what_the_cube_holds():
    polytope = furnace()
    u = np.random.default_rng(0).random((500, 2))
    si = np.array([1153.15, 600.0]) + u * np.array([80.0, 8400.0])
    assert (polytope.contains(si) == (u @ [0.6, 0.8] <= 0.9)).all()
    assert polytope.contains(polytope.vertices).all()
    assert polytope.volume == pytest.approx(1.0 - 0.5 * (0.5 / 0.6) * (0.5 / 0.8), rel=1e-9)


def test_the_words_of_a_side_are_in_declared_units_and_rounded_to_the_safe_side():
    """What the printed inequality admits, the exact one does."""
    polytope = furnace()
    line = polytope.lines[-1]
    assert "x soak_temperature/degC" in line
    assert "x hold_time/min" in line
    assert "ended by peak <= 3" in line
    assert "880.00 degC <= soak_temperature <= 960.00 degC" in polytope.lines[0]
    assert "largest box holds 40 %" in str(polytope)


def test_no_printed_side_admits_what_the_exact_one_does_not():
    """Along the printed side, of many sides: rounding of the coefficients alone would overstep some of them."""
    temperature = np.linspace(880, 960, 101)
    for offset in np.linspace(0.8, 1.0, 200):
        line = furnace(offset).lines[-1]
        left, right = line.split(" (")[0].split(" <= ")
        a, b = (float(term.split(" x ")[0]) for term in left.split(" + "))
        hold = (float(right) - a * temperature) / b
        held = (hold >= 10) & (hold <= 150)
        exact = (0.6 * (temperature - 880) / 80 + 0.8 * (hold - 10) / 140)[held]
        assert exact.max() <= offset + 1e-13
        assert exact.min() >= offset - 3e-4


def test_points_of_the_wrong_shape_are_refused():
    from physics_twin.errors import ShapeError

    with pytest.raises(ShapeError, match="soak_temperature, hold_time"):
        furnace().contains(np.zeros((3, 3)))


def test_shrinking_keeps_the_point_and_the_slopes():
    body = simplex(2)
    smaller = body.toward(np.array([0.1, 0.1]), 0.5)
    assert smaller.volume == pytest.approx(0.25 * body.volume, rel=1e-9)
    assert smaller.contains(np.array([[0.1, 0.1]]), slack=1e-12).all()
    whole = ConvexSet.of_box(Box(np.zeros(2), np.ones(2)))
    assert whole.volume == pytest.approx(1.0)
