"""Fingerprints: the same for the same equations however they are written down, another for any other constant."""

import itertools

import pytest

import physics_twin as pt


def model(order=0, *, constant=400.0, power=2, sign=1.0, output="y", unit="K", name="m", event=0.5, when="le"):
    """One model, its declarations and equations in one of several orders."""
    m = pt.ProcessBuilder(name, version="1.0")
    declare = {
        "a": lambda: m.state("a", unit, initial=f"300 {unit}"),
        "b": lambda: m.state("b", "1", initial=1.0),
        "k": lambda: m.parameter("k", "1 1/s"),
        "u": lambda: m.input("u", "K/s"),
    }
    names = list(itertools.permutations(declare))[order % 24]
    s = {n: declare[n]() for n in names}
    a, b, k, u = (s[n] for n in "abku")
    sink = sign * k * b**power
    equations = [
        lambda: m.rate(a, pt.where(a >= f"{constant} K", u, -u) + u),
        lambda: m.rate(b, pt.where(a >= f"{constant} K", k, -k) - sink + pt.minimum(k, 2 * k * b)),
        lambda: m.event("reset", when=(b <= event if when == "le" else b >= event), then={b: 1.0}),
        lambda: m.output(output, a),
    ]
    for equation in list(itertools.permutations(equations))[(order * 7) % 24]:
        equation()
    return m.build()


@pytest.mark.parametrize("order", range(1, 24))
def test_the_order_of_declarations_and_equations_does_not_matter(order):
    """Every permutation gives one fingerprint, also with two switches on the same condition."""
    assert model(order).fingerprint == model(0).fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"constant": 400.0000001},
        {"power": 3},
        {"sign": -1.0},
        {"output": "z"},
        {"name": "n"},
        {"event": 0.4},
        {"when": "ge"},
    ],
)
def test_any_other_constant_sign_or_name_is_another_model(changed):
    """A constant in a condition, an exponent, a sign, a name, a direction."""
    assert model(**changed).fingerprint != model().fingerprint


def written(expression):
    """A model whose one rate is `expression` of x, y, k."""
    m = pt.ProcessBuilder("m", version="1.0")
    x, y, k = m.state("x", "1", initial=1.0), m.state("y", "1", initial=2.0), m.parameter("k", "1 1/s")
    m.rate(x, expression(x, y, k))
    m.rate(y, k)
    m.output("x", x)
    return m.build().fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, y, k: k * x + k * y, lambda x, y, k: k * y + k * x),
        (lambda x, y, k: k * x * y, lambda x, y, k: y * (x * k)),
        (lambda x, y, k: k * x - k * y + k, lambda x, y, k: k - k * y + x * k),
        (lambda x, y, k: k * (x + y) - (k * x - k), lambda x, y, k: k + k * (y + x) - k * x),
        (lambda x, y, k: k * pt.minimum(x, y), lambda x, y, k: pt.minimum(y, x) * k),
    ],
)
def test_sums_and_products_are_read_in_any_order(one, other):
    """Terms and factors may be exchanged."""
    assert written(one) == written(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, y, k: k * x / y, lambda x, y, k: k * y / x),
        (lambda x, y, k: k * (x - y), lambda x, y, k: k * (y - x)),
        (lambda x, y, k: k * x**2, lambda x, y, k: k * x**3),
        (lambda x, y, k: k * pt.exp(x), lambda x, y, k: k * pt.exp(y)),
        (lambda x, y, k: k * x, lambda x, y, k: 2 * k * x),
        (lambda x, y, k: k * (x + y) * y, lambda x, y, k: k * (x * y) + k * y),
        (lambda x, y, k: k * 0.1, lambda x, y, k: k * 0.1000000000000001),
        (lambda x, y, k: pt.where(x >= y, k, 2 * k), lambda x, y, k: pt.where(y >= x, k, 2 * k)),
        (lambda x, y, k: pt.where(x >= 1, k, 2 * k), lambda x, y, k: pt.where(x >= 1, 2 * k, k)),
        (
            lambda x, y, k: pt.where(x >= 1, k, 2 * k) + pt.where(y >= 1, k, 3 * k),
            lambda x, y, k: pt.where(y >= 1, k, 2 * k) + pt.where(x >= 1, k, 3 * k),
        ),
    ],
)
def test_what_is_not_the_same_has_another_fingerprint(one, other):
    """Quotients, differences, functions, branches and conditions are not exchanged."""
    assert written(one) != written(other)


def test_nested_switches_do_not_depend_on_order():
    """A switch inside the condition of another, declared in two orders."""

    def nested(order):
        m = pt.ProcessBuilder("m", version="1.0")
        names = ["x", "y"] if order else ["y", "x"]
        s = {n: m.state(n, "1", initial=0.0) for n in names}
        k = m.constant("1 1/s")
        for n in names:
            inner = pt.where(s[n] >= 0.5, s["x"], s["y"])
            m.rate(s[n], pt.where(inner >= 0.25, k, 2 * k))
        for n in ("x", "y"):
            m.output(n, s[n])
        return m.build().fingerprint

    assert nested(0) == nested(1)


def test_start_values_of_parameters_are_not_part_of_it():
    """Another default of a parameter or an initial value is the same equations."""

    def with_default(text, initial):
        m = pt.ProcessBuilder("m", version="1.0")
        x = m.state("x", "1", initial=initial)
        m.rate(x, m.parameter("k", text))
        m.output("x", x)
        return m.build().fingerprint

    assert with_default("1 1/s", 0.0) == with_default("2 1/s", 1.0)


def test_an_initial_value_that_is_an_expression_is_part_of_it():
    """x(0) = a and x(0) = 2 a are different models."""

    def starting(factor):
        m = pt.ProcessBuilder("m", version="1.0")
        x = m.state("x", "1", initial=factor * m.parameter("a", 1.0))
        m.rate(x, m.constant("1 1/s"))
        m.output("x", x)
        return m.build().fingerprint

    assert starting(1.0) != starting(2.0)


def test_accumulators_extremes_and_states_are_told_apart():
    """A running maximum, a running minimum and an integral of one quantity are three models."""

    def kind(which):
        m = pt.ProcessBuilder("m", version="1.0")
        x = m.state("x", "1", initial=0.0)
        m.rate(x, m.constant("1 1/s"))
        m.output("x", x)
        m.output("w", getattr(m, which)("w", x))
        return m.build().fingerprint

    assert kind("maximum") != kind("minimum")


def test_the_integrator_is_not_part_of_it_and_the_discrete_start_neither():
    """Tolerances are not equations."""
    assert model().with_integrator(pt.Sundials(rtol=1e-5)).fingerprint == model().fingerprint
