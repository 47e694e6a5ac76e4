"""Recalibrations put in force by a person, and taken back: what the timeline, the audit log and the fold know of them.

The draws of the parameters travel in the operation itself, so that a journal alone gives the same twin again; the audit
log holds every one of them. At its moment the parameters of the belief become those draws and the states stay what they
are. A sample that comes late, from before it, is folded before it as any other.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Start
from physics_twin.assimilation.keys import Key
from physics_twin.errors import DataError
from physics_twin.parameters import ParameterSet, Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.result import covariance_array, draws_array
from physics_twin.twin.audit import Audit
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.members import members_of
from physics_twin.twin.moments import stamp
from physics_twin.twin.operations import NOT_DONE, carried_on
from physics_twin.twin.setup import Setup
from physics_twin.twin.state import FilterState, Mode
from physics_twin.twin.timeline import Act, Operation

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

N_DRAWS = 400
"""Draws of a posterior that a promotion carries."""
_SAID = {"posterior", "before", "coverage"}


@dataclass(frozen=True)
class Promotion:
    """A posterior that was put in force, or put back in force.

    operation: as it stands on the timeline, and as a journal keeps it. posterior: hash of the one in force from then
    on; before: hash of the one it replaced.
    """

    operation: Operation

    @property
    def time(self) -> int:
        """ns, UTC."""
        return self.operation.time

    @property
    def who(self) -> str:
        """The person."""
        return self.operation.who

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self.operation.reason

    @property
    def posterior(self) -> str:
        """Hash of the posterior in force from then on."""
        return str(self.operation.content["posterior"])

    @property
    def before(self) -> str:
        """Hash of the posterior that was in force until then."""
        return str(self.operation.content["before"])

    @property
    def reverts(self) -> bool:
        """Whether it takes an earlier one back."""
        return self.operation.act is Act.REVERT

    def __str__(self) -> str:
        verb = "put back in force" if self.reverts else "put in force"
        return f"{stamp(self.time)}: {self.posterior[:12]} {verb} by {self.who} ({self.reason})"


def promotions_of(audit: Audit) -> tuple[Promotion, ...]:
    """All promotions and reversals of an audit log, in the order of their moments."""
    acts = {Act.PROMOTE.value: Act.PROMOTE, Act.REVERT.value: Act.REVERT}
    found = [
        Promotion(Operation(acts[record.act], record.time, record.who, record.reason, record.content))
        for record in audit
        if record.act in acts and set(record.content) >= _SAID  # one without could not be carried out
    ]
    return tuple(sorted(found, key=lambda promotion: promotion.time))


def posterior_hash(posterior: Posterior) -> str:
    """SHA-256 of what a posterior says: parameters, draws, mode, what was held; saving and loading leave it."""
    found = hashlib.sha256()
    for name, parameter in posterior.parameters.items():
        found.update(f"{name}\x1f{parameter.unit.text}\x1f".encode())
    found.update(np.ascontiguousarray(posterior.draws.values, dtype="<f8").tobytes())
    for values in (posterior.mode, posterior.fixed):
        for name in sorted(values):
            found.update(name.encode() + np.ascontiguousarray(values[name], dtype="<f8").tobytes())
    return found.hexdigest()


def content_of(setup: Setup, posterior: Posterior, before: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation must say to put a posterior in force.

    Raises DataError where the posterior does not have all of the twin's uncertain parameters.
    """
    names = setup.coordinates.of_plant
    draws = _columns(setup, posterior)
    if len(draws) > N_DRAWS:
        draws = draws[np.sort(Key(setup.seed, 0).rng("promote").choice(len(draws), N_DRAWS, replace=False))]
    return {
        "posterior": posterior_hash(posterior),
        "before": before,
        "parameters": list(names),
        "mean": draws.mean(axis=0).tolist(),
        "sd": draws.std(axis=0, ddof=1).tolist() if len(draws) > 1 else [0.0] * len(names),
        "draws": base64.b64encode(np.ascontiguousarray(draws, dtype="<f8").tobytes()).decode(),
        "coverage": {
            name: [float(low), float(high)]
            for name, (low, high) in posterior.coverage.items()
            if np.isfinite(low) and np.isfinite(high)
        },
        **more,
    }


def _columns(setup: Setup, posterior: Posterior) -> Array:
    if posterior is setup.posterior:  # exactly the draws that the twin began with
        return setup.beginning.start.parameters[:, : len(setup.coordinates.of_plant)]
    names = setup.coordinates.of_plant
    missing = [name for name in names if name not in posterior.parameters]
    if not missing:
        return np.column_stack([posterior[name] for name in names]) if names else np.empty((posterior.n_draws, 0))
    raise DataError(
        f'the posterior has no draws of "{missing[0]}", which is uncertain in this twin; calibrate it too '
        f"(unknown=[...] must hold {', '.join(names)})"
    )


