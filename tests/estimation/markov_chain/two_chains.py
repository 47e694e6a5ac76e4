"""A small run of chains, for tests that run it in other processes and kill them.

`python two_chains.py CHECKPOINT` calibrates without end in sight; it is there to be killed.
"""

import sys
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.estimation import MarkovChain, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.posterior import Posterior
from physics_twin.process import FunctionModel, ProcessBuilder, ProcessModel

METHOD = MarkovChain(n_draws=60, n_chains=3, steps=40, warm_up=30)
BOUNDS = ("1e-3 1/s", "2 1/s")


def exact() -> ProcessModel:
    """A model with sensitivities."""
    m = ProcessBuilder("cooling", version="1")
    rate = m.parameter("rate", "0.1 1/s", bounds=BOUNDS)
    T = m.state("T", "K", initial="300 K", scale="10 K")
    m.rate(T, -rate * (T - m.constant("280 K")))
    m.output("T", T)
    return m.build()


def rate(t: float, state: Any, inputs: Any, values: Any) -> dict[str, float]:
    return {"T": -values["rate"] * (state["T"] - 280.0)}


def plain() -> FunctionModel:
    """The same without."""
    from physics_twin.parameters import Parameter

    return FunctionModel(
        "cooling",
        version="1",
        rate=rate,
        states={"T": ("K", "300 K")},
        parameters=[Parameter("rate", "0.1 1/s", bounds=BOUNDS)],
        outputs={"T": "K"},
    )


MODELS = {"exact": exact, "plain": plain}


def run(
    kind: str, *, executor: Executor | None = None, checkpoint: Path | None = None, progress: bool = False
) -> Posterior:
    """The posterior of one of the MODELS."""
    t = np.linspace(1.0, 20.0, 6)
    y = 280.0 + 20.0 * np.exp(-0.3 * t) + 0.5 * np.random.default_rng(0).standard_normal(t.size)
    data = Experiment.from_arrays("run", t, {"T": y}, channels=[Channel("T", unit="K", noise=EstimatedNoise("1 K"))])
    return calibrate(
        MODELS[kind](),
        data,
        unknown=["rate"],
        method=METHOD,
        rng=11,
        executor=executor,
        checkpoint=checkpoint,
        progress=progress,
    )


if __name__ == "__main__":
    run(sys.argv[1], checkpoint=Path(sys.argv[2]))
    time.sleep(60.0)
