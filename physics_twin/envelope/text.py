"""An envelope as text and as HTML, in declared units, for people."""

import html
from collections.abc import Sequence

import xarray as xr

from physics_twin.envelope.certificate.pulled_in import pulled_in_text
from physics_twin.envelope.digits import inward, share_text
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.limits.allowed import claim
from physics_twin.units import format_si

Table = Sequence[Sequence[str]]
"""Rows of cells, the first row is the heading."""


def headline(envelope: Envelope) -> str:
    """One line that says what the envelope claims."""
    if envelope.empty:
        return "Operating envelope: empty"
    stated = f"every limit is met with probability {envelope.required:g} or more"
    if any(margin.required != envelope.required for margin in envelope.margins):
        stated = claim(envelope.certificate.groups)
    kind = "box" if envelope.polytope is None else "polytope"
    return f"Operating envelope: {stated} at every point of the {kind} (confidence {envelope.confidence:g})"


def box_table(envelope: Envelope) -> Table:
    """Setting, range, set point, and what ends each side."""
    rows = [["setting", "from", "to", "set point", "lower side ended by", "upper side ended by"]]
    for setting in envelope.settings:
        name, unit = setting.name, setting.unit
        if envelope.empty:
            rows.append(
                [name, *(format_si(x, unit) for x in setting.bounds), "none", "searched range", "searched range"]
            )
        else:
            low, high = envelope.box[name]
            point = format_si(envelope.set_point[name], unit)
            rows.append([name, *inward(low, high, unit), point, *envelope.binding[name]])
    return rows


def polytope_lines(envelope: Envelope) -> list[str]:
    """Sides of the polytope in words, and how much of the region it holds; nothing without one."""
    polytope = envelope.polytope
    if polytope is None:
        return []
    held = (
        f"it holds {100.0 * polytope.coverage:.3g} % of the region as predicted, the largest box alone "
        f"{100.0 * polytope.box_coverage:.3g} %"
    )
    return ["operating polytope, all of:", *(f"  {line}" for line in polytope.lines), held]


def range_table(envelope: Envelope) -> Table:
    """Acceptable range of each setting alone and normal operating range; only the heading where there is neither."""
    rows = [["setting", "acceptable from", "to", "ended by", "met at its ends by", "normal operating range"]]
    for s in envelope.settings:
        if s.name not in envelope.acceptable and s.name not in envelope.operating:
            continue
        cells = ["", "", "", ""]
        if s.name in envelope.acceptable:
            found = envelope.acceptable[s.name]
            shares = (
                f"{100 * p:.4g} % (at least {100 * least:.4g} %)"
                for p, least in zip(found.probability, found.probability_lower, strict=True)
            )
            cells = [*inward(found.low, found.high, s.unit), " and ".join(found.ends), " and ".join(shares)]
        normal = ""
        if s.name in envelope.operating:
            normal = " to ".join(format_si(x, s.unit) for x in envelope.operating[s.name])
        rows.append([s.name, *cells, normal])
    return rows


RANGES = (
    "one setting at a time, the others at the set point (no part of the certificate; draws of the search count too)"
)
"""What stands above the acceptable ranges."""


def margin_table(envelope: Envelope) -> Table:
    """Limit, margins and probability at the set point."""
    own = any(margin.required != envelope.required for margin in envelope.margins)
    kept = "kept with the probability required" if own else f"kept with probability {envelope.required:g}"
    rows = [["limit", "expected margin", kept, "met by", *(["required"] if own else [])]]
    for margin in envelope.margins:
        shown = (format_si(x, margin.unit, 3, difference=True) for x in (margin.expected, margin.assured))
        required = [f"{100 * margin.required:.4g} %"] if own else []
        rows.append([margin.limit, *shown, f"{100 * margin.probability:.4g} % of draws", *required])
    return rows


def probability_text(envelope: Envelope) -> str:
    """What the held-out draws showed."""
    certificate = envelope.certificate
    if envelope.empty:
        return envelope.message
    n = certificate.n_certification
    found = []
    for g, group in enumerate(certificate.groups):
        broken, lower = int(certificate.violations[:, g].max()), float(certificate.lower_bounds[:, g].min())
        found.append(
            f"{group.name} met by {n - broken} of {n} held-out draws ({share_text((n - broken) / n)}), that is with "
            f"probability {share_text(lower)} at least"
        )
    return (
        f"worst point found: {'; '.join(found)} (confidence {envelope.confidence:g}); average over the box "
        f"{share_text(envelope.average)} (information only)"
    )


