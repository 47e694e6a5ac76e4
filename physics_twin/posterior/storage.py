"""Posteriors as NetCDF files, and as DataTrees that ArviZ reads.

Arrays are NetCDF variables in SI with a units attribute; everything else is one JSON text, read field by field and
never executed. Floats in JSON are written with repr, which Python reads back to the same bits. `load(save(p))` has the
same bits as `p`, and saving it again writes the same content.
"""

import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.posterior.chains import by_chain, has_chains
from physics_twin.posterior.drawing.origin import as_dataset, from_dataset
from physics_twin.posterior.evidence import ChannelEvidence, FailedSimulation, Identification, Verdict
from physics_twin.posterior.members import drawable, from_prior
from physics_twin.posterior.result import Posterior, covariance_array, draws_array
from physics_twin.priors import HalfNormal, LogNormal, Normal, Prior, Truncated, Uniform

FORMAT = "physics_twin posterior"
VERSION = 1
PRIOR_DRAWS_SEED = 0
APART = "of_diagnostics_"
_PRIORS: Mapping[str, Any] = {"Normal": Normal, "LogNormal": LogNormal, "Uniform": Uniform, "HalfNormal": HalfNormal}


def save(posterior: Posterior, path: "str | os.PathLike[str]") -> None:
    """Write a posterior whole or not at all."""
    content = {
        "parameters": [parameter_record(p) for p in posterior.parameters.parameters],
        "mode": {k: float(v) for k, v in posterior.mode.items()},
        "fixed": {k: float(v) for k, v in posterior.fixed.items()},
        "misfit": posterior.misfit,
        "channels": [asdict(c) for c in posterior.channels],
        "verdicts": [{**asdict(v), "identification": v.identification.name} for v in posterior.verdicts.values()],
        "coverage": {k: list(v) for k, v in posterior.coverage.items()},
        "failures": [asdict(f) for f in posterior.failures],
        "converged": posterior.converged,
        "message": posterior.message,
        "warnings": list(posterior.warnings),
        "inflation": dict(posterior.inflation),
        "provenance": dict(posterior.provenance),
        "effective_draws": posterior.effective_draws,
    }
    root = xr.Dataset(
        {
            "draws": posterior.draws,
            "covariance": posterior.covariance,
            # A variable, not an attribute: HDF5 holds attributes of up to 64 KB, and a thousand failures need more.
            "content": ((), json.dumps(content, ensure_ascii=False)),
        },
        attrs={"format": FORMAT, "version": VERSION},
    )
    tree = xr.DataTree.from_dict(
        {
            "/": root,
            "/residuals": posterior.residuals,
            "/diagnostics": _apart(posterior.diagnostics),
            "/origin": as_dataset(posterior.origin),
        }
    )
    with atomic_write(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def load(path: "str | os.PathLike[str]") -> Posterior:
    """Read a posterior; raises FileFormatError for anything that is not one."""
    name = Path(path).name
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    return read(path, name)


def read(source: "str | os.PathLike[str] | io.BytesIO", name: str) -> Posterior:
    """As `load`, of a file or of the bytes of one; name: as messages say it."""
    try:
        with xr.open_datatree(source, engine="h5netcdf", decode_times=False) as tree:
            tree = tree.load()
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{name} is not a NetCDF file that holds a posterior: {error}") from error
    attrs = tree.attrs
    if attrs.get("format") != FORMAT:
        raise FileFormatError(f'{name} is not a posterior of physics_twin (format "{attrs.get("format", "none")}")')
    if int(attrs.get("version", -1)) != VERSION:
        raise FileFormatError(
            f"{name} has format version {attrs.get('version')}, this library reads {VERSION}; use the one that wrote it"
        )
    try:
        content = json.loads(str(tree["content"].item()))
        parameters = ParameterSet([parameter_from_record(record) for record in content["parameters"]])
        return Posterior(
            parameters=parameters,
            draws=draws_array(parameters, np.asarray(tree["draws"].values)),
            mode=Values(_floats(content["mode"])),
            covariance=covariance_array(parameters, np.asarray(tree["covariance"].values)),
            misfit=float(content["misfit"]),
            channels=tuple(_record(ChannelEvidence, c) for c in content["channels"]),
            verdicts={v["parameter"]: _verdict(v) for v in content["verdicts"]},
            coverage={k: (float(v[0]), float(v[1])) for k, v in content["coverage"].items()},
            failures=tuple(_record(FailedSimulation, f) for f in content["failures"]),
            converged=bool(content["converged"]),
            message=str(content["message"]),
            warnings=tuple(str(w) for w in content["warnings"]),
            inflation=_floats(content["inflation"]),
            residuals=_plain(tree.children["residuals"].to_dataset(inherit=False)),
            fixed=Values(_floats(content["fixed"])),
            provenance={str(k): str(v) for k, v in content["provenance"].items()},
            # Files of earlier versions, whose methods all drew independently, say nothing of either.
            effective_draws=float(content.get("effective_draws", tree["draws"].sizes["draw"])),
            diagnostics=_together(_plain(tree.children["diagnostics"].to_dataset(inherit=False)))
            if "diagnostics" in tree.children
            else xr.Dataset(),
            origin=from_dataset(_plain(tree.children["origin"].to_dataset(inherit=False)), len(parameters))
            if "origin" in tree.children
            else None,
        )
    except (KeyError, TypeError, ValueError, PhysicsTwinError) as error:
        raise FileFormatError(f"{name} is damaged or was written by something else: {error}") from error


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Residuals as they were: texts as fixed-width arrays, no encoding of the file."""
    found = dataset.copy()
    for name, variable in dataset.variables.items():
        values = np.asarray(variable.values)
        found[name] = (variable.dims, values.astype(str) if values.dtype.kind in "OT" else values, variable.attrs)
    found.attrs = dict(dataset.attrs)
    return found.drop_encoding()


def _apart(diagnostics: xr.Dataset) -> xr.Dataset:
    """Diagnostics whose dimensions are not those of the draws: in a tree they would have to agree with them."""
    return diagnostics.rename({name: APART + str(name) for name in {*diagnostics.dims, *diagnostics.coords}})


def _together(diagnostics: xr.Dataset) -> xr.Dataset:
    """The inverse of `_apart`."""
    found = [str(n) for n in {*diagnostics.dims, *diagnostics.coords} if str(n).startswith(APART)]
    return diagnostics.rename({name: name.removeprefix(APART) for name in found})


def _floats(record: Mapping[str, Any]) -> dict[str, float]:
    return {str(k): float(v) for k, v in record.items()}


def _record[T](cls: type[T], record: Mapping[str, Any]) -> T:
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    later = {f.name for f in fields(cls) if f.default is not MISSING}  # type: ignore[arg-type]
    if not known - later <= set(record) <= known:  # a file may be older than a field with a default
        raise FileFormatError(f"a {cls.__name__} must hold {sorted(known)}, this one holds {sorted(record)}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in record.items()})


def _verdict(record: Mapping[str, Any]) -> Verdict:
    return Verdict(
        parameter=str(record["parameter"]),
        identification=Identification[record["identification"]],
        sentence=str(record["sentence"]),
        narrowing=float(record["narrowing"]),
        moves_with=tuple((str(name), float(r)) for name, r in record["moves_with"]),
    )


def parameter_record(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as JSON; raises FileFormatError for a prior of a class that is not the library's."""
    return {
        "name": parameter.name,
        "value_si": parameter.value,
        "unit": parameter.unit.text,
        "bounds_si": list(parameter.bounds),
        "prior": None if parameter.prior is None else _prior_record(parameter.prior),
        "description": parameter.description,
        "source": parameter.source,
        "difference": parameter.difference,
    }


def _prior_record(prior: Prior) -> dict[str, Any]:
    if isinstance(prior, Truncated):
        return {"kind": "Truncated", "inner": _prior_record(prior.prior), "support": list(prior.support)}
    kind = type(prior).__name__
    if kind not in _PRIORS:
        raise FileFormatError(f"a prior of class {kind} cannot be saved; use one of {', '.join(_PRIORS)}, Truncated")
    return {"kind": kind, "arguments": {name: float(getattr(prior, name)) for name in prior._fields}}  # type: ignore[attr-defined]


def parameter_from_record(record: Mapping[str, Any]) -> Parameter:
    """Return the parameter of `parameter_record`; raises KeyError, TypeError, a PhysicsTwinError for anything else."""
    from physics_twin.units import unit as as_unit

    unit = as_unit(record["unit"])
    si = unit.si_text
    low, high = (float(x) for x in record["bounds_si"])
    return Parameter(
        str(record["name"]),
        (float(record["value_si"]), si),
        bounds=(None if math.isinf(low) else (low, si), None if math.isinf(high) else (high, si)),
        prior=None if record["prior"] is None else _prior(record["prior"], si),
        unit=unit,
        description=str(record["description"]),
        source=str(record["source"]),
        difference=bool(record["difference"]),
    )


def _prior(record: Mapping[str, Any], si: str) -> Any:
    """A declared prior whose quantities stand in SI units, so that reading it changes no bit."""
    if record["kind"] == "Truncated":
        low, high = (float(x) for x in record["support"])
        return Truncated(
            _prior(record["inner"], si),
            low=None if math.isinf(low) else (low, si),
            high=None if math.isinf(high) else (high, si),
        )
    given = {k: (float(v), "1" if k == "sigma" else si) for k, v in record["arguments"].items()}
    return _PRIORS[record["kind"]](**given)


def to_datatree(posterior: Posterior) -> xr.DataTree:
    """Groups posterior, prior (where it can be drawn), observed_data, predictions at the mode."""
    chains = by_chain(posterior)
    groups: dict[str, xr.Dataset] = {"/posterior": _samples(posterior.parameters, chains)}
    if has_chains(posterior):
        density = np.asarray(posterior.diagnostics["log_density"].values).reshape(len(chains), -1)
        groups["/sample_stats"] = xr.Dataset({"lp": (("chain", "draw"), density)})
    before = drawable(posterior.parameters)
    if len(before):
        groups["/prior"] = _samples(before, from_prior(before, posterior.n_draws, PRIOR_DRAWS_SEED)[None])
    residuals = posterior.residuals
    if residuals.sizes.get("sample", 0):
        observed: dict[str, Any] = {}
        fitted: dict[str, Any] = {}
        series, experiments = residuals["output"].values, residuals["experiment"].values
        arrays = residuals["array"].values if "array" in residuals else np.full(series.size, "")
        # An array of sensors is one variable over its places: thousands of variables of one value are of no use.
        series, used = np.where(arrays != "", arrays, series), residuals["used"].values
        for name, experiment in dict.fromkeys(zip(series.tolist(), experiments.tolist(), strict=True)):
            rows = np.flatnonzero((series == name) & (experiments == experiment) & used)
            over = "time" if not rows.size or arrays[rows[0]] == "" else "place"
            label, dim = f"{name}@{experiment}", f"{over}_{name}@{experiment}"
            attrs = {"units": str(residuals["units"].values[rows][0]) if rows.size else "1"}
            where = {dim: xr.Variable(dim, residuals["time"].values[rows], {"units": "s"})}
            if over == "place":
                known = [k for k in ("place_x", "place_y", "place_z") if k in residuals]
                where = {f"{k}_{label}": xr.Variable(dim, residuals[k].values[rows], {"units": "m"}) for k in known}
            observed[label] = xr.DataArray(residuals["observed"].values[rows], where, (dim,), attrs=attrs)
            fitted[label] = xr.DataArray(residuals["predicted"].values[rows], where, (dim,), attrs=attrs)
        groups["/observed_data"] = xr.Dataset(observed)
        groups["/fit_at_mode"] = xr.Dataset(fitted)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(posterior.provenance)
    return tree


def _samples(parameters: ParameterSet, table: Array) -> xr.Dataset:
    """Variables (chain, draw) of table (n_chains, n_draws, n_parameters), SI."""
    found = {
        name: (("chain", "draw"), table[:, :, j], {"units": parameter.unit.si_text})
        for j, (name, parameter) in enumerate(parameters.items())
    }
    return xr.Dataset(found, coords={"chain": np.arange(len(table)), "draw": np.arange(table.shape[1])})
