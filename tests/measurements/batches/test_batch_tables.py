"""Batch lists as people keep them: stamps on the wall, forgotten ends, phases in columns or rows."""

import datetime as dt
from pathlib import Path

import openpyxl
import pandas as pd
import polars as pl
import pytest

from physics_twin.errors import DataError, FileFormatError, UnknownNameError
from physics_twin.measurements.batches.batch import Batch, LaboratoryValue, PhaseWindow
from physics_twin.measurements.batches.batch_tables import batch_list, read_batches
from physics_twin.measurements.logs.layout import Layout


def utc(text: str) -> dt.datetime:
    """A stamp of UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a batch list."""
    path = folder / "batches.csv"
    path.write_bytes(text.encode(encoding))
    return path


PLAIN = "Batch;Start;End;Lot;Charge mol/L\nB1;2026-03-01 06:00;2026-03-01 10:00;L1;1,25\nB2;2026-03-01 22:30;2026-03-02 03:10;L1;1,5\n"  # noqa: E501


def test_columns_are_found_by_their_headers_and_the_rest_is_context(tmp_path: Path) -> None:
    """Batch, Start and End need no keyword; a decimal comma is seen; other columns go into the context."""
    first, second = read_batches(written(tmp_path, PLAIN), zone="Europe/Berlin")
    assert (first.name, first.start, first.end) == ("B1", utc("2026-03-01 05:00"), utc("2026-03-01 09:00"))
    assert dict(second.context) == {"Lot": "L1", "Charge mol/L": 1.5}
    assert second.end == utc("2026-03-02 02:10")
    assert first.source == "batches.csv, row 1 (line 2)"


def test_the_hash_of_the_file_is_kept(tmp_path: Path) -> None:
    """The list is as much part of the provenance as the log."""
    import hashlib

    path = written(tmp_path, PLAIN)
    listed = batch_list(path, zone="UTC")
    assert listed.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert listed.source == "batches.csv"


def test_frames_of_pandas_and_polars_and_workbooks_say_the_same(tmp_path: Path) -> None:
    """A list is the same list as text, workbook or frame."""
    rows = [
        ("B1", dt.datetime(2026, 3, 1, 6), dt.datetime(2026, 3, 1, 10), "L1", 1.25),
        ("B2", dt.datetime(2026, 3, 1, 22, 30), dt.datetime(2026, 3, 2, 3, 10), "L1", 1.5),
    ]
    names = ["Batch", "Start", "End", "Lot", "Charge mol/L"]
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Batches of plant 31"])
    for row in [names, *rows]:
        sheet.append(list(row))
    book.save(tmp_path / "batches.xlsx")
    sources = [
        written(tmp_path, PLAIN),
        tmp_path / "batches.xlsx",
        pd.DataFrame(rows, columns=names),
        pl.DataFrame(rows, schema=names, orient="row"),
    ]
    found = [
        [(b.name, b.start, b.end, dict(b.context)) for b in read_batches(s, zone="Europe/Berlin")] for s in sources
    ]
    assert found[0] == found[1] == found[2] == found[3]


def test_workbook_rows_are_named_as_the_sheet_numbers_them(tmp_path: Path) -> None:
    """An error in a workbook names sheet and line as the person sees them."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Liste"
    for row in (["Title", None, None], [], ["Batch", "Start", "End"], ["B1", "tomorrow", "2026-01-01"]):
        sheet.append(row)
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match=r"b\.xlsx\[Liste\], row 1 \(line 4\), column \"Start\""):
        read_batches(tmp_path / "b.xlsx", zone="UTC", format="ISO")


def test_a_workbook_with_two_filled_sheets_asks_which(tmp_path: Path) -> None:
    """Which of two sheets is meant cannot be guessed."""
    book = openpyxl.Workbook()
    for title in ("2025", "2026"):
        sheet = book.create_sheet(title)
        sheet.append(["Batch", "Start", "End"])
        sheet.append([title, dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2)])
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match="2025, 2026; say which"):
        read_batches(tmp_path / "b.xlsx", zone="UTC")
    assert read_batches(tmp_path / "b.xlsx", zone="UTC", layout=Layout(sheet="2026"))[0].name == "2026"


def test_bytes_that_are_no_workbook_are_refused(tmp_path: Path) -> None:
    """A text file with the name of a workbook gives an error of this library."""
    (tmp_path / "b.xlsx").write_text("Batch;Start;End")
    with pytest.raises(FileFormatError, match="no workbook"):
        read_batches(tmp_path / "b.xlsx", zone="UTC")


def test_a_formula_that_nobody_calculated_is_no_empty_cell(tmp_path: Path) -> None:
    """An end that a script wrote as a formula would pass for missing, and be taken from the next batch."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Batch", "Start", "End"])
    sheet.append(["B1", dt.datetime(2026, 1, 1), "=B2+1/6"])
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match=r"b\.xlsx\[Sheet\], line 2: no program has calculated the formula =B2\+1/6"):
        read_batches(tmp_path / "b.xlsx", zone="UTC", open_end="next")


