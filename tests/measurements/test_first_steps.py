"""From an export to experiments with what a first look writes: each stop on the way says what to do, and it helps."""

import re
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.cli import main
from physics_twin.errors import DataError


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an export of two tags and a batch list in which an end was not written down."""
    rows = [f"2026-03-02 {6 + k // 60:02}:{k % 60:02}:00,{20 + (k % 60) / 7:.2f},{k % 90 // 30}.0" for k in range(180)]
    (tmp_path / "export.csv").write_text("\n".join(["time,TI101 [degC],JI101 [kW]", *rows]) + "\n")
    (tmp_path / "batches.csv").write_text(
        "Batch,Start,End\nB1,2026-03-02 06:10:00,2026-03-02 07:00:00\nB2,2026-03-02 07:10:00,\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_written_tag_table_says_what_it_lacks(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The batch without end: the call in the message, pasted, reads the list.

    Then the table as written, which has no output: the error names file, keys and a tag, and the edit that it asks for
    is enough.
    """
    assert main(["inspect", "export.csv", "--zone", "Europe/Berlin", "--tags", "tags.toml"]) == 0
    log = pt.read_log("export.csv", layout=pt.Layout(zone="Europe/Berlin"), tags="tags.toml")
    with pytest.raises(DataError, match='batch "B2" has no end') as stop:
        pt.experiments_from(log, batches="batches.csv")
    call = re.search(r"pt\.read_batches\(.*\)", str(stop.value))
    assert call is not None
    batches = eval(call[0], {"pt": pt})  # noqa: S307, the text is ours
    with pytest.raises(DataError, match=r"no tag in tags.toml has output=.*noise = .*\[tags\.\"TI101.*input = "):
        pt.experiments_from(log, batches=batches)
    edited = Path("tags.toml").read_text()
    edited = edited.replace('# output = ""', 'output = "temperature"', 1).replace('# noise = ""', 'noise = "0.5 K"', 1)
    Path("tags.toml").write_text(edited)
    log = pt.read_log("export.csv", layout=pt.Layout(zone="Europe/Berlin"), tags="tags.toml")
    assert [run.name for run in pt.experiments_from(log, batches=batches)] == ["B1", "B2"]


def test_a_table_for_another_log_names_both(plant: Path) -> None:
    """Outputs are declared and none of their tags is in the log: another message than that of a table without any."""
    table = pt.TagTable((pt.Tag("TI999", output="temperature", unit="degC", noise="0.5 K"),))
    log = pt.read_log("export.csv", layout=pt.Layout(zone="UTC"))
    with pytest.raises(DataError, match=r'none of the tags with output= .*"TI999".*"TI101'):
        pt.experiments_from(log, batches=[], tags=table)


def test_a_call_with_columns_of_its_own_is_not_written_again(plant: Path) -> None:
    """What was said beside zone= is not repeated in the message; dots stand for it."""
    with pytest.raises(DataError, match=r'pt\.read_batches\("batches\.csv", zone="UTC", \.\.\., open_end="next"\)'):
        pt.read_batches("batches.csv", zone="UTC", start="Start")
