"""Tag tables in files: equal after a round trip through either format, and errors that say where."""

import contextlib
import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.errors import FileFormatError, PhysicsTwinError, UnitError, UnknownNameError
from physics_twin.measurements.places import Place
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.files import tags_from_toml, tags_to_toml
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.sheets import tags_from_csv, tags_to_csv
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.measurements.uncertainty import EstimatedNoise, Uncertainty, UnknownBias, UnknownDelay
from physics_twin.recipes import HOLD, RAMP

TOML = """
[tags."31TI004.PV"]
output = "core_temperature"
unit = "degC"
noise = { estimate = "2 K", shared = "furnace" }
bias = { sd = 1 }
delay = { low = "0 s", high = "60 s" }
place = ["rod", "10 cm"]
range = [0, 1200]
resolution = 0.1
rate = "5 K/s"
flat = "30 min"
zero_is_missing = true
sensor = "TC-0417"

[tags."31TI005.PV"]
output = "surface_temperature"
unit = "degC"
noise = 2
sensor = "PT-1"

[tags.XV1]
input = "valve"
rule = "hold"
states = { Open = 1, "Not open" = 0 }
description = "gas inlet"

[sensors."TC-0417"]
correction = [["0 degC", "0.5 K"], ["1000 degC", "-1.5 K"]]
uncertainty = "0.8 K"
valid_until = 2027-03-01

[sensors."TC-0533"]
thermocouple = { type = "K", class = 1, at = "850 degC" }

[sensors.PT-1]
pt100 = { class = "A", at = "100 degC", film = true }

[[installations]]
tag = "31TI004.PV"
sensor = "TC-0533"
since = 2026-03-01T06:00:00+01:00

[[pairs]]
first = "31TI004.PV"
second = "31TI005.PV"
tolerance = "3 K"
"""

CSV = """\
tag;output;input;unit;noise;bias;delay;place;low;high;resolution;rate;flat;zero_is_missing;rule;states;description;\
sensor;since;correction;uncertainty;valid_until;thermocouple;pt100;pair;tolerance
31TI004.PV;core_temperature;;degC;"{estimate = ""2 K"", shared = ""furnace""}";"{sd = 1}";\
"{low = ""0 s"", high = ""60 s""}";\
"[""rod"", ""10 cm""]";0;1200;0.1;5 K/s;30 min;TRUE;;;;TC-0417;;\
"[[""0 degC"", ""0.5 K""], [""1000 degC"", ""-1.5 K""]]";\
0.8 K;2027-03-01;;;31TI005.PV;3 K
31TI004.PV;;;;;;;;;;;;;;;;;TC-0533;2026-03-01T06:00:00+01:00;;;;"{type=""K"", class=1, at=""850 degC""}";;;

31TI005.PV;surface_temperature;;degC;2;;;;;;;;;;;;;PT-1;;;;;;"{class=""A"", at=""100 degC"", film=true}";;
XV1;;valve;;;;;;;;;;;;hold;"{Open = 1, ""Not open"" = 0}";gas inlet;;;;;;;;;
"""


def meant() -> TagTable:
    """What both texts say, in Python."""
    zone = dt.timezone(dt.timedelta(hours=1))
    core = Tag(
        "31TI004.PV",
        output="core_temperature",
        unit="degC",
        noise=EstimatedNoise("2 K", shared="furnace"),
        bias=UnknownBias("1 degC"),
        delay=UnknownDelay("0 s", "60 s"),
        place=Place("rod", "10 cm"),
        checks=Checks(
            low="0 degC", high="1200 degC", resolution="0.1 degC", rate="5 K/s", flat="30 min", zero_is_missing=True
        ),
    )
    certified = Sensor(
        "TC-0417", (("0 degC", "0.5 K"), ("1000 degC", "-1.5 K")), Uncertainty("0.8 K"), dt.date(2027, 3, 1)
    )
    return TagTable(
        (
            core,
            Tag("31TI005.PV", output="surface_temperature", unit="degC", noise="2 degC"),
            Tag("XV1", input="valve", rule=HOLD, states={"Open": 1.0, "Not open": 0.0}, description="gas inlet"),
        ),
        (
            certified,
            Sensor.thermocouple("TC-0533", "K", 1, at="850 degC"),
            Sensor.pt100("PT-1", "A", at="100 degC", film=True),
        ),
        (
            Installation("31TI004.PV", "TC-0417"),
            Installation("31TI004.PV", "TC-0533", dt.datetime(2026, 3, 1, 6, tzinfo=zone)),
            Installation("31TI005.PV", "PT-1"),
        ),
        (Pair("31TI004.PV", "31TI005.PV", "3 K"),),
    )


