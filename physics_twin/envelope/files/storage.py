"""Envelopes as NetCDF files.

The region is at the root of the file, with units; other arrays and datasets are groups beside it; the rest is one JSON
text, read field by field against what the classes hold and never executed. Floats are written with repr and read back
to the same bits; numbers of settings stand beside the SI unit they are in.
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.files.question_record import CLASSES
from physics_twin.envelope.files.records import IS, Reader, Writer
from physics_twin.envelope.files.version_1 import migrated
from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write

FORMAT = "physics_twin envelope"
VERSION = 2
AS_IN_FILE = {"asked": "question", "design": "space"}
"""Fields that files know by another name."""
RECORD, ARRAYS, DATASETS = "envelope_record", "/arrays", "/datasets"


def save_envelope(envelope: Envelope, path: str | os.PathLike[str]) -> None:
    """Write an envelope whole or not at all; raises FileFormatError for one that holds what has no form in a file."""
    writer = Writer(CLASSES)
    record = {"units": {s.name: s.unit.si_text for s in envelope.settings}}
    names = {f.name: AS_IN_FILE.get(f.name, f.name) for f in fields(Envelope) if f.name != "region"}
    record |= {stored: writer.record(getattr(envelope, name), stored) for name, stored in names.items()}
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    # A variable, not an attribute: HDF5 holds attributes of up to 64 KB, and a thousand failures need more.
    root = envelope.region.assign({RECORD: ((), text, {"format": FORMAT, "version": VERSION})})
    groups = {"/": root, ARRAYS: as_dataset(writer.arrays)}
    groups |= {f"{DATASETS}/{name}": dataset for name, dataset in writer.datasets.items()}
    with atomic_write(path) as temporary:
        for i, (group, dataset) in enumerate(groups.items()):
            dataset.to_netcdf(temporary, mode="w" if i == 0 else "a", group=group, engine="h5netcdf")


def load_envelope(path: str | os.PathLike[str]) -> Envelope:
    """Read an envelope; raises FileFormatError for anything that is not one."""
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    return read_envelope(path, Path(path).name)


def read_envelope(source: str | os.PathLike[str] | io.BytesIO, name: str) -> Envelope:
    """As `load_envelope`, of a file or of the bytes of one; name: as messages say it."""
    try:
        groups = xr.open_groups(source, engine="h5netcdf", decode_times=False)
        try:
            found = {group: plain(dataset.load()) for group, dataset in groups.items()}
        finally:
            for dataset in groups.values():
                dataset.close()
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{name} is not a NetCDF file that holds an envelope: {error}") from error
    root = found["/"]
    marks = root[RECORD].attrs if RECORD in root else {}
    if marks.get("format") != FORMAT:
        raise FileFormatError(f"{name} is not an envelope of physics_twin")
    version = int(marks.get("version", -1))
    if version not in (1, VERSION):
        raise FileFormatError(
            f"{name} has format version {version}, this library reads up to {VERSION}; use the one that wrote it"
        )
    try:
        record = json.loads(str(root[RECORD].item()))
        arrays = {str(n): np.asarray(v.values) for n, v in found.get(ARRAYS, xr.Dataset()).data_vars.items()}
        if version == 1:
            record, root, arrays = migrated(record, root)
        datasets = {g.removeprefix(f"{DATASETS}/"): d for g, d in found.items() if g.startswith(f"{DATASETS}/")}
        return _envelope(record, root, Reader(CLASSES, arrays, datasets))
    except (KeyError, TypeError, ValueError, AttributeError, PhysicsTwinError) as error:
        raise FileFormatError(f"{name} is damaged or was written by something else: {error}") from error


def _envelope(record: Mapping[str, Any], root: xr.Dataset, reader: Reader) -> Envelope:
    known_as = {stored: name for name, stored in AS_IN_FILE.items()}
    held = {known_as.get(name, name): one for name, one in record.items() if name != "units"}
    region = {IS: "dataset", "name": "region"}
    region_of = root.drop_vars(RECORD)
    return Reader(CLASSES, reader.arrays, {**reader.datasets, "region": region_of}).made(
        Envelope, {**held, "region": region}
    )


def as_dataset(arrays: Mapping[str, Array]) -> xr.Dataset:
    """Each array with dimensions of its own; empty ones too."""
    return xr.Dataset(
        {name: ([f"{name}.{axis}" for axis in range(x.ndim)], x, {"units": "SI"}) for name, x in arrays.items()}
    )


def plain(data: xr.Dataset) -> xr.Dataset:
    """The dataset as it was before it went through a file: texts of fixed width, no encoding."""
    found = data.copy()
    for name, variable in data.variables.items():
        values = np.asarray(variable.values)
        if values.dtype.kind in "OT":
            found[name] = (variable.dims, values.astype(str), variable.attrs)
    return found.drop_encoding()
