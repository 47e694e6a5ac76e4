"""Tag tables: what contradicts itself is refused, and the right sensor is found for every moment."""

import datetime as dt

import pytest

from physics_twin.errors import BoundsError, DataError, ModelError, PhysicsTwinError, UnitError, UnknownNameError
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.places import Place
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.measurements.uncertainty import Uncertainty, UnknownBias, UnknownDelay
from physics_twin.recipes import HOLD

MARCH = dt.datetime(2026, 3, 1, 6, tzinfo=dt.UTC)
CORE = Tag("TI4.PV", output="core", unit="degC", noise="2 K", checks=Checks(low="0 degC", high="1200 degC"))
SURFACE = Tag("TI5.PV", output="surface", unit="degC", noise=Uncertainty("4 K"), bias=UnknownBias("1 K"))
VALVE = Tag("XV1.POS", input="valve", rule=HOLD, states={"Open": 1, "Closed": 0})
OLD, NEW = Sensor("TC-0417", uncertainty=Uncertainty("0.8 K")), Sensor("TC-0533")


def table(**changes: object) -> TagTable:
    parts: dict[str, object] = {
        "tags": (CORE, SURFACE, VALVE, Tag("BATCH_ID")),
        "sensors": (OLD, NEW),
        "installations": (Installation("TI4.PV", "TC-0533", MARCH), Installation("TI4.PV", "TC-0417")),
        "pairs": (Pair("TI4.PV", "TI5.PV", "3 K"),),
    }
    return TagTable(**(parts | changes))  # type: ignore[arg-type]


def test_a_tag_becomes_a_channel_with_its_checks_and_its_sensor() -> None:
    """As if it had been written in a script."""
    assert table().channel("TI4.PV", MARCH) == Channel(
        "core", column="TI4.PV", unit="degC", noise="2 K", sensor=NEW, checks=CORE.checks
    )
    delayed = Tag(
        "x", output="y", unit="bar", noise="1 mbar", delay=UnknownDelay("0 s", "9 s"), place=Place("rod", "1 m")
    )
    channel = TagTable((delayed,)).channel("x")
    assert (channel.unknown_delay, channel.place, channel.sensor) == (delayed.delay, delayed.place, None)


def test_a_tag_becomes_the_column_of_an_input() -> None:
    """With its rule."""
    assert table().column("XV1.POS") == Column("XV1.POS", "1", HOLD, checks=Checks())
    with pytest.raises(DataError, match=r'"TI4.PV" is no input'):
        table().column("TI4.PV")
    with pytest.raises(DataError, match=r'"BATCH_ID" shows no output'):
        table().channel("BATCH_ID")


def test_outputs_and_inputs_are_found_by_their_names_in_the_model() -> None:
    """And tags by theirs."""
    assert list(table().outputs) == ["core", "surface"]
    assert table().inputs == {"valve": VALVE}
    assert len(table()) == 4
    assert "TI4.PV" in table()
    assert "core" not in table()
    with pytest.raises(UnknownNameError, match=r'no tag "TI4PV"; did you mean "TI4.PV"'):
        table()["TI4PV"]


def test_the_sensor_is_that_of_the_moment() -> None:
    """A replacement counts from its moment on; whatever the zone of the question."""
    tags = table()
    east = dt.timezone(dt.timedelta(hours=9))
    assert tags.sensor("TI4.PV", MARCH - dt.timedelta(seconds=1)) == OLD
    assert tags.sensor("TI4.PV", MARCH) == NEW
    assert tags.sensor("TI4.PV", MARCH.astimezone(east)) == NEW
    assert tags.sensor("TI5.PV", MARCH) is None
    with pytest.raises(DataError, match="has had 2 sensors"):
        tags.sensor("TI4.PV")
    with pytest.raises(DataError, match="no zone"):
        tags.sensor("TI4.PV", dt.datetime(2026, 3, 1))
    late = table(installations=(Installation("TI4.PV", "TC-0417", MARCH),))
    assert late.sensor("TI4.PV", MARCH - dt.timedelta(days=1)) is None
    assert late.sensor("TI4.PV") == OLD


