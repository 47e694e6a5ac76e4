"""Film coefficients of common flows, from the correlations in the libraries `ht` and `fluids` (Caleb Bell, MIT).

The correlations and their constants are theirs; what is added here are units, properties of the fluid at the film
temperature, and the range outside which a correlation is not to be believed. They agree with measurements to about
20 %: as a start and a prior for calibration, not as a truth.
"""

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from physics_twin.errors import BoundsError, ModelError
from physics_twin.fem.materials.fluids import Fluid, FluidState
from physics_twin.fem.materials.temperature_law import Outside
from physics_twin.units import QuantityLike, Unit, format_number, format_si, to_si

_GRAVITY = 9.80665  # m/s^2, standard
_LAMINAR_PLATE = 5e5  # Reynolds number at which a boundary layer on a smooth plate becomes turbulent
_LAMINAR_PIPE = 2300.0


@dataclass(frozen=True)
class FilmCoefficient:
    """A film coefficient and how it came about.

    value: W/m^2/K, over the whole surface. Reynolds or Rayleigh number: None where the correlation has none; both, and
    the Nusselt number, with `length` (m). film_temperature: K, where the fluid's properties were taken. range: where
    the correlation holds; held: whether this was outside, and the Nusselt number is that of the end of the range.
    """

    value: float
    nusselt: float
    prandtl: float
    reynolds: float | None
    rayleigh: float | None
    length: float
    film_temperature: float
    fluid: str
    correlation: str
    source: str
    range: str
    held: bool

    @property
    def quantity(self) -> tuple[float, str]:
        """The film coefficient as models take it: (number, "W/m^2/K")."""
        return self.value, "W/m^2/K"

    def __repr__(self) -> str:
        numbers = [("Re", self.reynolds), ("Ra", self.rayleigh), ("Pr", self.prandtl), ("Nu", self.nusselt)]
        shown = ", ".join(f"{name} {format_number(x, 4)}" for name, x in numbers if x is not None)
        at = format_si(self.film_temperature, Unit("degC"))
        held = "; outside, held" if self.held else ""
        return (
            f"FilmCoefficient({format_number(self.value, 4)} W/m^2/K in {self.fluid} at {at}: {shown}; "
            f"{self.correlation}, {self.range}{held})"
        )


