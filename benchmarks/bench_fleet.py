"""Many process twins at once: what one update costs, whether a fleet keeps up at 1 Hz, how fast one catches up.

As a benchmark, one update of one twin by each filter. As a program, a fleet in real time:

    python benchmarks/bench_fleet.py --twins 300 --workers 2 --seconds 60

Each worker owns its share of the twins. A twin's samples are due once a second, those of the fleet are spread over it.
Reported are times of single updates, how late they were done, and how the memory of the workers grows after the first
quarter. Then one twin is given a quarter of an hour at once: how many times faster than real time it goes through it.
"""

import argparse
import functools
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.twin.moments import SECOND, moment

AT = moment("2026-11-20T06:00:00Z")
METHODS = {
    "ensemble_of_40": lambda: pt.EnsembleKalman(40),
    "sigma_points": pt.UnscentedKalman,
    "linearised": pt.ExtendedKalman,
}


@functools.cache
def reactor() -> pt.ProcessModel:
    """Six states: two reactions in a jacketed stirred tank; the jacket's feed is a live input."""
    m = pt.ProcessBuilder("reactor", version="1.0")
    k1, k2 = m.parameter("k1", "0.12 l/mol/min"), m.parameter("k2", "0.015 l/mol/min")
    ua = m.parameter("ua", "0.25 1/min")
    e1, e2 = (m.constant(e) / m.constant("8.314 J/mol/K") for e in ("62 kJ/mol", "80 kJ/mol"))
    q = m.constant("0.05 1/min")
    jacket = m.input("jacket", "K")
    a, b = m.state("a", "mol/l", initial="1 mol/l"), m.state("b", "mol/l", initial="1.25 mol/l")
    c, d = (m.state(name, "mol/l", initial="0 mol/l", scale="1 mol/l") for name in ("c", "d"))
    t = m.state("T", "K", initial="330 K", scale="10 K")
    tj = m.state("Tj", "K", initial="330 K", scale="10 K")
    away = 1 / t - 1 / m.constant("350 K")
    r1, r2 = k1 * pt.exp(-e1 * away) * a * b, k2 * pt.exp(-e2 * away) * b * c
    m.rate(a, q * (m.constant("2 mol/l") - a) - r1)
    m.rate(b, q * (m.constant("2.5 mol/l") - b) - r1 - r2)
    m.rate(c, r1 - r2 - q * c)
    m.rate(d, r2 - q * d)
    m.rate(t, q * (m.constant("330 K") - t) + m.constant("55 K*l/mol") * (r1 + 0.6 * r2) - ua * (t - tj))
    m.rate(tj, m.constant("0.5 1/min") * (jacket - tj) + 4 * ua * (t - tj))
    m.output("T", t)
    m.output("Tj", tj)
    return m.build()


def readings(seed: int, seconds: int) -> list[list[pt.Sample]]:
    """Samples of one plant, second by second, with other parameters than the twin believes."""
    model, rng = reactor(), np.random.default_rng(seed)
    times = np.arange(seconds + 1.0)
    jacket = 330.0 + 3.0 * np.sin(times / 300.0 + seed)
    values = {**model.parameters.values(), "ua": model.parameters["ua"].value * rng.uniform(0.9, 1.1)}
    recipe = pt.Recipe.from_table(times, {"jacket": (jacket, "K", pt.HOLD)})
    outputs, _ = model.trajectory(times, recipe, values)
    noisy = outputs + 0.3 * rng.standard_normal(outputs.shape)
    return [
        [
            pt.Sample("jacket", AT + k * SECOND, jacket[k], "K"),
            pt.Sample("T", AT + k * SECOND, noisy[k, 0], "K"),
            pt.Sample("Tj", AT + k * SECOND, noisy[k, 1], "K"),
        ]
        for k in range(seconds + 1)
    ]


