"""A flat tensile specimen with a hole in the middle, in plane stress, seen from one side by cameras.

The specimen of Troger, Hartmann, Anton and Wessels (Zenodo 10.5281/zenodo.11257192): S235, 20.05 mm x 3.05 mm, hole of
8 mm, digital image correlation over 80 mm. Coordinates are about the center of the hole, x along the load.

Far from the hole the stress on the side that the cameras see is

    stress = force / (width thickness) * (1 + bending + bending_gradient x + 12 eccentricity y / width^2)

Grips that are out of line bend a thin specimen out of its plane; cameras on one side take the strain of the bending for
strain of the load. An offset of the grips makes it change along x (an S), a curved specimen does not. Without the
change along x the two halves of this record have moduli of 208 and 231 GPa. A body force balances that change, as the
shear does in bending, which the plane model does not have. `eccentricity` is that of the load in the plane.

Rigid-body motion is taken off measurement and model alike: it is what the cameras see of the machine's.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import physics_twin as pt
from physics_twin.arrays import Array

if TYPE_CHECKING:
    from physics_twin.fem import FieldModel

WIDTH, THICKNESS, RADIUS, LENGTH = 20.05, 3.05, 4.0, 90.0
"""mm; the length is that of the parallel part."""
CENTER = (40.0, 10.0)
"""mm, of the hole, in the coordinates of the record."""
WINDOW = ((0.0, 80.0), (0.0, 20.0))
"""mm, of the record."""
FLAW, FLAW_RADIUS = (32.5, -3.2), 1.5
"""mm, about the hole: two dozen neighbors in the raw record are off by up to 7 um, twenty times the noise."""
FORCE = "6498.2 N"
"""In the record: 106.2629 N/mm^2 of the full cross-section."""
GRID = np.array(
    [(x, y) for x in np.arange(-36.0, 37.0, 4.0) for y in np.arange(-8.0, 9.0, 4.0) if np.hypot(x, y) > RADIUS + 1.5]
)
"""(n, 2) mm about the hole: points 4 mm apart, 1.5 mm and more from every edge."""
_BALANCED = 1.0 - np.pi * RADIUS**2 / (WIDTH * LENGTH)
"""Share of the gradient's load at the ends that balances its body force: there is none in the hole."""
_SOURCE = "Troger, Hartmann, Anton, Wessels: data set, Zenodo, doi:10.5281/zenodo.11257192"


@dataclass(frozen=True, eq=False)
class Cloud:
    """Measured displacements: points (n, 2) in mm about the center of the hole, displacements (n, 2) in mm."""

    points: Array
    displacements: Array

    def without_rigid_motion(self) -> "Cloud":
        """The cloud with the translation and the small rotation taken off that fit all its displacements best."""
        n = len(self.points)
        motion = np.zeros((n, 2, 3))
        motion[:, 0, 0] = motion[:, 1, 1] = 1.0
        around = self.points - self.points.mean(axis=0)
        motion[:, 0, 2], motion[:, 1, 2] = -around[:, 1], around[:, 0]
        basis, _ = np.linalg.qr(motion.reshape(2 * n, 3))
        flat = self.displacements.reshape(-1)
        return Cloud(self.points, (flat - basis @ (basis.T @ flat)).reshape(n, 2))


def plate_with_hole(points: Array | None = None) -> "FieldModel":
    """The specimen; outputs u_x_<k> and u_y_<k> are the displacements of points (n, 2) in mm about the hole.

    Without points, some on a grid. Also notch_stress, that along the load at the edge of the hole, if it stays elastic.
    """
    from physics_twin import fem

    modulus, ratio, others = _parameters()
    force = pt.Signal("force", "N", description="on the specimen, from the machine's load cell")

    def pulled(x: Any, y: Any, force: Any, bending: Any, bending_gradient: Any, eccentricity: Any) -> Any:
        share = 1.0 + bending + bending_gradient * x * _BALANCED + 12.0 * eccentricity * y / f"{WIDTH**2!r} mm^2"
        return force / f"{WIDTH * THICKNESS!r} mm^2" * share

    def pushed(x: Any, y: Any, force: Any, bending: Any, bending_gradient: Any, eccentricity: Any) -> Any:
        return -1.0 * pulled(x, y, force, bending, bending_gradient, eccentricity)

    def balance(force: Any, bending_gradient: Any) -> Any:
        return -1.0 * force / f"{WIDTH * THICKNESS!r} mm^2" * bending_gradient

    def corner(x: Array, y: Array) -> Array:
        return np.asarray(y < -0.5e-3 * WIDTH * (1.0 - 1e-9))

    # The loads balance: these supports carry nothing, and where they are does not matter.
    held_left = fem.Displacement(x="0 mm", y="0 mm", where=corner)
    held_right = fem.Displacement(y="0 mm", where=corner)
    return fem.Elasticity(
        mesh=fem.mesh.plate_with_hole(
            (f"{LENGTH} mm", f"{WIDTH} mm"), f"{RADIUS} mm", cells=(8, 8), quarter=False, grading=4.0, order=2
        ),
        materials={"body": fem.Solid(youngs_modulus=modulus, poissons_ratio=ratio)},
        kind=fem.PLANE_STRESS,
        boundaries={
            "left": [fem.Traction(x=pushed), held_left],
            "right": [fem.Traction(x=pulled), held_right],
        },
        body_force=(balance, "0 N/m^3"),
        sensors={
            "u": fem.DisplacementField((GRID if points is None else np.asarray(points), "mm"), rigid_motion=False),
            "notch_stress": fem.Stress("0 mm", f"{RADIUS} mm", component="xx"),
        },
        parameters=others,
        inputs=(force,),
        validity={"force": (0.0, 7000.0)},
        name="plate_with_hole",
        description="Plate with a hole under tension, displacements of a point cloud",
    )


