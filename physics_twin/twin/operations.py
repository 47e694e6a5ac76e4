"""What people do to a twin, as the fold carries it out: each act at its own moment of the timeline."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Start
from physics_twin.assimilation.keys import Key
from physics_twin.errors import PhysicsTwinError
from physics_twin.measurements.records import recipe_from_record, recipe_record
from physics_twin.recipes import Recipe
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.members import members_of
from physics_twin.twin.moments import SECOND, moment, stamp
from physics_twin.twin.setup import Setup
from physics_twin.twin.state import Batch, ChannelMonitor, FilterState, Mask, Mode
from physics_twin.twin.timeline import Act, Operation

type Initial = Mapping[str, tuple[float, float]]
Content = Mapping[str, Any]
NOT_DONE = "could not be carried out"
"""In the words of a state that an operation did not change."""
UNREADABLE = (PhysicsTwinError, KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading the content of an operation may raise that was written by hand, or for another model."""


def act(setup: Setup, state: FilterState, operation: Operation) -> FilterState:
    """The state after an operation; nothing is raised for one that cannot be carried out: the state says why."""
    state = replace(state, time=operation.time)
    try:
        change = _change(setup, state, operation)
    except UNREADABLE as error:
        why = f"its content is not what it needs ({type(error).__name__}: {error})"
        return replace(state, trouble=f"the {operation.act.value} of {stamp(operation.time)} {NOT_DONE}: {why}")
    return change(state)


def _change(setup: Setup, state: FilterState, operation: Operation) -> Callable[[FilterState], FilterState]:
    """What an operation does to a state; all of its content is read here."""
    content, time = operation.content, operation.time
    match operation.act:
        case Act.START_BATCH:
            return functools.partial(_start_batch, setup, *_charge(setup, state, content))
        case Act.MODE:
            mode = Mode(content["mode"])
            return lambda state: _enter(setup, state, mode)
        case Act.MASK:
            until = None if content["until"] is None else moment(int(content["until"]))
            mask = Mask(_text(content, "channel"), time, until, operation.reason, operation.who)
            return lambda state: replace(state, masks=(*_masks(state, but=mask.channel), mask))
        case Act.UNMASK:
            lifted = _text(content, "channel")
            return lambda state: replace(state, masks=_masks(state, but=lifted))
        case Act.SENSOR_REPLACED:
            return functools.partial(_replaced, setup, _text(content, "channel"))
        case Act.FILTER:
            from physics_twin.twin.filter_change import setup_after

            setup_after(setup, operation)
            return lambda state: state  # the twin changes it for all that comes later, see `filter_change.changed`
        case Act.PROMOTE | Act.REVERT:
            from physics_twin.twin.promotion import put_in_force

            return lambda state: put_in_force(setup, state, operation)


def _text(content: Content, key: str) -> str:
    if not isinstance(content[key], str):
        raise TypeError(f"{key} is {content[key]!r}, and no text")
    return str(content[key])


def _masks(state: FilterState, *, but: str) -> tuple[Mask, ...]:
    return tuple(mask for mask in state.masks if mask.channel != but)


def _enter(setup: Setup, state: FilterState, mode: Mode) -> FilterState:
    if state.mode is Mode.OUT_OF_SERVICE:
        return state  # only the start of a batch ends this: until then nobody knows what is in the plant
    if mode is Mode.OUT_OF_SERVICE:
        state = carried_on(setup, state)
    return replace(state, mode=mode)


def carried_on(setup: Setup, state: FilterState) -> FilterState:
    """The belief at the moment of the operation, or where it was if the model cannot be carried on."""
    from physics_twin.twin.fold import carried

    try:
        predicted, _ = carried(setup, state, state.time)
    except FAILURES as error:
        return replace(state, trouble=f"the model could not be carried on from {stamp(state.reached)}: {error}")
    return replace(
        state,
        belief=predicted.belief,
        reached=state.time,
        outputs=predicted.outputs,
        covariance=predicted.covariance,
        n_failed_members=state.n_failed_members + len(predicted.failures),
    )


def _charge(setup: Setup, state: FilterState, content: Content) -> tuple[Batch, Recipe, Initial]:
    """The batch that an operation begins, its recipe with the states that are known, and these: mean and sd, SI."""
    recipe = state.batch.recipe if content["recipe"] is None else _recipe(json.dumps(content["recipe"]))
    initial = {str(name): (float(mean), float(sd)) for name, (mean, sd) in content["initial"].items()}
    begun = _bound(setup, recipe, {name: mean for name, (mean, _) in initial.items()})
    return Batch(_text(content, "name"), state.time, recipe, dict(content["context"])), begun, initial


