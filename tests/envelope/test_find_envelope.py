"""find_envelope against boxes and probabilities known in closed form."""

import dataclasses
import re

import numpy as np
import pytest
from scipy.stats import norm

from physics_twin.envelope import Budget, LargestBox, Limit, final, find_envelope, path
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting

P = 0.95


def ask(analytic, model, posterior, settings, limits, **options):
    options = {"recipe": analytic.one_hour(settings), "rng": 3, **options}
    return find_envelope(model, posterior, settings=settings, limits=limits, **options)


def certain(analytic, model, n=600):
    """A posterior without uncertainty: the region is then known exactly."""
    return analytic.gaussian_draws(model, n, seed=0, mean=0.5, sd=0.0)


# Exact boxes ------------------------------------------------------------------------------------------------------


def test_one_setting_the_interval_is_known_to_1e_4(analytic):
    """0.1 <= s^3 <= 0.5."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] ** 3 + 0.0 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    envelope = ask(analytic, model, certain(analytic, model), settings, [Limit("y", lower=0.1, upper=0.5)])
    assert envelope.box["s0"] == pytest.approx((0.1 ** (1 / 3), 0.5 ** (1 / 3)), rel=1e-4)
    assert envelope.binding["s0"] == ("y >= 0.1", "y <= 0.5")
    assert envelope.probability == 1.0
    assert not envelope.empty


def test_one_setting_the_edge_is_the_order_statistic_of_the_search_draws(analytic):
    """With s + a <= 1 the edge for k allowed violations is 1 minus the (k+1)-th largest draw, to 1e-4."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 2000, seed=5)
    envelope = ask(analytic, model, posterior, analytic.knobs(1), [Limit("y", upper=1.0, over=final)])
    edge = envelope.box["s0"][1]
    edges = np.sort(1.0 - 0.1 * posterior["a"])
    assert np.abs(edges - edge).min() < 1e-4 * edge
    assert norm.cdf((1.0 - edge) / 0.1) >= P


def test_disc_has_the_largest_inscribed_square(analytic):
    def bowl(t, v):
        return (v["s0"] - 0.5) ** 2 + (v["s1"] - 0.5) ** 2 + 0.0 * v["a"]

    model = analytic.closed_form({"y": bowl}, ["a"])
    envelope = ask(analytic, model, certain(analytic, model), analytic.knobs(2), [Limit("y", upper=0.16)])
    half = 0.4 / np.sqrt(2.0)
    for side in envelope.box.values():
        assert side == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)
    assert envelope.set_point == pytest.approx({"s0": 0.5, "s1": 0.5}, abs=2e-2)


