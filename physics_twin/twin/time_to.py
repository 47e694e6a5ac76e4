"""`twin.time_to()`: when a limit will be met: an alarm, the end of a batch, the remaining useful life.

The answer is a distribution. Members that do not meet the limit before the horizon are censored: of them it is known
only that they take longer, so that a quantile is given where it lies before the horizon for sure, and nowhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.stats import beta

from physics_twin.arrays import Array
from physics_twin.envelope.limits.limits import Limit, Requirement, bind_limits
from physics_twin.envelope.limits.reductions import UPPER, Extreme
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.measurements.quality import duration_text
from physics_twin.model import Failure, Model
from physics_twin.recipes import Crossing, Direction, Recipe
from physics_twin.signals import Setting
from physics_twin.twin.carried import carry
from physics_twin.twin.crossings import Level
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.present import Until, horizon_of, outset
from physics_twin.twin.quantiles import binomial_interval
from physics_twin.units import QuantityLike, format_si, seconds, to_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.twin.twin import Twin

_WAYS = {Direction.RISING: "rises to", Direction.FALLING: "falls to", Direction.EITHER: "reaches"}


@dataclass(frozen=True, eq=False, repr=False)
class TimeTo:
    """When a limit is met first. Times in s from now.

    time: now, ns UTC. limit: what is waited for, in words. members: (n_members,) s; infinite where the limit is not met
    before the horizon, NaN where the member failed before either is known. first: (n_members,) which of the levels was
    met, "" for none. horizon: s. failures: members that failed, with the time on the recipe's clock. notes: what was
    assumed.
    """

    time: int
    limit: str
    members: Array
    first: tuple[str, ...]
    horizon: float
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    @property
    def known(self) -> Array:
        """(n,) s, ascending: members that did not fail; infinite for those that are censored."""
        return np.sort(self.members[~np.isnan(self.members)])

    @property
    def censored(self) -> float:
        """Share of the members that do not meet the limit before the horizon."""
        return float(np.mean(np.isinf(self.known))) if self.known.size else float("nan")

    @property
    def median(self) -> float:
        """s from now; infinite where more than half of the members do not get there before the horizon."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> float:
        """The time before which the limit is met with probability q, s from now.

        Infinite where the horizon does not tell: read it as "later than the horizon". NaN where every member failed.
        """
        return float(_order_statistic(self.known, q)) if self.known.size else float("nan")

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Equal tails, s from now; an end is infinite where the horizon does not tell it."""
        tail = 0.5 * (1.0 - probability)
        return self.quantile(tail), self.quantile(1.0 - tail)

    def quantile_interval(self, q: float = 0.5, confidence: float = 0.95) -> tuple[float, float]:
        """How well so many members tell the quantile q: an interval of it from order statistics, whatever the law."""
        n = self.known.size
        if n == 0:
            return float("nan"), float("nan")
        tail = 0.5 * (1.0 - confidence)
        shares = [beta.ppf(p, max(q * (n + 1), 1e-9), max((1.0 - q) * (n + 1), 1e-9)) for p in (tail, 1.0 - tail)]
        low, high = (float(_order_statistic(self.known, float(share))) for share in shares)
        return low, high

    def probability_before(self, when: QuantityLike) -> float:
        """Probability that the limit is met within `when` of now ("60 min"; a bare number is s).

        NaN beyond the horizon: what happens there has not been looked at.
        """
        t = float(seconds(when, name="when")[0])
        if t > self.horizon * (1.0 + 1e-12) or not self.known.size:
            return float("nan")
        return float(np.mean(self.known <= t))

    def probability_interval(self, when: QuantityLike) -> tuple[float, float]:
        """95 % interval of `probability_before` for so many members."""
        p = self.probability_before(when)
        if np.isnan(p):
            return 0.0, 1.0
        return binomial_interval(round(p * self.known.size), self.known.size)

    @property
    def dataset(self) -> xr.Dataset:
        """The survival curve over `time`, s from now: the probability that the limit is not met until then."""
        met = self.known[np.isfinite(self.known)]
        times = np.unique(np.concatenate([[0.0], met, [self.horizon]]))
        n = max(self.known.size, 1)
        left = 1.0 - np.searchsorted(self.known, times, side="right") / n
        attrs = {"units": "1", "description": f"probability that it takes longer until {self.limit}"}
        moments = (np.round(times * SECOND).astype(np.int64) + self.time).astype("datetime64[ns]")
        return xr.Dataset(
            {"survival": ("time", left, attrs)},
            coords={"time": ("time", times, {"units": "s"}), "moment": ("time", moments)},
            attrs={"limit": self.limit, "horizon_s": self.horizon, "censored": self.censored},
        )

    def __str__(self) -> str:
        lines = [f"time until {self.limit}, from {stamp(self.time)}"]
        n = self.known.size
        if n == 0:
            return f"{lines[0]}: every member failed; the first: {self.failures[0].reason}"
        lines.append(f"  median {self._text(self.median)}{self._at(self.median)}")
        low, high = self.interval()
        if np.isfinite(low):
            lines.append(f"  95 % between {self._text(low)} and {self._text(high)}")
        if self.censored > 0.0:
            lines.append(f"  {_percent(self.censored)} not before {duration_text(self.horizon)} (as far as was looked)")
        different = [name for name in dict.fromkeys(self.first) if name]
        if len(different) > 1:
            shares = (f"{name} first in {_percent(self.first.count(name) / n)}" for name in different)
            lines.append(f"  {'; '.join(shares)}")
        failed = int(np.isnan(self.members).sum())
        lines.append(f"  from {n} members" + (f"; {failed} failed and are left out" if failed else ""))
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _text(self, time: float) -> str:
        return f"later than {duration_text(self.horizon)}" if np.isinf(time) else duration_text(time)

    def _at(self, time: float) -> str:
        if np.isinf(time):
            return ""
        low, high = self.quantile_interval()
        whole = SECOND if self.horizon > 600.0 else SECOND // 1000  # the second is as fine as a clock on the wall
        at = stamp(round((self.time + time * SECOND) / whole) * whole)
        return f", at {at} (so many members tell it between {self._text(low)} and {self._text(high)})"

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """The survival curve, with the median and the share that is censored."""
        from physics_twin.twin import forecast_plots

        return forecast_plots.draw_time_to(self, ax)


def time_to(
    twin: "Twin",
    limit: Limit | Crossing | Sequence[Limit | Crossing],
    recipe: Recipe | None = None,
    until: Until = "24 h",
    values: Mapping[str, QuantityLike] | None = None,
    n_members: int | None = None,
) -> TimeTo:
    """See `Twin.time_to`."""
    wanted = _wanted(limit)
    horizon = horizon_of(until, twin.until)
    begun = outset(twin, recipe, values, n_members)
    levels = [level for item in wanted for level in levels_of(item, twin.setup.model, begun.present.settings)]
    if not levels:
        raise EnvelopeError("time_to needs something to wait for: a pt.Limit, or pt.rises_to(output, level)")
    carried = carry(begun.present, np.zeros(1), horizon, [levels], up_to_failure=True)
    (met,), (which,) = carried.crossings, carried.which
    times = np.where(carried.failed & np.isinf(met), np.nan, met)
    times = np.concatenate([times, np.full(len(begun.lost), np.nan)])
    notes = []
    if begun.ends < horizon:
        when = duration_text(max(begun.ends, 0.0))
        notes.append(f"the last phase of the recipe ends in {when}; after that its last inputs are held")
    return TimeTo(
        time=twin.until,
        limit=" or ".join(level.name for level in levels),
        members=times,
        first=tuple(levels[k].name if k >= 0 else "" for k in which),
        horizon=horizon,
        failures=(*begun.lost, *carried.failures),
        notes=tuple(notes),
    )


def _wanted(limit: Any) -> list[Limit | Crossing]:
    wanted = list(limit) if isinstance(limit, Iterable) and not isinstance(limit, str) else [limit]
    for item in wanted:
        if not isinstance(item, Limit | Crossing):
            raise EnvelopeError(
                f"{item!r} is nothing that can be waited for; give a pt.Limit, or a crossing such as "
                'pt.rises_to("T1", "60 degC")'
            )
    return wanted


def levels_of(limit: Limit | Crossing, model: Model, settings: Mapping[str, float]) -> list[Level]:
    """What a limit or a crossing waits for, in SI.

    Raises UnknownNameError, UnitError; EnvelopeError for a limit on anything but the course itself.
    """
    if isinstance(limit, Limit):
        return [level_of(requirement) for requirement in bind_limits([limit], model.outputs)]
    names = [signal.name for signal in model.outputs]
    if limit.output not in names:
        raise unknown_name("output", limit.output, names)
    column = names.index(limit.output)
    unit = model.outputs[column].unit
    if isinstance(limit.level, Setting):
        level = settings.get(limit.level.name, limit.level.value)
        if level is None:
            raise EnvelopeError(f'the level of "{limit.output}" is the setting "{limit.level.name}", without a value')
    else:
        level = to_si(limit.level, unit, name=f"level of {limit.output}")
    words = f"{limit.output} {_WAYS[limit.direction]} {format_si(level, unit)}"
    return [Level(words, column, level, limit.direction)]


def level_of(requirement: Requirement) -> Level:
    """When one side of a limit is broken first; raises EnvelopeError where it is not about a moment."""
    if not isinstance(requirement.reduction, Extreme):
        raise EnvelopeError(
            f'"{requirement.name}" is decided by a whole run and has no moment at which it is broken; wait for the '
            "output itself: a Limit without over=, or pt.rises_to, pt.falls_to, pt.reaches"
        )
    direction = Direction.RISING if requirement.side == UPPER else Direction.FALLING
    words = f"{requirement.output} {_WAYS[direction]} {format_si(requirement.level, requirement.output_unit)}"
    return Level(words, requirement.column, requirement.level, direction)


def _order_statistic(ordered: Array, q: float) -> float:
    """Quantile of sorted members, some infinite: a straight line between two of them, none towards infinity."""
    place = q * (ordered.size - 1)
    k = int(np.floor(place))
    low, high = ordered[k], ordered[min(k + 1, ordered.size - 1)]
    share = place - k
    if share == 0.0 or low == high:
        return float(low)
    return float(low + share * (high - low)) if np.isfinite(high) else float("inf")


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %" if 0.01 <= share <= 0.99 or share in (0.0, 1.0) else f"{100.0 * share:.1f} %"


__all__ = ["TimeTo", "level_of", "levels_of", "time_to"]
