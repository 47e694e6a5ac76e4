"""A heat treatment with a controller: heat up, soak until the core is hot, hold, cool.

What the operator sets is the zone temperature; a PI controller with limits drives the heaters. The soak ends when the
core reaches its temperature, not by the clock, so thicker slabs soak longer.
"""

import physics_twin as pt
from physics_twin_models.heat_treatment import electric_furnace

SOAK = pt.Setting("soak_temperature", "degC", bounds=(880, 960))
HOLD = pt.Setting("hold_time", "min", bounds=(20, 120))
RECIPE = pt.Recipe(
    [
        pt.Phase("heat", zone_temperature_setpoint=pt.ramp("20 degC", SOAK), duration="2 h"),
        pt.Phase(
            "soak", zone_temperature_setpoint=SOAK, until=pt.reaches("core_temperature", "860 degC"), at_most="12 h"
        ),
        pt.Phase("hold", duration=HOLD),
        pt.Phase("cool", zone_temperature_setpoint="60 degC", duration="2 h"),
    ]
)


def main() -> dict[str, float]:
    """Return for slabs of two thicknesses how long the whole treatment takes, in h."""
    model, hours = electric_furnace(load_mass="850 kg"), {}
    for thickness in ("60 mm", "140 mm"):
        run = pt.simulate(
            model,
            recipe=RECIPE,
            values={"soak_temperature": "900 degC", "hold_time": "45 min", "load_thickness": thickness},
        )
        print(run)
        hours[thickness] = float(run.time[-1]) / 3600.0
        energy = float(run.in_units()["energy_used"].values[-1])
        print(f"slabs of {thickness}: {hours[thickness]:.2f} h, {energy:.0f} MJ")
    return hours


if __name__ == "__main__":
    main()
