"""Plasticity of one uniform body: closed forms of the bar, one answer in all kinematics, order in the load step."""

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import physics_twin as pt
from physics_twin.errors import BoundsError, ModelError, SolveError, UnitError
from physics_twin.verification import check_model

fem = pt.fem
E, NU, SY = 200e9, 0.3, 200e6
PATH = (0.0, 3.0, -3.0, 4.0)
"""mm/m: load, unload and reverse, reload"""


def solid(hardening=None, **more):
    given = {"youngs_modulus": "200 GPa", "poissons_ratio": 0.3, "yield_stress": "200 MPa", "hardening": hardening}
    return fem.Solid(**(given | more))


def bar(material, steps=20, **more):
    """A bar of 1 m whose end is moved; one second a phase."""
    return fem.Plasticity(
        mesh=fem.mesh.bar("1 m", 1),
        materials={"bar": material},
        boundaries={"left": fem.Clamped(), "right": fem.Displacement(x=pt.Signal("u", "mm"))},
        sensors={
            "stress": fem.Stress("0.4 m", component="xx"),
            "p": fem.Point("0.4 m", of="equivalent_plastic_strain"),
        },
        stepping=fem.FixedSteps(f"{1 / steps!r} s"),
        **more,
    )


def driven(levels, unit="mm", name="u"):
    """A recipe of ramps, one second each."""
    pairs = enumerate(itertools.pairwise(levels))
    return pt.Recipe(
        [pt.Phase(f"p{k}", **{name: pt.ramp(f"{a!r} {unit}", f"{b!r} {unit}")}, duration="1 s") for k, (a, b) in pairs]
    )


def along(levels, steps):
    """(times, values) of such a recipe at its load steps."""
    times = np.arange((len(levels) - 1) * steps + 1) / steps
    return times, np.interp(times, np.arange(len(levels)), levels)


def scalar_history(strains, flow_stress):
    """Stress and p of isotropic hardening by a scalar root per step: exact for a bar."""
    plastic = p = 0.0
    found = []
    for e in strains:
        trial = E * (e - plastic)
        if abs(trial) > flow_stress(p):
            dp = brentq(
                lambda d, size, p: size - E * d - flow_stress(p + d),
                0.0,
                abs(trial) / E,
                (abs(trial), p),
                xtol=1e-18,
                rtol=1e-15,
            )
            plastic, p = plastic + dp * np.sign(trial), p + dp
        found.append((E * (e - plastic), p))
    return np.array(found)


CURVE = ([0.0, 1e-3, 4e-3, 1e-2], [200.0, 260.0, 310.0, 330.0])


@pytest.mark.parametrize(
    ("hardening", "flow_stress"),
    [
        (None, lambda p: SY),
        (fem.Linear("20 GPa"), lambda p: SY + 20e9 * p),
        (fem.Voce("150 MPa", 200, "1 GPa"), lambda p: SY + 150e6 * (1.0 - np.exp(-200.0 * p)) + 1e9 * p),
        (fem.FlowCurve(CURVE[0], (CURVE[1], "MPa")), lambda p: 1e6 * np.interp(p, *CURVE)),
    ],
    ids=["perfect", "linear", "voce", "curve"],
)
def test_bar_follows_its_flow_curve(hardening, flow_stress):
    """Load, reversal and reload of a bar are the scalar equations' answer to rounding, for steps of any size."""
    for steps in (20, 3):
        times, u = along(PATH, steps)
        run = pt.simulate(bar(solid(hardening), steps), times, driven(PATH))
        expected = scalar_history(1e-3 * u, flow_stress)
        np.testing.assert_allclose(run["stress"], expected[:, 0], rtol=1e-9, atol=1.0)
        np.testing.assert_allclose(run["p"], expected[:, 1], rtol=1e-9, atol=1e-15)


def test_unloading_is_elastic():
    """From the first step back on the slope is Young's modulus and p stays, until the reverse yield."""
    times, u = along((0.0, 3.0, 2.0), 20)
    run = pt.simulate(bar(solid(fem.Linear("20 GPa"))), times, driven((0.0, 3.0, 2.0)))
    np.testing.assert_allclose(np.diff(run["stress"])[20:] / np.diff(1e-3 * u)[20:], E, rtol=1e-9)
    np.testing.assert_allclose(run["p"][20:], run["p"][20], rtol=0.0, atol=1e-16)


