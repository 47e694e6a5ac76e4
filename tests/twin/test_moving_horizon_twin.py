"""A twin with moving horizon estimation: the same answers as other filters, and the twin's laws to the last bit."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation import RealTimeIteration
from tests.twin.plants import at, fed, heater_block, heater_samples, heater_twin

SAMPLES = heater_samples(40)
METHODS = [pt.MovingHorizon(), pt.MovingHorizon(6, RealTimeIteration())]


@pytest.mark.parametrize("method", METHODS, ids=["converged", "real-time"])
def test_a_nearly_linear_plant_agrees_with_the_extended_kalman_filter(method):
    """Both parameters within a tenth of their uncertainty, and the same uncertainty within a tenth."""
    exact = fed(heater_twin(method=pt.ExtendedKalman()), SAMPLES)
    found = fed(heater_twin(method=method), SAMPLES)
    assert not found.reason and found.state.n_updates == 40
    for name in ("UA", "link", "T1", "T2"):
        sd = exact.spread[name]
        assert abs(found.mean[name] - exact.mean[name]) < 0.1 * sd
        assert found.spread[name] == pytest.approx(sd, rel=0.1)


@pytest.mark.parametrize("method", METHODS, ids=["converged", "real-time"])
def test_calls_late_samples_and_restarts_change_no_bit(method, tmp_path):
    """In one call, in pieces, late, and from a file: the same digest."""
    whole = fed(heater_twin(method=method), SAMPLES)
    pieces = heater_twin(method=method)
    for first in range(0, len(SAMPLES), 7):
        pieces = fed(pieces, SAMPLES[first : first + 7])
    assert pieces.digest == whole.digest
    late = fed(heater_twin(method=method), [*SAMPLES[:129], *SAMPLES[133:]])
    assert fed(late, SAMPLES[129:133]).digest == whole.digest
    half = fed(heater_twin(method=method), SAMPLES[:90])
    half.save(tmp_path / "half.nc")
    assert fed(pt.Twin.load(tmp_path / "half.nc", heater_block()), SAMPLES[90:]).digest == whole.digest


def test_inputs_between_samples_do_not_shorten_the_window():
    """Powers at moments of their own: six moments of samples stay in the window, and a gap does not let it grow."""
    method = pt.MovingHorizon(6)
    shifted = [pt.Sample(s.channel, s.time - 10**9, s.value, s.unit) if s.channel[0] == "q" else s for s in SAMPLES[4:]]
    twin = fed(heater_twin(method=method), shifted)
    memory = twin.state.belief.memory
    assert len(np.unique(memory["sample_moment"])) == 7
    assert len(memory["times"]) == 8  # one change of a power among them
    powers = [pt.Sample("q1", at(200.0 + k), 1.0 + k % 2, "W") for k in range(60)]
    assert len(fed(twin, powers).state.belief.memory["times"]) == 25
