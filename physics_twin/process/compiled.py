"""What the equations of a model are compiled to, once per process: integrators, Jacobians, algebraic solves."""

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError, unknown_name
from physics_twin.process.equations import Equations
from physics_twin.process.native import Native
from physics_twin.process.short_steps import ShortSteps
from physics_twin.process.sundials import LENGTH, Integrators, Sundials

_ALGEBRAIC_TOLERANCE = (
    1e-12  # relative to the size of the variable; Newton converges quadratically, so this is one step more
)
_NEWTON_LIMIT = 50
SYMBOLIC_Z = 8  # up to here the algebraic rates are solved symbolically; beyond, crossings are found from values alone


@dataclass(frozen=True)
class Point:
    """Where equations are evaluated: one instant of one run."""

    t: float
    x: Array
    z: Array
    u: Array
    slope: Array
    """du/dt"""
    p: Array
    q: Array


class Compiled:
    """Functions derived from a model's equations; built on first use, never pickled."""

    def __init__(self, equations: Equations, settings: Sundials, scale_x: Array, scale_z: Array) -> None:
        self.equations = equations
        self.scale_x = scale_x
        self.scale_z = scale_z
        self.lock = threading.RLock()
        self.positions = {name: k for k, name in enumerate(equations.parameters)}
        eq = equations
        self.n_x, self.n_z = len(eq.differential), len(eq.algebraic)
        self.n_u, self.n_p = len(eq.inputs), len(eq.parameters)
        self.n_y, self.n_w = len(eq.outputs), len(eq.extremes)
        self.n_d = len(eq.discrete)
        self.n_q = self.n_d + eq.n_switches + self.n_w
        self.n_guards = eq.n_switches + len(eq.events)
        t = ca.SX.sym("t")
        x, z, u = ca.SX.sym("x", self.n_x), ca.SX.sym("z", self.n_z), ca.SX.sym("u", self.n_u)
        p, q = ca.SX.sym("p", self.n_p), ca.SX.sym("q", self.n_q)
        slope = ca.SX.sym("slope", self.n_u)
        arguments = (t, x, z, u, p, q)
        f, g = eq.rate(*arguments), eq.residual(*arguments)
        y, guard, extreme = eq.output(*arguments), eq.guard(*arguments), eq.extreme(*arguments)
        self.rate, self.output, self.extreme = Native(eq.rate), Native(eq.output), Native(eq.extreme)
        self.residual_jacobian = Native(
            ca.Function("residual_jacobian", list(arguments), [g, ca.densify(ca.jacobian(g, z))])
        )
        self.initial = Native(eq.initial)
        x0, _, d0 = eq.initial(p)
        tangent = ca.densify(ca.jacobian(ca.vertcat(x0, d0), p))
        self.initial_tangent = Native(ca.Function("initial_tangent", [p], [tangent]))
        self.output_jacobian = self._jacobian("output_jacobian", arguments, y)
        self.flow_jacobian = self._jacobian("flow_jacobian", arguments, ca.vertcat(f, g))
        self.guard_jacobian = self._jacobian("guard_jacobian", arguments, guard)
        self.extreme_jacobian = self._jacobian("extreme_jacobian", arguments, extreme)
        watched = ca.vertcat(guard, extreme, y)
        # Rate of change along the flow, for the shape between nodes.
        along = _along(watched, t, x, u, f, slope)
        if 0 < self.n_z <= SYMBOLIC_Z:
            along += ca.jtimes(watched, z, -ca.solve(ca.jacobian(g, z), _along(g, t, x, u, f, slope)))
        self.watched = Native(ca.Function("watched", [*arguments, slope], [ca.densify(watched), ca.densify(along)]))
        jump = eq.jump(*arguments)
        self.jump_jacobians = [self._jacobian(f"jump_{k}", arguments, jump[:, k]) for k in range(len(eq.events))]
        # The integrators' DAE: scaled states, inputs a + b (t - begin).
        tau, begin, span = ca.SX.sym("tau"), ca.SX.sym("begin"), ca.SX.sym("span")
        a, b = ca.SX.sym("a", self.n_u), ca.SX.sym("b", self.n_u)
        xs, zs = ca.SX.sym("xs", self.n_x), ca.SX.sym("zs", self.n_z)
        elapsed = span * tau / LENGTH
        now = (begin + elapsed, xs * scale_x, zs * scale_z, a + b * elapsed, p, q)
        dae = {
            "t": tau,
            "x": xs,
            "p": ca.vertcat(p, q, begin, span),
            "ode": eq.rate(*now) * (span / LENGTH / scale_x),
        }
        if self.n_z:
            dae |= {"z": zs, "alg": eq.residual(*now)}
        self.clocked = bool(ca.depends_on(ca.vertcat(f, g, watched), t))
        """Whether the equations depend on time itself."""
        self.integrators = Integrators(dae, ca.vertcat(a, b), settings, self.n_z > 0, self.clocked)

    @functools.cached_property
    def short_steps(self) -> ShortSteps:
        """Steps of many members over short times."""
        return ShortSteps(self, SYMBOLIC_Z)

    def _jacobian(self, name: str, arguments: tuple[Any, ...], value: Any) -> "Differentiated":
        """A function of the equations with its derivatives."""
        t, x, z, u, p, q = arguments
        blocks = [value, *(ca.jacobian(value, v) for v in (x, z, u, p, t))]
        by_q = ca.jacobian(value, q)
        blocks += [by_q[:, : self.n_d], by_q[:, self.n_q - self.n_w :]]
        widths = (1, self.n_x, self.n_z, self.n_u, self.n_p, 1, self.n_d, self.n_w)
        # One dense matrix: each output of a CasADi function costs a conversion.
        return Differentiated(ca.Function(name, list(arguments), [ca.densify(ca.horzcat(*blocks))]), widths)

    def chosen(self, wrt: tuple[str, ...]) -> Array:
        """dp/dw (n_p, n_wrt): ones where a parameter is one of the names."""
        names = self.equations.parameters
        chosen = np.zeros((len(names), len(wrt)))
        for j, name in enumerate(wrt):
            if name in self.positions:
                chosen[self.positions[name], j] = 1.0
        return chosen

    def values_vector(self, values: Mapping[str, Any]) -> Array:
        """p in its order from a mapping of names."""
        try:
            p = np.array([values[name] for name in self.equations.parameters], dtype=float)
        except KeyError:
            missing = next(name for name in self.equations.parameters if name not in values)
            raise unknown_name("parameter (the values must hold every one)", missing, list(values)) from None
        if not np.isfinite(p).all():
            bad = self.equations.parameters[int(np.flatnonzero(~np.isfinite(p))[0])]
            known = dict(zip(self.equations.parameters, p.tolist(), strict=True))
            raise SolveError(f'the parameter "{bad}" is not a finite number', time=0.0, values=known)
        return p

    def solve_algebraic(self, at: Point) -> Array:
        """Consistent z for given x, u, p, q by Newton's method from the guess in `at`; raises SolveError."""
        if not self.n_z:
            return at.z
        z = at.z.copy()
        for _ in range(_NEWTON_LIMIT):
            g, jacobian = self.residual_jacobian.at(at.t, at.x, z, at.u, at.p, at.q)
            try:
                step = np.linalg.solve(jacobian, g[:, 0])
            except np.linalg.LinAlgError:
                raise SolveError(
                    "the algebraic equations are singular (is the system of index 1?)", time=at.t
                ) from None
            fraction = 1.0
            size = float(np.linalg.norm(g))
            while fraction > 1e-4:
                trial = z - fraction * step
                new = self.residual_jacobian.at(at.t, at.x, trial, at.u, at.p, at.q)[0]
                if np.isfinite(new).all() and (float(np.linalg.norm(new)) <= size or fraction <= 2e-4):
                    break
                fraction *= 0.5
            z = z - fraction * step
            if not np.isfinite(z).all():
                break
            # Plain text of the test: the last correction is below round-off of the variable's own size.
            if (np.abs(step) <= _ALGEBRAIC_TOLERANCE * np.maximum(np.abs(z), self.scale_z)).all():
                return z
        names = ", ".join(self.equations.algebraic)
        raise SolveError(f"no consistent values of the algebraic variables ({names}) were found", time=at.t)

    def flow(self, at: Point) -> tuple[Array, Array]:
        """dx/dt and dz/dt along the solution at a consistent point."""
        if not self.n_z:
            return self.rate.at(*arguments_of(at))[0][:, 0], np.empty(0)
        d = self.flow_jacobian.at(at)
        rate = d.value[: self.n_x]
        forcing = d.x[self.n_x :] @ rate + d.u[self.n_x :] @ at.slope + d.t[self.n_x :]
        return rate, -np.linalg.solve(d.z[self.n_x :], forcing)

    def algebraic_tangent(self, at: Point, s_x: Array, s_u: Array, s_p: Array, s_d: Array) -> Array:
        """dz/dw (n_z, n_wrt) by the implicit function theorem."""
        if not self.n_z:
            return np.empty((0, s_x.shape[1]))
        d, rows = self.flow_jacobian.at(at), slice(self.n_x, None)
        forcing = d.x[rows] @ s_x + d.u[rows] @ s_u + d.p[rows] @ s_p + d.d[rows] @ s_d
        return -np.linalg.solve(d.z[rows], forcing)


