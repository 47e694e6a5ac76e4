"""Manufactured solutions of heat conduction: errors fall at the order that theory says, in space and in time.

The exact solution is put into the equation, and what is left over is given as a `HeatSource`. Errors are the mean
square over the body, by an `Integral` sensor of (T - exact)^2. Lengths are 1 m, temperatures 300 K and some 10 K;
density and heat capacity are 1, so that 1 s is a time in which things happen.
"""

import functools
import math

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.verification import observed_order

UNIT = {"density": "1 kg/m^3", "heat_capacity": "1 J/kg/K"}
PI = f"{math.pi!r} 1/m"
BASE, SIZE = "300 K", "10 K"


def meshes(cell, n):
    """A body of 1 m in every direction with n cells along each."""
    match cell:
        case "interval":
            return fem.mesh.bar("1 m", n)
        case "quadrilateral":
            return fem.mesh.plate(("1 m", "1 m"), cells=(n, n))
        case "triangle":
            return fem.mesh.plate(("1 m", "1 m"), cells=(n, n), triangles=True)
        case "hexahedron":
            return fem.mesh.box(("1 m", "1 m", "1 m"), cells=(n, n, n))
    raise AssertionError(cell)


def region(mesh):
    return next(iter(mesh.regions))


def errors(run, name="error"):
    """The root of the mean square at the last time."""
    return float(np.sqrt(run[name][-1]))


def with_axes(dimension, function):
    """A function of x, of x and y, or of x, y and z, as many as the body has."""
    if dimension == 1:
        return lambda x, t: function(t, x)
    if dimension == 2:
        return lambda x, y, t: function(t, x, y)
    return lambda x, y, z, t: function(t, x, y, z)


def with_axes_and_field(dimension, function):
    if dimension == 1:
        return lambda T, x, t: function(T, t, x)
    if dimension == 2:
        return lambda T, x, y, t: function(T, t, x, y)
    return lambda T, x, y, z, t: function(T, t, x, y, z)


def wave(*axes):
    """sin(pi x + 0.3) for each axis, multiplied: no symmetry that could hide an error."""
    return functools.reduce(lambda a, b: a * b, (pt.sin(PI * x + 0.3) for x in axes))


def growth(t):
    """1 + t / s: linear in time, so that the time steps add no error of their own."""
    return 1.0 + t / "1 s"


def linear_in_space(cell, n, degree):
    """dT/dt = div(k grad T) + source with T = 300 K + 10 K (1 + t) wave, prescribed all around."""
    mesh = meshes(cell, n)
    d = mesh.dimension

    def exact(t, *axes):
        return BASE + SIZE * growth(t) * wave(*axes)

    def source(t, *axes):
        change = "10 W/m^3" * wave(*axes)
        return change + f"{20.0 * d * math.pi**2!r} W/m^3" * growth(t) * wave(*axes)

    return fem.HeatConduction(
        mesh=mesh,
        materials={region(mesh): fem.Solid(conductivity="2 W/m/K", **UNIT)},
        boundaries={name: fem.Temperature(with_axes(d, exact)) for name in mesh.boundaries},
        sources={region(mesh): fem.HeatSource(with_axes(d, source))},
        initial=with_axes_at_start(d, exact),
        sensors={
            "error": fem.Integral(
                region(mesh), of=with_axes_and_field(d, lambda T, t, *a: (T - exact(t, *a)) ** 2), unit="K^2"
            )
        },
        degree=degree,
        stepping=fem.FixedSteps("0.1 s"),
    )


def with_axes_at_start(dimension, exact):
    start = pt.Expression(0.0, pt.Unit("s").dimension)
    if dimension == 1:
        return lambda x: exact(start, x)
    if dimension == 2:
        return lambda x, y: exact(start, x, y)
    return lambda x, y, z: exact(start, x, y, z)


@pytest.mark.parametrize(
    ("cell", "degree", "counts"),
    [
        ("interval", 1, (8, 16, 32)),
        ("interval", 2, (8, 16, 32)),
        ("quadrilateral", 1, (8, 16, 32)),
        ("quadrilateral", 2, (4, 8, 16)),
        ("triangle", 1, (8, 16, 32)),
        ("triangle", 2, (8, 16, 32)),
        ("hexahedron", 1, (4, 8, 16)),
        ("hexahedron", 2, (3, 5, 8)),
    ],
)
def test_order_in_space(cell, degree, counts):
    """Elements of degree p: order p + 1 in the mean square, on every kind of cell."""
    found = [errors(pt.simulate(linear_in_space(cell, n, degree), [0.2])) for n in counts]
    assert observed_order(1.0 / np.array(counts), found).pairwise[-1] == pytest.approx(degree + 1, abs=0.1)


