"""Belief: batches predicted by fits that have not seen them, and rival models compared on them."""

from physics_twin.estimation.cross_validation.folds import Fold, HeldChannel
from physics_twin.estimation.cross_validation.result import ChannelBelief, CrossValidation
from physics_twin.estimation.cross_validation.rivals import ModelComparison, Rival, compare_models
from physics_twin.estimation.cross_validation.validation import cross_validate

__all__ = [
    "ChannelBelief",
    "CrossValidation",
    "Fold",
    "HeldChannel",
    "ModelComparison",
    "Rival",
    "compare_models",
    "cross_validate",
]
