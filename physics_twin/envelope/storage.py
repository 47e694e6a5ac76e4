"""Envelopes as NetCDF files.

Arrays (region, certified points) are variables with units; the rest is one JSON text, read field by field against
what the classes hold and never executed. Floats are written with repr and read back to the same bits; numbers of
settings stand beside the SI unit they are in.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.envelope.certificate import Attempt, Certificate
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.evaluation import FailedRun
from physics_twin.envelope.set_point import Margin
from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.signals import Setting
from physics_twin.units import Unit

FORMAT = "physics_twin envelope"
VERSION = 1

_PLAIN = ("required", "probability", "probability_lower", "average", "confidence", "empty", "message")
_CERTIFICATE_PLAIN = (
    *("passed", "probability", "confidence", "n_draws", "n_search", "n_certification", "n_effective"),
    *("n_simulations", "seed", "model", "fingerprint", "posterior", "recipe", "library"),
)


def save_envelope(envelope: Envelope, path: str | os.PathLike[str]) -> None:
    """Write an envelope whole or not at all."""
    record = {
        **{name: getattr(envelope, name) for name in _PLAIN},
        "settings": [_setting_record(s) for s in envelope.settings],
        "units": {s.name: s.unit.si_text for s in envelope.settings},
        "box": {name: list(side) for name, side in envelope.box.items()},
        "set_point": dict(envelope.set_point),
        "binding": {name: list(ends) for name, ends in envelope.binding.items()},
        "margins": [{**_fields(m), "unit": m.unit.text, "si_unit": m.unit.si_text} for m in envelope.margins],
        "margins_at": dict(envelope.margins_at),
        "includes": list(envelope.includes),
        "warnings": list(envelope.warnings),
        "certificate": {name: getattr(envelope.certificate, name) for name in _CERTIFICATE_PLAIN},
        "attempts": [
            {**_fields(a), "box": {n: list(side) for n, side in a.box.items()}} for a in envelope.certificate.attempts
        ],
        "failures": [_fields(f) for f in envelope.failures],
    }
    certificate = envelope.certificate
    text = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False)
    share = {"units": "1"}
    data = envelope.region.assign(
        # A variable, not an attribute: HDF5 holds attributes of up to 64 KB, and a thousand failures need more.
        envelope_record=((), text, {"format": FORMAT, "version": VERSION}),
        certified_settings=(("certified", "setting"), certificate.points, {"units": "SI, see the coordinate unit"}),
        certified_violations=("certified", certificate.violations, share),
        certified_lower_bounds=("certified", certificate.lower_bounds, share),
    )
    with atomic_write(path) as temporary:
        data.to_netcdf(temporary, engine="h5netcdf")


def load_envelope(path: str | os.PathLike[str]) -> Envelope:
    """Read an envelope; raises FileFormatError for anything that is not one."""
    name = Path(path).name
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            data = opened.load()
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{name} is not a NetCDF file that holds an envelope: {error}") from error
    found = data["envelope_record"].attrs if "envelope_record" in data else {}
    if found.get("format") != FORMAT:
        raise FileFormatError(f"{name} is not an envelope of physics_twin")
    if int(found.get("version", -1)) != VERSION:
        raise FileFormatError(
            f"{name} has format version {found.get('version')}, this library reads {VERSION}; use the one that wrote it"
        )
    try:
        return _envelope(json.loads(str(data["envelope_record"].item())), data)
    except (KeyError, TypeError, ValueError, PhysicsTwinError) as error:
        raise FileFormatError(f"{name} is damaged or was written by something else: {error}") from error


def _envelope(record: Mapping[str, Any], data: xr.Dataset) -> Envelope:
    certificate = Certificate(
        **{name: _typed(Certificate, name, record["certificate"][name]) for name in _CERTIFICATE_PLAIN},
        points=np.asarray(data["certified_settings"].values, dtype=float),
        violations=np.asarray(data["certified_violations"].values, dtype=np.int64),
        lower_bounds=np.asarray(data["certified_lower_bounds"].values, dtype=float),
        attempts=tuple(_record(Attempt, {**a, "box": _ranges(a["box"])}) for a in record["attempts"]),
    )
    margins = ({k: v for k, v in m.items() if k != "si_unit"} for m in record["margins"])
    certified = ("envelope_record", "certified_settings", "certified_violations", "certified_lower_bounds")
    return Envelope(
        **{name: _typed(Envelope, name, record[name]) for name in _PLAIN},
        box=_ranges(record["box"]),
        settings=tuple(_setting(s) for s in record["settings"]),
        set_point=_floats(record["set_point"]),
        binding={str(n): (str(low), str(high)) for n, (low, high) in record["binding"].items()},
        margins=tuple(_record(Margin, {**m, "unit": Unit(m["unit"])}) for m in margins),
        margins_at=_floats(record["margins_at"]),
        includes=tuple(str(x) for x in record["includes"]),
        warnings=tuple(str(x) for x in record["warnings"]),
        certificate=certificate,
        region=_plain(data.drop_vars(certified)),
        failures=tuple(
            _record(FailedRun, {**f, "settings": _floats(f["settings"]), "values": _floats(f["values"])})
            for f in record["failures"]
        ),
    )


def _setting_record(setting: Setting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "unit": setting.unit.text,
        "si_unit": setting.unit.si_text,
        "bounds": list(setting.bounds),
        "value": setting.value,
        "description": setting.description,
    }


def _setting(record: Mapping[str, Any]) -> Setting:
    si = str(record["si_unit"])
    low, high = ((float(x), si) for x in record["bounds"])
    value = None if record["value"] is None else (float(record["value"]), si)
    return Setting(record["name"], record["unit"], bounds=(low, high), value=value, description=record["description"])


def _fields(record: Any) -> dict[str, Any]:
    """A dataclass as a dict, one level deep."""
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}


def _record[T](cls: type[T], record: Mapping[str, Any]) -> T:
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if set(record) != known:
        raise FileFormatError(f"a {cls.__name__} holds {sorted(known)}, this one {sorted(record)}")
    return cls(**{name: _typed(cls, name, value) for name, value in record.items()})


def _typed(cls: Any, name: str, value: Any) -> Any:
    """Numbers that JSON cannot hold come as text; every float field becomes a float again."""
    declared = {f.name: f.type for f in dataclasses.fields(cls)}[name]
    if declared is float:
        return float(value)
    if declared in (int, str, bool) and type(value) is not declared:
        raise FileFormatError(f"{name} = {value!r} is not of the type {declared.__name__}")
    return value


def _finite(x: Any) -> Any:
    """The same record with non-finite floats as text ("-inf"): JSON has no word for them."""
    if isinstance(x, Mapping):
        return {str(k): _finite(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [_finite(v) for v in x]
    if isinstance(x, float) and not math.isfinite(x):
        return repr(x)
    return x


def _floats(record: Mapping[str, Any]) -> dict[str, float]:
    return {str(k): float(v) for k, v in record.items()}


def _ranges(record: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {str(k): (float(low), float(high)) for k, (low, high) in record.items()}


def _plain(data: xr.Dataset) -> xr.Dataset:
    """The dataset as it was before it went through a file: texts of fixed width, no encoding."""
    found = data.copy()
    for name, variable in data.variables.items():
        values = np.asarray(variable.values)
        if values.dtype.kind in "OT":
            found[name] = (variable.dims, values.astype(str), variable.attrs)
    return found.drop_encoding()
