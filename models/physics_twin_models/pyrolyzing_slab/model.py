"""A slab of PMMA under radiant heating in nitrogen: it absorbs in depth, decomposes, shrinks and leaves a hot foil.

Coordinates are those of the material as it was at the start, x from the back to the irradiated front. With Y(x, t) the
share of mass that is left at a point, all lengths there have shrunk to Y of what they were, so that per initial volume

    rho Y c dT/dt = d/dx (k/Y dT/dx) + kappa Y G - rho sum_i h_i r_i          r_i: what is lost, of the initial mass
    G = q exp(-integral from x to the front of kappa Y dx)                    Beer-Lambert over what is left above

and the kinetics are those of `pmma_decomposition`. Gas leaves at the temperature of its reaction and at once.
Front: radiation in depth as above (1 - emissivity of it is reflected), emission and convection at the surface.
Back: a thin metal foil that takes up what light arrives, with convection and radiation behind it, or an insulation.
Bubbles turn the melt into a foam that conducts less; without that neither temperatures nor loss rates can be met.

What has gone keeps 0.1 percent of its thickness, so that every layer has a conductance and a capacity.
"""

import inspect
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

import physics_twin as pt
from physics_twin.expressions import constant
from physics_twin.priors import Prior
from physics_twin.units import Unit, to_si
from physics_twin_models.pmma_decomposition import KINETICS, pmma_decomposition
from physics_twin_models.pmma_decomposition.model import GAS_CONSTANT, REFERENCES

if TYPE_CHECKING:
    from physics_twin.fem import FieldModel, Solid

_GONE = 1e-3
_CELLS = 30  # 60 change loss rates by 0.6 percent and temperatures by 0.5 K
_FOIL = "0.1 mm"  # as meshed; its capacity is a parameter
_BLACK = "14450 1/m"  # 1.445 over the foil's one cell: it takes up all that arrives, see HeatAndLight
_TRANSITION = "25 K"  # over which foam forms
_MACFP = "MaCFP material database, PMMA"

_KNOWN: dict[str, Prior] = {
    "volatile_fraction": pt.Normal(0.0315, 0.0009),
    "volatile_rate": pt.LogNormal("5.7e-3 1/s", 0.12),
    "volatile_activation_energy": pt.Normal("88.7 kJ/mol", "6.1 kJ/mol"),
    "weak_fraction": pt.Normal(0.0253, 0.0017),
    "weak_rate": pt.LogNormal("7.8e-3 1/s", 0.17),
    "weak_activation_energy": pt.Normal("160 kJ/mol", "18 kJ/mol"),
    "main_rate": pt.LogNormal("8.74e-3 1/s", 0.11),
    "main_activation_energy": pt.Normal("206 kJ/mol", "2 kJ/mol"),
    "main_order": pt.Normal(1.412, 0.015),
}
"""The posterior of `pmma_decomposition` on 15 records of two laboratories."""


