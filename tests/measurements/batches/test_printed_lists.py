"""Lists of batches and laboratory values print as tables, and are tuples for all else."""

import copy
from pathlib import Path

from physics_twin.measurements.batches.batch_tables import read_batches
from physics_twin.measurements.batches.laboratory import read_laboratory

LIST = """Batch,Start,End,Lot,Remark
B 1,2026-03-01 06:00,2026-03-01 08:00,L1,
B2,2026-10-25 02:30,2026-10-25 09:00,L2,started twice because the feed pump stood still
"""
LAB = """Batch,Sampled,Conc,Out
B2,2026-03-01 07:00,0.52,2026-03-01 09:00
B2,2026-03-01 07:30,<0.05,
B2,2026-03-01 07:40,lost,
"""


def test_a_batch_list_prints_as_a_table(tmp_path: Path) -> None:
    """A row a batch with its ends in UTC and its context, notes below; and it is a tuple."""
    path = tmp_path / "batches.csv"
    path.write_text(LIST)
    batches = read_batches(path, zone="Europe/Berlin", format="%Y-%m-%d %H:%M")
    lines = str(batches).splitlines()
    assert lines[0].split() == ["batch", "start", "end", "Batch", "Lot", "Remark"]
    assert lines[1].split()[:7] == ["B_1", "2026-03-01", "05:00:00", "UTC", "2026-03-01", "07:00:00", "UTC"]
    assert lines[2].endswith("L2   started twice because...")
    assert lines[3].startswith("note: B2: the start 2026-10-25 02:30:00 lies in the hour that Europe/Berlin repeats")
    assert "datetime" not in repr(batches)
    assert batches == tuple(batches)
    assert copy.deepcopy(batches) == batches
    assert max(map(len, lines[:3])) < 120


def test_a_long_list_prints_its_ends(tmp_path: Path) -> None:
    """A year of batches fits on a screen; an empty list says so."""
    path = tmp_path / "batches.csv"
    rows = [f"B{k},{k},{k + 1}\n" for k in range(300)]
    path.write_text("Batch,Start,End\n" + "".join(rows))
    batches = read_batches(path, format="h")
    lines = str(batches).splitlines()
    assert len(lines) == 21
    assert lines[-3] == "... 281 more"
    assert lines[-1].split() == ["B299", "1.0764e+06", "s", "1.08e+06", "s"]
    assert repr(type(batches)()) == "no batches"


def test_laboratory_values_print_as_a_table(tmp_path: Path) -> None:
    """Results with their limits and texts as they stand in the list."""
    path = tmp_path / "lab.csv"
    path.write_text(LAB)
    values = read_laboratory(
        path,
        output="c", value="Conc", unit="mol/L", uncertainty="0.01 mol/L", batch="Batch", sampled_at="Sampled",
        reported_at="Out", zone="UTC",
    )  # fmt: skip
    lines = str(values).splitlines()
    assert lines[0].split() == ["output", "batch", "sampled", "value", "uncertainty", "reported"]
    assert "0.52 mol/L" in lines[1] and "0.01 mol/L" in lines[1] and lines[1].endswith("2026-03-01 09:00:00 UTC")
    assert "<0.05 mol/L" in lines[2]
    assert lines[3].endswith("lost")
    assert values == tuple(values)
    assert len(values) == 3
