"""Models with outputs in closed form, so that true probabilities and true boxes are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from physics_twin.arrays import Array
from physics_twin.model import Failure
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting, Signal


@dataclass(frozen=True)
class ClosedForm:
    """A model whose outputs are functions of the time and of parameters and settings by name.

    outputs: name -> (unit, function(t (n, n_times), values name -> (n, 1)) -> (n, n_times), SI).
    fails: function(values) -> (n, 1) bool, which members cannot be simulated.
    """

    formulas: Mapping[str, tuple[str, Callable[..., Array]]]
    parameters: ParameterSet
    fails: Callable[..., Array] | None = None
    name: str = "closed_form"
    version: str = "1"
    fingerprint: str = "closed-form-1"
    inputs: tuple[Signal, ...] = ()
    state: tuple[Any, ...] = ()
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[Signal, ...]:
        return tuple(Signal(name, unit) for name, (unit, _) in self.formulas.items())

    def initial_state(self, t0, recipe, values):
        return np.zeros(0)

    def advance(self, state, t0, t1, recipe, values):
        return state

    def observe(self, state, t, recipe, values):
        return self.trajectory(np.array([t]), recipe, values)[0][0]

    def trajectory(self, times, recipe, values, state=None):
        outputs, _, failures = self.trajectories(times, recipe, {k: np.array([v]) for k, v in values.items()})
        assert not failures
        return outputs[0], np.zeros(0)

    def trajectories(self, times, recipe, values, states=None):
        columns = {name: np.asarray(v, dtype=float)[:, None] for name, v in values.items()}
        n = len(next(iter(columns.values())))
        t = np.broadcast_to(times, (n, np.shape(times)[-1]))
        outputs = np.stack([np.broadcast_to(f(t, columns), t.shape) for _, f in self.formulas.values()], axis=2).copy()
        failures = []
        if self.fails is not None:
            for i in np.flatnonzero(self.fails(columns)[:, 0]):
                outputs[i] = np.nan
                failures.append(Failure(int(i), "the pump runs dry", 1.0))
        return outputs, np.zeros((n, 0)), tuple(failures)


def closed_form(formulas: Mapping[str, Any], parameters: Sequence[str], **kwargs: Any) -> ClosedForm:
    """formulas: name -> function, or (unit, function); parameters are dimensionless and called as given."""
    given = {name: f if isinstance(f, tuple) else ("1", f) for name, f in formulas.items()}
    return ClosedForm(given, ParameterSet([Parameter(name, 0.0, unit="1") for name in parameters]), **kwargs)


def gaussian_draws(model: ClosedForm, n: int, seed: int, mean: float = 0.0, sd: float = 1.0) -> Posterior:
    """Independent normal draws of every parameter."""
    draws = mean + sd * np.random.default_rng(seed).standard_normal((n, len(model.parameters)))
    return Posterior.from_draws(model.parameters, draws)


def knobs(d: int, low: float = 0.0, high: float = 1.0) -> tuple[Setting, ...]:
    """Dimensionless settings s0, s1, ..."""
    return tuple(Setting(f"s{i}", "1", bounds=(low, high)) for i in range(d))


def one_hour(settings: Sequence[Setting]) -> Recipe:
    """A recipe of one phase that leaves the settings open."""
    return Recipe([Phase("run", duration="1 h")], initial={s.name: s for s in settings})


@pytest.fixture(scope="session")
def analytic() -> Any:
    """The builders above, for tests (test folders are not packages)."""

    class Builders:
        closed_form = staticmethod(closed_form)
        gaussian_draws = staticmethod(gaussian_draws)
        knobs = staticmethod(knobs)
        one_hour = staticmethod(one_hour)

    return Builders
