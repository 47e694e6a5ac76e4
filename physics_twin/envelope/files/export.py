"""Envelopes for other systems: JSON and CSV with the ranges, what they claim, what they rest on and until when.

Numbers are in the declared units, the unit beside each; what does not exist is null or an empty cell. Ranges that are
claimed (certified, acceptable, normal operating) are rounded into the range, as they are printed, so that nothing that
leaves is wider than what a person has read and signed; set points have the decimals of their range, all other numbers
12 digits. The files are for reading: `Envelope.save` keeps everything, to the last bit. The form of the JSON is in
envelope_export.schema.json.
"""

import csv
import datetime as dt
import io
import json
import math
import os
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from physics_twin.envelope.digits import clean, rounded_inward
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.files.records import identity
from physics_twin.envelope.text import headline
from physics_twin.errors import EnvelopeError
from physics_twin.files import atomic_write
from physics_twin.signals import Setting
from physics_twin.units import Unit
from physics_twin.validity import Mark

FORMAT, VERSION = "physics_twin envelope export", 1
NO_EXPIRY = "no expiry date was given"
RANGE_OF_DATA, DOMAIN = "range of the data", "model's domain of validity"

type Expiry = str | dt.date | None


def schema() -> dict[str, Any]:
    """The JSON schema of what `to_json` writes."""
    text = files("physics_twin.envelope.files").joinpath("envelope_export.schema.json").read_text(encoding="utf8")
    found: dict[str, Any] = json.loads(text)
    return found


def certificate_hash(envelope: Envelope) -> str:
    """SHA-256 of what an envelope claims and of its certificate; any change of either is another hash."""
    claim = (envelope.box, envelope.set_point, envelope.binding, envelope.confidence, envelope.probability_lower)
    return identity((claim, envelope.certificate, envelope.polytope))


def export_record(envelope: Envelope, expires: Expiry = None) -> dict[str, Any]:
    """What `to_json` writes; raises EnvelopeError for an expiry that is no date, or over."""
    c = envelope.certificate
    groups = [
        {
            "name": group.name,
            "limits": [envelope.margins[j].limit for j in group.columns],
            "required": group.probability,
            "observed": _number(1.0 - float(c.violations[:, g].max()) / c.n_certification),
            "lower_bound": 0.0 if envelope.empty else _number(float(c.lower_bounds[:, g].min())),
        }
        for g, group in enumerate(c.groups)
        if len(c.violations)
    ]
    until = _date(expires)
    return {
        "format": FORMAT,
        "version": VERSION,
        "claim": headline(envelope),
        "empty": envelope.empty,
        "message": envelope.message,
        "settings": [_setting(envelope, setting) for setting in envelope.settings],
        "polytope": None if envelope.polytope is None else _polytope(envelope.polytope),
        "limits": [_limit(margin) for margin in envelope.margins],
        "probability": {
            "required": envelope.required,
            "observed": _number(envelope.probability),
            "lower_bound": _number(envelope.probability_lower),
            "confidence": envelope.confidence,
            "groups": groups,
        },
        "includes": list(envelope.includes),
        "warnings": list(envelope.warnings),
        "marks": [_mark(mark) for mark in envelope.marks],
        "expires": until,
        "expiry_note": NO_EXPIRY if until is None else f"not to be used after {until}",
        "certificate": {
            "hash": certificate_hash(envelope),
            "passed": c.passed,
            "draws_searched": c.n_search,
            "draws_held_out": c.n_certification,
            "draws_effective": c.n_effective,
            "points": len(c.points),
            "attempts": len(c.attempts),
            "simulations": c.n_simulations,
            "seed": c.seed,
            "model": c.model,
            "model_fingerprint": c.fingerprint,
            "posterior": c.posterior,
            "recipe": c.recipe,
            "library": c.library,
            "code": c.code,
        },
    }


def write_json(envelope: Envelope, path: str | os.PathLike[str], expires: Expiry = None) -> None:
    """Write the JSON, whole or not at all."""
    text = json.dumps(export_record(envelope, expires), indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf8")


def write_csv(envelope: Envelope, path: str | os.PathLike[str], expires: Expiry = None) -> None:
    """Write one row a setting, whole or not at all; what holds for the envelope stands in every row."""
    record = export_record(envelope, expires)
    odds = record["probability"]
    shared = {
        **{f"{name}_probability": odds[name] for name in ("required", "observed", "lower_bound")},
        "confidence": odds["confidence"],
        "expires": record["expires"] or NO_EXPIRY,
        "warnings": " | ".join(record["warnings"]),
        "certificate": record["certificate"]["hash"],
    }
    rows = [_row(setting) | shared for setting in record["settings"]]
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, list(rows[0]))
    table.writeheader()
    table.writerows([{name: "" if x is None else x for name, x in row.items()} for row in rows])
    with atomic_write(path) as temporary:
        # The mark at the beginning tells spreadsheets that the text is UTF-8: "µm" stays what it is.
        temporary.write_bytes(out.getvalue().encode("utf-8-sig"))


