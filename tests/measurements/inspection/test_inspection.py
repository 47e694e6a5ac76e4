"""The first look at a log: findings are true, the mapping runs, the tag table loads, nothing is decided in silence."""

import datetime as dt
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.inspection.inspection import Inspection, Kind, inspect
from physics_twin.measurements.inspection.text import PLAIN_FIELDS
from physics_twin.measurements.logs.frames import Query
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.relations.compression import CompressionKind
from physics_twin.measurements.tags.tag_table import TagTable
from physics_twin.plot_style import SPARE

START = dt.datetime(2026, 10, 24, 22, 0, tzinfo=dt.UTC)


def run(source: str) -> Log:
    """Execute a mapping and return its log."""
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102  the text that a user is told to paste
    log = names["log"]
    assert isinstance(log, Log)
    return log


def same(mine: Log, theirs: Log) -> bool:
    """Whether two logs hold the same samples in the same format."""
    return list(mine.samples) == list(theirs.samples) and all(
        np.array_equal(a.times, b.times, equal_nan=True)
        and np.array_equal(a.values, b.values, equal_nan=True)
        and np.array_equal(a.flags, b.flags)
        for a, b in zip(mine, theirs, strict=True)
    )


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A minute log of four hours: a gap of 20 min, a stuck sensor, a constant, a text, an empty column."""
    rng = np.random.default_rng(1)
    lines = ["Time;TI101 [°C];PI7;STATE;SPARE;KW"]
    for minute in range(240):
        if 100 <= minute < 119:
            continue
        at = START + dt.timedelta(minutes=minute)
        temperature = 71.4 if 180 <= minute < 215 else 60.0 + 0.1 * minute + rng.normal(0.0, 0.5)
        state = "RUN" if minute > 30 else "IDLE"
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ};{temperature:.1f};{rng.normal(4.0, 0.3):.2f};{state};;3.5")
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(lines), encoding="cp1252")
    return path


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A historian over the night in which summer time ends in Berlin, one row a sample, without a zone."""
    rng = np.random.default_rng(2)
    berlin = __import__("zoneinfo").ZoneInfo("Europe/Berlin")
    lines = ["Exported by nobody", "", "Tag;Zeit;Wert;Einheit;Güte"]
    kept = 0.0
    for minute in range(360):
        at = (START + dt.timedelta(minutes=minute)).astimezone(berlin)
        value = f"{20.0 + rng.normal(0.0, 1.0):.2f}".replace(".", ",")
        value, quality = ("Bad Input", 0) if minute == 7 else (value, 192)
        lines.append(f"31TI004.PV;{at:%d.%m.%Y %H:%M:%S};{value};°C;{quality}")
        point = 20.0 + float(np.interp(minute % 60, [0, 15, 30, 45], [0, 15, 15, 0]))  # up, hold, down, hold
        if minute == 0 or abs(point - kept) >= 1.0:
            kept = point
            lines.append(f"31TIC004.SP;{at:%d.%m.%Y %H:%M:%S};{point:.1f};°C;192".replace(".0;", ",0;"))
    path = tmp_path / "long.csv"
    path.write_text("\r\n".join(lines), encoding="cp1252", newline="")
    return path


def test_what_is_found_in_a_wide_log(wide: Path) -> None:
    """Kind, period, range, digits, gap and flat stretch of each column, as they were written."""
    found = inspect(wide)
    assert found.zone_known and found.zone_hint == ""
    temperature = next(tag for name, tag in found.tags.items() if name.startswith("TI101"))
    assert temperature.kind is Kind.NUMBERS and temperature.n == 221
    assert temperature.period == 60.0 and temperature.regular
    assert temperature.resolution == pytest.approx(0.1)
    assert temperature.low > 55.0 and temperature.high < 90.0
    assert temperature.gaps == ((99 * 60.0, 119 * 60.0),)
    ((begin, end, value),) = temperature.flats
    assert (begin, end, value) == (180 * 60.0, 214 * 60.0, 71.4)
    assert temperature.units[0].stated and "C" in temperature.units[0].unit
    pressure = found["PI7"]
    assert pressure.flats == () and pressure.resolution == pytest.approx(0.01)
    assert [one.unit for one in pressure.units] == ["bar", "barg", "MPa"] and not pressure.units[0].stated
    assert found["STATE"].kind is Kind.TEXTS and set(found["STATE"].states) == {"RUN", "IDLE"}
    assert found["SPARE"].kind is Kind.NOTHING and found["SPARE"].counts[Flag.MISSING] == 221
    assert found["KW"].low == found["KW"].high == 3.5


def test_the_table_says_it_in_lines_that_fit_a_terminal(wide: Path) -> None:
    """Format, ranges, gap, flat stretch, guesses with reasons; no line above 110 characters."""
    text = str(inspect(wide))
    assert max(map(len, text.splitlines())) <= 110
    for words in ("cp1252", 'separator ";"', "1 gap: 2026-10-24 23:39:00 for 20 min", "at 71.4", "the same value"):
        assert words in text
    assert 'perhaps in bar or barg or MPa: "PI7"' not in text  # the letters, not the number
    assert '"PI" stands for pressure' in text


