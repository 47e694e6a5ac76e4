"""Conversion of methanol to hydrocarbons, with a surface species in quasi-steady state.

Maria, Can. J. Chem. Eng. 67 (1989) 825, in the form of the COPS 3.0 problem "methanol". With A the oxygenates
(methanol and dimethyl ether), B the carbene intermediate, C the olefins and D = (theta2 + theta5) A + B:

    dA/dt = -(2 theta2 - theta1 B / D + theta3 + theta4) A
    dB/dt = theta1 A (theta2 A - B) / D + theta3 A
    dC/dt = theta1 A (B + theta5 A) / D + theta4 A

theta2 and theta5 are ratios of rate constants, yet COPS adds 2 theta2 to rates: its equations only balance in the
time unit of the tables. The equation builder refuses them as they stand, so that term carries "1 1/h" in the open.
"""

from importlib import resources

import physics_twin as pt

_SOURCE = "Maria, Can. J. Chem. Eng. 67 (1989) 825; COPS 3.0"


def methanol() -> pt.ProcessModel:
    """Mole fractions over the contact time; no inputs, starts from pure oxygenates."""
    m = pt.ProcessBuilder("methanol", version="1.0", description="Methanol to hydrocarbons, COPS form")
    rates, ratios = ("0 1/h", "100 1/h"), (0.0, 100.0)
    theta1 = m.parameter("theta1", "1 1/h", bounds=rates, description="formation of olefins", source=_SOURCE)
    theta2 = m.parameter("theta2", 1.0, bounds=ratios, description="ratio, oxygenates to carbenes", source=_SOURCE)
    theta3 = m.parameter("theta3", "1 1/h", bounds=rates, description="oxygenates to carbenes", source=_SOURCE)
    theta4 = m.parameter("theta4", "1 1/h", bounds=rates, description="oxygenates to olefins", source=_SOURCE)
    theta5 = m.parameter("theta5", 1.0, bounds=ratios, description="ratio, olefins from oxygenates", source=_SOURCE)
    per_hour = m.constant("1 1/h")
    a = m.state("oxygenates", "1", initial=1.0, lower=0.0)
    b = m.state("carbenes", "1", initial=0.0, lower=0.0)
    c = m.state("olefins", "1", initial=0.0, lower=0.0)
    d = (theta2 + theta5) * a + b
    m.rate(a, -(2.0 * theta2 * per_hour - theta1 * b / d + theta3 + theta4) * a)
    m.rate(b, theta1 * a * (theta2 * a - b) / d + theta3 * a)
    m.rate(c, theta1 * a * (b + theta5 * a) / d + theta4 * a)
    for name, fraction in {"oxygenates": a, "carbenes": b, "olefins": c}.items():
        m.output(name, fraction, description=f"mole fraction of {name}")
        m.valid(name, 0.0, 1.0)
    return m.build()


def experiment() -> pt.Experiment:
    """The sixteen published samples of three species; one unknown noise level for all."""
    noise = pt.EstimatedNoise(0.01, shared="analysis")
    species = ("oxygenates", "carbenes", "olefins")
    data = resources.files("physics_twin_models.methanol") / "data" / "methanol_to_hydrocarbons.csv"
    with resources.as_file(data) as path:
        return pt.Experiment.from_csv(
            path,
            time=pt.Column("time_h", "h"),
            start="0 h",
            skiprows=4,
            channels=[pt.Channel(name, unit="1", noise=noise) for name in species],
        )
