"""Observed order of convergence.

With errors e_k at step (or cell) sizes h_k, a method of order p has e = C h^p; p is the slope in the log-log plane
(Roache, Verification and Validation in Computational Science and Engineering, 1998, section 5.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError


@dataclass(frozen=True)
class ObservedOrder:
    """The slope of errors over sizes.

    order: least squares over all pairs. pairwise: (n - 1,) between neighbors, coarse to fine. constant: C of C h^order.
    """

    order: float
    pairwise: tuple[float, ...]
    constant: float

    def __str__(self) -> str:
        return f"order {self.order:.3f} (pairwise {', '.join(f'{p:.3f}' for p in self.pairwise)})"


def observed_order(sizes: Sequence[float] | Array, errors: Sequence[float] | Array) -> ObservedOrder:
    """Order of convergence from errors at several sizes.

    sizes: (n,) step or cell sizes, all different and above zero, n >= 2. errors: (n,) above zero. Raises ShapeError
    otherwise: an error of exactly zero has no order, and says that the test cannot see one.

    >>> observed_order([0.1, 0.05, 0.025], [4e-2, 1e-2, 2.5e-3]).order
    2.0
    """
    h, e = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    if h.ndim != 1 or h.shape != e.shape or h.size < 2:
        raise ShapeError(f"observed_order needs two columns of the same length >= 2, got {h.shape} and {e.shape}")
    if not (np.isfinite(h).all() and (h > 0.0).all() and np.unique(h).size == h.size):
        raise ShapeError(f"the sizes must differ and be above zero, got {h.tolist()}")
    if not (np.isfinite(e).all() and (e > 0.0).all()):
        raise ShapeError(f"the errors must be finite and above zero, got {e.tolist()}")
    order_of_size = np.argsort(-h)
    x, y = np.log(h[order_of_size]), np.log(e[order_of_size])
    slope, intercept = np.polyfit(x, y, 1)
    pairwise = tuple((np.diff(y) / np.diff(x)).tolist())
    return ObservedOrder(round(float(slope), 12), pairwise, float(np.exp(intercept)))
