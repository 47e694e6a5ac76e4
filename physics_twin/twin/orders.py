"""What people ask of a twin, checked and written down as an operation for its timeline."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from physics_twin.errors import DataError, PhysicsTwinError, unknown_name
from physics_twin.model import StateKind
from physics_twin.priors import Normal
from physics_twin.recipes import Recipe
from physics_twin.twin.audit import plain_json
from physics_twin.twin.moments import moment, stamp
from physics_twin.twin.operations import NOT_DONE, recipe_content
from physics_twin.twin.setup import Setup
from physics_twin.twin.start import guesses, open_recipe
from physics_twin.twin.state import Mode
from physics_twin.twin.timeline import Act, Operation
from physics_twin.units import QuantityLike, in_unit

if TYPE_CHECKING:
    from physics_twin.assimilation.method import Method
    from physics_twin.assimilation.random_walk import RandomWalk
    from physics_twin.twin.journal import Timeline
    from physics_twin.twin.twin import Twin
    from physics_twin.twin.walk_estimation import WalkEstimate

type Initial = Mapping[str, QuantityLike | Normal]


def start_batch(
    twin: "Twin",
    initial: Initial | None,
    context: Mapping[str, str | float] | None,
    recipe: Recipe | None,
    *,
    at: Any,
    who: str,
    reason: str,
    name: str,
) -> Operation:
    """The next charge begins. Raises UnknownNameError, UnitError, DataError, and RecipeError for a wrong recipe."""
    blocks = {b.name: b for b in twin.setup.model.state if b.kind is not StateKind.RECIPE}
    given: dict[str, list[float]] = {}
    for state, quantity in (initial or {}).items():
        if state not in blocks:
            raise unknown_name("state", state, blocks)
        unit = blocks[state].unit
        if isinstance(quantity, Normal):
            prior = quantity.in_si(unit, state)
            given[state] = [prior.mean, prior.sd]
        else:
            given[state] = [in_unit(quantity, unit, name=f"initial {state}"), 0.0]
    chosen = twin.state.batch.recipe if recipe is None else open_recipe(twin.setup.model, recipe)
    _check_recipe(twin, chosen)
    content = {
        "name": name,
        "context": dict(context or {}),
        "initial": given,
        "recipe": None if recipe is None else recipe_content(chosen),
    }
    return _operation(twin, Act.START_BATCH, content, at, who, reason)


def _check_recipe(twin: "Twin", recipe: Recipe) -> None:
    """A recipe that does not fit the model is the mistake of whoever gives it: it must not wait for the fold."""
    setup = twin.setup
    values = {**guesses(setup.model, setup.posterior, recipe), **setup.fixed, **twin.parameters}
    setup.model.initial_state(0.0, recipe, values)


def enter(twin: "Twin", mode: "Mode | str", *, at: Any, who: str, reason: str) -> Operation:
    """The plant enters a mode. Raises UnknownNameError; DataError where only a new batch leads out of the mode."""
    known = [one.value for one in Mode]
    text = mode.value if isinstance(mode, Mode) else str(mode)
    if text not in known:
        raise unknown_name("mode", text, known)
    if twin.state.mode is Mode.OUT_OF_SERVICE and text != Mode.OUT_OF_SERVICE.value:
        raise DataError(
            "the plant is out of service, and nobody knows what is in it: start_batch says how it begins again"
        )
    return _operation(twin, Act.MODE, {"mode": text}, at, who, reason)


def mask(twin: "Twin", channel: str, until: Any, reason: str, who: str, *, at: Any) -> Operation:
    """Nobody is to believe a channel, until a moment or until it is lifted. Raises UnknownNameError, DataError."""
    end = None if until is None else moment(until)
    operation = _of_channel(twin, Act.MASK, channel, at, who, reason, {"until": end})
    if end is not None and end <= operation.time:
        raise DataError(f"the mask of {channel} is to end at {stamp(end)}, before it begins at {stamp(operation.time)}")
    return operation


def unmask(twin: "Twin", channel: str, *, at: Any, who: str, reason: str) -> Operation:
    """The mask of a channel is lifted. Raises UnknownNameError, DataError where there is none."""
    operation = _of_channel(twin, Act.UNMASK, channel, at, who, reason)
    if not any(one.channel == channel for one in twin.state.masks):
        raise DataError(f"{channel} is not masked")
    return operation


def sensor_replaced(twin: "Twin", channel: str, *, at: Any, who: str, reason: str) -> Operation:
    """Another instrument shows the channel: what was known of the old one's bias and faults is forgotten."""
    return _of_channel(twin, Act.SENSOR_REPLACED, channel, at, who, reason)


def change_filter(
    twin: "Twin",
    method: "Method | None",
    walks: "WalkEstimate | Mapping[str, RandomWalk] | None",
    *,
    who: str,
    reason: str,
) -> Operation:
    """Another filter, or other noise, from now on. Raises DataError for a twin that has taken in nothing yet."""
    from physics_twin.twin.filter_change import content_of
    from physics_twin.twin.walk_estimation import with_walks

    if twin.state.time < twin.setup.beginning.time:
        raise DataError("this twin has taken in nothing yet: give filter and random walks to Twin.start")
    setup = twin.setup if walks is None else with_walks(twin, walks).setup
    setup = setup if method is None else replace(setup, method=method)
    return _operation(twin, Act.FILTER, content_of(setup), None, who, reason)


def carried_out(
    twin: "Twin",
    operation: Operation,
    journal: "Timeline | None" = None,
    refusal: type[PhysicsTwinError] = DataError,
) -> "Twin":
    """The twin after an operation, which is in its journal then; one of a later moment waits for it.

    Raises `refusal` where it could not be carried out, and says why; then it is in no journal. Raises JournalError.
    """
    present = max(twin.until, twin.newest)
    # A plan must not carry the plant there before its time.
    until = present if operation.time > present + 1 else None
    found, innovation = twin.assimilate([operation], until=until, budget=None, journal=journal)
    act, time = operation.act.value, stamp(operation.time)
    if found.counts.too_late > twin.counts.too_late:
        oldest = max(twin.setup.earliest, twin.newest - twin.setup.layout.seconds)
        raise DataError(
            f"the {act} of {time} lies too far back, nothing was changed: by itself this twin goes back to "
            f"{stamp(oldest)}. Give at= after that, or its journal (journal=), which reaches further back"
        )
    refused = [words for words in (*innovation.notes, found.state.trouble) if NOT_DONE in words]
    if refused:
        raise refusal(refused[0])
    if journal is not None:
        journal.append([operation], until=until)
    return found


def _of_channel(
    twin: "Twin", act: Act, channel: str, at: Any, who: str, reason: str, more: Mapping[str, Any] | None = None
) -> Operation:
    if channel not in twin.setup.channels:
        raise unknown_name("channel", channel, twin.setup.channels)
    return _operation(twin, act, {"channel": channel, **(more or {})}, at, who, reason)


def _operation(twin: "Twin", act: Act, content: Mapping[str, Any], at: Any, who: str, reason: str) -> Operation:
    setup: Setup = twin.setup
    # Just after what has been filtered: an act of now changes nothing of what was read before.
    time = max(twin.until, twin.newest) + 1 if at is None else moment(at)
    if time < setup.earliest:
        raise DataError(f"{stamp(time)} lies before {stamp(setup.earliest)}, from where on this twin can be changed")
    return Operation(act, time, who, reason, plain_json(content, act.value))
