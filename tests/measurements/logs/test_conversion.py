"""Exports as Parquet: the same samples, a window of them without the rest, memory that does not grow."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from physics_twin.errors import DataError
from physics_twin.measurements.batches.cutting import experiments_from
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs import text
from physics_twin.measurements.logs.conversion import convert_log
from physics_twin.measurements.logs.layout import Layout, LongForm, QualityScheme, StampsAt, WideForm
from physics_twin.measurements.logs.layout_records import layout_from_text, layout_text
from physics_twin.measurements.logs.log import Log, Original
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.tags.tag_table import Tag, TagTable

BERLIN = Layout(zone="Europe/Berlin")


def equal(first: Log, second: Log) -> None:
    """Compare all that a sample has; the order of the tags is free."""
    assert first.origin == second.origin
    assert set(first.samples) == set(second.samples)
    for one in first:
        other = second[one.tag]
        np.testing.assert_array_equal(one.times, other.times)
        np.testing.assert_array_equal(one.flags, other.flags)
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.censored is None) == (other.censored is None)
        if one.censored is not None and other.censored is not None:
            np.testing.assert_array_equal(one.censored, other.censored)
        assert (one.states, one.unit) == (other.states, other.unit)


def export(folder: Path, *, long: bool) -> Path:
    """Write a day and a night with the repeated hour, errors, limits and states."""
    start = dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC)
    lines = ["tag;time;value;quality"] if long else ["time;T1;V1"]
    zone = dt.timezone(dt.timedelta(hours=2)), dt.timezone(dt.timedelta(hours=1))
    for minute in range(0, 480, 3):
        moment = start + dt.timedelta(minutes=minute)
        local = moment.astimezone(zone[0] if moment < dt.datetime(2026, 10, 25, 1, tzinfo=dt.UTC) else zone[1])
        stamp = local.strftime("%d.%m.%Y %H:%M:%S")
        cell = {30: "I/O Timeout", 60: "<0,5", 90: ""}.get(minute, f"{minute},25")
        state = "Open" if minute % 2 else "Closed"
        if long:
            lines += [f"T1;{stamp};{cell};{64 if minute == 120 else 192}", f"V1;{stamp};{state};192"]
        else:
            lines.append(f"{stamp};{cell};{state}")
    path = folder / "export.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("block", [1 << 20, 700])
def test_a_converted_export_reads_like_the_export(
    tmp_path: Path, long: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many chunks it came in, the hour that is repeated included."""
    path, out = export(tmp_path, long=long), tmp_path / "export.parquet"
    reference = read_log(path, layout=BERLIN)
    assert (np.diff(reference["T1"].times) == 180.0).all()
    blocks = text.Lines.blocks
    monkeypatch.setattr(text.Lines, "blocks", lambda self, n=0: blocks(self, block))
    done = convert_log(path, out, layout=BERLIN)
    back = read_log(out)
    equal(back, reference)
    assert (done.n_rows, done.n_samples) == (reference.n_rows, 320)
    assert (done.sha256, done.layout) == (reference.sha256, reference.layout)
    assert any(reference.sha256 in note for note in back.notes)
    assert not list(tmp_path.glob(".converting*"))


def test_a_window_of_a_converted_export(tmp_path: Path) -> None:
    """Is the window of the export."""
    path, out = export(tmp_path, long=True), tmp_path / "export.parquet"
    convert_log(path, out, layout=BERLIN)
    between = ("2026-10-25T00:30Z", "2026-10-25T01:30Z")
    equal(read_log(out, between=between), read_log(path, layout=BERLIN, between=between))
    assert read_log(out, between=("2027-01-01T00:00Z", None)).samples == {}


def test_a_tag_table_meets_a_converted_export_like_an_export(tmp_path: Path) -> None:
    """States are numbers where they are declared; only tags of the table are written."""
    path, out = export(tmp_path, long=True), tmp_path / "export.parquet"
    table = TagTable((Tag("V1", states={"Open": 1.0, "Closed": 0.0}),))
    convert_log(path, out, layout=BERLIN, tags=table)
    assert pl.scan_parquet(out).select(pl.col("tag").unique()).collect().to_series().to_list() == ["V1"]
    equal(read_log(out, tags=table), read_log(path, layout=BERLIN, tags=table))


