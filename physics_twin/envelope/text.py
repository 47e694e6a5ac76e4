"""An envelope as text and as HTML, in declared units, for people."""

import html
from collections.abc import Sequence

from physics_twin.envelope.allowed import claim
from physics_twin.envelope.envelope import Envelope
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
    return f"Operating envelope: {stated} at every point of the box (confidence {envelope.confidence:g})"


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
            values = (low, high, envelope.set_point[name])
            rows.append([name, *(format_si(x, unit) for x in values), *envelope.binding[name]])
    return rows


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
        share, lower = 1.0 - certificate.violations[:, g].max() / n, certificate.lower_bounds[:, g].min()
        whose = "" if len(certificate.groups) == 1 else f" {group.name}"
        found.append(f"{whose} {share:.4g} of {n} held-out draws, that is at least {lower:.4g}".strip())
    return (
        f"worst point found: {'; '.join(found)} with confidence {envelope.confidence:g}; average over the box "
        f"{envelope.average:.4g} (information only)"
    )


def certificate_text(envelope: Envelope) -> str:
    """How it was certified, in one line."""
    c = envelope.certificate
    draws = f"{c.n_search} draws for the search, {c.n_certification} held out"
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
    lines += ["", *aligned(box_table(envelope)), ""]
    if not envelope.empty:
        lines += [probability_text(envelope), ""]
    lines += [f"at the {where} ({at}):", *aligned(margin_table(envelope)), ""]
    if envelope.objectives:
        lines += [*(f"  {found}" for found in envelope.objectives.values()), ""]
    lines += ["the probability includes:", *(f"  - {item}" for item in envelope.includes)]
    if envelope.warnings:
        lines += ["warnings:", *(f"  ! {item}" for item in envelope.warnings)]
    lines.append(f"certificate: {certificate_text(envelope)}")
    return "\n".join(lines)


def as_html(envelope: Envelope) -> str:
    """The envelope as a piece of HTML."""
    parts = [f"<p><b>{html.escape(headline(envelope))}</b></p>", _html_table(box_table(envelope))]
    parts.append(f"<p>{html.escape(probability_text(envelope))}</p>")
    parts.append(_html_table(margin_table(envelope)))
    parts += [f"<p>{html.escape(str(found))}</p>" for found in envelope.objectives.values()]
    for title, items in (("The probability includes", envelope.includes), ("Warnings", envelope.warnings)):
        if items:
            parts.append(f"<p>{title}:</p><ul>" + "".join(f"<li>{html.escape(i)}</li>" for i in items) + "</ul>")
    parts.append(f"<p><small>Certificate: {html.escape(certificate_text(envelope))}</small></p>")
    return "".join(parts)


def aligned(table: Table) -> list[str]:
    """Lines of a table, its columns under one another."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]


def _html_table(table: Table) -> str:
    def line(row: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"

    return "<table>" + line(table[0], "th") + "".join(line(row, "td") for row in table[1:]) + "</table>"
