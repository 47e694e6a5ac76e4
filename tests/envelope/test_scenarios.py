"""What if: scenarios side by side, common random numbers, failures as rows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Limit, compare_scenarios, find_envelope
from physics_twin.errors import EnvelopeError, UnknownNameError


@pytest.fixture(scope="module")
def asked(analytic):
    """One setting; the limit is s0 + noise <= 1: the edge with probability p lies at 1 - z(p) sd."""
    model = analytic.closed_form({"sum": lambda t, v: v["s0"] + v["noise"]}, ["noise"])
    (knob,) = analytic.knobs(1)
    common = {
        "recipe": analytic.one_hour([knob]),
        "settings": [knob],
        "limits": [Limit("sum", upper="1 1")],
        "rng": 3,
    }
    return model, analytic.gaussian_draws(model, 1000, 0, sd=0.1), common


@pytest.fixture(scope="module")
def compared(asked, analytic):
    model, posterior, common = asked
    scenarios = {
        "today": {},
        "again": {},
        "stricter": {"probability": 0.99},
        "better known": {"posterior": analytic.gaussian_draws(model, 1000, 0, sd=0.05)},
        "not possible": {"limits": [Limit("sum", upper="-1 1")]},
        "wrong unit": {"limits": [Limit("sum", upper="1 kg")]},
    }
    return compare_scenarios(model, posterior, scenarios, **common)


def test_the_same_scenario_has_the_same_box_to_the_last_bit(compared, asked):
    model, posterior, common = asked
    assert compared["today"].box == compared["again"].box == find_envelope(model, posterior, **common).box


def test_what_differs_shows_as_theory_says(compared):
    """Half the spread moves the edge to half its distance from 1, as the same draws are scaled."""
    distance = {name: 1.0 - compared[name].box["s0"][1] for name in ("today", "better known", "stricter")}
    assert distance["better known"] == pytest.approx(0.5 * distance["today"], rel=1e-3)
    assert distance["stricter"] > distance["today"]
    assert compared.relative_volume("today") == 1.0
    widths = [compared[name].box["s0"][1] - compared[name].box["s0"][0] for name in ("today", "stricter")]
    assert compared.relative_volume("stricter") == pytest.approx(widths[1] / widths[0])


def test_a_scenario_can_have_a_recipe_of_its_own(analytic):
    """The load grows by 0.1 an hour: an hour more takes 0.1 off the edge, with the same draws to the last digits."""
    model = analytic.closed_form({"load": lambda t, v: v["s0"] + v["noise"] + 0.1 * t / 3600.0}, ["noise"])
    (knob,) = analytic.knobs(1)
    longer = pt.Recipe([pt.Phase("run", duration="2 h")], initial=analytic.one_hour([knob]).initial)
    found = compare_scenarios(
        model,
        analytic.gaussian_draws(model, 1000, 0, sd=0.1),
        {"an hour": {}, "two hours": {"recipe": longer}},
        recipe=analytic.one_hour([knob]),
        settings=[knob],
        limits=[Limit("load", upper="1 1")],
        rng=3,
    )
    edges = [found[name].box["s0"][1] for name in ("an hour", "two hours")]
    assert edges[0] - edges[1] == pytest.approx(0.1, abs=1e-4)
    assert {row.name: row.changed for row in found.rows}["two hours"] == ("recipe",)


def test_a_failed_scenario_is_a_row_with_its_reason(compared):
    rows = {row.name: row for row in compared.rows}
    assert rows["wrong unit"].envelope is None
    assert "kg" in rows["wrong unit"].reason
    assert rows["not possible"].envelope.empty
    assert compared.relative_volume("not possible") == 0.0
    with pytest.raises(EnvelopeError, match="wrong unit"):
        compared["wrong unit"]
    text = str(compared)
    for words in ("today", "stricter", "probability", "volume", "wrong unit: ", "not possible: no settings"):
        assert words in text
    assert len(compared.table) == 7


def test_the_picture_has_a_bar_for_each_box_and_says_what_has_none(compared):
    figure = compared.plot()
    assert len(figure.axes[0].patches) == 4
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["empty", "failed"]
    plt.close(figure)


def test_slips_are_named_before_anything_is_simulated(asked):
    model, posterior, common = asked
    with pytest.raises(UnknownNameError, match="probability"):
        compare_scenarios(model, posterior, {"a": {"probabilty": 0.9}}, **common)
    with pytest.raises(EnvelopeError, match="same for all"):
        compare_scenarios(model, posterior, {"a": {"rng": 1}}, **common)
    with pytest.raises(EnvelopeError, match="at least one"):
        compare_scenarios(model, posterior, {}, **common)
    with pytest.raises(UnknownNameError, match="scenario"):
        compare_scenarios(model, posterior, {"a": {}}, **common, probability=0.9)["b"]


def test_a_generator_is_the_same_for_all(asked):
    model, posterior, common = asked
    rng = np.random.default_rng(5)
    both = compare_scenarios(model, posterior, {"a": {}, "b": {}}, **{**common, "rng": rng})
    assert both["a"].box == both["b"].box
