"""Chapters on data, model, fit, residuals and posterior."""

from collections.abc import Mapping, Sequence

import numpy as np

from physics_twin import plot_style
from physics_twin.estimation.predicted import PredictedChannel
from physics_twin.measurements import Experiment, Flag
from physics_twin.measurements.report import rows_of
from physics_twin.measurements.series import Series
from physics_twin.parameters import Parameter
from physics_twin.posterior import Identification, Posterior, Verdict
from physics_twin.posterior.chains import has_chains
from physics_twin.posterior.evidence import arrays_together
from physics_twin.recipes import Steady
from physics_twin.report import figures
from physics_twin.report.content import Content
from physics_twin.report.numerals import (
    count,
    listed,
    numeral,
    own_unit,
    percent,
    pretty,
    quantity,
    ranged,
    signs,
    squared,
    with_interval,
)
from physics_twin.report.page import (
    Html,
    Numbering,
    Picture,
    Section,
    bullets,
    facts,
    flag,
    joined,
    note,
    paragraph,
    safe,
    table,
    tag,
)
from physics_twin.units import Unit

VISIBLE = 1.005
"""Factor from which a widened interval differs in print."""
CLEAN = "The checks of the record found nothing to remark."
FEW = 20
"""Samples of a channel up to which they are printed."""
KINDS = {
    Identification.IDENTIFIED: "good",
    Identification.WEAK: "doubt",
    Identification.NOT: "bad",
    Identification.STRUCTURALLY_NOT: "bad",
    Identification.PRACTICALLY_NOT: "bad",
    Identification.AT_BOUND: "doubt",
}


def data(content: Content, number: Numbering) -> Section:
    """Return what was measured, with flags, notes and where it comes from."""
    parts: list[Html] = []
    for run in content.experiments:
        parts += _experiment(run, number)
    if content.comparison is not None:
        c = content.comparison
        parts.append(tag("h3", "Before any fit"))
        caption = (
            f"The model at its declared values, and the band of {c.n_draws} simulations with parameters from their "
            f"priors or bounds: {c.n_inside} of {c.n_samples} samples lie inside. Where data lie outside, no fit helps."
        )
        parts.append(number(Picture.of(c.plot(), caption, "measured samples over the prior band of the model")))
    return Section("data", "Data", joined(parts))


def _noise(own: Sequence[Series], unit: Unit) -> Html:
    """Of the samples in use: an average has less noise than its channel, a laboratory value its own."""
    used = [s.noise[s.used] for s in own if s.used.any()] or [np.array([s.channel.noise for s in own])]
    ends = sorted({float(min(x.min() for x in used)), float(max(x.max() for x in used))})
    return joined([quantity(end, unit, difference=True) for end in ends], " to ")


def _experiment(run: Experiment, number: Numbering) -> list[Html]:
    flags = [f.words for f in Flag]
    head = ["quantity", "unit", "noise (1 sd)", *flags, "censored", "left out", "used", "lowest to highest"]
    rows = []
    for name, own in rows_of(run):
        channel, unit = own[0].channel, own[0].channel.unit
        noise = "to be estimated" if channel.unknown_noise is not None else _noise(own, unit)
        total = {f: sum(s.counts[f] for s in own) for f in Flag}
        counts = [str(n) if n or f is Flag.GOOD else "" for f, n in total.items()]
        counts.append(str(n) if (n := sum(s.n_censored for s in own)) else "")
        left = sum(int((s.left_out > 0).sum()) for s in own)
        used = np.concatenate([s.values[s.used] for s in own])
        ends = [numeral(float(unit.from_si(float(x))), 4) for x in (used.min(), used.max())] if used.size else []
        span = joined(ends, " to ")
        rows.append([name, pretty(unit), noise, *counts, str(left) if left else "", str(used.size), span])
    good = {Flag.GOOD, Flag.NOT_EVALUATED}
    clean = all(set(np.unique(s.flags)) <= good and not s.left_out.any() and not s.n_censored for s in run)
    clean = clean and not any(one.counts[Flag.SUSPECT] or one.counts[Flag.BAD] for one in run.inputs)
    n = sum(s.times.size for s in run)
    scale = plot_style.time_scale(run.duration)
    words = f"{count(n, 'sample')} over {scale(np.array(run.duration)):.4g} {scale.unit}; {run.n_used} used. "
    mark = flag("no sample flagged or left out", "good") if clean else flag("some samples flagged or left out", "doubt")
    parts = [tag("h3", f"Experiment {run.name}"), paragraph(words, mark), table(head, rows, numbers=range(3, 11))]
    found = [*run.notes, *(f"{s.channel.output}: {t}" for s in run for t in (*s.notes, *s.reasons))]
    found += [f"input {one.name}: {t}" for one in run.inputs for t in one.notes]
    parts.append(bullets(map(signs, found)) if found else paragraph(CLEAN, css="small"))
    if max(s.times.size for s in run) <= FEW and len(run.series) <= FEW:
        parts.append(_places(run) if run.arrays else _samples(run))
    if not clean:
        picture = Picture.of(run.plot(), "Samples with their flags.", f"samples of {run.name} with flags")
        parts.append(number(picture))
    origin = run.provenance
    pairs: list[tuple[object, object]] = [
        ("file", origin.source),
        ("sha256 of the file", tag("code", origin.sha256) if origin.sha256 else ""),
        ("read with", ", ".join(f"{key} {value!r}" for key, value in origin.options.items() if value)),
        (
            "inputs",
            ", ".join(f"{i.name} ({i.column}, {i.unit}, {i.rule.value})" for i in run.inputs) or "none recorded",
        ),
        ("context", ", ".join(f"{key}: {value}" for key, value in run.context.items())),
        ("excluded by hand", "; ".join(f"{e.span[0]:g} s to {e.span[1]:g} s: {e.reason}" for e in origin.exclusions)),
        ("selected", "; ".join(origin.selections)),
    ]
    return [*parts, facts(pairs)]


