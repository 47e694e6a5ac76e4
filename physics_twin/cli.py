"""The command line.

`physics-twin inspect FILE` says what is in a log and how to read it. `physics-twin info FILE` says what a saved file
holds. `physics-twin compile MODULE:FUNCTION --out DIR` compiles all native code of a field model for machines that have
no compiler. `physics-twin --version`.
"""

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from physics_twin import __version__
from physics_twin.errors import FileFormatError, ModelError, PhysicsTwinError
from physics_twin.files import atomic_write

DESCRIPTION = "Physics-based process twins: what is in a log or a saved file, and models compiled ahead of time."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="physics-twin", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"physics_twin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    inspecting = commands.add_parser("inspect", help="print what is in a log of a plant, and how to read it")
    inspecting.add_argument("file", type=Path, help="CSV, xlsx or Parquet, as exported")
    inspecting.add_argument("--zone", help='of its clock, as "Europe/Berlin", where the stamps carry no offset')
    inspecting.add_argument("--sheet", help="of a workbook")
    inspecting.add_argument("--plot", type=Path, metavar="PNG", help="write a picture of every tag")
    inspecting.add_argument("--tags", type=Path, metavar="TOML", help="write a tag table to edit")
    info = commands.add_parser("info", help="print what a saved posterior, envelope, run or experiment holds")
    info.add_argument("file", type=Path, nargs="+", help="NetCDF file written by physics_twin")
    compiling = commands.add_parser("compile", help="compile a field model for machines that have no compiler")
    compiling.add_argument("model", metavar="MODULE:FUNCTION", help="a function without arguments that returns a model")
    compiling.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the compiled forms")
    compiling.add_argument(
        "--native",
        action="store_true",
        help="for this very processor: faster, and refused by machines with another one",
    )
    given = parser.parse_args(arguments)
    if given.command == "compile":
        return _compile(given.model, given.out, given.native)
    if given.command == "inspect":
        return _inspect(given.file, given.zone, given.sheet, given.plot, given.tags)
    return _info(given.file)


def _inspect(path: Path, zone: str | None, sheet: str | None, picture: Path | None, tags: Path | None) -> int:
    """Print what is in a log and the source that reads it; write a picture and a tag table where asked for."""
    from physics_twin.measurements.inspection import inspect
    from physics_twin.measurements.logs.layout import Layout

    try:
        if tags is not None and tags.exists():
            raise FileFormatError(f"{tags} exists, and may have been edited; name another file or remove it")
        found = inspect(path, layout=Layout(zone=zone, sheet=sheet), progress=sys.stderr.isatty())
        print(found)
        print(f"\nto read it:\n\n{textwrap.indent(found.mapping, '    ')}", end="")
        if tags is not None:
            with atomic_write(tags) as temporary:
                temporary.write_text(found.tag_table, encoding="utf-8")
        if picture is not None:
            import matplotlib

            from physics_twin.plot_style import figure_of

            matplotlib.use("Agg")  # a window would wait for somebody to close it
            with atomic_write(picture) as temporary:
                figure_of(found.plot()).savefig(temporary)
    except (PhysicsTwinError, OSError) as error:
        print(f"physics-twin: {error}", file=sys.stderr)
        return 1
    return 0


def _info(files: Sequence[Path]) -> int:
    """Print what files hold; a wrong one is told, and the others are still read."""
    status = 0
    for k, path in enumerate(files):
        if len(files) > 1:
            print(f"{'' if k == 0 else chr(10)}{path}")
        try:
            print(load(path))
        except (PhysicsTwinError, OSError) as error:
            print(f"physics-twin: {error}", file=sys.stderr)
            status = 1
    return status


def _compile(model: str, out: Path, native: bool) -> int:
    """Compile a model into a folder and say how to use it."""
    try:
        n_forms = compile_model(model, out, native=native)
    except (PhysicsTwinError, OSError) as error:
        print(f"physics-twin: {error}", file=sys.stderr)
        return 1
    print(f"{n_forms} forms in {out}")
    print(f"to use them, on a machine without a compiler too: PHYSICS_TWIN_COMPILED={out.absolute()}")
    return 0


def compile_model(name: str, out: Path, *, native: bool = False) -> int:
    """Compile all forms of the model that the function `name` ("module:function") returns into the folder `out`.

    Returns the number of forms. The module is looked for in the working directory too. Raises ModelError when there is
    no such function or its model has nothing to compile, and what building the model raises.
    """
    from physics_twin.fem.compilation import compiling_into

    with compiling_into(out, native=native) as target:  # around the building too: a model may compile where it is built
        model = _named(name)()
        compile_all = getattr(model, "compile_all", None)
        if compile_all is None:
            raise ModelError(f'"{name}" returns a {type(model).__name__}; only field models have forms to compile')
        compile_all()
    return len(target.keys)


def _named(name: str) -> Callable[[], Any]:
    """Return the function that "module:function" names."""
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise ModelError(f'"{name}" names no function: write module:function, such as plant.models:quench_tank')
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ModelError(f'there is no module "{module_name}" here or among the installed ones ({error})') from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(f'"{module_name}" has no function "{function_name}"')
    return function  # type: ignore[no-any-return]


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
