"""Localization: which data may move which parameter.

An ensemble of N members sees a correlation of about 1/sqrt(N) between things that have nothing to do with each other,
and N - 1 directions in all. Both go wrong where unknowns are many: distant parameters are moved by accident, and all of
them lose spread with every sample. A localized update multiplies each element of the gain by a weight between 0 and 1.

ES-MDA is valid with it: Emerick and Reynolds (2013, Ensemble smoother with multiple data assimilation, Computers &
Geosciences 55) localize theirs, after Emerick and Reynolds (2011, Combining sensitivities and prior information for
covariance localization in the ensemble Kalman filter for petroleum reservoir applications, Computational Geosciences
15), and Chen and Oliver (2017, Computational Geosciences 21) show that localization of the gain keeps the smoother's
properties while it frees it from the span of the initial ensemble.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, CalibrationError, unknown_name
from physics_twin.estimation.ensemble_smoother.es_mda import Taper
from physics_twin.estimation.problem import Problem
from physics_twin.tapers import gaspari_cohn
from physics_twin.units import QuantityLike, Unit, to_si

METER, SECOND = Unit("m"), Unit("s")
CORRELATED = 3.0
"""Sampling errors by which a correlation must differ from zero to be taken for one."""


class Localization(Protocol):
    """Weights of a gain, for a problem."""

    def taper(self, problem: Problem, names: Sequence[str]) -> Taper:
        """The weights, for the variables of an ensemble with these names."""
        ...


def _length(given: QuantityLike, unit: Unit, what: str) -> float:
    length = to_si(given, unit, name=f"{what}: length")
    if not 0.0 < length < np.inf:
        raise BoundsError(f"{what}: length = {given} is not above zero")
    return length


def _placed(declared: Mapping[str, Array], names: Sequence[str], what: str) -> Array:
    """Where each variable is (n, dimension), NaN where that is not said; raises where a name is nobody's."""
    dimension = next(iter(declared.values())).size
    found = np.full((len(names), dimension), np.nan)
    used: set[str] = set()
    for j, name in enumerate(names):
        key = name if name in declared else name.partition("@")[0]
        if key in declared:
            found[j] = declared[key]
            used.add(key)
    for name in declared:
        if name not in used:
            error = unknown_name("parameter", name, names)
            raise type(error)(f"{what}: {error}")
    return found


@dataclass(frozen=True)
class DistanceLocalization:
    """Parameters are moved by the data of sensors that are near: weights of Gaspari and Cohn.

    length: the weight is 0.21 at this distance and zero from twice of it on. coordinates: parameter -> its place, one
    to three lengths as in the `Place` of the channels. A parameter without coordinates is moved by all data, and data
    of a channel without a place move all parameters. array: the array of sensors that the coordinates are of, where
    channels have places in several.

    Raises CalibrationError where no channel has a place, or one of another dimension, UnknownNameError for coordinates
    of a parameter that is not unknown.

    >>> DistanceLocalization("0.3 m", {"q_1": ("0 m",), "q_2": ("10 cm",)}).length
    '0.3 m'
    """

    length: QuantityLike
    coordinates: Mapping[str, Sequence[QuantityLike]]
    array: str | None = None

    def __post_init__(self) -> None:
        """Read lengths, so that a mistake shows where it is made."""
        _length(self.length, METER, "DistanceLocalization")
        if len({point.size for point in self._points().values()}) != 1:
            raise CalibrationError("DistanceLocalization: give all parameters coordinates of one dimension")

    def _points(self) -> dict[str, Array]:
        return {
            name: np.array([to_si(x, METER, name=f"coordinates of {name}") for x in place])
            for name, place in self.coordinates.items()
        }

    def taper(self, problem: Problem, names: Sequence[str]) -> Taper:
        """The weights, for the variables of an ensemble with these names."""
        places = _placed(self._points(), names, "DistanceLocalization")
        where = np.full((problem.n_data, places.shape[1]), np.nan)
        of = {(e.name, c.output): c.place for e in problem.experiments for c in e.channels}
        for c in problem.channels:
            place = of[c.experiment, c.output]
            if place is None or (self.array is not None and place.array != self.array):
                continue
            if len(place.coordinates) != places.shape[1]:
                raise CalibrationError(
                    f'DistanceLocalization: channel "{c.output}" has a place of {len(place.coordinates)} coordinates, '
                    f"the parameters have {places.shape[1]}"
                )
            where[c.rows] = place.coordinates
        if np.isnan(where).all():
            raise CalibrationError(
                "DistanceLocalization: no channel says where its sensor is; give "
                'place=pt.Place("rod", "10 cm") in the channels'
            )
        return _ByDistance(places, where, _length(self.length, METER, "DistanceLocalization"))


