"""Plans: steps that respect rates, stay inside at every moment, and say what is certified and what is predicted."""

import csv
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from physics_twin.envelope import Budget, Limit, Maximize, Minimize, final, find_envelope
from physics_twin.envelope.plan.ways import straight
from physics_twin.errors import EnvelopeError, UnitError, UnknownNameError
from physics_twin.parameters import Values
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting

HEAT = Setting("temperature", "degC", bounds=(0, 100))
HOLD = Setting("hold", "min", bounds=(0, 60))
SD = 0.01


@pytest.fixture(scope="module")
def bent(analytic):
    """A region between two hyperbolas, x y in [0.1, 0.25] of the unit square up to a little noise: it is bent."""

    def product(t, v):
        return (v["temperature"] - 273.15) / 100.0 * v["hold"] / 3600.0 + SD * v["noise"]

    model = analytic.closed_form({"product": product}, ["noise"])
    recipe = Recipe([Phase("run", duration="1 h")], initial={"heat": HEAT, "time": HOLD})
    limits = [Limit("product", lower="0.1 1"), Limit("product", upper="0.25 1")]
    return find_envelope(
        model,
        analytic.gaussian_draws(model, 500, 0),
        recipe=recipe,
        settings=[HEAT, HOLD],
        limits=limits,
        rng=1,
        budget=Budget(n_points=40),
    )


@pytest.fixture(scope="module")
def lobes(analytic):
    """One setting; both ends of its range are good, the middle is not."""
    model = analytic.closed_form({"far": lambda t, v: (v["s0"] - 0.45) ** 2 + 1e-3 * v["noise"]}, ["noise"])
    (knob,) = analytic.knobs(1)
    return find_envelope(
        model,
        analytic.gaussian_draws(model, 500, 0),
        recipe=analytic.one_hour([knob]),
        settings=[knob],
        limits=[Limit("far", lower="0.04 1")],
        rng=1,
    )


def points_of(plan):
    names = [s.name for s in plan.settings]
    return np.array([[p[n] for n in names] for p in (plan.present, *(step.settings for step in plan.steps))])


def along(plan):
    """Points of the cube on all moves, close together."""
    ends = plan.envelope.searched.cube(points_of(plan))
    return np.concatenate([straight(a, b) for a, b in itertools.pairwise(ends)])


def test_inside_the_box_the_way_is_straight_and_certified(bent):
    present = {name: (low + 1e-3 * (high - low)) for name, (low, high) in bent.box.items()}
    plan = bent.plan(Values(present))
    assert plan.found
    assert plan.certified
    assert len(plan.steps) == 1
    assert "certified over its whole length" in plan.message
    assert plan.steps[-1].settings == pytest.approx(bent.set_point, rel=1e-12)


def test_rates_and_steps_are_respected(bent):
    rates, moves = {"temperature": "5 K/h"}, {"hold": "2 min"}
    plan = bent.plan({"temperature": "40 degC", "hold": "25 min"}, rate_limits=rates, steps=moves, step="30 min")
    size = np.abs(np.diff(points_of(plan), axis=0))
    assert size[:, 0].max() <= 2.5 * (1.0 + 1e-9)
    assert size[:, 1].max() <= 120.0 * (1.0 + 1e-9)
    assert [step.time for step in plan.steps] == pytest.approx(1800.0 * np.arange(1, len(plan.steps) + 1))
    # One setting is always as fast as it may be: the plan does not dawdle (but for the last step of each piece).
    assert len(plan.steps) <= np.ceil(max(size.sum(axis=0) / [2.5, 120.0])) + 3


@pytest.mark.parametrize("one_at_a_time", [False, True])
def test_a_bent_region_is_followed_at_every_moment(bent, one_at_a_time):
    """The straight line between the two ends of the bent region leaves it; the plan does not, by the exact product."""
    present, goal = {"temperature": "18 degC", "hold": "58 min"}, {"temperature": "95 degC", "hold": "11 min"}
    searched = bent.searched
    ends = [searched.cube(np.array([bent.checker.read(p)]))[0] for p in (present, goal)]
    assert searched.level(straight(*ends)).min() < 0.0
    plan = bent.plan(present, goal, rate_limits={"temperature": "10 K/h"}, one_at_a_time=one_at_a_time)
    assert plan.found
    product = np.prod(along(plan), axis=1)
    assert product.min() > 0.1 + 1.6 * SD
    assert product.max() < 0.25 - 1.6 * SD
    assert min(step.least_probability for step in plan.steps) >= 0.95
    if one_at_a_time:
        assert ((np.abs(np.diff(points_of(plan), axis=0)) > 1e-6).sum(axis=1) == 1).all()


