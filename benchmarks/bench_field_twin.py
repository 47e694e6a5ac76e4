"""A twin of a field: heat in a cube with 50 members and point sensors, seconds per update and where they go.

PHYSICS_TWIN_BENCH_CUBE sets the number of cells along an edge (32: 36k unknowns). One unit of work is one update.
"""

import os
import resource
import time
from pathlib import Path
from typing import Any

import cube_problem
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.twin.moments import SECOND, moment

N = int(os.environ.get("PHYSICS_TWIN_BENCH_CUBE", "32"))
N_MEMBERS, N_UPDATES = 50, 2
START = moment("2026-11-20T06:00:00Z")
AXIS = (0.2, 0.5, 0.8)
PLACES = [(x, y, z) for x in AXIS for y in AXIS for z in AXIS]
NOISE = 0.05
TRUE = {"film": "14 W/m^2/K"}


def cube() -> Any:
    """The cube of the other benchmarks, with 27 point sensors."""
    return cube_problem.model(N, points={f"T{k:02d}": place for k, place in enumerate(PLACES)})


def posterior(plant: Any) -> pt.Posterior:
    """The film coefficient within a fifth, the start within 1 K."""
    rng = np.random.default_rng(1)
    film, start = 10.0 * np.exp(0.2 * rng.standard_normal(60)), 273.15 + rng.standard_normal(60)
    chosen = [plant.parameters[name] for name in ("film", "initial.temperature")]
    return pt.Posterior.from_draws(chosen, np.column_stack([film, start]))


def readings(plant: Any) -> list[list[pt.Sample]]:
    """Of each update: all sensors at one moment, a step of the model after the one before."""
    times = cube_problem.STEP * np.arange(N_UPDATES + 1)
    run = pt.simulate(plant, times, pt.Recipe.constant(power="100 W/m^3"), values=TRUE)
    rng = np.random.default_rng(2)
    found = [[pt.Sample("power", START, 100.0, "W/m^3")]]
    for k, t in enumerate(times[1:], start=1):
        now = START + round(t * SECOND)
        values = [float(run[f"T{j:02d}"].values[k]) + NOISE * rng.standard_normal() for j in range(len(PLACES))]
        found.append([pt.Sample(f"T{j:02d}", now, value, "K") for j, value in enumerate(values)])
    return found


def timed(monkeypatch: Any, name: str) -> list[float]:
    """Seconds of each call of a method of the filter, as they come."""
    own, seconds = getattr(pt.EnsembleKalman, name), []

    def run(*arguments: Any) -> Any:
        begun = time.perf_counter()
        found = own(*arguments)
        seconds.append(time.perf_counter() - begun)
        return found

    monkeypatch.setattr(pt.EnsembleKalman, name, run)
    return seconds


@pytest.mark.parametrize("radius", [None, "0.2 m"])
@pytest.mark.benchmark(group=f"twin of a cube, {(N + 1) ** 3} nodes, {N_MEMBERS} members, {len(PLACES)} sensors")
def test_update(benchmark: Any, radius: str | None, tmp_path: Path, monkeypatch: Any) -> None:
    """Forecast of all members and analysis; the analysis alone, memory and the saved file are in extra_info."""
    plant = cube()
    first, *moments = readings(plant)
    spent = {name: timed(monkeypatch, name) for name in ("predict", "update")}
    twin = pt.Twin.start(
        plant,
        posterior(plant),
        at="2026-11-20T06:00Z",
        channels=[pt.Channel(f"T{k:02d}", unit="K", noise=(NOISE, "K")) for k in range(len(PLACES))],
        process_noise={"temperature": pt.RandomWalk("0.01 K", per="1 s")},
        method=pt.EnsembleKalman(N_MEMBERS, localization=None if radius is None else pt.Localized(radius)),
    )
    twin, _ = twin.assimilate(first, budget=None)
    waiting = iter(moments)

    def update() -> None:
        nonlocal twin
        twin, _ = twin.assimilate(next(waiting), budget=None)

    for seconds in spent.values():
        seconds.clear()
    benchmark.pedantic(update, rounds=N_UPDATES, iterations=1)
    target = tmp_path / "twin.nc"
    begun = time.perf_counter()
    twin.save(target)
    benchmark.extra_info.update(
        forecast_seconds=sum(spent["predict"]) / N_UPDATES,
        analysis_seconds=sum(spent["update"]) / N_UPDATES,
        save_seconds=time.perf_counter() - begun,
        file_megabytes=target.stat().st_size / 1e6,
        snapshots=len(twin.snapshots),
        peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        film=twin.mean["film"],
        load=os.getloadavg()[0],
    )
    assert twin.state.n_updates == N_UPDATES
