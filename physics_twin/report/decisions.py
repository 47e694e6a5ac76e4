"""Chapters that a decision rests on: dependent channels, the hold-out, the operating envelope."""

from collections.abc import Mapping, Sequence

import numpy as np

from physics_twin.envelope import Envelope
from physics_twin.envelope.certificate.pulled_in import pulled_in_text
from physics_twin.envelope.history.history import History, PastBatch
from physics_twin.envelope.history.history_tables import SPREAD, at_different_settings, capability_table
from physics_twin.envelope.history.measured_limits import UNDER_A_FAULT
from physics_twin.envelope.text import RANGES, polytope_lines, range_table
from physics_twin.estimation import HoldOut
from physics_twin.report import figures
from physics_twin.report.content import Content
from physics_twin.report.evidence import parameter_table, sums_of_squares
from physics_twin.report.numerals import count, inward, listed, numeral, percent, quantity, signs
from physics_twin.report.page import (
    Html,
    Numbering,
    Picture,
    Section,
    bullets,
    flag,
    joined,
    note,
    paragraph,
    table,
    tag,
)
from physics_twin.report.slices import slices


def dependent(content: Content, number: Numbering) -> Section:
    """Return what the library found about dependent channels, and the fits with and without them side by side."""
    found = content.dependent
    parts: list[Html] = []
    if found is not None and found.dependencies:
        words = (
            "These channels are tied to one another by exact relations: some were computed from others, or the rows "
            "were made to add up. A fit that counts every channel as a measurement of its own uses the same facts "
            "twice, which shifts the parameters and makes their intervals too narrow."
        )
        if found.leave_out:
            words += f" Left out: {listed(found.leave_out)}; the others then are independent."
        parts.append(note(paragraph(words), bullets(signs(d.text) for d in found.dependencies)))
        parts.append(_eigenvalues(found.eigenvalues))
    elif found is not None:
        parts.append(note(paragraph(str(found)), kind="good"))
    if len(content.fits) > 1:
        parts.append(tag("h3", "The fits side by side"))
        caption = "Mode and 95 % interval of each parameter in each fit."
        parts.append(number(Picture.of(figures.beside(content.fits), caption, "intervals of the parameters by fit")))
        rows = []
        for name, p in content.fits.items():
            n = sum(c.n_samples for c in p.channels)
            rows.append([name, str(n), sums_of_squares(p), "converged" if p.converged else "did not converge"])
        parts.append(table(["fit", "samples", "sum of squares", ""], rows, numbers=(1, 2)))
        for name, p in content.alternatives:
            parts += [tag("h3", f"Parameters, {name}"), parameter_table(p)]
    return Section("dependent", "Channels that are not independent", joined(parts))


def _eigenvalues(eigenvalues: Mapping[tuple[str, ...], tuple[float, ...]]) -> Html:
    lines = []
    for group, values in eigenvalues.items():
        shown = [numeral(v, 3) for v in values]
        lines.append(joined([f"{listed(list(group))}: ", joined(shown, ", ")]))
    if not lines:
        return Html("")
    return joined(
        [
            paragraph(
                "Variances along the principal axes of the data, in units of what rounding alone explains; values of a "
                "few mean that nothing but rounding is left in that direction (Box et al., Technometrics 1973):",
                css="small",
            ),
            bullets(lines, css="small"),
        ]
    )


def holdout(content: Content, number: Numbering) -> Section:
    """Return the check on samples held back."""
    parts: list[Html] = []
    for name, check in content.holdouts:
        if len(content.holdouts) > 1:
            parts.append(tag("h3", name[:1].upper() + name[1:]))
        parts += _check(check, number)
    return Section("holdout", "Check on samples held back", joined(parts))


def _check(check: HoldOut, number: Numbering) -> list[Html]:
    kind = "bad" if not check.passed else "doubt" if check.outside else "good"
    verdict = flag("check passed" if check.passed else "check failed", kind)
    sentence = check.sentence[:1].upper() + check.sentence[1:]
    parts = [note(paragraph(verdict), paragraph(f"{sentence}."), kind=kind)]
    caption = (
        "Fitted to the samples left of the dashed line; the band is what a sensor would show next. Crosses are "
        "held-back samples outside the band."
    )
    parts.append(number(Picture.of(check.plot(), caption, "held-back samples over the predicted band")))
    rows = []
    for c in check.channels:
        unit = c.channel.unit
        far = float(c.z[int(np.argmax(np.abs(c.z)))])
        mark = flag("too many outside", "bad") if c.strays else flag("as claimed", "good")
        rows.append([c.channel.output, c.experiment, f"{int(c.inside.sum())} of {c.times.size}", _signed(far), mark])
        worst = int(np.argmax(np.abs(c.z)))
        rows[-1][3:3] = [
            quantity(float(c.observed[worst]), unit),
            joined([quantity(float(c.low[worst]), unit), " to ", quantity(float(c.high[worst]), unit)]),
        ]
    head = ["quantity", "experiment", "inside", "farthest sample", "its 95 % band", "standard deviations off", ""]
    return [*parts, table(head, rows, numbers=(2, 3, 4, 5))]


