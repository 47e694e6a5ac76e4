"""Air and water: the properties that film coefficients need."""

from dataclasses import dataclass
from functools import partial

from physics_twin.errors import BoundsError
from physics_twin.expressions import Expression
from physics_twin.fem.materials.formula import Formula
from physics_twin.fem.materials.tabulated import Tabulated
from physics_twin.fem.materials.temperature_law import TemperatureLaw
from physics_twin.units import QuantityLike, Unit, format_si, to_si

_GAS_CONSTANT = 8.31446261815324  # J/(mol K), exact
_AIR = 28.96546e-3  # kg/mol, Lemmon et al., J. Phys. Chem. Ref. Data 29 (2000) 331
# Between them air is an ideal gas within about 1 % above 200 K; viscosity and conductivity do not feel the pressure.
_PRESSURES = (1e3, 5e5)  # Pa

_INCROPERA_A4 = "Incropera et al., Fundamentals of Heat and Mass Transfer, table A.4"
_IAPWS = "IAPWS R6-95 (2018), R12-08 and R15-11 at 101.325 kPa, evaluated with chemicals 1.5.2"


@dataclass(frozen=True)
class FluidState:
    """A fluid at one temperature, all in SI: kg/m^3, J/kg/K, W/m/K, Pa s, 1/K."""

    temperature: float
    density: float
    heat_capacity: float
    conductivity: float
    viscosity: float
    expansion: float

    @property
    def kinematic_viscosity(self) -> float:
        """Viscosity over density, m^2/s."""
        return self.viscosity / self.density

    @property
    def diffusivity(self) -> float:
        """Of heat, m^2/s."""
        return self.conductivity / (self.density * self.heat_capacity)

    @property
    def prandtl(self) -> float:
        """Kinematic viscosity over diffusivity."""
        return self.viscosity * self.heat_capacity / self.conductivity


@dataclass(frozen=True)
class Fluid:
    """A fluid's properties over temperature: viscosity is the dynamic one, expansion the volumetric one (1/K)."""

    name: str
    density: TemperatureLaw
    heat_capacity: TemperatureLaw
    conductivity: TemperatureLaw
    viscosity: TemperatureLaw
    expansion: TemperatureLaw
    source: str = ""

    def at(self, temperature: QuantityLike) -> FluidState:
        """Return the properties at a temperature with its unit; raises `BoundsError` outside their range."""
        return FluidState(
            temperature=to_si(temperature, Unit("K"), name="temperature"),
            density=self.density.at(temperature),
            heat_capacity=self.heat_capacity.at(temperature),
            conductivity=self.conductivity.at(temperature),
            viscosity=self.viscosity.at(temperature),
            expansion=self.expansion.at(temperature),
        )


def air(pressure: QuantityLike = "101325 Pa") -> Fluid:
    """Return dry air, 200 K to 1200 K, as an ideal gas at an absolute pressure between 1 kPa and 500 kPa.

    >>> round(air().at("300 K").prandtl, 3)
    0.707
    """
    pascal = to_si(pressure, Unit("Pa"), name="pressure")
    if not _PRESSURES[0] <= pascal <= _PRESSURES[1]:
        raise BoundsError(
            f"pressure = {format_si(pascal, Unit('kPa'))} is outside [1, 500] kPa, where these properties of air hold; "
            "is it absolute?"
        )
    kelvin = ([200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 800, 850, 900, 950, 1000, 1100, 1200], "K")
    heat_capacity = [
        1007, 1006, 1007, 1009, 1014, 1021, 1030, 1040, 1051, 1063, 1075, 1087, 1099, 1110, 1121, 1131, 1141, 1159,
        1175,
    ]  # fmt: skip
    viscosity = [
        132.5, 159.6, 184.6, 208.2, 230.1, 250.7, 270.1, 288.4, 305.8, 322.5, 338.8, 354.6, 369.8, 384.3, 398.1, 411.3,
        424.4, 449.0, 473.0,
    ]  # fmt: skip
    conductivity = [
        18.1, 22.3, 26.3, 30.0, 33.8, 37.3, 40.7, 43.9, 46.9, 49.7, 52.4, 54.9, 57.3, 59.6, 62.0, 64.3, 66.7, 71.5,
        76.3,
    ]  # fmt: skip
    limits = ("200 K", "1200 K")
    ideal = "ideal gas"
    return Fluid(
        name="air",
        density=Formula(partial(_ideal_density, pascal), "kg/m^3", limits, source=ideal),
        heat_capacity=Tabulated(kelvin, (heat_capacity, "J/kg/K"), source=_INCROPERA_A4),
        conductivity=Tabulated(kelvin, ([1e-3 * k for k in conductivity], "W/m/K"), source=_INCROPERA_A4),
        viscosity=Tabulated(kelvin, ([1e-7 * x for x in viscosity], "Pa s"), source=_INCROPERA_A4),
        expansion=Formula(_reciprocal, "1/K", limits, source=ideal),
        source=f"{_INCROPERA_A4}; density and expansion: ideal gas of 28.96546 g/mol",
    )


