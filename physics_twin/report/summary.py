"""The first page: five sentences and the operating box, for the one who has a minute."""

import math
from collections.abc import Sequence

import numpy as np

from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.limits.allowed import claim
from physics_twin.envelope.set_point.set_point import limit_of
from physics_twin.estimation.predicted import PredictedChannel
from physics_twin.posterior import Identification, Posterior
from physics_twin.posterior.evidence import arrays_together
from physics_twin.report.content import Content
from physics_twin.report.evidence import sums_of_squares
from physics_twin.report.numerals import count, inward, listed, numeral, percent, quantity, signs, with_unit
from physics_twin.report.page import Html, Section, flag, joined, note, paragraph, tag
from physics_twin.units import Unit

SENSORS = ("noise.", "bias.", "delay.")
MOST_NAMED = 4


def summary(content: Content, predicted: Sequence[PredictedChannel]) -> Section:
    """Return the five sentences, the box and what a reader must know before using it."""
    sentences = [
        _what_was_fitted(content),
        _how_well(content, predicted),
        _what_is_uncertain(content),
        _held_out(content),
        _operate(content),
    ]
    parts: list[Html] = [tag("ol", *(tag("li", sentence) for sentence in sentences), css="summary"), _box(content)]
    parts += [note(paragraph(text), kind="plain") for text in content.notes]
    return Section("summary", "Summary", joined(parts))


def _what_was_fitted(content: Content) -> Html:
    posterior = content.posterior
    if posterior is None:
        return Html("<b>Fitted:</b> nothing; this report shows no calibration.")
    known = {} if content.model is None else {"model": content.model.name, "version": content.model.version}
    called = [{**known, **posterior.provenance}.get(key, "") for key in ("model", "version")]
    model = " ".join(["The model", *filter(None, called)]).replace("_", " ")
    plant = [name for name in posterior.names if not name.startswith(SENSORS)]
    others = [name for name in posterior.names if name.startswith(SENSORS)]
    n = sum(c.n_samples for c in posterior.channels)
    runs = list(dict.fromkeys(c.experiment for c in posterior.channels))
    what = f"{count(len(plant), 'parameter')} of the plant" + (
        f" and {count(len(others), 'parameter')} of its sensors" if others else ""
    )
    text = [tag("b", "What was fitted. " if n else "Nothing was fitted. "), f"{model} has {what}, "]
    if n:
        outputs = len({c.output for c in posterior.channels})
        named = listed(runs[:MOST_NAMED]) + (", …" if len(runs) > MOST_NAMED else "")
        quantities = count(outputs, "measured quantity", "measured quantities")
        text.append(f"fitted to {count(n, 'sample')} of {quantities} in {count(len(runs), 'experiment')} ({named}). ")
    else:
        return joined([*text, "known as draws. ", flag(posterior.message, "doubt")])
    text.append(flag("converged", "good") if posterior.converged else flag("did not converge", "bad"))
    return joined(text)


def _how_well(content: Content, predicted: Sequence[PredictedChannel]) -> Html:
    posterior = content.posterior
    head = tag("b", "How well. ")
    if posterior is None or not posterior.channels:
        return joined([head, "No data were fitted."])
    rms = []
    for text_of_unit, total in posterior.sum_of_squares.items():
        n = sum(c.n_samples for c in posterior.channels if c.difference_unit.text == text_of_unit)
        rms.append(with_unit(numeral(math.sqrt(total / n)), Unit(text_of_unit)))
    text: list[object] = [head, "Model and measurement differ typically (root mean square) by ", joined(rms, "; ")]
    text += ["; the sum of squares is ", sums_of_squares(posterior), "."]
    if predicted:
        n = sum(c.times.size for c in predicted)
        inside = sum(int(c.inside.sum()) for c in predicted)
        text.append(f" {inside} of {n} samples lie inside the 95 % band of the fit.")
    doubts = [c.output for c in arrays_together(posterior.channels) if c.findings or c.effective_samples < c.n_samples]
    if doubts:
        text.append(f" The residuals of {listed(list(dict.fromkeys(doubts)))} are not random, see Residuals.")
    return joined(text)


def _what_is_uncertain(content: Content) -> Html:
    posterior = content.posterior
    head = tag("b", "What is uncertain. ")
    if posterior is None:
        return joined([head, "See below."])
    plant = [name for name in posterior.names if not name.startswith(SENSORS)]
    relative = {name: _relative(posterior, name) for name in plant}
    known = {name: r for name, r in relative.items() if math.isfinite(r)}
    text: list[object] = [head]
    if known:
        best, worst = min(known, key=lambda k: known[k]), max(known, key=lambda k: known[k])
        if best == worst:
            text.append(f"{best} is known to {_share(known[best])} (half of its 95 % interval).")
        else:
            text.append(
                f"Best known is {best} ({_share(known[best])}, half of its 95 % interval), least {worst} "
                f"({_share(known[worst])})."
            )
    bad = [n for n, v in posterior.verdicts.items() if v.identification is not Identification.IDENTIFIED]
    if bad:
        verb = "is" if len(bad) == 1 else "are"
        text += [f" {listed(bad)} {verb} not fully determined by the data. ", flag("see verdicts", "doubt")]
    elif posterior.verdicts:
        text += [" The data determine every parameter. ", flag("all identified", "good")]
    if content.dependent is not None and content.dependent.leave_out:
        left = content.dependent.leave_out
        called = f"The channel {left[0]}" if len(left) == 1 else f"The channels {listed(left)}"
        verb = "is no independent measurement" if len(left) == 1 else "are no independent measurements"
        text.append(f" {called} {verb}: counted as such, they make the parameters look better known than they are.")
    return joined(text)


