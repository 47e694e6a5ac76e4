"""Splitting text into cells: the fast way comes to exactly what the exact one does, and what is not whole is named."""

import gzip
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.errors import DataError
from physics_twin.measurements.logs import text
from physics_twin.measurements.logs.chunks import Notes
from physics_twin.measurements.logs.text import HashedFile, Lines, chunks, plain, read_head

NAMES = ("a", "b", "c")


def split(
    content: bytes, *, exact: bool, size: int, names: Sequence[str] = NAMES, separator: str = ","
) -> tuple[list[tuple[str, ...]], list[int], set[int], bool, tuple[str, ...]]:
    """Return rows, their lines, the lines of short rows, whether the last row may be cut, and notes."""
    notes = Notes()
    lines = Lines(Path("log.csv"), io.BytesIO(content), "utf-8-sig", certain=True)
    rows: list[tuple[str, ...]] = []
    at: list[int] = []
    short: set[int] = set()
    open_end = False
    for chunk in chunks(lines, lines.blocks(size), names, separator, 1, "log.csv", notes, exact=exact):
        rows += [tuple("" if cell is None else cell for cell in row) for row in chunk.frame.rows()]
        here = [int(line) for line in chunk.lines]
        assert len(here) == chunk.frame.height
        short |= {here[row] for row in chunk.short}
        at += here
        open_end = chunk.open_end
    return rows, at, short, open_end, notes.words()


def outcome(content: bytes, *, exact: bool, size: int) -> object:
    """Return what comes of the content, or the words of the error."""
    try:
        return split(content, exact=exact, size=size)
    except DataError as error:
        return str(error)


cells = st.sampled_from(
    ["1", "", "2.5", " x ", "NaN", '"q"', '"a,b"', '""', '"say ""hi"""', "it's", "°C", 'in"ch', '"x']
)
whole_rows = st.lists(cells, min_size=3, max_size=3)
ragged_rows = st.lists(cells, min_size=0, max_size=5)
contents = st.tuples(
    st.lists(st.one_of(whole_rows, whole_rows, whole_rows, ragged_rows), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(contents, st.sampled_from([1 << 20, 64, 17]))
def test_the_fast_way_comes_to_the_same_as_the_exact_one(drawn: tuple[list[list[str]], str, bool], size: int) -> None:
    """Rows, lines, notes and errors alike, whatever the quotes, the line ends and the size of a block."""
    rows, line_end, ended = drawn
    content = (line_end.join(",".join(row) for row in rows) + (line_end if ended else "")).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_SMALL", 0)  # so that the fast way is tried for these few bytes
        assert outcome(content, exact=False, size=size) == outcome(content, exact=True, size=size)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["1", "", "x y", "-2.5"]), min_size=3, max_size=3), min_size=1), st.booleans())
