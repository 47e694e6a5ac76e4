"""Exports as samples of tags: the same samples from every kind of source, with flags that say what is wrong."""

import datetime as dt
import hashlib
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from physics_twin.errors import DataError, UnknownNameError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs import gathering, text
from physics_twin.measurements.logs.conversion import convert_log
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt, WideForm
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.logs.reading import Query, read_log
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.tag_table import Tag, TagTable

BERLIN = Layout(zone="Europe/Berlin")
LONG = """tag,time,value,quality,unit
TI1,2026-11-20T06:00:00Z,20.5,192,°C
PI1,2026-11-20T06:00:00Z,1.5,192,bar
TI1,2026-11-20T06:01:00Z,Bad Input,0,°C
PI1,2026-11-20T06:01:00Z,<0.05,192,bar
STATE,2026-11-20T06:01:00Z,Heating,192,
TI1,2026-11-20T06:02:00Z,21.5,64,°C
STATE,2026-11-20T06:02:00Z,Hold,192,
"""


def written(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    """Write a log."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def samples(log: Log) -> dict[str, tuple[list[float], list[str], list[int]]]:
    """Return times, values as text and flags of each tag."""
    return {s.tag: (s.times.tolist(), [repr(float(v)) for v in s.values], s.flags.tolist()) for s in log}


def test_a_long_export_is_read_tag_by_tag(tmp_path: Path) -> None:
    """Numbers, limits, errors, states and quality, each with its flag; layout, hash and origin are kept."""
    path = written(tmp_path, LONG)
    log = read_log(path)
    assert log.layout.form == LongForm("tag", "value", "quality", "unit")
    assert (log.layout.stamp_format, log.layout.decimal, log.layout.separator) == ("ISO", ".", ",")
    assert log.origin == dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)
    assert log.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert samples(log) == {
        "TI1": ([0.0, 60.0, 120.0], ["20.5", "nan", "21.5"], [Flag.GOOD, Flag.BAD, Flag.SUSPECT]),
        "PI1": ([0.0, 60.0], ["1.5", "0.05"], [Flag.GOOD, Flag.GOOD]),
        "STATE": ([60.0, 120.0], ["0.0", "1.0"], [Flag.GOOD, Flag.GOOD]),
    }
    assert log["PI1"].censored is not None and log["PI1"].censored.tolist() == [0, -1]
    assert log["STATE"].states == ("Heating", "Hold")
    assert (log["TI1"].unit, log["PI1"].unit) == ("°C", "bar")
    assert "line 4" in log["TI1"].notes[0] and "Bad Input" in log["TI1"].notes[0]


def test_every_kind_of_source_gives_the_same_samples(tmp_path: Path) -> None:
    """Text, compressed text, Parquet, frames of polars and pandas, a database."""
    reference = samples(read_log(written(tmp_path, LONG)))
    frame = pl.read_csv(written(tmp_path, LONG), infer_schema=False)
    frame.write_parquet(tmp_path / "log.parquet")
    typed = frame.with_columns(pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC"))
    import gzip

    written(tmp_path, gzip.compress(LONG.encode()), "log.csv.gz")
    connection = sqlite3.connect(":memory:")
    connection.execute("create table log(tag, time, value, quality, unit)")
    rows = [[float(c) if c.replace(".", "").isdigit() else c for c in row] for row in frame.fill_null("").rows()]
    connection.executemany("insert into log values (?, ?, ?, ?, ?)", rows)
    pandas = pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    pandas["time"] = pd.to_datetime(pandas["time"])
    for source in (
        tmp_path / "log.parquet",
        tmp_path / "log.csv.gz",
        frame,
        typed,
        pandas,
        pandas.set_index("time"),
        Query(connection, "select * from log"),
        Query(connection, "select * from log where time < ?", ("2027",)),
    ):
        assert samples(read_log(source)) == reference
    connection.close()


def test_chunks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small they are, and whichever way their rows are split."""
    body = "".join(
        f"{tag},{dt.datetime(2026, 10, 25, 0, 0) + dt.timedelta(minutes=m):%d.%m.%Y %H:%M:%S},{m}.5,{q}\n"
        for m in range(0, 400, 7)
        for tag, q in (("A", 192), ("B", 0), ("C", 64))
    )
    path = written(tmp_path, "tag,time,value,quality\n" + body)
    whole = samples(read_log(path, layout=BERLIN))
    assert len(whole["A"][0]) == 58
    lines = text.Lines.blocks
    for size, small in ((300, 0), (300, 1 << 20), (4000, 0)):
        monkeypatch.setattr(text, "_SMALL", small)
        monkeypatch.setattr(text.Lines, "blocks", lambda self, n=0, size=size: lines(self, size))
        assert samples(read_log(path, layout=BERLIN)) == whole


def test_the_repeated_hour_is_told_apart_by_the_rows_of_a_tag(tmp_path: Path) -> None:
    """In a file by tag as in one by time: the stamps of the next tag start from the beginning again."""
    clock = [f"25.10.2026 {h:02d}:{m:02d}:00" for h, m in ((1, 30), (2, 0), (2, 30), (2, 0), (2, 30), (3, 0))]
    by_tag = [(tag, stamp) for tag in "AB" for stamp in clock]
    by_time = [(tag, stamp) for stamp in clock for tag in "AB"]
    for rows in (by_tag, by_time):
        content = "tag;time;value\n" + "".join(f"{tag};{stamp};{k},5\n" for k, (tag, stamp) in enumerate(rows))
        log = read_log(written(tmp_path, content), layout=BERLIN)
        for tag in "AB":
            assert log[tag].times.tolist() == [0.0, 1800.0, 3600.0, 5400.0, 7200.0, 9000.0]
            assert log[tag].flags.tolist() == [Flag.GOOD] * 6


def test_a_stamp_without_zone_is_an_error_with_its_place(tmp_path: Path) -> None:
    """A clock on a wall is not a time."""
    path = written(tmp_path, "time;T1\n20.11.2026 07:00:00;1,5\n20.11.2026 07:01:00;1,5\n")
    with pytest.raises(DataError, match=r'log.csv, line 2, column "time": .* has no zone; say layout=Layout\(zone='):
        read_log(path)
    assert read_log(path, layout=BERLIN).origin == dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)


