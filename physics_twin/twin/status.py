"""Files of twins at a glance: what `physics-twin status` prints, without their models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.errors import FileFormatError
from physics_twin.measurements.quality import duration_text
from physics_twin.posterior.tables import aligned
from physics_twin.twin import consistency
from physics_twin.twin.generations import generations
from physics_twin.twin.health import FEW_USED, _channel_words as channel_words, _drifts as drifts_of
from physics_twin.twin.live_inputs import inputs_of
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.state import ChannelMonitor
from physics_twin.twin.storage import Header, header
from physics_twin.units import Unit

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

_LEFT_OPEN = "As it was when saved; whether predictions came true is told by print(twin.health), which needs the model"


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
        if not own.n_updates:
            return "PREDICTION ONLY: no sample has been used yet"
        if own.troubles is None:
            return "as saved; health needs the model"
        return "DEGRADED" if own.troubles else "following"


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


def without_predicting(twin: "Twin") -> tuple[str, ...]:
    """The reasons for DEGRADED and worse that need no run of the model: a file keeps them for who has no model."""
    setup, state = twin.setup, twin.state
    judged = consistency.verdict(state.consistency, state.monitors, gate=setup.guard.probability)
    found = [] if np.isfinite(state.belief.states).all() else ["the state holds numbers that are not finite"]
    for name in setup.facts:
        monitor = state.monitors.get(name, ChannelMonitor())
        words = channel_words(twin, name, monitor)
        if not words and monitor.n_judged and monitor.share_used < FEW_USED:
            words = f"{100.0 * (1.0 - monitor.share_used):.0f} % of its readings were not used"
        found += [f"{name}: {words}"] if words else []
    found += [f"{one.name}: {one.words}" for one in inputs_of(twin) if one.words]
    found += [] if judged.consistent else [f"the filter's own uncertainty is not right: {judged.words}"]
    return tuple(dict.fromkeys([*found, *drifts_of(twin)]))


def table(found: Sequence[FileStatus], now: int) -> str:
    """The statuses as text. now: ns UTC, for the age of each file."""
    rows = [["asset", "state when saved", "twin time", "age", "model", "updates", "older", "written by"]]
    estimates = [["asset", "parameter", "mean", "\u00b1 (95 %)", "unit"]]
    for one in found:
        own = one.header
        name = _name(one)
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
    parts = [aligned(rows), *map(_troubles, found)]
    parts += [aligned(estimates)] if len(estimates) > 1 else []
    if any(one.header for one in found):
        parts.append(_LEFT_OPEN)
    return "\n\n".join(part for part in parts if part)


def _name(one: FileStatus) -> str:
    return one.path.name.removesuffix(".nc")


def _troubles(one: FileStatus) -> str:
    """What was wrong when it was saved, a line each; "" where nothing is known."""
    found = () if one.header is None else one.header.troubles or ()
    return "\n".join(f"{_name(one)}: {words}" for words in found)


def _rounded(mean: float, sd: float) -> tuple[str, str]:
    """Both to the second digit of the uncertainty."""
    half = 1.959963984540054 * sd
    if not (math.isfinite(half) and half > 0.0):
        return f"{mean:.6g}", f"{half:.2g}"
    digits = 1 - math.floor(math.log10(half))
    if not 0 <= digits <= 9:
        return f"{mean:.6g}", f"{half:.2g}"
    return f"{mean:.{digits}f}", f"{half:.{digits}f}"
