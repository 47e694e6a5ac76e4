"""The noise about local curves: its size, its memory, chance, and the steps of a converter."""

import numpy as np
import pytest

from physics_twin.measurements.windows.local_noise import converter_step, local_noise, running_sum
from tests.measurements.noises import remembering


@pytest.mark.parametrize("memory", [1.0, 4.0, 10.0])
def test_memory_and_size_are_found_about_a_moving_signal(memory: float) -> None:
    """AR(1) noise on a ramp and a wave: mean of 20 trials within 4 standard errors, and 3 %, of the truth."""
    rng = np.random.default_rng(11)
    t = np.arange(2000.0)
    signal = 0.05 * t + 20.0 * np.sin(t / 500.0)
    found = [local_noise(t, signal + 0.3 * remembering(t, memory, rng), n_block=60) for _ in range(20)]
    for value, truth in (([one.memory for one in found], memory), ([one.sd for one in found], 0.3)):
        error = np.std(value) / np.sqrt(20)
        assert abs(np.mean(value) - truth) < 4.0 * error + 0.03 * truth


@pytest.mark.parametrize("n", [60, 120, 240])
def test_the_bend_of_a_start_up_is_no_memory(n: int) -> None:
    """White noise on 60 (1 - exp(-t/600 s)) over an hour: memory in 1 of 20, as on a flat curve, within 0.06."""
    rng = np.random.default_rng(18)
    t = np.linspace(0.0, 3600.0, n)
    curve = 20.0 + 60.0 * (1.0 - np.exp(-t / 600.0))
    found = [local_noise(t, curve + 0.3 * rng.standard_normal(n)) for _ in range(200)]
    assert np.mean([one.memory > 0.0 for one in found]) <= 0.05 + 4.0 * np.sqrt(0.05 * 0.95 / 200)
    assert np.median([one.sd for one in found]) == pytest.approx(0.3, rel=0.1)


def test_irregular_samples_have_the_memory_of_the_noise_and_not_of_their_order() -> None:
    """Exponential steps: the memory in s is that of the noise, within 4 standard errors and 5 %."""
    rng = np.random.default_rng(12)
    found = []
    for _ in range(20):
        t = np.cumsum(rng.exponential(1.0, 2000))
        found.append(local_noise(t, remembering(t, 3.0, rng), n_block=40).memory)
    assert abs(np.mean(found) - 3.0) < 4.0 * np.std(found) / np.sqrt(20) + 0.15


def test_white_noise_is_called_remembering_once_in_twenty() -> None:
    """Share of 400 white records with a memory: 0.05 within four binomial standard deviations, 0.044."""
    rng = np.random.default_rng(13)
    t = np.arange(300.0)
    hits = [local_noise(t, rng.standard_normal(300)).memory > 0.0 for _ in range(400)]
    assert abs(np.mean(hits) - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / 400)


def test_a_jump_is_no_noise() -> None:
    """A step of a hundred standard deviations in the middle changes neither size nor memory."""
    rng = np.random.default_rng(14)
    t = np.arange(2000.0)
    y = rng.standard_normal(2000)
    plain, jumped = local_noise(t, y), local_noise(t, y + 100.0 * (t > 1003.0))
    assert jumped.sd == pytest.approx(plain.sd, rel=0.02)
    assert jumped.memory == 0.0


def test_noise_of_each_sample_is_taken_out() -> None:
    """Samples with ten times the noise of others, at random: the size asked for is that of a scale of 1."""
    rng = np.random.default_rng(15)
    t = np.arange(4000.0)
    scale = np.where(rng.random(4000) < 0.5, 1.0, 10.0)
    found = local_noise(t, 0.2 * scale * rng.standard_normal(4000), scale)
    assert found.sd == pytest.approx(0.2, rel=4.0 / np.sqrt(2.0 * 4000))


@pytest.mark.parametrize("n", [0, 1, 2, 11])
def test_few_samples_say_nothing(n: int) -> None:
    """Below a block of samples nothing is claimed."""
    found = local_noise(np.arange(float(n)), np.arange(float(n)) ** 2)
    assert (found.sd, found.memory) == (0.0, 0.0)


def test_values_on_a_line_have_no_noise() -> None:
    """Rounding of floating-point numbers is not taken for noise with a memory."""
    t = np.arange(500.0) + 1e6
    found = local_noise(t, 300.0 + 0.1 * t)
    assert (found.sd, found.memory) == (0.0, 0.0)


def test_the_step_of_a_converter_is_seen_where_values_repeat() -> None:
    """Rounded to 0.32 K the step is 0.32 K; numbers that do not repeat have none; a declared one is believed."""
    rng = np.random.default_rng(16)
    values = 300.0 + rng.standard_normal(500)
    assert converter_step(np.round(values / 0.32) * 0.32) == pytest.approx(0.32, rel=1e-6)
    assert converter_step(values) == 0.0
    assert converter_step(values, 0.5) == 0.5
    assert converter_step(np.full(500, 300.0)) == 0.0


def test_running_sums_are_those_of_a_loop() -> None:
    """The doubling passes give u^T C u of each group to rounding."""
    rng = np.random.default_rng(17)
    t = np.cumsum(rng.exponential(1.0, 300))
    u = rng.standard_normal(300)
    decay = np.concatenate([[0.0], np.exp(-np.diff(t) / 7.0)])
    decay[120] = 0.0
    f = running_sum(decay, u)
    total = 0.0
    for part in (slice(0, 120), slice(120, 300)):
        c = np.exp(-np.abs(t[part, None] - t[None, part]) / 7.0)
        total += u[part] @ c @ u[part]
    assert (u * u).sum() + 2.0 * (u * f).sum() == pytest.approx(total, rel=1e-12)