def _parameters() -> list[pt.Parameter]:
    """The material and what surrounds it, with what is known of them before a slab was measured."""
    return [
        pt.Parameter(
            "density",
            "1190 kg/m^3",
            bounds=("1100 kg/m^3", "1300 kg/m^3"),
            prior=pt.Normal("1190 kg/m^3", "12 kg/m^3"),
            description="of the intact material",
            source=f"{_MACFP}: 1177 (NIST-StMU) to 1210 kg/m^3 (UMD)",
        ),
        pt.Parameter(
            "heat_capacity",
            "2350 J/kg/K",
            bounds=("1500 J/kg/K", "3500 J/kg/K"),
            prior=pt.Normal("2350 J/kg/K", "150 J/kg/K"),
            description="at 500 K",
            source="calorimetry: 2236 +- 180; UMD: 2386 J/kg/K",
        ),
        pt.Parameter(
            "heat_capacity_slope",
            "3.7 J/kg/K^2",
            bounds=("0 J/kg/K^2", "8 J/kg/K^2"),
            prior=pt.Normal("3.7 J/kg/K^2", "0.9 J/kg/K^2"),
            description="of the heat capacity over temperature",
            source="calorimetry: 3.7 +- 0.9; UMD: 3.07 J/kg/K^2 above 395 K",
        ),
        pt.Parameter(
            "conductivity",
            "0.2 W/m/K",
            bounds=("0.1 W/m/K", "0.4 W/m/K"),
            prior=pt.LogNormal("0.2 W/m/K", 0.12),
            description="of solid and melt without bubbles",
            source="handbooks: 0.19 to 0.21; UMD: 0.17 W/m/K",
        ),
        pt.Parameter(
            "foam_conductivity",
            "0.06 W/m/K",
            bounds=("5e-3 W/m/K", "0.3 W/m/K"),
            prior=pt.LogNormal("0.06 W/m/K", 0.6),
            description="of the bubbling melt, per initial thickness: it also stands for swelling",
            source="between gas (0.03) and melt",
        ),
        pt.Parameter(
            "foaming_temperature",
            "550 K",
            bounds=("430 K", "680 K"),
            prior=pt.Normal("550 K", "40 K"),
            description="at which half of the change to foam is done",
            source="between loss of volatiles (460 K) and main loss (640 K)",
        ),
        pt.Parameter(
            "absorption",
            "2830 1/m",
            bounds=("500 1/m", "2e4 1/m"),
            prior=pt.LogNormal("2830 1/m", 0.15),
            description="of the intact material for the heater's radiation",
            source=f"{_MACFP}: 2.38 +- 0.23 m^2/kg measured (UMD); 2620 1/m (NIST-StMU)",
        ),
        pt.Parameter(
            "emissivity",
            0.95,
            bounds=(0.7, 1.0),
            prior=pt.Normal(0.95, 0.02),
            description="of the front, also the share of the heater's radiation that enters",
            source=f"{_MACFP}: 0.945 to 0.963",
        ),
        pt.Parameter(
            "film_coefficient",
            "8.6 W/m^2/K",
            bounds=("1 W/m^2/K", "30 W/m^2/K"),
            prior=pt.LogNormal("8.6 W/m^2/K", 0.25),
            description="at the front",
            source=f"{_MACFP}: CAPA II, 8.6 W/m^2/K",
        ),
        pt.Parameter(
            "back_film_coefficient",
            "4 W/m^2/K",
            bounds=("0.5 W/m^2/K", "30 W/m^2/K"),
            prior=pt.LogNormal("4 W/m^2/K", 0.3),
            description="at the back",
            source=f"{_MACFP}: CAPA II, 4 W/m^2/K",
        ),
        pt.Parameter(
            "back_emissivity",
            0.95,
            bounds=(0.5, 1.0),
            prior=pt.Normal(0.95, 0.02),
            description="of the painted foil",
            source=f"{_MACFP}: CAPA II, 0.95",
        ),
        pt.Parameter(
            "foil_capacity",
            "170 J/m^2/K",
            bounds=("10 J/m^2/K", "2000 J/m^2/K"),
            prior=pt.LogNormal("170 J/m^2/K", 0.6),
            description="of foil, glue and paint per area",
            source="0.05 mm of copper; not stated in the source",
        ),
        pt.Parameter(
            "surroundings_temperature",
            "290 K",
            bounds=("250 K", "400 K"),
            description="that the front sees besides the heater: the coolant of the gauge that measured the flux",
            source=f"{_MACFP}: CAPA II",
        ),
        pt.Parameter(
            "heat_of_decomposition",
            "861 kJ/kg",
            bounds=("300 kJ/kg", "2000 kJ/kg"),
            prior=pt.Normal("861 kJ/kg", "45 kJ/kg"),
            description="taken by what both kinds of chains lose",
            source="calorimetry: 861 +- 4; between laboratories 817 to 914 kJ/kg",
        ),
        pt.Parameter(
            "heat_of_volatilization",
            "670 kJ/kg",
            bounds=("0 kJ/kg", "3000 kJ/kg"),
            prior=pt.Normal("670 kJ/kg", "140 kJ/kg"),
            description="taken by the volatiles",
            source="calorimetry: 673 +- 136 kJ/kg",
        ),
    ]


_INSULATION = (
    pt.Parameter(
        "backing_conductivity",
        "0.1 W/m/K",
        bounds=("0.01 W/m/K", "5 W/m/K"),
        prior=pt.LogNormal("0.1 W/m/K", 0.5),
        description="of the insulation behind the slab",
        source="fiber boards and blankets",
    ),
    pt.Parameter(
        "backing_capacity",
        "300 kJ/m^3/K",
        bounds=("10 kJ/m^3/K", "4000 kJ/m^3/K"),
        prior=pt.LogNormal("300 kJ/m^3/K", 0.5),
        description="of the insulation, per volume",
        source="fiber boards and blankets",
    ),
)


