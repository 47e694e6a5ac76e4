"""The print of a profile holds what the recipe runs, to the digits shown."""

import re

import numpy as np
import pytest
import xarray as xr

import physics_twin as pt
from physics_twin.envelope.optimal_recipe.profile_text import MOST_ROWS, profile_lines
from physics_twin.recipes import HOLD, RAMP


def dataset(**columns):
    """Columns (corner times in s, both sides of every corner)."""
    times, shown = columns.pop("times"), {}
    for name, (shape, unit, values) in columns.items():
        shown[name] = ("time", np.asarray(values, dtype=float), {"shape": shape, "declared_units": unit})
    return xr.Dataset(shown, {"time": ("time", np.asarray(times, dtype=float))})


def test_steps_with_their_times_and_units():
    """Both sides of every corner at 0, 10, 20, 30 min; the last two steps are alike and printed as one."""
    times = 60.0 * np.array([0, 10, 10, 20, 20, 30])
    found = dataset(times=times, jacket=("constant", "degC", 273.15 + np.array([80, 80, 95.5, 95.5, 95.5, 95.5])))
    assert profile_lines(found) == [
        "jacket: constant pieces between 80 degC and 95.5 degC",
        "   0.00 min to 10.00 min: 80.00 degC",
        "  10.00 min to 30.00 min: 95.50 degC",
    ]


def test_lines_at_their_corners():
    times = 60.0 * np.array([0, 10, 10, 30])
    found = dataset(times=times, feed=("linear", "1", [0.0, 1.0, 1.0, 0.25]))
    assert profile_lines(found) == [
        "feed: linear pieces between 0 and 1",
        "   0.00 min: 0.000",
        "  10.00 min: 1.000",
        "  30.00 min: 0.250",
    ]


def test_long_profiles_say_how_much_is_left_out():
    n = MOST_ROWS + 5
    corners = np.repeat(np.arange(n + 1.0), 2)[1:-1]
    found = dataset(times=corners, feed=("constant", "1", np.repeat(np.arange(float(n)), 2)))
    lines = profile_lines(found)
    assert len(lines) == MOST_ROWS + 2 and lines[-1] == "  and 5 more, see .profiles"


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_typed_into_a_controller_the_print_gives_the_objective(shape):
    """A -> B -> C at a free temperature: a recipe made of the printed numbers makes as much B as the one found."""
    m = pt.ProcessBuilder("consecutive", version="1.0")
    k1 = m.parameter("k1", "4000 L/mol/h", bounds=("100 L/mol/h", "1e5 L/mol/h"))
    k2 = m.parameter("k2", "620000 1/h", bounds=("1e3 1/h", "1e8 1/h"))
    temperature = m.input("temperature", "degC")
    a, b = m.state("a", "mol/L", initial="1 mol/L"), m.state("b", "mol/L", initial="0 mol/L")
    make = k1 * pt.exp(-m.constant("2500 K") / temperature) * a**2
    lose = k2 * pt.exp(-m.constant("5000 K") / temperature) * b
    m.rate(a, -make)
    m.rate(b, make - lose)
    m.output("b", b)
    model = m.build()
    found = pt.find_recipe(
        model,
        recipe=pt.Recipe([pt.Phase("run", duration="1 h", temperature="77 degC")]),
        profiles={"temperature": pt.Profile(("25 degC", "125 degC"), shape=shape, pieces=6)},
        objective=pt.Maximize("b"),
        method=pt.Collocation(elements=12, starts=1),
        rng=0,
    )
    rows = [
        re.findall(r"[\d.]+(?= min| degC)", line) for line in str(found).splitlines() if re.match(r" +[\d.]+ min", line)
    ]
    numbers = np.array(rows, dtype=float)
    assert numbers.shape == ((6, 3) if shape == "constant" else (7, 2))
    times, levels = numbers[:, 0], numbers[:, -1]
    if shape == "constant":
        times, levels = np.append(times, 60.0), np.append(levels, levels[-1])
    typed = pt.table(60.0 * times, levels, "degC", HOLD if shape == "constant" else RAMP)
    run = pt.simulate(model, [0.0, 3600.0], pt.Recipe([pt.Phase("run", duration="1 h", temperature=typed)]))
    assert float(run["b"].values[-1]) == pytest.approx(found.objective.value, rel=1e-5)
