"""Derivatives of a field model by three ways: tangents, adjoint, differences of replayed runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.recipes import Recipe
from physics_twin.simulation import complete_values


def check_gradients(
    model: Any,
    times: Array,
    recipe: Recipe,
    wrt: Sequence[str],
    values: Mapping[str, Any] | None = None,
    *,
    adjoint: bool = True,
    tolerance: float = 2e-6,
    part: float = 1e-4,
) -> None:
    """Tangents against central differences of runs with the same steps; the adjoint against the tangents.

    Differences of relative step `part` of a smooth function err by its square and by rounding / part; the tolerance is
    relative to the largest entry of a column.
    """
    v = complete_values(model, recipe, values)
    held = model.replaying(times, recipe, v) if hasattr(model, "replaying") else model
    outputs, jacobian, _ = held.sensitivity(times, recipe, v, list(wrt))
    for k, name in enumerate(wrt):
        step = part * (abs(float(v[name])) or 1.0)
        up, down = (held.trajectory(times, recipe, v.merge({name: float(v[name]) + s}))[0] for s in (step, -step))
        differences = (up - down) / (2.0 * step)
        for j, signal in enumerate(model.outputs):
            size = np.abs(differences[:, j]).max()
            if size <= 1e-9 * np.abs(outputs[:, j]).max() / step or signal.name.endswith("_imbalance"):
                continue  # what does not move, or only by rounding
            error = np.abs(jacobian[:, j, k] - differences[:, j]).max() / size
            assert error < tolerance, f"d {signal.name} / d {name}: {error:.1e} of its size"
    if adjoint:
        same, pull = held.pullback(times, recipe, v, list(wrt))
        np.testing.assert_array_equal(same, outputs)
        weights = np.random.default_rng(0).standard_normal(outputs.shape) / (np.abs(outputs).max(axis=0) + 1e-30)
        expected = np.einsum("to,tok->k", weights, jacobian)
        size = np.einsum("to,tok->k", np.abs(weights), np.abs(jacobian))
        np.testing.assert_array_less(np.abs(pull(weights) - expected), 1e-9 * size + 1e-300)
