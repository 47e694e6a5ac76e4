"""Chains through noise with a shape, limits and populations, against integration on dense grids.

Noise levels and shapes are flat in their logarithms between their bounds; a grid with as many axes as there are
unknowns holds the whole posterior, and the draws must follow its marginals.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

import physics_twin as pt
from physics_twin.estimation import MarkovChain, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior

SHORT = MarkovChain(n_draws=1000, steps=250, warm_up=150)
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
FAR = 4.5
"""Standard errors; of some hundred comparisons here, chance exceeds it in one of fifteen hundred runs."""
TIMES = np.linspace(0.0, 40.0, 80)
VALUES = 10.0 + TIMES

Array = Any
LogLikelihood = Callable[[Array, Array, Array, Array], Array]
"""Of residuals (..., n), values (..., n), level and shape, summed over samples."""


def check_quantiles(posterior: Posterior, name: str, exact: Array) -> None:
    """The share of draws below the exact quantiles (5,) is LEVELS within binomial error of the effective draws."""
    found = posterior.diagnostics.sel(parameter=name)
    effective = min(float(found["ess_bulk"]), float(found["ess_tail"]), float(posterior.n_draws))
    assert effective > 100.0
    below = (posterior[name][:, None] <= exact).mean(axis=0)
    error = np.sqrt(LEVELS * (1.0 - LEVELS) / effective)
    assert (np.abs(below - LEVELS) < FAR * error).all(), (name, below, error)


def quantiles(axes: Sequence[Array], log_p: Array) -> list[Array]:
    """Quantiles (5,) of the marginal along each evenly spaced axis of a density on a grid."""
    p = np.exp(log_p - log_p.max())
    found = []
    for k, axis in enumerate(axes):
        if axis.size == 1:
            found.append(np.full(LEVELS.size, axis[0]))
            continue
        own = p.sum(axis=tuple(j for j in range(p.ndim) if j != k))
        below = np.concatenate([[0.0], np.cumsum(0.5 * (own[1:] + own[:-1]))])
        found.append(np.interp(LEVELS, below / below[-1], axis))
    return found


def student(r: Array, _: Array, level: Array, shape: Array) -> Array:
    """Student's t; `level` is its scale."""
    constant = gammaln(0.5 * (shape + 1.0)) - gammaln(0.5 * shape) - 0.5 * np.log(shape * np.pi) - np.log(level)
    return (constant - 0.5 * (shape + 1.0) * np.log1p((r / level) ** 2 / shape)).sum(axis=-1)


def share(r: Array, value: Array, level: Array, shape: Array) -> Array:
    """Normal, with a variance that grows with the square of the value."""
    v = level**2 + (shape * value) ** 2
    return -0.5 * (r**2 / v + np.log(v)).sum(axis=-1)


def memory(r: Array, _: Array, level: Array, shape: Array) -> Array:
    """AR(1), by its innovations."""
    phi = np.exp(-(TIMES[1] - TIMES[0]) / shape)
    v = level**2 * (1.0 - phi**2)
    later = (r[..., 1:] - phi * r[..., :-1]) ** 2 / v + np.log(v)
    first = r[..., 0] ** 2 / level[..., 0] ** 2 + 2.0 * np.log(level[..., 0])
    return -0.5 * (first + later.sum(axis=-1))


def noise_of(kind: str, rng: np.random.Generator) -> Array:
    """Noise (n,) of the kind."""
    normal = rng.standard_normal(TIMES.size)
    if kind == "degrees_of_freedom":
        return 0.5 * rng.standard_t(3.0, TIMES.size)
    if kind == "proportional":
        return np.hypot(1.5, 0.06 * VALUES) * normal
    gaps = np.abs(TIMES[:, None] - TIMES[None, :])
    return 0.8 * np.linalg.cholesky(np.exp(-gaps / 1.5)) @ normal


@pytest.mark.parametrize(
    ("kind", "start", "log_likelihood", "levels", "shapes"),
    [
        ("correlation_time", "1 s", memory, (0.8, 0.8), None),
        pytest.param("degrees_of_freedom", "5", student, (0.1, 2.0), None, marks=pytest.mark.slow),
        pytest.param("proportional", "3 %", share, (1.5, 1.5), (5e-3, 0.3), marks=pytest.mark.slow),
    ],
)
def test_noise_with_an_estimated_shape(
    kind: str,
    start: str,
    log_likelihood: LogLikelihood,
    levels: tuple[float, float],
    shapes: tuple[float, float] | None,
    line: Any,
    experiment: Any,
) -> None:
    """Intercept of a line, noise level and shape follow the density on a grid."""
    y = VALUES + noise_of(kind, np.random.default_rng(12))
    model = line(parameters=[Parameter("a", "10 K"), Parameter("b", "1 K/s")])
    given = levels[0] == levels[1]
    noise = pt.Noise((levels[0], "K") if given else EstimatedNoise("1 K"), **{kind: pt.Estimated(start)})
    posterior = calibrate(model, experiment("run", TIMES, y, noise=noise), unknown=["a"], method=SHORT, rng=8)
    names = ("a", "noise.y", f"{kind}.y")
    low, high = posterior.parameters[names[2]].bounds if shapes is None else shapes
    spread = 6.0 * posterior["a"].std()
    axes = (
        np.linspace(posterior["a"].mean() - spread, posterior["a"].mean() + spread, 41),
        np.linspace(float(np.log(levels[0])), float(np.log(levels[1])), 1 if given else 36),
        np.linspace(np.log(low), np.log(high), 50),
    )
    value = (axes[0][:, None] + TIMES)[:, None, None, :]
    level, shape = np.exp(axes[1])[None, :, None, None], np.exp(axes[2])[None, None, :, None]
    exact = quantiles(axes, log_likelihood(y - value, value, level, shape))
    check_quantiles(posterior, "a", exact[0])
    for name, q in zip(names[1:], exact[1:], strict=True):
        if name in posterior.names:
            check_quantiles(posterior, name, np.exp(q))
    assert posterior.diagnostics["divergences"].sum() == 0