def _along(value: Any, t: Any, x: Any, u: Any, rate: Any, slope: Any) -> Any:
    """d/dt of a symbolic value for moving x and u, algebraic variables frozen."""
    result = ca.jtimes(value, x, rate) + ca.jtimes(value, t, 1)
    return result + ca.jtimes(value, u, slope) if u.numel() else result


def arguments_of(at: Point) -> tuple[Any, ...]:
    """(t, x, z, u, p, q) for a function of the equations."""
    return at.t, at.x, at.z, at.u, at.p, at.q


class Derivatives(NamedTuple):
    """Value and derivatives of a function of the equations; at one point, or with a node axis after the first."""

    value: Array
    x: Array
    z: Array
    u: Array
    p: Array
    t: Array
    d: Array
    """By the discrete values."""
    w: Array
    """By the running extremes."""


class Differentiated:
    """A function of (t, x, z, u, p, q) compiled together with its derivatives."""

    def __init__(self, function: ca.Function, widths: tuple[int, ...]) -> None:
        self.function, self.ends = Native(function), np.cumsum(widths)
        self.width = int(self.ends[-1])

    def at(self, point: Point) -> Derivatives:
        """At one point: value and d/dt (n_f,), the others (n_f, n)."""
        (m,) = self.function.at(*arguments_of(point))
        value, x, z, u, p, t, d, w = np.split(m, self.ends[:-1], axis=1)
        return Derivatives(value[:, 0], x, z, u, p, t[:, 0], d, w)

    def along(self, arguments: tuple[Any, ...], n: int) -> Derivatives:
        """At n nodes: value and d/dt (n_f, n), the others (n_f, n, n_by)."""
        (m,) = self.function.along(n, *arguments)
        m = m.reshape(m.shape[0], n, self.width)
        value, x, z, u, p, t, d, w = np.split(m, self.ends[:-1], axis=2)
        return Derivatives(value[:, :, 0], x, z, u, p, t[:, :, 0], d, w)


@dataclass
class Counters:
    """What a run cost."""

    n_stretches: int = 0
    n_restarts: int = 0
    n_events: int = 0
    n_integrations: int = 0
    names: dict[str, int] = field(default_factory=dict)
    """Events and switches by name, how often they acted."""
