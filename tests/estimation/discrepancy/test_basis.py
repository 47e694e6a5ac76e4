"""The sum of sines is the Gaussian process, to the error that it states."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation.discrepancy.basis import BEYOND, TOLERANCE, Kernel, choose_basis


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("lengths", [0.2, 1.0, 4.0, 25.0])
def test_variance_and_covariance_are_those_of_the_kernel(kernel: Kernel, lengths: float) -> None:
    """Everywhere in the range, on another grid than the one on which the error was computed."""
    basis = choose_basis(-3.0, -3.0 + 2.0 * lengths, 2.0, kernel, "y")
    assert basis.error <= TOLERANCE
    s = np.linspace(-3.0, -3.0 + 2.0 * lengths, 97)
    weighted = basis.functions(s) * basis.weights
    distance = np.abs(s[:, None] - s[None, :]) / 2.0
    exact = np.exp(-(distance**2) / 2.0)
    if kernel is Kernel.MATERN:
        exact = (1.0 + np.sqrt(3.0) * distance) * np.exp(-np.sqrt(3.0) * distance)
    assert np.abs(weighted @ weighted.T - exact).max() <= 1.05 * basis.error


def test_more_functions_are_better_at_the_rate_of_the_spectrum() -> None:
    """The missing variance of Matérn 3/2 falls with the third power of the number of functions."""
    basis = choose_basis(0.0, 10.0, 1.0, Kernel.MATERN, "y")
    s = np.linspace(0.0, 10.0, 50)
    missing = []
    for n in (basis.n, 2 * basis.n, 4 * basis.n):
        wider = type(basis)(basis.center, 3.0 * basis.reach, 3.0 * basis.half_width, basis.length, 3 * n, basis.kernel)
        missing.append(np.mean(1.0 - ((wider.functions(s) * wider.weights) ** 2).sum(axis=1)))
    assert missing[0] / missing[1] == pytest.approx(8.0, rel=0.1)
    assert missing[1] / missing[2] == pytest.approx(8.0, rel=0.1)


def test_slopes_are_derivatives_and_zero_where_the_argument_is_held() -> None:
    """Central differences inside; beyond two lengths around the range nothing changes, and the variance is kept."""
    basis = choose_basis(0.0, 5.0, 1.0, Kernel.MATERN, "y")
    s = np.linspace(-BEYOND + 0.1, 5.0 + BEYOND - 0.1, 23)
    h = 1e-5
    difference = (basis.functions(s + h) - basis.functions(s - h)) / (2.0 * h)
    # Central differences: h^2/6 times the third derivative, w^3 of the fastest sine.
    bound = h**2 * (basis.n * np.pi / (2.0 * basis.half_width)) ** 3 + 1e-9
    assert np.abs(basis.slopes(s) - difference).max() < bound
    far = np.array([5.0 + BEYOND + 1.0, 100.0, -100.0])
    assert not basis.slopes(far).any()
    variance = ((basis.functions(far) * basis.weights) ** 2).sum(axis=1)
    assert variance == pytest.approx(1.0, abs=TOLERANCE)


def test_too_short_a_length_is_refused_with_the_shortest_that_is_possible() -> None:
    """The message names a length that is then accepted."""
    with pytest.raises(pt.BoundsError, match=r"1/1000 of its range takes \d+ functions.*at most 200") as caught:
        choose_basis(0.0, 1.0, 1e-3, Kernel.MATERN, "discrepancy of T")
    share = float(str(caught.value).split("above 1/")[1].split()[0])
    assert choose_basis(0.0, 1.0, 1.0 / (0.95 * share), Kernel.MATERN, "y").n <= 200
