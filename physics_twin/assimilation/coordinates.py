"""The coordinates in which filters work: which entries of the state, which parameters, on which scale."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.errors import UnitError, unknown_name
from physics_twin.model import Model, StateKind
from physics_twin.parameters import Parameter
from physics_twin.units import Unit, parse


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Dimensionless coordinates: the differential part of the state over its scale, then the parameters.

    Accumulators, internal variables, phases and algebraic guesses are no coordinates: no filter changes them. A
    parameter on a logarithmic scale is its logarithm; any other is divided by `parameter_scale`.

    positions: (n_differential,) entries of the state vector. scale, lower, upper: (n_coordinates,): one coordinate is
    SI over scale; bounds in coordinates, infinite where open. logarithmic: (n_parameters,). updated: (n_coordinates,)
    False for parameters that are uncertain and held (a frozen twin): their spread counts, no sample changes them.
    places: (n_coordinates, dimension) m, NaN for what has no place; None of a model without fields. biased: for each
    sensor with an unknown bias (row of its output, position of the bias among the parameters); biases come last.
    """

    names: tuple[str, ...]
    parameters: tuple[str, ...]
    positions: NDArray[np.int64]
    scale: Array
    lower: Array
    upper: Array
    logarithmic: NDArray[np.bool_]
    updated: NDArray[np.bool_]
    places: Array | None = None
    declared: Mapping[str, Parameter] = field(default_factory=dict)
    biased: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(
        cls,
        model: Model,
        parameters: Sequence[Parameter],
        *,
        frozen: bool = False,
        biased: tuple[tuple[int, int], ...] = (),
    ) -> "Coordinates":
        """Coordinates of a model with these uncertain parameters, those of the sensors (biased) behind its own."""
        positions: list[int] = []
        names: list[str] = []
        scale: list[float] = []
        low: list[float] = []
        high: list[float] = []
        places: list[Array] = []
        first = 0
        for block in model.state:
            if block.kind is StateKind.DIFFERENTIAL:
                positions += range(first, first + block.size)
                names += [block.name] if block.size == 1 else [f"{block.name}[{k}]" for k in range(block.size)]
                scale += [block.scale] * block.size
                low += [block.lower / block.scale] * block.size
                high += [block.upper / block.scale] * block.size
                if block.coordinates is not None:
                    places.append(np.asarray(block.coordinates, dtype=float))
                else:
                    places.append(np.full((block.size, 1), np.nan))
            first += block.size
        logarithmic = np.array([p.log_scale for p in parameters], dtype=bool)
        for p in parameters:
            size = 1.0 if p.log_scale else _size(p)
            names.append(p.name)
            scale.append(size)
            ends = [np.log(end) if p.log_scale else end / size for end in p.bounds]
            low.append(float(ends[0]))
            high.append(float(ends[1]))
        dimension = max((rows.shape[1] for rows in places), default=1)
        located = any(np.isfinite(rows).any() for rows in places)
        n = len(names)
        where = np.full((n, dimension), np.nan)
        if located:
            at = 0
            for rows in places:
                where[at : at + len(rows), : rows.shape[1]] = rows
                at += len(rows)
        updated = np.ones(n, dtype=bool)
        if frozen:
            updated[len(positions) :] = False
        return cls(
            names=tuple(names),
            parameters=tuple(p.name for p in parameters),
            positions=np.array(positions, dtype=np.int64),
            scale=np.array(scale),
            lower=np.array(low),
            upper=np.array(high),
            logarithmic=logarithmic,
            updated=updated,
            places=where if located else None,
            declared={p.name: p for p in parameters},
            biased=biased,
        )

    @functools.cached_property
    def n(self) -> int:
        """How many coordinates."""
        return len(self.names)

    @functools.cached_property
    def n_states(self) -> int:
        """How many of them are of the state; they come first."""
        return int(self.positions.size)

    @functools.cached_property
    def of_plant(self) -> tuple[str, ...]:
        """The parameters that the model has; they come first."""
        return self.parameters[: len(self.parameters) - len({k for _, k in self.biased})]

    @functools.cached_property
    def of_sensors(self) -> tuple[str, ...]:
        """The other parameters: biases of sensors."""
        return self.parameters[len(self.of_plant) :]

    def of_members(self, states: Array, parameters: Array) -> Array:
        """Coordinates (n_members, n_coordinates) of states (n_members, n_state) and parameters, both SI."""
        z = np.empty((len(states), self.n))
        z[:, : self.n_states] = states[:, self.positions] / self.scale[: self.n_states]
        if not self.parameters:
            return z
        with np.errstate(divide="ignore", invalid="ignore"):
            z[:, self.n_states :] = np.where(
                self.logarithmic, np.log(np.maximum(parameters, 0.0)), parameters / self.scale[self.n_states :]
            )
        return z

    def to_members(self, z: Array, states: Array) -> tuple[Array, Array]:
        """States (as given, with their coordinates replaced) and parameters, SI, of z (n_members, n_coordinates)."""
        changed = np.empty((len(z), states.shape[1]))
        changed[...] = states
        changed[:, self.positions] = z[:, : self.n_states] * self.scale[: self.n_states]
        own = z[:, self.n_states :]
        parameters = np.where(
            self.logarithmic, np.exp(np.where(self.logarithmic, own, 0.0)), own * self.scale[self.n_states :]
        )
        return changed, parameters

    def variance_rates(self, model: Model, walks: Mapping[str, RandomWalk]) -> Array:
        """(n_coordinates,) per second: what random walks add. A walk on a field's name holds for all of its entries.

        Raises UnknownNameError for what is neither a state nor one of the parameters, UnitError.
        """
        rates = np.zeros(self.n)
        blocks = {b.name: b for b in model.state if b.kind is StateKind.DIFFERENTIAL}
        for name, walk in walks.items():
            if name in blocks:
                rate = walk.variance_rate(blocks[name].unit, name=name)
                hit = [k for k, own in enumerate(self.names[: self.n_states]) if own.partition("[")[0] == name]
                rates[hit] = rate / self.scale[hit] ** 2
            elif name in self.declared:
                k = self.names.index(name, self.n_states)
                rates[k] = _rate(walk, self.declared[name]) / self.scale[k] ** 2
            else:
                raise unknown_name("state or uncertain parameter", name, [*blocks, *self.parameters])
        return rates


