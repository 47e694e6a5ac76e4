"""Measurements: logs of sensors as experiments, with a flag on every sample and the file's hash in every result."""

from physics_twin.measurements.channels import Channel, Column, EstimatedNoise, Uncertainty, UnknownBias, UnknownDelay
from physics_twin.measurements.clocks import Stamps
from physics_twin.measurements.experiment import Exclusion, Experiment, Provenance, RecordedInput, Series
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.places import Place
from physics_twin.measurements.redundancy import Dependency, Redundancy, find_dependent_channels
from physics_twin.measurements.tables import Table, read_table

__all__ = [
    "Channel",
    "Column",
    "Dependency",
    "EstimatedNoise",
    "Exclusion",
    "Experiment",
    "Flag",
    "Place",
    "Provenance",
    "RecordedInput",
    "Redundancy",
    "Series",
    "Stamps",
    "Table",
    "Uncertainty",
    "UnknownBias",
    "UnknownDelay",
    "find_dependent_channels",
    "read_table",
]
