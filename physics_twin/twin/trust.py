"""Where a forecast leaves what is known: the ranges of the data behind the posterior, the domain of validity."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.posterior.inputs import input_values
from physics_twin.twin.carried import Carried
from physics_twin.twin.quantiles import quantiles
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from physics_twin.twin.present import Outset
    from physics_twin.twin.setup import Setup

SLACK = 0.01
"""Share of a range by which it may be left before it counts: a hundredth is not another regime."""
OUTPUT_SLACK = 0.05
"""The same for outputs, whose range was seen through noise."""
FEW = 0.05
"""Share of members whose parameters may lie outside before it is said."""

type Ranges = Mapping[str, tuple[float, float]]


def outside_what_is_known(
    setup: "Setup", coverage: Ranges, begun: "Outset", carried: Carried
) -> tuple[dict[str, NDArray[np.bool_]], list[str]]:
    """Name -> (n_times,) True where it is outside, and the same in sentences; coverage: of the posterior in force.

    Outputs are looked at in their median, inputs as the recipe gives them; inputs of a recipe whose phases end on
    levels differ from member to member and are not looked at.
    """
    outside: dict[str, NDArray[np.bool_]] = {}
    notes: list[str] = []
    known = (("data cover", coverage), ("model is valid for", setup.model.validity))
    for name, unit, course, slack in _courses(setup, begun, carried):
        for words, ranges in known:
            where = _outside(course, name, ranges, slack)
            if not where.any():
                continue
            outside[name] = outside.get(name, np.zeros(carried.times.size, dtype=bool)) | where
            low, high = ranges[name]
            worst = course[where][int(np.argmax(np.abs(course[where] - 0.5 * (low + high))))]
            notes.append(
                f"extrapolation: {name} reaches {format_si(float(worst), unit)}, the {words} "
                f"{format_si(low, unit)} to {format_si(high, unit)}"
            )
    return outside, [*notes, *_parameters(setup, begun)]


def _courses(setup: "Setup", begun: "Outset", carried: Carried) -> Iterator[tuple[str, Unit, Array, float]]:
    """Name, unit, course (n_times,) SI and slack of inputs, settings and outputs."""
    present = begun.present
    inputs = {signal.name for signal in setup.model.inputs}  # a live input is a setting of the same name
    for name, setting in begun.recipe.settings.items():
        if name in inputs:
            continue
        yield name, setting.unit, np.full(carried.times.size, present.settings[name]), SLACK
    if setup.model.inputs and all(phase.duration is not None for phase in begun.recipe.phases):
        values = {**present.dynamics.fixed, **present.settings}
        course = input_values(setup.model, present.dynamics.recipe, values, present.start + carried.times)
        for j, signal in enumerate(setup.model.inputs):
            yield signal.name, signal.unit, course[:, j], SLACK
    for k, signal in enumerate(setup.model.outputs):
        yield signal.name, signal.unit, quantiles(carried.outputs[:, :, k], np.array([0.5]))[0], OUTPUT_SLACK


def _outside(course: Array, name: str, ranges: Ranges, slack: float) -> NDArray[np.bool_]:
    if name not in ranges:
        return np.zeros(course.shape, dtype=bool)
    low, high = ranges[name]
    width = high - low if np.isfinite(high - low) else 0.0
    room = max(slack * width, 1e-9 * max(abs(e) for e in (low, high) if np.isfinite(e)) if width else 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray((course < low - room) | (course > high + room))


def _parameters(setup: "Setup", begun: "Outset") -> Iterator[str]:
    for k, name in enumerate(setup.coordinates.parameters):
        if name not in setup.model.validity:
            continue
        low, high = setup.model.validity[name]
        draws = begun.present.parameters[:, k]
        share = float(np.mean((draws < low) | (draws > high)))
        if share > FEW:
            unit = setup.coordinates.declared[name].unit
            yield (
                f"{name} of {100.0 * share:.0f} % of the members lies outside the model's domain of validity, "
                f"{format_si(low, unit)} to {format_si(high, unit)}"
            )


__all__ = ["outside_what_is_known"]
