"""Older files of a twin beside its newest one, named by the time of their twin.

`line3.nc` is the newest; `line3.20261120T060000.000000000Z.nc` is the twin as it was at 6 o'clock.
"""

import datetime as dt
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from physics_twin.errors import FileFormatError
from physics_twin.files import atomic_write
from physics_twin.model import Model
from physics_twin.twin.moments import SECOND, moment, stamp, utc

_TIME = re.compile(r"(\d{8}T\d{6})\.(\d{9})Z")


def name_present(path: "str | os.PathLike[str]") -> None:
    """Give the file at `path` the name of its time as well. One that is no twin gets no other name."""
    from physics_twin.twin.storage import header

    final = Path(path)
    if final.exists():
        with suppress(FileFormatError):
            _copy(final, named(final, header(final).time))


def drop_oldest(path: "str | os.PathLike[str]", keep: int) -> None:
    """Delete all but so many generations, the one at `path` among them."""
    for old in [file for _, file in generations(Path(path))][keep - 1 :]:
        old.unlink()


def named(path: Path, time: int) -> Path:
    """Where the generation of a time lies."""
    whole = utc(time // SECOND * SECOND).strftime("%Y%m%dT%H%M%S")
    return path.with_name(f"{path.stem}.{whole}.{time % SECOND:09d}Z{path.suffix}")


def generations(path: Path) -> list[tuple[int, Path]]:
    """(ns UTC, file) of the older generations of a file, newest first."""
    found = []
    for file in path.parent.glob("*"):
        middle = file.name.removeprefix(f"{path.stem}.").removesuffix(path.suffix)
        match = _TIME.fullmatch(middle)
        if match and file.name == f"{path.stem}.{middle}{path.suffix}":
            seconds = dt.datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC)
            found.append((moment(seconds) + int(match[2]), file))
    return sorted(found, reverse=True)


def generation_before(path: "str | os.PathLike[str]", before: Any) -> Path:
    """The newest generation whose twin stands before a moment; raises FileFormatError that names those there are."""
    from physics_twin.twin.storage import header

    final, limit = Path(path), moment(before)
    found = generations(final)
    if final.exists():
        with suppress(FileFormatError):  # a damaged newest one has no time: the older ones are what is asked for
            found = [(header(final).time, final), *found]
    chosen = [file for time, file in found if time < limit]
    if not chosen:
        times = ", ".join(stamp(time) for time, _ in found) or "none"
        raise FileFormatError(f"{final.name} has no generation before {stamp(limit)}; there are {times}")
    return chosen[0]


def whole_generation(path: "str | os.PathLike[str]", model: Model, *, apart_from: Path) -> Path | None:
    """The newest other generation that can be loaded with this model."""
    from physics_twin.twin.storage import header

    final = Path(path)
    for file in [final, *(older for _, older in generations(final))]:
        if file == apart_from or not file.exists():
            continue
        with suppress(FileFormatError):
            if header(file).fingerprint == model.fingerprint:
                return file
    return None


def _copy(final: Path, other: Path) -> None:
    """A second name for a file, or a copy where the file system has no such names."""
    if other.exists():
        other.unlink()
    try:
        os.link(final, other)
    except OSError:
        with atomic_write(other) as temporary:
            shutil.copyfile(final, temporary)
