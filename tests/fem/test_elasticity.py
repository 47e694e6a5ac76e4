"""Elasticity: laws first (patches, rigid motion, balance, orders of convergence), then what is refused and how."""

import math
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.errors import ModelError, PhysicsTwinError, UnitError, UnknownNameError
from physics_twin.fem.strain import AXISYMMETRIC, PLANE_STRAIN, PLANE_STRESS, SOLID, stiffness
from physics_twin.verification import check_model, observed_order

E, NU = 200e9, 0.3
LAMBDA, MU = E * NU / (1 + NU) / (1 - 2 * NU), E / 2 / (1 + NU)
STEEL = fem.Solid(youngs_modulus="200 GPa", poissons_ratio=0.3, thermal_expansion="12e-6 1/K")


def solve(**description: Any) -> dict[str, float]:
    """Outputs of a steady model by name, SI."""
    recipe = description.pop("recipe", None)
    values = description.pop("values", None)
    model = fem.Elasticity(**description)
    run = pt.simulate(model, [0.0], recipe, values)
    return {signal.name: float(run[signal.name][0]) for signal in model.outputs}


def skewed(x: Any, y: Any) -> Any:
    """The unit square with its inner points moved."""
    bump = 0.15 * np.sin(math.pi * x) * np.sin(math.pi * y)
    return x + bump, y - 0.7 * bump


def skewed_solid(x: Any, y: Any, z: Any) -> Any:
    """The unit cube with its inner points moved."""
    bump = 0.1 * np.sin(math.pi * x) * np.sin(math.pi * y) * np.sin(math.pi * z)
    return x + bump, y - bump, z + 0.5 * bump


PLANE = {"left": "edge", "right": "edge", "bottom": "edge", "top": "edge"}
PATCHES = {
    "triangles": (fem.mesh.mapped(skewed, (3, 3), sides=PLANE, simplices=True), PLANE_STRAIN),
    "quadrilaterals": (fem.mesh.mapped(skewed, (3, 3), sides=PLANE), PLANE_STRESS),
    "curved": (fem.mesh.mapped(skewed, (3, 3), sides=PLANE, order=2), PLANE_STRESS),
    "tetrahedra": (
        fem.mesh.mapped(skewed_solid, (2, 2, 2), sides={**PLANE, "front": "edge", "back": "edge"}, simplices=True),
        SOLID,
    ),
    "hexahedra": (fem.mesh.mapped(skewed_solid, (2, 2, 2), sides={**PLANE, "front": "edge", "back": "edge"}), SOLID),
}
GRADIENT = np.array([[1e-3, 2e-3, -1e-3], [5e-4, -2e-3, 3e-4], [4e-4, 1e-3, 2e-3]])


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("patch", PATCHES)
def test_patch(patch: str, degree: int) -> None:
    """Skewed cells hold a displacement that is linear in the coordinates, and its one stress, to rounding."""
    mesh, kind = PATCHES[patch]
    if mesh.order > degree:
        pytest.skip("linear elements on curved cells do not hold it: their coordinates are of degree 2")
    d = mesh.dimension
    g = GRADIENT[:d, :d]
    names = ("x", "y", "z")[:d]

    def field(row: int) -> Any:
        if d == 2:
            return lambda x, y: g[row, 0] * x + g[row, 1] * y
        return lambda x, y, z: g[row, 0] * x + g[row, 1] * y + g[row, 2] * z

    place = np.array([0.37, 0.46, 0.58][:d])
    at = [f"{x} m" for x in place]
    found = solve(
        mesh=mesh,
        materials={"body": STEEL},
        kind=None if kind is SOLID else kind,
        boundaries={"edge": fem.Displacement(**{name: field(k) for k, name in enumerate(names)})},
        degree=degree,
        sensors={
            **{f"u_{a}": fem.PointDisplacement(*at, component=a) for a in names},
            **{f"e_{c}": fem.Strain(*at, component=c) for c in kind.components},
            **{f"s_{c}": fem.Stress(*at, component=c) for c in kind.components},
            "von_mises": fem.VonMises(*at),
        },
    )
    assert [found[f"u_{a}"] for a in names] == pytest.approx(g @ place, abs=1e-14)
    sym = 0.5 * (g + g.T)
    full = np.zeros((3, 3))
    full[:d, :d] = sym
    if kind is PLANE_STRESS:
        full[2, 2] = -NU / (1 - NU) * (full[0, 0] + full[1, 1])
    stress = LAMBDA * np.trace(full) * np.eye(3) + 2 * MU * full
    for c in kind.components:
        i, j = ("xyz".index(a) for a in c)
        assert found[f"e_{c}"] == pytest.approx(full[i, j] if i == j else 2 * full[i, j], abs=1e-14)
        assert found[f"s_{c}"] == pytest.approx(stress[i, j], abs=1e-12 * E)
    deviator = stress - np.trace(stress) / 3 * np.eye(3)
    assert found["von_mises"] == pytest.approx(math.sqrt(1.5 * np.sum(deviator**2)), rel=1e-10)


