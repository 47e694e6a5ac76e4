"""Another filter, or another noise of plant and sensors, on a running twin: an operation of its timeline.

It is a barrier. Snapshots from before belong to the filter before, and what happened before is not filtered again.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.assimilation.belief import Start
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.method import Method
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.members import members_of
from physics_twin.twin.moments import stamp
from physics_twin.twin.operations import NOT_DONE, UNREADABLE
from physics_twin.twin.packing import KINDS, Packed, Packer, Unpacker
from physics_twin.twin.setup import Setup
from physics_twin.twin.state import FilterState
from physics_twin.twin.timeline import Operation

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin


def content_of(setup: Setup) -> dict[str, Any]:
    """Filter, random walks and noise of a setup as plain JSON; raises DataError for what no file can hold."""
    packed = Packer().packed((setup.method, setup.walks, setup.noise))
    arrays = {kind: base64.b64encode(array.tobytes()).decode() for kind, array in packed.arrays.items()}
    return {"text": packed.text, "arrays": arrays}


def setup_after(setup: Setup, operation: Operation) -> Setup:
    """The setup that an operation asks for. Raises TypeError and whatever else content that is none leads to."""
    content = operation.content
    arrays = {k: np.frombuffer(base64.b64decode(content["arrays"][k], validate=True), t) for k, t in KINDS.items()}
    method, walks, noise = Unpacker(Packed(content["text"], arrays), setup.model).value()
    numbers = isinstance(noise, Mapping) and all(isinstance(factor, float) for factor in noise.values())
    wandering = isinstance(walks, Mapping) and all(isinstance(walk, RandomWalk) for walk in walks.values())
    if not (isinstance(method, Method) and numbers and wandering):
        raise TypeError("it holds no filter, random walks and factors of noise")
    changed = replace(setup, method=method, walks=walks, noise=noise)
    changed.rates, changed.facts  # noqa: B018  # names that the twin does not have are found here
    return changed


def changed(twin: "Twin", operation: Operation) -> "Twin":
    """The twin from an operation on that it has just taken in; as it is where that cannot be carried out."""
    state = twin.state
    try:
        setup = setup_after(twin.setup, operation)
        state = handed_over(setup, twin.setup.method, state)
    except (*UNREADABLE, *FAILURES) as error:
        words = f"the {operation.act.value} of {stamp(operation.time)} {NOT_DONE}: {error}"
        state = replace(state, trouble=words)
        return replace(twin, state=state, snapshots=(*twin.snapshots[:-1], state))
    setup = replace(setup, earliest=state.time + 1)
    return replace(twin, setup=setup, state=state, snapshots=(state,), recent=())


def handed_over(setup: Setup, before: Method, state: FilterState) -> FilterState:
    """The state as the setup's filter has it, told what the one before knew; raises SolveError."""
    if setup.method == before:
        return state
    key = Key(setup.seed, state.time)
    members = members_of(state.belief, setup.coordinates, key)
    start = Start(members.states, members.parameters, 0.0 * setup.rates)
    return replace(state, belief=setup.method.begin(start, setup.dynamics(state.batch.recipe), key))