def test_the_probability_of_a_step_is_that_of_its_whole_length(bent):
    """The way in begins where the limits are broken and ends where they are met: its end alone says too much."""
    plan = bent.plan({"temperature": "90 degC", "hold": "50 min"})
    searched = bent.searched
    at = searched.cube(points_of(plan))
    for step, (a, b) in zip(plan.steps, itertools.pairwise(at), strict=True):
        chances = searched.probability(straight(a, b))[:, 0]
        assert step.least_probability == pytest.approx(chances.min())
        assert step.probability == pytest.approx(chances[-1])
    assert plan.steps[0].least_probability == 0.0
    assert plan.steps[0].probability >= 0.95


def test_a_step_that_enters_the_box_is_not_certified_those_after_it_are(bent):
    (low, high), point = bent.box["hold"], dict(bent.set_point)
    size = 0.1 * (high - low)
    start = {**point, "hold": low - 0.5 * size}
    plan = bent.plan(Values(start), steps={"hold": (size, "s")})
    claims = [step.certified for step in plan.steps]
    assert claims[0] is False
    assert all(claims[1:])
    assert len(claims) >= 2
    assert bent.checker.many(points_of(plan)[1:2]).inside.all()  # the end of the first step alone is inside


def test_from_outside_the_first_steps_lead_in_and_it_is_said_loudly(bent):
    plan = bent.plan({"temperature": "90 degC", "hold": "50 min"}, rate_limits={"temperature": "10 K/h"})
    assert plan.found
    assert not plan.certified
    assert "OUTSIDE THE REGION" in plan.warnings[0]
    assert "OUTSIDE" in plan.message
    inside = [step.inside for step in plan.steps]
    assert not inside[0]
    assert inside[-1]
    assert inside == sorted(inside)  # once in, it stays in
    assert "OUTSIDE" in str(plan)


def test_what_was_never_searched_has_no_margin(bent, tmp_path):
    """Beyond the bounds of the search no number stands in the plan: it would look like safety."""
    plan = bent.plan({"temperature": "-30 degC", "hold": "10 min"}, steps={"temperature": "10 K"})
    first = plan.steps[0]
    assert np.isnan(first.probability) and np.isnan(first.margin) and np.isnan(first.gain) and first.limit == ""
    assert np.isfinite(plan.steps[-1].margin)
    assert "unknown" in str(plan)
    plan.to_csv(tmp_path / "plan.csv")


@pytest.mark.parametrize("own", [None, 0.99])
def test_outside_the_region_it_is_said_which_level_of_which_limits_is_missed(analytic, own):
    """Between the required probability and what the region asks for, a point is outside, and the two numbers that are
    printed show why; with a group of its own, the limit that is missed is named."""
    formulas = {name: lambda t, v: v["s0"] + 0.1 * v["a"] for name in ("y", "z")}
    model = analytic.closed_form(formulas, ["a"])
    (knob,) = analytic.knobs(1)
    limits = [Limit("y", upper="1 1", over=final), Limit("z", upper="1 1", over=final, probability=own, name="z limit")]
    posterior, recipe = analytic.gaussian_draws(model, 3000, 1), analytic.one_hour([knob])
    found = find_envelope(model, posterior, recipe=recipe, settings=[knob], limits=limits, rng=1)
    region, required = found.searched, 0.95 if own is None else own
    line = np.linspace(0.0, 1.0, 2001)[:, None]
    chances = region.probability(line)[:, 0]
    between = line[(region.level(line) < 0.0) & (chances >= required)][0]
    (said,) = found.plan({"s0": float(between[0])}).warnings
    numbers = re.search(
        r"predicted (0\.\d+); the region asks for ([01]\.\d+): the required ([\d.]+) and the slack", said
    )
    assert numbers is not None
    predicted, asked, of_limit = map(float, numbers.groups())
    assert required <= predicted < asked
    assert of_limit == required
    assert ('"z limit": predicted' in said) == (own is not None)
    # At s0 = 1 the limits are met where a <= 0.
    assert re.search(rf"predicted 0\.(4|5)\d\d, required {required:g}\)", found.plan({"s0": 1.0}).warnings[0])


def test_separate_parts_have_no_way_and_the_reason_is_the_answer(lobes):
    other = "0.05 1" if lobes.box["s0"][0] > 0.45 else "0.95 1"
    plan = lobes.plan({"s0": other})
    assert not plan.found
    assert plan.steps == ()
    assert "separate parts" in plan.message
    assert "(on a straight line: predicted 0.000, required 0.95)" in plan.message


def test_a_goal_outside_the_region_is_refused_with_its_probability(bent):
    plan = bent.plan(Values(bent.set_point), {"temperature": "100 degC", "hold": "60 min"})
    assert not plan.found
    assert "not in the region: predicted 0.000, required 0.95" in plan.message