@pytest.mark.parametrize("degree", [1, 2])
def test_patch_of_revolution(degree: int) -> None:
    """u_r = a r, u_z = b z has the one strain (a, b, a, 0), on the axis as elsewhere."""
    a, b = 1e-3, -2e-3
    places = {"axis": ("0 m", "0.2 m"), "inside": ("0.31 m", "0.43 m")}
    found = solve(
        mesh=fem.mesh.mapped(skewed, (3, 3), sides=PLANE, axisymmetric=True),
        materials={"body": STEEL},
        boundaries={"edge": fem.Displacement(r=lambda r: a * r, z=lambda z: b * z)},
        degree=degree,
        sensors={
            f"{name}_{c}": fem.Strain(*x, component=c) for name, x in places.items() for c in AXISYMMETRIC.components
        },
    )
    for name in places:
        strains = [found[f"{name}_{c}"] for c in AXISYMMETRIC.components]
        assert strains == pytest.approx([a, b, a, 0.0], abs=1e-9 * a)


@pytest.mark.parametrize("patch", ["triangles", "quadrilaterals", "hexahedra"])
def test_a_rigid_motion_is_free_of_stress(patch: str) -> None:
    """Translation and small rotation of the boundary, and the body follows without a stress."""
    mesh, kind = PATCHES[patch]
    spin = {"x": lambda y: "1 mm" - 1e-3 * y, "y": lambda x: "2 mm" + 1e-3 * x}
    if mesh.dimension == 3:
        spin["z"] = "-1 mm"
    found = solve(
        mesh=mesh,
        materials={"body": STEEL},
        kind=None if kind is SOLID else kind,
        boundaries={"edge": fem.Displacement(**spin)},
        sensors={"s": fem.Integral("body", of=lambda von_mises: von_mises, unit="Pa")},
    )
    assert abs(found["s"]) < 2e-4 + 1e-12 * E * 1e-3  # the first part is what keeps a derivative at zero stress


A, B, C, K = 1e-3, -0.6e-3, 0.5e-3, math.pi  # m, 1/m
ALPHA, HOT = 1e-5, 60.0  # 1/K, K


def manufactured(n: int, cell: str, degree: int, thermal: bool) -> float:
    """The L2 error of u = (A sin kx sin ky, B cos kx cos ky[, C sin kz]) with its body force on a unit body."""
    solid = cell == "hexahedra"
    m = "1 m"
    phase = {"x": lambda x: K * x / m, "y": lambda y: K * y / m}

    def ss(x: Any, y: Any) -> Any:
        return pt.sin(phase["x"](x)) * pt.sin(phase["y"](y))

    def cc(x: Any, y: Any) -> Any:
        return pt.cos(phase["x"](x)) * pt.cos(phase["y"](y))

    grad_div = (LAMBDA + MU) * K**2 * (A - B)
    hot = (3 * LAMBDA + 2 * MU) * ALPHA * HOT * K if thermal else 0.0
    # T - T0 = HOT sin(kx): its gradient pushes along x.
    force = [
        lambda x, y: ((grad_div + 2 * MU * K**2 * A) * ss(x, y) + hot * pt.cos(K * x / m)) * "1 N/m^3",
        lambda x, y: (-grad_div + 2 * MU * K**2 * B) * cc(x, y) * "1 N/m^3",
    ]
    exact = {"x": lambda x, y: A * ss(x, y) * m, "y": lambda x, y: B * cc(x, y) * m}
    if solid:
        force.append(lambda z: (LAMBDA + 2 * MU) * K**2 * C * pt.sin(K * z / m) * "1 N/m^3")
        exact["z"] = lambda z: C * pt.sin(K * z / m) * m
    if solid:
        mesh = fem.mesh.mapped(skewed_solid, (n, n, n), sides={**PLANE, "front": "edge", "back": "edge"})
        errors = {
            "e": fem.Integral(
                "body",
                of=lambda x, y, z, u_x, u_y, u_z: (
                    (u_x - exact["x"](x, y)) ** 2 + (u_y - exact["y"](x, y)) ** 2 + (u_z - exact["z"](z)) ** 2
                ),
                unit="m^2",
            )
        }
    else:
        mesh = fem.mesh.mapped(skewed, (n, n), sides=PLANE, simplices=cell == "triangles")
        errors = {
            "e": fem.Integral(
                "body",
                of=lambda x, y, u_x, u_y: (u_x - exact["x"](x, y)) ** 2 + (u_y - exact["y"](x, y)) ** 2,
                unit="m^2",
            )
        }
    found = solve(
        mesh=mesh,
        materials={"body": STEEL.replace(thermal_expansion=f"{ALPHA} 1/K")},
        kind=None if solid else fem.PLANE_STRAIN,
        boundaries={"edge": fem.Displacement(**exact)},
        body_force=tuple(force),
        temperature=(lambda x: "293.15 K" + HOT * pt.sin(K * x / m) * "1 K") if thermal else None,
        degree=degree,
        sensors=errors,
    )
    return math.sqrt(found["e"])