@pytest.mark.parametrize(
    ("header", "keyword"),
    [("Batch;Batch ID;Start;End", "id="), ("Batch;Start;Begin;End", "start="), ("Batch;Start;End;Stop", "end=")],
)
def test_two_columns_that_may_be_meant_are_an_error_that_names_both(tmp_path: Path, header: str, keyword: str) -> None:
    """Guessing ends where two headers fit; the message gives both and the keyword."""
    path = written(tmp_path, f"{header}\nB1;2026-03-01;2026-03-02;2026-03-02\n")
    with pytest.raises(DataError, match=keyword) as caught:
        read_batches(path, zone="UTC")
    assert " and " in str(caught.value)


def test_a_list_without_a_start_names_its_columns_and_the_keyword(tmp_path: Path) -> None:
    """What is not found is asked for by name."""
    path = written(tmp_path, "Batch;Zeit;End\nB1;2026-03-01;2026-03-02\n")
    with pytest.raises(DataError, match=r'There are "Batch", "Zeit", "End"; say it in .*start='):
        read_batches(path, zone="UTC")


def test_stamps_without_zone_are_refused_with_row_and_column(tmp_path: Path) -> None:
    """A zone is always known or asked for."""
    with pytest.raises(DataError, match=r'batches\.csv, row 1 \(line 2\), column "Start".*zone='):
        read_batches(written(tmp_path, PLAIN))


def test_stamps_with_offsets_need_no_zone(tmp_path: Path) -> None:
    """An offset says it all."""
    path = written(tmp_path, "Batch,Start,End\nB1,2026-03-01T06:00+01:00,2026-03-01T10:00Z\n")
    (batch,) = read_batches(path)
    assert (batch.start, batch.end) == (utc("2026-03-01 05:00"), utc("2026-03-01 10:00"))


def test_german_dates_are_read_and_ambiguous_ones_refused(tmp_path: Path) -> None:
    """25.03. can only be a day; 03/04 can be two, and the message says how to declare it."""
    path = written(tmp_path, "Batch;Start;End\nB1;24.03.2026 22:00;25.03.2026 04:00\n")
    (batch,) = read_batches(path, zone="Europe/Berlin")
    assert batch.start == utc("2026-03-24 21:00")
    path = written(tmp_path, "Batch;Start;End\nB1;03/04/2026 01:00;03/04/2026 04:00\n")
    with pytest.raises(DataError, match=r'column "Start".*format='):
        read_batches(path, zone="UTC")
    (batch,) = read_batches(path, zone="UTC", format="%m/%d/%Y %H:%M")
    assert batch.start == utc("2026-03-04 01:00")


def test_a_batch_over_the_night_of_summer_time_has_its_true_duration(tmp_path: Path) -> None:
    """From 01:00 to 04:00 it is two hours in the spring night and four in the autumn one."""
    path = written(
        tmp_path,
        "Batch;Start;End\nspring;2026-03-29 01:00;2026-03-29 04:00\nautumn;2026-10-25 01:00;2026-10-25 04:00\n",
    )
    spring, autumn = read_batches(path, zone="Europe/Berlin")
    assert (spring.start, spring.end) == (utc("2026-03-29 00:00"), utc("2026-03-29 02:00"))
    assert (autumn.start, autumn.end) == (utc("2026-10-24 23:00"), utc("2026-10-25 03:00"))


def test_a_stamp_in_the_hour_that_is_skipped_is_refused(tmp_path: Path) -> None:
    """02:30 did not exist in that night, whoever wrote it down."""
    path = written(tmp_path, "Batch;Start;End\nB1;2026-03-29 02:30;2026-03-29 04:00\n")
    with pytest.raises(DataError, match=r"row 1.*Start.*does not exist in Europe/Berlin"):
        read_batches(path, zone="Europe/Berlin")


