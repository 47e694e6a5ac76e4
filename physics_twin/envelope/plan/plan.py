"""The way to the recommended point: steps that a plant can make and that stay inside the region at every moment.

Inside the certified box (or polytope) a straight line is certified with it: the claim holds at every point of a convex
set. Outside of it, nothing is certified; the probability is predicted by the search's surrogate, on the whole of every
step and not only at its ends, and a way is looked for in the region that has the search's slack.
"""

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.arguments import refuse_wrong_options
from physics_twin.envelope.limits.given import as_given
from physics_twin.envelope.plan.missed_level import missed_level
from physics_twin.envelope.plan.ways import Pace, shortest_way, straight, way_in
from physics_twin.envelope.region.predict import SearchedRegion
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.posterior.tables import aligned
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from physics_twin.envelope.envelope import Envelope
    from physics_twin.parameters import Values

MOST_STEPS = 10_000
"""A plan of more is a slip in a unit."""


@dataclass(frozen=True)
class Reached:
    """An objective at the end of a step, as the search learned it inside the certified range."""

    value: float
    """SI; NaN outside the certified range, where nothing was learned about it."""
    gain: float
    """By how much the move makes it better, SI, a difference; positive is better, whether it is large or small."""
    unit: Unit


@dataclass(frozen=True)
class Step:
    """One move: all settings change evenly, from those of the step before to these."""

    settings: Mapping[str, float]
    """At its end, SI."""
    time: float
    """At which it ends, s from the beginning of the plan."""
    certified: bool
    """Whether the whole move lies inside the certified range."""
    inside: bool
    """Whether the whole move lies in the region; only the way in, from a point outside, does not."""
    probability: float
    """Predicted at its end, of all limits."""
    least_probability: float
    """The least one predicted on the move."""
    limit: str
    """The limit with the least margin at its end, in units of its spread; "" where nothing was searched."""
    margin: float
    """Of that limit: kept with the required probability at its end, predicted, SI."""
    unit: Unit
    """In which the margin is shown, as a difference."""
    gain: float
    """By how much the joint margin grows with the move, in units of its spread over the draws."""
    objectives: Mapping[str, Reached]
    """What the move does for each objective of the envelope."""


@dataclass(frozen=True, repr=False)
class Plan:
    """Steps from the present point to the recommended one, or the reason why there are none."""

    settings: tuple[Setting, ...]
    present: Mapping[str, float]
    """SI."""
    goal: Mapping[str, float]
    """SI."""
    steps: tuple[Step, ...]
    found: bool
    """Whether the steps lead to the goal."""
    message: str
    warnings: tuple[str, ...]
    present_probability: float
    """Predicted at the present point."""
    required: float
    step: float
    """How long a step takes, s."""
    envelope: "Envelope" = field(compare=False)

    @property
    def certified(self) -> bool:
        """Whether every step is certified."""
        return self.found and all(step.certified for step in self.steps)

    @property
    def rows(self) -> list[list[str]]:
        """The plan as a table, with the heading in the first row."""
        from physics_twin.envelope.plan.plan_text import plan_rows

        return plan_rows(self)

    def __str__(self) -> str:
        """The plan for people."""
        lines = [f"! {warning}" for warning in self.warnings]
        return "\n".join([self.message, *lines, *([aligned(self.rows)] if self.steps else [])])

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Settings and probability over time; for two settings also the way over the region."""
        from physics_twin.envelope.plan.plan_plot import plot_plan  # matplotlib takes a quarter of a second to import

        return plot_plan(self)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the steps, whole or not at all, with units in the heading; the present point is step 0.

        `claim` is "certified", "predicted" or "outside": see `Step`.
        """
        from physics_twin.envelope.plan.plan_text import write_csv

        write_csv(self, path)


