"""Filters beside their peers: ensemble Kalman on Lorenz's system of 1996 beside DAPPER, and the update of a field.

The peers run where somebody has installed them; nothing here needs them. One unit of work is one cycle: the forecast of
all members and the analysis of forty observations.
"""

import contextlib
import io
import types
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Belief, Observation, Predicted, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.ensemble_kalman.draws import rotation
from physics_twin.assimilation.ensemble_kalman.transform import analysis
from physics_twin.assimilation.keys import Key
from physics_twin.model import StateBlock
from physics_twin.signals import Signal
from physics_twin.units import Unit
from physics_twin_validation.lorenz.case import error, truth

N_CYCLES = 500
SIZES = [24, 40]
BURN_IN = 400
"""Cycles; the error is stated over the rest."""


def lorenz(n_members: int) -> Any:
    return pytest.mark.benchmark(group=f"Lorenz 1996, 40 entries, {n_members} members, per cycle")


def kernel(n_members: int, n_cycles: int = N_CYCLES) -> float:
    """Forecast, symmetric root, rotation and inflation on arrays: what DAPPER's "Sqrt" does."""
    problem, true, observed = truth("96", 1, n_cycles)
    rng = np.random.default_rng(2)
    e = problem.mean + np.sqrt(problem.spread) * rng.standard_normal((n_members, 40))
    root, recipe, times = np.sqrt(n_members - 1.0), pt.Recipe.constant(), np.array([0.0, problem.between])
    errors = np.empty(n_cycles)
    for k, y in enumerate(observed):
        e = problem.model.trajectories(times, recipe, {}, e)[1]
        mean = e.mean(axis=0)
        a = 1.013 * (e - mean)
        shift, a = analysis(a, a / root, y - mean)
        e = mean + shift + rotation(rng.standard_normal((n_members - 1, n_members - 1))) @ a
        errors[k] = np.sqrt(np.mean((mean + shift - true[k]) ** 2))
    return float(errors[BURN_IN:].mean()) if n_cycles > BURN_IN else np.nan


@pytest.mark.parametrize("n_members", [pytest.param(n, marks=lorenz(n)) for n in SIZES])
def test_physics_twin(benchmark: Any, n_members: int) -> None:
    truth("96", 1, N_CYCLES)
    benchmark.extra_info["units_of_work"] = N_CYCLES
    benchmark.pedantic(kernel, args=(n_members,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["rmse"] = kernel(n_members, 4000)
    assert benchmark.extra_info["rmse"] == pytest.approx(0.19, abs=0.02)


@pytest.mark.parametrize("n_members", [pytest.param(n, marks=lorenz(n)) for n in SIZES])
def test_whole_method(benchmark: Any, n_members: int) -> None:
    method = pt.EnsembleKalman(n_members, inflation=1.013, rotate=True)
    truth("96", 1, N_CYCLES)
    benchmark.extra_info["units_of_work"] = N_CYCLES
    benchmark.pedantic(error, args=(method, "96"), kwargs={"n_cycles": N_CYCLES}, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n_members", [pytest.param(n, marks=lorenz(n)) for n in SIZES])
def test_dapper(benchmark: Any, n_members: int) -> None:
    pytest.importorskip("dapper", reason="DAPPER is not installed")
    import dapper.da_methods as methods
    import dapper.tools.progressbar as progress
    from dapper.mods.Lorenz96.sakov2008 import HMM

    progress.disable_progbar = True
    HMM.tseq.Ko = N_CYCLES - 1
    truths = HMM.simulate()
    found = methods.EnKF("Sqrt", N=n_members, infl=1.013, rot=True)

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            found.assimilate(HMM, *truths, liveplots=False)

    benchmark.extra_info["units_of_work"] = N_CYCLES
    benchmark.pedantic(run, rounds=3, warmup_rounds=1)


class Field:
    """33^3 nodes of a unit cube, 100 point sensors, 50 smooth members: what one update of a thermal field sees."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        axis = np.linspace(0.0, 1.0, 33)
        self.places = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        n, self.n_members = len(self.places), 50
        waves = np.cos(np.pi * self.places @ rng.integers(0, 6, (3, 60)))
        states = 300.0 + rng.standard_normal((self.n_members, 60)) @ waves.T
        nodes = rng.choice(n, 100, replace=False)
        model: Any = types.SimpleNamespace(
            name="cube",
            state=(StateBlock("temperature", Unit("K"), n, 1.0, coordinates=self.places),),
            outputs=tuple(Signal(f"T{k:03d}", "K") for k in range(100)),
            output_places={f"T{k:03d}": self.places[node] for k, node in enumerate(nodes)},
        )
        self.dynamics = Dynamics(model, pt.Recipe.constant(), {}, Coordinates.of(model, []))
        memory = {"inflation": np.ones(1), "fresh": np.zeros(1), "clipped": np.zeros(1)}
        belief = Belief("ensemble kalman", states, np.zeros((self.n_members, 0)), None, memory)
        seen = states[:, nodes]
        self.predicted = Predicted(belief, seen.mean(axis=0), np.cov(seen.T), {"outputs": seen})
        self.step = Step(0.0, 1.0, {}, np.zeros(n), Key(0, 0))
        names = tuple(f"T{k:03d}" for k in range(100))
        self.observation = Observation(np.arange(100), seen.mean(axis=0) + 1.0, np.full(100, 0.25), names)


@pytest.fixture(scope="module")
def field() -> Field:
    return Field()


@pytest.mark.parametrize("radius", [None, "0.1 m", "0.3 m"])
@pytest.mark.benchmark(group="update of a field: 36 thousand entries, 50 members, 100 point sensors")
def test_physics_twin_field(benchmark: Any, field: Field, radius: str | None) -> None:
    method = pt.EnsembleKalman(field.n_members, localization=None if radius is None else pt.Localized(radius))
    benchmark.pedantic(
        method.update,
        args=(field.predicted, field.dynamics, field.step, field.observation),
        rounds=3,
    )
