"""An `Innovation` as a dataset and as a file."""

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError
from physics_twin.files import atomic_write
from physics_twin.measurements.flags import Flag
from physics_twin.twin.sensors.reading import Verdict
from physics_twin.units import Unit, unit as as_unit

if TYPE_CHECKING:
    from physics_twin.twin.innovation import Innovation

_FORMAT = "physics_twin innovation 1"
_VALUES = ("observed", "predicted")
_DIFFERENCES = ("residual", "predicted_sd", "noise_sd")
_PER_CHANNEL = "see the coordinate unit"
_LONG = {
    "observed": "reading, corrected",
    "predicted": "what the model expected before the update",
    "residual": "observed less predicted",
    "predicted_sd": "standard deviation of the predicted true output",
    "noise_sd": "standard deviation of the sensor's noise as used",
    "surprise": "residual over its predicted standard deviation",
    "flag": "QARTOD flag after all checks",
    "used": "whether the update used it",
    "widened": "factor on the predicted variance where the gate was opened again, else 1",
    "why": "what was found",
    "nis": "normalized innovation squared of the moment",
    "dof": "samples used at the moment",
    "trouble": "why there was no update",
    "n_failed_members": "members that could not be carried to the moment",
}


def dataset_of(innovation: "Innovation") -> xr.Dataset:
    """Samples and moments of an innovation, SI, with `units` on every variable."""
    rows = [(record.time, sample) for record in innovation.records for sample in record.samples]
    verdicts = [sample.verdict for _, sample in rows]
    units = [innovation.channels[s.channel].si_text if s.channel in innovation.channels else "" for _, s in rows]
    common = units[0] if len(set(units)) == 1 else _PER_CHANNEL
    numbers: dict[str, list[float]] = {
        "observed": [s.observed for _, s in rows],
        "predicted": [s.predicted for _, s in rows],
        "residual": [s.residual for _, s in rows],
        "predicted_sd": [_root(s.predicted_variance) for _, s in rows],
        "noise_sd": [_root(s.variance) for _, s in rows],
    }
    found = {name: _column("sample", np.array(v, dtype=float), common, name) for name, v in numbers.items()}
    found["surprise"] = _column("sample", np.array([v.surprise for v in verdicts], dtype=float), "1", "surprise")
    found["widened"] = _column("sample", np.array([_widened(v) for v in verdicts], dtype=float), "1", "widened")
    found["flag"] = _column("sample", np.array([int(v.flag) for v in verdicts], dtype=np.int8), "1", "flag")
    found["used"] = _column("sample", np.array([v.use for v in verdicts], dtype=bool), "1", "used")
    found["variance_factor"] = _column(
        "sample", np.array([v.variance_factor for v in verdicts], dtype=float), "1", "factor on the noise's variance"
    )
    found["why"] = _column("sample", _texts([v.words for v in verdicts]), "1", "why")
    moments = innovation.records
    found["nis"] = _column("moment", np.array([m.nis for m in moments], dtype=float), "1", "nis")
    found["dof"] = _column("moment", np.array([m.dof for m in moments], dtype=np.int64), "1", "dof")
    found["n_failed_members"] = _column(
        "moment", np.array([m.n_failed_members for m in moments], dtype=np.int64), "1", "n_failed_members"
    )
    found["trouble"] = _column("moment", _texts([m.trouble for m in moments]), "1", "trouble")
    return xr.Dataset(
        found,
        coords={
            "time": ("sample", _times([time for time, _ in rows]), {"long_name": "UTC"}),
            "channel": ("sample", _texts([s.channel for _, s in rows])),
            "source": ("sample", _texts([s.source for _, s in rows])),
            "unit": ("sample", _texts(units)),
            "moment": ("moment", _times([m.time for m in moments]), {"long_name": "UTC"}),
        },
        attrs={
            "begin": np.int64(innovation.begin),
            "end": np.int64(innovation.end),
            "pending": innovation.pending,
            "reason": innovation.reason,
            "seconds": innovation.seconds,
            "declared_units": json.dumps({name: unit.text for name, unit in innovation.channels.items()}),
            "counts": json.dumps(dict(innovation.counts)),
            "notes": json.dumps(list(innovation.notes)),
        },
    )


def of_channel(dataset: xr.Dataset, channel: str, unit: Unit) -> xr.Dataset:
    """The samples of one channel over `time`, with its own SI unit on every variable."""
    hit = np.flatnonzero(dataset["channel"].values == channel)
    own = dataset.drop_dims("moment").isel(sample=hit).drop_vars(["channel", "unit"]).swap_dims(sample="time")
    for name in (*_VALUES, *_DIFFERENCES):
        own[name].attrs["units"] = unit.si_text
    return own.assign_attrs({"channel": channel, "declared_units": unit.text})


