"""ProcessBuilder: a wrong model fails when it is built, with the equation's name and both units."""

import time

import numpy as np
import pytest

import physics_twin as pt
from tests.process.plants import run


def builder(name="reactor"):
    return pt.ProcessBuilder(name, version="1.0")


@pytest.fixture
def m():
    return builder()


def complete(m):
    """Make any half-built model buildable."""
    x = m.state("completed", "1", initial=0.0)
    m.rate(x, m.constant("1 1/s"))
    m.output("completed", x)
    return m


# -- units ----------------------------------------------------------------------------------------------------------


def test_a_rate_of_the_wrong_unit_names_the_state_and_both_units(m):
    """The rate of "c" in K*mol/m^3 where mol/L/s is expected."""
    c, t = m.state("c", "mol/L", initial="1 mol/L"), m.parameter("t", "300 K")
    with pytest.raises(pt.UnitError, match=r'rate of "c".*K.*mol.*expected.*mol/L'):
        m.rate(c, t * c)


def test_a_rate_without_time_is_wrong(m):
    """-c is not a rate of c: the unit lacks a per-time."""
    c = m.state("c", "mol/L", initial="1 mol/L")
    with pytest.raises(pt.UnitError, match='rate of "c"'):
        m.rate(c, -c)


def test_a_bare_number_as_a_rate_says_which_unit_is_expected(m):
    """m.rate(c, 5): 5 of what?"""
    c = m.state("c", "mol/L", initial="1 mol/L")
    with pytest.raises(pt.UnitError, match="mol/L/s"):
        m.rate(c, 5)


def test_rates_in_any_unit_of_the_dimension_are_converted():
    """60 mmol/L/min is 1 mol/m3 per s."""
    m = builder()
    c = m.state("c", "mol/L", initial="0 mol/L")
    m.rate(c, m.constant("60 mmol/L/min"))
    m.output("c", c)
    assert run(m.build(), [10.0])[0, 0] == pytest.approx(10.0, rel=1e-9)


def test_a_state_in_degree_celsius_has_a_rate_in_kelvin_per_second():
    """The offset of the scale is in its values, not in its rate; initial values and outputs are points."""
    m = builder()
    t = m.state("t", "degC", initial="20 degC")
    m.rate(t, m.constant("6 K/min"))
    m.output("t", t)
    simulated = pt.simulate(m.build(), [0.0, 10.0], pt.Recipe.constant())
    assert simulated["t"].values == pytest.approx([293.15, 294.15])
    assert simulated.in_units()["t"].values == pytest.approx([20.0, 21.0])


def test_equations_of_different_units_name_the_equation(m):
    """left and right must have one dimension."""
    x = m.algebraic("x", "K", guess="300 K")
    with pytest.raises(pt.UnitError, match='equation "balance"'):
        m.equation("balance", x, m.constant("1 Pa"))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: m.state("x", "K", initial="5 mol"),
        lambda m: m.state("x", "K", initial=5.0),
        lambda m: m.state("x", "K", initial="5 K", scale="1 mol"),
        lambda m: m.state("x", "K", initial="5 K", lower="1 mol"),
        lambda m: m.state("x", "K", initial=m.parameter("p", "1 Pa")),
        lambda m: m.algebraic("x", "K", guess="5 mol"),
        lambda m: m.accumulator("x", "J", m.constant("1 K")),
        lambda m: m.maximum("x", m.state("y", "K", initial="1 K"), unit="Pa"),
        lambda m: m.output("x", m.constant("1 K"), unit="Pa"),
        lambda m: m.discrete("x", "K", initial="1 Pa"),
        lambda m: m.parameter("x", 5.0, bounds=("1 K", "2 K")),
        lambda m: m.parameter("x", "5 K", bounds=("1 Pa", "2 Pa")),
    ],
)
def test_every_declaration_checks_units(m, wrong):
    """Initial values, scales, bounds, guesses, accumulators, extremes and outputs."""
    with pytest.raises(pt.UnitError):
        wrong(m)


