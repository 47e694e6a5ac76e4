"""What is drawn over the map of an envelope: box, polytope, ranges, set point, present point, past batches.

Everything is told apart without color: a box is drawn in solid and a polytope in dashes, a batch that passed is a
filled circle, one that failed a cross, one that was not judged an open circle; the set point is a diamond.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import offset_copy

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.history.history import History, Outcome, PastBatch
from physics_twin.envelope.set_point.set_point import SETTING_BOUND, limit_of
from physics_twin.errors import EnvelopeError
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, to_si

BOX_COLOR, POINT_COLOR, RANGE_COLOR = "#0b5394", "#b45f06", "#351c75"
HALO = (Stroke(linewidth=3.2, foreground="white"), Normal())
"""White around dark lines, so that they show on dark and on light parts of the map."""
MARKS: Mapping[Outcome, Mapping[str, Any]] = {
    Outcome.PASS: {"marker": "o", "ms": 5.5, "mfc": plot_style.MEASURED, "mec": "white", "mew": 0.7},
    Outcome.FAIL: {"marker": "x", "ms": 7.0, "mec": plot_style.ALARM, "mew": 2.2},
    Outcome.NOT_JUDGED: {"marker": "o", "ms": 5.0, "mfc": "white", "mec": plot_style.MEASURED, "mew": 1.1},
}
WORDS = {
    Outcome.PASS: "past batch that met every limit",
    Outcome.FAIL: "past batch that broke a limit",
    Outcome.NOT_JUDGED: "past batch, not every limit measured",
}
FADED, FAILED, REACH = 0.15, 0.35, 0.15
"""Least opacity of a batch off the slice, of one that failed, and the distance (share of the ranges searched) at which
most has faded."""
ARROW = 13.0
"""Points from a batch that lies beyond the picture to the edge at which its arrow ends."""
NEAR = 0.05
"""Share of the panel within which a letter would leave it, and stands on the inner side of the line instead."""


@dataclass(frozen=True)
class Scene:
    """What is drawn beside the envelope itself."""

    history: History | None = None
    present: Mapping[str, float] = field(default_factory=dict)
    """Setting -> SI; empty for none."""

    @property
    def placed(self) -> list[PastBatch]:
        """Batches that can be drawn."""
        return [] if self.history is None else [b for b in self.history.batches if b.placed]


def scene_of(envelope: Envelope, history: Any = None, present: Mapping[str, QuantityLike] | None = None) -> Scene:
    """Judge a plain list of experiments, and read the present point; raises what `against` and units raise."""
    if history is not None and not isinstance(history, History):
        history = envelope.against([history] if hasattr(history, "series") else list(history))
    if present is None:
        return Scene(history)
    known = {s.name for s in envelope.settings}
    for name in present:
        envelope.setting(name)
    if missing := sorted(known - set(present)):
        raise EnvelopeError(f'plot: present= has no "{missing[0]}"; a point has all settings')
    point = {s.name: to_si(present[s.name], s.unit, name=s.name) for s in envelope.settings}
    return Scene(history, point)


def shown(setting: Setting, values: Any) -> Array:
    """SI numbers in the setting's unit."""
    return setting.unit.from_si(np.asarray(values, dtype=float))


def draw_range(envelope: Envelope, ax: Axes, a: Setting, b: Setting) -> None:
    """The box (and the slice of the polytope), or the closest settings of an empty envelope."""
    if envelope.empty:
        px, py = (float(shown(s, envelope.margins_at[s.name])) for s in (a, b))
        ax.plot([px], [py], "X", ms=9, mfc="white", mec=POINT_COLOR, mew=1.6, zorder=7, clip_on=False)
        return
    (x0, x1), (y0, y1) = (shown(s, envelope.box[s.name]) for s in (a, b))
    slanted = envelope.polytope is not None
    style: dict[str, Any] = {"lw": 1.4, "ls": (0, (2, 1.5))} if slanted else {"lw": 2.6}
    ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=BOX_COLOR, zorder=5, clip_on=False, **style))
    if slanted:
        outline = polytope_slice(envelope, a, b)
        if len(outline):
            ax.add_patch(Polygon(outline, fill=False, ec=BOX_COLOR, lw=2.6, zorder=5, clip_on=False))


