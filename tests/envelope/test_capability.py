"""Capability indices: exact values, intervals that cover, and what cannot be said."""

import numpy as np
import pytest
from scipy.stats import nct

from physics_twin.envelope.history.capability import one_sided, two_sided

LEVEL = 0.9


def test_the_interval_of_a_one_sided_index_is_that_of_the_noncentral_t():
    """At either end the observed t lies at a tail of the noncentral t with that noncentrality."""
    margins = np.array([1.0, 2.0, 2.5, 3.0, 4.5, 2.0])
    found = one_sided("x <= 5", "Ppu", margins, LEVEL, "all batches")
    n = margins.size
    assert found.value == pytest.approx(margins.mean() / (3.0 * margins.std(ddof=1)), rel=1e-12)
    t = 3.0 * np.sqrt(n) * found.value
    assert nct.cdf(t, n - 1, 3.0 * np.sqrt(n) * found.low) == pytest.approx(0.95, abs=1e-6)
    assert nct.cdf(t, n - 1, 3.0 * np.sqrt(n) * found.high) == pytest.approx(0.05, abs=1e-6)


def test_intervals_cover_the_true_index_as_often_as_they_say():
    """Of 400 samples of 8 normal values the share that covers is 0.9 within three binomial standard deviations."""
    rng = np.random.default_rng(0)
    true, hits, trials = 0.8, 0, 400
    for _ in range(trials):
        found = one_sided("x", "Ppu", 3.0 * true + rng.standard_normal(8), LEVEL, "all batches")
        hits += found.low <= true <= found.high
    assert abs(hits / trials - LEVEL) < 3.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / trials)


def test_many_values_agree_with_the_approximation_for_two_sides():
    """With 2,000 values Bissell's interval and the exact one agree to two percent of their width."""
    margins = 4.0 + np.random.default_rng(1).standard_normal(2000)
    exact = one_sided("x", "Ppu", margins, LEVEL, "all batches")
    other = one_sided("x", "Ppl", margins + 5.0, LEVEL, "all batches")
    both = two_sided("x", [other, exact], LEVEL)
    assert (both.index, both.value) == ("Ppk", exact.value)
    width = exact.high - exact.low
    assert both.low == pytest.approx(exact.low, abs=0.02 * width)
    assert both.high == pytest.approx(exact.high, abs=0.02 * width)


@pytest.mark.parametrize(
    ("margins", "value", "note"),
    [
        ([], np.nan, "too few values"),
        ([1.0], np.nan, "too few values"),
        ([1.0, np.nan], np.nan, "too few values"),
        ([2.0, 2.0, 2.0], np.inf, "the values do not scatter"),
        ([-2.0, -2.0], -np.inf, "the values do not scatter"),
        ([1.0, 2.0, 3.0], 2.0 / 3.0, "3 values only"),
    ],
)
def test_small_numbers_say_so(margins, value, note):
    """Nothing is made up from one value, and few values are named."""
    found = one_sided("x", "Ppu", np.array(margins), LEVEL, "batches inside")
    assert found.value == pytest.approx(value, nan_ok=True)
    assert found.note == note
