"""Arrays as bytes: names, types, shapes and numbers one after another, nothing that could be executed.

A chain remembers some ten thousand small answers, each a record of its own. A zip archive of them costs more than the
simulation of a small process; this costs some ten microseconds. Whether the bytes are whole is for the reader of the
file to check.
"""

import math
import struct
from collections.abc import Mapping

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError

ONE = struct.Struct("<HBB")
"""Bytes of the name, bytes of the type, dimensions; these follow as 64-bit integers."""
KINDS = "biufc"
"""Booleans and numbers; what else NumPy can hold is no result of a simulation."""


def pack(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of named arrays; raises TypeError for one of objects, text or times."""
    parts = []
    for name, array in arrays.items():
        array = np.asarray(array)
        if array.dtype.kind not in KINDS:
            raise TypeError(f"{name} holds {array.dtype}; only numbers can be recorded")
        title, kind = name.encode(), array.dtype.str.encode()
        parts += [ONE.pack(len(title), len(kind), array.ndim), struct.pack(f"<{array.ndim}Q", *array.shape)]
        parts += [title, kind, array.tobytes()]
    return b"".join(parts)


def unpack(payload: bytes) -> dict[str, Array]:
    """The arrays, which may be written to; raises FileFormatError where the bytes are not those of `pack`."""
    found: dict[str, Array] = {}
    end = 0
    try:
        while end < len(payload):
            n_title, n_kind, n_axes = ONE.unpack_from(payload, end)
            end += ONE.size
            shape = struct.unpack_from(f"<{n_axes}Q", payload, end)
            end += 8 * n_axes
            title, kind = payload[end : end + n_title].decode(), payload[end + n_title : end + n_title + n_kind]
            end += n_title + n_kind
            dtype = np.dtype(kind.decode("ascii"))
            if dtype.kind not in KINDS:
                raise TypeError(f"type {dtype}")
            count = math.prod(shape)
            found[title] = np.frombuffer(payload, dtype, count, end).reshape(shape).copy()
            end += count * dtype.itemsize
    except (struct.error, ValueError, TypeError, OverflowError) as error:
        raise FileFormatError(f"a record of a journal is damaged ({error}); remove the folder to begin anew") from None
    return found
