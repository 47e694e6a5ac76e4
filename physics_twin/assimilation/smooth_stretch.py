"""When a step of a model is one smooth stretch with straight inputs, so that fixed steps may write it out."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.errors import ModelError
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import HasEquations, Model, StateKind
from physics_twin.schedules import bind, length_of

_NONE = np.empty(0)
type Line = tuple[Array, Array]
"""Inputs over a step: a + b (t - t0), (n_u,) each, SI."""


def equations_of(model: Model) -> Any:
    """The equations of a smooth model; raises ModelError for any other.

    Smooth: no algebraic variables, discrete values, switches, events or running extremes.
    """
    if not isinstance(model, HasEquations):
        raise ModelError(
            f'model "{model.name}" does not show its equations; leave out steps= to use its own integrator'
        )
    eq = model.equations
    obstacles = {
        "algebraic variables": len(eq.algebraic),
        "discrete values": len(eq.discrete),
        "switches": eq.n_switches,
        "events": len(eq.events),
        "running extremes": len(eq.extremes),
    }
    found = [f"{count} {what}" for what, count in obstacles.items() if count]
    if found:
        raise ModelError(
            f'model "{model.name}" has {" and ".join(found)}; fixed steps are for smooth equations: leave out steps='
        )
    kinds = (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR)
    names = [block.name for block in model.state if block.kind in kinds]
    rest = [block.name for block in model.state[len(names) :]]
    if names != list(eq.differential) or rest[:2] != ["recipe.phase", "recipe.phase_start"]:
        raise ModelError(f'the state of model "{model.name}" is not laid out as its equations are; leave out steps=')
    return eq


class Stretches:
    """The steps of one model under one recipe."""

    def __init__(self, dynamics: Dynamics, equations: Any) -> None:
        self.dynamics, self.model = dynamics, dynamics.model
        states = {b.name: (b.unit, b.lower, b.upper) for b in self.model.state if b.name in equations.differential}
        self.schedule = bind(dynamics.recipe, self.model.inputs, self.model.outputs, states)
        self.n_x = len(equations.differential)
        names = dynamics.coordinates.parameters
        for name in dynamics.coordinates.of_plant:
            if name not in equations.parameters:
                raise ModelError(f'"{name}" is no parameter of the equations; leave out steps= to estimate it')
        # What the points set themselves may be absent from the fixed values.
        all_names = (*equations.parameters, *dynamics.coordinates.of_sensors)
        self.p = np.array([dynamics.fixed.get(name, np.nan) for name in all_names], dtype=float)
        missing = [n for n in equations.parameters if n not in dynamics.fixed and n not in names]
        if missing:
            raise ModelError(f'the parameter "{missing[0]}" has no value')

    @functools.cached_property
    def _constant(self) -> dict[int, tuple[float, Line]]:
        """Length and inputs of the phases in which nothing depends on time or settings."""
        found = {}
        for number, phase in enumerate(self.schedule.phases):
            levels = [pieces.level for pieces in phase.inputs]
            timed = phase.duration is not None and phase.duration.setting is None
            if timed and not phase.events and all(level is not None and level.setting is None for level in levels):
                given = np.array([level.value for level in levels if level is not None])
                found[number] = (length_of(phase, {}), (given, np.zeros(given.size)))
        return found

    def line(self, state: Array, t0: float, t1: float, settings: Mapping[str, float]) -> Line | None:
        """The inputs from t0 to t1; None where a phase ends, something is dosed or an input has a corner within."""
        number, start = round(state.item(self.n_x)), state.item(self.n_x + 1)
        constant = self._constant.get(number)
        if constant is not None and t1 <= start + constant[0]:
            return constant[1]
        if not 0 <= number < len(self.schedule.phases):
            return None  # before the first phase has begun, or behind the last
        phase = self.schedule.phases[number]
        values = {**self.dynamics.fixed, **settings} if settings else self.dynamics.fixed
        if phase.until_level is not None or t1 > start + length_of(phase, values):
            return None
        if any(t0 <= start + event.when.at(values) < t1 for event in phase.events):
            return None
        levels = [pieces.level for pieces in phase.inputs]
        if all(level is not None for level in levels):
            return np.array([level.at(values) for level in levels if level is not None]), np.zeros(len(levels))
        inputs = PhaseInputs(lines_of(phase, values, ()), start, _NONE)
        known = min(pieces.known_until for pieces in phase.inputs)
        if inputs.corners(t0, t1) or t1 > start + known:
            return None
        a, b = np.split(inputs.on_grid(t0, np.array([t1]), 0)[:, 0], 2)
        return a, b
