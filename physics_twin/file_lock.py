"""A lock on an open file: two processes never write to one journal.

The operating system holds it and lets go when the process ends, however it ends; nothing stale stays behind.
"""

import errno
import os
import sys
import weakref
from typing import IO, Any

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_held: "weakref.WeakSet[Any]" = weakref.WeakSet()


def lock(file: IO[bytes]) -> bool:
    """Take the lock of an open file until it is closed; False where somebody else has it, in whichever process."""
    try:
        _take(file)
    except OSError as error:
        # A file system without locks (some network drives) is no reason not to work.
        return error.errno not in _TAKEN
    _held.add(file)
    return True


if sys.platform == "win32":
    import msvcrt

    FAR = 2**40  # Windows locks bytes and not files: one that nobody writes

    def _take(file: IO[bytes]) -> None:
        at = file.tell()
        file.seek(FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            file.seek(at)

else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go() -> None:
        # A forked worker inherits open files, and with them the lock: it would outlive the process that took it.
        for file in list(_held):
            file.close()

    os.register_at_fork(after_in_child=_let_go)
