"""Thick-walled cylinder: Lame's stresses under pressure, Timoshenko's under a logarithmic temperature."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

import physics_twin as pt
from physics_twin.expressions import Expression
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

_LAME = "Lame (1852); Timoshenko and Goodier, Theory of Elasticity, 3rd ed. (1970), chapter 4"
_HOT = "Timoshenko and Goodier, Theory of Elasticity, 3rd ed. (1970), chapter 13"
_MEGA = 1e6
_RADII = (0.1, 0.12, 0.15, 0.2)


def _steel() -> "pt.fem.Solid":
    return pt.fem.Solid(youngs_modulus="200 GPa", poissons_ratio=0.3, thermal_expansion="12e-6 1/K")


def section(cells: int = 32) -> pt.Model:
    """A quarter of the section in plane strain, 100 MPa inside; sensors on the x axis."""
    fem = pt.fem
    points = (0.1, 0.15, 0.2)
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.hollow_cylinder("0.1 m", "0.2 m", cells=(cells, cells // 2), angle="90 deg", order=2),
        materials={"body": _steel()},
        boundaries={"start": fem.Symmetry(), "end": fem.Symmetry(), "inner": fem.Pressure("100 MPa")},
        kind=fem.PLANE_STRAIN,
        sensors={
            **{f"radial_{k}": fem.Stress(f"{r} m", "0 m", component="xx") for k, r in enumerate(points)},
            **{f"hoop_{k}": fem.Stress(f"{r} m", "0 m", component="yy") for k, r in enumerate(points)},
            "axial": fem.Stress("0.15 m", "0 m", component="zz"),
            "bore": fem.PointDisplacement("0.1 m", "0 m", component="x"),
        },
    )
    return model


def tube(ends: str, cells: int = 32) -> pt.Model:
    """A slice of revolution under 100 MPa inside; ends "closed" carry the force on the lids, "open" none."""
    fem = pt.fem
    lid = {"top": fem.Traction(z=f"{100.0 / 3.0!r} MPa")} if ends == "closed" else {}
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.hollow_cylinder("0.1 m", "0.2 m", "0.05 m", cells=(cells, 4), axisymmetric=True),
        materials={"body": _steel()},
        boundaries={"bottom": fem.Symmetry(), "inner": fem.Pressure("100 MPa"), **lid},
        sensors={
            "axial": fem.Stress("0.15 m", "0.02 m", component="zz"),
            "bore": fem.PointDisplacement("0.1 m", "0.02 m", component="r"),
        },
    )
    return model


def _logarithmic(r: Expression) -> Expression:
    return "273.15 K" + "100 K" * pt.log("0.2 m" / r) / math.log(2.0)


def hot_tube(ends: str, cells: int = 24) -> pt.Model:
    """A cylinder at 100 degC inside and 0 degC outside, its ends held ("plane strain") or free and far away."""
    fem = pt.fem
    long = ends == "free"
    held = {} if long else {"top": fem.Symmetry()}
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.hollow_cylinder(
            "0.1 m", "0.2 m", "1 m" if long else "0.05 m", cells=(cells, 24 if long else 2), axisymmetric=True
        ),
        materials={"body": _steel()},
        boundaries={"bottom": fem.Symmetry(), **held},
        temperature=_logarithmic,
        reference_temperature="0 degC",
        sensors={
            **{
                f"{name}_{k}": fem.Stress(f"{r} m", "0 m", component=component)
                for name, component in (("radial", "rr"), ("hoop", "tt"), ("axial", "zz"))
                for k, r in enumerate(_RADII)
            },
            **{f"u_{k}": fem.PointDisplacement(f"{r} m", "0 m", component="r") for k, r in enumerate((0.1, 0.15, 0.2))},
        },
    )
    return model


@functools.cache
def _run(kind: str) -> tuple[dict[str, float], str]:
    models: dict[str, Callable[[], pt.Model]] = {
        "section": section,
        "closed": functools.partial(tube, "closed"),
        "open": functools.partial(tube, "open"),
        "free": functools.partial(hot_tube, "free"),
        "plane strain": functools.partial(hot_tube, "plane strain"),
    }
    model = models[kind]()
    run = pt.simulate(model, np.array([0.0]))
    return {signal.name: float(run[signal.name][0]) for signal in model.outputs}, repr(model)


def _values(kind: str, names: Sequence[str]) -> Measured:
    found, model = _run(kind)
    return Measured([found[n] / (1.0 if n[0] in "ub" else _MEGA) for n in names], {"model": model})


def _lame() -> Measured:
    return _values("section", [f"{name}_{k}" for name in ("radial", "hoop") for k in range(3)])


def _ends() -> Measured:
    plane, closed, free = _values("section", ["axial", "bore"]), _run("closed")[0], _run("open")[0]
    return Measured([*plane.values, closed["axial"] / _MEGA, free["bore"]], plane.details)


def _hot(kind: str) -> Measured:
    return _values(kind, [f"{name}_{k}" for name in ("radial", "hoop", "axial") for k in range(4)])


CASES = (
    Case(
        name="lame_stresses",
        claim="Radial and hoop stress of a thick cylinder under pressure are Lame's to 0.2 % of the pressure.",
        requirement="linear elasticity",
        source=_LAME,
        quantity="radial, then hoop stress at 0.1, 0.15, 0.2 m, MPa",
        expected=reference("thick_cylinder", "Lame"),
        tolerance=0.2,
        acceptance="0.2 MPa at 100 MPa: 32 cells of degree 2 across the wall, stresses read at its faces",
        compute=_lame,
        measure=ABSOLUTE,
    ),
    Case(
        name="lame_ends",
        claim="Axial stress and bore of a cylinder with held, closed and open ends are Lame's to 0.1 %.",
        requirement="linear elasticity",
        source=_LAME,
        quantity="held: axial stress, MPa, growth of the inner radius, m; closed: axial stress, MPa; open: growth, m",
        expected=reference("thick_cylinder", "ends"),
        tolerance=0.001,
        acceptance="0.1 %: 32 cells of degree 2 across the wall",
        compute=_ends,
        measure=RELATIVE,
    ),
    Case(
        name="logarithmic_temperature",
        claim="Thermal stresses of a cylinder, hot inside and held at its ends, are the closed form's to 0.5 MPa.",
        requirement="thermal stress",
        source=_HOT,
        quantity="radial, hoop, axial stress at 0.10, 0.12, 0.15, 0.20 m, MPa",
        expected=reference("thick_cylinder", "plane strain"),
        tolerance=0.5,
        acceptance="0.5 MPa where the largest stress is 303 MPa: 24 cells of degree 2 across the wall",
        compute=functools.partial(_hot, "plane strain"),
        measure=ABSOLUTE,
    ),
    Case(
        name="logarithmic_temperature_free",
        claim="Thermal stresses of this cylinder, 2 m long with free ends, are an infinite one's to 0.5 MPa.",
        requirement="thermal stress",
        source=_HOT,
        quantity="radial, hoop, axial stress in the middle at 0.10, 0.12, 0.15, 0.20 m, MPa",
        expected=reference("thick_cylinder", "ends free"),
        tolerance=0.5,
        acceptance="0.5 MPa where the largest stress is 210 MPa; the ends are ten wall thicknesses away",
        compute=functools.partial(_hot, "free"),
        measure=ABSOLUTE,
    ),
    Case(
        name="logarithmic_temperature_growth",
        claim="The radial growth of the cylinder, hot inside and held at its ends, is the closed form's to 0.1 %.",
        requirement="thermal stress",
        source=_HOT,
        quantity="radial displacement at 0.10, 0.15, 0.20 m, m",
        expected=reference("thick_cylinder", "growth"),
        tolerance=0.001,
        acceptance="0.1 %",
        compute=functools.partial(_values, "plane strain", ["u_0", "u_1", "u_2"]),
        measure=RELATIVE,
    ),
)
