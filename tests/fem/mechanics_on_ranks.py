"""What `test_mechanics_on_ranks` runs under mpiexec and without: outputs and derivatives of mechanical models."""

import sys

import numpy as np

import physics_twin as pt
from physics_twin import fem
from physics_twin.fem._dolfinx import MPI

MESH = fem.mesh.box(("1 m", "0.4 m", "0.5 m"), cells=(4, 2, 2))
NOW, RECIPE = np.array([0.0]), pt.Recipe.constant()


def numbers() -> np.ndarray:
    """Everything that can differ between numbers of ranks, in one row."""
    steel = fem.Solid(
        youngs_modulus=pt.Parameter("E", "200 GPa"),
        poissons_ratio=0.3,
        thermal_expansion="12e-6 1/K",
        density="7850 kg/m^3",
    )
    body = fem.Elasticity(
        mesh=MESH,
        materials={"body": steel},
        boundaries={
            "left": fem.Clamped(),
            "right": fem.Traction(z=pt.Parameter("load", "1 MPa")),
            "bottom": fem.Foundation("1 GN/m^3"),
        },
        temperature=lambda x: "293.15 K" + "10 K/m" * x,
        sensors={
            "tip": fem.PointDisplacement("1 m", "0.2 m", "0.25 m", component="z"),
            "stress": fem.Stress("0.1 m", "0.1 m", "0.1 m", component="xx"),
            "equivalent": fem.VonMises("0.7 m", "0.1 m", "0.1 m"),
            "largest": fem.LargestVonMises("body"),
            "wall": fem.Reaction("left", "z"),
            "bed": fem.Reaction("bottom", "z"),
            "gauge": fem.RelativeDisplacement(("0.1 m", "0.1 m", "0.1 m"), ("0.9 m", "0.1 m", "0.1 m")),
            "cloud": fem.DisplacementField(
                (np.random.default_rng(0).random((4, 3)) * [1.0, 0.4, 0.5], "m"), rigid_motion=False
            ),
            "mean": fem.Average("right", of=lambda u_z: u_z, unit="m"),
        },
    )
    sizes = np.array([200e9, 1e6])
    values = dict(zip(("E", "load"), sizes.tolist(), strict=True))
    y, jacobian, _ = body.sensitivity(NOW, RECIPE, values, ["E", "load"])
    gradient = body.pullback(NOW, RECIPE, values, ["E", "load"])[1](1.0 / np.abs(y))
    free = fem.Modes(mesh=MESH, materials={"body": steel}, n_modes=3)
    frequencies, slopes, _ = free.sensitivity(NOW, RECIPE, {"E": 200e9}, ["E"])
    return np.concatenate(
        [y[0], (jacobian[0] * sizes).ravel(), gradient * sizes, frequencies[0], slopes[0, :, 0] * 200e9]
    )


if __name__ == "__main__":
    found = numbers()
    if MPI.COMM_WORLD.rank == 0:
        np.save(sys.argv[1], found)
