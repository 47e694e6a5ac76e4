"""`Distribution`: a field parameter in a declared basis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from physics_twin.errors import ModelError, check_name
from physics_twin.parameters import Parameter
from physics_twin.units import Unit, to_si_array


@dataclass(frozen=True, init=False)
class Distribution:
    """A field parameter: a quantity that varies along a coordinate, by its values at knots and straight lines between.

    Distribution("flux", "10 kW/m^2", along="x", knots=([0, 20, 40], "cm")) is the parameters flux_1, flux_2, flux_3;
    the end values hold outside. It stands wherever a quantity of a field model may stand (a conductivity, a source, a
    flux, a film coefficient), but not where values are prescribed. With many knots, calibrate with `QuasiNewton` and a
    `SmoothPrior`.
    """

    name: str
    along: str
    knots: tuple[float, ...]
    parameters: tuple[Parameter, ...]

    def __init__(self, name: str, value: Any, *, along: str, knots: Any, bounds: Any = None, prior: Any = None) -> None:
        check_name("distribution", name)
        numbers = np.asarray(to_si_array(knots, Unit("m"), name=f"knots of {name}"), dtype=float)
        if numbers.ndim != 1 or numbers.size < 2 or not (np.diff(numbers) > 0.0).all():
            raise ModelError(f"knots of {name}: two or more lengths that ascend are needed")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "along", along)
        object.__setattr__(self, "knots", tuple(numbers.tolist()))
        parameters = tuple(
            Parameter(f"{name}_{k + 1}", value, bounds=bounds, prior=prior, description=f"{name} at {along} = {x:g} m")
            for k, x in enumerate(numbers)
        )
        object.__setattr__(self, "parameters", parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parameters, along the coordinate."""
        return tuple(p.name for p in self.parameters)

    def basis(self, x: Any) -> Any:
        """Hat functions at places x (n,) m: (n, n_knots), sparse."""
        knots = np.array(self.knots)
        inside = np.clip(np.asarray(x, dtype=float), knots[0], knots[-1])
        left = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, knots.size - 2)
        share = (inside - knots[left]) / (knots[left + 1] - knots[left])
        rows = np.arange(inside.size)
        return sparse.csr_matrix(
            (np.concatenate([1.0 - share, share]), (np.tile(rows, 2), np.concatenate([left, left + 1]))),
            shape=(inside.size, knots.size),
        )
