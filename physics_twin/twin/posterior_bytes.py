"""A posterior as the bytes of its own file, inside the file of a twin."""

import io
import tempfile
import weakref
import zlib
from pathlib import Path

from physics_twin.posterior import Posterior
from physics_twin.posterior.storage import read, save

_written: dict[int, bytes] = {}
"""By identity, for as long as the posterior lives: it is saved with its twin every few minutes and never changes."""


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
    # From memory: a service that starts again on a full disk must find its twin.
    posterior = read(io.BytesIO(zlib.decompress(content)), "the posterior of a twin")
    _remember(posterior, content)
    return posterior


def _remember(posterior: Posterior, content: bytes) -> None:
    _written[id(posterior)] = content
    weakref.finalize(posterior, _written.pop, id(posterior), None)