def _signed(x: float) -> str:
    return f"{x:+.1f}".replace("-", "−")


def envelope(content: Content, number: Numbering) -> Section:
    """Return the operating envelope: picture, box, set point, probability, what limits it and what weakens it."""
    e = content.envelope
    if e is None:
        return Section("envelope", "Operating envelope", Html(""))
    behind = content.behind_envelope
    rests = "a posterior that is not in this report" if behind is None else f'the fit "{behind[0]}"'
    parts: list[Html] = []
    if e.warnings:
        parts.append(note(paragraph(flag("read before use", "doubt")), bullets(map(signs, e.warnings))))
    for name, check in content.holdouts:
        told = any(check.sentence in warning for warning in e.warnings)
        if not told and (len(content.holdouts) == 1 or (behind is not None and name == behind[0])):
            kind = "bad" if not check.passed else "doubt" if check.outside else "good"
            parts.append(note(paragraph(tag("b", "Check on samples held back: "), f"{check.sentence}."), kind=kind))
    message = e.message[:1].upper() + e.message[1:]
    parts += [paragraph(f"{signs(message)}."), paragraph(f"It rests on the draws of {rests}.")]
    caption = "Probability that every limit is met, the operating box and the recommended set point."
    if content.history is not None:
        caption += " Past batches are drawn where they ran."
    drawn = e.plot(history=content.history)
    parts.append(number(Picture.of(drawn, caption, "map of the probability over the settings, with the box")))
    parts.append(slices(e, content.history))
    if e.polytope is not None:
        parts.append(paragraph("The largest box in the operating polytope; the set point is that of the polytope:"))
    kind = "box" if e.polytope is None else "polytope (of which the largest box is compared)"
    pulled_in = pulled_in_text(e.certificate, kind)
    parts += [_box_table(e), _more_ranges(e), _probability(e), _margins(e)]
    parts += [paragraph(f"{pulled_in[:1].upper()}{pulled_in[1:]}.")] if pulled_in else []
    parts.append(bullets(signs(str(value)) for value in e.objectives.values()))
    if content.history is not None:
        parts += _past(content.history)
    parts += [tag("h3", "What the probability includes"), bullets(map(signs, e.includes))]
    parts.append(paragraph("Whatever is not in this list is not in the probability.", css="small"))
    if e.failures:
        failed = f"{count(len(e.failures), 'simulation')} failed and counted as violations; the first: "
        parts.append(note(paragraph(failed + e.failures[0].reason)))
    return Section("envelope", "Operating envelope", joined(parts))


def _past(history: History) -> list[Html]:
    """Past batches: counts, what they say of the certificate, capability, and those that failed or were not judged."""
    shares = [
        ("Failures inside", history.failures_inside),
        ("Passes outside", history.passes_outside),
    ]
    rows = [[words, str(s.k), str(s.n), joined([percent(s.low), " to ", percent(s.high)])] for words, s in shares]
    kind = "good" if history.compatible else "bad"
    verdict = flag("fits the certificate" if history.compatible else "contradicts the certificate", kind)
    if all(v.failures.n == 0 for v in history.verdicts):
        kind, verdict = "plain", flag("no judged batch inside", "doubt")
    head = ["", "batches", "of those judged", f"share ({percent(history.confidence)} interval)"]
    return [
        tag("h3", f"{count(len(history.batches), 'past batch', 'past batches')}"),
        note(paragraph(verdict), bullets(signs(str(v)) for v in history.verdicts), kind=kind),
        *(paragraph(signs(f"Left out: {limit}; {UNDER_A_FAULT}."), css="small") for limit in history.not_shown),
        table(head, rows, numbers=(1, 2, 3)),
        table(*_with_head(capability_table(history)), numbers=(2, 3), caption=CAPABILITY),
        *([paragraph(f"{SPREAD.capitalize()}.", css="small")] if at_different_settings(history) else []),
        _listed([b for b in history.batches if b.why]),
    ]


