"""How the draws of a posterior come about, where more of them can be made from what the posterior holds.

Draws of chains, ensembles and profiles, those given by the caller, and those for which noise with a shape, censored
samples or the spread of a population were drawn from a pool of weighted tries have no origin: for more of them the
model has to be run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError
from physics_twin.posterior.drawing.many_draws import Shared
from physics_twin.posterior.drawing.normal_at_mode import Declared, NormalAtMode


@dataclass(frozen=True)
class Priors:
    """Independent draws from the priors of the posterior's own parameters."""

    @property
    def words(self) -> str:
        """What draws come from."""
        return "the priors"


type Origin = NormalAtMode | Priors

NORMAL, PRIORS = "normal at the mode", "priors"
KIND = "kind"
IN_SI = ("shared.sd", "declared.mode", "declared.slope", "declared.low", "declared.high")
PER_GROUP = ("by_group", "slope_by_group")


def as_dataset(origin: Origin | None) -> xr.Dataset:
    """The origin for a file; empty without one."""
    if origin is None:
        return xr.Dataset()
    if isinstance(origin, Priors):
        return xr.Dataset(attrs={KIND: PRIORS})
    shared, declared, d = origin.shared, origin.declared, origin.low.size
    arrays: dict[str, Array] = {
        **{f"shared.{f.name}": np.asarray(getattr(shared, f.name)) for f in fields(Shared) if f.name not in PER_GROUP},
        "shared.by_group": np.array(shared.by_group).reshape(-1, d, d),
        "shared.slope_by_group": np.array(shared.slope_by_group).reshape(-1, d),
        **{f"declared.{f.name}": getattr(declared, f.name) for f in fields(Declared)},
        **{name: getattr(origin, name) for name in ("root", "m_root", "widest", "low", "high")},
    }
    found = {
        name: (
            [f"{name}.{axis}" for axis in range(x.ndim)],
            x.astype(np.int8) if x.dtype == bool else x,
            {"units": "SI" if name in IN_SI else "1"},
        )
        for name, x in arrays.items()
    }
    return xr.Dataset(found, attrs={KIND: NORMAL})


def from_dataset(data: xr.Dataset, n_columns: int) -> Origin | None:
    """The inverse of `as_dataset`, for a posterior of `n_columns` parameters.

    Raises FileFormatError and KeyError for anything else.
    """
    kind = data.attrs.get(KIND)
    if kind is None:
        return None
    if kind == PRIORS:
        return Priors()
    if kind != NORMAL:
        raise FileFormatError(f'its draws come from "{kind}", which this version of physics_twin does not know')
    arrays = {str(name): np.asarray(x.values) for name, x in data.data_vars.items()}
    d, k = arrays["low"].size, arrays["shared.sd"].size
    if d + k != n_columns:
        raise FileFormatError(f"its normal approximation has {d + k} columns, the draws have {n_columns}")
    for name, x in arrays.items():
        if x.shape != _shape(name, d, k):
            raise FileFormatError(f"{name} of its normal approximation has the shape {x.shape}")
    return NormalAtMode(
        shared=Shared(
            **{
                **_of("shared.", arrays),
                "by_group": tuple(arrays["shared.by_group"]),
                "slope_by_group": tuple(arrays["shared.slope_by_group"]),
            }
        ),
        declared=Declared(
            **{**_of("declared.", arrays), "in_logarithm": arrays["declared.in_logarithm"].astype(bool)},
        ),
        **{name: arrays[name] for name in ("root", "m_root", "widest", "low", "high")},
    )


def _of(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}


def _shape(name: str, d: int, k: int) -> tuple[int, ...]:
    """Of an array of d unknowns and k noise levels."""
    if name in ("root", "m_root", "shared.fixed_information"):
        return d, d
    if name in ("shared.sd", "shared.degrees"):
        return (k,)
    return {"shared.by_group": (k, d, d), "shared.slope_by_group": (k, d)}.get(name, (d,))
