"""One hash for what an envelope claims: whoever approves it signs this, and nothing else passes for it."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from physics_twin.envelope import Envelope
from physics_twin.units import Unit

_CLAIM = (
    *("box", "polytope", "settings", "set_point", "required", "probability", "probability_lower", "confidence"),
    *("binding", "includes", "warnings", "certificate", "empty", "message"),
)
"""What a person approves. The surrogate's design and the pictures are no part of the claim."""


def envelope_hash(envelope: Envelope) -> str:
    """SHA-256 of the claim: ranges, certificate, what is included and every warning; saving and loading leave it."""
    found = hashlib.sha256()
    for name in _CLAIM:
        found.update(name.encode())
        _add(found, getattr(envelope, name))
    return found.hexdigest()


def _add(found: Any, part: Any) -> None:
    """Feeds values by what they say, not by their type: lists and tuples, ints of Python and of NumPy are alike."""
    if isinstance(part, Unit):
        found.update(f"u{part.text}".encode())
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            found.update(f"f{field.name}".encode())
            _add(found, getattr(part, field.name))
    elif isinstance(part, Mapping):
        found.update(f"m{len(part)}".encode())
        for key in sorted(part):
            _add(found, str(key))
            _add(found, part[key])
    elif isinstance(part, np.ndarray):
        found.update(f"a{part.shape}".encode() + np.ascontiguousarray(part, dtype="<f8").tobytes())
    elif isinstance(part, list | tuple):
        found.update(f"l{len(part)}".encode())
        for item in part:
            _add(found, item)
    elif isinstance(part, bool | np.bool_):
        found.update(b"b1" if part else b"b0")
    elif isinstance(part, int | float | np.number):
        found.update(f"n{float(part)!r}".encode())
    else:
        text = str(part)
        found.update(f"t{len(text)}:{text}".encode())