def twin(method: str, seed: int) -> pt.Twin:
    """A twin that learns two parameters."""
    model, rng = reactor(), np.random.default_rng(seed)
    unknown = [model.parameters["k1"], model.parameters["ua"]]
    draws = np.column_stack([p.value * (1.0 + 0.05 * rng.standard_normal(200)) for p in unknown])
    return pt.Twin.start(
        model,
        pt.Posterior.from_draws(unknown, draws),
        at=AT,
        channels=[pt.Channel(name, unit="K", noise="0.3 K") for name in ("T", "Tj")],
        initial_sd={"T": "1 K", "Tj": "1 K", "a": "0.02 mol/l"},
        drift={"ua": pt.RandomWalk("0.01 1/min", per="1 h")},
        process_noise={name: pt.RandomWalk("0.1 K", per="1 min") for name in ("T", "Tj")},
        seed=seed,
        method=METHODS[method](),
    )


@pytest.mark.benchmark(group="one update of a process twin, three samples")
@pytest.mark.parametrize("method", METHODS)
def test_update(benchmark: Any, method: str) -> None:
    samples = iter(readings(1, 300))
    own, _ = pt.assimilate(twin(method, 1), next(samples))
    held = [own]

    def update() -> None:
        held[0], innovation = pt.assimilate(held[0], next(samples))
        assert not innovation.reason

    benchmark.pedantic(update, rounds=200, warmup_rounds=20)


def resident() -> float:
    """MB of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_share(seeds: list[int], method: str, seconds: int, begin: float) -> dict[str, Any]:
    """One worker: its twins, second by second in real time from `begin` (time.time) on."""
    twins = [twin(method, seed) for seed in seeds]
    samples = [readings(seed, seconds) for seed in seeds]
    twins = [pt.assimilate(own, given[0])[0] for own, given in zip(twins, samples, strict=True)]
    began = max(begin, time.time())
    took, worked, late, memory, unhappy = [], [], [], [], 0
    for k in range(1, seconds + 1):
        for j in range(len(twins)):
            due = began + k - 1 + j / len(twins)
            time.sleep(max(0.0, due - time.time()))
            start, cpu = time.perf_counter(), time.process_time()
            twins[j], innovation = pt.assimilate(twins[j], samples[j][k])
            took.append(time.perf_counter() - start)
            worked.append(time.process_time() - cpu)
            late.append(time.time() - due)
            unhappy += bool(innovation.reason)
        memory.append(resident())
    return {"took": took, "worked": worked, "late": late, "memory": memory, "unhappy": unhappy}


def catch_up(method: str, seconds: int) -> float:
    """Times faster than real time, of one twin that gets all samples at once."""
    own, _ = pt.assimilate(twin(method, 1), readings(1, 1)[0])
    samples = [sample for moment_ in readings(1, seconds)[1:] for sample in moment_]
    start = time.perf_counter()
    own, innovation = pt.assimilate(own, samples, budget=None)
    assert not innovation.reason
    return seconds / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description="A fleet of process twins in real time.")
    parser.add_argument("--twins", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--method", choices=list(METHODS), default="sigma_points")
    said = parser.parse_args()
    shares = [list(range(w, said.twins, said.workers)) for w in range(said.workers)]
    # Starting 150 twins and making up their readings takes a while; all workers begin together.
    begin = time.time() + 5.0 + 0.1 * len(shares[0]) + 2e-5 * said.seconds * len(shares[0])
    with ProcessPoolExecutor(said.workers, mp_context=get_context("spawn")) as pool:
        found = [pool.submit(run_share, share, said.method, said.seconds, begin) for share in shares]
        results = [future.result() for future in found]
        speed = pool.submit(catch_up, said.method, 900).result()
    rows = {
        "update": "took",
        "of it on the processor": "worked",
        "done after it was due": "late",
    }
    quarter = said.seconds // 4
    print(f"{said.twins} twins, {said.workers} workers, {said.seconds} s, {said.method}")
    print("                         mean    p50    p99    max  ms")
    for name, key in rows.items():
        row = np.concatenate([r[key] for r in results]) * 1e3
        print(f"{name:23s}", *(f"{v:6.1f}" for v in (row.mean(), *np.percentile(row, [50, 99]), row.max())))
    for w, result in enumerate(results):
        memory = result["memory"]
        print(f"worker {w}: {memory[quarter]:.0f} MB after {quarter} s, {memory[-1]:.0f} MB at the end")
    print(f"updates that were a prediction only: {sum(r['unhappy'] for r in results)}")
    print(f"catching up: {speed:.0f} times real time")


if __name__ == "__main__":
    main()
