"""CasADi functions called on NumPy memory.

A call through CasADi's Python matrices costs 20 to 500 us in conversions, through a buffer 1 to 20 us. Buffers belong
to one function and are reused, so one native call runs at a time in a process; CasADi's integrators crash when threads
share one, and stderr, which is captured around integrations, belongs to the whole process anyway.
"""

import threading
from collections import OrderedDict
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array

NATIVE = threading.RLock()
"""Held during every native call."""

_KEPT = 32  # widths for which the buffers of a function are kept


class Buffered:
    """A CasADi function with dense arguments, evaluated in place."""

    def __init__(self, function: ca.Function) -> None:
        self.function = function
        self._buffer, self._evaluate = function.buffer()
        self._arguments, self._results = [], []
        for i in range(function.n_in()):
            memory = np.zeros(function.nnz_in(i))
            self._arguments.append(memory.reshape(function.size_in(i), order="F") if memory.size else memory)
            if memory.size:
                self._buffer.set_arg(i, memoryview(memory))  # type: ignore[call-arg]  # the stub misses the overload
        for i in range(function.n_out()):
            memory = np.zeros(function.nnz_out(i))
            self._results.append((memory, function.size_out(i)))
            if memory.size:
                self._buffer.set_res(i, memoryview(memory))  # type: ignore[call-arg]

    def __call__(self, *arguments: Any) -> tuple[Array, ...]:
        """Results (rows, columns); raises RuntimeError with CasADi's message.

        Arguments are in the function's order; one that broadcasts to the declared shape will do.
        """
        with NATIVE:
            for slot, argument in zip(self._arguments, arguments, strict=False):
                if slot.size:
                    slot[...] = argument if np.ndim(argument) != 1 else np.reshape(argument, (slot.shape[0], -1))
            self._evaluate()
            if self._buffer.ret() != 0:
                raise RuntimeError(f"{self.function.name()} failed")
            return tuple(memory.reshape(shape, order="F").copy() for memory, shape in self._results)


class Native:
    """A function of the equations at one point, or mapped over many."""

    def __init__(self, function: ca.Function) -> None:
        self.function = function
        self._kept: OrderedDict[int, Buffered] = OrderedDict()

    def at(self, *arguments: Any) -> tuple[Array, ...]:
        """At one point: vectors (n_i,) or scalars in, matrices out."""
        return self._of(1)(*arguments)

    def along(self, n: int, *arguments: Any) -> tuple[Array, ...]:
        """At n points: (n_i, n) each in, matrices side by side out."""
        return self._of(n)(*arguments)

    def _of(self, n: int) -> Buffered:
        with NATIVE:
            found = self._kept.get(n)
            if found is None:
                found = self._kept[n] = Buffered(self.function if n == 1 else self.function.map(n))
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(n)
            return found
