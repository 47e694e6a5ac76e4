"""Cells as numbers: millions at a time, and never another number than one judged alone."""

import math
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings, strategies as st

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs import cells as module
from physics_twin.measurements.logs.cells import misread_decimal, read_cells, read_states, text_notes
from physics_twin.measurements.tables import judge

SIGNS = [*"0123456789+-.,eE<>=≤≥%_ '’\t\n", "\xa0", "\u202f", "\u2009", "−", "１", "٣", "\x00", "\ufeff", "\x1c"]
WORDS = ["inf", "-inf", "nan", "NaN", "-nan", "Infinity", "NULL", "n/a", "", "-", "−", "Bad Input", "0x1", "1f", "é"]
NOTATIONS = [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", "\xa0"), (".", "'"), (",", "’")]
GROUPS = st.from_regex(r"\A[ \xa0]?[+−-]?[0-9]{1,4}([., '\xa0][0-9]{2,4}){0,3}([.,][0-9]{0,3})?[ ]?\Z")
TEXTS = st.one_of(
    st.text(st.sampled_from(SIGNS), max_size=8),
    st.sampled_from(WORDS),
    GROUPS,
    st.floats().map(repr),
    st.text(max_size=4),
    st.tuples(st.sampled_from(["<", ">", "<=", "≥ ", "<<"]), GROUPS).map("".join),
)


def alone(text: str, decimal: str, thousands: str) -> tuple[float | None, int, int]:
    """Judge a cell by plain Python, written apart from the library: number, flag, side of the limit."""
    text = text.strip()
    side = 0
    for sign, which in (("<=", -1), (">=", 1), ("<", -1), (">", 1), ("≤", -1), ("≥", 1)):
        if text.startswith(sign):
            text, side = text[len(sign) :].strip(), which
            break
    text = text.replace("−", "-")
    number, left = judge(text, decimal)
    if number is None and not left:
        return None, Flag.BAD if side else Flag.MISSING, 0
    if number is None and thousands:
        same = next(kind for kind in (" \xa0\u202f\u2009", "'’", ".", ",") if thousands in kind)
        whole, _, fraction = text.partition(decimal)
        for sign in same:
            whole = whole.replace(sign, "|")
        first, *groups = whole.lstrip("+-").split("|")
        strict = len(groups) > 0 and all(len(g) == 3 and g.isascii() and g.isdigit() for g in groups)
        if strict and first.isascii() and first.isdigit() and len(first) <= 3 and first[0] != "0":
            decimals = fraction.isascii() and fraction.isdigit()
            number = float(whole.replace("|", "") + "." + fraction) if decimals or not fraction else None
    if number is None:
        return None, Flag.BAD, 0
    return number, Flag.GOOD, side


@pytest.mark.parametrize(("decimal", "thousands"), NOTATIONS)
@pytest.mark.parametrize("few", [True, False])
def test_a_column_is_judged_as_its_cells_are(decimal: str, thousands: str, few: bool) -> None:
    """Whatever is in a cell: the number, flag and side are those of the cell alone, in short and in long columns."""

    @settings(max_examples=60, deadline=None, derandomize=True)
    @example(["1_0", "0x1", "1e", "12,3", "12.3", "1,234", "1.234", "0,125", "0.125", "1 234", "+1", "++1", "1e400"])
    @example(["inf", "nan", "１", "1\x00", "\x1c1", "<0,05", "<1.234,5", "1,234,56", "1.234.567", "−1.234,5", "1e−3"])
    @given(st.lists(TEXTS, max_size=12))
    def check(texts: list[str]) -> None:
        column = texts if few else texts * (module._FEW + 1)
        read = read_cells(pl.Series("a", column, dtype=pl.String), decimal=decimal, thousands=thousands)
        for row, text in enumerate(column):
            number, flag, side = alone(text, decimal, thousands)
            assert read.flags[row] == flag, text
            if number is None:
                assert math.isnan(read.values[row]), text
            else:
                assert read.values[row] == number, text
                assert math.copysign(1.0, read.values[row]) == math.copysign(1.0, number)
            assert (0 if read.censored is None else read.censored[row]) == side, text
        assert sum(count for count, _ in read.texts.values()) == (read.flags == Flag.BAD).sum()

    check()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.tuples(st.integers(0, 10**40), st.integers(-330, 300)).map(lambda me: f"{me[0]}e{me[1]}"),
            st.tuples(st.integers(-(10**25), 10**25), st.integers(0, 10**40)).map(lambda wf: f"{wf[0]}.{wf[1]}"),
            # Half way between two floats, and a hair beside it: where a parser with too few digits rounds wrongly.
            st.tuples(st.integers(2**52, 2**53 - 1), st.integers(1, 60), st.sampled_from(["", ".0", ".0000001"])).map(
                lambda mes: str((2 * mes[0] + 1) << mes[1]) + mes[2]
            ),
        ),
        min_size=1,
        max_size=50,
    )
)
def test_a_number_is_right_to_the_last_bit(texts: list[str]) -> None:
    """The cast agrees with Python's float, which is correctly rounded, for mantissas of any length."""
    read = read_cells(pl.Series(texts))
    expected = np.array([float(text) for text in texts])
    finite = np.isfinite(expected)
    assert (read.values[finite] == expected[finite]).all()
    assert (read.flags[~finite] == Flag.BAD).all()


