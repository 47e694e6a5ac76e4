"""Observed orders: of a rule whose order is known, and what has none."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import observed_order


@pytest.mark.parametrize(("rule", "order"), [("midpoint", 2.0), ("left", 1.0), ("simpson", 4.0)])
def test_orders_of_quadrature_rules(rule, order):
    """Midpoint 2, left 1, Simpson 4, on exp over [0, 1]."""
    sizes, errors = [], []
    for n in (4, 8, 16, 32):
        h = 1.0 / n
        x = np.arange(n) * h
        value = {
            "midpoint": h * np.exp(x + h / 2).sum(),
            "left": h * np.exp(x).sum(),
            "simpson": h / 6 * (np.exp(x) + 4 * np.exp(x + h / 2) + np.exp(x + h)).sum(),
        }[rule]
        sizes.append(h)
        errors.append(abs(value - (np.e - 1.0)))
    found = observed_order(sizes, errors)
    assert found.order == pytest.approx(order, abs=0.05)
    assert len(found.pairwise) == 3
    assert observed_order(sizes[::-1], errors[::-1]).order == pytest.approx(found.order)
    assert f"{found.order:.3f}" in str(found)


@pytest.mark.parametrize(
    ("sizes", "errors"),
    [
        ([0.1], [1.0]),
        ([0.1, 0.1], [1.0, 2.0]),
        ([0.1, 0.2], [0.0, 1.0]),
        ([0.1, 0.2], [np.nan, 1.0]),
        ([0.1, -1.0], [1, 1]),
    ],
)
def test_what_has_no_order_raises(sizes, errors):
    """One size, equal sizes, an error of zero, NaN, negative sizes."""
    with pytest.raises(pt.ShapeError):
        observed_order(sizes, errors)
