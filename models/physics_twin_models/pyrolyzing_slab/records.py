"""Gasification records of the Controlled Atmosphere Pyrolysis Apparatus II (University of Maryland) as experiments."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import physics_twin as pt

_N_SAMPLES = 20
"""Of each channel. What the model misses lasts for a tenth of a run; hundreds of samples would outvote every prior."""

_GONE = 0.97
"""Of all mass that is lost: after that, the front is soot on foil, whose absorptivity is not that of PMMA."""

_GAS = {25: (330.0, 300.0), 60: (365.0, 303.0)}
"""kW/m^2 -> temperatures of the gas at front and back, K, as the source states them."""


def gasification(mass: "str | os.PathLike[str]", temperature: "str | os.PathLike[str]") -> pt.Experiment:
    """A run: loss rate and temperature at the back, mean of two tests, in twenty bins.

    mass, temperature: files such as UMD_CAPA_25kW_Mass.csv and UMD_CAPA_25kW_Temp.csv; unused columns are zero and
    are not read. The flux is that of the file's name. Noise is unknown; that of the loss rate is one for each flux,
    since what the model misses grows with it.
    """
    found = re.search(r"_(\d+)kW_", Path(mass).name)
    if found is None or int(found[1]) not in _GAS:
        raise pt.DataError(f"{Path(mass).name}: the name says no flux, _25kW_ or _60kW_")
    flux = int(found[1])
    lost, hot = _columns(mass, 1), _columns(temperature, 2)
    steps = np.diff(lost[:, 0], prepend=0.0)
    share = np.cumsum(lost[:, 1] * steps) / np.sum(lost[:, 1] * steps)
    end = float(lost[np.argmax(share >= _GONE), 0])
    loss, back = _binned(lost, end), _binned(hot, end)
    front_gas, back_gas = _GAS[flux]
    return pt.Experiment.from_arrays(
        f"capa_{flux}",
        {"mass_loss_rate": loss[:, 0], "back_temperature": back[:, 0]},
        {"mass_loss_rate": loss[:, 1], "back_temperature": back[:, 1]},
        channels=[
            pt.Channel(
                "mass_loss_rate",
                unit="kg/m^2/s",
                noise=pt.EstimatedNoise(f"{2e-5 * flux} kg/m^2/s", shared=f"mass_loss_rate_{flux}"),
            ),
            pt.Channel("back_temperature", unit="K", noise=pt.EstimatedNoise("5 K")),
        ],
        recipe=pt.Recipe.constant(
            flux=(float(flux), "kW/m^2"), gas_temperature=(front_gas, "K"), back_gas_temperature=(back_gas, "K")
        ),
        initial={"temperature": (float(hot[0, 1]), "K")},
        context={"flux_kW_per_m2": flux, "apparatus": "CAPA II", "atmosphere": "nitrogen"},
    )


def _columns(path: "str | os.PathLike[str]", column: int) -> NDArray[np.float64]:
    """Time and one column, (n, 2)."""
    return np.asarray(pd.read_csv(path, skiprows=2, header=None).to_numpy(dtype=float)[:, [0, column]])


def _binned(rows: NDArray[np.float64], end: float) -> NDArray[np.float64]:
    """Means over _N_SAMPLES equal bins of time until `end`, (_N_SAMPLES, 2)."""
    place = np.floor(rows[:, 0] / end * _N_SAMPLES).astype(int)
    return np.array([rows[place == k].mean(axis=0) for k in range(_N_SAMPLES)])
