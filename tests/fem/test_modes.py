"""Natural frequencies and harmonic response: closed forms, laws, derivatives, and what is refused."""

import math
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import physics_twin as pt
from physics_twin import fem
from physics_twin.errors import BoundsError, ModelError, PhysicsTwinError, SolveError
from physics_twin.verification import check_model, observed_order

STEEL = fem.Solid(youngs_modulus="200 GPa", poissons_ratio=0.3, density="8000 kg/m^3")
SOUND = 5000.0  # m/s, along a bar of this steel
BEAM = fem.mesh.box(("0.5 m", "0.05 m", "0.05 m"), cells=(6, 1, 1))


def frequencies(model: Any, recipe: Any = None, values: Any = None) -> np.ndarray:
    """(n_modes,) Hz."""
    run = pt.simulate(model, [0.0], recipe, values)
    return np.array([float(run[signal.name][0]) for signal in model.outputs])


def rod(cells: int, degree: int, **ends: Any) -> Any:
    """A bar of 1 m that vibrates along itself."""
    return fem.Modes(
        mesh=fem.mesh.bar("1 m", cells), materials={"bar": STEEL}, boundaries=ends, n_modes=3, degree=degree
    )


@pytest.mark.parametrize("degree", [1, 2])
def test_frequencies_of_a_bar_converge_with_twice_the_degree(degree: int) -> None:
    """Clamped and free: (2 k - 1)/4 c/L; the error of an eigenvalue has the order 2 p, from above."""
    exact = 0.25 * SOUND * np.array([1.0, 3.0, 5.0])
    errors = []
    for cells in (6, 12, 24):
        found = frequencies(rod(cells, degree, left=fem.Clamped()))
        assert (found > exact).all()
        errors.append(float(np.abs(found / exact - 1.0).max()))
    assert observed_order([1 / 6, 1 / 12, 1 / 24], errors).pairwise[-1] == pytest.approx(2 * degree, abs=0.1)


@pytest.mark.parametrize(
    ("mesh", "kind", "boundaries", "motions"),
    [
        (fem.mesh.bar("1 m", 4), None, {}, 1),
        (fem.mesh.plate(("1 m", "0.2 m"), cells=(5, 1)), fem.PLANE_STRESS, {}, 3),
        (fem.mesh.plate(("1 m", "0.2 m"), cells=(5, 1)), fem.PLANE_STRAIN, {"bottom": fem.Displacement(y="0 m")}, 1),
        (fem.mesh.hollow_cylinder("0.1 m", "0.2 m", "0.3 m", cells=(1, 3), axisymmetric=True), None, {}, 1),
        (BEAM, None, {}, 6),
    ],
    ids=["bar", "plate", "sliding plate", "of revolution", "solid"],
)
def test_rigid_body_modes_are_left_out(mesh: Any, kind: Any, boundaries: Any, motions: int) -> None:
    """As many as the body is free to make; the first frequency is of sound, not of rounding."""
    region = next(iter(mesh.regions))
    model = fem.Modes(mesh=mesh, kind=kind, materials={region: STEEL}, boundaries=boundaries, n_modes=2)
    assert model.momentary.n_rigid == motions
    assert frequencies(model).min() > 100.0


def test_a_free_bar_has_the_frequencies_of_standing_waves() -> None:
    """k/2 c/L, k = 1, 2, 3."""
    assert frequencies(rod(12, 2)) == pytest.approx(0.5 * SOUND * np.arange(1, 4), rel=5e-4)


def test_frequencies_that_coincide_are_all_found() -> None:
    """The bending modes of a square beam come in pairs; twisting and stretching alone."""
    model = fem.Modes(mesh=BEAM, materials={"body": STEEL}, boundaries={"left": fem.Clamped()}, n_modes=7)
    found = frequencies(model)
    pairs = [k for k in range(6) if found[k + 1] - found[k] < 1e-6 * found[k]]
    assert pairs[:2] == [0, 2]
    assert found[0] == pytest.approx(1.8751**2 / (2 * math.pi) * SOUND * 0.05 / math.sqrt(12) / 0.25, rel=0.02)