def polytope_slice(envelope: Envelope, a: Setting, b: Setting) -> Array:
    """Corners (n, 2) of the polytope in the plane of two settings, the others at the set point; declared units.

    The rectangle of the settings' bounds, cut by one side after the other (Sutherland and Hodgman, Communications of
    the ACM 17, 1974).
    """
    names = [s.name for s in envelope.settings]
    i, j = names.index(a.name), names.index(b.name)
    point = np.array([envelope.set_point[name] for name in names])
    (x0, x1), (y0, y1) = a.bounds, b.bounds
    outline = [np.array(p) for p in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    polytope = envelope.polytope
    assert polytope is not None  # asked for only where there is one
    for side, level in zip(polytope.sides, polytope.levels, strict=True):
        normal = side[[i, j]]
        room = level - side @ point + normal @ point[[i, j]]
        outline = _cut(outline, normal, float(room))
    corners = np.array(outline).reshape(-1, 2)
    return np.stack([shown(a, corners[:, 0]), shown(b, corners[:, 1])], axis=1)


def _cut(outline: Sequence[Array], normal: Array, room: float) -> list[Array]:
    kept: list[Array] = []
    for p, q in zip(outline, [*outline[1:], *outline[:1]], strict=True):
        left_p, left_q = room - float(normal @ p), room - float(normal @ q)
        if left_p >= 0.0:
            kept.append(p)
        if left_p * left_q < 0.0:
            kept.append(p + left_p / (left_p - left_q) * (q - p))
    return kept


def draw_points(envelope: Envelope, scene: Scene, ax: Axes, a: Setting, b: Setting) -> None:
    """Set point with its normal operating range, acceptable ranges along the axes, present point."""
    if not envelope.empty:
        px, py = (float(shown(s, envelope.set_point[s.name])) for s in (a, b))
        for s, along_x in ((a, True), (b, False)):
            if s.name in envelope.operating:
                ends = shown(s, envelope.operating[s.name])
                at = (ends, [py, py]) if along_x else ([px, px], ends)
                cap = "|" if along_x else "_"
                ax.plot(*at, color=POINT_COLOR, lw=1.6, marker=cap, ms=8, mew=1.6, zorder=7, path_effects=HALO)
            if s.name in envelope.acceptable:
                _draw_acceptable(envelope, ax, s, along_x)
        ax.plot([px], [py], "D", ms=7.5, mfc="white", mec=POINT_COLOR, mew=2.2, zorder=8, clip_on=False)
    if scene.present:
        px, py = (float(shown(s, scene.present[s.name])) for s in (a, b))
        ax.plot([px], [py], "*", ms=13, mfc="white", mec="black", mew=1.2, zorder=8, clip_on=False)


def _draw_acceptable(envelope: Envelope, ax: Axes, setting: Setting, along_x: bool) -> None:
    found = envelope.acceptable[setting.name]
    ends = shown(setting, (found.low, found.high))
    transform = ax.get_xaxis_transform() if along_x else ax.get_yaxis_transform()
    at = (ends, [0.012, 0.012]) if along_x else ([0.012, 0.012], ends)
    cap = "|" if along_x else "_"
    ax.plot(*at, transform=transform, color=RANGE_COLOR, lw=2.6, marker=cap, ms=9, mew=2.0, zorder=6, path_effects=HALO)


def draw_side_letters(envelope: Envelope, ax: Axes, a: Setting, b: Setting) -> None:
    """Writes at each side of the range the letter of the limit that ends it; the legend spells the letters out."""
    if envelope.empty:
        return
    places: list[tuple[str, tuple[float, float], tuple[float, float]]] = []
    if envelope.polytope is None:
        (x0, x1), (y0, y1) = (shown(s, envelope.box[s.name]) for s in (a, b))
        xm, ym = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
        places += zip(envelope.binding[a.name], ((x0, ym), (x1, ym)), ((-9.0, 0.0), (9.0, 0.0)), strict=True)
        places += zip(envelope.binding[b.name], ((xm, y0), (xm, y1)), ((0.0, -9.0), (0.0, 9.0)), strict=True)
    else:
        places += _polytope_places(envelope, ax, a, b)
    for end, xy, shift in places:
        if end != SETTING_BOUND and limit_of(end) in envelope.limits:
            draw_letter(envelope, ax, end, xy, shift)


def draw_letter(envelope: Envelope, ax: Axes, limit: str, xy: tuple[float, float], shift: tuple[float, float]) -> None:
    """The letter of a limit, `shift` points away from a point; inward where it would leave the panel."""
    place = ax.transAxes.inverted().transform(ax.transData.transform(xy))
    dx, dy = (
        -way if (at < NEAR and way < 0.0) or (at > 1.0 - NEAR and way > 0.0) else way
        for at, way in zip(place, shift, strict=True)
    )
    ax.annotate(
        letter(envelope, limit),
        xy,
        xytext=(dx, dy),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=8,
        fontweight="bold",
        color="white",
        bbox={"boxstyle": "circle,pad=0.18", "fc": BOX_COLOR, "ec": "white", "lw": 0.8},
        zorder=9,
    )


def _polytope_places(
    envelope: Envelope, ax: Axes, a: Setting, b: Setting
) -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
    """For two settings: what ends each side, its middle, and the way out (points)."""
    corners = polytope_slice(envelope, a, b)
    polytope = envelope.polytope
    assert polytope is not None  # asked for only where there is one
    size = np.array([np.ptp(shown(s, s.bounds)) for s in (a, b)])
    center = corners.mean(axis=0)
    found = []
    for side, level, end in zip(polytope.sides, polytope.levels, polytope.binding, strict=True):
        si = np.stack([np.asarray(s.unit.to_si(corners[:, k])) for k, s in enumerate((a, b))], axis=1)
        on = np.abs(si @ side - level) <= 1e-9 * (np.abs(si) @ np.abs(side) + abs(level))
        if on.sum() == 2:
            p, q = corners[on]
            if np.abs((p - q) / size).max() > 0.04:
                middle = 0.5 * (p + q)
                across = np.array([-(q - p)[1] / size[1], (q - p)[0] / size[0]])
                across *= np.sign(across @ ((middle - center) / size)) / np.linalg.norm(across)
                found.append((end, (float(middle[0]), float(middle[1])), (9.0 * across[0], 9.0 * across[1])))
    return found


def letter(envelope: Envelope, limit: str) -> str:
    """The letter that stands for a limit, or for the room for confidence in it."""
    i = envelope.limits.index(limit_of(limit))
    return chr(ord("A") + i) if i < 26 else str(i + 1)


def draw_unknown_ranges(envelope: Envelope, ax: Axes, a: Setting, b: Setting | None) -> None:
    """Hatches what the data, or the model's domain of validity, do not cover."""
    for what, hatch in UNKNOWN.items():
        for setting, span in ((a, ax.axvspan), (b, ax.axhspan)):
            if setting is None or setting.name not in envelope.known_ranges.get(what, {}):
                continue
            low, high = envelope.known_ranges[what][setting.name]
            for start, stop in ((setting.bounds[0], low), (high, setting.bounds[1])):
                if stop > start:
                    from_, to = shown(setting, (start, stop))
                    span(from_, to, fill=False, hatch=hatch, ec="0.35", lw=0.0, alpha=0.55, zorder=3)


UNKNOWN = {"range of the data": "////", "model's domain of validity": "\\\\\\\\"}
"""What may not cover a range, and how that is hatched."""


def draw_history(scene: Scene, ax: Axes, envelope: Envelope, a: Setting, b: Setting) -> None:
    """Past batches; those beyond the picture stand at its edge with an arrow outward, off the slice they fade."""
    limits = tuple(np.sort(shown(s, s.bounds)) for s in (a, b))
    figure = ax.get_figure(root=True)
    for batch in sorted(scene.placed, key=lambda b: b.outcome is Outcome.FAIL):  # failures on top
        at = np.array([float(shown(s, batch.settings[s.name].value)) for s in (a, b)])
        edge = np.array([np.clip(x, *ends) for x, ends in zip(at, limits, strict=True)])
        alpha = _opacity(envelope, batch, (a.name, b.name))
        out = np.sign(at - edge)
        if out.any():
            inward = (-ARROW * float(out[0]), -ARROW * float(out[1]))
            shown_at = offset_copy(ax.transData, figure, inward[0], inward[1], units="points")
            arrow = {"arrowstyle": "-|>", "color": plot_style.MEASURED, "lw": 1.0, "alpha": alpha, "shrinkB": 0.0}
            at_edge = (float(edge[0]), float(edge[1]))
            ax.annotate("", at_edge, xytext=inward, textcoords="offset points", arrowprops=arrow, zorder=6)
        else:
            shown_at = ax.transData
        ax.plot(*edge[:, None], ls="", zorder=6, alpha=alpha, transform=shown_at, clip_on=False, **MARKS[batch.outcome])


def _opacity(envelope: Envelope, batch: PastBatch, names: tuple[str, str]) -> float:
    apart = [
        abs(batch.settings[s.name].value - envelope.margins_at[s.name]) / (s.bounds[1] - s.bounds[0])
        for s in envelope.settings
        if s.name not in names
    ]
    least = FAILED if batch.outcome is Outcome.FAIL else FADED
    return least + (1.0 - least) * float(np.exp(-((max(apart, default=0.0) / REACH) ** 2)))


def mark_handles(envelope: Envelope, scene: Scene) -> list[Any]:
    """Legend entries of all that this module draws."""
    handles: list[Any] = []
    one, two = (len(envelope.settings) == n for n in (1, 2))
    if envelope.empty:
        handles.append(_marker("X", "closest settings"))
    elif one:  # its ranges are rows with names
        handles.append(_marker("D", "recommended set point"))
    else:
        ends = "; a letter names the limit that ends a side" if two else ""
        name = "largest operating box in it" if envelope.polytope is not None else f"operating box{ends}"
        if envelope.polytope is not None:
            handles.append(Patch(fill=False, ec=BOX_COLOR, lw=2.6, label=f"operating range (polytope){ends}"))
        line: dict[str, Any] = {"lw": 1.4, "ls": (0, (2, 1.5))} if envelope.polytope is not None else {"lw": 2.6}
        handles.append(Patch(fill=False, ec=BOX_COLOR, label=name, **line))
        handles.append(_marker("D", "recommended set point"))
        if envelope.operating:
            label = "normal operating range: set point ± tolerance of the knob"
            handles.append(Line2D([], [], color=POINT_COLOR, lw=1.6, marker="|", ms=8, mew=1.6, label=label))
        if envelope.acceptable:
            label = "acceptable range of one setting, the others at the set point"
            handles.append(Line2D([], [], color=RANGE_COLOR, lw=2.6, marker="|", ms=9, mew=2.0, label=label))
    if scene.present:
        handles.append(
            Line2D([], [], ls="", marker="*", ms=12, mfc="white", mec="black", mew=1.2, label="present settings")
        )
    handles += _history_handles(envelope, scene)
    for what, hatch in UNKNOWN.items():
        if any(_leaves(envelope, s, what) for s in envelope.settings):
            handles.append(Patch(fill=False, hatch=hatch, ec="0.35", lw=0.0, label=f"outside the {what}"))
    return handles


def _leaves(envelope: Envelope, setting: Setting, what: str) -> bool:
    low, high = envelope.known_ranges.get(what, {}).get(setting.name, setting.bounds)
    return low > setting.bounds[0] or high < setting.bounds[1]


def _history_handles(envelope: Envelope, scene: Scene) -> list[Any]:
    found: list[Any] = []
    batches = scene.placed
    for outcome, mark in MARKS.items():
        own = [b for b in batches if b.outcome is outcome]
        if own:
            inside = sum(bool(b.inside) for b in own)
            where = f"{len(own)}, {inside} of them inside" if not envelope.empty else f"{len(own)}"
            found.append(Line2D([], [], ls="", label=f"{WORDS[outcome]} ({where})", **mark))
    if scene.history is not None and (lost := len(scene.history.batches) - len(batches)):
        label = f"not drawn: {lost} past batch{'' if lost == 1 else 'es'} with unknown settings"
        found.append(Line2D([], [], ls="", label=label))
    if found and len(envelope.settings) > 2:
        found.append(Line2D([], [], ls="", label="batches fade with their distance from the slice"))
    return found


def _marker(shape: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker=shape, ms=7.5, mfc="white", mec=POINT_COLOR, mew=2.0, label=label)
