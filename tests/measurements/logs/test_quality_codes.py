"""Quality columns: a bad sample is never taken for a good one because two standards share a number."""

import polars as pl
import pytest

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.quality_codes import QualityScheme, read_quality

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
    assert read_quality(pl.Series([None, "Good"])).flags.tolist() == [N, G]
    assert read_quality(pl.Series(["Missing"])).flags.tolist() == [M]


def test_an_unknown_code_is_named_with_its_first_row_and_count() -> None:
    """Also in a long column, where the texts are judged once each."""
    read = read_quality(pl.Series(["192"] * 200 + ["x7"] * 3 + ["", "-5"]))
    assert read.notes == ('4 cells like "x7", first in row 201, are not evaluated: the code is not known',)
    assert read.flags[:200].tolist() == [G] * 200
    assert read.flags[200:].tolist() == [N] * 5


def test_a_column_of_another_kind_is_refused() -> None:
    """Lists are no quality; no rows are no error."""
    with pytest.raises(DataError, match='quality column "q" is of the type List'):
        read_quality(pl.Series("q", [[192]]))
    assert read_quality(pl.Series([], dtype=pl.String)).flags.size == 0
