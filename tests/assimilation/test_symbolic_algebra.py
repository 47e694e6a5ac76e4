"""Linear algebra written out in symbols equals NumPy's."""

import casadi as ca
import numpy as np
import pytest

from physics_twin.assimilation.gaussian import lower_root
from physics_twin.assimilation.packed import Packed
from physics_twin.assimilation.symbolic_algebra import divided, lower_root as symbolic_root


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (4, 9)])
def test_the_root_is_that_of_the_arrays(n, m):
    """Also where a row is zero: L L^T is the product of the factors, the diagonal not negative."""
    factors = np.random.default_rng(n).normal(size=(n, m))
    symbol = ca.SX.sym("a", n, m)
    function = ca.Function("root", [symbol], [symbolic_root(symbol)])
    root = function(factors).full()
    np.testing.assert_allclose(root, lower_root(factors), rtol=1e-12, atol=1e-14)
    factors[n // 2] = 0.0
    root = function(factors).full()
    np.testing.assert_allclose(root @ root.T, factors @ factors.T, atol=1e-13)
    assert (np.diag(root) >= 0.0).all() and not np.triu(root, 1).any()


def test_division_by_a_positive_definite_matrix():
    """Against NumPy's solve; a matrix that is not positive definite gives NaN, never a number."""
    rng = np.random.default_rng(0)
    factors, left = rng.normal(size=(4, 6)), rng.normal(size=(3, 4))
    matrix = factors @ factors.T
    a, b = ca.SX.sym("a", 3, 4), ca.SX.sym("b", 4, 4)
    function = ca.Function("divided", [a, b], [divided(a, b)])
    np.testing.assert_allclose(function(left, matrix).full(), left @ np.linalg.inv(matrix), rtol=1e-11)
    assert np.isnan(function(left, -matrix).full()).any()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_packed_function_reads_and_writes_in_place(compiled):
    """Matrices, vectors and empty arguments; what comes back is a copy."""
    a, b, none = ca.MX.sym("a", 2, 3), ca.MX.sym("b", 3), ca.MX.sym("none", 0)
    packed = Packed("product", [a, b, none], [a @ b, ca.sum1(b)], compiled=compiled)
    matrix, vector = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    slots = packed.arguments
    slots[0][...], slots[1][...] = matrix, vector
    found = packed()
    np.testing.assert_allclose(found, [*(matrix @ vector), 2.0])
    slots[1][...] = 0.0
    np.testing.assert_allclose(packed(), 0.0)
    np.testing.assert_allclose(found, [*(matrix @ vector), 2.0])