@pytest.mark.parametrize(
    ("cell", "degree", "thermal", "cells"),
    [
        ("triangles", 1, False, (8, 16, 32)),
        ("triangles", 2, False, (6, 12, 24)),
        ("quadrilaterals", 1, False, (8, 16, 32)),
        ("quadrilaterals", 2, True, (6, 12, 24)),
        ("triangles", 2, True, (6, 12, 24)),
        ("hexahedra", 1, False, (4, 8, 16)),
        ("hexahedra", 2, True, (2, 4, 8)),
    ],
)
def test_displacements_converge_with_the_order_of_theory(
    cell: str, degree: int, thermal: bool, cells: tuple[int, ...]
) -> None:
    """The L2 error falls with the order degree + 1, with and without thermal strain, on skewed cells."""
    errors = [manufactured(n, cell, degree, thermal) for n in cells]
    order = observed_order([1.0 / n for n in cells], errors)
    assert order.pairwise[-1] == pytest.approx(degree + 1, abs=0.1), (errors, order)


@pytest.mark.parametrize("degree", [1, 2])
def test_bodies_of_revolution_converge_with_the_order_of_theory(degree: int) -> None:
    """Lame's thick cylinder, 100 MPa inside, ends held: u_r = c r + d/r."""
    a2, b2, p = 0.01, 0.04, 1e8
    scale = (1 + NU) / E * p * a2 / (b2 - a2)

    def exact(r: Any) -> Any:
        return scale * ((1 - 2 * NU) * r + b2 * ("1 m^2" / r))

    errors = []
    for n in (3, 6, 12):
        found = solve(
            mesh=fem.mesh.hollow_cylinder("0.1 m", "0.2 m", "0.05 m", cells=(n, 1), axisymmetric=True),
            materials={"body": STEEL},
            boundaries={"bottom": fem.Symmetry(), "top": fem.Symmetry(), "inner": fem.Pressure("100 MPa")},
            degree=degree,
            sensors={"e": fem.Integral("body", of=lambda r, u_r: (u_r - exact(r)) ** 2, unit="m^2")},
        )
        errors.append(math.sqrt(found["e"]))
    assert observed_order([1 / 3, 1 / 6, 1 / 12], errors).pairwise[-1] == pytest.approx(degree + 1, abs=0.1)


AXIAL = fem.mesh.hollow_cylinder("0.1 m", "0.2 m", "0.3 m", cells=(3, 4), axisymmetric=True)
BOX = fem.mesh.box(("1 m", "0.4 m", "0.5 m"), cells=(3, 2, 2))
PLATE = fem.mesh.plate(("1 m", "0.5 m"), cells=(4, 2))
CLAMPED, SLIDING = fem.Clamped(), fem.Displacement(z="0 m")
WEIGHT = ("1 kN/m^3", "0 N/m^3", "0 N/m^3")
POOR = STEEL.replace(thermal_expansion=None)
FREE_WORK = fem.Solid(youngs_modulus=("1 GPa", "20 GPa"), poissons_ratio=0.4, shear_modulus="1 GPa")


@pytest.mark.parametrize(
    ("mesh", "kind", "boundaries", "force", "balance"),
    [
        (PLATE, PLANE_STRESS, {"left": CLAMPED, "right": fem.Traction(x="3 MPa", y="1 MPa")}, None, (1.5e6, 0.5e6)),
        (PLATE, PLANE_STRAIN, {"left": fem.Clamped()}, ("2 kN/m^3", "-5 kN/m^3"), (1e3, -2.5e3)),
        (PLATE, PLANE_STRESS, {"left": CLAMPED, "top": fem.Pressure("2 MPa")}, None, (0.0, -2e6)),
        (BOX, SOLID, {"left": CLAMPED, "top": fem.Pressure("2 MPa")}, WEIGHT, (200.0, 0.0, -0.8e6)),
        (AXIAL, AXISYMMETRIC, {"bottom": SLIDING, "top": fem.Traction(z="1 MPa")}, None, (None, 3e4 * math.pi)),
    ],
    ids=["traction", "weight", "pressure", "solid", "of revolution"],
)  # fmt: skip
def test_reactions_balance_the_loads(mesh: Any, kind: Any, boundaries: Any, force: Any, balance: Any) -> None:
    """What the support exerts on the body is minus the loads, to the accuracy of the linear solver."""
    holder = next(iter(boundaries))
    axes = ("r", "z") if mesh.axisymmetric else ("x", "y", "z")[: mesh.dimension]
    asked = {a: load for a, load in zip(axes, balance, strict=True) if load is not None}
    found = solve(
        mesh=mesh,
        materials={"body": STEEL},
        kind=kind if kind in (PLANE_STRESS, PLANE_STRAIN) else None,
        boundaries=boundaries,
        body_force=force,
        sensors={f"force_{a}": fem.Reaction(holder, a) for a in asked},
    )
    size = max(abs(load) for load in asked.values())
    for a, load in asked.items():
        assert found[f"force_{a}"] == pytest.approx(-load, abs=1e-8 * size)