def _pulled_in(envelope: Envelope) -> list[str]:
    """What was lost to a first attempt that failed, where there was one."""
    kind = "box" if envelope.polytope is None else "polytope (of which the largest box is compared)"
    return list(filter(None, [pulled_in_text(envelope.certificate, kind)]))


def certificate_text(envelope: Envelope) -> str:
    """How it was certified, in one line."""
    c = envelope.certificate
    draws = c.draws_text
    if c.n_effective < c.n_certification:
        draws += f" (worth {c.n_effective:.0f} independent ones)"
    tries = f"{len(c.attempts)} attempt{'' if len(c.attempts) == 1 else 's'}"
    return (
        f"{draws}; {len(c.points)} points, {tries}, {c.n_simulations} simulations; seed {c.seed}; model {c.model} "
        f"(fingerprint {c.fingerprint[:12]}), posterior {c.posterior}, physics_twin {c.library}"
    )


def as_text(envelope: Envelope) -> str:
    """The envelope as plain text."""
    where = "set point" if not envelope.empty else "closest settings"
    at = ", ".join(f"{s.name} = {format_si(envelope.margins_at[s.name], s.unit)}" for s in envelope.settings)
    lines = [headline(envelope)]
    if envelope.empty:
        lines += ["", envelope.message]
    if envelope.polytope is not None:
        lines += ["", *polytope_lines(envelope), "", "largest box in it (the set point is that of the polytope):"]
    else:
        lines.append("")
    lines += [*aligned(box_table(envelope)), ""]
    if not envelope.empty:
        lines += [probability_text(envelope), *_pulled_in(envelope), ""]
    lines += [f"at the {where} ({at}):", *aligned(margin_table(envelope)), ""]
    ranges = range_table(envelope)
    if len(ranges) > 1:
        lines += [f"{RANGES}:", *aligned(ranges), ""]
    if envelope.objectives:
        lines += [*(f"  {found}" for found in envelope.objectives.values()), ""]
    if envelope.front is not None:
        lines += [front_text(envelope.front), ""]
    lines += ["the probability includes:", *(f"  - {item}" for item in envelope.includes)]
    if envelope.warnings:
        lines += ["warnings:", *(f"  ! {item}" for item in envelope.warnings)]
    lines.append(f"certificate: {certificate_text(envelope)}")
    return "\n".join(lines)


def as_html(envelope: Envelope) -> str:
    """The envelope as a piece of HTML."""
    parts = [f"<p><b>{html.escape(headline(envelope))}</b></p>"]
    if envelope.polytope is not None:
        parts.append("<p>" + "<br>".join(html.escape(line) for line in polytope_lines(envelope)) + "</p>")
        parts.append("<p>Largest box in it:</p>")
    parts.append(_html_table(box_table(envelope)))
    parts += [f"<p>{html.escape(text)}</p>" for text in (probability_text(envelope), *_pulled_in(envelope))]
    parts.append(_html_table(margin_table(envelope)))
    ranges = range_table(envelope)
    if len(ranges) > 1:
        parts += [f"<p>{html.escape(RANGES)}:</p>", _html_table(ranges)]
    parts += [f"<p>{html.escape(str(found))}</p>" for found in envelope.objectives.values()]
    if envelope.front is not None:
        parts.append(f"<p>{html.escape(front_text(envelope.front))}</p>")
    for title, items in (("The probability includes", envelope.includes), ("Warnings", envelope.warnings)):
        if items:
            parts.append(f"<p>{title}:</p><ul>" + "".join(f"<li>{html.escape(i)}</li>" for i in items) + "</ul>")
    parts.append(f"<p><small>Certificate: {html.escape(certificate_text(envelope))}</small></p>")
    return "".join(parts)


def front_text(front: xr.Dataset) -> str:
    """How many points the Pareto front has."""
    n = front.sizes["point"]
    return f"Pareto front of {n} points between the objectives: .front"


def aligned(table: Table) -> list[str]:
    """Lines of a table, its columns under one another."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]


def _html_table(table: Table) -> str:
    def line(row: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"

    return "<table>" + line(table[0], "th") + "".join(line(row, "td") for row in table[1:]) + "</table>"