def _rate(walk: RandomWalk, parameter: Parameter) -> float:
    """Variance per second of a parameter's walk, of ln x where it is estimated in its logarithm, else SI squared.

    A share ("2 %") and a difference ("0.1 W/K") are turned into one another at the declared value. Of a parameter
    without a dimension "2 %" is a share too, and a bare 0.02 a difference.
    """
    one, size, unit = Unit("1"), abs(float(parameter.value)), parse(walk.sd)[1]
    share = unit.dimension == one.dimension and (parameter.unit.dimension != one.dimension or unit.text == "%")
    if share and parameter.unit.offset != 0.0:
        raise UnitError(
            f"random walk of {parameter.name}: {walk.sd} of a value in {parameter.unit}, whose zero is a convention; "
            f'give a difference, as "1 {parameter.unit.difference()}"'
        )
    if share:
        rate = walk.variance_rate(one, name=parameter.name)
        return rate if parameter.log_scale else rate * size**2
    rate = walk.variance_rate(parameter.unit, name=parameter.name)
    return rate / size**2 if parameter.log_scale else rate


def _size(parameter: Parameter) -> float:
    """A typical magnitude, SI, so that coordinates are of order one; bounds may be wider than that by any factor."""
    low, high = parameter.bounds
    width = high - low if np.isfinite(high - low) else 0.0
    sd = 0.0 if parameter.prior is None else parameter.prior.sd
    return next((size for size in (abs(float(parameter.value)), sd, width) if 0.0 < size < np.inf), 1.0)
