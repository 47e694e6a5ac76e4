"""An electric muffle furnace with a load of slabs.

Three models of one furnace, with the same load (see `load.py`):

- `furnace`: the measured gas temperature is the input, as for calibrating on the log of a charge;
- `heated_furnace`: the heater power is the input; elements, zone (atmosphere and muffle) and lining are states;
- `electric_furnace`: the same with a PI controller between the set point and the power.

Heat flows of the chamber, T_e elements, T_z zone, T_w lining, half of the elements' area facing each side:

    C_e dT_e/dt = P - Q_ez - Q_ew
    C_z dT_z/dt = Q_ez - Q_zw - Q_load              Q_xy = h A (T_x - T_y) + A sigma (T_x^4 - T_y^4) / enclosure
    C_w dT_w/dt = Q_ew + Q_zw - G_wall (T_w - T_ambient)

Grey two-surface enclosures after Incropera et al., Fundamentals of Heat and Mass Transfer (7th ed.), section 13.3.
"""

from dataclasses import replace

import physics_twin as pt
from physics_twin import Expression
from physics_twin.units import QuantityLike
from physics_twin_models.furnace.load import MUFFLE_AREA, MUFFLE_EMISSIVITY, SIGMA, Load, add_load

_ELEMENT_AREA = "3 m^2"
_ELEMENT_EMISSIVITY = 0.8  # oxidized resistance alloy
_WALL_AREA = "10 m^2"
_WALL_EMISSIVITY = 0.9  # ceramic fibre
_NATURAL = "8 W/m^2/K"  # natural convection between elements, muffle and lining
_DESIGN = "typical of a batch furnace for one tonne; calibrate it"


def furnace(load_mass: QuantityLike = "850 kg", *, n_nodes: int = 4) -> pt.ProcessModel:
    """Core and surface temperature of a load in a zone whose gas temperature was measured.

    load_mass: the default of the parameter `load_mass`. n_nodes: from core to surface, at least 2.
    """
    _check(n_nodes)
    m = pt.ProcessBuilder("furnace", version="1.0", description="Load of slabs in a zone of measured temperature")
    zone = m.input("gas_temperature", "degC", description="of the zone, as measured")
    load = add_load(m, zone, load_mass, n_nodes)
    _load_outputs(m, load)
    m.valid("gas_temperature", "0 degC", "1200 degC")
    return m.build()


def heated_furnace(load_mass: QuantityLike = "850 kg", *, n_nodes: int = 4) -> pt.ProcessModel:
    """The furnace with its heater power as the input; elements, zone and lining are states."""
    _check(n_nodes)
    m = pt.ProcessBuilder("heated_furnace", version="1.0", description="Electric muffle furnace, heater power given")
    power = m.input("heater_power", "kW", description="electric power of the elements")
    capacities = {
        "element": ("30 kJ/K", "elements and their carriers"),
        "zone": ("120 kJ/K", "muffle and atmosphere"),
        "wall": ("300 kJ/K", "lining, to the depth that follows a cycle"),
    }
    c_element, c_zone, c_wall = (
        m.parameter(
            f"{name}_heat_capacity",
            value,
            bounds=("1 kJ/K", "1e5 kJ/K"),
            description=what,
            source=_DESIGN,
        )
        for name, (value, what) in capacities.items()
    )
    wall_conductance = m.parameter(
        "wall_conductance",
        "12 W/K",
        bounds=("0.1 W/K", "1000 W/K"),
        description="G_wall, through the insulation",
        source=_DESIGN,
    )
    element, zone, wall = (
        m.state(f"{name}_temperature", "degC", initial="20 degC", lower="0 K", scale="100 K", description=what)
        for name, (_, what) in capacities.items()
    )
    load = add_load(m, zone, load_mass, n_nodes)

    sigma, natural = m.constant(SIGMA), m.constant(_NATURAL)
    side, muffle, lining = 0.5 * m.constant(_ELEMENT_AREA), m.constant(MUFFLE_AREA), m.constant(_WALL_AREA)

    def exchange(
        a: Expression, area: Expression, emissivity: float, b: Expression, around: Expression, other: float
    ) -> Expression:
        """W from a body of `area` to the surface `around` it, by natural convection and radiation."""
        enclosure = 1.0 / emissivity + area / around * (1.0 / other - 1.0)
        return area * (natural * (a - b) + sigma * (a**4 - b**4) / enclosure)

    to_zone = exchange(element, side, _ELEMENT_EMISSIVITY, zone, muffle, MUFFLE_EMISSIVITY)
    to_wall = exchange(element, side, _ELEMENT_EMISSIVITY, wall, lining, _WALL_EMISSIVITY)
    zone_to_wall = exchange(zone, muffle, MUFFLE_EMISSIVITY, wall, lining, _WALL_EMISSIVITY)
    through_wall = wall_conductance * (wall - load.ambient)
    m.rate(element, (power - to_zone - to_wall) / c_element)
    m.rate(zone, (to_zone - zone_to_wall - load.from_zone) / c_zone)
    m.rate(wall, (to_wall + zone_to_wall - through_wall) / c_wall)

    used = m.accumulator("energy_used", "MJ", power, description="electric energy")
    lost = m.accumulator("energy_lost", "MJ", through_wall + load.lost, description="to the outside")
    stored = (
        c_element * element + c_zone * zone + c_wall * wall + load.heat_capacity * load.mean
    )  # relative to 0 K: only its changes mean anything
    _load_outputs(m, load)
    m.output("zone_temperature", zone, description="of muffle and atmosphere")
    m.output("element_temperature", element, description="of the heating elements")
    m.output("wall_temperature", wall, description="of the lining")
    m.output("energy_used", used, unit="MJ", description="electric energy since the start")
    m.output("energy_lost", lost, unit="MJ", description="to the outside since the start")
    m.output("energy_stored", stored, unit="MJ", description="in the furnace and its load, above 0 K")
    m.valid("heater_power", "0 kW", "300 kW")
    m.valid("zone_temperature", "0 degC", "1200 degC")
    m.valid("element_temperature", "0 degC", "1350 degC")
    return m.build()


def electric_furnace(load_mass: QuantityLike = "850 kg", *, n_nodes: int = 4) -> pt.ProcessModel:
    """The furnace with its controller: the input is the set point of the zone, the heater power an output.

    PI with limits of 0 and 180 kW; its gain and integral time are the parameters `heater_power_gain` and
    `heater_power_integral_time`.
    """
    law = pt.PI(gain="3 kW/K", integral_time="15 min", limits=("0 kW", "180 kW"), start="0 kW")
    loop = pt.with_controller(heated_furnace(load_mass, n_nodes=n_nodes), "heater_power", "zone_temperature", law)
    return replace(loop, name="electric_furnace", description="Electric muffle furnace with its zone controller")


def _load_outputs(m: pt.ProcessBuilder, load: Load) -> None:
    hottest = m.maximum("hottest_surface", load.surface, unit="degC")
    m.output("core_temperature", load.core, unit="degC", description="mid-plane of the slabs")
    m.output("surface_temperature", load.surface, unit="degC", description="surface of the slabs")
    m.output("mean_temperature", load.mean, unit="degC", description="mean of the load")
    m.output("peak_surface_temperature", hottest, unit="degC", description="highest surface temperature so far")
    m.valid("surface_temperature", "-20 degC", "1200 degC")
    m.valid("load_thickness", "5 mm", "200 mm")


def _check(n_nodes: int) -> None:
    if n_nodes < 2:
        raise ValueError(f"n_nodes = {n_nodes}; a load has at least 2 nodes, core and surface")