def test_limits(line: Any) -> None:
    """A sensor that saturates at 40 K, beside an unknown noise level: a tobit model."""
    true = VALUES + np.random.default_rng(3).standard_normal(TIMES.size)
    beyond = true > 40.0
    shown = np.where(beyond, 40.0, true)
    run = Experiment.from_arrays(
        "run",
        TIMES,
        {"y": shown},
        channels=[Channel("y", unit="K", noise=EstimatedNoise("2 K"))],
        censored={"y": beyond.astype(int)},
    )
    model = line(parameters=[Parameter("a", "10 K"), Parameter("b", "1.1 K/s", bounds=("0 K/s", "5 K/s"))])
    posterior = calibrate(model, run, unknown=["a", "b"], method=SHORT, rng=9)
    axes = (np.linspace(8.0, 12.0, 45), np.linspace(0.85, 1.15, 45), np.log(np.geomspace(0.5, 2.0, 30)))
    r = (shown - axes[0][:, None, None] - axes[1][None, :, None] * TIMES)[:, :, None, :] / np.exp(axes[2])[:, None]
    log_p = -0.5 * (r[..., ~beyond] ** 2).sum(axis=-1) - (~beyond).sum() * axes[2]
    exact = quantiles(axes, log_p + stats.norm.logsf(r[..., beyond]).sum(axis=-1))
    check_quantiles(posterior, "a", exact[0])
    check_quantiles(posterior, "b", exact[1])
    check_quantiles(posterior, "noise.y", np.exp(exact[2]))


EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
"""Eight schools: D. B. Rubin, Estimation in parallel randomized experiments, J. Educ. Stat. 6 (1981) 377, table 1."""


def mixed(p: Array, center: Array, sd: Array) -> Array:
    """Quantiles (5,) of a mixture of normal distributions with the weights p."""
    x = np.linspace((center - 5.0 * sd).min(), (center + 5.0 * sd).max(), 400)
    return np.interp(LEVELS, stats.norm.cdf(x[:, None], center, sd) @ p, x)


def test_eight_schools(closed_form: Any) -> None:
    """Mean, spread and schools, given the spread normal (Gelman et al. 2013, section 5.4); no trajectory diverges.

    In coordinates that keep the schools themselves, those of a spread near zero crowd together: the funnel.
    """
    model = closed_form(
        lambda t, v: (v["effect"] + 0.0 * t)[:, None],
        pt.ParameterSet([Parameter("effect", "5 m")]),
        (pt.Signal("y", "m"),),
    )
    runs = [
        Experiment.from_arrays(f"s{i}", [0.0], {"y": [y]}, channels=[Channel("y", unit="m", noise=(float(error), "m"))])
        for i, (y, error) in enumerate(zip(EFFECTS, ERRORS, strict=True))
    ]
    unknown = [pt.Population("effect", spread="10 m")]
    posterior = calibrate(model, runs, unknown=unknown, method=SHORT, rng=10)
    tau = np.linspace(*posterior.parameters["spread.effect"].bounds, 6000)
    v = ERRORS**2 + tau[:, None] ** 2
    variance = 1.0 / (1.0 / v).sum(axis=1)
    center = variance * (EFFECTS / v).sum(axis=1)
    log_p = 0.5 * np.log(variance) - 0.5 * (np.log(v) + (EFFECTS - center[:, None]) ** 2 / v).sum(axis=1)
    log_p += stats.halfnorm.logpdf(tau, scale=10.0)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    check_quantiles(posterior, "spread.effect", quantiles([tau], log_p)[0])
    check_quantiles(posterior, "mean.effect", mixed(p, center, np.sqrt(variance)))
    for i in (0, 2, 7):
        own, shrunk = 1.0 / ERRORS[i] ** 2 + 1.0 / tau**2, 1.0 / (1.0 + tau**2 / ERRORS[i] ** 2)
        sd = np.sqrt(1.0 / own + shrunk**2 * variance)
        check_quantiles(posterior, f"effect@s{i}", mixed(p, EFFECTS[i] + shrunk * (center - EFFECTS[i]), sd))
    assert posterior.diagnostics["divergences"].sum() == 0
    assert posterior.diagnostics["r_hat"].max() < 1.03
