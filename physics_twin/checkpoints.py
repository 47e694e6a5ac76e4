"""A journal of evaluations: what a long run needs to go on after it was killed.

Every method is a deterministic function of the problem, the seed and what its simulations return. So the journal holds
the simulations and nothing else: run again, the method asks the same questions in the same order, gets recorded answers
until it reaches the place where it was killed, and goes on to the same result, to the last bit, as a run that was never
stopped. No method saves or restores a state of its own, and neither does a sampler library under it.

A job (one start, one chain, one member) writes a file of its own, and locks it. A record is written whole or not at
all: a torn end, left by a kill or a full disk, is cut off.
"""

import hashlib
import io
import json
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ExperimentFailed, FileFormatError, SolveError, StoppedError
from physics_twin.file_lock import lock
from physics_twin.files import atomic_write
from physics_twin.packed_arrays import pack, unpack

MAGIC = b"PTWJ2\n"
HEAD = struct.Struct("<32scQI")
"""Key, kind, length of the payload, CRC-32 of kind and payload."""
ARRAYS, FAILURE = b"A", b"F"

LOCK = "lock"
SHOWN = 60
"""Characters of a value in a message."""

type Arrays = Mapping[str, Array]


@dataclass
class Memo:
    """The journal of one job; without a path it remembers nothing. Travels to worker processes as its path."""

    path: Path | None = None
    recalled: int = field(default=0, repr=False)
    """How many questions were answered from the journal."""
    _places: dict[bytes, tuple[bytes, int, int]] | None = field(default=None, repr=False)
    _file: io.FileIO | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return Memo, (self.path,)

    def __enter__(self) -> Self:
        """Use it, and let go of its file at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and its lock; the next question opens it again."""
        if self._file is not None:
            self._file.close()
        self._places = self._file = None

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
            self.recalled += 1
            return self._read(*self._places[key])
        try:
            found = compute()
        except SolveError as error:
            self._write(key, FAILURE, _failure(error))
            raise
        self._write(key, ARRAYS, pack(found))
        return found

    def knows(self, what: str, at: tuple[Array, ...]) -> bool:
        """Whether `recall` would answer from the journal."""
        if self.path is None:
            return False
        if self._places is None:
            self._open()
        assert self._places is not None
        return _key(what, at) in self._places

    def __len__(self) -> int:
        """How many answers are recorded."""
        if self.path is not None and self._places is None:
            self._open()
        return len(self._places or ())

    def _open(self) -> None:
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what was written is the operating system's, which outlives a killed process; and a record
            # that a full disk refused is not tried again behind our back.
            file = io.FileIO(self.path, "r+" if self.path.exists() else "x+")
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if not lock(file):
            file.close()
            raise StoppedError(
                f"{self.path} is being written by another process, perhaps a worker of a run that was killed: wait "
                "until it ends, or give another folder as checkpoint="
            )
        self._file = file
        begin = file.read(len(MAGIC))
        if begin != MAGIC:
            if begin and not MAGIC.startswith(begin):
                self.close()
                raise FileFormatError(f"{self.path} is no journal of simulations")
            file.seek(0)
            file.truncate()
            self._append(MAGIC)
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
        self._places = places

    def _read(self, kind: bytes, begin: int, length: int) -> Arrays:
        assert self._file is not None
        self._file.seek(begin)
        payload = self._file.read(length)
        if kind == FAILURE:
            raise _error(payload)
        return unpack(payload)

    def _write(self, key: bytes, kind: bytes, payload: bytes) -> None:
        assert self._places is not None
        begin = self._append(HEAD.pack(key, kind, len(payload), zlib.crc32(kind + payload)) + payload)
        self._places[key] = (kind, begin + HEAD.size, len(payload))

    def _append(self, record: bytes) -> int:
        """Write at the end, all of it or nothing, and return where it begins."""
        assert self._file is not None and self.path is not None
        begin = self._file.seek(0, os.SEEK_END)
        left = memoryview(record)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._file.truncate(begin)
            raise _unwritable(self.path, error) from error
        return begin


