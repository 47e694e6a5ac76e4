"""A prior for a function that a model knows by consecutive scalar parameters: neighbors are alike.

Each value is normal, and values a distance r apart have the Matern correlation
with smoothness 3/2, (1 + a) exp(-a) with a = sqrt(3) r / length (Rasmussen and Williams 2006, eq. 4.17): functions with
a derivative, and a matrix that stays well conditioned where a squared exponential would not. The fit sees the prior of
each parameter on its own, and a matrix that makes their standardized residuals independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, CalibrationError
from physics_twin.estimation.population import Population
from physics_twin.estimation.unknowns import Item, Kind, Unknown
from physics_twin.parameters import Parameter, PerExperiment
from physics_twin.priors import Normal
from physics_twin.splines import Spline, one_for_each, quantities_and_unit
from physics_twin.units import QuantityLike, to_si

NUGGET = 1e-10
"""Added to the diagonal of a correlation matrix, against rounding at long lengths."""

type UnknownItem = str | Parameter | PerExperiment | Population | SmoothPrior
"""What `unknown=[...]` may hold."""


@dataclass(frozen=True, init=False)
class SmoothPrior:
    """Unknown parameters that are the values of a smooth function, in the order of its argument.

    names: a `Spline`; or parameters of the model, `[f"flux_{i}" for i in range(1, 101)]`, or one `PerExperiment` for
        each, for a function of its own in each experiment. mean, sd: with units, of every value, or a list with one for
        each; they replace the priors of the parameters. length: correlation length, values that far apart have a
        correlation of 0.48: in the unit of the argument ("200 K") for a `Spline` and with positions, otherwise the
        number of even steps between neighbors. positions: the argument at each name, ascending: quantities, or
        (numbers, unit).

    The posterior's `parameters` show the prior of each value on its own.

    >>> SmoothPrior(["q_1", "q_2", "q_3"], "0 W/m^2", "5 kW/m^2", length=4).names
    ('q_1', 'q_2', 'q_3')
    """

    names: tuple[str | PerExperiment, ...]
    mean: QuantityLike | Sequence[QuantityLike]
    sd: QuantityLike | Sequence[QuantityLike]
    length: QuantityLike
    positions: Any

    def __init__(
        self,
        names: Sequence[str | PerExperiment] | Spline,
        mean: QuantityLike | Sequence[QuantityLike],
        sd: QuantityLike | Sequence[QuantityLike],
        length: QuantityLike,
        positions: Any = None,
    ) -> None:
        """Check what can be checked without the model."""
        if isinstance(names, str):
            raise CalibrationError(f'SmoothPrior takes the names of several parameters, not the one "{names}"')
        if isinstance(names, Spline):
            if positions is not None:
                raise CalibrationError(f'SmoothPrior: the spline "{names.name}" has its own positions, its knots')
            spline = names
            names, positions = spline.names, (spline.knots, spline.argument_unit.si_text)
        for key, item in {
            "names": tuple(names),
            "mean": mean,
            "sd": sd,
            "length": length,
            "positions": positions,
        }.items():
            object.__setattr__(self, key, item)
        plain = [self.plain(n) for n in self.names]
        if len(plain) < 2 or len(set(plain)) < len(plain):
            raise CalibrationError("SmoothPrior takes the names of two parameters or more, each once")
        steps = self.steps
        if steps.size != len(plain) or not (np.diff(steps) > 0.0).all() or not np.isfinite(steps).all():
            raise CalibrationError(f"SmoothPrior: {len(plain)} positions that ascend are needed")
        _ = self.priors

    @staticmethod
    def plain(name: str | PerExperiment) -> str:
        """The name of the model's parameter."""
        return name.name if isinstance(name, PerExperiment) else name

    @property
    def steps(self) -> Array:
        """(n,) positions in correlation lengths."""
        if self.positions is None:
            if not (isinstance(self.length, int | float) and 0.0 < self.length < np.inf):
                raise BoundsError(f"SmoothPrior: length = {self.length} steps is not a positive number")
            return np.arange(len(self.names)) / float(self.length)
        places, unit = quantities_and_unit(self.positions, "SmoothPrior: positions")
        length = to_si(self.length, unit, name="SmoothPrior: length", difference=True)
        if not 0.0 < length < np.inf:
            raise BoundsError(f"SmoothPrior: length = {self.length} is not above zero")
        return np.asarray(places / length)

    @property
    def priors(self) -> dict[str, Normal]:
        """Name of the model's parameter -> the prior of its value."""
        n = len(self.names)
        means, sds = one_for_each(self.mean, n, "SmoothPrior: mean"), one_for_each(self.sd, n, "SmoothPrior: sd")
        return {self.plain(k): Normal(m, s) for k, m, s in zip(self.names, means, sds, strict=True)}

    @property
    def correlation(self) -> Array:
        """(n, n) prior correlation of the values."""
        steps = self.steps
        a = np.sqrt(3.0) * np.abs(steps[:, None] - steps[None, :])
        return np.asarray((1.0 + a) * np.exp(-a))


def spread_out(
    unknown: Sequence[UnknownItem] | UnknownItem,
) -> tuple[list[Item], dict[str, Normal], tuple[SmoothPrior, ...]]:
    """Items one by one, the priors of those in a SmoothPrior, and these."""
    items = [unknown] if isinstance(unknown, str | Parameter | PerExperiment | Population | SmoothPrior) else unknown
    flat: list[Item] = []
    priors: dict[str, Normal] = {}
    smooth = tuple(item for item in items if isinstance(item, SmoothPrior))
    for item in items:
        if isinstance(item, SmoothPrior):
            flat += item.names
            priors.update(item.priors)
        else:
            flat.append(item)
    return flat, priors, smooth


def coupling_of(smooth: Sequence[SmoothPrior], columns: Sequence[Unknown]) -> Array | None:
    """The inverse root (d, d) of the correlation of all priors, None where they are independent."""
    if not smooth:
        return None
    coupling = np.eye(len(columns))
    where: dict[tuple[str, ...] | None, dict[str, int]] = {}
    for j, column in enumerate(columns):
        if column.kind is Kind.MODEL:
            where.setdefault(column.experiments, {})[column.target] = j
    for item in smooth:
        names = [item.plain(n) for n in item.names]
        root = np.linalg.cholesky(item.correlation + NUGGET * np.eye(len(names)))
        for own in _blocks(names, where):
            coupling[np.ix_(own, own)] = np.linalg.inv(root)
    return coupling


def _blocks(names: Sequence[str], where: Mapping[tuple[str, ...] | None, Mapping[str, int]]) -> list[list[int]]:
    """The columns of a function: once for all experiments, or for each."""
    found = [[of[n] for n in names] for of in where.values() if all(n in of for n in names)]
    if not found or any(n in of for of in where.values() for n in names if not all(m in of for m in names)):
        raise CalibrationError(
            f"SmoothPrior of {names[0]} ... {names[-1]}: all its parameters act on all experiments, or each of them "
            "is a PerExperiment"
        )
    return found
