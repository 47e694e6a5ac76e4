"""Random questions for find_envelope whose true probability is known at all settings.

Output j is y_j = f_j(s) + g_j(s) x_j: a shape of the settings and a noise whose size varies over them. P(limits | s) is
then a product of distribution functions; where the x_j share a normal part, an integral over it; where a setting has a
tolerance, an integral over its error. Both are done by Gauss-Hermite quadrature, to far below what is asked of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtr, stdtr
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope import Budget, LargestBox, Limit, Maximize, Polytope, final
from physics_twin.envelope.certificate.attempts import n_certified
from physics_twin.envelope.certificate.certificate import attempt_error, draws_needed
from physics_twin.posterior import Posterior

SHAPES = ("linear", "bowl", "corner", "waves", "steep", "lobes", "ridge", "island")
NOISES = ("normal", "student", "skewed", "two humps")
RELATIONS = ("independent", "shared", "common part", "correlated pair")

Function = Callable[[Array], Array]
"""Settings (..., d) of the unit cube -> (...,)."""


@dataclass(frozen=True)
class Known:
    """A question and its truth."""

    asked: dict[str, Any]
    """Arguments of find_envelope."""
    truth: Callable[[Array], Array]
    """Settings (..., d) -> probability (..., n_groups) of each group of limits."""
    required: Array
    """(n_groups,)"""
    tags: tuple[str, ...]
    """What is special about it."""

    def excess(self, points: Array) -> Array:
        """How far (n,) the true probability lies above what is required, in the group that is worst off."""
        return (self.truth(points) - self.required).min(axis=-1)


def quadrature(n: int) -> tuple[Array, Array]:
    """Nodes and weights of a mean over a standard normal."""
    nodes, weights = hermegauss(n)
    return nodes, weights / weights.sum()


def shape(kind: str, d: int, rng: np.random.Generator) -> Function:
    """A function of the settings with a range of about one."""
    w = rng.uniform(-1.0, 1.0, d)
    w /= np.abs(w).sum()
    c, c2, a = rng.uniform(0.15, 0.85, d), rng.uniform(0.15, 0.85, d), rng.uniform(0.3, 1.0, d)
    k, phase, size, up = rng.uniform(2.0, 5.0), rng.uniform(0.0, 6.0), rng.uniform(0.15, 0.5), rng.random(d) < 0.5
    axis, width, height = int(rng.integers(d)), rng.uniform(0.06, 0.25), rng.uniform(0.3, 1.0)
    forms: dict[str, Function] = {
        "linear": lambda u: u @ w,
        "bowl": lambda u: (((u - c) / a) ** 2).sum(-1),
        "corner": lambda u: np.prod(np.where(up, u, 1.0 - u) + 0.2, axis=-1),  # one is far worse than all others
        "waves": lambda u: u @ w + size * np.sin(k * u.sum(-1) + phase),
        "steep": lambda u: np.exp(k * (u @ w - 0.5)),
        "lobes": lambda u: np.minimum((((u - c) / a) ** 2).sum(-1), (((u - c2) / a) ** 2).sum(-1) + 0.1),
        "ridge": lambda u: 0.5 * (u @ w) + height * np.exp(-(((u[..., axis] - c[axis]) / width) ** 2)),
        "island": lambda u: 0.5 * (u @ w) + height * np.exp(-(((u - c) / width) ** 2).sum(-1)),
    }
    return forms[kind]


@dataclass(frozen=True)
class Noise:
    """A random number: how it is drawn, and its distribution function."""

    draw: Callable[[np.random.Generator, int], Array]
    below: Function


def noise(kind: str, rng: np.random.Generator) -> Noise:
    """Light, heavy, skewed or with a rare second hump."""
    df, s = rng.uniform(2.0, 5.0), rng.uniform(0.4, 1.0)
    share, far = rng.uniform(0.03, 0.2), rng.uniform(2.0, 6.0)
    forms = {
        "normal": Noise(lambda g, n: g.standard_normal(n), ndtr),
        "student": Noise(lambda g, n: g.standard_t(df, n), lambda z: stdtr(df, z)),
        "skewed": Noise(
            lambda g, n: np.exp(s * g.standard_normal(n)) - 1.0,
            lambda z: ndtr(np.log(np.maximum(z + 1.0, 1e-300)) / s),
        ),
        "two humps": Noise(
            lambda g, n: g.standard_normal(n) + far * (g.random(n) < share),
            lambda z: (1.0 - share) * ndtr(z) + share * ndtr(z - far),
        ),
    }
    return forms[kind]


@dataclass
class Limits:
    """The limits of one problem and how their noises go together; `upper` and `lower` are widened until they fit."""

    shapes: list[Function]
    sizes: list[Function]
    noises: list[Noise]
    relation: str
    rho: float
    upper: Array
    lower: Array
    scatter: float

    def second(self, j: int, u: Array) -> Array:
        """Size of the second noise of a correlated pair."""
        return 0.1 * np.abs(self.shapes[j](u))

    def value(self, j: int, u: Array, x: dict[str, Array]) -> Array:
        """Output j for parameters x."""
        if self.relation == "correlated pair":
            return self.shapes[j](u) + self.sizes[j](u) * x[f"a{j}"] + self.second(j, u) * x[f"b{j}"]
        return self.shapes[j](u) + self.sizes[j](u) * x["a0" if self.relation == "shared" else f"a{j}"]

    def reach(self, j: int, u: Array) -> tuple[Array, Array]:
        """The limits of output j in units of its noise."""
        size = self.sizes[j](u) * np.sqrt(1.0 + self.scatter**2)
        if self.relation == "correlated pair":
            other = self.second(j, u)
            size = np.sqrt(size**2 + other**2 + 2.0 * self.rho * size * other)
        f = self.shapes[j](u)
        return (self.lower[j] - f) / size, (self.upper[j] - f) / size

    def kept(self, group: tuple[int, ...], u: Array) -> Array:
        """Probability (...,) of a group of limits at exact settings (..., d)."""
        ends = [self.reach(j, u) for j in group]
        if self.relation == "shared":
            low, high = np.max([e[0] for e in ends], axis=0), np.min([e[1] for e in ends], axis=0)
            return np.maximum(self.noises[0].below(high) - self.noises[0].below(low), 0.0)
        if self.relation == "common part":
            nodes, p = quadrature(24)
            a, b = np.sqrt(self.rho), np.sqrt(1.0 - self.rho)
            for low, high in ends:
                p = p * (ndtr((high[..., None] - a * nodes) / b) - ndtr((low[..., None] - a * nodes) / b))
            return p.sum(axis=-1)
        each = [
            self.noises[j].below(high) - self.noises[j].below(low) for j, (low, high) in zip(group, ends, strict=True)
        ]
        return np.prod(each, axis=0)

    def draws(self, rng: np.random.Generator, n: int) -> dict[str, Array]:
        """Parameters, by name."""
        x: dict[str, Array] = {}
        common = rng.standard_normal(n)
        for j, kind in enumerate(self.noises[:1] if self.relation == "shared" else self.noises):
            x[f"a{j}"] = kind.draw(rng, n)
            if self.relation == "common part":
                x[f"a{j}"] = np.sqrt(self.rho) * common + np.sqrt(1.0 - self.rho) * x[f"a{j}"]
            if self.relation == "correlated pair":
                x[f"b{j}"] = self.rho * x[f"a{j}"] + np.sqrt(1.0 - self.rho**2) * rng.standard_normal(n)
        return x


def random_limits(d: int, sample: Array, rng: np.random.Generator, tags: list[str]) -> Limits:
    """One to four limits; their levels are only a start."""
    n = int(rng.integers(1, 5))
    kinds = rng.choice(SHAPES, n)
    relation = str(rng.choice(RELATIONS, p=(0.4, 0.2, 0.2, 0.2)))
    families = rng.choice(NOISES, n) if relation in ("independent", "shared") else np.full(n, "normal")
    families = np.full(n, families[0]) if relation == "shared" else families
    tags += [f"{n} limits", *dict.fromkeys(map(str, kinds)), relation, *dict.fromkeys(map(str, families))]
    shapes = [shape(kind, d, rng) for kind in kinds]
    sizes: list[Function] = []
    for f in shapes:
        sd, slope, axis = 10.0 ** rng.uniform(-2.0, -0.8) * np.ptp(f(sample)), rng.uniform(-0.7, 2.5), rng.integers(d)
        sizes.append(lambda u, sd=sd, slope=slope, axis=axis: sd * (1.0 + slope * u[..., axis]))
    both = [(f(sample), 2.0 * g(sample)) for f, g in zip(shapes, sizes, strict=True)]
    upper = np.array([np.quantile(y + sd, rng.uniform(0.5, 0.95)) for y, sd in both])
    lower = np.array([np.quantile(y - sd, rng.uniform(0.0, 0.2)) for y, sd in both])
    lower[rng.random(n) > 0.25] = -np.inf
    rho = rng.uniform(0.3, 0.95) if relation == "common part" else rng.uniform(-0.8, 0.8)
    plain = relation == "independent" and set(families) == {"normal"} and rng.random() < 0.6
    return Limits(
        shapes,
        sizes,
        [noise(str(kind), rng) for kind in families],
        relation,
        float(rho),
        upper,
        lower,
        rng.uniform(0.3, 1.0) if plain else 0.0,
    )


def known_problem(number: int, d: int, builders: Any, *, most_draws: int = 900, n_points: int | None = None) -> Known:
    """Problem `number` over d settings; most_draws: unless more are needed to certify at all."""
    rng = np.random.default_rng([number, d, 2026])
    tags = [f"{d} settings"]
    sample = qmc.Sobol(d, rng=1).random_base2(9)
    limits = random_limits(d, sample, rng, tags)
    n_limits, names = len(limits.shapes), [f"s{i}" for i in range(d)]
    own = [float(rng.choice([0.9, 0.97])) if n_limits > 1 and rng.random() < 0.15 else None for _ in range(n_limits)]
    joint = tuple(j for j in range(n_limits) if own[j] is None)
    groups = [joint] * bool(joint) + [(j,) for j in range(n_limits) if own[j] is not None]
    required = np.array([0.95] * bool(joint) + [p for p in own if p is not None])
    options: dict[str, Any] = {}
    axis = np.zeros(d)
    if rng.random() < 0.25:
        i = int(rng.integers(d))
        axis[i] = rng.uniform(0.005, 0.04)
        options["tolerance"] = {names[i]: float(axis[i])}
    if limits.scatter:
        options["batch_variation"] = {f"a{j}": limits.scatter for j in range(n_limits)}

    def truth(u: Array) -> Array:
        nodes, weights = quadrature(12) if axis.any() else (np.zeros(1), np.ones(1))
        errors = [np.stack([limits.kept(g, u + x * axis) for g in groups], axis=-1) for x in nodes]
        return np.einsum("i,i...->...", weights, np.array(errors))

    # Levels wide enough that some of the cube can be shown to keep the limits.
    share = rng.uniform(0.05, 0.7)
    for _ in range(60):
        if ((truth(sample) - required) >= 0.7 * (1.0 - required)).all(axis=1).mean() >= share:
            break
        step = np.array([0.6 * np.median(g(sample)) for g in limits.sizes])
        limits.upper, limits.lower = limits.upper + step, limits.lower - step

    polytope = d in (2, 3) and rng.random() < 0.08
    if polytope:
        options["shape"] = Polytope()
    elif rng.random() < 0.15:
        options["shape"] = LargestBox(weights={"s0": 3.0})
    elif rng.random() < 0.15:
        best = sample[int(np.argmax((truth(sample) - required).min(axis=1)))]
        options["shape"] = LargestBox(around=dict(zip(names, best.tolist(), strict=True)))
    if rng.random() < 0.1:
        options["objectives"] = Maximize("y0")
    if len(groups) > 1:
        tags.append("own probabilities")
    tags += [*options, *(["polytope"] if polytope else [])]

    error = attempt_error(0.95, 0, n_certified(d, 8 if polytope else 0) * len(groups))
    least = int(draws_needed(float(required.max()), error) / 0.6) + 3
    few = rng.random() < 0.4
    n = max(least, min(most_draws, int(least * (rng.uniform(1.0, 1.3) if few else rng.uniform(1.3, 4.0)))))
    tags.append("few draws" if few else "more draws")

    def output(j: int) -> Any:
        def y(t: Array, v: dict[str, Array]) -> Array:
            u = np.concatenate([v[name] for name in names], axis=1)
            return limits.value(j, u, {name: column[:, 0] for name, column in v.items()})[:, None]

        return y

    drawn = limits.draws(rng, n)
    model = builders.closed_form({f"y{j}": output(j) for j in range(n_limits)}, list(drawn))
    settings = builders.knobs(d)
    bounds = [
        Limit(f"y{j}", upper=high, lower=None if np.isinf(low) else low, over=final, probability=p)
        for j, (low, high, p) in enumerate(zip(limits.lower.tolist(), limits.upper.tolist(), own, strict=True))
    ]
    asked = {
        "model": model,
        "posterior": Posterior.from_draws(model.parameters, np.stack(list(drawn.values()), axis=1)),
        "recipe": builders.one_hour(settings),
        "settings": settings,
        "limits": bounds,
        "rng": number,
        "budget": Budget(n_points=n_points),
        **options,
    }
    return Known(asked, truth, required, tuple(tags))


def true_worst(known: Known, envelope: Any) -> tuple[float, Array]:
    """Least true excess over the whole box or polytope, by brute force and a directed search, and where it is."""
    ends = np.array(list(envelope.box.values()))
    d, points = len(ends), envelope.certificate.points
    sides, levels = np.zeros((0, d)), np.zeros(0)
    if envelope.polytope is not None:
        vertices, g = envelope.polytope.vertices, np.random.default_rng(0)
        sides, levels = envelope.polytope.sides, envelope.polytope.levels
        ends = np.stack([vertices.min(axis=0), vertices.max(axis=0)], axis=1)
        i, j = g.integers(len(vertices), size=(2, 4000))
        x = g.random((4000, 1))
        mixed = g.dirichlet(np.full(len(vertices), 0.3), 4000) @ vertices
        points = np.concatenate([points, mixed, x * vertices[i] + (1.0 - x) * vertices[j]])
    else:
        cloud = qmc.Sobol(d, scramble=False).random_base2({1: 10, 2: 12}.get(d, 13))
        faces = np.where(cloud < 0.25, 0.0, np.where(cloud > 0.75, 1.0, 2.0 * cloud - 0.5))
        points = np.concatenate([points, ends[:, 0] + np.concatenate([cloud, faces]) * np.ptp(ends, axis=1)])

    def inside(u: Array) -> Array:
        return (u @ sides.T <= levels + 1e-9).all(axis=1)

    excess = known.excess(points)
    worst, at = np.inf, points[0]
    for k in np.argsort(excess, kind="stable")[:3]:
        point, value, step = points[k], excess[k], 0.02
        while step > 1e-5:
            tried = point + step * np.ptp(ends, axis=1) * np.concatenate([np.eye(d), -np.eye(d)])
            tried = np.clip(tried, ends[:, 0], ends[:, 1])
            found = np.where(inside(tried), known.excess(tried), np.inf)
            best = int(np.argmin(found))
            if found[best] < value:
                point, value = tried[best], found[best]
            else:
                step *= 0.5
        if value < worst:
            worst, at = float(value), point
    return worst, at
