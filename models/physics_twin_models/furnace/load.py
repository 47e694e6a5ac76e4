"""The load: slabs in a muffle, heated from both faces.

One-dimensional conduction through half a slab of thickness 2 L, vertex-centered finite volumes: node 1 is the
mid-plane (core), node n the surface. The surface receives

    film_coefficient A (T_zone - T_s)                                               convection from the atmosphere
    (1 - f) A sigma (T_zone^4 - T_s^4) / (1/eps + A/A_muffle (1/eps_muffle - 1))    radiation from the muffle around it
    f A eps sigma (T_ambient^4 - T_s^4)                                             through openings (black outside)
    G_hearth (T_ambient - T_s)                                                      through the supports

with A the exposed area, mass / (density L). Grey enclosure of a convex body: Incropera et al., Fundamentals of Heat
and Mass Transfer (7th ed.), eq. 13.26 (concentric bodies); slab: chapter 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import physics_twin as pt
from physics_twin import Expression
from physics_twin.units import QuantityLike

SIGMA = "5.670374419e-8 W/m^2/K^4"  # CODATA 2018
MUFFLE_AREA = "8 m^2"
MUFFLE_EMISSIVITY = 0.85  # oxidized heat-resisting steel
_STEEL = "plain carbon steel between 20 and 900 degC, mean value"
_DESIGN = "typical of a batch furnace for one tonne; calibrate it"


@dataclass(frozen=True)
class Load:
    """What the rest of the furnace needs to know of its load."""

    core: Expression
    surface: Expression
    mean: Expression
    heat_capacity: Expression
    """J/K of the whole load."""
    from_zone: Expression
    """W, convection and radiation from the zone into the load."""
    lost: Expression
    """W, from the load to the surroundings through openings and supports."""
    ambient: Expression


def add_load(m: pt.ProcessBuilder, zone: Expression, load_mass: QuantityLike, n_nodes: int) -> Load:
    """Declare the parameters, states and equations of a load in a zone of temperature `zone`."""
    mass = m.parameter("load_mass", load_mass, bounds=("1 kg", "1e5 kg"), description="of the whole charge")
    thickness = m.parameter(
        "load_thickness", "100 mm", bounds=("1 mm", "1 m"), description="2 L, of the slabs, heated from both faces"
    )
    density = m.parameter(
        "density", "7850 kg/m^3", bounds=("1000 kg/m^3", "20000 kg/m^3"), description="of the load", source=_STEEL
    )
    specific_heat = m.parameter(
        "heat_capacity", "650 J/kg/K", bounds=("100 J/kg/K", "2000 J/kg/K"), description="of the load", source=_STEEL
    )
    conductivity = m.parameter(
        "conductivity", "35 W/m/K", bounds=("1 W/m/K", "400 W/m/K"), description="of the load", source=_STEEL
    )
    emissivity = m.parameter(
        "emissivity", 0.75, bounds=(0.0, 1.0), description="of the load's surface", source="oxidized steel, 0.7 to 0.85"
    )
    film = m.parameter(
        "film_coefficient",
        "25 W/m^2/K",
        bounds=("1 W/m^2/K", "1000 W/m^2/K"),
        description="from the atmosphere to the load",
        source="gas stirred by a fan, 10 to 50 W/m^2/K",
    )
    opening = m.parameter(
        "opening_fraction", 0.002, bounds=(0.0, 0.3), description="f, of the load's view to the outside", source=_DESIGN
    )
    hearth = m.parameter(
        "hearth_conductance",
        "1 W/K",
        bounds=("0 W/K", "1000 W/K"),
        description="from the load through its supports to the outside",
        source=_DESIGN,
    )
    ambient = m.parameter(
        "ambient_temperature",
        "25 degC",
        bounds=("-20 degC", "60 degC"),
        prior=pt.Normal("25 degC", "5 K"),
        description="of the shop around the furnace",
        source="a heated hall; temperatures of the load hardly tell it",
    )
    charged = m.parameter(
        "charge_temperature", "20 degC", bounds=("-20 degC", "1200 degC"), description="of the load at the start"
    )

    nodes = [
        m.state(f"load_{k}", "degC", initial=charged, lower="0 K", scale="100 K", description=_place(k, n_nodes))
        for k in range(1, n_nodes + 1)
    ]
    sigma, muffle_area = m.constant(SIGMA), m.constant(MUFFLE_AREA)
    half = 0.5 * thickness
    area = mass / (density * half)
    core, surface = nodes[0], nodes[-1]
    # eps / (1 + eps r) is 1 / (1/eps + r), and holds for a perfect mirror too
    exchange = emissivity / (1.0 + emissivity * area / muffle_area * (1.0 / MUFFLE_EMISSIVITY - 1.0))
    radiation = (1.0 - opening) * area * sigma * exchange * (zone**4 - surface**4)
    from_zone = film * area * (zone - surface) + radiation
    lost = opening * area * emissivity * sigma * (surface**4 - ambient**4) + hearth * (surface - ambient)

    total = mass * specific_heat
    spacing = half / (n_nodes - 1)
    flows = [conductivity * area / spacing * (b - a) for a, b in pairwise(nodes)]  # towards the core
    weights = [0.5 if k in (0, n_nodes - 1) else 1.0 for k in range(n_nodes)]
    arriving: Sequence[Expression] = [*flows, from_zone - lost]
    for k, node in enumerate(nodes):
        share = total * (weights[k] / (n_nodes - 1))
        leaving = 0 if k == 0 else flows[k - 1]
        m.rate(node, (arriving[k] - leaving) / share)
    weighted = [w * node for w, node in zip(weights, nodes, strict=True)]
    mean = sum(weighted[1:], weighted[0]) / (n_nodes - 1)
    return Load(core, surface, mean, total, from_zone, lost, ambient)


def _place(k: int, n: int) -> str:
    return "load, core" if k == 1 else "load, surface" if k == n else f"load, {k - 1}/{n - 1} of the way to the surface"
