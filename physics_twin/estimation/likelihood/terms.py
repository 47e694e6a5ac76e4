"""The misfit, -2 log posterior, and its exact slopes.

Letters: r residual, v variance, s its root, e = r/s; u innovations, (e_i - phi_i e_before) / sqrt(1 - phi_i^2), which
are independent standard normal numbers where the noise is an AR(1) process. The terms of a measured sample are
u^2 + log(1 - phi^2) + log v, of Student's t (nu + 1) log(1 + e^2/nu) + log v and a constant of nu; of a censored one
-2 log of the probability that noise leaves it beyond the limit. The terms of a population are those of normal numbers,
and 2 log Z of each member whose bounds cut the normal (`cut.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood import student
from physics_twin.estimation.likelihood.local_model import LocalModel
from physics_twin.estimation.likelihood.sample_noise import Numbers, SampleNoise

LEAST_CURVATURE = 0.1
"""Of a censored sample, in squared slopes: far on the wrong side the tail of Student's t bends the other way."""


@dataclass(frozen=True)
class Terms:
    """The misfit of the samples and half its slopes with respect to what it is made of; arrays (n_data,)."""

    misfit: float
    e: Array
    s: Array
    u: Array
    """e where nothing is remembered."""
    phi: Array
    rest: Array
    """1 - phi^2"""
    of_e: Array
    """Half slope with respect to e."""
    of_log_v: Array
    """Half slope with respect to ln v, r held."""
    observed: Array
    """Half second derivative with respect to e (to u where something is remembered)."""
    expected: Array
    """The same before the sample is known, above zero; of censored samples nearly the observed one."""
    stepping: Array
    """What a search steps by: below the expected one for outliers, as in iteratively reweighted least squares, since
    far from the mode all samples of Student's t are outliers."""
    level_share: Array
    """What the level contributes to v, as a share of v."""
    signal_share: Array
    """The same of what is proportional to the model's value."""
    of_memory: Array
    """Half slope with respect to the logarithm of the correlation time."""
    of_tails: Array
    """Half slope with respect to the logarithm of the degrees of freedom."""


def terms(noise: SampleNoise, psi: Array, local: LocalModel) -> Terms:
    """The terms of all samples for given psi (n_psi,)."""
    n = noise.at(psi)
    level = n.level**2
    signal = np.zeros(level.size) if local.signal is None else (n.share * local.signal) ** 2
    v = level + signal if local.extra is None else level + signal + local.extra
    s = np.sqrt(v)
    e = local.residual / s
    measured = noise.measured
    phi, rest, remembered = _memory(noise, n)
    u = e.copy()
    u[remembered] -= phi[remembered] * e[noise.before[remembered]]
    u /= np.sqrt(rest)
    of_e = u / np.sqrt(rest)
    of_e[noise.before[remembered]] -= (phi * u / np.sqrt(rest))[remembered]
    observed, expected, stepping = np.ones(e.size), np.ones(e.size), np.ones(e.size)
    of_tails = np.zeros(e.size)
    own = u * u + np.log(rest)
    heavy = np.isfinite(n.tails)
    _student(heavy & measured, n.tails, e, own, of_e, observed, expected, stepping, of_tails)
    own += np.log(v / noise.reference**2)
    _censored(noise.censored, n.tails, e, own, of_e, observed, expected, stepping, of_tails)
    of_memory = np.zeros(e.size)
    if remembered.any():
        k = remembered
        of_phi = u[k] * (u[k] * phi[k] / np.sqrt(rest[k]) - e[noise.before[k]]) / np.sqrt(rest[k]) - phi[k] / rest[k]
        of_memory[k] = of_phi * phi[k] * noise.gap[k] / n.memory[k]
    return Terms(
        misfit=float(own.sum()),
        e=e,
        s=s,
        u=u,
        phi=phi,
        rest=rest,
        of_e=of_e,
        of_log_v=0.5 * (measured - of_e * e),
        observed=observed,
        expected=expected,
        stepping=stepping,
        level_share=level / v,
        signal_share=signal / v,
        of_memory=of_memory,
        of_tails=of_tails,
    )


def _memory(noise: SampleNoise, n: Numbers) -> tuple[Array, Array, NDArray[np.bool_]]:
    """phi, 1 - phi^2 (accurate where phi is nearly one), and which samples remember another."""
    remembered = (noise.before >= 0) & (n.memory > 0.0) & np.isfinite(noise.gap)
    phi, rest = np.zeros(noise.gap.size), np.ones(noise.gap.size)
    steps = noise.gap[remembered] / n.memory[remembered]
    phi[remembered], rest[remembered] = np.exp(-steps), np.maximum(-np.expm1(-2.0 * steps), 1e-300)
    return phi, rest, remembered