def test_texts_of_historians_and_workbooks_are_bad_and_counted() -> None:
    """Each text with how often and where first, in order of appearance; words for nothing are missing."""
    texts = [
        "Bad Input",
        "1",
        "I/O Timeout",
        "#DIV/0!",
        " Bad Input ",
        "",
        None,
        "NULL",
        "n/a",
        "[-11059] No Good Data",
    ]
    read = read_cells(pl.Series(texts, dtype=pl.String))
    assert read.texts == {
        "Bad Input": (2, 0),
        "I/O Timeout": (1, 2),
        "#DIV/0!": (1, 3),
        "[-11059] No Good Data": (1, 9),
    }
    assert read.flags.tolist() == [4, 1, 4, 4, 4, 9, 9, 9, 9, 4]
    assert text_notes(read.texts) == (
        '5 cells hold text in place of a number, "Bad Input" (2), "I/O Timeout" (1), "#DIV/0!" (1) and 1 other texts, '
        "the first is row 1: they are bad",
    )


def test_the_first_row_of_a_text_is_that_of_the_column_in_long_columns_too() -> None:
    """Counting by distinct texts does not lose the order of the rows."""
    texts = ["1"] * 500
    texts[400], texts[300], texts[450] = "x", "y", "x"
    assert list(read_cells(pl.Series(texts)).texts.items()) == [("y", (1, 300)), ("x", (2, 400))]


def test_a_number_with_a_unit_is_bad_and_the_note_says_why() -> None:
    """Nobody has said that the column is in percent; 12.3 is not what the cell says."""
    read = read_cells(pl.Series(["12.3 degC", "45%", "7", "n.g."]))
    assert read.flags.tolist() == [4, 4, 1, 4]
    notes = text_notes(read.texts, lambda row: f"line {row + 2}")
    assert notes[0].startswith('1 cells hold text in place of a number, "n.g." (1), the first is line 5')
    assert notes[1].startswith('2 cells hold a number with a unit, the first is "12.3 degC" in line 2: they are bad')


def test_censored_cells_hold_the_limit() -> None:
    """Below and above; without any, there is no array."""
    read = read_cells(pl.Series(["<0,05", ">= 1.000", "3", "≤7", "< LOD"]), decimal=",", thousands=".")
    assert read.values[:4].tolist() == [0.05, 1000.0, 3.0, 7.0]
    assert read.censored is not None and read.censored.tolist() == [-1, 1, 0, -1, 0]
    assert read.flags.tolist() == [1, 1, 1, 1, 4]
    assert read_cells(pl.Series(["1"])).censored is None


