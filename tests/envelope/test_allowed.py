"""Groups of limits: those kept jointly, and those with a probability of their own."""

import numpy as np
import pytest
from scipy.stats import norm

import physics_twin as pt
from physics_twin.envelope import Budget, Limit, final, find_envelope
from physics_twin.envelope.limits.allowed import Allowed, Group, broken_text, claim, groups_of, share_of, violations
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.region.surrogate import DesignSpace, shares

N = 8000


def test_a_failed_run_counts_as_a_violation_of_every_group():
    margins = np.array([[[1.0, 2.0], [np.nan, np.nan], [-1.0, 1.0], [0.0, 0.5]]])
    assert violations(margins, [Group((0, 1), 0.9, "both")]).tolist() == [[2]]
    assert violations(margins, [Group((0,), 0.9, "a"), Group((1,), 0.9, "b")]).tolist() == [[2, 1]]
    assert shares(margins).tolist() == [[0.5, 0.5, 0.75]]


@pytest.mark.parametrize(("p", "n", "k"), [(0.9, 10, 1), (0.9, 1000, 100), (0.95, 99, 4), (0.99, 50, 0)])
def test_a_tenth_of_ten_draws_is_one(p, n, k):
    assert share_of(n, p) == k


def test_limits_without_a_probability_are_one_group_and_both_sides_of_a_limit_are_another(analytic):
    model = analytic.closed_form({name: lambda t, v: v["s0"] for name in ("x", "y", "z")}, ["a"])
    limits = [Limit("x", upper=1.0), Limit("y", lower=0, upper=1, name="y", probability=0.99), Limit("z", upper=2.0)]
    groups = groups_of(bind_limits(limits, model.outputs), 0.95)
    assert [(g.columns, g.probability) for g in groups] == [((0, 3), 0.95), ((1, 2), 0.99)]
    assert "all other limits are met jointly with a probability of at least 0.95" in claim(groups)
    alone = groups_of(bind_limits(limits[:1], model.outputs), 0.95)
    assert claim(alone) == "all limits are met with a probability of at least 0.95"


def test_the_level_is_zero_or_more_exactly_where_no_group_is_broken_too_often():
    """At the design the interpolation is exact, so level and counted violations must agree in sign."""
    rng = np.random.default_rng(1)
    points = rng.random((12, 2))
    margins = rng.standard_normal((12, 40, 3)) + rng.uniform(-1.0, 2.0, (12, 1, 1))
    allowed = Allowed((Group((0, 2), 0.5, "all other limits"), Group((1,), 0.8, "own")), (20, 8))
    broken = violations(margins, allowed.groups)
    inside = DesignSpace(points, margins).level(points, allowed) >= 0.0
    assert inside.tolist() == (broken <= np.array(allowed.k)).all(axis=1).tolist()
    assert 0 < inside.sum() < 12


def asked(analytic, model, limits, d=1, **options):
    settings = analytic.knobs(d)
    posterior = analytic.gaussian_draws(model, N, seed=7)
    return find_envelope(
        model, posterior, recipe=analytic.one_hour(settings), settings=settings, limits=limits, rng=1, **options
    )


@pytest.mark.parametrize("own", [0.99, 0.8])
def test_a_limit_with_its_own_probability_ends_the_box_at_its_own_edge(analytic, own):
    """s + 0.1 a <= 1 with 0.95 puts the edge of s at 1 - 1.645 x 0.1; 1 - s + 0.1 b <= 0.7 with its own probability p
    puts the other at 0.3 + 0.1 z_p. The slack of the certificate lies on the safe side of both."""
    formulas = {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: 1.0 - v["s0"] + 0.1 * v["b"]}
    model = analytic.closed_form(formulas, ["a", "b"])
    limits = [Limit("y", upper=1.0, over=final), Limit("z", upper=0.7, over=final, probability=own)]
    envelope = asked(analytic, model, limits, budget=Budget(n_search=3000))
    low, high = envelope.box["s0"]
    assert 0.95 <= norm.cdf((1.0 - high) / 0.1) <= 0.97
    assert own <= norm.cdf((low - 0.3) / 0.1) <= own + 0.7 * (1.0 - own)
    c = envelope.certificate
    assert c.violations.shape == c.lower_bounds.shape == (len(c.points), 2)
    assert (c.lower_bounds.min(axis=0) >= [0.95, own]).all()
    assert envelope.required == 0.95
    assert envelope.probability_lower == c.lower_bounds[:, 0].min()
    assert {m.output: m.required for m in envelope.margins} == {"y": 0.95, "z": own}
    assert envelope.binding["s0"] == ("final z <= 0.7", "final y <= 1")
    assert f'"final z <= 0.7" is met with a probability of at least {own:g}' in envelope.message
    assert f"{100 * own:g} %" in str(envelope)


def test_every_limit_alone_allows_more_than_all_jointly(analytic):
    """Two independent limits at the same edge: each with 0.95 by itself asks for less than both with 0.95."""
    formulas = {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"] + 0.1 * v["b"]}
    model = analytic.closed_form(formulas, ["a", "b"])
    each = [Limit(name, upper=1.0, over=final, probability=0.95) for name in ("y", "z")]
    jointly = [Limit(name, upper=1.0, over=final) for name in ("y", "z")]
    alone = asked(analytic, model, each, probability=0.5).box["s0"][1]
    together = asked(analytic, model, jointly).box["s0"][1]
    assert 0.95 <= norm.cdf((1.0 - alone) / 0.1) <= 0.97
    assert 0.95 <= norm.cdf((1.0 - together) / 0.1) ** 2 <= 0.97
    assert alone > together


def test_both_sides_of_a_limit_share_its_probability(analytic):
    """0 <= s + 0.2 a <= 1 with 0.98: at s the probability is Phi((1 - s) / 0.2) - Phi(-s / 0.2), edges inside that."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.2 * v["a"]}, ["a"])
    envelope = asked(analytic, model, [Limit("y", lower=0, upper=1, over=final, name="band", probability=0.98)])
    assert len(envelope.certificate.groups) == 1
    for s in envelope.box["s0"]:
        assert 0.98 <= norm.cdf((1.0 - s) / 0.2) - norm.cdf(-s / 0.2) <= 0.99


def test_an_empty_answer_names_the_limit_that_misses_its_own_probability(analytic):
    """At s = 1 the limit is met with Phi(2) = 0.977: enough for 0.95, not for the 0.997 that it asks for."""
    formulas = {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"]}
    model = analytic.closed_form(formulas, ["a"])
    limits = [Limit("y", lower=0.8, over=final, probability=0.997), Limit("z", upper=3.0, over=final)]
    envelope = asked(analytic, model, limits)
    assert envelope.empty
    assert 'no settings within their bounds meet "final y >= 0.8" with probability 0.997' in envelope.message
    assert "cannot be met anywhere, even alone" in envelope.message


def test_a_group_that_is_not_kept_has_one_broken_limit_at_least(analytic):
    """All limits broken in 42 draws would say that each of them was broken in each of these draws."""
    model = analytic.closed_form({"y": lambda t, v: v["a"], "z": lambda t, v: v["a"]}, ["a"])
    y, z = pt.Limit("y", upper=1.0, over=pt.final), pt.Limit("z", upper=1.0, over=pt.final)
    own = pt.Limit("y", upper=1.0, over=pt.final, probability=0.9)
    words = [
        [broken_text(g) for g in groups_of(bind_limits(limits, model.outputs), 0.95)] for limits in ([y, z], [own, z])
    ]
    assert words[0] == ["at least one limit"]
    assert set(words[1]) == {'"final y <= 1"', "at least one of the other limits"}
