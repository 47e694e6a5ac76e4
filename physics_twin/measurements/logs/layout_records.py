"""Layouts as JSON, which a converted log carries along: how the numbers of its export were read stays known."""

import enum
import json
from dataclasses import asdict, fields
from typing import Any

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout, LongForm, QualityScheme, StampsAt, WideForm

__all__ = ["layout_from_text", "layout_text"]

_FORMS: dict[str, type[LongForm] | type[WideForm]] = {"long": LongForm, "wide": WideForm}
_ENUMS: dict[str, type[enum.Enum]] = {"stamps_at": StampsAt, "quality_scheme": QualityScheme}


def layout_text(layout: Layout) -> str:
    """Return a layout as JSON."""
    record: dict[str, Any] = {one.name: getattr(layout, one.name) for one in fields(layout)}
    for key in _ENUMS:
        record[key] = None if record[key] is None else record[key].value
    if layout.quality_words is not None:
        record["quality_words"] = {word: flag.name for word, flag in layout.quality_words.items()}
    form = layout.form
    if form is not None:
        kind = "long" if isinstance(form, LongForm) else "wide"
        record["form"] = {kind: {key: value if kind == "long" else dict(value) for key, value in asdict(form).items()}}
    return json.dumps({key: value for key, value in record.items() if value is not None}, sort_keys=True)


def layout_from_text(text: str, source: str) -> Layout:
    """Return the layout of `layout_text`; source: for the message. Raises DataError for anything else."""
    try:
        record = dict(json.loads(text))
        for key, kind in _ENUMS.items():
            if key in record:
                record[key] = kind(record[key])
        if "form" in record:
            ((kind_of_form, columns),) = record["form"].items()
            record["form"] = _FORMS[kind_of_form](**columns)
        if "quality_words" in record:
            record["quality_words"] = {word: Flag[name] for word, name in record["quality_words"].items()}
        for key in ("time", "column_names", "texts"):
            if isinstance(record.get(key), list):
                record[key] = tuple(record[key])
        return Layout(**record)
    except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
        raise DataError(
            f"{source}: the layout of its original cannot be read ({error}); was it written by another version of the "
            "library? Convert the export again"
        ) from None
