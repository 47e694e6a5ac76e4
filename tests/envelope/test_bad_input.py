"""What is asked for wrongly is refused at the line of the mistake, with what to do instead."""

from dataclasses import replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Budget, LargestBox, Limit, final, find_envelope
from physics_twin.errors import EnvelopeError, ModelError, PhysicsTwinError, UnitError, UnknownNameError
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.recipes import Phase, Recipe, reaches
from physics_twin.signals import Setting


@pytest.fixture
def case(analytic):
    """A sound question; each test spoils one part of it."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    return {
        "model": model,
        "posterior": analytic.gaussian_draws(model, 500, 1),
        "recipe": analytic.one_hour(settings),
        "settings": settings,
        "limits": [Limit("y", upper=1.0, over=final)],
        "rng": 1,
    }


def ask(case, **changes):
    given = {**case, **changes}
    return find_envelope(given.pop("model"), given.pop("posterior"), **given)


def test_an_unknown_output_names_the_nearest(case):
    with pytest.raises(UnknownNameError, match="output"):
        ask(case, limits=[Limit("yy", upper=1.0)])


def test_a_setting_that_the_recipe_does_not_contain(case):
    with pytest.raises(UnknownNameError, match='did you mean "s0"'):
        ask(case, settings=[Setting("s00", "1", bounds=(0, 1))])


def test_a_setting_that_differs_from_the_one_in_the_recipe(case):
    with pytest.raises(EnvelopeError, match="declare it once"):
        ask(case, settings=[Setting("s0", "1", bounds=(0, 2))])


def test_bounds_in_the_wrong_unit_are_refused_where_the_setting_is_made():
    with pytest.raises(UnitError, match="min"):
        Setting("hold_time", "min", bounds=("20 K", "120 K"))


def test_a_setting_without_finite_bounds(case, analytic):
    """The bounds are what is missing, whatever the recipe's setting of that name has."""
    free = Setting("s0", "1")
    with pytest.raises(EnvelopeError, match=r'"s0" has no lower and no upper bound, .* bounds=\(\.\.\., \.\.\.\)'):
        ask(case, settings=[free], recipe=analytic.one_hour([free]))
    with pytest.raises(EnvelopeError, match=r'"s0" has no lower and no upper bound; the recipe\'s .* has 0 to 1: give'):
        ask(case, settings=[free])
    half = Setting("s0", "1", bounds=(0, None))
    with pytest.raises(EnvelopeError, match='"s0" has no upper bound;'):
        ask(case, settings=[half])


def test_no_setting_and_one_given_twice(case):
    with pytest.raises(EnvelopeError, match="at least one setting"):
        ask(case, settings=[])
    with pytest.raises(EnvelopeError, match="twice"):
        ask(case, settings=[*case["settings"], *case["settings"]])


def test_too_few_draws_say_how_many_are_needed(case, analytic):
    with pytest.raises(EnvelopeError, match=r"too few draws.*Give at least 165 draws \(there are 100"):
        ask(case, posterior=analytic.gaussian_draws(case["model"], 100, 1))
    fitted = replace(analytic.gaussian_draws(case["model"], 100, 1), provenance={"method": "GaussNewton(n_draws=100)"})
    with pytest.raises(EnvelopeError, match=r"method=pt\.GaussNewton\(n_draws=165\)"):
        ask(case, posterior=fitted)
    few_points = [Limit("y", upper=1.0, over=final, probability=0.999)]
    with pytest.raises(EnvelopeError, match=r"at 4 points.*Budget\(n_certification=5073\)"):
        ask(case, posterior=analytic.gaussian_draws(case["model"], 20000, 1), limits=few_points)
    enough = ask(case, posterior=analytic.gaussian_draws(case["model"], 165, 1), limits=[Limit("y", upper=9.0)])
    assert enough.certificate.passed


def test_the_posterior_of_another_model_by_name(case, analytic):
    other = analytic.closed_form({"y": lambda t, v: v["q"]}, ["q"])
    with pytest.raises(PhysicsTwinError, match="another model"):
        ask(case, posterior=analytic.gaussian_draws(other, 500, 1))


def test_the_posterior_of_another_model_by_fingerprint(case):
    posterior = replace(case["posterior"], provenance={"fingerprint": "something-else"})
    with pytest.raises(ModelError, match="not the model that was fitted"):
        ask(case, posterior=posterior)


def test_a_tolerance_or_variation_of_something_unknown(case):
    with pytest.raises(UnknownNameError, match="setting"):
        ask(case, tolerance={"s1": 0.1})
    with pytest.raises(UnknownNameError, match="parameter"):
        ask(case, batch_variation={"b": 0.1})
    with pytest.raises(UnknownNameError, match="tolerance="):
        ask(case, batch_variation={"s0": 0.1})


