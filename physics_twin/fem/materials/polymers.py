"""Polymers: values of room temperature, far below the glass transition, each with its publication."""

from physics_twin.fem.materials.solid import Solid

_PLEXIGLAS = "Plexiglas GS, data sheet of the manufacturer, 23 degC"


def pmma() -> Solid:
    """Return cast acrylic glass (PMMA), 0 degC to 50 degC; no yield stress and no emissivity.

    Softening begins near 80 degC; fire and pyrolysis need temperature-dependent data and reactions of your own.
    """
    return Solid(
        name="pmma",
        conductivity="0.19 W/m/K",
        heat_capacity="1470 J/kg/K",
        density="1190 kg/m^3",
        youngs_modulus="3.3 GPa",
        poissons_ratio="0.37",
        thermal_expansion="70e-6 1/K",
        source=_PLEXIGLAS,
        validity=("0 degC", "50 degC"),
    )


def epoxy() -> Solid:
    """Return unfilled, fully cured epoxy (bisphenol A, anhydride hardener) at room temperature, 0 degC to 50 degC.

    Epoxies differ: modulus 2.5 to 4.2 GPa, expansion 45 to 80e-6 1/K. Heat capacity and conductivity of yours belong
    in a `replace`, and the curing one is a reaction.
    """
    return Solid(
        name="epoxy",
        conductivity="0.19 W/m/K",
        heat_capacity="1050 J/kg/K",
        density="1200 kg/m^3",
        youngs_modulus="3.35 GPa",
        poissons_ratio="0.35",
        thermal_expansion="58e-6 1/K",
        source="thermal: Callister, Materials Science and Engineering, tables B.7, B.8; density: Kaw, Mechanics of "
        "Composite Materials, typical matrices; elastic, expansion: Soden, Hinton, Kaddour, Compos. Sci. Technol. "
        "58 (1998) 1011, matrix MY750/HY917/DY063",
        validity=("0 degC", "50 degC"),
    )