def _unwritable(path: Path, error: OSError) -> StoppedError:
    return StoppedError(
        f"the checkpoint {path} cannot be written: {error.strerror or error}. What it holds already is kept: make room "
        "or give write access, and call again with the same checkpoint="
    )


NO_MEMO = Memo()


def worker_deaths() -> tuple[type[Exception], ...]:
    """How executors say that a worker died: Dask does not derive its error from that of the standard library."""
    distributed = sys.modules.get("distributed")
    return (BrokenExecutor,) if distributed is None else (BrokenExecutor, distributed.KilledWorker)


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the journals of one run, and the record of which one it is; what: "calibration", "set point"."""

    folder: Path
    what: str = "calibration"

    @contextmanager
    def open(self, run: Mapping[str, str]) -> Iterator[None]:
        """Make the folder, or check that it belongs to this run; nobody else can open it inside the `with` block.

        The same run: same model, experiments, unknowns, method, seed and versions of what computes. Raises
        StoppedError for the folder of another run, one that another process uses or that cannot be written,
        FileFormatError for a folder of something else.
        """
        path = self.folder / f"{self.what.replace(' ', '_')}.json"
        try:
            begun = path.exists()
            if not begun and self.folder.exists() and {p.name for p in self.folder.iterdir()} - {LOCK}:
                raise FileFormatError(f"{self.folder} is not empty and holds no {self.what}; give a folder of its own")
            self.folder.mkdir(parents=True, exist_ok=True)
            key = io.FileIO(self.folder / LOCK, "a")
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        with key:
            if not lock(key):
                raise StoppedError(
                    f"{self.folder} is in use by another {self.what} that runs now: wait until it ends, or give "
                    "another folder as checkpoint="
                )
            if path.exists():
                self._check(path, run)
            else:
                try:
                    with atomic_write(path) as temporary:
                        temporary.write_text(json.dumps(dict(run), indent=1), encoding="utf8")
                except OSError as error:
                    raise _unwritable(path, error) from error
            yield

    def _check(self, path: Path, run: Mapping[str, str]) -> None:
        try:
            before = json.loads(path.read_text(encoding="utf8"))
        except ValueError:
            raise FileFormatError(f"{path} is damaged; remove the folder to begin anew") from None
        other = [name for name in {**before, **run} if before.get(name) != run.get(name)]
        if other:
            shown = "; ".join(_difference(name, before.get(name), run.get(name)) for name in other)
            raise StoppedError(
                f"{self.folder} holds another {self.what}, it differs in {shown}; give another folder, or remove it"
            )

    def memo(self, name: str) -> Memo:
        """The journal of one job."""
        return Memo(self.folder / f"{name}.journal")


def _difference(name: str, before: str | None, now: str | None) -> str:
    """What differs between two runs; long values (hashes, lists) by name only."""
    short = [value or "nothing" for value in (before, now)]
    return name if max(map(len, short)) > SHOWN else f"{name} ({short[0]} there, {short[1]} here)"


def _key(what: str, at: tuple[Array, ...]) -> bytes:
    digest = hashlib.sha256(what.encode())
    for numbers in at:
        array = np.ascontiguousarray(numbers)
        digest.update(f"|{array.dtype.str}{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.digest()


def _failure(error: SolveError) -> bytes:
    record = {
        "reason": error.reason,
        "time": error.time,
        "values": {name: np.asarray(value).tolist() for name, value in error.values.items()},
        "experiment": getattr(error, "experiment", ""),
    }
    return json.dumps(record).encode()


def _error(payload: bytes) -> SolveError:
    record = json.loads(payload)
    kind = ExperimentFailed if record["experiment"] else SolveError
    error = kind(record["reason"], time=record["time"], values=record["values"])
    if isinstance(error, ExperimentFailed):
        error.experiment = record["experiment"]
    return error
