"""Coordinates of chains: there and back, the volume of the transform, and the gradient by the chain rule."""

from typing import Any

import numpy as np
import pytest

from physics_twin.estimation.markov_chain.coordinates import Coordinates, RejectedPoint, interval, outside
from physics_twin.estimation.population import Population
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.measurements import EstimatedNoise
from physics_twin.parameters import Parameter

INF = np.inf
LOW, HIGH = np.array([-INF, 2.0, -INF, -1.0]), np.array([INF, INF, 5.0, 3.0])
STEP = 1e-6


def test_interval_and_back() -> None:
    """Every kind of bounds: inside them, rising, the slope that is said, and the inverse."""
    for a in np.random.default_rng(0).standard_normal((20, 4)) * 3.0:
        y, log_slope, bend = interval(a, LOW, HIGH)
        assert ((y > LOW) & (y < HIGH)).all()
        assert outside(y, LOW, HIGH) == pytest.approx(a, rel=1e-9, abs=1e-9)
        up, down = interval(a + STEP, LOW, HIGH), interval(a - STEP, LOW, HIGH)
        assert (up[0] - down[0]) / (2 * STEP) == pytest.approx(np.exp(log_slope), rel=1e-6)
        assert (up[1] - down[1]) / (2 * STEP) == pytest.approx(bend, abs=1e-7)


def test_point_on_a_bound_has_finite_coordinates() -> None:
    """The mode may lie on a bound; a chain starts a little inside."""
    for y in (np.array([0.0, 2.0, 5.0, -1.0]), np.array([0.0, 2.0, 5.0, 3.0])):
        assert np.isfinite(outside(y, LOW, HIGH)).all()


@pytest.fixture(params=["log", "linear"])
def lots(request: pytest.FixtureRequest, decay: Any, experiment: Any) -> Problem:
    """A population of three rates beside a shared start and a noise level."""
    wide = Parameter("rate", "0.2 1/s", bounds=("1e-4 1/s", "10 1/s"))
    narrow = Parameter("rate", "0.2 1/s", bounds=("0 1/s", "10 1/s"))
    rate, spread = (wide, "30 %") if request.param == "log" else (narrow, "0.1 1/s")
    start = Parameter("start", "10 mol/m^3", bounds=("0.1 mol/m^3", "100 mol/m^3"))
    t = np.arange(1.0, 5.0)
    runs = [
        experiment(n, t, 10.0 * np.exp(-k * t), output="c", unit="mol/m^3", noise=EstimatedNoise("1 mol/m^3"))
        for n, k in (("x", 0.1), ("y", 0.2), ("z", 0.3))
    ]
    return set_up(decay(parameters=[start, rate]), tuple(runs), ["start", Population("rate", spread=spread)])


def test_volume_is_the_determinant(lots: Problem) -> None:
    """Log volume against the determinant of d(x, psi)/da by differences, up to one constant."""
    coordinates = Coordinates(lots)

    def declared(a: Any) -> Any:
        place = coordinates.place(a)
        return np.concatenate([place.x, place.psi])

    apart = []
    for a in _points(coordinates):
        columns = [(declared(a + STEP * e) - declared(a - STEP * e)) / (2 * STEP) for e in np.eye(coordinates.n)]
        apart.append(np.linalg.slogdet(np.array(columns))[1] - coordinates.place(a).log_volume)
    assert apart == pytest.approx([apart[0]] * len(apart), abs=1e-5)


def test_gradient_by_the_chain_rule(lots: Problem) -> None:
    """A smooth function of (z, psi) plus the log volume, against differences."""
    coordinates, d = Coordinates(lots), len(lots.columns)
    weights = np.random.default_rng(1).standard_normal(coordinates.n)

    def value(a: Any) -> float:
        place = coordinates.place(a)
        y = np.concatenate([place.z, place.psi])
        return float(weights @ np.sin(y)) + place.log_volume

    for a in _points(coordinates):
        place = coordinates.place(a)
        slope = weights * np.cos(np.concatenate([place.z, place.psi]))
        found = coordinates.pull_back(a, place, slope[:d], slope[d:])
        expected = [(value(a + STEP * e) - value(a - STEP * e)) / (2 * STEP) for e in np.eye(coordinates.n)]
        assert found == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)


def test_there_and_back(lots: Problem) -> None:
    """Coordinates of a place are those it was made from."""
    coordinates = Coordinates(lots)
    for a in _points(coordinates):
        place = coordinates.place(a)
        assert coordinates.of(place.z, place.psi) == pytest.approx(a, rel=1e-7, abs=1e-7)


def test_member_beyond_its_bounds_is_rejected(lots: Problem) -> None:
    """A lot whose value falls outside the bounds of the parameter has no density."""
    coordinates = Coordinates(lots)
    a = coordinates.of(np.zeros(len(lots.columns)), np.zeros(coordinates.n - len(lots.columns)))
    a[lots.column_groups[0].columns[0]] = 1e3
    with pytest.raises(RejectedPoint):
        coordinates.place(a)


def _points(coordinates: Coordinates) -> list[Any]:
    """Five points around the declared values."""
    z = np.zeros(len(coordinates.problem.columns))
    low, high = coordinates.bounds
    psi = np.clip(np.log([0.5, 0.05]), low[z.size :] + 0.1, high[z.size :] - 0.1)
    center = coordinates.of(z, psi)
    rng = np.random.default_rng(2)
    return [center + 0.3 * rng.standard_normal(center.size) for _ in range(5)]
