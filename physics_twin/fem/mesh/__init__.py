"""Meshes: shapes with named regions and boundaries, and files of other programs."""

from physics_twin.fem.mesh.blocks import join as join, mapped as mapped
from physics_twin.fem.mesh.cells import Cell as Cell
from physics_twin.fem.mesh.checks import Finding as Finding
from physics_twin.fem.mesh.curves import arc as arc, between as between, corners as corners, line as line
from physics_twin.fem.mesh.extrusion import extruded as extruded
from physics_twin.fem.mesh.files import read as read, write as write
from physics_twin.fem.mesh.mesh import Mesh as Mesh, check as check, require as require
from physics_twin.fem.mesh.round import (
    cylinder as cylinder,
    disk as disk,
    hollow_cylinder as hollow_cylinder,
    plate_with_hole as plate_with_hole,
    sphere as sphere,
)
from physics_twin.fem.mesh.straight import bar as bar, box as box, plate as plate, step as step