def _places(run: Experiment) -> Html:
    """Return the samples of small arrays of sensors, a row for each place."""
    rows: list[list[object]] = []
    for s in run:
        place = () if s.channel.place is None else s.channel.place.coordinates
        where = ", ".join(f"{100.0 * x:.4g}" for x in place)
        values = [numeral(float(s.channel.unit.from_si(v)), 4) for v in s.values[np.isfinite(s.values)]]
        rows.append([s.channel.output, where, joined(values, ", "), pretty(s.channel.unit)])
    return table(["quantity", "place / cm", "measured", "unit"], rows, numbers=(1, 2))


def _samples(run: Experiment) -> Html:
    """Return the samples of a short record, with a remark at those that are not good or not used."""
    scale = plot_style.time_scale(run.duration)
    times = np.unique(np.concatenate([s.times[np.isfinite(s.times)] for s in run]))
    rows: list[list[object]] = []
    for t in times:
        row: list[object] = [numeral(float(scale(t)), 4)]
        for s in run:
            shown = []
            for i in np.flatnonzero(s.times == t):
                words = Flag(int(s.flags[i])).words if s.flags[i] >= Flag.SUSPECT else "left out"
                side = 0 if s.censored is None else int(s.censored[i])
                clean = (bool(s.used[i]) or (side != 0 and s.left_out[i] == 0)) and s.flags[i] < Flag.SUSPECT
                limit = {-1: "below ", 0: "", 1: "above "}[side]
                number = numeral(float(s.channel.unit.from_si(s.values[i])), 4)
                shown.append(joined([limit, number, "" if clean else f" ({words})"]))
            row.append(joined(shown, ", "))
        rows.append(row)
    head = [scale.label, *(plot_style.label(s.channel.output, s.channel.unit) for s in run)]
    return table(head, rows, numbers=range(len(head)))


def model(content: Content) -> Section:
    """Return what the model is, which parameters it has and where it may be trusted."""
    m = content.model
    if m is None:
        return Section("model", "Model", Html(""))
    pairs: list[tuple[object, object]] = [
        ("model", f"{m.name}, version {m.version}"),
        ("what it is", getattr(m, "description", "")),
        ("fingerprint", tag("code", m.fingerprint)),
        ("states", listed([f"{b.name} ({b.kind.value})" for b in m.state if b.kind.value != "recipe"])),
        ("inputs", listed([f"{s.name} in {s.unit}" for s in m.inputs]) or "none"),
        ("outputs", listed([f"{s.name} in {s.unit}" for s in m.outputs])),
    ]
    fitted = set() if content.posterior is None else set(content.posterior.names)
    steady = any(isinstance(run.recipe.initial, Steady) for run in content.experiments)
    bound = {
        f"initial.{n}"
        for r in content.experiments
        if not isinstance(r.recipe.initial, Steady)
        for n in r.recipe.initial
    }
    rows = []
    for p in m.parameters.parameters:
        given = p.name in bound or (steady and p.name.startswith("initial."))
        known = any(name == p.name or name.startswith(f"{p.name}@") for name in fitted)
        rows.append(_parameter(p, "estimated" if known else "by experiment" if given else "held"))
    head = ["parameter", "declared value", "unit", "bounds", "in this fit", "what it is", "source"]
    parts = [facts(pairs), table(head, rows, numbers=(1,))]
    if m.validity:
        units = {s.name: s.unit for s in (*m.inputs, *m.outputs)} | {p.name: p.unit for p in m.parameters.parameters}
        valid = [(name, ranged(low, high, units[name])) for name, (low, high) in m.validity.items() if name in units]
        parts += [tag("h3", "Domain of validity"), facts(valid)]
    if content.recipe is not None:
        parts += [tag("h3", "Recipe"), tag("pre", str(content.recipe))]
    return Section("model", "Model", joined(parts))