def test_a_misspelled_value_is_named_before_what_is_open(case, analytic):
    """Of the two settings of the recipe one is searched, and the other's name is misspelled in values=."""
    both = [*case["settings"], Setting("hold_time", "min")]
    with pytest.raises(UnknownNameError, match='there is no parameter or setting "hold_tim"; did you mean "hold_time"'):
        ask(case, recipe=analytic.one_hour(both), values={"hold_tim": "3 min"})


def test_a_negative_spread_is_repeated_as_it_was_given(case, analytic):
    """Name, number and unit of the person, and not what they are in SI."""
    knob = Setting("batch_time", "min", bounds=(10, 100))
    model = analytic.closed_form({"y": lambda t, v: v["batch_time"] / 6000.0 + v["a"]}, ["a"])
    rate = Parameter("a", "0.1 1/min")
    model = replace(model, parameters=ParameterSet([rate]))
    posterior = Posterior.from_draws([rate], np.full((500, 1), 0.1 / 60.0))
    other = {**case, "model": model, "posterior": posterior, "settings": [knob], "recipe": analytic.one_hour([knob])}
    with pytest.raises(EnvelopeError, match="tolerance of batch_time = -2 min: a standard deviation"):
        ask(other, tolerance={"batch_time": "-2 min"})
    with pytest.raises(EnvelopeError, match="tolerance of batch_time = -2 min: a standard deviation"):
        ask(other, tolerance={"batch_time": (-2.0, "min")})
    with pytest.raises(EnvelopeError, match=r"batch_variation of a = -0\.001 1/min: a standard deviation"):
        ask(other, batch_variation={"a": "-0.001 1/min"})
    with pytest.raises(EnvelopeError, match=r"tolerance of s0 = -0\.1: a standard deviation"):
        ask(case, tolerance={"s0": -0.1})


def test_a_tolerance_is_a_difference_with_its_unit(analytic):
    """2 degC of tolerance on a setting in degC is 2 K and never 275 K; a bare number is refused."""
    knob = Setting("temperature", "degC", bounds=(20, 40))
    model = analytic.closed_form({"y": lambda t, v: v["temperature"] - 300.0 + 0.0 * v["a"]}, ["a"])
    given = {
        "recipe": analytic.one_hour([knob]),
        "settings": [knob],
        "limits": [Limit("y", upper=5.0, over=final)],
        "rng": 1,
    }
    posterior = analytic.gaussian_draws(model, 2000, 1)
    envelope = find_envelope(model, posterior, tolerance={"temperature": "2 degC"}, **given)
    assert envelope.box["temperature"][1] == pytest.approx(305.0 - 1.645 * 2.0, abs=2.0)
    assert "tolerance of temperature: sd 2 K" in envelope.includes
    with pytest.raises(UnitError, match="temperature"):
        find_envelope(model, posterior, tolerance={"temperature": 2.0}, **given)


@pytest.mark.parametrize("name", ["probability", "confidence"])
def test_a_probability_is_between_0_and_1(case, name):
    with pytest.raises(EnvelopeError, match=name):
        ask(case, **{name: 95})


def test_budgets_that_cannot_work():
    with pytest.raises(EnvelopeError, match="search_share"):
        Budget(search_share=1.0)
    with pytest.raises(EnvelopeError, match="n_nodes"):
        Budget(n_nodes=1)


def test_a_recipe_without_an_end(case):
    recipe = Recipe([Phase("run", duration="inf s")], initial={"s0": case["settings"][0]})
    with pytest.raises(EnvelopeError, match="has no end"):
        ask(case, recipe=recipe)


def test_a_level_that_only_the_run_knows_needs_a_model_that_can_tell(case):
    recipe = Recipe([Phase("run", until=reaches("y", 1.0), at_most="1 h")], initial={"s0": case["settings"][0]})
    with pytest.raises(EnvelopeError, match="Phased"):
        ask(case, recipe=recipe)


def test_draws_that_are_all_of_sensors_say_nothing_about_the_model(case):
    noise = Posterior.from_draws([Parameter("noise.y", 1.0, unit="1")], np.ones((500, 1)))
    with pytest.raises(EnvelopeError, match="no parameter of the model"):
        ask(case, posterior=noise)


