"""Experiments as NetCDF: arrays with units and flags as CF has them, and one JSON record for the rest."""

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.measurements.experiment import Exclusion, Experiment, Provenance, RecordedInput, Series
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.records import channel_from_record, channel_record, recipe_from_record, recipe_record
from physics_twin.recipes import Rule
from physics_twin.units import unit as as_unit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_dataset", "load", "save", "to_dataset"]

FORMAT = "physics_twin experiment 1"


def to_dataset(experiment: Experiment) -> "xr.Dataset":
    """Return samples, flags and recipe as a Dataset in SI.

    Each channel is a variable of its name over a time coordinate (`time`, or `time_2`, ... where channels were sampled
    at other times), with `<name>.flag` and `<name>.left_out` beside it; tables of the recipe are `recipe_table_<k>`.
    """
    import xarray as xr

    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    axes: list[tuple[str, bytes]] = []
    together = _one_clock(experiment)
    for array, own in together.items():
        dimension = _time_axis(own[0], axes, coordinates, experiment)
        variables |= _array_variables(array, own, dimension)
    for series in experiment:
        channel = series.channel
        if channel.place is not None and channel.place.array in together:
            continue
        dimension = _time_axis(series, axes, coordinates, experiment)
        attributes = {
            "units": channel.unit.si_text,
            "long_name": channel.output.replace("_", " "),
            "declared_units": channel.unit.text,
            "noise_standard_deviation": channel.noise,
            "ancillary_variables": f"{channel.output}.flag {channel.output}.left_out",
        }
        variables[channel.output] = (dimension, series.values, attributes)
        variables[f"{channel.output}.flag"] = (
            dimension,
            series.flags,
            {
                "units": "1",
                "standard_name": "quality_flag",
                "long_name": f"QARTOD quality flag of {channel.output}",
                "flag_values": np.array([int(flag) for flag in Flag], dtype=np.int8),
                "flag_meanings": " ".join(flag.name.lower() for flag in Flag),
            },
        )
        reasons = ("in use", *series.reasons)
        variables[f"{channel.output}.left_out"] = (
            dimension,
            series.left_out,
            {
                "units": "1",
                "long_name": f"why samples of {channel.output} are left out of the misfit",
                "flag_values": np.arange(len(reasons), dtype=np.int8),
                "flag_meanings": " ".join(reason.replace(" ", "_") for reason in reasons),
            },
        )
    record, tables = recipe_record(experiment.recipe)
    for position, table in enumerate(tables):
        dimension = f"recipe_time_{position}"
        coordinates[dimension] = (dimension, np.array(table.times), {"units": "s", "long_name": "time in its phase"})
        variables[f"recipe_table_{position}"] = (
            dimension,
            np.array(table.values),
            {"units": table.unit.si_text, "declared_units": table.unit.text, "rule": table.rule.value},
        )
    variables["record"] = ((), json.dumps(_record(experiment, record), sort_keys=True), {"units": "1"})
    attributes = {
        "Conventions": "CF-1.11",
        "title": experiment.name,
        "source": experiment.provenance.source,
        "format": FORMAT,
        "sha256": experiment.sha256,
    }
    return xr.Dataset(variables, coordinates, attributes)


def _time_axis(series: Series, axes: list[tuple[str, bytes]], coordinates: dict[str, Any], of: Experiment) -> str:
    """The dimension of a series' times, made if it is new."""
    key = series.times.tobytes()
    known = next((name for name, times in axes if times == key), None)
    if known is not None:
        return known
    dimension = "time" if not axes else f"time_{len(axes) + 1}"
    axes.append((dimension, key))
    coordinates[dimension] = (dimension, series.times, _time_attributes(of))
    return dimension


def _one_clock(experiment: Experiment) -> dict[str, tuple[Series, ...]]:
    """Arrays of sensors that were read at the same times: each is one variable, and not thousands."""
    return {
        array: own
        for array, own in experiment.arrays.items()
        if len({(s.times.tobytes(), s.channel.unit.si_text) for s in own}) == 1
    }


def _array_variables(array: str, own: tuple[Series, ...], dimension: str) -> dict[str, Any]:
    """Values, flags, what is left out and places of an array, sensors first; names and reasons are in the record."""
    dims = (f"place_{array}", dimension)
    places = np.array([s.channel.place.coordinates for s in own if s.channel.place is not None])
    attributes = {"units": own[0].channel.unit.si_text, "long_name": array.replace("_", " ")}
    found: dict[str, Any] = {
        array: (dims, np.array([s.values for s in own]), attributes),
        f"{array}.flag": (dims, np.array([s.flags for s in own]), {"units": "1", "standard_name": "quality_flag"}),
        f"{array}.left_out": (dims, np.array([s.left_out for s in own]), {"units": "1"}),
    }
    for k, axis in enumerate("xyz"[: places.shape[1]]):
        found[f"{array}.{axis}"] = (dims[:1], places[:, k], {"units": "m", "long_name": f"{axis} of the sensor"})
    return found


