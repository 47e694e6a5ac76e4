"""A posterior as the bytes of its own file, inside the file of a twin."""

import hashlib
import io
import tempfile
import weakref
import zlib
from pathlib import Path

from physics_twin.posterior import Posterior
from physics_twin.posterior.storage import read, save

_written: dict[int, bytes] = {}
"""By identity, for as long as the posterior lives: it is saved with its twin every few minutes and never changes."""
_been_read: weakref.WeakValueDictionary[bytes, Posterior] = weakref.WeakValueDictionary()
"""By SHA-256 of its bytes, for as long as it lives: many assets share one, and to read it is most of loading a twin."""


def posterior_to_bytes(posterior: Posterior) -> bytes:
    """Its NetCDF file, compressed."""
    if id(posterior) not in _written:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "posterior.nc"
            save(posterior, path)
            _remember(posterior, zlib.compress(path.read_bytes()))
    return _written[id(posterior)]


def posterior_from_bytes(content: bytes) -> Posterior:
    """The posterior, to the last bit; raises FileFormatError, zlib.error."""
    key = hashlib.sha256(content).digest()
    posterior = _been_read.get(key)
    if posterior is None:
        # From memory: a service that starts again on a full disk must find its twin.
        posterior = read(io.BytesIO(zlib.decompress(content)), "the posterior of a twin")
        _remember(posterior, content)
        _been_read[key] = posterior
    return posterior


def _remember(posterior: Posterior, content: bytes) -> None:
    _written[id(posterior)] = content
    weakref.finalize(posterior, _written.pop, id(posterior), None)
