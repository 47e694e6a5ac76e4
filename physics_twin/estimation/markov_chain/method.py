"""`MarkovChain`: draws from the posterior itself, from chains that say whether they can be believed."""

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.gauss_newton import GaussNewton
from physics_twin.estimation.log_density import log_density
from physics_twin.estimation.markov_chain.chain import Chain, Settings, missing
from physics_twin.estimation.markov_chain.coordinates import Coordinates
from physics_twin.estimation.markov_chain.diagnosis import dataset, diagnose, objections
from physics_twin.estimation.markov_chain.ensemble import ensemble_chain
from physics_twin.estimation.markov_chain.nuts import nuts_chain
from physics_twin.estimation.markov_chain.whitening import Whitening, whitening
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.work import Work
from physics_twin.model import Sensitivities

NUTS_STEPS, ENSEMBLE_STEPS = 500, 1000
NUTS_WARM_UP, ENSEMBLE_WARM_UP = 300, 400
DRAWS_PER_UNKNOWN = 20
"""Laplace draws from which the coordinates are whitened: enough for a covariance."""
FAR_ABOVE = 5.0
"""Log density above that of the fit which noise levels alone do not explain: the fit was in a lesser mode."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MarkovChain:
    """Draws from the posterior by Markov chains: right for curved, bounded and skewed posteriors, at a price.

    Chains begin around a Gauss-Newton fit, in the coordinates of its Laplace approximation. Where the model has exact
    derivatives for all unknowns they are chains of the no-U-turn sampler (NUTS, library nutpie); otherwise each is an
    ensemble of walkers (library emcee), whose price grows with the number of unknowns: some ten simulations for an
    independent draw with two, eighty with twelve. A chain is one job of `executor`. Both libraries come with the
    extra: pip install 'physics-twin[bayes]'.

    n_draws: draws in the posterior, as many from each chain, evenly thinned where the chains are longer. n_chains: at
        least 2, so that they can be compared. steps: length of each chain after its warm-up (500, or 1000 of an
        ensemble, or what n_draws needs). warm_up: steps before that, not kept (300, or 400). target_acceptance: of
        NUTS; closer to 1 takes smaller steps, which is what divergences ask for. fit: the fit that the chains start
        from; with more starts it finds the best of several solutions.

    The posterior's `mode` is that of the fit, its `covariance` is that of all draws of the chains (not the classical
    one), its verdicts rest on the fit. Draws are not widened where residuals are correlated; declare the noise so
    (`Noise(correlation_time=...)`), then they are. `converged` is False, and the message says why and what to do, where
    R-hat is above 1.01, fewer than 100 effective draws per chain are there, trajectories diverged, or E-BFMI is below
    0.3. `effective_draws` is the least bulk value over the parameters.

    diagnostics: `r_hat`, `ess_bulk`, `ess_tail` (parameter); `divergences`, `cut_short` (trajectories that met a failed
    simulation), `acceptance`, `evaluations` of the density, with NUTS `e_bfmi` (chain); `chain_number` and
    `log_density` in declared units (draw).

    Raises MissingDependencyError without the extra, CalibrationError where no chain can start.
    """

    n_draws: int = 2000
    n_chains: int = 4
    steps: int | None = None
    warm_up: int | None = None
    target_acceptance: float = 0.8
    fit: GaussNewton = field(default_factory=GaussNewton)

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.n_chains < 2:
            raise CalibrationError(f"MarkovChain: n_chains = {self.n_chains}; two chains at least can be compared")
        if self.n_draws < self.n_chains:
            raise CalibrationError(f"MarkovChain: n_draws = {self.n_draws}; at least one from each chain is wanted")
        if self.steps is not None and self.steps * self.n_chains < self.n_draws:
            raise CalibrationError(
                f"MarkovChain: {self.n_chains} chains of {self.steps} steps do not give n_draws = {self.n_draws}; give "
                "more steps, or fewer draws"
            )
        if self.steps is not None and self.steps < 10:
            raise CalibrationError(f"MarkovChain: steps = {self.steps}; fewer than 10 tell nothing")
        if self.warm_up is not None and self.warm_up < 20:
            raise CalibrationError(f"MarkovChain: warm_up = {self.warm_up}; give at least 20")
        if not 0.5 <= self.target_acceptance < 1.0:
            raise CalibrationError(
                f"MarkovChain: target_acceptance = {self.target_acceptance:g} is outside [0.5, 1); 0.8 serves mostly"
            )

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        """The draws of all chains, and whether they can be believed."""
        gradients = isinstance(problem.model, Sensitivities) and not problem.differenced
        for library, module in (("arviz", "arviz_stats"), ("nutpie", "nutpie") if gradients else ("emcee", "emcee")):
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise missing(library, error) from error
        coordinates = Coordinates(problem)
        fit = replace(self.fit, n_draws=max(self.fit.n_draws, DRAWS_PER_UNKNOWN * coordinates.n))
        first = fit.estimate(problem, rng, work)
        work.preview(first)
        whitened = whitening(coordinates, first.draws)
        settings = self._settings(gradients)
        seeds = rng.integers(2**63, size=self.n_chains).tolist()
        _log.info("%d chains of %d steps in %d dimensions", self.n_chains, settings.steps, coordinates.n)
        one = nuts_chain if gradients else ensemble_chain
        chains = work.run("chains", one, [(problem, whitened, settings, seed) for seed in seeds])
        return self._judged(coordinates, first, whitened, chains, settings)

    def _settings(self, gradients: bool) -> Settings:
        needed = -(-self.n_draws // self.n_chains)
        steps = max(NUTS_STEPS if gradients else ENSEMBLE_STEPS, needed) if self.steps is None else self.steps
        warm_up = (NUTS_WARM_UP if gradients else ENSEMBLE_WARM_UP) if self.warm_up is None else self.warm_up
        return Settings(steps, warm_up, self.target_acceptance)

    def _judged(
        self, coordinates: Coordinates, fit: Estimate, whitened: Whitening, chains: Sequence[Chain], settings: Settings
    ) -> Estimate:
        problem, names = coordinates.problem, list(coordinates.problem.parameters)
        draws, densities = _declared(coordinates, whitened, chains)
        found = diagnose(draws, chains)
        against = objections(found, names, chains, settings.steps)
        n_chains, n_steps, n_walkers, n = draws.shape
        nuts = chains[0].energy.size > 0
        length = n_steps * n_walkers
        kept = np.floor(np.arange(-(-self.n_draws // n_chains)) * length / -(-self.n_draws // n_chains)).astype(np.intp)
        table = draws.reshape(n_chains, length, n)
        chain_number = np.repeat(np.arange(n_chains), kept.size)
        log_densities = densities.reshape(n_chains, length)
        sampler = "NUTS" if nuts else f"ensembles of {n_walkers} walkers"
        about = (
            f"{n_chains} {'chains of NUTS' if nuts else sampler}, {n_steps} steps each after {settings.warm_up}: R-hat "
            f"at most {found.r_hat.max():.3f}, at least {np.fmin(found.bulk, found.tail).min():.0f} effective draws"
        )
        return replace(
            fit,
            draws=table[:, kept].reshape(-1, n),
            origin=None,
            covariance=np.atleast_2d(np.cov(table.reshape(-1, n), rowvar=False)),
            widens=False,
            converged=not against,
            message="; ".join(against) if against else about,
            failures=(*fit.failures, *(f for c in chains for f in c.failures)),
            warnings=(*fit.warnings, *_remarks(problem, fit, chains, float(log_densities.max()))),
            effective_draws=float(min(found.bulk.min(), kept.size * n_chains)),
            diagnostics=dataset(found, names, chains, chain_number, log_densities[:, kept].ravel(), sampler),
        )


def _declared(coordinates: Coordinates, whitened: Whitening, chains: Sequence[Chain]) -> tuple[Array, Array]:
    """Draws (n_chains, n_steps, n_walkers, n) SI, and their log density (n_chains, n_steps, n_walkers)."""
    u = np.stack([c.u for c in chains])
    densities = np.stack([c.log_density for c in chains])
    draws = np.empty(u.shape)
    for at in np.ndindex(*u.shape[:-1]):
        place = coordinates.place(whitened.a(u[at]))
        draws[at] = np.concatenate([place.x, np.exp(place.psi)])
        densities[at] -= place.log_volume
    return draws, densities


def _remarks(problem: Problem, fit: Estimate, chains: Sequence[Chain], highest: float) -> list[str]:
    """What a person should know even where the chains have met."""
    said = []
    if not fit.converged:
        said.append(f"the fit that the chains start from did not converge: {fit.message}")
    psi = np.log(np.concatenate([fit.levels.sd, fit.hypers]))
    above = highest - log_density(problem, fit.point, psi).value
    if above > FAR_ABOVE and not problem.column_groups:  # a population's density grows without end as it narrows
        said.append(
            f"the chains found a better fit than the one they started from (log density higher by {above:.3g}): the "
            "mode is that of the lesser one; give the fit more starts, MarkovChain(fit=GaussNewton(starts=20))"
        )
    cut_short = sum(c.cut_short for c in chains)
    if cut_short:
        said.append(
            f"{cut_short} trajectories ended where a simulation failed: no draw lies there, although the data may "
            "allow it; see posterior.failures, and bound the parameters where the model can be simulated"
        )
    return said