def test_modes_solve_their_equation_and_are_orthonormal() -> None:
    """K phi = lambda M phi and phi^T M phi = 1, by the matrices themselves."""
    model = fem.Modes(mesh=BEAM, materials={"body": STEEL}, boundaries={"left": fem.Clamped()}, n_modes=4)
    found = frequencies(model)
    body = model.momentary
    ops, theta = body.ops, np.zeros(body.symbols.n_theta)
    vectors = model.shapes().shapes.reshape(4, -1)
    assert model.shapes().frequencies == pytest.approx(found)
    for f, v in zip(found, vectors, strict=True):
        stiff, heavy = ops.value(0.0, 1.0, v, theta), ops.value(1.0, 0.0, v, theta)
        stiff[ops.held] = heavy[ops.held] = 0.0
        assert np.linalg.norm(stiff - (2 * math.pi * f) ** 2 * heavy) < 1e-7 * np.linalg.norm(stiff)
    products = np.array([[v @ ops.value(1.0, 0.0, w, theta) for w in vectors] for v in vectors])
    assert products == pytest.approx(np.eye(4), abs=1e-9)


def test_a_bed_raises_frequencies_as_a_spring_does() -> None:
    """A bar so stiff that it moves as a whole on its bed: sqrt(k/m)/(2 pi), the bed per area."""
    model = fem.Modes(
        mesh=fem.mesh.bar("0.1 m", 2),
        materials={"bar": STEEL},
        boundaries={"left": fem.Foundation("1 GN/m^3")},
        n_modes=1,
    )
    assert frequencies(model)[0] == pytest.approx(math.sqrt(1e9 / 800.0) / (2 * math.pi), rel=1e-2)


def warm() -> Any:
    """A cantilever whose modulus falls with a temperature that the recipe gives."""
    return fem.Modes(
        mesh=fem.mesh.plate(("0.3 m", "0.02 m"), cells=(8, 1)),
        kind=fem.PLANE_STRESS,
        materials={
            "body": fem.Solid(
                youngs_modulus=lambda T, E: E * (1.0 - (T - "293.15 K") / "2000 K"),
                poissons_ratio=pt.Parameter("nu", 0.3, bounds=(0.0, 0.45)),
                density=pt.Parameter("density", "7850 kg/m^3", bounds=("1000 kg/m^3", "20000 kg/m^3")),
            )
        },
        parameters=[pt.Parameter("E", "200 GPa", bounds=("10 GPa", "900 GPa"))],
        temperature=pt.Signal("oven", "degC"),
        boundaries={"left": fem.Clamped(), "bottom": fem.Foundation(pt.Parameter("bed", "1 MN/m^3"))},
        n_modes=3,
    )


def test_the_contract_of_models_is_kept(spawned: ProcessPoolExecutor) -> None:
    """Derivatives by Taylor tests for parameters, inputs and time; the same bits, also in another process."""
    recipe = pt.Recipe([pt.Phase("warm-up", duration="10 s", oven=pt.ramp("20 degC", "500 degC", over="10 s"))])
    assert check_model(warm(), recipe=recipe, executor=spawned).passed


def test_derivatives_where_frequencies_coincide_are_those_along_each_direction() -> None:
    """A bed against one of two bending directions splits a pair: one frequency stays, the other rises."""
    bed = pt.Parameter("bed", "0 N/m^3")
    model = fem.Modes(
        mesh=BEAM,
        materials={"body": STEEL},
        boundaries={"left": fem.Clamped(), "front": fem.Foundation(bed)},
        n_modes=3,
    )
    y, jacobian, _ = model.sensitivity(np.array([0.0]), pt.Recipe.constant(), {"bed": 0.0}, ["bed"])
    h = 1e6
    ahead = frequencies(model, values={"bed": f"{h} N/m^3"})
    assert y[0][1] - y[0][0] < 1e-6 * y[0][0]
    assert jacobian[0, :, 0] * h == pytest.approx(ahead - y[0], abs=2e-3 * float(ahead[1] - y[0][1]))
    assert abs(jacobian[0, 0, 0]) < 1e-2 * jacobian[0, 1, 0]


