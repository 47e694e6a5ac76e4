"""Direct collocation on finite elements (Radau IIA), linearized around a trajectory.

Within an element of length h the state is a polynomial through its beginning s and the nodes X_1 .. X_d, the last of
which is its end: X_i = s + h sum_j a_ij f(X_j) (Hairer and Wanner 1996, section IV.5; order 2 d - 1). The nodes are
unknowns of the estimation, not the result of an inner iteration, and every linearization eliminates them again: the
lifted Newton method (Albersmeyer and Diehl 2010). What remains of an element is an affine map from its beginning and
the parameters to its end.
"""

import functools
from dataclasses import dataclass, fields

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.moving_horizon.flow import Flow, Points
from physics_twin.assimilation.moving_horizon.layout import Stretch, n_elements
from physics_twin.errors import SolveError


@dataclass(frozen=True, eq=False)
class Elements:
    """E finite elements in the order of time; coordinates unless said otherwise.

    interval: (E,) which step of the window, as floats. begin, length: (E,) s. nodes: (E, d) s, and known: (E, d,
    n_inputs + n_accumulators) SI, inputs there. gain, dose: (E, n) jump at the beginning: s = gain * x + dose.
    x: (E, d, n) states and z: (E, d, n_algebraic) algebraic variables at the nodes.
    """

    interval: Array
    begin: Array
    length: Array
    nodes: Array
    known: Array
    gain: Array
    dose: Array
    x: Array
    z: Array

    def take(self, rows: slice) -> "Elements":
        """Some of the elements."""
        return Elements(*(getattr(self, f.name)[rows] for f in fields(self)))

    def joined(self, other: "Elements") -> "Elements":
        """These elements and then the others."""
        return Elements(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Linearized:
    """Elements linearized around their nodes.

    maps: (E, n + q + 1, n + q + 1) from (x before the jump, theta, 1) to the same at the end. nodes: (E, d n, n + q +
    1) from the same to all nodes. residual: (E, d, n) by how much the nodes miss the equations. z: (E, d, n_algebraic).
    """

    maps: Array
    nodes: Array
    residual: Array
    z: Array


@functools.cache
def radau(degree: int) -> tuple[Array, Array, Array]:
    """Nodes c (d,), the matrix a (d, d) of Radau IIA and its inverse."""
    root = 6.0**0.5
    c = np.array({1: [1.0], 2: [1.0 / 3.0, 1.0], 3: [(4.0 - root) / 10.0, (4.0 + root) / 10.0, 1.0]}[degree])
    powers = np.arange(degree)
    a = (c[:, None] ** (powers + 1) / (powers + 1)) @ np.linalg.inv(c[:, None] ** powers)
    return c, a, np.linalg.inv(a)


@functools.cache
def _pattern(degree: int, n: int, q: int) -> tuple[Array, Array, Array]:
    """What all elements share: a, the matrix of the nodes (d n, d n) and its right sides (d n, n + q + 1)."""
    _, a, inverse = radau(degree)
    right = np.zeros((degree * n, n + q + 1))
    right[:, :n] = np.kron(inverse.sum(axis=1)[:, None], np.eye(n))
    return a, np.asarray(np.kron(inverse, np.eye(n)), dtype=float), right


def no_elements(flow: Flow, degree: int) -> Elements:
    """A window that has not begun."""
    n, m = flow.n, flow.n_u + flow.n_accumulators
    shapes = [(0,), (0,), (0,), (0, degree), (0, degree, m), (0, n), (0, n), (0, degree, n), (0, degree, flow.n_a)]
    return Elements(*(np.zeros(shape) for shape in shapes))


def laid_out(
    flow: Flow, stretches: list[Stretch], degree: int, longest: float, before: Array, after: Array, z: Array
) -> Elements:
    """Elements of at most `longest` s over the stretches of one step, nodes on a straight line from before to after.

    before, after: (n,) coordinates; z: (n_algebraic,) over their scales.
    """
    c, _, _ = radau(degree)
    begin, length, nodes, known, gain, dose = [], [], [], [], [], []
    for stretch in stretches:
        count = n_elements(stretch.end - stretch.begin, longest)
        cuts = np.linspace(stretch.begin, stretch.end, count + 1)
        for k in range(count):
            t = cuts[k] + c * (cuts[k + 1] - cuts[k])
            t[-1] = cuts[k + 1]  # the end of a stretch is a corner of its inputs, to the last bit
            begin.append(cuts[k])
            length.append(cuts[k + 1] - cuts[k])
            nodes.append(t)
            known.append(stretch.inputs.along(t)[0].T)
            gain.append(stretch.gain if k == 0 else np.ones(flow.n))
            dose.append(stretch.dose if k == 0 else np.zeros(flow.n))
    if not begin:
        return no_elements(flow, degree)
    times = np.array(nodes)
    inputs = np.zeros((*times.shape, flow.n_u + flow.n_accumulators))
    inputs[:, :, : flow.n_u] = known
    share = (times - begin[0]) / (times[-1, -1] - begin[0])
    return Elements(
        np.zeros(len(begin)),
        np.array(begin),
        np.array(length),
        times,
        inputs,
        np.array(gain),
        np.array(dose),
        before + share[:, :, None] * (after - before),
        np.broadcast_to(z, (*times.shape, flow.n_a)).copy(),
    )


def linearized(flow: Flow, elements: Elements, points: Array, fixed: Array) -> Linearized:
    """Equations and derivatives at all nodes; points: (n_moments, n + q) where the steps begin and end.

    Raises SolveError for equations that give no finite number and for a singular element.
    """
    count, d, n = elements.x.shape
    q = points.shape[1] - n
    if not count:
        maps, nodes = (np.zeros((0, rows, n + q + 1)) for rows in (n + q + 1, d * n))
        return Linearized(maps, nodes, elements.x, elements.z)
    a, matrix, right = _pattern(d, n, q)
    theta, starts = _beginnings(elements, points)
    c = np.empty((count, d, n + q))
    c[:, :, :n] = elements.x
    c[:, :, n:] = theta[:, None]
    known = elements.known.reshape(count * d, elements.known.shape[2])
    z = elements.z.reshape(count * d, elements.z.shape[2])
    found = flow.rate(Points(elements.nodes.reshape(-1), c.reshape(-1, n + q), z, known), fixed)
    h = elements.length[:, None, None]
    step = h * found.value.reshape(count, d, n)
    slope = h[..., None] * found.slope.reshape(count, d, n, n + q)
    residual = elements.x - starts[:, None] - a @ step
    matrix = np.repeat(matrix[None], count, axis=0)
    blocks = matrix.reshape(count, d, n, d, n)
    for j in range(d):
        blocks[:, j, :, j] -= slope[:, j, :, :n]
    right = np.repeat(right[None], count, axis=0)
    columns = right.reshape(count, d, n, n + q + 1)
    columns[..., n:-1] = slope[..., n:]
    columns[..., -1] = step - (slope @ c[..., None])[..., 0]
    try:
        nodes = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise SolveError("the collocation equations are singular", time=float(elements.begin[0])) from None
    nodes[..., -1] += (nodes[..., :n] @ elements.dose[..., None])[..., 0]
    nodes[..., :n] *= elements.gain[:, None, :]
    maps = np.zeros((count, n + q + 1, n + q + 1))
    maps[:, n:, n:] = np.eye(q + 1)
    maps[:, :n] = nodes[:, -n:]
    return Linearized(maps, nodes, residual, found.z.reshape(elements.z.shape))


def _beginnings(elements: Elements, points: Array) -> tuple[Array, Array]:
    """Parameters (E, q) of every element and the state (E, n) at its beginning, behind the jump."""
    n = elements.x.shape[2]
    step = elements.interval.astype(np.int64)
    before = points[step, :n]
    inner = np.flatnonzero(step[1:] == step[:-1]) + 1
    before[inner] = elements.x[inner - 1, -1]
    return points[step, n:], elements.gain * before + elements.dose


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How finely a step is written out.

    degree: of the polynomials. longest: s, of an element. tolerance: largest difference from the model's own
    integrator at the end of a step, in scales of the states (in values that are larger). most: elements to a step.
    """

    degree: int
    longest: float
    tolerance: float
    most: int


_NEWTON_LIMIT = 10
_COARSER = 2.0
_INTEGRATOR = 100.0


def simulated(
    flow: Flow, stretches: list[Stretch], start: Array, end: Array, z: Array, fixed: Array, wish: Accuracy, tried: float
) -> tuple[Elements, float]:
    """The elements of one step with nodes that satisfy the equations, and the element length to try next.

    start: (n + q,) coordinates; end: (n,) as the model's own integrator has it; tried: s, the length to begin with.
    Elements are halved until both agree; the length doubles again where they agree far better than was asked. A step
    of one short element tells nothing of longer ones. Where halving changes nothing any more, what is left is the
    integrator's own error, which may be a hundred tolerances.
    Raises SolveError when the most elements are not enough, or the difference is larger.
    """
    n, most = end.size, max(wish.most, len(stretches))
    longest = min(tried, wish.longest)
    if _count(stretches, longest) > most:
        longest = wish.longest
    least = tried if _count(stretches, longest) == len(stretches) else 0.0
    coarser = np.full(n, np.inf)
    while True:
        if _count(stretches, longest) > most:
            raise _too_coarse(stretches, wish)
        elements = laid_out(flow, stretches, wish.degree, longest, start[:n], end, z)
        elements, error = _newton(flow, elements, start, end, fixed, wish.tolerance)
        if error <= wish.tolerance:
            spare = wish.tolerance * 0.1 * _COARSER ** (1 - 2 * wish.degree)
            used = float(elements.length.max())
            return elements, max(least, used * _COARSER if error <= spare else used)
        reached = elements.x[-1, -1]
        settled = np.isfinite(error) and _difference(coarser, reached) <= 0.1 * wish.tolerance
        if settled and error <= _INTEGRATOR * wish.tolerance:
            return elements, max(least, float(elements.length.max()) * _COARSER)
        if settled:
            raise _no_meeting(stretches, error)
        coarser, least = reached, 0.0
        longest = 0.5 * float(elements.length.max())


def _count(stretches: list[Stretch], longest: float) -> int:
    """How many elements these stretches take."""
    return sum(n_elements(stretch.end - stretch.begin, longest) for stretch in stretches)


def _difference(one: Array, other: Array) -> float:
    """The largest, over the states' scales or over their values where those are larger."""
    return float((np.abs(one - other) / (1.0 + np.abs(other))).max())


def _no_meeting(stretches: list[Stretch], error: float) -> SolveError:
    return SolveError(
        f"finer elements change nothing and the model's own integrator is {error:.2g} of the states' scales away; give "
        "it tighter tolerances, or accept a larger difference (accuracy)",
        time=stretches[0].begin,
    )


def _too_coarse(stretches: list[Stretch], wish: Accuracy) -> SolveError:
    span = stretches[-1].end - stretches[0].begin
    return SolveError(
        f"collocation with {wish.most} elements of degree {wish.degree} to a step of {span:g} s does not meet the "
        f"model's own integrator within {wish.tolerance:g} of the states' scales; give samples more often, allow more "
        "elements (most_elements), or accept a larger difference (accuracy)",
        time=stretches[0].begin,
    )


def _newton(
    flow: Flow, elements: Elements, start: Array, end: Array, fixed: Array, tolerance: float
) -> tuple[Elements, float]:
    """Nodes after Newton's method and their difference from `end`; infinite where it does not come near.

    It stops as soon as the difference is within the tolerance: what is left belongs to the iterations of the window.
    """
    points = start[None, :]
    error = np.inf
    for _ in range(_NEWTON_LIMIT):
        try:
            linear = linearized(flow, elements, points, fixed)
        except SolveError:
            return elements, np.inf
        x = np.empty_like(elements.x)
        at = np.append(start, 1.0)
        for k in range(len(x)):
            x[k] = (linear.nodes[k] @ at).reshape(x.shape[1:])
            at = linear.maps[k] @ at
        change = float(np.abs(x - elements.x).max())
        elements = with_nodes(elements, x, linear.z)
        error = _difference(x[-1, -1], end) if np.isfinite(change) else np.inf
        if error <= tolerance or not np.isfinite(error) or change <= 0.1 * tolerance:
            break
    return elements, error


def with_nodes(elements: Elements, x: Array, z: Array) -> Elements:
    """The same elements with other values at their nodes."""
    e = elements
    return Elements(e.interval, e.begin, e.length, e.nodes, e.known, e.gain, e.dose, x, z)
