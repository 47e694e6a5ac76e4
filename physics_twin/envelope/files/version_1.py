"""Envelopes of format version 1, which knew neither their question nor groups of limits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.files.records import IS

POINTS, VIOLATIONS, BOUNDS = "certified_settings", "certified_violations", "certified_lower_bounds"


def migrated(record: Mapping[str, Any], root: xr.Dataset) -> tuple[dict[str, Any], xr.Dataset, dict[str, Array]]:
    """Record, root and arrays as version 2 has them; what version 1 did not hold is left out."""
    arrays = {
        "certificate.points": np.asarray(root[POINTS].values, dtype=float),
        "certificate.violations": np.asarray(root[VIOLATIONS].values, dtype=np.int64)[:, None],
        "certificate.lower_bounds": np.asarray(root[BOUNDS].values, dtype=float)[:, None],
    }
    found = {name: _numbers(one) for name, one in record.items() if name != "attempts"}
    found["settings"] = [{IS: "Setting", **one} for one in found["settings"]]
    found["margins"] = [_margin(one, record["required"]) for one in found["margins"]]
    found["failures"] = [{IS: "FailedRun", **one} for one in found["failures"]]
    found["certificate"] = {
        IS: "Certificate",
        **{name: one for name, one in found["certificate"].items() if name != "probability"},
        "groups": [_all_limits(len(record["margins"]), record["certificate"]["probability"])],
        "attempts": [_attempt(one) for one in record["attempts"]],
        **{name.partition(".")[2]: {IS: "array", "name": name} for name in arrays},
    }
    return found, root.drop_vars([POINTS, VIOLATIONS, BOUNDS]), arrays


def _all_limits(n: int, probability: float) -> dict[str, Any]:
    """The one group that there was: all limits jointly."""
    return {IS: "Group", "columns": list(range(n)), "probability": probability, "name": "all limits"}


def _attempt(record: Mapping[str, Any]) -> dict[str, Any]:
    by_group = {name: [record[name]] for name in ("allowed", "violations")}
    return {IS: "Attempt", **_numbers(record), **by_group}


def _margin(record: Mapping[str, Any], required: float) -> dict[str, Any]:
    kept = {name: one for name, one in record.items() if name != "si_unit"}
    return {IS: "Margin", **kept, "required": required, "unit": {IS: "Unit", "text": record["unit"]}}


def _numbers(x: Any) -> Any:
    """Version 1 wrote numbers that JSON does not have as text ("-inf")."""
    if isinstance(x, Mapping):
        return {str(name): _numbers(one) for name, one in x.items()}
    if isinstance(x, list):
        return [_numbers(one) for one in x]
    return {IS: "float", "text": x} if x in ("inf", "-inf", "nan") else x
