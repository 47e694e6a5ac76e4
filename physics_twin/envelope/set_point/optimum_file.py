"""Set points as NetCDF files, written and read as envelopes are."""

import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import xarray as xr

from physics_twin.envelope.files.question_record import CLASSES
from physics_twin.envelope.files.records import Reader, Writer
from physics_twin.envelope.files.storage import ARRAYS, DATASETS, as_dataset, plain
from physics_twin.envelope.set_point.optimum import Binding, SetPoint, Start
from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write

FORMAT, VERSION = "physics_twin set point", 1
RECORD = "set_point_record"
_CLASSES = {**CLASSES, "Binding": Binding, "Start": Start}


def save_set_point(found: SetPoint, path: str | os.PathLike[str]) -> None:
    """Write a set point whole or not at all."""
    writer = Writer(_CLASSES)
    record = {"units": {s.name: s.unit.si_text for s in found.declared}}
    record |= {f.name: writer.record(getattr(found, f.name), f.name) for f in fields(SetPoint)}
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    groups = {"/": xr.Dataset({RECORD: ((), text, {"format": FORMAT, "version": VERSION})})}
    groups[ARRAYS] = as_dataset(writer.arrays)
    groups |= {f"{DATASETS}/{name}": dataset for name, dataset in writer.datasets.items()}
    with atomic_write(path) as temporary:
        for i, (group, dataset) in enumerate(groups.items()):
            dataset.to_netcdf(temporary, mode="w" if i == 0 else "a", group=group, engine="h5netcdf")


def load_set_point(path: str | os.PathLike[str]) -> SetPoint:
    """Read a set point; raises FileFormatError for anything that is not one."""
    name = Path(path).name
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        opened = xr.open_groups(path, engine="h5netcdf", decode_times=False)
        try:
            groups = {group: plain(dataset.load()) for group, dataset in opened.items()}
        finally:
            for dataset in opened.values():
                dataset.close()
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{name} is not a NetCDF file that holds a set point: {error}") from error
    marks = groups["/"][RECORD].attrs if RECORD in groups["/"] else {}
    if marks.get("format") != FORMAT:
        raise FileFormatError(f"{name} is not a set point of physics_twin")
    if int(marks.get("version", -1)) != VERSION:
        raise FileFormatError(f"{name} has format version {marks.get('version')}, this library reads {VERSION}")
    try:
        record = json.loads(str(groups["/"][RECORD].item()))
        arrays = {str(n): np.asarray(v.values) for n, v in groups.get(ARRAYS, xr.Dataset()).data_vars.items()}
        datasets = {g.removeprefix(f"{DATASETS}/"): d for g, d in groups.items() if g.startswith(f"{DATASETS}/")}
        held = {key: one for key, one in record.items() if key != "units"}
        return Reader(_CLASSES, arrays, datasets).made(SetPoint, held)
    except (KeyError, TypeError, ValueError, AttributeError, PhysicsTwinError) as error:
        raise FileFormatError(f"{name} is damaged or was written by something else: {error}") from error
