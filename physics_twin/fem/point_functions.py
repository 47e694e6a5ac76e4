"""Equations of a point, evaluated at many points at once on NumPy memory.

A call through CasADi's matrices converts every entry: at the hundreds of points of a small mesh that costs several
times what the equations do. Buffers belong to one function, so one call runs at a time; `alone` sees to that.
"""

from collections import OrderedDict
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array

_WIDEST = 1024  # points a call: what all points share is written beside each, which a large mesh has no memory for
_KEPT = 8  # numbers of points for which the buffers stay


class PointFunction:
    """A CasADi function of columns, one point a call; its results must be dense."""

    def __init__(self, function: ca.Function) -> None:
        self.function = function
        self._shapes = [function.size_out(i) for i in range(function.n_out())]
        self._mapped: OrderedDict[int, _Mapped] = OrderedDict()

    def __call__(self, n: int, *arguments: Any) -> tuple[Array, ...]:
        """Results (n, rows, columns) at n points.

        An argument is (n, k), one row a point, or what all points share: (k,) or a number.
        """
        found = tuple(np.empty((n, *shape)) for shape in self._shapes)
        for first in range(0, n, _WIDEST):
            some = slice(first, min(first + _WIDEST, n))
            own = [a[some] if np.ndim(a) == 2 else a for a in arguments]
            self._at(some.stop - first).fill([part[some] for part in found], own)
        return found

    def _at(self, n: int) -> "_Mapped":
        if n not in self._mapped:
            if len(self._mapped) == _KEPT:
                self._mapped.popitem(last=False)
            self._mapped[n] = _Mapped(self.function, n)
        self._mapped.move_to_end(n)
        return self._mapped[n]


class _Mapped:
    """The function at a number of points, with its memory."""

    def __init__(self, function: ca.Function, n: int) -> None:
        self._function = function.map(n)
        self._buffer, self._evaluate = self._function.buffer()
        self._slots = [np.zeros((n, function.numel_in(i))) for i in range(function.n_in())]
        self._results = [np.zeros((n, *reversed(function.size_out(i)))) for i in range(function.n_out())]
        for i, slot in enumerate(self._slots):
            if slot.size:
                self._buffer.set_arg(i, memoryview(slot.reshape(-1)))  # type: ignore[call-arg]  # the stub misses it
        for i, result in enumerate(self._results):
            if result.size:
                self._buffer.set_res(i, memoryview(result.reshape(-1)))  # type: ignore[call-arg]

    def fill(self, found: list[Array], arguments: list[Any]) -> None:
        """Write the results at these arguments."""
        for slot, argument in zip(self._slots, arguments, strict=True):
            slot[...] = argument
        self._evaluate()
        for part, result in zip(found, self._results, strict=True):
            part[...] = result.transpose(0, 2, 1)
