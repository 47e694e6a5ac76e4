"""A stream that carries heat against a wall temperature: steady convection and diffusion in one dimension."""

import functools

import numpy as np

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, AT_MOST, Case, Measured
from physics_twin_validation.reference import reference

PECLET = (1.0, 10.0, 100.0)
N = 20
"""cells: at Pe = 100 each has 5, where Galerkin's method without stabilization oscillates"""


@functools.cache
def stream() -> pt.Model:
    """1 m of a stream from 0 degC to 1 degC; rho c = 1 MJ/(m^3 K), k = 1 W/(m K), so that Pe = speed / (1e-6 m/s)."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", N),
        materials={"bar": fem.Solid(conductivity="1 W/m/K", density="1000 kg/m^3", heat_capacity="1000 J/kg/K")},
        boundaries={"left": fem.Temperature("0 degC"), "right": fem.Temperature("1 degC")},
        velocity={"bar": (pt.Parameter("speed", "1e-6 m/s"),)},
        sensors={f"x{k}": fem.Point(f"{k / N!r} m") for k in range(N + 1)},
        steady=True,
    )
    return model


@functools.cache
def _profiles() -> "tuple[tuple[float, ...], ...]":
    """(3, N + 1) temperatures in degC at the nodes."""
    found = []
    for peclet in PECLET:
        run = pt.simulate(stream(), [0.0], values={"speed": f"{peclet * 1e-6!r} m/s"})
        found.append(tuple(float(run.in_units()[f"x{k}"][0]) for k in range(N + 1)))
    return tuple(found)


def _values() -> Measured:
    values = [profile[k] for profile in _profiles() for k in (N // 2, 9 * N // 10)]
    return Measured(values, {"fingerprint": stream().fingerprint})


def _overshoot() -> Measured:
    profiles = np.array(_profiles())
    falls = -np.diff(profiles, axis=1).min(axis=1)
    beyond = np.maximum(-profiles.min(axis=1), profiles.max(axis=1) - 1.0)
    return Measured(np.maximum(falls, beyond), {"fingerprint": stream().fingerprint})


CASES = (
    Case(
        name="convection_diffusion_values",
        claim="Steady convection and diffusion have the closed form's temperatures, at Peclet numbers 1, 10, 100.",
        requirement="moving bodies, stabilized",
        source="(exp(Pe x) - 1) / (exp(Pe) - 1)",
        quantity="temperatures at 0.5 m and 0.9 m at Pe = 1, 10, 100, degC",
        expected=reference("convection_diffusion"),
        tolerance=1e-9,
        acceptance="1e-9 K: the stabilization is exact at the nodes in 1-D, rounding at 273 K remains",
        compute=_values,
        measure=ABSOLUTE,
    ),
    Case(
        name="convection_diffusion_monotone",
        claim="The temperature neither overshoots nor undershoots nor oscillates, with cells of Pe = 5.",
        requirement="moving bodies, stabilized",
        source="maximum principle",
        quantity="largest excess over the ends' temperatures or fall from node to node, K, at Pe = 1, 10, 100",
        expected=(1e-9,) * len(PECLET),
        tolerance=0.0,
        acceptance="upper limit 1e-9 K: rounding at 273 K",
        compute=_overshoot,
        measure=AT_MOST,
    ),
)
