"""Quality columns: a bad sample is never taken for a good one because two standards share a number."""

import polars as pl
import pytest

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.quality_codes import QualityColumns, QualityScheme, read_quality

G, N, S, B, M = Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.BAD, Flag.MISSING


@pytest.mark.parametrize(
    "column", [pl.Series([192, 216, 64, 88, 0, 24, 255, 128]), pl.Series([192.0, 216, 64, 88, 0, 24, 255, 128])]
)
def test_opc_da(column: pl.Series) -> None:
    """Good, uncertain and bad by the upper two bits; a vendor's byte above them does not matter."""
    read = read_quality(column)
    assert read.flags.tolist() == [G, G, S, S, B, B, G, B]
    assert (read.scheme, read.notes) == (QualityScheme.OPC_DA, ())
    assert read_quality(pl.Series(["192", " 448 ", "256"])).flags.tolist() == [G, G, B]


def test_opc_ua() -> None:
    """Decimal, signed or hexadecimal; the severity decides."""
    texts = ["0", "0x00000000", "0x40920000", "0x80350000", "2150957056", str(0x80350000 - 2**32), "0x00A20000", "1024"]
    read = read_quality(pl.Series(texts))
    assert read.flags.tolist() == [G, G, S, B, B, B, G, G]
    assert read.scheme is QualityScheme.OPC_UA
    # Without its 0x, a bad code would be a good one of eight decimal digits.
    assert read_quality(pl.Series(["80350000", "0"])).flags.tolist() == [N, N]


def test_zero_alone_is_bad_or_good_and_nothing_is_concluded() -> None:
    """A column of zeros, of percents or of zeros and ones tells no scheme; one declared or told before holds."""
    for codes in ([0, 0], [0, 100], [0, 1]):
        read = read_quality(pl.Series(codes))
        assert read.flags.tolist() == [N, N]
        assert read.scheme is None
        assert "0 is bad in OPC DA and good in OPC UA" in read.notes[0]
    assert read_quality(pl.Series([0]), scheme=QualityScheme.OPC_DA).flags.tolist() == [B]
    assert read_quality(pl.Series([0]), scheme=QualityScheme.OPC_UA).flags.tolist() == [G]
    assert read_quality(pl.Series([0, 192, 2147483648])).flags.tolist() == [N, N, N]


def test_words() -> None:
    """Of historians, of OPC UA and abbreviated; upper and lower case alike, empty cells are not evaluated."""
    words = {
        G: ["Good", "GOOD", "g", "OK", "Good, annotated", "GoodClamped", "Annotated", "i.O."],
        S: ["Uncertain", "U", "Questionable", "Substituted", "UncertainLastUsableValue", "Uncertain; Substituted"],
        B: ["Bad", "B", "Bad - Sensor Failure", "BadSensorFailure", "BAD [comm]", "n.i.O."],
        N: ["", " ", "NaN", "Badminton", "goods", "42a", "true", "not good"],
    }
    for flag, texts in words.items():
        assert read_quality(pl.Series(texts)).flags.tolist() == [flag] * len(texts), texts
    substatus = {
        G: ["Local Override", "Good: Local Override"],
        S: ["Last Usable", "Last Usable Value", "Sensor Not Accurate", "EU Exceeded", "Engineering Units Exceeded",
            "Sub-Normal", "SubNormal", "Uncertain [Sub-Normal]"],
        B: ["Comm Fail", "CommFail", "COMM FAILURE", "Communication failure", "No Comm", "Not Connected",
            "Not_Connected", "Device Failure", "Sensor Failure", "Out of Service", "Configuration Error",
            "Config Error", "Last Known", "Last Known Value", "Waiting for initial data", "Bad: Local Override"],
        N: ["Connected", "In Service", "Sensor", "Comm Fail 2", "Fail safe"],
    }  # fmt: skip
    for flag, texts in substatus.items():
        assert read_quality(pl.Series(texts)).flags.tolist() == [flag] * len(texts), texts
    assert read_quality(pl.Series([None, "Good"])).flags.tolist() == [N, G]
    assert read_quality(pl.Series(["Missing"])).flags.tolist() == [M]


def test_an_unknown_code_is_named_with_its_first_row_and_count() -> None:
    """Also in a long column, where the texts are judged once each."""
    read = read_quality(pl.Series("q", ["192"] * 200 + ["x7"] * 3 + ["", "-5"]))
    assert read.notes == (
        'quality column "q": 4 cells like "x7", first in row 201, are not evaluated, so their samples are in use: "x7" '
        'is not known; say what is meant: layout=Layout(quality_words={"x7": Flag.BAD})',
    )
    assert read.flags[:200].tolist() == [G] * 200
    assert read.flags[200:].tolist() == [N] * 5