def in_units(innovation: "Innovation") -> xr.Dataset:
    """A copy of the dataset with every sample in its channel's declared unit."""
    shown = innovation.dataset.copy(deep=True)
    channels = shown["channel"].values
    texts = np.array(shown["unit"].values, dtype=object)
    columns: dict[str, Array] = {name: np.array(shown[name].values) for name in (*_VALUES, *_DIFFERENCES)}
    for channel, unit in innovation.channels.items():
        hit = channels == channel
        texts[hit] = unit.text
        for name, column in columns.items():
            column[hit] = unit.from_si(column[hit], name in _DIFFERENCES)
    common = texts[0] if len(set(texts)) == 1 else _PER_CHANNEL
    for name, column in columns.items():
        difference = name in _DIFFERENCES and common != _PER_CHANNEL
        units = as_unit(str(common)).difference().text if difference else str(common)
        shown[name] = ("sample", column, {**shown[name].attrs, "units": units})
    return shown.assign_coords(unit=("sample", texts))


def save(innovation: "Innovation", path: "str | os.PathLike[str]") -> None:
    """Write NetCDF: whole, or not at all."""
    stored = innovation.dataset.assign_attrs(format=_FORMAT)
    with atomic_write(path) as temporary:
        stored.to_netcdf(temporary, engine="h5netcdf")


def load(path: "str | os.PathLike[str]") -> "Innovation":
    """Read what `save` wrote; raises FileFormatError for anything else."""
    from physics_twin.twin.innovation import Innovation, MomentRecord, SampleRecord

    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            d = opened.load()
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} is no NetCDF file of an innovation: {error}") from None
    if d.attrs.get("format") != _FORMAT:
        raise FileFormatError(f'{path} is marked {d.attrs.get("format")!r}, expected "{_FORMAT}"')
    columns = {name: d[name].values.tolist() for name in d.data_vars}
    at: dict[int, list[SampleRecord]] = {}
    channels, sources = d["channel"].values.tolist(), d["source"].values.tolist()
    for k, time in enumerate(d["time"].values.astype("datetime64[ns]").astype(np.int64).tolist()):
        widened = columns["widened"][k]
        verdict = Verdict(
            Flag(columns["flag"][k]),
            bool(columns["used"][k]),
            columns["variance_factor"][k],
            reopen=widened != 1.0,
            widen=widened if widened > 1.0 else 1.0,
            words=str(columns["why"][k]),
            surprise=columns["surprise"][k],
        )
        spreads = columns["noise_sd"][k] ** 2, columns["predicted_sd"][k] ** 2
        sample = SampleRecord(
            channels[k], columns["observed"][k], spreads[0], columns["predicted"][k], spreads[1], verdict, sources[k]
        )
        at.setdefault(time, []).append(sample)
    moments = d["moment"].values.astype("datetime64[ns]").astype(np.int64).tolist()
    records = tuple(
        MomentRecord(
            time,
            tuple(at.get(time, ())),
            columns["nis"][k],
            int(columns["dof"][k]),
            str(columns["trouble"][k]),
            int(columns["n_failed_members"][k]),
        )
        for k, time in enumerate(moments)
    )
    declared = json.loads(d.attrs["declared_units"])
    return Innovation(
        records,
        {name: as_unit(text) for name, text in declared.items()},
        int(d.attrs["begin"]),
        int(d.attrs["end"]),
        json.loads(d.attrs["counts"]),
        int(d.attrs["pending"]),
        str(d.attrs["reason"]),
        float(d.attrs["seconds"]),
        tuple(json.loads(d.attrs["notes"])),
    )


def _column(dimension: str, values: "np.typing.NDArray[np.generic]", units: str, name: str) -> xr.Variable:
    return xr.Variable(dimension, values, {"units": units, "long_name": _LONG.get(name, name)})


def _texts(items: list[str]) -> "np.typing.NDArray[np.object_]":
    return np.array(items, dtype=object)


def _times(items: list[int]) -> "np.typing.NDArray[np.datetime64]":
    return np.array(items, dtype=np.int64).astype("datetime64[ns]")


def _root(variance: float) -> float:
    return float(np.sqrt(variance)) if variance >= 0.0 else float("nan")


def _widened(verdict: Verdict) -> float:
    """The factor of a reopened gate; 0 where it was opened and nothing had to be widened."""
    return (verdict.widen if verdict.widen > 1.0 else 0.0) if verdict.reopen else 1.0
