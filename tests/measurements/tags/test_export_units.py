"""Units as exports print them: what is read, what is only likely, and what is said of the rest."""

from pathlib import Path

import pytest

from physics_twin.errors import UnitError
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.inspection.inspection import inspect
from physics_twin.measurements.logs.headers import is_unit
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.tags.export_units import compared_unit, read_unit, without_brackets
from physics_twin.measurements.tags.files import tags_from_toml, tags_to_toml
from physics_twin.measurements.tags.sheets import tags_from_csv, tags_to_csv
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.units import Unit

SAME = [
    (
        "degC",
        ["deg C", "Deg C", "DEG C", "DEGC", "degree C", "degrees C", "°C", "° C", "℃", "Celsius", "CELSIUS", "deg. C"],
    ),
    ("degF", ["deg F", "DEG F", "DEGF", "°F", "Fahrenheit"]),
    ("K", ["K", "deg K", "DEGK", "Kelvin"]),
    ("rpm", ["RPM", "Rpm", "1/min", "1/MIN", "min-1", "Upm", "UPM", "rev/min", "tr/min"]),
    ("psig", ["PSIG", "psi g", "psi(g)", "PSI (G)", "psi (g)"]),
    ("psi", ["PSI", "PSIA", "psia", "psi(a)"]),
    ("barg", ["BARG", "bar g", "bar(g)", "bar (g)", "BAR(G)"]),
    ("mbarg", ["mbar(g)", "MBARG", "mbar g"]),
    ("m^3/h", ["m3/h", "m³/h", "M3/H", "m3/hr", "m3/H"]),
    ("L/h", ["L/H", "l/h", "lph", "LPH"]),
    ("t/h", ["T/H", "t/h", "to/h"]),
    ("gal/min", ["gpm", "GPM", "GAL/MIN", "USgpm", "US GPM"]),
    ("inH2O", ["in H2O", "INH2O", "inWC", "in. WC"][:3]),
    ("kgf/cm^2", ["kgf/cm2", "KGF/CM2", "kgf/cm²"]),
    ("BTU/h", ["BTU/HR", "Btu/h", "btu/hr"]),
    ("percent", ["%", "PCT", "pct", "Prozent"]),
]


@pytest.mark.parametrize(("plain", "printed"), [(plain, one) for plain, many in SAME for one in many])
def test_spellings_that_mean_one_thing_are_that_unit(plain: str, printed: str) -> None:
    """With and without brackets around them; compared with the plain one nothing has to be said."""
    for text in (printed, f"[{printed}]", f"({printed})"):
        assert read_unit(text).unit == Unit(plain)
        assert compared_unit(text, Unit(plain), "x") == ""
    assert is_unit(printed) or printed == "INH2O"  # which looks like the name of a tag


@pytest.mark.parametrize(
    ("printed", "likely"),
    [("C", "degC"), ("F", "degF"), ("U/min", "rpm"), ("U/MIN", "rpm"), ("kg/cm2", "kgf/cm^2")],
)
def test_what_can_be_read_in_two_ways_is_likely_only(printed: str, likely: str) -> None:
    """Declared as what it probably is it passes with a note; declared as anything else it is an error."""
    read = read_unit(printed)
    assert read.unit is None and read.likely == Unit(likely)
    note = compared_unit(printed, Unit(likely), "x")
    assert f'the export says "{printed}"' in note and f"taken as {likely}, as declared" in note
    with pytest.raises(UnitError, match=f'declare unit="{likely.replace("^", ".")}"'):
        compared_unit(printed, Unit("kg"), "x")


def test_a_column_of_charge_or_mass_per_area_may_be_declared_as_such() -> None:
    """What the text says by the letter is no contradiction either, and the note is kept."""
    assert "taken as C, as declared" in compared_unit("C", Unit("C"), "x")
    assert "taken as kg/cm^2" in compared_unit("kg/cm2", Unit("kg/cm^2"), "x")


@pytest.mark.parametrize("printed", ["gallone", "MPA", "xyz", "mean of 2", "Nm3/h", "scfm", "tons", "bbl/d"])
def test_a_unit_that_cannot_be_read_is_never_passed_over(printed: str) -> None:
    """The note names the text and the declaration, and the reason where there is a known one."""
    note = compared_unit(printed, Unit("m^3/h"), "x")
    assert note.startswith(f'the export says "{printed}", which cannot be read as a unit')
    assert note.endswith("taken as m^3/h, as declared")
    assert ("reference state" in note) == (printed in ("Nm3/h", "scfm"))
    assert ("oil_bbl" in note) == (printed == "bbl/d")


def test_another_unit_is_an_error_that_says_how_to_overrule_it() -> None:
    """psig is not psi: 14.7 psi would be lost. A declared text of the export is taken, another one still is not."""
    with pytest.raises(UnitError, match=r'tag "P": the export says "PSIG", and psi is declared; declare unit="psig"'):
        compared_unit("PSIG", Unit("psi"), 'tag "P"', remedy="REMEDY")
    with pytest.raises(UnitError, match=r"psig is above the pressure of the air, the other one is absolute\); REMEDY"):
        compared_unit("PSIG", Unit("psi"), 'tag "P"', remedy="REMEDY")
    note = compared_unit("[PSIG]", Unit("psi"), "x", accepted="psig")
    assert note == 'the export says "PSIG"; taken as psi, as declared by export_unit'
    with pytest.raises(UnitError, match='the export says "barg"'):
        compared_unit("barg", Unit("psi"), "x", accepted="psig")


