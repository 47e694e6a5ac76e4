"""A small sphere that cools by radiation alone."""

import functools

import physics_twin as pt
from physics_twin.simulation import phase_times
from physics_twin.verification import RELATIVE, Case, Measured
from physics_twin_validation.reference import reference


@functools.cache
def sphere() -> pt.Model:
    """A sphere of 5 mm radius at 1000 K that conducts so well that it has one temperature."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.sphere("5 mm", (2, 16), axisymmetric=True, order=2),
        materials={"body": fem.Solid(conductivity="1 MW/m/K", density="7800 kg/m^3", heat_capacity="460 J/kg/K")},
        boundaries={"surface": fem.Radiation(0.8, pt.Signal("surroundings", "K"))},
        initial="1000 K",
        sensors={"mean": fem.Average("body")},
        stepping=fem.Adaptive("0.001 K"),
    )
    return model


def _times() -> Measured:
    model, found = sphere(), []
    for surroundings in ("0 K", "300 K"):
        cooling = pt.Phase("cooling", surroundings=surroundings, until=pt.falls_to("mean", "500 K"), at_most="1000 s")
        values = model.parameters.values()
        found.append(float(phase_times(model, pt.Recipe([cooling]), values)[-1]))
    return Measured(found, {"fingerprint": model.fingerprint})


CASES = (
    Case(
        name="lumped_radiation",
        claim="A sphere without gradients cools by radiation as the integral of its energy balance says.",
        requirement="radiation to surroundings, phases that end on a level",
        source="closed form of rho c V dT/dt = -eps sigma A (T^4 - T_s^4), recomputed",
        quantity="time from 1000 K to 500 K with surroundings of 0 K and of 300 K, s",
        expected=reference("lumped_radiation"),
        tolerance=1e-3,
        acceptance="0.1 %: time steps at 0.001 K each, faces of second order, Bi = 1e-6",
        compute=_times,
        measure=RELATIVE,
    ),
)