# -- conductivity of temperature ----------------------------------------------------------------------------------


def conductivity(T):
    """1 W/(m K) at 300 K, 3 % more per K."""
    return "1 W/m/K" * (1.0 + "0.03 1/K" * (T - BASE))


def nonlinear_in_space(n, degree):
    """0 = div(k(T) grad T) + source with T = 300 K + 10 K sin(pi x + 0.3); flux on the right."""

    def exact(x):
        return BASE + SIZE * wave(x)

    def source(x):
        s, c = pt.sin(PI * x + 0.3), pt.cos(PI * x + 0.3)
        return f"{10.0 * math.pi**2!r} W/m^3" * (s * (1.0 + 0.3 * s) - 0.3 * c**2)

    def flux(x):
        s, c = pt.sin(PI * x + 0.3), pt.cos(PI * x + 0.3)
        return f"{10.0 * math.pi!r} W/m^2" * c * (1.0 + 0.3 * s)

    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", n),
        materials={"bar": fem.Solid(conductivity=conductivity)},
        boundaries={"left": fem.Temperature(exact), "right": fem.Flux(flux)},
        sources={"bar": fem.HeatSource(source)},
        sensors={"error": fem.Integral("bar", of=lambda T, x: (T - exact(x)) ** 2, unit="K^2")},
        degree=degree,
        steady=True,
    )


@pytest.mark.parametrize("degree", [1, 2])
def test_order_in_space_with_conductivity_of_temperature(degree):
    """Order p + 1 where the conductivity follows the temperature."""
    counts = (16, 32, 64)
    found = [errors(pt.simulate(nonlinear_in_space(n, degree), [0.0])) for n in counts]
    assert observed_order(1.0 / np.array(counts), found).pairwise[-1] == pytest.approx(degree + 1, abs=0.1)


# -- bodies of revolution -----------------------------------------------------------------------------------------


def revolved_in_space(n, degree):
    """0 = div(k grad T) + source with T = 300 K + 10 K cos(2 r) cos(z + 0.3): a flux on the side, T on the ends."""

    def exact(r, z):
        return BASE + SIZE * pt.cos("2 1/m" * r) * pt.cos("1 1/m" * z + 0.3)

    def source(r, z):
        # -(T'' + T'/r + T_zz); sin(2 r)/r is what the weight 2 pi r makes of the axis.
        return ("50 W/m^3" * pt.cos("2 1/m" * r) + "20 W/m^2" * pt.sin("2 1/m" * r) / r) * pt.cos("1 1/m" * z + 0.3)

    def flux(r, z):
        return "-20 W/m^2" * pt.sin("2 1/m" * r) * pt.cos("1 1/m" * z + 0.3)

    return fem.HeatConduction(
        mesh=fem.mesh.cylinder("1 m", "1 m", (n, n), axisymmetric=True),
        materials={"body": fem.Solid(conductivity="1 W/m/K")},
        boundaries={"bottom": fem.Temperature(exact), "top": fem.Temperature(exact), "side": fem.Flux(flux)},
        sources={"body": fem.HeatSource(source)},
        sensors={"error": fem.Integral("body", of=lambda T, r, z: (T - exact(r, z)) ** 2, unit="K^2")},
        degree=degree,
        steady=True,
    )


@pytest.mark.parametrize("degree", [1, 2])
def test_order_in_space_of_bodies_of_revolution(degree):
    """Order p + 1 in (r, z), the axis included."""
    counts = (8, 16, 32)
    found = [errors(pt.simulate(revolved_in_space(n, degree), [0.0])) for n in counts]
    assert observed_order(1.0 / np.array(counts), found).pairwise[-1] == pytest.approx(degree + 1, abs=0.1)


# -- reaction -----------------------------------------------------------------------------------------------------


