"""NAFEMS benchmarks of heat transfer T2, T3 and T4."""

import math

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

_SOURCE = "NAFEMS, Benchmark Tests for Thermal Analysis (1986) and The Standard NAFEMS Benchmarks, rev. 3 (1990), test "
_POINTS = ((0.6, 0.2), (0.0, 0.2), (0.3, 0.5), (0.0, 1.0))


def _measured(model: pt.Model, times: list[float]) -> Measured:
    run = pt.simulate(model, times)
    names = [signal.name for signal in model.outputs if "energy" not in signal.name]
    values = [float(run.in_units()[name][k]) for name in names for k in range(len(times))]
    return Measured(values, {"fingerprint": model.fingerprint})


def radiating_bar() -> pt.Model:
    """T2: a bar at 1000 K on one side that radiates to 300 K on the other."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("0.1 m", 20),
        materials={"bar": fem.Solid(conductivity="55.6 W/m/K")},
        boundaries={"left": fem.Temperature("1000 K"), "right": fem.Radiation(0.98, "300 K")},
        sensors={"end": fem.Point("0.1 m")},
        steady=True,
    )
    return model


def oscillating_bar() -> pt.Model:
    """T3: a bar at 0 degC whose right end follows 100 degC sin(pi t / 40 s)."""
    fem = pt.fem
    rate = f"{math.pi / 40.0!r} rad/s"
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar("0.1 m", 20),
        materials={"bar": fem.Solid(conductivity="35 W/m/K", density="7200 kg/m^3", heat_capacity="440.5 J/kg/K")},
        boundaries={
            "left": fem.Temperature("0 degC"),
            "right": fem.Temperature(lambda t: "273.15 K" + "100 K" * pt.sin(rate * t)),
        },
        initial="0 degC",
        sensors={"outer": fem.Point("0.08 m"), "middle": fem.Point("0.05 m")},
        degree=2,
        stepping=fem.Adaptive("0.0005 K"),
    )
    return model


def cooled_plate() -> pt.Model:
    """T4: a plate at 100 degC below, cooled on the right and above, insulated on the left."""
    fem = pt.fem
    cooling = fem.Convection("750 W/m^2/K", "0 degC")
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.plate(("0.6 m", "1 m"), cells=(12, 20), refine=1),
        materials={"body": fem.Solid(conductivity="52 W/m/K")},
        boundaries={"bottom": fem.Temperature("100 degC"), "right": cooling, "top": cooling},
        sensors={f"p{k}": fem.Point(f"{x} m", f"{y} m") for k, (x, y) in enumerate(_POINTS)},
        degree=2,
        steady=True,
    )
    return model


def _t2() -> Measured:
    found = _measured(radiating_bar(), [0.0])
    return Measured([value + 273.15 for value in found.values], found.details)


def _t3() -> Measured:
    return _measured(oscillating_bar(), [8.0, 16.0, 24.0, 32.0])


def _t3_target() -> Measured:
    return Measured([_t3().values[3]])


def _t4() -> Measured:
    return _measured(cooled_plate(), [0.0])


def _t4_target() -> Measured:
    return Measured([_t4().values[0]])


CASES = (
    Case(
        name="nafems_t2",
        claim="A bar that radiates at its end has the temperature of NAFEMS T2 there.",
        requirement="steady conduction with radiation",
        source=_SOURCE + "T2: 927.0 K; here the root of the flux balance with the Stefan-Boltzmann constant of the SI",
        quantity="temperature of the radiating end, K",
        expected=reference("nafems_heat", "T2"),
        tolerance=0.1,
        acceptance="0.1 K: the target is given to 0.1 K",
        compute=_t2,
        measure=ABSOLUTE,
    ),
    Case(
        name="nafems_t3",
        claim="A bar with an oscillating end temperature reaches the published temperature of NAFEMS T3.",
        requirement="transient conduction, prescribed temperature over time",
        source=_SOURCE + "T3: 36.60 degC",
        quantity="temperature at 0.08 m after 32 s, degC",
        expected=(36.60,),
        tolerance=5e-3,
        acceptance="0.5 % of the published value",
        compute=_t3_target,
        measure=RELATIVE,
    ),
    Case(
        name="nafems_t3_series",
        claim="The temperatures of NAFEMS T3 follow the series solution at four times and two places.",
        requirement="transient conduction, prescribed temperature over time",
        source="series solution of " + _SOURCE + "T3, recomputed",
        quantity="temperatures at 0.08 m and 0.05 m after 8, 16, 24, 32 s, degC",
        expected=reference("nafems_heat", "T3"),
        tolerance=0.02,
        acceptance="0.02 K: 2e-4 of the 100 K by which the end swings; time steps at 0.0005 K each",
        compute=_t3,
        measure=ABSOLUTE,
    ),
    Case(
        name="nafems_t4",
        claim="A plate with convection has the published temperature of NAFEMS T4.",
        requirement="steady conduction in two dimensions with convection",
        source=_SOURCE + "T4: 18.3 degC",
        quantity="temperature at (0.6 m, 0.2 m), degC",
        expected=(18.3,),
        tolerance=5e-3,
        acceptance="0.5 % of the published value",
        compute=_t4_target,
        measure=RELATIVE,
    ),
    Case(
        name="nafems_t4_series",
        claim="The temperatures of NAFEMS T4 agree with the series solution at four points.",
        requirement="steady conduction in two dimensions with convection",
        source="series solution of " + _SOURCE + "T4, recomputed",
        quantity="temperatures at (0.6, 0.2), (0, 0.2), (0.3, 0.5), (0, 1) m, degC",
        expected=reference("nafems_heat", "T4"),
        tolerance=0.01,
        acceptance="0.01 K: 1e-4 of the 100 K across the plate; the corner (0.6, 0) is singular",
        compute=_t4,
        measure=ABSOLUTE,
    ),
)
