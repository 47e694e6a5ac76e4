"""Plasticity of bodies: a tube against closed form and an independent code, derivatives, states that go on."""

import functools
import math

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.errors import SolveError
from physics_twin.simulation import complete_values
from physics_twin_validation.autofrettage.case import independent
from physics_twin_validation.autofrettage.radial import Tube
from physics_twin_validation.reference import reference
from tests.fem.gradients import check_gradients

fem = pt.fem
PRESS = pt.Recipe(
    [
        pt.Phase("press", p=pt.ramp("0 MPa", "180 MPa"), duration="18 s"),
        pt.Phase("let_off", p=pt.ramp("180 MPa", "20 MPa"), duration="8 s"),
    ]
)


@functools.cache
def tube(n=12, nu=0.3, hardening="none", step="1 s"):
    """A strip of a tube in plane strain, pressed from inside."""
    height = 0.1 / n
    mesh = fem.mesh.hollow_cylinder("0.1 m", "0.2 m", f"{height!r} m", cells=(n, 1), axisymmetric=True, simplices=True)
    laws = {
        "none": None,
        "voce": fem.Voce(pt.Parameter("gain", "80 MPa"), pt.Parameter("rate", 150.0)),
        "chaboche": fem.Chaboche(
            [fem.BackStress(pt.Parameter("modulus", "30 GPa"), pt.Parameter("recovery", 250.0))],
            isotropic=fem.Linear(pt.Parameter("slope", "1 GPa")),
        ),
    }
    steel = fem.Solid(
        youngs_modulus=pt.Parameter("E", "200 GPa"),
        poissons_ratio=pt.Parameter("nu", nu),
        yield_stress=pt.Parameter("sy", "300 MPa"),
        hardening=laws[hardening],
    )
    middle = f"{0.5 * height!r} m"
    return fem.Plasticity(
        mesh=mesh,
        materials={"body": steel},
        boundaries={
            "inner": fem.Pressure(pt.Signal("p", "MPa")),
            "bottom": fem.Symmetry(),
            "top": fem.Symmetry(),
        },
        sensors={
            "hoop_inner": fem.Stress("0.1 m", middle, component="tt"),
            "hoop_outer": fem.Stress("0.2 m", middle, component="tt"),
            "bore": fem.PointDisplacement("0.1 m", middle, component="r"),
            "axial": fem.Reaction("bottom", "z"),
            "flow": fem.Point("0.105 m", middle, of="equivalent_plastic_strain"),
            "mean": fem.Average("body", of=lambda von_mises: von_mises, unit="Pa"),
        },
        stepping=fem.FixedSteps(step),
        name="tube",
    )


def hill(pressure, inner=0.1, outer=0.2, yields=300e6):
    """Radius of the plastic zone, and hoop stress at the bore, outside, and at the bore after letting off."""
    k = 2.0 / math.sqrt(3.0) * yields
    radii = np.linspace(inner, outer, 200_001)
    carried = 0.5 * k * (1.0 - (radii / outer) ** 2) + k * np.log(radii / inner)
    c = float(np.interp(pressure, carried, radii))
    bore = k - pressure
    elastic = pressure * (inner**2 + outer**2) / (outer**2 - inner**2)
    return c, bore, k * (c / outer) ** 2, bore - elastic


def plastic_radius(model, state):
    """The outermost quadrature point that flowed and the innermost that did not."""
    law, n = model.operators.law, model.operators.n
    local = state[n : n + law.n_points * law.n_z].reshape(law.n_z, law.n_points)
    p, r = local[4], law.coordinates[:, 0]
    return float(r[p > 0.0].max()), float(r[p == 0.0].min())


