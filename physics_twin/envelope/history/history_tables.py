"""Past batches as tables: text for people, a dataset, a CSV file."""

import csv
import os
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.envelope.history.capability import Capability
from physics_twin.envelope.history.history import History, Outcome, PastBatch
from physics_twin.envelope.history.measured_limits import UNDER_A_FAULT
from physics_twin.envelope.text import Table, aligned
from physics_twin.files import atomic_write
from physics_twin.units import format_si

PLACES = {True: "inside", False: "outside", None: "unknown"}
SPREAD = (
    "the batches ran at different settings, which spreads their values: what was measured is the performance over the "
    "settings run, not at one setting"
)
MOST = 40
"""Batches that are printed; `table` and `save` hold all."""


def history_text(history: History) -> str:
    """Counts first, then verdicts, capability and the batches."""
    n = len(history.batches)
    lost = sum(not b.placed for b in history.batches)
    lines = [
        f"{n} past batch{'' if n == 1 else 'es'} against the envelope",
        f"  failures inside:  {history.failures_inside}",
        f"  passes outside:   {history.passes_outside}",
    ]
    unjudged = sum(b.outcome is Outcome.NOT_JUDGED for b in history.batches)
    if unjudged:
        lines.append(f"  not judged:       {unjudged} (what was not measured, or too coarsely to say, is never a pass)")
    lines += [f"  left out:         {limit} ({UNDER_A_FAULT})" for limit in history.not_shown]
    if lost:
        lines.append(f"  settings unknown: {lost}")
    doubtful = sum(not j.clear and j.met is not None for b in history.batches for j in b.judgments)
    if doubtful:
        lines.append(f"  {doubtful} judgments lie within two standard deviations of the noise from their limit")
    lines += ["", "against the certificate:", *(f"  {verdict}" for verdict in history.verdicts)]
    partly = [
        b for b in history.batches if b.outcome is Outcome.FAIL and any(j.met is None and j.counts for j in b.judgments)
    ]
    if partly:
        lines.append(
            f"  {len(partly)} failed batches have limits that were not judged; passes like them are not counted, so "
            "the share of failures is rather too high"
        )
    lines += [
        "",
        "capability (overall standard deviation: Ppk, often called Cpk):",
        *([f"  {SPREAD}"] if at_different_settings(history) else []),
        *aligned(capability_table(history)),
    ]
    lines += ["", *aligned(batch_table(history))]
    if n > MOST:
        lines.append(f"  ... and {n - MOST} more; .table and .save() hold all")
    return "\n".join(lines)


def capability_table(history: History) -> Table:
    """Index and interval of each limit, from measured batches and as predicted."""
    rows = [["limit", "index", "value", f"interval ({history.confidence:g})", "from", ""]]
    for c in history.capability:
        rows.append([c.limit, c.index, _index(c.value), _interval(c), c.basis, c.note])
    return rows


def at_different_settings(history: History) -> bool:
    """Whether the batches ran at more than one point, as far as their settings are known."""
    found = {tuple(s.value for s in b.settings.values()) for b in history.batches if b.placed}
    return len(found) > 1


def _index(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")


def _interval(c: Capability) -> str:
    return "none" if np.isnan(c.low) else f"{c.low:.2f} to {c.high:.2f}"


def batch_table(history: History) -> Table:
    """The first batches: settings, place, outcome and why."""
    settings = history.envelope.settings
    rows = [["batch", *(s.name for s in settings), "place", "outcome", "why"]]
    for b in history.batches[:MOST]:
        shown = (
            format_si(b.settings[s.name].value, s.unit) if b.settings[s.name].found else "unknown" for s in settings
        )
        rows.append([b.name, *shown, PLACES[b.inside], b.outcome.value, b.why])
    return rows


def history_dataset(history: History) -> xr.Dataset:
    """Everything as an xarray Dataset in SI."""
    e, batches = history.envelope, history.batches
    names = [s.name for s in e.settings]

    def of(field: str) -> Any:
        return np.array([[getattr(j, field) for j in b.judgments] for b in batches])

    met = np.array([[-1 if j.met is None else int(j.met) for j in b.judgments] for b in batches], dtype=np.int8)
    si = {"units": "SI, see the coordinate unit"}
    over = ("batch", "limit")
    return xr.Dataset(
        {
            "setting_value": (("batch", "setting"), np.array([_values(b, names) for b in batches]), si),
            "source": (("batch", "setting"), [[b.settings[n].source for n in names] for b in batches]),
            "inside": (
                "batch",
                np.array([-1 if b.inside is None else int(b.inside) for b in batches], dtype=np.int8),
                {"units": "1", "flag_values": [-1, 0, 1], "flag_meanings": "unknown outside inside"},
            ),
            "outcome": ("batch", [b.outcome.value for b in batches]),
            "value": (over, of("value"), {"units": "SI, see the coordinate limit_unit"}),
            "margin": (over, of("margin"), {"units": "SI differences, see the coordinate limit_unit"}),
            "noise": (over, of("noise"), {"units": "SI differences, see the coordinate limit_unit"}),
            "met": (over, met, {"units": "1", "flag_values": [-1, 0, 1], "flag_meanings": "not_judged broken met"}),
            "n_samples": (over, of("n_samples"), {"units": "1"}),
            "reason": (over, of("reason")),
        },
        coords={
            "batch": [b.name for b in batches],
            "setting": names,
            "unit": ("setting", [s.unit.si_text for s in e.settings]),
            "limit": list(e.limits),
            "limit_unit": ("limit", [m.unit.si_text for m in e.margins]),
        },
    )


def _values(batch: PastBatch, names: list[str]) -> list[float]:
    return [batch.settings[name].value for name in names]


def save_csv(history: History, path: str | os.PathLike[str]) -> None:
    """Write a row for each batch, whole or not at all."""
    e = history.envelope
    head = ["batch", "outcome", "place", *(f"{s.name} [{s.unit.text}]" for s in e.settings)]
    for m in e.margins:
        shown = m.unit.difference().text
        head += [
            f"{m.limit}: measured [{m.unit.text}]",
            f"{m.limit}: margin [{shown}]",
            f"{m.limit}: noise sd [{shown}]",
        ]
        head.append(f"{m.limit}: met")
    head.append("remarks")
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(head)
        for b in history.batches:
            row = [b.name, b.outcome.value, PLACES[b.inside]]
            row += [_cell(b.settings[s.name].value, s.unit) for s in e.settings]
            for m, j in zip(e.margins, b.judgments, strict=True):
                row += [_cell(j.value, m.unit), _cell(j.margin, m.unit, True), _cell(j.noise, m.unit, True)]
                row.append("not judged" if j.met is None else "yes" if j.met else "no")
            remarks = [b.why, *(f"{j.limit}: {j.reason}" for j in b.judgments if j.met is not None and j.reason)]
            rows.writerow([*row, "; ".join(r for r in remarks if r)])


def _cell(value: float, unit: Any, difference: bool = False) -> str:
    return f"{unit.from_si(value, difference=difference):.10g}" if np.isfinite(value) else ""
