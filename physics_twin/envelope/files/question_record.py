"""The question of an envelope, and all else that it holds, as records: which classes a file may contain.

A limit or an objective with a function of a person's own is kept by the function's name and a hash of its source: such
an envelope can be read and checked, and to compute with it again needs the limits once more.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from physics_twin import validity
from physics_twin.envelope import question as question_module, sampling
from physics_twin.envelope.certificate import certificate
from physics_twin.envelope.files.named_function import NamedFunction
from physics_twin.envelope.files.records import Classes, Writer
from physics_twin.envelope.limits import allowed, faults, limits, rates, reductions, thermal_integrals
from physics_twin.envelope.margins import evaluation
from physics_twin.envelope.question import Question
from physics_twin.envelope.ranges import acceptable, operating_polytope, shapes
from physics_twin.envelope.region import surrogate
from physics_twin.envelope.set_point import landscape, objectives, set_point

CLASSES: Classes = {
    one.__name__: one
    for one in (
        *(question_module.Question, question_module.Budget, limits.Limit),
        *(reductions.Final, reductions.Extreme, reductions.At, reductions.Mean, reductions.Integral),
        *(reductions.TimeAbove, reductions.Custom, rates.Rate),
        *(thermal_integrals.Lethality, thermal_integrals.EquivalentTime, faults.Fault, faults.Moment),
        *(shapes.LargestBox, shapes.Polytope),
        *(objectives.Objective, objectives.Expectation, objectives.WorstCase, objectives.CVaR),
        *(objectives.ObjectiveValue, objectives.Target, landscape.Landscape),
        *(certificate.Certificate, certificate.Attempt, allowed.Group, sampling.Sampling),
        *(operating_polytope.OperatingPolytope, acceptable.AcceptableRange, validity.Mark),
        *(set_point.Margin, evaluation.FailedRun, surrogate.DesignSpace),
    )
}
"""Every class that a file of an envelope may hold."""


def question_text(question: Question) -> Mapping[str, str]:
    """Each argument of a question as text that is the same for the same question and for no other."""
    writer = Writer(CLASSES)
    record: Mapping[str, Any] = writer.record(question, "question")
    arrays = {name: np.asarray(x).tolist() for name, x in writer.arrays.items()}
    texts = {name: json.dumps(one, sort_keys=True) for name, one in record.items() if name != "is"}
    return texts | ({"tables": json.dumps(arrays, sort_keys=True)} if arrays else {})


def functions_of(question: Question) -> tuple[str, ...]:
    """Names of the functions that a file kept by name only: to compute anew, the limits must be given again."""
    over: list[object] = [*(limit.over for limit in question.limits), *(o.over for o in question.objectives)]
    return tuple(one.name for one in over if isinstance(one, NamedFunction))
