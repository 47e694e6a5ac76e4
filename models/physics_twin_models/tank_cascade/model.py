"""n stirred tanks in series; each drains into the next by gravity.

Volume, tracer and heat balances of stirred tanks; the outlet follows Torricelli's law, flow = C_d a sqrt(2 g h).
At steady flow the chain is the tanks-in-series model of Levenspiel, Chemical Reaction Engineering (3rd ed.),
chapter 14, with E(t) = t^(n-1) / (tau^n (n-1)!) exp(-t/tau) for n equal tanks of residence time tau.

Torricelli's law has an infinite slope at an empty tank. Below _FILM the flow falls linearly with the level instead,
h / (h^2 + _FILM^2)^(1/4) for sqrt(h): 2.5e-9 relative at 0.1 m, and a tank can run dry without a singular Jacobian.
"""

import physics_twin as pt

_FILM = "1e-5 m"
_G = "9.80665 m/s^2"


def tank_cascade(n: int = 3) -> pt.ProcessModel:
    """Levels, tracer concentrations and temperatures of `n` equal tanks; tank 1 is the one that is fed.

    Inputs: pump flow, tracer concentration and temperature of the feed. Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"tank_cascade: n = {n}; a cascade has at least one tank")
    m = pt.ProcessBuilder(
        "tank_cascade" if n == 3 else f"tank_cascade_{n}",
        version="1.0",
        description=f"{n} stirred tanks in series with gravity outlets, tracer and heat",
    )
    tank_area = m.parameter(
        "tank_area", "0.1 m^2", bounds=("1e-3 m^2", "100 m^2"), description="cross-section of each tank"
    )
    outlet_area = m.parameter(
        "outlet_area", "2 cm^2", bounds=("0.01 cm^2", "1000 cm^2"), description="cross-section of each outlet"
    )
    density = m.parameter("density", "998 kg/m^3", bounds=("500 kg/m^3", "2000 kg/m^3"), description="of the liquid")
    heat_capacity = m.parameter(
        "heat_capacity", "4182 J/kg/K", bounds=("1000 J/kg/K", "5000 J/kg/K"), description="of the liquid"
    )
    heat_loss = m.parameter(
        "heat_loss", "5 W/K", bounds=("0 W/K", "1000 W/K"), description="conductance from each tank to the room"
    )
    ambient = m.parameter(
        "ambient_temperature", "20 degC", bounds=("-20 degC", "60 degC"), description="temperature of the room"
    )
    pump_flow = m.input("pump_flow", "L/min", description="feed into tank 1")
    feed_tracer = m.input("feed_tracer", "g/L", description="tracer in the feed")
    feed_temperature = m.input("feed_temperature", "degC", description="temperature of the feed")

    gravity, film = m.constant(_G), m.constant(_FILM)
    inflow, tracer_in, temperature_in = pump_flow, feed_tracer, feed_temperature
    total = 0.0 * m.constant("1 m^3")
    for k in range(1, n + 1):
        discharge_coefficient = m.parameter(
            f"discharge_coefficient_{k}",
            0.62,
            bounds=(0.05, 1.0),
            description=f"C_d of the outlet of tank {k}",
            source="sharp-edged orifice, any textbook of hydraulics",
        )
        level = m.state(f"level_{k}", "m", initial="0.2 m", scale="0.1 m", lower="0 m", description=f"tank {k}")
        tracer = m.state(f"tracer_{k}", "g/L", initial="0 g/L", lower="0 g/L", description=f"tank {k}")
        temperature = m.state(f"temperature_{k}", "degC", initial="20 degC", description=f"tank {k}")
        root = level / (level**2 + film**2) ** 0.25
        outflow = discharge_coefficient * outlet_area * pt.sqrt(2.0 * gravity) * root
        volume = tank_area * pt.maximum(level, film)
        loss = heat_loss * (temperature - ambient)
        m.rate(level, (inflow - outflow) / tank_area)
        m.rate(tracer, inflow * (tracer_in - tracer) / volume)
        m.rate(
            temperature,
            (inflow * (temperature_in - temperature) - loss / (density * heat_capacity)) / volume,
        )
        m.output(f"level_{k}", level, description=f"level in tank {k}")
        m.output(f"tracer_{k}", tracer, description=f"tracer in tank {k}")
        m.output(f"temperature_{k}", temperature, description=f"temperature of tank {k}")
        m.valid(f"level_{k}", "0.01 m", "2 m")
        total = total + tank_area * level
        inflow, tracer_in, temperature_in = outflow, tracer, temperature
    discharged = m.accumulator("discharged_volume", "L", inflow, description="out of the last tank since the start")
    pumped = m.accumulator("pumped_volume", "L", pump_flow, description="into tank 1 since the start")
    m.output("outlet_flow", inflow, unit="L/min", description="flow out of the last tank")
    m.output("stored_volume", total, unit="L", description="in all tanks")
    m.output("discharged_volume", discharged, unit="L", description="out of the last tank since the start")
    m.output("pumped_volume", pumped, unit="L", description="into tank 1 since the start")
    m.valid("pump_flow", "0 L/min", "100 L/min")
    m.valid("feed_temperature", "1 degC", "95 degC")
    return m.build()
