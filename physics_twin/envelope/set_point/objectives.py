"""Objectives: what makes one point of an envelope better than another, and how its uncertainty is weighed.

An `Objective` is what a person writes. Bound to a model and to settings it becomes a `Target` in SI. Over the draws it
has a distribution; a measure (expectation, worst case, conditional value at risk) makes one number of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.reductions import LOWER, UPPER, Custom, Reduction, final, path
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.signals import Setting, Signal
from physics_twin.units import Unit, format_si, unit as as_unit

MAXIMIZE, MINIMIZE = 1, -1


@dataclass(frozen=True)
class Expectation:
    """The mean over the next batches."""

    def __str__(self) -> str:
        """In words."""
        return "mean"


@dataclass(frozen=True)
class WorstCase:
    """The worst of the draws; with more draws it gets worse."""

    def __str__(self) -> str:
        """In words."""
        return "worst of the draws"


@dataclass(frozen=True)
class CVaR:
    """Conditional value at risk: the mean of the worst `share` of the batches.

    Rockafellar and Uryasev, Journal of Risk 2 (2000) 21.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0.0 < self.share <= 1.0:
            raise EnvelopeError(f"CVaR({self.share:g}): the share of worst batches lies above 0 and at most at 1")

    def __str__(self) -> str:
        """In words."""
        return f"mean of the worst {100.0 * self.share:g} %"


type Measure = Expectation | WorstCase | CVaR


@dataclass(frozen=True)
class Objective:
    """An output of the model, reduced to a number, to be made as large (`sign` 1) or small (-1) as the limits allow.

    Written as `pt.Maximize("profit")` or `pt.Minimize("energy", over=pt.final, measure=pt.CVaR(0.1))`. The output may
    be a setting's name: `pt.Minimize("hold_time")`. over: a reduction, or a function (times, values) -> number with
    `unit`; of every moment (`path`) the worst counts.

    Raises EnvelopeError for what is no reduction or no measure, or for a function without `unit`.
    """

    output: str
    sign: int
    over: Reduction | Callable[[Array, Array], float] = final
    measure: Measure = field(default_factory=Expectation)
    unit: str | Unit | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        if self.sign not in (MAXIMIZE, MINIMIZE):
            raise EnvelopeError(f"an objective's sign is 1 (maximize) or -1 (minimize), not {self.sign}")
        if not isinstance(self.measure, Expectation | WorstCase | CVaR):
            raise EnvelopeError(
                f'the objective on "{self.output}": measure={self.measure!r} is none; use pt.Expectation(), '
                "pt.WorstCase() or pt.CVaR(0.1)"
            )
        if isinstance(self.over, Reduction):
            if self.unit is not None:
                raise EnvelopeError(
                    f'the objective on "{self.output}": unit= belongs to a function; {self.over} knows its own'
                )
        elif not callable(self.over):
            raise EnvelopeError(
                f'the objective on "{self.output}": over={self.over!r} is no reduction; use pt.final, pt.peak, '
                'pt.mean, pt.integral, pt.at("20 min"), pt.time_above("860 degC") or a function'
            )
        elif self.unit is None:
            raise EnvelopeError(
                f'the objective on "{self.output}": a function says nothing about its unit; give unit=, for example '
                'Maximize(..., over=my_function, unit="kg/h")'
            )


def Maximize(  # reads as the kind of objective it makes
    output: str,
    *,
    over: Reduction | Callable[[Array, Array], float] = final,
    measure: Measure | None = None,
    unit: str | Unit | None = None,
    name: str | None = None,
) -> Objective:
    """An objective that is to be as large as possible."""
    return Objective(output, MAXIMIZE, over, measure or Expectation(), unit, name)


def Minimize(
    output: str,
    *,
    over: Reduction | Callable[[Array, Array], float] = final,
    measure: Measure | None = None,
    unit: str | Unit | None = None,
    name: str | None = None,
) -> Objective:
    """An objective that is to be as small as possible."""
    return Objective(output, MINIMIZE, over, measure or Expectation(), unit, name)


@dataclass(frozen=True)
class Target:
    """An objective bound to a model and its settings, in SI."""

    name: str
    output: str
    column: int
    """Which output of the model, or, for a setting, which setting."""
    of_setting: bool
    sign: int
    measure: Measure
    unit: Unit
    """Of the number."""
    output_unit: Unit
    reduction: Reduction

    @property
    def side(self) -> int:
        """Which extreme of a course counts: its peak; over every moment, the worst."""
        return (LOWER if self.sign == MAXIMIZE else UPPER) if self.reduction == path else UPPER

    @property
    def requirement(self) -> Requirement:
        """The same number as a margin, so that it is simulated as margins are: see `from_margins`."""
        return Requirement(
            name=self.name,
            output=self.output,
            column=self.column,
            side=self.side,
            level=0.0,
            unit=self.unit,
            output_unit=self.output_unit,
            reduction=self.reduction,
            limit=self.name,
        )

    def from_margins(self, margins: Array) -> Array:
        """Numbers in SI from margins against the level 0."""
        return -self.side * margins