def test_a_column_of_another_kind_is_refused() -> None:
    """Lists are no quality; no rows are no error."""
    with pytest.raises(DataError, match='quality column "q" is of the type List'):
        read_quality(pl.Series("q", [[192]]))
    assert read_quality(pl.Series([], dtype=pl.String)).flags.size == 0


HDA = {
    0x400C0: G,  # raw
    0x40000: B,
    0x40040: S,
    0x200C0: G,  # interpolated
    0x800C0: G,  # calculated
    0x10800C0: G,  # of part of an interval
    0x500C0: G,  # raw, and there is more at that moment
    0x10000: B,
    0x100000: M,  # no bound
    0x200000: M,  # no data
    0x2000C0: M,
    0x400000: B,  # data lost
    0x8000C0: B,  # conversion
    192: G,
    0: B,
    0x2000000: N,  # no bit of HDA
}


def test_opc_hda() -> None:
    """The low word is the quality, the high one tells where there is nothing; the bits that HDA lacks are unknown."""
    read = read_quality(pl.Series(list(HDA)))
    assert read.flags.tolist() == list(HDA.values())
    assert read.scheme is QualityScheme.OPC_HDA
    assert read_quality(pl.Series([262336, 262144, 262208])).flags.tolist() == [G, B, S]


@pytest.mark.parametrize("code", [code for code in HDA if code >= 1 << 16])
def test_a_code_of_hda_is_no_good_code_of_ua(code: int) -> None:
    """Not alone, not among codes of UA, and not where UA is declared."""
    alone = read_quality(pl.Series([code]))
    assert alone.flags.tolist() in ([HDA[code]], [N])
    assert alone.scheme is not QualityScheme.OPC_UA
    assert read_quality(pl.Series([0, 0x80350000, 0x80350000, code])).flags.tolist() == [G, B, B, N]
    assert read_quality(pl.Series([code]), scheme=QualityScheme.OPC_UA).flags.tolist() == [N]


def test_one_odd_code_leaves_the_others_their_meaning() -> None:
    """The others are judged by the scheme that most of them show; the note names the odd one."""
    read = read_quality(pl.Series("q", [192, 64, 0, 216, 65536]))
    assert (read.flags.tolist(), read.scheme) == ([G, S, B, G, N], QualityScheme.OPC_DA)
    assert read.notes[0].startswith('quality column "q": 1 cells like "65536", first in row 5, are not evaluated')
    read = read_quality(pl.Series("q", [192, 0, 0x80350000, 192]))
    assert read.flags.tolist() == [G, B, N, G]
    assert '"2150957056"' in read.notes[0] and "OPC DA" in read.notes[0]
    read = read_quality(pl.Series([0x80350000, 0, 192, 0x80350000]))
    assert read.flags.tolist() == [B, G, N, B]
    # Seconds since 1970 are no status code.
    assert read_quality(pl.Series([1763618400, 0])).flags.tolist() == [N, N]


def test_words_alone_are_a_scheme() -> None:
    """And where it is declared, a number among them is not known."""
    assert read_quality(pl.Series(["Good", "", "Bad"])).scheme is QualityScheme.WORDS
    read = read_quality(pl.Series(["Good", "192"]), scheme=QualityScheme.WORDS)
    assert read.flags.tolist() == [G, N]


def test_words_of_a_plant_are_declared_and_unknown_ones_named() -> None:
    """A declared word means what is said, also where it is a code or means something else; the note names the rest."""
    column = pl.Series("q", ["Good", "Wartung", " wartung ", "Last Known", "7", "Anfahren", "Test"])
    read = read_quality(column)
    assert read.flags.tolist() == [G, N, N, B, N, N, N]
    assert '"Wartung", "Anfahren", "Test" are not known' in read.notes[0]
    assert 'layout=Layout(quality_words={"Wartung": Flag.BAD})' in read.notes[0]
    words = {"Wartung": Flag.BAD, "LAST KNOWN": Flag.SUSPECT, "7": Flag.MISSING, "Test": Flag.GOOD}
    columns = QualityColumns(words=words)
    kinds = columns.read(column, range(2, 9))
    settled = columns.settle()
    assert settled.verdicts[kinds].tolist() == [G, B, B, S, M, N, G]
    assert '1 cells like "Anfahren", first in row 7' in settled.notes[0]
    many = read_quality(pl.Series("q", [f"word {k}" for k in range(300)]))
    assert '300 cells like "word 0"' in many.notes[0] and '"word 4" and others are not known' in many.notes[0]
    for wrong in ({"Wartung": "bad"}, {"": Flag.BAD}):
        with pytest.raises(DataError, match="it takes texts and flags"):
            Layout(quality_words=wrong)  # type: ignore[arg-type]
