"""A journal of evaluations: what a long run needs to go on after it was killed.

Every method is a deterministic function of the problem, the seed and what its simulations return. So the journal holds
the simulations and nothing else: run again, the method asks the same questions in the same order, gets recorded answers
until it reaches the place where it was killed, and goes on to the same result, to the last bit, as a run that was never
stopped. No method saves or restores a state of its own, and neither does a sampler library under it.

A job (one start, one chain, one member) writes a file of its own, so that no two processes write to one. A record is
written whole or not at all: a torn end, left by a kill, is cut off when the file is opened again.
"""

import hashlib
import io
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, FileFormatError, SolveError
from physics_twin.files import atomic_write

MAGIC = b"PTWJ1\n"
HEAD = struct.Struct("<32scQI")
"""Key, kind, length of the payload, CRC-32 of kind and payload."""
ARRAYS, FAILURE = b"A", b"F"

type Arrays = Mapping[str, Array]


@dataclass
class Memo:
    """The journal of one job; without a path it remembers nothing. Travels to worker processes as its path."""

    path: Path | None = None
    _places: dict[bytes, tuple[bytes, int, int]] | None = field(default=None, repr=False)
    _file: BinaryIO | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return Memo, (self.path,)

    def recall(self, what: str, at: tuple[Array, ...], compute: Callable[[], Arrays]) -> Arrays:
        """The arrays that `compute` returned, or the SolveError that it raised, when it was asked this before.

        what: names the question. at: its numbers, to the last bit.
        """
        if self.path is None:
            return compute()
        if self._places is None:
            self._open()
        assert self._places is not None
        key = _key(what, at)
        if key in self._places:
            return self._read(*self._places[key])
        try:
            found = compute()
        except SolveError as error:
            self._write(key, FAILURE, _failure(error))
            raise
        self._write(key, ARRAYS, _packed(found))
        return found

    def __len__(self) -> int:
        """How many answers are recorded."""
        if self.path is not None and self._places is None:
            self._open()
        return len(self._places or ())

    def _open(self) -> None:
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "r+b" if self.path.exists() else "w+b")  # noqa: SIM115  # closed with the process
        begin = file.read(len(MAGIC))
        if begin != MAGIC:
            if begin and not MAGIC.startswith(begin):
                raise FileFormatError(f"{self.path} is no journal of a calibration")
            file.seek(0)
            file.truncate()
            file.write(MAGIC)
            file.flush()
        places: dict[bytes, tuple[bytes, int, int]] = {}
        end = len(MAGIC)
        while len(head := file.read(HEAD.size)) == HEAD.size:
            key, kind, length, crc = HEAD.unpack(head)
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(kind + payload) != crc:
                break
            places[key] = (kind, end + HEAD.size, length)
            end += HEAD.size + length
        file.truncate(end)
        file.seek(end)
        self._places, self._file = places, file

    def _read(self, kind: bytes, begin: int, length: int) -> Arrays:
        assert self._file is not None
        self._file.seek(begin)
        payload = self._file.read(length)
        self._file.seek(0, os.SEEK_END)
        if kind == FAILURE:
            raise _error(payload)
        with np.load(io.BytesIO(payload), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}

    def _write(self, key: bytes, kind: bytes, payload: bytes) -> None:
        assert self._file is not None and self._places is not None
        begin = self._file.seek(0, os.SEEK_END) + HEAD.size
        self._file.write(HEAD.pack(key, kind, len(payload), zlib.crc32(kind + payload)) + payload)
        self._file.flush()  # what the operating system has outlives a killed process
        self._places[key] = (kind, begin, len(payload))


NO_MEMO = Memo()


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the journals of one calibration, and the record of which one it is."""

    folder: Path

    def open(self, run: Mapping[str, str]) -> None:
        """Make the folder, or check that it belongs to this run: same model, experiments, unknowns, method, seed.

        Raises CalibrationError for the folder of another run, FileFormatError for a folder of something else.
        """
        path = self.folder / "calibration.json"
        if path.exists():
            try:
                before = json.loads(path.read_text(encoding="utf8"))
            except ValueError:
                raise FileFormatError(f"{path} is damaged; remove the folder to begin anew") from None
            other = [name for name in {**before, **run} if before.get(name) != run.get(name)]
            if other:
                raise CalibrationError(
                    f"{self.folder} holds another calibration (other: {', '.join(other)}); give another folder, or "
                    "remove it"
                )
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise FileFormatError(f"{self.folder} is not empty and holds no calibration; give a folder of its own")
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(dict(run), indent=1), encoding="utf8")

    def memo(self, name: str) -> Memo:
        """The journal of one job."""
        return Memo(self.folder / f"{name}.journal")


def _key(what: str, at: tuple[Array, ...]) -> bytes:
    digest = hashlib.sha256(what.encode())
    for numbers in at:
        array = np.ascontiguousarray(numbers)
        digest.update(f"|{array.dtype.str}{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.digest()


def _packed(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _failure(error: SolveError) -> bytes:
    record = {
        "reason": error.reason,
        "time": error.time,
        "values": {name: np.asarray(value).tolist() for name, value in error.values.items()},
        "experiment": getattr(error, "experiment", ""),
    }
    return json.dumps(record).encode()


def _error(payload: bytes) -> SolveError:
    from physics_twin.estimation.evaluation import ExperimentFailed

    record = json.loads(payload)
    kind = ExperimentFailed if record["experiment"] else SolveError
    error = kind(record["reason"], time=record["time"], values=record["values"])
    if isinstance(error, ExperimentFailed):
        error.experiment = record["experiment"]
    return error
