"""Members carried on, and their first crossings of levels, against laws in closed form; Monte Carlo errors derived."""

import numpy as np
import pytest
from scipy.stats import invgauss, norm

from physics_twin.arrays import Array
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.process import ProcessBuilder
from physics_twin.recipes import Direction, Phase, Recipe, rises_to
from physics_twin.twin.carried import carry
from physics_twin.twin.courses import FEWEST_STEPS, Present
from physics_twin.twin.crossings import Level
from tests.twin.linear_plant import LinearPlant

KOLMOGOROV_99 = 1.63
"""Times 1/sqrt(n): how far an empirical distribution strays from its law in 1 of 100 cases."""


def plant(n: int, *, rate: float | Array = 0.0, x: float | Array = 0.0, sd: float = 0.0, decay: float = 0.0) -> Present:
    """Members of the linear plant; sd: of the random walk of x, m per root second."""
    model = LinearPlant()
    coordinates = Coordinates.of(model, [model.parameters["rate"]])
    states = np.zeros((n, 4))
    states[:, 0], states[:, 2] = x, -1.0
    rates = np.zeros(coordinates.n)
    rates[0] = sd**2
    rate_column = np.broadcast_to(np.asarray(rate, dtype=float), (n,))[:, None].copy()
    fixed = {"decay": decay, "initial.x": 0.0}
    recipe = Recipe.constant(inflow="0 m/s")
    return Present(Dynamics(model, recipe, fixed, coordinates), states, rate_column, 0.0, {}, rates, Key(3, 0))


def rising(level: float) -> list[list[Level]]:
    """One wait for x."""
    return [[Level("x", 0, level, Direction.RISING)]]


def test_a_wiener_process_with_drift_meets_a_level_by_the_inverse_gaussian_law() -> None:
    """Over 40 coarse steps, without a bias from the grid, censored share included."""
    n, drift, level, sd, horizon = 20_000, 0.5, 10.0, 1.0, 40.0
    found = carry(plant(n, rate=drift, sd=sd), np.zeros(1), horizon, rising(level)).crossings[0]
    law = invgauss(level / drift / (level / sd) ** 2, scale=(level / sd) ** 2)
    met = np.sort(found[np.isfinite(found)])
    empirical = np.arange(1, met.size + 1) / n
    assert np.abs(empirical - law.cdf(met)).max() < KOLMOGOROV_99 / np.sqrt(n)
    censored = 1.0 - law.cdf(horizon)
    assert np.isinf(found).mean() == pytest.approx(censored, abs=3.0 * np.sqrt(censored * (1.0 - censored) / n))


def test_a_walk_without_drift_meets_a_level_by_the_reflection_principle() -> None:
    """P(T < t) = 2 P(W_t > a)."""
    n, level, horizon = 20_000, 3.0, 25.0
    found = carry(plant(n, sd=1.0), np.zeros(1), horizon, rising(level)).crossings[0]
    for t in (5.0, 12.3, 25.0):
        p = 2.0 * norm.sf(level / np.sqrt(t))
        assert np.mean(found <= t) == pytest.approx(p, abs=3.3 * np.sqrt(p * (1.0 - p) / n))


def test_smooth_courses_meet_a_level_to_the_accuracy_of_the_model() -> None:
    """Exponential decay: t = ln(x0 / level) / k, far below the spacing of the grid."""
    x = np.linspace(2.0, 9.0, 7)
    waits = [[Level("x", 0, 1.0, Direction.FALLING)]]
    found = carry(plant(7, x=x, decay=0.1), np.zeros(1), 60.0, waits).crossings[0]
    # What a parabola's bend leaves in the last interval, 60/240/16^4 s wide, is nothing; the level itself has 1e-9.
    np.testing.assert_allclose(found, np.log(x) / 0.1, rtol=0.0, atol=2e-8)


def test_a_small_walk_does_not_blunt_a_smooth_crossing() -> None:
    """With disturbances far below the bend of the course the moment is still that of the curve."""
    waits = [[Level("x", 0, 1.0, Direction.FALLING)]]
    found = carry(plant(5, x=8.0, decay=0.1, sd=1e-9), np.zeros(1), 60.0, waits).crossings[0]
    np.testing.assert_allclose(found, np.log(8.0) / 0.1, rtol=0.0, atol=1e-6)