def reacting_in_space(n, degree):
    """A local state a = (1 + t) (1 + x) beside T = 300 K + 10 K sin(pi x + 0.3): both are disturbed by T's error.

    da/dt = -a (T - 300 K) / 10 K / s + forcing, and 20 J/m^3 of heat per unit of a.
    """

    def exact(x):
        return BASE + SIZE * wave(x)

    def rate(T, a, x, t):
        linear = growth(t) * (1.0 + x / "1 m")
        return ((1.0 + x / "1 m") + linear * wave(x) - a * (T - BASE) / SIZE) / "1 s"

    def source(x):
        return f"{10.0 * math.pi**2!r} W/m^3" * wave(x) - "20 W/m^3" * (1.0 + x / "1 m")

    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", n),
        materials={
            "bar": fem.Solid(
                conductivity="1 W/m/K",
                reactions=fem.Reactions(
                    states={"a": fem.Local(rate=rate, initial=lambda x: 1.0 + x / "1 m")},
                    heat=lambda a_rate: "20 J/m^3" * a_rate,
                ),
                **UNIT,
            )
        },
        boundaries={"left": fem.Temperature(exact), "right": fem.Temperature(exact)},
        sources={"bar": fem.HeatSource(source)},
        initial=exact,
        sensors={
            "error": fem.Integral("bar", of=lambda T, x: (T - exact(x)) ** 2, unit="K^2"),
            "error_of_a": fem.Integral("bar", of=lambda a, x, t: (a - growth(t) * (1.0 + x / "1 m")) ** 2, unit="1"),
        },
        degree=degree,
        stepping=fem.FixedSteps("0.1 s"),
    )


@pytest.mark.parametrize("degree", [1, 2])
def test_order_in_space_with_reaction(degree):
    """Temperature and local state, which stands at quadrature points, both converge with order p + 1."""
    counts = (8, 16, 32)
    runs = [pt.simulate(reacting_in_space(n, degree), [0.5]) for n in counts]
    for name in ("error", "error_of_a"):
        found = [errors(run, name) for run in runs]
        assert observed_order(1.0 / np.array(counts), found).pairwise[-1] == pytest.approx(degree + 1, abs=0.1)


# -- time ---------------------------------------------------------------------------------------------------------


def decay(t):
    """exp(-t / s)."""
    return pt.exp(-t / "1 s")


def linear_in_time():
    """T = 300 K + 10 K exp(-t) (1 + x - x^2), which elements of second order hold exactly."""

    def shape(x):
        return 1.0 + x / "1 m" - (x / "1 m") ** 2

    def exact(t, x):
        return BASE + SIZE * decay(t) * shape(x)

    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", 2),
        materials={"bar": fem.Solid(conductivity="1 W/m/K", **UNIT)},
        boundaries={
            "left": fem.Temperature(lambda t: BASE + SIZE * decay(t)),
            # -k dT/dx = 10 exp(-t) (2 x - 1) leaves at x = 1.
            "right": fem.Convection("5 W/m^2/K", lambda t: BASE + SIZE * decay(t) - "2 K" * decay(t)),
        },
        sources={"bar": fem.HeatSource(lambda x, t: "10 W/m^3" * decay(t) * (2.0 - shape(x)))},
        initial=lambda x: BASE + SIZE * shape(x),
        sensors={"error": fem.Integral("bar", of=lambda T, x, t: (T - exact(t, x)) ** 2, unit="K^2")},
        degree=2,
    )


def nonlinear_in_time():
    """T = 300 K + 10 K exp(-t) (1 + x) with k(T), c(T): linear elements hold it exactly."""

    def exact(t, x):
        return BASE + SIZE * decay(t) * (1.0 + x / "1 m")

    def source(x, t):
        g = decay(t)
        capacity = 1.0 + 0.1 * g * (1.0 + x / "1 m")  # 1 % per K
        return "-10 W/m^3" * g * (1.0 + x / "1 m") * capacity - "3 W/m^3" * g**2

    def outward(t):
        return "10 W/m^2" * decay(t) * (1.0 + 0.6 * decay(t))

    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", 3),
        materials={
            "bar": fem.Solid(
                conductivity=conductivity,
                density="1 kg/m^3",
                heat_capacity=lambda T: "1 J/kg/K" * (1.0 + "0.01 1/K" * (T - BASE)),
            )
        },
        boundaries={"left": fem.Temperature(lambda t: BASE + SIZE * decay(t)), "right": fem.Flux(outward)},
        sources={"bar": fem.HeatSource(source)},
        initial=lambda x: BASE + SIZE * (1.0 + x / "1 m"),
        sensors={"error": fem.Integral("bar", of=lambda T, x, t: (T - exact(t, x)) ** 2, unit="K^2")},
    )


