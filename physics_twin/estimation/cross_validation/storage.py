"""A cross-validation as a JSON file: numbers bit for bit, and nothing that runs code."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.errors import FileFormatError
from physics_twin.estimation.cross_validation.folds import Fold, HeldChannel
from physics_twin.estimation.cross_validation.result import CrossValidation
from physics_twin.estimation.predictive_density import BatchDensity
from physics_twin.files import atomic_write

FORMAT = "physics_twin cross-validation 1"


def save(validation: CrossValidation, path: "str | os.PathLike[str]") -> None:
    """See `CrossValidation.save`."""
    record = {"format": FORMAT, **dataclasses.asdict(validation)}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(record, default=lambda array: array.tolist(), indent=1), encoding="utf-8")


def marked_json(path: "str | os.PathLike[str]", mark: str) -> dict[str, Any]:
    """The object in a JSON file whose "format" is `mark`; raises FileFormatError for anything else."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(record, dict) or record.get("format") != mark:
        raise FileFormatError(f'{path} is not marked "{mark}"')
    return record


def load(path: "str | os.PathLike[str]") -> CrossValidation:
    """See `CrossValidation.load`."""
    record = marked_json(path, FORMAT)
    try:
        folds = tuple(_fold(one) for one in record["folds"])
        return CrossValidation(record["model"], record["fingerprint"], record["by"], folds, float(record["chance"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is damaged: {error!r}") from None


def _fold(record: dict[str, Any]) -> Fold:
    channels = tuple(_channel(one) for one in record["channels"])
    return Fold(
        name=record["name"],
        experiments=tuple(record["experiments"]),
        n_fitted=int(record["n_fitted"]),
        channels=channels,
        densities=tuple(BatchDensity(**one) for one in record["densities"]),
        distance=float(record["distance"]),
        replicas=np.array(record["replicas"], dtype=float),
        failure=record["failure"],
        notes=tuple(record["notes"]),
    )


def _channel(record: dict[str, Any]) -> HeldChannel:
    arrays: dict[str, Any] = {k: np.array(v, dtype=float) for k, v in record.items() if isinstance(v, list)}
    return HeldChannel(**{**record, **arrays})