def test_levels_that_are_met_already_are_met_at_once() -> None:
    """At or beyond the level now: 0 s; the other side waits; "reaches" takes the side on which each member stands."""
    present = plant(3, x=np.array([0.0, 2.0, 1.0]), rate=np.array([0.1, -0.1, 0.1]))
    waits = [[Level("x", 0, 1.0, way)] for way in (Direction.RISING, Direction.FALLING, Direction.EITHER)]
    up, down, either = carry(present, np.zeros(1), 20.0, waits).crossings
    np.testing.assert_allclose(up, [10.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(down, [0.0, 10.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(either, [10.0, 10.0, 0.0], atol=1e-6)


def test_the_variance_of_a_walk_grows_as_that_of_the_ornstein_uhlenbeck_process() -> None:
    """Mean x0 e^-kt, variance s^2 (1 - e^-2kt) / 2k, up to the step in which increments come and the members' error."""
    n, k, sd, horizon = 20_000, 0.05, 0.3, 40.0
    times = np.array([10.0, 20.0, 40.0])
    x = carry(plant(n, x=4.0, decay=k, sd=sd), times, horizon).outputs[:, :, 0]
    variance = sd**2 * -np.expm1(-2.0 * k * times) / (2.0 * k)
    np.testing.assert_allclose(x.mean(axis=0), 4.0 * np.exp(-k * times), atol=3.3 * np.sqrt(variance.max() / n))
    # Increments at the ends of steps h decay by e^-2kh less than those spread over them: a factor of about 1 + k h.
    step = horizon / FEWEST_STEPS
    np.testing.assert_allclose(x.var(axis=0), variance, rtol=k * step + 3.3 * np.sqrt(2.0 / n))


def test_a_longer_horizon_on_the_same_grid_begins_with_the_same_members() -> None:
    """Increments are named by their step: 45 s and 41 s share the grid of 1 s."""
    times = np.array([0.0, 7.5, 20.0, 41.0])
    long, short = (carry(plant(50, rate=0.1, sd=1.0), times, horizon).outputs for horizon in (45.0, 41.0))
    np.testing.assert_array_equal(long, short)


def test_members_that_are_asked_for_besides_do_not_change_the_others() -> None:
    """A hundred members begin with the fifty of a smaller forecast."""
    times = np.array([20.0, 40.0])
    few, many = (carry(plant(n, rate=0.1, sd=1.0), times, 40.0).outputs for n in (50, 100))
    np.testing.assert_array_equal(few, many[:50])


def test_the_end_of_a_phase_on_a_level_is_the_crossing_of_that_level() -> None:
    """The tank fills until 5 m and then drains: the course has a corner exactly on the level."""
    b = ProcessBuilder("tank", version="1.0")
    inflow = b.input("inflow", "m/s")
    x = b.state("x", "m", initial="0 m")
    b.rate(x, inflow)
    b.output("x", x)
    model = b.build()
    level = rises_to("x", "5 m")
    recipe = Recipe(
        [
            Phase("fill", inflow="0.37 m/s", until=level, at_most="1 h"),
            Phase("drain", inflow="-0.2 m/s", duration="1 h"),
        ]
    )
    coordinates = Coordinates.of(model, [])
    dynamics = Dynamics(model, recipe, {"initial.x": 0.0}, coordinates)
    start = np.array([0.0, 1.0])
    state = model.initial_state(0.0, recipe, {"initial.x": 0.0})
    states = np.repeat(state[None], 2, axis=0)
    states[:, 0] = start
    present = Present(dynamics, states, np.zeros((2, 0)), 0.0, {}, np.zeros(coordinates.n), Key(1, 0))
    found = carry(present, np.zeros(1), 60.0, rising(5.0)).crossings[0]
    np.testing.assert_allclose(found, (5.0 - start) / 0.37, atol=1e-6)


def test_a_course_that_touches_its_level_between_nodes_is_seen() -> None:
    """A parabola whose top lies above the level for less than the spacing of the grid."""
    model = LinearPlant()
    coordinates = Coordinates.of(model, [])
    # `passed` is the integral of x: with x falling through zero at t = 30.1 s it has its top there.
    fixed = {"decay": 0.0, "initial.x": 0.0, "rate": -0.1}
    states = np.array([[3.01, 0.0, -1.0, 0.0]])
    dynamics = Dynamics(model, Recipe.constant(inflow="0 m/s"), fixed, coordinates)
    present = Present(dynamics, states, np.zeros((1, 0)), 0.0, {}, np.zeros(coordinates.n), Key(1, 0))
    top = 3.01**2 / 0.2
    half_width = 0.02
    level = top - 0.05 * half_width**2
    found = carry(present, np.zeros(1), 60.0, [[Level("passed", 1, level, Direction.RISING)]]).crossings[0]
    assert found[0] == pytest.approx(30.1 - half_width, abs=1e-4)  # the level is known to 1e-9 of 45 m s


def test_a_member_that_fails_is_listed_once_and_is_in_nothing_after_that() -> None:
    """Outputs are NaN from its failure on; what it had crossed before stays known."""
    model = LinearPlant(breaks_at=6.0)
    present = plant(3, rate=np.array([0.1, 0.2, 0.3]), sd=1e-6)
    dynamics = Dynamics(model, present.dynamics.recipe, present.dynamics.fixed, present.dynamics.coordinates)
    broken = Present(dynamics, present.states, present.parameters, 0.0, {}, present.rates, present.key)
    times = np.array([0.0, 10.0, 30.0, 40.0])
    found = carry(broken, times, 40.0, rising(3.0))
    assert [f.member for f in found.failures] == [2, 1]
    assert np.isnan(found.outputs[2, 2:]).all()
    assert np.isfinite(found.outputs[[0, 1, 2], 1]).all()
    np.testing.assert_allclose(found.crossings[0], [30.0, 15.0, 10.0], atol=1e-3)