def test_a_bed_carries_what_lies_on_it() -> None:
    """A stiff block sinks by pressure over stiffness, and its bed pushes back with the load."""
    found = solve(
        mesh=PLATE,
        materials={"body": STEEL.replace(poissons_ratio=0.0)},
        kind=fem.PLANE_STRESS,
        boundaries={"bottom": fem.Foundation("1 GN/m^3", tangential="1 kN/m^3"), "top": fem.Pressure("1 MPa")},
        sensors={
            "sunk": fem.PointDisplacement("0.3 m", "0 m", component="y"),
            "push": fem.Reaction("bottom", "y"),
            "shortening": fem.RelativeDisplacement(("0.3 m", "0 m"), ("0.3 m", "0.5 m")),
        },
    )
    assert found["sunk"] == pytest.approx(-1e-3, rel=1e-9)
    assert found["push"] == pytest.approx(1e6, rel=1e-9)
    assert found["shortening"] == pytest.approx(-1e6 / E * 0.5, rel=1e-6)


# -- materials -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [PLANE_STRESS, PLANE_STRAIN, AXISYMMETRIC, SOLID], ids=lambda k: k.name)
def test_an_orthotropic_solid_with_equal_directions_is_isotropic(kind: Any) -> None:
    """Hooke's matrices agree to rounding; the plane ones are those of the books."""
    shear = f"{MU!r} Pa"
    equal = fem.Solid(youngs_modulus=("200 GPa",) * 3, poissons_ratio=(0.3,) * 3, shear_modulus=(shear,) * 3)
    ours, theirs = (np.array(stiffness(s, kind, {}, "steel"), dtype=float) for s in (STEEL, equal))
    assert theirs == pytest.approx(ours, rel=1e-13)
    if kind is PLANE_STRESS:
        assert ours[0] == pytest.approx([E / (1 - NU**2), NU * E / (1 - NU**2), 0.0])
    else:
        assert ours[0][:3] == pytest.approx([LAMBDA + 2 * MU, LAMBDA, LAMBDA])


def test_an_orthotropic_plate_contracts_by_its_own_ratios() -> None:
    """A stress along x stretches by 1/E_x and contracts by nu_xy/E_x; along y by 1/E_y and the same coupling."""
    plywood = fem.Solid(
        youngs_modulus=("10 GPa", "2 GPa"), poissons_ratio=0.4, shear_modulus="0.7 GPa", thermal_expansion="0 1/K"
    )
    for side, axis, other in (("right", "x", "y"), ("top", "y", "x")):
        found = solve(
            mesh=PLATE,
            materials={"body": plywood},
            kind=fem.PLANE_STRESS,
            boundaries={"left": fem.Symmetry(), "bottom": fem.Symmetry(), side: fem.Traction(**{axis: "1 MPa"})},
            sensors={
                "along": fem.Strain("0.4 m", "0.2 m", component=axis * 2),
                "across": fem.Strain("0.4 m", "0.2 m", component=other * 2),
            },
        )
        assert found["along"] == pytest.approx(1e6 / (10e9 if axis == "x" else 2e9), rel=1e-10)
        assert found["across"] == pytest.approx(-0.4 * 1e6 / 10e9, rel=1e-10)


def test_mean_coefficients_of_expansion_are_taken_from_their_own_reference() -> None:
    """With expansion_reference T_r the free strain from T0 to T is a(T) (T - T_r) - a(T0) (T0 - T_r)."""
    table = fem.Tabulated(([20.0, 220.0], "degC"), ([10e-6, 14e-6], "1/K"))
    for reference, expected in (("20 degC", 14e-6 * 200.0), ("120 degC", 14e-6 * 200.0 - 12e-6 * 100.0)):
        found = solve(
            mesh=fem.mesh.bar("1 m", 2),
            materials={"bar": STEEL.replace(thermal_expansion=table, expansion_reference="20 degC")},
            boundaries={"left": fem.Clamped()},
            temperature="220 degC",
            reference_temperature=reference,
            sensors={"u": fem.PointDisplacement("1 m", component="x")},
        )
        assert found["u"] == pytest.approx(expected, rel=1e-12)


def test_properties_follow_the_temperature() -> None:
    """A modulus that falls with T is taken at each place; without a temperature at the reference temperature."""
    softening = STEEL.replace(youngs_modulus=lambda T: "200 GPa" * (1.0 - (T - "293.15 K") / "1000 K"))
    stretched = dict(
        mesh=fem.mesh.bar("1 m", 8),
        materials={"bar": softening.replace(thermal_expansion="0 1/K")},
        boundaries={"left": fem.Clamped(), "right": fem.Traction(x="200 MPa")},
        sensors={"u": fem.PointDisplacement("1 m", component="x")},
    )
    assert solve(**stretched)["u"] == pytest.approx(1e-3, rel=1e-12)
    graded = solve(**stretched, temperature=lambda x: "293.15 K" + "500 K" * (x / "1 m"))
    # The integral of 1/(1 - x/2) over [0, 1] is 2 ln 2; the quadrature takes it to 1e-6.
    assert graded["u"] == pytest.approx(1e-3 * 2.0 * math.log(2.0), rel=1e-6)