def kinetics_from(posterior: pt.Posterior) -> list[pt.Parameter]:
    """What thermogravimetry says of the main loss, as priors: log-normal rate, normal activation energy and order.

    posterior: of `pmma_decomposition`. Each is taken by itself; that they are correlated is left out, which is on the
    safe side. The rate carries the error that all thermometers may have in common.
    """
    declared = pmma_decomposition().parameters
    found = []
    for name in ("main_rate", "main_activation_energy", "main_order"):
        draws, unit = posterior[name], declared[name].unit
        si = unit.si_text
        middle = (float(np.median(draws)), si)
        spread = float(np.std(np.log(draws)) if name == "main_rate" else np.std(draws))
        prior = pt.LogNormal(middle, spread) if name == "main_rate" else pt.Normal(middle, (spread, si))
        found.append(declared[name].replace(value=middle, prior=prior, source="posterior of thermogravimetry"))
    return found


def _kinetics() -> list[pt.Parameter]:
    """As thermogravimetry knows them."""
    declared = pmma_decomposition().parameters
    found = []
    for name in KINETICS:
        given = declared[name]
        prior = _KNOWN.get(name)
        if prior is not None:
            si = prior.in_si(given.unit, name)
            middle = si.median if isinstance(si, pt.LogNormal) else si.mean
            given = given.replace(value=(middle, given.unit.si_text), prior=prior)
        else:
            given = given.replace(value=0.001)  # the residue
        found.append(given.replace(source="posterior of thermogravimetry, NIST and FSRI"))
    return found


def _asking(names: Sequence[str], function: Callable[[SimpleNamespace], Any]) -> Callable[..., Any]:
    """A function of these quantities by name, from one of all of them at once."""

    def asked(**quantities: Any) -> Any:
        return function(SimpleNamespace(**quantities))

    kind = inspect.Parameter.KEYWORD_ONLY
    asked.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # type: ignore[attr-defined]
    return asked


_FRACTIONS = ("volatile_fraction", "weak_fraction", "residue_fraction")
_STATES = ("volatile_left", "weak_left", "main_progress")
_LEFT = (*_FRACTIONS, *_STATES)
_LOST = (*_LEFT, *(f"{name}_rate" for name in _STATES), "density")


def _parts(q: SimpleNamespace) -> tuple[Any, Any, Any]:
    """Volatiles, chains with weak links, other chains: what is left of each, of the initial mass."""
    main_fraction = 1.0 - q.volatile_fraction - q.weak_fraction - q.residue_fraction
    return (
        q.volatile_fraction * q.volatile_left,
        q.weak_fraction * q.weak_left,
        main_fraction * pt.exp(-q.main_progress),
    )


def _left(q: SimpleNamespace) -> Any:
    """Y, the share of mass that is left."""
    volatile, weak, main = _parts(q)
    return q.residue_fraction + volatile + weak + main


def _thickness(q: SimpleNamespace) -> Any:
    """Of a layer, as share of what it was."""
    return _left(q) + _GONE


def _losses(q: SimpleNamespace) -> tuple[Any, Any]:
    """Mass lost per initial volume and time: volatiles, polymer."""
    main = _parts(q)[2] * q.main_progress_rate
    return (
        -q.density * q.volatile_fraction * q.volatile_left_rate,
        q.density * (main - q.weak_fraction * q.weak_left_rate),
    )


def _heat(q: SimpleNamespace) -> Any:
    """Released per initial volume and time: negative."""
    volatile, polymer = _losses(q)
    return -q.heat_of_volatilization * volatile - q.heat_of_decomposition * polymer


def _conductivity(q: SimpleNamespace) -> Any:
    foam = 1.0 / (1.0 + pt.exp((q.foaming_temperature - q.T) / constant(_TRANSITION)))
    return (q.conductivity + (q.foam_conductivity - q.conductivity) * foam) / _thickness(q)


def _rate(part: str, state: str, of: Callable[[Any, Any, SimpleNamespace], Any], *more: str) -> Callable[..., Any]:
    """d(state)/dt of one part, a function of its rate constant (Arrhenius, stated at its reference) and its state."""

    def rate(q: SimpleNamespace) -> Any:
        energy, reference = getattr(q, f"{part}_activation_energy"), getattr(q, f"{part}_rate")
        shift = 1.0 / q.T - 1.0 / constant(REFERENCES[part])
        return of(reference * pt.exp(-energy / constant(GAS_CONSTANT) * shift), getattr(q, state), q)

    return _asking(("T", f"{part}_activation_energy", f"{part}_rate", state, *more), rate)


