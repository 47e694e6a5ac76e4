"""Quality columns of whole logs: flags do not depend on how a file is cut into chunks, or on what of it is kept."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from physics_twin.measurements.flags import Flag
from physics_twin.measurements.inspection.inspection import inspect
from physics_twin.measurements.logs import text
from physics_twin.measurements.logs.conversion import convert_log
from physics_twin.measurements.logs.layout import Layout, QualityScheme
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.tags.tag_table import Tag, TagTable

START = dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)
N_BAD, N_GOOD = 400, 3


def stamp(minute: int) -> str:
    """Return a minute of the log."""
    return f"{START + dt.timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"


def long_log(folder: Path) -> Path:
    """Write tags A and B with 0, and in the end a few rows of B with 192."""
    rows = [f"{'AB'[k % 2]},{stamp(k)},{'Err' if k == 8 else f'{k}.5'},0\n" for k in range(N_BAD)]
    rows += [f"B,{stamp(N_BAD + k)},1.5,192\n" for k in range(N_GOOD)]
    path = folder / "long.csv"
    path.write_text("tag,time,value,quality\n" + "".join(rows))
    return path


def wide_log(folder: Path) -> Path:
    """Write a column with 0 before one that has 192 in its last rows."""
    rows = [f"{stamp(k)},1.5,0,2.5,{0 if k < N_BAD else 192}\n" for k in range(N_BAD + N_GOOD)]
    path = folder / "wide.csv"
    path.write_text("time,A,A Quality,B,B Quality\n" + "".join(rows))
    return path


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let text be read by a few rows at a time."""
    blocks = text.Lines.blocks
    monkeypatch.setattr(text.Lines, "blocks", lambda self, n=0: blocks(self, 300))


def flags(log: Log) -> dict[str, list[int]]:
    """Return the flags of each tag."""
    return {one.tag: one.flags.tolist() for one in log}


