"""The equations of a model at many points at once, in the filter's coordinates, with exact derivatives.

Algebraic variables are solved for at every point by Newton's method, so that what comes out is an ordinary
differential equation: its rate and outputs, and their derivatives by the implicit function theorem.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.errors import ModelError, SolveError
from physics_twin.model import HasEquations, Model, StateKind

_KEPT_MODELS = 16
_KEPT_WIDTHS = 64
_NEWTON_LIMIT = 25
_NEWTON_TOLERANCE = 1e-11  # of an algebraic variable, in its scale; Newton is quadratic, so what is left is rounding


@dataclass(frozen=True, eq=False)
class Points:
    """Where equations are evaluated: `n` instants.

    t: (n,) s. c: (n, n_coordinates), states and parameters. z: (n, n_algebraic) guesses over their scales. known: (n,
    n_inputs + n_accumulators) SI.
    """

    t: Array
    c: Array
    z: Array
    known: Array


@dataclass(frozen=True, eq=False)
class Evaluated:
    """value: (n, m). slope: (n, m, n_coordinates). z: (n, n_algebraic) solved."""

    value: Array
    slope: Array
    z: Array


class Mapped:
    """A CasADi function evaluated at n points in one native call; one call at a time, its buffers are shared."""

    def __init__(self, function: ca.Function) -> None:
        self.function = function
        self.rows, self.columns = function.size_out(0)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[Any, Any, list[Array], Array]] = OrderedDict()

    def __call__(self, n: int, *arguments: Array) -> Array:
        """(n, columns, rows): the result's matrix at every point, transposed as CasADi stores it."""
        with self._lock:
            _, evaluate, slots, result = self._of(n)
            for slot, argument in zip(slots, arguments, strict=True):
                if slot.size:
                    slot[...] = argument
            evaluate()
            return result.copy()

    def _of(self, n: int) -> tuple[Any, Any, list[Array], Array]:
        found = self._kept.get(n)
        if found is not None:
            self._kept.move_to_end(n)
            return found
        function = self.function.map(n) if n > 1 else self.function
        buffer, evaluate = function.buffer()
        slots = [np.zeros((n, self.function.size1_in(i))) for i in range(function.n_in())]
        result = np.zeros((n, self.columns, self.rows))
        for i, slot in enumerate(slots):
            if slot.size:
                buffer.set_arg(i, memoryview(slot.reshape(-1)))  # type: ignore[call-arg]  # the stub misses it
        buffer.set_res(0, memoryview(result.reshape(-1)))  # type: ignore[call-arg]
        self._kept[n] = (buffer, evaluate, slots, result)
        if len(self._kept) > _KEPT_WIDTHS:
            self._kept.popitem(last=False)
        return self._kept[n]


