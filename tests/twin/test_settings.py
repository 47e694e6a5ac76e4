"""Live inputs of recipes: what is read, what is only declared, and which recipe a name belongs to."""

import pytest

import physics_twin as pt
from physics_twin.twin import orders
from tests.twin.plants import at, fed, heater_twin

WHO = {"who": "A. Miller", "reason": "next charge"}


def recipe(level=None):
    """Heater 1 at a level that may be read, heater 2 off."""
    declared = {} if level is None else {"value": level}
    return pt.Recipe([pt.Phase("run", duration="1 h", q1=pt.Setting("level", "W", **declared), q2="0 W")])


def sampled(t, value=23.0):
    return [pt.Sample("T1", at(t), value, "degC"), pt.Sample("T2", at(t), 23.0, "degC")]


def test_a_new_recipe_says_what_nobody_reads():
    """A declared level is in force until it is read, and another recipe's declaration never outlives its batch."""
    twin = fed(heater_twin(recipe=recipe(2.0)), sampled(1.0))
    assert twin.state.held == {"level": 2.0}
    batch = twin.start_batch(recipe=recipe(5.0), **WHO)
    assert batch.state.held == {"level": 5.0}
    read = fed(batch, [pt.Sample("level", at(11.0), 3.0, "W")])
    assert read.state.held == {"level": 3.0}
    assert read.start_batch(recipe=recipe(7.0), **WHO).state.held == {"level": 3.0}


@pytest.mark.parametrize("reading", [None, 3.0], ids=["declared", "read"])
def test_forecasts_take_what_is_read_and_else_what_their_own_recipe_says(reading):
    """Of a forecast, and of every scenario: the same as with the number given, and not what the last recipe said."""
    twin = fed(heater_twin(recipe=recipe(2.0)), sampled(1.0))
    if reading is not None:
        twin = fed(twin, [pt.Sample("level", at(2.0), reading, "W")])
    expected = twin.forecast(recipe(9.0), "10 min", values={"level": (reading or 9.0, "W")})["T1"].values
    assert twin.forecast(recipe(9.0), "10 min")["T1"].values == pytest.approx(expected, rel=1e-12)
    given = twin.what_if({"hot": recipe(9.0)}, "10 min")
    assert given["hot"]["T1"].values == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_live_input_is_known_from_the_arrival_of_its_recipe_on(cut):
    """In one call with the start of the batch, in the next one, while the start waits for time, and gone through again:
    the same twin.
    """
    first = [*sampled(1.0), pt.Sample("q1", at(0.0), 1.0, "W"), pt.Sample("q2", at(0.0), 0.0, "W")]
    twin = fed(heater_twin(), first)
    begin = orders.start_batch(twin, None, None, recipe(), at=at(10.0), name="second", **WHO)
    rest = [pt.Sample("level", at(11.0), 2.0, "W"), *sampled(12.0), pt.Sample("level", at(13.0), 3.0, "W")]
    later = [*rest, *sampled(20.0, 24.0)]
    once = fed(twin, [begin, *later])
    assert once.state.held == {"level": 3.0} and not once.counts.unknown
    calls = [begin, *later]
    parts = fed(fed(twin, calls[:cut]), calls[cut:])
    hurried = twin
    for entry in calls:
        hurried, _ = pt.assimilate(hurried, [entry], budget="0 s")
    for other in (parts, fed(hurried, []), once.replay([*first, *calls])):
        assert other.digest == once.digest


def test_a_name_of_the_recipe_before_changes_nothing():
    """What the running recipe does not ask for is left out, however it comes."""
    twin = fed(heater_twin(recipe=recipe()), [pt.Sample("level", at(0.0), 1.0, "W"), *sampled(1.0)])
    blank = pt.Recipe([pt.Phase("run", duration="1 h", q1="1 W", q2="0 W")])
    batch = fed(twin.start_batch(recipe=blank, **WHO), sampled(11.0))
    stray = fed(batch, [pt.Sample("level", at(12.0), 50.0, "W")])
    assert stray.state.held == {}
    assert fed(stray, sampled(13.0)).mean == fed(batch, sampled(13.0)).mean
