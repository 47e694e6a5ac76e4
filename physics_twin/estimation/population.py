"""Hierarchical parameters: each lot has its own value, and the lots are draws from one population.

Lot j has t_j ~ Normal(t_mean, spread), where t is the parameter in SI, or its natural logarithm where the parameter is
searched in that: the spread is then a share. Mean and spread are estimated with the values of the lots, so that a lot
with few data leans on the others as far as the lots are alike, and a new lot is a draw from the population (Gelman et
al., Bayesian Data Analysis, 3rd ed. 2013, chapter 5).
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from physics_twin.errors import CalibrationError, ModelError, UnitError, check_name
from physics_twin.measurements import Experiment
from physics_twin.parameters import Parameter
from physics_twin.posterior.populations import in_logarithm
from physics_twin.priors import HalfNormal, Prior
from physics_twin.units import QuantityLike, Unit, parse

SMALLEST, LARGEST = 1e-3, 20.0
"""Bounds of a spread, in its scale: below it the groups are one, above it a half-normal prior has nothing left."""


@dataclass(frozen=True)
class Population:
    """An unknown that each experiment, or each group of experiments, has for itself, drawn from one population.

    name: of a model parameter (also `initial.<state>`) or of an open setting; a `Parameter` says other bounds or
        another prior of the mean.
    spread: how far the values of the groups may lie from one another: the scale of a half-normal prior of their
        standard deviation, or a prior of that. A share ("20 %") where the search runs in the logarithm of the
        parameter (bounds above zero and two decades apart, or a log-normal prior), a difference in its unit ("2 K")
        otherwise.
    by: the entry of the experiments' context that they share within a group ("lot", "laboratory"); without it each
        experiment is a group of its own.

    The posterior has `mean.<name>` with the parameter's own prior and bounds, `spread.<name>`, and `<name>@<group>`
    for each group. A prediction for a new group draws from the population.

    >>> Population("film_coefficient", spread="20 %", by="furnace").name
    'film_coefficient'
    """

    parameter: str | Parameter
    spread: QuantityLike | Prior
    by: str | None = None

    def __post_init__(self) -> None:
        """Check the name; what the spread needs shows with the model."""
        check_name("parameter", self.name, library_forms=True)
        if "@" in self.name:
            raise ModelError(f'Population("{self.name}"): give the name alone, the group is added')

    @property
    def name(self) -> str:
        """Of the model parameter or setting."""
        return self.parameter.name if isinstance(self.parameter, Parameter) else self.parameter

    @property
    def each(self) -> str:
        """What a group is called."""
        return "experiment" if self.by is None else self.by

    def group_of(self, experiment: Experiment) -> str:
        """The label of the group of an experiment; raises CalibrationError where its context does not say."""
        if self.by is None:
            return experiment.name
        if self.by not in experiment.context:
            raise CalibrationError(
                f'Population of "{self.name}" by "{self.by}": the context of experiment "{experiment.name}" has no '
                f'"{self.by}", it has {", ".join(map(repr, experiment.context)) or "nothing"}; say '
                f'context={{"{self.by}": ...}} where the experiment is made'
            )
        label = f"{experiment.context[self.by]}"
        try:
            check_name("parameter", f"{self.name}@{label}", library_forms=True)
        except ModelError:
            raise CalibrationError(
                f'Population of "{self.name}" by "{self.by}": {label!r} of experiment "{experiment.name}" cannot stand '
                'in the name of a parameter; use letters, digits, "_", "-" and "." in the context'
            ) from None
        return label


def groups_of(population: Population, experiments: Iterable[Experiment]) -> dict[str, tuple[str, ...]]:
    """Label -> the experiments of the group; raises CalibrationError for fewer than two groups."""
    found: dict[str, tuple[str, ...]] = {}
    for experiment in experiments:
        label = population.group_of(experiment)
        found[label] = (*found.get(label, ()), experiment.name)
    if len(found) < 2:
        only = f'all are of {population.each} "{next(iter(found))}"' if found else "no experiment has it"
        raise CalibrationError(
            f'Population of "{population.name}": a spread needs two groups or more, and {only}; name '
            f'"{population.name}" alone as unknown'
        )
    return found


def mean_of(declared: Parameter) -> Parameter:
    """The parameter `mean.<name>`."""
    return declared.replace(name=f"mean.{declared.name}", description=f"mean of the population of {declared.name}")


def member_of(declared: Parameter, label: str) -> Parameter:
    """The parameter `<name>@<label>`: its prior is the population."""
    low, high = declared.bounds
    si = declared.unit.si_text
    if in_logarithm(declared):  # the support of the prior that it does without
        low = max(low, 0.0)
    return declared.replace(
        name=f"{declared.name}@{label}",
        prior=None,
        bounds=((low, si) if math.isfinite(low) else None, (high, si) if math.isfinite(high) else None),
    )


def spread_of(population: Population, declared: Parameter) -> Parameter:
    """The parameter `spread.<name>`; raises UnitError for a spread of another unit than the search is in."""
    name, log, given = f"spread.{declared.name}", in_logarithm(declared), population.spread
    if isinstance(given, Prior):
        unit, prior = Unit("1") if log else declared.unit, given
    else:
        unit = _unit_of_spread(given, declared)
        prior = HalfNormal(given)
    known = prior.in_si(unit, name, not log)
    scale = math.hypot(known.mean, known.sd)
    if not (0.0 < scale < math.inf and known.support[1] > 0.0):
        raise CalibrationError(f"{name}: the prior of a standard deviation lies above zero, and its mean is finite")
    low, high = max(known.support[0], SMALLEST * scale), min(known.support[1], LARGEST * scale)
    si = unit.difference().si_text
    return Parameter(
        name,
        (min(max(0.5 * scale, low), high), si),
        bounds=((low, si), (high, si)),
        prior=prior,
        unit=unit,
        difference=not log,
        description=f"standard deviation of {'ln ' if log else ''}{declared.name} among all groups",
    )


def _unit_of_spread(spread: QuantityLike, declared: Parameter) -> Unit:
    """The unit in which the spread is shown: its own where it is a share, that of the parameter otherwise."""
    try:
        unit = parse(spread)[1]
    except UnitError as error:
        raise UnitError(f"Population of {declared.name}: {error}") from None
    if in_logarithm(declared):
        if not unit.is_dimensionless:
            raise UnitError(
                f"Population of {declared.name}: the search runs in its logarithm, so the spread is a share such as "
                f'"20 %", not {spread!r}'
            )
        if isinstance(spread, int | float) and spread > 2.0:
            raise UnitError(
                f"Population of {declared.name}: a spread of {spread:g} is {100.0 * spread:g} %; write "
                f'"{spread:g} %" or {spread / 100.0:g}'
            )
        return unit
    if unit.dimension != declared.unit.dimension:
        other = ""
        if unit.is_dimensionless:
            other = (
                f"; for a share as {spread!r} give {declared.name} bounds above zero and two decades apart, or a "
                "log-normal prior"
            )
        raise UnitError(
            f"Population of {declared.name}: the spread is a difference in {declared.unit.difference()}, not "
            f"{spread!r}{other}"
        )
    return declared.unit


def memberships(populations: Sequence[Population], experiments: Sequence[Experiment]) -> str:
    """Who belongs where, as a posterior remembers it: name -> what a group is called, experiment -> group."""
    found = {p.name: {"by": p.by, "of": {e.name: p.group_of(e) for e in experiments}} for p in populations}
    return json.dumps(found)
