"""What is known before the next experiment: the draws of a posterior as a normal distribution in coordinates t.

t is ln x for parameters that are searched in their logarithm, else x. Columns are the unknowns that the posterior and
the next experiment can share: parameters, and biases and delays of sensors. A parameter that each experiment has for
itself (or draws from a population) is a nuisance of every new experiment: u = A s + e with e ~ Normal(0, S), where A
and S come from the draws of what a new experiment would have. A sensor that the posterior does not know enters with
its prior.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.unknowns import OF_NOISE
from physics_twin.model import Model
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import check_fitted, member_values
from physics_twin.recipes import Recipe
from physics_twin.units import QuantityLike


@dataclass(frozen=True)
class Knowledge:
    """Columns, their covariance, and the draws at which experiments are judged."""

    model: Model
    posterior: Posterior
    parameters: Mapping[str, Parameter]
    """Of the shared columns, in order."""
    log: NDArray[np.bool_]
    """(n_s,) whether t is ln x."""
    mode: Array
    """(n_s,) SI"""
    table: Array
    """(n_all, n_s) t of all draws."""
    covariance: Array
    """(n_s, n_s) of t."""
    root: Array
    """(n_s, n_s) with root @ root.T = covariance."""
    rows: NDArray[np.intp]
    """(n_draws,) draws at which experiments are judged."""
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self.parameters)

    def index(self, name: str) -> int:
        """Number of a column."""
        return self.names.index(name)

    def after(self, information: Array) -> Array:
        """Covariances (n_draws, n_s, n_s) of t after experiments with this information (n_draws, n_s, n_s)."""
        inner = np.eye(len(self.names)) + self.root.T @ information @ self.root
        return np.asarray(self.root @ np.linalg.solve(inner, np.broadcast_to(self.root.T, inner.shape)))

    def sd(self, covariances: Array) -> Array:
        """Standard deviations (n_s,) of x, SI: root of the mean variance over draws; of ln x, times the mode."""
        sd = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1).reshape(-1, len(self.names)).mean(axis=0))
        return np.asarray(np.where(self.log, np.abs(self.mode), 1.0) * sd)

    def members(self, recipe: Recipe, values: Mapping[str, QuantityLike], rows: NDArray[np.intp]) -> dict[str, Array]:
        """Values of possible new experiments: name -> (n,) SI."""
        rng = np.random.default_rng([self.seed, rows.size])
        return member_values(self.posterior, self.model, recipe, rows, rng, experiment=None, values=values)[0]


def t_of(parameter: Parameter, x: Array) -> Array:
    """Coordinates t of x (n,) SI."""
    return np.log(x) if parameter.log_scale else np.asarray(x, dtype=float)


def t_slope(parameter: Parameter, x: Array) -> Array:
    """dx/dt at x (n,)."""
    return np.asarray(x, dtype=float) if parameter.log_scale else np.ones_like(x)


def knowledge(model: Model, posterior: Posterior, sensors: Sequence[Parameter], n_draws: int, rng: int) -> Knowledge:
    """What `posterior` knows, and nothing but their priors of the sensors that it does not know.

    Raises ModelError for the posterior of another model, CalibrationError for one of too few draws.
    """
    check_fitted(posterior, model)
    known = {n: p for n, p in posterior.parameters.items() if not n.startswith(OF_NOISE)}
    if posterior.n_draws <= 2 * len(known):
        raise CalibrationError(
            f"{posterior.n_draws} draws of {len(known)} unknowns do not tell their covariance; ask the method for more"
        )
    added = {p.name: p for p in sensors if p.name not in known and not p.name.startswith(OF_NOISE)}
    table = np.column_stack([t_of(p, posterior[n]) for n, p in known.items()])
    n_all, k = len(table), len(known)
    covariance = np.zeros((k + len(added),) * 2)
    covariance[:k, :k] = np.cov(table, rowvar=False)
    for j, p in enumerate(added.values(), start=k):
        assert p.prior is not None  # biases and delays have one
        covariance[j, j] = p.prior.sd**2
    declared = {**known, **added}
    scale = np.sqrt(np.diag(covariance))
    safe = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(safe, safe))
    return Knowledge(
        model=model,
        posterior=posterior,
        parameters=declared,
        log=np.array([p.log_scale for p in declared.values()]),
        mode=np.array([float(posterior.mode[n]) if n in known else p.value for n, p in declared.items()]),
        table=np.column_stack([table, *(np.full(n_all, p.value) for p in added.values())]),
        covariance=covariance,
        root=scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)),
        rows=np.unique(np.linspace(0, n_all - 1, min(n_draws, n_all)).round().astype(np.intp)),
        seed=rng,
    )


def own_values(knowledge: Knowledge, members: Mapping[str, Array], own: Sequence[Parameter]) -> tuple[Array, Array]:
    """A (n_u, n_s) and a root of S (n_u, n_u) of what a new experiment has for itself.

    members: name -> values of new experiments, one for each of all draws.
    """
    n_s = len(knowledge.names)
    if not own:
        return np.zeros((0, n_s)), np.zeros((0, 0))
    u = np.column_stack([t_of(p, members[p.name]) for p in own])
    u = u - u.mean(axis=0)
    s = knowledge.table - knowledge.table.mean(axis=0)
    cross = u.T @ s / (len(s) - 1)
    slope = cross @ np.linalg.pinv(knowledge.covariance, rcond=1e-10, hermitian=True)
    rest = np.atleast_2d(np.cov(u, rowvar=False)) - slope @ cross.T
    values, vectors = np.linalg.eigh(0.5 * (rest + rest.T))
    return slope, vectors * np.sqrt(np.maximum(values, 0.0))


def resolved(knowledge: Knowledge, recipe: Recipe, values: Mapping[str, QuantityLike]) -> dict[str, float]:
    """All numbers of a new experiment in SI, unknowns at the median of their draws."""
    members = knowledge.members(recipe, values, np.arange(knowledge.posterior.n_draws))
    return {name: float(np.median(column)) for name, column in members.items()}