class Flow:
    """Rates and outputs of one model in one choice of coordinates; compiled once per process by `flow_of`."""

    def __init__(self, model: Model, coordinates: Coordinates) -> None:
        eq = checked_equations(model)
        self.parameters: tuple[str, ...] = eq.parameters
        self.n, self.q = coordinates.n_states, coordinates.n - coordinates.n_states
        self.n_a, self.n_u, self.n_accumulators = len(eq.algebraic), len(eq.inputs), int(eq.n_accumulators)
        names = tuple(eq.differential[: len(eq.differential) - self.n_accumulators])
        if names != coordinates.names[: self.n]:
            raise ModelError(
                f"{model.name}: its equations list the states {', '.join(names)}, its state vector "
                f"{', '.join(coordinates.names[: self.n])}; moving horizon estimation needs the same in the same order"
            )
        scales = {block.name: block.scale for block in model.state}
        self.scale = coordinates.scale[: self.n]
        self.lower, self.upper = _bounds(model)
        self.algebraic_scale = np.array([scales[name] for name in eq.algebraic])
        self.accumulators = _positions(model, StateKind.ACCUMULATOR)
        self.algebraic = _positions(model, StateKind.ALGEBRAIC)
        self._compile(model.name, eq, coordinates)

    def _compile(self, name: str, eq: Any, coordinates: Coordinates) -> None:
        t, c = ca.SX.sym("t"), ca.SX.sym("c", self.n + self.q)
        x, theta = c[: self.n], c[self.n :]
        z, u = ca.SX.sym("z", self.n_a), ca.SX.sym("u", self.n_u)
        carried, fixed = ca.SX.sym("carried", self.n_accumulators), ca.SX.sym("fixed", len(eq.parameters))
        p = ca.SX(fixed)
        for k, parameter in enumerate(coordinates.of_plant):
            if parameter not in eq.parameters:
                raise ModelError(
                    f'moving horizon estimation learns parameters of the model only; "{parameter}" is none of '
                    f"{name}. Hold it fixed, or use EnsembleKalman"
                )
            own = ca.exp(theta[k]) if coordinates.logarithmic[k] else theta[k] * float(coordinates.scale[self.n + k])
            p[eq.parameters.index(parameter)] = own
        state = ca.vertcat(x * self.scale, carried)
        here = (t, state, z * self.algebraic_scale, u, p, ca.SX(0, 1))
        rate, residual, output = eq.rate(*here)[: self.n], eq.residual(*here), eq.output(*here)
        if self.n_accumulators and ca.jacobian(ca.vertcat(rate, residual), carried).nnz():
            raise ModelError(
                f"{name}: the rate of a state depends on an accumulator, which no filter updates; declare it as a "
                "state, or use EnsembleKalman"
            )
        size = coordinates.scale[self.n :]
        output = ca.vertcat(output, *(output[row] + theta[k] * float(size[k]) for row, k in coordinates.biased))
        arguments = [t, c, z, ca.vertcat(u, carried), fixed]
        wrt = ca.vertcat(c, z)
        self.n_y = int(output.shape[0])

        def with_derivatives(label: str, value: ca.SX) -> Mapped:
            whole = ca.vertcat(value, residual)
            return Mapped(ca.Function(label, arguments, [ca.densify(ca.horzcat(whole, ca.jacobian(whole, wrt)))]))

        self._rate = with_derivatives("rate", rate / self.scale)
        self._output = with_derivatives("output", output)
        if self.n_a:
            newton = ca.horzcat(residual, ca.jacobian(residual, z))
            self._residual = Mapped(ca.Function("residual", arguments, [ca.densify(newton)]))

    def fixed(self, dynamics: Dynamics) -> Array:
        """(n_parameters_of_the_model,) SI, in the order of the equations; raises ModelError for one without value."""
        values, own = dynamics.fixed, dynamics.coordinates.parameters
        missing = [name for name in self.parameters if name not in values and name not in own]
        if missing:
            raise ModelError(f'{dynamics.model.name}: no value is given for the parameter "{missing[0]}"')
        return np.array([float(values.get(name, 0.0)) for name in self.parameters])

    def rate(self, points: Points, fixed: Array) -> Evaluated:
        """dx/dt in coordinates per second; raises SolveError where it is no finite number."""
        return self._evaluate(self._rate, self.n, points, fixed, "a rate")

    def output(self, points: Points, fixed: Array) -> Evaluated:
        """Outputs, SI; raises SolveError where one is no finite number."""
        return self._evaluate(self._output, self.n_y, points, fixed, "an output")

    def _evaluate(self, function: Mapped, m: int, points: Points, fixed: Array, what: str) -> Evaluated:
        z = self._solved(points, fixed) if self.n_a else points.z
        count = len(points.t)
        table = function(count, points.t[:, None], points.c, z, points.known, fixed)
        if not np.isfinite(table).all():
            bad = int(np.flatnonzero(~np.isfinite(table).all(axis=(1, 2)))[0])
            raise SolveError(f"{what} or its derivative is not a finite number", time=float(points.t[bad]))
        matrix = table.transpose(0, 2, 1)
        value, by = matrix[:, :m, 0], matrix[:, :m, 1:]
        width = self.n + self.q
        if self.n_a:
            # dz/d(x, theta) = -(dg/dz)^-1 dg/d(x, theta); the residual itself is zero here.
            slope = np.linalg.solve(matrix[:, m:, 1 + width :], matrix[:, m:, 1 : 1 + width])
            by = by[:, :, :width] - by[:, :, width:] @ slope
        return Evaluated(value, by, z)

    def _solved(self, points: Points, fixed: Array) -> Array:
        """Algebraic variables at every point, over their scales, by Newton's method from the guesses."""
        z = points.z.copy()
        for _ in range(_NEWTON_LIMIT):
            table = self._residual(len(z), points.t[:, None], points.c, z, points.known, fixed).transpose(0, 2, 1)
            try:
                change = np.linalg.solve(table[:, :, 1:], table[:, :, :1])[:, :, 0]
            except np.linalg.LinAlgError:
                break
            if not np.isfinite(change).all():
                break
            z -= change
            if float(np.abs(change).max(initial=0.0)) <= _NEWTON_TOLERANCE * (1.0 + float(np.abs(z).max(initial=0.0))):
                return z
        raise SolveError(
            "the algebraic equations have no solution near the guess inside the window of samples",
            time=float(points.t[0]),
        )


def checked_equations(model: Model) -> Any:
    """The equations of a model that can be written out in time; raises ModelError, naming what stands against it."""
    if not isinstance(model, HasEquations):
        raise ModelError(
            f"{model.name} does not show its equations, which moving horizon estimation writes out in time; build it "
            "with ProcessBuilder, or use EnsembleKalman"
        )
    eq = model.equations
    found = [
        f"{kind} ({', '.join(names)})" if names else kind
        for kind, names, present in (
            ("events", eq.events, bool(eq.events)),
            ("discrete values", eq.discrete, bool(eq.discrete)),
            ("running extremes", eq.extremes, bool(eq.extremes)),
            ("switches", (), eq.n_switches > 0),
        )
        if present
    ]
    if found:
        raise ModelError(
            f"{model.name} has {', '.join(found)}: its trajectories have kinks, and moving horizon estimation needs "
            "smooth ones; use EnsembleKalman, which only simulates"
        )
    return eq


def _bounds(model: Model) -> tuple[Array, Array]:
    """Of the differential states, SI, as they were declared."""
    blocks = [block for block in model.state if block.kind is StateKind.DIFFERENTIAL]
    sizes = [block.size for block in blocks]
    return np.repeat([b.lower for b in blocks], sizes), np.repeat([b.upper for b in blocks], sizes)


def _positions(model: Model, kind: StateKind) -> Any:
    found: list[int] = []
    first = 0
    for block in model.state:
        if block.kind is kind:
            found += range(first, first + block.size)
        first += block.size
    return np.array(found, dtype=np.int64)


_FLOWS: OrderedDict[tuple[Any, ...], Flow] = OrderedDict()
_BUILDING = threading.Lock()


def flow_of(dynamics: Dynamics) -> Flow:
    """The compiled equations for these coordinates, kept by the model's fingerprint. They hold no results."""
    c = dynamics.coordinates
    scales = (c.scale.tobytes(), c.logarithmic.tobytes())
    key = (dynamics.model.name, dynamics.model.fingerprint, c.names, c.biased, *scales)
    with _BUILDING:
        found = _FLOWS.get(key)
        if found is None:
            found = _FLOWS[key] = Flow(dynamics.model, c)
            if len(_FLOWS) > _KEPT_MODELS:
                _FLOWS.popitem(last=False)
        _FLOWS.move_to_end(key)
        return found