def test_plain_rows_take_the_fast_way(rows: list[list[str]], quoted: bool) -> None:
    """Also where every cell is quoted: otherwise the comparison of the two ways would compare nothing."""
    mark = '"' if quoted else ""
    block = "".join(",".join(f"{mark}{cell}{mark}" for cell in row) + "\n" for row in rows).encode()
    bare = plain(block, b",", 3)
    assert bare is not None
    assert bare.decode() == "".join(",".join(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "block",
    [
        b"1,2,3\n1,2\n1,2,3,4\n",  # the counts agree, the rows do not
        b'1,"2,3"\n1,2,3\n',
        b'1,"2,3",4\n1,2,3\n',
        b'1,a"b,3\n1,c"d,3\n',
        b'1,"2"x,3\n',
        b'1,"2""3",3\n',
        b'1,"2\n1",3\n1,2,3\n',
        b"1,2,3\n\n1,2,3\n",
        b"1,\0,3\n",
        b'1,2,"3\n',
        b"",
    ],
)
def test_what_is_not_plain_is_left_to_the_exact_way(block: bytes) -> None:
    """Ragged rows with the right sum of separators, quotes that hold or are content, blank lines, NUL."""
    assert plain(block, b",", 3) is None


def test_a_quoted_cell_keeps_its_separator() -> None:
    """Only the csv module can tell this comma from the others."""
    assert split(b'1,"2,5",3\n', exact=False, size=64)[0] == [("1", "2,5", "3")]


def test_a_surplus_cell_is_an_error_with_its_line() -> None:
    """It would shift what follows it."""
    with pytest.raises(DataError, match=r'log.csv, line 3: 4 cells for 3 columns, the first surplus one is "4"'):
        split(b"1,2,3\n\n1,2,3,4\n", exact=False, size=64)


def test_a_separator_at_the_end_of_each_line_is_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast and exact."""
    monkeypatch.setattr(text, "_SMALL", 0)
    for exact in (False, True):
        assert split(b"1,2,3,\n4,5,6,\n", exact=exact, size=64)[0] == [("1", "2", "3"), ("4", "5", "6")]
    with pytest.raises(DataError, match="line 2"):
        split(b"1,2,3,\n4,5,6,7\n", exact=False, size=64)


def test_a_short_row_says_so_in_its_last_cell() -> None:
    """A row that breaks off may break off inside a number."""
    rows, _, short, _, _ = split(b"1,2,3\n1,2\n1,2,3\n", exact=False, size=64)
    assert rows[1] == ("1", "2 (the row breaks off here)", "")
    assert short == {2}


@pytest.mark.parametrize(
    ("content", "open_end"), [(b"1,2,3\n", False), (b"1,2,3", True), (b'1,2,"3"', False), (b"1,2,3\n1,2", False)]
)
def test_a_last_line_without_its_end_may_be_cut(content: bytes, open_end: bool) -> None:
    """Unless its last cell is closed by a quote, or says already that the row breaks off."""
    assert split(content, exact=False, size=64)[3] is open_end


def test_a_file_cut_inside_a_quoted_cell_keeps_its_other_rows() -> None:
    """A loss of power must not cost the day before it."""
    rows, _, _, _, _ = split(b'1,2,3\n"4","5","6', exact=False, size=64)
    assert rows == [("1", "2", "3"), ("4", "5", "6 (the row breaks off here)")]


def test_an_unbalanced_quote_is_an_error_with_its_line() -> None:
    """It would swallow rows up to the next quote."""
    with pytest.raises(DataError, match=r"line 2: a quoted cell runs over several lines"):
        split(b'1,2,3\n1,"2,3\n1,2,3\n1,2",3\n', exact=False, size=1 << 20)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1 << 20])
def test_lines_are_counted_across_blocks(line_end: str, size: int) -> None:
    """Also where a block ends between carriage return and line feed."""
    content = line_end.join(["1,2,3", "", "4,5,6", "7,8,9", ""]).encode()
    rows, at, _, _, notes = split(content, exact=False, size=size)
    assert [row[0] for row in rows] == ["1", "4", "7"]
    assert at == [1, 3, 4]
    assert notes == ("1 blank lines skipped, the first is line 2",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
def test_characters_may_lie_across_blocks(encoding: str, size: int) -> None:
    """Two or four bytes of one character come in two reads."""
    content = "°C,µm,é\r\n1,2,ü\r\n".encode(encoding)
    lines = Lines(Path("log.csv"), io.BytesIO(content), encoding, certain=True)
    assert b"".join(lines.blocks(size)).decode() == "°C,µm,é\n1,2,ü\n"


def test_ascii_that_turns_out_to_be_cp1252_is_read_as_such() -> None:
    """What came before is the same in both; the encoding that is shown is the one that was used."""
    content = b"1,2,3\n" * 50 + "1,2,°\n".encode("cp1252")
    lines = Lines(Path("log.csv"), io.BytesIO(content), "utf-8-sig", certain=False)
    assert b"".join(lines.blocks(40)).decode().endswith("1,2,°\n")
    assert lines.encoding == "cp1252"


def test_bytes_that_are_not_in_the_declared_encoding_are_an_error_with_their_line() -> None:
    """And so are those after text that was UTF-8 for sure."""
    content = "1,2,°\n".encode() + b"1,2,3\n1,\xb0,3\n"
    for certain in (True, False):
        lines = Lines(Path("log.csv"), io.BytesIO(content), "utf-8-sig", certain=certain)
        with pytest.raises(DataError, match="line 3: byte 0xb0 is not utf-8-sig"):
            list(lines.blocks())


def test_nul_bytes_at_the_end_are_padding_and_within_a_row_are_damage() -> None:
    """A logger that lost its power leaves both."""
    rows, _, _, _, notes = split(b"1,2,3\n\0\0\0,5,6\n7,8,9\n" + b"\0" * 100, exact=False, size=8)
    assert [row[0] for row in rows] == ["1", "7"]
    assert notes == ("1 rows hold NUL bytes (a loss of power?), the first in line 2: skipped",)


def test_a_line_without_end_is_an_error_and_not_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some binary formats have no line ends at all."""
    monkeypatch.setattr(text, "_LONGEST", 1000)
    lines = Lines(Path("log.csv"), io.BytesIO(b"x" * 5000), "utf-8-sig", certain=True)
    with pytest.raises(DataError, match="line 1: more than"):
        list(lines.blocks(100))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_the_hash_is_that_of_the_file(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it lies on the disk, compressed or not, and also when not all of it was read."""
    monkeypatch.setattr(text, "BLOCK", 1000)  # so that blocks are hashed beside
    path = tmp_path / f"log{suffix}"
    content = b"1,2,3\n" * 5000
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    with HashedFile(path) as file:
        assert len(file.read(1000)) > 0
        assert file.digest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_header_may_be_broken_within_a_cell() -> None:
    """Spreadsheets do that to long names; the lines after it are counted right."""
    block = b'Report\n\n"Time","T1\n[degC]"\n1,2\n'
    head = read_head(block, ",", 1, 1, "log.csv")
    assert head.rows == (("Time", "T1\n[degC]"),)
    assert (head.next_line, block[head.length :]) == (5, b"1,2\n")