def test_events_check_units(m):
    """Setting a level to a temperature raises with the event's name."""
    level = m.state("level", "m", initial="1 m")
    with pytest.raises(pt.UnitError, match='event "empty"'):
        m.event("empty", when=level <= "0 m", then={level: "300 K"})
    with pytest.raises(pt.ModelError, match="empty"):
        m.event("empty", when=True, then={level: "0 m"})


# -- completeness ---------------------------------------------------------------------------------------------------


def test_a_state_without_a_rate_raises(m):
    """Its name is in the message."""
    m.state("forgotten", "1", initial=0.0)
    with pytest.raises(pt.ModelError, match="forgotten"):
        complete(m).build()


def test_a_rate_given_twice_raises(m):
    """The second is not silently the one."""
    x = m.state("x", "1", initial=0.0)
    m.rate(x, m.constant("1 1/s"))
    with pytest.raises(pt.ModelError, match="twice"):
        m.rate(x, m.constant("2 1/s"))


@pytest.mark.parametrize("name", ["unused", "mode", "t", "own"])
def test_an_unused_parameter_or_input_raises(name):
    """What reaches nothing is a mistake, whatever it is called; a switch and the time are used beside it."""
    for declare in (lambda m: m.parameter(name, "1 K"), lambda m: m.input(name, "K")):
        m = complete(builder())
        x = m.state("x", "1", initial=0.0)
        m.rate(x, pt.where(x >= 1.0, m.constant("1 1/s"), m.time / m.constant("1 s^2")))
        declare(m)
        with pytest.raises(pt.ModelError, match=f'"{name}" appears in no'):
            m.build()


def test_a_parameter_in_an_output_an_event_or_an_initial_value_is_used():
    """Each of these is a use."""
    m = complete(builder())
    m.output("y", m.parameter("a", "1 K"))
    x = m.state("x", "1", initial=m.parameter("b", 0.5))
    m.rate(x, m.constant("0 1/s"))
    m.event("e", when=x >= m.parameter("c", 2.0), then={x: 1.0 * m.parameter("d", 1.0)})
    assert set(m.build().parameters.names) >= {"a", "b", "c", "d"}


@pytest.mark.parametrize("n_equations", [0, 2])
def test_as_many_equations_as_algebraic_variables(n_equations):
    """Too few and too many raise with both counts."""
    m = complete(builder())
    z = m.algebraic("z", "1", guess=1.0)
    for k in range(n_equations):
        m.equation(f"e{k}", z, 1.0)
    with pytest.raises(pt.ModelError, match=f"1 algebraic.*{n_equations}"):
        m.build()


def test_a_model_needs_outputs_and_states(m):
    """Neither can be left out."""
    with pytest.raises(pt.ModelError, match="output"):
        m.build()
    m.output("y", m.parameter("p", "1 K"))
    with pytest.raises(pt.ModelError, match="state"):
        m.build()


@pytest.mark.parametrize(
    "again",
    [
        lambda m: m.state("x", "1", initial=0.0),
        lambda m: m.parameter("x", 1.0),
        lambda m: m.input("x", "1"),
        lambda m: m.algebraic("x", "1", guess=1.0),
        lambda m: m.accumulator("x", "1", m.constant("1 1/s")),
        lambda m: m.discrete("x", initial=0.0),
    ],
)
def test_a_name_is_declared_once(m, again):
    """Parameters, inputs, states and discrete values share one set of names."""
    m.state("x", "1", initial=0.0)
    with pytest.raises(pt.ModelError, match='"x"'):
        again(m)


def test_outputs_equations_and_events_are_named_once(m):
    """Two of one name raise."""
    x = m.state("x", "1", initial=0.0)
    m.output("y", x)
    m.equation("e", x, 1.0)
    m.event("v", when=x >= 1.0, then={x: 0.0})
    for again in (
        lambda: m.output("y", x),
        lambda: m.equation("e", x, 1.0),
        lambda: m.event("v", when=x >= 1.0, then={x: 0.0}),
    ):
        with pytest.raises(pt.ModelError):
            again()


@pytest.mark.parametrize("name", ["film coefficient", "1st", "a-b", "", "lambda"])
def test_names_are_identifiers(m, name):
    """What cannot be a keyword argument of a recipe or of values is refused at once."""
    for declare in (
        lambda: m.state(name, "1", initial=0.0),
        lambda: m.parameter(name, 1.0),
        lambda: m.input(name, "1"),
    ):
        with pytest.raises(pt.ModelError):
            declare()


