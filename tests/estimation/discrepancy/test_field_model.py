"""A field model with a discrepancy: adjoints, replayed steps, fields, and exact derivatives."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.model import Adjoints, Fields, Model, Replays, Sensitivities
from physics_twin.simulation import complete_values
from physics_twin.verification import taylor_test

fem = pytest.importorskip("physics_twin.fem")
pytest.importorskip("dolfinx_solver", reason="needs DOLFINx")


def slab() -> Model:
    """A slab heated at one end, adaptive steps."""
    found: Model = fem.HeatConduction(
        mesh=fem.mesh.bar("20 mm", cells=8),
        materials={
            "bar": fem.Solid(
                conductivity=pt.Parameter("conductivity", "5 W/m/K", bounds=("1 W/m/K", "20 W/m/K")),
                density="2000 kg/m^3",
                heat_capacity="800 J/kg/K",
            )
        },
        boundaries={
            "left": fem.Convection(
                pt.Parameter("film", "200 W/m^2/K", bounds=("10 W/m^2/K", "1000 W/m^2/K")),
                ambient=pt.Signal("gas", "degC"),
            )
        },
        initial="20 degC",
        sensors={"near": fem.Point("4 mm"), "far": fem.Point("16 mm")},
        stepping=fem.Adaptive(tolerance="0.1 K"),
    )
    return found


@pytest.mark.slow
def test_a_field_model_keeps_its_capabilities() -> None:
    """Taylor tests on replayed steps, the gradient of the adjoint against the jacobian, and the same fields."""
    inner = slab()
    span = ("20 degC", "220 degC")
    model = pt.with_discrepancy(
        inner,
        {
            "near": pt.Discrepancy("2 K", "50 K", "near", between=span),
            "far": pt.Discrepancy("2 K", "60 s", "time", between=("0 s", "120 s")),
        },
    )
    for capability in (Sensitivities, Adjoints, Replays, Fields):
        assert isinstance(model, capability)
    recipe = pt.Recipe.constant(gas="200 degC", duration="120 s")
    times = np.array([10.0, 37.0, 81.0, 119.0])
    rng = np.random.default_rng(1)
    own = {n: (float(rng.normal()) * p.prior.sd, "K") for n, p in model.parameters.items() if p.prior is not None}
    values = complete_values(model, recipe, own)
    wrt = ["conductivity", "film", "discrepancy.near.x2", "discrepancy.far.x3"]
    report = taylor_test(model, times, recipe, values, [*wrt, "time"])
    assert report.passed, report
    # The weights also reach a name whose output a discrepancy depends on.
    outputs, pull = model.pullback(times, recipe, values, wrt)  # type: ignore[attr-defined]
    _, jacobian, _ = model.sensitivity(times, recipe, values, wrt)  # type: ignore[attr-defined]
    weights = rng.normal(size=outputs.shape)
    assert pull(weights) == pytest.approx(np.einsum("tk,tkw->w", weights, jacobian), rel=1e-6)
    run, plain = pt.simulate(model, times, recipe, own, fields=True), pt.simulate(inner, times, recipe, fields=True)
    assert np.abs(run["near"].values - plain["near"].values).max() > 0.1
    assert (run.field("temperature").values == plain.field("temperature").values).all()
