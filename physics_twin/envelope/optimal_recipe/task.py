"""What is asked, bound to the model: checked before anything is computed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.envelope.limits.limits import Limit, bind_limits
from physics_twin.envelope.limits.reductions import At, Extreme, Final, Integral, Mean, Reduction
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.optimal_recipe.profile import BoundProfile, Profile, bind_profiles
from physics_twin.envelope.set_point.objectives import Objective, Target, bind_objectives
from physics_twin.errors import EnvelopeError, ModelError
from physics_twin.inputs import lines_of
from physics_twin.model import HasEquations, Model, SIValues
from physics_twin.recipes import Recipe
from physics_twin.schedules import Schedule, bind
from physics_twin.signals import Setting, Signal
from physics_twin.units import unit as as_unit

SMOOTH = (Final, Extreme, Mean, Integral, At)
"""Reductions that can be written into an optimization over time."""


@dataclass(frozen=True)
class Task:
    """All that the optimization needs to know."""

    model: Model
    equations: Any
    recipe: Recipe
    schedule: Schedule
    profiles: tuple[BoundProfile, ...]
    requirements: tuple[Requirement, ...]
    target: Target
    duration: Setting | None
    """Free final time."""
    charges: tuple[Setting, ...]
    """Free initial values."""
    memo: Memo = field(default_factory=lambda: NO_MEMO, compare=False)
    """Remembers the simulations of draws."""

    @property
    def chosen(self) -> tuple[Setting, ...]:
        """Settings that are found with the profiles."""
        return (*((self.duration,) if self.duration is not None else ()), *self.charges)

    def edges(self, values: SIValues) -> Array:
        """(n_phases + 1,) s of the present recipe; one free phase lasts as long as `values` says."""
        if self.duration is not None:
            return np.array([0.0, float(values[self.duration.name])])
        lengths = [phase.duration.at(values) for phase in self.schedule.phases if phase.duration is not None]
        return np.concatenate([[0.0], np.cumsum(lengths)])

    def corners(self, values: SIValues) -> list[float]:
        """Moments, as shares of the run, at which an element has to begin."""
        edges = self.edges(values)
        found = [*edges]
        for phase, start in zip(self.schedule.phases, edges[:-1], strict=True):
            for column, line in enumerate(lines_of(phase, values, ())):
                if all(profile.column != column for profile in self.profiles):
                    found += [start + r for r in line.r[1:]]
        reductions = [*(r.reduction for r in self.requirements), self.target.reduction]
        found += [t for reduction in reductions for t in reduction.moments]
        shares = [t / edges[-1] for t in found if t < edges[-1]]
        return [*shares, *(float(c) for profile in self.profiles for c in profile.corners)]


def make_task(
    model: Model,
    recipe: Recipe,
    profiles: Mapping[str, Profile],
    objective: Objective,
    limits: Sequence[Limit],
    duration: Setting | None,
    charges: Sequence[Setting],
) -> Task:
    """Check and bind; raises ModelError, EnvelopeError, UnknownNameError, UnitError."""
    equations = _smooth_equations(model)
    states = {block.name: (block.unit, block.lower, block.upper) for block in model.state}
    schedule = bind(recipe, model.inputs, model.outputs, states)
    _refuse_events(recipe, schedule)
    bound = bind_profiles(profiles, model.inputs)
    requirements = bind_limits(limits, model.outputs) if limits else ()
    for requirement in requirements:
        _refuse_kinks(requirement.reduction, f'the limit "{requirement.name}"')
    for setting in charges:
        _check_charge(setting, recipe, equations)
    if duration is not None:
        _check_duration(duration, recipe, schedule, model.inputs, bound, requirements)
    chosen = (*((duration,) if duration is not None else ()), *charges)
    target = _target(objective, model, chosen)
    return Task(model, equations, recipe, schedule, bound, requirements, target, duration, tuple(charges))


def _smooth_equations(model: Model) -> Any:
    if not isinstance(model, HasEquations):
        raise ModelError(
            f"{model.name} does not show its equations, which an optimal recipe writes out in time; give the recipe "
            "settings (levels, durations) and use find_set_point, which only simulates, or build it with ProcessBuilder"
        )
    eq = model.equations
    found = [
        f"{kind} ({', '.join(names)})" if names else kind
        for kind, names, present in (
            ("events", eq.events, bool(eq.events)),
            ("discrete values", eq.discrete, bool(eq.discrete)),
            ("running extremes", eq.extremes, bool(eq.extremes)),
            ("switches", (), eq.n_switches > 0),
        )
        if present
    ]
    if found:
        raise ModelError(
            f"{model.name} has {', '.join(found)}: its trajectories have kinks, and an optimal recipe needs smooth "
            "ones; give the recipe settings and use find_set_point, which only simulates"
        )
    return eq


def _refuse_events(recipe: Recipe, schedule: Schedule) -> None:
    for phase, bound in zip(recipe.phases, schedule.phases, strict=True):
        if phase.until is not None:
            raise EnvelopeError(
                f'phase "{phase.name}" ends on a level, so nobody knows beforehand how long it takes; give it a '
                "duration, and the level as a limit: pt.Limit(..., over=pt.final)"
            )
        if phase.start or phase.at:
            raise EnvelopeError(
                f'phase "{phase.name}" has events (doses, discharges), which an optimal recipe cannot write out in '
                "time; put a charge at the start into initial=, and a dose into a feed"
            )
        if bound.duration is not None and math.isinf(bound.duration.value):
            raise EnvelopeError(f'phase "{phase.name}" has no end; give the recipe a duration')
    if not isinstance(recipe.initial, Mapping):
        raise EnvelopeError(
            "the recipe starts from the steady state of its first inputs, which are free here; give initial= values"
        )


def _refuse_kinks(reduction: Reduction, where: str) -> None:
    if not isinstance(reduction, SMOOTH):
        raise EnvelopeError(
            f"{where}: {type(reduction).__name__} cannot be written into an optimization over time; use every moment, "
            "pt.final, pt.peak, pt.mean, pt.integral or pt.at, or an accumulator of the model"
        )


def _check_charge(setting: Setting, recipe: Recipe, equations: Any) -> None:
    assert isinstance(recipe.initial, Mapping)
    places = [name for name, level in recipe.initial.items() if isinstance(level, Setting)]
    if not any(recipe.initial[name] == setting for name in places):
        raise EnvelopeError(
            f'the setting "{setting.name}" is no initial value of the recipe; free settings are initial charges '
            "(Recipe(..., initial={state: setting})), the duration, and profiles of inputs"
        )
    if not np.isfinite(setting.bounds).all():
        raise EnvelopeError(f'the setting "{setting.name}" needs two finite bounds')
    for name in places:
        if recipe.initial[name] == setting and f"initial.{name}" not in equations.parameters:
            raise EnvelopeError(f'the initial value of "{name}" follows from an equation of the model')


def _check_duration(
    duration: Setting,
    recipe: Recipe,
    schedule: Schedule,
    inputs: Sequence[Signal],
    profiles: Sequence[BoundProfile],
    requirements: Sequence[Requirement],
) -> None:
    if duration.unit.dimension != as_unit("s").dimension:
        raise EnvelopeError(f'duration: "{duration.name}" is in {duration.unit}; a time is expected')
    low, high = duration.bounds
    if not (math.isfinite(low) and math.isfinite(high) and 0.0 < low < high):
        raise EnvelopeError(f'duration: "{duration.name}" needs two finite bounds above zero')
    if len(recipe.phases) != 1:
        raise EnvelopeError(
            f"a free duration needs a recipe of one phase; this one has {len(recipe.phases)}, and it would be unclear "
            "which of them to stretch"
        )
    free = {profile.column for profile in profiles}
    for column, pieces in enumerate(schedule.phases[0].inputs):
        if pieces.level is None and column not in free:
            raise EnvelopeError(
                f"a free duration needs the other inputs held, and {inputs[column].name} changes over the phase; "
                "hold it, or make it a profile too"
            )
    for requirement in requirements:
        if requirement.reduction.moments:
            raise EnvelopeError(
                f'the limit "{requirement.name}" is about a fixed moment; with a free duration use pt.final'
            )


def _target(objective: Objective, model: Model, chosen: Sequence[Setting]) -> Target:
    if not isinstance(objective, Objective):
        raise EnvelopeError(f'{objective!r} is no objective; write pt.Maximize("yield") or pt.Minimize("energy")')
    (target,) = bind_objectives([objective], model.outputs, chosen)
    _refuse_kinks(target.reduction, f'the objective on "{objective.output}"')
    if isinstance(target.reduction, Extreme) and target.sign == target.side:
        raise EnvelopeError(
            f'the objective on "{objective.output}": the highest moment cannot be made higher by an optimization over '
            "time that looks at all of them at once; maximize its final value, its mean, or its lowest moment "
            "(over=pt.path)"
        )
    return target
