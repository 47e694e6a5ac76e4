"""Calibration: parameters with honest uncertainty from models and measurements."""

from physics_twin.estimation.calibration import calibrate
from physics_twin.estimation.cross_validation import CrossValidation, ModelComparison, compare_models, cross_validate
from physics_twin.estimation.discrepancy import Discrepancy, WithDiscrepancy, with_discrepancy
from physics_twin.estimation.ensemble_smoother import (
    CorrelationLocalization,
    DistanceLocalization,
    EnsembleSmoother,
    TimeLocalization,
)
from physics_twin.estimation.gauss_newton import GaussNewton
from physics_twin.estimation.hold_out import HoldOut, holdout, validate
from physics_twin.estimation.markov_chain import MarkovChain
from physics_twin.estimation.method import Method
from physics_twin.estimation.population import Population
from physics_twin.estimation.profile_likelihood import ProfileLikelihood
from physics_twin.estimation.quasi_newton import QuasiNewton
from physics_twin.estimation.smooth_prior import SmoothPrior

__all__ = [
    "CorrelationLocalization",
    "CrossValidation",
    "Discrepancy",
    "DistanceLocalization",
    "EnsembleSmoother",
    "GaussNewton",
    "HoldOut",
    "MarkovChain",
    "Method",
    "ModelComparison",
    "Population",
    "ProfileLikelihood",
    "QuasiNewton",
    "SmoothPrior",
    "TimeLocalization",
    "WithDiscrepancy",
    "calibrate",
    "compare_models",
    "cross_validate",
    "holdout",
    "validate",
    "with_discrepancy",
]
