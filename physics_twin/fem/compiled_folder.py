"""Folders of compiled modules in which a module is whole or absent, whatever is killed and whoever else starts.

FFCx's own cache marks a compilation as begun by an empty .c file. A process that dies after that leaves the mark, and
all later ones wait for their timeout and fail. Here a module is built in a folder of its own beside its place and
renamed into it. A rename is atomic: of two processes that built the same module the second one finds the place taken
and uses what is there. A lock that the kernel releases when its owner dies keeps the second one from compiling at
all; where a file system has no locks only that saving is lost.
"""

import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from physics_twin.errors import ModelError
from physics_twin.files import sync

__all__ = ["find", "private_folder", "publish", "remove_locks"]

BUILDING = ".building-"
ABANDONED_AFTER = 24 * 3600.0  # s; a compilation takes seconds, so an older build folder is of a process that died


def private_folder() -> Path:
    """Return the folder of this user's compiled modules, made with mode 0700 where it is not there yet.

    It is `forms` in the folder that PHYSICS_TWIN_CACHE names, or in the user's cache. Raises ModelError when it cannot
    be made, or when somebody else could put code into it.
    """
    named = os.environ.get("PHYSICS_TWIN_CACHE")
    parent = Path(named) if named else platformdirs.user_cache_path("physics_twin", appauthor=False)
    folder = parent.expanduser().absolute() / "forms"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise ModelError(
            f"compiled forms cannot be kept in {folder} ({error.strerror}); set PHYSICS_TWIN_CACHE to a folder of your "
            "own, or PHYSICS_TWIN_COMPILED to one made by `physics-twin compile`"
        ) from error
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise ModelError(
            f"compiled forms are kept in {folder}, and others may write there: whoever does runs code in your name. "
            f"Make it your own (chmod 700), or set PHYSICS_TWIN_CACHE to another folder"
        )
    return folder


def find(folder: Path, key: str) -> Path | None:
    """Return the folder of the module `key`, or None; what is found is whole."""
    place = folder / key
    return place if place.is_dir() else None


def publish(folder: Path, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of the module `key`; where there is none, `build` fills one that then takes this place.

    An error of `build` is passed on and leaves nothing behind.
    """
    with _only_one(folder / f".{key}.lock"):
        place = find(folder, key)  # another process may have built it while this one waited
        if place is not None:
            return place
        _sweep(folder)
        place = folder / key
        temporary = folder / f"{BUILDING}{secrets.token_hex(8)}"
        temporary.mkdir()
        try:
            build(temporary)
            _write_through(temporary)
            try:
                temporary.rename(place)
            except OSError:
                if find(folder, key) is None:
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return place


def remove_locks(folder: Path) -> None:
    """Remove the locks from a folder that is to be given away; a process still at work in it loses only its saving."""
    for lock in folder.glob(".*.lock"):
        lock.unlink(missing_ok=True)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold a lock that the kernel releases when the process dies; without locks on this file system, hold nothing."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # the file stays: whoever removed it would leave two processes with a lock each


def _sweep(folder: Path) -> None:
    """Remove what processes that died while they compiled have left."""
    for left in folder.glob(f"{BUILDING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_AFTER:
                shutil.rmtree(left, ignore_errors=True)


def _write_through(folder: Path) -> None:
    """Have the files of a folder on disk before its name says that they are whole; a power cut is a kill too."""
    for file in folder.iterdir():
        sync(file)
    sync(folder)