def test_a_point_to_hold_that_is_not_searched_and_weights_of_unknown_settings(case):
    with pytest.raises(EnvelopeError, match=r"around: s0 = 1\.2 lies outside of what is searched, 0 to 1"):
        ask(case, shape=LargestBox(around={"s0": 1.2}))
    with pytest.raises(UnknownNameError, match="setting"):
        ask(case, shape=LargestBox(around={"s1": 0.5}))
    with pytest.raises(UnknownNameError, match="setting"):
        ask(case, shape=LargestBox(weights={"s1": 2.0}))
    with pytest.raises(EnvelopeError, match="weight"):
        LargestBox(weights={"s0": 0.0})


# Something else altogether ----------------------------------------------------------------------------------------

OF_ALL = [
    ({"recipe": None}, r"recipe is None; write recipe=pt\.Recipe"),
    ({"limits": Limit("y", upper=1.0)}, r"limits is a Limit; give a list: limits=\[pt\.Limit"),
    ({"limits": ["y"]}, r"'y' is no limit; write pt\.Limit"),
    ({"posterior": "posterior.nc"}, r"posterior is 'posterior\.nc'; give what pt\.calibrate"),
    ({"model": ParameterSet}, r"model is the class ParameterSet itself, without \(\); give the model"),
    ({"rng": "7"}, "rng is '7'; give a whole number"),
    ({"rng": 1.5}, "rng is 1.5; give a whole number"),
    ({"batch_variation": "2 K"}, "batch_variation is '2 K'; name the parameter"),
    ({"batch_variation": {"a": pt.Normal}}, "batch_variation of a: .*is not a quantity"),
    ({"values": ["a"]}, "values is a list; name what is held"),
    ({"budget": 100}, r"budget is 100; write budget=pt\.Budget"),
    ({"budget": Budget}, r"budget is the class Budget itself, without \(\)"),
    ({"executor": 4}, "executor is 4; give an executor"),
]
OF_SETTINGS = [
    ({"settings": Setting("s0", "1", bounds=(0, 1))}, r"settings is a Setting; give a list: settings=\[pt\.Setting"),
    ({"settings": ["s0"]}, "settings holds 's0'; give a list of settings"),
    ({"probability": "95 %"}, "probability = '95 %': it must be a number"),
    ({"tolerance": "1 min"}, "tolerance is '1 min'; name the setting"),
    ({"objectives": "y"}, r"objectives is 'y'; write objectives=pt\.Maximize"),
    ({"objectives": pt.Maximize}, "objectives is the function Maximize itself, not called"),
]


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [*OF_ALL, *OF_SETTINGS, ({"shape": pt.Polytope}, r"class Polytope itself, without"), ({"checkpoint": 5}, "folder")],
)
def test_find_envelope_refuses_what_it_cannot_use_at_all(case, spoiled, said):
    with pytest.raises(PhysicsTwinError, match=said):
        ask(case, **spoiled)


@pytest.mark.parametrize(("spoiled", "said"), [*OF_ALL, *OF_SETTINGS, ({"n_starts": "8"}, "n_starts = '8': a whole")])
def test_find_set_point_does_too(case, spoiled, said):
    given = {**case, "objectives": pt.Maximize("y"), **spoiled}
    with pytest.raises(PhysicsTwinError, match=said):
        pt.find_set_point(given.pop("model"), given.pop("posterior"), **given)


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        *(row for row in OF_ALL if row[0] != {"limits": ["y"]} and row[0] != {"batch_variation": {"a": pt.Normal}}),
        ({"profiles": "u"}, r"profiles is 'u'; name the input: profiles="),
        ({"objective": "y"}, r"objective is 'y'; write objective=pt\.Maximize"),
        ({"duration": "2 h"}, r"duration is '2 h'; write duration=pt\.Setting"),
        ({"charges": Setting("s0", "1")}, "charges is a Setting; give a list"),
        ({"method": pt.Collocation}, "method is the class Collocation itself"),
    ],
)
def test_find_recipe_does_too(case, spoiled, said):
    given = {**case, "objective": pt.Maximize("y"), "profiles": {"u": pt.Profile(bounds=(0, 1))}, **spoiled}
    del given["settings"]
    with pytest.raises(PhysicsTwinError, match=said):
        pt.find_recipe(given.pop("model"), given.pop("posterior"), **given)


@pytest.mark.parametrize(
    ("scenarios", "said"),
    [
        (["today"], "scenarios is a list; name each"),
        ({"today": None}, 'scenario "today": None does not name what differs'),
        ({"today": {"tolerence": {}}}, 'did you mean "tolerance"'),
        ({1: {}}, "needs a name"),
    ],
)
def test_compare_scenarios_does_too(case, scenarios, said):
    given = dict(case)
    with pytest.raises(PhysicsTwinError, match=said):
        pt.compare_scenarios(given.pop("model"), given.pop("posterior"), scenarios, **given)


