"""What a twin shows of itself."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Belief
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.twin.shown import spread_of
from tests.twin.plants import fed, heater_samples, heater_twin

SAMPLES = heater_samples(30)


def test_what_nothing_changes_is_shown_the_same():
    """The spread of a held parameter is one number, at whichever moment it is looked at."""
    twin = fed(heater_twin(adaptive=False), SAMPLES[:60])
    assert fed(twin, SAMPLES[60:]).spread["UA"] == pytest.approx(twin.spread["UA"], rel=1e-12)


def test_a_spread_is_that_of_the_belief():
    """Exact for what is normal and for what is log-normal, and within the bounds."""
    model = heater_twin().setup.model
    narrow, wide = (pt.Parameter(n, "1 W/K", bounds=("0.01 W/K", "1e4 W/K")) for n in ("UA", "link"))
    own = Coordinates.of(model, (narrow, wide))
    assert own.logarithmic.all()
    root = np.diag(np.array([0.5, 0.25, 0.3, 50.0]) / np.where(np.arange(4) < 2, own.scale, 1.0))
    states, parameters = spread_of(Belief("x", np.full((1, 3), 300.0), np.array([[2.0, 1.0]]), root), own)
    assert states == pytest.approx([0.5, 0.25, 0.0], rel=1e-12)
    assert parameters[0] == pytest.approx(2.0 * np.exp(0.045) * np.sqrt(np.expm1(0.09)), rel=1e-12)
    assert parameters[1] == pytest.approx(0.5 * (1e4 - 0.01), rel=1e-12)
