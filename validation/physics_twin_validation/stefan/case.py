"""Freezing fronts: the similarity solutions of Stefan and Neumann."""

import functools
from typing import Any

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

STEFAN_NUMBERS = (0.01, 0.1, 0.5, 1.0, 2.0)
HOUR = 3600.0  # s
MUSHY = 0.1
"""K between solidus and liquidus, which a pure substance does not have: 1 % of the step of 10 K at the surface"""
_BELOW, _ABOVE = f"{-MUSHY / 2.0} degC", f"{MUSHY / 2.0} degC"
_ACCEPTANCE = "2 %: methods that keep the enthalpy of cells know a front to a part of a cell"


def _frozen(T: Any) -> Any:
    """1 where it is solid, 0 where it is liquid, a straight line between (melting at 0 degC)."""
    return pt.minimum(pt.maximum(("273.15 K" - T) / f"{MUSHY} K" + 0.5, 0.0), 1.0)


@functools.cache
def one_phase() -> pt.Model:
    """Liquid at its melting point, 1 m deep, surface at -10 degC: Ste = 10 kJ/kg over the latent heat."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", 200),
        materials={
            "bar": fem.Solid(
                conductivity="1 W/m/K",
                density="1000 kg/m^3",
                heat_capacity="1000 J/kg/K",
                latent_heat=pt.Parameter("latent_heat", "10 kJ/kg"),
                solidus=_BELOW,
                liquidus=_ABOVE,
            )
        },
        boundaries={"left": fem.Temperature("-10 degC")},
        initial=_ABOVE,
        sensors={"front": fem.Integral("bar", of=_frozen, unit="1")},
        stepping=fem.Adaptive("0.02 K"),
    )
    return model


@functools.cache
def freezing_water() -> pt.Model:
    """Water at 2 degC, 1 m deep, whose surface is held at -10 degC; one density, so that nothing moves."""
    fem = pt.fem
    ends = ([-MUSHY / 2.0, MUSHY / 2.0], "degC")
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("1 m", 400, grading=40.0),
        materials={
            "bar": fem.Solid(
                conductivity=fem.Tabulated(ends, ([2.22, 0.6], "W/m/K"), outside=fem.Outside.HOLD),
                density="917 kg/m^3",
                heat_capacity=fem.Tabulated(ends, ([2050.0, 4186.0], "J/kg/K"), outside=fem.Outside.HOLD),
                latent_heat="333.5 kJ/kg",
                solidus=_BELOW,
                liquidus=_ABOVE,
            )
        },
        boundaries={"left": fem.Temperature("-10 degC")},
        initial="2 degC",
        sensors={
            "front": fem.Integral("bar", of=_frozen, unit="1"),
            "t5": fem.Point("5 mm"),
            "t20": fem.Point("20 mm"),
            "t60": fem.Point("60 mm"),
        },
        stepping=fem.Adaptive("0.02 K"),
    )
    return model


def _one_phase() -> Measured:
    """lambda = X / (2 sqrt(alpha t)), at the time when the front should be at 0.8 m."""
    model, alpha = one_phase(), 1e-6
    found = []
    for number, exact in zip(STEFAN_NUMBERS, reference("stefan", "lambda"), strict=True):
        t = (0.8 / (2.0 * exact)) ** 2 / alpha
        run = pt.simulate(model, [t], values={"latent_heat": f"{10.0 / number!r} kJ/kg"})
        found.append(float(run["front"][0]) / (2.0 * (alpha * t) ** 0.5))
    return Measured(found, {"fingerprint": model.fingerprint})


@functools.cache
def _water() -> pt.Model:
    return freezing_water()


def _fronts() -> Measured:
    run = pt.simulate(_water(), [HOUR, 24.0 * HOUR])
    return Measured([1e3 * float(x) for x in run["front"]], {"fingerprint": _water().fingerprint})


def _temperatures() -> Measured:
    run = pt.simulate(_water(), [HOUR])
    return Measured([float(run.in_units()[name][0]) for name in ("t5", "t20", "t60")])


CASES = (
    Case(
        name="stefan_one_phase",
        claim="A freezing front moves as Stefan's solution says, for Stefan numbers from 0.01 to 2.",
        requirement="phase change",
        source="root of lambda exp(lambda^2) erf(lambda) = Ste / sqrt(pi), recomputed",
        quantity="lambda = front / (2 sqrt(alpha t)) at Ste = 0.01, 0.1, 0.5, 1, 2",
        expected=reference("stefan", "lambda"),
        tolerance=0.02,
        acceptance=_ACCEPTANCE,
        compute=_one_phase,
        measure=RELATIVE,
    ),
    Case(
        name="stefan_two_phase_front",
        claim="Water above its melting point freezes as deep as Neumann's solution says.",
        requirement="phase change",
        source="Neumann's solution (Carslaw and Jaeger, Conduction of Heat in Solids, section 11.2), recomputed",
        quantity="depth of the front after 1 h and 24 h, mm",
        expected=reference("stefan", "front"),
        tolerance=0.02,
        acceptance=_ACCEPTANCE,
        compute=_fronts,
        measure=RELATIVE,
    ),
    Case(
        name="stefan_two_phase_temperatures",
        claim="Temperatures on both sides of the front follow Neumann's solution.",
        requirement="phase change",
        source="Neumann's solution (Carslaw and Jaeger, Conduction of Heat in Solids, section 11.2), recomputed",
        quantity="temperatures at 5, 20 and 60 mm after 1 h, degC",
        expected=reference("stefan", "temperature"),
        tolerance=0.2,
        acceptance="0.2 K: 2 % of the 10 K between surface and front",
        compute=_temperatures,
        measure=ABSOLUTE,
    ),
)
