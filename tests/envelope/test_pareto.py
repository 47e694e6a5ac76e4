"""Fronts of several objectives, against a front known in closed form."""

import sys

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope.set_point.pareto import efficient, knee


@pytest.fixture(scope="module")
def trade_off(analytic):
    """Distances to (0.25, 0.5) and (0.75, 0.5), squared: the front is sqrt(f) + sqrt(g) = 0.5, on the line between."""
    return analytic.closed_form(
        {
            "f": lambda t, v: (v["s0"] - 0.25) ** 2 + (v["s1"] - 0.5) ** 2 + 0.0 * v["a"],
            "g": lambda t, v: (v["s0"] - 0.75) ** 2 + (v["s1"] - 0.5) ** 2 + 0.0 * v["a"],
        },
        ["a"],
    )


def ask(analytic, model, posterior=None, **options):
    knobs = analytic.knobs(2)
    objectives = [pt.Minimize("f"), pt.Minimize("g")]
    return pt.find_set_point(
        model, posterior, recipe=analytic.one_hour(knobs), settings=knobs, objectives=objectives, rng=1, **options
    )


def test_the_front_of_a_quadratic_trade_off(analytic, trade_off):
    """Its points lie on the known curve; a point 0.02 off the line, which is what 100 generations leave, is off the
    curve by 4e-4 / 0.5. The ends are the optima of each objective, and the knee is the middle."""
    found = ask(analytic, trade_off)
    f, g = found.front["value"].values.T
    assert np.abs(np.sqrt(f) + np.sqrt(g) - 0.5).max() < 4e-3
    assert (f[0], g[-1]) == pytest.approx((0.0, 0.0), abs=1e-6)  # ends weigh the other objective by 1e-4
    assert (np.diff(f) > 0.0).all()
    assert (np.diff(g) < 0.0).all()
    assert len(f) >= 20
    assert np.diff(np.sqrt(f)).max() < 0.06  # no gap: the front is 0.5 long and has about 25 points
    assert found.settings == pytest.approx({"s0": 0.5, "s1": 0.5}, abs=0.03)
    assert [o.value for o in found.objectives] == pytest.approx([1 / 16, 1 / 16], abs=4e-3)
    assert "knee of a front" in str(found)


def test_a_limit_cuts_the_front(analytic, trade_off):
    """With f >= 0.01 the end at f = 0 is gone; no point of the front breaks the limit."""
    found = ask(analytic, trade_off, limits=[pt.Limit("f", lower=0.01, over=pt.final)])
    f, g = found.front["value"].values.T
    assert f.min() >= 0.01 - 1e-9
    assert f.min() == pytest.approx(0.01, abs=1e-3)
    assert np.abs(np.sqrt(f) + np.sqrt(g) - 0.5).max() < 5e-3


def test_an_envelope_has_a_front_inside_its_box(analytic, trade_off):
    """Every point of the front lies in the certified box, away from its sides, and the set point is its knee."""
    knobs = analytic.knobs(2)
    envelope = pt.find_envelope(
        trade_off,
        analytic.gaussian_draws(trade_off, 1000, seed=1),
        recipe=analytic.one_hour(knobs),
        settings=knobs,
        limits=[pt.Limit("f", upper=0.2, over=pt.final), pt.Limit("g", upper=0.2, over=pt.final)],
        objectives=[pt.Minimize("f"), pt.Minimize("g")],
        rng=1,
    )
    front = envelope.front
    for name in ("s0", "s1"):
        low, high = envelope.box[name]
        room = 0.2 * (high - low) - 1e-9
        there = front["settings"].sel(setting=name).values
        assert there.min() >= low + room
        assert there.max() <= high - room
    row = int(np.argmax(front["knee"].values))
    assert list(envelope.set_point.values()) == pytest.approx(front["settings"].values[row], rel=1e-9)
    assert set(envelope.objectives) == {"final f", "final g"}
    assert "knee of the front" in envelope.message
    figure = envelope.plot_front()
    assert figure.axes[0].get_xlabel() == "final f (minimize)"


def test_dominated_points_are_told_from_efficient_ones():
    worth = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.4, 0.4], [0.5, 0.5], [1.0, -1.0]])
    assert efficient(worth).tolist() == [True, True, True, False, False, False]


def test_points_that_the_simulation_shows_as_dominated_are_dropped():
    """The interpolation believed in three points; the model says that the second is worse than the third in both."""
    from physics_twin.envelope.margins.evaluation import Problem
    from physics_twin.envelope.set_point.objectives import bind_objectives
    from physics_twin.envelope.set_point.pareto import front_data
    from physics_twin.signals import Setting, Signal

    knob = Setting("s0", "1", bounds=(0, 1))
    targets = bind_objectives([pt.Minimize("f"), pt.Minimize("g")], (Signal("f", "1"), Signal("g", "1")), (knob,))
    values = np.array([[0.0, 1.0], [0.6, 0.6], [0.5, 0.5], [np.nan, 0.0]])[:, None, :]
    problem = Problem(None, None, (knob,), (), 4)
    front = front_data(problem, targets, np.array([[0.0], [0.2], [0.4], [0.6]]), values, 1.0)
    assert front["settings"].values.ravel().tolist() == [0.0, 0.4]


def test_the_knee_does_not_depend_on_units():
    """It is the point that gives up least of either; another unit of an objective changes nothing."""
    x = np.linspace(0.0, 1.0, 51)
    front = np.column_stack([x, np.sqrt(1.0 - x**2)])
    assert x[knee(front)] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert knee(front * [1e6, 1e-3] + [5.0, -7.0]) == knee(front)


def test_without_pymoo_it_says_what_to_install(analytic, trade_off, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pymoo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(pt.errors.MissingDependencyError, match=r"physics-twin\[pareto\]"):
        ask(analytic, trade_off)
