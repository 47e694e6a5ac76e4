"""A model as filters see it: members carried from one moment to the next, with their outputs and derivatives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.errors import SolveError
from physics_twin.model import Ensembles, Failure, Model
from physics_twin.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Dynamics:
    """A model under a recipe. fixed: every value that no member has for itself, SI, open settings excepted."""

    model: Model
    recipe: Recipe
    fixed: Mapping[str, float]
    coordinates: Coordinates

    def values(self, parameters: Array, settings: Mapping[str, float]) -> dict[str, Array]:
        """Name -> (n_members,) SI, of parameters (n_members, n_parameters)."""
        n = len(parameters)
        common = {**self.fixed, **settings}
        found = {name: np.full(n, float(value)) for name, value in common.items()}
        for k, name in enumerate(self.coordinates.parameters):
            found[name] = parameters[:, k]
        return found

    def advance(
        self, states: Array, parameters: Array, t0: float, t1: float, settings: Mapping[str, float]
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """States (n_members, n_state) and outputs (n_members, n_outputs) at t1; NaN in the rows that failures list."""
        columns = self.values(parameters, settings)
        if isinstance(self.model, Ensembles):
            times = np.array([t0, t1]) if t1 > t0 else np.array([t0])
            outputs, ends, failures = self.model.trajectories(times, self.recipe, columns, states)
            return ends, outputs[:, -1], failures
        ends = np.full_like(states, np.nan)
        outputs = np.full((len(states), len(self.model.outputs)), np.nan)
        failed: list[Failure] = []
        for k, state in enumerate(states):
            own = {name: float(column[k]) for name, column in columns.items()}
            try:
                end = self.model.advance(state, t0, t1, self.recipe, own) if t1 > t0 else state
                outputs[k] = self.model.observe(end, t1, self.recipe, own)
                ends[k] = end
            except SolveError as error:
                outputs[k] = np.nan
                failed.append(Failure(k, error.reason, error.time))
        return ends, outputs, tuple(failed)