@dataclass(frozen=True)
class TimeLocalization:
    """Parameters that act at a moment are moved by samples of about that time: weights of Gaspari and Cohn.

    For the values of a function over time, such as a heat flux. length: the weight is 0.21 at this distance in time and
    zero from twice of it on: longer than the sensors take to answer. times: parameter -> the moment at which it acts,
    from the start of the recipe. A parameter without a time is moved by all data.

    Raises UnknownNameError for the time of a parameter that is not unknown.
    """

    length: QuantityLike
    times: Mapping[str, QuantityLike]

    def __post_init__(self) -> None:
        """Read durations, so that a mistake shows where it is made."""
        _length(self.length, SECOND, "TimeLocalization")
        if not self._moments():
            raise CalibrationError("TimeLocalization: give the times of the parameters")

    def _moments(self) -> dict[str, Array]:
        return {n: np.array([to_si(t, SECOND, name=f"time of {n}")]) for n, t in self.times.items()}

    def taper(self, problem: Problem, names: Sequence[str]) -> Taper:
        """The weights, for the variables of an ensemble with these names."""
        moments = _placed(self._moments(), names, "TimeLocalization")
        times = np.concatenate([c.times for c in problem.channels])[:, None]
        return _ByDistance(moments, times, _length(self.length, SECOND, "TimeLocalization"))


@dataclass(frozen=True)
class _ByDistance:
    places: Array
    """(n_parameters, dimension), NaN for anywhere."""
    where: Array
    """(n_data, dimension)"""
    length: float

    def __call__(self, block: slice, parameters: Array, predicted: Array) -> Array:
        away = self.places[block, None, :] - self.where[None, :, :]
        weight = gaspari_cohn(np.sqrt(np.sum(away**2, axis=2)) / self.length)
        return np.where(np.isnan(weight), 1.0, weight)


@dataclass(frozen=True)
class CorrelationLocalization:
    """Parameters are moved by the data with which the ensemble correlates them beyond sampling error.

    For unknowns that have no place. The correlation of N members of two independent variables has a standard deviation
    of 1/sqrt(N - 1); elements of the gain whose correlation stays below `threshold` are zero (Luo, Bhakta and Naevdal
    2018, Correlation-based adaptive localization with applications to ensemble-based 4D-seismic history matching, SPE
    Journal 23). threshold: of the absolute correlation; None for three sampling errors, as there and in Luo and Bhakta
    (2020, Automatic and adaptive localization for ensemble-based history matching, J. Petroleum Science and
    Engineering 184, 106559).

    Raises BoundsError for a threshold outside (0, 1).
    """

    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check the threshold."""
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise BoundsError(f"CorrelationLocalization: threshold = {self.threshold:g} is outside (0, 1)")

    def taper(self, problem: Problem, names: Sequence[str]) -> Taper:
        """The weights, for the variables of an ensemble with these names."""
        return self.weights

    def weights(self, block: slice, parameters: Array, predicted: Array) -> Array:
        """Weights (k, n_data), 0 or 1, from anomalies of parameters (N, k) and of predicted data (N, n_data)."""
        n_members = len(parameters)
        threshold = CORRELATED / np.sqrt(n_members - 1.0) if self.threshold is None else self.threshold
        unit_x, unit_y = (a / np.maximum(np.sqrt((a**2).sum(axis=0)), 1e-300) for a in (parameters, predicted))
        return np.asarray(np.abs(unit_x.T @ unit_y) >= threshold, dtype=float)
