"""Whatever table is written, in whichever layout: it is read back exactly, or refused with a reason.

Tables are drawn at random (numbers of any size, tags, moments), written out by the few lines below, and read. Numbers
must come back bit for bit, moments to the microsecond.
"""

import csv
import datetime as dt
import io
import itertools
import sqlite3
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from physics_twin.errors import DataError, PhysicsTwinError
from physics_twin.measurements import Flag
from physics_twin.measurements.logs.conversion import convert_log
from physics_twin.measurements.logs.frames import Query
from physics_twin.measurements.logs.layout import Layout, LongForm, WideForm
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.logs.reading import read_log

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
# stamp_format -> how a naive local moment is written
FORMATS: dict[str, Callable[[dt.datetime], str]] = {
    "ISO": lambda t: t.isoformat(),
    "%d.%m.%Y %H:%M:%S.%f": lambda t: f"{t:%d.%m.}{t.year:04d} {t:%H:%M:%S.%f}",
    "%m/%d/%Y %I:%M:%S.%f %p": lambda t: f"{t:%m/%d/}{t.year:04d} {t:%I:%M:%S.%f %p}",
    "%Y%m%d%H%M%S.%f": lambda t: f"{t.year:04d}{t:%m%d%H%M%S.%f}",
}
PROFILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

number = st.floats(allow_nan=False, allow_infinity=False)
usual = st.decimals(min_value=-99999, max_value=99999, places=3, allow_nan=False).map(float)
cell = st.one_of(number, usual, usual, st.none())
name = st.from_regex(r"[A-Z][A-Za-z0-9_.]{0,6}", fullmatch=True).filter(
    lambda text: text.lower() not in {"time", "tag"}
)
moment = st.datetimes(dt.datetime(2000, 1, 3), dt.datetime(2049, 12, 28), timezones=st.just(dt.UTC))


@dataclass(frozen=True)
class Drawn:
    """A table: moments (ascending, UTC), tag -> cells (None where nothing was measured), and how it is written."""

    moments: list[dt.datetime]
    tags: dict[str, list[float | None]]
    layout: Layout
    long: bool
    offset: bool
    quoted: bool
    line_end: str

    def text(self) -> str:
        """Write it."""
        out = io.StringIO()
        separator = self.layout.separator or ","
        writer = csv.writer(
            out,
            delimiter=separator,
            quoting=csv.QUOTE_ALL if self.quoted else csv.QUOTE_MINIMAL,
            lineterminator=self.line_end,
        )
        stamps = [self.stamp(moment) for moment in self.moments]
        if self.long:
            writer.writerow(["tag", "time", "value"])
            for row, (tag, cells) in itertools.product(range(len(stamps)), self.tags.items()):
                writer.writerow([tag, stamps[row], self.cell(cells[row])])
        else:
            writer.writerow(["time", *self.tags])
            for row, stamp in enumerate(stamps):
                writer.writerow([stamp, *(self.cell(cells[row]) for cells in self.tags.values())])
        return out.getvalue()

    def stamp(self, moment: dt.datetime) -> str:
        """Write a moment."""
        local = moment.astimezone(zoneinfo.ZoneInfo(self.layout.zone or "UTC"))
        if self.offset:
            return local.isoformat()
        return FORMATS[self.layout.stamp_format or "ISO"](local.replace(tzinfo=None))

    def cell(self, number: float | None) -> str:
        """Write a number with every digit that it needs."""
        if number is None:
            return ""
        text = repr(number)
        if self.layout.thousands and "e" not in text:
            whole, _, decimals = text.partition(".")
            text = f"{int(whole):,}".replace(",", "_") + f".{decimals}" if whole != "-0" else text
            return text.replace(".", self.layout.decimal or ".").replace("_", self.layout.thousands)
        return text.replace(".", self.layout.decimal or ".")


