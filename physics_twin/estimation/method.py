"""What every calibration method offers and returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.estimation.correlation import Correlation
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.noise import Levels
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.work import Work
from physics_twin.posterior import FailedSimulation, Verdict
from physics_twin.posterior.drawing.origin import Origin


@dataclass(frozen=True)
class Estimate:
    """The numbers of a fit; `calibrate` adds verdicts and diagnostics and makes a Posterior of them."""

    point: Point
    """The mode."""
    levels: Levels
    """Noise levels at the mode."""
    draws: Array
    """(n_draws, n_parameters) SI, in the order of `problem.parameters`."""
    covariance: Array
    """(n_parameters, n_parameters) SI: classical; of a method that samples, that of its draws."""
    widened: Array
    """(d, d) covariance of the search coordinates, widened for correlated residuals."""
    correlations: Mapping[str, Correlation]
    """Output -> finding."""
    at_bound: Mapping[str, str]
    """Name -> "lower" or "upper"."""
    information: Array
    """(d, d) of the data, search coordinates, whitened."""
    converged: bool
    message: str
    failures: tuple[FailedSimulation, ...]
    warnings: tuple[str, ...]
    differenced: tuple[str, ...] = ()
    """Names whose derivatives are finite differences."""
    hypers: Array = field(default_factory=lambda: np.empty(0))
    """(n_hypers,) SI at the mode; their draws are the last columns of `draws`, after the noise levels."""
    effective_draws: float | None = None
    """Independent draws that tell as much; None where all do."""
    origin: Origin | None = None
    """What more draws can be made from without the model; None where that cannot be done."""
    diagnostics: xr.Dataset = field(default_factory=xr.Dataset)
    """What the method says about itself; its variables and dimensions are listed in the method's docstring."""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """Name -> verdict, where the method knows better than the curvature at the mode."""
    widens: bool = True
    """Whether the draws are wider where residuals are correlated."""


@runtime_checkable
class Method(Protocol):
    """A calibration method: one small object, options in its constructor."""

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        """The mode, the draws and what is needed to judge them."""
        ...
