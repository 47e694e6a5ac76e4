"""Certified boxes keep what they promise: the true probability at their worst point, over random problems."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from physics_twin.envelope import find_envelope

sys.path.insert(0, str(Path(__file__).parent))

from known_problems import known_problem, true_worst

CASES = [
    *((1, number) for number in range(160)),
    *((2, number) for number in range(4, 16)),
    *((2, number) for number in range(300, 327)),
    *((3, number) for number in (0, 300, 301)),
]
"""Settings and number of each problem: most have one, which costs a tenth of two."""
BUDGET: dict[int, dict[str, Any]] = {
    1: {"n_points": 16, "most_draws": 330},
    2: {"n_points": 28, "most_draws": 300},
    3: {"n_points": 50, "most_draws": 400},
}


@pytest.mark.slow
def test_certified_boxes_hold_at_their_true_worst_point_in_95_percent_of_problems(analytic):
    """A certificate of 0.95 at 95 % is wrong in no more of 200 problems than chance allows at the 1 % level.

    So is it among those that needed more than one attempt: the error was divided over them. Points of a box that
    nobody certified are no worse than the certified ones by more than a hundredth.
    """
    wrong, attempts, between = [], [], []
    for d, number in CASES:
        known = known_problem(number, d, analytic, **BUDGET[d])
        envelope = find_envelope(**known.asked)
        if envelope.empty:
            continue
        worst, at = true_worst(known, envelope)
        wrong.append((worst < 0.0, d, number, known.tags, at))
        attempts.append(len(envelope.certificate.attempts))
        between.append(known.excess(envelope.certificate.points).min() - worst)
    n_wrong, again = np.array([w[0] for w in wrong]), np.array(attempts) > 1
    failed = "\n".join(str(w[1:]) for w in wrong if w[0])
    assert len(wrong) >= 0.5 * len(CASES)  # a certificate that is never given proves nothing
    assert again.sum() >= 10
    assert n_wrong.sum() <= binom.ppf(0.99, len(wrong), 0.05), failed
    assert n_wrong[again].sum() <= binom.ppf(0.99, again.sum(), 0.05), failed
    assert max(between) < 0.01