def _slab() -> "Solid":
    """The material: its properties per length and volume of the initial shape."""
    from physics_twin import fem

    # The order of the main loss needs a logarithm (as in pmma_decomposition); of the others it would grow for ever.
    states = {
        "volatile_left": fem.Local(rate=_rate("volatile", "volatile_left", lambda k, w, q: -k * w), initial=1.0),
        "weak_left": fem.Local(rate=_rate("weak", "weak_left", lambda k, w, q: -k * w), initial=1.0),
        "main_progress": fem.Local(
            rate=_rate("main", "main_progress", lambda k, u, q: k * pt.exp(-(q.main_order - 1.0) * u), "main_order")
        ),
    }
    heats = ("heat_of_volatilization", "heat_of_decomposition")
    return fem.Solid(
        conductivity=_asking(("T", "conductivity", "foam_conductivity", "foaming_temperature", *_LEFT), _conductivity),
        density=_asking(("density", *_LEFT), lambda q: q.density * _thickness(q)),
        heat_capacity=_asking(
            ("T", "heat_capacity", "heat_capacity_slope"),
            lambda q: q.heat_capacity + q.heat_capacity_slope * (q.T - constant("500 K")),
        ),
        reactions=fem.Reactions(states=states, heat=_asking((*_LOST, *heats), _heat)),
    )


def pyrolyzing_slab(thickness: str = "5.8 mm", backing: str | None = None) -> "FieldModel":
    """Temperatures and loss rate of a slab of PMMA; per area, one dimension.

    thickness: at the start. backing: thickness of an insulation behind the foil; without it the foil is free. Inputs:
    flux (kW/m^2, as a cooled gauge shows it) and the temperatures of the gas at front and back; what the back faces is
    as warm as the gas there.
    """
    from physics_twin import fem

    parameters = [*_parameters(), *_kinetics(), *(_INSULATION if backing is not None else ())]
    named = {p.name: p for p in parameters}
    layers = [_FOIL, thickness] if backing is None else [backing, _FOIL, thickness]
    regions = ["foil", "slab"] if backing is None else ["backing", "foil", "slab"]
    cells = [1, _CELLS] if backing is None else [20, 1, _CELLS]
    foil = fem.Solid(
        conductivity="10 W/m/K",
        density="1000 kg/m^3",
        heat_capacity=lambda foil_capacity: foil_capacity / constant(_FOIL) / constant("1000 kg/m^3"),
    )
    insulation = fem.Solid(
        conductivity=_INSULATION[0],
        density="1 kg/m^3",
        heat_capacity=lambda backing_capacity: backing_capacity / constant("1 kg/m^3"),
    )
    materials = {"foil": foil, "slab": _slab()} | ({} if backing is None else {"backing": insulation})
    absorption: dict[str, Any] = dict.fromkeys(regions, _BLACK)
    absorption["slab"] = _asking(("absorption", *_LEFT), lambda q: q.absorption * _thickness(q))
    back_gas, front_gas = pt.Signal("back_gas_temperature", "K"), pt.Signal("gas_temperature", "K")
    heights = np.cumsum([0.0, *(to_si(layer, Unit("m"), name="thickness") for layer in layers)])
    return fem.HeatAndLight(
        mesh=fem.mesh.bar(layers, cells=cells, regions=regions),
        materials=materials,
        absorption=absorption,
        light={"right": _asking(("emissivity", "flux"), lambda q: q.emissivity * q.flux)},
        boundaries={
            "left": [
                fem.Radiation(named["back_emissivity"], back_gas),
                fem.Convection(named["back_film_coefficient"], back_gas),
            ],
            "right": [
                fem.Radiation(named["emissivity"], named["surroundings_temperature"]),
                fem.Convection(named["film_coefficient"], front_gas),
            ],
        },
        initial="298 K",
        sensors={
            "back_temperature": fem.Point((float(heights[-3]), "m")),
            "front_temperature": fem.Point((float(heights[-1]), "m")),
            "mass": fem.Integral(
                "slab", of=_asking(("density", *_LEFT), lambda q: q.density * _left(q)), unit="kg/m^3"
            ),
            "mass_loss_rate": fem.Integral("slab", of=_asking(_LOST, lambda q: sum(_losses(q))), unit="kg/m^3/s"),
            "thickness": fem.Integral("slab", of=_asking(_LEFT, _left), unit="1"),
        },
        parameters=parameters,
        inputs=[pt.Signal("flux", "kW/m^2")],
        stepping=fem.Adaptive("0.5 K", local=1e-3),
        validity={
            "flux": (10e3, 80e3),
            "back_temperature": (273.15, 850.0),
            "front_temperature": (273.15, 900.0),
        },
        name="pyrolyzing_slab",
        version="1.0",
        description="Gasification of a PMMA slab under radiant heating",
    )
