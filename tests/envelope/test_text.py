"""The printed envelope: what it says is never more than what was shown."""

from dataclasses import replace

import numpy as np
import pytest

from physics_twin.envelope import Limit, final, find_envelope
from physics_twin.envelope.digits import inward, share_text
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope
from physics_twin.envelope.text import probability_text
from physics_twin.signals import Setting
from physics_twin.units import Unit


@pytest.mark.parametrize("unit", ["K", "degC", "degF", "min", "1", "percent"])
def test_printed_ranges_lie_inside_and_lose_less_than_a_thousandth(unit):
    """Whatever the unit, both ends are rounded into the range, by no more than 0.2 % of its width in all."""
    rng = np.random.default_rng(0)
    shown = Unit(unit)
    for _ in range(200):
        low = float(rng.uniform(1.0, 1000.0))
        high = low + float(10.0 ** rng.uniform(-3, 3))
        ends = [float(text.split()[0]) for text in inward(low, high, shown)]
        first, last = shown.from_si(low), shown.from_si(high)
        slack = 1e-5 * (last - first)
        assert first - slack <= ends[0] < ends[1] <= last + slack
        assert (ends[0] - first) + (last - ends[1]) < 2.1e-3 * (last - first)


def test_round_numbers_stay_as_they_are():
    """A bound of 110 degC is not printed as 109.99 degC because of the last bit of its value in kelvin."""
    assert inward(Unit("degC").to_si(60.0), Unit("degC").to_si(110.0), Unit("degC")) == ("60.00 degC", "110.00 degC")
    assert inward(5.0, 5.0, Unit("K")) == ("5.000 K", "5.000 K")


def test_a_polytope_comes_before_the_box_in_it(analytic):
    """Who reads the box reads that it is only a part, and the sides with their units come first."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"]}, ["a"])
    settings = analytic.knobs(2)
    envelope = find_envelope(
        model,
        analytic.gaussian_draws(model, 500, 1),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=1.5, over=final)],
        probability=0.9,
        rng=1,
    )
    assert "polytope" not in str(envelope)
    sides, levels = np.vstack([np.eye(2), -np.eye(2), np.ones((1, 2))]), np.array([1.0, 1.0, 0.0, 0.0, 1.3])
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.3], [0.3, 1.0], [0.0, 1.0]])
    ends = ("setting bound",) * 4 + envelope.limits
    slanted = replace(envelope, polytope=OperatingPolytope(settings, sides, levels, ends, corners, 0.9, 0.95, 0.6))
    text = str(slanted)
    assert "at every point of the polytope" in text
    assert text.index("operating polytope, all of:") < text.index("largest box in it")
    assert "it holds 95 % of the region as predicted, the largest box alone 60 %" in text
    assert "Largest box in it" in slanted._repr_html_()


def test_a_probability_never_prints_like_a_count_and_is_never_rounded_up(analytic):
    """Of 200 draws all meet the limits: a count with its share, 1.000, and not "1 of 200"."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 1e-3 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    envelope = find_envelope(
        model,
        analytic.gaussian_draws(model, 500, 1),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=2.0, over=final)],
        probability=0.9,
        rng=1,
    )
    n, lower = envelope.certificate.n_certification, envelope.probability_lower
    assert envelope.probability == 1.0
    said = probability_text(envelope)
    assert f"all limits met by {n} of {n} held-out draws (1.000), that is with probability 0.9" in said
    assert " 1 " not in said
    shares = np.random.default_rng(0).random(2000) ** 0.01
    for share in [lower, *shares]:
        shown = float(share_text(float(share)))
        assert shown <= share + 1e-9 and share - shown < 1e-4
        assert len(share_text(float(share))) in (5, 6)


def test_ranges_of_a_polytope_are_rounded_inward():
    """Its ends in words are never wider than the sides that were certified."""
    settings = (
        Setting("heat", "degC", bounds=("0 degC", "400 degC")),
        Setting("hold", "min", bounds=("0 min", "99 min")),
    )
    highs, lows = np.array([473.15 + 0.0449, 3600.0 + 0.59]), np.array([373.15 + 0.0461, 1800.0 + 0.49])
    sides = np.vstack([np.eye(2), -np.eye(2)])
    corners = np.array([lows, [highs[0], lows[1]], highs])
    ends = ("setting bound",) * 4
    polytope = OperatingPolytope(settings, sides, np.concatenate([highs, -lows]), ends, corners, 0.9, 0.95, 0.6)
    for line, s, low, high in zip(polytope.lines, settings, lows, highs, strict=True):
        parts = line.split(" <= ")
        first, last = (float(text.split()[0]) for text in (parts[0], parts[2]))
        assert s.unit.from_si(low) <= first < last <= s.unit.from_si(high)
