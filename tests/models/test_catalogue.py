"""Every model of the catalogue holds the contract of the library: one row a model."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import check_model
from physics_twin_models import CATALOGUE

HOT = {"feed_temperature": "350 K", "feed_concentration": "1 mol/L", "feed_flow": "100 L/min"}

# A rod's source is turned up, then the room warms: steady states follow the recipe.
LOADED = pt.Recipe(
    [
        pt.Phase("up", heat_flux=pt.ramp("5 W/cm^2", "15 W/cm^2"), ambient_temperature="20 degC", duration="5 s"),
        pt.Phase("warmer", heat_flux="15 W/cm^2", ambient_temperature=pt.ramp("20 degC", "30 degC"), duration="5 s"),
    ]
)

# model -> (recipe, times in s): input jumps, ramps, a dose, a phase that ends on a level, where the model has inputs
ROWS = {
    "alpha_pinene": (pt.Recipe.constant(), np.linspace(0.0, 36420.0 * 60.0, 9)),
    "electric_furnace": (
        pt.Recipe(
            [
                pt.Phase("heat", zone_temperature_setpoint=pt.ramp("20 degC", "900 degC"), duration="90 min"),
                pt.Phase("soak", zone_temperature_setpoint="900 degC", duration="2 h"),
            ]
        ),
        np.linspace(0.0, 12_000.0, 9),
    ),
    "furnace": (
        pt.Recipe(
            [
                pt.Phase("heat", gas_temperature=pt.ramp("20 degC", "920 degC"), duration="90 min"),
                pt.Phase(
                    "soak", gas_temperature="920 degC", until=pt.reaches("core_temperature", "800 degC"), at_most="6 h"
                ),
                pt.Phase("quench", gas_temperature="60 degC", duration="2 h"),
            ]
        ),
        np.linspace(0.0, 12_000.0, 9),
    ),
    "gas_oil": (pt.Recipe.constant(), np.linspace(0.0, 3420.0, 9)),
    "heated_block": (
        pt.Recipe(
            [
                pt.Phase("first", heater_1="80 percent", heater_2="0 percent", duration="5 min"),
                pt.Phase("both", heater_2="60 percent", duration="5 min"),
            ]
        ),
        np.linspace(0.0, 590.0, 9),
    ),
    "heated_furnace": (
        pt.Recipe(
            [
                pt.Phase("heat", heater_power="150 kW", duration="90 min"),
                pt.Phase("soak", heater_power=pt.ramp("40 kW", "15 kW"), duration="2 h"),
            ]
        ),
        np.linspace(0.0, 12_000.0, 9),
    ),
    "heated_rod": (LOADED, np.linspace(0.0, 9.0, 4)),
    "heated_rod_3d": (LOADED, np.linspace(0.0, 9.0, 4)),
    "jacketed_reactor": (
        pt.Recipe(
            [
                pt.Phase("cool", coolant_temperature="300 K", **HOT, duration="2 min"),
                pt.Phase("warm", coolant_temperature=pt.ramp("300 K", "302 K"), duration="4 min"),
            ]
        ),
        np.linspace(0.0, 350.0, 9),
    ),
    "methanol": (pt.Recipe.constant(), np.linspace(0.0, 4039.2, 9)),
    "plate_with_hole": (
        pt.Recipe(
            [
                pt.Phase("pull", force=pt.ramp("0 N", "6 kN"), duration="5 s"),
                pt.Phase("hold", force="6 kN", duration="5 s"),
            ]
        ),
        np.linspace(0.0, 9.0, 4),
    ),
    "pmma_calorimetry": (
        pt.Recipe(
            [
                pt.Phase(
                    "heat",
                    temperature=pt.ramp("400 K", "640 K"),
                    heating_rate="0.2 K/s",
                    thermometer_error="1 K",
                    duration="20 min",
                ),
                pt.Phase("hold", temperature="640 K", heating_rate="0 K/s", duration="5 min"),
            ]
        ),
        np.linspace(0.0, 1490.0, 9),
    ),
    "pmma_decomposition": (
        pt.Recipe(
            [
                pt.Phase("heat", temperature=pt.ramp("400 K", "640 K"), thermometer_error="1 K", duration="20 min"),
                pt.Phase("hold", temperature="640 K", duration="5 min"),
            ]
        ),
        np.linspace(0.0, 1490.0, 9),
    ),
    "pyrolyzing_slab": (
        pt.Recipe(
            [
                pt.Phase(
                    "rise",
                    flux=pt.ramp("20 kW/m^2", "60 kW/m^2"),
                    gas_temperature="365 K",
                    back_gas_temperature="303 K",
                    duration="10 s",
                ),
                pt.Phase("hold", flux="60 kW/m^2", duration="20 s"),
            ]
        ),
        np.linspace(0.0, 27.0, 4),
    ),
    "tank_cascade": (
        pt.Recipe(
            [
                pt.Phase(
                    "water", pump_flow="12 L/min", feed_tracer="0 g/L", feed_temperature="60 degC", duration="5 min"
                ),
                pt.Phase("tracer", start=[pt.dose("tracer_1", "2 g/L")], feed_tracer="1 g/L", duration="20 min"),
            ]
        ),
        np.linspace(0.0, 1400.0, 9),
    ),
}


def test_every_model_has_a_row():
    """A model that enters the catalogue enters this suite."""
    assert [factory.__name__ for factory in CATALOGUE] == sorted(ROWS)


# A running maximum, followed at hundreds of nodes; a field with 29 parameters.
SLOW = {"electric_furnace", "furnace", "heated_furnace", "pyrolyzing_slab"}
ACCURACY = {"pyrolyzing_slab": 5e-3}  # loss rates are interpolated within steps of 1e-3; 1e-6 elsewhere
WRT = {"pyrolyzing_slab": ("conductivity", "absorption", "emissivity", "main_rate", "initial.temperature")}  # else all


@pytest.mark.parametrize(
    "factory",
    [
        pytest.param(factory, id=factory.__name__, marks=[pytest.mark.slow] if factory.__name__ in SLOW else [])
        for factory in CATALOGUE
    ],
)
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")  # absurd values end in one
def test_model_holds_the_contract(factory, spawned):
    """Same bits from same arguments, split runs agree, derivatives pass Taylor tests, the model travels."""
    recipe, times = ROWS[factory.__name__]
    name = factory.__name__
    accuracy = ACCURACY.get(name, 1e-6)
    check_model(factory(), recipe=recipe, times=times, wrt=WRT.get(name), accuracy=accuracy, executor=spawned)
