"""Objectives: what makes one point of an envelope better than another, and how its uncertainty is weighed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from physics_twin.arrays import Array
from physics_twin.envelope.reductions import Reduction, final
from physics_twin.errors import EnvelopeError
from physics_twin.units import Unit


@dataclass(frozen=True)
class Expectation:
    """The mean over the next batches."""


@dataclass(frozen=True)
class WorstCase:
    """The worst of the draws; with more draws it gets worse."""


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


type Measure = Expectation | WorstCase | CVaR


@dataclass(frozen=True)
class Objective:
    """An output of the model, reduced to a number, to be made as large (`sign` 1) or small (-1) as the limits allow.

    Written as `pt.Maximize("profit")` or `pt.Minimize("energy", over=pt.final, measure=pt.CVaR(0.1))`. The output may
    be a setting's name: `pt.Minimize("hold_time")`. over: a reduction, or a function (times, values) -> number with
    `unit`.
    """

    output: str
    sign: int
    over: Reduction | Callable[[Array, Array], float] = final
    measure: Measure = field(default_factory=Expectation)
    unit: str | Unit | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        if self.sign not in (1, -1) or not math.isfinite(self.sign):
            raise EnvelopeError(f"an objective's sign is 1 (maximize) or -1 (minimize), not {self.sign}")


def Maximize(  # reads as the kind of objective it makes
    output: str,
    *,
    over: Reduction | Callable[[Array, Array], float] = final,
    measure: Measure | None = None,
    unit: str | Unit | None = None,
    name: str | None = None,
) -> Objective:
    """An objective that is to be as large as possible."""
    return Objective(output, 1, over, measure or Expectation(), unit, name)


def Minimize(
    output: str,
    *,
    over: Reduction | Callable[[Array, Array], float] = final,
    measure: Measure | None = None,
    unit: str | Unit | None = None,
    name: str | None = None,
) -> Objective:
    """An objective that is to be as small as possible."""
    return Objective(output, -1, over, measure or Expectation(), unit, name)