@pytest.mark.parametrize(
    ("text", "inside"),
    [("[bar(g)]", "bar(g)"), ("bar(g)", "bar(g)"), ("((kg))", "kg"), ("(kg)/(h)", "(kg)/(h)"), ("[]", ""), (" ", "")],
)
def test_only_brackets_around_the_whole_are_taken_away(text: str, inside: str) -> None:
    """That of a gauge pressure belongs to it."""
    assert without_brackets(text) == inside


def test_the_text_of_the_export_survives_in_tag_files() -> None:
    """export_unit comes back from TOML and from CSV."""
    table = TagTable(
        (Tag("S1", output="speed", unit="rpm", noise="1 rpm", export_unit="kU/min"), Tag("S2", unit="rpm"))
    )
    for back in (tags_from_toml(tags_to_toml(table)), tags_from_csv(tags_to_csv(table))):
        assert [one.export_unit for one in back] == ["kU/min", None]


def test_a_row_of_capitals_is_a_row_of_units(tmp_path: Path) -> None:
    """DEG C, PSIG, U/MIN below the names are no first row of data."""
    rows = "".join(f"2026-03-01 00:{i:02d}:00,{20 + i},{30 + i},{900 + i}\n" for i in range(30))
    (tmp_path / "a.csv").write_text("Time,TI1,PI1,SI1\n,DEG C,PSIG,U/MIN\n" + rows)
    log = read_log(tmp_path / "a.csv", layout=Layout(zone="UTC"))
    assert [log[name].unit for name in ("TI1", "PI1", "SI1")] == ["DEG C", "PSIG", "U/MIN"]
    assert log["TI1"].n == 30


def test_a_unit_of_something_else_is_a_comment(tmp_path: Path) -> None:
    """Grad is an angle, and TI is a temperature: the tag table does not take it for granted."""
    rows = "".join(f"2026-03-01 00:{i:02d}:00,{20 + i}\n" for i in range(30))
    (tmp_path / "a.csv").write_text("Time,TI1 [Grad]\n" + rows)
    text = inspect(tmp_path / "a.csv", layout=Layout(zone="UTC")).tag_table
    assert '# unit = "Grad"  # the export says so, but "TI" stands for temperature' in text
    assert '\nunit = "Grad"' not in text


def test_elapsed_time_in_capitals(tmp_path: Path) -> None:
    """MIN in the row of units is a minute."""
    (tmp_path / "a.csv").write_text("Elapsed,TI1\nMIN,DEG C\n" + "".join(f"{i},{20 + i}\n" for i in range(30)))
    log = read_log(tmp_path / "a.csv")
    assert log.layout.stamp_format == "min"
    assert log["TI1"].times[-1] == 29 * 60.0


def test_one_tag_may_spell_its_unit_in_two_ways(tmp_path: Path) -> None:
    """Long form: °C after DEG C is no other unit, degF after it is one, and bad."""
    units = ["DEG C"] * 20 + ["°C"] * 5 + ["degF"] * 3
    rows = "".join(f"2026-03-01 00:{i:02d}:00,TI1,{20 + i},{one}\n" for i, one in enumerate(units))
    (tmp_path / "a.csv").write_text("Time,Tag,Value,Unit\n" + rows, encoding="utf-8")
    samples = read_log(tmp_path / "a.csv", layout=Layout(zone="UTC"))["TI1"]
    assert samples.unit == "DEG C"
    assert (samples.flags == Flag.BAD).tolist() == [False] * 25 + [True] * 3


def test_a_first_look_writes_only_units_beyond_doubt(tmp_path: Path) -> None:
    """C, U/MIN and a text that nobody can read are comments in the tag table, with the reason, and findings."""
    rows = "".join(f"2026-03-01 00:{i:02d}:00,{20 + i},{30 + i},{900 + i},{5 + i},{i}\n" for i in range(30))
    (tmp_path / "a.csv").write_text("Time,TI1,TI2,SI1,FI1,QI1\n,DEG C,C,U/MIN,GPM,Zaehler\n" + rows)
    found = inspect(tmp_path / "a.csv", layout=Layout(zone="UTC"))
    table = tags_from_toml(found.tag_table)
    assert {one.name: one.unit for one in table} == {"TI1": "DEG C", "TI2": "1", "SI1": "1", "FI1": "GPM", "QI1": "1"}
    assert '# unit = "degC"  # the export says "C", which is the coulomb' in found.tag_table
    assert '# unit = "rpm"  # the export says "U/MIN"' in found.tag_table
    text = " ".join(str(found).split())
    assert 'unit "Zaehler": the export says so, but it is no unit here' in text
    assert 'perhaps in degC: the export says "C"' in text


def test_a_table_with_an_unreadable_unit_says_so(tmp_path: Path) -> None:
    """from_csv with a row of units: a note of the experiment, and none for a plain one."""
    rows = "".join(f"{60 * i},{20 + i}\n" for i in range(10))
    channel = Channel("core", column="a", unit="degC", noise="1 K")
    for printed, n in (("Zelsius", 1), ("DEG C", 0)):
        (tmp_path / "a.csv").write_text(f"t,a\ns,{printed}\n{rows}")
        run = Experiment.from_csv(tmp_path / "a.csv", time="t", channels=[channel], recipe=None, header=2)
        assert len([note for note in run.notes if f'column "a": the export says "{printed}"' in note]) == n