def _parameters() -> tuple[pt.Parameter, pt.Parameter, tuple[pt.Parameter, ...]]:
    modulus = pt.Parameter(
        "youngs_modulus",
        "210 GPa",
        bounds=("50 GPa", "400 GPa"),
        description="E",
        source="structural steel, EN 1993-1-1, 3.2.6",
    )
    ratio = pt.Parameter(
        "poissons_ratio",
        0.3,
        bounds=(0.0, 0.49),
        description="nu",
        source="structural steel, EN 1993-1-1, 3.2.6",
    )
    bending = pt.Parameter(
        "bending",
        0.0,
        bounds=(-0.3, 0.3),
        prior=pt.Normal(0.0, 0.05),
        description="stress of out-of-plane bending on the cameras' side at the hole, over that of the load",
        source="assumed: alignment of class 10 (ISO 23788) allows 10 percent",
    )
    gradient = pt.Parameter(
        "bending_gradient",
        "0 1/m",
        bounds=("-10 1/m", "10 1/m"),
        description="change of bending along x",
        source="unknown, from the data",
    )
    eccentricity = pt.Parameter(
        "eccentricity",
        "0 mm",
        bounds=("-2 mm", "2 mm"),
        description="of the load, in the plane",
        source="unknown, from the data",
    )
    return modulus, ratio, (bending, gradient, eccentricity)


def read_cloud(path: "str | os.PathLike[str]", edge: float = 1.5) -> Cloud:
    """The displacements of a record, without points nearer than `edge` (mm) to the window, the sides or the hole, and
    without those at the blemish of the pattern.

    Facets of the correlation that reach over an edge are guessed: within 0.3 mm of it they scatter tenfold, beyond
    1.5 mm they do not scatter more than inside.
    """
    x, y, u, v = np.loadtxt(path, delimiter=",", skiprows=1).T
    (left, right), (bottom, top) = WINDOW
    from_edge = np.minimum.reduce(
        [x - left, right - x, y - bottom, top - y, np.hypot(x - CENTER[0], y - CENTER[1]) - RADIUS]
    )
    from_flaw = np.hypot(x - CENTER[0] - FLAW[0], y - CENTER[1] - FLAW[1])
    kept = (from_edge > edge) & (from_flaw > FLAW_RADIUS)
    return Cloud(np.column_stack([x, y])[kept] - CENTER, np.column_stack([u, v])[kept])


def experiment(cloud: Cloud) -> pt.Experiment:
    """Both components of a cloud, their rigid-body motion taken off, each an array with an unknown noise level."""
    measured = cloud.without_rigid_motion()
    channels, data = [], {}
    for j, component in enumerate("xy"):
        noise = pt.EstimatedNoise("0.5 um", shared=f"camera_{component}")
        for k, (x, y) in enumerate(measured.points):
            name = f"u_{component}_{k}"
            place = pt.Place(f"camera_{component}", (float(x), "mm"), (float(y), "mm"))
            channels.append(pt.Channel(name, unit="um", noise=noise, place=place))
            data[name] = [1e3 * float(measured.displacements[k, j])]
    return pt.Experiment.from_arrays(
        "dic_plate_hole",
        [0.0],
        data,
        channels=channels,
        recipe=pt.Recipe.constant(force=FORCE),
        context={"source": _SOURCE},
    )