def test_long_names_and_notes_are_cut_to_the_width(tmp_path: Path) -> None:
    """A tag of eighty characters and thirty texts do not break the table."""
    name = "PLANT3.AREA31.REACTOR." * 4
    rows = "\n".join(f"2026-01-01T{k:02}:00:00Z,{k},{'state ' + str(k) * 9}" for k in range(24))
    (tmp_path / "names.csv").write_text(f"time,{name},phase\n{rows}")
    text = str(inspect(tmp_path / "names.csv"))
    assert max(map(len, text.splitlines())) <= 110
    assert "24 different texts" in text and "and 18 more" in text


def test_a_log_without_zone_is_shown_and_the_zone_asked_for(long: Path) -> None:
    """Times stay those of the wall clock, the repeated hour gives the zone away, and the mapping stops until told."""
    found = inspect(long)
    assert not found.zone_known and found.log.layout.zone is None
    assert "Europe/Berlin" in found.zone_hint and "02:59 to 02:00" in found.zone_hint
    assert "zone:" in str(found) and "--zone" in str(found)
    assert "2026-10-25 00:00:00" in str(found)
    with pytest.raises(DataError, match="zone"):
        run(found.mapping)


def test_a_declared_zone_makes_the_mapping_whole(long: Path) -> None:
    """With the zone the repeated hour is two hours, and the mapping reads the same log."""
    found = inspect(long, layout=Layout(zone="Europe/Berlin"))
    assert found.zone_known and found.zone_hint == ""
    tag = found["31TI004.PV"]
    assert tag.n == 360 and tag.gaps == () and tag.regular
    assert tag.counts[Flag.BAD] == 1
    assert found.log["31TI004.PV"].times[-1] == 359 * 60.0
    assert 'zone="Europe/Berlin"' in found.mapping and "LongForm" in found.mapping
    assert same(run(found.mapping), found.log)


def test_what_keeps_only_changes_has_no_gaps(long: Path) -> None:
    """A set point of which the historian keeps exceptions is not full of holes, and is said to be compressed."""
    point = inspect(long, layout=Layout(zone="Europe/Berlin"))["31TIC004.SP"]
    assert point.gaps == () and point.flats == ()
    assert point.compression is not None and point.compression.kind is CompressionKind.EXCEPTION
    assert point.compression.deadband == pytest.approx(1.0, rel=0.1)


def test_a_wide_mapping_reads_the_same_log(wide: Path) -> None:
    """Stamps with offset need no zone."""
    found = inspect(wide)
    assert same(run(found.mapping), found.log)


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        ("t [s],T1,T2\n0,1.5,2\n1,1.6,3\n2,1.7,4\n", Layout()),
        ("Zeit;Temp\nmin;degC\n0;1,5\n1;1,6\n2;1,7\n3;2,75\n", Layout(header=2)),
        ("0\t1.5\n1\t1.6\n2\t1.7\n", Layout(header=0, column_names=("t", "T"), time="t", stamp_format="s")),
        (
            "Stamp,F\n2026-03-01 00:01:00,1\n2026-03-01 00:02:00,2\n2026-03-01 00:03:00,4\n",
            Layout(zone="UTC", stamps_at=StampsAt.END, period="1 min"),
        ),
        (
            'name,when,v\n"a ""b""",2026-03-01T00:01:00Z,1\n"a ""b""",2026-03-01T00:02:00Z,2\n',
            Layout(form=LongForm("name", "v")),
        ),
    ],
)
def test_a_mapping_runs_whatever_the_format(tmp_path: Path, content: str, layout: Layout) -> None:
    """Elapsed time, rows of units, no header, averages, quotes in names: what is pasted reads the same log."""
    path = tmp_path / "log.csv"
    path.write_text(content, encoding="utf-8")
    found = inspect(path, layout=layout)
    assert same(run(found.mapping), found.log)
    assert str(found)


def test_a_mapping_knows_every_field_of_a_layout() -> None:
    """A field that a layout gets later would be missing in what is pasted."""
    assert {field.name for field in fields(Layout)} == {
        *PLAIN_FIELDS,
        "zone",
        "stamps_at",
        "period",
        "form",
        "quality_scheme",
        "quality_words",
    }


def test_a_workbook_is_inspected_like_a_text(tmp_path: Path) -> None:
    """Excel's serial dates are stamps of the wall clock."""
    import openpyxl

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Time", "LI1 [%]"])
    for k in range(30):
        book.active.append([dt.datetime(2026, 5, 1, 6, k), 50.0 + k])
    book.save(tmp_path / "log.xlsx")
    found = inspect(tmp_path / "log.xlsx", layout=Layout(zone="Europe/Berlin"))
    (tag,) = found.tags.values()
    assert tag.period == 60.0 and tag.units[0].unit == "%"
    assert same(run(found.mapping), found.log)


