"""How pictures look: one place for sizes, colors and marks, readable in print, in grayscale and by the color-blind.

Colors are Okabe and Ito's (Color Universal Design, 2008), ordered so that neighbors differ in lightness too; every
color comes with a line style and a marker of its own, so that nothing rests on color alone. What is measured is black
with an open marker, what is computed is blue with a band, a limit or a failure is vermilion with a cross.

Matplotlib takes a quarter of a second to import, so it is imported when the first picture is drawn.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

MODEL = "#0072B2"
BAND = "#9CC7E3"
"""95 % band: light enough for black marks on it, dark enough to show in grayscale."""
MEASURED = "#1A1A1A"
ALARM = "#D55E00"
MUTED = "#767676"

FIGURE_WIDTH = 7.2
"""Inches: the text width of an A4 page."""
PANEL_HEIGHT = 1.9
DENSE = 150
"""Samples from which marks merge into a line."""
SPARE = "spare"
"""Mark of a panel that shows nothing; the legend goes there."""

SIGNS = {
    "percent": "%",
    "**": "^",
    "^-1": "⁻¹",
    "^-2": "⁻²",
    "^2": "²",
    "^3": "³",
    "degC": "°C",
    "degF": "°F",
    "*": "·",
}

RC: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so pictures are the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#4D4D4D",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "figure.dpi": 110.0,
    "savefig.dpi": 200.0,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "physics_twin",  # the same picture is the same bytes
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the library's style inside this block; matplotlib's own settings are as before afterwards."""
    import matplotlib as mpl

    with mpl.rc_context(RC):
        yield


@dataclass(frozen=True)
class TimeScale:
    """The unit in which times of a run are shown."""

    seconds: float
    unit: str

    def __call__(self, times: Array) -> Array:
        """Return times in s, (n,), in this unit."""
        return np.asarray(times, dtype=float) / self.seconds

    @property
    def label(self) -> str:
        """The label of the axis."""
        return f"time / {self.unit}"


def time_scale(duration: float) -> TimeScale:
    """Return the unit that shows a duration in s with a handful to a few hundred.

    >>> time_scale(90.0).unit, time_scale(7200.0).unit, time_scale(2.2e6).unit
    ('s', 'min', 'h')
    """
    for limit, seconds, unit in ((600.0, 1.0, "s"), (14400.0, 60.0, "min"), (3.6e6, 3600.0, "h")):
        if duration <= limit:
            return TimeScale(seconds, unit)
    return TimeScale(86400.0, "d")


def unit_text(unit: object) -> str:
    """Return a unit as people write it; empty for a pure number.

    >>> unit_text("percent"), unit_text("degC"), unit_text("W/m^2/K"), unit_text("1")
    ('%', '°C', 'W/m²/K', '')
    """
    words = {"delta_degC": "K", "1": "", "-": ""}
    text = words.get(str(unit), str(unit))
    for plain, sign in SIGNS.items():
        text = text.replace(plain, sign)
    return text


def label(name: str, unit: object, longest: int | None = None) -> str:
    """Return the label of an axis: "core temperature / °C"; a pure number stands alone.

    longest: letters from which on it takes another line, beside a small panel.

    >>> label("core_temperature", "degC"), label("yield_ratio", "1"), label("film_coefficient", "W/m^2/K")
    ('core temperature / °C', 'yield ratio', 'film coefficient / (W/m²/K)')
    """
    words, text = name.replace("_", " "), unit_text(unit)
    if text:
        words += f" / ({text})" if "/" in text else f" / {text}"
    return words if longest is None else wrapped(words, longest)


def wrapped(text: str, longest: int) -> str:
    """Return a text in lines of at most so many letters, as even as they can be; a unit stays with its slash.

    >>> print(wrapped("temperature of the second zone / °C", 20))
    temperature of the
    second zone / °C
    """
    kept = text.replace(" / ", "\0/\0")
    lines = textwrap.wrap(kept, longest, break_long_words=False, break_on_hyphens=False)
    fewest = len(lines)
    for width in range(len(kept) // max(fewest, 1), longest):
        even = textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False) if width else lines
        if len(even) <= fewest:
            lines = even
            break
    return "\n".join(lines).replace("\0", " ")


