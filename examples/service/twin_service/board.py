"""What the page, the metrics and the health address show: the last that was heard of each asset, and a stretch of past.

It lies in the main process, so that it outlives workers.
"""

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from physics_twin.twin.moments import stamp
from twin_service.reports import Point, Update

KEPT_POINTS = 600
"""Of each channel."""
KEPT_PARAMETERS = 600
FAILED = "FAILED"
"""Also the status of an asset that no worker can take up."""


@dataclass
class Shown:
    """One asset."""

    last: Update | None = None
    status: str = "WAITING"
    health: dict[str, Any] = field(default_factory=dict)
    points: dict[str, deque[Point]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, deque[tuple[int, float, float]]] = field(default_factory=dict)

    def take(self, update: Update) -> None:
        """Remember what a worker has reported."""
        self.last = update
        if update.health:
            self.status, self.health = update.status, json.loads(update.health)
        for point in update.points:
            self.points.setdefault(point.channel, deque(maxlen=KEPT_POINTS)).append(point)
        for name, rows in update.courses.items():
            own = self.parameters.setdefault(name, deque(maxlen=KEPT_PARAMETERS))
            own.extend(row for row in rows if not own or own[-1][0] < row[0])
        for name, (_, _, unit) in [*update.values.items(), *update.parameters.items()]:
            self.units[name] = unit


class Board:
    """All assets."""

    def __init__(self, names: Iterable[str]) -> None:
        self.assets = {name: Shown() for name in names}

    def take(self, update: Update) -> None:
        """Remember what a worker has reported."""
        self.assets[update.asset].take(update)

    def fail(self, name: str) -> None:
        """Nobody can work on this asset: what its twin said last is no longer so."""
        self.assets[name].status = FAILED

    def health(self, name: str, alarms: Iterable[str]) -> dict[str, Any]:
        """As the twin says it, with what the service has to say."""
        shown = self.assets[name]
        return {"name": name, "service_alarms": list(alarms), "status": shown.status, "twin": shown.health}

    def page(self, name: str, alarms: Iterable[str]) -> dict[str, Any]:
        """Everything that the page draws: times in ms since 1970, numbers in the units beside them, unknown as null."""
        shown = self.assets[name]
        last = shown.last
        reasons = shown.health.get("reasons", [])
        found: dict[str, Any] = {
            "name": name,
            "status": shown.status,
            "alarms": [*alarms, *reasons],
            "time": None if last is None else stamp(last.time),
            "mode": shown.health.get("mode", ""),
            "batch": shown.health.get("batch", ""),
            "lag_s": None if last is None else last.lag,
            "pending": None if last is None else last.pending,
            "nis": None if last is None else last.nis,
            "model": shown.health.get("versions", {}).get("model", ""),
            "counts": {} if last is None else dict(last.counts),
            "present": {} if last is None else {n: list(v) for n, v in {**last.values, **last.parameters}.items()},
            "channels": {channel: _points(points, shown.units) for channel, points in shown.points.items()},
            "parameters": {
                n: {"unit": shown.units[n], "rows": [[_ms(t), m, s] for t, m, s in rows]}
                for n, rows in shown.parameters.items()
            },
            "envelope": {} if last is None else {n: list(v) for n, v in last.envelope.items()},
        }
        cleaned: dict[str, Any] = _without_nan(found)
        return cleaned


def _points(points: Iterable[Point], units: Mapping[str, str]) -> dict[str, Any]:
    # A moment that was filtered again, because a sample came late, stands as it was at last.
    rows = sorted({one.time: one for one in points}.values(), key=lambda one: one.time)
    channel = rows[0].channel if rows else ""
    return {
        "unit": units.get(channel, ""),
        "rows": [[_ms(p.time), p.observed, p.predicted, p.sd, p.used, p.why] for p in rows],
    }


def _ms(ns: int) -> float:
    return ns / 1e6


def _without_nan(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: _without_nan(one) for key, one in given.items()}
    if isinstance(given, list):
        return [_without_nan(one) for one in given]
    return None if isinstance(given, float) and not math.isfinite(given) else given