# -- kinematic hardening ----------------------------------------------------------------------------------------------


def armstrong_frederick(targets, modulus, recovery):
    """Stress at the ends of strain-driven branches: b = +-C/g + (b0 -+ C/g) exp(-g |eps_p - eps_p0|), closed form."""
    b = plastic = strain = stress = 0.0
    found = []
    for target in targets:
        sign = np.sign(target - strain)
        limit = sign * modulus / recovery

        def back(d, b=b, limit=limit):
            return limit + (b - limit) * np.exp(-recovery * d)

        def missing(d, back=back, sign=sign, plastic=plastic, target=target):
            return sign * (E * (target - plastic - sign * d) - back(d)) - SY

        if missing(0.0) > 0.0:
            d = brentq(missing, 0.0, abs(target - strain), xtol=1e-16)
            b, plastic = back(d), plastic + sign * d
        strain, stress = target, E * (target - plastic)
        found.append(stress)
    return np.array(found)


def test_armstrong_frederick_has_its_closed_form():
    """Cycles of a bar with one back stress approach the closed form with the first order of the load step."""
    material = solid(fem.Chaboche([fem.BackStress("40 GPa", 400)]))
    path = (0.0, 3.0, -3.0, 4.0)
    exact = armstrong_frederick(1e-3 * np.array(path[1:]), 40e9, 400.0)
    errors = []
    for steps in (40, 80, 160):
        run = pt.simulate(bar(material, steps), [1.0, 2.0, 3.0], driven(path))
        errors.append(np.abs(run["stress"] - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.1)
    assert errors[-1] < 2e-3 * SY


def pulled_bar(material, steps):
    """A bar under a force per area."""
    return fem.Plasticity(
        mesh=fem.mesh.bar("1 m", 1),
        materials={"bar": material},
        boundaries={"left": fem.Clamped(), "right": fem.Traction(x=pt.Signal("pull", "MPa"))},
        sensors={"strain": fem.Strain("0.4 m", component="xx")},
        stepping=fem.FixedSteps(f"{1 / steps!r} s"),
    )


def test_stress_cycles_ratchet_or_shake_down():
    """A mean stress ratchets with recovery, by the closed form a cycle, and shakes down without (Prager).

    With x = C/g and k the yield stress: (1/g) ln[(x^2 - (s_min + k)^2) / (x^2 - (s_max - k)^2)], Lemaitre and
    Chaboche, Mechanics of Solid Materials, 1990, section 5.4.4.
    """
    high, low = 270.0, -170.0
    path = (0.0, high, *([low, high] * 3))
    x, k = 100e6, 200e6
    per_cycle = np.log((x**2 - (1e6 * low + k) ** 2) / (x**2 - (1e6 * high - k) ** 2)) / 400.0
    found = []
    for steps in (50, 100):
        model = pulled_bar(solid(fem.Chaboche([fem.BackStress("40 GPa", 400)])), steps)
        run = pt.simulate(model, [3.0, 5.0, 7.0], driven(path, "MPa", "pull"))
        found.append(np.diff(run["strain"]))
    assert found[0][1] == pytest.approx(found[0][0], rel=1e-6)
    assert 2.0 * found[1][1] - found[0][1] == pytest.approx(per_cycle, rel=5e-3)
    still = pulled_bar(solid(fem.Chaboche([fem.BackStress("40 GPa")])), 20)
    run = pt.simulate(still, [3.0, 5.0, 7.0], driven(path, "MPa", "pull"))
    np.testing.assert_allclose(np.diff(run["strain"]), 0.0, atol=1e-12)


# -- more than one component ------------------------------------------------------------------------------------------

RICH = fem.Chaboche([fem.BackStress("40 GPa", 400), fem.BackStress("5 GPa")], isotropic=fem.Voce("60 MPa", 50))


@pytest.mark.parametrize("kinematics", ["plane stress", "axisymmetric", "solid"])
def test_uniaxial_stress_is_one_answer(kinematics):
    """A plate, a cylinder and a block that are pulled along one axis do what the bar does, back stresses included."""
    times, _ = along(PATH, 10)
    reference = pt.simulate(bar(solid(RICH), 10), times, driven(PATH))
    pull = pt.Signal("u", "mm")
    if kinematics == "axisymmetric":
        mesh = fem.mesh.cylinder("0.3 m", "1 m", cells=(1, 1), axisymmetric=True, simplices=True)
        boundaries, place, c = {"bottom": fem.Symmetry(), "top": fem.Displacement(z=pull)}, ("0.1 m", "0.4 m"), "zz"
    elif kinematics == "solid":
        mesh = fem.mesh.box(("1 m", "0.5 m", "0.5 m"), cells=(1, 1, 1))
        sides = {name: fem.Symmetry() for name in ("left", "front", "bottom")}
        boundaries, place, c = sides | {"right": fem.Displacement(x=pull)}, ("0.4 m", "0.2 m", "0.2 m"), "xx"
    else:
        mesh = fem.mesh.plate(("1 m", "0.5 m"), cells=(1, 1), triangles=True)
        boundaries = {"left": fem.Symmetry(), "bottom": fem.Symmetry(), "right": fem.Displacement(x=pull)}
        place, c = ("0.4 m", "0.2 m"), "xx"
    model = fem.Plasticity(
        mesh=mesh,
        materials={"body": solid(RICH)},
        kind=fem.PLANE_STRESS if kinematics == "plane stress" else None,
        boundaries=boundaries,
        sensors={"stress": fem.Stress(*place, component=c), "p": fem.Point(*place, of="equivalent_plastic_strain")},
        degree=1 if kinematics == "solid" else 2,
        stepping=fem.FixedSteps("0.1 s"),
    )
    run = pt.simulate(model, times, driven(PATH))
    for name in ("stress", "p"):
        scale = np.abs(reference[name]).max()
        np.testing.assert_allclose(run[name], reference[name], rtol=0.0, atol=1e-8 * scale)


def sheared_block(hardening, steps, degree=2):
    """A cube whose surface is moved as u = (a x + g y, b y, b z): a and g are inputs, b = -a/2."""
    a, g = pt.Signal("a", "1"), pt.Signal("g", "1")
    moved = fem.Displacement(
        x=lambda x, y, a, g: a * x + g * y, y=lambda y, a: -0.5 * a * y, z=lambda z, a: -0.5 * a * z
    )
    at = ("0.4 m", "0.6 m", "0.3 m")
    return fem.Plasticity(
        mesh=fem.mesh.box(("1 m", "1 m", "1 m"), cells=(1, 1, 1)),
        materials={"body": solid(hardening)},
        boundaries=dict.fromkeys(("left", "right", "front", "back", "bottom", "top"), moved),
        sensors={
            **{f"s_{c}": fem.Stress(*at, component=c) for c in ("xx", "yy", "zz", "xy")},
            **{f"e_{c}": fem.Point(*at, of=f"plastic_strain_{c}") for c in ("xx", "yy", "zz", "xy")},
            "p": fem.Point(*at, of="equivalent_plastic_strain"),
        },
        inputs=[a, g],
        degree=degree,
        stepping=fem.FixedSteps(f"{1 / steps!r} s"),
    )


def test_simple_shear_of_a_block():
    """Shear stress (sy + H p)/sqrt(3) with p = gamma_p/sqrt(3), and no normal stress."""
    recipe = pt.Recipe([pt.Phase("shear", a="0", g=pt.ramp("0", "0.01"), duration="1 s")])
    run = pt.simulate(sheared_block(fem.Linear("10 GPa"), 7), [1.0], recipe)
    shear = E / (2.0 * (1.0 + NU))
    gamma_p = (np.sqrt(3.0) * shear * 0.01 - SY) / (np.sqrt(3.0) * shear + 10e9 / np.sqrt(3.0))
    assert float(run["s_xy"][0]) == pytest.approx(shear * (0.01 - gamma_p), rel=1e-10)
    assert float(run["p"][0]) == pytest.approx(gamma_p / np.sqrt(3.0), rel=1e-10)
    np.testing.assert_allclose([run[f"s_{c}"][0] for c in ("xx", "yy", "zz")], 0.0, atol=1.0)


def rates(t, y, path):
    """Rate equations of J2 flow with linear isotropic hardening, strains from `path`; y = (eps_p xx yy zz xy, p)."""
    strain, speed = path(t)
    shear = E / (2.0 * (1.0 + NU))
    elastic = strain - y[:4]
    s = 2.0 * shear * elastic * np.array([1.0, 1.0, 1.0, 0.5])  # the strains are deviatoric
    q = np.sqrt(1.5 * (s[:3] @ s[:3]) + 3.0 * s[3] ** 2)
    n = np.array([1.5 * s[0], 1.5 * s[1], 1.5 * s[2], 3.0 * s[3]]) / q
    dp = max(0.0, 2.0 * shear * (n * np.array([1.0, 1.0, 1.0, 0.5])) @ speed / (3.0 * shear + 5e9))
    return np.append(dp * n, dp)


def test_first_order_in_the_load_step_where_the_stress_turns():
    """Tension, then shear at constant tension: errors against an ODE solver fall with the order of implicit Euler."""
    tension, shear = 4e-3, 8e-3
    g = E / (2.0 * (1.0 + NU))
    first = (3.0 * g * tension - SY) / (3.0 * g + 5e9)  # p at the end of the tension, closed form
    start = np.array([first, -0.5 * first, -0.5 * first, 0.0, first])

    def path(t):
        return np.array([tension, -0.5 * tension, -0.5 * tension, shear * t]), np.array([0.0, 0.0, 0.0, shear])

    end = solve_ivp(rates, (0.0, 1.0), start, args=(path,), rtol=1e-11, atol=1e-14, method="DOP853").y[:, -1]
    recipe = pt.Recipe(
        [
            pt.Phase("pull", a=pt.ramp("0", f"{tension!r}"), g="0", duration="1 s"),
            pt.Phase("shear", a=f"{tension!r}", g=pt.ramp("0", f"{shear!r}"), duration="1 s"),
        ]
    )
    errors = []
    for steps in (40, 80, 160):
        run = pt.simulate(sheared_block(fem.Linear("5 GPa"), steps, degree=1), [1.0, 2.0], recipe)
        assert float(run["p"][0]) == pytest.approx(first, rel=1e-9)
        found = [run[f"e_{c}"][1] for c in ("xx", "yy", "zz", "xy")]
        errors.append(np.abs(np.append(found, run["p"][1]) - end).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.15)


def test_dissipation_is_never_negative():
    """Stress times the plastic strain of every step is above zero where the body flows, and zero where not."""
    rng = np.random.default_rng(5)
    corners = np.vstack([np.zeros(2), rng.normal(scale=4e-3, size=(5, 2))])
    phases = [
        pt.Phase(f"p{k}", a=pt.ramp(f"{u[0]!r}", f"{v[0]!r}"), g=pt.ramp(f"{u[1]!r}", f"{v[1]!r}"), duration="1 s")
        for k, (u, v) in enumerate(itertools.pairwise(corners.tolist()))
    ]
    times = np.arange(51) / 10
    run = pt.simulate(sheared_block(fem.Voce("50 MPa", 40), 10, degree=1), times, pt.Recipe(phases))
    names = ("xx", "yy", "zz", "xy")
    stress = np.array([run[f"s_{c}"] for c in names])
    work = (stress[:, 1:] * np.diff([run[f"e_{c}"] for c in names], axis=1)).sum(axis=0)
    dp = np.diff(run["p"])
    assert (dp >= 0.0).all() and (dp == 0.0).any() and (dp > 0.0).any()
    assert (work[dp > 0.0] >= SY * dp[dp > 0.0] * (1.0 - 1e-9)).all()
    np.testing.assert_allclose(work[dp == 0.0], 0.0, atol=1e-6)


# -- temperature ------------------------------------------------------------------------------------------------------


def test_held_bar_after_a_quench():
    """A bar held at both ends is heated and cooled back: s = -E a dT to yield, and the residual stress is tension.

    Without hardening and with a yield stress that falls with temperature, stress follows -sy(T) once it has yielded.
    """
    temperature = pt.Signal("furnace", "degC")
    material = solid(
        thermal_expansion="12e-6 1/K",
        yield_stress=lambda T, fall: (1.0 - fall * (T - "20 degC")) * "200 MPa",
    )
    model = fem.Plasticity(
        mesh=fem.mesh.bar("1 m", 2),
        materials={"bar": material},
        boundaries={"left": fem.Clamped(), "right": fem.Clamped()},
        temperature=temperature,
        sensors={"stress": fem.Stress("0.3 m", component="xx")},
        parameters=[pt.Parameter("fall", "1e-3 1/K")],
        stepping=fem.FixedSteps("0.05 s"),
    )
    recipe = driven((20.0, 220.0, 20.0), "degC", "furnace")
    times = np.arange(41) / 20
    run = pt.simulate(model, times, recipe)
    rise = np.interp(times, [0, 1, 2], [0.0, 200.0, 0.0])
    stress = plastic = 0.0
    expected = []
    for dt in rise:
        trial, limit = -E * (12e-6 * dt + plastic), SY * (1.0 - 1e-3 * dt)
        stress = np.clip(trial, -limit, limit)
        plastic = -stress / E - 12e-6 * dt
        expected.append(stress)
    np.testing.assert_allclose(run["stress"], expected, rtol=1e-9, atol=1.0)
    assert float(run["stress"][-1]) == pytest.approx(200e6, rel=1e-9)
    assert float(run["stress"][20]) == pytest.approx(-160e6, rel=1e-9)


def test_two_plastic_materials_and_an_elastic_one_in_a_row():
    """Each region has its own law: one stress, plastic strains by each flow curve, none in the third."""
    model = fem.Plasticity(
        mesh=fem.mesh.bar(["1 m", "1 m", "1 m"], cells=[2, 2, 2], regions=["soft", "hard", "elastic"]),
        materials={
            "soft": solid(fem.Linear("10 GPa")),
            "hard": solid(fem.Chaboche([fem.BackStress("30 GPa")]), yield_stress="250 MPa"),
            "elastic": fem.Solid(youngs_modulus="70 GPa", poissons_ratio=0.3),
        },
        boundaries={"left": fem.Clamped(), "right": fem.Traction(x=pt.Signal("pull", "MPa"))},
        sensors={
            "soft": fem.Point("0.3 m", of="equivalent_plastic_strain"),
            "hard": fem.Point("1.3 m", of="equivalent_plastic_strain"),
            "end": fem.PointDisplacement("3 m", component="x"),
            "mean": fem.Average("soft", of=lambda plastic_strain_xx: plastic_strain_xx),
        },
        stepping=fem.FixedSteps("0.2 s"),
    )
    run = pt.simulate(model, [1.0], driven((0.0, 300.0), "MPa", "pull"))
    assert float(run["soft"][0]) == pytest.approx(100e6 / 10e9, rel=1e-9)
    assert float(run["hard"][0]) == pytest.approx(50e6 / 30e9, rel=1e-9)
    assert float(run["mean"][0]) == pytest.approx(100e6 / 10e9, rel=1e-9)
    elastic = 300e6 * (2.0 / E + 1.0 / 70e9)
    assert float(run["end"][0]) == pytest.approx(elastic + 100e6 / 10e9 + 50e6 / 30e9, rel=1e-9)


def test_the_contract_of_models(spawned):
    """A plastic bar keeps what every model of the library promises, derivatives included."""
    gain, rate = pt.Parameter("gain", "80 MPa"), pt.Parameter("rate", 150.0)
    material = solid(
        fem.Chaboche([fem.BackStress(pt.Parameter("modulus", "10 GPa"), 50)], isotropic=fem.Voce(gain, rate)),
        youngs_modulus=pt.Parameter("E", "200 GPa"),
        yield_stress=pt.Parameter("sy", "200 MPa"),
    )
    # At the ends of load steps, where runs that are split agree; the slope in time has corners there.
    times, names = np.array([0.0, 1.0, 1.75, 2.0]), ["E", "gain", "rate", "sy", "modulus"]
    recipe = driven((0.0, 3.0, -1.0))
    assert check_model(bar(material, 4), recipe=recipe, times=times, wrt=names, executor=spawned).passed


@pytest.mark.parametrize("kind", [fem.PLANE_STRESS, fem.PLANE_STRAIN], ids=["plane stress", "plane strain"])
def test_one_step_far_beyond_yield_settles(kind):
    """Strains of up to thirty times yield in one step, in random directions: every point comes back to its surface."""
    plate = fem.Plasticity(
        mesh=fem.mesh.plate(("1 m", "1 m"), cells=(8, 8), triangles=True),
        kind=kind,
        materials={"body": solid(RICH)},
        boundaries={"left": fem.Clamped()},
        sensors={"u": fem.PointDisplacement("1 m", "1 m", component="x")},
    )
    law = plate.operators.law
    rng, n = np.random.default_rng(3), law.n_e
    base = np.zeros((law.n_points, law.n_z))
    strain = rng.normal(size=(law.n_points, n)) * np.exp(rng.uniform(np.log(1e-4), np.log(3e-2), (law.n_points, 1)))
    if kind is fem.PLANE_STRAIN:
        strain[:, 2] = 0.0
    z, _ = law.solve(strain, base, 1.0, np.zeros(1), base)
    residual, _ = law._evaluated(z, strain, base, 1.0, np.zeros(1), law.coordinates)
    assert np.abs(residual / law._scale).max() < 1e-9
    p = z[:, n]
    assert (p >= 0.0).all() and (p > 0.02).any() and (p == 0.0).any()


# -- bad input --------------------------------------------------------------------------------------------------------


def test_bad_descriptions_are_refused():
    """Signs, units, missing pieces and wrong kinds are errors that say what to write."""
    with pytest.raises(BoundsError, match="yield_stress"):
        solid(yield_stress="-200 MPa")
    with pytest.raises(UnitError, match="modulus"):
        fem.Linear(20.0)
    with pytest.raises(UnitError, match="modulus"):
        fem.Linear("20 GPa/s")
    with pytest.raises(UnitError, match='"H"'):
        fem.Linear(pt.Parameter("H", "20 kg"))
    with pytest.raises(BoundsError, match="softening"):
        fem.Linear("-1 GPa")
    with pytest.raises(BoundsError, match="ascend"):
        fem.FlowCurve([0.0, 0.0], ([1.0, 2.0], "MPa"))
    with pytest.raises(BoundsError, match="fall"):
        fem.FlowCurve([0.0, 0.1], ([2.0, 1.0], "MPa"))
    with pytest.raises(ModelError, match="BackStress"):
        fem.Chaboche([])
    with pytest.raises(ModelError, match="begins at a yield_stress"):
        bar(solid(fem.Linear("1 GPa"), yield_stress=None))
    with pytest.raises(ModelError, match="no material has a yield_stress"):
        bar(solid(yield_stress=None))
    with pytest.raises(ModelError, match="flow curve begins at"):
        bar(solid(fem.FlowCurve([0.0, 0.1], ([210.0, 250.0], "MPa"))))
    with pytest.raises(ModelError, match="motions without strain"):
        bar(solid(), quadrature_degree=1)
    with pytest.raises(ModelError, match="load steps"):
        fem.Plasticity(mesh=None, materials={}, boundaries={}, sensors={"a": 1}, stepping=fem.Adaptive())
    with pytest.raises(ModelError, match="hardening is"):
        bar(solid("20 GPa"))


def test_a_load_beyond_collapse_says_so():
    """A bar without hardening carries its yield stress; more is refused with the moment and the word collapse."""
    model = pulled_bar(solid(), 10)
    pt.simulate(model, [1.0], driven((0.0, 199.9), "MPa", "pull"))
    with pytest.raises(SolveError, match="collapse") as failure:
        pt.simulate(model, [1.0], driven((0.0, 250.0), "MPa", "pull"))
    assert failure.value.time == pytest.approx(0.8, abs=0.01)
