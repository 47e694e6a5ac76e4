"""Natural frequencies: the tapered membrane FV32 and a cantilever against beam theory."""

import functools
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

import physics_twin as pt
from physics_twin.verification import RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

_LENGTH, _DEPTH = 0.5, 0.01  # m
_MODULUS, _RATIO, _DENSITY = 200e9, 0.3, 7850.0


def tapered_membrane() -> pt.Model:
    """FV32: 10 m long, 5 m deep at the clamped end and 1 m at the other, plane stress."""
    fem = pt.fem
    model: pt.Model = fem.Modes(
        mesh=fem.mesh.mapped(
            fem.mesh.corners((0.0, -2.5), (10.0, -0.5), (10.0, 0.5), (0.0, 2.5)), cells=(16, 8), grading=(1.0, 1.0)
        ),
        materials={"body": fem.Solid(youngs_modulus="200 GPa", poissons_ratio=0.3, density="8000 kg/m^3")},
        boundaries={"left": fem.Clamped()},
        kind=fem.PLANE_STRESS,
        n_modes=6,
    )
    return model


def cantilever(depth: float = _DEPTH) -> pt.Model:
    """A thin beam 0.5 m long, clamped on the left, of a depth in m; it vibrates in its plane."""
    fem = pt.fem
    model: pt.Model = fem.Modes(
        mesh=fem.mesh.plate((f"{_LENGTH} m", f"{depth} m"), cells=(100, 2)),
        materials={"body": fem.Solid(youngs_modulus="200 GPa", poissons_ratio=_RATIO, density=f"{_DENSITY} kg/m^3")},
        boundaries={"left": fem.Clamped()},
        kind=fem.PLANE_STRESS,
        n_modes=4,
    )
    return model


def timoshenko(n: int, depth: float = _DEPTH) -> tuple[float, ...]:
    """The first n frequencies of a cantilever with shear and rotary inertia, Hz.

    Huang, The effect of rotatory inertia and of shear deformation on the frequency and normal mode equations of uniform
    beams, Journal of Applied Mechanics 28 (1961); shear coefficient (10 + 10 nu) / (12 + 11 nu) of Cowper, The shear
    coefficient in Timoshenko's beam theory, ibid. 33 (1966).
    """
    shear = (10.0 + 10.0 * _RATIO) / (12.0 + 11.0 * _RATIO)
    r2 = depth**2 / 12.0 / _LENGTH**2
    s2 = r2 * 2.0 * (1.0 + _RATIO) / shear
    unit = math.sqrt(_MODULUS * depth**2 / 12.0 / _DENSITY) / _LENGTH**2

    def equation(b: float) -> float:
        b2 = b * b
        root = math.sqrt((r2 - s2) ** 2 + 4.0 / b2)
        alpha, beta = (math.sqrt((sign * (r2 + s2) + root) / 2.0) for sign in (-1.0, 1.0))
        first = 2.0 + (b2 * (r2 - s2) ** 2 + 2.0) * math.cosh(b * alpha) * math.cos(b * beta)
        second = b * (r2 + s2) / math.sqrt(1.0 - b2 * r2 * s2) * math.sinh(b * alpha) * math.sin(b * beta)
        return first - second

    found: list[float] = []
    grid = np.linspace(0.5, 200.0, 4000)
    values = [equation(float(b)) for b in grid]
    for a, b, left, right in zip(grid[:-1], grid[1:], values[:-1], values[1:], strict=True):
        if left * right < 0.0 and len(found) < n:
            found.append(float(brentq(equation, a, b, xtol=1e-12)) * unit / (2.0 * math.pi))
    return tuple(found)


@functools.cache
def _frequencies(model: str) -> Measured:
    models: dict[str, Callable[[], pt.Model]] = {
        "FV32": tapered_membrane,
        "10 mm": cantilever,
        "1 mm": functools.partial(cantilever, 0.001),
    }
    built = models[model]()
    run = pt.simulate(built, [0.0])
    return Measured([float(run[signal.name][0]) for signal in built.outputs], {"model": repr(built)})


def _slender() -> Measured:
    found = _frequencies("1 mm")
    # Without shear a frequency is proportional to the depth.
    return Measured([f * 10.0 for f in found.values], found.details)


def _first_three() -> Measured:
    found = _frequencies("10 mm")
    return Measured(list(found.values)[:3], found.details)


CASES = (
    Case(
        name="nafems_fv32",
        claim="Six natural frequencies of the tapered membrane FV32 agree with NAFEMS to 0.5 %.",
        requirement="natural frequencies",
        source="NAFEMS, Selected Benchmarks for Natural Frequency Analysis (1987), test FV32",
        quantity="frequencies 1 to 6, Hz",
        expected=reference("natural_frequencies", "FV32"),
        tolerance=0.005,
        acceptance="0.5 % of the published values, which are upper bounds by 0.05 %",
        compute=functools.partial(_frequencies, "FV32"),
        measure=RELATIVE,
    ),
    Case(
        name="cantilever_beam",
        claim="Three natural frequencies of a cantilever 50 times as long as deep are those of a beam to 0.5 %.",
        requirement="natural frequencies",
        source="Euler and Bernoulli's beam, closed form: beta L = 1.8751040687, 4.6940911330, 7.8547574382",
        quantity="frequencies 1 to 3, Hz",
        expected=reference("natural_frequencies", "beam")[:3],
        tolerance=0.005,
        acceptance="0.5 %: a beam without shear is 0.45 % too stiff in the third mode of this one; the fourth is "
        "compared with a beam that has shear",
        compute=_first_three,
        measure=RELATIVE,
    ),
    Case(
        name="cantilever_limit",
        claim="Four natural frequencies of a very slender cantilever are those of a beam to 0.5 %.",
        requirement="natural frequencies",
        source="Euler and Bernoulli's beam, closed form",
        quantity="frequencies 1 to 4 of a beam 1 mm deep, times 10, Hz",
        expected=reference("natural_frequencies", "beam"),
        tolerance=0.005,
        acceptance="0.5 %: shear takes 0.01 % from the fourth mode, the clamped end holds a little more than a beam's",
        compute=_slender,
        measure=RELATIVE,
    ),
    Case(
        name="cantilever_shear",
        claim="Four natural frequencies of the cantilever agree with a beam with shear and rotary inertia to 0.2 %.",
        requirement="natural frequencies",
        source="Huang, Journal of Applied Mechanics 28 (1961); Cowper, Journal of Applied Mechanics 33 (1966)",
        quantity="frequencies 1 to 4, Hz",
        expected=timoshenko(4),
        tolerance=0.002,
        acceptance="0.2 %: what is left is the clamped end, where a body cannot contract sideways as a beam does",
        compute=functools.partial(_frequencies, "10 mm"),
        measure=RELATIVE,
    ),
)
