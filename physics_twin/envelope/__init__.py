"""Operating envelopes: the ranges in which every limit is met with a stated probability."""

from physics_twin.envelope.certificate import Attempt, Certificate
from physics_twin.envelope.envelope import Check, Envelope
from physics_twin.envelope.evaluation import FailedRun
from physics_twin.envelope.limits import Limit
from physics_twin.envelope.reductions import Reduction, at, final, integral, mean, path, peak, time_above
from physics_twin.envelope.search import Budget, find_envelope
from physics_twin.envelope.set_point import Margin

__all__ = [
    "Attempt",
    "Budget",
    "Certificate",
    "Check",
    "Envelope",
    "FailedRun",
    "Limit",
    "Margin",
    "Reduction",
    "at",
    "final",
    "find_envelope",
    "integral",
    "mean",
    "path",
    "peak",
    "time_above",
]
