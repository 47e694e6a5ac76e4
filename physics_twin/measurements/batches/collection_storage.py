"""Experiments as a folder: one NetCDF each, and an index that is written last."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.measurements.batches.cutting_report import CuttingReport
from physics_twin.measurements.experiment import Experiment

if TYPE_CHECKING:
    from physics_twin.measurements.batches.collection import Experiments

__all__ = ["FORMAT", "load_experiments", "save_experiments"]

FORMAT = "physics_twin experiments 1"
_INDEX = "index.json"


def _file_name(position: int, run: Experiment) -> str:
    """Return a name that every file system can bear and that tells this content from an older one.

    The number keeps the order of the experiments in a listing, and no name begins like a device of Windows; the hash
    keeps names apart that differ in upper and lower case only.
    """
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in run.name)[:60]
    return f"{position:04d}_{safe}_{_identity(run)[:12]}.nc"


def _identity(run: Experiment) -> str:
    """Hash of the content and of what is known of it beside: two saves of one run give one file."""
    origin = repr((run.provenance, run.notes, run.inputs, run.phases, [series.notes for series in run]))
    return hashlib.sha256((run.sha256 + origin).encode()).hexdigest()


def save_experiments(experiments: "Experiments", folder: str | os.PathLike[str]) -> None:
    """Write the folder; files that an older index named and the new one does not are removed at the end."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    older = _named_by_index(folder)
    entries: list[dict[str, str]] = []
    for position, run in enumerate(experiments, start=1):
        file = _file_name(position, run)
        run.save(folder / file)
        entries.append(
            {
                "name": run.name,
                "file": file,
                "sha256": run.sha256,
                "file_sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
            }
        )
    index = {"format": FORMAT, "experiments": entries, "report": experiments.report.record}
    with atomic_write(folder / _INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in older - {entry["file"] for entry in entries}:
        with suppress(FileNotFoundError):
            (folder / file).unlink()


def _named_by_index(folder: Path) -> set[str]:
    """Return the files of an index that is there already; none of anything else is ever removed."""
    path = folder / _INDEX
    if not path.exists():
        return set()
    index = _index(path)
    return {file for entry in index["experiments"] if (file := str(entry["file"])) == Path(file).name}


def _index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FileFormatError(f"{path} is damaged or no index of experiments: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise FileFormatError(f'{path} is no index of experiments of the format "{FORMAT}"')
    return index


def load_experiments(folder: str | os.PathLike[str]) -> "Experiments":
    """Read what `save_experiments` wrote."""
    from physics_twin.measurements.batches.collection import Experiments

    folder = Path(folder)
    path = folder / _INDEX
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; a folder of experiments has one")
    index = _index(path)
    try:
        entries = [
            (str(e["name"]), str(e["file"]), str(e["sha256"]), str(e["file_sha256"])) for e in index["experiments"]
        ]
        report = CuttingReport.from_record(index["report"])
    except (KeyError, TypeError, ValueError, AttributeError, PhysicsTwinError) as error:
        raise FileFormatError(f"{path} is damaged or was written by hand: {error!r}") from error
    runs = []
    for name, file, sha256, of_file in entries:
        if Path(file).name != file:
            raise FileFormatError(f'{path}: "{file}" is no file of this folder')
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != of_file:
            raise FileFormatError(f"{folder / file} was changed after it was saved: it has not the hash of the index")
        run = Experiment.load(folder / file)
        if run.name != name or run.sha256 != sha256:
            raise FileFormatError(f'{folder / file} holds "{run.name}", and the index says "{name}" with another hash')
        runs.append(run)
    return Experiments(tuple(runs), report)