def test_in_the_repeated_hour_the_end_comes_after_the_start(tmp_path: Path) -> None:
    """02:50 to 02:10 can only be from the first pass to the second; 02:10 to 02:50 is noted as a guess."""
    path = written(
        tmp_path, "Batch;Start;End\nB1;2026-10-25 02:50;2026-10-25 02:10\nB2;2026-10-25 02:10;2026-10-25 05:00\n"
    )
    sure, guessed = read_batches(path, zone="Europe/Berlin")
    assert (sure.start, sure.end, sure.notes) == (utc("2026-10-25 00:50"), utc("2026-10-25 01:10"), ())
    assert guessed.start == utc("2026-10-25 00:10")
    assert "first pass" in guessed.notes[0]


def test_dates_and_times_in_two_columns_and_an_end_after_midnight(tmp_path: Path) -> None:
    """A shift book has one date and two times; the end before the start is on the next day, and noted."""
    path = written(tmp_path, "Batch;Date;Begin;End\nB1;24.03.2026;22:00;04:00\nB2;25.03.2026;06:00;09:30\n")
    night, day = read_batches(path, start=("Date", "Begin"), end=("Date", "End"), zone="UTC")
    assert (night.start, night.end) == (utc("2026-03-24 22:00"), utc("2026-03-25 04:00"))
    assert night.notes == ("it ends on the day after its date",)
    assert day.notes == ()


def test_a_missing_end_is_an_error_or_the_next_start(tmp_path: Path) -> None:
    """An end that was forgotten is named; open_end="next" takes the next start, the last one the end of the log."""
    path = written(
        tmp_path, "Batch;Start;End\nB1;2026-03-01 06:00;\nB2;2026-03-01 11:00;2026-03-01 15:00\nB3;2026-03-01 16:00;\n"
    )
    with pytest.raises(DataError, match=r'row 1 \(line 2\), column "End": batch "B1" has no end.*open_end="next"'):
        read_batches(path, zone="UTC")
    first, second, last = read_batches(path, zone="UTC", open_end="next")
    assert first.end == second.start
    assert "start of the next batch" in first.notes[0]
    assert last.end is None
    assert second.notes == ()


@pytest.mark.parametrize("end", ["9999-12-31 23:59", "1899-12-30 00:00", "0001-01-01 00:00"])
def test_dates_that_stand_for_no_date_are_refused(tmp_path: Path, end: str) -> None:
    """Programs write year 9999 for an open end; it must not run a batch to the end of the log unseen."""
    path = written(tmp_path, f"Batch;Start;End\nB1;2026-03-01 06:00;{end}\n")
    with pytest.raises(DataError, match=r"row 1 .line 2., column .End.: the year .* leave the cell empty"):
        read_batches(path, zone="America/New_York")
    frame = pd.DataFrame({"batch": ["B1"], "start": [1e300], "end": [1e300]})
    for format in ("excel", "unix s"):
        with pytest.raises(DataError, match=f'row 1, column "start": 1e[+]300 is no stamp in {format}'):
            read_batches(frame, format=format, zone="UTC")


def test_a_batch_that_ends_before_it_begins_names_its_row(tmp_path: Path) -> None:
    """A slip of the pen is found where it stands."""
    path = written(tmp_path, "Batch;Start;End\nB1;2026-03-01 06:00;2026-03-01 05:00\n")
    with pytest.raises(DataError, match=r'row 1 \(line 2\), column "End": batch "B1" ends at .* before'):
        read_batches(path, zone="UTC")


def test_a_name_that_stands_twice_names_both_rows(tmp_path: Path) -> None:
    """Two rows of one batch are phases or a mistake, and a person has to say which."""
    path = written(tmp_path, "Batch;Start;End\nB1;2026-03-01;2026-03-02\nB1;2026-03-03;2026-03-04\n")
    with pytest.raises(DataError, match=r"row 1 \(line 2\) and in row 2 \(line 3\).*phase="):
        read_batches(path, zone="UTC")


def test_phases_in_columns_end_where_the_next_one_begins(tmp_path: Path) -> None:
    """A list often has the starts of the phases only; an empty cell is a phase that did not take place."""
    path = written(
        tmp_path,
        "Batch;Start;End;React;Cool\n"
        "B1;2026-03-01 06:00;2026-03-01 10:00;2026-03-01 07:00;2026-03-01 09:00\n"
        "B2;2026-03-01 12:00;2026-03-01 14:00;2026-03-01 13:00;\n",
    )
    first, second = read_batches(path, zone="UTC", phases={"heat": "Start", "react": "React", "cool": "Cool"})
    hours = [(name, a.hour, b.hour) for name, a, b in first.phases]  # type: ignore[union-attr]
    assert hours == [("heat", 6, 7), ("react", 7, 9), ("cool", 9, 10)]
    assert [name for name, *_ in second.phases] == ["heat", "react"]
    assert second.phases[-1][2] == second.end
    assert dict(first.context) == {}


