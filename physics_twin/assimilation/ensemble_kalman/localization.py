"""Localization: each entry of a field learns from the sensors around it.

An ensemble of N members sees a correlation of about 1/sqrt(N) between places that have nothing to do with each other,
and it has N - 1 directions for a whole field. Here every entry has an analysis of its own, with the noise of a sensor
raised by its distance (the local ensemble transform filter: Hunt, Kostelich and Szunyogh 2007, section 2.3.3; weights
of Gaspari and Cohn 1999). Serial filters need fewer operations, but their result depends on the order of the sensors.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.ensemble_kalman.transform import analysis
from physics_twin.errors import BoundsError, ModelError, unknown_name
from physics_twin.measurements.places import Place
from physics_twin.model import Located
from physics_twin.tapers import gaspari_cohn
from physics_twin.units import QuantityLike, Unit, to_si

_BLOCK = 2048
"""Entries whose weights are formed together: a few MB for hundreds of sensors."""
_BATCH = 128
"""Analyses that are done in one call: arrays stay in the cache."""

_SPACING = 1.0 / 3.0
"""Of the lattice, in radii: between its nodes a weight of Gaspari and Cohn is off a straight line by 0.05 at most."""
_WORTH = 3
"""Entries per node of the lattice from which it pays: a node costs about so much more than an entry."""

type Weights = Callable[[Array], Array]
"""Places (n, dimension) -> (n, p), between 0 and 1."""


@dataclass(frozen=True)
class Localized:
    """Entries of a field are moved by sensors that are near.

    radius: a length; the weight of a sensor is 0.21 at this distance and zero from twice of it on. places: output ->
    where its sensor is, in the frame of the model's mesh; needed only where neither the model knows it, as a field
    model that of its point sensors, nor the channel says it (`Channel(place=...)`). Parameters, and states without a
    place, are moved by all samples; samples without a place (a mean, an inlet) move everything.

    Raises UnitError, BoundsError.

    >>> Localized("50 mm", {"T3": Place("block", "20 mm", "5 mm")}).radius
    '50 mm'
    """

    radius: QuantityLike
    places: Mapping[str, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the radius, so that a mistake shows where it is made."""
        self._meters()

    def _meters(self) -> float:
        radius = to_si(self.radius, Unit("m"), name="radius of localization")
        if not 0.0 < radius < np.inf:
            raise BoundsError(f"radius of localization = {self.radius} is not above zero")
        return radius

    def sensors(self, dynamics: Dynamics) -> Array:
        """Where the sensors of all outputs, and of readings with a bias, are: (n_outputs, dimension) m, NaN where that
        is not said.

        Raises ModelError where the model has no field or no sensor has a place, UnknownNameError for a place of what
        is no output.
        """
        model, entries = dynamics.model, dynamics.coordinates.places
        if entries is None:
            raise ModelError(f'"{model.name}" has no field to localize in; leave localization out')
        names = [signal.name for signal in model.outputs]
        of_model = model.output_places if isinstance(model, Located) else {}
        known = {**_coordinates(dynamics.places), **of_model, **_coordinates(self.places)}
        found = np.full((len(names), entries.shape[1]), np.nan)
        for name, place in known.items():
            if name not in names:
                raise unknown_name("output", name, names)
            if place.size != entries.shape[1]:
                raise ModelError(
                    f'localization: the place of "{name}" has {place.size} coordinates, the mesh of "{model.name}" has '
                    f"{entries.shape[1]}"
                )
            found[names.index(name)] = place
        if np.isnan(found).all():
            raise ModelError(
                f'localization: no output of "{model.name}" says where its sensor is; give '
                'Channel(..., place=pt.Place("block", "20 mm", "5 mm")), or Localized(radius, places={"T1": ...})'
            )
        return np.vstack([found, found[[row for row, _ in dynamics.coordinates.biased]]])

    def analysis(
        self, a: Array, s: Array, d: Array, entries: Array, sensors: Array, perturbations: Array | None = None
    ) -> tuple[Array, Array]:
        """`local_analysis` of entries (n, dimension) m and sensors (p, dimension) m, NaN where one has no place.

        Where entries are much denser than the radius the analyses are those of a lattice, `lattice_analysis`.
        """
        radius = self._meters()

        def weights(places: Array) -> Array:
            away = np.sqrt(sum((places[:, k, None] - sensors[:, k]) ** 2 for k in range(places.shape[1])))
            return gaspari_cohn(np.nan_to_num(away, nan=0.0) / radius)

        spacing = _SPACING * radius
        if np.prod(np.ptp(entries, axis=0) / spacing + 2.0) < 2.0**62:  # nodes of a finer one have no numbers
            lattice = Lattice.over(entries, spacing)
            if len(lattice.nodes) * _WORTH < len(entries):
                return lattice_analysis(a, s, d, lattice, weights, perturbations)
        return local_analysis(a, s, d, entries, weights, perturbations)


def _coordinates(places: Mapping[str, Place]) -> dict[str, Array]:
    return {name: np.asarray(place.coordinates) for name, place in places.items()}