def _row(setting: Mapping[str, Any]) -> dict[str, Any]:
    pairs = ("acceptable", "operating", "data", "model", "searched")
    ends = {f"{what}_{end}": (setting[what] or {}).get(end) for what in pairs for end in ("low", "high")}
    below, above = setting["ended_by"] or (None, None)
    plain = {name: setting[name] for name in ("unit", "low", "high", "set_point")}
    return {"setting": setting["name"], **plain, "low_ended_by": below, "high_ended_by": above, **ends}


def _setting(envelope: Envelope, setting: Setting) -> dict[str, Any]:
    name, unit = setting.name, setting.unit
    box, point = (shown.get(name) for shown in envelope.in_units().values())
    own = envelope.acceptable.get(name)
    return {
        "name": name,
        "unit": unit.text,
        "description": setting.description,
        "low": None if box is None else box[0],
        "high": None if box is None else box[1],
        "set_point": None if point is None else point[0],
        "ended_by": list(envelope.binding[name]) if name in envelope.binding else None,
        "searched": _range(setting.bounds, unit),
        "acceptable": None if own is None else _claimed((own.low, own.high), unit),
        "operating": _claimed(envelope.operating.get(name), unit),
        "data": _range(envelope.known_ranges.get(RANGE_OF_DATA, {}).get(name), unit),
        "model": _range(envelope.known_ranges.get(DOMAIN, {}).get(name), unit),
    }


def _polytope(polytope: Any) -> dict[str, Any]:
    """Sides sum(coefficient * setting) <= level and vertices, for settings in their declared units."""
    settings = polytope.settings
    factor = np.array([s.unit.from_si(1.0, difference=True) for s in settings]) ** -1.0
    offset = np.array([s.unit.to_si(0.0) for s in settings])
    names = [s.name for s in settings]
    sides = [
        {
            "coefficients": {name: clean(x) for name, x in zip(names, (row * factor).tolist(), strict=True)},
            "level": clean(float(level - row @ offset)),
            "ended_by": end,
        }
        for row, level, end in zip(polytope.sides, polytope.levels, polytope.binding, strict=True)
    ]
    vertices = [
        {s.name: clean(float(s.unit.from_si(x))) for s, x in zip(settings, row, strict=True)}
        for row in polytope.vertices
    ]
    return {"units": {s.name: s.unit.text for s in settings}, "sides": sides, "vertices": vertices}


def _limit(margin: Any) -> dict[str, Any]:
    unit = margin.unit
    return {
        "name": margin.limit,
        "output": margin.output,
        "unit": unit.text,
        "level": _shown(margin.level, unit),
        "margin_unit": unit.difference().text,
        "expected_margin": _shown(margin.expected, unit, difference=True),
        "assured_margin": _shown(margin.assured, unit, difference=True),
        "probability": _number(margin.probability),
        "required": _number(margin.required),
    }


def _mark(mark: Mark) -> dict[str, Any]:
    unit = mark.unit
    ends = {"low": mark.low, "high": mark.high, "known_low": mark.known_low, "known_high": mark.known_high}
    shown = {name: None if x is None or unit is None else _shown(x, unit) for name, x in ends.items()}
    about = {"kind": mark.kind, "name": mark.name, "source": mark.source, "text": mark.text}
    return {**about, "unit": None if unit is None else unit.text, **shown}


def _range(ends: tuple[float, float] | None, unit: Unit) -> dict[str, Any] | None:
    return None if ends is None else {"low": _shown(ends[0], unit), "high": _shown(ends[1], unit), "unit": unit.text}


def _claimed(ends: tuple[float, float] | None, unit: Unit) -> dict[str, Any] | None:
    """A range that the envelope claims: rounded into it."""
    if ends is None:
        return None
    low, high = rounded_inward(*ends, unit)
    return {"low": low, "high": high, "unit": unit.text}


def _shown(x: float, unit: Unit, *, difference: bool = False) -> float | None:
    shown = _number(float(unit.from_si(x, difference=difference)))
    return None if shown is None else clean(shown)


def _number(x: float) -> float | None:
    """JSON has no word for what is not finite."""
    return float(x) if math.isfinite(x) else None


def _date(expires: Expiry) -> str | None:
    """The last day of use, none that is over: such a file would have expired as it was written."""
    if expires is None:
        return None
    if isinstance(expires, str):
        try:
            last = dt.date.fromisoformat(expires)
        except ValueError:
            raise EnvelopeError(
                f'expires = "{expires}" is no date; write year, month and day, such as "2031-06-30"'
            ) from None
    elif isinstance(expires, dt.date):
        last = expires.date() if isinstance(expires, dt.datetime) else expires
    else:
        raise EnvelopeError(f"expires = {expires!r}: give a date, or year, month and day as text")
    today = dt.datetime.now(dt.UTC).date()
    if last < today:
        raise EnvelopeError(
            f"expires = {last}: that day is over (today is {today}, UTC); give the last day on which the ranges may "
            "be used"
        )
    return last.isoformat()