def test_digital_states_are_numbers_where_they_are_declared() -> None:
    """Upper and lower case alike; a declared word for nothing is a state; a state that is another number is refused."""
    column = pl.Series(["Open", "CLOSED", "none", "0.5", "ajar"] * 20)
    read = read_cells(column, states={"Open": 1.0, "Closed": 0.0, "None": 7.0})
    assert read.values[:4].tolist() == [1.0, 0.0, 7.0, 0.5]
    assert read.texts == {"ajar": (20, 4)}
    with pytest.raises(DataError, match='state "1" is declared as 0, and the text itself is a number'):
        read_cells(column, states={"1": 0.0})


def test_columns_that_are_numbers_already_pass() -> None:
    """Of a frame or a Parquet file: null and NaN are missing, infinite is bad, true is no number."""
    read = read_cells(pl.Series([1.5, None, float("nan"), float("-inf")]))
    assert read.flags.tolist() == [1, 9, 9, 4]
    assert read.texts == {"-inf": (1, 3)}
    assert read_cells(pl.Series([3, None])).values[0] == 3.0
    assert read_cells(pl.Series([None, None])).flags.tolist() == [9, 9]
    assert read_cells(pl.Series([True, None])).texts == {"True": (1, 0)}
    assert read_cells(pl.Series([True, False]), states={"true": 1.0, "false": 0.0}).values.tolist() == [1.0, 0.0]
    with pytest.raises(DataError, match='column "x" is of the type List'):
        read_cells(pl.Series("x", [[1.0]]))
    assert read_cells(pl.Series([], dtype=pl.String)).values.size == 0


@pytest.mark.parametrize(
    ("decimal", "thousands"), [(".", "."), (",", ","), (".", "_"), (".", "1"), (".", ",,"), (";", "")]
)
def test_signs_that_contradict_each_other_are_refused(decimal: str, thousands: str) -> None:
    """An underscore or a digit never separates thousands, and the decimal sign does not either."""
    with pytest.raises(DataError, match="decimal="):
        read_cells(pl.Series(["1"]), decimal=decimal, thousands=thousands)


def test_the_wrong_decimal_sign_shows() -> None:
    """One cell in ten in the other notation; the first one is named with its row."""
    texts = ["1", "2,5", "x"] + ["3"] * 6
    assert misread_decimal(read_cells(pl.Series(texts)).texts, 7, decimal=".") == ("2,5", 1)
    assert misread_decimal({"2,5": (1, 1)}, 100, decimal=".") is None
    assert misread_decimal({}, 0, decimal=",") is None


def test_a_cell_of_a_million_signs_takes_no_time() -> None:
    """Every judgement is linear in the length of a cell, and what is kept of it is short."""
    for text in (
        "1" * 10**6 + "x",
        "<" + "1" * 10**6 + "x",
        "1" + ",234" * 10**5 + "x",
        "1" * 10**6,
        " " * 10**6 + "1,2x",
    ):
        begin = time.perf_counter()
        read = read_cells(pl.Series([text]), thousands=",")
        assert time.perf_counter() - begin < 2.0
        assert read.flags.tolist() == [Flag.BAD]
        assert max(map(len, read.texts)) <= 120
        text_notes(read.texts)


def test_states_are_numbered_in_order_of_appearance_and_go_on_in_the_next_chunk() -> None:
    """The same text keeps its number; an error of the historian is no state."""
    first = read_states(pl.Series(["B-2", "B-1", " B-2 ", None, "I/O Timeout", "n/a"]))
    assert first.states == ("B-2", "B-1")
    assert first.flags.tolist() == [1, 1, 1, 9, 4, 9]
    assert first.codes[:3].tolist() == [0.0, 1.0, 0.0]
    assert np.isnan(first.codes[3:]).all()
    assert first.texts == {"I/O Timeout": (1, 4)}
    second = read_states(pl.Series(["B-3", "B-1"] * 50), known=first.states)
    assert second.states == ("B-2", "B-1", "B-3")
    assert second.codes[:2].tolist() == [2.0, 1.0]
    assert read_states(pl.Series([1001, 1002])).states == ("1001", "1002")