def test_of_two_lobes_the_larger_is_taken(analytic):
    def lobes(t, v):
        small = ((v["s0"] - 0.2) ** 2 + (v["s1"] - 0.25) ** 2) / 0.03
        large = ((v["s0"] - 0.65) ** 2 + (v["s1"] - 0.65) ** 2) / 0.08
        return np.minimum(small, large) + 0.02 * v["a"]

    model = analytic.closed_form({"y": lobes}, ["a"])
    posterior = analytic.gaussian_draws(model, 1000, seed=1)
    envelope = ask(analytic, model, posterior, analytic.knobs(2), [Limit("y", upper=1.0)])
    half = np.sqrt(0.08 / 2.0)
    for side in envelope.box.values():
        assert side == pytest.approx((0.65 - half, 0.65 + half), abs=0.03)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_linear_limit_and_gaussian_parameter_the_edge_is_known_in_closed_form(analytic, d):
    """sum s + 0.1 a <= 0.5 d: P = Phi((0.5 d - sum s) / 0.1). The box keeps P >= 0.95 at its worst corner and gives
    away no more than the draws demand: the certificate needs about two standard errors of a share on either side."""
    model = analytic.closed_form({"y": lambda t, v: sum(v[f"s{i}"] for i in range(d)) + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 8000, seed=d)
    envelope = ask(analytic, model, posterior, analytic.knobs(d), [Limit("y", upper=0.5 * d, over=final)])
    worst = sum(high for _, high in envelope.box.values())
    truth = norm.cdf((0.5 * d - worst) / 0.1)
    assert P <= truth <= 0.985
    assert all(low == 0.0 for low, _ in envelope.box.values())
    assert set(envelope.binding.values()) == {("setting bound", f"final y <= {0.5 * d:g}")}
    # The region is that of the closed form, along the edge too: to four standard errors of a share of its draws.
    along = np.random.default_rng(0).dirichlet(np.ones(d), 20) * (0.5 * d - 0.1 * norm.ppf(P))
    along = along[(along <= 1.0).all(axis=1)]
    exact, n = P, envelope.space.n_draws
    for point in along:
        seen = envelope.predict({f"s{i}": float(x) for i, x in enumerate(point)}).probability
        assert seen == pytest.approx(exact, abs=4.0 * np.sqrt(exact * (1.0 - exact) / n) + 1.0 / n)
    # all widths equal: the largest volume under a sum
    highs = [high for _, high in envelope.box.values()]
    assert np.ptp(highs) < 1e-3 * np.mean(highs) + 1e-9


# The claim --------------------------------------------------------------------------------------------------------


def test_the_worst_point_inside_the_box_counts_not_only_its_corners(analytic):
    """A ridge through the middle of every box with good corners: the box must stay on one side of it."""

    def ridge(t, v):
        return np.exp(-(((v["s0"] - 0.45) / 0.05) ** 2)) + 0.05 * v["a"]

    model = analytic.closed_form({"y": ridge}, ["a"])
    posterior = analytic.gaussian_draws(model, 1500, seed=2)
    envelope = ask(analytic, model, posterior, analytic.knobs(2), [Limit("y", upper=0.5)])
    low, high = envelope.box["s0"]
    assert low > 0.45  # the wider side
    x = np.linspace(low, high, 1001)
    assert norm.cdf((0.5 - np.exp(-(((x - 0.45) / 0.05) ** 2))) / 0.05).min() >= P


def test_a_ridge_between_the_design_points_is_found_by_the_scouts(analytic):
    """A wall a thirtieth of the range wide falls between all points of the first design: seen from there, every limit
    is met everywhere, and the interpolation has no doubt."""

    def wall(t, v):
        return np.exp(-(((v["s0"] - 0.37) / 0.012) ** 2)) + 0.05 * v["a"]

    model = analytic.closed_form({"y": wall}, ["a"])
    posterior = analytic.gaussian_draws(model, 1500, seed=2)
    envelope = ask(analytic, model, posterior, analytic.knobs(2), [Limit("y", upper=0.5)])
    low, high = envelope.box["s0"]
    x = np.linspace(low, high, 2001)
    assert norm.cdf((0.5 - np.exp(-(((x - 0.37) / 0.012) ** 2))) / 0.05).min() >= P
    assert high - low > 0.5


def test_fewer_scouts_cost_less_and_the_envelope_says_what_they_may_have_missed(analytic):
    """A bulge wider than the scouts are apart is still found; the simulations that scouts save are saved."""

    def bulge(t, v):
        return np.exp(-(((v["s0"] - 0.37) / 0.15) ** 2)) + 0.05 * v["a"]

    model = analytic.closed_form({"y": bulge}, ["a"])
    posterior = analytic.gaussian_draws(model, 400, seed=2)
    limits, cost = [Limit("y", upper=0.5)], {}
    for n_scouts in (None, 16, 13):
        budget = Budget(n_scouts=n_scouts, n_points=30)
        envelope = ask(analytic, model, posterior, analytic.knobs(2), limits, probability=0.9, budget=budget)
        assert envelope.box["s0"][0] > 0.37
        warned = [text for text in envelope.warnings if "scouts" in text]
        assert len(warned) == (n_scouts is not None)
        if n_scouts is not None:
            assert "at 16 settings instead of 256" in warned[0] and "narrower than 0.25 of the range" in warned[0]
        cost[n_scouts] = envelope.certificate.n_simulations
    # Sent twice at the least: over the range and into the proposal, with four draws.
    assert cost[None] - cost[16] >= 2 * 4 * (256 - 16)
    assert cost[13] == cost[16]  # rounded up to a power of two


def test_two_limits_are_met_jointly(analytic):
    """Independent limits, each met with 0.96, are met jointly with 0.92 only: the box knows."""
    model = analytic.closed_form(
        {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"] + 0.1 * v["b"]}, ["a", "b"]
    )
    posterior = analytic.gaussian_draws(model, 8000, seed=3)
    limits = [Limit("y", upper=1.0, over=final), Limit("z", upper=1.0, over=final)]
    envelope = ask(analytic, model, posterior, analytic.knobs(1), limits)
    edge = envelope.box["s0"][1]
    assert norm.cdf((1.0 - edge) / 0.1) ** 2 >= P
    assert norm.cdf((1.0 - edge) / 0.1) ** 2 <= 0.985


def test_what_the_search_saw_does_not_certify(analytic):
    """Search and certification draws are disjoint and counted."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    envelope = ask(analytic, model, analytic.gaussian_draws(model, 1000, 4), analytic.knobs(1), [Limit("y", upper=1.0)])
    c = envelope.certificate
    assert (c.n_search, c.n_certification, c.n_draws) == (400, 600, 1000)
    assert c.passed
    assert c.attempts[-1].passed
    assert envelope.probability_lower == c.lower_bounds.min() >= P
    assert envelope.probability == 1.0 - c.violations.max() / 600
    assert envelope.probability_lower < envelope.probability
    assert c.points[:2, 0] == pytest.approx(envelope.box["s0"], rel=1e-12)  # the corners come first


def test_correlated_draws_count_at_their_effective_size(analytic):
    """A posterior that knows its draws are worth a quarter of their number gets a smaller box."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 2000, 4)

    chain = dataclasses.replace(posterior, effective_draws=500.0)
    independent = ask(analytic, model, posterior, analytic.knobs(1), [Limit("y", upper=1.0)])
    correlated = ask(analytic, model, chain, analytic.knobs(1), [Limit("y", upper=1.0)])
    assert correlated.certificate.n_effective == pytest.approx(0.25 * independent.certificate.n_effective)
    assert correlated.box["s0"][1] < independent.box["s0"][1]


def test_tolerance_and_batch_variation_narrow_the_box_and_are_listed(analytic):
    """y = s + a with sd 0.1 each: 1.645 sqrt(0.02) instead of 1.645 * 0.1 off the limit."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 8000, seed=6)
    settings, limits = analytic.knobs(1), [Limit("y", upper=1.0, over=final)]
    plain = ask(analytic, model, posterior, settings, limits)
    loose = ask(analytic, model, posterior, settings, limits, tolerance={"s0": 0.1})
    varied = ask(analytic, model, posterior, settings, limits, batch_variation={"a": 1.0})
    assert "parameters only" in plain.includes[0]
    for envelope, word in ((loose, "tolerance of s0: sd 0.1"), (varied, "batch-to-batch variation: a sd 1")):
        edge = envelope.box["s0"][1]
        assert P <= norm.cdf((1.0 - edge) / np.sqrt(0.02)) <= 0.985
        assert word in envelope.includes
        assert "parameters only" not in envelope.includes[0]


def test_a_prior_as_batch_variation_replaces_what_was_fitted(analytic):
    from physics_twin.priors import Normal

    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 4000, seed=6, mean=-5.0)
    envelope = ask(
        analytic,
        model,
        posterior,
        analytic.knobs(1),
        [Limit("y", upper=1.0, over=final)],
        batch_variation={"a": Normal(0.0, 2.0)},
    )
    assert P <= norm.cdf((1.0 - envelope.box["s0"][1]) / 0.2) <= 0.99


# Which box -------------------------------------------------------------------------------------------------------


def test_weights_give_a_setting_more_of_the_room(analytic):
    """s0 + s1 <= 1 without uncertainty: with weights 3 and 1 the widths are 3/4 and 1/4."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + 0.0 * v["a"]}, ["a"])
    shape = LargestBox(weights={"s0": 3.0})
    envelope = ask(analytic, model, certain(analytic, model), analytic.knobs(2), [Limit("y", upper=1.0)], shape=shape)
    assert envelope.box["s0"][1] == pytest.approx(0.75, abs=2e-3)
    assert envelope.box["s1"][1] == pytest.approx(0.25, abs=2e-3)


def test_a_box_around_a_point_holds_it_or_says_which_limit_it_breaks_and_by_how_much(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + 0.05 * v["a"]}, ["a"])
    posterior, settings = analytic.gaussian_draws(model, 1500, 1), analytic.knobs(2)
    limits = [Limit("y", upper=1.0, over=final)]
    inside = ask(analytic, model, posterior, settings, limits, shape=LargestBox(around={"s0": "70 percent", "s1": 0.1}))
    assert inside.box["s0"][1] >= 0.7
    assert inside.box["s1"][1] >= 0.1
    assert norm.cdf((1.0 - inside.box["s0"][1] - inside.box["s1"][1]) / 0.05) >= P
    outside = ask(analytic, model, posterior, settings, limits, shape=LargestBox(around={"s0": 0.8, "s1": 0.3}))
    assert outside.empty
    short = float(re.search(r"short by ([0-9.]+)", outside.message).group(1))
    assert short == pytest.approx(0.1 + 0.05 * norm.ppf(P), abs=0.01)
    assert "no box can hold s0 = 0.8, s1 = 0.3: s0 = 0.8, s1 = 0.3 meets the limits only with probability 0.0" in (
        outside.message
    )
    half = ask(analytic, model, posterior, settings, [Limit("y", upper=0.8)], shape=LargestBox(around={"s0": 0.9}))
    assert "no box can hold s0 = 0.9: the closest settings with it, s0 = 0.9, s1 = 0, meet the limits" in half.message


# Answers that are no box ------------------------------------------------------------------------------------------


def test_unbounded_says_that_the_bounds_end_it(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"]}, ["a"])
    envelope = ask(analytic, model, analytic.gaussian_draws(model, 1000, 1), analytic.knobs(2), [Limit("y", upper=9.0)])
    assert envelope.box == {"s0": (0.0, 1.0), "s1": (0.0, 1.0)}
    assert set(envelope.binding.values()) == {("setting bound", "setting bound")}
    assert "no limit binds: the bounds of the settings end every side" in envelope.message


def test_empty_names_the_limit_that_cannot_be_met_and_by_how_much(analytic):
    """At s = 1 the output is 1 + 0.1 a: with probability 0.95 it is at least 0.836, short of 1.2 by 0.364."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 4000, 1)
    limits = [Limit("y", lower=1.2, over=final), Limit("z", lower=0.1, over=final)]
    envelope = ask(analytic, model, posterior, analytic.knobs(1), limits)
    assert envelope.empty
    assert envelope.box == {}
    assert envelope.set_point == {}
    assert envelope.margins_at["s0"] == pytest.approx(1.0, abs=1e-6)
    short = next(m for m in envelope.margins if m.output == "y")
    assert -short.assured == pytest.approx(0.2 + 0.1 * norm.ppf(0.95), abs=0.02)
    assert '"final y >= 1.2" is short by' in envelope.message
    assert "cannot be met anywhere, even alone" in envelope.message
    assert envelope.probability == pytest.approx(norm.cdf(-2.0), abs=0.015)
    assert envelope.probability_lower == 0.0


def test_empty_by_conflict_names_both_limits(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 1000, 1)
    limits = [Limit("y", lower=0.8, over=final), Limit("z", upper=0.75, over=final)]
    envelope = ask(analytic, model, posterior, analytic.knobs(1), limits)
    assert envelope.empty
    assert "it can be met alone, but not together with" in envelope.message
    assert "final y >= 0.8" in envelope.message
    assert "final z <= 0.75" in envelope.message


def test_a_region_too_marginal_for_the_draws_says_so(analytic):
    """0.955 everywhere cannot be shown to be 0.95 with a thousand draws; that is not an impossible limit."""
    model = analytic.closed_form({"y": lambda t, v: 0.0 * v["s0"] + v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 1000, 8)
    limits = [Limit("y", upper=float(np.quantile(posterior["a"], 0.956)), over=final)]
    envelope = ask(analytic, model, posterior, analytic.knobs(1), limits)
    assert envelope.empty
    assert "give more draws, or relax a limit" in envelope.message


def test_a_region_too_narrow_for_the_search_is_said_to_be_that_and_what_is_advised_helps(analytic):
    """|s0 - s1| <= 0.005: a fold that no smooth surrogate follows. More draws would change nothing; a box around one of
    the settings that were found is certified, and so is one within narrower bounds."""
    model = analytic.closed_form({"y": lambda t, v: abs(v["s0"] - v["s1"]) + 1e-4 * v["a"]}, ["a"])
    posterior, limits = analytic.gaussian_draws(model, 300, 1), [Limit("y", upper=0.005, over=final)]
    budget = Budget(n_search=60, n_points=40)
    found = ask(analytic, model, posterior, analytic.knobs(2), limits, budget=budget)
    assert found.empty
    assert "More draws do not help" in found.message and "give more draws" not in found.message
    point = found.margins_at
    assert abs(point["s0"] - point["s1"]) < 0.005
    widths = [float(w) for w in re.search(r"about (\S+) in s0 and (\S+) in s1\.", found.message).groups()]
    inward = 1.0 if max(point.values()) > 0.0 and min(point.values()) < 1.0 else 0.5  # at a bound there is one side
    assert all(0.0048 * inward < w <= 0.0102 * inward for w in widths)
    around = LargestBox(around=dict.fromkeys(point, 0.5))
    assert "LargestBox(around=...)" in found.message
    assert not ask(analytic, model, posterior, analytic.knobs(2), limits, budget=budget, shape=around).empty


@pytest.mark.parametrize("formula", ["none", "bowl", "weak", "together"])
def test_a_setting_that_no_limit_depends_on_is_certified_over_its_bounds_with_a_warning(analytic, formula):
    """s1 that is in no limit is warned of; one that has the same effect at both bounds and another between them, one
    that moves the margin by little and one that acts only with s0 are not."""
    acts = {
        "none": lambda v: 0.0,
        "bowl": lambda v: 0.5 * (v["s1"] - 0.5) ** 2,
        "weak": lambda v: 0.002 * v["s1"],
        "together": lambda v: 0.2 * v["s1"] * v["s0"],
    }
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + acts[formula](v) + 0.1 * v["a"]}, ["a"])
    posterior, limits = analytic.gaussian_draws(model, 400, 1), [Limit("y", upper=1.0, over=final)]
    found = ask(analytic, model, posterior, analytic.knobs(2), limits, budget=Budget(n_search=80, n_points=40))
    warned = [w for w in found.warnings if "no limit depends on s1: its range comes from its bounds alone" in w]
    assert len(warned) == (formula == "none")
    assert not any("depends on s0" in w for w in found.warnings)
    if formula == "none":
        assert found.box["s1"] == pytest.approx((0.0, 1.0), abs=1e-9)


@pytest.mark.parametrize("width", [0.003, 0.04, 0.3])
def test_the_width_around_a_point_is_known_to_a_factor_of_two_and_never_too_large(width):
    """|u0 - 0.4| <= width / 2 over all of u1: the whole range along u1, the width along u0."""
    from physics_twin.envelope.limits.allowed import Group
    from physics_twin.envelope.region.narrowness import widths_around

    def margins(u):
        return (0.5 * width - np.abs(u[:, 0] - 0.4))[:, None, None]

    first, second = widths_around(margins, np.array([0.4, 0.5]), [Group((0,), 0.95, "all limits")])
    assert 0.5 * width <= first <= width
    assert second == pytest.approx(1.0)
    outside = widths_around(margins, np.array([0.9, 0.5]), [Group((0,), 0.95, "all limits")])
    assert (outside == 0.0).all()


# Courses, failures, repeatability ---------------------------------------------------------------------------------


def test_a_path_limit_holds_at_every_moment(analytic):
    """The peak of s sin(pi t / 1 h) is in the middle of the run and between samples."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] * np.sin(np.pi * t / 3600.0) + 0.0 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    envelope = ask(analytic, model, certain(analytic, model), settings, [Limit("y", upper=0.7, over=path)])
    assert envelope.box["s0"][1] == pytest.approx(0.7, rel=1e-4)


def test_a_duration_may_be_a_setting(analytic):
    """Final value of t / 1 h after a hold of between 10 and 120 min, at most 1.5: 90 min."""
    hold = Setting("hold_time", "min", bounds=(10, 120))
    model = analytic.closed_form({"y": lambda t, v: t / 3600.0 + 0.0 * v["a"]}, ["a"])
    recipe = Recipe([Phase("wait", duration="0 min"), Phase("hold", duration=hold)])
    envelope = ask(analytic, model, certain(analytic, model), [hold], [Limit("y", upper=1.5)], recipe=recipe)
    assert envelope.box["hold_time"] == pytest.approx((600.0, 5400.0), rel=1e-4)
    low, high, unit = envelope.in_units()["box"]["hold_time"]
    assert (low, high) == pytest.approx((10.0, 90.0), abs=0.011)
    assert unit == "min"


def test_failed_simulations_are_violations_and_are_reported(analytic):
    """Where more runs fail than may violate a limit there is no box, whatever the limits say."""
    model = analytic.closed_form(
        {"y": lambda t, v: v["s0"] + 0.0 * v["a"]}, ["a"], fails=lambda v: (v["s0"] > 0.6) & (v["a"] > -1.0)
    )
    posterior = analytic.gaussian_draws(model, 1000, 2)
    envelope = ask(analytic, model, posterior, analytic.knobs(1), [Limit("y", upper=0.9)])
    assert 0.5 < envelope.box["s0"][1] <= 0.6
    assert envelope.failures
    assert envelope.failures[0].reason == "the pump runs dry"
    assert envelope.failures[0].settings["s0"] > 0.6
    assert envelope.failures[0].values["a"] > -1.0
    assert any("simulations failed" in w and "the pump runs dry" in w for w in envelope.warnings)


def test_everything_failing_is_an_empty_envelope_that_says_so(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"]}, ["a"], fails=lambda v: v["a"] < 99.0)
    envelope = ask(analytic, model, analytic.gaussian_draws(model, 500, 2), analytic.knobs(1), [Limit("y", upper=0.9)])
    assert envelope.empty
    assert envelope.probability == 0.0
    assert "the rest failed" in envelope.message


def test_the_same_seed_gives_the_same_bytes_and_a_generator_is_left_alone(analytic, tmp_path):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 800, 1)
    limits, settings = [Limit("y", upper=1.2)], analytic.knobs(2)
    rng = np.random.default_rng(11)
    state = str(rng.bit_generator.state)
    first, second = (ask(analytic, model, posterior, settings, limits, rng=rng) for _ in range(2))
    assert str(rng.bit_generator.state) == state
    assert str(first) == str(second)
    assert first.box == second.box
    assert first.region.identical(second.region)
    other = ask(analytic, model, posterior, settings, limits, rng=12)
    assert other.box != first.box


def test_an_executor_gives_the_same_envelope(analytic):
    from concurrent.futures import ThreadPoolExecutor

    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 600, 1)
    alone = ask(analytic, model, posterior, analytic.knobs(1), [Limit("y", upper=1.0)])
    with ThreadPoolExecutor(2) as pool:
        shared = ask(analytic, model, posterior, analytic.knobs(1), [Limit("y", upper=1.0)], executor=pool)
    assert shared.box == alone.box


def test_models_without_ensembles_are_simulated_one_by_one(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])

    class Single:
        """Only what the Model protocol asks for."""

        def __getattr__(self, name):
            if name in ("trajectories", "trajectory", "sensitivity", "phase_times"):
                raise AttributeError(name)
            return getattr(model, name)

    posterior = analytic.gaussian_draws(model, 400, 1)
    limits = [Limit("y", upper=1.0, over=final)]
    fast = ask(analytic, model, posterior, analytic.knobs(1), limits)
    slow = ask(analytic, Single(), posterior, analytic.knobs(1), limits)
    assert slow.box == fast.box


def test_a_small_budget_is_kept_and_said(analytic):
    def wavy(t, v):
        return np.sin(9.0 * v["s0"]) * np.cos(7.0 * v["s1"]) + 0.05 * v["a"]

    model = analytic.closed_form({"y": wavy}, ["a"])
    posterior = analytic.gaussian_draws(model, 800, 1)
    limits = [Limit("y", upper=0.5)]
    envelope = ask(analytic, model, posterior, analytic.knobs(2), limits, budget=Budget(n_points=28))
    assert any("budget of simulations" in w for w in envelope.warnings)
