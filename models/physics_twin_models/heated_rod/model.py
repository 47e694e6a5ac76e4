"""The heated rods of R. C. Smith, Uncertainty Quantification (SIAM 2013), section 3.2.2, as field models.

Steady conduction, k T'' = (perimeter/area) h (T - ambient) over the cross-section (`heated_rod`, 1-D), or k laplace T =
0 with convection on all sides (`heated_rod_3d`). Heat enters at x = 0; the far end loses heat as the sides do.

Sign: here the source is the heat flux INTO the rod, above zero. Smith's phi is its negative: his condition k dT/dx(0) =
phi takes the flux along the outward normal (equations 3.22 and 3.23), and he reports phi = -18.41 W/cm^2.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import physics_twin as pt

if TYPE_CHECKING:
    from physics_twin.fem import FieldModel

PLACES = tuple(range(10, 67, 4))
"""cm, of the thermocouples."""
LENGTH = 70.0
"""cm"""
SIDE = 0.95
"""cm, of the square cross-section."""
_SOURCE = "R. C. Smith, Uncertainty Quantification, SIAM 2013, section 3.2.2 and table 3.2"
_VALID = {"ambient_temperature": (273.15, 323.15), "hot_end": (273.15, 573.15)}


@dataclass(frozen=True)
class Metal:
    """A rod's material and the room in which it was measured."""

    name: str
    conductivity: str
    ambient: str


ALUMINUM = Metal("aluminum", "2.37 W/cm/K", "21.29 degC")
COPPER = Metal("copper", "4.01 W/cm/K", "22.28 degC")


def heated_rod(metal: Metal = ALUMINUM) -> "FieldModel":
    """The rod in one dimension: what the air takes from the sides is a sink over the cross-section."""
    from physics_twin import fem

    film, conductivity, flux, ambient = _quantities(metal)

    def to_the_air(T: Any, film_coefficient: Any, ambient_temperature: Any) -> Any:
        return -film_coefficient * (T - ambient_temperature) * f"{4.0 / SIDE!r} 1/cm"

    return fem.HeatConduction(
        mesh=fem.mesh.bar(f"{LENGTH} cm", 70),
        materials={"bar": fem.Solid(conductivity=conductivity)},
        boundaries={"left": fem.Flux(flux), "right": fem.Convection(film, ambient)},
        sources={"bar": fem.HeatSource(to_the_air)},
        sensors={
            **{f"T_{x}": fem.Point(f"{x} cm") for x in PLACES},
            "hot_end": fem.Average("left"),
            "far_end": fem.Average("right"),
            "mean": fem.Average("bar"),
        },
        degree=2,
        steady=True,
        validity=_VALID,
        name="heated_rod",
        description="Steady rod heated at one end, 1-D",
    )


def heated_rod_3d(
    metal: Metal = ALUMINUM, *, conductivity: "pt.Spline | None" = None, film_coefficient: "pt.Spline | None" = None
) -> "FieldModel":
    """The rod as a body: convection on its four sides and on the far end; thermocouples in its axis.

    conductivity, film_coefficient: functions over T in place of the constant parameters.
    """
    from physics_twin import fem

    one_film, constant, flux, ambient = _quantities(metal)
    film = one_film if film_coefficient is None else film_coefficient
    air, middle = fem.Convection(film, ambient), f"{SIDE / 2.0!r} cm"
    return fem.HeatConduction(
        mesh=fem.mesh.box((f"{LENGTH} cm", f"{SIDE} cm", f"{SIDE} cm"), cells=(70, 1, 1)),
        materials={"body": fem.Solid(conductivity=constant if conductivity is None else conductivity)},
        boundaries={"left": fem.Flux(flux), **dict.fromkeys(("right", "front", "back", "bottom", "top"), air)},
        sensors={
            **{f"T_{x}": fem.Point(f"{x} cm", middle, middle) for x in PLACES},
            "hot_end": fem.Average("left"),
            "far_end": fem.Average("right"),
            "mean": fem.Average("body"),
        },
        degree=2,
        steady=True,
        validity=_VALID,
        name="heated_rod_3d",
        description="Steady rod heated at one end, 3-D",
    )


def _quantities(metal: Metal) -> tuple[pt.Parameter, pt.Parameter, pt.Signal, pt.Signal]:
    film = pt.Parameter(
        "film_coefficient",
        "0.001 W/cm^2/K",
        bounds=("2e-4 W/cm^2/K", "1e-2 W/cm^2/K"),
        description="h, of all sides and the far end",
        source="free convection and radiation in a room: some 10 W/m^2/K, 2 to 100 at the most",
    )
    conductivity = pt.Parameter(
        "conductivity",
        metal.conductivity,
        bounds=("0 W/cm/K", None),
        description=f"k, {metal.name}",
        source=_SOURCE,
    )
    flux = pt.Signal("heat_flux", "W/cm^2", description="into the rod at x = 0")
    ambient = pt.Signal("ambient_temperature", "degC", description="of the room")
    return film, conductivity, flux, ambient


def experiment(metal: Metal = ALUMINUM) -> pt.Experiment:
    """Fifteen thermocouples at steady state, one unknown noise level; the flux is the open setting `source_flux`."""
    noise = pt.EstimatedNoise("0.5 K", shared="thermocouple")
    readings = measured(metal)
    flux = pt.Setting("source_flux", "W/cm^2", bounds=(0.1, 100.0), value=10.0, description="into the rod at x = 0")
    return pt.Experiment.from_arrays(
        metal.name,
        [0.0],
        {f"T_{x}": [reading] for x, reading in readings.items()},
        channels=[pt.Channel(f"T_{x}", unit="degC", noise=noise, place=pt.Place("rod", f"{x} cm")) for x in readings],
        recipe=pt.Recipe.constant(heat_flux=flux, ambient_temperature=metal.ambient),
        context={"source": _SOURCE},
    )


def measured(metal: Metal) -> Mapping[int, float]:
    """Place in cm -> temperature in degC."""
    table = resources.files("physics_twin_models.heated_rod") / "data" / "smith_table_3_2.csv"
    lines = [line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {int(row["x_cm"]): float(row[metal.name]) for row in csv.DictReader(lines)}
