"""Fields of a run: what they are, how they are kept, drawn and written."""

from physics_twin.fem.fields.field import (
    Field as Field,
    FieldSeries as FieldSeries,
    History as History,
    Location as Location,
)
from physics_twin.fem.fields.grid import Grid as Grid
from physics_twin.fem.fields.mesh_plot import Mark as Mark, in_words as in_words, plot_mesh as plot_mesh
from physics_twin.fem.fields.recording import Atlas as Atlas, Derived as Derived, Recorder as Recorder