def _parameter(p: Parameter, role: str) -> list[object]:
    low, high = (float(p.unit.from_si(b, p.difference)) for b in p.bounds)
    bounds = joined([numeral(low), " to ", numeral(high)]) if np.isfinite([low, high]).all() else ""
    value = numeral(float(p.unit.from_si(p.value, p.difference)))
    return [p.name, value, pretty(own_unit(p)), bounds, role, p.description, p.source]


def fit(content: Content, predicted: Mapping[str, Sequence[PredictedChannel]], number: Numbering) -> Section:
    """Return the fit with its predictive band and the misfit by channel."""
    posterior = content.posterior
    if posterior is None or not posterior.channels:
        return Section("fit", "Fit", Html(""))
    kind = "good" if posterior.converged else "bad"
    status = flag("converged" if posterior.converged else "did not converge", kind)
    message = posterior.message.removeprefix("converged").strip()
    parts = [paragraph(status, f" {message}. Sum of squares ", tag("b", sums_of_squares(posterior)), ".")]
    for name, channels in predicted.items():
        inside, n = sum(int(c.inside.sum()) for c in channels), sum(c.times.size for c in channels)
        caption = (
            f"Experiment {name}: measured samples, the model, and the 95 % band of a measurement (uncertain parameters "
            f"and sensor noise). {inside} of {n} samples lie inside, {percent(inside / n)}."
        )
        parts.append(number(Picture.of(figures.fit(channels), Html(caption), f"fit and predictive band of {name}")))
    parts.append(_misfit(posterior))
    if posterior.failures:
        first = posterior.failures[0].reason
        parts.append(
            note(paragraph(f"{count(len(posterior.failures), 'simulation')} failed on the way; the first: {first}"))
        )
    return Section("fit", "Fit", joined(parts))


def sums_of_squares(p: Posterior) -> Html:
    """Return the sum of squares of each unit, in that unit squared."""
    sums = [
        joined([f"{total:.7g}", "" if unit == "1" else joined([" ", squared(Unit(unit))])])
        for unit, total in p.sum_of_squares.items()
    ]
    return joined(sums, ", ")


def _misfit(posterior: Posterior) -> Html:
    head = [
        "quantity",
        "experiment",
        "samples",
        "left out",
        "rms",
        "mean",
        "noise (1 sd)",
        "sum of squares",
        "unit",
        "worth",
    ]
    rows = []
    for c in arrays_together(posterior.channels):
        noise = joined([numeral(c.noise), " (est.)" if c.noise_name else ""])
        worth = f"{c.effective_samples:.0f} independent" if c.effective_samples < c.n_samples else ""
        left = str(c.n_excluded) if c.n_excluded else ""
        rows.append(
            [
                c.output,
                c.experiment,
                str(c.n_samples),
                left,
                numeral(c.rms),
                numeral(c.bias),
                noise,
                numeral(c.sum_of_squares, 4),
                pretty(c.difference_unit),
                worth,
            ]
        )
    return table(
        head, rows, numbers=(2, 3, 4, 5, 6, 7), caption="Measured minus model by channel; sum of squares in unit²"
    )