def test_elapsed_time_stays_elapsed_time(tmp_path: Path) -> None:
    """In seconds; there is no origin."""
    path = tmp_path / "log.csv"
    path.write_text("t [min],T1\n0,1.5\n1,Bad\n2,2.5\n")
    convert_log(path, tmp_path / "log.parquet")
    equal(read_log(tmp_path / "log.parquet"), read_log(path))
    assert read_log(tmp_path / "log.parquet")["T1"].flags.tolist() == [Flag.GOOD, Flag.BAD, Flag.GOOD]


def test_a_converted_file_knows_what_it_was_made_of(tmp_path: Path) -> None:
    """Name, hash and layout of the export, in the log, in a conversion of it, and in the experiments cut from it."""
    path, out, again = export(tmp_path, long=True), tmp_path / "year.parquet", tmp_path / "july.parquet"
    declared = replace(BERLIN, stamps_at=StampsAt.END, period="3 min", quality_scheme=QualityScheme.OPC_DA)
    done = convert_log(path, out, layout=declared)
    log = read_log(out)
    assert log.source == "year.parquet (from export.csv)"
    assert log.original == Original("export.csv", done.sha256, done.layout)
    assert log.export_layout == read_log(path, layout=declared).layout
    assert log.sha256 != done.sha256
    assert log.layout.zone == "Europe/Berlin"
    log.save(again)
    assert read_log(again).original == log.original
    convert_log(out, again)
    assert read_log(again).original == log.original
    (tmp_path / "batches.csv").write_text("Batch;Start;End\nA;2026-10-25 02:00:00;2026-10-25 04:00:00\n")
    channels = [Channel("y", column="T1", unit="K", noise="1 K")]
    cut = [
        experiments_from(one, batches=tmp_path / "batches.csv", channels=channels, layout=layout)[0]
        for one, layout in ((out, None), (path, declared))
    ]
    assert cut[0]["y"] == cut[1]["y"]
    options = cut[0].provenance.options
    assert (options["original"], options["original sha256"]) == ("export.csv", done.sha256)
    assert {key: options[key] for key in cut[1].provenance.options} == cut[1].provenance.options
    assert cut[0].provenance.source == log.source


def test_the_zone_of_the_plant_serves_windows_and_lists_of_a_converted_file(tmp_path: Path) -> None:
    """That of the export, or the one that is declared: it is for stamps that people write, the file itself is UTC."""
    path, out = export(tmp_path, long=True), tmp_path / "export.parquet"
    convert_log(path, out, layout=BERLIN)
    local = ("2026-10-25 01:30", "2026-10-25 03:30")
    equal(read_log(out, between=local), read_log(path, layout=BERLIN, between=local))
    declared = read_log(out, layout=Layout(zone="UTC"), between=local)
    equal(declared, read_log(out, between=("2026-10-25T01:30Z", "2026-10-25T03:30Z")))
    assert (declared.layout.zone, declared.export_layout.zone) == ("UTC", "Europe/Berlin")


@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        Layout(time=("Date", "Time"), form=WideForm({"T1": "T1 quality"}), thousands="", header=0),
        Layout(column_names=("t", "T1"), separator="\t", quality_scheme=QualityScheme.WORDS, sheet="Blatt 1"),
        Layout(quality_words={"Wartung": Flag.BAD, "Anfahren": Flag.SUSPECT}),
        Layout("cp1252", ";", ",", ".", 3, 2, form=LongForm("a", "b"), stamps_at=StampsAt.START, period="1 min"),
    ],
)
def test_layouts_survive_as_text(layout: Layout) -> None:
    """Every field; what is no layout is refused."""
    assert layout_from_text(layout_text(layout), "x") == layout
    with pytest.raises(DataError, match="x: the layout of its original cannot be read"):
        layout_from_text(json.dumps({**json.loads(layout_text(layout)), "later": 1}), "x")


def test_what_cannot_be_converted_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither half a file nor a folder of pieces."""
    path = tmp_path / "log.csv"
    path.write_text("time,T1\n2026-11-20T06:00:00Z,1.5\n2026-11-20T06:01:00Z,1,5\n")
    with pytest.raises(DataError, match="line 3"):
        convert_log(path, tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"ends in .parquet"):
        convert_log(path, tmp_path / "log.csv2")
    assert [file.name for file in tmp_path.iterdir()] == ["log.csv"]
