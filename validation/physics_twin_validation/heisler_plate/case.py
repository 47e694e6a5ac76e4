"""A plate that is suddenly cooled by convection: Heisler's charts, by their series."""

import functools

import physics_twin as pt
from physics_twin.verification import RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

HALF, CONDUCTIVITY, CAPACITY = 0.05, 10.0, 4e6  # m, W/(m K), J/(m^3 K)
START, AMBIENT = 120.0, 20.0  # degC
TIMES = {"0.1": (0.2, 1.0), "1": (0.2, 1.0), "10": (0.2, 1.0)}


@functools.cache
def plate() -> pt.Model:
    """Half a plate of 0.1 m, insulated in the middle; the film coefficient is the parameter."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar(f"{HALF} m", 20),
        materials={
            "bar": fem.Solid(
                conductivity=f"{CONDUCTIVITY} W/m/K", density="8000 kg/m^3", heat_capacity=f"{CAPACITY / 8000.0} J/kg/K"
            )
        },
        boundaries={"right": fem.Convection(pt.Parameter("film_coefficient", "200 W/m^2/K"), f"{AMBIENT} degC")},
        initial=f"{START} degC",
        sensors={"middle": fem.Point("0 m"), "surface": fem.Point(f"{HALF} m")},
        degree=2,
        stepping=fem.Adaptive("0.002 K"),
    )
    return model


def _theta(biot: str) -> Measured:
    film = float(biot) * CONDUCTIVITY / HALF
    times = [fourier * HALF**2 * CAPACITY / CONDUCTIVITY for fourier in TIMES[biot]]
    run = pt.simulate(plate(), times, values={"film_coefficient": f"{film!r} W/m^2/K"})
    span = START - AMBIENT
    values: list[float] = []
    for k in range(len(times)):
        values += [(float(run.in_units()[name][k]) - AMBIENT) / span for name in ("middle", "surface")]
        values.append(-float(run["stored_energy"][k]) / (CAPACITY * HALF * span))
    return Measured(values, {"fingerprint": plate().fingerprint})


def _low() -> Measured:
    return _theta("0.1")


def _middle() -> Measured:
    return _theta("1")


def _high() -> Measured:
    return _theta("10")


CASES = tuple(
    Case(
        name=f"heisler_plate_{name}",
        claim=f"A plate cooled by convection at Bi = {biot} follows the series solution, and gives off its heat.",
        requirement="transient conduction with convection",
        source="eigenfunction series of the plate (Heisler 1947; Incropera and DeWitt, section 5.5), recomputed",
        quantity="theta(middle), theta(surface), Q/Q0 at Fo = 0.2 and at Fo = 1",
        expected=reference("heisler_plate", f"Bi {biot}"),
        tolerance=2e-3,
        acceptance="0.2 %",
        compute=compute,
        measure=RELATIVE,
    )
    for name, biot, compute in (("bi_01", "0.1", _low), ("bi_1", "1", _middle), ("bi_10", "10", _high))
)
