"""Live inputs of recipes: what is read, and what is only declared."""

import pytest

import physics_twin as pt
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
    batch = twin.start_batch(recipe=recipe(5.0), at=at(10.0), **WHO)
    assert batch.state.held == {"level": 5.0}
    read = fed(batch, [pt.Sample("level", at(11.0), 3.0, "W")])
    assert read.state.held == {"level": 3.0}
    assert read.start_batch(recipe=recipe(7.0), at=at(20.0), **WHO).state.held == {"level": 3.0}


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
