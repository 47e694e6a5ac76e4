"""Kinetics of the thermal isomerization of alpha-pinene in the liquid phase at 189.5 degC.

Box, Hunter, MacGregor and Erjavec, Technometrics 15 (1973) 33, eq. 1, on the data of Fuguitt and Hawkins,
J. Am. Chem. Soc. 69 (1947) 319:

    alpha-pinene -> dipentene (k1)        alpha-pinene -> allo-ocimene (k2)
    allo-ocimene -> pyronene (k3)         allo-ocimene <-> dimer (k4 forward, k5 back)
"""

from importlib import resources

import physics_twin as pt

_SOURCE = "Box et al., Technometrics 15 (1973) 33"
_REACTIONS = {
    "k1": ("6e-5 1/min", "alpha-pinene to dipentene"),
    "k2": ("3e-5 1/min", "alpha-pinene to allo-ocimene"),
    "k3": ("2e-5 1/min", "allo-ocimene to pyronene"),
    "k4": ("3e-4 1/min", "allo-ocimene to its dimer"),
    "k5": ("4e-5 1/min", "dimer back to allo-ocimene"),
}


def alpha_pinene() -> pt.ProcessModel:
    """Composition of a batch in percent by mass; no inputs, starts from pure alpha-pinene."""
    m = pt.ProcessBuilder(
        "alpha_pinene", version="1.0", description="Thermal isomerization of alpha-pinene at 189.5 degC (batch)"
    )
    k1, k2, k3, k4, k5 = (
        m.parameter(
            name, value, bounds=("1e-7 1/min", "1e-2 1/min"), description=f"rate constant, {reaction}", source=_SOURCE
        )
        for name, (value, reaction) in _REACTIONS.items()
    )
    pinene = m.state("pinene", "percent", initial="100 percent", lower="0 percent")
    dipentene = m.state("dipentene", "percent", initial="0 percent", lower="0 percent")
    alloocimene = m.state("alloocimene", "percent", initial="0 percent", lower="0 percent")
    pyronene = m.state("pyronene", "percent", initial="0 percent", lower="0 percent")
    dimer = m.state("dimer", "percent", initial="0 percent", lower="0 percent")

    m.rate(pinene, -(k1 + k2) * pinene)
    m.rate(dipentene, k1 * pinene)
    m.rate(alloocimene, k2 * pinene - (k3 + k4) * alloocimene + k5 * dimer)
    m.rate(pyronene, k3 * alloocimene)
    m.rate(dimer, k4 * alloocimene - k5 * dimer)

    species = {
        "pinene": pinene,
        "dipentene": dipentene,
        "alloocimene": alloocimene,
        "pyronene": pyronene,
        "dimer": dimer,
    }
    for name, share in species.items():
        m.output(name, share, description=f"{name} in the batch, by mass")
        m.valid(name, "0 percent", "100 percent")
    return m.build()


def experiment() -> pt.Experiment:
    """The eight analyses of Fuguitt and Hawkins (1947), five species each; one unknown noise level for all.

    Pyronene was imputed and the rows sum to 100 percent, so the five channels are not independent (see card.toml).
    """
    noise = pt.EstimatedNoise("1 percent", shared="analysis")
    species = ("pinene", "dipentene", "alloocimene", "pyronene", "dimer")
    data = resources.files("physics_twin_models.alpha_pinene") / "data" / "fuguitt_hawkins_1947.csv"
    with resources.as_file(data) as path:
        return pt.Experiment.from_csv(
            path,
            time=pt.Column("time_min", "min"),
            start="0 min",
            skiprows=5,
            channels=[pt.Channel(name, unit="percent", noise=noise) for name in species],
        )