def _with_head(rows: Sequence[Sequence[str]]) -> tuple[list[object], list[list[object]]]:
    head, *body = ([signs(cell) for cell in row] for row in rows)
    return list(head), [list(row) for row in body]


def _listed(batches: Sequence[PastBatch]) -> Html:
    if not batches:
        return Html("")
    title = f"{count(len(batches), 'batch', 'batches')} failed, not judged in full, or with unknown settings"
    rows = [[b.name, b.outcome.value, signs(b.why)] for b in batches]
    return tag("details", tag("summary", title), table(["batch", "outcome", "why"], rows))


CAPABILITY = "Capability with the overall standard deviation (Ppk, often called Cpk), and its interval"


def _box_table(e: Envelope) -> Html:
    rows: list[list[object]] = []
    for s in e.settings:
        searched = joined([quantity(s.bounds[0], s.unit), " to ", quantity(s.bounds[1], s.unit)])
        if e.empty:
            rows.append([s.name, "none", "none", "none", "", "", searched])
            continue
        low, high = e.box[s.name]
        ends = map(signs, e.binding[s.name])
        rows.append(
            [
                s.name,
                *inward(low, high, s.unit),
                quantity(e.set_point[s.name], s.unit, 4),
                *ends,
                searched,
            ]
        )
    head = ["setting", "from", "to", "set point", "lower side ended by", "upper side ended by", "searched"]
    return table(head, rows, numbers=(1, 2, 3))


def _more_ranges(e: Envelope) -> Html:
    """The polytope, and the ranges of single settings; nothing where there are none."""
    parts: list[Html] = []
    if e.polytope is not None:
        title, *sides, held = polytope_lines(e)
        parts += [paragraph(signs(f"{title[:1].upper()}{title[1:]}")), bullets(signs(x) for x in sides)]
        parts.append(paragraph(signs(f"{held[:1].upper()}{held[1:]}."), css="small"))
    ranges = range_table(e)
    if len(ranges) > 1:
        head, rows = _with_head(ranges)
        parts.append(table(head, rows, caption=f"{RANGES[:1].upper()}{RANGES[1:]}"))
    return joined(parts)


def _probability(e: Envelope) -> Html:
    c = e.certificate
    if e.empty:
        return paragraph(f"Best probability found anywhere: {percent(e.probability)}; required: {percent(e.required)}.")
    if len(c.groups) > 1:
        lower, worst = c.lower_bounds.min(axis=0), 1.0 - c.violations.max(axis=0) / c.n_certification
        rows = [
            [signs(g.name), percent(g.probability), percent(float(p)), percent(float(low))]
            for g, p, low in zip(c.groups, worst, lower, strict=True)
        ]
        head = ["limits", "required", "found at the worst point", f"at least (confidence {e.confidence:g})"]
        caption = f"Probability at every point of the box, from {c.n_certification} draws that the search never saw"
        return table(head, rows, numbers=(1, 2, 3), caption=caption)
    return paragraph(
        "Required at every point of the box: ",
        tag("b", percent(e.required)),
        ". Found at its worst point: ",
        tag("b", percent(e.probability)),
        f" of {c.n_certification} draws that the search never saw; with confidence {percent(e.confidence)} at least ",
        tag("b", percent(e.probability_lower)),
        f". On average over the box: {percent(e.average)} (information only).",
    )


def _margins(e: Envelope) -> Html:
    own = any(m.required != e.required for m in e.margins)
    rows = []
    for m in e.margins:
        shown = (quantity(x, m.unit, 3, difference=True) if np.isfinite(x) else "none" for x in (m.expected, m.assured))
        rows.append([signs(m.limit), *shown, percent(m.probability), percent(m.required) if own else ""])
    where = "closest settings" if e.empty else "set point"
    at = signs(listed([f"{s.name} = {s.format(e.margins_at[s.name])}" for s in e.settings]))
    kept = "margin kept with the probability required" if own else f"margin kept with probability {e.required:g}"
    head = ["limit", "expected margin", kept, "met in", "required"]
    return table(head, rows, numbers=(1, 2, 3, 4), caption=f"Margins at the {where} ({at}); negative means broken")


__all__ = ["dependent", "envelope", "holdout"]
