"""Localization: each entry of a field learns from the sensors around it.

An ensemble of N members sees a correlation of about 1/sqrt(N) between places that have nothing to do with each other,
and it has N - 1 directions for a whole field. Here every entry has an analysis of its own, with the noise of a sensor
raised by its distance (the local ensemble transform filter: Hunt, Kostelich and Szunyogh 2007, section 2.3.3; weights
of Gaspari and Cohn 1999). Serial filters need fewer operations, but their result depends on the order of the sensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

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

type Weights = Callable[[slice], Array]
"""Entries -> (n_entries, p), between 0 and 1."""


@dataclass(frozen=True)
class Localized:
    """Entries of a field are moved by sensors that are near.

    radius: a length; the weight of a sensor is 0.21 at this distance and zero from twice of it on. places: output ->
    where its sensor is, in the frame of the model's mesh; a field model knows that of its point sensors. Parameters,
    and states without a place, are moved by all samples; samples without a place (a mean, an inlet) move everything.

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
        """Where the sensors of all outputs are, (n_outputs, dimension) m, NaN where that is not said.

        Raises ModelError where the model has no field or no sensor has a place, UnknownNameError for a place of what
        is no output.
        """
        model, entries = dynamics.model, dynamics.coordinates.places
        if entries is None:
            raise ModelError(f'"{model.name}" has no field to localize in; leave localization out')
        names = [signal.name for signal in model.outputs]
        said = {name: np.asarray(place.coordinates) for name, place in self.places.items()}
        known = {**(model.output_places if isinstance(model, Located) else {}), **said}
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
                'Localized(radius, places={"T1": pt.Place("block", "20 mm", "5 mm")})'
            )
        return found

    def weights(self, entries: Array, sensors: Array) -> Weights:
        """Of sensors (p, dimension) m on entries (n, dimension) m; 1 where either has no place."""
        radius = self._meters()

        def of(block: slice) -> Array:
            away = np.sqrt(sum((entries[block, k, None] - sensors[:, k]) ** 2 for k in range(entries.shape[1])))
            return gaspari_cohn(np.nan_to_num(away, nan=0.0) / radius)

        return of


def local_analysis(
    a: Array, s: Array, d: Array, weights: Weights, perturbations: Array | None = None
) -> tuple[Array, Array]:
    """Shift of the mean (n,) and new anomalies (N, n): for each column of A (N, n) an `analysis` of its own.

    weights: of the p observations on a block of columns; they multiply the inverse of their variance. What weighs
    nothing is left out, which is what makes it quick: a column costs the cube of the sensors that it hears.
    """
    n = a.shape[1]
    shift, moved = np.zeros(n), a.copy()
    for first in range(0, n, _BLOCK):
        block = slice(first, min(first + _BLOCK, n))
        w = weights(block)
        heard = np.count_nonzero(w, axis=1)
        nearest = np.argsort(-w, axis=1, kind="stable")
        order = np.argsort(heard, kind="stable")
        order = order[np.searchsorted(heard[order], 1) :]
        for k in range(0, order.size, _BATCH):
            rows = order[k : k + _BATCH]
            p = int(heard[rows[-1]])  # the largest number of the batch; the others are filled up with weights of zero
            which = nearest[rows, :p]
            root = np.sqrt(np.take_along_axis(w[rows], which, axis=1))
            own = a[:, first + rows].T[:, :, None]
            s_local = np.ascontiguousarray(s.T[which].swapaxes(1, 2)) * root[:, None, :]
            # whitened by the raised variance they have variance one again, whatever the weight
            noise = None if perturbations is None else perturbations.T[which].swapaxes(1, 2)
            up, spread = analysis(own, s_local, d[which] * root, noise)
            shift[first + rows] = up[:, 0]
            moved[:, first + rows] = spread[:, :, 0].T
    return shift, moved
