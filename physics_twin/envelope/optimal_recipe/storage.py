"""Optimal recipes as NetCDF files: one JSON text, and the arrays and datasets that it names in groups beside it."""

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.files.question_record import CLASSES
from physics_twin.envelope.files.records import Reader, Writer
from physics_twin.envelope.optimal_recipe.nominal import RecipeStart
from physics_twin.envelope.optimal_recipe.result import OptimalRecipe, PathLimit
from physics_twin.envelope.set_point.objectives import ObjectiveValue
from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.simulation import Run

FORMAT, VERSION = "physics_twin optimal recipe", 1
RECORD, ARRAYS, DATASETS = "recipe_record", "/arrays", "/datasets"
OWN = {**CLASSES, **{c.__name__: c for c in (OptimalRecipe, PathLimit, RecipeStart, ObjectiveValue)}}


def save_recipe(found: OptimalRecipe, path: str | os.PathLike[str]) -> None:
    """Write whole or not at all."""
    writer = Writer(OWN)
    record = {f.name: writer.record(getattr(found, f.name), f.name) for f in fields(found) if f.name != "run"}
    run = {"dataset": found.run.dataset, "state": found.run.state, "statistics": dict(found.run.statistics)}
    record["run"] = writer.record(run, "run")
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    groups = {"/": xr.Dataset({RECORD: ((), text, {"format": FORMAT, "version": VERSION})})}
    groups[ARRAYS] = xr.Dataset(
        {n: ([f"{n}.{axis}" for axis in range(x.ndim)], x, {"units": "SI"}) for n, x in writer.arrays.items()}
    )
    groups |= {f"{DATASETS}/{name}": dataset for name, dataset in writer.datasets.items()}
    with atomic_write(path) as temporary:
        for i, (group, dataset) in enumerate(groups.items()):
            dataset.to_netcdf(temporary, mode="w" if i == 0 else "a", group=group, engine="h5netcdf")


def load_recipe(path: str | os.PathLike[str]) -> OptimalRecipe:
    """Read what `save_recipe` wrote; raises FileFormatError for anything else."""
    name = Path(path).name
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        groups = xr.open_groups(path, engine="h5netcdf", decode_times=False)
        try:
            found = {group: dataset.load() for group, dataset in groups.items()}
        finally:
            for dataset in groups.values():
                dataset.close()
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{name} is not a NetCDF file that holds a recipe: {error}") from error
    root = found["/"]
    marks = root[RECORD].attrs if RECORD in root else {}
    if marks.get("format") != FORMAT or int(marks.get("version", -1)) != VERSION:
        raise FileFormatError(f"{name} is not an optimal recipe that this version of physics_twin can read")
    arrays = {str(n): np.asarray(v.values) for n, v in found.get(ARRAYS, xr.Dataset()).items()}
    datasets = {g.removeprefix(f"{DATASETS}/"): d for g, d in found.items() if g.startswith(f"{DATASETS}/")}
    try:
        return _recipe(json.loads(str(root[RECORD].item())), arrays, datasets)
    except (KeyError, TypeError, ValueError, AttributeError, PhysicsTwinError) as error:
        raise FileFormatError(f"{name} is damaged or was written by something else: {error}") from error


def _recipe(
    record: Mapping[str, Any], arrays: Mapping[str, Array], datasets: Mapping[str, xr.Dataset]
) -> OptimalRecipe:
    reader = Reader(OWN, arrays, datasets)
    run = reader.value(record["run"])
    values = {name: reader.value(one) for name, one in record.items() if name != "run"}
    if sorted([*values, "run"]) != sorted(f.name for f in fields(OptimalRecipe)):
        raise FileFormatError("its fields are not those of an optimal recipe")
    return OptimalRecipe(**values, run=Run(run["dataset"], np.asarray(run["state"]), run["statistics"]))
