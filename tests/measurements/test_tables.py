"""Reading delimited text: every cell is the right number, no number, or an error that names its place."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from physics_twin.errors import DataError, PhysicsTwinError, UnknownNameError
from physics_twin.measurements import Channel, Experiment, Flag, read_table
from physics_twin.measurements.tables import numbers


def write(folder: Path, text: str | bytes, name: str = "log.csv") -> Path:
    """Write a log."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def column(path: Path, name: str = "a", decimal: str = ".", **options: object) -> tuple[list[float], list[int]]:
    """Read one column as numbers and flags."""
    table = read_table(path, decimal=decimal, **options)  # type: ignore[arg-type]
    read = numbers(table[name], table, name, decimal=decimal)
    return read.values.tolist(), read.flags.tolist()


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1", 1.0), ("-1.5e-3", -1.5e-3), ("+.5", 0.5), ("3.", 3.0), (" 7 ", 7.0), ('"8"', 8.0), ("1E5", 1e5)],
)
def test_a_number_is_read_as_it_is(tmp_path: Path, cell: str, number: float) -> None:
    """In every usual notation."""
    assert column(write(tmp_path, f"t,a\n0,{cell}\n1,2\n")) == ([number, 2.0], [1, 1])


@pytest.mark.parametrize("cell", ["", " ", "NaN", "nan", "NA", "N/A", "#N/A", "null", "None", "-", "--"])
def test_an_empty_cell_is_missing(tmp_path: Path, cell: str) -> None:
    """Not measured is not zero."""
    values, flags = column(write(tmp_path, f"t,a\n0,{cell}\n1,2\n"))
    assert math.isnan(values[0])
    assert flags == [Flag.MISSING, Flag.GOOD]


@pytest.mark.parametrize(
    "cell",
    [
        "Bad Input",
        "I/O Timeout",
        "#DIV/0!",
        "1_000",
        "inf",
        "1e999",
        "0x10",
        "1e",
        "1 000",
        "1.2.3",
        "12:30",
        "٣",
    ],
)
def test_text_is_bad_and_never_a_number(tmp_path: Path, cell: str) -> None:
    """Also where Python's float() would take it: underscores, infinities, other digits, overflow."""
    values, flags = column(write(tmp_path, f"t,a\n0,{cell}\n1,2\n"))
    assert math.isnan(values[0])
    assert flags == [Flag.BAD, Flag.GOOD]


def test_a_decimal_comma_is_read_where_it_is_declared(tmp_path: Path) -> None:
    """And a point in such a file is no decimal sign."""
    path = write(tmp_path, "t;a\n0;1,5\n1;2\n2;-3,25e1\n" + "3;1\n" * 20 + "4;1.500\n")
    values, flags = column(path, separator=";", decimal=",")
    assert values[:3] == [1.5, 2.0, -32.5]
    assert flags[-1] == Flag.BAD


@pytest.mark.parametrize(("decimal", "cell"), [(".", "1,5"), (",", "1.5")])
def test_a_column_in_the_other_decimal_sign_is_an_error(tmp_path: Path, decimal: str, cell: str) -> None:
    """With the option that helps, instead of a column of bad samples."""
    path = write(tmp_path, f"t;a\n0;1\n1;{cell}\n")
    with pytest.raises(DataError, match=r'row 2 \(line 3\), column "a".*is it decimal='):
        column(path, separator=";", decimal=decimal)


def test_a_decimal_comma_between_commas_is_an_error(tmp_path: Path) -> None:
    """The row is longer than the header: no cell of it can be trusted."""
    with pytest.raises(DataError, match=r"line 3: 3 cells for 2 columns.*decimal sign is a comma"):
        read_table(write(tmp_path, "t,a\n0,1\n1,5,2\n"))


def test_a_separator_at_the_end_of_the_rows_shifts_nothing(tmp_path: Path) -> None:
    """A famous way to lose the first column."""
    assert column(write(tmp_path, "t,a\n0,1,\n1,2,\n")) == ([1.0, 2.0], [1, 1])
    assert column(write(tmp_path, "t,a,\n0,1,\n1,2,\n")) == ([1.0, 2.0], [1, 1])


def test_a_row_that_breaks_off_may_break_off_inside_a_number(tmp_path: Path) -> None:
    """The logger was killed at "23.": neither 23 nor the cells after it are measured."""
    path = write(tmp_path, "t,a,b\n0,21.5,7\n1,2")
    assert column(path, "a")[1] == [Flag.GOOD, Flag.BAD]
    assert column(path, "b")[1] == [Flag.GOOD, Flag.MISSING]
    assert "too short" in read_table(path).notes[0]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    """Also those of nothing but separators; at the end they are no news."""
    table = read_table(write(tmp_path, "t,a\n0,1\n\n,\n1,2\n\n,,\n"))
    assert table.n_rows == 2
    assert table.notes == ("2 blank lines skipped, the first is line 3",)
    assert table.where(1) == "row 2 (line 5)"


def test_a_preamble_and_a_row_of_units_are_read(tmp_path: Path) -> None:
    """skiprows and header=2."""
    table = read_table(write(tmp_path, "Logger 7\nroom 2\nt,a\n[s],[degC]\n0,1\n"), skiprows=2, header=2)
    assert dict(table.units) == {"t": "[s]", "a": "[degC]"}
    assert table.where(0) == "row 1 (line 5)"