@pytest.mark.parametrize(("at", "shift"), [(StampsAt.START, 30.0), (StampsAt.END, -30.0)])
def test_averages_stand_in_the_middle_of_their_period(tmp_path: Path, at: StampsAt, shift: float) -> None:
    """Wherever they are stamped; elapsed time alike."""
    path = written(tmp_path, "time,T1\n2026-11-20T06:00:00Z,1.5\n2026-11-20T06:01:00Z,2.5\n")
    log = read_log(path, layout=Layout(stamps_at=at, period="1 min"))
    assert log.origin == dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC) + dt.timedelta(seconds=shift)
    path = written(tmp_path, "t [min],T1\n1,1.5\n2,2.5\n")
    log = read_log(path, layout=Layout(stamps_at=at, period="1 min"))
    assert log["T1"].times.tolist() == [60.0 + shift, 120.0 + shift]


def test_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    """Tags by name, rows by time; a stamp in `between` may be local where the log is."""
    path = written(tmp_path, LONG)
    log = read_log(path, tags=["PI1"], between=("2026-11-20T06:01Z", None))
    assert samples(log) == {"PI1": ([0.0], ["0.05"], [Flag.GOOD])}
    assert log.n_rows == 7
    wide = written(tmp_path, "time;T1;T2\n" + "".join(f"20.11.2026 07:0{m}:00;{m},5;1\n" for m in range(5)))
    log = read_log(wide, layout=BERLIN, tags=["T1"], between=("2026-11-20 07:01", "2026-11-20T06:03Z"))
    assert samples(log) == {"T1": ([0.0, 60.0, 120.0], ["1.5", "2.5", "3.5"], [Flag.GOOD] * 3)}
    assert samples(read_log(wide, layout=BERLIN, between=("2027-01-01", None)))["T1"] == ([], [], [])
    with pytest.raises(UnknownNameError, match=r'no tag of log.csv "PI2"; did you mean "PI1"'):
        read_log(written(tmp_path, LONG), tags=["PI2"])


