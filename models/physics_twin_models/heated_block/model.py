"""Two electric heaters side by side, each with a sensor: convection and radiation to the room and between them.

The energy balance of the Temperature Control Lab, Hedengren et al., APMonitor (arduino @f36e65a, "energy balance,
MIMO"; nominal values from there), with a first-order lag of each sensor:

    m c dT1/dt = alpha1 Q1 + U A (T_a - T1) + eps sigma A (T_a^4 - T1^4)
                           + U_s A_s (T2 - T1) + eps sigma A_s (T2^4 - T1^4)
    tau dS1/dt = T1 - S1                                      and the same for 2 with 1 and 2 exchanged
"""

import os
from dataclasses import replace

import physics_twin as pt

_SOURCE = "Temperature Control Lab, APMonitor/arduino @f36e65a"
THERMISTOR_NOISE = pt.EstimatedNoise("0.5 K", shared="thermistor")
_SIGMA = "5.670374419e-8 W/m^2/K^4"  # CODATA 2018


def heated_block() -> pt.ProcessModel:
    """Temperatures of two heaters and of their sensors; inputs are the heaters in percent of full power."""
    m = pt.ProcessBuilder(
        "heated_block", version="1.0", description="Two heaters and two sensors with convection and radiation"
    )
    film = m.parameter(
        "film_coefficient",
        "10 W/m^2/K",
        bounds=("0.5 W/m^2/K", "100 W/m^2/K"),
        description="U, heater to room",
        source=_SOURCE,
    )
    exchange = m.parameter(
        "exchange_coefficient",
        "10 W/m^2/K",
        bounds=("0 W/m^2/K", "100 W/m^2/K"),  # zero is physical, and what short records may say
        description="U_s, between the heaters",
        source=_SOURCE,
    )
    gains = [
        m.parameter(
            f"heater_{k}_gain",
            f"{nominal} W/percent",
            bounds=("1e-4 W/percent", "0.1 W/percent"),
            description=f"alpha{k}, power of heater {k} per percent",
            source=_SOURCE,
        )
        for k, nominal in ((1, 0.01), (2, 0.0075))
    ]
    lag = m.parameter(
        "sensor_time_constant",
        "15 s",
        bounds=("0.1 s", "200 s"),
        description="tau, lag of each sensor behind its heater",
        source="reference fit of the record mimo_1s_600 (16.3 s), rounded",
    )
    ambient = m.parameter(
        "ambient_temperature",
        "23 degC",
        bounds=("0 degC", "50 degC"),
        description="of the room, for convection and radiation",
        source="not stated in the source",
    )
    emissivity = m.parameter(
        "emissivity", 0.9, bounds=(0.0, 1.0), description="of heaters and heat sinks", source=_SOURCE
    )
    heat_capacity = m.parameter(
        "heat_capacity",
        "2 J/K",
        bounds=("0.1 J/K", "50 J/K"),
        description="m c of each heater (4 g at 500 J/kg/K)",
        source=_SOURCE,
    )
    area = m.parameter(
        "area", "10 cm^2", bounds=("1 cm^2", "100 cm^2"), description="A, each heater to the room", source=_SOURCE
    )
    exchange_area = m.parameter(
        "exchange_area",
        "2 cm^2",
        bounds=("0.1 cm^2", "20 cm^2"),
        description="A_s, between the heaters",
        source=_SOURCE,
    )
    powers = [m.input(f"heater_{k}", "percent", description=f"heater {k}, of full power") for k in (1, 2)]
    heaters = [
        m.state(
            f"heater_{k}_temperature", "degC", initial="23 degC", lower="0 K", scale="10 K", description=f"heater {k}"
        )
        for k in (1, 2)
    ]
    sensors = [
        m.state(f"sensor_{k}", "degC", initial="23 degC", lower="0 K", scale="10 K", description=f"sensor {k}")
        for k in (1, 2)
    ]

    sigma = m.constant(_SIGMA)
    t1, t2 = heaters
    to_2 = exchange * exchange_area * (t1 - t2) + emissivity * sigma * exchange_area * (t1**4 - t2**4)
    supplied = 0.0 * m.constant("1 W")
    lost = 0.0 * m.constant("1 W")
    for t, sensor, gain, percent, leaving in zip(heaters, sensors, gains, powers, (to_2, -to_2), strict=True):
        power = gain * percent
        loss = film * area * (t - ambient) + emissivity * sigma * area * (t**4 - ambient**4)
        m.rate(t, (power - loss - leaving) / heat_capacity)
        m.rate(sensor, (t - sensor) / lag)
        supplied, lost = supplied + power, lost + loss
    supplied_energy = m.accumulator("supplied_energy", "J", supplied, description="into both heaters")
    lost_energy = m.accumulator("lost_energy", "J", lost, description="from both heaters to the room")

    for k in (1, 2):
        m.output(f"temperature_{k}", sensors[k - 1], unit="degC", description=f"reading of sensor {k}")
        m.output(f"heater_{k}_temperature", heaters[k - 1], description=f"temperature of heater {k}")
        m.valid(f"heater_{k}", "0 percent", "100 percent")
        m.valid(f"temperature_{k}", "0 degC", "100 degC")
    m.output("supplied_energy", supplied_energy, unit="J", description="into both heaters since the start")
    m.output("lost_energy", lost_energy, unit="J", description="to the room since the start")
    m.valid("ambient_temperature", "10 degC", "35 degC")
    return m.build()


def experiment(
    path: "str | os.PathLike[str]", *, noise: pt.EstimatedNoise | pt.Noise = THERMISTOR_NOISE
) -> pt.Experiment:
    """A record of the Temperature Control Lab in the layout of `mimo_1s_600.csv`: time, heaters, temperatures.

    noise: of both temperatures, by default one unknown level. Heaters and sensors begin at the first reading of their
    sensor.
    """
    found = pt.Experiment.from_csv(
        path,
        time="Time (sec)",
        inputs={
            "heater_1": pt.Column("Heater 1 (%)", "percent", pt.HOLD),
            "heater_2": pt.Column("Heater 2 (%)", "percent", pt.HOLD),
        },
        channels=[
            pt.Channel(f"temperature_{k}", column=f"Temperature {k} (degC)", unit="degC", noise=noise) for k in (1, 2)
        ],
    )
    start = {k: (float(found[f"temperature_{k}"].values[0]), "K") for k in (1, 2)}
    initial = {f"heater_{k}_temperature": start[k] for k in (1, 2)} | {f"sensor_{k}": start[k] for k in (1, 2)}
    return replace(found, recipe=found.recipe.replace(initial=initial))