@pytest.mark.parametrize("name", ["duration", "until", "at_most", "start", "at", "name"])
def test_an_input_cannot_be_called_like_an_argument_of_a_phase(m, name):
    """pt.Phase("p", duration=...) could not tell an input called duration from the phase's own."""
    with pytest.raises(pt.ModelError, match=name):
        m.input(name, "K")


def test_a_symbol_of_another_builder_raises():
    """Its numbers would never be given."""
    other = builder("other").parameter("k", "1 1/s")
    m = builder()
    x = m.state("x", "1", initial=0.0)
    m.rate(x, other)
    m.output("x", x)
    with pytest.raises(pt.ModelError, match="another builder"):
        m.build()
    foreign = builder("third").state("y", "1", initial=0.0)
    with pytest.raises(pt.ModelError):
        m.rate(foreign, m.constant("1 1/s"))


def test_a_running_extreme_is_for_outputs_only():
    """A rate that depends on a running maximum would have memory that the equations do not show."""
    m = builder()
    x = m.state("x", "1", initial=0.0)
    peak = m.maximum("peak", x)
    m.rate(x, m.constant("1 1/s") * peak)
    m.output("x", x)
    with pytest.raises(pt.ModelError):
        m.build()


@pytest.mark.parametrize("name", ["t", "own", "mode", "mode0", "tau", "x", "p", "q"])
def test_any_identifier_may_name_a_parameter_beside_time_and_switches(name):
    """Names that the library uses inside clash with nothing."""
    m = builder()
    p = m.parameter(name, "1 1/s")
    state = m.state("state", "1", initial=0.0)
    m.rate(state, pt.where(state >= 5.0, p, 2.0 * p) + 0.0 * m.time / m.constant("1 s^2"))
    m.output("y", state)
    assert run(m.build(), [3.0])[0, 0] == pytest.approx(5.5, rel=1e-7)


def test_valid_checks_names_and_units(m):
    """A range of validity is of a parameter, an input or an output."""
    m.output("y", m.state("x", "K", initial="300 K"))
    with pytest.raises(pt.UnknownNameError):
        m.valid("yy", "0 K", "1 K")
    with pytest.raises(pt.UnitError):
        m.valid("y", "0 Pa", "1 Pa")


def test_building_does_not_end_the_builder():
    """What is added after build() is not in the model that was built."""
    m = complete(builder())
    first = m.build()
    m.output("twice", 2 * m.parameter("two", 2.0))
    second = m.build()
    assert [s.name for s in first.outputs] == ["completed"]
    assert [s.name for s in second.outputs] == ["completed", "twice"]
    assert first.fingerprint != second.fingerprint


def test_a_model_of_300_states_builds_and_runs_in_seconds():
    """A chain of 300 coupled states with switches: build, first run and first sensitivities take less than 10 s."""
    begin = time.perf_counter()
    m = builder("chain")
    k, film = m.parameter("k", "0.1 1/s"), m.parameter("film", "0.01 1/s")
    ambient = m.input("ambient", "K")
    cells = [m.state(f"t{i}", "K", initial=f"{300 + i % 7} K") for i in range(300)]
    for i, cell in enumerate(cells):
        left, right = cells[max(i - 1, 0)], cells[min(i + 1, 299)]
        m.rate(cell, k * (left - 2 * cell + right) - film * (cell - ambient) * pt.exp(-cell / m.constant("900 K")))
    m.output("mean", sum(cells) / 300.0)
    m.output("last", cells[-1])
    model = m.build()
    built = time.perf_counter() - begin
    recipe = pt.Recipe.constant(ambient="400 K", duration="100 s")
    values = dict(model.parameters.values())
    y, jacobian, _ = model.sensitivity(np.array([50.0, 100.0]), recipe, values, ["k", "film"])
    assert np.isfinite(jacobian).all()
    assert 300.0 < y[-1, 0] < 400.0
    assert built < 4.0
    assert time.perf_counter() - begin < 10.0
