"""A margin that jumps: the edge lies at the jump, and the box ends just before it."""

import math

import numpy as np
import pytest

from physics_twin.envelope import Budget, Limit, find_envelope


@pytest.mark.parametrize("edge", [0.3217, 0.71423])
def test_one_setting_ends_at_a_jump(analytic, edge):
    """Beyond the edge a run has no value: the box ends there to two of the least distances between settings, 1e-4."""
    model = analytic.closed_form({"y": lambda t, v: np.where(v["s0"] + 0.0 * t < edge, 1.0 + v["s0"], math.nan)}, ["a"])
    settings = analytic.knobs(1)
    found = find_envelope(
        model,
        analytic.gaussian_draws(model, 12, 0),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=4.0)],
        probability=0.5,
        rng=1,
        budget=Budget(n_search=1),
    )
    low, high = found.box["s0"]
    assert low == 0.0
    assert edge - 2e-4 <= high < edge