def test_a_driven_temperature_is_the_reference_until_it_is_given() -> None:
    """Another model writes the temperature field of the formulation's driver."""
    model = fem.Elasticity(
        mesh=fem.mesh.bar("1 m", 2),
        materials={"bar": STEEL},
        boundaries={"left": fem.Clamped()},
        temperature=fem.Driven(degree=1),
        reference_temperature="20 degC",
        sensors={"u": fem.PointDisplacement("1 m", component="x")},
    )
    (driver,) = model.discretized.formulation.drivers
    assert float(pt.simulate(model, [0.0])["u"][0]) == 0.0
    driver.field.x.array[:] = 393.15
    assert float(pt.simulate(model, [0.0])["u"][0]) == pytest.approx(12e-4, rel=1e-12)


# -- sensors -------------------------------------------------------------------------------------------------------
def cloud_model(rigid_motion: bool, components: Any = None, mesh: Any = PLATE) -> tuple[Any, np.ndarray]:
    """A bent plate with a cloud of 30 points."""
    d = mesh.dimension
    points = np.random.default_rng(3).random((30, d)) * np.ptp(mesh.points, axis=0) * 1e3
    model = fem.Elasticity(
        mesh=mesh,
        materials={
            "body": fem.Solid(youngs_modulus=pt.Parameter("E", "200 GPa"), poissons_ratio=pt.Parameter("nu", 0.3))
        },
        kind=fem.PLANE_STRESS if d == 2 else None,
        boundaries={"left": fem.Clamped(), "right": fem.Traction(y=pt.Parameter("load", "1 MPa"))},
        sensors={"dic": fem.DisplacementField((points, "mm"), components, rigid_motion)},
    )
    return model, points / 1e3


@pytest.mark.parametrize("components", [None, ("x",)])
@pytest.mark.parametrize("mesh", [PLATE, BOX], ids=["plate", "box"])
def test_rigid_motion_is_taken_away_from_a_cloud(mesh: Any, components: Any) -> None:
    """What is left is the least-squares remainder after translations and small rotations, by an independent fit."""
    axes = ("x", "y", "z")[: mesh.dimension]
    shown = axes if components is None else components
    (with_motion, x), (without, _) = (cloud_model(flag, components, mesh) for flag in (True, False))
    names = [f"dic_{c}_{k}" for k in range(30) for c in shown]
    assert [s.name for s in without.outputs] == names
    raw, left = (np.array([float(pt.simulate(m, [0.0])[n][0]) for n in names]) for m in (with_motion, without))
    spins = [(0, 1), (1, 2), (0, 2)] if mesh.dimension == 3 else [(0, 1)]
    columns = [[float(a == b) for _ in x for b in shown] for a in axes]
    for i, j in spins:
        turn = {axes[i]: -x[:, j], axes[j]: x[:, i]}
        columns.append([float(turn[c][k]) if c in turn else 0.0 for k in range(30) for c in shown])
    design = np.array(columns).T
    remainder = raw - design @ np.linalg.lstsq(design, raw, rcond=None)[0]
    assert left == pytest.approx(remainder, abs=1e-12 * np.abs(raw).max())
    assert np.abs(left).max() > 1e-3 * np.abs(raw).max()


def test_a_cloud_of_1500_points_has_exact_derivatives_in_a_moment() -> None:
    """Tangents agree with Hooke: displacements of a prescribed load fall as 1/E and rise with the load."""
    points = np.random.default_rng(0).random((1500, 2)) * [1.0, 0.5]
    model = fem.Elasticity(
        mesh=PLATE,
        materials={"body": fem.Solid(youngs_modulus=pt.Parameter("E", "200 GPa"), poissons_ratio=0.3)},
        kind=fem.PLANE_STRESS,
        boundaries={"left": fem.Clamped(), "right": fem.Traction(y=pt.Parameter("load", "1 MPa"))},
        sensors={"dic": fem.DisplacementField((points, "m"), rigid_motion=False)},
    )
    values = {"E": 200e9, "load": 1e6}
    y, jacobian, _ = model.sensitivity(np.array([0.0]), pt.Recipe.constant(), values, ["E", "load"])
    size = np.abs(y).max()
    assert jacobian[0, :, 0] * 200e9 == pytest.approx(-y[0], abs=1e-9 * size)
    assert jacobian[0, :, 1] * 1e6 == pytest.approx(y[0], abs=1e-9 * size)
    weights = np.random.default_rng(1).standard_normal(y.shape)
    _, pull = model.pullback(np.array([0.0]), pt.Recipe.constant(), values, ["E", "load"])
    assert pull(weights) == pytest.approx(np.einsum("to,tow->w", weights, jacobian), rel=1e-8)


