"""An inspection in words: a table for the terminal, Python source that reads the log, a tag table to edit."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from physics_twin.errors import UnitError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt, WideForm
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.relations.compression import CompressionKind
from physics_twin.units import unit as as_unit

if TYPE_CHECKING:
    from physics_twin.measurements.inspection.inspection import InspectedTag, Inspection

__all__ = ["describe", "mapping", "tag_table"]

WIDTH = 110
_NAME = 30
_SHOWN = 3
"""Gaps, flat stretches or states of a tag that are named; the others are counted."""
_PLAIN = {"°C": "degC", "°F": "degF", "%": "percent"}
"""Editors of old Windows machines spoil what is not ASCII."""
PLAIN_FIELDS = (
    "encoding", "separator", "decimal", "thousands", "skiprows", "header", "column_names", "sheet", "time",
    "stamp_format", "texts",
)  # fmt: skip
"""Fields of a layout whose values are texts, numbers or tuples of texts."""
_SEPARATORS = {"\t": "tab", " ": "blank"}


def describe(inspection: "Inspection") -> str:
    """Return the format, a table with a row for each tag, and below it what was found, in at most 110 characters."""
    lines = [*_head(inspection), "", *_table(inspection)]
    found = [(tag, _findings(inspection, tag)) for tag in inspection.tags.values()]
    if inspection.log.notes or any(notes for _, notes in found):
        lines += ["", "found:"]
    lines += _wrapped("  ", inspection.log.notes)
    for tag, notes in found:
        if notes:
            lines += [f"  {tag.tag}", *_wrapped("    ", notes)]
    return "\n".join(lines)


def _wrapped(indent: str, notes: "tuple[str, ...] | list[str]") -> list[str]:
    lines: list[str] = []
    for note in notes:
        lines += textwrap.wrap(
            note, WIDTH, initial_indent=f"{indent}- ", subsequent_indent=f"{indent}  ", break_on_hyphens=False
        )
    return lines


# The head --------------------------------------------------------------------------------------------------------


def _head(inspection: "Inspection") -> list[str]:
    log, layout = inspection.log, inspection.log.layout
    n_tags = len(inspection.tags)
    title = f"{log.source}: {log.n_rows} rows, {n_tags} tag{'s' if n_tags != 1 else ''}"
    ends = [s.times[[0, -1]] for s in log if s.n]
    if ends:
        low, high = min(float(e.min()) for e in ends), max(float(e.max()) for e in ends)
        title += f", {_when(inspection, low)} to {_when(inspection, high)} ({duration_text(high - low)})"
    lines = [title, *_wrapped_field("format", _format(layout)), *_wrapped_field("rows", _form(layout))]
    lines += _wrapped_field("time", _time(inspection))
    if not inspection.zone_known:
        ask = 'not in the file: declare it, layout=Layout(zone="Europe/Berlin") or --zone Europe/Berlin'
        lines += _wrapped_field("zone", ask + (f"; {inspection.zone_hint}" if inspection.zone_hint else ""))
    return lines


def _wrapped_field(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {name + ':':<8}", subsequent_indent=" " * 10, break_on_hyphens=False
    )


def _format(layout: Layout) -> str:
    parts = []
    if layout.encoding is not None:
        parts.append(layout.encoding)
    if layout.sheet is not None:
        parts.append(f'sheet "{layout.sheet}"')
    if layout.separator is not None:
        separator = _SEPARATORS.get(layout.separator, f'"{layout.separator}"')
        parts.append(f"separator {separator}")
    if layout.decimal is not None:
        parts.append(f'decimal sign "{layout.decimal}"')
    if layout.thousands:
        parts.append(f'thousands "{layout.thousands}"')
    if layout.skiprows:
        parts.append(f"{layout.skiprows} line{'s' if layout.skiprows > 1 else ''} before the header")
    heads = {0: "no header", 1: "one header line", 2: "a header line and a line of units"}
    if layout.header is not None:
        parts.append(heads[layout.header])
    return ", ".join(parts) or "a table"


def _form(layout: Layout) -> str:
    scheme = "not told by the codes, say quality_scheme="
    if layout.quality_scheme is not None:
        scheme = layout.quality_scheme.value
    if isinstance(layout.form, LongForm):
        quality = layout.form.quality or ""
        named = {"tag": layout.form.tag, "value": layout.form.value, "quality": quality, "unit": layout.form.unit or ""}
        words = {"quality": f" ({scheme})"}
        said = (f'{role} in "{column}"{words.get(role, "")}' for role, column in named.items() if column)
        return "one sample each: " + ", ".join(said)
    codes = layout.form.quality if isinstance(layout.form, WideForm) else {}
    if not codes:
        return "one column a tag"
    return f"one column a tag, {len(codes)} of them with a column of quality codes ({scheme})"


def _time(inspection: "Inspection") -> str:
    layout = inspection.log.layout
    columns = layout.time if isinstance(layout.time, tuple) else (layout.time,)
    text = "column " + " and ".join(f'"{name}"' for name in columns)
    if inspection.log.origin is None:
        return f"{text}, elapsed, in {layout.stamp_format}"
    text += f", stamps like {layout.stamp_format}"
    if layout.zone is not None:
        text += f", zone {layout.zone}"
    elif inspection.zone_known:
        text += ", with their offset from UTC"
    if layout.stamps_at is not StampsAt.INSTANT:
        text += f"; averages over {layout.period}, stamped at the {layout.stamps_at.value}"
    return text


def _when(inspection: "Inspection", seconds: float) -> str:
    at = inspection.moment(seconds)
    if at is None:
        return duration_text(seconds)
    return f"{at:%Y-%m-%d %H:%M:%S}"


# The table -------------------------------------------------------------------------------------------------------


def _table(inspection: "Inspection") -> list[str]:
    head = ["tag", "holds", "samples", "every", "low", "high", "step", "unit", "not good"]
    rows = [head, *(_row(tag) for tag in inspection.tags.values())]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip()[:WIDTH])
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _row(tag: "InspectedTag") -> list[str]:
    numeric = tag.low == tag.low
    every = "" if tag.period != tag.period else f"{'' if tag.regular else '~'}{duration_text(tag.period)}"
    shown = [f"{tag.low:.6g}", f"{tag.high:.6g}", f"{tag.resolution:g}" if tag.resolution else ""]
    unit = ""
    if tag.units:
        unit = tag.units[0].unit if tag.units[0].stated else f"{tag.units[0].unit} ?"
    not_good = [f"{tag.counts[flag]} {flag.words}" for flag in Flag if flag is not Flag.GOOD and tag.counts[flag]]
    return [
        _short(tag.tag, _NAME),
        tag.kind.value,
        str(tag.n),
        every,
        *(shown if numeric else ("", "", "")),
        _short(unit, 12),
        ", ".join(not_good),
    ]


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _findings(inspection: "Inspection", tag: "InspectedTag") -> list[str]:
    notes = list(tag.notes)
    if tag.states:
        shown = ", ".join(f'"{state}"' for state in tag.states[: 2 * _SHOWN])
        more = len(tag.states) - 2 * _SHOWN
        notes.append(f"{len(tag.states)} different texts: {shown}" + (f" and {more} more" if more > 0 else ""))
    if tag.units and not tag.units[0].stated:
        others = [one.unit for one in tag.units[1:]]
        first = tag.units[0]
        notes.append(f"perhaps in {' or '.join([first.unit, *others])}: {first.reason}")
    elif tag.units and "no unit" in tag.units[0].reason:
        notes.append(f'unit "{tag.units[0].unit}": {tag.units[0].reason}')
    if tag.outliers:
        n = len(tag.outliers)
        named = ", ".join(f"{value:.6g} at {_when(inspection, at)}" for at, value in tag.outliers[:_SHOWN])
        rest = f" and {n - _SHOWN} more" if n > _SHOWN else ""
        notes.append(f"{n} value{'' if n == 1 else 's'} far from all others: {named}{rest}")
    if tag.low == tag.high:
        notes.append(f"the same value throughout: {tag.low:g}")
    if tag.compression is not None and tag.compression.compressed:
        notes.append(tag.compression.words)
    notes += _stretches(inspection, [(a, b, "") for a, b in tag.gaps], "gap")
    unit = f" {tag.units[0].unit}" if tag.units and tag.units[0].stated else ""
    notes += _stretches(inspection, [(a, b, f" at {v:g}{unit}") for a, b, v in tag.flats], "flat stretch")
    return notes


def _stretches(inspection: "Inspection", found: list[tuple[float, float, str]], what: str) -> list[str]:
    """Name the longest stretches, and count the others."""
    if not found:
        return []
    longest = sorted(found, key=lambda s: s[0] - s[1])[:_SHOWN]
    named = [f"{_when(inspection, a)} for {duration_text(b - a)}{value}" for a, b, value in sorted(longest)]
    plural = "es" if what.endswith("ch") else "s"
    count = f"{len(found)} {what}{plural if len(found) > 1 else ''}"
    return [f"{count}{', the longest' if len(found) > _SHOWN else ''}: {'; '.join(named)}"]


# Source to paste -------------------------------------------------------------------------------------------------


def mapping(inspection: "Inspection") -> str:
    """Return Python source that reads the log, with the format written out."""
    layout = inspection.log.layout
    entries: list[tuple[str, str]] = []
    for key in PLAIN_FIELDS:
        value = getattr(layout, key)
        if value is not None and not (key == "thousands" and value == ""):
            entries.append((key, f"{_literal(value)},"))
    if not inspection.zone_known:
        entries.append(("zone", 'None,  # not in the file: say which, such as "Europe/Berlin" or "UTC"'))
    elif layout.zone is not None:
        entries.append(("zone", f"{_literal(layout.zone)},"))
    if layout.stamps_at is not StampsAt.INSTANT:
        entries += [("stamps_at", f"pt.StampsAt.{layout.stamps_at.name},"), ("period", f"{_literal(layout.period)},")]
    if isinstance(layout.form, LongForm):
        fields = {key: getattr(layout.form, key) for key in ("tag", "value", "quality", "unit")}
        said = ", ".join(f"{key}={_literal(value)}" for key, value in fields.items() if value is not None)
        entries.append(("form", f"pt.LongForm({said}),"))
    elif isinstance(layout.form, WideForm):
        codes = _literal(dict(layout.form.quality)) if layout.form.quality else ""
        entries.append(("form", f"pt.WideForm({codes}),"))
    if layout.quality_scheme is not None:
        entries.append(("quality_scheme", f"pt.QualityScheme.{layout.quality_scheme.name},"))
    if layout.quality_words:
        said = ", ".join(f"{_literal(word)}: pt.Flag.{flag.name}" for word, flag in layout.quality_words.items())
        entries.append(("quality_words", f"{{{said}}},"))
    body = [f"    {key}={source}" for key, source in entries]
    opened = f"log = pt.read_log({inspection.opened}, layout=layout)"
    return "\n".join(["import physics_twin as pt", "", "layout = pt.Layout(", *body, ")", opened]) + "\n"


def _literal(value: object) -> str:
    """Return Python source of a text, a number, or a tuple or mapping of texts, in double quotes."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n") + '"'
    if isinstance(value, tuple):
        return f"({', '.join(_literal(one) for one in value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def tag_table(inspection: "Inspection") -> str:
    """Return a tag table with an entry for each tag: known as values, guessed or missing as comments."""
    lines = [
        f"# Tags of {inspection.log.source}. What stands behind a # is a guess or a gap: fill in what you know.",
        '# A measured output of the model needs output = "its name" and noise = "0.5 K" (one standard deviation); a',
        '# recorded input needs input = "its name". A tag without either is read and goes to no model.',
    ]
    for tag in inspection.tags.values():
        lines += ["", f"[tags.{_literal(tag.tag)}]", *_tag_entries(tag)]
    return "\n".join(lines) + "\n"


