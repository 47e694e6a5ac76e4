"""Envelope, posterior and experiments in one folder, with the hashes that tell that they belong together.

An envelope names the draws it was certified with, and a posterior the records it was fitted to. The folder keeps all of
them and a manifest: what was changed, lost or added later is found and named when the folder is read.
"""

import hashlib
import importlib.metadata
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.next_batch.uncertainty import draws_hash
from physics_twin.errors import EnvelopeError, FileFormatError
from physics_twin.files import sync
from physics_twin.measurements import Experiment
from physics_twin.posterior import Posterior

FORMAT, VERSION = "physics_twin study", 1
MANIFEST, ENVELOPE, POSTERIOR, EXPERIMENTS = "manifest.json", "envelope.nc", "posterior.nc", "experiments"


@dataclass(frozen=True, eq=False)
class Study:
    """What `load_study` returns."""

    envelope: Envelope
    posterior: Posterior
    experiments: tuple[Experiment, ...]


def save_study(
    folder: str | os.PathLike[str],
    *,
    envelope: Envelope,
    posterior: Posterior,
    experiments: Iterable[Experiment] | Experiment = (),
) -> None:
    """Write an envelope, the posterior behind it and the experiments behind that into a new folder.

    The folder is written whole or not at all. Raises EnvelopeError for an envelope of another posterior, experiments
    that are not those of the fit, and a folder that holds something already.
    """
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    for why in _strangers(envelope, posterior, runs):
        raise EnvelopeError(f"save_study: {why}")
    final = Path(folder).resolve()
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise EnvelopeError(f"save_study: {folder} exists and is not empty; give a new folder")
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}-{secrets.token_hex(8)}")
    try:
        (temporary / EXPERIMENTS).mkdir(parents=True)
        envelope.save(temporary / ENVELOPE)
        posterior.save(temporary / POSTERIOR)
        for run in runs:
            run.save(temporary / _file_of(run.name))
        text = json.dumps(_manifest(temporary, envelope, posterior, runs), indent=1, ensure_ascii=False)
        (temporary / MANIFEST).write_text(text + "\n", encoding="utf8")
        sync(temporary / MANIFEST)
        with suppress(FileNotFoundError):
            final.rmdir()  # an empty one, which a rename does not replace everywhere
        os.replace(temporary, final)
    except BaseException:  # also KeyboardInterrupt: no debris beside the result
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if os.name == "posix":
        sync(final.parent)


def load_study(folder: str | os.PathLike[str]) -> Study:
    """Read what `save_study` wrote.

    Raises FileNotFoundError for no folder; FileFormatError for a folder of something else, and for files that were
    changed, are missing, were added or do not belong together, by their names.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    manifest = _read_manifest(place)
    stated = {str(name): str(sha256) for name, sha256 in manifest["files"].items()}
    there = _hashes(place)
    for words, names in (
        ("lacks", sorted(set(stated) - set(there))),
        ("holds what was added later:", sorted(set(there) - set(stated))),
        ("was changed after it was saved:", sorted(n for n in set(stated) & set(there) if stated[n] != there[n])),
    ):
        if names:
            raise FileFormatError(f"{folder} {words} {', '.join(names)}")
    runs = [Experiment.load(place / _file_of(str(name))) for name in manifest["posterior_experiments"]]
    study = Study(Envelope.load(place / ENVELOPE), Posterior.load(place / POSTERIOR), tuple(runs))
    for why in _strangers(study.envelope, study.posterior, study.experiments):
        raise FileFormatError(f"{folder}: {why}")
    return study


def _strangers(envelope: Envelope, posterior: Posterior, runs: tuple[Experiment, ...]) -> list[str]:
    """What does not belong together, in sentences."""
    found = []
    own = draws_hash(posterior)
    if envelope.certificate.posterior != own:
        found.append(
            f"{ENVELOPE} was certified with the posterior {envelope.certificate.posterior}, and {POSTERIOR} is {own}; "
            "save the posterior that find_envelope was given"
        )
    fitted: Mapping[str, str] = json.loads(posterior.provenance.get("experiments", "{}"))
    names = [run.name for run in runs]
    found += [f'two experiments are called "{n}"' for n in sorted({n for n in names if names.count(n) > 1})]
    for run in runs:
        if run.name not in fitted:
            found.append(f'{_file_of(run.name)}: {POSTERIOR} was not fitted to an experiment called "{run.name}"')
        elif fitted[run.name] != run.sha256:
            found.append(
                f"{_file_of(run.name)} has the hash {run.sha256[:16]}, and {POSTERIOR} was fitted to "
                f'"{run.name}" with {fitted[run.name][:16]}'
            )
    missing = sorted(set(fitted) - set(names)) if runs else []
    if missing:
        found.append(f"{POSTERIOR} was also fitted to {', '.join(missing)}; give all of its experiments, or none")
    return found


def _manifest(place: Path, envelope: Envelope, posterior: Posterior, runs: tuple[Experiment, ...]) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in ("physics-twin", "numpy", "xarray", "h5netcdf")}
    return {
        "format": FORMAT,
        "version": VERSION,
        "saved_with": {**versions, "python": ".".join(map(str, sys.version_info[:3]))},
        "model": envelope.certificate.model,
        "model_fingerprint": envelope.certificate.fingerprint,
        "envelope_posterior": draws_hash(posterior),
        "posterior_experiments": {run.name: run.sha256 for run in runs},
        "files": _hashes(place),
    }


def _read_manifest(place: Path) -> Mapping[str, Any]:
    path = place / MANIFEST
    if not path.is_file():
        raise FileFormatError(f"{place} holds no {MANIFEST}; it is no folder of save_study")
    try:
        manifest = json.loads(path.read_text(encoding="utf8"))
        marks = manifest.get("format"), manifest.get("version")
        complete = isinstance(manifest["files"], Mapping) and isinstance(manifest["posterior_experiments"], Mapping)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is damaged: {error}") from None
    if marks[0] != FORMAT or not complete:
        raise FileFormatError(f"{path} is not of a folder of save_study")
    if marks[1] != VERSION:
        raise FileFormatError(f"{path} has version {marks[1]}, this library reads {VERSION}; use the one that wrote it")
    return manifest  # type: ignore[no-any-return]


def _hashes(place: Path) -> dict[str, str]:
    """Path within the folder -> SHA-256, of every file but the manifest."""
    files = sorted(path for path in place.rglob("*") if path.is_file() and path != place / MANIFEST)
    return {path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _file_of(experiment: str) -> str:
    """Where an experiment stands in the folder; a name is never a path."""
    return f"{EXPERIMENTS}/{quote(experiment, safe='')}.nc"
