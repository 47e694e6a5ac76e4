"""What happens to a twin: samples of its sensors and what people do, each at its own moment."""

import copy
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.audit import recordable
from physics_twin.twin.moments import moment, stamp


@dataclass(frozen=True, init=False)
class Sample:
    """One reading of one channel, or one value of an input.

    channel: an output that the twin knows a channel of, or an open setting of its recipe (a live input). time: when it
    was true, as `moment` reads it. value: in `unit`; NaN where nothing was read. unit: the channel's own without it.
    quality: a QARTOD flag. reported: when it was known, where that is later (a laboratory). source: whatever tells
    two readings of one channel and moment apart, as a laboratory number.

    Two samples with the same channel, time and source are one; the second changes nothing.

    Raises DataError for a time without a zone or out of all reason, for an infinite value or one that is no number, and
    for a quality that is no flag.
    """

    channel: str
    time: int
    """ns, UTC"""
    value: float
    unit: str
    quality: Flag
    reported: int | None
    source: str
    shift: int = field(default=0, compare=False)
    """ns that have been taken off its stamp: a twin keeps samples at the moments that they show."""

    def __init__(
        self,
        channel: str,
        time: Any,
        value: float,
        unit: str = "",
        *,
        quality: Flag = Flag.GOOD,
        reported: Any = None,
        source: str = "",
    ) -> None:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise DataError(f"{channel}: {value!r} is no number; give NaN where nothing was read") from None
        if math.isinf(number):
            raise DataError(f"{channel}: {number} is no reading; give NaN with the flag BAD for a sensor out of range")
        flag = _flag(channel, quality)
        # One zero and one NaN: a journal keeps neither the sign of the one nor the bits of the other.
        number = math.nan if math.isnan(number) else number + 0.0
        for key, item in (
            ("channel", channel),
            ("time", moment(time)),
            ("value", number),
            ("unit", unit),
            ("quality", Flag.MISSING if math.isnan(number) and flag < Flag.BAD else flag),
            ("reported", None if reported is None else moment(reported)),
            ("source", source),
            ("shift", 0),
        ):
            object.__setattr__(self, key, item)

    @property
    def key(self) -> tuple[int, int, str, str]:
        """Its place on the timeline, and what makes it the same sample as another."""
        return self.time, 1, self.channel, self.source

    def shifted(self, shift: int) -> "Sample":
        """The same sample at `shift` ns before its stamp, wherever it is now."""
        found = copy.copy(self)
        object.__setattr__(found, "time", self.time + self.shift - shift)
        object.__setattr__(found, "shift", shift)
        return found

    def __repr__(self) -> str:
        return f"Sample({self.channel!r}, {stamp(self.time)!r}, {self.value:g}, {self.unit!r}, {self.quality.words})"


def _flag(channel: str, quality: Any) -> Flag:
    try:
        return Flag(quality)
    except ValueError:
        known = ", ".join(f"pt.Flag.{flag.name} ({flag.value})" for flag in Flag)
        raise DataError(f"{channel}: {quality!r} is no quality; give one of {known}") from None


class Act(enum.Enum):
    """What people do to a twin."""

    START_BATCH = "start_batch"
    MODE = "mode"
    MASK = "mask"
    UNMASK = "unmask"
    SENSOR_REPLACED = "sensor_replaced"
    PROMOTE = "promote"
    REVERT = "revert"
    FILTER = "filter"


@dataclass(frozen=True)
class Operation:
    """Something that a person did, at a moment of the timeline, with a reason.

    content: what the act needs, as plain JSON (numbers in SI).

    Raises DataError for what no audit log takes, so that every operation can be written down: a who or reason that is
    empty, too long or of several lines, content that is no plain JSON.
    """

    act: Act
    time: int
    """ns, UTC"""
    who: str
    reason: str
    content: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        moment(self.time)
        recordable(self.who, self.act.value, self.reason, self.content)

    @property
    def key(self) -> tuple[int, int, str, str]:
        """Its place on the timeline: before the samples of the same moment."""
        return self.time, 0, self.act.value, str(sorted(self.content.items()))


type Entry = Sample | Operation
"""What stands on a timeline."""