def test_between_of_elapsed_time_is_in_seconds_or_has_a_unit(tmp_path: Path) -> None:
    """And a stamp there is an error."""
    path = written(tmp_path, "t [min],T1\n0,1.5\n1,2.5\n2,3.5\n")
    assert read_log(path, between=(60.0, None))["T1"].times.tolist() == [60.0, 120.0]
    assert read_log(path, between=(None, "1 min"))["T1"].times.tolist() == [0.0, 60.0]
    with pytest.raises(DataError, match="is a stamp"):
        read_log(path, between=(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None))
    with pytest.raises(DataError, match="after the last one"):
        read_log(path, between=(60.0, 30.0))


def test_a_tag_table_gives_states_their_numbers_and_zeros_their_meaning(tmp_path: Path) -> None:
    """Declared states, a logger that writes 0 for nothing; tags that are not in this log are noted."""
    path = written(tmp_path, "time,V1,F1\n2026-11-20T06:00:00Z,Open,0\n2026-11-20T06:01:00Z,closed,2.5\n")
    table = TagTable(
        (
            Tag("V1", states={"Open": 1.0, "Closed": 0.0}),
            Tag("F1", unit="L/min", checks=Checks(zero_is_missing=True)),
            Tag("T9"),
        )
    )
    log = read_log(path, tags=table)
    assert samples(log) == {
        "V1": ([0.0, 60.0], ["1.0", "0.0"], [Flag.GOOD, Flag.GOOD]),
        "F1": ([0.0, 60.0], ["nan", "2.5"], [Flag.MISSING, Flag.GOOD]),
    }
    assert log.tags is table
    assert any("T9" in note for note in log.notes)


def test_a_second_header_with_other_columns_is_an_error(tmp_path: Path) -> None:
    """Its values would go to the wrong tags; the same header again is skipped and noted."""
    head, row = "time,T1,T2\n", "2026-11-20T06:0{}:00Z,1.5,2.5\n"
    same = head + row.format(0) + head + row.format(1)
    log = read_log(written(tmp_path, same))
    assert log["T1"].n == 2
    assert log.notes == ("the header comes again in line 3 (1 in all): skipped",)
    other = head + row.format(0) + row.format(1) + "time,T2,T1\n" + row.format(2)
    with pytest.raises(DataError, match="line 4: another header begins here"):
        read_log(written(tmp_path, other))


