"""Pictures of envelopes: what is drawn, where, and that a stranger can read it without color."""

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Polygon
from scipy.spatial import ConvexHull

import physics_twin as pt
from physics_twin.envelope import Budget, Envelope, Limit, Polytope, final, find_envelope
from physics_twin.envelope.history.history import Outcome
from physics_twin.envelope.plot_marks import MARKS, polytope_slice, scene_of
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope
from physics_twin.errors import EnvelopeError, UnknownNameError

TIMES = np.linspace(0.0, 3600.0, 9)


LONG = "jacket_temperature_of_the_second_zone"


def ask(analytic, d: int, prefix: str = "s", **options) -> Envelope:
    """0.1 d <= sum s + 0.1 a <= 0.9 d; prefix: of the settings' names."""
    model = analytic.closed_form({"y": lambda t, v: sum(v[f"{prefix}{i}"] for i in range(d)) + 0.1 * v["a"]}, ["a"])
    settings = tuple(pt.Setting(f"{prefix}{i}", "1", bounds=(0.0, 1.0)) for i in range(d))
    limits = [Limit("y", lower=0.1 * d, upper=0.9 * d, over=final)]
    posterior = analytic.gaussian_draws(model, 500, 1)
    budget = Budget(n_points=40)
    return find_envelope(
        model,
        posterior,
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=limits,
        probability=0.9,
        rng=1,
        budget=budget,
        **options,
    )


@pytest.fixture(scope="module")
def envelopes(analytic) -> dict[int, Envelope]:
    return {d: ask(analytic, d) for d in (1, 2, 3)}


def batches(envelope: Envelope) -> list[pt.Experiment]:
    """At the set point one that passes, one that fails and one that is not judged; one far beyond the ranges."""
    made, d = [], len(envelope.settings)
    for name, far, y, output in (
        ("good", False, 0.5, "y"),
        ("bad", False, 0.95, "y"),
        ("open", False, 0.5, "other"),
        ("far", True, 0.95, "y"),
    ):
        channel = pt.Channel(output, unit="1", noise=0.01)
        context = {f"s{i}": 1.4 if far else envelope.set_point[f"s{i}"] for i in range(d)}
        data = {output: np.full(TIMES.size, y * d)}
        made.append(pt.Experiment.from_arrays(name, (TIMES, "s"), data, channels=[channel], context=context))
    return made


