"""Which code computed something: a hash of the library's own source, beside its version."""

import functools
import hashlib
from pathlib import Path


@functools.cache
def code_hash() -> str:
    """First 16 hex digits of the SHA-256 of the package's modules, names and bytes, in the order of their names.

    Two checkouts of one version that differ in a line differ in it; where the package lies makes no difference.
    """
    root = Path(__file__).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        found.update(path.relative_to(root).as_posix().encode() + b"\0")
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]
