"""The unscented filter written out for one model: a step of all points and the update, each one native function.

What the array version does in a hundred NumPy calls is here one CasADi function of one packed vector, called through a
buffer: a call through CasADi's Python matrices alone would cost more than the whole step.
"""

import functools
import itertools
import math
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Predicted
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.packed import Packed
from physics_twin.assimilation.sigma_points import Weights
from physics_twin.assimilation.smooth_stretch import Line
from physics_twin.assimilation.symbolic_algebra import divided, lower_root
from physics_twin.errors import ModelError

_LARGEST = 16  # coordinates: the triangularization is unrolled, 6 n^3 operations


class WrittenUnscented:
    """Functions of one model, one set of coordinates and one set of weights.

    equations: of a model without algebraic variables, discrete values, switches, events and extremes, as
    `equations_of` has checked. Coordinates of the state are positions in x.
    """

    def __init__(self, equations: Any, coordinates: Coordinates, weights: Weights, compiled: bool) -> None:
        if coordinates.n > _LARGEST:
            raise ModelError(
                f"{coordinates.n} coordinates; fixed steps are written out for up to {_LARGEST}: leave out steps=, or "
                f"estimate fewer parameters"
            )
        if weights.covariance_center < 0.0:
            raise ModelError("fixed steps need weights that are not negative: alpha of 0.52 or more with beta = 2")
        self.equations, self.coordinates, self.weights, self.compiled = equations, coordinates, weights, compiled
        self.names = (*equations.parameters, *coordinates.of_sensors)
        self.n_x, self.n_p = len(equations.differential), len(self.names)
        self.n_u, self.n_y = len(equations.inputs), len(equations.outputs) + len(coordinates.biased)
        self.n_points = 2 * coordinates.n + 1
        n, n_y = coordinates.n, self.n_y
        sizes = [2, self.n_x, n * n, n_y, n_y * n_y, self.n_points * n, self.n_points * n_y]
        self._parts = [slice(*ends) for ends in itertools.pairwise(itertools.accumulate(sizes))]
        """Where the results of a step lie, behind the two that tell whether they are good."""
        self._carries: dict[int, Packed] = {}
        self._held: dict[int, tuple[Array, Line]] = {}
        """Parameters and inputs that stand in the memory of each function."""
        self._free: Array | None = None
        """The mask of free coordinates that stands in the memory of the update."""

    # -- the step ---------------------------------------------------------------------------------------------------
    def predict(
        self, belief: Belief, root: Array, p: Array, line: Line, span: tuple[float, float, int], variance: Array
    ) -> Predicted | None:
        """Belief and outputs after a step; None where something is out of bounds or not finite.

        p: (n_p,) all parameters, in any state those of the coordinates. span: t0, the length of a step (s), how many.
        variance: (n,) of the walks.
        """
        t0, h, n_steps = span
        carry, state = self._carry(n_steps), belief.states[0]
        n_x, n_y, m, n = self.n_x, self.n_y, self.n_points, self.coordinates.n
        with carry.lock:
            x, own, factor, walk, begin, length, values, a, b = carry.arguments
            x[:], own[:], factor[:], walk[:] = state[:n_x], belief.parameters[0], root, variance
            begin[0], length[0] = t0, h
            # The same objects come again in most steps; neither is ever changed in place.
            held = self._held.get(n_steps)
            if held is None or held[0] is not p or held[1] is not line:
                values[:], a[:], b[:] = p, *line
                self._held[n_steps] = p, line
            found = carry()
        if found[0] != 0.0 or not math.isfinite(found[1]):
            return None
        x, after, y, covariance, points, outputs = [found[part] for part in self._parts]
        end = state.copy()
        end[:n_x] = x
        return Predicted(
            Belief(belief.method, end[None], belief.parameters, after.reshape(n, n), belief.memory),
            y,
            covariance.reshape(n_y, n_y),
            {"points": points.reshape(m, n), "outputs": outputs.reshape(m, n_y)},
        )

    def update(self, predicted: Predicted, seen: Observation, updated: Array) -> Belief | None:
        """The belief after samples; None where something is out of bounds or not finite.

        updated: (n,) 1 where a coordinate is updated, else 0; never changed in place.
        """
        belief, n_x, n = predicted.belief, self.n_x, self.coordinates.n
        state, own, learn, linked = belief.states[0], belief.parameters[0], self._learn, predicted.linked
        with learn.lock:
            x, parameters, points, outputs, residual, noise, mask, free = learn.arguments
            x[:], parameters[:] = state[:n_x], own
            points[:], outputs[:] = linked["points"].T, linked["outputs"].T
            if self._free is not updated:
                free[:] = self._free = updated
            _per_output(seen, predicted.outputs, residual, noise, mask)
            found = learn()
        if found[0] != 0.0 or not math.isfinite(found[1]):
            return None
        end, last = state.copy(), 2 + n_x + own.size
        end[:n_x] = found[2 : 2 + n_x]
        return Belief(belief.method, end[None], found[2 + n_x : last][None], found[last:].reshape(n, n), belief.memory)

    def advance(
        self, states: Array, parameters: Array, p: Array, line: Line, span: tuple[float, float, int]
    ) -> tuple[Array, Array]:
        """States and outputs (n_members, ...) after the same steps, member by member; NaN where they fail."""
        (t0, h, n_steps), (a, b), n = span, line, len(states)
        x, values = states[:, : self.n_x].T, np.repeat(p[:, None], n, axis=1)
        values[self._own_places] = parameters.T
        for k in range(n_steps):
            x = self._stage.map(n)(x, t0 + k * h, values, a, b, t0, h).full()
        y = self._observed.map(n)(x, t0 + n_steps * h, values, a, b, t0).full()
        ends = states.copy()
        ends[:, : self.n_x] = x.T
        return ends, y.T.copy()

    # -- functions --------------------------------------------------------------------------------------------------
    @functools.cached_property
    def _own_places(self) -> list[int]:
        return [self.names.index(name) for name in self.coordinates.parameters]

    def _of_model(self, p: ca.SX) -> ca.SX:
        """All parameters but those of the sensors."""
        return p[: len(self.equations.parameters)]

    @functools.cached_property
    def _stage(self) -> ca.Function:
        """One step of one point (Hairer, Norsett and Wanner, Solving ODE I, sec. II.1)."""
        eq = self.equations
        x, t, p, a, b, t0, h = self._symbols()

        def rate(now: ca.SX, at: ca.SX) -> Any:
            return eq.rate(now, at, ca.SX(0, 1), a + b * (now - t0), self._of_model(p), ca.SX(0, 1))

        k1 = rate(t, x)
        k2 = rate(t + h / 2, x + h / 2 * k1)
        k3 = rate(t + h / 2, x + h / 2 * k2)
        k4 = rate(t + h, x + h * k3)
        return ca.Function("stage", [x, t, p, a, b, t0, h], [x + h / 6 * (k1 + 2 * (k2 + k3) + k4)])

    @functools.cached_property
    def _observed(self) -> ca.Function:
        x, t, p, a, b, t0, _ = self._symbols()
        y = self.equations.output(t, x, ca.SX(0, 1), a + b * (t - t0), self._of_model(p), ca.SX(0, 1))
        readings = [y[row] + p[self._own_places[k]] for row, k in self.coordinates.biased]
        y = ca.vertcat(y, *readings)
        return ca.Function("observed", [x, t, p, a, b, t0], [ca.densify(y)])

    def _symbols(self) -> tuple[ca.SX, ...]:
        sizes = {"x": self.n_x, "t": 1, "p": self.n_p, "a": self.n_u, "b": self.n_u, "t0": 1, "h": 1}
        return tuple(ca.SX.sym(name, size) for name, size in sizes.items())

    @functools.cached_property
    def _points(self) -> ca.Function:
        """Clipped points as x (n_x, m) and p (n_p, m), and what they lie beyond the bounds (n, m)."""
        c, m = self.coordinates, self.n_points
        x, own, p = ca.SX.sym("x", self.n_x), ca.SX.sym("own", len(c.parameters)), ca.SX.sym("p", self.n_p)
        root = ca.SX.sym("root", c.n, c.n)
        z = self._coordinates_of(x, own)
        deviations = self.weights.reach * ca.horzcat(ca.SX.zeros(c.n, 1), root, -root)
        points = ca.repmat(z, 1, m) + deviations
        clipped = ca.fmin(ca.fmax(points, ca.repmat(ca.fmin(c.lower, z), 1, m)), ca.repmat(ca.fmax(c.upper, z), 1, m))
        rows, values = (
            [ca.repmat(x[i], 1, m) for i in range(self.n_x)],
            [ca.repmat(p[i], 1, m) for i in range(self.n_p)],
        )
        for k, position in enumerate(c.positions.tolist()):
            rows[position] = clipped[k, :] * c.scale[k]
        for j, place in enumerate(self._own_places):
            k = c.n_states + j
            values[place] = ca.exp(clipped[k, :]) if c.logarithmic[j] else clipped[k, :] * c.scale[k]
        results = [ca.vertcat(*rows), ca.vertcat(*values), points - clipped, ca.densify(deviations)]
        return ca.Function("points", [x, own, p, root], [ca.densify(result) for result in results])

    def _coordinates_of(self, x: Any, own: Any) -> Any:
        c = self.coordinates
        states = [x[position] / c.scale[k] for k, position in enumerate(c.positions.tolist())]
        parameters = [
            ca.log(own[j]) if c.logarithmic[j] else own[j] / c.scale[c.n_states + j] for j in range(len(c.parameters))
        ]
        return ca.vertcat(*states, *parameters)

    @functools.cached_property
    def _gathered(self) -> ca.Function:
        """Mean as x, and the root, of points that have been carried."""
        c, w, m = self.coordinates, self.weights, self.n_points
        ends, beyond = ca.SX.sym("ends", self.n_x, m), ca.SX.sym("beyond", c.n, m)
        spread, variance = ca.SX.sym("spread", c.n, m), ca.SX.sym("variance", c.n)
        rows = [ends[position, :] / c.scale[k] for k, position in enumerate(c.positions.tolist())]
        z = ca.vertcat(*rows) + beyond[: c.n_states, :]
        mean = z[:, 0] + w.side * ca.sum2(z[:, 1:] - ca.repmat(z[:, 0], 1, m - 1))
        # Parameters stay where they are: their deviations are those they began with.
        deviations = ca.vertcat(z - ca.repmat(mean, 1, m), spread[c.n_states :, :])
        factors = ca.horzcat(
            math.sqrt(w.covariance_center) * deviations[:, 0],
            math.sqrt(w.side) * deviations[:, 1:],
            ca.diag(ca.sqrt(variance)),
        )
        moved = [ends[i, 0] for i in range(self.n_x)]
        for k, position in enumerate(c.positions.tolist()):
            moved[position] = mean[k] * c.scale[k]
        x = ca.vertcat(*moved)
        n = c.n_states
        outside = ca.sum1(ca.fmax(c.lower[:n] - mean, 0.0) + ca.fmax(mean - c.upper[:n], 0.0))
        return ca.Function("gathered", [ends, beyond, spread, variance], [x, lower_root(factors), outside])

    def _carry(self, n_steps: int) -> Packed:
        """Points drawn, carried by n_steps, gathered, drawn again and observed."""
        found = self._carries.get(n_steps)
        if found is None:
            found = self._carries[n_steps] = self._carry_written(n_steps)
        return found

    def _carry_written(self, n_steps: int) -> Packed:
        c, w, m = self.coordinates, self.weights, self.n_points
        x, own, root = ca.MX.sym("x", self.n_x), ca.MX.sym("own", len(c.parameters)), ca.MX.sym("root", c.n, c.n)
        p, a, b = ca.MX.sym("p", self.n_p), ca.MX.sym("a", self.n_u), ca.MX.sym("b", self.n_u)
        t0, h, variance = ca.MX.sym("t0"), ca.MX.sym("h"), ca.MX.sym("variance", c.n)
        ends, values, beyond, spread = self._points(x, own, p, root)
        for k in range(n_steps):
            ends = self._stage.map(m)(ends, t0 + k * h, values, a, b, t0, h)
        mean, after, outside = self._gathered(ends, beyond, spread, variance)
        again, values, _, spread = self._points(mean, own, p, after)
        y = self._observed.map(m)(again, t0 + n_steps * h, values, a, b, t0)
        y_mean = y[:, 0] + w.side * ca.sum2(y[:, 1:] - ca.repmat(y[:, 0], 1, m - 1))
        deviations = y - ca.repmat(y_mean, 1, m)
        covariance = w.side * deviations[:, 1:] @ deviations[:, 1:].T
        covariance += w.covariance_center * deviations[:, 0] @ deviations[:, 0].T
        # Row by row, as NumPy reads it: the root is transposed.
        parts = [mean, after.T, y_mean, covariance, spread, deviations]
        given = [x, own, root, variance, t0, h, p, a, b]
        return Packed(f"carry_{n_steps}", given, [outside, _total(parts), *parts], compiled=self.compiled)

    @functools.cached_property
    def _learn(self) -> Packed:
        """The update, for all outputs at once; those without a sample have mask 0."""
        c, w, m = self.coordinates, self.weights, self.n_points
        x, own = ca.SX.sym("x", self.n_x), ca.SX.sym("own", len(c.parameters))
        points, outputs = ca.SX.sym("points", c.n, m), ca.SX.sym("outputs", self.n_y, m)
        residual, noise, mask = (ca.SX.sym(name, self.n_y) for name in ("residual", "noise", "mask"))
        free = ca.SX.sym("free", c.n)
        seen = outputs * ca.repmat(mask, 1, m)
        innovation = w.side * seen[:, 1:] @ seen[:, 1:].T + w.covariance_center * seen[:, 0] @ seen[:, 0].T
        innovation += ca.diag(noise)
        cross = w.side * points[:, 1:] @ seen[:, 1:].T + w.covariance_center * points[:, 0] @ seen[:, 0].T
        gain = divided(cross, innovation) * ca.repmat(free, 1, self.n_y)
        step = gain @ residual
        left = points - gain @ seen
        factors = ca.horzcat(
            math.sqrt(w.covariance_center) * left[:, 0],
            math.sqrt(w.side) * left[:, 1:],
            gain * ca.repmat(ca.sqrt(noise).T, c.n, 1),
        )
        z = self._coordinates_of(x, own) + step
        outside = ca.sum1(free * (ca.fmax(c.lower - z, 0.0) + ca.fmax(z - c.upper, 0.0)))
        ends = [x[i] for i in range(self.n_x)]
        for k, position in enumerate(c.positions.tolist()):
            ends[position] += c.scale[k] * step[k]
        moved = [
            own[j] * ca.exp(step[k]) if c.logarithmic[j] else own[j] + c.scale[k] * step[k]
            for j, k in enumerate(range(c.n_states, c.n))
        ]
        parts = [ca.vertcat(*ends), ca.vertcat(*moved), lower_root(factors).T]
        given = [x, own, points, outputs, residual, noise, mask, free]
        return Packed("learn", given, [outside, _total(parts), *parts], compiled=self.compiled)


def _total(parts: list[Any]) -> Any:
    """A number that is finite where all parts are: one look instead of many."""
    return sum((ca.sum1(ca.sum2(part)) for part in parts[1:]), ca.sum1(ca.sum2(parts[0])))


def _per_output(seen: Observation, outputs: Array, residual: Array, noise: Array, mask: Array) -> None:
    """Residual, variance and mask of each output, in place; samples of one output are joined by their precisions."""
    rows = seen.rows
    off = seen.values - outputs[rows]
    single = len(set(rows.tolist())) == rows.size
    if not single or rows.size < mask.size:
        residual[:], noise[:], mask[:] = 0.0, 1.0, 0.0
    mask[rows] = 1.0
    if single:
        residual[rows], noise[rows] = off, seen.variance
        return
    precision = np.bincount(rows, 1.0 / seen.variance, mask.size)
    here = precision > 0.0
    residual[here] = np.bincount(rows, off / seen.variance, mask.size)[here] / precision[here]
    noise[here] = 1.0 / precision[here]
