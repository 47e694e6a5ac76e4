"""What a twin shows of itself: means, spreads and covariances at its present."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.keys import Key
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.members import Members, members_of
from physics_twin.twin.moments import stamp

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

type Named = dict[str, float | Array]


def mean(twin: "Twin") -> Named:
    """Name -> SI."""
    belief = twin.belief
    outputs = twin.state.outputs if twin.present is None else twin.present.outputs
    return _named(twin, belief.states.mean(axis=0), middle_of(belief.parameters, twin.setup.coordinates), outputs)


def middle_of(parameters: Array, coordinates: Coordinates) -> Array:
    """(n_parameters,) SI of members (n_members, n_parameters): means, on a logarithmic scale exp of the mean logarithm.

    That is the median of what a filter believes there, whether it carries members or a mean and covariance.
    """
    if len(parameters) == 1:
        return np.array(parameters[0])
    found, own = parameters.mean(axis=0), coordinates.logarithmic
    found[own] = np.exp(np.log(parameters[:, own]).mean(axis=0))
    return np.asarray(found)


def spread(twin: "Twin") -> Named:
    """Name -> one standard deviation, SI."""
    matrix = twin.state.covariance if twin.present is None else twin.present.covariance
    sd = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    return _named(twin, *spread_of(twin.belief, twin.setup.coordinates), sd)


def spread_of(belief: Belief, coordinates: Coordinates) -> tuple[Array, Array]:
    """Standard deviations (n_state,) and (n_parameters,), SI: of members, or exactly those of a mean and covariance.

    On a logarithmic scale that of the log-normal; no more than half of the range of a parameter with two bounds.
    """
    if belief.root is None:
        return belief.states.std(axis=0, ddof=1), belief.parameters.std(axis=0, ddof=1)
    own = np.sqrt((belief.root**2).sum(axis=1))
    n, scale = coordinates.n_states, coordinates.scale
    states = np.zeros(belief.states.shape[1])
    states[coordinates.positions] = scale[:n] * own[:n]
    variance = own[n:] ** 2
    low, high = coordinates.lower[n:], coordinates.upper[n:]
    log = coordinates.logarithmic
    with np.errstate(over="ignore"):
        wide = belief.parameters[0] * np.exp(0.5 * variance) * np.sqrt(np.expm1(variance))
        ends = [np.where(log, np.exp(np.where(log, end, 0.0)), end * scale[n:]) for end in (low, high)]
    return states, np.minimum(np.where(log, wide, scale[n:] * own[n:]), 0.5 * (ends[1] - ends[0]))


def covariance(twin: "Twin") -> xr.DataArray:
    """Of outputs and uncertain parameters, (quantity, quantity_2), SI; from members, so that it is one of something."""
    members = _members(twin)
    table = np.column_stack([_outputs(twin, members), members.parameters])
    table = table[np.isfinite(table).all(axis=1)]
    names = [s.name for s in twin.setup.model.outputs] + list(twin.setup.coordinates.parameters)
    matrix = np.atleast_2d(np.cov(table, rowvar=False)) if len(table) > 1 else np.full((len(names),) * 2, np.nan)
    return xr.DataArray(matrix, dims=("quantity", "quantity_2"), coords={"quantity": names, "quantity_2": names})


def in_units(twin: "Twin") -> xr.Dataset:
    """Means in the declared units, with `units`, `sd` and `sd_units`."""
    found: dict[str, xr.Variable] = {}
    declared = [(s.name, s.unit, False) for s in twin.setup.model.outputs]
    declared += [(p.name, p.unit, p.difference) for p in twin.setup.parameters]
    for name, unit, difference in declared:
        attrs = {
            "units": (unit.difference() if difference else unit).text,
            "sd": float(unit.from_si(float(twin.spread[name]), difference=True)),
            "sd_units": unit.difference().text,
        }
        found[name] = xr.Variable((), float(unit.from_si(float(twin.mean[name]), difference=difference)), attrs)
    return xr.Dataset(found, attrs={"time": stamp(twin.until)})


def _members(twin: "Twin") -> Members:
    return members_of(twin.belief, twin.setup.coordinates, Key(twin.setup.seed, twin.until))


def _outputs(twin: "Twin", members: Members) -> Array:
    """(n_members, n_outputs) SI at the present; NaN where the model cannot be looked at."""
    state = twin.state
    t = state.batch.elapsed(state.reached if twin.present is None else max(twin.until, state.reached))
    dynamics, n = twin.setup.dynamics(state.batch.recipe), len(twin.setup.model.outputs)
    try:
        return dynamics.advance(members.states, members.parameters, t, t, state.held)[1][:, :n]
    except FAILURES:
        return np.full((len(members.states), n), np.nan)


def _named(twin: "Twin", state: Array, parameters: Array, outputs: Array) -> Named:
    found: Named = {}
    first = 0
    for block in twin.setup.model.state:
        own = state[first : first + block.size]
        found[block.name] = float(own[0]) if block.size == 1 else own
        first += block.size
    found |= dict(zip(twin.setup.coordinates.parameters, parameters.tolist(), strict=True))
    # Behind the outputs come readings with their bias.
    for signal, value in zip(twin.setup.model.outputs, outputs, strict=False):
        # An output may have the name of a state, which it shows; before all inputs are read there is no output.
        if signal.name not in found or np.isfinite(value):
            found[signal.name] = float(value)
    return found