def _student(
    where: NDArray[np.bool_],
    tails: Array,
    e: Array,
    own: Array,
    of_e: Array,
    observed: Array,
    expected: Array,
    stepping: Array,
    of_tails: Array,
) -> None:
    """Fill in what measured samples with heavy tails differ in."""
    if not where.any():
        return
    nu, square = tails[where], e[where] ** 2
    own[where] = (nu + 1.0) * np.log1p(square / nu) - 2.0 * student.log_constant(nu)
    of_e[where] = (nu + 1.0) * e[where] / (nu + square)
    observed[where] = (nu + 1.0) * (nu - square) / (nu + square) ** 2
    expected[where] = (nu + 1.0) / (nu + 3.0)
    stepping[where] = np.minimum(expected[where], (nu + 1.0) / (nu + square))
    of_nu = 0.5 * np.log1p(square / nu) - 0.5 * (nu + 1.0) * square / (nu * (nu + square))
    of_tails[where] = nu * (of_nu - student.log_constant_slope(nu))


def _censored(
    side: NDArray[np.int8],
    tails: Array,
    e: Array,
    own: Array,
    of_e: Array,
    observed: Array,
    expected: Array,
    stepping: Array,
    of_tails: Array,
) -> None:
    """Fill in what censored samples differ in: -2 log F(a), a = e where the truth is below, -e where it is above."""
    for heavy in (False, True):
        k = (side != 0) & (np.isfinite(tails) == heavy)
        if not k.any():
            continue
        sign = -side[k].astype(float)
        a = sign * e[k]
        if heavy:
            nu = tails[k]
            log_f = student.log_distribution(nu, a)
            hazard = np.exp(student.log_density(nu, a) - log_f)
            observed[k] = hazard * (hazard + (nu + 1.0) * a / (nu + a * a))
            of_tails[k] = -student.log_distribution_slope(nu, a)
        else:
            log_f = log_ndtr(a)
            hazard = np.exp(-0.5 * a * a - 0.5 * np.log(2.0 * np.pi) - log_f)
            observed[k] = hazard * (a + hazard)
        own[k] = -2.0 * log_f
        of_e[k] = -sign * hazard
        expected[k] = stepping[k] = np.maximum(observed[k], LEAST_CURVATURE * hazard**2)


@dataclass(frozen=True)
class Misfit:
    """-2 log posterior up to a constant, and half its slopes."""

    value: float
    slope: Array
    """(d,) empty where there is no Jacobian"""
    slope_psi: Array
    """(n_psi,) priors of psi left out"""


def misfit(noise: SampleNoise, psi: Array, local: LocalModel) -> Misfit:
    """The misfit of samples, priors and populations."""
    return misfit_of(noise, psi, local, terms(noise, psi, local))


def misfit_of(noise: SampleNoise, psi: Array, local: LocalModel, found: Terms) -> Misfit:
    """The same from terms that are known already."""
    value = found.misfit + float(local.prior @ local.prior) + 2.0 * local.drift
    slope_psi = _slope_psi(noise, psi.size, found)
    slope = np.empty(0)
    if local.has_slopes:
        slope = local.jacobian.T @ (found.of_e / found.s) + local.prior_jacobian.T @ local.prior + local.drift_slope
        relative = relative_variance_slope(found, local)
        if relative is not None:
            slope = slope + relative.T @ found.of_log_v
    for m in local.members:
        spread = float(np.exp(psi[m.spread]))
        q = m.deviation / spread
        value += float(q @ q) + 2.0 * q.size * float(psi[m.spread])
        slope_psi[m.spread] += q.size - float(q @ q)
        if local.has_slopes:
            slope = slope + m.jacobian.T @ (q / spread)
    for cut in local.cuts:
        if not cut.acts(psi):
            continue
        mass = cut.mass(psi)
        value += 2.0 * float(mass.log.sum())
        slope_psi[cut.spread] += float(mass.stretch.sum())
        if local.has_slopes:
            slope = slope + float((mass.tilt / cut.weights).sum() / np.exp(psi[cut.spread])) * cut.mean_slope
    return Misfit(value, slope, slope_psi)


def relative_variance_slope(found: Terms, local: LocalModel) -> Array | None:
    """(n_data, d) slope of ln v with respect to y; None where the variance does not depend on it."""
    if local.signal_jacobian is None and local.extra_jacobian is None:
        return None
    slope = np.zeros(local.jacobian.shape)
    if local.signal is not None and local.signal_jacobian is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            per_signal = np.where(local.signal == 0.0, 0.0, 2.0 * found.signal_share / local.signal)
        slope += per_signal[:, None] * local.signal_jacobian
    if local.extra_jacobian is not None:
        slope += local.extra_jacobian / (found.s**2)[:, None]
    return slope


def _slope_psi(noise: SampleNoise, n_psi: int, found: Terms) -> Array:
    slope = np.zeros(n_psi + 1)  # the last one takes what is given
    np.add.at(slope, noise.level, 2.0 * found.of_log_v * found.level_share)
    np.add.at(slope, noise.share_psi, 2.0 * found.of_log_v * found.signal_share)
    np.add.at(slope, noise.memory_psi, found.of_memory)
    np.add.at(slope, noise.tails_psi, found.of_tails)
    return slope[:n_psi]