@pytest.mark.parametrize("small", [False, True])
def test_a_late_code_tells_the_scheme_of_all_rows_before_it(
    tmp_path: Path, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all chunks, of the other tags and quality columns, and of a file that is converted."""
    if small:
        small_chunks(monkeypatch)
    long, wide = long_log(tmp_path), wide_log(tmp_path)
    log = read_log(long)
    assert flags(log) == {
        "A": [Flag.BAD] * (N_BAD // 2),
        "B": [Flag.BAD] * (N_BAD // 2) + [Flag.GOOD] * N_GOOD,
    }
    assert log.notes == ()
    assert flags(read_log(wide)) == {
        "A": [Flag.BAD] * (N_BAD + N_GOOD),
        "B": [Flag.BAD] * N_BAD + [Flag.GOOD] * N_GOOD,
    }
    for path in (long, wide):
        out = tmp_path / "log.parquet"
        done = convert_log(path, out)
        assert flags(read_log(out)) == flags(read_log(path))
        assert done.layout == read_log(path).layout
        schema = pl.read_parquet_schema(out)
        assert list(schema) == ["tag", "time", "value", "flag", "censored", "text", "unit"]
        assert schema["flag"] == pl.Int8


def test_a_part_of_a_log_has_the_flags_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and tags that are not kept tell the scheme as well."""
    small_chunks(monkeypatch)
    for path in (long_log(tmp_path), wide_log(tmp_path)):
        whole = read_log(path)
        assert flags(read_log(path, tags=["A"])) == {"A": whole["A"].flags.tolist()}
        part = read_log(path, between=(stamp(0), stamp(99)))
        assert set(part["A"].flags.tolist()) == {Flag.BAD}


def test_states_and_errors_carry_the_quality_of_their_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state of bad quality is bad although its text has a meaning; an error of good quality is bad."""
    small_chunks(monkeypatch)
    codes = [0] * 50 + [64] * 40 + [192] * 9
    rows = [f"V,{stamp(k)},{('Closed', 'Open')[k % 2]},{code}\n" for k, code in enumerate(codes)]
    path = tmp_path / "states.csv"
    path.write_text("tag,time,value,quality\n" + "".join(rows) + f"T,{stamp(99)},1.5,192\nT,{stamp(100)},Err,192\n")
    expected = [Flag.BAD] * 50 + [Flag.SUSPECT] * 40 + [Flag.GOOD] * 9
    table = TagTable((Tag("V", states={"Open": 1.0, "Closed": 0.0}), Tag("T")))
    convert_log(path, tmp_path / "states.parquet")
    for source in (path, tmp_path / "states.parquet"):
        for tags in (None, table):
            found = flags(read_log(source, tags=tags))
            assert found == {"V": expected, "T": [Flag.GOOD, Flag.BAD]}


def test_the_scheme_is_declared_where_no_code_tells_it(tmp_path: Path) -> None:
    """Nothing but 0 is an outage in OPC DA and all well in OPC UA; without a word it is neither, with a note."""
    path = tmp_path / "zeros.csv"
    path.write_text("tag,time,value,quality\n" + "".join(f"A,{stamp(k)},1.5,0\n" for k in range(4)))
    log = read_log(path)
    assert (flags(log), log.layout.quality_scheme) == ({"A": [Flag.NOT_EVALUATED] * 4}, None)
    assert log.notes[0].startswith('quality column "quality": 4 cells like "0", first in line 2, are not evaluated')
    assert "quality_scheme=QualityScheme.OPC_DA" in log.notes[0]
    for scheme, flag in ((QualityScheme.OPC_DA, Flag.BAD), (QualityScheme.OPC_UA, Flag.GOOD)):
        log = read_log(path, layout=Layout(quality_scheme=scheme))
        assert (flags(log), log.notes, log.layout.quality_scheme) == ({"A": [flag] * 4}, (), scheme)


@pytest.mark.parametrize(
    ("codes", "scheme"),
    [
        ("192,64,0", QualityScheme.OPC_DA),
        ("262336,262144,262208", QualityScheme.OPC_HDA),
        ("0,0x80350000,0x40920000", QualityScheme.OPC_UA),
        ("Good,Bad,Uncertain", QualityScheme.WORDS),
    ],
)
def test_the_scheme_is_shown_and_reads_the_same_again(tmp_path: Path, codes: str, scheme: QualityScheme) -> None:
    """In the layout, in print, in what `inspect` says and in the mapping that it writes."""
    path = tmp_path / "log.csv"
    rows = "".join(f"A,{stamp(k)},{k}.5,{code}\n" for k, code in enumerate(codes.split(",")))
    path.write_text("tag,time,value,quality\n" + rows)
    log = read_log(path)
    assert log.layout.quality_scheme is scheme
    again = read_log(path, layout=log.layout)
    assert (flags(again), again.layout, again.notes) == (flags(log), log.layout, log.notes)
    assert f"quality codes: {scheme.value}" in str(log)
    found = inspect(path)
    assert f'quality in "quality" ({scheme.value})' in " ".join(str(found).split())
    assert f"quality_scheme=pt.QualityScheme.{scheme.name}," in found.mapping


def test_a_log_without_quality_has_no_scheme(tmp_path: Path) -> None:
    """Nothing is shown where there is nothing."""
    path = tmp_path / "log.csv"
    path.write_text(f"time,A\n{stamp(0)},1.5\n{stamp(1)},2.5\n")
    log = read_log(path)
    assert log.layout.quality_scheme is None
    assert "quality" not in str(log)


def test_declared_words_reach_the_flags_the_mapping_and_the_converted_log(tmp_path: Path) -> None:
    """`Layout.quality_words` in a file, in the source that `inspect` writes, and beside its Parquet."""
    rows = [f"A,{stamp(k)},{k}.5,{('Good', 'Wartung', 'Comm Fail')[k % 3]}\n" for k in range(9)]
    path = tmp_path / "words.csv"
    path.write_text("tag,time,value,quality\n" + "".join(rows))
    plain = read_log(path)
    assert flags(plain) == {"A": [Flag.GOOD, Flag.NOT_EVALUATED, Flag.BAD] * 3}
    assert any('"Wartung" is not known' in note for note in plain.notes)
    layout = Layout(quality_words={"Wartung": Flag.SUSPECT})
    log = read_log(path, layout=layout)
    assert flags(log) == {"A": [Flag.GOOD, Flag.SUSPECT, Flag.BAD] * 3}
    assert not any("Wartung" in note for note in log.notes)
    assert 'quality_words={"Wartung": pt.Flag.SUSPECT},' in inspect(path, layout=layout).mapping
    convert_log(path, tmp_path / "words.parquet", layout=layout)
    again = read_log(tmp_path / "words.parquet")
    assert flags(again) == flags(log)
    assert again.original is not None and again.original.layout.quality_words == layout.quality_words
