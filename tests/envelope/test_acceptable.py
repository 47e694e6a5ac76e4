"""Proven acceptable ranges and normal operating ranges against closed forms."""

import numpy as np
import pytest
from scipy.stats import beta, norm

from physics_twin.envelope import Limit, final, find_envelope
from physics_twin.envelope.ranges.acceptable import leaving_the_range, normal_ranges, predicted_end
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.set_point.set_point import SETTING_BOUND
from physics_twin.signals import Setting

P = 0.95
BELOW_ONE = (Limit("y", upper=1.0, over=final),)


def ask(analytic, formula, n=8000, limits=BELOW_ONE, d=2, **options):
    model = analytic.closed_form({"y": formula}, ["a"])
    settings = analytic.knobs(d)
    posterior = analytic.gaussian_draws(model, n, seed=4)
    return find_envelope(
        model, posterior, recipe=analytic.one_hour(settings), settings=settings, limits=limits, rng=3, **options
    )


@pytest.fixture(scope="module")
def linear(analytic):
    """s0 + s1 + 0.1 a <= 1: with s1 held, P = 0.95 at s0 = 1 - s1 - 0.1645."""
    return ask(analytic, lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"])


def test_the_acceptable_range_ends_where_the_limit_is_kept_with_the_required_probability(linear):
    """The end from 500 search draws of 0.95 has a standard error of 0.1 sqrt(0.0475 / 500) / phi(1.645) = 0.0095."""
    for name, other in (("s0", "s1"), ("s1", "s0")):
        found = linear.acceptable[name]
        exact = 1.0 - linear.set_point[other] - 0.1 * norm.ppf(P)
        assert found.high == pytest.approx(exact, abs=4 * 0.0095)
        assert found.low == 0.0
        assert found.ends == (SETTING_BOUND, "final y <= 1")


def test_what_was_seen_at_an_end_is_a_share_of_all_draws_with_its_own_bound(linear):
    found = linear.acceptable["s0"]
    c = linear.certificate
    share, least = found.probability[1], found.probability_lower[1]
    exact = norm.cdf((1.0 - found.high - linear.set_point["s1"]) / 0.1)
    assert P <= share == pytest.approx(exact, abs=4 * np.sqrt(0.05 * 0.95 / c.n_draws))
    broken = round((1.0 - share) * c.n_draws)
    assert least == pytest.approx(beta.ppf(0.05, c.n_draws - broken, broken + 1), rel=1e-9)
    assert found.probability[0] == 1.0


def test_it_holds_the_side_of_the_box(linear):
    for name, (low, high) in linear.box.items():
        assert linear.acceptable[name].low <= low
        assert linear.acceptable[name].high > high


def test_its_words_say_what_ends_it_and_it_is_no_claim(linear):
    text = str(linear.acceptable["s0"])
    assert "ended by final y <= 1" in text
    assert "with confidence 0.95" in text


def test_a_range_ends_at_the_first_gap_even_if_the_limits_are_kept_again_beyond(analytic):
    """A wall at s = 0.45 between two parts: the range is the wider part that holds the set point, and no more."""

    def wall(t, v):
        return np.exp(-(((v["s0"] - 0.45) / 0.05) ** 2)) + 0.05 * v["a"]

    envelope = ask(analytic, wall, n=1500, limits=[Limit("y", upper=0.5)], d=1)
    found = envelope.acceptable["s0"]
    edge = 0.45 + 0.05 * np.sqrt(-np.log(0.5 - 0.05 * norm.ppf(P)))
    assert found.high == 1.0
    assert found.low == pytest.approx(edge, abs=0.01)
    assert found.low <= envelope.box["s0"][0]


def test_the_way_out_stops_at_the_first_point_outside():
    """Level >= 0 on [0.2, 0.6] and on [0.8, 1]: from 0.4 upward the range ends at 0.6."""
    level = lambda u: np.maximum(0.2 - np.abs(u[:, 0] - 0.4), u[:, 0] - 0.8)  # noqa: E731
    point = np.array([0.4, 0.5])
    assert predicted_end(level, point, 0, 1, 0.4) == pytest.approx(0.6, abs=1e-6)
    assert predicted_end(level, point, 0, -1, 0.4) == pytest.approx(0.2, abs=1e-6)
    assert predicted_end(lambda u: np.ones(len(u)), point, 0, 1, 0.4) == 1.0


def test_a_limit_with_its_own_probability_ends_the_range_where_it_is_the_strictest(analytic):
    """z <= 1 with 0.99 is stricter than y <= 1 with 0.95 where both spread alike."""
    model = analytic.closed_form(
        {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"] + 0.1 * v["b"]}, ["a", "b"]
    )
    settings = analytic.knobs(1)
    envelope = find_envelope(
        model,
        analytic.gaussian_draws(model, 8000, seed=4),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=1.0, over=final), Limit("z", upper=1.0, over=final, probability=0.99)],
        rng=3,
    )
    found = envelope.acceptable["s0"]
    assert found.ends[1] == "final z <= 1"
    assert found.probability[1] >= 0.99
    assert found.high == pytest.approx(1.0 - 0.1 * norm.ppf(0.99), abs=0.03)


def test_an_empty_envelope_has_no_ranges(analytic):
    envelope = ask(analytic, lambda t, v: 2.0 + v["s0"] + 0.1 * v["a"], n=500, d=1)
    assert envelope.empty
    assert envelope.acceptable == {}
    assert envelope.operating == {}


# Normal operating ranges ------------------------------------------------------------------------------------------


def test_the_normal_operating_range_is_two_standard_deviations_and_says_when_it_leaves_the_box(analytic):
    """A knob hit to 0.02 stays inside; one hit to 0.2 cannot in a box narrower than 0.8."""
    close = ask(analytic, lambda t, v: v["s0"] + 0.1 * v["a"], n=2000, d=1, tolerance={"s0": 0.02})
    point = close.set_point["s0"]
    assert close.operating["s0"] == pytest.approx((point - 0.04, point + 0.04), rel=1e-12)
    assert not any("leaves the certified range" in warning for warning in close.warnings)
    loose = ask(analytic, lambda t, v: v["s0"] + 0.1 * v["a"], n=2000, d=1, tolerance={"s0": 0.2})
    assert any("s0: the normal operating range" in w and "leaves the certified range" in w for w in loose.warnings)


def test_normal_ranges_are_for_settings_with_a_tolerance_only_and_in_their_own_unit():
    soak, hold = Setting("soak", "degC", bounds=(800, 900)), Setting("hold", "min", bounds=(10, 60))
    normal = normal_ranges((soak, hold), {"soak": 1123.15, "hold": 1800.0}, {"soak": 5.0})
    assert normal == {"soak": (1113.15, 1133.15)}
    point = np.array([0.5, 0.4])
    wide = ConvexSet.of_box(Box(np.array([0.36, 0.0]), np.array([0.66, 0.5])))
    assert leaving_the_range((soak, hold), normal, wide, point) == []
    narrow = ConvexSet.of_box(Box(np.array([0.45, 0.0]), np.array([0.66, 0.5])))
    words = leaving_the_range((soak, hold), normal, narrow, point)
    assert "from 840 degC to 860 degC" in words[0]