def test_toml_says_what_it_is_documented_to_say() -> None:
    """Every key of the schema; bare numbers are in the tag's unit, as differences where they are some."""
    assert tags_from_toml(TOML) == meant()
    assert tags_from_toml(TOML).channel("31TI005.PV").noise == 2.0


def test_csv_says_the_same() -> None:
    """As a German spreadsheet writes it: semicolons, an empty row, TRUE."""
    assert tags_from_csv(CSV) == meant()


@pytest.mark.parametrize("suffix", [".toml", ".csv"])
def test_a_table_is_equal_after_a_file(suffix: str, tmp_path: Path) -> None:
    """Written whole, read as it was."""
    meant().save(tmp_path / f"tags{suffix}")
    assert TagTable.load(tmp_path / f"tags{suffix}") == meant()
    assert [file.name for file in tmp_path.iterdir()] == [f"tags{suffix}"]


def test_a_spreadsheet_in_its_own_encoding_is_read(tmp_path: Path) -> None:
    """With a byte order mark, or in cp1252, where the degree sign is one byte."""
    text = "tag,unit,description\nTI4,°C,Wärme\n"
    for encoding in ("utf-8-sig", "cp1252"):
        (tmp_path / "tags.csv").write_bytes(text.encode(encoding))
        assert TagTable.load(tmp_path / "tags.csv")["TI4"] == Tag("TI4", unit="°C", description="Wärme")


@pytest.mark.parametrize("words", ["a\rb", "a\r\nb", "a\nb", '"', "a,b;c\td", "{", "  x = [1]", "\x7f"])
def test_descriptions_may_hold_what_formats_use(words: str) -> None:
    """Line ends above all: one of old Macs, unquoted, splits a row."""
    table = TagTable((Tag("TI4", description=words),))
    assert tags_from_toml(tags_to_toml(table)) == table
    assert tags_from_csv(tags_to_csv(table)) == table


# Round trips of any table --------------------------------------------------------------------------------------------

NUMBERS = st.floats(1e-6, 1e6, allow_subnormal=False)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(str.strip)
NAMES = TEXTS.filter(bool)
DIFFERENCES = st.tuples(NUMBERS, st.sampled_from(["K", "degC", "degF", "delta_degC"]))
TIMES = st.tuples(NUMBERS, st.sampled_from(["s", "min", "h"]))
LOWS = st.tuples(st.floats(-200.0, 0.0), st.just("degC"))
HIGHS = st.tuples(st.floats(1.0, 2000.0), st.just("degC"))


def maybe[T](strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


CHECKS = st.builds(
    Checks,
    low=maybe(LOWS),
    high=maybe(HIGHS),
    resolution=maybe(DIFFERENCES),
    deadband=maybe(DIFFERENCES),
    rate=maybe(st.tuples(NUMBERS, st.just("degC/min"))),
    spike=maybe(DIFFERENCES),
    flat=maybe(TIMES),
    gap=maybe(TIMES),
    zero_is_missing=st.booleans(),
)
UNCERTAINTIES = st.builds(Uncertainty, DIFFERENCES, st.floats(0.5, 4.0))
NOISES = DIFFERENCES | UNCERTAINTIES | st.builds(EstimatedNoise, DIFFERENCES, maybe(st.just("shared")))
DELAYS = TIMES | st.builds(lambda low, more: UnknownDelay((low, "s"), (low + more, "s")), NUMBERS, st.floats(1.0, 9.0))
STATES = st.dictionaries(TEXTS, st.floats(allow_nan=False, allow_infinity=False), max_size=3)
MOMENTS = st.datetimes(
    dt.datetime(1990, 1, 1),
    dt.datetime(2050, 1, 1),
    timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-5))]),
)


