"""Thermal stress of bars, a plate, a bimetal and a rod that generates heat."""

import functools
from collections.abc import Callable

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

_SOURCE = "Timoshenko and Goodier, Theory of Elasticity, 3rd ed. (1970), chapter 13"
_BIMETAL = "Timoshenko, Analysis of bi-metal thermostats, Journal of the Optical Society of America 11 (1925)"
_MEGA = 1e6


def _steel() -> "pt.fem.Solid":
    return pt.fem.Solid(youngs_modulus="200 GPa", poissons_ratio=0.3, thermal_expansion="12e-6 1/K")


def heated_bar(gap: str) -> pt.Model:
    """A bar of 1 m, 100 K hotter, whose right end meets a wall after `gap`."""
    fem = pt.fem
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.bar("1 m", 4),
        materials={"bar": _steel()},
        boundaries={"left": fem.Clamped(), "right": fem.Displacement(x=gap)},
        temperature="100 degC",
        reference_temperature="0 degC",
        sensors={"stress": fem.Stress("0.4 m", component="xx")},
    )
    return model


def two_metals() -> pt.Model:
    """0.3 m of steel and 0.2 m of aluminum between walls, 50 K hotter."""
    fem = pt.fem
    aluminum = fem.Solid(youngs_modulus="70 GPa", poissons_ratio=0.33, thermal_expansion="23e-6 1/K")
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.bar(["0.3 m", "0.2 m"], cells=[3, 2], regions=["steel", "aluminum"]),
        materials={"steel": _steel(), "aluminum": aluminum},
        boundaries={"left": fem.Clamped(), "right": fem.Clamped()},
        temperature="50 degC",
        reference_temperature="0 degC",
        sensors={
            "stress": fem.Stress("0.1 m", component="xx"),
            "joint": fem.PointDisplacement("0.3 m", component="x"),
        },
    )
    return model


def free_plate() -> pt.Model:
    """The middle of a free plate 20 mm thick at 100 degC (1 - (z/c)^2): a disk of 0.2 m radius, its upper half."""
    fem = pt.fem
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.cylinder("0.2 m", "10 mm", cells=(30, 16), axisymmetric=True),
        materials={"body": _steel()},
        boundaries={"bottom": fem.Symmetry()},
        temperature=lambda z: "273.15 K" + "100 K" * (1.0 - (z / "10 mm") ** 2),
        reference_temperature="0 degC",
        sensors={
            "surface": fem.Stress("1 mm", "10 mm", component="rr"),
            "middle": fem.Stress("1 mm", "0 mm", component="rr"),
        },
    )
    return model


def bimetal() -> pt.Model:
    """1 mm of 200 GPa, 12e-6 1/K under 1 mm of 100 GPa, 18e-6 1/K, 0.1 m long, 100 K hotter; half of a strip."""
    fem = pt.fem
    strip = fem.mesh.plate(("0.1 m", "2 mm"), cells=(50, 8)).region_from("upper", lambda x, y: y > 1e-3)
    model: pt.Model = fem.Elasticity(
        mesh=strip,
        materials={
            "body": _steel(),
            "upper": fem.Solid(youngs_modulus="100 GPa", poissons_ratio=0.3, thermal_expansion="18e-6 1/K"),
        },
        boundaries={"left": [fem.Symmetry(), fem.Displacement(y="0 mm", where=lambda x, y: abs(y - 1e-3) < 1e-9)]},
        kind=fem.PLANE_STRESS,
        temperature="100 degC",
        reference_temperature="0 degC",
        sensors={"tip": fem.PointDisplacement("0.1 m", "1 mm", component="y")},
    )
    return model