def panels(
    n: int,
    ax: "Axes | Sequence[Axes] | None" = None,
    *,
    height: float = PANEL_HEIGHT,
    shared: bool = True,
    columns: int | None = None,
) -> "list[Axes]":
    """Return n axes: those given, or of a new figure with one column of up to three panels, else two columns.

    shared: whether they have one horizontal axis. columns: how many stand side by side, where that has a meaning.

    Raises ShapeError for another number of axes than n.
    """
    if ax is not None:
        given: list[Any] = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(given) != n:
            raise ShapeError(f"{len(given)} axes were given for {n} panels")
        return given
    from matplotlib import pyplot as plt

    if columns is None:
        columns = 1 if n <= 3 else 2
    rows = -(-n // columns)
    size = (FIGURE_WIDTH, 0.7 + height * rows)
    figure, grid = plt.subplots(rows, columns, sharex=shared, squeeze=False, figsize=size)
    figure.set_layout_engine("constrained", h_pad=0.06, hspace=0.04)
    found = list(grid.ravel())
    for spare in found[n:]:
        spare.set_axis_off()
        spare.set_gid(SPARE)
    for lowest in found[max(n - columns, 0) : n]:
        lowest.tick_params(labelbottom=True)
    return found[:n]


def label_times(axes: "Sequence[Axes]", scale: TimeScale) -> None:
    """Name the time axis of the panels that show its numbers."""
    for one in axes:
        if any(tick.label1.get_visible() for tick in one.xaxis.get_major_ticks()[:1]):
            one.set_xlabel(scale.label)


def figure_of(axes: "Sequence[Axes]") -> "Figure":
    """Return the figure that holds these axes."""
    from matplotlib.figure import Figure

    figure = axes[0].get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def draw_band(ax: "Axes", t: Array, low: Array, middle: Array | None, high: Array, *, name: str = "95 % band") -> None:
    """Draw a band (n_times,) with its middle line; the edges are lines too: a light fill is lost in a photocopy."""
    ax.fill_between(t, low, high, color=BAND, alpha=0.55, lw=0, label=name)
    for edge in (low, high):
        ax.plot(t, edge, color=MODEL, lw=0.5, alpha=0.8)
    if middle is not None:
        ax.plot(t, middle, color=MODEL, label="model", zorder=3)


def draw_samples(
    ax: "Axes",
    t: Array,
    y: Array,
    *,
    name: str = "measured",
    outside: "NDArray[np.bool_] | None" = None,
    sides: "NDArray[np.int8] | None" = None,
) -> None:
    """Draw samples (n,) as open circles; those `outside` (n,) a band are filled crosses.

    sides: (n,) -1 where a sample says that the truth lies below it, 1 above: these are triangles that point there.
    """
    missed = np.zeros(len(t), dtype=bool) if outside is None else np.asarray(outside, dtype=bool)
    if sides is not None and sides.any():
        for side, mark, words in ((-1, "v", "below a limit"), (1, "^", "above a limit")):
            for off, color in ((False, "white"), (True, ALARM)):
                hit = (sides == side) & (missed == off)
                if hit.any():
                    text = words + (", outside the band" if off else "")
                    ax.plot(t[hit], y[hit], ls="", marker=mark, ms=6, mfc=color, mec=MEASURED, label=text, zorder=4)
        t, y, missed = t[sides == 0], y[sides == 0], missed[sides == 0]
    if len(t) > DENSE:  # a long log: small marks, below the curve that they would hide
        dot: dict[str, Any] = {"marker": ".", "ms": 2.5, "color": MEASURED, "mew": 0.0, "zorder": 2.2}
        cross: dict[str, Any] = {"marker": "x", "ms": 2.5, "color": ALARM, "mew": 0.7, "zorder": 2.3}
    else:
        dot = {"marker": "o", "ms": 4.5, "mfc": "white", "mec": MEASURED, "mew": 1.0, "zorder": 4}
        cross = {"marker": "X", "ms": 6, "mfc": ALARM, "mec": MEASURED, "mew": 0.7, "zorder": 5}
    if (~missed).any():
        ax.plot(t[~missed], y[~missed], ls="", label=name, **dot)
    if missed.any():
        ax.plot(t[missed], y[missed], ls="", label=f"{name}, outside the band", **cross)


def grayscale_safe(n: int) -> list[dict[str, Any]]:
    """Return n line styles that differ in color, dash and marker."""
    return [
        {"color": COLORS[i % len(COLORS)], "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        for i in range(n)
    ]


def one_legend(figure: "Figure", axes: "Sequence[Axes]") -> None:
    """One legend for all panels, each label once: in a panel that shows nothing, else below them."""
    entries: dict[str, Any] = {}
    for one in axes:
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True):
            entries.setdefault(text, handle)
    spare = [one for one in figure.axes if one.get_gid() == SPARE]
    if spare:
        spare[0].legend(list(entries.values()), list(entries), loc="center", fontsize=9)
    else:
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=min(len(entries), 5))


__all__ = [
    "ALARM",
    "BAND",
    "COLORS",
    "FIGURE_WIDTH",
    "LINES",
    "MARKERS",
    "MEASURED",
    "MODEL",
    "MUTED",
    "RC",
    "TimeScale",
    "draw_band",
    "draw_samples",
    "figure_of",
    "grayscale_safe",
    "label",
    "label_times",
    "one_legend",
    "panels",
    "style",
    "time_scale",
    "unit_text",
    "wrapped",
]
