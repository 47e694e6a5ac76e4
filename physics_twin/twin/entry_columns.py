"""Entries of a timeline as columns: thousands of samples in a few arrays."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from physics_twin.measurements.flags import Flag
from physics_twin.twin.timeline import Act, Entry, Operation, Sample

_NEVER = -(2**63)


def entries_record(entries: Sequence[Entry]) -> dict[str, Any]:
    """Columns of samples and operations; names by number, `place` says where in the order they stand."""
    names: dict[str, int] = {}
    samples = [(k, e) for k, e in enumerate(entries) if isinstance(e, Sample)]
    operations = [(k, e) for k, e in enumerate(entries) if isinstance(e, Operation)]

    def number(text: str) -> int:
        return names.setdefault(text, len(names))

    whole = [
        (k, s.time, number(s.channel), number(s.unit), int(s.quality), number(s.source), reported, s.shift)
        for k, s in samples
        for reported in (_NEVER if s.reported is None else s.reported,)
    ]
    return {
        "samples": np.array(whole, dtype=np.int64).reshape(len(whole), 8),
        "values": np.array([s.value for _, s in samples], dtype=np.float64),
        "names": tuple(names),
        "operations": tuple(
            (k, o.act.value, o.time, o.who, o.reason, json.dumps(dict(o.content))) for k, o in operations
        ),
    }


def entries_from_record(record: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The entries of `entries_record`; raises KeyError, TypeError, ValueError or IndexError for anything else."""
    names = record["names"]
    found: dict[int, Entry] = {}
    for row, value in zip(record["samples"].tolist(), record["values"].tolist(), strict=True):
        k, time, channel, unit, quality, source, reported, shift = row
        own = Sample(
            names[channel],
            time + shift,
            math.nan if math.isnan(value) else value,
            names[unit],
            quality=Flag(quality),
            reported=None if reported == _NEVER else reported,
            source=names[source],
        )
        found[k] = own.shifted(shift)
    for k, act, time, who, reason, text in record["operations"]:
        found[k] = Operation(Act(act), time, who, reason, json.loads(text))
    return tuple(found[k] for k in range(len(found)))