def heated_rod() -> pt.Model:
    """A rod of 10 mm radius that generates 10 MW/m^3 (20 W/(m K)), 0.2 m long, free; its half, seen in the middle."""
    fem = pt.fem
    model: pt.Model = fem.Elasticity(
        mesh=fem.mesh.cylinder("10 mm", "0.1 m", cells=(24, 40), axisymmetric=True),
        materials={"body": _steel()},
        boundaries={"bottom": fem.Symmetry()},
        temperature=lambda r: "355.65 K" - "1e7 W/m^3" * r**2 / "80 W/m/K",
        reference_temperature="20 degC",
        sensors={
            "hoop_surface": fem.Stress("10 mm", "0 mm", component="tt"),
            "axial_surface": fem.Stress("10 mm", "0 mm", component="zz"),
            "radial_axis": fem.Stress("0 mm", "0 mm", component="rr"),
            "hoop_axis": fem.Stress("0 mm", "0 mm", component="tt"),
            "axial_axis": fem.Stress("0 mm", "0 mm", component="zz"),
        },
    )
    return model


@functools.cache
def _outputs(kind: str) -> Measured:
    models: dict[str, Callable[[], pt.Model]] = {
        "bar": functools.partial(heated_bar, "0 mm"),
        "gap": functools.partial(heated_bar, "0.5 mm"),
        "two metals": two_metals,
        "plate": free_plate,
        "bimetal": bimetal,
        "rod": heated_rod,
    }
    model = models[kind]()
    run = pt.simulate(model, [0.0])
    factor = {"m": 1.0}
    values = [float(run[s.name][0]) / factor.get(s.unit.text, _MEGA) for s in model.outputs]
    return Measured(values, {"model": repr(model)})


def _bars() -> Measured:
    parts = [_outputs(kind) for kind in ("bar", "gap", "two metals")]
    return Measured([value for part in parts for value in part.values], parts[0].details)


def _curvature() -> Measured:
    """The curvature of the strip from the deflection of its tip."""
    found = _outputs("bimetal")
    # The tip of an arc of the length L and the curvature k: (1 - cos k L) / k, small angles as the model has them.
    return Measured([2.0 * abs(found.values[0]) / 0.1**2, abs(found.values[0])], found.details)


CASES = (
    Case(
        name="heated_bars",
        claim="Stresses of heated bars between walls are exact, with a gap and with two metals.",
        requirement="thermal stress",
        source=_SOURCE,
        quantity="stress without and with a gap of 0.5 mm, of two metals, MPa; displacement of their joint, m",
        expected=reference("thermal_stress", "bars"),
        tolerance=1e-8,
        acceptance="1e-8: elements hold a solution that is linear in each part to rounding; references of 9 digits",
        compute=_bars,
        measure=RELATIVE,
    ),
    Case(
        name="heated_plate",
        claim="Stresses in the middle of a free plate with a parabolic temperature are the closed form's to 0.5 MPa.",
        requirement="thermal stress",
        source=_SOURCE,
        quantity="stress along the plate at its surface and in its middle plane, MPa",
        expected=reference("thermal_stress", "plate"),
        tolerance=0.5,
        acceptance="0.5 MPa of 229 MPa: a disk twenty times as wide as its half thickness for an infinite plate",
        compute=functools.partial(_outputs, "plate"),
        measure=ABSOLUTE,
    ),
    Case(
        name="bimetal_strip",
        claim="A bimetal strip bends as Timoshenko says, to 0.5 %.",
        requirement="thermal stress",
        source=_BIMETAL,
        quantity="curvature, 1/m, and deflection of the tip, m",
        expected=reference("thermal_stress", "bimetal"),
        tolerance=0.005,
        acceptance="0.5 %: the free end, one thickness of 50, is not bent as the rest",
        compute=_curvature,
        measure=RELATIVE,
    ),
    Case(
        name="generating_rod",
        claim="Thermal stresses of a rod that generates heat are the closed form's to 0.1 MPa.",
        requirement="thermal stress",
        source=_SOURCE,
        quantity="hoop and axial stress at the surface; radial, hoop and axial stress on the axis, MPa",
        expected=reference("thermal_stress", "rod"),
        tolerance=0.1,
        acceptance="0.1 MPa of 21 MPa: 24 cells of degree 2 from the axis to the surface",
        compute=functools.partial(_outputs, "rod"),
        measure=ABSOLUTE,
    ),
)
