"""Recipes: what they refuse, how tables are thinned, and that what they say is what a run does."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.schedules import Pieces, bind
from tests.process.plants import integral, run, sampled, tank

SECONDS_OF_AN_HOUR = np.arange(0.0, 3601.0)


# -- what is refused ------------------------------------------------------------------------------------------------


def test_a_recipe_needs_phases_of_different_names():
    """No phase, or two of one name, raise."""
    with pytest.raises(pt.RecipeError, match="at least one phase"):
        pt.Recipe([])
    with pytest.raises(pt.RecipeError, match="heat"):
        pt.Recipe([pt.Phase("heat", duration="1 s"), pt.Phase("heat", duration="1 s")])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "duration"),
        ({"duration": "1 s", "until": pt.reaches("level", "1 kg"), "at_most": "2 s"}, "not both"),
        ({"until": pt.reaches("level", "1 kg")}, "at_most"),
        ({"duration": "1 s", "at_most": "2 s"}, "at_most"),
        ({"duration": "1 s", "start": ["dose"]}, "dose"),
    ],
)
def test_a_phase_ends_in_one_way(arguments, said):
    """A duration, or a level with the longest wait; events are events."""
    with pytest.raises(pt.RecipeError, match=said):
        pt.Phase("p", **arguments)


@pytest.mark.parametrize(
    ("recipe", "error", "said"),
    [
        (pt.Recipe.constant(feed="1 kg/s"), pt.UnknownNameError, "inflow|feed"),
        (pt.Recipe.constant(inflow="1 kg"), pt.UnitError, "inflow"),
        (pt.Recipe.constant(inflow=1.0), pt.UnitError, "inflow"),
        (pt.Recipe([pt.Phase("p", duration="1 s")]), pt.RecipeError, "inflow"),
        (pt.Recipe([pt.Phase("p", inflow="1 kg/s", duration="1 m")]), pt.UnitError, "duration"),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="1 s", start=[pt.dose("levl", "1 kg")])]),
            pt.UnknownNameError,
            "level",
        ),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="1 s", start=[pt.dose("level", "1 m")])]),
            pt.UnitError,
            "dose level",
        ),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", until=pt.reaches("levle", "1 kg"), at_most="1 s")]),
            pt.UnknownNameError,
            "level",
        ),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", until=pt.reaches("level", "1 K"), at_most="1 s")]),
            pt.UnitError,
            "until",
        ),
        (
            pt.Recipe(
                [pt.Phase("p", inflow=pt.ramp("0 kg/s", "1 kg/s"), until=pt.reaches("level", "1 kg"), at_most="1 s")]
            ),
            pt.RecipeError,
            "over",
        ),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="1 s")], initial={"lvl": "1 kg"}),
            pt.UnknownNameError,
            "lvl",
        ),
        (pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="1 s")], initial={"level": "1 K"}), pt.UnitError, "level"),
        (pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="-1 s")]), pt.RecipeError, "-1 s"),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="9 s", at={"10 s": [pt.dose("level", "1 kg")]})]),
            pt.RecipeError,
            "10 s",
        ),
        (
            pt.Recipe([pt.Phase("p", inflow="0 kg/s", duration="9 s", at={"-1 s": [pt.dose("level", "1 kg")]})]),
            pt.RecipeError,
            "-1 s",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_its_model_raises(recipe, error, said):
    """Names, units, and times that never come are found before anything is integrated."""
    with pytest.raises(error, match=said):
        run(tank(), [0.5], recipe)


def test_settings_of_one_name_must_be_one_setting():
    """Two different settings called alike raise; the same one twice is one."""
    a, b = pt.Setting("hold", "s", bounds=(1, 2)), pt.Setting("hold", "s", bounds=(1, 3))
    with pytest.raises(pt.RecipeError, match="hold"):
        pt.Recipe([pt.Phase("a", duration=a), pt.Phase("b", duration=b)])
    assert list(pt.Recipe([pt.Phase("a", duration=a), pt.Phase("b", duration=a)]).settings) == ["hold"]


def test_an_open_setting_without_a_value_says_how_to_give_it():
    """The message shows the name and where it goes."""
    recipe = pt.Recipe.constant(inflow=pt.Setting("rate", "kg/s", bounds=(0, 2)), duration="10 s")
    with pytest.raises(pt.RecipeError, match="rate"):
        run(tank(), [1.0], recipe)
    assert run(tank(), [1.0], recipe, {"rate": "2 kg/s"})[0, 0] == pytest.approx(2.0)


def test_a_setting_of_the_wrong_unit_raises():
    """A setting in K cannot be a flow; one in kg/h can."""
    with pytest.raises(pt.UnitError, match="rate"):
        run(tank(), [1.0], pt.Recipe.constant(inflow=pt.Setting("rate", "K", bounds=(0, 2), value="1 K")))
    hourly = pt.Recipe.constant(inflow=pt.Setting("rate", "kg/h", bounds=(0, 9000), value="7200 kg/h"))
    assert run(tank(), [1.0], hourly)[0, 0] == pytest.approx(2.0)


def test_a_setting_that_is_a_parameter_of_the_model_raises():
    """One name cannot mean two numbers."""
    recipe = pt.Recipe.constant(inflow=pt.Setting("leak", "kg/s", bounds=(0, 2), value="1 kg/s"))
    with pytest.raises(pt.ModelError, match="leak"):
        run(tank(), [1.0], recipe)


def test_running_past_the_end_raises_unless_told_to_hold():
    """A recipe of 10 s has no inputs at 11 s."""
    recipe = pt.Recipe.constant(inflow="1 kg/s", duration="10 s")
    with pytest.raises(pt.RecipeError, match=r"10 s.*hold_end"):
        run(tank(), [11.0], recipe)
    assert run(tank(), [11.0], recipe.replace(hold_end=True))[0, 0] == pytest.approx(11.0)
    table = pt.Recipe.from_table([0.0, 10.0], {"inflow": ([1.0, 1.0], "kg/s")})
    with pytest.raises(pt.RecipeError, match="10 s"):
        run(tank(), [10.5], table)


# -- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "values", "said"),
    [
        ([0.0, 1.0, 1.0], [0.0, 1.0, 2.0], "increase at row 2"),
        ([0.0, 2.0, 1.0], [0.0, 1.0, 2.0], "increase at row 2"),
        ([1.0, 2.0], [0.0, 1.0], "first row is at 1 s"),
        ([0.0, 1.0], [0.0, np.nan], "row 1"),
        ([0.0, 1.0], [0.0, np.inf], "row 1"),
        ([0.0, 1.0, 2.0], [0.0, 1.0], "same length"),
        ([], [], "same length"),
    ],
)
@pytest.mark.parametrize("rule", [pt.HOLD, pt.RAMP])
def test_a_bad_table_says_which_row(times, values, said, rule):
    """Duplicate, falling, missing and non-finite rows are refused with their number."""
    with pytest.raises(pt.RecipeError, match=said):
        pt.table(times, values, "K", rule)


def test_a_held_pulse_of_a_tenth_of_a_second_in_an_hour_is_not_skipped():
    """The integrator restarts where a held value changes: 0.1 s at 1000 kg/s are 100 kg, whatever the step was."""
    recipe = pt.Recipe.from_table([0.0, 1234.5, 1234.6, 3600.0], {"inflow": ([0.0, 1000.0, 0.0, 0.0], "kg/s", pt.HOLD)})
    outputs = run(tank(), [1234.5, 1234.6, 3600.0], recipe)
    np.testing.assert_allclose(outputs[:, 0], [0.0, 100.0, 100.0], rtol=1e-9, atol=1e-9)


def test_collinear_rows_are_merged():
    """An hour of rows on one line are two rows; a corner stays a row."""
    straight = pt.table(SECONDS_OF_AN_HOUR, 0.01 * SECONDS_OF_AN_HOUR, "K")
    assert len(straight.times) == 2
    bent = pt.table(SECONDS_OF_AN_HOUR, np.minimum(SECONDS_OF_AN_HOUR, 1000.0), "K")
    # The rows are recorded to 1 K, so the corner is known to one row.
    assert len(bent.times) == 3
    assert abs(bent.times[1] - 1000.0) <= 1.0
    exact = pt.table([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 2.0, 2.0], "K")
    assert exact.times == (0.0, 2.0, 4.0)
    held = pt.table(SECONDS_OF_AN_HOUR, np.where(SECONDS_OF_AN_HOUR < 60.0, 1.0, 2.0), "K", pt.HOLD)
    assert held.times == (0.0, 60.0, 3600.0)


def test_merging_keeps_every_row_within_a_resolution():
    """A signal recorded to 0.1 K, a row a second: each row lies within 0.1 K of the thinned line."""
    rng = np.random.default_rng(5)
    smooth = 300.0 + 40.0 * np.sin(SECONDS_OF_AN_HOUR / 500.0) + 0.02 * rng.standard_normal(SECONDS_OF_AN_HOUR.size)
    recorded = np.round(smooth, 1)
    thinned = pt.table(SECONDS_OF_AN_HOUR, recorded, "K")
    line = np.interp(SECONDS_OF_AN_HOUR, thinned.times, thinned.values)
    assert np.max(np.abs(line - recorded)) <= 0.1 * (1.0 + 1e-6)
    assert len(thinned.times) < 0.35 * recorded.size


def test_a_row_a_second_costs_a_few_restarts_and_says_how_many():
    """A staircase of 0.1 K over an hour is not 3600 restarts; the statistics count what is left."""
    recorded = np.round(1.0 + 0.5 * np.sin(SECONDS_OF_AN_HOUR / 700.0), 2)
    recipe = pt.Recipe.from_table(SECONDS_OF_AN_HOUR, {"inflow": (recorded, "kg/s")})
    simulated = pt.simulate(tank(), [3600.0], recipe)
    rows = len(recipe.phases[0].inputs["inflow"].times)
    assert simulated.statistics["n_restarts"] <= rows < 400
    # The merged line stays within 0.01 kg/s of every row, so the integral within 36 kg of the rows' own.
    assert simulated["level"].values[0] == pytest.approx(np.trapezoid(recorded, SECONDS_OF_AN_HOUR), abs=36.0)


@pytest.mark.parametrize("rule", [pt.HOLD, pt.RAMP])
def test_a_table_is_integrated_exactly(rule):
    """The level is the exact integral of the held or ramped rows at every time."""
    rng = np.random.default_rng(3)
    t = np.concatenate([[0.0], np.cumsum(rng.uniform(0.1, 9.0, 30))])
    v = rng.uniform(0.0, 5.0, t.size)
    recipe = pt.Recipe.from_table(t, {"inflow": (v, "kg/s", rule)})
    at = np.sort(rng.uniform(0.0, t[-1], 40))
    np.testing.assert_allclose(run(tank(), at, recipe)[:, 0], integral(t, v, at, rule is pt.HOLD), rtol=1e-7, atol=1e-7)


def test_inputs_as_outputs_are_left_limits():
    """At the time of a jump an output shows the value from before; after it, the new one."""
    recipe = pt.Recipe.from_table([0.0, 10.0, 20.0], {"inflow": ([1.0, 2.0, 2.0], "kg/s", pt.HOLD)})
    np.testing.assert_array_equal(run(tank(), [9.0, 10.0, 10.5, 20.0], recipe)[:, 1], [1.0, 1.0, 2.0, 2.0])


def test_table_of_a_day_with_rows_a_second_binds_quickly():
    """86 400 noisy rows become a recipe in well under a second of work: thinning is linear in the rows."""
    t = np.arange(86_401.0)
    v = np.round(20.0 + np.sin(t / 3000.0), 1)
    recipe = pt.Recipe.from_table(t, {"inflow": (v, "kg/s")})
    assert isinstance(bind(recipe, tank().inputs, tank().outputs, {}).phases[0].inputs[0], Pieces)


# -- phases ---------------------------------------------------------------------------------------------------------


def test_an_input_that_is_not_named_stays_where_its_phase_was_heading():
    """A ramp that a level cut short goes on to be held at its end in the next phase, as the class says."""
    recipe = pt.Recipe(
        [
            pt.Phase("fill", inflow=pt.ramp("0 kg/s", "4 kg/s"), duration="10 s"),
            pt.Phase("go on", duration="5 s"),
        ]
    )
    assert run(tank(), [10.0, 15.0], recipe)[:, 0] == pytest.approx([20.0, 40.0])


def test_ramp_over_a_part_of_a_phase_is_held_from_there():
    """ramp(over="5 s") in a phase of 10 s: 5 s of ramp, 5 s held."""
    recipe = pt.Recipe([pt.Phase("p", inflow=pt.ramp("0 kg/s", "2 kg/s", over="5 s"), duration="10 s")])
    assert run(tank(), [5.0, 10.0], recipe)[:, 0] == pytest.approx([5.0, 15.0])


@pytest.mark.parametrize("over", ["0 s", "-1 s"])
def test_a_ramp_of_no_length_raises(over):
    """A step is not a ramp."""
    recipe = pt.Recipe([pt.Phase("p", inflow=pt.ramp("0 kg/s", "2 kg/s", over=over), duration="10 s")])
    with pytest.raises(pt.RecipeError, match="ramp"):
        run(tank(), [5.0], recipe)


@pytest.mark.parametrize(
    ("crossing", "expected"),
    [(pt.reaches("level", "5 kg"), 5.0), (pt.rises_to("level", "5 kg"), 5.0), (pt.falls_to("level", "5 kg"), 0.0)],
)
def test_a_phase_ends_on_its_level(crossing, expected):
    """Level rises at 1 kg/s from 0: reaches and rises_to end at 5 s; falls_to is met from the start."""
    recipe = pt.Recipe(
        [pt.Phase("wait", inflow="1 kg/s", until=crossing, at_most="100 s"), pt.Phase("rest", duration="1 s")]
    )
    model = tank()
    assert model.phase_times(recipe, sampled(model, recipe)) == pytest.approx([0.0, expected, expected + 1.0], abs=1e-9)


def test_a_level_that_is_not_reached_is_a_failure_that_names_the_phase():
    """After at_most the run fails: a soak that never reaches its temperature is not a soak."""
    recipe = pt.Recipe([pt.Phase("soak", inflow="1 kg/s", until=pt.reaches("level", "50 kg"), at_most="20 s")])
    with pytest.raises(pt.SolveError, match="soak") as caught:
        run(tank(), [30.0], recipe)
    assert caught.value.time == pytest.approx(20.0)
    assert caught.value.values


def test_until_a_level_that_is_a_setting():
    """The level may be left open."""
    level = pt.Setting("target", "kg", bounds=(1, 10))
    recipe = pt.Recipe([pt.Phase("fill", inflow="2 kg/s", until=pt.reaches("level", level), at_most="1 h")])
    model = tank()
    assert model.phase_times(recipe, sampled(model, recipe, {"target": "8 kg"}))[-1] == pytest.approx(4.0, abs=1e-9)


def test_phases_of_no_length_are_passed():
    """A duration of 0 s: its events act, its inputs never hold."""
    none = pt.Setting("none", "s", bounds=(0, 10), value="0 s")
    recipe = pt.Recipe(
        [
            pt.Phase("a", inflow="1 kg/s", duration=none, start=[pt.dose("level", "3 kg")]),
            pt.Phase("b", inflow="2 kg/s", duration="0 s", start=[pt.dose("level", "4 kg")]),
            pt.Phase("c", inflow="0 kg/s", duration="10 s"),
        ]
    )
    assert run(tank(), [5.0], recipe)[0, 0] == pytest.approx(7.0)


def test_doses_discharges_and_settings_of_states():
    """dose adds, discharge takes away, set_state sets; before inputs act, and not in the sample at the same time."""
    recipe = pt.Recipe(
        [
            pt.Phase("a", inflow="0 kg/s", duration="10 s", start=[pt.dose("level", "3 kg")]),
            pt.Phase(
                "b",
                duration="10 s",
                start=[pt.discharge("level", "1 kg")],
                at={"5 s": [pt.set_state("level", "500 g"), pt.dose("level", "1 kg")]},
            ),
        ]
    )
    outputs = run(tank(), [0.0, 1.0, 10.0, 11.0, 15.0, 16.0], recipe)
    assert outputs[:, 0] == pytest.approx([0.0, 3.0, 3.0, 2.0, 2.0, 1.5])


def test_doses_at_times_that_are_settings():
    """A dose at an open time."""
    when = pt.Setting("when", "s", bounds=(0, 10))
    recipe = pt.Recipe([pt.Phase("a", inflow="0 kg/s", duration="10 s", at=[(when, [pt.dose("level", "3 kg")])])])
    for at, expected in (("2 s", [3.0, 3.0]), ("7 s", [0.0, 3.0]), ("0 s", [3.0, 3.0]), ("10 s", [0.0, 0.0])):
        assert run(tank(), [5.0, 9.0], recipe, {"when": at})[:, 0] == pytest.approx(expected), at


def test_events_at_one_time_act_in_the_order_written():
    """set, then dose is not dose, then set."""
    both = [pt.set_state("level", "1 kg"), pt.dose("level", "2 kg")]
    for events, expected in ((both, 3.0), (both[::-1], 1.0)):
        recipe = pt.Recipe([pt.Phase("a", inflow="0 kg/s", duration="10 s", at=[("4 s", events)])])
        assert run(tank(), [5.0], recipe)[0, 0] == pytest.approx(expected)


def test_initial_values_are_bound_by_the_recipe():
    """A recipe may bind an initial value, to a quantity or a setting; giving it again in values raises."""
    charge = pt.Setting("charge", "kg", bounds=(0, 10), value="4 kg")
    recipe = pt.Recipe.constant(inflow="0 kg/s").replace(initial={"level": charge})
    assert run(tank(), [1.0], recipe)[0, 0] == 4.0
    assert run(tank(), [1.0], recipe, {"charge": "6 kg"})[0, 0] == 6.0
    with pytest.raises(pt.RecipeError, match=r"initial\.level"):
        run(tank(), [1.0], recipe, {"initial.level": "1 kg"})


def test_duration_of_a_recipe():
    """Known where the clock says it; None where a setting or a level does; inf for a constant recipe."""
    assert pt.Recipe([pt.Phase("a", duration="1 h"), pt.Phase("b", duration="60 s")]).duration == 3660.0
    assert pt.Recipe.constant().duration == np.inf
    hold = pt.Setting("hold", "s", bounds=(0, 1))
    assert pt.Recipe([pt.Phase("a", duration=hold)]).duration is None


def test_recipes_are_immutable_values():
    """Equal recipes are equal; nothing can be assigned."""
    make = lambda: pt.Recipe([pt.Phase("a", inflow=pt.ramp("0 kg/s", "1 kg/s"), duration="1 h")])  # noqa: E731
    assert make() == make()
    with pytest.raises(AttributeError):
        make().phases = ()


def test_recipe_from_csv(tmp_path):
    """A log with a header becomes a recipe; time begins at its first row; a misspelt column is named."""
    (tmp_path / "log.csv").write_text("minutes, flow\n5,60\n6,120\n7,120\n")
    recipe = pt.Recipe.from_csv(
        tmp_path / "log.csv", time=("minutes", "min"), inputs={"inflow": ("flow", "kg/h", pt.HOLD)}
    )
    assert run(tank(), [60.0, 120.0], recipe)[:, 0] == pytest.approx([1.0, 3.0])
    with pytest.raises(pt.UnknownNameError, match="flow"):
        pt.Recipe.from_csv(tmp_path / "log.csv", time=("minutes", "min"), inputs={"inflow": ("flw", "kg/h")})
