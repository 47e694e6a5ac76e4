"""`Discrepancy`: what a person says about how far a model may be from reality."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.errors import BoundsError, ModelError
from physics_twin.estimation.discrepancy.argument import Argument, Over, find_argument, inputs_along
from physics_twin.estimation.discrepancy.basis import Basis, Kernel, choose_basis
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.parameters import Parameter, bounds_in_si
from physics_twin.priors import Normal
from physics_twin.units import QuantityLike, Unit, to_si

PREFIX = "discrepancy."
"""Of the names of all coefficients."""


@dataclass(frozen=True)
class Discrepancy:
    """How far an output of a model may be from reality, and over what: a Gaussian process with mean zero.

    sd: standard deviation before the data, "2 K". length: correlation length, in the unit of the argument: values that
    far apart have a correlation of 0.48 ("matern"; 0.61 for "squared exponential"). over: "time", an input or an output
    of the model, the output itself included. between: range of the argument that data and predictions cover, with units
    or bare in that of the argument; without it the range of the experiments given to `with_discrepancy`, the bounds of
    the signal, or the model's range of validity. kernel: "matern" (nu = 3/2) or "squared exponential".

    Raises ModelError for an unknown kernel; `with_discrepancy`, which knows the units, raises BoundsError for an sd or
    a length that is not above zero.
    """

    sd: QuantityLike
    length: QuantityLike
    over: str
    between: tuple[QuantityLike, QuantityLike] | None = None
    kernel: str = Kernel.MATERN.value

    def __post_init__(self) -> None:
        """Check what can be checked without the model."""
        if self.kernel not in [k.value for k in Kernel]:
            raise ModelError(f'there is no kernel "{self.kernel}"; known: {", ".join(k.value for k in Kernel)}')


@dataclass(frozen=True)
class Term:
    """The discrepancy of one output of one model, in SI."""

    output: str
    index: int
    """Of the output."""
    unit: Unit
    """Of the output."""
    sd: float
    argument: Argument
    basis: Basis
    low: float
    high: float
    """Range of the argument that was asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coefficients: discrepancy.<output>.x1, ..."""
        return tuple(f"{PREFIX}{self.output}.x{j}" for j in range(1, self.basis.n + 1))

    @property
    def over(self) -> tuple[str, Unit, float, float]:
        """Name and unit of the argument, and its range, SI."""
        return self.argument.name, self.argument.unit, self.low, self.high

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The coefficients with their priors."""
        si = Unit(self.unit.si_text).difference().text
        shown = self.unit.difference()
        return tuple(
            Parameter(
                name,
                (0.0, si),
                unit=shown,
                prior=Normal((0.0, si), (self.sd * float(weight), si)),
                difference=True,
                description=f"discrepancy of {self.output} over {self.argument.name}, function {j}",
            )
            for j, (name, weight) in enumerate(zip(self.names, self.basis.weights, strict=True), start=1)
        )


def bound_term(model: Model, output: str, index: int, given: Discrepancy, runs: Sequence[Experiment]) -> Term:
    """A declaration bound to a model; raises UnknownNameError, UnitError, BoundsError."""
    what = f"discrepancy of {output}"
    unit = model.outputs[index].unit
    argument = find_argument(model, given.over, what)
    span = argument.unit.difference()
    sd = to_si(given.sd, unit.difference(), name=f"{what}: sd", difference=True)
    length = to_si(given.length, span, name=f"{what}: length", difference=True)
    if not 0.0 < sd < math.inf:
        raise BoundsError(f"{what}: sd = {given.sd} is not above zero")
    if not 0.0 < length < math.inf:
        raise BoundsError(f"{what}: length = {given.length} is not above zero")
    low, high = _range(model, argument, given, runs, what)
    basis = choose_basis(low, high, length, Kernel(given.kernel), what)
    return Term(output, index, unit, sd, argument, basis, low, high)


def _range(
    model: Model, argument: Argument, given: Discrepancy, runs: Sequence[Experiment], what: str
) -> tuple[float, float]:
    name = argument.name
    if given.between is not None:
        low, high = bounds_in_si(given.between, argument.unit, f"{what}: between")
        if not math.isfinite(high - low):
            raise BoundsError(f"{what}: between = {given.between} needs two finite ends")
        return low, high
    known = _of_data(model, argument, runs) or _of_model(model, argument)
    if known is None:
        raise BoundsError(
            f"{what}: nothing says between which values of {name} it is wanted; give between=(..., ...) with units, or "
            "experiments= to with_discrepancy"
        )
    return known


def _of_data(model: Model, argument: Argument, runs: Sequence[Experiment]) -> tuple[float, float] | None:
    """The range that experiments cover."""
    if argument.kind is Over.TIME:
        return (0.0, max(run.duration for run in runs)) if runs else None
    if argument.kind is Over.OUTPUT:
        own = [run[argument.name] for run in runs if argument.name in run.series]
        seen = [series.values[series.used] for series in own if series.used.any()]
    else:
        seen = []
        for run in runs:
            for end in (0, 1):  # a setting that is open may have any value within its bounds
                settings = {n: s.bounds[end] if s.value is None else s.value for n, s in run.recipe.settings.items()}
                seen.append(inputs_along(model, run.recipe, settings, run.times)[0][argument.index])
    found = np.concatenate(seen) if seen else np.empty(0)
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if found.size and np.ptp(found) > 0.0 else None


def _of_model(model: Model, argument: Argument) -> tuple[float, float] | None:
    if argument.kind is Over.TIME:
        return None
    signal = (model.inputs if argument.kind is Over.INPUT else model.outputs)[argument.index]
    for low, high in (signal.bounds, model.validity.get(signal.name, (-math.inf, math.inf))):
        if math.isfinite(low) and math.isfinite(high):
            return low, high
    return None