def revolved_in_time():
    """T = 300 K + 10 K exp(-t) (1 + r^2) in a disk without gradients along z."""

    def exact(t, r):
        return BASE + SIZE * decay(t) * (1.0 + (r / "1 m") ** 2)

    return fem.HeatConduction(
        mesh=fem.mesh.cylinder("1 m", "0.5 m", (2, 1), axisymmetric=True),
        materials={"body": fem.Solid(conductivity="1 W/m/K", **UNIT)},
        boundaries={"side": fem.Flux(lambda t: "20 W/m^2" * decay(t))},
        sources={"body": fem.HeatSource(lambda r, t: "-10 W/m^3" * decay(t) * (5.0 + (r / "1 m") ** 2))},
        initial=lambda r: BASE + SIZE * (1.0 + (r / "1 m") ** 2),
        sensors={"error": fem.Integral("body", of=lambda T, r, t: (T - exact(t, r)) ** 2, unit="K^2")},
        degree=2,
    )


def reacting_in_time():
    """T = 300 K + 10 K exp(-t) (1 + x) and a = 1 + exp(-t) x, each in the equation of the other."""

    def a_exact(t, x):
        return 1.0 + decay(t) * x / "1 m"

    def exact(t, x):
        return BASE + SIZE * decay(t) * (1.0 + x / "1 m")

    def rate(T, a, x, t):
        forcing = -decay(t) * x / "1 m" + a_exact(t, x) ** 2 * (exact(t, x) - BASE) / SIZE
        return (forcing - a**2 * (T - BASE) / SIZE) / "1 s"

    def source(x, t):
        return "-10 W/m^3" * decay(t) * (1.0 + x / "1 m") + "20 W/m^3" * decay(t) * x / "1 m"

    return fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", 3),
        materials={
            "bar": fem.Solid(
                conductivity="1 W/m/K",
                reactions=fem.Reactions(
                    states={"a": fem.Local(rate=rate, initial=lambda x: 1.0 + x / "1 m")},
                    heat=lambda a_rate: "20 J/m^3" * a_rate,
                ),
                **UNIT,
            )
        },
        boundaries={
            "left": fem.Temperature(lambda t: BASE + SIZE * decay(t)),
            "right": fem.Flux(lambda t: "10 W/m^2" * decay(t)),
        },
        sources={"bar": fem.HeatSource(source)},
        initial=lambda x: BASE + SIZE * (1.0 + x / "1 m"),
        sensors={
            "error": fem.Integral("bar", of=lambda T, x, t: (T - exact(t, x)) ** 2, unit="K^2"),
            "error_of_a": fem.Integral("bar", of=lambda a, x, t: (a - a_exact(t, x)) ** 2, unit="1"),
        },
    )


IN_TIME = {
    "linear": (linear_in_time, ("error",)),
    "nonlinear": (nonlinear_in_time, ("error",)),
    "revolved": (revolved_in_time, ("error",)),
    "reacting": (reacting_in_time, ("error", "error_of_a")),
}


@pytest.mark.parametrize(("scheme", "order"), [(fem.TR_BDF2, 2), (fem.IMPLICIT_EULER, 1)], ids=["tr_bdf2", "euler"])
@pytest.mark.parametrize("problem", IN_TIME)
def test_order_in_time(problem, scheme, order):
    """TR-BDF2 has order 2 and implicit Euler order 1, for field and local states."""
    make, names = IN_TIME[problem]
    model, steps = make(), np.array([0.1, 0.05, 0.025, 0.0125])
    runs = [pt.simulate(model.with_stepping(fem.FixedSteps(f"{h} s", scheme)), [1.0]) for h in steps]
    for name in names:
        found = observed_order(steps, [errors(run, name) for run in runs])
        assert found.pairwise[-1] == pytest.approx(order, abs=0.1), str(found)


def test_error_control_keeps_to_its_tolerance():
    """A hundredth of the tolerance: the error falls with it, by at least 10, and is of its size."""
    model = nonlinear_in_time()
    found = [
        errors(pt.simulate(model.with_stepping(fem.Adaptive(f"{tolerance} K")), [1.0])) for tolerance in (1e-2, 1e-4)
    ]
    assert found[0] < 5e-2
    assert found[1] < 0.1 * found[0]
