"""What a forecast starts from: the members of a twin at its own time, under the recipe that is to come."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.errors import DataError, RecipeError, unknown_name
from physics_twin.model import Failure
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.twin.courses import Present, beginning, carry_on
from physics_twin.twin.moments import SECOND, moment, stamp
from physics_twin.units import QuantityLike, Unit, in_unit, seconds, to_si

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

type Until = Any
"""A duration from now ("90 min", (90, "min")) or a moment ("2026-11-20T08:00Z", an aware datetime)."""


@dataclass(frozen=True, eq=False)
class Outset:
    """The present of a forecast. lost: members that failed between the last sample and now; they are not in it."""

    present: Present
    recipe: Recipe
    ends: float
    """s from now at which the last phase ends; infinite where it does not, NaN where that depends on its levels."""
    lost: tuple[Failure, ...]


def outset(
    twin: "Twin",
    recipe: Recipe | None = None,
    values: Mapping[str, QuantityLike] | None = None,
    n_members: int | None = None,
) -> Outset:
    """Members of `twin` at its time.

    recipe: what the plant is told from now on; without it the running recipe goes on, each member in its own phase.
    values: numbers for open settings of the recipe (live inputs among them) and for parameters, with units; settings
    that are not named keep the value last read, then the one they were declared with.

    Raises UnknownNameError, UnitError; RecipeError for what is no recipe and for a setting without any value;
    SolveError.
    """
    if not isinstance(recipe, Recipe | None):
        raise RecipeError(f"recipe={recipe!r} is no pt.Recipe; how far to look is until=, as in until='90 min'")
    setup, state = twin.setup, twin.state
    batch, coordinates = state.batch, setup.coordinates
    drawn = twin.members(n_members)
    running = _held(batch.recipe)
    present = Present(
        Dynamics(setup.model, running, setup.fixed, coordinates),
        np.array(drawn.states),
        np.array(drawn.parameters),
        batch.elapsed(state.reached),
        dict(state.held),
        setup.rates,
        Key(setup.seed, state.reached),
    )
    present, lost = _to_now(present, (twin.until - state.reached) / SECOND)
    present = replace(present, key=Key(setup.seed, twin.until))
    chosen = batch.recipe if recipe is None else recipe
    settings, fixed = _values(twin, chosen, values or {})
    parameters = present.parameters.copy()
    for k, name in enumerate(coordinates.parameters):
        if name in fixed:
            parameters[:, k] = fixed.pop(name)
    dynamics = Dynamics(setup.model, _held(chosen), {**setup.fixed, **fixed}, coordinates)
    states, start = present.states, batch.elapsed(twin.until)
    if recipe is not None:
        states, start = beginning(setup.model, dynamics, states, dynamics.values(parameters, settings)), 0.0
    present = replace(present, dynamics=dynamics, states=states, parameters=parameters, start=start, settings=settings)
    return Outset(present, chosen, _ends(chosen, settings) - start, lost)


def _held(recipe: Recipe) -> Recipe:
    # Members end phases at different times; one that is through early waits, with its last inputs, for the others.
    return recipe if recipe.hold_end or recipe.duration == np.inf else recipe.replace(hold_end=True)


def _to_now(present: Present, gap: float) -> tuple[Present, tuple[Failure, ...]]:
    """The members carried over the time since the last sample; those that fail stay behind."""
    if gap <= 0.0:
        return present, ()
    failures: list[Failure] = []
    for step in carry_on(present, gap, np.array([])):
        failures += step.failures
        states, parameters = step.end, step.parameters
    kept = np.setdiff1d(np.arange(present.n_members), [f.member for f in failures])
    moved = replace(present, states=states[kept], parameters=parameters[kept], start=present.start + gap)
    return moved, tuple(failures)


def _values(
    twin: "Twin", recipe: Recipe, given: Mapping[str, QuantityLike]
) -> tuple[dict[str, float], dict[str, float]]:
    """Settings of the recipe, and parameters that were given, SI."""
    setup = twin.setup
    known: dict[str, tuple[Unit, bool]] = {name: (s.unit, False) for name, s in recipe.settings.items()}
    for name, p in setup.model.parameters.items():
        if name in setup.fixed or name in setup.coordinates.parameters:
            known[name] = (p.unit, p.difference)
    numbers: dict[str, float] = {}
    for name, quantity in given.items():
        if name not in known:
            raise unknown_name("live input, setting or parameter", name, known)
        unit, difference = known[name]
        numbers[name] = in_unit(quantity, unit, name=name, difference=difference)
    last = twin.state.settings
    settings = {name: _setting(s, numbers, last) for name, s in recipe.settings.items()}
    return settings, {name: x for name, x in numbers.items() if name not in settings}


def _setting(setting: Setting, given: Mapping[str, float], last: Mapping[str, float]) -> float:
    for source in (given, last):
        if np.isfinite(source.get(setting.name, np.nan)):
            return source[setting.name]
    if setting.value is not None:
        return setting.value
    raise RecipeError(
        f'the setting "{setting.name}" has no value: nothing has been read for it yet and none was given; '
        f'give values={{"{setting.name}": "... {setting.unit}"}}'
    )


def _ends(recipe: Recipe, settings: Mapping[str, float]) -> float:
    """s on its own clock at which the last phase of a recipe ends; NaN where members decide that."""
    total = 0.0
    for phase in recipe.phases:
        if phase.duration is None:
            return float("nan")
        if isinstance(phase.duration, Setting):
            total += settings[phase.duration.name]
        else:
            total += to_si(phase.duration, Unit("s"), name=f'phase "{phase.name}"', allow_infinite=True)
    return total


def horizon_of(until: Until, now: int) -> float:
    """s from now to `until`; raises DataError where it is not ahead, UnitError for what is no duration."""
    text = isinstance(until, str) and len(until) > 7 and until[:4].isdigit() and until[4] == "-"
    if text or isinstance(until, dt.datetime | np.datetime64):
        length = (moment(until) - now) / SECOND
    elif isinstance(until, dt.timedelta):
        length = until.total_seconds()
    else:
        length = to_si(until, Unit("s"), name="until")
    if not 0.0 < length < np.inf:
        raise DataError(f"until={until} is not ahead of the twin's time, {stamp(now)}; give a duration such as 90 min")
    return length


def times_of(times: Any, horizon: float, now: int, n: int) -> Array:
    """(n_times,) s from now, ascending; raises DataError for times before now or beyond the horizon."""
    if times is None:
        return np.linspace(0.0, horizon, n)
    found = np.unique(seconds(times))
    if not found.size or found[0] < 0.0 or found[-1] > horizon * (1.0 + 1e-12):
        raise DataError(f"times of a forecast lie between 0 s (now, {stamp(now)}) and its end, {horizon:g} s from now")
    return found


__all__ = ["Outset", "Until", "horizon_of", "outset", "times_of"]
