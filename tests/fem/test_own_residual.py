"""A field model from a weak form of your own."""

import numpy as np
import pytest
from scipy.special import erfc

import physics_twin as pt
from physics_twin import fem
from physics_twin.fem._dolfinx import ufl
from tests.fem.gradients import check_gradients


def diffusion(**more: object) -> fem.FieldModel:
    described = {
        "mesh": fem.mesh.bar("1 mm", 60),
        "field": "concentration",
        "unit": "mol/m^3",
        "initial": "0 mol/m^3",
        "residual": lambda w: (
            w["diffusivity"] * ufl.inner(ufl.grad(w.u), ufl.grad(w.v)) * w.dx("bar")
            + w["k"] * w.u**2 * w.v * w.dx("bar")
        ),
        "storage": lambda w: w.u * w.v * w.dx("bar"),
        "parameters": [pt.Parameter("diffusivity", "1e-9 m^2/s"), pt.Parameter("k", "0 m^3/mol/s")],
        "prescribed": {"left": pt.Parameter("wall", "1 mol/m^3")},
        "sensors": {"near": fem.Point("0.1 mm"), "mean": fem.Average("bar")},
        "stepping": fem.Adaptive("0.0002 mol/m^3"),
    }
    return fem.FieldModel.from_residual(**{**described, **more})


def test_diffusion_into_a_half_space() -> None:
    """c/c_wall = erfc(x / (2 sqrt(D t))): Carslaw and Jaeger, section 2.4."""
    model = diffusion(mesh=fem.mesh.bar("1 mm", 160, grading=20.0), stepping=fem.Adaptive("2e-5 mol/m^3"))
    run = pt.simulate(model, [5.0, 10.0, 20.0])
    exact = erfc(1e-4 / (2.0 * np.sqrt(1e-9 * np.array([5.0, 10.0, 20.0]))))
    np.testing.assert_allclose(run["near"], exact, atol=1e-3)


def test_what_is_stored_is_what_was_supplied() -> None:
    """The balance is an output, under the name of an amount."""
    run = pt.simulate(diffusion(), np.linspace(0.0, 100.0, 6), values={"k": "1e-2 m^3/mol/s"})
    assert np.abs(run["amount_imbalance"]).max() < 1e-9 * float(run["supplied_amount"].max())


def test_gradients_of_an_own_residual() -> None:
    """The library derives tangents and adjoints of any residual."""
    names = ["diffusivity", "k", "wall", "initial.concentration"]
    values = {"k": "1e-2 m^3/mol/s", "initial.concentration": "0.1 mol/m^3"}
    check_gradients(diffusion(), np.array([0.0, 30.0, 100.0]), pt.Recipe.constant(), names, values, tolerance=1e-5)


def test_wrong_forms_are_refused() -> None:
    """A form that is not linear in the test function, an unknown name, a transient model without a start."""
    with pytest.raises(pt.ModelError, match="linear in"):
        diffusion(residual=lambda w: w.u * w.dx("bar"))
    with pytest.raises(pt.UnknownNameError, match="diffusivity"):
        diffusion(residual=lambda w: w["difusivity"] * w.u * w.v * w.dx("bar"))
    with pytest.raises(pt.ModelError, match="initial"):
        diffusion(initial=None)
    with pytest.raises(pt.ModelError, match="stepping"):
        diffusion(stepping=None)


def test_a_parameter_that_reaches_nothing_is_refused() -> None:
    """A name that no function asks for is most likely a slip of the pen."""
    with pytest.raises(pt.ModelError, match="unused"):
        diffusion(
            parameters=[
                pt.Parameter("diffusivity", "1e-9 m^2/s"),
                pt.Parameter("k", "0 m^3/mol/s"),
                pt.Parameter("unused", "1"),
            ]
        )


def test_the_fingerprint_does_not_count_what_was_built_before() -> None:
    """UFL numbers its symbols through a process; a model built last has the fingerprint of one built first."""
    first = curing_like().fingerprint
    for _ in range(12):
        curing_like()
    assert curing_like().fingerprint == first
    assert curing_like(factor=1.1).fingerprint != first


def curing_like(factor: float = 1.0) -> fem.FieldModel:
    """A weak form with several constants, whose order UFL decides by their numbers."""
    return diffusion(
        residual=lambda w: (
            (w["diffusivity"] + factor * w["k"] * w.u) * ufl.inner(ufl.grad(w.u), ufl.grad(w.v)) * w.dx("bar")
            + w["k"] * w["t"] * w.u * w.v * w.dx("bar")
        )
    )
