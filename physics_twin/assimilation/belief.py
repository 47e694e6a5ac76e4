"""What a filter knows at one moment, and what goes in and out of its two steps. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.keys import Key
from physics_twin.model import Failure


@dataclass(frozen=True, eq=False)
class Belief:
    """State and parameters at one moment, with their uncertainty, as one method keeps them.

    states: (n_members, n_state) SI, complete states of the model; of a method that carries a covariance one row, the
        mean. parameters: (n_members, n_parameters) SI, the uncertain ones, in the order of `Coordinates.parameters`.
    root: (n_coordinates, n_coordinates) lower triangular: the covariance of the coordinates is root root^T; None of an
        ensemble, whose members say it.
    memory: what the method itself must remember (windows, inflation), arrays by name; saved with the twin.
    """

    method: str
    states: Array
    parameters: Array
    root: Array | None
    memory: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Start:
    """What is known before the first sample.

    states, parameters: (n_draws, ...) as in `Belief`, draws of the posterior carried to the beginning.
    variance: (n_coordinates,) uncertainty that the draws do not hold (of initial values), added to theirs.
    """

    states: Array
    parameters: Array
    variance: Array


@dataclass(frozen=True, eq=False)
class Step:
    """From one moment to the next: t0 <= t1, s on the recipe's clock.

    settings: open settings of the recipe with their values over this step, SI. variance: (n_coordinates,) what random
    walks add over the step. key: names the random numbers of the moment t1.
    """

    t0: float
    t1: float
    settings: Mapping[str, float]
    variance: Array
    key: Key


@dataclass(frozen=True, eq=False)
class Observation:
    """Samples of one moment that are to be believed.

    rows: (n_samples,) positions among the model's outputs; several samples of one output are allowed. values: (n,) SI.
    variance: (n,) SI, of their noise, independent. channels: names, for keyed draws.
    """

    rows: NDArray[np.int64]
    values: Array
    variance: Array
    channels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Predicted:
    """A belief carried to the moment of the samples, before they are looked at.

    outputs: (n_outputs,) mean SI; covariance: (n_outputs, n_outputs) of the true outputs, without sensor noise.
    linked: what the update needs besides (members' outputs, cross covariances), arrays by name; not kept.
    """

    belief: Belief
    outputs: Array
    covariance: Array
    linked: Mapping[str, Array] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