@pytest.mark.parametrize("head", ["Time,T3,T4", "Zeit,Druck,Menge", "Zeit,Druck", "Zeit,Druck,"])
@pytest.mark.parametrize("block", [1 << 20, 60])
def test_what_looks_like_another_header_is_an_error_where_data_follow(
    tmp_path: Path, head: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below another logger's header its values would go to the wrong tags; at the end of a file it is a footer."""
    lines = text.Lines.blocks
    monkeypatch.setattr(text.Lines, "blocks", lambda self, n=0: lines(self, block))
    rows = [f"2026-11-20T06:{m:02d}:00Z,1.5,2.5\n" for m in range(20)]
    content = "time,T1,T2\n" + "".join(rows[:10]) + head + "\n"
    assert read_log(written(tmp_path, content))["T1"].n == 10
    with pytest.raises(DataError, match=r"line 12: .*another header"):
        read_log(written(tmp_path, content + "".join(rows[10:])))


def test_a_preamble_that_comes_again_with_its_header_is_skipped(tmp_path: Path) -> None:
    """Also one that looks like a header itself: the header that follows it tells."""
    part = "Plant,west,\ntime,T1,T2\n" + "".join(f"2026-11-20T06:0{m}:00Z,1.5,2.5\n" for m in range(5))
    assert read_log(written(tmp_path, part + part))["T1"].n == 10


def test_the_last_value_of_a_file_without_an_end_of_line_is_suspect(tmp_path: Path) -> None:
    """12.3 may have been 12.34; the other columns of the row are whole."""
    log = read_log(written(tmp_path, "time,T1,T2\n2026-11-20T06:00:00Z,1.5,2.5\n2026-11-20T06:01:00Z,1.5,2.5"))
    assert log["T1"].flags.tolist() == [Flag.GOOD, Flag.GOOD]
    assert log["T2"].flags.tolist() == [Flag.GOOD, Flag.SUSPECT]


def test_a_decimal_sign_that_shows_late_is_judged_when_it_does(tmp_path: Path) -> None:
    """Whole numbers as far as one looks; then 1,5 is one and a half, and 12,345 alone would be a guess."""
    start = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    rows = [f"{start + dt.timedelta(seconds=k):%Y-%m-%dT%H:%M:%SZ};7\n" for k in range(20_000)]
    for cell, value in (("1,5", 1.5), ("1.5", 1.5), ("1.234,5", 1234.5)):
        middle = [*rows[:14_000], rows[14_000].replace(";7", f";{cell}"), *rows[14_001:]]
        log = read_log(written(tmp_path, "time;T1\n" + "".join(middle)))
        assert log["T1"].values[14_000] == value
    middle[14_000] = rows[14_000].replace(";7", ";12,345")
    with pytest.raises(DataError, match="between thousands"):
        read_log(written(tmp_path, "time;T1\n" + "".join(middle)))


def test_the_wrong_decimal_sign_is_an_error(tmp_path: Path) -> None:
    """Flags on half of the numbers would hide that an option is wrong."""
    rows = "".join(f"2026-11-20T06:{m:02d}:00Z;{m},5\n" for m in range(20))
    with pytest.raises(DataError, match=r'line 2, column "T1": "0,5" is no number .*decimal=","'):
        read_log(written(tmp_path, "time;T1\n" + rows), layout=Layout(decimal="."))


def test_values_in_another_unit_than_the_tags_first_one_are_bad(tmp_path: Path) -> None:
    """A unit that changes in the middle of a file would make 300 K out of 300 °C."""
    content = "tag,time,value,unit\nA,2026-11-20T06:00:00Z,20,°C\nA,2026-11-20T06:01:00Z,293.15,K\n"
    log = read_log(written(tmp_path, content))
    assert log["A"].flags.tolist() == [Flag.GOOD, Flag.BAD]
    assert any('"K"' in note and "line 3" in note for note in log["A"].notes)


def test_quality_columns_of_a_wide_export_belong_to_their_tags(tmp_path: Path) -> None:
    """By name, or right after the column when they are all called the same."""
    for head in ("time,T1,T1 Quality,T2,T2 Quality", "time,T1,Quality,T2,Quality"):
        log = read_log(written(tmp_path, head + "\n2026-11-20T06:00:00Z,1.5,Good,2.5,Bad\n"))
        assert samples(log) == {"T1": ([0.0], ["1.5"], [Flag.GOOD]), "T2": ([0.0], ["2.5"], [Flag.BAD])}


def test_a_column_that_names_no_tags_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running number taken for the tag would make a tag of every row."""
    monkeypatch.setattr(gathering, "_MOST_TAGS", 50)
    rows = "".join(f"N{k},2026-11-20T06:00:{k % 60:02d}Z,1.5\n" for k in range(100))
    with pytest.raises(DataError, match="more than 50 names"):
        read_log(written(tmp_path, "tag,time,value\n" + rows))


def test_the_layout_is_complete_and_reads_the_same_again(tmp_path: Path) -> None:
    """What was detected can be declared."""
    content = "Report of plant 7\n\nDatum;Uhrzeit;T1 [°C];P1\n;;;bar\n"
    content += "".join(f"20.11.2026;07:0{m}:00;1.{m}34,5;{m}\n" for m in range(5))
    path = written(tmp_path, content.encode("cp1252"))
    log = read_log(path, layout=BERLIN)
    assert log.layout == Layout(
        encoding="cp1252",
        separator=";",
        decimal=",",
        thousands=".",
        skiprows=1,
        header=2,
        time=("Datum", "Uhrzeit"),
        stamp_format="%d.%m.%Y %H:%M:%S",
        zone="Europe/Berlin",
        form=WideForm(),
    )
    assert samples(read_log(path, layout=log.layout)) == samples(log)
    assert (log["T1 [°C]"].unit, log["P1"].unit) == ("°C", "bar")
    assert log["T1 [°C]"].values.tolist() == [1034.5, 1134.5, 1234.5, 1334.5, 1434.5]


def test_a_window_of_a_log_is_cut_by_stamps_or_seconds(tmp_path: Path) -> None:
    """The origin stays where it was."""
    log = read_log(written(tmp_path, LONG))
    for low in ("2026-11-20T06:01Z", dt.datetime(2026, 11, 20, 6, 1, tzinfo=dt.UTC), 60.0):
        part = log.between(low, None)
        assert part["TI1"].times.tolist() == [60.0, 120.0]
        assert part.origin == log.origin


def test_a_log_is_saved_and_read_back(tmp_path: Path) -> None:
    """Times, values, flags, limits, states and units."""
    log = read_log(written(tmp_path, LONG))
    log.save(tmp_path / "log.parquet")
    back = read_log(tmp_path / "log.parquet")
    assert samples(back) == samples(log)
    assert back.origin == log.origin
    for one in log:
        assert (back[one.tag].unit, back[one.tag].states) == (one.unit, one.states)
        assert np.array_equal(np.asarray(back[one.tag].censored), np.asarray(one.censored))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.csv", b"", "empty"),
        ("log.csv", b"\0" * 100, "nothing but NUL"),
        ("log.csv", b"PK\x03\x04" + b"x" * 50, "a zip archive or a workbook"),
        ("log.csv", b"<!DOCTYPE html><html></html>", "a web page"),
        ("log.csv", b"just some words\nin two lines\n", "no separator found"),
        ("log.csv.gz", b"no gzip at all", "no intact gzip file"),
        ("log.parquet", b"no parquet at all", "no intact Parquet file"),
        ("log.xlsx", b"no workbook at all", "no intact workbook"),
        ("log.xls", b"\xd0\xcf\x11\xe0", "files are not read"),
    ],
)
def test_what_is_no_log_is_told_so(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """In words for the person who exported it, never as an error of a library below."""
    with pytest.raises(DataError, match=words):
        read_log(written(tmp_path, content, name))


def test_what_is_no_source_is_told_so(tmp_path: Path) -> None:
    """A folder, a number, a query without rows, a file that is not there."""
    with pytest.raises(DataError, match="a folder"):
        read_log(tmp_path)
    with pytest.raises(DataError, match="not a int"):
        read_log(7)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "nothing.csv")
    connection = sqlite3.connect(":memory:")
    with pytest.raises(DataError, match="has no rows"):
        read_log(Query(connection, "select 1 as a where 1 = 2"))
    connection.close()


def test_progress_changes_nothing(tmp_path: Path) -> None:
    """The bar is for the person who waits."""
    path = written(tmp_path, LONG)
    assert samples(read_log(path, progress=True)) == samples(read_log(path))


def test_a_log_that_begins_with_the_newest_row_is_turned_round(tmp_path: Path) -> None:
    """In long and in wide form, converted as well; a row out of order in another log stays where it is."""
    rows = [f"2026-11-20T06:{m:02d}:00Z" for m in reversed(range(20))]
    long = "".join(f"{tag},{at},{'<1' if k == 19 else k},192\n" for k, at in enumerate(rows) for tag in "AB")
    wide = "".join(f"{at},{'<1' if k == 19 else k},2.5\n" for k, at in enumerate(rows))
    for content in ("tag,time,value,quality\n" + long, "time,A,B\n" + wide):
        path = written(tmp_path, content)
        convert_log(path, tmp_path / "log.parquet")
        for log in (read_log(path), read_log(tmp_path / "log.parquet")):
            assert log["A"].times.tolist() == log["B"].times.tolist() == [60.0 * m for m in range(20)]
            assert log["A"].values.tolist() == [1.0, *(float(k) for k in reversed(range(19)))]
            assert log["A"].censored is not None and log["A"].censored.tolist() == [-1] + [0] * 19
            assert any("from the newest to the oldest" in note for note in log.notes)
    once = [*rows[::-1][:10], rows[0], *rows[::-1][10:]]
    log = read_log(written(tmp_path, "time,A\n" + "".join(f"{at},1.5\n" for at in once)))
    assert log["A"].times.tolist()[10] == 19 * 60.0
    assert log.notes == ()


def test_a_header_that_says_utc_is_a_zone(tmp_path: Path) -> None:
    """Where none is declared; another one contradicts it, unless the stamps have an offset. UTC+1 is no UTC."""
    rows = "\n2026-11-20 06:00:00,1.5\n2026-11-20 06:01:00,2.5\n"
    for head in ("Time (UTC)", "time_utc", "UTC", "Zeit UTC", "Timestamp (GMT)"):
        log = read_log(written(tmp_path, f"{head},A{rows}"))
        assert (log.layout.zone, log.origin) == ("UTC", dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC))
        with pytest.raises(DataError, match=r'line 2, column .*says UTC, and zone="Europe/Berlin" is declared'):
            read_log(written(tmp_path, f"{head},A{rows}"), layout=BERLIN)
        log = read_log(written(tmp_path, f"{head},A{rows.replace(':00,', ':00+01:00,')}"), layout=BERLIN)
        assert log.origin == dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)
    for head in ("Time (UTC+1)", "Time UTC +01:00", "Time"):
        with pytest.raises(DataError, match="has no zone"):
            read_log(written(tmp_path, f"{head},A{rows}"))


@pytest.mark.parametrize(
    ("content", "values", "times"),
    [
        ("time;T\n2026-07-01T06:00:00Z;1\nxx;2\n2026-07-01T06:02:00Z;3\n2026-07-01T06:03:00Z;5\n", [1, 3, 5], 3),
        ("time;T\n;1\n2026-07-01T06:02:00Z;3\n2026-07-01T06:03:00Z;5\n", [1, 3, 5], 2),
        ("time;T\n2026-07-01T06:00:00Z;1\n;1\n2026-07-01T06:02:00Z;3\n2026-07-01T06:03:00Z;5\n", [1, 1, 3, 5], 3),
        ("time (s);T\n0;1\nx;2\n2;3\n", [1, 3], 2),
    ],
)
def test_a_reading_of_one_beside_an_unreadable_stamp_is_no_unit(
    tmp_path: Path, content: str, values: list[float], times: int
) -> None:
    """ "1" is a unit, too; no row of data is lost to a row of units, and no unit is stated."""
    log = read_log(written(tmp_path, content))
    assert (log.layout.header, log["T"].unit) == (1, "")
    assert log["T"].values.tolist() == values
    assert int(np.isfinite(log["T"].times).sum()) == times
    assert len(log.notes) == 1


@pytest.mark.parametrize(("units", "unit"), [("s;1", "1"), (";K", "K"), (";-", "-"), ("min;1", "1")])
def test_a_row_of_units_may_say_that_there_is_none(tmp_path: Path, units: str, unit: str) -> None:
    """ "1" below a unit of time is a unit."""
    log = read_log(written(tmp_path, f"time;T\n{units}\n2026-07-01T06:02:00Z;3\n2026-07-01T06:03:00Z;5\n"))
    assert (log.layout.header, log["T"].unit, log["T"].values.tolist()) == (2, unit, [3.0, 5.0])


def test_what_is_wrong_with_a_separator_names_the_file(tmp_path: Path) -> None:
    """A quote after Excel's "sep=" announces nothing; a declared one is refused."""
    path = written(tmp_path, 'sep="\ntime;T1\n2026-11-20T06:00:00Z;21,5\n2026-11-20T06:01:00Z;21,75\n')
    try:
        read_log(path)
    except DataError as error:
        assert path.name in str(error)
    with pytest.raises(DataError, match=rf"{path.name}: separator="):
        read_log(path, layout=Layout(separator='"'))


def test_a_date_beyond_the_calendar_is_said(tmp_path: Path) -> None:
    """Microseconds that are called seconds, or a flipped bit: no bare OverflowError of Python's dates."""
    stamps = pl.Series("time", [0, 10**18], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    pl.DataFrame({"time": stamps, "T1": [1.0, 2.0]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r'log\.parquet, column "time": a date beyond the year 9999'):
        read_log(tmp_path / "log.parquet")