@st.composite
def tables(draw: st.DrawFn) -> TagTable:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    tags = []
    for k, name in enumerate(names):
        role = draw(st.sampled_from(["output", "input", "neither"]))
        tags.append(
            Tag(
                name,
                output=f"y{k}" if role == "output" else None,
                input=f"u{k}" if role == "input" else None,
                unit="degC",
                noise=draw(NOISES) if role == "output" else draw(maybe(NOISES)),
                bias=draw(maybe(DIFFERENCES | st.builds(UnknownBias, DIFFERENCES))),
                delay=draw(maybe(DELAYS)),
                place=draw(maybe(st.builds(Place, st.just("rod"), st.tuples(NUMBERS, st.just("m"))))),
                rule=draw(st.sampled_from([RAMP, HOLD])),
                checks=draw(CHECKS),
                states=draw(STATES),
                description=draw(
                    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")).map(str.strip)
                ),
            )
        )
    points = st.lists(st.floats(-100.0, 1000.0).map(lambda x: round(x, 3)), unique=True, max_size=3).map(sorted)
    serials = draw(st.lists(st.sampled_from(["TC-0417", "0533", "P 7/1", "Ω9"]), unique=True, max_size=3))
    sensors = [
        Sensor(
            serial,
            tuple(((x, "degC"), (draw(st.floats(-5.0, 5.0)), "K")) for x in draw(points)),
            draw(maybe(UNCERTAINTIES)),
            draw(maybe(st.dates())),
            draw(TEXTS),
        )
        for serial in serials
    ]
    installations = []
    for name in names if serials else []:
        for since in draw(st.lists(maybe(MOMENTS), unique=True, max_size=3)):
            installations.append(Installation(name, draw(st.sampled_from(serials)), since))
    both = [(a, b) for a in names for b in names if a != b]
    chosen = draw(st.lists(st.sampled_from(both), unique=True, max_size=3)) if both else []
    return TagTable(
        tuple(tags), tuple(sensors), tuple(installations), tuple(Pair(a, b, draw(DIFFERENCES)) for a, b in chosen)
    )