def everything() -> Any:
    """A small model with every kind of sensor, parameters in every place and an input."""
    expansion = pt.Parameter("alpha", "12e-6 1/K")
    return fem.Elasticity(
        mesh=fem.mesh.plate(("1 m", "0.5 m"), cells=(3, 2)).region_from("tip", lambda x, y: x > 0.6),
        materials={
            "body": fem.Solid(
                youngs_modulus=pt.Parameter("E", "200 GPa", bounds=("50 GPa", "400 GPa")),
                poissons_ratio=pt.Parameter("nu", 0.3, bounds=(0.1, 0.4)),
                thermal_expansion=expansion,
            ),
            "tip": fem.Solid(youngs_modulus="70 GPa", poissons_ratio=0.33, thermal_expansion="23e-6 1/K"),
        },
        kind=fem.PLANE_STRAIN,
        boundaries={
            "left": fem.Displacement(x="0 mm", y=pt.Parameter("settled", "0.1 mm")),
            "right": fem.Pressure(pt.Signal("pressure", "MPa")),
            "bottom": fem.Foundation(pt.Parameter("bed", "1 GN/m^3")),
        },
        temperature=lambda x, warming: "293.15 K" + warming * (x / "1 m"),
        parameters=[pt.Parameter("warming", "80 K")],
        sensors={
            "tip": fem.PointDisplacement("1 m", "0.25 m", component="y"),
            "stress": fem.Stress("0.2 m", "0.1 m", component="xx"),
            "through": fem.Stress("0.9 m", "0.1 m", component="zz"),
            "shear": fem.Strain("0.8 m", "0.3 m", component="xy"),
            "equivalent": fem.VonMises("0.3 m", "0.4 m"),
            "largest": fem.LargestVonMises("tip"),
            "wall": fem.Reaction("left", "x"),
            "bed_force": fem.Reaction("bottom", "y"),
            "gauge": fem.RelativeDisplacement(("0.1 m", "0.2 m"), ("0.4 m", "0.3 m")),
            "mean": fem.Average("body", of=lambda stress_xx, u_y: stress_xx * (u_y / "1 mm"), unit="MPa"),
            "edge": fem.Average("right", of=lambda u_x: u_x, unit="m"),
            "dic": fem.DisplacementField((np.array([[0.1, 0.1], [0.5, 0.4], [0.8, 0.2]]), "m"), rigid_motion=False),
        },
    )


RAMP = pt.Recipe([pt.Phase("load", duration="10 s", pressure=pt.ramp("0 MPa", "50 MPa", over="10 s"))])


@pytest.mark.slow
def test_the_contract_of_models_is_kept(spawned: ProcessPoolExecutor) -> None:
    """Same bits, halves, trajectories, derivatives by Taylor tests, failures, and travel to another process."""
    assert check_model(everything(), recipe=RAMP, executor=spawned).passed


def test_adjoint_and_tangent_agree_for_every_sensor() -> None:
    """weights . J by one backward run is that of the forward derivatives."""
    model = everything()
    values = {name: p.value for name, p in model.parameters.items()}
    times = np.array([2.0, 7.0])
    names = list(model.parameters.names)
    y, jacobian, _ = model.sensitivity(times, RAMP, values, names)
    scale = np.abs(y).max(axis=0) + 1e-30
    weights = np.random.default_rng(5).standard_normal(y.shape) / scale
    _, pull = model.pullback(times, RAMP, values, names)
    sizes = np.array([abs(values[n]) for n in names])
    expected = np.einsum("to,tow->w", weights, jacobian) * sizes
    assert pull(weights) * sizes == pytest.approx(expected, abs=1e-8 * np.abs(expected).max())


def test_the_largest_stress_is_that_of_a_corner_of_a_cell() -> None:
    """A beam bent by a moment: 6 M/(b h^2) at its edge, everywhere along it; off a region the other one counts."""
    found = solve(
        mesh=fem.mesh.plate(("1 m", "0.2 m"), cells=(6, 2)).region_from("tip", lambda x, y: x > 0.8),
        materials={"body": STEEL.replace(poissons_ratio=0.0), "tip": STEEL.replace(poissons_ratio=0.0)},
        kind=fem.PLANE_STRESS,
        boundaries={
            "left": [fem.Symmetry(), fem.Displacement(y="0 m", where=lambda x, y: abs(y - 0.1) < 1e-9)],
            "right": fem.Traction(x=lambda y: (y / "0.1 m" - 1.0) * "30 MPa"),
        },
        sensors={"body": fem.LargestVonMises("body"), "middle": fem.VonMises("0.5 m", "0.1 m")},
    )
    assert found["body"] == pytest.approx(30e6, rel=1e-8)
    assert found["middle"] < 1.0


def test_stress_on_the_axis_of_revolution() -> None:
    """On the axis hoop and radial strain are equal: u_r/r is du_r/dr there, not 0/0."""
    on_axis = {c: fem.Stress("0 mm", "5 mm", component=c) for c in ("rr", "tt", "zz")}
    found = solve(
        mesh=fem.mesh.cylinder("10 mm", "20 mm", cells=(3, 4), axisymmetric=True),
        materials={"body": STEEL},
        boundaries={"bottom": fem.Symmetry(), "side": fem.Pressure("10 MPa")},
        sensors={**on_axis, "largest": fem.LargestVonMises("body")},
    )
    assert [found[c] for c in ("rr", "tt", "zz")] == pytest.approx([-1e7, -1e7, 0.0], abs=10.0)
    assert found["largest"] == pytest.approx(1e7, rel=1e-6)


# -- what is refused -----------------------------------------------------------------------------------------------
TIP = {"tip": fem.PointDisplacement("1 m", "0.2 m", component="y")}


