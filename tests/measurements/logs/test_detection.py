"""The format of an export from its first rows: found where one reading is left, asked for where two are."""

import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.errors import DataError, UnknownNameError
from physics_twin.measurements.logs.detection import detect
from physics_twin.measurements.logs.headers import bracketed_unit
from physics_twin.measurements.logs.layout import Layout, LongForm, WideForm
from physics_twin.measurements.logs.signs import detect_numbers

ROWS = [f"2026-11-20T06:0{m}:00Z" for m in range(6)]


def wide(separator: str = ";", cell: str = "1.5", head: str = "time;T1;T2") -> str:
    """Return a small wide export."""
    lines = [head.replace(";", separator), *(separator.join([stamp, cell, "7"]) for stamp in ROWS)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_the_separator_is_found(separator: str) -> None:
    """In a file of three columns."""
    found = detect(wide(separator).encode())
    assert (found.separator, found.header, found.skiprows, found.time) == (separator, 1, 0, "time")


def test_a_decimal_comma_is_no_separator() -> None:
    """A comma stands in every row as often as a semicolon does."""
    found = detect(wide(";", "1,5").encode())
    assert (found.separator, found.decimal) == (";", ",")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_found(encoding: str) -> None:
    """By its mark, by its NUL bytes, or because it is no UTF-8."""
    text = wide(head="time;T °C;T2")
    assert detect(text.encode(encoding)).encoding == encoding


def test_the_separator_may_be_announced() -> None:
    """Spreadsheets write sep=; into the first line."""
    found = detect(("sep=;\n" + wide()).encode())
    assert (found.separator, found.skiprows) == (";", 1)


@pytest.mark.parametrize(
    ("above", "skiprows"),
    [
        ("", 0),
        ("Report generated 2026-11-20 08:00\n", 1),
        ("\n\n", 2),
        ("Plant 7;;\nFrom;2026-11-20T06:00:00Z;\nTo;2026-11-20T07:00:00Z;\n\n", 3),
        ("Campaign;7;x\n", 1),
    ],
)
def test_the_preamble_is_told_from_the_header(above: str, skiprows: int) -> None:
    """Also where its lines have as many cells as the table, or hold stamps and numbers."""
    found = detect((above + wide()).encode())
    assert (found.skiprows, found.header) == (skiprows, 1)


@pytest.mark.parametrize(
    ("units", "header"), [(";°C;bar", 2), ("[s];[degC];[mbar]", 2), (";degC;", 2), ("UTC;m3/h;%", 2), ("", 1)]
)
def test_a_row_of_units_is_found(units: str, header: int) -> None:
    """With brackets or without, also where a column has none."""
    text = wide().replace("\n", f"\n{units}\n", 1) if units else wide()
    assert detect(text.encode()).header == header


def test_a_file_without_header_has_to_be_named() -> None:
    """Names cannot be guessed; with names it is read."""
    body = wide().partition("\n")[2].encode()
    with pytest.raises(DataError, match=r"line 1.* is data, so there is no header; name the columns"):
        detect(body)
    found = detect(body, Layout(column_names=("time", "a", "b")))
    assert (found.header, found.skiprows) == (0, 0)


@pytest.mark.parametrize(
    ("head", "cells", "form"),
    [
        ("tag;time;value", "T1;{};1.5", LongForm("tag", "value")),
        ("Messstelle;Zeit;Wert;Status", "T1;{};1.5;192", LongForm("Messstelle", "Wert", "Status")),
        ("time;point;reading;uom", "{};T1;1.5;bar", LongForm("point", "reading", None, "uom")),
        ("when;what;much", "{0};A;1.5\n{0};B;2.5", LongForm("what", "much")),
        ("tag;time;value", "MODE;{};Heating", LongForm("tag", "value")),
        ("time;T1;PHASE", "{};1.5;Heating", WideForm()),
        ("time;T1;T1.Quality", "{};1.5;Good", WideForm({"T1": "T1.Quality"})),
    ],
)
def test_long_and_wide_form_are_told_apart(head: str, cells: str, form: object) -> None:
    """By the names of the columns, or by stamps that come once a tag."""
    text = head + "\n" + "".join(cells.format(stamp) + "\n" for stamp in ROWS)
    assert detect(text.encode()).form == form


@pytest.mark.parametrize(
    ("head", "cell", "stamp_format"),
    [
        ("t [s]", "{k}", "s"),
        ("Time (min)", "{k}.5", "min"),
        ("time_h", "{k}", "h"),
        ("Time", "16000000{k}0", "unix s"),
        ("Zeit", "2{k}.11.2026 07:00:00", "%d.%m.%Y %H:%M:%S"),
    ],
)
def test_the_kind_of_time_is_found(head: str, cell: str, stamp_format: str) -> None:
    """Elapsed time with its unit, Unix time, stamps."""
    text = f"{head};T1\n" + "".join(cell.format(k=k) + ";1.5\n" for k in range(6))
    assert detect(text.encode()).stamp_format == stamp_format


def test_date_and_time_of_day_may_have_a_column_each() -> None:
    """They are shown as a pair."""
    text = "Date,Time,T1\n" + "".join(f"2026-11-20,06:0{k}:00,1.5\n" for k in range(6))
    assert detect(text.encode()).time == ("Date", "Time")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time;T1\n0;1.5\n1;2.5\n", 'no unit; say stamp_format="s"'),
        ("Sampled;Stored;T1\n" + "".join(f"{s};{s};1.5\n" for s in ROWS), "both hold stamps; say which"),
        ("a;b\n" + "x;1.5\n" * 5, "there are no rows of data|clearly the time"),
        ("time;F1\n" + "".join(f"{s};1.{k}34\n" for k, s in enumerate(ROWS)), 'column "F1": "1.034" may have'),
        ("time;F1\n" + "".join(f"{s};1,{k}34\n" for k, s in enumerate(ROWS)), 'column "F1": "1,034" may have'),
        ("time;T1\n" + "".join(f"0{k}/04/2026 06:00;1.5\n" for k in range(1, 7)), "stamp_format="),
        ("time;T1;T1\n" + "".join(f"{s};1;2\n" for s in ROWS), 'two columns are called "T1"'),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked_for(text: str, words: str) -> None:
    """The message says what to declare."""
    with pytest.raises(DataError, match=words):
        detect(text.encode())


def test_what_is_declared_is_taken() -> None:
    """And a column that is not there is named with the nearest one."""
    assert detect(wide(cell="1.234").encode(), Layout(decimal=".", thousands="")).decimal == "."
    with pytest.raises(UnknownNameError, match=r'"tim"; did you mean "time"'):
        detect(wide().encode(), Layout(time="tim"))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.decimals(min_value=-(10**7), max_value=10**7, places=2), min_size=3, max_size=20),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")]),
)
def test_signs_that_are_found_give_the_numbers_back(values: list[object], signs: tuple[str, str]) -> None:
    """Two decimals leave no doubt: whatever is detected reads every cell as the number that was written."""
    decimal, thousands = signs
    cells = [f"{value:,.2f}".replace(",", "T").replace(".", decimal).replace("T", thousands) for value in values]
    found, groups = detect_numbers({"F1": cells}, None, None, ";", "log.csv")
    assert found == decimal
    for cell, value in zip(cells, values, strict=True):
        assert float(cell.replace(groups or "", "").replace(found, ".")) == float(str(value))


def test_the_unit_in_a_header() -> None:
    """Only what is a unit."""
    assert [bracketed_unit(name) for name in ("T1 [°C]", "P (bar)", "F1 (main line)", "T1")] == ["°C", "bar", "", ""]
