"""Twins as NetCDF files: whole or not at all, checked to the last byte, equal to the last bit when they are read.

A file holds one JSON text and a few flat arrays (`packing`), what a list of twins shows (`header`), and at its end the
SHA-256 of everything before it, which HDF5 and NetCDF readers pass over. Nothing in it is executed.

Bit for bit is promised on the machine and with the build that wrote the file. Both are recorded; elsewhere the twin
that is loaded says in `warnings` what differs, and results agree to the tolerance of the solvers.
"""

import hashlib
import io
import json
import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5netcdf
import numpy as np

from physics_twin.errors import BoundsError, FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.model import Model
from physics_twin.twin.machine import differences, this_machine
from physics_twin.twin.migrations import migrated
from physics_twin.twin.moments import stamp
from physics_twin.twin.packing import KINDS, Packed, Packer, Unpacker

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

FORMAT = "physics_twin twin"
VERSION = 1
SEAL = b"PTWIN\x1a\r\n"
"""Before the hash at the end: a transfer that changes line ends changes it."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ENDING = len(SEAL) + hashlib.sha256().digest_size
_MOST_TEXT = 200_000_000
"""Bytes of text in a file: a thousand times what a twin with a full window has."""
_UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, zlib.error)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Header:
    """What can be read of a file without its model.

    time: ns UTC, the twin's present. parameters: name -> (mean, standard deviation, unit), in declared units.
    machine: what results to the last bit depend on, where it was written. troubles: what was wrong when it was saved,
    of what can be told without predicting; None in a file that does not say.
    """

    model: str
    model_version: str
    fingerprint: str
    time: int
    mode: str
    batch: str
    method: str
    reason: str
    n_updates: int
    parameters: Mapping[str, tuple[float, float, str]]
    digest: str
    writer: str
    version: int
    machine: Mapping[str, str]
    troubles: Sequence[str] | None = None


def save(twin: "Twin", path: "str | os.PathLike[str]", *, keep: int = 1) -> None:
    """Write a twin whole or not at all.

    keep: so many generations stay: the newest under `path`, older ones beside it with the time of their twin in their
    names. Raises OSError, BoundsError for keep below 1, and DataError for a twin that holds what no file can (a
    function among the options of its filter).
    """
    from physics_twin.twin.generations import drop_oldest, name_present

    if keep < 1:
        raise BoundsError(f"keep = {keep}; at least the newest generation is kept")
    content = to_bytes(twin)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
        if keep > 1:
            name_present(path)
    # Last, so that a disk that is full takes no generation away.
    drop_oldest(path, keep)


def load(path: "str | os.PathLike[str]", model: Model, *, before: Any = None) -> "Twin":
    """Read a twin of this model, as `save` wrote it.

    before: take the newest generation whose twin stands before this moment. Raises FileNotFoundError, and
    FileFormatError with the reason for a file of another model, of a later format, that is cut short or damaged, or of
    something else; it names the newest generation that can be loaded instead.
    """
    from physics_twin.twin.generations import generation_before, whole_generation

    chosen = Path(path) if before is None else generation_before(path, before)
    if not chosen.exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        return from_bytes(chosen.read_bytes(), model, name=chosen.name)
    except FileFormatError as error:
        other = whole_generation(path, model, apart_from=chosen)
        hint = f"; {other.name} can be loaded" if other is not None else ""
        raise FileFormatError(f"{error}{hint}") from error


def header(path: "str | os.PathLike[str]") -> Header:
    """What a file says about its twin, without the model. Raises as `load`."""
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    found, _ = _read(Path(path).read_bytes(), Path(path).name, content=False)
    return found


def to_bytes(twin: "Twin") -> bytes:
    """The content of a file. Raises DataError for what no file can hold."""
    packed = Packer().packed(twin)
    text = zlib.compress(json.dumps(packed.text).encode(), 1)
    said = _header_of(twin)
    head = json.dumps(asdict(said)).encode()
    with io.BytesIO() as buffer:
        with h5netcdf.File(buffer, "w") as file:
            file.attrs.update({"format": FORMAT, "version": VERSION, "writer": said.writer, "time": stamp(said.time)})
            # Not an attribute of its own: HDF5 holds attributes of up to 64 KB, and long reasons need more.
            file.attrs["header_size"] = len(head)
            _put(file, "content", np.frombuffer(head + text, dtype=np.uint8))
            for kind, array in packed.arrays.items():
                _put(file, kind, array)
        whole = buffer.getvalue()
    return whole + SEAL + hashlib.sha256(whole).digest()


def _put(file: Any, name: str, array: Any) -> None:
    # HDF5 has no arrays without a length that NetCDF would take: one number stands where there is none.
    file.dimensions[f"n_{name}"] = max(array.size, 1)
    file.create_variable(name, (f"n_{name}",), data=array if array.size else np.zeros(1, array.dtype))


def from_bytes(content: bytes, model: Model, *, name: str) -> "Twin":
    """The twin of such a content; name: as messages say it. Raises FileFormatError."""
    from physics_twin.twin.twin import Twin

    said, packed = _read(content, name, content=True)
    if said.fingerprint != model.fingerprint:
        raise FileFormatError(
            f"{name} is a twin of the model {said.model} {said.model_version} ({said.fingerprint[:12]}), not of "
            f"{model.name} {model.version} ({model.fingerprint[:12]}); load it with its own model, or start a new twin"
        )
    try:
        twin = Unpacker(packed, model).value()
    except (*_UNREADABLE, PhysicsTwinError) as error:
        raise FileFormatError(f"{name} cannot be read, although it is whole: {error}") from error
    if not isinstance(twin, Twin):
        raise FileFormatError(f"{name} cannot be read, although it is whole: it holds no twin")
    other = differences(said.machine)
    if not other:
        return replace(twin, warnings=())
    warning = f"{name} was written elsewhere: results are equal to tolerance, not bit for bit; {'; '.join(other)}"
    _LOG.warning(warning)
    return replace(twin, warnings=(warning,))


def _read(whole: bytes, name: str, *, content: bool) -> tuple[Header, Packed]:
    """Header and content, checked and of the present version."""
    if not whole.startswith(_HDF5):
        raise FileFormatError(f"{name} is not a NetCDF file that holds a twin")
    body, ending = whole[:-_ENDING], whole[-_ENDING:]
    sealed = ending.startswith(SEAL)
    if sealed and hashlib.sha256(body).digest() != ending[len(SEAL) :]:
        raise FileFormatError(f"{name} is damaged: its bytes are not those that were written")
    try:
        with h5netcdf.File(io.BytesIO(whole), "r") as file:
            if file.attrs.get("format") != FORMAT:
                said = file.attrs.get("format", "none")
                raise FileFormatError(f'{name} is not a twin of physics_twin (format "{said}")')
            version, writer = int(file.attrs["version"]), str(file.attrs["writer"])
            if not sealed:
                raise FileFormatError(f"{name} is damaged: its end is missing or was changed")
            if version > VERSION:
                raise FileFormatError(
                    f"{name} was written by {writer} in format version {version}, this library reads up to {VERSION}; "
                    "use that library or a later one"
                )
            size = int(file.attrs["header_size"])
            said = json.loads(bytes(file.variables["content"][:size]))
            said["parameters"] = {key: tuple(row) for key, row in said["parameters"].items()}
            found = Header(**{**said, "version": version})
            if not content:
                return found, Packed({}, {})
            text = json.loads(_unpacked(bytes(file.variables["content"][size:]), name))
            packed = Packed(text, {kind: np.asarray(file.variables[kind][:]) for kind in KINDS})
            return found, migrated(packed, version, VERSION)
    except FileFormatError:
        raise
    except (OSError, RuntimeError, *_UNREADABLE) as error:
        reason = "is damaged or cut short" if not sealed else "cannot be read, although it is whole"
        raise FileFormatError(f"{name} {reason}: {error}") from error


def _unpacked(content: bytes, name: str) -> bytes:
    """The text of a file, of bounded length: a few bytes can stand for any number of them."""
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(content, _MOST_TEXT)
    if unpacking.unconsumed_tail:
        raise FileFormatError(f"{name} holds more than {_MOST_TEXT} bytes of text: no twin wrote that")
    return text


def _header_of(twin: "Twin") -> Header:
    import physics_twin

    model, state = twin.setup.model, twin.state
    return Header(
        model=model.name,
        model_version=model.version,
        fingerprint=model.fingerprint,
        time=twin.until,
        mode=state.mode.value,
        batch=state.batch.name,
        method=twin.setup.method.name,
        reason=twin.reason,
        n_updates=state.n_updates,
        parameters=_parameters(twin),
        digest=twin.digest,
        writer=f"physics_twin {physics_twin.__version__}",
        version=VERSION,
        machine=this_machine(),
        troubles=_troubles(twin),
    )


def _troubles(twin: "Twin") -> tuple[str, ...] | None:
    """What of `health` follows from what the file holds; None where that cannot be told, and it is saved still."""
    from physics_twin.twin.failures import FAILURES
    from physics_twin.twin.status import without_predicting

    try:
        return without_predicting(twin)
    except FAILURES:
        return None


def _parameters(twin: "Twin") -> dict[str, tuple[float, float, str]]:
    found = {}
    for own in twin.setup.parameters:
        unit = own.unit.difference() if own.difference else own.unit
        mean = float(unit.from_si(float(twin.mean[own.name]), difference=own.difference))
        sd = float(unit.from_si(float(twin.spread[own.name]), difference=True))
        found[own.name] = (mean, sd, unit.text)
    return found