def _held_out(content: Content) -> Html:
    head = tag("b", "Checked on data held back. ")
    if not content.holdouts:
        return joined(
            [head, "No samples were held back, so the prediction is unchecked. ", flag("not checked", "doubt")]
        )
    text: list[object] = [head]
    for name, check in content.holdouts:
        called = f" ({name})" if len(content.holdouts) > 1 else ""
        mark = (
            flag("passed", "good")
            if check.passed and not check.outside
            else flag("passed, with samples outside", "doubt")
        )
        if not check.passed:
            mark = flag("failed", "bad")
        text += [
            f"Fitted to the first {count(check.n_fitted, 'sample')}{called}, the model puts {check.n_inside} of the "
            f"{check.n_samples} held back inside its 95 % band",
            f"; outside lie too many samples of {listed(check.outside)}. " if check.outside else ". ",
            mark,
            " ",
        ]
    return joined(text)


def _operate(content: Content) -> Html:
    envelope = content.envelope
    head = tag("b", "How to operate. ")
    if envelope is None:
        return joined([head, "No operating envelope was asked for."])
    if envelope.empty:
        return joined([head, f"There is no operating box: {envelope.message}. ", flag("no box", "bad")])
    ranges = [
        joined([f"{s.name.replace('_', ' ')} from ", joined(inward(*envelope.box[s.name], s.unit), " to ")])
        for s in envelope.settings
    ]
    ends = dict.fromkeys(end for sides in envelope.binding.values() for end in sides)
    limits = [end for end in ends if limit_of(end) in envelope.limits]
    by = (
        f" What ends the box: {listed([signs(end) for end in limits])}."
        if limits
        else " No limit ends the box, only the ranges searched."
    )
    groups = envelope.certificate.groups
    bounds = envelope.certificate.lower_bounds.min(axis=0)
    claimed, shown = signs(claim(groups)), f"at least {listed([str(numeral(float(b))) for b in bounds])}"
    if len(groups) == 1:
        claimed = f"every limit is met with a probability of at least {numeral(envelope.required)}"
    return joined(
        [
            head,
            "With ",
            joined(ranges, " and "),
            f" {claimed} everywhere in the box (shown on draws held back: ",
            f"{shown} with confidence ",
            numeral(envelope.confidence),
            ").",
            by,
        ]
    )


def _box(content: Content) -> Html:
    envelope = content.envelope
    if envelope is None or envelope.empty:
        return Html("")
    rows = []
    for s in envelope.settings:
        rows.append(
            tag(
                "tr",
                tag("td", s.name.replace("_", " ")),
                tag("td", tag("span", joined(inward(*envelope.box[s.name], s.unit), " to "), css="range")),
                tag("td", "set point ", quantity(envelope.set_point[s.name], s.unit)),
            )
        )
    groups = envelope.certificate.groups
    whose = ["all limits are met"] if len(groups) == 1 else [f"{signs(g.name)} met" for g in groups]
    shown = [joined([n, ": at least ", tag("b", percent(g.probability))]) for n, g in zip(whose, groups, strict=True)]
    claimed = joined(["Probability at every point that ", joined(shown, "; "), f" ({_tried(envelope)})"])
    title = "Operating box" if envelope.polytope is None else "Largest box in the operating polytope"
    parts = [tag("b", title), tag("table", tag("tbody", *rows)), paragraph(claimed)]
    if envelope.warnings:
        words = f"{count(len(envelope.warnings), 'warning')}: read the chapter on the envelope before using it"
        parts.append(paragraph(flag(words, "doubt")))
    return tag("div", *parts, css="box")


def _tried(envelope: Envelope) -> str:
    """Confidence of the claim, and the least that the draws held back showed, in words."""
    bounds = envelope.certificate.lower_bounds.min(axis=0)
    least = listed([str(percent(math.floor(1e3 * b) / 1e3)) for b in bounds])  # never rounded up
    return f"confidence {percent(envelope.confidence)}; the worst points tried showed at least {least}"


def _relative(posterior: Posterior, name: str) -> float:
    """Half of the 95 % interval over the mode; NaN where a share says nothing (the mode is zero, a temperature)."""
    low, high = np.quantile(posterior[name], (0.025, 0.975))
    mode = posterior.mode.scalar(name)
    if mode == 0.0 or posterior.parameters[name].unit.offset != 0.0:
        return math.nan
    return float(0.5 * (high - low) / abs(mode))


def _share(x: float) -> str:
    return "worse than ± 100 %" if x > 1.0 else f"± {100.0 * x:.2g} %"


__all__ = ["summary"]
