"""Files of twins at a glance: what `physics-twin status` prints, without their models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physics_twin.errors import FileFormatError
from physics_twin.measurements.quality import duration_text
from physics_twin.posterior.tables import aligned
from physics_twin.twin.generations import generations
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.storage import Header, header
from physics_twin.units import Unit


@dataclass(frozen=True)
class FileStatus:
    """One file. header: None where it cannot be read, and then `trouble` says why. older: its generations, newest first
    (ns UTC of their twins).
    """

    path: Path
    header: Header | None
    trouble: str
    older: tuple[int, ...]

    @property
    def state(self) -> str:
        """How the twin was when it was saved, in words."""
        own = self.header
        if own is None:
            return "CANNOT BE READ"
        if own.reason:
            return f"PREDICTION ONLY: {own.reason}"
        if own.mode != "running":
            return f"PREDICTION ONLY: the plant is in the mode {own.mode}"
        return "following" if own.n_updates else "PREDICTION ONLY: no sample has been used yet"


def statuses(files: Sequence[Path]) -> tuple[FileStatus, ...]:
    """Of each file; older generations that are among them are told with their newest, not by themselves."""
    own = {path: generations(path) for path in files}
    known = {older.resolve() for found in own.values() for _, older in found}
    return tuple(
        _status(path, tuple(time for time, _ in found)) for path, found in own.items() if path.resolve() not in known
    )


def _status(path: Path, older: tuple[int, ...]) -> FileStatus:
    try:
        return FileStatus(path, header(path), "", older)
    except (FileFormatError, OSError) as error:
        return FileStatus(path, None, str(error), older)


def table(found: Sequence[FileStatus], now: int) -> str:
    """The statuses as text. now: ns UTC, for the age of each file."""
    rows = [["asset", "state when saved", "twin time", "age", "model", "updates", "older", "written by"]]
    estimates = [["asset", "parameter", "mean", "\u00b1 (95 %)", "unit"]]
    for one in found:
        own = one.header
        name = one.path.name.removesuffix(".nc")
        if own is None:
            rows.append([name, one.state, "", "", "", "", str(len(one.older)), ""])
            continue
        batch = f", batch {own.batch}" if own.batch else ""
        age = duration_text(max(now - own.time, 0) / SECOND)
        model = f"{own.model} {own.model_version}"
        writer = f"{own.writer}, format {own.version}"
        updates, older = str(own.n_updates), str(len(one.older))
        rows.append([name, one.state + batch, stamp(own.time), age, model, updates, older, writer])
        for parameter, (mean, sd, unit) in own.parameters.items():
            estimates.append([name, parameter, *_rounded(mean, sd), "" if unit == "1" else str(Unit(unit))])
    text = aligned(rows)
    return f"{text}\n\n{aligned(estimates)}" if len(estimates) > 1 else text


def _rounded(mean: float, sd: float) -> tuple[str, str]:
    """Both to the second digit of the uncertainty."""
    half = 1.959963984540054 * sd
    if not (math.isfinite(half) and half > 0.0):
        return f"{mean:.6g}", f"{half:.2g}"
    digits = 1 - math.floor(math.log10(half))
    if not 0 <= digits <= 9:
        return f"{mean:.6g}", f"{half:.2g}"
    return f"{mean:.{digits}f}", f"{half:.{digits}f}"