def test_tables_that_say_the_same_are_equal() -> None:
    """The order of sensors, installations and pairs carries no meaning."""
    turned = table(installations=table().installations[::-1], sensors=(NEW, OLD))
    assert turned == table()
    assert turned.installed("TI4.PV")[0].serial == "TC-0417"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"tags": (CORE, CORE)}, DataError, 'two tags are called "TI4.PV"'),
        ({"tags": (CORE, Tag("x", output="core", noise="1"))}, DataError, '"TI4.PV" and "x" show one output, "core"'),
        ({"tags": (VALVE, Tag("x", input="valve"))}, DataError, 'two tags are the input "valve"'),
        ({"sensors": (OLD, OLD)}, DataError, "two sensors have the serial number"),
        ({"sensors": (OLD, Sensor("TC.0417"))}, DataError, '"TC_0417"'),
        ({"sensors": (NEW,)}, UnknownNameError, 'sensor (installed at tag "TI4.PV") "TC-0417"'),
        ({"installations": (Installation("TI9.PV", "TC-0417"),)}, UnknownNameError, 'no tag "TI9.PV"'),
        (
            {"installations": (Installation("TI4.PV", "TC-0417"), Installation("TI4.PV", "TC-0533"))},
            DataError,
            "moment",
        ),
        ({"installations": (Installation("XV1.POS", "TC-0417"),)}, UnitError, 'tag "XV1.POS": sensor TC-0417'),
        ({"pairs": (Pair("TI4.PV", "XV1.POS", "3 K"),)}, UnitError, "are a pair"),
        ({"pairs": (Pair("TI4.PV", "TI4.PV", "3 K"),)}, DataError, "itself"),
        ({"pairs": (Pair("TI4.PV", "TI5.PV", "3 bar"),)}, UnitError, "tolerance of tags"),
        ({"pairs": (Pair("TI4.PV", "TI5.PV", "0 K"),)}, BoundsError, "not above 0"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    changes: dict[str, object], error: type[PhysicsTwinError], words: str
) -> None:
    """With the names that clash."""
    with pytest.raises(error) as caught:
        table(**({"installations": (), "pairs": ()} | changes) if "tags" in changes else changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "error", "words"),
    [
        ({"unit": "degX"}, UnitError, "degX"),
        ({"noise": "2 bar"}, UnitError, "noise"),
        ({"noise": None}, DataError, "needs noise"),
        ({"noise": "-1 K"}, BoundsError, "above 0"),
        ({"checks": Checks(low="5 degC", high="0 degC")}, BoundsError, "5 to 0 degC"),
        ({"checks": Checks(resolution="0 K")}, BoundsError, "resolution"),
        ({"checks": Checks(rate="5 K")}, UnitError, "rate"),
        ({"bias": UnknownBias("1 bar")}, UnitError, "bias"),
        ({"delay": "-5 s"}, BoundsError, "future"),
        ({"output": "core temperature"}, ModelError, "core_temperature"),
        ({"input": "power"}, DataError, "both"),
        ({"states": {"Open": "yes"}}, DataError, "'yes'"),
        ({"states": {"Open": float("nan")}}, DataError, "no finite number"),
    ],
)
def test_a_tag_that_makes_no_sense_is_refused_by_name(
    declared: dict[str, object], error: type[PhysicsTwinError], words: str
) -> None:
    """A misspelt unit is found in the table, not in the thousandth batch."""
    whole: dict[str, object] = {"output": "core", "unit": "degC", "noise": "2 K"}
    with pytest.raises(error) as caught:
        Tag("TI4.PV", **(whole | declared))  # type: ignore[arg-type]
    assert 'tag "TI4.PV"' in str(caught.value)
    assert words in str(caught.value)


def test_a_name_with_blanks_around_it_is_refused() -> None:
    """It would never be found in an export."""
    with pytest.raises(DataError, match="cannot name a tag"):
        Tag(" TI4.PV")