def test_a_modulus_is_found_from_measured_frequencies() -> None:
    """Three frequencies of a heavier, softer beam give its modulus; density stays as it is known."""
    model = fem.Modes(
        mesh=fem.mesh.plate(("0.3 m", "0.02 m"), cells=(6, 1)),
        kind=fem.PLANE_STRESS,
        materials={
            "body": fem.Solid(
                youngs_modulus=pt.Parameter("E", "200 GPa", bounds=("50 GPa", "400 GPa")),
                poissons_ratio=0.3,
                density="7850 kg/m^3",
            )
        },
        boundaries={"left": fem.Clamped()},
        n_modes=3,
    )
    truth = frequencies(model, values={"E": "173 GPa"})
    names = [signal.name for signal in model.outputs]
    taps = pt.Experiment.from_arrays(
        "taps",
        [0.0, 1.0],
        {name: [f, f] for name, f in zip(names, truth, strict=True)},
        channels=[pt.Channel(name, unit="Hz", noise="0.5 Hz") for name in names],
    )
    found = pt.calibrate(model, taps, unknown=["E"], method=pt.GaussNewton(starts=1), rng=0)
    assert float(found.draws.sel(parameter="E").mean()) == pytest.approx(173e9, rel=0.01)


def test_a_fingerprint_sees_which_end_is_held() -> None:
    """Left or right, as many nodes are held; the models are not the same."""
    left, right = rod(6, 2, left=fem.Clamped()), rod(6, 2, right=fem.Clamped())
    assert left.fingerprint == rod(6, 2, left=fem.Clamped()).fingerprint != right.fingerprint


# -- harmonic response ---------------------------------------------------------------------------------------------
def shaken(n_modes: int = 6, damping: Any = 0.02, **changes: Any) -> Any:
    """A cantilever with a force at its tip, seen there and in the middle."""
    said = dict(
        mesh=fem.mesh.plate(("0.3 m", "0.02 m"), cells=(8, 1)),
        kind=fem.PLANE_STRESS,
        materials={"body": STEEL},
        boundaries={"left": fem.Clamped()},
        forces=fem.PointForce("0.3 m", "0 m", component="y", force="100 N/m"),
        sensors={
            "tip": fem.PointDisplacement("0.3 m", "0 m", component="y"),
            "middle": fem.PointDisplacement("0.15 m", "0.01 m", component="y"),
        },
    )
    return fem.HarmonicResponse(n_modes=n_modes, damping=damping, **{**said, **changes})


def at(model: Any, frequency: float, values: Any = None) -> np.ndarray:
    """Complex displacements of the sensors."""
    run = pt.simulate(model, [0.0], pt.Recipe.constant(frequency=f"{frequency!r} Hz"), values)
    names = [signal.name.removesuffix("_phase") for signal in model.outputs if signal.name.endswith("_phase")]
    found = [float(run[f"{n}_amplitude"][0]) * np.exp(1j * float(run[f"{n}_phase"][0])) for n in names]
    return np.array(found)