def make_plan(
    envelope: "Envelope",
    present: "Mapping[str, QuantityLike] | Values",
    to: "Mapping[str, QuantityLike] | Values | None" = None,
    *,
    rate_limits: Mapping[str, QuantityLike] | None = None,
    steps: Mapping[str, QuantityLike] | None = None,
    step: QuantityLike = "1 h",
    one_at_a_time: bool = False,
) -> Plan:
    """See `Envelope.plan`."""
    region = envelope.searched
    largest, duration = largest_moves(envelope.settings, rate_limits, steps, step)
    here = np.array(envelope.checker.read(present))
    if to is None and envelope.empty:
        return _no_plan(envelope, here, here, duration, f"there is no point to go to: {envelope.message}")
    goal = np.array(
        [envelope.set_point[s.name] for s in envelope.settings] if to is None else envelope.checker.read(to)
    )
    start, end = region.cube(np.array([here, goal]))
    if region.level(end[None])[0] < 0.0:
        known = missed_level(region, end)
        return _no_plan(envelope, here, goal, duration, f"the point to reach is not in the region: {known}")
    pace = Pace(np.where(np.isfinite(largest), region.widths * duration / largest, 0.0))
    warnings: list[str] = []
    corners: list[Array] = [start]
    if region.level(start[None])[0] < 0.0:
        entry = way_in(region.level, start, end, pace)
        if entry is None:
            return _no_plan(envelope, here, goal, duration, "no way into the region was found from the present point")
        warnings.append(_outside_text(envelope, region, start, entry))
        corners.append(entry)
    way = shortest_way(region.level, corners[-1], end, pace, one_at_a_time)
    if way.corners is None:
        return _no_plan(envelope, here, goal, duration, _why_no_way(region, corners[-1], end, way.parts, one_at_a_time))
    n_outside = len(corners) - 1
    corners += list(way.corners[1:])
    made = _steps(envelope, region, corners, n_outside, largest, duration)
    return Plan(
        settings=envelope.settings,
        present=_named(envelope, here),
        goal=_named(envelope, goal),
        steps=made,
        found=True,
        message=_summary(made, duration, n_outside > 0),
        warnings=tuple(warnings),
        present_probability=float(region.probability(start[None])[0, 0]),
        required=envelope.required,
        step=duration,
        envelope=envelope,
    )


def _named(envelope: "Envelope", point: Array) -> dict[str, float]:
    return {s.name: float(x) for s, x in zip(envelope.settings, point, strict=True)}


def largest_moves(
    settings: Sequence[Setting],
    rate_limits: Mapping[str, QuantityLike] | None,
    steps: Mapping[str, QuantityLike] | None,
    step: QuantityLike,
) -> tuple[Array, float]:
    """(n_settings,) largest move of each setting in one step, SI, infinite where nothing limits it; and the step in s.

    Raises UnknownNameError, UnitError, and EnvelopeError for what is not above zero.
    """
    refuse_wrong_options(rate_limits=rate_limits, steps=steps)
    duration = to_si(step, as_unit("s"), name="step")
    if not duration > 0.0:
        raise EnvelopeError(f"step = {as_given(step)}: a step takes a time above zero")
    largest = np.full(len(settings), np.inf)
    names = [s.name for s in settings]
    second = as_unit("s")
    for given, what, per, time in (
        (rate_limits or {}, "rate_limits", second, duration),
        (steps or {}, "steps", None, 1.0),
    ):
        for name, quantity in given.items():
            if name not in names:
                raise unknown_name("setting", name, names)
            j = names.index(name)
            unit = settings[j].unit.difference() if per is None else settings[j].unit.difference() / per
            size = to_si(quantity, unit, name=f"{what} of {name}", difference=True)
            if not size > 0.0:
                raise EnvelopeError(
                    f"{what} of {name} = {as_given(quantity)}: it must be above zero; for a setting that must not "
                    "move, give to= with the value it has now"
                )
            largest[j] = min(largest[j], size * time)
    return largest, duration


