"""Operating envelopes: the ranges in which every limit is met with a stated probability."""

from physics_twin.envelope.certificate.certificate import Attempt, Certificate
from physics_twin.envelope.check import Check, Checker, Checks
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.files.folder import Study, load_study, save_study
from physics_twin.envelope.history.history import History, Outcome
from physics_twin.envelope.influence.influence import Influence
from physics_twin.envelope.limits.faults import Fault, any_moment
from physics_twin.envelope.limits.limits import Limit
from physics_twin.envelope.limits.rates import rate
from physics_twin.envelope.limits.reductions import Reduction, at, final, integral, mean, path, peak, time_above
from physics_twin.envelope.limits.thermal_integrals import equivalent_time, lethality
from physics_twin.envelope.margins.evaluation import FailedRun
from physics_twin.envelope.plan.plan import Plan, Step
from physics_twin.envelope.question import Budget, Question
from physics_twin.envelope.ranges.shapes import LargestBox, Polytope
from physics_twin.envelope.region.predict import Predicted
from physics_twin.envelope.scenarios.scenarios import Scenario, Scenarios, compare_scenarios
from physics_twin.envelope.search import find_envelope
from physics_twin.envelope.set_point.best_settings import find_set_point
from physics_twin.envelope.set_point.objectives import (
    CVaR,
    Expectation,
    Maximize,
    Minimize,
    Objective,
    ObjectiveValue,
    WorstCase,
)
from physics_twin.envelope.set_point.optimum import Binding, SetPoint, Start
from physics_twin.envelope.set_point.set_point import Margin

__all__ = [
    "Attempt",
    "Binding",
    "Budget",
    "CVaR",
    "Certificate",
    "Check",
    "Checker",
    "Checks",
    "Envelope",
    "Expectation",
    "FailedRun",
    "Fault",
    "History",
    "Influence",
    "LargestBox",
    "Limit",
    "Margin",
    "Maximize",
    "Minimize",
    "Objective",
    "ObjectiveValue",
    "Outcome",
    "Plan",
    "Polytope",
    "Predicted",
    "Question",
    "Reduction",
    "Scenario",
    "Scenarios",
    "SetPoint",
    "Start",
    "Step",
    "Study",
    "WorstCase",
    "any_moment",
    "at",
    "compare_scenarios",
    "equivalent_time",
    "final",
    "find_envelope",
    "find_set_point",
    "integral",
    "lethality",
    "load_study",
    "mean",
    "path",
    "peak",
    "rate",
    "save_study",
    "time_above",
]
