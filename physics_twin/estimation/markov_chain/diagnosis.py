"""Whether chains can be believed, in numbers and in words.

R-hat is the rank-normalized, folded one of split chains, effective draws are those of Vehtari et al. (2021,
Rank-normalization, folding, and localization: an improved R-hat), E-BFMI that of Betancourt (2016, Diagnosing
suboptimal cotangent disintegrations). Walkers of one ensemble are one chain for R-hat and a chain each for
effective draws: their autocorrelation in time is what makes them fewer.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.markov_chain.chain import Chain, missing

HIGHEST_R_HAT = 1.01
DRAWS_PER_CHAIN = 100
"""Effective draws for each chain below which R-hat itself is not reliable (Vehtari et al., section 4)."""
LOWEST_BFMI = 0.3
TAILS = (0.05, 0.95)
SHOWN = 3
"""Parameters named in a sentence."""


@dataclass(frozen=True)
class Diagnosis:
    """What the chains say about themselves."""

    r_hat: Array
    """(n_parameters,)"""
    bulk: Array
    """(n_parameters,) effective draws in the middle"""
    tail: Array
    """(n_parameters,) effective draws at the 5 and 95 % quantiles"""
    bfmi: Array
    """(n_chains,), empty without energies"""


def diagnose(draws: Array, chains: Sequence[Chain]) -> Diagnosis:
    """draws (n_chains, n_steps, n_walkers, n_parameters), in any units."""
    try:
        array_stats: Any = importlib.import_module("arviz_stats.base").array_stats  # of untyped functions
    except ImportError as error:
        raise missing("arviz", error) from error
    n_chains, n_steps, n_walkers, n_parameters = draws.shape
    pooled = draws.reshape(n_chains, n_steps * n_walkers, n_parameters)
    alone = np.moveaxis(draws, 2, 1).reshape(n_chains * n_walkers, n_steps, n_parameters)
    columns = range(n_parameters)
    energies = [c.energy for c in chains if c.energy.size]
    with np.errstate(invalid="ignore", divide="ignore"):  # chains that never moved have no R-hat
        return Diagnosis(
            r_hat=np.array([float(array_stats.rhat(pooled[:, :, j], method="rank")) for j in columns]),
            bulk=np.array([float(array_stats.ess(alone[:, :, j], method="bulk")) for j in columns]),
            tail=np.array([float(array_stats.ess(alone[:, :, j], method="tail", prob=TAILS)) for j in columns]),
            bfmi=np.array([float(array_stats.bfmi(e[None, :])[0]) for e in energies]),
        )


def objections(found: Diagnosis, names: Sequence[str], chains: Sequence[Chain], steps: int) -> list[str]:
    """Why the draws should not be used, each with what to do; empty where nothing speaks against them."""
    said = []
    apart = [j for j in np.argsort(-_worst(found.r_hat)) if not found.r_hat[j] <= HIGHEST_R_HAT]
    if apart:
        said.append(
            f"the chains disagree about {_named(names, apart)} (R-hat {found.r_hat[apart[0]]:.3g}, at most "
            f"{HIGHEST_R_HAT} wanted): each has seen another part of the posterior. Look at posterior.plot_chains(); "
            f"chains that wander want more steps (steps={4 * steps}), chains that stay apart show several solutions: "
            "narrow the bounds, or give priors"
        )
    wanted = DRAWS_PER_CHAIN * len(chains)
    fewest = np.fmin(found.bulk, found.tail)
    few = [j for j in np.argsort(fewest) if not fewest[j] >= wanted]
    if few:
        least = float(fewest[few[0]])
        more = int(np.ceil(steps * min(1.2 * wanted / max(least, 1.0), 20.0) / 100.0)) * 100
        said.append(
            f"the draws of {_named(names, few)} count as {least:.0f} independent ones, {wanted} wanted: their "
            f"intervals are rough. Give more steps, steps={more}"
        )
    diverged = sum(c.divergences for c in chains)
    if diverged:
        said.append(
            f"{diverged} of {steps * len(chains)} trajectories diverged: the posterior bends more sharply than the "
            "sampler can follow, and what lies behind the bend is missing. Raise target_acceptance to 0.99; if that "
            "does not help, give weakly known parameters a prior"
        )
    if found.bfmi.size and not float(found.bfmi.min()) >= LOWEST_BFMI:
        said.append(
            f"the chains change their energy too slowly (E-BFMI {found.bfmi.min():.2g}, at least {LOWEST_BFMI} "
            "wanted): the posterior is wide in one place and narrow in another, and its ends are visited too seldom. "
            "Give weakly known parameters a prior, and more steps"
        )
    return said


def dataset(
    found: Diagnosis,
    names: Sequence[str],
    chains: Sequence[Chain],
    chain_number: NDArray[np.intp],
    log_density: Array,
    sampler: str,
) -> xr.Dataset:
    """The diagnostics as they are saved; chain_number and log_density (n_draws,) of the draws that were kept."""
    variables = {
        "r_hat": ("parameter", found.r_hat),
        "ess_bulk": ("parameter", found.bulk),
        "ess_tail": ("parameter", found.tail),
        "divergences": ("chain", np.array([c.divergences for c in chains])),
        "cut_short": ("chain", np.array([c.cut_short for c in chains])),
        "acceptance": ("chain", np.array([c.acceptance for c in chains])),
        "evaluations": ("chain", np.array([c.n_evaluations for c in chains])),
        "chain_number": ("draw", chain_number),
        "log_density": ("draw", log_density),
    }
    if found.bfmi.size:
        variables["e_bfmi"] = ("chain", found.bfmi)
    coordinates = {"parameter": list(names), "chain": np.arange(len(chains))}
    return xr.Dataset(variables, coords=coordinates, attrs={"sampler": sampler})


def _worst(r_hat: Array) -> Array:
    """A chain that never moved has no R-hat; that is the worst of all."""
    return np.where(np.isfinite(r_hat), r_hat, np.inf)


def _named(names: Sequence[str], which: Sequence[int]) -> str:
    shown = ", ".join(names[j] for j in which[:SHOWN])
    return shown + (f" and {len(which) - SHOWN} more" if len(which) > SHOWN else "")
