"""A half space whose surface is suddenly heated in three ways."""

from typing import Any

import physics_twin as pt
from physics_twin.verification import RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

TIME = 60.0  # s
_SOURCE = "closed forms with erfc (Carslaw and Jaeger, Conduction of Heat in Solids, section 2.4 to 2.9), recomputed"


def half_space(surface: Any) -> pt.Model:
    """0.4 m deep (eight diffusion lengths after 60 s), from 0 degC; alpha = 1e-5 m^2/s, k = 45 W/(m K)."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("0.4 m", 80, grading=20.0),
        materials={"bar": fem.Solid(conductivity="45 W/m/K", density="9000 kg/m^3", heat_capacity="500 J/kg/K")},
        boundaries={"left": surface},
        initial="0 degC",
        sensors={"surface": fem.Point("0 m"), "inside": fem.Point("20 mm")},
        degree=2,
        stepping=fem.Adaptive("0.005 K"),
    )
    return model


def _measured(surface: Any, scale: float, names: tuple[str, ...]) -> Measured:
    model = half_space(surface)
    run = pt.simulate(model, [TIME])
    return Measured([float(run.in_units()[name][0]) / scale for name in names], {"fingerprint": model.fingerprint})


def _step() -> Measured:
    return _measured(pt.fem.Temperature("100 degC"), 100.0, ("inside",))


def _flux() -> Measured:
    return _measured(pt.fem.Flux("100 kW/m^2"), 1.0, ("surface", "inside"))


def _convection() -> Measured:
    return _measured(pt.fem.Convection("500 W/m^2/K", "100 degC"), 100.0, ("surface", "inside"))


CASES = tuple(
    Case(
        name=f"semi_infinite_{name}",
        claim=f"A half space under {text} warms up as the closed form says.",
        requirement="transient conduction",
        source=_SOURCE,
        quantity=quantity,
        expected=reference("semi_infinite_solid", name),
        tolerance=5e-3,
        acceptance="0.5 %",
        compute=compute,
        measure=RELATIVE,
    )
    for name, text, quantity, compute in (
        ("step", "a step of its surface temperature", "part of the step at 20 mm after 60 s", _step),
        ("flux", "a constant flux", "rise at the surface and at 20 mm after 60 s, K", _flux),
        ("convection", "convection", "part of the ambient's step at the surface and at 20 mm after 60 s", _convection),
    )
)
