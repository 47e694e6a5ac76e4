"""The command line: what is in a file, in words; a wrong file is told and changes the exit status."""

from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.cli import main


@pytest.fixture
def experiment_file(tmp_path: Path) -> Path:
    channel = pt.Channel("level", unit="m", noise="1 cm")
    run = pt.Experiment.from_arrays("run_1", [0.0, 60.0], {"level": [1.0, 2.0]}, channels=[channel])
    run.save(tmp_path / "experiment.nc")
    return tmp_path / "experiment.nc"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is printed and nothing else happens."""
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"physics_twin {pt.__version__}\n"


def test_info_of_an_experiment_and_a_posterior(
    experiment_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several files are told apart by their names."""
    drawn = pt.Posterior.from_prior([pt.Parameter("k", "2 1/h", prior=pt.Normal(2, 1))], 50)
    drawn.save(tmp_path / "posterior.nc")
    assert main(["info", str(experiment_file), str(tmp_path / "posterior.nc")]) == 0
    out = capsys.readouterr().out
    assert 'experiment "run_1"' in out and "1/h" in out and out.count("posterior.nc") == 1


def test_info_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A saved run prints its outputs in their units."""
    m = pt.ProcessBuilder("tank", version="2")
    level = m.state("level", "m", initial="1 m")
    m.rate(level, m.constant("1 mm/s"))
    m.output("level", level)
    pt.simulate(m.build(), np.array([0.0, 100.0])).save(tmp_path / "run.nc")
    assert main(["info", str(tmp_path / "run.nc")]) == 0
    assert "level: 1 -> 1.1 m" in capsys.readouterr().out


def test_a_wrong_file_is_told_and_the_others_are_still_read(
    experiment_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No NetCDF, a NetCDF of someone else, no file: the reason on stderr, status 1."""
    import xarray as xr

    (tmp_path / "notes.txt").write_text("hello")
    xr.Dataset({"a": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    files = [tmp_path / "notes.txt", tmp_path / "other.nc", tmp_path / "gone.nc", experiment_file]
    assert main(["info", *map(str, files)]) == 1
    told = capsys.readouterr()
    assert [name for name in ("notes.txt", "other.nc", "gone.nc") if name in told.err] == [
        "notes.txt",
        "other.nc",
        "gone.nc",
    ]
    assert 'experiment "run_1"' in told.out


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    """A log of 40 minutes without a zone."""
    rows = [f"2026-03-02 06:{k:02}:00,{20 + k / 10:.1f},{'on' if k > 5 else 'off'}" for k in range(40)]
    (tmp_path / "log.csv").write_text("\n".join(["time,TI101 [degC],pump", *rows]) + "\n")
    return tmp_path / "log.csv"


def test_inspect_prints_what_is_in_a_log_and_how_to_read_it(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, the zone asked for, the source to paste; and no progress bar, since nobody sits at this terminal."""
    assert main(["inspect", str(log_file)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "TI101" in told.out and "pump" in told.out and "--zone" in told.out and "pt.read_log(" in told.out


def test_inspect_writes_a_picture_and_a_tag_table(
    log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the zone declared nothing is asked; a tag table that exists is not written over."""
    picture, tags = tmp_path / "log.png", tmp_path / "tags.toml"
    given = ["inspect", str(log_file), "--zone", "Europe/Berlin", "--plot", str(picture), "--tags", str(tags)]
    assert main(given) == 0
    assert "zone Europe/Berlin" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG") and "TI101" in tags.read_text()
    tags.write_text("edited")
    assert main(given) == 1
    assert "tags.toml" in capsys.readouterr().err and tags.read_text() == "edited"


def test_inspect_takes_the_sheet_of_a_workbook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sheet that is named is the one that is read."""
    import openpyxl

    book = openpyxl.Workbook()
    for title in ("first", "second"):
        sheet = book.create_sheet(title)
        sheet.append(["t [s]", f"T of {title}"])
        for k in range(5):
            sheet.append([k, 1.5 * k])
    book.save(tmp_path / "log.xlsx")
    assert main(["inspect", str(tmp_path / "log.xlsx"), "--sheet", "second"]) == 0
    out = capsys.readouterr().out
    assert "T of second" in out and "T of first" not in out


@pytest.mark.parametrize(("name", "content"), [("gone.csv", None), ("log.csv", "hello"), ("log.xlsx", "no workbook")])
def test_inspect_says_why_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None
) -> None:
    """No file, no log, no workbook: the reason with the name on stderr, status 1, no traceback."""
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["inspect", str(tmp_path / name)]) == 1
    assert name in capsys.readouterr().err
