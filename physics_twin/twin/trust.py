"""Where a forecast leaves what is known: the ranges of the data behind the posterior, the domain of validity."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.posterior.inputs import input_values
from physics_twin.twin.carried import Carried
from physics_twin.twin.quantiles import quantiles
from physics_twin.units import format_si
from physics_twin.validity import DATA, MODEL, OUTPUT_SLACK, Course, Ranges, extrapolations

if TYPE_CHECKING:
    from physics_twin.twin.present import Outset
    from physics_twin.twin.setup import Setup

FEW = 0.05
"""Share of members whose parameters may lie outside before it is said."""


def outside_what_is_known(
    setup: "Setup", coverage: Ranges, begun: "Outset", carried: Carried
) -> tuple[dict[str, NDArray[np.bool_]], list[str]]:
    """Name -> (n_times,) True where it is outside, and the same in sentences; coverage: of the posterior in force.

    Outputs are looked at in their median, inputs as the recipe gives them; inputs of a recipe whose phases end on
    levels differ from member to member and are not looked at.
    """
    known = {DATA: coverage, MODEL: setup.model.validity}
    outside, marks = extrapolations(_courses(setup, begun, carried), known)
    return outside, [*(mark.text for mark in marks), *_parameters(setup, begun)]


def _courses(setup: "Setup", begun: "Outset", carried: Carried) -> Iterator[Course]:
    """Inputs, settings and outputs over the times of the forecast, (n_times,) SI."""
    present = begun.present
    inputs = {signal.name for signal in setup.model.inputs}  # a live input is a setting of the same name
    for name, setting in begun.recipe.settings.items():
        if name in inputs:
            continue
        yield Course(name, setting.unit, np.full(carried.times.size, present.settings[name]))
    if setup.model.inputs and all(phase.duration is not None for phase in begun.recipe.phases):
        values = {**present.dynamics.fixed, **present.settings}
        course = input_values(setup.model, present.dynamics.recipe, values, present.start + carried.times)
        for j, signal in enumerate(setup.model.inputs):
            yield Course(signal.name, signal.unit, course[:, j])
    for k, signal in enumerate(setup.model.outputs):
        middle = quantiles(carried.outputs[:, :, k], np.array([0.5]))[0]
        yield Course(signal.name, signal.unit, middle, OUTPUT_SLACK)


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
