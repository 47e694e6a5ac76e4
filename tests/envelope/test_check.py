"""Checks: inside or not, by how much and why, for boxes and polytopes, one point or many, and how fast."""

import time
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from physics_twin.envelope import Budget, Limit, find_envelope
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope
from physics_twin.errors import EnvelopeError, ShapeError, UnitError, UnknownNameError
from physics_twin.parameters import Values
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting

HEAT = Setting("temperature", "degC", bounds=(0, 100))
HOLD = Setting("hold", "min", bounds=(0, 60))


@pytest.fixture(scope="module")
def box(analytic):
    """Heat and time add up; the sum is limited."""

    def total(t, v):
        return (v["temperature"] - 273.15) / 100.0 + v["hold"] / 3600.0 + 0.01 * v["noise"]

    model = analytic.closed_form({"sum": total}, ["noise"], validity={"temperature": (273.15, 323.15)})
    recipe = Recipe([Phase("run", duration="1 h")], initial={"heat": HEAT, "time": HOLD})
    limits = [Limit("sum", upper="1.2 1")]
    posterior = analytic.gaussian_draws(model, 400, 0)
    budget = Budget(n_points=30)
    return find_envelope(model, posterior, recipe=recipe, settings=[HEAT, HOLD], limits=limits, rng=1, budget=budget)


@pytest.fixture(scope="module")
def polytope(box):
    """temperature/K + hold/min <= 330 and the bounds: a triangle cut off a rectangle."""
    sides = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [1.0, 1.0 / 60.0]])
    levels = np.array([323.15, 3600.0, -273.15, 0.0, 330.0])
    names = ("setting bound",) * 4 + ("sum <= 1.2",)
    vertices = np.array([[273.15, 0.0], [323.15, 0.0], [273.15, 3411.0], [323.15, 411.0]])
    shape = OperatingPolytope((HEAT, HOLD), sides, levels, names, vertices, 0.4, 0.8, 0.6)
    return replace(box, polytope=shape)


def test_the_sides_belong_to_the_box_and_what_is_beyond_does_not(box):
    names = [s.name for s in box.settings]
    ends = np.array([box.box[name] for name in names]).T
    for row in (ends[0], ends[1]):
        assert box.checker.si(row)
    for j in range(2):
        for end, away in ((0, -np.inf), (1, np.inf)):
            point = ends.mean(axis=0)
            point[j] = np.nextafter(ends[end, j], away)
            found = box.checker.si(point)
            assert not found
            assert found.margins[names[j]] < 0.0
            assert names[j] in found.reason
    assert not box.checker.si([np.nan, ends[0, 1]])


def test_texts_pairs_values_and_numbers_say_the_same(box):
    point = {"temperature": 310.15, "hold": 1234.0}
    texts = {"temperature": "37 degC", "hold": "1234 s"}
    pairs = {"temperature": (37, "degC"), "hold": (1234.0, "s")}
    mixed = {"hold": ("1234", "s"), "temperature": (310.15, "K")}
    expected = box.checker.si([310.15, 1234.0])
    for given in (texts, pairs, mixed, Values(point), MappingProxyType(texts)):
        for _ in range(2):  # the second time from memory
            found = box.check(given)
            assert found.inside == expected.inside
            assert found.margins == pytest.approx(expected.margins, abs=1e-9)


def test_memory_does_not_let_wrong_quantities_pass(box):
    good = {"temperature": (37.0, "degC"), "hold": (20.0, "min")}
    assert box.check(good)
    for name, wrong, error in (
        ("temperature", (-300.0, "degC"), "below absolute zero"),
        ("temperature", (np.nan, "degC"), "finite"),
        ("temperature", (37.0, "min"), "degC"),
        ("temperature", (5.0, "delta_degC"), "difference"),
        ("temperature", (True, "degC"), "truth"),
        ("temperature", 37.0, "no unit"),
        ("hold", "20 K", "min"),
    ):
        for _ in range(2):
            with pytest.raises(UnitError, match=error):
                box.check({**good, name: wrong})
    with pytest.raises(UnknownNameError, match="temperature"):
        box.check({"temprature": "37 degC", "hold": "20 min"})
    with pytest.raises(EnvelopeError, match="missing"):
        box.check({"hold": "20 min"})


def test_many_points_are_checked_as_one_by_one(box, polytope):
    points = np.random.default_rng(0).uniform([273.15, 0.0], [373.15, 3600.0], (300, 2))
    for envelope in (box, polytope):
        together = envelope.checker.many(points)
        single = [envelope.checker.si(point) for point in points]
        assert together.inside.tolist() == [one.inside for one in single]
        np.testing.assert_allclose(together.margins, [[one.margins[s.name] for s in (HEAT, HOLD)] for one in single])
        assert 0 < together.inside.sum() < 300
    named = box.checker.many({"hold": (points[:, 1] / 60.0, "min"), "temperature": (points[:, 0] - 273.15, "degC")})
    np.testing.assert_allclose(named.margins, box.checker.many(points).margins, atol=1e-9)


def test_a_polytope_decides_where_there_is_one(polytope):
    """Margins: how far a setting may move alone; (310.15 K, 15 min) is 4.85 from the slanted side."""
    inside = polytope.check({"temperature": "37 degC", "hold": "15 min"})
    assert inside
    assert inside.margins["temperature"] == pytest.approx(4.85)
    assert inside.margins["hold"] == pytest.approx(4.85 * 60.0)
    outside = polytope.check({"temperature": "37 degC", "hold": "30 min"})
    assert not outside
    assert outside.margins["hold"] == pytest.approx(-10.15 * 60.0)
    assert "ended by sum <= 1.2" in outside.reason
    for vertex in polytope.polytope.vertices:
        assert polytope.checker.si(vertex)


def test_settings_beyond_the_models_validity_are_marked(box):
    """The model says that it holds up to 50 degC; the box may go on, and says so."""
    for near in ("40 degC", "50.4 degC"):  # a hundredth of the range is no other regime, as in all results
        assert box.check({"temperature": near, "hold": "1 min"}).warnings == ()
    found = box.check({"temperature": "60 degC", "hold": "1 min"})
    assert len(found.warnings) == 1
    assert "temperature = 60 degC is outside the model's domain of validity, 0 degC to 50 degC" in found.warnings[0]
    assert found.warnings[0] in str(found)


def test_an_empty_envelope_holds_nothing(box):
    empty = replace(box, empty=True, box={}, binding={}, set_point={}, message="nothing fits")
    found = empty.check({"temperature": "40 degC", "hold": "1 min"})
    assert not found
    assert "nothing fits" in found.reason
    assert not empty.checker.many(np.array([[300.0, 60.0]])).inside.any()


def test_wrong_shapes_are_refused(box):
    with pytest.raises(ShapeError, match="2 settings"):
        box.checker.si([1.0])
    with pytest.raises(ShapeError, match=r"\(n, 2\)"):
        box.checker.many(np.zeros(2))
    with pytest.raises(ShapeError, match="one number for each point"):
        box.checker.many({"hold": ([1.0, 2.0], "min"), "temperature": ([20.0], "degC")})
    with pytest.raises(EnvelopeError, match="missing"):
        box.checker.many({"hold": ([1.0], "min")})


def test_a_repeated_check_takes_microseconds(box):
    """Ten microseconds are the target (measured in the benchmark); a hundred would be another algorithm."""
    settings = {"temperature": "37 degC", "hold": "15 min"}
    box.check(settings)
    best = np.inf
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(1000):
            box.check(settings)
        best = min(best, (time.perf_counter() - begin) / 1000)
    assert best < 100e-6