def test_encodings(tmp_path: Path) -> None:
    """A byte order mark is none of the name; cp1252 and UTF-16 are asked for by name."""
    assert "t" in read_table(write(tmp_path, b"\xef\xbb\xbft,a\n0,1\n")).columns
    western = write(tmp_path, "t,Temp °C\n0,1\n".encode("cp1252"))
    with pytest.raises(DataError, match='line 1: byte 0xb0 is not utf-8-sig; try encoding="cp1252"'):
        read_table(western)
    assert "Temp °C" in read_table(western, encoding="cp1252").columns
    with pytest.raises(DataError, match="not known to Python"):
        read_table(western, encoding="utf-61")
    wide = write(tmp_path, "t,a\n0,1\n".encode("utf-16"))
    with pytest.raises(DataError, match='say encoding="utf-16"'):
        read_table(wide)
    assert column(wide, encoding="utf-16") == ([1.0], [1])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_one(tmp_path: Path, end: str) -> None:
    """Old exports end their lines with a lone carriage return."""
    assert column(write(tmp_path, f"t,a{end}0,1{end}1,2{end}")) == ([1.0, 2.0], [1, 1])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the file is empty"),
        ("t,a\n", "no rows of data"),
        ("0,1\n1,2\n", r"header \(line 1\) holds only numbers.*header=0"),
        ("t,a,a\n0,1,2\n", 'two columns are called "a"'),
        ('t,a\n0,"1\n1,2\n', "line 3: unexpected end of data"),
        ('t,a\n0,"1\n1,2\n2,"\n', "line 2: a quoted cell runs over several lines"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, match: str) -> None:
    """An error with the line, never a shorter log."""
    with pytest.raises(DataError, match=match):
        read_table(write(tmp_path, text))


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    """Each with what is expected."""
    path = write(tmp_path, "t,a\n0,1\n")
    for options, match in [
        ({"decimal": ";"}, "decimal sign"),
        ({"separator": ",", "decimal": ","}, "not the decimal sign"),
        ({"header": 3}, "number of header lines"),
        ({"header": 0}, "needs column_names="),
        ({"column_names": ["t"]}, "1 column_names for 2 columns"),
        ({"skiprows": -1}, "not negative"),
    ]:
        with pytest.raises(DataError, match=re.escape(match)):
            read_table(path, **options)  # type: ignore[arg-type]


def test_a_missing_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """Headers are compared without the blanks around them."""
    path = write(tmp_path, "t, TC3 \n0,1\n")
    assert column(path, "TC3") == ([1.0], [1])
    with pytest.raises(UnknownNameError, match=r'no column of log\.csv "TC33"; did you mean "TC3"'):
        column(path, "TC33")


def test_a_column_without_any_number_is_an_error(tmp_path: Path) -> None:
    """It names row and column; a row of units is the usual reason."""
    with pytest.raises(DataError, match=r'row 1 \(line 2\), column "a": "\[K\]" is no number, and neither.*header=2'):
        column(write(tmp_path, "t,a\n[s],[K]\n0,x\n"))


# Properties ----------------------------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(values=st.lists(st.one_of(st.none(), finite), min_size=1, max_size=20), decimal=st.sampled_from(".,"))
def test_what_was_written_is_read_bit_for_bit(tmp_path: Path, values: list[float | None], decimal: str) -> None:
    """Any float survives the file, a missing one stays missing, in both notations."""
    cells = ["" if v is None else repr(v).replace(".", decimal) for v in values]
    rows = "".join(f"{i};{cell}\n" for i, cell in enumerate(cells))
    read, flags = column(write(tmp_path, "t;a\n" + rows), separator=";", decimal=decimal)
    for value, number, flag in zip(values, read, flags, strict=True):
        assert flag == (Flag.MISSING if value is None else Flag.GOOD)
        assert math.isnan(number) if value is None else number == value


@quick
@given(cells=st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_any_cell_is_a_number_only_if_it_reads_as_one(tmp_path: Path, cells: list[str]) -> None:
    """Whatever stands in a cell: the number of its digits, or none."""
    path = tmp_path / "log.csv"
    quoted = ['"' + re.sub(r"[\r\n]", " ", cell).replace('"', '""') + '"' for cell in cells]
    path.write_bytes(("t,a\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(quoted))).encode(errors="replace"))
    try:
        values, flags = column(path)
    except PhysicsTwinError:
        return
    for cell, value, flag in zip(quoted, values, flags, strict=True):
        text = cell[1:-1].replace('""', '"').strip()
        if flag == Flag.GOOD:
            assert re.fullmatch(r"[0-9+\-.eE]+", text)
            assert value == float(text)
        else:
            assert math.isnan(value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_log_gives_right_numbers_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes lost, doubled or changed: every sample used is a number that the file holds, at a time that it holds."""
    rows = [(0.5 * i, 20.0 + i) for i in range(12)]
    content = bytearray(("t,a\n" + "".join(f"{t},{a}\n" for t, a in rows)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["drop", "double", "change"]))
        if kind == "drop":
            del content[at]
        elif kind == "double":
            content.insert(at, content[at])
        else:
            content[at] = data.draw(st.sampled_from(list(b'0123456789.,;-+eE "\n\rx\xff\x00')))
    path = write(tmp_path, bytes(content))
    try:
        run = Experiment.from_csv(path, time="t", channels=[Channel("a", unit="K", noise="1 K")], start="0 s")
    except PhysicsTwinError as error:
        assert str(error)
        return
    held = {float(cell) for cell in re.findall(rb"[0-9+\-.eE]+", content) if _is_float(cell)}
    series = run["a"]
    assert set(series.values[series.used].tolist()) <= held
    assert set(series.times[series.used].tolist()) <= held
    assert (np.diff(series.times[series.used]) >= 0.0).all()


def _is_float(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
