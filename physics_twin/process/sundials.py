"""CVODES and IDAS behind one small object.

CasADi's SUNDIALS interface takes its output grid when it is built (about 1 ms for a small model), so integrators are
kept by grid. Every stretch of a run is mapped to tau in [0, LENGTH]: durations are parameters of the integrator, and
equal relative grids share one. Inputs are straight lines a + b (t - begin), piecewise on the grid. CasADi stops at the
corners but does not restart there: right for a ramp, wrong for a jump, so where inputs jump single-interval
integrators are chained.
"""

import atexit
import contextlib
import io
import os
import re
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.process.native import NATIVE, Buffered

LENGTH = 2.0**30
"""Length of a stretch in the integrator's own time: CasADi does not advance over intervals below 1e-9."""

CLOCK = 2048
"""Least number of steps of a stretch of equations that depend on time itself: what is still cannot foresee a pulse."""

_KEPT = 256  # integrators kept per model: a 6-state one holds about 100 kB


@dataclass(frozen=True)
class Sundials:
    """Variable-order BDF integration: CVODES for ODE systems, IDAS for DAE systems of index 1.

    rtol: relative tolerance of each state. atol: absolute tolerance in units of the state's scale.
    max_steps: steps between two outputs after which a run is given up.
    """

    rtol: float = 1e-8
    atol: float = 1e-10
    max_steps: int = 20_000

    def __post_init__(self) -> None:
        if not (0.0 < self.rtol < 1.0 and 0.0 < self.atol < 1.0):
            raise ValueError(f"Sundials: rtol={self.rtol:g} and atol={self.atol:g} must lie between 0 and 1")
        if self.max_steps < 1:
            raise ValueError(f"Sundials: max_steps={self.max_steps} must be at least 1")


@dataclass
class Integrators:
    """The compiled integrators of one DAE, by relative grid and number of sensitivity directions."""

    dae: dict[str, ca.SX]
    lines: ca.SX
    """Coefficients a, b of the inputs' straight lines."""
    settings: Sundials
    algebraic: bool
    clocked: bool
    """Whether the equations depend on time itself; then no step is longer than a CLOCK-th of a stretch."""
    kept: "OrderedDict[tuple[Any, ...], Buffered]" = field(default_factory=OrderedDict)

    def get(self, grid: tuple[float, ...], n_directions: int, n_members: int, corners: bool) -> Buffered:
        """The integrator over a relative grid in (0, 1]; compiled on first use.

        Without corners the inputs' lines are parameters: comparing them at every node is quadratic in the nodes.
        """
        key = (grid, n_directions, n_members, corners)
        found = self.kept.get(key)
        if found is not None:
            self.kept.move_to_end(key)
            return found
        if n_members > 1:
            built = self.get(grid, n_directions, 1, corners).function.map(n_members)
        else:
            options: dict[str, Any] = {
                "reltol": self.settings.rtol,
                "abstol": self.settings.atol,
                "max_num_steps": self.settings.max_steps,
                "nfwd": n_directions,
            }
            if self.clocked:
                options["max_step_size"] = LENGTH / CLOCK
            if self.algebraic:
                options["calc_ic"] = True
                # Algebraic variables jump with the inputs: in the error test they would make the step collapse.
                options["suppress_algebraic"] = True
            else:
                # The exact second-order term in the Newton matrix of the sensitivities costs more than it saves.
                options["second_order_correction"] = False
            solver = "idas" if self.algebraic else "cvodes"
            inputs = {"u": self.lines} if corners else {"p": ca.vertcat(self.dae["p"], self.lines)}
            built = ca.integrator("stretch", solver, self.dae | inputs, 0.0, [LENGTH * k for k in grid], options)
        return self._keep(key, built)

    def _keep(self, key: tuple[Any, ...], function: ca.Function) -> Buffered:
        self.kept[key] = Buffered(function)
        if len(self.kept) > _KEPT:
            self.kept.popitem(last=False)
        return self.kept[key]

    def solve(
        self, grid: tuple[float, ...], x0: Array, z0: Array, p: Array, u: Array, n_directions: int, n_members: int = 1
    ) -> tuple[Array, Array]:
        """End values of each grid interval: states and algebraic variables, columns ordered as CasADi does.

        p: (n_p, (1 + n_directions) n_members). u: the same of the lines where one piece serves the whole stretch,
        else (2 n_u, n_grid (1 + n_directions) n_members).
        Raises SolveError with the relative time at which it failed.
        """
        with NATIVE:
            p = p.reshape(p.shape[0], -1)
            corners = u.shape[1] != p.shape[1]
            function = self.get(grid, n_directions, n_members, corners)
            lines = (p, u) if corners else (np.vstack([p, u]),)
            with _captured_stderr() as said:
                try:
                    x, z = function(x0, z0, *lines)[:2]
                except RuntimeError as error:
                    raise _explain(str(error), said()) from None
        return _finite(x, z, grid, n_directions, n_members)

    def solve_chained(
        self, begin: float, nodes: Array, x0: Array, z0: Array, p: Array, u: Array, n_directions: int
    ) -> tuple[Array, Array]:
        """The same with a restart at every node: single-interval integrators chained in one call."""
        n, m = nodes.size, 1 + n_directions
        key = ("chain", n, n_directions)
        with NATIVE:
            function = self.kept.get(key) or self._keep(key, self._chain(n, n_directions))
            left = np.concatenate([[begin], nodes[:-1]])
            parameters = np.tile(p.reshape(-1, m), (1, n))
            parameters[-2, ::m], parameters[-1, ::m] = left, nodes - left
            with _captured_stderr() as said:
                try:
                    x, z = function(x0.reshape(-1, m), z0.reshape(-1, m), np.vstack([parameters, u]))
                except RuntimeError as error:
                    failed = _explain(str(error), said())
                    raise SolveError(failed.reason, time=0.0) from None
        relative = tuple(((nodes - begin) / (nodes[-1] - begin)).tolist())
        return _finite(x, z, relative, n_directions, 1)

    def _chain(self, n: int, n_directions: int) -> ca.Function:
        one = self.get((1.0,), n_directions, 1, False).function
        x, z, p = (ca.MX.sym(name, one.size_in(name)) for name in ("x0", "z0", "p"))
        end = one(x0=x, z0=z, p=p)
        link = ca.Function("link", [x, z, p], [end["xf"], end["zf"]], ["x", "z", "p"], ["xf", "zf"])
        return link.mapaccum("chain", n, 2)


