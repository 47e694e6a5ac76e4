"""What one chain, or one ensemble of walkers, returns, and what it is told."""

from dataclasses import dataclass

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, MissingDependencyError
from physics_twin.posterior import FailedSimulation


@dataclass(frozen=True)
class Settings:
    """Lengths and targets, the same for all chains."""

    steps: int
    """Kept, after the warm-up."""
    warm_up: int
    target_acceptance: float


@dataclass(frozen=True)
class Chain:
    """One chain after its warm-up."""

    u: Array
    """(n_steps, n_walkers, n) whitened coordinates; one walker where the chain moves alone."""
    log_density: Array
    """(n_steps, n_walkers) in u."""
    acceptance: float
    """Mean acceptance probability, or share of accepted moves."""
    divergences: int
    """Trajectories that ended because the energy was lost: the density bends too sharply there."""
    cut_short: int
    """Trajectories that ended at a simulation that failed."""
    energy: Array
    """(n_steps,) of the trajectories; empty where there are none."""
    n_evaluations: int
    """Warm-up included."""
    failures: tuple[FailedSimulation, ...]


def no_start(failures: list[FailedSimulation]) -> CalibrationError:
    """The error of a chain that cannot begin."""
    reasons = "; ".join(dict.fromkeys(f.reason for f in failures)) or "the density is zero there"
    return CalibrationError(
        f"a chain found no start around the fit: {reasons}. The model fails close to the best parameters; narrow their "
        "bounds, or give them priors, so that it can be simulated where they are plausible"
    )


def missing(library: str, error: ImportError) -> MissingDependencyError:
    """The error where a library of the extra is not installed."""
    return MissingDependencyError(
        f"MarkovChain needs {library}: pip install 'physics-twin[bayes]', or pip install {library} arviz ({error})"
    )
