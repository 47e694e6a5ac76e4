"""DOLFINx agrees: the numbering of nodes and facets is its own."""

import numpy as np
import pytest

from tests.fem.mesh.shapes import SHAPES

pytest.importorskip("dolfinx_solver")
from physics_twin.fem._dolfinx import MPI, basix_ufl, dolfinx, ufl
from physics_twin.fem.mesh import Cell
from physics_twin.fem.mesh.cells import reference

FEW = [shape for shape in SHAPES if shape.name in ("layers", "le1", "le1_triangles", "tube", "octant", "octant_tets")]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("cell", Cell)
def test_reference_elements_are_those_of_basix(cell, order):
    """Nodes, facets, edges and shape functions, at random points."""
    ours, theirs = reference(cell, order), basix_ufl.element("Lagrange", cell.value, order, lagrange_variant=0)
    element = theirs.basix_element
    np.testing.assert_allclose(element.points, ours.nodes, atol=1e-15)
    points = np.random.default_rng(1).random((7, cell.dimension)) / cell.dimension
    np.testing.assert_allclose(element.tabulate(1, points)[0, :, :, 0], ours.values(points), atol=1e-13)
    gradients = np.moveaxis(element.tabulate(1, points)[1:, :, :, 0], 0, -1)
    np.testing.assert_allclose(gradients, ours.gradients(points), atol=1e-12)
    entities = element.entity_closure_dofs[cell.dimension - 1]
    for facet, nodes in enumerate(entities):
        assert sorted(nodes) == sorted(ours.facet_nodes[facet].tolist())
    if cell.dimension > 1:
        for edge, nodes in enumerate(element.entity_closure_dofs[1]):
            assert sorted(node for node in nodes if node < ours.n_vertices) == ours.edges[edge].tolist()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("shape", FEW, ids=str)
def test_volumes_and_surfaces_agree(shape, order):
    """DOLFINx builds the mesh from the arrays as they are and integrates to our volume and area."""
    mesh = shape.make(order=order)
    coordinates = basix_ufl.element("Lagrange", mesh.cell.value, order, shape=(mesh.dimension,))
    theirs = dolfinx.mesh.create_mesh(MPI.COMM_SELF, mesh.cells, coordinates, mesh.points)
    one = dolfinx.fem.Constant(theirs, 1.0)
    for measure, ours in ((ufl.dx, mesh.volume()), (ufl.ds, mesh.area())):
        form = dolfinx.fem.form(one * measure(domain=theirs, metadata={"quadrature_degree": 8}))
        assert dolfinx.fem.assemble_scalar(form) == pytest.approx(ours, rel=1e-6)