def flawed(**changes: Any) -> Any:
    """A sound description with something changed."""
    sound = dict(
        mesh=PLATE, materials={"body": STEEL}, kind=fem.PLANE_STRESS, boundaries={"left": fem.Clamped()}, sensors=TIP
    )
    return fem.Elasticity(**{**sound, **changes})


@pytest.mark.parametrize(
    ("boundaries", "words"),
    [
        ({}, "the body can move along x, move along y and rotate about z; hold it with"),
        ({"left": fem.Symmetry()}, "the body can move along y; hold it"),
        ({"bottom": fem.Displacement(y="0 m")}, "the body can move along x; hold it"),
        (
            {"left": fem.Displacement(x="0 m", y="0 m", where=lambda x, y: y < 1e-9)},
            "the body can rotate about z; hold",
        ),
        ({"bottom": fem.Foundation("1 MN/m^3")}, "the body can move along x; hold it"),
        ({"left": fem.Pressure("1 MPa")}, "move along x, move along y and rotate about z"),
    ],
)
def test_a_body_that_can_move_is_refused_and_its_motion_named(boundaries: Any, words: str) -> None:
    """Before anything is solved, by the supports alone."""
    with pytest.raises(ModelError, match=words):
        flawed(boundaries=boundaries)


def test_motions_of_a_solid_and_of_a_body_of_revolution_are_named() -> None:
    """Six motions in space, one of revolution."""
    at = {"u": fem.PointDisplacement("0 m", "0 m", "0 m", component="x")}
    with pytest.raises(ModelError, match="the body can rotate about x; hold"):
        flawed(
            mesh=BOX,
            kind=None,
            sensors=at,
            boundaries={"front": fem.Displacement(x="0 m", y="0 m", z="0 m", where=lambda x, y, z: z < 1e-9)},
        )
    with pytest.raises(ModelError, match="the body can move along y, move along z and rotate about x"):
        flawed(mesh=BOX, kind=None, sensors=at, boundaries={"left": fem.Symmetry()})
    with pytest.raises(ModelError, match="the body can move along z; hold"):
        flawed(mesh=AXIAL, kind=None, boundaries={"inner": fem.Pressure("1 MPa")})


def test_a_body_that_is_held_in_two_ways_is_refused() -> None:
    """Two boundaries that prescribe different displacements at a common point; where they agree, both are right."""
    with pytest.raises(ModelError, match='"left" and "bottom" share points, and prescribe different displacements y'):
        flawed(boundaries={"left": fem.Clamped(), "bottom": fem.Displacement(y="1 mm")})
    flawed(boundaries={"left": fem.Clamped(), "bottom": fem.Displacement(y="0 mm")})
    flawed(boundaries={"left": fem.Clamped(), "bottom": fem.Displacement(y="1 mm", where=lambda x, y: x > 1e-9)})


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"boundaries": {"lefft": fem.Clamped()}}, UnknownNameError, "lefft"),
        ({"boundaries": {"left": fem.Temperature("20 degC")}}, ModelError, "none of Clamped"),
        ({"boundaries": {"left": fem.Displacement()}}, ModelError, "says nothing"),
        ({"boundaries": {"left": fem.Displacement(z="0 m")}}, ModelError, "there is no z; this body has x, y"),
        ({"boundaries": {"left": fem.Displacement(x="0 N")}}, UnitError, 'boundary "left": displacement x'),
        ({"boundaries": {"left": CLAMPED, "right": fem.Pressure("3 N")}}, UnitError, 'boundary "right": pressure'),
        ({"boundaries": {"left": fem.Displacement(x="0 m", where=lambda x, y: x > 1)}}, ModelError, "true for no node"),
        ({"kind": None}, ModelError, "a plane body needs its kind"),
        ({"mesh": BOX}, ModelError, "this mesh is solid; leave kind out"),
        ({"degree": 3}, ModelError, "degree = 3"),
        ({"materials": {}}, ModelError, "16 cells|8 cells have no material"),
        ({"materials": {"body": fem.Solid(youngs_modulus="1 GPa")}}, ModelError, "poissons_ratio"),
        ({"materials": {"body": fem.Solid(conductivity="1 W/m/K")}}, ModelError, "youngs_modulus"),
        ({"temperature": "80 degC", "materials": {"body": POOR}}, ModelError, "thermal_exp"),
        ({"temperature": "80 W"}, UnitError, "temperature"),
        ({"body_force": ("1 N/m^3",)}, ModelError, "body_force has a component per axis"),
        ({"sensors": {}}, ModelError, "has no sensor"),
        ({"sensors": {"s": fem.Stress("3 m", "0 m", component="xx")}}, ModelError, "2 m outside the body"),
        ({"sensors": {"s": fem.Stress("0 m", "0 m", component="zz")}}, UnknownNameError, "zz"),
        ({"sensors": {"s": fem.PointDisplacement("0 m", "0 m", component="z")}}, ModelError, 'no component "z"'),
        ({"sensors": {"s": fem.Reaction("right", "x")}}, ModelError, 'nothing holds "right" along x'),
        ({"sensors": {"s": fem.Point("0 m", "0 m")}}, ModelError, "no sensor of a mechanical model"),
        ({"sensors": {"s": fem.DisplacementField((np.zeros((3, 3)), "m"))}}, PhysicsTwinError, r"shape \(n, 2\)"),
        ({"materials": {"body": FREE_WORK}}, PhysicsTwinError, "set work free"),
    ],
)  # fmt: skip
def test_wrong_descriptions_are_refused(changes: Any, error: type[Exception], words: str) -> None:
    """Where the model is made, with the name of what is wrong."""
    with pytest.raises(error, match=words):
        flawed(**changes)


