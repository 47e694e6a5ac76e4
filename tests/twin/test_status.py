"""Files of twins at a glance: no model needed, older generations under their newest, what cannot be read is said."""

import dataclasses

import pytest

from physics_twin.cli import main
from physics_twin.twin.status import statuses, table
from tests.twin.plants import at, fed, heater_samples, heater_twin


@pytest.fixture
def folder(tmp_path):
    """Two twins, one with generations and one before its first sample, and a file that is none."""
    twin = heater_twin()
    twin.save(tmp_path / "new.nc")
    for n in (40, 80, 120):
        twin = fed(twin, heater_samples()[n - 40 : n])
        twin.save(tmp_path / "block.nc", keep=2)
    (tmp_path / "notes.nc").write_text("hello")
    return tmp_path


def test_the_command(folder, capsys):
    """A row for each twin with its parameters; exit code 1 and a reason for what cannot be read."""
    files = sorted(map(str, folder.glob("*.nc")))
    assert len(files) == 4
    assert main(["status", *files]) == 1
    out, error = capsys.readouterr()
    lines = out.splitlines()
    (row,) = [line for line in lines if line.startswith("block ") and "heater_block 1.0" in line]
    assert "following" in row and "2026-11-20T06:02:25Z" in row and "physics_twin" in row
    (new,) = [line for line in lines if line.startswith("new ") and "heater_block" in line]
    assert "no sample has been used yet" in new
    assert sum("UA" in line and "W/K" in line for line in lines) == 2
    assert "notes.nc" in error and "not a NetCDF file" in error
    assert "CANNOT BE READ" in out
    assert main(["status", str(folder / "block.nc")]) == 0
    assert main(["status", str(folder / "gone.nc")]) == 1


def test_numbers_and_ages(folder):
    """Mean and 95 % half width are those of the twin; the age counts from the twin's time."""
    (one,) = statuses([folder / "block.nc"])
    mean, sd, unit = one.header.parameters["UA"]
    text = table([one], now=one.header.time + 90 * 10**9)
    row = next(line.split() for line in text.splitlines() if " UA " in line)
    assert float(row[2]) == pytest.approx(mean, abs=0.1 * sd) and float(row[3]) == pytest.approx(1.96 * sd, rel=0.05)
    assert row[4] == unit and " 90 s " in text
    assert len(one.older) == 1 and at(0) < one.older[0] < one.header.time


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "following"),
        ({"troubles": None}, "health needs the model"),
        ({"troubles": ["T: stuck"]}, "DEGRADED"),
        ({"reason": "all is lost"}, "PREDICTION ONLY: all is lost"),
        ({"mode": "idle"}, "mode idle"),
    ],
)
def test_states(folder, change, words):
    """What the file says of its twin becomes one word, or a word and a reason."""
    (one,) = statuses([folder / "block.nc"])
    changed = dataclasses.replace(one, header=dataclasses.replace(one.header, **change))
    assert words in changed.state


def test_a_broken_sensor_is_told_without_the_model(folder, capsys):
    """A masked channel, and one that is stuck: no "following", and the words of health."""
    twin = fed(heater_twin(), heater_samples()[:120])
    twin = twin.mask("T1", until=None, reason="recalibration", who="me")
    twin.save(folder / "deg.nc")
    monitor = dataclasses.replace(twin.state.monitors["T1"], stuck=True)
    state = dataclasses.replace(twin.state, monitors={**twin.state.monitors, "T1": monitor})
    dataclasses.replace(twin, state=state).save(folder / "stuck.nc")
    assert main(["status", str(folder / "deg.nc"), str(folder / "stuck.nc")]) == 0
    out, _ = capsys.readouterr()
    assert "following" not in out and out.count("DEGRADED") == 2
    assert "deg: T1: masked by me" in out and "recalibration; stuck" in out
