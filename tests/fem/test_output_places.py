"""Where sensors are, as filters that localize need it."""

import numpy as np

from physics_twin import fem
from physics_twin.model import Located


def test_point_sensors_have_places():
    """Points in meters, in the frame of the mesh; a mean, a flow and a balance are of no single point."""
    block = fem.HeatConduction(
        mesh=fem.mesh.box(("100 mm", "50 mm", "20 mm"), cells=(4, 2, 2)),
        materials={
            "body": fem.Solid(conductivity="42 W/m/K", density="7850 kg/m^3", heat_capacity="500 J/kg/K"),
        },
        boundaries={"top": fem.Convection("500 W/m^2/K", ambient="25 degC")},
        initial="850 degC",
        sensors={
            "core": fem.Point("50 mm", "25 mm", "10 mm"),
            "mean": fem.Average("body"),
            "flow": fem.HeatFlow("top"),
        },
    )
    assert isinstance(block, Located)
    assert list(block.output_places) == ["core"]
    np.testing.assert_allclose(block.output_places["core"], [0.05, 0.025, 0.01], rtol=1e-12)
    assert block.state[0].coordinates.shape[1] == 3