def _time_attributes(experiment: Experiment) -> dict[str, str]:
    attributes = {"units": "s", "long_name": "time since time zero", "axis": "T"}
    if experiment.t0_utc is not None:
        attributes["time_zero"] = experiment.t0_utc.isoformat()
    return attributes


def _record(experiment: Experiment, recipe: Mapping[str, Any]) -> dict[str, Any]:
    provenance = experiment.provenance
    return {
        "name": experiment.name,
        "t0_utc": None if experiment.t0_utc is None else experiment.t0_utc.isoformat(),
        "notes": list(experiment.notes),
        "context": dict(experiment.context),
        "recipe": recipe,
        "series": [
            {"channel": channel_record(one.channel), "reasons": list(one.reasons), "notes": list(one.notes)}
            for one in experiment
        ],
        "inputs": [
            {
                "name": one.name,
                "column": one.column,
                "unit": one.unit.text,
                "rule": one.rule.value,
                "counts": {str(int(flag)): n for flag, n in one.counts.items()},
                "notes": list(one.notes),
            }
            for one in experiment.inputs
        ],
        "provenance": {
            "source": provenance.source,
            "sha256": provenance.sha256,
            "options": dict(provenance.options),
            "selections": list(provenance.selections),
            "exclusions": [
                {"span": list(one.span), "reason": one.reason, "by": one.by, "channels": list(one.channels)}
                for one in provenance.exclusions
            ],
        },
    }


def from_dataset(dataset: "xr.Dataset", source: str) -> Experiment:
    """Return the experiment of `to_dataset`; `source` names the file in messages.

    Raises FileFormatError when something is missing, or when the content does not have the hash that it states.
    """
    if dataset.attrs.get("format") != FORMAT:
        raise FileFormatError(
            f'{source} is no saved experiment: its format is "{dataset.attrs.get("format", "not stated")}", and '
            f'"{FORMAT}" is expected'
        )
    try:
        experiment = _experiment(dataset, json.loads(str(dataset["record"].item())))
    except (KeyError, TypeError, ValueError, AttributeError, PhysicsTwinError) as error:
        raise FileFormatError(f"{source} is damaged or was written by hand: {error!r}") from error
    if experiment.sha256 != dataset.attrs.get("sha256"):
        raise FileFormatError(
            f"{source} was changed after it was saved: its content has the hash {experiment.sha256}, and it states "
            f"{dataset.attrs.get('sha256')}"
        )
    return experiment


def _experiment(dataset: "xr.Dataset", record: Mapping[str, Any]) -> Experiment:
    series: dict[str, Series] = {}
    seen: dict[str, int] = {}
    tables_of: dict[str, tuple[Any, ...]] = {}
    for one in record["series"]:
        channel = channel_from_record(one["channel"])
        array = "" if channel.place is None else channel.place.array
        name = array if array and array in dataset else channel.output
        if name not in tables_of:
            variable = dataset[name]
            parts = (variable, dataset[f"{name}.flag"], dataset[f"{name}.left_out"])
            tables_of[name] = (dataset[str(variable.dims[-1])].to_numpy(), *(part.to_numpy() for part in parts))
        times, values, flags, left_out = tables_of[name]
        if name == array:  # sensors stand in the order of the record
            k = seen[name] = seen.get(name, -1) + 1
            values, flags, left_out = values[k], flags[k], left_out[k]
        series[channel.output] = Series(
            channel,
            times,
            values,
            flags,
            left_out,
            tuple(map(str, one["reasons"])),
            tuple(map(str, one["notes"])),
        )
    tables: list[tuple[Any, Any]] = []
    while f"recipe_table_{len(tables)}" in dataset:
        k = len(tables)
        tables.append((dataset[f"recipe_time_{k}"].to_numpy(), dataset[f"recipe_table_{k}"].to_numpy()))
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
                    str(e["by"]),
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
            )
            for one in record["inputs"]
        ),
        notes=tuple(map(str, record["notes"])),
        t0_utc=None if record["t0_utc"] is None else dt.datetime.fromisoformat(record["t0_utc"]),
    )


def save(experiment: Experiment, path: str | os.PathLike[str]) -> None:
    """Write an experiment as NetCDF, whole or not at all."""
    dataset = to_dataset(experiment)
    with atomic_write(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")


def load(path: str | os.PathLike[str]) -> Experiment:
    """Read what `save` wrote. Raises FileNotFoundError, or FileFormatError for any other file."""
    import xarray as xr

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        # Without CF decoding: it would turn seconds into time differences in nanoseconds.
        dataset = xr.load_dataset(path, engine="h5netcdf", decode_cf=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FileFormatError(f"{path.name} is not a NetCDF-4 file, or is damaged: {error}") from error
    return from_dataset(dataset, path.name)
