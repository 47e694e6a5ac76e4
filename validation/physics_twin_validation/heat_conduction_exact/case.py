"""Steady conduction with closed forms: fin, heat-generating rod and sphere, conductivity of temperature."""

import math

import physics_twin as pt
from physics_twin.verification import RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

DIAMETER, LENGTH, FILM = 5e-3, 0.2, 100.0  # m, m, W/(m^2 K)
_AREA = math.pi * DIAMETER**2 / 4.0
_TEXTBOOK = "Incropera and DeWitt, Fundamentals of Heat and Mass Transfer, "


def fin_as_bar() -> pt.Model:
    """The fin as a bar whose lateral convection is a sink in the volume, 4 h / D times (ambient - T)."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar(f"{LENGTH} m", 20),
        materials={"bar": fem.Solid(conductivity="398 W/m/K")},
        boundaries={"left": fem.Temperature("100 degC"), "right": fem.Convection(f"{FILM} W/m^2/K", "25 degC")},
        sources={"bar": fem.HeatSource(lambda T: f"{4.0 * FILM / DIAMETER!r} W/m^3/K" * ("298.15 K" - T))},
        sensors={"tip": fem.Point(f"{LENGTH} m"), "flow": fem.HeatFlow("left")},
        degree=2,
        steady=True,
    )
    return model


def fin_as_body() -> pt.Model:
    """The fin as a body of revolution with convection on its side and its tip."""
    fem = pt.fem
    cooling = fem.Convection(f"{FILM} W/m^2/K", "25 degC")
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.cylinder(f"{DIAMETER / 2.0} m", f"{LENGTH} m", (2, 40), axisymmetric=True),
        materials={"body": fem.Solid(conductivity="398 W/m/K")},
        boundaries={"bottom": fem.Temperature("100 degC"), "side": cooling, "top": cooling},
        sensors={"tip": fem.Average("top"), "flow": fem.HeatFlow("bottom")},
        degree=2,
        steady=True,
    )
    return model


def generating(shape: str) -> pt.Model:
    """A rod or a sphere of 10 mm radius that sets free 10 MW/m^3, cooled by convection to 20 degC."""
    fem = pt.fem
    rod = shape == "rod"
    mesh = (
        fem.mesh.cylinder("10 mm", "5 mm", (8, 1), axisymmetric=True)
        if rod
        else fem.mesh.sphere("10 mm", (8, 32), axisymmetric=True, order=2)
    )
    model: pt.Model = fem.HeatConduction(
        mesh=mesh,
        materials={"body": fem.Solid(conductivity="20 W/m/K")},
        boundaries={"side" if rod else "surface": fem.Convection("1000 W/m^2/K", "20 degC")},
        sources={"body": fem.HeatSource("10 MW/m^3")},
        sensors={
            "surface": fem.Average("side" if rod else "surface"),
            "middle": fem.Point("0 m", "0 m"),
        },
        degree=2,
        steady=True,
    )
    return model


def variable_slab() -> pt.Model:
    """A slab between 500 degC and 0 degC with k = 20 W/(m K) (1 + 0.001 (T in degC))."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("0.1 m", 40),
        materials={
            "bar": fem.Solid(conductivity=lambda T: "20 W/m/K" * (1.0 + "0.001 1/K" * (T - "273.15 K"))),
        },
        boundaries={"left": fem.Temperature("500 degC"), "right": fem.Temperature("0 degC")},
        sensors={"middle": fem.Point("0.05 m"), "flow": fem.HeatFlow("left")},
        steady=True,
    )
    return model


def _fin(model: pt.Model, area: float) -> Measured:
    run = pt.simulate(model, [0.0])
    tip = (float(run.in_units()["tip"][0]) - 25.0) / 75.0
    return Measured([tip, float(run["flow"][0]) * area], {"fingerprint": model.fingerprint})


def _fin_as_bar() -> Measured:
    return _fin(fin_as_bar(), _AREA)


def _fin_as_body() -> Measured:
    return _fin(fin_as_body(), 1.0)


def _generating() -> Measured:
    found = []
    for shape in ("rod", "sphere"):
        run = pt.simulate(generating(shape), [0.0])
        found += [float(run.in_units()[name][0]) for name in ("surface", "middle")]
    return Measured(found)


def _variable_slab() -> Measured:
    model = variable_slab()
    run = pt.simulate(model, [0.0])
    values = [float(run.in_units()["middle"][0]), float(run["flow"][0])]
    return Measured(values, {"fingerprint": model.fingerprint})


_FIN = reference("heat_conduction_exact", "fin")

CASES = (
    Case(
        name="fin_as_bar",
        claim="A pin fin modeled as a bar with a lateral sink has the closed form's tip temperature and heat.",
        requirement="sources that depend on temperature",
        source=_TEXTBOOK + "table 3.4, case A; recomputed",
        quantity="part of the base's excess temperature at the tip; heat into the base, W",
        expected=_FIN,
        tolerance=1e-3,
        acceptance="0.1 %",
        compute=_fin_as_bar,
        measure=RELATIVE,
    ),
    Case(
        name="fin_as_body",
        claim="A pin fin modeled as a body of revolution agrees with the theory of thin fins.",
        requirement="axisymmetric conduction with convection",
        source=_TEXTBOOK + "table 3.4, case A; recomputed",
        quantity="part of the base's excess temperature at the tip (mean); heat into the base, W",
        expected=_FIN,
        tolerance=2e-3,
        acceptance="0.2 %: the theory leaves out gradients across the fin, of order h D / (2 k) = 6e-4",
        compute=_fin_as_body,
        measure=RELATIVE,
    ),
    Case(
        name="generating_rod_and_sphere",
        claim="A rod and a sphere that generate heat have the closed forms' temperatures.",
        requirement="axisymmetric conduction with sources",
        source=_TEXTBOOK + "section 3.5 and appendix C",
        quantity="temperatures at surface and middle, rod then sphere, degC",
        expected=reference("heat_conduction_exact", "generating"),
        tolerance=1e-4,
        acceptance="1e-4: parabolas are exact in elements of second order, what remains is the curved surface",
        compute=_generating,
        measure=RELATIVE,
    ),
    Case(
        name="variable_conductivity_slab",
        claim="A slab whose conductivity rises with temperature has the closed form's temperature and flow.",
        requirement="conductivity of temperature",
        source="Kirchhoff's transformation; recomputed",
        quantity="temperature in the middle, degC, and heat flow, W/m^2",
        expected=reference("heat_conduction_exact", "variable slab"),
        tolerance=1e-6,
        acceptance="1e-6: linear elements are exact at the nodes for this k up to the tolerance of Newton's method",
        compute=_variable_slab,
        measure=RELATIVE,
    ),
)