@st.composite
def drawn_tables(draw: st.DrawFn) -> Drawn:
    """Draw a table and a layout that can hold it."""
    moments = sorted(set(draw(st.lists(moment, min_size=1, max_size=8))))
    names = draw(st.lists(name, min_size=1, max_size=4, unique=True))
    n = len(moments)
    tags = {one: draw(st.lists(cell, min_size=n, max_size=n)) for one in names}
    decimal = draw(st.sampled_from([".", ","]))
    thousands = draw(st.sampled_from(["", "", "'", "\u00a0", "." if decimal == "," else ","]))
    separator = draw(st.sampled_from([";", "\t", "|", ","]))
    zone = draw(st.sampled_from(ZONES))
    long, offset = draw(st.booleans()), draw(st.booleans())
    stamp_format = "ISO" if offset else draw(st.sampled_from(list(FORMATS)))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"]))
    assume(offset or all(unique(moment, zone) for moment in moments))
    layout = Layout(
        encoding=encoding,
        separator=separator,
        decimal=decimal,
        thousands=thousands,
        skiprows=0,
        header=1,
        time="time",
        stamp_format=stamp_format,
        zone=zone,
        form=LongForm(tag="tag", value="value") if long else WideForm(),
    )
    return Drawn(moments, tags, layout, long, offset, draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n"])))


def unique(moment: dt.datetime, zone: str) -> bool:
    """Whether the clock on the wall shows this moment only once."""
    local = moment.astimezone(zoneinfo.ZoneInfo(zone))
    return local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()


def assert_same(log: Log, table: Drawn) -> None:
    """Compare bit for bit and to the microsecond; what was not measured is missing."""
    assert log.origin is not None
    for tag, cells in table.tags.items():
        got = log[tag]
        assert not got.states
        assert got.censored is None
        wanted = np.array([np.nan if one is None else one for one in cells])
        assert got.values.tobytes() == wanted.tobytes() or np.array_equal(got.values, wanted, equal_nan=True)
        assert got.flags.tolist() == [Flag.MISSING if one is None else Flag.GOOD for one in cells]
        back = [log.origin + dt.timedelta(microseconds=round(float(time) * 1e6)) for time in got.times]
        assert back == table.moments


@PROFILE
@given(table=drawn_tables())
def test_a_declared_layout_is_read_back_exactly(tmp_path: Path, table: Drawn) -> None:
    """Numbers bit for bit, moments to the microsecond, empty cells missing: in every layout."""
    path = tmp_path / "log.csv"
    path.write_bytes(table.text().encode(table.layout.encoding or "utf-8"))
    assert_same(read_log(path, layout=table.layout), table)


@PROFILE
@given(table=drawn_tables())
def test_an_undeclared_layout_is_read_back_exactly_or_asked_for(tmp_path: Path, table: Drawn) -> None:
    """Detection may ask; it may not guess wrong."""
    path = tmp_path / "log.csv"
    path.write_bytes(table.text().encode(table.layout.encoding or "utf-8"))
    try:
        log = read_log(path, layout=Layout(zone=table.layout.zone))
    except DataError:
        return
    if not all(tag in log.samples for tag in table.tags):  # a long form that was read as a wide one says so: its tags
        assert set(log.samples) & {"tag", "value"}, list(log.samples)
        return
    for tag, cells in table.tags.items():
        # a column without a single number has no numbers to get wrong, but it must not turn into some
        if any(one is not None for one in cells):
            continue
        assert not np.isfinite(log[tag].values).any()
    read_ones = {tag: cells for tag, cells in table.tags.items() if any(one is not None for one in cells)}
    assert_same(log, replace(table, tags=read_ones))


@PROFILE
@given(table=drawn_tables())
def test_the_layout_that_is_shown_reads_the_file_again(tmp_path: Path, table: Drawn) -> None:
    """What was detected, once declared, changes nothing: a script can be written from what was shown."""
    path = tmp_path / "log.csv"
    path.write_bytes(table.text().encode(table.layout.encoding or "utf-8"))
    try:
        log = read_log(path, layout=Layout(zone=table.layout.zone))
    except DataError:
        return
    again = read_log(path, layout=log.layout)
    assert again.layout == log.layout
    assert list(again.samples) == list(log.samples)
    for one in log:
        assert again[one.tag].values.tobytes() == one.values.tobytes()
        assert again[one.tag].times.tobytes() == one.times.tobytes()
        assert again[one.tag].flags.tolist() == one.flags.tolist()
        assert again[one.tag].states == one.states


@PROFILE
@given(table=drawn_tables(), data=st.data())
def test_a_window_is_the_part_of_the_whole(tmp_path: Path, table: Drawn, data: st.DataObject) -> None:
    """between= keeps what lies within, both ends included, and nothing else."""
    path = tmp_path / "log.csv"
    path.write_bytes(table.text().encode(table.layout.encoding or "utf-8"))
    low, high = sorted(data.draw(st.tuples(moment, moment)))
    kept = [row for row, one in enumerate(table.moments) if low <= one <= high]
    try:
        log = read_log(path, layout=table.layout, between=(low, high))
    except PhysicsTwinError:
        assert not kept
        return
    tags = {tag: [cells[row] for row in kept] for tag, cells in table.tags.items()}
    if kept:
        assert_same(log, replace(table, moments=[table.moments[row] for row in kept], tags=tags))
    else:
        assert all(one.n == 0 for one in log)


@PROFILE
@given(table=drawn_tables())
def test_a_frame_is_read_as_its_file(table: Drawn) -> None:
    """Data frames of pandas and polars, with typed columns, give the same log."""
    columns = {"time": table.moments, **table.tags}
    layout = Layout(zone=table.layout.zone)
    frame = pl.DataFrame(columns, schema_overrides=dict.fromkeys(table.tags, pl.Float64))
    assert_same(read_log(frame, layout=layout), table)
    indexed = pd.DataFrame({"time": pd.DatetimeIndex(table.moments), **table.tags})
    for tag in table.tags:
        indexed[tag] = indexed[tag].astype(float)
    assert_same(read_log(indexed, layout=layout), table)


@PROFILE
@given(table=drawn_tables())
def test_a_query_is_read_as_its_table(table: Drawn) -> None:
    """The rows of a database, in long form."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table history (tag text, time text, value real)")
    numbered = list(enumerate(table.moments))
    rows = [(tag, one.isoformat(), cells[row]) for row, one in numbered for tag, cells in table.tags.items()]
    connection.executemany("insert into history values (?, ?, ?)", rows)
    layout = Layout(time="time", form=LongForm(tag="tag", value="value"))
    try:
        assert_same(read_log(Query(connection, "select * from history"), layout=layout), table)
    finally:
        connection.close()


@settings(PROFILE, max_examples=25)
@given(table=drawn_tables())
def test_a_converted_log_is_the_same_log(tmp_path: Path, table: Drawn) -> None:
    """What convert_log writes as Parquet is read back as the text was read."""
    path, out = tmp_path / "log.csv", tmp_path / "log.parquet"
    path.write_bytes(table.text().encode(table.layout.encoding or "utf-8"))
    convert_log(path, out, layout=table.layout)
    assert_same(read_log(out), table)


@pytest.mark.parametrize("stamp_format", ["unix s", "unix ms", "s", "min", "excel"])
def test_numeric_times_are_read_back(tmp_path: Path, stamp_format: str) -> None:
    """Seconds and milliseconds since 1970, elapsed time, Excel's days: to the microsecond, days to ten."""
    path = tmp_path / "log.csv"
    start = dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)
    seconds = [0.0, 0.25, 1.5, 60.0, 86400.125]
    unix = [start.timestamp() + s for s in seconds]
    excel = dt.datetime(1899, 12, 30, tzinfo=dt.UTC).timestamp()
    cells = {
        "unix s": unix,
        "unix ms": [1e3 * s for s in unix],
        "s": seconds,
        "min": [s / 60.0 for s in seconds],
        "excel": [(s - excel) / 86400.0 for s in unix],
    }[stamp_format]
    path.write_text("time,T1\n" + "".join(f"{cell!r},1.5\n" for cell in cells))
    log = read_log(path, layout=Layout(stamp_format=stamp_format, zone="UTC" if stamp_format == "excel" else None))
    if stamp_format in ("s", "min"):
        assert log.origin is None
        zero = 0.0
    else:
        assert log.origin is not None
        zero = (start - log.origin).total_seconds()
    np.testing.assert_allclose(
        log["T1"].times - zero, seconds, rtol=0.0, atol=1e-5 if stamp_format == "excel" else 1e-6
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_file_larger_than_what_detection_looks_at_is_read_whole(tmp_path: Path, encoding: str) -> None:
    """Detection also looks at places further on, which begin without a byte order mark and within a character."""
    n = 12_000
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    lines = [f"{(begin + dt.timedelta(seconds=k)).isoformat()}\t{k / 8}\t°µß{k % 7}\r\n" for k in range(n)]
    path = tmp_path / "log.txt"
    path.write_bytes("".join(["time\tT1 [°C]\tRemark\r\n", *lines]).encode(encoding))
    assert path.stat().st_size > 1 << 18
    log = read_log(path)
    np.testing.assert_array_equal(log["T1 [°C]"].values, np.arange(n) / 8)
    np.testing.assert_array_equal(log["T1 [°C]"].times, np.arange(n))
    assert log["T1 [°C]"].unit == "°C"
    assert sorted(log["Remark"].states) == [f"°µß{k}" for k in range(7)]