def dense(model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stiffness and mass on free entries, the load, and what the sensors see."""
    body = model.momentary
    ops, theta = body._ops, np.zeros(body.symbols.n_theta)
    eye = np.eye(ops.n)
    k, m = (np.array([ops.value(q, 1.0 - q, e, theta) for e in eye]).T for q in (0.0, 1.0))
    seen = np.array([row.gradient(ops, eye[0], theta)[0] for row in body._sensors])
    free = ops.free
    return k[np.ix_(free, free)], m[np.ix_(free, free)], body._force(theta)[free], seen[:, free]


def test_few_modes_give_the_response_of_all() -> None:
    """Against every mode of the mesh, equally damped: 6 modes and the rest as at rest, to 0.5 % up to mode 3."""
    model = shaken()
    k, m, f, seen = dense(model)
    squares, phi = scipy.linalg.eigh(k, m)
    natural = np.sqrt(squares)
    for frequency in (0.0, 50.0, float(natural[0] / 2 / math.pi), 900.0, float(natural[2] / 2 / math.pi)):
        w = 2 * math.pi * frequency
        every = (seen @ phi) @ ((phi.T @ f) / (squares - w**2 + 2j * 0.02 * natural * w))
        assert at(model, frequency) == pytest.approx(every, rel=5e-3)


def test_at_rest_the_response_is_the_static_one_whatever_the_number_of_modes() -> None:
    """The modes that are left out carry their share."""
    k, _, f, seen = dense(shaken())
    static = seen @ np.linalg.solve(k, f)
    for n in (1, 4):
        assert at(shaken(n), 0.0) == pytest.approx(static, rel=1e-8)


def test_the_phase_passes_a_quarter_turn_at_resonance() -> None:
    """In phase below, a quarter turn behind at the natural frequency, in opposition above; the peak is 1/(2 zeta)."""
    model = shaken(damping=(0.01, *[0.02] * 5))
    first = math.sqrt(float(model.momentary.vibrating.pairs(np.zeros(2)).eigenvalues[0])) / (2 * math.pi)
    below, peak, above = (at(model, f)[0] for f in (0.2 * first, first, 1.5 * first))
    assert np.angle(below) == pytest.approx(0.0, abs=0.02)
    assert np.angle(peak) == pytest.approx(-math.pi / 2, abs=0.02)
    assert abs(np.angle(above)) == pytest.approx(math.pi, abs=0.1)
    assert abs(peak) / abs(at(model, 0.0)[0]) == pytest.approx(50.0, rel=0.05)


def test_a_free_body_follows_slow_loads_as_a_mass() -> None:
    """-F/(m w^2) far below its first elastic mode, by its rigid-body modes."""
    bar = fem.HarmonicResponse(
        mesh=fem.mesh.bar("1 m", 6),
        materials={"bar": STEEL},
        boundaries={"right": fem.Traction(x=pt.Parameter("pull", "1 kPa"))},
        sensors={"end": fem.PointDisplacement("0.5 m", component="x")},
        damping=0.01,
    )
    assert at(bar, 5.0)[0] == pytest.approx(-1e3 / (8000.0 * (2 * math.pi * 5.0) ** 2), rel=1e-3)
    assert at(bar, 5.0, {"pull": "2 kPa"})[0] == pytest.approx(2.0 * at(bar, 5.0)[0], rel=1e-12)
    with pytest.raises(SolveError, match="not held has no response to a load at rest"):
        at(bar, 0.0)


def test_a_sweep_keeps_the_contract_of_models(spawned: ProcessPoolExecutor) -> None:
    """A frequency that rises over the recipe; damping is a parameter."""
    sweep = pt.Recipe([pt.Phase("sweep", duration="10 s", frequency=pt.ramp("20 Hz", "900 Hz", over="10 s"))])
    model = shaken(damping=pt.Parameter("damping", 0.02, bounds=(0.001, 0.2)))
    assert check_model(model, recipe=sweep, executor=spawned).passed


# -- what is refused -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boundaries": {"left": fem.Pressure("1 MPa")}}, "natural frequencies are those of the unloaded body"),
        ({"materials": {"bar": STEEL.replace(density=None)}}, "has no density"),
        ({"n_modes": 0}, "n_modes = 0"),
        ({"n_modes": 40}, "only 8 elastic modes"),
        ({"temperature": fem.Driven()}, "not Driven"),
        ({"boundaries": {"top": fem.Clamped()}}, "top"),
    ],
)
def test_wrong_descriptions_of_modes_are_refused(changes: Any, words: str) -> None:
    """Where the model is made."""
    sound = dict(mesh=fem.mesh.bar("1 m", 4), materials={"bar": STEEL}, boundaries={"left": fem.Clamped()}, n_modes=2)
    with pytest.raises(PhysicsTwinError, match=words):
        fem.Modes(**{**sound, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"damping": 2.0}, BoundsError, "share of critical damping"),
        ({"damping": (0.01, 0.02)}, ModelError, "2 ratios for 6 modes"),
        ({"forces": ()}, ModelError, "nothing shakes the body"),
        ({"sensors": {"s": fem.VonMises("0 m", "0 m")}}, ModelError, "PointDisplacement and RelativeDisplacement"),
        ({"sensors": {}}, ModelError, "has no sensor"),
    ],
)
def test_wrong_descriptions_of_a_response_are_refused(changes: Any, error: type[Exception], words: str) -> None:
    """Where the model is made."""
    with pytest.raises(error, match=words):
        shaken(**changes)


def test_a_negative_modulus_is_a_failed_simulation() -> None:
    """What a calibration may try by accident is a SolveError with its values, not a number."""
    model = fem.Modes(
        mesh=fem.mesh.bar("1 m", 4),
        materials={"bar": STEEL.replace(youngs_modulus=pt.Parameter("E", "200 GPa", bounds=("-1 GPa", "300 GPa")))},
        boundaries={"left": fem.Clamped()},
        n_modes=2,
    )
    with pytest.raises(SolveError, match="the stiffness is not positive") as failure:
        frequencies(model, values={"E": "-1 GPa"})
    assert failure.value.values["E"] == -1e9
