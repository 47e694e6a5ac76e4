"""Files that are whole or absent: whatever the library saves is written beside its place, synced and renamed.

A twin service may be killed at any moment. A reader of the file then finds the old content or the new one, never a
half of either. `os.replace` is atomic on POSIX and on Windows alike as long as both names are on one volume, so the
temporary file lives in the folder of the final one.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic_write", "sync"]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; what was written there replaces `path` when the block ends well.

    The temporary name keeps the suffix, since many writers choose their format by it. An error inside the block
    removes the temporary file, leaves `path` as it was and is passed on. A block that writes nothing raises
    FileNotFoundError. Where `path` is a symbolic link, the file that it points to is replaced and the link stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "numbers.txt") as temporary:
    ...         _ = temporary.write_text("1 2 3")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['numbers.txt']
    """
    final = Path(path).resolve()
    # Not tempfile.mkstemp: it makes the file private to its owner, and the saved file would inherit that.
    temporary = final.with_name(f".{final.stem}-{secrets.token_hex(8)}{final.suffix}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, final)
    except BaseException:  # also KeyboardInterrupt: no debris beside the result
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if os.name == "posix":  # the rename itself is durable once the folder is; Windows has no such call
        sync(final.parent)


def sync(path: Path) -> None:
    """Wait until the operating system has written a file, or a folder on POSIX, to its disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
