"""Least squares that stand for the misfit at a point: rows r, J with J^T r exactly half its slope.

J^T J is the expected information of the samples (Fisher's; less for outliers), which is never indefinite; a sample
whose variance depends on the unknowns has a second row for that. For normal noise of a given size the rows are the
whitened residuals.
The observed curvature, which draws need, is a matrix of its own and comes without rows.
"""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood.local_model import LocalModel
from physics_twin.estimation.likelihood.sample_noise import SampleNoise
from physics_twin.estimation.likelihood.terms import Terms, misfit_of, relative_variance_slope, terms
from physics_twin.estimation.trust_region import Linearization

LEAST_SHARE = 0.1
"""Share of the expected information that the observed one has at least in any direction."""


def data_rows(
    noise: SampleNoise, found: Terms, local: LocalModel, curvature: Array | None = None
) -> tuple[Array, Array]:
    """A row for each sample: r (n_data,) with variance one where all is right, J (n_data, d) where slopes are known.

    Innovations where noise remembers; the score over its standard deviation where it has outliers, so that no sample
    has a large r; of a censored sample the slope of its probability. curvature (n_data,): in the place of the expected
    one; the product of row and r stays.
    """
    root = np.sqrt(found.expected if curvature is None else curvature)
    in_chain = found.phi > 0.0
    in_chain[noise.before[in_chain]] = True
    score = np.where(in_chain, found.u, found.of_e)
    r = np.divide(score, root, out=np.zeros(score.size), where=root > 1e-150)
    if not local.has_slopes:
        return r, np.zeros((0, local.prior_jacobian.shape[1]))
    return r, root[:, None] * _slope_of_u(noise, found, local)


def _slope_of_u(noise: SampleNoise, found: Terms, local: LocalModel) -> Array:
    """(n_data, d) of u with respect to y; variances held but for censored samples."""
    rows = local.jacobian / found.s[:, None]
    relative = relative_variance_slope(found, local)
    if relative is not None:
        hidden = ~noise.measured
        rows[hidden] -= 0.5 * found.e[hidden, None] * relative[hidden]
    return _remembering(noise, found, rows)


def _remembering(noise: SampleNoise, found: Terms, rows: Array) -> Array:
    """Rows of e (n_data, d) -> rows of u."""
    chained = found.phi > 0.0
    if not chained.any():
        return rows
    u = rows.copy()
    u[chained] -= found.phi[chained, None] * rows[noise.before[chained]]
    return np.asarray(u / np.sqrt(found.rest)[:, None])


def quadratic(noise: SampleNoise, psi: Array, local: LocalModel, x: Array, found: Terms | None = None) -> Linearization:
    """Rows of samples, of variances that depend on the unknowns, of priors and of populations; the exact misfit.

    x (d,): where that is. found: the terms, where they are known. Without slopes no Jacobian.
    """
    found = terms(noise, psi, local) if found is None else found
    value = misfit_of(noise, psi, local, found).value
    r, j = data_rows(noise, found, local, found.stepping)
    if not local.has_slopes:
        return Linearization(x, r, j, value)
    residuals, jacobians = [r], [j]
    relative = relative_variance_slope(found, local)
    if relative is not None:
        nu = noise.at(psi).tails
        finite = np.where(np.isfinite(nu), nu, 1.0)
        size = np.sqrt(0.5 * np.where(np.isfinite(nu), finite / (finite + 3.0), 1.0))
        m = noise.measured
        residuals.append((found.of_log_v / size)[m])
        jacobians.append((size[:, None] * relative)[m])
    residuals.append(local.prior)
    jacobians.append(local.prior_jacobian)
    for member in local.members:
        spread = float(np.exp(psi[member.spread]))
        residuals.append(member.deviation / spread)
        jacobians.append(member.jacobian / spread)
    r, j = np.concatenate(residuals), np.concatenate(jacobians)
    return Linearization(x, r, j, value)


def observed_information(noise: SampleNoise, psi: Array, local: LocalModel, found: Terms | None = None) -> Array:
    """Half the second derivative (d, d) of the misfit of the local model, kept positive beside the expected one.

    found: the terms, where they are known.
    """
    found = terms(noise, psi, local) if found is None else found
    h = exact_information(noise, psi, local, found)
    same_variance = local.signal_jacobian is None and local.extra_jacobian is None
    if same_variance and (found.observed >= LEAST_SHARE * found.expected).all():
        return h
    rows = quadratic(noise, psi, local, np.zeros(local.drift_slope.size), found).jacobian
    return kept_positive(h, rows.T @ rows)


def exact_information(noise: SampleNoise, psi: Array, local: LocalModel, found: Terms) -> Array:
    """Half the second derivative (d, d) of the misfit of the local model, indefinite where it is.

    With e = r exp(-l/2), l = ln v: de = dr/s - e dl/2, and second derivatives of e and l by the product rule.
    """
    j = local.jacobian / found.s[:, None]
    relative = relative_variance_slope(found, local)
    d_e = j if relative is None else j - 0.5 * found.e[:, None] * relative
    d_u = _remembering(noise, found, d_e)
    h = d_u.T @ (found.observed[:, None] * d_u) + local.prior_jacobian.T @ local.prior_jacobian
    if relative is not None:
        cross = (j * found.of_e[:, None]).T @ relative
        h -= 0.5 * (cross + cross.T)
        h += relative.T @ ((0.25 * found.of_e * found.e - found.of_log_v)[:, None] * relative)
        if local.signal is not None and local.signal_jacobian is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                bend = np.where(local.signal == 0.0, 0.0, 2.0 * found.signal_share / local.signal**2)
            h += local.signal_jacobian.T @ ((found.of_log_v * bend)[:, None] * local.signal_jacobian)
    for member in local.members:
        spread = float(np.exp(psi[member.spread]))
        h += member.jacobian.T @ member.jacobian / spread**2
    return np.asarray(0.5 * (h + h.T))


def kept_positive(h: Array, expected: Array) -> Array:
    """h (d, d) with its eigenvalues, measured by the expected information, raised to LEAST_SHARE where below."""
    scale = np.sqrt(np.maximum(np.diag(expected), 1e-300))
    values, vectors = np.linalg.eigh(expected / np.outer(scale, scale))
    known = values > 1e-12 * values[-1]
    root = scale[:, None] * vectors[:, known] * np.sqrt(values[known])  # expected = root root^T
    inverse = vectors[:, known] / np.sqrt(values[known]) / scale[:, None]
    ratio, axes = np.linalg.eigh(inverse.T @ h @ inverse)
    if ratio.size == 0 or ratio[0] >= LEAST_SHARE:
        return h
    kept = (axes * np.maximum(ratio, LEAST_SHARE)) @ axes.T
    return np.asarray(root @ kept @ root.T)
