"""The picture of a log at first sight: small multiples over time, with what is wrong marked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.relations.compression import CompressionKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.measurements.inspection.inspection import InspectedTag, Inspection

__all__ = ["plot_inspection"]

_PANELS = 12
_BINS = 1500
"""Twice this many points draw a line that no printer can tell from one of ten million."""
_GAP_COLOR = "#E3E3E3"
_STATES = 8
_DATES: dict[str, list[str]] = {
    "formats": ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S"],
    "zero_formats": ["", "%Y", "%m-%d", "%m-%d", "%H:%M", "%H:%M"],
    "offset_formats": ["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"],
}
"""Dates as ISO 8601 writes them, for years, months, days, hours, minutes and seconds between ticks."""


def plot_inspection(inspection: "Inspection", tags: Sequence[str] | None = None) -> "Figure":
    """Draw each tag over time; gaps are gray, flat stretches orange, bad samples crosses; one panel a tag."""
    from physics_twin.measurements.inspection.inspection import Kind

    names = list(inspection.tags)[:_PANELS] if tags is None else list(tags)
    found = [inspection[name] for name in names]
    with plot_style.style():
        axes = plot_style.panels(len(found), height=1.5)
        for ax, tag in zip(axes, found, strict=True):
            t, v = _in_order(inspection, tag.tag)
            horizontal = _axis(inspection, t)
            for begin, end in tag.gaps:
                ax.axvspan(*_axis(inspection, np.array([begin, end])), color=_GAP_COLOR, lw=0, label="gap")
            if tag.kind is Kind.TEXTS:
                ax.step(horizontal, v, where="post", color=plot_style.MEASURED, lw=0.9)
                n = len(tag.states)
                ax.set_yticks(
                    range(n) if n <= _STATES else [0, n - 1],
                    tag.states if n <= _STATES else [tag.states[0], tag.states[-1]],
                )
            elif tag.kind is Kind.NUMBERS:
                _draw_numbers(ax, inspection, tag, t, v)
                _keep_scale(ax, tag, v)
            unit = tag.units[0] if tag.units else None
            in_header = unit is not None and tag.tag.rstrip().endswith((f"({unit.unit})", f"[{unit.unit}]"))
            shown = "" if unit is None or in_header else f" / {plot_style.unit_text(unit.unit)}"
            ax.set_title(f"{tag.tag}{shown}{'' if unit is None or unit.stated else '?'}")
        _name_times(inspection, axes)
        left_out = len(inspection.tags) - len(found)
        figure = plot_style.figure_of(axes)
        more = f", {left_out} more tags not shown" if left_out and tags is None else ""
        figure.suptitle(f"{inspection.log.source}{more}", fontsize=10, x=0.01, ha="left")
        plot_style.one_legend(figure, axes)
    return figure


def _in_order(inspection: "Inspection", tag: str) -> tuple[Array, Array]:
    samples = inspection.log[tag]
    finite = np.isfinite(samples.times)
    t, v = samples.times[finite], np.where(samples.flags[finite] < Flag.BAD, samples.values[finite], np.nan)
    order = np.argsort(t, kind="stable")
    return t[order], v[order]


def _draw_numbers(ax: "Axes", inspection: "Inspection", tag: "InspectedTag", t: Array, v: Array) -> None:
    held = tag.compression is not None and tag.compression.kind is CompressionKind.EXCEPTION
    shown = _broken_at_gaps(tag, t, v)
    line: dict[str, Any] = {"color": plot_style.MEASURED, "lw": 0.9, "label": "samples"}
    if shown[0].size == 0:
        return
    if held:
        ax.step(_axis(inspection, shown[0]), shown[1], where="post", **line)
    elif t.size <= plot_style.DENSE:
        ax.plot(_axis(inspection, shown[0]), shown[1], marker="o", ms=3, **line)
    else:
        ax.plot(_axis(inspection, shown[0]), shown[1], **line)
    for begin, end, value in tag.flats:
        ax.plot(_axis(inspection, np.array([begin, end])), [value, value], color="#E69F00", lw=4, label="flat")
    samples = inspection.log[tag.tag]
    bad = (samples.flags >= Flag.BAD) & np.isfinite(samples.times)
    doubtful = (samples.flags == Flag.SUSPECT) & np.isfinite(samples.times) & np.isfinite(samples.values)
    if doubtful.any():
        where = _axis(inspection, samples.times[doubtful])
        ax.plot(where, samples.values[doubtful], ls="", marker="^", ms=4, mfc="none", color="#E69F00", label="suspect")
    if bad.any():  # most bad samples have no value: they stand on the lower edge
        where = _axis(inspection, samples.times[bad])
        ax.plot(
            where,
            np.zeros(int(bad.sum())),
            ls="",
            marker="x",
            ms=5,
            color=plot_style.ALARM,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            label="bad or missing (on the axis)",
        )


def _keep_scale(ax: "Axes", tag: "InspectedTag", v: Array) -> None:
    """Leave outliers outside the scale, and say so: one full-scale reading hides everything else."""
    if not tag.outliers:
        return
    far = np.array([value for _, value in tag.outliers])
    shown = v[np.isfinite(v) & ~np.isin(v, far)]
    margin = 0.08 * float(np.ptp(shown))
    ax.set_ylim(float(shown.min()) - margin, float(shown.max()) + margin)
    above, below = far[far > shown.max()], far[far < shown.min()]
    said = [
        f"{one.size} {side}, up to {end(one):.4g}"
        for one, side, end in ((above, "above", np.max), (below, "below", np.min))
        if one.size
    ]
    ax.set_title(f"not shown: {'; '.join(said)}", loc="right", fontsize=8, fontweight="normal", color=plot_style.ALARM)


def _broken_at_gaps(tag: "InspectedTag", t: Array, v: Array) -> tuple[Array, Array]:
    """Return the line to draw: the extremes of each of many bins of a long log, interrupted in gaps."""
    if t.size > 4 * _BINS:
        edges = np.linspace(0, t.size, _BINS + 1).astype(np.intp)[:-1]
        filled = np.where(np.isnan(v), np.inf, v)
        low = np.minimum.reduceat(filled, edges)
        high = np.maximum.reduceat(np.where(np.isnan(v), -np.inf, v), edges)
        t, v = np.repeat(t[edges], 2), np.column_stack([low, high]).ravel()
        v = np.where(np.isfinite(v), v, np.nan)
    if tag.gaps:
        middles = np.array([0.5 * (begin + end) for begin, end in tag.gaps])
        at: NDArray[np.intp] = np.searchsorted(t, middles)
        t, v = np.insert(t, at, middles), np.insert(v, at, np.nan)
    return t, v


def _axis(inspection: "Inspection", seconds: Array) -> Any:
    """Return times (n,) in s as matplotlib takes them: the clock on the wall, or elapsed hours or seconds."""
    if inspection.log.origin is None:
        return _scale(inspection)(seconds)
    first = inspection.log.origin.replace(tzinfo=None)
    return np.datetime64(first, "us") + (np.asarray(seconds) * 1e6).astype("timedelta64[us]")


def _scale(inspection: "Inspection") -> plot_style.TimeScale:
    low, high = _ends(inspection)
    return plot_style.time_scale(high - low)


def _ends(inspection: "Inspection") -> tuple[float, float]:
    """Return the first and the last time of all tags, s since the log's origin."""
    found = [
        (float(np.nanmin(s.times)), float(np.nanmax(s.times))) for s in inspection.log if np.isfinite(s.times).any()
    ]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else (0.0, 1.0)


def _name_times(inspection: "Inspection", axes: "Sequence[Axes]") -> None:
    low, high = _ends(inspection)
    if high > low:  # for tags without a sample, too
        room = 0.02 * (high - low)
        axes[0].set_xlim(*_axis(inspection, np.array([low - room, high + room])))
        for ax in axes[1:]:
            ax.set_xlim(axes[0].get_xlim())
    if inspection.log.origin is None:
        plot_style.label_times(axes, _scale(inspection))
        return
    import zoneinfo

    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    zone = inspection.log.layout.zone if inspection.zone_known else None
    tz = zoneinfo.ZoneInfo(zone) if zone is not None else None
    for ax in axes:
        locator = AutoDateLocator(tz=tz, minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=tz, **_DATES))  # type: ignore[no-untyped-call]
    known = zone or ("UTC" if inspection.zone_known else None)
    name = "clock of the plant, zone unknown" if known is None else f"time in {known}"
    for ax in axes:
        if any(tick.label1.get_visible() for tick in ax.xaxis.get_major_ticks()[:1]):
            ax.set_xlabel(name, loc="left")  # the date of the last tick stands on the right
