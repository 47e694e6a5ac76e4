"""Slices through the region of an envelope of three or more settings, moved by sliders in the page.

The probability and the assured margin are predicted by the envelope's design (no model is needed) on a grid over all
settings, stored as bytes, and interpolated in the page. A coarse grid is enough to see what limits what; the
certificate stands for the box alone. The page shows the sliders only where scripts run: the picture of the slices
through the set point is there anyway.
"""

import base64
import html
import itertools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.envelope import Envelope
from physics_twin.envelope.history.history import History
from physics_twin.envelope.limits.allowed import Allowed
from physics_twin.report.page import Html, joined, paragraph, tag
from physics_twin.report.slices_script import SCRIPT

N_NODES = {3: 25, 4: 13, 5: 8, 6: 6, 7: 5, 8: 4}
"""Nodes along each setting: some ten thousand points in all, a few seconds of prediction and 50 to 150 KB."""
STEPS = 100
"""Positions of a slider."""
SHARES = 250.0
"""Steps into which a probability is rounded."""
LEVELS, ZERO = 40.0, 125
"""Steps for one unit of margin (its spread over the draws), and the byte of margin zero; beyond three units it is cut
off, since only the zero line is drawn."""


def slices(envelope: Envelope, history: History | None) -> Html:
    """The sliders with their pictures; nothing for fewer than three settings or an envelope without its design."""
    if len(envelope.settings) not in N_NODES or envelope.design is None:
        return Html("")
    data = json.dumps(_data(envelope, history), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    # In a script element only "</" and "<!--" are dangerous; as an escape of JSON "<" is neither.
    held = Html(f'<script type="application/json" class="data">{data.replace("<", chr(92) + "u003c")}</script>')
    text = paragraph(
        "Move a slider to hold a setting elsewhere; every picture is a slice through the settings held. Light is "
        "probable, the thick line is the edge of the region, the frame is the operating box: solid where the slice "
        "goes through the box, dotted where it passes beside it. The cross of thin lines is where the sliders stand. "
        "Predicted from the simulations of the search and interpolated: information, certified is the box alone.",
        css="small",
    )
    sliders = tag("div", *(_slider(envelope, i) for i in range(len(envelope.settings))), css="sliders")
    verdict = tag("p", "", css="verdict", role="status")
    keys = Html(f'<p class="small key">{_key(history)}</p>')
    panels = Html('<div class="panels"></div>')
    # Hidden until the script has run: without scripts there is nothing to move.
    block = Html(f'<div class="slices" hidden>{joined([text, sliders, verdict, panels, keys, held])}</div>')
    return joined([block, Html(f"<script>{SCRIPT}</script>")])


def _slider(envelope: Envelope, i: int) -> Html:
    setting = envelope.settings[i]
    label = html.escape(setting.name.replace("_", " "))
    start = _position(envelope, i, envelope.margins_at[setting.name])
    key = f"slice-{i}"
    return Html(
        f'<div class="slider"><label for="{key}">{label}</label>'
        f'<input type="range" id="{key}" min="0" max="{STEPS}" step="1" value="{round(STEPS * start)}">'
        f'<output for="{key}"></output></div>'
    )


def _key(history: History | None) -> str:
    words = "◇ set point"
    if history is not None:
        words += " &nbsp; ● past batch that met every limit &nbsp; ✕ broke a limit &nbsp; ○ not every limit measured"
        words += "; batches fade with their distance from the slice"
    return words


def _position(envelope: Envelope, i: int, si: float) -> float:
    low, high = envelope.settings[i].bounds
    return (si - low) / (high - low)


def _data(envelope: Envelope, history: History | None) -> dict[str, Any]:
    """Everything the page draws: settings in declared units, the rest in positions between the bounds searched."""
    d = len(envelope.settings)
    n = N_NODES[d]
    chance, level = _grids(envelope, n)
    found: dict[str, Any] = {
        "n": n,
        "required": envelope.required,
        "settings": [
            {
                "name": s.name.replace("_", " "),
                "unit": plot_style.unit_text(s.unit),
                "low": float(s.unit.from_si(s.bounds[0])),
                "high": float(s.unit.from_si(s.bounds[1])),
            }
            for s in envelope.settings
        ],
        "chance": _bytes(chance),
        "level": _bytes(level),
        "shares": SHARES,
        "zero": ZERO,
        "start": _positions(envelope, envelope.margins_at),
        "box": None,
        "sides": [],
        "batches": _batches(envelope, history),
    }
    if not envelope.empty:
        found["box"] = [
            [_position(envelope, i, x) for x in envelope.box[s.name]] for i, s in enumerate(envelope.settings)
        ]
    if envelope.polytope is not None:
        low = np.array([s.bounds[0] for s in envelope.settings])
        width = np.array([s.bounds[1] - s.bounds[0] for s in envelope.settings])
        normals = np.asarray(envelope.polytope.sides) * width
        rooms = np.asarray(envelope.polytope.levels) - np.asarray(envelope.polytope.sides) @ low
        size = np.abs(normals).max(axis=1, keepdims=True)
        found["sides"] = np.column_stack([normals / size, rooms[:, None] / size]).tolist()
    return found


def _positions(envelope: Envelope, values: Any) -> list[float]:
    return [_position(envelope, i, values[s.name]) for i, s in enumerate(envelope.settings)]


def _batches(envelope: Envelope, history: History | None) -> list[dict[str, Any]]:
    if history is None:
        return []
    return [
        {
            "name": b.name,
            "outcome": b.outcome.value,
            "at": _positions(envelope, {name: found.value for name, found in b.settings.items()}),
        }
        for b in history.batches
        if b.placed
    ]


def _grids(envelope: Envelope, n: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Probability and margin at all nodes, the last setting fastest."""
    space = envelope.space
    line = np.linspace(0.0, 1.0, n)
    points: Array = np.array(list(itertools.product(line, repeat=len(envelope.settings))))
    allowed = Allowed.share(envelope.certificate.groups, space.n_draws)
    chance = np.round(SHARES * space.joint_probability(points))
    level = np.round(ZERO + np.clip(LEVELS * space.level(points, allowed), -ZERO, ZERO))
    return chance.astype(np.uint8), level.astype(np.uint8)


def _bytes(grid: NDArray[np.uint8]) -> str:
    return base64.b64encode(grid.tobytes()).decode("ascii")


__all__ = ["slices"]
