"""Operating envelopes: the ranges in which every limit is met with a stated probability."""

from physics_twin.envelope.best_settings import find_set_point
from physics_twin.envelope.certificate import Attempt, Certificate
from physics_twin.envelope.check import Check, Checker, Checks
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.evaluation import FailedRun
from physics_twin.envelope.faults import Fault, any_moment
from physics_twin.envelope.folder import Study, load_study, save_study
from physics_twin.envelope.history import History, Outcome
from physics_twin.envelope.influence import Influence
from physics_twin.envelope.limits import Limit
from physics_twin.envelope.objectives import CVaR, Expectation, Maximize, Minimize, Objective, ObjectiveValue, WorstCase
from physics_twin.envelope.optimum import Binding, SetPoint, Start
from physics_twin.envelope.plan import Plan, Step
from physics_twin.envelope.predict import Predicted
from physics_twin.envelope.question import Budget, Question
from physics_twin.envelope.rates import rate
from physics_twin.envelope.reductions import Reduction, at, final, integral, mean, path, peak, time_above
from physics_twin.envelope.scenarios import Scenario, Scenarios, compare_scenarios
from physics_twin.envelope.search import find_envelope
from physics_twin.envelope.set_point import Margin
from physics_twin.envelope.shapes import LargestBox, Polytope
from physics_twin.envelope.thermal_integrals import equivalent_time, lethality

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