def test_a_scenario_with_an_argument_of_the_wrong_kind_is_a_row_with_the_reason(case):
    given = dict(case)
    found = pt.compare_scenarios(given.pop("model"), given.pop("posterior"), {"dear": {"budget": 9}}, **given)
    assert [row.reason for row in found.rows] == ["budget is 9; write budget=pt.Budget(n_points=40)"]


@pytest.fixture(scope="module")
def envelope(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    given = {"settings": analytic.knobs(1), "limits": [Limit("y", upper=1.0, over=final)], "rng": 1}
    recipe = analytic.one_hour(given["settings"])
    return find_envelope(model, analytic.gaussian_draws(model, 500, 1), recipe=recipe, **given)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda e: e.check(0.3), r'the settings are 0\.3; name each of them, with its unit: \{"s0": '),
        (lambda e: e.predict("s0"), "the settings are 's0'; name each of them"),
        (lambda e: e.plan(None), "the settings are None; name each of them"),
        (lambda e: e.plan({"s0": 0.3}, rate_limits="5 K/h"), "rate_limits is '5 K/h'; name the setting"),
        (lambda e: e.plan({"s0": 0.3}, step="-1 h"), "step = -1 h: a step takes a time above zero"),
        (lambda e: e.plan({"s0": 0.3}, steps={"s0": "-10 percent"}), "steps of s0 = -10 percent: it must be above"),
        (lambda e: e.against("history.csv"), r"history is 'history\.csv'; give a list of past batches"),
        (lambda e: e.against(["charge_1"]), "'charge_1' is no past batch; give a list of experiments"),
    ],
)
def test_an_envelope_refuses_what_it_cannot_use_at_all(envelope, use, said):
    with pytest.raises(EnvelopeError, match=said):
        use(envelope)


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"model": None}, "model is None; give the model"),
        ({"posterior": "posterior.nc"}, r"posterior is 'posterior\.nc'; give what pt\.calibrate"),
        ({"limits": Limit("y", upper=1.0)}, "limits is a Limit; give a list"),
        ({"rng": "1"}, "rng is '1'; give a whole number"),
        ({"executor": 4}, "executor is 4; give an executor"),
    ],
)
def test_recertify_does_too(envelope, case, spoiled, said):
    given = {"model": case["model"], "posterior": case["posterior"], **spoiled}
    with pytest.raises(EnvelopeError, match=said):
        envelope.recertify(given.pop("model"), given.pop("posterior"), **given)


SIGNED = {"who": "A. Smith", "reason": "reviewed", "at": "2026-11-21T06:00Z"}


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"envelope": "envelope.nc"}, r"'envelope\.nc' is no envelope; give what pt\.find_envelope returned"),
        ({"ranges": ["s0"]}, "ranges is a list; name the setting"),
        ({"ranges": {"s0": "0 to 1"}}, 'ranges: "s0" is a pair'),
        ({"log": "log.json"}, r"log= is the \.log of an earlier approval"),
        ({"at": None}, "None is no moment"),
        ({"who": None}, "needs who"),
    ],
)
def test_approve_refuses_what_it_cannot_use_at_all(envelope, spoiled, said):
    given = {"envelope": envelope, **SIGNED, **spoiled}
    with pytest.raises(PhysicsTwinError, match=said):
        pt.approve(given.pop("envelope"), **given)


def test_an_advisor_refuses_wrong_arguments_and_impossible_moves_when_it_is_made(envelope):
    approval = pt.approve(envelope, **SIGNED)
    for wrong in ((envelope, approval), ("approval.json", envelope), (approval, None)):
        with pytest.raises(EnvelopeError, match=r"pt\.Advisor\(approval, envelope\)"):
            pt.Advisor(*wrong)
    with pytest.raises(UnknownNameError, match="s1"):
        pt.Advisor(approval, envelope, rate_limits={"s1": "1 1/h"})
    with pytest.raises(UnitError, match="rate_limits of s0"):
        pt.Advisor(approval, envelope, rate_limits={"s0": "5 K"})
    with pytest.raises(EnvelopeError, match="steps of s0 = 0: it must be above zero"):
        pt.Advisor(approval, envelope, steps={"s0": 0})
    with pytest.raises(UnitError, match="step"):
        pt.Advisor(approval, envelope, step="often")
    with pytest.raises(EnvelopeError, match="the settings are None"):
        pt.Advisor(approval, envelope).propose(None, at="2026-11-21T07:00Z")
