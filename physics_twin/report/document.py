"""`write_report`: a calibration and an envelope as one HTML file that stands alone."""

import datetime as dt
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from physics_twin.comparison import Comparison
from physics_twin.envelope import Envelope
from physics_twin.envelope.history.history import History
from physics_twin.errors import EnvelopeError
from physics_twin.estimation import HoldOut
from physics_twin.files import atomic_write
from physics_twin.measurements import Experiment, Redundancy
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe
from physics_twin.report import decisions, evidence
from physics_twin.report.content import Content
from physics_twin.report.numerals import count
from physics_twin.report.page import Html, Numbering, Section, facts, joined, page, paragraph, table, tag
from physics_twin.report.summary import summary

LIBRARIES = ("physics-twin", "numpy", "scipy", "casadi", "xarray", "matplotlib")


def write_report(
    path: "str | os.PathLike[str]",
    *,
    title: str,
    posterior: Posterior | None = None,
    experiments: Experiment | Sequence[Experiment] = (),
    model: Model | None = None,
    recipe: Recipe | None = None,
    comparison: Comparison | None = None,
    holdout: HoldOut | Mapping[str, HoldOut] | None = None,
    envelope: Envelope | None = None,
    history: History | Experiment | Sequence[Experiment] | None = None,
    dependent: Redundancy | None = None,
    alternatives: Mapping[str, Posterior] | Sequence[tuple[str, Posterior]] = (),
    notes: Sequence[str] = (),
    date: dt.date | None = None,
) -> Path:
    """Write a report and return its path; the file needs nothing beside it, neither pictures nor a network.

    posterior: the fit. experiments: what it was fitted to. model: needed for the predictive band. recipe: of the
    envelope. comparison: of `compare`. holdout: one, or name -> hold-out; the one named like a fit stands beside the
    envelope that rests on that fit. history: past batches that are judged against the envelope and drawn over it, or
    what `Envelope.against` made of them; it needs an envelope. dependent: of `find_dependent_channels`. alternatives:
    name -> other fit, shown beside the first. notes: remarks for the first page. date: printed if given; without it,
    the same input gives the same bytes.

    An envelope of three or more settings has slices with sliders; they are the only part that needs a script, which is
    inside the page. Chapters without content are left out. The file is written whole or not at all.
    """
    checks = {"": holdout} if isinstance(holdout, HoldOut) else dict(holdout or {})
    content = Content(
        title=title,
        posterior=posterior,
        experiments=(experiments,) if isinstance(experiments, Experiment) else tuple(experiments),
        model=model,
        recipe=recipe,
        comparison=comparison,
        holdouts=tuple(checks.items()),
        envelope=envelope,
        dependent=dependent,
        alternatives=tuple(alternatives.items() if isinstance(alternatives, Mapping) else alternatives),
        notes=tuple(notes),
        date="" if date is None else date.isoformat(),
        history=_judged(envelope, history),
    )
    text = render(content)
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(final) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return final


def _judged(envelope: Envelope | None, history: History | Experiment | Sequence[Experiment] | None) -> History | None:
    if history is None:
        return None
    if envelope is None:
        raise EnvelopeError("a report judges past batches against an envelope: give envelope= with history=")
    if not isinstance(history, History):
        return envelope.against([history] if isinstance(history, Experiment) else history)
    if history.envelope.box != envelope.box or history.envelope.limits != envelope.limits:
        raise EnvelopeError("history= was judged against another envelope; give the experiments, or judge them anew")
    return history


def render(content: Content) -> str:
    """Return the report as text."""
    predicted = content.predicted()
    number = Numbering()
    sections = [
        summary(content, [c for channels in predicted.values() for c in channels]),
        evidence.data(content, number),
        evidence.model(content),
        evidence.fit(content, predicted, number),
        evidence.residuals(content, number),
        evidence.posterior(content, number),
        decisions.dependent(content, number),
        decisions.holdout(content, number),
        decisions.envelope(content, number),
        provenance(content),
    ]
    subtitle = " · ".join(text for text in (_about(content), content.date) if text)
    footer = "Written by physics_twin. Intervals hold 95 % of the draws of the posterior unless another share is named."
    return page(content.title, subtitle, sections, footer)


def _about(content: Content) -> str:
    if content.model is None:
        return "physics_twin"
    return f"Model {content.model.name} {content.model.version}, fingerprint {content.model.fingerprint[:12]}"


def provenance(content: Content) -> Section:
    """Return what was run: versions, hashes, seeds, enough to run it again."""
    parts: list[Html] = []
    fits = {name: dict(p.provenance) for name, p in content.fits.items()}
    if fits:
        hashes = {name: _mapping(p.get("experiments", "{}")) for name, p in fits.items()}
        keys = [k for k in dict.fromkeys(k for p in fits.values() for k in p) if k not in ("experiments", "sources")]
        rows: list[list[object]] = [[key, *(p.get(key, "") for p in fits.values())] for key in keys]
        for run in dict.fromkeys(run for found in hashes.values() for run in found):
            rows.append([f"content of {run}", *(tag("code", found.get(run, "")) for found in hashes.values())])
        parts += [tag("h3", "Calibration"), table(["", *fits], [row for row in rows if any(map(str, row[1:]))])]
    if content.envelope is not None:
        c = content.envelope.certificate
        pairs: list[tuple[object, object]] = [
            ("draws", f"{c.draws_text} (worth {c.n_effective:.0f})"),
            ("points certified", f"{len(c.points)}, in {count(len(c.attempts), 'attempt')}"),
            ("simulations", f"{c.n_simulations}"),
            ("seed", c.seed),
            ("model", joined([f"{c.model} ", tag("code", c.fingerprint)])),
            ("hash of the draws", tag("code", c.posterior)),
            ("hash of the recipe", tag("code", c.recipe)),
            ("physics_twin", c.library),
        ]
        parts += [tag("h3", "Envelope"), facts(pairs)]
    versions: list[tuple[object, object]] = [("Python", platform.python_version()), ("system", platform.system())]
    versions += [(name, _version(name)) for name in LIBRARIES]
    parts += [tag("h3", "This report"), facts(versions)]
    again = "The same data, versions and seeds give the same numbers."
    return Section("provenance", "What was run", joined([*parts, paragraph(again, css="small")]))


def _mapping(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {"experiments": text}
    return found if isinstance(found, dict) else {"experiments": found}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


__all__ = ["render", "write_report"]
