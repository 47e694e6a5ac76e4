"""Time columns: seconds, units, stamps, and the two nights a year in which a clock on the wall lies."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from physics_twin.errors import DataError, UnitError, UnknownNameError
from physics_twin.measurements import Channel, Column, Experiment, Flag, Stamps
from physics_twin.measurements.clocks import parse_stamp


def log(folder: Path, times: list[str], time: Any, **options: Any) -> Experiment:
    """Read a log with these times and a channel."""
    path = folder / "log.csv"
    path.write_text("t,a\n" + "".join(f"{t},{20 + i}\n" for i, t in enumerate(times)))
    return Experiment.from_csv(path, time=time, channels=[Channel("a", unit="degC", noise="1 K")], **options)


def test_bare_seconds_and_a_unit(tmp_path: Path) -> None:
    """A header alone means seconds; a Column says its unit."""
    assert log(tmp_path, ["0", "90"], "t")["a"].times.tolist() == [0.0, 90.0]
    assert log(tmp_path, ["0", "1.5"], Column("t", "min"))["a"].times.tolist() == [0.0, 90.0]
    with pytest.raises(UnitError, match='time column "t" is declared in K'):
        log(tmp_path, ["0", "1"], Column("t", "K"))


def test_stamps_with_an_offset(tmp_path: Path) -> None:
    """Time zero is the first row, and kept in UTC; offsets may differ between rows."""
    run = log(tmp_path, ["2026-04-17T08:00:00+02:00", "2026-04-17T06:00:30.25Z"], "t")
    assert run["a"].times.tolist() == [0.0, 30.25]
    assert run.t0_utc == dt.datetime(2026, 4, 17, 6, tzinfo=dt.UTC)


def test_stamps_without_a_zone_ask_for_one(tmp_path: Path) -> None:
    """The error names the row and says what to write."""
    with pytest.raises(DataError, match=r'row 2 \(line 3\).*"2026-04-17 08:00:30" has no zone; say Stamps\("t", zone='):
        log(tmp_path, ["2026-04-17T08:00:00Z", "2026-04-17 08:00:30"], "t")
    with pytest.raises(UnknownNameError, match='did you mean "Europe/Berlin"'):
        Stamps("t", zone="Europe/Berlinn")


def test_stamps_in_a_zone_and_a_format(tmp_path: Path) -> None:
    """The German way of writing a date; mixed with an offset, the offset wins."""
    run = log(
        tmp_path,
        ["17.04.2026 08:00:00", "17.04.2026 08:01:00"],
        Stamps("t", zone="Europe/Berlin", format="%d.%m.%Y %H:%M:%S"),
    )
    assert run["a"].times.tolist() == [0.0, 60.0]
    assert run.t0_utc == dt.datetime(2026, 4, 17, 6, tzinfo=dt.UTC)
    with pytest.raises(DataError, match=r"row 1 \(line 2\).*is not an ISO stamp, and neither is any other"):
        log(tmp_path, ["17.04.2026", "18.04.2026"], Stamps("t", zone="UTC"))


def autumn(step: int) -> tuple[list[str], list[float]]:
    """The clock of Berlin through the night of 25 October 2026, every `step` minutes, and the true seconds."""
    begin = dt.datetime(2026, 10, 24, 22, 0, tzinfo=dt.UTC)
    moments = [begin + dt.timedelta(minutes=step * i) for i in range(6 * 60 // step)]
    # Summer time ends at 01:00 UTC.
    walls = [m + dt.timedelta(hours=2 if m < dt.datetime(2026, 10, 25, 1, tzinfo=dt.UTC) else 1) for m in moments]
    return [w.strftime("%Y-%m-%d %H:%M:%S") for w in walls], [(m - begin).total_seconds() for m in moments]


@pytest.mark.parametrize("step", [1, 10, 30, 60])
def test_the_repeated_hour_is_told_apart_by_the_order_of_the_rows(tmp_path: Path, step: int) -> None:
    """Both passes through 02:00 to 03:00 get their own time, hourly logs included."""
    walls, seconds = autumn(step)
    run = log(tmp_path, walls, Stamps("t", zone="Europe/Berlin"))
    assert run["a"].times.tolist() == seconds
    assert (run["a"].flags == Flag.GOOD).all()


def test_a_repeated_hour_that_nothing_resolves_is_suspect(tmp_path: Path) -> None:
    """A log that begins in it may be in either pass; it says so."""
    run = log(tmp_path, ["2026-10-25 02:30", "2026-10-25 02:40", "2026-10-25 03:00"], Stamps("t", zone="Europe/Berlin"))
    assert run["a"].flags.tolist() == [Flag.SUSPECT, Flag.SUSPECT, Flag.GOOD]
    assert any("Europe/Berlin repeats" in note for note in run.notes)


def test_the_skipped_hour_does_not_exist(tmp_path: Path) -> None:
    """02:30 on 29 March 2026 was never; the row is bad, the others keep their true distance."""
    run = log(
        tmp_path,
        ["2026-03-29 01:50", "2026-03-29 02:30", "2026-03-29 03:00"],
        Stamps("t", zone="Europe/Berlin"),
    )
    assert run["a"].flags.tolist() == [Flag.GOOD, Flag.BAD, Flag.GOOD]
    assert run["a"].times[2] == 600.0
    assert any("do not exist in Europe/Berlin" in note for note in run.notes)


def test_an_unreadable_time_makes_a_bad_row_and_not_a_shorter_log(tmp_path: Path) -> None:
    """A header repeated in the middle, as after a restart of the logger."""
    path = tmp_path / "log.csv"
    path.write_text("t,a\n0,20\n1,21\nt,a\n2,22\n")
    run = Experiment.from_csv(path, time="t", channels=[Channel("a", unit="degC", noise="1 K")])
    assert run["a"].flags.tolist() == [Flag.GOOD, Flag.GOOD, Flag.BAD, Flag.GOOD]
    assert run["a"].used.tolist() == [True, True, False, True]
    assert "1 rows have no readable time" in run.notes[0]


def test_time_zero_is_where_the_user_says(tmp_path: Path) -> None:
    """On the clock of the column, or as a stamp; samples before it are kept and left out."""
    run = log(tmp_path, ["0", "10", "20"], "t", start="10 s")
    assert run["a"].times.tolist() == [-10.0, 0.0, 10.0]
    assert run["a"].used.tolist() == [False, True, True]
    assert run["a"].reasons == ("before time zero",)
    stamped = log(tmp_path, ["2026-01-01T00:00Z", "2026-01-01T00:01Z"], "t", start="2026-01-01T01:00:30+01:00")
    assert stamped["a"].times.tolist() == [-30.0, 30.0]
    assert stamped.t0_utc == dt.datetime(2026, 1, 1, 0, 0, 30, tzinfo=dt.UTC)


def test_an_elapsed_time_that_begins_later_asks_for_its_zero(tmp_path: Path) -> None:
    """The first laboratory sample at 1230 min is not the beginning of the run, unless someone says so."""
    with pytest.raises(DataError, match=r'begins at 73800 s and not at 0.*start="0 s" or start="73800 s"'):
        log(tmp_path, ["1230", "3060"], Column("t", "min"))
    assert log(tmp_path, ["1230", "3060"], Column("t", "min"), start="0 s")["a"].times[0] == 73800.0
    # With inputs recorded beside it nothing is known before the first row.
    path = tmp_path / "log.csv"
    path.write_text("t,a,u\n28.4,20,1\n29.4,21,2\n")
    run = Experiment.from_csv(
        path, time="t", inputs={"u": Column("u", "W")}, channels=[Channel("a", unit="degC", noise="1 K")]
    )
    assert run["a"].times.tolist() == [0.0, 1.0]
    assert "time zero is the first row, 28.4 s on the column's own clock" in run.notes


def test_a_start_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    """A stamp for elapsed time, a duration for stamps, a stamp without zone."""
    with pytest.raises(DataError, match="is a stamp, and the time column holds elapsed time"):
        log(tmp_path, ["0", "10"], "t", start="2026-01-01T00:00Z")
    with pytest.raises(DataError, match="the time column holds stamps"):
        log(tmp_path, ["2026-01-01T00:00Z"], "t", start="10 min")
    with pytest.raises(DataError, match="has no zone"):
        log(tmp_path, ["2026-01-01T00:00Z"], "t", start="2026-01-01T00:00")
    with pytest.raises(DataError, match="has no zone"):
        parse_stamp("2026-01-01T00:00")
    run = log(tmp_path, ["2026-01-01T00:00Z"], "t")
    with pytest.raises(DataError, match="is no datetime"):
        replace(run, t0_utc="2026-01-01T00:00Z")  # type: ignore[arg-type]  # what people try


def test_frames_with_stamps() -> None:
    """A column or an index of pandas stamps, with a zone or with one given."""
    stamps = pd.date_range("2026-10-25 00:00", periods=5, freq="h", tz="Europe/Berlin")
    channels = [Channel("a", unit="degC", noise="1 K")]
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0]}, index=pd.Index(stamps, name="when"))
    run = Experiment.from_frame(frame, name="run", time="when", channels=channels)
    assert run["a"].times.tolist() == [3600.0 * i for i in range(5)]
    naive = pd.DataFrame({"when": stamps.tz_localize(None), "a": frame["a"].to_numpy()})
    with pytest.raises(DataError, match="has no zone"):
        Experiment.from_frame(naive, name="run", time="when", channels=channels)
    again = Experiment.from_frame(naive, name="run", time=Stamps("when", "Europe/Berlin"), channels=channels)
    assert again["a"].times.tolist() == run["a"].times.tolist()
    with_gap = naive.assign(when=naive["when"].where(np.arange(5) != 2))
    assert Experiment.from_frame(with_gap, name="run", time=Stamps("when", "Europe/Berlin"), channels=channels)[
        "a"
    ].flags.tolist() == [Flag.GOOD, Flag.GOOD, Flag.BAD, Flag.GOOD, Flag.GOOD]