def plate_forced(
    velocity: QuantityLike,
    length: QuantityLike,
    *,
    fluid: Fluid,
    film_temperature: QuantityLike,
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean over a flat plate of `length` along a free stream.

    Laminar up to a Reynolds number of 5e5, above it turbulent from the leading edge on, up to 1e7.
    """
    speed, extent = _positive("velocity", velocity, "m/s"), _positive("length", length, "m")
    state = fluid.at(film_temperature)
    reynolds = speed * extent / state.kinematic_viscosity
    if reynolds < _LAMINAR_PLATE:
        ends, name = (1e2, _LAMINAR_PLATE), "laminar plate (Pohlhausen)"
        source = "Baehr and Stephan, Heat and Mass Transfer, 2013"
    else:
        ends, name = (_LAMINAR_PLATE, 1e7), "turbulent plate (Schlichting)"
        source = "Schlichting and Gersten, Grenzschicht-Theorie, 1997; VDI Heat Atlas G4"
    check = _Check(name, outside, (("Re", reynolds, *ends), ("Pr", state.prandtl, 0.6, 2000.0)))
    re, pr = check.values
    function = "Nu_horizontal_plate_laminar_Baehr" if reynolds < _LAMINAR_PLATE else _SCHLICHTING
    nusselt = float(getattr(_ht(), function)(Re=re, Pr=pr))
    return _result(nusselt, state, fluid, extent, check, source, reynolds=reynolds)


def cylinder_crossflow(
    velocity: QuantityLike,
    diameter: QuantityLike,
    *,
    fluid: Fluid,
    film_temperature: QuantityLike,
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean around a cylinder in cross flow; `velocity` is that of the free stream."""
    speed, extent = _positive("velocity", velocity, "m/s"), _positive("diameter", diameter, "m")
    state = fluid.at(film_temperature)
    reynolds = speed * extent / state.kinematic_viscosity
    low = 0.2 / state.prandtl  # the published condition is on the product Re Pr
    check = _Check("cylinder in cross flow (Churchill and Bernstein)", outside, (("Re", reynolds, low, 4e5),))
    nusselt = float(_ht().Nu_cylinder_Churchill_Bernstein(Re=check.values[0], Pr=state.prandtl))
    source = "Churchill and Bernstein, J. Heat Transfer 99 (1977) 300"
    return _result(nusselt, state, fluid, extent, check, source, reynolds=reynolds)


def pipe_internal(
    velocity: QuantityLike,
    diameter: QuantityLike,
    *,
    fluid: Fluid,
    bulk_temperature: QuantityLike,
    length: QuantityLike | None = None,
    roughness: QuantityLike = "0 m",
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean inside a round pipe with a wall of one temperature; `velocity` is the mean over the section.

    Laminar below a Reynolds number of 2300: fully developed, or with the thermal entry of a pipe of `length`.
    Turbulent above, fully developed (ten diameters and more): with the friction factor of the `roughness`.
    """
    speed, extent = _positive("velocity", velocity, "m/s"), _positive("diameter", diameter, "m")
    pipe = None if length is None else _positive("length", length, "m")
    rough = to_si(roughness, Unit("m"), name="roughness")
    if not 0.0 <= rough <= 0.05 * extent:
        raise BoundsError(
            f"roughness = {format_si(rough, Unit('mm'))} is outside [0, 5] % of the diameter, where friction is known"
        )
    state = fluid.at(bulk_temperature)
    reynolds = speed * extent / state.kinematic_viscosity
    if reynolds < _LAMINAR_PIPE:
        if pipe is None:
            check = _Check("laminar pipe, developed", outside, (("Re", reynolds, 0.0, _LAMINAR_PIPE),))
            nusselt, source = float(_ht().laminar_T_const()), "exact for a wall of one temperature"
        else:
            limits = [("Re", reynolds, 0.0, _LAMINAR_PIPE), ("Pr", state.prandtl, 0.6, math.inf)]
            check = _Check("laminar pipe with thermal entry (Hausen)", outside, limits)
            nusselt = float(_ht().laminar_entry_thermal_Hausen(Re=reynolds, Pr=check.values[1], L=pipe, Di=extent))
            source = "Hausen, VDI Z. Beih. Verfahrenstech. 4 (1943) 91"
    else:
        limits = [("Re", reynolds, 3000.0, 5e6), ("Pr", state.prandtl, 0.5, 2000.0)]
        if pipe is not None:
            limits.append(("length/diameter", pipe / extent, 10.0, math.inf))
        check = _Check("turbulent pipe (Gnielinski)", outside, limits)
        re, pr = check.values[:2]
        friction = float(_import("fluids").friction_factor(Re=re, eD=rough / extent))
        nusselt = float(_ht().turbulent_Gnielinski(Re=re, Pr=pr, fd=friction))
        source = "Gnielinski, Int. Chem. Eng. 16 (1976) 359"
    return _result(nusselt, state, fluid, extent, check, source, reynolds=reynolds)


def plate_vertical_free(
    surface_temperature: QuantityLike,
    ambient_temperature: QuantityLike,
    height: QuantityLike,
    *,
    fluid: Fluid,
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean over a vertical plate of `height` in still fluid."""
    flow = _Buoyant(surface_temperature, ambient_temperature, _positive("height", height, "m"), fluid)
    check = _Check("vertical plate (Churchill and Chu)", outside, (("Ra", flow.rayleigh, 0.1, 1e12),))
    nusselt = float(_ht().Nu_vertical_plate_Churchill(Pr=flow.prandtl, Gr=check.values[0] / flow.prandtl))
    source = "Churchill and Chu, Int. J. Heat Mass Transfer 18 (1975) 1323"
    return _result(nusselt, flow.state, fluid, flow.length, check, source, rayleigh=flow.rayleigh)


def plate_horizontal_free(
    surface_temperature: QuantityLike,
    ambient_temperature: QuantityLike,
    characteristic_length: QuantityLike,
    *,
    facing_up: bool,
    fluid: Fluid,
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean over one side of a horizontal plate in still fluid: its upper side (`facing_up`) or its lower.

    `characteristic_length` is area over perimeter; half the width for a long strip.
    """
    length = _positive("characteristic_length", characteristic_length, "m")
    flow = _Buoyant(surface_temperature, ambient_temperature, length, fluid)
    free_to_rise = facing_up == flow.hot  # warm fluid above, or cold fluid below, leaves the surface
    ends = (1e4, 1e11) if free_to_rise else (1e5, 1e10)
    side = "plume leaves" if free_to_rise else "plume is blocked"
    check = _Check(f"horizontal plate, {side} (McAdams)", outside, (("Ra", flow.rayleigh, *ends),))
    gr = check.values[0] / flow.prandtl
    nusselt = float(_ht().Nu_horizontal_plate_McAdams(Pr=flow.prandtl, Gr=gr, buoyancy=free_to_rise))
    source = "McAdams, Heat Transmission, 1954"
    return _result(nusselt, flow.state, fluid, flow.length, check, source, rayleigh=flow.rayleigh)


def cylinder_horizontal_free(
    surface_temperature: QuantityLike,
    ambient_temperature: QuantityLike,
    diameter: QuantityLike,
    *,
    fluid: Fluid,
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean around a long horizontal cylinder in still fluid."""
    flow = _Buoyant(surface_temperature, ambient_temperature, _positive("diameter", diameter, "m"), fluid)
    check = _Check("horizontal cylinder (Churchill and Chu)", outside, (("Ra", flow.rayleigh, 1e-5, 1e12),))
    nusselt = float(_ht().Nu_horizontal_cylinder_Churchill_Chu(Pr=flow.prandtl, Gr=check.values[0] / flow.prandtl))
    source = "Churchill and Chu, Int. J. Heat Mass Transfer 18 (1975) 1049"
    return _result(nusselt, flow.state, fluid, flow.length, check, source, rayleigh=flow.rayleigh)


def sphere_free(
    surface_temperature: QuantityLike,
    ambient_temperature: QuantityLike,
    diameter: QuantityLike,
    *,
    fluid: Fluid,
    outside: Outside = Outside.ERROR,
) -> FilmCoefficient:
    """Return the mean around a sphere in still fluid."""
    flow = _Buoyant(surface_temperature, ambient_temperature, _positive("diameter", diameter, "m"), fluid)
    # Published for Prandtl numbers of 0.7 and more, by which air is meant; its number falls to 0.68 at 550 K.
    limits = (("Ra", flow.rayleigh, 0.0, 1e13), ("Pr", flow.prandtl, 0.68, math.inf))
    check = _Check("sphere (Churchill)", outside, limits)
    ra, pr = check.values
    nusselt = float(_ht().Nu_sphere_Churchill(Pr=pr, Gr=ra / pr))
    source = "Churchill, in Heat Exchanger Design Handbook, 1983, 2.5.7"
    return _result(nusselt, flow.state, fluid, flow.length, check, source, rayleigh=flow.rayleigh)


_SCHLICHTING = "Nu_horizontal_plate_turbulent_Schlichting"


class _Buoyant:
    """A surface in still fluid: properties at the mean of both temperatures, and the Rayleigh number with `length`."""

    def __init__(self, surface: QuantityLike, ambient: QuantityLike, length: float, fluid: Fluid) -> None:
        hot = to_si(surface, Unit("K"), name="surface_temperature")
        cold = to_si(ambient, Unit("K"), name="ambient_temperature")
        if hot == cold:
            raise BoundsError("surface_temperature and ambient_temperature are equal: nothing flows")
        self.length = length
        self.state = fluid.at((0.5 * (hot + cold), "K"))
        if not self.state.expansion > 0.0:
            raise BoundsError(
                f"{fluid.name} at {format_si(self.state.temperature, Unit('degC'))} contracts when it is heated; these "
                "correlations are for fluids that expand"
            )
        self.hot = hot > cold
        self.prandtl = self.state.prandtl
        drive = _GRAVITY * self.state.expansion * abs(hot - cold) * length**3
        self.rayleigh = drive / (self.state.kinematic_viscosity * self.state.diffusivity)


class _Check:
    """The numbers of a correlation against its range: raised outside, or brought to the end that is held."""

    def __init__(self, correlation: str, outside: Outside, limits: Sequence[tuple[str, float, float, float]]) -> None:
        self.correlation = correlation
        self.range = ", ".join(_interval(name, low, high) for name, _, low, high in limits)
        self.values = [min(max(x, low), high) for _, x, low, high in limits]
        wrong = [(limit, held) for limit, held in zip(limits, self.values, strict=True) if limit[1] != held]
        self.held = bool(wrong)
        if wrong and outside is Outside.ERROR:
            name, x, low, high = wrong[0][0]
            raise BoundsError(
                f"{name} = {format_number(x, 4)} is outside {_interval(name, low, high)}, the range of the correlation "
                f"{correlation}; check velocity, length and temperatures, or declare outside=Outside.HOLD"
            )


def _interval(name: str, low: float, high: float) -> str:
    if math.isinf(high):
        return f"{name} from {format_number(low, 4)}"
    return f"{name} {low:.4g} to {high:.4g}"


def _result(
    nusselt: float,
    state: FluidState,
    fluid: Fluid,
    length: float,
    check: _Check,
    source: str,
    *,
    reynolds: float | None = None,
    rayleigh: float | None = None,
) -> FilmCoefficient:
    return FilmCoefficient(
        value=nusselt * state.conductivity / length,
        nusselt=nusselt,
        prandtl=state.prandtl,
        reynolds=reynolds,
        rayleigh=rayleigh,
        length=length,
        film_temperature=state.temperature,
        fluid=fluid.name,
        correlation=check.correlation,
        source=source,
        range=check.range,
        held=check.held,
    )


def _positive(name: str, quantity: QuantityLike, unit: str) -> float:
    number = to_si(quantity, Unit(unit), name=name)
    if not number > 0.0:
        raise BoundsError(f"{name} = {format_si(number, Unit(unit))} must be above zero")
    return number


def _ht() -> Any:
    return _import("ht")


def _import(name: str) -> Any:
    # Imported when first needed: they take an eighth of a second and the rest of the library does without.
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"film coefficients need the libraries ht and fluids: pip install 'physics-twin[fem]', or pip install ht "
            f"({error})"
        ) from error
