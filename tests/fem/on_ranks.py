"""A script for one rank and for two: run, tangents, adjoint, mechanics and a fit; it prints JSON on rank 0."""

import json
import sys

import numpy as np

import physics_twin as pt
from physics_twin import fem
from physics_twin.fem._dolfinx import MPI
from physics_twin.simulation import complete_values

STEEL = fem.Solid(
    conductivity=lambda T, k: k * (1 + (T - "273.15 K") * "1e-3 1/K"),
    density="7200 kg/m^3",
    heat_capacity="440 J/kg/K",
    youngs_modulus="210 GPa",
    poissons_ratio="0.3",
    thermal_expansion="12e-6 1/K",
)
K = pt.Parameter("k", "30 W/m/K", bounds=("5 W/m/K", "100 W/m/K"))
FILM = pt.Parameter("film", "300 W/m^2/K", bounds=("10 W/m^2/K", "2000 W/m^2/K"))


def main() -> dict[str, list[float]]:
    """Everything that has to be the same on any number of ranks."""
    mesh = fem.mesh.box(("50 mm", "20 mm", "20 mm"), cells=(8, 3, 3))
    model = fem.HeatConduction(
        mesh=mesh,
        materials={"body": STEEL},
        boundaries={"left": fem.Convection(FILM, pt.Signal("gas", "degC")), "right": fem.Temperature("20 degC")},
        sensors={
            "core": fem.Point("20 mm", "10 mm", "10 mm"),
            "near": fem.Point("5 mm", "10 mm", "10 mm"),
            "hottest": fem.Maximum("body"),
            "mean": fem.Average("body"),
            "flow": fem.HeatFlow("left"),
        },
        parameters=[K],
        stepping=fem.Adaptive("0.2 K"),
    )
    recipe = pt.Recipe([pt.Phase("heat", gas="400 degC", duration="100 s")])
    times = np.linspace(0.0, 100.0, 5)
    values = complete_values(model, recipe)
    wrt = ["film", "k", "initial.temperature"]
    outputs, jacobian, _ = model.sensitivity(times, recipe, values, wrt)
    outputs[:, -1] = 0.0  # the imbalance is rounding
    weights = np.random.default_rng(0).standard_normal(outputs.shape)
    gradient = model.pullback(times, recipe, values, wrt)[1](weights)
    bar = fem.Elasticity(
        mesh=mesh,
        materials={"body": STEEL},
        boundaries={"left": fem.Clamped(), "top": fem.Pressure("1 MPa")},
        sensors={
            "tip": fem.PointDisplacement("50 mm", "10 mm", "10 mm", component="z"),
            "stress": fem.Stress("25 mm", "10 mm", "19 mm", component="xx"),
        },
        temperature="60 degC",
    )
    mechanics = pt.simulate(bar, [0.0])
    noise = np.random.default_rng(3).normal(0.0, 0.5, (2, times.size))
    log = {"time": times, "core": outputs[:, 0] - 273.15 + noise[0], "near": outputs[:, 1] - 273.15 + noise[1]}
    import pandas as pd

    experiment = pt.Experiment.from_frame(
        pd.DataFrame(log),
        name="heating",
        time="time",
        inputs={"gas": "400 degC"},
        channels=[pt.Channel(c, unit="degC", noise="0.5 K") for c in ("core", "near")],
    )
    posterior = pt.calibrate(model, [experiment], unknown=["film", "k"], rng=1)
    return {
        "outputs": outputs.ravel().tolist(),
        "jacobian": jacobian.ravel().tolist(),
        "gradient": gradient.tolist(),
        "mechanics": [float(mechanics[name][0]) for name in ("tip", "stress")],
        "mode": [float(posterior.mode[name]) for name in ("film", "k")],
        "misfit": [float(posterior.misfit)],
    }


if __name__ == "__main__":
    if "fail" in sys.argv and MPI.COMM_WORLD.rank == 1:
        raise ValueError("rank 1 fails on purpose")
    found = main()
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(found))
