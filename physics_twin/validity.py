"""What is known, and what leaves it: the ranges of the data behind a posterior, and a model's domain of validity.

Simulations, predictions, forecasts and envelopes all judge by the rule that stands here: a value is outside where it
leaves a known range by more than a share of its width that the caller allows. Nothing is changed by it; it is said.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.units import Unit, format_si

DATA, MODEL = "data", "model"
WORDS: Mapping[str, str] = {DATA: "the data cover", MODEL: "the model is valid for"}
SLACK = 0.01
"""Share of a range by which it may be left before it counts: a hundredth is not another regime."""
OUTPUT_SLACK = 0.05
"""The same for outputs, whose range was seen through noise."""
ROUNDING = 1e-6
"""Of the size of a range's ends: a value that was converted there and back has not left it."""

type Ranges = Mapping[str, tuple[float, float]]
type Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Course:
    """What a quantity does, in one run or over many."""

    name: str
    unit: Unit
    values: Any
    """A number, or an array; SI. NaN is not looked at."""
    slack: float = SLACK


@dataclass(frozen=True)
class Mark:
    """One reason to trust a result less."""

    kind: str
    """"extrapolation", "prior", "bound", "fit" or "hold-out"."""
    name: str
    """Of the parameter, setting, input or output; empty for the model as a whole."""
    text: str
    """The same in a sentence."""
    source: str = ""
    """Of an extrapolation: what knows the range, "data" or "model"."""
    unit: Unit | None = None
    low: float | None = None
    """Lowest value reached, SI."""
    high: float | None = None
    """Highest value reached, SI."""
    known_low: float | None = None
    """Of the range that is known, SI."""
    known_high: float | None = None


class Judged(Protocol):
    """The result of a check that a model can pass or fail."""

    @property
    def passed(self) -> bool:
        """Whether it did."""
        ...

    @property
    def sentence(self) -> str:
        """The finding, fit to stand beside other results."""
        ...


def left(values: Any, known: tuple[float, float], slack: float = SLACK) -> Mask:
    """Where `values` (SI, any shape) leave the range `known` by more than `slack` of its width; NaN does not."""
    low, high = known
    width = high - low if math.isfinite(high - low) else 0.0
    size = max((abs(end) for end in known if math.isfinite(end)), default=0.0)
    room = max(slack * width, ROUNDING * size)
    with np.errstate(invalid="ignore"):
        return np.asarray((values < low - room) | (values > high + room), dtype=bool)


def extrapolations(courses: Iterable[Course], known: Mapping[str, Ranges]) -> tuple[dict[str, Mask], list[Mark]]:
    """Name -> where it is outside (of the shape of its course), and a mark for each range that is left.

    known: "data" and "model" -> ranges by name, SI.
    """
    outside: dict[str, Mask] = {}
    marks: list[Mark] = []
    for course in courses:
        for source, ranges in known.items():
            if course.name not in ranges:
                continue
            where = left(course.values, ranges[course.name], course.slack)
            if where.any():
                outside[course.name] = outside.get(course.name, np.zeros(where.shape, dtype=bool)) | where
                marks.append(_mark(course, source, ranges[course.name]))
    return outside, marks


def _mark(course: Course, source: str, known: tuple[float, float]) -> Mark:
    values: Array = np.asarray(course.values, dtype=float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    worst = high if high - known[1] >= known[0] - low else low
    text = (
        f"extrapolation: {course.name} reaches {format_si(worst, course.unit)}, {WORDS[source]} "
        f"{format_si(known[0], course.unit)} to {format_si(known[1], course.unit)}"
    )
    return Mark("extrapolation", course.name, text, source, course.unit, low, high, *known)