def _replaced(setup: Setup, channel: str, state: FilterState) -> FilterState:
    """The next instrument: its checks begin anew, and of its bias nothing is known yet. All else stays known."""
    state = replace(state, monitors={**state.monitors, channel: ChannelMonitor(replaced=state.time)})
    facts, coordinates, key = setup.facts.get(channel), setup.coordinates, Key(setup.seed, state.time)
    if facts is None or not facts.parameter:
        return state
    members = members_of(state.belief, coordinates, key)
    k, variance = coordinates.parameters.index(facts.parameter), 0.0 * setup.rates
    at = coordinates.n_states + k
    parameters, variance[at] = members.parameters.copy(), (facts.fresh_sd / coordinates.scale[at]) ** 2
    parameters[:, k] = 0.0
    try:
        dynamics = setup.dynamics(state.batch.recipe)
        return replace(state, belief=setup.method.begin(Start(members.states, parameters, variance), dynamics, key))
    except FAILURES as error:
        return replace(state, trouble=f"the bias of the new {channel} could not be set: {error}")


def _start_batch(setup: Setup, batch: Batch, begun: Recipe, initial: Initial, state: FilterState) -> FilterState:
    """The next charge: states begin anew, parameters stay what they are known to be, a little less well."""
    if state.mode is not Mode.OUT_OF_SERVICE:
        state = carried_on(setup, state)
    recipe = batch.recipe
    key = Key(setup.seed, state.time)
    coordinates = setup.coordinates
    members = members_of(state.belief, coordinates, key)
    settings = {name: value for name, value in state.settings.items() if name in recipe.settings}
    idle = (state.time - state.reached) / SECOND
    variance = setup.rates * idle
    variance[: coordinates.n_states] = setup.beginning.start.variance[: coordinates.n_states]
    for name, (_, sd) in initial.items():
        variance[_of_state(setup, name)] = (sd / coordinates.scale[_of_state(setup, name)]) ** 2
    try:
        states = _initial_states(setup, begun, members.parameters, {**batch.declared, **settings})
        start = Start(states, members.parameters, variance)
        belief = setup.method.begin(start, setup.dynamics(recipe), key)
    except FAILURES as error:
        return replace(state, mode=Mode.OUT_OF_SERVICE, trouble=f"the batch {batch.name} could not begin: {error}")
    n = setup.n_shown
    return replace(
        state,
        belief=belief,
        batch=batch,
        settings=settings,
        mode=Mode.RUNNING,
        outputs=np.full(n, np.nan),
        covariance=np.full((n, n), np.nan),
        trouble="",
        reached=state.time,
        last_update=state.time,
    )


def _initial_states(setup: Setup, recipe: Recipe, parameters: Array, settings: Mapping[str, float]) -> Array:
    """(n, n_state) at the start of a recipe; an input that nobody has read is taken at the middle of its range."""
    from physics_twin.twin.start import fresh_states, guesses

    table = {name: np.full(len(parameters), value) for name, value in setup.fixed.items()}
    table |= dict(zip(setup.coordinates.of_plant, parameters.T, strict=False))
    known = {**guesses(setup.model, setup.posterior, recipe), **settings}
    return fresh_states(setup.model, recipe, table, known, len(parameters), every=True)


def _of_state(setup: Setup, name: str) -> list[int]:
    own = setup.coordinates.names[: setup.coordinates.n_states]
    return [k for k, full in enumerate(own) if full.partition("[")[0] == name]


def _bound(setup: Setup, recipe: Recipe, initial: Mapping[str, float]) -> Recipe:
    """The recipe with given initial values, SI."""
    if not initial:
        return recipe
    units = {block.name: block.unit.si_text for block in setup.model.state}
    given = {name: (mean, units[name]) for name, mean in initial.items()}
    kept = recipe.initial if isinstance(recipe.initial, Mapping) else {}
    return recipe.replace(initial={**kept, **given})


def recipe_content(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain JSON, its tables included."""
    record, tables = recipe_record(recipe)
    rows = [[list(one.times), list(one.values)] for one in tables]
    return json.loads(json.dumps({"recipe": record, "tables": rows}))  # type: ignore[no-any-return]  # tuples to lists


def settings_named(operation: Operation) -> frozenset[str]:
    """Open settings of the recipe that an operation brings along."""
    recipe = operation.content.get("recipe")
    return frozenset(_names_in(recipe.get("recipe"))) if isinstance(recipe, Mapping) else frozenset()


def _names_in(record: Any) -> Iterator[str]:
    if isinstance(record, Mapping):
        if isinstance(record.get("setting"), str):
            yield record["setting"]
        record = list(record.values())
    if isinstance(record, list):
        for part in record:
            yield from _names_in(part)


@functools.lru_cache(maxsize=64)
def _recipe(text: str) -> Recipe:
    """The recipe of its JSON text; the same object for the same text, as models keep what they work out for it."""
    content = json.loads(text)
    tables = [(np.array(times), np.array(values)) for times, values in content["tables"]]
    return recipe_from_record(content["recipe"], tables)