def test_stresses_of_hill_at_the_bore_converge():
    """At nu = 0.499 stresses under 180 MPa and after it approach Hill's; the plastic zone ends where his does."""
    c, bore, outside, residual = hill(180e6)
    errors = []
    for n in (12, 24):
        model = tube(n, 0.499)
        values = complete_values(model, PRESS, {})
        outputs, state = model.trajectory(np.array([18.0]), PRESS, values)
        inside, beyond = plastic_radius(model, state)
        assert inside - 0.11 / n <= c <= beyond + 0.11 / n
        after = model.trajectory(np.array([26.0]), PRESS, values)[0][-1]
        elastic = 20e6 * (0.01 + 0.04) / 0.03
        found = np.array([outputs[-1, 0], outputs[-1, 1], after[0]])
        errors.append(np.abs(found - np.array([bore, outside, residual + elastic])).max() / bore)
    assert errors[1] < 1.5e-3
    assert errors[0] > 2.0 * errors[1]


def test_first_yield_and_collapse_of_the_tube():
    """At nu = 0.499 nothing flows at 0.99 of 129.90 MPa, the bore does at 1.03; 240.113 MPa is the end."""
    model = tube(12, 0.499)
    limit = 300.0 / math.sqrt(3.0) * 0.75
    for part, flows in ((0.99, False), (1.03, True)):
        recipe = pt.Recipe([pt.Phase("press", p=pt.ramp("0 MPa", f"{part * limit!r} MPa"), duration="5 s")])
        state = model.trajectory(np.array([5.0]), recipe, complete_values(model, recipe, {}))[1]
        assert (
            state[model.operators.n :][model.operators.law.n_points * 4 :][: model.operators.law.n_points] > 0
        ).any() == flows
    collapse = 2.0 / math.sqrt(3.0) * 300.0 * math.log(2.0)
    ramp = pt.ramp("0 MPa", f"{1.01 * collapse!r} MPa")
    recipe = pt.Recipe([pt.Phase("press", p=ramp, duration="20 s")])
    with pytest.raises(SolveError, match="collapse") as failure:
        pt.simulate(tube(12, 0.3), [20.0], recipe)
    assert failure.value.time / 20.0 * 1.01 == pytest.approx(1.0, abs=4e-3)


def test_an_independent_code_agrees_where_there_is_no_closed_form():
    """At nu = 0.3: hoop stresses under pressure and after, plastic radius; the code itself has Hill's at nu = 0.499."""
    history = Tube(poissons_ratio=0.499).history(np.linspace(9e6, 180e6, 20), 400)
    middle, stress, radius = history[-1]
    c, bore, _, _ = hill(180e6)
    assert abs(radius - c) < 0.1 / 400
    assert np.polyfit(middle[:3] - 0.1, stress[:3, 1], 2)[-1] == pytest.approx(bore, rel=1e-5)
    np.testing.assert_allclose(independent(), reference("autofrettage", "independent code"), rtol=1e-8)
    run = pt.simulate(tube(24), [14.0, 16.0, 18.0], PRESS)
    expected = 1e6 * np.array(reference("autofrettage", "independent code"))
    np.testing.assert_allclose(run["hoop_inner"], expected[:3], rtol=1.5e-3)
    np.testing.assert_allclose(run["hoop_outer"], expected[3:6], rtol=3e-4)


# -- derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hardening", "more"),
    [("none", []), ("voce", ["gain", "rate"]), ("chaboche", ["modulus", "recovery", "slope"])],
)
def test_derivatives_of_the_tube(hardening, more):
    """Tangents agree with differences of replayed runs, and with the adjoint: material, and the height of the load."""
    top = pt.Setting("top", "MPa", value="170 MPa")
    recipe = pt.Recipe(
        [
            pt.Phase("press", p=pt.ramp("0 MPa", top), duration="9 s"),
            pt.Phase("hold", p=top, duration="2 s"),
            pt.Phase("let_off", p=pt.ramp(top, "0 MPa"), duration="3 s"),
        ]
    )
    times = np.array([2.0, 7.5, 9.0, 11.0, 12.5, 14.0])
    # Stresses under a pressure hardly depend on E: those differences are Newton's tolerance over the part.
    names = ["E", "nu", "sy", "top", *more]
    check_gradients(tube(4, hardening=hardening), times, recipe, names, part=3e-5, tolerance=1e-5)


