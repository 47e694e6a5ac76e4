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