def draws_of(operation: Operation, names: Sequence[str]) -> Array:
    """Draws (n_draws, n_parameters) SI that an operation carries; raises DataError where it has none of these."""
    content = operation.content
    try:
        flat = np.frombuffer(base64.b64decode(content["draws"], validate=True), dtype="<f8")
        table = flat.reshape(-1, len(content["parameters"])) if content["parameters"] else flat.reshape(0, 0)
        columns = [content["parameters"].index(name) for name in names]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        words = ", ".join(names)
        raise DataError(
            f"the {operation.act.value} of {stamp(operation.time)} holds no draws of {words}: {error}"
        ) from None
    if not (len(table) and np.isfinite(table).all()):
        raise DataError(f"the {operation.act.value} of {stamp(operation.time)} holds no finite draws")
    return np.array(table[:, columns], dtype=float)


def put_in_force(setup: Setup, state: FilterState, operation: Operation) -> FilterState:
    """The state after a promotion or a reversal: its parameters are the draws, its states what they were.

    Parameters and states are independent from then on, until the next samples link them again. A frozen twin's
    parameters stay; the state says so.
    """
    time = stamp(operation.time)
    if not setup.adaptive:
        return replace(state, trouble=f"the {operation.act.value} of {time} {NOT_DONE}: the twin is frozen")
    try:
        draws = draws_of(operation, setup.coordinates.of_plant)
    except DataError as error:
        return replace(state, trouble=f"the {operation.act.value} of {time} {NOT_DONE}: {error}")
    if state.mode is not Mode.OUT_OF_SERVICE:
        state = carried_on(setup, state)
    key = Key(setup.seed, operation.time)
    # An ensemble keeps its members; a mean and covariance are kept exactly by as many members as there are draws.
    n = len(state.belief.states) if state.belief.root is None else len(draws)
    members = members_of(state.belief, setup.coordinates, key, n)
    rows = key.rng("promote").permutation(len(draws))
    own = setup.parameters[: draws.shape[1]]
    low, high = (np.array([p.bounds[side] for p in own]) for side in (0, 1))
    # The sensors stay what they are known to be.
    kept = members.parameters[:, len(own) :]
    parameters = np.hstack([np.clip(draws[np.resize(rows, n)], low, high), kept])
    start = Start(np.ascontiguousarray(members.states), np.ascontiguousarray(parameters), 0.0 * setup.rates)
    try:
        belief = setup.method.begin(start, setup.dynamics(state.batch.recipe), key)
    except FAILURES as error:
        return replace(state, trouble=f"the {operation.act.value} of {time} {NOT_DONE}: {error}")
    return replace(state, belief=belief)


def in_force(twin: "Twin") -> Promotion | None:
    """The promotion whose posterior is in force, None where it is still the one that the twin began with."""
    past = [promotion for promotion in promotions_of(twin.audit) if promotion.time <= twin.state.time]
    return past[-1] if past else None


def posterior_in_force(twin: "Twin") -> Posterior:
    """The posterior whose draws the twin's parameters were last set to: that of its start, or a promoted one.

    Of a promoted one it holds the twin's uncertain parameters, and the ranges of its data; sensors are as at the start.
    """
    setup, last = twin.setup, in_force(twin)
    first = setup.posterior
    if last is None or last.posterior == posterior_hash(first):
        return first
    names = setup.coordinates.of_plant
    table = draws_of(last.operation, names)
    parameters = ParameterSet(setup.parameters[: len(names)])
    spread = np.atleast_2d(np.cov(table, rowvar=False)) if len(table) > 1 else np.zeros((len(names),) * 2)
    coverage = {name: (float(ends[0]), float(ends[1])) for name, ends in last.operation.content["coverage"].items()}
    held = {name: value for name, value in first.values.items() if name not in names}
    return replace(
        first,
        parameters=parameters,
        draws=draws_array(parameters, table),
        origin=None,
        mode=Values(dict(zip(names, np.median(table, axis=0).tolist(), strict=True))),
        covariance=covariance_array(parameters, spread),
        fixed=Values(held),
        coverage=coverage,
        verdicts={},
        inflation=dict.fromkeys(names, 1.0),
        effective_draws=float(len(table)),
        message=f"promoted: {last}",
        provenance={k: v for k, v in first.provenance.items() if k != "experiments"},
    )


def hash_in_force(twin: "Twin") -> str:
    """Hash of the posterior in force."""
    last = in_force(twin)
    return posterior_hash(twin.setup.posterior) if last is None else last.posterior


__all__ = [
    "Promotion",
    "content_of",
    "draws_of",
    "hash_in_force",
    "in_force",
    "posterior_hash",
    "posterior_in_force",
    "promotions_of",
    "put_in_force",
]