def texts(figure) -> str:
    """All texts of a figure, drawn with warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return " | ".join(t.get_text() for t in figure.findobj(plt.Text))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_past_batches_are_drawn_and_counted(envelopes, d):
    """The legend counts what met the limits, what broke one, and what was not measured."""
    figure = envelopes[d].plot(history=batches(envelopes[d]), present={f"s{i}": 0.5 for i in range(d)})
    words = texts(figure)
    plt.close(figure)
    for part in (
        "past batch that met every limit (1, 1 of them inside)",
        "past batch that broke a limit (2, 1 of them inside)",
        "past batch, not every limit measured (1, 1 of them inside)",
        "present settings",
        "recommended set point",
    ):
        assert part in words
    assert ("fade" in words) == (d > 2)


def test_marks_differ_without_color():
    """A filled circle, a cross, an open circle."""
    looks = {(m["marker"], m.get("mfc") == "white") for m in MARKS.values()}
    assert len(looks) == len(MARKS)


def test_a_batch_beyond_the_ranges_stands_at_the_edge_with_an_arrow(envelopes):
    """Its mark is inside the picture, the arrow points to where it ran."""
    far = batches(envelopes[2])[3]
    figure = envelopes[2].plot(history=[far])
    figure.canvas.draw()
    ax = figure.axes[0]
    (arrow,) = [a for a in ax.texts if a.arrow_patch is not None]
    tip, tail = ax.transData.transform(arrow.xy), arrow.get_window_extent().p0
    assert arrow.xy == (1.0, 1.0) and max(arrow.xyann) < 0.0, "from inside to the edge"
    (mark,) = [line for line in ax.lines if line.get_marker() == MARKS[Outcome.FAIL]["marker"]]
    at = mark.get_transform().transform(mark.get_xydata())[0]
    assert ax.bbox.contains(*at) and (at < tip).all()
    assert np.isfinite(tail).all()
    plt.close(figure)


def test_batches_off_the_slice_fade(envelopes):
    """The farther from the settings that a panel holds, the fainter; failures never vanish."""
    envelope = envelopes[3]
    at = [envelope.margins_at[f"s{i}"] for i in range(3)]
    runs = []
    for name, shift in (("near", 0.0), ("off", 0.12), ("away", 0.4)):
        context = {"s0": at[0], "s1": at[1], "s2": at[2] - shift}
        channel = pt.Channel("y", unit="1", noise=0.01)
        data = {"y": np.full(TIMES.size, 1.5)}
        runs.append(pt.Experiment.from_arrays(name, (TIMES, "s"), data, channels=[channel], context=context))
    figure = envelope.plot(history=runs)
    first = figure.axes[0]  # s1 over s0: s2 is held
    marker = MARKS[Outcome.PASS]["marker"]
    alphas = [line.get_alpha() for line in first.lines if line.get_marker() == marker and line.get_alpha() is not None]
    assert alphas == sorted(alphas, reverse=True) and alphas[0] == 1.0 and 0.0 < alphas[2] < 0.2
    plt.close(figure)


def test_the_legend_hides_nothing(envelopes):
    """Legend and axes do not overlap, nor do the title and the axes, whatever is drawn."""
    for d, envelope in envelopes.items():
        figure = envelope.plot(history=batches(envelope), present={f"s{i}": 0.5 for i in range(d)})
        figure.canvas.draw()
        legend = figure.axes[0].get_legend() if d == 2 else figure.legends[0]
        box = legend.get_window_extent()
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        for ax in figure.axes:
            assert not box.overlaps(ax.get_window_extent())
        plt.close(figure)


def test_ranges_of_single_settings_and_what_the_data_cover_are_drawn(envelopes):
    """Acceptable and normal operating ranges have entries in the legend; the uncovered is hatched and named."""
    envelope = envelopes[2]
    point = envelope.set_point
    rich = replace(
        envelope,
        operating={"s0": (point["s0"] - 0.02, point["s0"] + 0.02)},
        known_ranges={"range of the data": {"s0": (0.2, 1.0)}, "model's domain of validity": {"s1": (0.0, 0.9)}},
    )
    figure = rich.plot()
    words = texts(figure)
    assert "normal operating range" in words
    assert "outside the range of the data" in words and "outside the model's domain of validity" in words
    assert len({p.get_hatch() for p in figure.axes[0].patches if p.get_hatch()}) == 2
    plt.close(figure)
    plain = envelope.plot()
    assert "outside the" not in texts(plain) and "normal operating range" not in texts(plain)
    plt.close(plain)


def test_a_polytope_is_drawn_by_its_corners(analytic):
    """Its outline is the hull of its vertices, and the largest box in it is drawn as well."""
    envelope = ask(analytic, 2, shape=Polytope())
    assert envelope.polytope is not None
    a, b = envelope.settings
    outline = polytope_slice(envelope, a, b)
    hull = ConvexHull(envelope.polytope.vertices)
    assert ConvexHull(outline).volume == pytest.approx(hull.volume, rel=1e-6)
    figure = envelope.plot()
    words = texts(figure)
    assert "operating range (polytope)" in words and "largest operating box in it" in words
    assert any(isinstance(p, Polygon) for p in figure.axes[0].patches)
    plt.close(figure)


def test_a_slice_of_a_polytope_knows_the_settings_held(envelopes):
    """s0 + s1 + s2 <= 2 with s2 at the set point: corners keep s0 + s1 <= 2 - s2, and two of them touch it."""
    envelope = envelopes[3]
    sides = np.vstack([np.eye(3), -np.eye(3), np.ones((1, 3))])
    levels = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 2.0])
    ends = ("setting bound",) * 6 + (envelope.limits[0],)
    polytope = OperatingPolytope(envelope.settings, sides, levels, ends, np.zeros((1, 3)), 0.8, 0.9, 0.5)
    outline = polytope_slice(replace(envelope, polytope=polytope), *envelope.settings[:2])
    room = 2.0 - envelope.set_point["s2"] - outline.sum(axis=1)
    assert room.min() == pytest.approx(0.0, abs=1e-12) and (np.abs(room) < 1e-12).sum() == 2


def test_a_present_point_is_read_like_any_settings(envelopes):
    """Unknown and missing settings are named."""
    assert scene_of(envelopes[2], None, {"s0": 0.2, "s1": "40 percent"}).present == {"s0": 0.2, "s1": 0.4}
    with pytest.raises(UnknownNameError, match="s1"):
        envelopes[2].plot(present={"s0": 0.2, "t1": 0.4})
    with pytest.raises(EnvelopeError, match='no "s1"'):
        envelopes[2].plot(present={"s0": 0.2})


def test_one_setting_shows_what_lies_above_the_required_probability(envelopes):
    """What is required lies near the middle of the axis and is a tick; 0.95, 0.99 and 1 can be told apart there."""
    figure = envelopes[1].plot()
    figure.canvas.draw()
    curve = figure.axes[0]
    height = {
        y: curve.transAxes.inverted().transform(curve.transData.transform((0.5, y)))[1] for y in (0.9, 0.95, 0.99, 1)
    }
    assert 0.3 < height[0.9] < 0.6
    assert height[0.95] > height[0.9] + 0.06 and height[0.99] > height[0.95] + 0.06 and height[1] > height[0.99] + 0.06
    assert height[1] < 0.99, "a line at 1 is not the frame"
    assert "0.9" in [text.get_text() for text in curve.get_yticklabels()]
    rows = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert rows[0] == "operating range" and "acceptable range" in rows
    assert {t.get_text() for t in figure.axes[1].texts} == {"A", "B"}, "the letters of what ends the range"
    legend, panel = figure.legends[0].get_window_extent(), curve.get_window_extent()
    assert legend.width * legend.height < 0.5 * panel.width * panel.height
    plt.close(figure)


def test_one_setting_of_an_empty_envelope_has_a_curve_and_the_closest_settings(envelopes):
    """No range, so no rows; the mark lies on the curve."""
    empty = replace(envelopes[1], empty=True, box={}, set_point={}, acceptable={}, operating={})
    figure = empty.plot()
    (curve,) = figure.axes
    (mark,) = [line for line in curve.lines if line.get_marker() == "X"]
    assert mark.get_xdata()[0] == empty.margins_at["s0"] and curve.get_xlabel() == "s0"
    plt.close(figure)


def test_a_letter_at_a_bound_stands_inside_the_panel(envelopes):
    """A side that a limit ends at the very bound of its setting: the letter does not lie on the title."""
    envelope = envelopes[2]
    name = envelope.limits[0]
    full = replace(envelope, box={"s0": (0.0, 1.0), "s1": (0.0, 1.0)}, binding={"s0": (name, name), "s1": (name, name)})
    figure = full.plot()
    figure.canvas.draw()
    ax = figure.axes[0]
    letters = [text for text in ax.texts if text.get_text() == "A"]
    assert len(letters) == 4
    for text in letters:
        box = text.get_window_extent()
        assert ax.bbox.contains(box.x0, box.y0) and ax.bbox.contains(box.x1, box.y1)
    plt.close(figure)


@pytest.mark.parametrize("d", [2, 3])
def test_names_of_settings_fit_beside_their_panels(analytic, d):
    """Long names take a second line: in the picture of the envelope, and in that of a plan."""
    envelope = ask(analytic, d, prefix=f"{LONG}_")
    names = [s.name for s in envelope.settings]
    plan = envelope.plan(dict.fromkeys(names, 0.3), steps=dict.fromkeys(names, 0.05))
    for figure in (envelope.plot(), plan.plot()):
        figure.canvas.draw()
        beside = [ax for ax in figure.axes if ax.get_ylabel() and ax.get_subplotspec() is not None]
        assert beside
        for ax in beside:
            text, panel = ax.yaxis.label.get_window_extent(), ax.get_window_extent()
            assert text.height < 1.12 * panel.height, ax.get_ylabel()
            title = ax.title.get_window_extent()
            assert not (ax.get_title(loc="left") and text.overlaps(title))
        plt.close(figure)