def _tag_entries(tag: "InspectedTag") -> list[str]:
    if len(tag.states) > 2 * _SHOWN:
        by = f"batches=pt.ByTag({_literal(tag.tag)})"
        return [f"# {len(tag.states)} texts; if they name batches: {by}"]
    if tag.states:
        numbered = ", ".join(f"{_literal(state)} = {k}" for k, state in enumerate(tag.states[: 2 * _SHOWN]))
        return [f"# states = {{ {numbered} }}  # to use it as a number"]
    lines = []
    unit = tag.units[0] if tag.units else None
    if unit is not None and unit.stated and _readable_unit(unit.unit) and "no unit" not in unit.reason:
        lines.append(f"unit = {_literal(_PLAIN.get(unit.unit, unit.unit))}  # {unit.reason}")
    elif unit is not None:
        lines.append(f"# unit = {_literal(unit.unit)}  # {unit.reason}")
    else:
        lines.append('# unit = ""')
    lines += ['# output = ""', '# noise = ""']
    if tag.compression is not None and tag.compression.kind is CompressionKind.EXCEPTION:
        lines.append('# rule = "hold"  # as an input: it seems that only changes are kept')
    if tag.low == tag.low:
        lines.append(f"# range = [{tag.low:g}, {tag.high:g}]  # as seen; say what the sensor can show")
    if tag.compression is not None and tag.compression.compressed and tag.compression.deadband is not None:
        lines.append(f"# deadband = {tag.compression.deadband:.2g}  # {tag.compression.kind.value}, as it seems")
    if 0.0 < tag.resolution < 1.0:
        lines.append(f"resolution = {tag.resolution:g}  # as printed")
    elif tag.resolution >= 1.0:  # a switch or a set point of round numbers has no resolution
        lines.append(f"# resolution = {tag.resolution:g}  # the smallest step seen")
    return lines


def _readable_unit(text: str) -> bool:
    try:
        as_unit(text)
    except UnitError:
        return False
    return True