def water() -> Fluid:
    """Return liquid water at atmospheric pressure, 0 degC to 95 degC; it contracts below 4 degC.

    >>> round(water().at("25 degC").prandtl, 2)
    6.14
    """
    degrees = (list(range(0, 100, 5)), "degC")
    density = [
        999.844, 999.967, 999.702, 999.103, 998.207, 997.048, 995.649, 994.033, 992.216, 990.213, 988.035, 985.693,
        983.196, 980.551, 977.765, 974.843, 971.790, 968.611, 965.310, 961.888,
    ]  # fmt: skip
    heat_capacity = [
        4219.4, 4205.0, 4195.2, 4188.5, 4184.1, 4181.3, 4179.8, 4179.3, 4179.4, 4180.1, 4181.3, 4183.0, 4185.0, 4187.3,
        4190.1, 4193.2, 4196.8, 4200.7, 4205.2, 4210.2,
    ]  # fmt: skip
    viscosity = [
        1791.1, 1518.2, 1305.9, 1137.6, 1001.6, 890.02, 797.22, 719.13, 652.73, 595.77, 546.52, 503.62, 466.04, 432.90,
        403.55, 377.42, 354.05, 333.08, 314.18, 297.09,
    ]  # fmt: skip
    conductivity = [
        555.68, 567.79, 578.78, 588.80, 598.01, 606.52, 614.39, 621.70, 628.49, 634.78, 640.62, 646.02, 651.00, 655.58,
        659.76, 663.56, 666.99, 670.07, 672.79, 675.17,
    ]  # fmt: skip
    expansion = [
        -67.58, 16.04, 87.93, 150.84, 206.81, 257.29, 303.38, 345.89, 385.48, 422.64, 457.77, 491.22, 523.25, 554.10,
        583.96, 612.99, 641.36, 669.20, 696.61, 723.72,
    ]  # fmt: skip
    return Fluid(
        name="water",
        density=Tabulated(degrees, (density, "kg/m^3"), source=_IAPWS),
        heat_capacity=Tabulated(degrees, (heat_capacity, "J/kg/K"), source=_IAPWS),
        conductivity=Tabulated(degrees, ([1e-3 * k for k in conductivity], "W/m/K"), source=_IAPWS),
        viscosity=Tabulated(degrees, ([1e-6 * x for x in viscosity], "Pa s"), source=_IAPWS),
        expansion=Tabulated(degrees, ([1e-6 * x for x in expansion], "1/K"), source=_IAPWS),
        source=_IAPWS,
    )


def _ideal_density(pascal: float, T: Expression) -> Expression:
    density: Expression = (pascal * _AIR / _GAS_CONSTANT, "kg K/m^3") / T
    return density


def _reciprocal(T: Expression) -> Expression:
    return 1.0 / T
