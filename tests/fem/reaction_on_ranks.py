"""A script for one rank and for two: a reaction in one part of a body, so that a rank may hold no reacting cell."""

import sys

import numpy as np

import physics_twin as pt
from physics_twin import fem
from physics_twin.fem._dolfinx import MPI
from physics_twin.simulation import complete_values

REACTIONS = fem.Reactions(
    states={"cure": fem.Local(rate=lambda T, cure, A: A * pt.exp("-50 kJ/mol" / ("8.314 J/mol/K" * T)) * (1 - cure))},
    heat=lambda cure_rate: "3e8 J/m^3" * cure_rate,
    parameters=(pt.Parameter("A", "2e5 1/s"),),
)


def numbers() -> np.ndarray:
    """Outputs, tangents and adjoint in one array."""
    mesh = fem.mesh.plate(("0.1 m", "0.05 m"), cells=(6, 4)).region_from("left_part", lambda x, y: x < 0.05)
    plain = {"density": "1000 kg/m^3", "heat_capacity": "1000 J/kg/K"}
    film = fem.Distribution("film", "50 W/m^2/K", along="x", knots=([0, 50, 100], "mm"))
    model = fem.HeatConduction(
        mesh=mesh,
        materials={
            "left_part": fem.Solid(conductivity=lambda cure: "1 W/m/K" * (1 + cure), reactions=REACTIONS, **plain),
            "body": fem.Solid(conductivity="1 W/m/K", **plain),
        },
        boundaries={"left": fem.Temperature("150 degC"), "top": fem.Convection(film, "100 degC")},
        sensors={
            "T": fem.Point("1 cm", "2 cm"),
            "cure": fem.Point("1 cm", "2 cm", of="cure"),
            "flow": fem.HeatFlow("top"),
            "total": fem.Integral("left_part", of=lambda cure: cure, unit="1"),
        },
        stepping=fem.FixedSteps("10 s"),
    )
    recipe, times, names = pt.Recipe.constant(), np.array([0.0, 33.0, 100.0]), ["A", "film_2", "initial.cure"]
    values = complete_values(model, recipe)
    y, jacobian, _ = model.sensitivity(times, recipe, values, names)
    weights = np.ones_like(y) * np.array([1.0, 1.0, 1.0, 1.0, 1e-4, 0.0, 0.0])
    gradient = model.pullback(times, recipe, values, names)[1](weights)
    return np.concatenate([y[-1, :-1], jacobian[-1, :5].ravel(), gradient])


if __name__ == "__main__":
    found = numbers()
    if MPI.COMM_WORLD.rank == 0:
        np.save(sys.argv[1], found)
