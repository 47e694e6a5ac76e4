"""A -> B in a continuously stirred tank with a cooling jacket, constant volume.

Seborg, Edgar, Mellichamp and Doyle, Process Dynamics and Control, chapter 2 (example of the nonlinear CSTR), with the
parameters of Henson and Seborg, Nonlinear Process Control (1997), chapter 1:

    V dC/dt           = q (C_feed - C) - V k(T) C                          k(T) = k0 exp(-(E/R) / T)
    rho c_p V dT/dt   = rho c_p q (T_feed - T) + (-dH) V k(T) C - U A (T - T_coolant)
"""

import physics_twin as pt

_SOURCE = "Henson and Seborg, Nonlinear Process Control (1997), chapter 1"


def jacketed_reactor() -> pt.ProcessModel:
    """Concentration and temperature; inputs are coolant and feed temperature, feed concentration and feed flow."""
    m = pt.ProcessBuilder(
        "jacketed_reactor", version="1.0", description="Exothermic first-order reaction in a cooled stirred tank"
    )
    volume = m.parameter("volume", "100 L", bounds=("1 L", "1e5 L"), description="reacting volume", source=_SOURCE)
    density = m.parameter(
        "density", "1000 g/L", bounds=("500 g/L", "2000 g/L"), description="of the mixture", source=_SOURCE
    )
    heat_capacity = m.parameter(
        "heat_capacity", "0.239 J/g/K", bounds=("0.1 J/g/K", "10 J/g/K"), description="of the mixture", source=_SOURCE
    )
    heat_of_reaction = m.parameter(
        "heat_of_reaction",
        "-5e4 J/mol",
        bounds=("-5e5 J/mol", "0 J/mol"),
        description="negative: heat is released",
        source=_SOURCE,
    )
    activation_temperature = m.parameter(
        "activation_temperature",
        "8750 K",
        bounds=("1000 K", "30000 K"),
        description="activation energy over the gas constant",
        source=_SOURCE,
        difference=True,
    )
    rate_factor = m.parameter(
        "rate_factor", "7.2e10 1/min", bounds=("1e3 1/min", "1e20 1/min"), description="k0 of Arrhenius", source=_SOURCE
    )
    wall_conductance = m.parameter(
        "wall_conductance",
        "5e4 J/min/K",
        bounds=("0 J/min/K", "1e7 J/min/K"),
        description="U A between contents and coolant",
        source=_SOURCE,
    )
    coolant_temperature = m.input("coolant_temperature", "K", description="mean temperature in the jacket")
    feed_temperature = m.input("feed_temperature", "K", description="temperature of the feed")
    feed_concentration = m.input("feed_concentration", "mol/L", description="A in the feed")
    feed_flow = m.input("feed_flow", "L/min", description="feed and discharge")

    temperature = m.state("temperature", "K", initial="324.475 K", lower="0 K", description="of the contents")
    concentration = m.state("concentration", "mol/L", initial="0.87725 mol/L", lower="0 mol/L", description="A")

    rate = rate_factor * pt.exp(-activation_temperature / temperature) * concentration
    heat_release = -heat_of_reaction * volume * rate
    heat_removal = wall_conductance * (temperature - coolant_temperature)
    heat_content = density * heat_capacity
    m.rate(concentration, feed_flow / volume * (feed_concentration - concentration) - rate)
    m.rate(
        temperature,
        feed_flow / volume * (feed_temperature - temperature) + (heat_release - heat_removal) / (heat_content * volume),
    )

    m.output("temperature", temperature, description="temperature of the contents")
    m.output("concentration", concentration, description="concentration of A in the discharge")
    m.output("heat_release", heat_release, unit="kW", description="heat of reaction")
    m.output("heat_removal", heat_removal, unit="kW", description="heat into the coolant")
    m.valid("temperature", "280 K", "500 K")
    m.valid("coolant_temperature", "273 K", "373 K")
    m.valid("feed_temperature", "280 K", "400 K")
    m.valid("feed_concentration", "0 mol/L", "2 mol/L")
    m.valid("feed_flow", "0 L/min", "1000 L/min")
    return m.build()
