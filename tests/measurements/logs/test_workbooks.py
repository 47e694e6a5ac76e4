"""Workbooks as logs: what a spreadsheet holds is what is read."""

import datetime as dt
from pathlib import Path

import openpyxl
import pytest

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.reading import read_log

UTC = Layout(zone="UTC")
START = dt.datetime(2026, 11, 20, 6)


def workbook(folder: Path, *rows: tuple[object, ...], epoch: dt.datetime | None = None) -> Path:
    """Write a workbook with one sheet."""
    book = openpyxl.Workbook()
    if epoch is not None:
        book.epoch = epoch
    for row in rows:
        book.active.append(row)
    path = folder / "log.xlsx"
    book.save(path)
    return path


def test_a_sheet_is_read_with_its_titles_units_and_errors(tmp_path: Path) -> None:
    """Stamps by their format, numbers in full, error cells bad, numbers stored as text by their own decimal sign."""
    rows = [
        ("Plant 7", None, None),
        (None, None, None),
        ("Time", "T1 [°C]", "P1"),
        (None, None, "bar"),
        (START, 20.12345678901234, "1,5"),
        (START + dt.timedelta(minutes=1), "#DIV/0!", "2,5"),
        (START + dt.timedelta(minutes=2), 1.25e-7, None),
    ]
    log = read_log(workbook(tmp_path, *rows), layout=UTC)
    assert log.origin == START.replace(tzinfo=dt.UTC)
    assert log["T1 [°C]"].values.tolist()[::2] == [20.12345678901234, 1.25e-7]
    assert log["T1 [°C]"].flags.tolist() == [Flag.GOOD, Flag.BAD, Flag.GOOD]
    assert log["P1"].values.tolist()[:2] == [1.5, 2.5]
    assert log["P1"].flags.tolist() == [Flag.GOOD, Flag.GOOD, Flag.MISSING]
    assert (log["T1 [°C]"].unit, log["P1"].unit) == ("°C", "bar")
    assert log.layout.sheet == "Sheet"


@pytest.mark.parametrize("epoch", [None, openpyxl.utils.datetime.CALENDAR_MAC_1904])
def test_days_count_from_1900_or_1904(tmp_path: Path, epoch: dt.datetime | None) -> None:
    """The same moment has another number in either; a bare number is days only where that is declared."""
    zero = dt.datetime(1904, 1, 1) if epoch else dt.datetime(1899, 12, 30)
    days = [(START + dt.timedelta(minutes=m) - zero) / dt.timedelta(days=1) for m in range(3)]
    path = workbook(tmp_path, ("Time", "T1"), *((day, 1.5) for day in days), epoch=epoch)
    with pytest.raises(DataError, match="stamp_format"):
        read_log(path, layout=UTC)
    log = read_log(path, layout=Layout(zone="UTC", stamp_format="excel"))
    assert log.origin == START.replace(tzinfo=dt.UTC)
    assert log["T1"].times.tolist() == [0.0, 60.0, 120.0]


def test_a_sheet_has_to_be_named_where_several_hold_data(tmp_path: Path) -> None:
    """A cover sheet holds none; the hash is that of the file."""
    book = openpyxl.Workbook()
    book.active.append(("Report", "made by", "nobody"))
    for title in ("day 1", "day 2"):
        sheet = book.create_sheet(title)
        sheet.append(("Time", "T1"))
        for m in range(3):
            sheet.append((START + dt.timedelta(minutes=m), 1.5))
    path = tmp_path / "log.xlsx"
    book.save(path)
    with pytest.raises(DataError, match=r"the sheets day 1, day 2 hold data; say which"):
        read_log(path, layout=UTC)
    assert read_log(path, layout=Layout(zone="UTC", sheet="day 2"))["T1"].n == 3
    with pytest.raises(DataError, match='no sheet "day 3"'):
        read_log(path, layout=Layout(zone="UTC", sheet="day 3"))


def test_a_cell_beside_the_table_is_an_error_with_its_row(tmp_path: Path) -> None:
    """Somebody's remark would be lost in silence."""
    rows: list[tuple[object, ...]] = [("Time", "T1"), *((START + dt.timedelta(minutes=m), 1.5) for m in range(5))]
    rows[4] = (*rows[4], None, "probe was dry")
    with pytest.raises(DataError, match='row 5: "probe was dry" stands to the right'):
        read_log(workbook(tmp_path, *rows), layout=UTC)


def test_a_formula_that_was_never_calculated_is_missing_and_told(tmp_path: Path) -> None:
    """It reads as an empty cell; nothing else in the workbook says so."""
    rows = [("Time", "T1"), (START, 1.5), (START + dt.timedelta(minutes=1), "=B2+1")]
    log = read_log(workbook(tmp_path, *rows), layout=UTC)
    assert log["T1"].flags.tolist() == [Flag.GOOD, Flag.MISSING]
    assert any("formula" in note and "=B2+1" in note for note in log.notes)


@pytest.mark.parametrize("declared", [UTC, Layout(zone="UTC", time=("Date", "Clock"))])
def test_a_date_and_a_time_of_day_in_cells_of_their_own(tmp_path: Path, declared: Layout) -> None:
    """As spreadsheets hold them: a date is a midnight, a time of day the part of a day."""
    rows = [(dt.date(2026, 7, 1), dt.time(6, 0, k), 1.5 + k) for k in range(3)]
    log = read_log(workbook(tmp_path, ("Date", "Clock", "T1"), *rows), layout=declared)
    assert log.origin == dt.datetime(2026, 7, 1, 6, tzinfo=dt.UTC)
    assert log["T1"].times.tolist() == [0.0, 1.0, 2.0]
    assert log["T1"].values.tolist() == [1.5, 2.5, 3.5]
