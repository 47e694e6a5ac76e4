"""Experiments as NetCDF files: written as `cf_dataset` lays them out, and read back equal or not at all."""

import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.cf_dataset import FORMAT, to_dataset
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.provenance import Exclusion, Provenance
from physics_twin.measurements.recorded_inputs import RecordedInput
from physics_twin.measurements.records import channel_from_record, input_sensors_from_record, recipe_from_record
from physics_twin.measurements.series import Series
from physics_twin.recipes import Rule
from physics_twin.units import unit as as_unit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_dataset", "load", "save"]

FORMAT_1 = "physics_twin experiment 1"
"""Before there were limits of detection, phases and sensors."""


@dataclass(frozen=True)
class _Stored:
    """What a file holds, as far as an experiment is made of it.

    dims: name of a variable -> those of its dimensions, of format 1 only, where they say which clock is meant.
    """

    format: str
    sha256: str
    arrays: Mapping[str, NDArray[Any]]
    dims: Mapping[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]


def save(experiment: Experiment, path: str | os.PathLike[str]) -> None:
    """Write an experiment as NetCDF, whole or not at all."""
    dataset = to_dataset(experiment)
    # CF has no fill value on coordinates; elsewhere it is NaN, for what was not measured.
    plain = {str(name): {"_FillValue": None} for name in dataset.coords}
    with atomic_write(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=plain)


def load(path: str | os.PathLike[str]) -> Experiment:
    """Read what `save` wrote. Raises FileNotFoundError, or FileFormatError for any other file."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        stored = _read(path)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FileFormatError(f"{path.name} is not a NetCDF-4 file, or is damaged: {error}") from error
    return _experiment_of(stored, path.name)


def _read(path: Path) -> _Stored:
    """Read a file. NetCDF-4 is HDF5, and read as such it takes a tenth of the time: a plant has hundreds of batches."""
    import h5py

    with h5py.File(path, "r") as file:
        marks = {key: file.attrs.get(key, "") for key in ("format", "sha256")}
        marks = {key: mark.decode() if isinstance(mark, bytes) else str(mark) for key, mark in marks.items()}
        variables = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        arrays = {name: np.asarray(item[()]) for name, item in variables.items()}
        dims = {}
        if marks["format"] == FORMAT_1:
            scaled = {name: item for name, item in variables.items() if item.ndim and not item.is_scale}
            dims = {n: tuple(d[0].name.removeprefix("/") for d in item.dims) for n, item in scaled.items()}
    return _Stored(marks["format"], marks["sha256"], arrays, dims)


def from_dataset(dataset: "xr.Dataset", source: str) -> Experiment:
    """Return the experiment of `to_dataset`; `source` names it in messages.

    Raises FileFormatError when something is missing, or when the content does not have the hash that it states.
    """
    form, sha256 = (str(dataset.attrs.get(key, "")) for key in ("format", "sha256"))
    arrays = {str(name): variable.to_numpy() for name, variable in dataset.variables.items()}
    dims = {str(name): tuple(map(str, variable.dims)) for name, variable in dataset.variables.items()}
    return _experiment_of(_Stored(form, sha256, arrays, dims), source)


def _experiment_of(stored: _Stored, source: str) -> Experiment:
    if stored.format not in (FORMAT, FORMAT_1):
        raise FileFormatError(
            f'{source} is no saved experiment: its format is "{stored.format or "not stated"}", and "{FORMAT}" is '
            "expected"
        )
    try:
        text = stored["record"].item()
        experiment = _experiment(stored, json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, PhysicsTwinError) as error:
        raise FileFormatError(f"{source} is damaged or was written by hand: {error!r}") from error
    if experiment.sha256 != stored.sha256:
        raise FileFormatError(
            f"{source} was changed after it was saved: its content has the hash {experiment.sha256}, and it states "
            f"{stored.sha256}"
        )
    return experiment


def _experiment(stored: _Stored, record: Mapping[str, Any]) -> Experiment:
    series: dict[str, Series] = {}
    entries = _entries_1(stored, record) if stored.format == FORMAT_1 else None
    for k, one in enumerate(record["series"]):
        channel = channel_from_record(one["channel"])
        names = one["variables"] if entries is None else entries[k]
        place = names.get("place")
        found: dict[str, Any] = {}
        for key in ("values", "flags", "left_out", "censored", "noise_scale", "reported", "time_sd"):
            if key in names:
                column = stored[str(names[key])]
                found[key] = column if place is None else column[int(place)]
        if "bounds" in names:
            found["begins"], found["ends"] = stored[str(names["bounds"])].T
        reasons, notes = tuple(map(str, one["reasons"])), tuple(map(str, one["notes"]))
        times = stored[str(names["time"])]
        series[channel.output] = Series(channel=channel, times=times, reasons=reasons, notes=notes, **found)
    tables: list[tuple[Any, Any]] = []
    while f"recipe_table_{len(tables)}" in stored.arrays:
        k = len(tables)
        tables.append((stored[f"recipe_time_{k}"], stored[f"recipe_table_{k}"]))
    origin = record["provenance"]
    return Experiment(
        name=str(record["name"]),
        series=series,
        recipe=recipe_from_record(record["recipe"], tables),
        provenance=Provenance(
            str(origin["source"]),
            str(origin["sha256"]),
            {str(k): str(v) for k, v in origin["options"].items()},
            tuple(
                Exclusion(
                    float(e["span"][0]),
                    float(e["span"][1]),
                    str(e["reason"]),
                    str(e["by"]) or "not stated",
                    tuple(map(str, e["channels"])),
                )
                for e in origin["exclusions"]
            ),
            tuple(map(str, origin["selections"])),
        ),
        context=dict(record["context"]),
        inputs=tuple(
            RecordedInput(
                str(one["name"]),
                str(one["column"]),
                as_unit(str(one["unit"])),
                Rule(one["rule"]),
                {flag: int(one["counts"][str(int(flag))]) for flag in Flag},
                tuple(map(str, one["notes"])),
                input_sensors_from_record(one.get("sensors", ())),
                int(one["used"]) if "used" in one else None,
            )
            for one in record["inputs"]
        ),
        notes=tuple(map(str, record["notes"])),
        t0_utc=None if record["t0_utc"] is None else dt.datetime.fromisoformat(record["t0_utc"]),
        phases=_phases(stored, [str(name) for name in record.get("phases", [])]),
    )


def _phases(stored: _Stored, names: Sequence[str]) -> tuple[PhaseWindow, ...]:
    if not names:
        return ()
    starts, ends = (stored[f"phase_{key}"].tolist() for key in ("start", "end"))
    return tuple(PhaseWindow(n, float(a), float(b)) for n, a, b in zip(names, starts, ends, strict=True))


def _entries_1(stored: _Stored, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the variables of each channel are called in a file of format 1: by rule, and not in its record."""
    seen: dict[str, int] = {}
    found: list[dict[str, Any]] = []
    for one in record["series"]:
        place = one["channel"].get("place")
        array = "" if place is None else str(place["array"])
        name = array if array and array in stored.arrays else str(one["channel"]["output"])
        names: dict[str, Any] = {"values": name, "flags": f"{name}.flag", "left_out": f"{name}.left_out"}
        names["time"] = stored.dims[name][-1]
        if name == array:  # sensors stand in the order of the record
            names["place"] = seen[name] = seen.get(name, -1) + 1
        found.append(names)
    return found
