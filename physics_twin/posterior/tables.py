"""Posteriors and predictions as tables for people: plain text and HTML from the same rows."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.posterior.chains import has_chains, r_hat
from physics_twin.posterior.evidence import arrays_together
from physics_twin.posterior.populations import MEAN, SPREAD, members_of_populations
from physics_twin.units import format_number, format_si

if TYPE_CHECKING:
    from physics_twin.posterior.prediction import Prediction
    from physics_twin.posterior.result import Posterior

type Rows = list[list[str]]

DISCREPANCY = "discrepancy."
"""Beginning of the names of a discrepancy's coefficients."""
SHOWN_CORRELATIONS = 12
"""A correlation matrix of more parameters is not read; `.correlation` holds it."""


def parameter_rows(posterior: "Posterior") -> Rows:
    """Header and a row per parameter: unit, prior, mode, interval, R-hat and effective draws of chains, verdict."""
    rows = [
        ["parameter", "unit", "before the data", "mode", "95 % interval", "widened", "R-hat", "counts as", "verdict"]
    ]
    chains = has_chains(posterior)
    member_of = members_of_populations(posterior.parameters)
    for name in _in_blocks(posterior.names, member_of):
        if name.startswith(DISCREPANCY):
            continue
        p = posterior.parameters[name]
        unit = p.unit.difference() if p.difference else p.unit
        low, high = (format_number(unit.from_si(q, p.difference), 4) for q in posterior.interval(name))
        if name in member_of:
            before = f"of the population of {member_of[name]}"
        elif p.prior is not None:
            before = p.prior.describe(p.unit, p.difference)
        elif np.isfinite(p.bounds).any() and not name.startswith("noise."):
            before = p._interval()
        else:
            before = ""
        verdict = posterior.verdicts.get(name)
        factor = posterior.inflation.get(name, 1.0)
        disagreement, effective = r_hat(posterior, name) if chains else (1.0, 0.0)
        rows.append(
            [
                name,
                unit.text if unit.text != "1" else "-",
                before,
                format_number(unit.from_si(float(posterior.mode[name]), p.difference), 5),
                f"{low} .. {high}",
                "" if factor == 1.0 else f"{factor:.2f}x",
                f"{disagreement:.3f}" if chains else "",
                f"{effective:.0f}" if chains else "",
                "" if verdict is None else verdict.identification.value,
            ]
        )
    return _without_empty([*rows, *_discrepancies(posterior.names, len(rows[0]))])


def _discrepancies(names: Sequence[str], width: int) -> Rows:
    """A row for the coefficients of each discrepancy: they mean nothing one by one (`plot_discrepancy` shows them)."""
    counts: dict[str, int] = {}
    for name in names:
        if name.startswith(DISCREPANCY):
            stem, at, owner = name.partition("@")
            label = stem.rpartition(".")[0] + at + owner
            counts[label] = counts.get(label, 0) + 1
    return [[label, "", f"{n} coefficients", *[""] * (width - 3)] for label, n in counts.items()]


def _in_blocks(names: Sequence[str], member_of: Mapping[str, str]) -> list[str]:
    """The names with the spread of each population after its mean, before its members."""
    spreads = {SPREAD + base for base in member_of.values()}
    found: list[str] = []
    for name in names:
        if name not in spreads:
            found.append(name)
        if name.startswith(MEAN) and (spread := SPREAD + name.removeprefix(MEAN)) in spreads:
            found.append(spread)
    return found


def verdict_sentences(posterior: "Posterior") -> list[str]:
    """A sentence for each parameter that is not simply identified."""
    own = [(name, v) for name, v in posterior.verdicts.items() if not name.startswith(DISCREPANCY)]
    return [f"{name} is {verdict}" for name, verdict in own if verdict.sentence]


def channel_rows(posterior: "Posterior") -> Rows:
    """Header and a row per channel or array of sensors of an experiment: misfit in the declared unit."""
    head = [
        "channel",
        "experiment",
        "n",
        "limits",
        "left out",
        "sum of squares",
        "rms",
        "bias",
        "noise",
        "whitened",
        "counts as",
    ]
    rows = [head]
    for c in arrays_together(posterior.channels):
        text = c.difference_unit.text
        unit, squared = ("", "") if text == "1" else (f" {text}", f" ({text})^2")
        estimated = " (est.)" if c.noise_name else ""
        rows.append(
            [
                c.output,
                c.experiment,
                str(c.n_samples),
                str(c.n_censored) if c.n_censored else "",
                str(c.n_excluded) if c.n_excluded else "",
                f"{c.sum_of_squares:.7g}{squared}",
                f"{format_number(c.rms)}{unit}",
                f"{format_number(c.bias)}{unit}",
                f"{format_number(c.noise)}{unit}{estimated}",
                f"{c.whitened:.4g}",
                f"{c.effective_samples:.0f}" if c.effective_samples < c.n_samples else "",
            ]
        )
    return _without_empty(rows)


