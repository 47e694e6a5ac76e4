"""The command line: what is in a file, in words; a wrong file is told and changes the exit status."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.cli import OPTIONS, in_options, main


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
    """With the zone declared nothing is asked; what was written is said.

    A second time the report comes too, and a tag table that exists, with the work of hours in it, stays as it is.
    """
    picture, tags = tmp_path / "log.png", tmp_path / "tags.toml"
    given = ["inspect", str(log_file), "--zone", "Europe/Berlin", "--plot", str(picture), "--tags", str(tags)]
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "zone Europe/Berlin" in told and told.endswith(f"written: {picture}, {tags}\n")
    assert picture.read_bytes().startswith(b"\x89PNG") and "TI101" in tags.read_text()
    tags.write_text("edited")
    assert main(given) == 0
    again = capsys.readouterr()
    assert "zone Europe/Berlin" in again.out and f"{tags} was left as it is" in again.err
    assert tags.read_text() == "edited"


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


def _times(*cells: str) -> str:
    return "\n".join(f"{cell},{20 + k}.5" for k, cell in enumerate(cells))


_BOTH = ["03/04/2026 06:00", "03/04/2026 06:01", "03/04/2026 06:02"]
# What is asked for, what the answer is, and what the report then says.
UNCLEAR = {
    "day or month": (
        "time,T\n" + _times(*_BOTH),
        ["--stamp-format", "%d/%m/%Y %H:%M"],
        "stamps like %d/%m/%Y %H:%M",
    ),
    "elapsed time": ("t,T\n" + _times("0", "1", "2", "3"), ["--stamp-format", "s"], "elapsed, in s"),
    "two columns of stamps": (
        "Start,End,T\n" + "\n".join(f"2026-03-02 06:0{k}:00,2026-03-02 07:0{k}:00,{k}.5" for k in range(5)),
        ["--time", "Start"],
        'column "Start"',
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_inspect_asks_for_has_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    """The answer to an ambiguous export is said in words of the command line, and works there as it was said."""
    text, options, expected = UNCLEAR[case]
    (tmp_path / "log.csv").write_text(text + "\n")
    assert main(["inspect", str(tmp_path / "log.csv")]) == 1
    assert f'{options[0]} "{options[1]}"' in capsys.readouterr().err.splitlines()[-1]
    assert main(["inspect", str(tmp_path / "log.csv"), *options]) == 0
    assert expected in capsys.readouterr().out


def test_inspect_takes_the_whole_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option reaches the layout that is printed to paste."""
    rows = [f"02.03.2026\t06:{k:02}:00\t1.020,{k}" for k in range(10)]
    (tmp_path / "log.txt").write_bytes("\n".join(["Anlage Süd", "Tag\tZeit\tT", *rows, ""]).encode("cp1252"))
    given = ["--time", "Tag", "--time", "Zeit", "--stamp-format", "%d.%m.%Y %H:%M:%S", "--zone", "Europe/Berlin"]
    given += ["--separator", "tab", "--decimal", ",", "--thousands", ".", "--encoding", "cp1252"]
    assert main(["inspect", str(tmp_path / "log.txt"), *given, "--skiprows", "1", "--header", "1", "--wide"]) == 0
    out = capsys.readouterr().out
    for said in ('separator="\\t"', 'decimal=","', 'thousands="."', 'encoding="cp1252"', "skiprows=1", "header=1"):
        assert said in out
    assert 'time=("Tag", "Zeit")' in out and "1020.9" in out


def test_every_field_that_a_message_may_name_has_an_option() -> None:
    """A field of the layout is either an option, or what only averages need (which no message of a first look asks)."""
    fields = {one.name for one in dataclasses.fields(pt.Layout)}
    assert fields - set(OPTIONS) == {"stamps_at", "period"}
    assert "--separator tab" in in_options('say layout=Layout(separator="\\t")')
    assert in_options("it holds no number") == ""


def test_words_of_quality_can_be_declared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word of one's own plant and its flag; what is no flag is told with those that there are."""
    rows = [f"TI1,2026-03-02 06:0{k}:00,{k}.5,{'Funkloch' if k == 3 else 'Good'}" for k in range(9)]
    (tmp_path / "log.csv").write_text("\n".join(["tag,time,value,quality", *rows, ""]))
    given = ["inspect", str(tmp_path / "log.csv"), "--zone", "UTC", "--quality-word"]
    assert main([*given, "Funkloch=bad"]) == 0
    assert "1 bad" in capsys.readouterr().out
    assert main([*given, "Funkloch=awful"]) == 1
    assert "not evaluated, suspect, bad" in capsys.readouterr().err
