"""Catalytic cracking of gas oil to gasoline, lumped into three reactions.

Tjoa and Biegler, Ind. Eng. Chem. Res. 30 (1991) 376; problem "gas oil" of COPS 3.0:

    gas oil -> gasoline (k1)    gasoline -> gas and coke (k2)    gas oil -> gas and coke (k3)

Gas oil cracks with second order (its boiling cuts crack at different rates), gasoline with first.
"""

from importlib import resources

import physics_twin as pt

_SOURCE = "Tjoa and Biegler, Ind. Eng. Chem. Res. 30 (1991) 376; COPS 3.0"


def gas_oil() -> pt.ProcessModel:
    """Mass fractions of gas oil and gasoline over the contact time; no inputs, starts from pure gas oil."""
    m = pt.ProcessBuilder("gas_oil", version="1.0", description="Catalytic cracking of gas oil, three lumps")
    bounds = ("0 1/h", "100 1/h")
    k1 = m.parameter("k1", "10 1/h", bounds=bounds, description="gas oil to gasoline, second order", source=_SOURCE)
    k2 = m.parameter("k2", "10 1/h", bounds=bounds, description="gasoline to gas and coke", source=_SOURCE)
    k3 = m.parameter("k3", "1 1/h", bounds=bounds, description="gas oil to gas and coke, second order", source=_SOURCE)
    oil = m.state("gas_oil", "1", initial=1.0, lower=0.0, upper=1.0)
    gasoline = m.state("gasoline", "1", initial=0.0, lower=0.0, upper=1.0)
    m.rate(oil, -(k1 + k3) * oil**2)
    m.rate(gasoline, k1 * oil**2 - k2 * gasoline)
    m.output("gas_oil", oil, description="mass fraction of gas oil")
    m.output("gasoline", gasoline, description="mass fraction of gasoline")
    m.valid("gas_oil", 0.0, 1.0)
    m.valid("gasoline", 0.0, 1.0)
    return m.build()


def experiment() -> pt.Experiment:
    """The twenty published samples of both species; one unknown noise level for all."""
    noise = pt.EstimatedNoise(0.01, shared="analysis")
    data = resources.files("physics_twin_models.gas_oil") / "data" / "catalytic_cracking.csv"
    with resources.as_file(data) as path:
        return pt.Experiment.from_csv(
            path,
            time=pt.Column("time_h", "h"),
            start="0 h",
            skiprows=4,
            channels=[pt.Channel(name, unit="1", noise=noise) for name in ("gas_oil", "gasoline")],
        )