def residuals(content: Content, number: Numbering) -> Section:
    """Return residuals over time and what they show."""
    posterior = content.posterior
    if posterior is None or not posterior.channels:
        return Section("residuals", "Residuals", Html(""))
    parts = []
    for name in dict.fromkeys(c.experiment for c in posterior.channels):
        caption = f"Experiment {name}: measured minus model at the mode. In a right model they scatter about zero."
        parts.append(number(Picture.of(figures.residuals(posterior, name), caption, f"residuals of {name} over time")))
    findings = [f"{c.name}: {text}" for c in posterior.channels for text in c.findings]
    findings += [
        f"{c.name}: neighbors err to the same side (correlation {numeral(c.lag_one, 2)}): {c.n_samples} samples are "
        f"worth {c.effective_samples:.0f}"
        for c in arrays_together(posterior.channels)
        if c.effective_samples < c.n_samples
    ]
    widened = {name: f for name, f in posterior.inflation.items() if f >= VISIBLE}
    if findings:
        parts.append(note(paragraph("What the residuals show:"), bullets(findings)))
    else:
        parts.append(note(paragraph("No channel shows more than chance explains."), kind="good"))
    if widened:
        words = listed([f"{name} by {numeral(f)}" for name, f in widened.items()])
        parts.append(
            paragraph(f"Samples that err together tell less: the intervals of the parameters are widened, {words}.")
        )
    return Section("residuals", "Residuals", joined(parts))


def posterior(content: Content, number: Numbering) -> Section:
    """Return the parameters with intervals and verdicts, their correlations and clouds."""
    p = content.posterior
    if p is None:
        return Section("parameters", "Parameters", Html(""))
    words = f"{count(p.n_draws, 'draw')}; the interval holds 95 % of them."
    if has_chains(p):
        found = p.diagnostics
        words += (
            f" They come from {found.sizes['chain']} chains and count as {p.effective_draws:.0f} independent ones; the "
            f"chains agree within R-hat {float(found['r_hat'].max()):.3f} (1 is best, 1.01 the most that is accepted)."
        )
    parts = [paragraph(words), parameter_table(p)]
    said = [joined([tag("b", name), f": {v.sentence}"]) for name, v in p.verdicts.items() if v.sentence]
    if said:
        parts.append(bullets(said))
    if p.warnings:
        parts.append(note(paragraph("The fit warns:"), bullets(map(signs, p.warnings))))
    if len(p.names) > 1 and p.n_draws > 2:
        caption = "Correlation of the parameters: two that are strongly correlated can only be known together."
        parts.append(
            number(Picture.of(figures.correlation(p), caption, "heat map of the correlations of the parameters"))
        )
        more = f" (the first {figures.MOST_PAIRS} of {len(p.names)})" if len(p.names) > figures.MOST_PAIRS else ""
        caption = f"Draws of each pair of parameters{more}; a cross and a line mark the mode."
        parts.append(number(Picture.of(figures.pairs(p), caption, "scatter of the draws of each pair of parameters")))
    return Section("parameters", "Parameters", joined(parts))


def parameter_table(p: Posterior) -> Html:
    """Return parameters with unit, what was known before, mode, interval and verdict."""
    rows: list[list[object]] = []
    errors = p.standard_errors
    for name, parameter in p.parameters.items():
        unit = own_unit(parameter)
        shown = [float(unit.from_si(float(q), parameter.difference)) for q in np.quantile(p[name], (0.025, 0.975))]
        mode, interval = with_interval(
            float(unit.from_si(p.mode.scalar(name), parameter.difference)), shown[0], shown[1]
        )
        factor = p.inflation.get(name, 1.0)
        error = numeral(float(unit.from_si(errors[name], True)), 2)
        rows.append(
            [
                name,
                pretty(unit),
                _before(parameter),
                mode,
                error,
                interval,
                f"× {numeral(factor)}" if factor >= VISIBLE else "",
                _mark(p.verdicts.get(name)),
            ]
        )
    head = ["parameter", "unit", "before the data", "mode", "standard error", "95 % interval", "widened", "verdict"]
    return table(head, rows, numbers=(3, 4, 5, 6))


def _before(parameter: Parameter) -> Html:
    if parameter.prior is not None:
        return safe(parameter.prior.describe(parameter.unit, parameter.difference))
    low, high = (float(parameter.unit.from_si(b, parameter.difference)) for b in parameter.bounds)
    if parameter.name.startswith("noise.") or not np.isfinite([low, high]).any():
        return Html("")
    if not np.isfinite([low, high]).all():
        return joined(["at least ", numeral(low)] if np.isfinite(low) else ["at most ", numeral(high)])
    return joined([numeral(low), " to ", numeral(high)])


def _mark(verdict: Verdict | None) -> Html:
    return Html("") if verdict is None else flag(verdict.identification.value, KINDS[verdict.identification])


__all__ = ["data", "fit", "model", "parameter_table", "posterior", "residuals", "sums_of_squares"]
