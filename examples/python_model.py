"""A model that is plain Python: simulate and calibrate it like any other.

Inside the function there are SI numbers and no checks of units. Derivatives are finite differences, and the fit says
so.
"""

from collections.abc import Mapping

import numpy as np

import physics_twin as pt


def rate(
    t: float, state: Mapping[str, float], inputs: Mapping[str, float], values: Mapping[str, float]
) -> Mapping[str, float]:
    """Monod growth in a batch: biomass and substrate in kg/m^3 per second."""
    growth = values["max_growth"] * state["substrate"] / (values["half_saturation"] + state["substrate"])
    return {"biomass": growth * state["biomass"], "substrate": -growth * state["biomass"] / values["yield_coefficient"]}


def fermentation() -> pt.FunctionModel:
    """Biomass and substrate of a batch fermentation."""
    return pt.FunctionModel(
        "fermentation",
        version="1.0",
        rate=rate,
        states={"biomass": ("g/L", "0.1 g/L"), "substrate": ("g/L", "10 g/L")},
        parameters=[
            pt.Parameter("max_growth", "0.4 1/h", bounds=("0.05 1/h", "2 1/h")),
            pt.Parameter("half_saturation", "0.2 g/L", bounds=("0.01 g/L", "5 g/L")),
            pt.Parameter("yield_coefficient", 0.5, bounds=(0.1, 1.0)),
        ],
        outputs={"biomass": "g/L", "substrate": "g/L"},
    )


def main() -> pt.Posterior:
    """Return the fit to an invented batch."""
    model = fermentation()
    hours = np.arange(0.0, 15.0, 1.0)
    truth = pt.simulate(model, (hours, "h"), values={"max_growth": "0.45 1/h", "yield_coefficient": 0.55}).in_units()
    rng = np.random.default_rng(5)
    samples = {name: truth[name].values + rng.normal(0.0, 0.05, hours.size) for name in ("biomass", "substrate")}
    batch = pt.Experiment.from_arrays(
        "batch_1",
        (hours, "h"),
        samples,
        channels=[pt.Channel(name, unit="g/L", noise="0.05 g/L") for name in samples],
    )
    posterior = pt.calibrate(model, batch, unknown=["max_growth", "half_saturation", "yield_coefficient"], rng=7)
    print(posterior)
    return posterior


if __name__ == "__main__":
    main()
