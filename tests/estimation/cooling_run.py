"""A small calibration of several starts, for tests that run it in other processes and kill them.

`python cooling_run.py CHECKPOINT OUT SEED` calibrates and writes the posterior.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.process import FunctionModel

METHOD = GaussNewton(starts=4, n_draws=50)
UNKNOWN = ("rate", "initial.T")


def rate(t: float, state: Any, inputs: Any, values: Any) -> dict[str, float]:
    pause = os.environ.get("COOLING_PAUSE")
    if pause:
        time.sleep(float(pause))
    _die_once()
    return {"T": -values["rate"] * (state["T"] - 280.0)}


def _die_once() -> None:
    """Kill this process where COOLING_KILL names a file that is not there yet; "always" kills every time.

    Not the process that started it, which a test runs in.
    """
    marker = os.environ.get("COOLING_KILL")
    if not marker or os.getpid() == int(os.environ["COOLING_PARENT"]):
        return
    if marker != "always":
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            return
    os.kill(os.getpid(), 9)


def model() -> FunctionModel:
    return FunctionModel(
        "cooling",
        version="1",
        rate=rate,
        states={"T": ("K", "300 K")},
        parameters=[Parameter("rate", "0.1 1/s", bounds=("1e-3 1/s", "2 1/s"))],
        outputs={"T": "K"},
    )


def run() -> Experiment:
    t = np.linspace(1.0, 20.0, 8)
    y = 280.0 + 20.0 * np.exp(-0.3 * t) + 0.1 * np.random.default_rng(0).standard_normal(t.size)
    return Experiment.from_arrays("run", t, {"T": y}, channels=[Channel("T", unit="K", noise=EstimatedNoise("1 K"))])


def fit(
    checkpoint: "str | os.PathLike[str] | None" = None,
    *,
    executor: Executor | None = None,
    rng: int = 3,
    unknown: Sequence[str] = UNKNOWN,
    **options: Any,
) -> Posterior:
    return calibrate(
        model(),
        run(),
        unknown=list(unknown),
        method=METHOD,
        rng=rng,
        executor=executor,
        checkpoint=checkpoint,
        **options,
    )


def same(a: Posterior, b: Posterior) -> bool:
    """Whether two posteriors are the same to the last bit."""
    return (
        a.draws.values.tobytes() == b.draws.values.tobytes()
        and a.covariance.values.tobytes() == b.covariance.values.tobytes()
        and (dict(a.mode), a.message, a.failures, a.warnings) == (dict(b.mode), b.message, b.failures, b.warnings)
    )


if __name__ == "__main__":
    fit(sys.argv[1] or None, rng=int(sys.argv[3])).save(sys.argv[2])