def _steps(
    envelope: "Envelope", region: SearchedRegion, corners: Sequence[Array], n_outside: int, largest: Array, step: float
) -> tuple[Step, ...]:
    """Even steps along each piece of the way; the first `n_outside` pieces lie outside the region."""
    ends: list[Array] = [corners[0]]
    outside: list[bool] = []
    for piece, (a, b) in enumerate(itertools.pairwise(corners)):
        n = max(1, math.ceil((np.abs(b - a) * region.widths / largest).max() - 1e-9))
        if len(ends) + n > MOST_STEPS:
            raise EnvelopeError(f"the plan would have more than {MOST_STEPS} steps; check the units of the limits")
        ends += [a + share * (b - a) for share in np.arange(1, n + 1) / n]
        outside += [piece < n_outside] * n
    at_ends = region.probability(np.array(ends))[:, 0]
    # Where nothing was simulated a margin is an extrapolation, and a number would look like safety.
    scaled = np.where(np.isfinite(at_ends)[:, None], region.scaled_margins(np.array(ends)), np.nan)
    inside = region.certified(np.array(ends))
    reached = _objectives(envelope, region, np.array(ends), inside)
    found = []
    for i, (a, b) in enumerate(itertools.pairwise(ends), start=1):
        tightest = int(np.argmin(np.nan_to_num(scaled[i, 1:])))
        margin = envelope.margins[tightest]
        found.append(
            Step(
                settings=_named(envelope, region.si(b)),
                time=i * step,
                certified=bool(inside[i - 1] and inside[i]),  # both ends of a convex set
                inside=not outside[i - 1],
                probability=float(at_ends[i]),
                least_probability=float(region.probability(straight(a, b))[:, 0].min()),
                limit=margin.limit if np.isfinite(at_ends[i]) else "",
                margin=float(scaled[i, 1 + tightest] * region.space.scale[tightest]),
                unit=margin.unit,
                gain=float(scaled[i, 0] - scaled[i - 1, 0]),
                objectives=reached[i],
            )
        )
    return tuple(found)


def _objectives(
    envelope: "Envelope", region: SearchedRegion, ends: Array, inside: NDArray[np.bool_]
) -> list[dict[str, Reached]]:
    """For each end what the objectives reach there, and by how much better that is than at the end before."""
    landscape = envelope.landscape
    found: list[dict[str, Reached]] = [{} for _ in ends]
    if landscape is None:
        return found
    values = landscape.measures(ends)
    for j, target in enumerate(landscape.targets):
        # Outside the certified range the interpolation has seen nothing; a setting is known wherever it stands.
        known = values[:, j] if not target.of_setting else region.si(ends)[:, target.column]
        known = known if target.of_setting else np.where(inside, known, np.nan)
        gains = np.concatenate([[0.0], target.sign * np.diff(known)])
        for i in range(len(ends)):
            found[i][target.name] = Reached(float(known[i]), float(gains[i]), target.unit)
    return found


def _no_plan(envelope: "Envelope", here: Array, goal: Array, step: float, reason: str) -> Plan:
    region = envelope.searched
    return Plan(
        settings=envelope.settings,
        present=_named(envelope, here),
        goal=_named(envelope, goal),
        steps=(),
        found=False,
        message=f"no plan: {reason}",
        warnings=(),
        present_probability=float(region.probability(region.cube(here[None]))[0, 0]),
        required=envelope.required,
        step=step,
        envelope=envelope,
    )


def _outside_text(envelope: "Envelope", region: SearchedRegion, start: Array, entry: Array) -> str:
    where = ", ".join(
        f"{s.name} = {format_si(x, s.unit)}" for s, x in zip(envelope.settings, region.si(entry), strict=True)
    )
    return (
        f"THE PRESENT POINT IS OUTSIDE THE REGION ({missed_level(region, start)}): nothing is claimed until the way "
        f"enters it at {where}; the first steps are the shortest way in"
    )


def _why_no_way(region: SearchedRegion, start: Array, end: Array, parts: bool, one_at_a_time: bool) -> str:
    line = straight(start, end)
    least = missed_level(region, line[int(np.argmin(region.level(line)))])
    if parts:
        why = "the present point and the one to reach lie in separate parts of the region"
    else:
        why = "no way between the present point and the one to reach was found that stays in the region"
    more = "; with all settings moving at the same time there may be one" if one_at_a_time and not parts else ""
    return f"{why} (on a straight line: {least}){more}"


def _summary(steps: Sequence[Step], duration: float, from_outside: bool) -> str:
    if not steps:
        return "plan: the present point is the one to reach"
    n, certified = len(steps), sum(step.certified for step in steps)
    total = format_si(n * duration, as_unit("h"), 3)
    if certified == n:
        claim = "every one of them certified over its whole length"
    else:
        inside = [step.least_probability for step in steps if step.inside and not step.certified]
        least = f", predicted {min(inside):.3f} at least on the rest (not certified)" if inside else ""
        claim = f"{certified} of them certified{least}"
    outside = sum(not step.inside for step in steps)
    way = f"; {outside} of them OUTSIDE the region" if from_outside else ""
    return f"plan: {n} step{'' if n == 1 else 's'} in {total}, {claim}{way}"
