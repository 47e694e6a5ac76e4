"""A hash of all that a twin knows."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.measurements.records import recipe_record
from physics_twin.recipes import Recipe

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin


def digest(twin: "Twin") -> str:
    """SHA-256 of states, snapshots and entries, and of what the twin was told at its start; not of the present, of
    counts and of the order in which people did things, which depend on when entries came in. Two twins with the same
    digest go on alike.
    """
    found = hashlib.sha256()
    for part in (twin.state, twin.snapshots, twin.recent, twin.pending):
        _add(found, part)
    own = twin.setup
    _add(found, (own.model.fingerprint, own.seed, own.adaptive, type(own.method).__name__, own.method))
    _add(found, (own.guard, own.window, own.walks, own.noise, own.fixed, own.posterior.draws.values))
    return found.hexdigest()


def _add(found: Any, part: Any) -> None:
    if isinstance(part, np.ndarray):
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).tobytes())
    elif isinstance(part, Recipe):
        record, tables = recipe_record(part)
        found.update(repr(record).encode())
        _add(found, [(one.times, one.values) for one in tables])
    elif isinstance(part, enum.Enum):
        found.update(str(part.value).encode())
    elif isinstance(part, np.generic):
        _add(found, part.item())
    elif isinstance(part, Mapping):
        for key in sorted(part):
            found.update(str(key).encode())
            _add(found, part[key])
    elif isinstance(part, tuple | list):
        found.update(str(len(part)).encode())
        for item in part:
            _add(found, item)
    elif is_dataclass(part) and not isinstance(part, type):
        for own in (f for f in fields(part) if f.compare):
            found.update(own.name.encode())
            _add(found, getattr(part, own.name))
    else:
        found.update(repr(part).encode())  # floats by repr: every bit counts
