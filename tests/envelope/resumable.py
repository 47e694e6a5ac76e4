"""A small search in a process of its own, for tests that kill it: resumable.py folder out [seed]."""

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.envelope import Budget, Envelope, Limit, Maximize, final, find_envelope, find_set_point
from physics_twin.envelope.set_point.optimum import SetPoint
from physics_twin.errors import SolveError
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting, Signal

KNOB = Setting("s", "1", bounds=(0.0, 1.0))
PARAMETERS = ParameterSet([Parameter("a", 0.0, unit="1")])


@dataclass(frozen=True)
class Slow:
    """y = s + 0.1 a, one member at a time, with a pause and now and then a failure."""

    pause: float = 0.0
    fingerprint: str = "slow-1"
    name: str = "slow"
    version: str = "1"
    parameters: ParameterSet = PARAMETERS
    inputs: tuple[Signal, ...] = ()
    outputs: tuple[Signal, ...] = (Signal("y", "1"),)
    state: tuple[Any, ...] = ()
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def trajectory(self, times, recipe, values, state=None):
        time.sleep(self.pause)
        if values["a"] > 2.2:
            raise SolveError("the pump runs dry", time=1.0)
        return np.full((len(times), 1), np.exp(values["s"]) / np.e + 0.1 * values["a"]), np.zeros(0)

    def initial_state(self, t0, recipe, values):
        return np.zeros(0)

    def advance(self, state, t0, t1, recipe, values):
        return state

    def observe(self, state, t, recipe, values):
        return self.trajectory(np.array([t]), recipe, values)[0][0]


def ask() -> dict[str, Any]:
    """What envelopes and set points are asked alike."""
    return {
        "recipe": Recipe([Phase("run", duration="1 h")], initial={"s": KNOB}),
        "settings": [KNOB],
        "limits": [Limit("y", upper=0.9, over=final)],
        "probability": 0.9,
        "rng": 3,
    }


def posterior(seed: int = 7) -> Posterior:
    """150 draws."""
    return Posterior.from_draws(PARAMETERS, np.random.default_rng(seed).standard_normal((150, 1)))


def best(folder: Path | None, of: Posterior | None, **changes: Any) -> SetPoint:
    """The set point with the largest y; the same arguments but the folder give the same bytes."""
    return find_set_point(Slow(), of, objectives=Maximize("y"), checkpoint=folder, **{**ask(), **changes})


def search(folder: Path | None, pause: float = 0.0, executor: Executor | None = None, **changes: Any) -> Envelope:
    """The envelope; the same arguments but the first three give the same bytes."""
    arguments: dict[str, Any] = {**ask(), "budget": Budget(n_points=9), **changes}
    model = Slow(pause, arguments.pop("fingerprint", "slow-1"))
    return find_envelope(model, posterior(), checkpoint=folder, executor=executor, **arguments)


if __name__ == "__main__":
    search(Path(sys.argv[1]), float(os.environ["PAUSE"])).save(sys.argv[2])
