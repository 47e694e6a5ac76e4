"""A plan as a table for people and as CSV for other systems."""

import csv
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from physics_twin.files import atomic_write
from physics_twin.units import format_si

LEAST_GAIN = 0.005
"""What is printed as a gain, in standard deviations."""

if TYPE_CHECKING:
    from physics_twin.envelope.plan.plan import Plan, Reached, Step


def plan_rows(plan: "Plan") -> list[list[str]]:
    """The plan as a table, with the heading in the first row."""
    names = [s.name for s in plan.settings]
    objectives = _objectives(plan)
    rows = [["step", "time", *names, "probability", "least margin", "of", "gain", *objectives]]
    chance = plan.present_probability
    now = "unknown" if math.isnan(chance) else f"{chance:.3f} predicted"
    rows.append(["now", "0 h", *_shown(plan, plan.present), now, *[""] * (3 + len(objectives))])
    for number, step in enumerate(plan.steps, start=1):
        rows.append(
            [
                str(number),
                f"{step.time / 3600.0:.3g} h",
                *_shown(plan, step.settings),
                _chance(step, plan.required),
                "unknown" if math.isnan(step.margin) else format_si(step.margin, step.unit, 3, difference=True),
                step.limit,
                gain_text(step.gain),
                *(_reached(step.objectives[name]) for name in objectives),
            ]
        )
    return rows


def write_csv(plan: "Plan", path: str | os.PathLike[str]) -> None:
    """See `Plan.to_csv`."""
    objectives = _objectives(plan)
    heading = ["step", "time [s]", *(f"{s.name} [{s.unit.text}]" for s in plan.settings)]
    heading += ["claim", "predicted probability", "least predicted probability", "limit", "margin", "margin unit"]
    units = {name: plan.steps[0].objectives[name].unit for name in objectives}
    heading += [f"{name} [{units[name].text}]" for name in objectives]
    now = [0, 0.0, *_numbers(plan, plan.present), "", plan.present_probability, *[""] * (4 + len(objectives))]
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerow(now)
        for number, step in enumerate(plan.steps, start=1):
            shown = step.unit.difference()
            row = [number, step.time, *_numbers(plan, step.settings), _claim(step)]
            row += [step.probability, step.least_probability, step.limit, shown.from_si(step.margin, True), shown.text]
            writer.writerow([*row, *(units[name].from_si(step.objectives[name].value) for name in objectives)])


def gain_text(gain: float) -> str:
    """How the margin of all limits together grows, in its spread over the draws; what rounds to zero is no gain.

    >>> gain_text(1.347), gain_text(-0.4), gain_text(-8e-05)
    ('+1.35 sd', '-0.40 sd', 'no gain')
    """
    if math.isnan(gain):
        return "unknown"
    return "no gain" if abs(gain) < LEAST_GAIN else f"{gain:+.2f} sd"


def _objectives(plan: "Plan") -> list[str]:
    return list(plan.steps[0].objectives) if plan.steps else []


def _shown(plan: "Plan", point: Mapping[str, float]) -> list[str]:
    return [format_si(point[s.name], s.unit) for s in plan.settings]


def _numbers(plan: "Plan", point: Mapping[str, float]) -> list[float]:
    return [s.unit.from_si(point[s.name]) for s in plan.settings]


def _claim(step: "Step") -> str:
    return "certified" if step.certified else "predicted" if step.inside else "outside"


def _chance(step: "Step", required: float) -> str:
    if step.certified:
        return f">= {required:g} certified"
    if step.inside:
        return f"{step.least_probability:.3f} at least, predicted"
    return "OUTSIDE, " + ("unknown" if math.isnan(step.least_probability) else f"{step.least_probability:.3f}")


def _reached(found: "Reached") -> str:
    if math.isnan(found.value):
        return "unknown"
    value = format_si(found.value, found.unit)
    if math.isnan(found.gain):
        return value
    size = format_si(abs(found.gain), found.unit, 3, difference=True)
    return f"{value} ({'better' if found.gain >= 0.0 else 'worse'} by {size})"