def test_a_phase_before_its_batch_is_refused(tmp_path: Path) -> None:
    """A phase that begins before its batch is a slip, named by row and column."""
    path = written(tmp_path, "Batch;Start;End;React\nB1;2026-03-01 06:00;2026-03-01 10:00;2026-03-01 05:00\n")
    with pytest.raises(DataError, match=r'row 1 \(line 2\), column "React".*before'):
        read_batches(path, zone="UTC", phases={"react": "React"})


def test_rows_of_phases_make_one_batch_with_the_context_they_share(tmp_path: Path) -> None:
    """One row a phase: the batch runs from the first start to the last end, and pauses are noted."""
    path = written(
        tmp_path,
        "Batch;Phase;Start;End;Lot;Operator\n"
        "B1;heat;2026-03-01 06:00;2026-03-01 07:00;L1;Akin\n"
        "B1;cool;2026-03-01 08:00;2026-03-01 09:00;L1;Brandt\n",
    )
    (batch,) = read_batches(path, zone="UTC", phase="Phase")
    assert (batch.start, batch.end) == (utc("2026-03-01 06:00"), utc("2026-03-01 09:00"))
    assert [name for name, *_ in batch.phases] == ["heat", "cool"]
    assert dict(batch.context) == {"Lot": "L1"}
    assert "time in no phase" in batch.notes[0]


def test_names_are_made_fit_and_the_written_one_is_kept(tmp_path: Path) -> None:
    """ "B 1/7" cannot stand in a parameter's name; numbers of workbooks stay whole."""
    path = written(tmp_path, "Batch;Start;End\nB 1/7;2026-03-01;2026-03-02\n")
    (batch,) = read_batches(path, zone="UTC")
    assert (batch.name, dict(batch.context)) == ("B_1_7", {"Batch": "B 1/7"})
    frame = pd.DataFrame({"batch": [417.0], "start": [0.0], "end": [10.0]})
    assert read_batches(frame, format="min")[0].name == "417"


def test_two_names_that_become_one_are_refused(tmp_path: Path) -> None:
    """Making names fit must not merge batches."""
    path = written(tmp_path, "Batch;Start;End\nB 1;2026-03-01;2026-03-02\nB/1;2026-03-03;2026-03-04\n")
    with pytest.raises(DataError, match='two batches would be called "B_1"'):
        read_batches(path, zone="UTC")


def test_elapsed_time_has_a_unit() -> None:
    """Bare numbers are asked for their unit, and converted to s."""
    frame = pd.DataFrame({"batch": ["a"], "start": [1.0], "end": [2.5]})
    with pytest.raises(DataError, match=r'row 1, column "start".*format="s"'):
        read_batches(frame)
    (batch,) = read_batches(frame, format="h")
    assert (batch.start, batch.end) == (3600.0, 9000.0)


def test_lot_numbers_with_leading_zeros_stay_texts(tmp_path: Path) -> None:
    """Lot 0042 is the name of something, and 42 is not."""
    path = written(tmp_path, "Batch;Start;End;Lot;n\nB1;2026-03-01;2026-03-02;0042;3\n")
    assert dict(read_batches(path, zone="UTC")[0].context) == {"Lot": "0042", "n": 3}


def test_an_unclear_decimal_sign_is_asked_for(tmp_path: Path) -> None:
    """1,234 alone may be a thousand and more; 1,25 beside 1.5 is a contradiction."""
    path = written(tmp_path, "Batch;Start;End;m\nB1;2026-03-01;2026-03-02;1,234\n")
    with pytest.raises(DataError, match=r'row 1 \(line 2\), column "m": "1,234" may be'):
        read_batches(path, zone="UTC")
    assert read_batches(path, zone="UTC", layout=Layout(decimal=","))[0].context["m"] == 1.234
    path = written(tmp_path, "Batch;Start;End;m\nB1;2026-03-01;2026-03-02;1,25\nB2;2026-03-01;2026-03-02;1.5\n")
    with pytest.raises(DataError, match="both decimal signs"):
        read_batches(path, zone="UTC")


