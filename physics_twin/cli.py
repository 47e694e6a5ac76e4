"""The command line: `physics-twin info FILE` says what a saved file holds; `physics-twin --version`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from physics_twin import __version__
from physics_twin.errors import FileFormatError, PhysicsTwinError

DESCRIPTION = "Physics-based process twins: what is in the files that physics_twin writes."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="physics-twin", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"physics_twin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="print what a saved posterior, envelope, run or experiment holds")
    info.add_argument("file", type=Path, nargs="+", help="NetCDF file written by physics_twin")
    given = parser.parse_args(arguments)
    status = 0
    for k, path in enumerate(given.file):
        if len(given.file) > 1:
            print(f"{'' if k == 0 else chr(10)}{path}")
        try:
            print(load(path))
        except (PhysicsTwinError, OSError) as error:
            print(f"physics-twin: {error}", file=sys.stderr)
            status = 1
    return status


def load(path: Path) -> Any:
    """Return the posterior, envelope, run or experiment that a file holds.

    Raises FileNotFoundError, and FileFormatError for a file that physics_twin did not write.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    mark = _mark(path)
    for kind, read in _readers().items():
        if mark.startswith(f"physics_twin {kind}"):
            return read(path)
    known = ", ".join(_readers())
    raise FileFormatError(f'{path} is marked "{mark}"; this command reads files of physics_twin: {known}')


def _mark(path: Path) -> str:
    """Return the mark of the format: an attribute of the file, or of a variable where the whole content is a record."""
    import h5netcdf

    try:
        with h5netcdf.File(path, "r") as file:
            marks = [file.attrs.get("format"), *(v.attrs.get("format") for v in file.variables.values())]
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} is no NetCDF file: {error}") from None
    return next((str(mark) for mark in marks if mark is not None), "")


def _readers() -> dict[str, Callable[[Path], Any]]:
    """Kind of file, as in its mark -> what reads it; imported here, since `--version` needs none of it."""
    from physics_twin.envelope import Envelope
    from physics_twin.measurements import Experiment
    from physics_twin.posterior import Posterior
    from physics_twin.simulation import Run

    return {"posterior": Posterior.load, "envelope": Envelope.load, "run": Run.load, "experiment": Experiment.load}


if __name__ == "__main__":
    raise SystemExit(main())