def test_clocks_that_go_back_and_repeat_are_counted(tmp_path: Path) -> None:
    """Rows out of order are sorted for the look, and said: the period is that of the sorted record."""
    times = [0, 60, 120, 120, 180, 30, 240, 300]
    (tmp_path / "log.csv").write_text("t [s],T\n" + "".join(f"{t},{20 + t / 7:.1f}\n" for t in times))
    found = inspect(tmp_path / "log.csv")
    assert "time goes back 1 time, first at its sample 6" in found["T"].notes
    assert "1 sample at the time of another one" in found["T"].notes
    assert found["T"].period == 60.0


def test_the_tag_table_loads(long: Path, wide: Path, tmp_path: Path) -> None:
    """Every tag is in it; a unit that the export states is set, a guess is only a comment."""
    for k, path in enumerate((long, wide)):
        found = inspect(path, layout=Layout(zone="Europe/Berlin") if path == long else None)
        (tmp_path / f"tags{k}.toml").write_text(found.tag_table, encoding="utf-8")
        table = TagTable.load(tmp_path / f"tags{k}.toml")
        assert [tag.name for tag in table] == list(found.tags)
    table = TagTable.load(tmp_path / "tags0.toml")
    assert table["31TI004.PV"].unit == "degC" and table["31TI004.PV"].checks.resolution == (0.01, "degC")
    assert TagTable.load(tmp_path / "tags1.toml")["PI7"].unit == "1"
    assert '# unit = "bar"' in inspect(wide).tag_table


def test_a_day_that_may_be_a_month_is_not_guessed(tmp_path: Path) -> None:
    """Ambiguous stamps stop the inspection too, and the message says what to declare."""
    rows = "\n".join(f"03/04/2026 10:{k:02}:00,{k}" for k in range(30))
    (tmp_path / "log.csv").write_text(f"time,T\n{rows}\n")
    with pytest.raises(DataError, match="stamp_format"):
        inspect(tmp_path / "log.csv", layout=Layout(zone="UTC"))


def test_the_picture_has_a_panel_for_each_tag_and_marks_what_is_wrong(wide: Path) -> None:
    """Gaps are spans, flat stretches thick lines, and there is one legend."""
    from matplotlib import pyplot as plt

    found = inspect(wide)
    axes = [ax for ax in found.plot().axes if ax.get_gid() != SPARE]
    assert len(axes) == len(found.tags)
    labels = {text for ax in axes for text in ax.get_legend_handles_labels()[1]}
    assert {"gap", "flat", "samples"} <= labels
    (one,) = found.plot(["PI7"]).axes
    assert "bar?" in one.get_title(loc="left")
    plt.close("all")


def test_an_outlier_does_not_hide_the_record(tmp_path: Path) -> None:
    """One reading at full scale lies off the scale, and the panel says so."""
    from matplotlib import pyplot as plt

    rows = "\n".join(f"{k},{9999 if k == 70 else 20 + k % 7}" for k in range(200))
    (tmp_path / "log.csv").write_text(f"t [s],T\n{rows}\n")
    (ax,) = inspect(tmp_path / "log.csv").plot().axes
    assert ax.get_ylim()[1] < 40.0
    assert ax.get_title(loc="right") == "not shown: 1 above, up to 9999"
    plt.close("all")


def test_a_long_log_is_drawn_with_its_extremes(tmp_path: Path) -> None:
    """Thinning out keeps every bin's lowest and highest value: a spike of one sample in 20,000 is seen."""
    from matplotlib import pyplot as plt

    values = np.tile([10, 11, 12, 13], 5000)
    values[12_345] = 20
    rows = "\n".join(f"{k},{v}" for k, v in enumerate(values))
    (tmp_path / "log.csv").write_text(f"t [s],T\n{rows}\n")
    (ax,) = inspect(tmp_path / "log.csv").plot().axes
    drawn = np.asarray(ax.lines[0].get_ydata(), dtype=float)
    assert drawn.size < 8000 and drawn.max() == 20.0 and drawn.min() == 10.0
    plt.close("all")


def test_a_frame_is_inspected_too() -> None:
    """The mapping names the frame that it needs."""
    import pandas as pd

    frame = pd.DataFrame({"t [s]": [0.0, 1.0, 2.0], "T": [1.0, 2.0, 3.0]})
    found: Inspection = inspect(frame)
    assert "read_log(frame, layout=layout)" in found.mapping


def test_a_query_is_inspected_too() -> None:
    """What a database returns; the mapping holds the query and asks for the connection."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table history (tag text, time text, value real)")
        rows = [("TI1", f"2026-03-01T06:{k:02}:00Z", 20.0 + k) for k in range(30)]
        connection.executemany("insert into history values (?, ?, ?)", rows)
        found = inspect(Query(connection, "select * from history order by time"))
        assert found["TI1"].period == 60.0 and found["TI1"].n == 30
        names: dict[str, Any] = {"connection": connection}
        exec(found.mapping, names)  # noqa: S102  the text that a user is told to paste
        assert same(names["log"], found.log)