def test_an_oblique_plane_of_symmetry_is_refused() -> None:
    """Symmetry holds the normal component, which is one of the components only on planes normal to an axis."""
    ring = fem.mesh.hollow_cylinder("0.1 m", "0.2 m", cells=(2, 4), angle="60 deg")
    with pytest.raises(ModelError, match=r'boundary "end": fem.Symmetry\(\) needs planes normal to x or y'):
        flawed(mesh=ring, boundaries={"start": fem.Symmetry(), "end": fem.Symmetry()})
    with pytest.raises(ModelError, match="no plane of symmetry; hold z, or r"):
        flawed(mesh=AXIAL, kind=None, boundaries={"inner": fem.Symmetry(), "bottom": fem.Symmetry()})


@pytest.mark.parametrize(
    "mesh", [fem.mesh.box(("1 m", "0.4 m", "0.5 m"), cells=(6, 3, 3)), PLATE], ids=["solid", "plate"]
)
def test_multigrid_gives_the_answer_of_factors(mesh: Any) -> None:
    """With the rigid-body modes it needs few iterations, and the same displacement comes out."""
    at = ["1 m", *["0.1 m"] * (mesh.dimension - 1)]
    found, counts = [], []
    for solver in (fem.Direct(), fem.Iterative(multigrid=True)):
        model = flawed(
            mesh=mesh,
            kind=None if mesh.dimension == 3 else fem.PLANE_STRESS,
            boundaries={"left": fem.Clamped(), "right": fem.Traction(y="1 MPa")},
            sensors={"tip": fem.PointDisplacement(*at, component="y")},
            solver=solver,
        )
        run = pt.simulate(model, [0.0])
        found.append(float(run["tip"][0]))
        counts.append(run.statistics["linear_iterations"])
    assert found[1] == pytest.approx(found[0], rel=1e-7)
    assert counts[0] == 0 < counts[1] < 60


def test_planes_of_symmetry_hold_their_own_nodes_only() -> None:
    """A boundary of planes along x and y: each holds the component through it, whatever lies at the same coordinate."""
    mesh = PLATE.boundary_from("planes", lambda x, y: (x < 1e-9) | ((y < 1e-9) & (x > 0.5)))
    model = flawed(mesh=mesh, boundaries={"planes": fem.Symmetry()})
    space = model.operators.space
    x = space.tabulate_dof_coordinates()
    held = {e.dofs[0] % 2: x[e.dofs // 2] for e in model.discretized.formulation.essential}
    assert (held[0][:, 0] < 1e-9).all() and len(held[0]) == 5
    assert (held[1][:, 1] < 1e-9).all() and held[1][:, 0].min() == pytest.approx(0.5) and len(held[1]) == 5


def test_a_fingerprint_sees_what_is_held_where_and_what_is_averaged() -> None:
    """Prescribed values, supports and quantities of sensors are part of what a model is."""

    def pulled(by: str, of: Any) -> Any:
        sensors = {"mean": fem.Average("right", of=of, unit="m")}
        return flawed(boundaries={"left": fem.Clamped(), "right": fem.Displacement(x=by)}, sensors=sensors)

    first = pulled("1 mm", lambda u_x: u_x)
    others = [
        pulled("1.0000001 mm", lambda u_x: u_x),
        pulled("1 mm", lambda u_y: u_y),
        flawed(boundaries={"left": fem.Symmetry(), "right": fem.Clamped()}, sensors=first.build.description.sensors),
    ]
    assert pulled("1 mm", lambda u_x: u_x).fingerprint == first.fingerprint
    assert len({first.fingerprint, *(model.fingerprint for model in others)}) == 4


def test_a_load_inside_the_body_is_refused() -> None:
    """It would not act: surfaces inside have two sides."""
    cut = PLATE.boundary_from("cut", lambda x, y: abs(x - 0.5) < 1e-9, interior=True)
    with pytest.raises(ModelError, match='2 facets of the boundary "cut" lie inside the body'):
        flawed(mesh=cut, boundaries={"left": fem.Clamped(), "cut": fem.Pressure("1 MPa")})
    flawed(mesh=cut, boundaries={"cut": fem.Clamped()})


def test_outputs_of_a_cloud_have_names_of_their_own() -> None:
    """A sensor that is called as one of them is refused."""
    cloud = {"dic": fem.DisplacementField((np.array([[0.1, 0.1]]), "m"))}
    with pytest.raises(ModelError, match='its output "dic_x_0" has the name of another one'):
        flawed(sensors={**cloud, "dic_x_0": TIP["tip"]})