@settings(deadline=None, max_examples=80)
@given(tables())
def test_any_table_is_equal_after_either_format(table: TagTable) -> None:
    """Names with quotes, commas and braces, numbers to the last bit."""
    assert tags_from_toml(tags_to_toml(table)) == table
    assert tags_from_csv(tags_to_csv(table)) == table


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(TOML) - 1), st.characters(exclude_categories=("Cs",)), st.integers(0, 3))
def test_a_damaged_file_is_an_error_of_ours_or_another_table(at: int, sign: str, cut: int) -> None:
    """One character changed or some left out: never a KeyError, never a TypeError."""
    for text, read in ((TOML, tags_from_toml), (CSV, tags_from_csv)):
        damaged = text[: at % len(text)] + sign + text[at % len(text) + cut :]
        with contextlib.suppress(PhysicsTwinError):
            read(damaged)


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('[tags.a]\nuint = "K"', UnknownNameError, ['key of tag "a"', 'did you mean "unit"']),
        ("[tag.a]", UnknownNameError, ["table", '"tags"']),
        ('[tags.a]\nunit = "degCC"', UnitError, ['tag "a"', "degCC"]),
        ('[tags.a]\nunit = "degC"\nrange = ["0 bar", "5 bar"]', UnitError, ['tag "a"', "low"]),
        ('[tags.a]\nunit = "degC"\nrate = 5', FileFormatError, ['rate of tag "a"', "without a unit"]),
        ("[tags.a]\nrange = 5", FileFormatError, ['range of tag "a"']),
        ("[tags.a]\nrange = [0, 1]\nlow = 0", FileFormatError, ['tag "a"', "by themselves"]),
        ('[tags.a]\nrule = "holt"', UnknownNameError, ['"hold"', 'tag "a"']),
        ("[tags.a]\nunit = 5", FileFormatError, ['tag "a"', "unit is 5"]),
        ('[tags.a]\noutput = "x"\nnoise = { start = "2 K" }', UnknownNameError, ['noise of tag "a"']),
        ('[tags.a]\nstates = { Open = "1" }', PhysicsTwinError, ['tag "a"', "'1'"]),
        ('[tags.a]\nsensor = "TC-1"', UnknownNameError, ["TC-1", 'tag "a"']),
        ("[sensors.x]\nvalid_until = 2027-03-01T00:00:00Z", FileFormatError, ["sensor x", "not a day"]),
        ('[sensors.x]\nthermocouple = { type = "K", at = "1100 degC" }', PhysicsTwinError, ["sensor x", "-40 to 1000"]),
        ("[sensors.x]\nuncertainty = 0.8", FileFormatError, ["sensor x", "without a unit"]),
        (
            '[tags.a]\n[sensors.x]\n[[installations]]\ntag = "a"\nsensor = "x"\nsince = 2026-03-01',
            FileFormatError,
            ["moment"],
        ),
        (
            '[tags.a]\n[sensors.x]\n[[installations]]\ntag = "a"\nsensor = "x"\nsince = 2026-03-01T06:00:00',
            PhysicsTwinError,
            ["no zone"],
        ),
        ("[tags.a]\nunit = \n", FileFormatError, ["cannot be read as TOML", "line 2"]),
    ],
)
def test_a_mistake_in_toml_is_named(text: str, error: type[PhysicsTwinError], words: list[str], tmp_path: Path) -> None:
    """The file, the tag or sensor, and the right spelling."""
    (tmp_path / "tags.toml").write_text(text)
    with pytest.raises(error) as caught:
        TagTable.load(tmp_path / "tags.toml")
    for word in ["tags.toml", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("tag,uint\na,K\n", UnknownNameError, ['column of a table of tags "uint"', '"unit"']),
        ("name,unit\na,K\n", UnknownNameError, ["column"]),
        ("unit\nK\n", FileFormatError, ['no column "tag"']),
        ("tag,unit\na,K\nb,degCC\n", UnitError, ['tag "b"', "degCC"]),
        ("tag,unit\na,K\na,bar\n", PhysicsTwinError, ["line 3", 'tag "a" is there twice']),
        ("tag,unit,low\na,K,{x\n", FileFormatError, ["line 2", 'column "low"']),
        ('tag,unit,noise,output\na,bar,"0,5",y\n', UnitError, ['tag "a"', "comma"]),
        ("tag,unit\na,K,7\n", FileFormatError, ["line 2 has 3 cells"]),
        ("tag,sensor,since\na,x,yesterday\n", FileFormatError, ["line 2", 'column "since"']),
        ("tag,uncertainty\na,0.8 K\n", PhysicsTwinError, ["line 2", "without a sensor"]),
        ("tag,pair\na,b\n", FileFormatError, ["line 2", "tolerance"]),
        ("tag,tolerance\na,1 K\n", PhysicsTwinError, ["line 2", "without a pair"]),
        ("tag,unit\n,K\n", PhysicsTwinError, ["line 2", "without a tag"]),
        ("tag,unit,unit\na,K,K\n", FileFormatError, ["twice"]),
        ('tag,unit\n"a,K\n', FileFormatError, ["line"]),
        ("", FileFormatError, ["empty"]),
    ],
)
def test_a_mistake_in_csv_is_named(text: str, error: type[PhysicsTwinError], words: list[str], tmp_path: Path) -> None:
    """The file and the line or the tag."""
    (tmp_path / "tags.csv").write_text(text)
    with pytest.raises(error) as caught:
        TagTable.load(tmp_path / "tags.csv")
    for word in ["tags.csv", *words]:
        assert word in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """By their suffix, on reading and on writing."""
    for action in (TagTable.load, meant().save):
        with pytest.raises(FileFormatError, match=r"tags\.xlsx: a table of tags is"):
            action(tmp_path / "tags.xlsx")


@pytest.mark.parametrize(("name", "text"), [("tags.toml", ""), ("tags.csv", "tag,output,unit\n")])
def test_a_file_without_tags_says_so(tmp_path: Path, name: str, text: str) -> None:
    """A table that is empty because its section is called otherwise would be found out much later."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=f"{name} holds no tag"):
        TagTable.load(tmp_path / name)


def test_a_table_prints_a_row_a_tag(tmp_path: Path) -> None:
    """What it shows, unit, noise and the sensors behind it; what nobody has is left out."""
    (tmp_path / "tags.toml").write_text(
        '[tags.T1]\noutput = "core"\nunit = "degC"\nnoise = "2 K"\nsensor = "TC-0417"\n'
        '[tags.Q1]\ninput = "power"\nunit = "kW"\n[sensors.TC-0417]\nuncertainty = "0.8 K"\n',
        encoding="utf-8",
    )
    head, core, power = str(TagTable.load(tmp_path / "tags.toml")).splitlines()
    assert head.split() == ["tag", "shows", "unit", "noise", "sensors"]
    assert core.split() == ["T1", "core", "degC", "2", "K", "TC-0417"]
    assert power.split() == ["Q1", "input", "power", "kW"]