def _finite(x: Array, z: Array, grid: tuple[float, ...], n_directions: int, n_members: int) -> tuple[Array, Array]:
    """The end values, or a SolveError where one is not finite."""
    if not np.isfinite(x).all() or not np.isfinite(z).all():
        bad = np.flatnonzero(~np.isfinite(np.vstack([x, z])).all(axis=0))
        column = int(bad[0]) // (1 + n_directions) if n_members == 1 else 0
        time = grid[min(column, len(grid) - 1)]
        raise SolveError("the integrator returned a number that is not finite", time=time)
    return x, z


_REASONS = (
    ("T + H = T", "the step became too small: the solution grows without bound or the equations jump"),
    ("TOO_MUCH_WORK", "the integrator gave up after its maximum number of steps: the model is too fast or blows up"),
    ("ERR_FAIL", "the step became too small: the solution grows without bound or the equations jump"),
    ("ERR_FAILURE", "the step became too small: the solution grows without bound or the equations jump"),
    ("CONV_FAIL", "Newton's method failed at the smallest step: check for log or power of a negative number"),
    ("RHSFUNC_FAIL", "the equations gave a number that is not finite"),
    ("RES_FAIL", "the equations gave a number that is not finite"),
    ("FIRST_RES", "the equations gave a number that is not finite at the start"),
    ("NO_RECOVERY", "no consistent initial values were found"),
    ("LINESEARCH", "no consistent initial values were found"),
    ("LSETUP_FAIL", "the Jacobian is singular"),
    ("TOO_CLOSE", "the stretch is too short for its tolerance"),
    ("ILL_INPUT", "the integrator refused its input"),
    ("NAN DETECTED", "the equations gave a number that is not finite"),
    ("INF DETECTED", "the equations gave a number that is not finite"),
)
_STAMP = re.compile(r"CasADi - [-0-9]+ [:0-9]+ ")  # what failed must not say when it was computed


def _explain(message: str, said: str) -> SolveError:
    text = f"{message}\n{said}"
    found = [re.search(r"(?:At|at|From|Internal)\s+t\s*=\s*([-+0-9.eE]+)", source) for source in (said, message)]
    time = next((float(match.group(1).rstrip(".")) for match in found if match), 0.0) / LENGTH
    upper = text.upper()
    for code, reason in _REASONS:
        if code in upper:
            return SolveError(reason, time=time)
    first = next((line.strip() for line in said.splitlines() if line.strip()), message.strip().splitlines()[-1])
    return SolveError(f"the integrator failed: {_STAMP.sub('', first)[:200]}", time=time)


@contextlib.contextmanager
def _captured_stderr() -> Iterator[Any]:
    """Collects what native code writes to file descriptor 2 and to sys.stderr; passed on if nothing failed.

    SUNDIALS prints each failing step, thousands of lines; CasADi sends some of them through sys.stderr, which a
    notebook or a test runner has replaced. Both belong to the process, so what other threads write meanwhile is held
    back and passed on at the end.
    """
    sink, stream, text = _sink(), sys.stderr, io.StringIO()
    saved = None if sink is None else os.dup(2)
    failed = False

    def said() -> str:
        nonlocal failed
        failed = True
        if sink is None:
            return text.getvalue()
        sink.seek(0)
        return text.getvalue()[:20_000] + str(sink.read(20_000).decode(errors="replace"))

    if sink is not None:
        os.dup2(sink.fileno(), 2)
    sys.stderr = text
    try:
        yield said
    finally:
        sys.stderr = stream
        if saved is not None and sink is not None:
            os.dup2(saved, 2)
            os.close(saved)
            if os.fstat(sink.fileno()).st_size:
                if not failed:
                    sink.seek(0)
                    os.write(2, sink.read())
                sink.seek(0)
                sink.truncate()
        if not failed and text.tell() and stream is not None:
            stream.write(text.getvalue())


_sinks: dict[int, Any] = {}
_sink_lock = threading.Lock()


def _sink() -> Any:
    """One unnamed temporary file per process, or None where there is no descriptor 2."""
    pid = os.getpid()
    with _sink_lock:
        if pid not in _sinks:
            try:
                os.fstat(2)
                _sinks[pid] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as long as the process
                atexit.register(_sinks[pid].close)
            except OSError:
                _sinks[pid] = None
        return _sinks[pid]
