"""Records of the MaCFP round robin as experiments: thermogravimetry and calorimetry of one batch of PMMA."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import physics_twin as pt
from physics_twin.units import QuantityLike
from physics_twin_models.pmma_decomposition.model import pmma_decomposition

STEP = 10.0
"""K between the samples that are used. What the model misses keeps its sign over some 50 K: rows 0.5 or 1 K apart
tell nothing new, but would outvote the priors (of the thermometers above all)."""

BALANCE_NOISE = pt.EstimatedNoise(0.003, shared="balance")

_ROW = 2.0
"""K between rows that are read: a programmed temperature is straight in between."""

MASS, HEAT = (380.0, 760.0), (440.0, 760.0)
"""K, where something is lost; below, dry and wet powder differ, and the calorimeter sees the glass transition."""


def thermogravimetry(
    path: "str | os.PathLike[str]",
    *,
    laboratory: str | None = None,
    error: str | None = None,
    noise: pt.EstimatedNoise | pt.Noise = BALANCE_NOISE,
) -> pt.Experiment:
    """A record of time, temperature and mass, the mass as share of the first one.

    laboratory: whose thermometer it is, by default the first word of the file's name. error: the open setting of its
    error, by default `thermometer_error_<laboratory>`; one name for all records where the errors of laboratories are a
    population, `pt.Population(error, spread="2.5 K", by="laboratory")`. noise: of the balance, by default one unknown
    level for all.
    """
    frame = _read(path, "mass")
    frame["mass"] /= frame["mass"].iloc[0]
    channel = pt.Channel("balance_reading", column="mass", unit="1", noise=noise)
    return _experiment(path, frame, channel, MASS, laboratory, error, {})


def calorimetry(path: "str | os.PathLike[str]", *, laboratory: str | None = None) -> pt.Experiment:
    """A record of time, temperature and heat flow per initial mass; the heating rate is that of the thermometer."""
    frame = _read(path, "heat_flow")
    time, reading = frame["time"].to_numpy(), frame["temperature"].to_numpy()
    # Five rows: 10 K, over which a programmed rate is constant.
    width = 5
    rate = np.gradient(reading, time)
    frame["heating_rate"] = np.convolve(np.pad(rate, width // 2, "edge"), np.full(width, 1.0 / width), "valid")
    channel = pt.Channel("heat_flow", unit="W/g", noise=pt.EstimatedNoise("0.02 W/g", shared="calorimeter"))
    inputs = {"heating_rate": pt.Column("heating_rate", "K/s")}
    return _experiment(path, frame, channel, HEAT, laboratory, None, inputs)


def laboratories(experiments: Iterable[pt.Experiment], sd: QuantityLike = "2.5 K") -> list[pt.Parameter]:
    """The thermometer errors of these laboratories as unknowns: zero, give or take `sd`.

    Without a thermometer that is known to be right, the temperature of the material is known no better than `sd` over
    the root of the number of laboratories. Runs of one laboratory share its error: more of them do not help.
    """
    names = {name for e in experiments for name in e.recipe.settings if name.startswith("thermometer_error_")}
    return [
        pt.Parameter(
            name,
            "0 K",
            bounds=("-15 K", "15 K"),
            prior=pt.Normal("0 K", sd),
            difference=True,
            description="thermometer minus sample, of this laboratory",
        )
        for name in sorted(names)
    ]


def populations() -> list[pt.Population]:
    """What differs from laboratory to laboratory (the thermometer) and from run to run (placement, tare), as unknowns.

    For records read with `error="thermometer_error"`. Nobody knows which thermometer is right: those of all
    laboratories are taken to be right on average within 1 K, and placement and tare of the runs to average to nothing
    beside that. The data do not see these means: kinetics and residue move with them.
    """
    thermometer = pt.Parameter(
        "thermometer_error",
        "0 K",
        bounds=("-15 K", "15 K"),
        prior=pt.Normal("0 K", "1 K"),
        difference=True,
        description="thermometer minus sample",
    )
    own = pmma_decomposition().parameters
    placement = own["placement_error"].replace(prior=pt.Normal("0 K", "0.1 K"))
    tare = own["tare_error"].replace(prior=pt.Normal(0.0, 0.003))
    return [
        pt.Population(thermometer, spread="2.5 K", by="laboratory"),
        pt.Population(placement, spread="1 K"),
        pt.Population(tare, spread=0.01),
    ]


def _read(path: "str | os.PathLike[str]", measured: str) -> pd.DataFrame:
    """Rows of time, temperature and what was measured, one in every _ROW."""
    frame = pd.read_csv(path, skiprows=2, names=["time", "temperature", measured])
    frame["time"] -= frame["time"].iloc[0]
    steps = np.round(frame["temperature"].to_numpy() / _ROW)
    first = np.concatenate([[True], np.diff(np.maximum.accumulate(steps)) > 0.0])
    return frame[first].reset_index(drop=True)


def _experiment(
    path: "str | os.PathLike[str]",
    frame: pd.DataFrame,
    channel: pt.Channel,
    used: tuple[float, float],
    laboratory: str | None,
    error: str | None,
    inputs: dict[str, pt.Column],
) -> pt.Experiment:
    stem = Path(path).stem
    who = laboratory or stem.split("_")[0]
    name = f"thermometer_error_{who}" if error is None else error
    setting = pt.Setting(name, "K", bounds=(-15.0, 15.0), value=0.0, description=f"of the furnace at {who}")
    whole = pt.Experiment.from_frame(
        frame,
        name=stem,
        time="time",
        channels=[channel],
        inputs={"temperature": pt.Column("temperature", "K"), "thermometer_error": setting, **inputs},
        context={"laboratory": who},
    )
    selection = f"one sample in {STEP:g} K from {used[0]:g} to {used[1]:g} K"
    return replace(
        whole,
        series={channel.output: whole[channel.output].keep(_used(frame["temperature"].to_numpy(), used))},
        provenance=replace(whole.provenance, source=Path(path).name, selections=(selection,)),
    )


def _used(temperature: NDArray[np.float64], used: tuple[float, float]) -> NDArray[np.bool_]:
    """The first rows at or above low, low + STEP, ..., high."""
    levels = np.arange(used[0], used[1] + 0.5 * STEP, STEP)
    rows = np.searchsorted(np.maximum.accumulate(temperature), levels)
    mask = np.zeros(temperature.size, dtype=bool)
    mask[rows[rows < temperature.size]] = True
    return mask
