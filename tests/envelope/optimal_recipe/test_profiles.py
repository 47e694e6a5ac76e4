"""Profiles: steps and lines over the run, and the tables that they become."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope.optimal_recipe.grid import make_grid, radau
from physics_twin.envelope.optimal_recipe.profile import bind_profiles, with_profiles
from physics_twin.errors import BoundsError, EnvelopeError, UnitError, UnknownNameError
from physics_twin.signals import Signal

INPUTS = (Signal("temperature", "degC", upper=200), Signal("feed", "g/h"))


def bound(**kwargs):
    (profile,) = bind_profiles({"temperature": pt.Profile(("0 degC", "100 degC"), **kwargs)}, INPUTS)
    return profile


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_radau_is_exact_for_polynomials(degree):
    """Slopes of a polynomial of the degree, and integrals up to twice the degree less two."""
    points, differences, weights = radau(degree)
    nodes = np.append(0.0, points)
    np.testing.assert_allclose(differences @ nodes**degree, degree * points ** (degree - 1), atol=1e-11)
    for power in range(2 * degree - 1):
        assert weights @ points**power == pytest.approx(1.0 / (power + 1), abs=1e-12)
    assert points[-1] == 1.0


def test_elements_begin_at_every_corner():
    """Corners are edges, once each, and elements are at least as many as asked for."""
    grid = make_grid([0.0, 0.3, 0.3 + 1e-12, 0.55, 1.0], 10, 3)
    assert {0.0, 0.3, 0.55, 1.0} <= set(grid.edges) and grid.n >= 10
    assert np.diff(grid.edges).min() > 0.01
    assert (grid.shares[:, -1] == grid.edges[1:]).all()


def test_steps_hold_from_their_corner_on():
    """A step's value begins at its corner and not before."""
    profile = bound(pieces=4)
    numbers = np.array([300.0, 310.0, 320.0, 330.0])
    np.testing.assert_array_equal(
        profile.value(numbers, np.array([0.0, 0.2499, 0.25, 0.5, 1.0])), [300, 300, 310, 320, 330]
    )


def test_lines_pass_through_their_corners():
    """Linear between corners, the ends included."""
    profile = bound(shape="linear", pieces=2)
    numbers = np.array([300.0, 340.0, 320.0])
    np.testing.assert_allclose(profile.value(numbers, np.array([0.0, 0.25, 0.5, 0.75, 1.0])), [300, 320, 340, 330, 320])


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_the_recipe_runs_what_was_chosen(shape):
    """In every phase the table gives the profile, whatever the phases' ends have to do with its corners."""
    profile = bound(shape=shape, pieces=5)
    numbers = 300.0 + np.arange(profile.n) ** 2
    recipe = pt.Recipe(
        [pt.Phase("a", duration="10 s", temperature="20 degC"), pt.Phase("b", duration="20 s", temperature="20 degC")]
    )
    edges = np.array([0.0, 10.0, 30.0])
    found = with_profiles(recipe, [profile], [numbers], edges, {})
    for phase, begin in zip(found.phases, edges[:-1], strict=True):
        table = phase.inputs["temperature"]
        times, values = np.array(table.times), np.array(table.values)
        inner = 0.5 * (times[:-1] + times[1:])
        given = np.interp(inner, times, values) if shape == "linear" else values[:-1]
        np.testing.assert_allclose(given, profile.value(numbers, (begin + inner) / 30.0), rtol=1e-12)
    assert found.duration == 30.0


def test_a_profile_that_never_changes_is_a_level():
    """One value needs no table."""
    profile = bound(pieces=3)
    recipe = pt.Recipe.constant(duration="1 h", temperature="20 degC")
    found = with_profiles(recipe, [profile], [np.full(3, 323.15)], np.array([0.0, 3600.0]), {})
    assert found.phases[0].inputs["temperature"] == (pytest.approx(50.0), "degC")


def test_bad_profiles():
    """Each with what is wrong."""
    with pytest.raises(UnknownNameError, match="temperature"):
        bind_profiles({"temprature": pt.Profile(("0 degC", "100 degC"))}, INPUTS)
    with pytest.raises(UnitError):
        bind_profiles({"temperature": pt.Profile(("0 bar", "1 bar"))}, INPUTS)
    with pytest.raises(EnvelopeError, match="lower first"):
        bind_profiles({"temperature": pt.Profile(("100 degC", "0 degC"))}, INPUTS)
    with pytest.raises(BoundsError):
        bind_profiles({"temperature": pt.Profile(("0 degC", "300 degC"))}, INPUTS)
    with pytest.raises(EnvelopeError, match="nothing is free"):
        bind_profiles({}, INPUTS)
    with pytest.raises(EnvelopeError, match="steps"):
        pt.Profile((0, 1), shape="cubic")
    with pytest.raises(EnvelopeError, match="above zero"):
        bind_profiles({"feed": pt.Profile(("0 g/h", "1 g/h"), rate="-1 g/h/min")}, INPUTS)
