"""Numbers that shape the likelihood or a prior and that no simulation depends on: shapes of noise, spreads of groups.

Noise levels and these are estimated beside the unknowns of the search, in their natural logarithm: psi (n_psi,), the
levels first. Given psi a linear model is Gaussian, so what is expensive (the simulations) does not depend on it.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.measurements import Channel, Experiment
from physics_twin.measurements.uncertainty import SHAPES
from physics_twin.parameters import Parameter


class HyperKind(enum.Enum):
    """What a number shapes."""

    PROPORTIONAL = "proportional"
    CORRELATION_TIME = "correlation_time"
    DEGREES_OF_FREEDOM = "degrees_of_freedom"
    SPREAD = "spread"
    """Standard deviation of the columns of a group about their mean."""


@dataclass(frozen=True)
class Hyper:
    """One number, above zero."""

    parameter: Parameter
    """As declared. Without a prior, its logarithm is flat between the bounds."""
    kind: HyperKind


@dataclass(frozen=True)
class Share:
    """One number about the noise of a channel: given, or the value of a hyper."""

    given: float
    hyper: int = -1
    """Number among the hypers, -1 where it is given."""

    def at(self, hypers: Array) -> float:
        """The number, SI; hypers (n_hypers,) SI."""
        return self.given if self.hyper < 0 else float(hypers[self.hyper])


@dataclass(frozen=True)
class NoiseShape:
    """How the noise of a channel differs from independent normal deviations of one size."""

    proportional: Share = Share(0.0)
    correlation_time: Share = Share(0.0)
    """s; 0 for none."""
    degrees_of_freedom: Share = Share(np.inf)

    @property
    def plain(self) -> bool:
        """Whether it does not differ at all."""
        return self == PLAIN


PLAIN = NoiseShape()


@dataclass(frozen=True)
class ColumnGroup:
    """Columns that are draws from one normal population: t_j ~ Normal(t_mean, spread * weight_j).

    t is the unknown in SI, or its natural logarithm.
    """

    columns: NDArray[np.intp]
    """(n,)"""
    weights: Array
    """(n,)"""
    mean_column: int
    """-1 where the mean is zero."""
    log: bool
    spread: int
    """Number of the hyper."""


def noise_hypers(
    experiments: Sequence[Experiment], own: set[str]
) -> tuple[tuple[Hyper, ...], dict[tuple[str, str], NoiseShape]]:
    """The shapes that channels declare unknown, and the shape of each (experiment, output).

    own: names of noise levels that each experiment has for itself ("noise.core"); shapes are shared as levels are.
    """
    hypers: dict[str, Hyper] = {}
    records: dict[str, float] = {}
    shapes: dict[tuple[str, str], NoiseShape] = {}
    for experiment in experiments:
        for channel in experiment.channels:
            if channel.noise_shape is None:
                continue
            found = {}
            for what in SHAPES:
                number = channel.noise_shape.number(what)
                if number is None:
                    continue
                parameter = channel.parameters.get(what)
                if parameter is None:
                    found[what] = Share(number)
                    continue
                name = _name(channel, parameter, experiment.name, own)
                named = parameter if parameter.name == name else parameter.replace(name=name)
                hypers.setdefault(name, Hyper(named, HyperKind(what)))
                found[what] = Share(number, list(hypers).index(name))
                series = experiment[channel.output]
                if what == "correlation_time" and series.used.any():
                    records[name] = max(records.get(name, 0.0), float(np.ptp(series.times[series.used])))
            shapes[experiment.name, channel.output] = NoiseShape(**found)
    for name, record in records.items():
        hypers[name] = _within(hypers[name], record)
    return tuple(hypers.values()), shapes


def _within(hyper: Hyper, record: float) -> Hyper:
    """A correlation time that is not looked for beyond the longest record (s) of its channels.

    Slower noise is as good as a constant, and without a prior its posterior would never end.
    """
    p = hyper.parameter
    low, high = p.bounds
    high = min(high, max(record, 10.0 * low))
    return Hyper(p.replace(value=(min(p.value, high), "s"), bounds=((low, "s"), (high, "s"))), hyper.kind)


def _name(channel: Channel, parameter: Parameter, experiment: str, own: set[str]) -> str:
    return f"{parameter.name}@{experiment}" if channel.noise_name in own else parameter.name
