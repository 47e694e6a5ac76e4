"""find_envelope(shape=Polytope()) against regions known in closed form."""

import numpy as np
import pytest
from scipy.stats import norm

from physics_twin.envelope import Envelope, Limit, final, find_envelope
from physics_twin.envelope.ranges.shapes import Polytope
from physics_twin.envelope.set_point.objectives import Maximize
from physics_twin.errors import EnvelopeError

P = 0.95


def ask(analytic, formula, limits, n=2000, d=2, sides=4, **options):
    model = analytic.closed_form({"y": formula}, ["a"])
    settings = analytic.knobs(d)
    posterior = analytic.gaussian_draws(model, n, seed=1)
    options = {"recipe": analytic.one_hour(settings), "rng": 3, "shape": Polytope(sides), **options}
    return find_envelope(model, posterior, settings=settings, limits=limits, **options)


def scattered(polytope, n=20_000):
    points = np.random.default_rng(2).random((n, len(polytope.settings)))
    return np.concatenate([points[polytope.contains(points)], polytope.vertices])


@pytest.fixture(scope="module")
def triangle(analytic):
    """s0 + s1 + 0.1 a <= 1."""
    return ask(analytic, lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"], [Limit("y", upper=1.0, over=final)], n=8000)


def test_under_a_linear_limit_and_a_gaussian_parameter_the_polytope_is_the_region_but_for_the_slack(triangle):
    """P = Phi((1 - sum) / 0.1) is 0.95 or more at the worst vertex, and no more is given away than to a box; the
    polytope is the whole triangle under its side, the largest box inside it half of that."""
    polytope = triangle.polytope
    worst = polytope.vertices.sum(axis=1).max()
    assert P <= norm.cdf((1.0 - worst) / 0.1) <= 0.985
    assert polytope.volume == pytest.approx(0.5 * worst**2, rel=1e-3)
    low, high = np.array(list(triangle.box.values())).T
    assert low == pytest.approx([0.0, 0.0], abs=1e-9)
    assert high == pytest.approx([0.5 * worst, 0.5 * worst], rel=1e-3)
    edge = 1.0 - 0.1 * norm.ppf(P)
    assert polytope.coverage == pytest.approx(worst**2 / edge**2, abs=0.04)
    assert polytope.box_coverage == pytest.approx(0.5 * polytope.coverage, abs=0.02)
    assert polytope.binding == ("final y <= 1", "final y <= 1", "setting bound", "setting bound", "final y <= 1")


def test_one_slanted_side_is_enough_for_a_triangle_and_none_or_half_a_one_is_not_asked_for(analytic):
    """Beside one slanted side the bounds end a polytope: under one linear limit it is the whole triangle."""
    limits = [Limit("y", upper=1.0, over=final)]
    polytope = ask(analytic, lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"], limits, n=1000, sides=1).polytope
    assert len(polytope.vertices) == 3
    assert polytope.volume == pytest.approx(0.5 * polytope.vertices.sum(axis=1).max() ** 2, rel=1e-3)
    for n_sides in (0, 2.5, "8"):
        with pytest.raises(EnvelopeError, match=r"a whole number .* pt\.LargestBox"):
            Polytope(n_sides=n_sides)


def test_every_vertex_is_certified_and_the_box_lies_inside(triangle):
    polytope, c = triangle.polytope, triangle.certificate
    assert np.abs(c.points[: len(polytope.vertices)] - polytope.vertices).max() < 1e-12
    assert c.passed
    assert c.lower_bounds.min() >= P
    low, high = np.array(list(triangle.box.values())).T
    assert polytope.contains(low + np.random.default_rng(0).random((500, 2)) * (high - low)).all()
    assert polytope.contains(np.array([list(triangle.set_point.values())])).all()


def test_settings_outside_the_box_and_inside_the_polytope_are_inside(triangle):
    assert triangle.check({"s0": "0.7", "s1": "0.02"})
    found = triangle.check({"s0": "0.7", "s1": "0.2"})
    assert not found
    assert "final y <= 1" in found.reason


def test_acceptable_ranges_start_from_the_chord_of_the_polytope_through_the_set_point(analytic):
    """The best point for s0 lies beyond the box: the others held there, s0 may go from 0 to the region's edge, where
    every end keeps the required probability."""
    envelope = ask(
        analytic,
        lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"],
        [Limit("y", upper=1.0, over=final)],
        n=1000,
        sides=1,
        objectives=Maximize("s0"),
        tolerance={"s0": 0.01},
    )
    point = envelope.set_point
    assert point["s0"] > envelope.box["s0"][1]
    for name, found in envelope.acceptable.items():
        assert found.low <= point[name] <= found.high
        assert min(found.probability) >= P
    assert not any("leaves the certified range" in warning for warning in envelope.warnings)


def test_a_polytope_is_saved_and_printed(triangle, tmp_path):
    triangle.save(tmp_path / "envelope.nc")
    again = Envelope.load(tmp_path / "envelope.nc")
    assert str(again) == str(triangle)
    assert (again.polytope.sides == triangle.polytope.sides).all()
    assert (again.polytope.vertices == triangle.polytope.vertices).all()
    assert "1 x s0 + 1 x s1 <= 0." in str(triangle)
    assert "at every point of the polytope" in triangle.message


def test_a_disc_gives_the_regular_polygon(analytic):
    """Four slanted sides and two ranges: the regular octagon, 2 sqrt 2 times the radius squared."""
    envelope = ask(analytic, disc, [Limit("y", upper=0.16)], n=600)
    assert envelope.polytope.volume == pytest.approx(2.0 * np.sqrt(2.0) * 0.16, rel=1e-3)
    assert envelope.polytope.coverage == pytest.approx(2.0 * np.sqrt(2.0) / np.pi, abs=0.01)


def disc(t, v):
    return (v["s0"] - 0.5) ** 2 + (v["s1"] - 0.5) ** 2 + 0.0 * v["a"]


def test_a_region_that_bends_inward_is_kept_at_every_point_of_the_polytope(analytic):
    """s0 s1 + 0.02 a <= 0.25: true probability at scattered points and all vertices; half of the region or more."""
    envelope = ask(analytic, lambda t, v: v["s0"] * v["s1"] + 0.02 * v["a"], [Limit("y", upper=0.25, over=final)])
    points = scattered(envelope.polytope)
    assert norm.cdf((0.25 - points.prod(axis=1)) / 0.02).min() >= P
    assert envelope.polytope.coverage > 1.5 * envelope.polytope.box_coverage


def test_two_lobes_are_not_bridged(analytic):
    def lobes(t, v):
        small = ((v["s0"] - 0.2) ** 2 + (v["s1"] - 0.25) ** 2) / 0.03
        large = ((v["s0"] - 0.65) ** 2 + (v["s1"] - 0.65) ** 2) / 0.08
        return np.minimum(small, large) + 0.02 * v["a"]

    envelope = ask(analytic, lobes, [Limit("y", upper=1.0)], n=600)
    points = scattered(envelope.polytope)
    large = ((points - 0.65) ** 2).sum(axis=1) / 0.08
    assert norm.cdf((1.0 - large) / 0.02).min() >= 0.9  # a curved edge between vertices; the certificate takes 0.95
    assert envelope.polytope.coverage > 1.2 * envelope.polytope.box_coverage


def test_one_setting_has_its_range_and_no_polytope(analytic):
    envelope = ask(analytic, lambda t, v: v["s0"] + 0.1 * v["a"], [Limit("y", upper=0.8)], d=1)
    assert envelope.polytope is None
    assert envelope.box["s0"][1] > 0.5


def test_more_settings_than_a_polytope_can_have_are_refused(analytic):
    with pytest.raises(EnvelopeError, match="at most 5 settings"):
        ask(analytic, lambda t, v: v["s0"] + 0.1 * v["a"], [Limit("y", upper=0.8)], d=6)


def test_the_same_seed_gives_the_same_polytope(analytic):
    linear = lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"]  # noqa: E731
    first, second = (ask(analytic, linear, [Limit("y", upper=1.0)], n=600, sides=1) for _ in range(2))
    assert (first.polytope.sides == second.polytope.sides).all()
    assert str(first) == str(second)