def test_at_the_set_point_there_is_nothing_to_do(bent):
    plan = bent.plan(Values(bent.set_point))
    assert plan.found
    assert plan.steps == ()
    assert "is the one to reach" in plan.message


def test_gains_add_up_to_the_growth_of_the_joint_margin(bent):
    plan = bent.plan({"temperature": "18 degC", "hold": "58 min"}, rate_limits={"temperature": "10 K/h"})
    at = bent.searched.scaled_margins(bent.searched.cube(points_of(plan)[[0, -1]]))[:, 0]
    assert sum(step.gain for step in plan.steps) == pytest.approx(at[1] - at[0])


def test_wrong_arguments_are_named(bent):
    here = Values(bent.set_point)
    with pytest.raises(UnknownNameError, match="temperature"):
        bent.plan(here, rate_limits={"temprature": "1 K/h"})
    with pytest.raises(UnitError, match="rate_limits of temperature"):
        bent.plan(here, rate_limits={"temperature": "1 K"})
    with pytest.raises(EnvelopeError, match="above zero"):
        bent.plan(here, steps={"hold": "0 min"})
    with pytest.raises(EnvelopeError, match="more than"):
        bent.plan({"temperature": "40 degC", "hold": "25 min"}, rate_limits={"temperature": "1e-6 K/h"})


def test_tables_carry_units_and_the_file_gives_the_numbers_back(bent, tmp_path):
    plan = bent.plan({"temperature": "40 degC", "hold": "25 min"}, rate_limits={"temperature": "5 K/h"})
    plan.to_csv(tmp_path / "plan.csv")
    rows = list(csv.DictReader((tmp_path / "plan.csv").read_text(encoding="utf8").splitlines()))
    assert float(rows[0]["temperature [degC]"]) == pytest.approx(40.0)
    assert float(rows[-1]["hold [min]"]) == pytest.approx(bent.set_point["hold"] / 60.0)
    assert {row["claim"] for row in rows[1:]} <= {"certified", "predicted"}
    assert "40 degC" in str(plan)
    assert "25 min" in str(plan)


def test_a_plan_has_a_picture(bent, lobes):
    for plan in (bent.plan({"temperature": "90 degC", "hold": "50 min"}), lobes.plan(Values({"s0": 0.0}))):
        figure = plan.plot()
        assert figure.axes[-1].get_xlabel()
        plt.close(figure)


def test_a_prediction_is_no_claim(bent):
    """Outside the box, inside the region: near the exact probability, and marked as not certified."""
    found = bent.predict({"temperature": "18 degC", "hold": "58 min"})
    assert not found.certified
    assert found.in_region
    assert found.probability == 1.0
    assert "not certified" in str(found)
    edge = bent.predict({"temperature": "50 degC", "hold": "30 min"})  # the product is at its limit: one half
    assert edge.probability == pytest.approx(0.5, abs=3.0 * 0.5 / np.sqrt(200))
    assert not edge.in_region
    assert bent.predict(Values(bent.set_point)).certified
    beyond = bent.predict({"temperature": "120 degC", "hold": "5 min"})
    assert "nothing is known" in str(beyond)


def test_steps_say_what_they_do_for_the_objectives(analytic):
    """Profit is s0 - 0.5 s1 exactly: gains are sums of moves, and a smaller cost is better."""
    formulas = {
        "sum": lambda t, v: v["s0"] + v["s1"] + 0.01 * v["noise"],
        "profit": lambda t, v: v["s0"] - 0.5 * v["s1"] + 0.0 * v["noise"],
    }
    model = analytic.closed_form(formulas, ["noise"])
    knobs = analytic.knobs(2)
    envelope = find_envelope(
        model,
        analytic.gaussian_draws(model, 400, 0),
        recipe=analytic.one_hour(knobs),
        settings=knobs,
        limits=[Limit("sum", upper="1.5 1")],
        objectives=[Maximize("profit"), Minimize("s1", name="cost")],
        rng=1,
        budget=Budget(n_points=30),
    )
    present = {name: low + 0.05 * (high - low) for name, (low, high) in envelope.box.items()}
    plan = envelope.plan(Values(present), steps={"s0": "0.05 1", "s1": "0.05 1"})
    assert plan.certified
    at = points_of(plan)
    profit = at[:, 0] - 0.5 * at[:, 1]
    found = [step.objectives for step in plan.steps]
    name = next(key for key in found[0] if "profit" in key)
    assert [f[name].value for f in found] == pytest.approx(profit[1:], abs=1e-6)
    assert [f[name].gain for f in found] == pytest.approx(np.diff(profit), abs=1e-6)
    assert [f["cost"].gain for f in found] == pytest.approx(-np.diff(at[:, 1]), abs=1e-9)
    assert "better by" in str(plan)
