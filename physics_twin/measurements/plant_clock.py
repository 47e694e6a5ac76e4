"""Moments as people at the plant say them: on the clock of the wall, in the zone of the log."""

import datetime as dt
import math
import zoneinfo
from dataclasses import dataclass

from physics_twin.measurements.quality import MomentText, duration_text

__all__ = ["PlantClock"]


@dataclass(frozen=True)
class PlantClock:
    """The clock of a log. origin: UTC of its time zero, None for elapsed time. zone: IANA name; None is UTC.

    >>> PlantClock(dt.datetime(2026, 10, 24, tzinfo=dt.UTC), "Europe/Berlin").text(34560.0)
    '2026-10-24 11:36 CEST'
    """

    origin: dt.datetime | None
    zone: str | None = None

    def text(self, seconds: float) -> str:
        """Return a moment, in s since the origin of the log, by the clock; elapsed time as a duration."""
        if self.origin is None or not math.isfinite(seconds):
            return duration_text(seconds)
        moment = self.origin + dt.timedelta(seconds=round(seconds))
        local = moment.astimezone(dt.UTC if self.zone is None else zoneinfo.ZoneInfo(self.zone))
        # The short name of the zone tells the two passes of the hour that is repeated apart.
        return local.strftime("%Y-%m-%d %H:%M:%S %Z" if local.second else "%Y-%m-%d %H:%M %Z")

    def since(self, zero: float) -> MomentText:
        """Return what says a time since `zero` (s since the origin): "20 min (2026-10-24 11:36 CEST)"."""
        if self.origin is None:
            return duration_text

        def said(seconds: float) -> str:
            return f"{duration_text(seconds)} ({self.text(zero + seconds)})"

        return said