def local_analysis(
    a: Array, s: Array, d: Array, places: Array, weights: Weights, perturbations: Array | None = None
) -> tuple[Array, Array]:
    """Shift of the mean (n,) and new anomalies (N, n): for each column of A (N, n) an `analysis` of its own.

    weights: of the p observations at the places (n, dimension) of columns; they multiply the inverse of the variance.
    What weighs nothing is left out, which is what makes it quick: a column costs the cube of the sensors that it hears.
    """
    shift, moved = np.zeros(a.shape[1]), a.copy()
    for columns, near in _batches(places, weights):
        up, spread = analysis(a[:, columns].T[:, :, None], *near.of(s, d, perturbations))
        shift[columns] = up[:, 0]
        moved[:, columns] = spread[:, :, 0].T
    return shift, moved


@dataclass(frozen=True, eq=False)
class Lattice:
    """Nodes of a regular grid, and how entries lie between them.

    nodes: (n_nodes, dimension) m. entries: for each node the entries around it. shares: their shares in it, which sum
    to one over the nodes of an entry (linear in each direction).
    """

    nodes: Array
    entries: tuple[NDArray[np.int64], ...]
    shares: tuple[Array, ...]

    @classmethod
    def over(cls, places: Array, spacing: float) -> "Lattice":
        """The nodes that places (n, dimension) need; spacing in m."""
        n, dimension = places.shape
        q = (places - places.min(axis=0)) / spacing
        cell = np.floor(q).astype(np.int64)
        inside = q - cell
        corners = np.array(list(itertools.product((0, 1), repeat=dimension)))
        shares = np.prod(np.where(corners[:, None] == 1, inside, 1.0 - inside), axis=2)  # (n_corners, n)
        index = (cell + corners[:, None]).reshape(-1, dimension)
        used = np.flatnonzero(shares)
        shape = tuple(index.max(axis=0) + 1)
        numbers, which = np.unique(np.ravel_multi_index(tuple(index[used].T), shape), return_inverse=True)
        nodes = np.column_stack(np.unravel_index(numbers, shape))
        order = np.argsort(which, kind="stable")
        cuts = np.searchsorted(which[order], np.arange(1, len(nodes)))
        entry, share = (used % n)[order], shares.ravel()[used][order]
        return cls(places.min(axis=0) + spacing * nodes, tuple(np.split(entry, cuts)), tuple(np.split(share, cuts)))


def lattice_analysis(
    a: Array, s: Array, d: Array, lattice: Lattice, weights: Weights, perturbations: Array | None = None
) -> tuple[Array, Array]:
    """As `local_analysis`, with the weights of members formed at the nodes of a lattice and interpolated between them.

    Yang, Kalnay, Hunt and Bowler (2009, Weight interpolation for efficient data assimilation with the local ensemble
    transform Kalman filter, Q. J. R. Meteorol. Soc. 135): these weights vary over the radius, whatever the field does.
    """
    own = np.ascontiguousarray(a.T)  # a row per entry: what a node needs is then read and written in one piece
    shift, moved = np.zeros(len(own)), own.copy()
    unit = np.eye(len(a))
    for rows, near in _batches(lattice.nodes, weights):
        # the analysis is linear in A: that of the unit matrix is the matrix which it multiplies A by
        w, t = analysis(np.broadcast_to(unit, (rows.size, *unit.shape)), *near.of(s, d, perturbations))
        for k, row in enumerate(rows):
            e, share = lattice.entries[row], lattice.shares[row]
            around = own[e]
            shift[e] += share * (around @ w[k])
            moved[e] += share[:, None] * (around @ (t[k] - unit).T)
    return shift, np.ascontiguousarray(moved.T)


@dataclass(frozen=True, eq=False)
class _Near:
    """The observations that each place of a batch hears, (n_places, p_near), and the root of their weights."""

    which: NDArray[np.int64]
    root: Array

    def of(self, s: Array, d: Array, perturbations: Array | None) -> tuple[Array, Array, Array | None]:
        """S, d and D of each place."""
        local = np.ascontiguousarray(s.T[self.which].swapaxes(1, 2)) * self.root[:, None, :]
        # whitened by the raised variance, perturbations have variance one again, whatever the weight
        noise = None if perturbations is None else perturbations.T[self.which].swapaxes(1, 2)
        return local, d[self.which] * self.root, noise


def _batches(places: Array, weights: Weights) -> Iterator[tuple[NDArray[np.int64], _Near]]:
    """Places that hear anything, in batches of those that hear about as many observations."""
    for first in range(0, len(places), _BLOCK):
        w = weights(places[first : first + _BLOCK])
        heard = np.count_nonzero(w, axis=1)
        nearest = np.argsort(-w, axis=1, kind="stable")
        order = np.argsort(heard, kind="stable")
        order = order[np.searchsorted(heard[order], 1) :]
        for k in range(0, order.size, _BATCH):
            rows = order[k : k + _BATCH]
            p = int(heard[rows[-1]])  # the largest number of the batch; the others are filled up with weights of zero
            which = nearest[rows, :p]
            yield first + rows, _Near(which, np.sqrt(np.take_along_axis(w[rows], which, axis=1)))
