"""A native function of one packed vector: the shortest way from NumPy into compiled code and back."""

import contextlib
import functools
import logging
import math
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array

_LOGGER = logging.getLogger(__name__)
_FLAGS = ("-O2", "-march=native", "-ffp-contract=off", "-fPIC", "-shared")  # a contraction would round differently
_PATIENCE = 300.0  # s for the compiler


class Packed:
    """Dense arguments in, dense results out; the memory belongs to the object, so one call runs at a time.

    arguments: views into the packed vector, (rows, columns) or (rows,), to be filled while `lock` is held.
    """

    def __init__(self, name: str, arguments: Sequence[Any], results: Sequence[Any], *, compiled: bool) -> None:
        together = ca.vertcat(*(ca.vec(argument) for argument in arguments))
        function = ca.Function(name, list(arguments), [ca.densify(ca.vertcat(*(ca.vec(part) for part in results)))])
        packed = ca.MX.sym("packed", together.numel())
        ends = np.cumsum([0, *(argument.numel() for argument in arguments)]).tolist()
        pieces = [
            ca.reshape(packed[first:last], *argument.shape)
            for argument, first, last in zip(arguments, ends[:-1], ends[1:], strict=True)
        ]
        self.function = ca.Function(name, [packed], [function(*pieces)])
        if compiled:
            self.function = _compiled(self.function)
        self.lock = threading.Lock()
        self._given, self._found = np.zeros(packed.numel()), np.zeros(self.function.numel_out(0))
        self.arguments = [
            self._given[first:last].reshape(argument.shape, order="F")
            if argument.shape[1] > 1
            else self._given[first:last]
            for argument, first, last in zip(arguments, ends[:-1], ends[1:], strict=True)
        ]
        self._buffer, self._evaluate = self.function.buffer()
        self._buffer.set_arg(0, memoryview(self._given))  # type: ignore[call-arg]  # the stub misses the overload
        self._buffer.set_res(0, memoryview(self._found))  # type: ignore[call-arg]

    def __call__(self) -> Array:
        """All results, column by column, one after the other; the first is NaN where the function failed."""
        self._found[0] = math.nan  # stays where nothing is written: asking for the status costs more
        self._evaluate()
        return self._found.copy()


def _compiled(function: ca.Function) -> ca.Function:
    """The same function by the system's C compiler; as it is where there is none."""
    compiler = _compiler()
    if compiler is None:
        _LOGGER.warning("no C compiler (cc) was found: %s is evaluated by CasADi's own machine", function.name())
        return function
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # CasADi writes into the current folder
        function.generate("written.c", {"with_header": False})
        library = Path(folder) / "written.so"
        try:
            subprocess.run(
                [compiler, *_FLAGS, "written.c", "-o", str(library), "-lm"],
                check=True, capture_output=True, timeout=_PATIENCE,
            )  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            _LOGGER.warning("the C compiler could not translate %s: %s", function.name(), error)
            return function
        return ca.external(function.name(), str(library))


@functools.cache
def _compiler() -> str | None:
    return shutil.which("cc")
