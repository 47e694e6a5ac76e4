"""Noise with a known memory, and experiments made of arrays."""

from collections.abc import Mapping

import numpy as np

from physics_twin.arrays import Array
from physics_twin.measurements import Channel, Experiment


def remembering(times: Array, memory: float, rng: np.random.Generator) -> Array:
    """Stationary noise of variance 1, correlated as exp(-|t - t'| / memory), at times (n,); white for memory 0."""
    decay = np.exp(-np.diff(times) / memory) if memory > 0.0 else np.zeros(times.size - 1)
    fresh = rng.standard_normal(times.size)
    out = fresh.copy()
    for i in range(1, times.size):
        out[i] = decay[i - 1] * out[i - 1] + np.sqrt(1.0 - decay[i - 1] ** 2) * fresh[i]
    return out


def record(times: Array, values: Array, noise: str = "1 K", **keywords: object) -> Experiment:
    """One channel T in K."""
    data: Mapping[str, Array] = {"T": values}
    return Experiment.from_arrays("run", times, data, channels=[Channel("T", unit="K", noise=noise, **keywords)])