def correlation_rows(posterior: "Posterior") -> Rows:
    """Lower triangle of the correlation of the draws."""
    names = posterior.names
    matrix = posterior.correlation.values
    rows = [["", *names[:-1]]]
    for i, name in enumerate(names[1:], start=1):
        rows.append([name, *(f"{matrix[i, j]:.2f}" if j < i else "" for j in range(len(names) - 1))])
    return rows


def headline(posterior: "Posterior") -> list[str]:
    """What was fitted, and how it went."""
    p = posterior.provenance
    about = f"Posterior of {len(posterior.names)} parameters, {posterior.n_draws} draws"
    if "model" in p:
        about += f'; model "{p["model"]}" {p["version"]} ({p["fingerprint"][:12]})'
    lines = [about, ("" if posterior.converged else "NOT CONVERGED: ") + posterior.message]
    if posterior.channels:
        sums = ", ".join(f"{v:.7g}" + ("" if k == "1" else f" ({k})^2") for k, v in posterior.sum_of_squares.items())
        n = sum(c.n_samples for c in posterior.channels)
        lines.append(f"sum of squares {sums}; whitened misfit {posterior.misfit:.6g} on {n} samples")
    return lines


def sections(posterior: "Posterior") -> list[tuple[str, Rows]]:
    """Titles and tables."""
    found = [("", parameter_rows(posterior))]
    if 1 < len(posterior.names) <= SHOWN_CORRELATIONS and posterior.n_draws > 1:
        found.append(("Correlation of the draws", correlation_rows(posterior)))
    if posterior.channels:
        found.append(("Misfit by channel", channel_rows(posterior)))
    return found


def as_text(posterior: "Posterior") -> str:
    """Aligned plain text."""
    parts = ["\n".join(headline(posterior))]
    for title, rows in sections(posterior):
        parts.append((title + "\n" if title else "") + aligned(rows))
    if said := verdict_sentences(posterior):
        parts.append("Verdicts\n" + "\n".join(f"- {v}" for v in said))
    if posterior.warnings:
        parts.append("Warnings\n" + "\n".join(f"- {w}" for w in posterior.warnings))
    return "\n\n".join(parts)


def as_html(posterior: "Posterior") -> str:
    """The same as HTML."""
    parts = [f"<p>{html.escape(line)}</p>" for line in headline(posterior)]
    for title, rows in sections(posterior):
        if title:
            parts.append(f"<h4>{html.escape(title)}</h4>")
        parts.append(html_table(rows))
    for title, lines in (("Verdicts", verdict_sentences(posterior)), ("Warnings", posterior.warnings)):
        if lines:
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            parts.append(f"<h4>{title}</h4><ul>{items}</ul>")
    return "\n".join(parts)


def prediction_text(prediction: "Prediction") -> str:
    """Median and 95 % band at the end of each output, and the notes."""
    n = prediction.draws.sizes["draw"]
    lines = [f"Prediction of {len(prediction.outputs)} outputs at {prediction.times.size} times, {n} draws"]
    rows = [["output", "at", "median", "95 % band", "95 % band of a measurement"]]
    bands = prediction.dataset
    for signal in prediction.outputs:
        end = bands[signal.name].values[:, -1]
        seen = bands[f"{signal.name}_measured"].values[:, -1]
        rows.append(
            [
                signal.name,
                f"{prediction.times[-1]:g} s",
                format_si(float(end[2]), signal.unit),
                f"{format_si(float(end[0]), signal.unit)} .. {format_si(float(end[4]), signal.unit)}",
                f"{format_si(float(seen[0]), signal.unit)} .. {format_si(float(seen[4]), signal.unit)}",
            ]
        )
    return "\n".join([*lines, aligned(rows), *(f"- {note}" for note in prediction.notes)])


def aligned(rows: Rows) -> str:
    """Columns side by side, with a rule under the header."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def html_table(rows: Rows) -> str:
    """An HTML table whose first row is the header."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _without_empty(rows: Rows) -> Rows:
    keep = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:]) or i == 0]
    return [_pick(row, keep) for row in rows]


def _pick(row: Sequence[str], keep: Sequence[int]) -> list[str]:
    return [row[i] for i in keep]
