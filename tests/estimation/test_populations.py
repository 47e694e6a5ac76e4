"""What `pt.Population` makes of names, experiments and their contexts, before any fit."""

import json

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation.hypers import HyperKind
from physics_twin.estimation.population import memberships
from physics_twin.estimation.problem import set_up
from physics_twin.estimation.unknowns import Kind

TIMES = np.linspace(0.0, 4.0, 5)
WIDE = pt.Parameter("b", "0.1 K/s", bounds=("1e-3 K/s", "1 K/s"))


def run(name: str, slope: float = 0.5, **context: str | int | float) -> pt.Experiment:
    return pt.Experiment.from_arrays(
        name,
        TIMES,
        {"y": 2.0 + slope * TIMES},
        channels=[pt.Channel("y", unit="K", noise="0.3 K")],
        context=context,
    )


LOTS = (run("r1", lot="A"), run("r2", lot="B"), run("r3", lot="A"), run("r4", lot="C-7"))


def test_experiments_of_a_lot_share_a_column_and_the_lots_share_mean_and_spread(line) -> None:
    """`by` makes a column per lot that acts on its experiments, a mean that acts on none, and a spread."""
    model = line(parameters=[pt.Parameter("a", "1 K"), WIDE])
    problem = set_up(model, LOTS, ["a", pt.Population("b", spread="20 %", by="lot")])
    assert problem.names == ("a", "mean.b", "b@A", "b@B", "b@C-7")
    assert problem.columns[2].experiments == ("r1", "r3")
    assert problem.columns[1].kind is Kind.MEAN
    assert [[j for j, _ in task.exact] for task in problem.tasks] == [[0, 2], [0, 3], [0, 2], [0, 4]]
    (group,) = problem.column_groups
    assert (group.columns.tolist(), group.mean_column, group.log, group.spread) == ([2, 3, 4], 1, True, 0)
    (spread,) = problem.hypers
    assert (spread.parameter.name, spread.kind) == ("spread.b", HyperKind.SPREAD)
    assert spread.parameter.prior is not None
    assert spread.parameter.prior.describe(spread.parameter.unit) == "HalfNormal(20 %)"
    assert problem.parameters.names[-1] == "spread.b"
    assert problem.space.log.tolist() == [False, True, True, True, True]
    assert not problem.plain


def test_without_by_each_experiment_is_a_group(line) -> None:
    """The spread of a parameter that is not searched in its logarithm is a difference in its unit."""
    problem = set_up(line(), LOTS, [pt.Population("a", spread="2 K"), pt.PerExperiment("b")])
    assert problem.names[:5] == ("mean.a", "a@r1", "a@r2", "a@r3", "a@r4")
    (group,) = problem.column_groups
    assert not group.log
    spread = problem.hypers[0].parameter
    assert spread.difference
    assert spread.bounds == (pytest.approx(2e-3), pytest.approx(40.0))


def test_the_declared_prior_is_that_of_the_mean_and_a_given_prior_that_of_the_spread(line) -> None:
    """Members have none of their own, so that nothing is counted twice; a log-normal prior makes the spread a share."""
    own = pt.Parameter("b", "0.1 K/s", prior=pt.LogNormal("0.1 K/s", 0.5))
    unknown = [pt.Population(own, spread=pt.Uniform(0.0, 1.5), by="lot")]
    problem = set_up(line(), LOTS, unknown)
    mean, *members = (c.parameter for c in problem.columns)
    assert mean.prior is not None
    assert all(m.prior is None for m in members)
    assert problem.column_groups[0].log
    assert problem.space.log.all()
    assert problem.hypers[0].parameter.bounds[1] == pytest.approx(1.5)


def test_noise_shapes_come_before_spreads(line) -> None:
    """A population's spread is found by its number among all hypers."""
    channel = pt.Channel("y", unit="K", noise=pt.Noise("0.3 K", correlation_time=pt.Estimated("2 s")))
    runs = [
        pt.Experiment.from_arrays(name, TIMES, {"y": 2.0 + 0.5 * TIMES}, channels=[channel]) for name in ("r1", "r2")
    ]
    problem = set_up(line(), tuple(runs), [pt.Population("a", spread="2 K"), "b"])
    assert [h.parameter.name for h in problem.hypers] == ["correlation_time.y", "spread.a"]
    assert problem.column_groups[0].spread == 1


