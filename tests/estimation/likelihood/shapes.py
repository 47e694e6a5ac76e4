"""Problems with every shape of noise, and points of them without a simulation's noise."""

from dataclasses import replace
from typing import Any

import numpy as np

import physics_twin as pt
from physics_twin.estimation.evaluation import Differences, Point, evaluate
from physics_twin.estimation.hypers import ColumnGroup, Hyper, HyperKind
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.measurements import Channel, Experiment, UnknownBias
from physics_twin.parameters import Parameter, PerExperiment
from physics_twin.priors import HalfNormal, LogNormal, Normal

EXACT = Differences(1e-3, True)
TIMES = np.sort(np.random.default_rng(2).uniform(0.0, 10.0, 14))
"""Irregular."""

NOISES: dict[str, Any] = {
    "plain": pt.EstimatedNoise("0.5 mol/m^3"),
    "proportional": pt.Noise(pt.EstimatedNoise("0.3 mol/m^3"), proportional=pt.Estimated("8 %")),
    "given share": pt.Noise("0.3 mol/m^3", proportional="8 %"),
    "memory": pt.Noise(pt.EstimatedNoise("0.5 mol/m^3"), correlation_time=pt.Estimated("1.5 s")),
    "given memory, share": pt.Noise("0.5 mol/m^3", proportional=pt.Estimated("5 %"), correlation_time="0.7 s"),
    "outliers": pt.Noise(pt.EstimatedNoise("0.5 mol/m^3"), degrees_of_freedom=pt.Estimated("3")),
    "outliers, share": pt.Noise("0.2 mol/m^3", proportional=pt.Estimated("5 %"), degrees_of_freedom=pt.Estimated("5")),
}


def decaying(noise: Any, closed_form: Any, *, groups: bool = False, censored: bool = False, seed: int = 0) -> Problem:
    """c = start exp(-rate t) + bias in two experiments; with `groups` each has a rate from one population."""
    model = closed_form(
        lambda t, v: (v["start"] * np.exp(-v["rate"] * t))[:, None],
        pt.ParameterSet(
            [
                Parameter(
                    "start", "10 mol/m^3", bounds=("0.1 mol/m^3", "100 mol/m^3"), prior=LogNormal("9 mol/m^3", 0.5)
                ),
                Parameter("rate", "0.2 1/s", bounds=("1e-4 1/s", "10 1/s")),
                Parameter("middle", "0.2 1/s", bounds=("1e-4 1/s", "10 1/s"), prior=Normal("0.3 1/s", "0.2 1/s")),
            ]
        ),
        (pt.Signal("c", "mol/m^3"),),
    )
    rng = np.random.default_rng(seed)
    runs = []
    for name, rate in (("A", 0.2), ("B", 0.3)):
        y = 10.0 * np.exp(-rate * TIMES) + 0.5 * rng.standard_normal(TIMES.size)
        channel = Channel("c", unit="mol/m^3", noise=noise, bias=UnknownBias("0.3 mol/m^3"))
        runs.append(Experiment.from_arrays(name, TIMES, {"c": y}, channels=[channel]))
    unknown = ["start", PerExperiment("rate"), "middle"] if groups else ["start", "rate"]
    problem = set_up(model, tuple(runs), unknown)
    if groups:
        spread = Parameter("spread.rate", "0.4", bounds=("1e-3", "10"), prior=HalfNormal("0.5"))
        unknowns = replace(problem.unknowns, hypers=(*problem.hypers, Hyper(spread, HyperKind.SPREAD)))
        columns = np.array([j for j, n in enumerate(problem.names) if n.startswith("rate@")])
        mean = problem.names.index("middle")
        group = ColumnGroup(columns, np.array([1.0, 0.5]), mean, True, len(unknowns.hypers) - 1)
        problem = replace(problem, unknowns=unknowns, column_groups=(group,))
    if censored:
        side = np.zeros(problem.n_data, dtype=np.int8)
        side[[3, 9, 15]], side[[5, 20]] = -1, 1
        problem = replace(problem, censored=side)
    return problem


def point_at(problem: Problem, z: Any, extra: float = 0.0) -> Point:
    """The point at z, with an extra variance that depends on z smoothly where `extra` is above zero."""
    point = evaluate(problem, z, EXACT)
    if extra == 0.0:
        return point
    slopes = np.sin(np.arange(problem.n_data * z.size)).reshape(problem.n_data, z.size)
    variance = extra * np.exp(slopes @ z)
    return replace(point, extra=variance, extra_jacobian=variance[:, None] * slopes)