def test_groups_of_thousands_are_not_taken_for_decimals(tmp_path: Path) -> None:
    """1.234 of a German list is 1234, and of an English one is not: it is asked for, and both answers are heard."""
    path = written(tmp_path, "Batch;Start;End;Menge\nB1;2026-03-01;2026-03-02;1.234\nB2;2026-03-02;2026-03-03;2.500\n")
    with pytest.raises(
        DataError, match=r'row 1 \(line 2\), column "Menge": "1.234" may be thousands or a decimal point'
    ):
        read_batches(path, zone="UTC")
    point = read_batches(path, zone="UTC", layout=Layout(decimal="."))
    assert [batch.context["Menge"] for batch in point] == [1.234, 2.5]
    groups = read_batches(path, zone="UTC", layout=Layout(decimal=",", thousands="."))
    assert [batch.context["Menge"] for batch in groups] == [1234, 2500]
    path = written(tmp_path, "Batch;Start;End;Menge;m\nB1;2026-03-01;2026-03-02;1.234;0,5\n")
    with pytest.raises(DataError, match=r"1.234.*decimal commas.*thousands="):
        read_batches(path, zone="UTC")
    (batch,) = read_batches(path, zone="UTC", layout=Layout(thousands="."))
    assert (batch.context["Menge"], batch.context["m"]) == (1234, 0.5)
    path = written(tmp_path, "Batch,Start,End,m\nB1,2026-03-01,2026-03-02,1.234\n")
    assert read_batches(path, zone="UTC")[0].context["m"] == 1.234, "who separates by commas has decimal points"


@pytest.mark.parametrize(
    ("header", "hour"),
    [("Start UTC", 8), ("StartTimeUTC", 8), ("Start (UTC+02:00)", 6), ("Start", 6), ("GMT-1", 9)],
)
def test_a_header_that_says_utc_is_believed(tmp_path: Path, header: str, hour: int) -> None:
    """The zone of the list is for the columns that do not say their own."""
    path = written(tmp_path, f"Batch;{header};End\nA;2026-07-01 08:00;2026-07-01 20:00\n")
    (batch,) = read_batches(path, start=header, zone="Europe/Berlin")
    assert (batch.start, batch.end) == (utc(f"2026-07-01 {hour:02}:00"), utc("2026-07-01 18:00"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_encodings_of_offices_are_read(tmp_path: Path, encoding: str) -> None:
    """An umlaut in a remark sinks no list."""
    path = written(tmp_path, "Batch;Start;End;Bediener\nB1;2026-03-01;2026-03-02;Weiß\n", encoding)
    assert read_batches(path, zone="UTC")[0].context["Bediener"] == "Weiß"


def test_the_line_that_tells_excel_the_separator_is_no_header(tmp_path: Path) -> None:
    """ "sep=;" stands first in lists that are made for Excel."""
    path = written(tmp_path, "sep=;\r\nBatch;Start;End\r\nB1;2026-03-01;2026-03-02\r\n", "utf-8-sig")
    assert read_batches(path, zone="UTC")[0].source == "batches.csv, row 1 (line 3)"


def test_a_column_that_is_not_there_gets_the_nearest_name(tmp_path: Path) -> None:
    """A misspelt keyword is answered with what is there."""
    with pytest.raises(UnknownNameError, match='did you mean "Start"'):
        read_batches(written(tmp_path, PLAIN), start="Strat", zone="UTC")


def test_values_check_themselves() -> None:
    """Batches and laboratory values that make no sense cannot be made."""
    with pytest.raises(DataError, match='try "B_1_7"'):
        Batch("B 1/7", 0.0, 1.0)
    with pytest.raises(DataError, match="no zone"):
        Batch("a", dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2))
    with pytest.raises(DataError, match="two of a kind"):
        Batch("a", utc("2026-01-01"), 3.0)
    with pytest.raises(DataError, match="before it begins"):
        Batch("a", 3.0, 2.0)
    with pytest.raises(DataError, match='phase "heat"'):
        Batch("a", 0.0, 9.0, phases=(("heat", 3.0, 2.0),))
    with pytest.raises(DataError, match="neither a batch nor the time"):
        LaboratoryValue("c", 1.0, "mol/L", "0.1 mol/L")
    with pytest.raises(DataError, match="no finite number"):
        LaboratoryValue("c", float("nan"), "mol/L", "0.1 mol/L", batch="a")
    with pytest.raises(DataError, match="ends at 1 s"):
        PhaseWindow("heat", 2.0, 1.0)


def test_a_quote_after_sep_announces_nothing(tmp_path: Path) -> None:
    """A separator that is a quote is no separator; the error names the line that does not fit."""
    path = tmp_path / "batches.csv"
    path.write_text('sep="\nBatch;Start;End\nA;2026-11-20T06:00:00Z;2026-11-20T07:00:00Z\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"batches\.csv, line 2"):
        read_batches(path)