def test_derivatives_of_loads_that_are_there_from_the_start():
    """Loads at 0 s come on in one step; what that step did has derivatives, at 0 s and later."""
    top = pt.Setting("top", "MPa", value="160 MPa")
    recipe = pt.Recipe([pt.Phase("less", p=pt.ramp(top, "100 MPa"), duration="4 s")])
    model = tube(6, hardening="voce")
    check_gradients(model, np.array([0.0, 0.5, 4.0]), recipe, ["E", "sy", "gain", "top"], part=3e-5, tolerance=1e-5)
    assert float(pt.simulate(model, [0.0], recipe, values={"top": "160 MPa"})["flow"][0]) > 0.0


def test_a_taylor_series_of_second_order():
    """The rest after the tangent falls with the square of the step, down to rounding, for a mix of all parameters."""
    model, times = tube(6, hardening="chaboche"), np.array([18.0, 26.0])
    values = complete_values(model, PRESS, {})
    held = model.replaying(times, PRESS, values)
    names = ["E", "nu", "sy", "modulus", "recovery", "slope"]
    base, jacobian, _ = held.sensitivity(times, PRESS, values, names)
    direction = np.array([float(values[name]) for name in names]) * np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    rests = []
    for h in (4e-5, 2e-5, 1e-5):
        moved = values.merge({k: float(values[k]) + h * d for k, d in zip(names, direction, strict=True)})
        rest = held.trajectory(times, PRESS, moved)[0] - base - h * jacobian @ direction
        rests.append(np.abs(rest / np.abs(base).max(axis=0)).max())
    orders = np.log2(np.array(rests[:-1]) / rests[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.1)


# -- states -----------------------------------------------------------------------------------------------------------


def test_the_state_holds_all_that_is_needed():
    """Advanced in halves, through the middle of loading and of unloading, a run ends with the same bits."""
    model = tube(6, hardening="chaboche")
    values = complete_values(model, PRESS, {})
    whole, end = model.trajectory(np.array([12.0, 21.0, 26.0]), PRESS, values)
    state = model.initial_state(0.0, PRESS, values)
    for t0, t1 in ((0.0, 12.0), (12.0, 21.0), (21.0, 26.0)):
        state = model.advance(state, t0, t1, PRESS, values)
    np.testing.assert_allclose(state, end, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.observe(state, 26.0, PRESS, values), whole[-1], rtol=1e-9)


def test_degree_one_carries_too_much():
    """Triangles of degree 1 carry more than the collapse pressure; those of degree 2 carry it to a thousandth."""
    collapse = 2.0 / math.sqrt(3.0) * 300.0 * math.log(2.0)
    recipe = pt.Recipe([pt.Phase("press", p=pt.ramp("0 MPa", f"{1.05 * collapse!r} MPa"), duration="20 s")])
    mesh = fem.mesh.hollow_cylinder("0.1 m", "0.2 m", cells=(6, 6), angle="90 deg", order=2, simplices=True)
    carried = {}
    for degree in (1, 2):
        model = fem.Plasticity(
            mesh=mesh,
            kind=fem.PLANE_STRAIN,
            materials={"body": fem.Solid(youngs_modulus="200 GPa", poissons_ratio=0.3, yield_stress="300 MPa")},
            boundaries={"inner": fem.Pressure(pt.Signal("p", "MPa")), "start": fem.Symmetry(), "end": fem.Symmetry()},
            sensors={"bore": fem.PointDisplacement("0.1 m", "0 m", component="x")},
            degree=degree,
            stepping=fem.FixedSteps("1 s"),
        )
        try:
            pt.simulate(model, [20.0], recipe)
            carried[degree] = 20.0
        except SolveError as failure:
            carried[degree] = failure.time
    assert 1.05 * carried[1] / 20.0 > 1.002
    assert abs(1.05 * carried[2] / 20.0 - 1.0) < 1e-3  # the last load step is found to 5e-4
