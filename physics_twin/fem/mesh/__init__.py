"""Meshes: shapes with named regions and boundaries, and files of other programs."""

from physics_twin.fem.mesh.mesh import Cell as Cell, Mesh as Mesh
