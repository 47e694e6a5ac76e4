"""The command line.

`physics-twin inspect FILE` says what is in a log and how to read it. `physics-twin info FILE` says what a saved file
holds. `physics-twin status *.nc` tabulates saved twins. `physics-twin compile MODULE:FUNCTION --out DIR` compiles all
native code of a field model for machines that have no compiler. `physics-twin --version`.
"""

import argparse
import importlib
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physics_twin import __version__
from physics_twin.errors import FileFormatError, ModelError, PhysicsTwinError
from physics_twin.files import atomic_write

if TYPE_CHECKING:
    from physics_twin.measurements.flags import Flag
    from physics_twin.measurements.inspection.inspection import Inspection
    from physics_twin.measurements.logs.layout import Layout

DESCRIPTION = "Physics-based process twins: what is in a log or a saved file, and models compiled ahead of time."


# Field of a Layout that messages name -> option that declares it. A value in a message stands behind the field.
OPTIONS = {
    "time": "--time",
    "stamp_format": "--stamp-format",
    "zone": "--zone",
    "sheet": "--sheet",
    "separator": "--separator",
    "decimal": "--decimal",
    "thousands": "--thousands",
    "encoding": "--encoding",
    "skiprows": "--skiprows",
    "header": "--header",
    "column_names": "--column-names",
    "quality_scheme": "--quality-scheme",
    "quality_words": "--quality-word",
    "form": "--long",
    "texts": "--text",
}
_DECLARED = re.compile(
    rf"\b({'|'.join(OPTIONS)})="
    r'(\((?:"[^"]*"(?:, )?)+\)|"[^"]*"|\d+|QualityScheme\.\w+|LongForm|(?=\W))'
)
_SCHEMES = ("OPC_DA", "OPC_HDA", "OPC_UA", "WORDS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 with the reason on stderr."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "compile":
            status = _compile(given.model, given.out, given.native)
        elif given.command == "status":
            status = _status(given.file)
        elif given.command == "inspect":
            status = _inspect(given)
        else:
            status = _info(given.file)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; what is still in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="physics-twin", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"physics_twin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    inspecting = commands.add_parser("inspect", help="print what is in a log of a plant, and how to read it")
    inspecting.add_argument("file", type=Path, help="CSV, xlsx or Parquet, as exported")
    inspecting.add_argument("--plot", type=Path, metavar="PNG", help="write a picture of every tag")
    inspecting.add_argument("--tags", type=Path, metavar="TOML", help="write a tag table to edit, unless there is one")
    _add_layout(inspecting)
    info = commands.add_parser("info", help="print what a saved posterior, envelope, run or experiment holds")
    info.add_argument("file", type=Path, nargs="+", help="NetCDF file written by physics_twin")
    states = commands.add_parser("status", help="tabulate saved twins: version, time, parameters and state of each")
    states.add_argument("file", type=Path, nargs="+", help="NetCDF file written by twin.save")
    compiling = commands.add_parser("compile", help="compile a field model for machines that have no compiler")
    compiling.add_argument("model", metavar="MODULE:FUNCTION", help="a function without arguments that returns a model")
    compiling.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the compiled forms")
    compiling.add_argument(
        "--native",
        action="store_true",
        help="for this very processor: faster, and refused by machines with another one",
    )
    return parser


def _add_layout(parser: argparse.ArgumentParser) -> None:
    """Add what can be declared of an export."""
    layout = parser.add_argument_group("format of the export", "what is not said is detected, and asked for in doubt")
    layout.add_argument("--zone", help="of its clock, as Europe/Berlin, where the stamps carry no offset")
    layout.add_argument(
        "--time", action="append", metavar="COLUMN", help="of the stamps; twice for a date and a time of day"
    )
    layout.add_argument(
        "--stamp-format",
        metavar="FORMAT",
        help='as "%%d/%%m/%%Y %%H:%%M"; ISO, excel, "unix s", "unix ms"; s, min or h for elapsed time',
    )
    layout.add_argument("--sheet", help="of a workbook")
    layout.add_argument("--separator", help="between columns: one character, or the word tab")
    layout.add_argument("--decimal", help="sign, a point or a comma")
    layout.add_argument("--thousands", help='sign between thousands, "" for none')
    layout.add_argument("--encoding", help="as cp1252, utf-8-sig, utf-16")
    layout.add_argument("--skiprows", type=int, metavar="N", help="lines before the header")
    layout.add_argument(
        "--header", type=int, metavar="N", help="number of header lines: 0, 1, or 2 with a row of units"
    )
    layout.add_argument("--column-names", nargs="+", metavar="NAME", help="of a file without a header")
    form = layout.add_mutually_exclusive_group()
    form.add_argument("--long", nargs=2, metavar=("TAG", "VALUE"), help="columns, where each row is one sample")
    form.add_argument("--wide", action="store_true", help="one column a tag")
    layout.add_argument(
        "--text", action="append", metavar="TAG", help="whose cells are names, though they may be numbers; repeatable"
    )
    layout.add_argument("--quality-scheme", choices=_SCHEMES, help="what the codes of quality columns mean")
    layout.add_argument(
        "--quality-word",
        action="append",
        metavar="WORD=FLAG",
        help='of quality columns, as "Comm Fail=bad"; repeatable',
    )


def _layout(given: argparse.Namespace) -> "Layout":
    from physics_twin.measurements.logs.layout import Layout, LongForm, QualityScheme, WideForm

    time = given.time
    if time is not None and len(time) > 2:
        raise FileFormatError("--time is said once, or twice for a date and a time of day")
    return Layout(
        encoding=given.encoding,
        separator="\t" if given.separator in ("tab", "\\t") else given.separator,
        decimal=given.decimal,
        thousands=given.thousands,
        skiprows=given.skiprows,
        header=given.header,
        column_names=None if given.column_names is None else tuple(given.column_names),
        sheet=given.sheet,
        time=None if time is None else time[0] if len(time) == 1 else (time[0], time[1]),
        stamp_format=given.stamp_format,
        zone=given.zone,
        form=LongForm(*given.long) if given.long else WideForm() if given.wide else None,
        quality_scheme=None if given.quality_scheme is None else QualityScheme[given.quality_scheme],
        texts=None if given.text is None else tuple(given.text),
        quality_words=None if given.quality_word is None else dict(map(_quality_word, given.quality_word)),
    )


def _quality_word(text: str) -> "tuple[str, Flag]":
    from physics_twin.measurements.flags import Flag

    word, _, flag = text.rpartition("=")
    known = {one.words: one for one in Flag}
    if not word or flag not in known:
        raise FileFormatError(f'--quality-word "{text}": write WORD=FLAG, with one of {", ".join(known)}')
    return word, known[flag]


def in_options(message: str) -> str:
    """Return the options that declare what a message asks for in Python; empty where it asks for nothing.

    >>> in_options('say layout=Layout(time=("Date", "Time")), or stamp_format="s" for elapsed seconds')
    'on the command line: --time "Date" --time "Time", --stamp-format "s"'
    """
    said: dict[str, None] = {}
    for field, value in _DECLARED.findall(message):
        option = OPTIONS[field]
        quoted = re.findall(r'"[^"]*"', value)
        if field == "form":
            said["--long TAG VALUE (names of columns) or --wide"] = None
        elif field == "quality_words":
            said[f'{option} "WORD=FLAG"'] = None
        elif field == "column_names":
            said[f"{option} {' '.join(quoted) or 'NAME ...'}"] = None
        elif field == "separator" and quoted == ['"\\t"']:
            said[f"{option} tab"] = None
        elif quoted:
            said[" ".join(f"{option} {one}" for one in quoted)] = None
        else:
            said[f"{option} {value.removeprefix('QualityScheme.') or '...'}"] = None
    return f"on the command line: {', '.join(said)}" if said else ""


def _inspect(given: argparse.Namespace) -> int:
    """Print what is in a log and the source that reads it; write a picture and a tag table where asked for."""
    from physics_twin.measurements.inspection.inspection import inspect

    path: Path = given.file
    try:
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        found = inspect(path, layout=_layout(given), progress=sys.stderr.isatty())
        print(found)
        notes = [*found.log.notes, *(note for tag in found.tags.values() for note in tag.notes)]
        if options := in_options(" ".join(notes)):
            print(f"\n{options}")
        print(f"\nto read it:\n\n{textwrap.indent(found.mapping, '    ')}", end="")
        _write(found, given.plot, given.tags)
    except BrokenPipeError:
        raise
    except (PhysicsTwinError, OSError) as error:
        print(f"physics-twin: {error}", file=sys.stderr)
        if options := in_options(str(error)):
            print(options, file=sys.stderr)
        return 1
    return 0


def _write(found: "Inspection", picture: Path | None, tags: Path | None) -> None:
    """Write the files that were asked for, and say which."""
    written: list[str] = []
    if picture is not None:
        import matplotlib

        matplotlib.use("Agg")  # a window would wait for somebody to close it
        with atomic_write(picture) as temporary:
            found.plot().savefig(temporary)
        written.append(str(picture))
    if tags is not None and not tags.exists():
        with atomic_write(tags) as temporary:
            temporary.write_text(found.tag_table, encoding="utf-8")
        written.append(str(tags))
    elif tags is not None:
        why = "it exists, and may have been edited; for a new one name another file, or remove it"
        print(f"physics-twin: {tags} was left as it is: {why}", file=sys.stderr)
    if written:
        print(f"\nwritten: {', '.join(written)}")


def _info(files: Sequence[Path]) -> int:
    """Print what files hold; a wrong one is told, and the others are still read."""
    status = 0
    for k, path in enumerate(files):
        if len(files) > 1:
            print(f"{'' if k == 0 else chr(10)}{path}")
        try:
            print(load(path))
        except BrokenPipeError:
            raise
        except (PhysicsTwinError, OSError) as error:
            print(f"physics-twin: {error}", file=sys.stderr)
            status = 1
    return status


def _status(files: Sequence[Path]) -> int:
    """Print a table of twins, and on stderr which of the files cannot be read."""
    from physics_twin.twin.status import statuses, table

    found = statuses(files)
    print(table(found, time.time_ns()))
    unread = [one for one in found if one.header is None]
    for one in unread:
        print(f"physics-twin: {one.path}: {one.trouble}", file=sys.stderr)
    return 1 if unread else 0


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
