"""Three to eight settings: more than a grid can hold, certified at every corner all the same."""

import numpy as np
import pytest
from scipy.stats import norm

from physics_twin.envelope import Limit, final, find_envelope
from physics_twin.envelope.ranges.box import largest_box
from physics_twin.envelope.region.design_space import search_cloud
from physics_twin.errors import EnvelopeError


def asked(analytic, formula, d, limit, n=600, sd=1.0):
    model, settings = analytic.closed_form({"y": formula}, ["a"]), analytic.knobs(d)
    return find_envelope(
        model,
        analytic.gaussian_draws(model, n, seed=d, sd=sd),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[limit],
        rng=3,
    )


@pytest.mark.parametrize("d", [4, 6, pytest.param(8, marks=pytest.mark.slow)])
def test_a_linear_limit_has_its_edge_in_closed_form_and_all_corners_are_certified(analytic, d):
    """sum s + 0.1 a <= d/2: P = Phi((d/2 - sum s) / 0.1) at the worst corner, equal widths. 600 draws certify 2^d + 8
    points; a grid of 21 values for each setting would have 21^d."""
    envelope = asked(
        analytic,
        lambda t, v: sum(v[f"s{i}"] for i in range(d)) + 0.1 * v["a"],
        d,
        Limit("y", upper=0.5 * d, over=final),
    )
    highs = np.array([high for _, high in envelope.box.values()])
    assert 0.95 <= norm.cdf((0.5 * d - highs.sum()) / 0.1) <= 0.9995
    assert np.ptp(highs) < 2e-3
    assert len(envelope.certificate.points) == 2**d + 8
    assert envelope.certificate.lower_bounds.min() >= 0.95
    assert envelope.certificate.n_simulations < 1e-3 * 21**d * 600


@pytest.mark.parametrize("d", [5])
def test_a_ball_has_its_largest_cube(analytic, d):
    """Radius 0.4: side 0.8 / sqrt(d)."""
    envelope = asked(
        analytic,
        lambda t, v: sum((v[f"s{i}"] - 0.5) ** 2 for i in range(d)) + 0.0 * v["a"],
        d,
        Limit("y", upper=0.16),
    )
    widths = [high - low for low, high in envelope.box.values()]
    assert widths == pytest.approx([0.8 / np.sqrt(d)] * d, rel=5e-3)


def test_a_wall_inside_a_box_of_good_corners_is_seen_in_six_dimensions():
    """A wall across one axis touches no corner and, here, no point of the cloud: the box lies on one side of it."""

    def level(u):
        return np.abs(u[:, 5] - 0.45) - 0.05

    cloud = search_cloud(6, np.random.default_rng(0))
    sparse = cloud[np.abs(cloud[:, 5] - 0.45) > 0.06]
    box = largest_box(level, sparse, level(sparse), np.zeros((0, 6)))
    assert box.high[5] <= 0.4 + 1e-3 or box.low[5] >= 0.5 - 1e-3
    assert box.widths[5] > 0.3


def test_more_than_eight_settings_are_refused(analytic):
    with pytest.raises(EnvelopeError, match=r"9 settings.*at most 8"):
        asked(analytic, lambda t, v: sum(v[f"s{i}"] for i in range(9)) + 0.1 * v["a"], 9, Limit("y", upper=4.0))
