"""A model as filters see it: members carried from one moment to the next, with their outputs and derivatives."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.errors import SolveError
from physics_twin.measurements.places import Place
from physics_twin.model import Ensembles, Failure, Model, Trajectories
from physics_twin.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Dynamics:
    """A model under a recipe. fixed: every value that no member has for itself, SI, open settings excepted.

    places: output -> where its sensor is, in the frame of the model's mesh, as far as its channel says so.
    """

    model: Model
    recipe: Recipe
    fixed: Mapping[str, float]
    coordinates: Coordinates
    places: Mapping[str, Place] = field(default_factory=dict)

    @functools.cached_property
    def _fixed(self) -> tuple[tuple[str, ...], Array]:
        """Names and numbers (n, 1) of the fixed values."""
        return tuple(self.fixed), np.array([float(value) for value in self.fixed.values()])[:, None]

    def values(self, parameters: Array, settings: Mapping[str, float]) -> dict[str, Array]:
        """Name -> (n_members,) SI, of parameters (n_members, n_parameters)."""
        names, numbers = self._fixed
        columns = np.empty((len(names), len(parameters)))
        columns[...] = numbers
        found = dict(zip(names, columns, strict=True))
        for name, value in settings.items():
            found[name] = np.full(len(parameters), float(value))
        for k, name in enumerate(self.coordinates.of_plant):
            found[name] = parameters[:, k]
        return found

    def advance(
        self, states: Array, parameters: Array, t0: float, t1: float, settings: Mapping[str, float]
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """States (n_members, n_state) and outputs (n_members, n_outputs) at t1 >= t0; NaN in rows that failures list.

        With t1 == t0 the states are those given, to the last bit, and the outputs those of the moment (left limits).
        Behind the model's own outputs come those readings that a bias is part of, `Coordinates.biased`: an output and
        its sensor's bias. The settings hold over the whole step. Raises what a recipe raises that ends before t1.
        """
        columns = self.values(parameters, settings)
        if isinstance(self.model, Ensembles):
            times = np.array([t0, t1]) if t1 > t0 else np.array([t0])
            outputs, ends, failures = self.model.trajectories(times, self.recipe, columns, states)
            last = np.array(outputs[:, -1])
        else:
            ends, last, failures = self._one_by_one(columns, states, t0, t1)
        if t1 <= t0:
            ends = np.array(states)
            ends[[failure.member for failure in failures]] = np.nan
        if self.coordinates.biased:
            rows, own = (list(column) for column in zip(*self.coordinates.biased, strict=True))
            last = np.hstack([last, last[:, rows] + parameters[:, own]])
        return ends, last, (*failures, *_not_finite(ends, last, failures, t1))

    def _one_by_one(
        self, columns: Mapping[str, Array], states: Array, t0: float, t1: float
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        ends = np.full_like(states, np.nan)
        outputs = np.full((len(states), len(self.model.outputs)), np.nan)
        failed: list[Failure] = []
        for k, state in enumerate(states):
            own = {name: float(column[k]) for name, column in columns.items()}
            try:
                ends[k], outputs[k] = self._one(own, state, t0, t1)
            except SolveError as error:
                ends[k], outputs[k] = np.nan, np.nan
                failed.append(Failure(k, error.reason, error.time))
        return ends, outputs, tuple(failed)

    def _one(self, values: Mapping[str, float], state: Array, t0: float, t1: float) -> tuple[Array, Array]:
        if t1 <= t0:
            return state, self.model.observe(state, t0, self.recipe, values)
        if isinstance(self.model, Trajectories):  # saves the second start that `observe` costs
            seen, end = self.model.trajectory(np.array([t0, t1]), self.recipe, values, state)
            return end, seen[-1]
        end = self.model.advance(state, t0, t1, self.recipe, values)
        return end, self.model.observe(end, t1, self.recipe, values)


def _not_finite(ends: Array, outputs: Array, failures: tuple[Failure, ...], time: float) -> tuple[Failure, ...]:
    """Members that failed without saying so; their rows become NaN."""
    if np.isfinite(ends).all() and np.isfinite(outputs).all():
        return ()
    said = {failure.member for failure in failures}
    bad = np.flatnonzero(~(np.isfinite(ends).all(axis=1) & np.isfinite(outputs).all(axis=1)))
    new = [int(k) for k in bad if int(k) not in said]
    ends[new], outputs[new] = np.nan, np.nan
    return tuple(Failure(k, "the model returned a number that is not finite", time) for k in new)