def test_settings_and_initial_values_have_populations_too(line) -> None:
    """An open setting of the recipes differs from lot to lot like a parameter."""
    level = pt.Setting("level", "K", bounds=(0.0, 10.0), value=3.0)
    runs = tuple(
        pt.Experiment.from_arrays(
            name,
            TIMES,
            {"y": TIMES},
            channels=[pt.Channel("y", unit="K", noise="1 K")],
            recipe=pt.Recipe.constant(duration="4 s", bath=level),
        )
        for name in ("r1", "r2")
    )
    model = line(inputs=(pt.Signal("bath", "K"),))
    assert set_up(model, runs, [pt.Population("level", spread="1 K")]).names == ("mean.level", "level@r1", "level@r2")


ERRORS = {
    "one group": (lambda: ([run("r1", lot="A"), run("r2", lot="A")], pt.Population("a", "1 K", "lot")), 'lot "A"'),
    "one experiment": (lambda: ([run("r1")], pt.Population("a", "1 K")), "two groups or more"),
    "no key": (lambda: ((*LOTS[:1], run("r9", charge=3)), pt.Population("a", "1 K", "lot")), r'"r9" has no "lot"'),
    "label": (lambda: ([run("r1", lot="A 1/2"), run("r2", lot="B")], pt.Population("a", "1 K", "lot")), "'A 1/2'"),
    "twice": (lambda: (LOTS, pt.Population("a", "1 K"), "a"), "named twice|name it once"),
    "each": (lambda: (LOTS, pt.Population("a", "1 K", "lot"), pt.PerExperiment("a")), "two unknowns in experiment"),
    "noise": (lambda: (LOTS, pt.Population("noise.y", "1 K")), "only parameters and settings"),
    "bias": (lambda: (LOTS, pt.Population("bias.y", "1 K")), "only parameters and settings"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_contradictions_are_said(what: str, line) -> None:
    """Too few groups, contexts that say nothing, labels that name nothing, and names that are given twice."""
    runs, *unknown = ERRORS[what][0]()
    with pytest.raises(pt.CalibrationError, match=ERRORS[what][1]):
        set_up(line(), tuple(runs), unknown)


def test_the_unit_of_a_spread_is_that_of_the_search(line) -> None:
    """A share where the search runs in the logarithm, a difference where it does not; never a guess."""
    model = line(parameters=[pt.Parameter("a", "1 K"), WIDE])
    for population, words in (
        (pt.Population("a", spread=2.0), "the spread is a difference in K"),
        (pt.Population("a", spread="20 %"), "for a share as '20 %' give a bounds above zero"),
        (pt.Population("a", spread="2 s"), "not '2 s'"),
        (pt.Population("b", spread="0.1 K/s"), "a share such as \"20 %\", not '0.1 K/s'"),
    ):
        with pytest.raises(pt.UnitError, match=words):
            set_up(model, LOTS, [population])
    with pytest.raises(pt.UnknownNameError):
        set_up(model, LOTS, [pt.Population("c", spread="20 %")])
    with pytest.raises(pt.ModelError, match="the group is added"):
        pt.Population("a@A", spread="2 K")
    with pytest.raises(pt.CalibrationError, match="lies above zero"):
        set_up(model, LOTS, [pt.Population("a", spread=pt.Uniform("-3 K", "-1 K"))])


def test_a_posterior_remembers_who_belongs_where() -> None:
    """For each parameter what a group is called, and the group of each experiment."""
    noted = json.loads(memberships([pt.Population("b", "20 %", "lot")], LOTS))
    assert noted == {"b": {"by": "lot", "of": {"r1": "A", "r2": "B", "r3": "A", "r4": "C-7"}}}
