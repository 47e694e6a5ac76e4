"""One ensemble of walkers that move along differences of one another, by the library emcee; no gradients.

Moves are those of differential evolution (ter Braak 2006) with now and then a snooker move (ter Braak and Vrugt 2008):
in the whitened coordinates they cost about a fifth of the evaluations of the stretch move (Goodman and Weare 2010).
"""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.estimation.markov_chain.chain import Chain, Settings, missing, no_start
from physics_twin.estimation.markov_chain.coordinates import RejectedPoint
from physics_twin.estimation.markov_chain.visits import Visits
from physics_twin.estimation.markov_chain.whitening import Whitening, start
from physics_twin.estimation.problem import Problem

FEWEST = 8
"""Walkers at least: differences of fewer leave directions out."""
SNOOKER = 0.2
"""Share of snooker moves."""


def n_walkers(n: int) -> int:
    """Walkers for n coordinates: more than twice as many, and even, since one half moves along the other."""
    return max(2 * n + 2, FEWEST)


def ensemble_chain(problem: Problem, whitened: Whitening, settings: Settings, seed: int, memo: Memo) -> Chain:
    """One ensemble from starts of its own; the same for a seed, wherever it runs."""
    try:
        import emcee
    except ImportError as error:
        raise missing("emcee", error) from error
    visits = Visits(problem, whitened, False, memo)
    rng = np.random.default_rng(seed)
    n = whitened.center.size
    walkers = n_walkers(n)
    starts = [start(whitened, visits.at, rng) for _ in range(walkers)]
    found = [u for u in starts if u is not None]
    if len(found) < walkers:
        raise no_start(visits.failures)

    def density(u: Array) -> float:
        try:
            return visits.at(u)[0]
        except RejectedPoint:
            return -np.inf

    sampler = emcee.EnsembleSampler(
        walkers,
        n,
        density,
        moves=[(emcee.moves.DEMove(), 1.0 - SNOOKER), (emcee.moves.DESnookerMove(), SNOOKER)],
    )
    random_state = np.random.RandomState(int(rng.integers(2**31))).get_state()
    begin = emcee.State(np.array(found), random_state=random_state)
    sampler.run_mcmc(begin, settings.warm_up + settings.steps, progress=False)
    return Chain(
        u=np.asarray(sampler.get_chain(discard=settings.warm_up), dtype=float),
        log_density=np.asarray(sampler.get_log_prob(discard=settings.warm_up), dtype=float),
        acceptance=float(np.mean(sampler.acceptance_fraction)),
        divergences=0,
        cut_short=0,
        energy=np.empty(0),
        n_evaluations=visits.n_evaluations,
        failures=tuple(visits.failures),
    )