def bind_objectives(
    objectives: Sequence[Objective], outputs: Sequence[Signal], settings: Sequence[Setting]
) -> tuple[Target, ...]:
    """The targets of `objectives`; an output comes before a setting of the same name.

    Raises UnknownNameError for a name that is neither, EnvelopeError for two objectives of one name.
    """
    columns = {signal.name: j for j, signal in enumerate(outputs)}
    knobs = {setting.name: j for j, setting in enumerate(settings)}
    found: list[Target] = []
    for objective in objectives:
        if not isinstance(objective, Objective):
            raise EnvelopeError(f'{objective!r} is no objective; write pt.Maximize("profit") or pt.Minimize("energy")')
        name = objective.output
        over = objective.over
        if not isinstance(over, Reduction):
            assert objective.unit is not None  # checked at construction
            over = Custom(over, as_unit(objective.unit))
        if name in columns:
            unit = outputs[columns[name]].unit
            label = objective.name or over.label(name, unit)
            shown = over.unit(unit)
            target = Target(label, name, columns[name], False, objective.sign, objective.measure, shown, unit, over)
        elif name in knobs:
            if over != final:
                raise EnvelopeError(f'the objective on the setting "{name}": it has one value, leave over= out')
            unit = settings[knobs[name]].unit
            label = objective.name or name
            target = Target(label, name, knobs[name], True, objective.sign, objective.measure, unit, unit, over)
        else:
            raise unknown_name("output or setting", name, [*columns, *knobs])
        if any(other.name == target.name for other in found):
            raise EnvelopeError(
                f'two objectives are called "{target.name}"; drop one or give them different names with name='
            )
        found.append(target)
    return tuple(found)


def measured(values: Array, sign: int, measure: Measure) -> Array:
    """The number (...,) that a measure makes of values (..., n_draws), SI; draws that failed (NaN) are left out.

    CVaR of a finite sample is the mean of its worst share, the draw at the edge counted in part (Rockafellar and
    Uryasev, Journal of Banking and Finance 26 (2002) 1443, proposition 8). NaN where all draws failed.
    """
    worth = np.sort(sign * np.asarray(values, dtype=float), axis=-1)  # the worst first, failures last
    n = np.isfinite(worth).sum(axis=-1, keepdims=True)
    rank = np.arange(worth.shape[-1])
    if isinstance(measure, WorstCase):
        weights = np.where(rank < 1, 1.0, 0.0) * (n > 0)
    else:
        share = measure.share if isinstance(measure, CVaR) else 1.0
        weights = np.clip(share * n - rank, 0.0, 1.0)
    total = (np.where(weights > 0.0, worth, 0.0) * weights).sum(axis=-1)
    mass = weights.sum(axis=-1)
    found: Array = sign * np.where(mass > 0.0, total, math.nan) / np.where(mass > 0.0, mass, 1.0)
    return found


def standard_error(values: Array, sign: int, measure: Measure, independence: float = 1.0) -> float:
    """Of the measured number, from values (n_draws,); independence: effective draws for each draw.

    Of the conditional value at risk it is that of the mean shortfall below the value at risk (Rockafellar and Uryasev
    2000, eq. 4); the worst case has none (NaN): it is a number of this sample.
    """
    worth = sign * values[np.isfinite(values)]
    n = len(worth)
    if n < 2 or isinstance(measure, WorstCase):
        return math.nan
    share = 1.0
    if isinstance(measure, CVaR):
        share = measure.share
        at_risk = np.sort(worth)[math.ceil(share * n) - 1]
        worth = np.maximum(at_risk - worth, 0.0)
    return float(np.std(worth, ddof=1) / (share * math.sqrt(independence * n)))


@dataclass(frozen=True)
class ObjectiveValue:
    """What an objective reaches at one point."""

    name: str
    output: str
    value: float
    """SI."""
    unit: Unit
    """In which it is shown."""
    sd: float
    """Standard deviation over the next batches, SI: a difference."""
    standard_error: float
    """Of `value`, from the number of draws, SI: a difference; NaN for the worst case."""
    measure: str
    goal: str
    """"maximize" or "minimize"."""
    n_draws: int
    """Draws behind the value; 0 for one value of the parameters."""
    n_failed: int
    """Of them, how many failed and are not in it."""

    def __str__(self) -> str:
        """In one line, with units."""
        text = f"{self.goal} {self.name}: {format_si(self.value, self.unit, 6)}"
        if not self.n_draws:
            return text
        if math.isfinite(self.standard_error):
            text += f" +- {format_si(self.standard_error, self.unit, 2, difference=True)}"
        text += f" ({self.measure}; sd over batches {format_si(self.sd, self.unit, 3, difference=True)}"
        return text + (f"; {self.n_failed} of {self.n_draws} draws failed and are left out)" if self.n_failed else ")")


def valued(target: Target, values: Array, independence: float = 1.0) -> ObjectiveValue:
    """What a target reaches, from values (n_draws,) SI at one point; independence: effective draws for each draw."""
    finite = values[np.isfinite(values)]
    return ObjectiveValue(
        name=target.name,
        output=target.output,
        value=float(measured(values, target.sign, target.measure)),
        unit=target.unit,
        sd=float(np.std(finite)) if len(finite) else math.nan,
        standard_error=standard_error(values, target.sign, target.measure, independence),
        measure=str(target.measure),
        goal="maximize" if target.sign == MAXIMIZE else "minimize",
        n_draws=len(values) if len(values) > 1 else 0,
        n_failed=len(values) - len(finite),
    )
