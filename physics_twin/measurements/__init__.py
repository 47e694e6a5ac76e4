"""Measurements: logs of sensors as experiments, with a flag on every sample and the file's hash in every result."""

from physics_twin.measurements.batches.batch import Batch, LaboratoryValue, PhaseWindow
from physics_twin.measurements.batches.batch_tables import read_batches
from physics_twin.measurements.batches.batch_tags import ByTag
from physics_twin.measurements.batches.collection import Experiments
from physics_twin.measurements.batches.cutting import FromContext, experiments_from
from physics_twin.measurements.batches.laboratory import read_laboratory
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.clocks import Stamps
from physics_twin.measurements.experiment import Exclusion, Experiment, Provenance, RecordedInput, Series
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.inspection.inspection import InspectedTag, Inspection, Kind, inspect
from physics_twin.measurements.logs.conversion import Conversion, convert_log
from physics_twin.measurements.logs.frames import Query
from physics_twin.measurements.logs.layout import Layout, LongForm, QualityScheme, StampsAt, WideForm
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.places import Place
from physics_twin.measurements.relations.cross_checks import CrossChecked, Pair, cross_check
from physics_twin.measurements.relations.delays import Delay, find_delay
from physics_twin.measurements.relations.redundancy import Dependency, Redundancy, find_dependent_channels
from physics_twin.measurements.sampling import Averaged
from physics_twin.measurements.tables import Table, read_table
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.measurements.uncertainty import (
    Estimated,
    EstimatedNoise,
    Noise,
    Uncertainty,
    UnknownBias,
    UnknownDelay,
)
from physics_twin.measurements.windows.steady import SteadyWindow, SteadyWindows, steady_windows

__all__ = [
    "Averaged",
    "Batch",
    "ByTag",
    "Channel",
    "Checks",
    "Column",
    "Conversion",
    "CrossChecked",
    "Delay",
    "Dependency",
    "Estimated",
    "EstimatedNoise",
    "Exclusion",
    "Experiment",
    "Experiments",
    "Flag",
    "FromContext",
    "InspectedTag",
    "Inspection",
    "Installation",
    "Kind",
    "LaboratoryValue",
    "Layout",
    "Log",
    "LongForm",
    "Noise",
    "Pair",
    "PhaseWindow",
    "Place",
    "Provenance",
    "QualityScheme",
    "Query",
    "RecordedInput",
    "Redundancy",
    "Sensor",
    "Series",
    "Stamps",
    "StampsAt",
    "SteadyWindow",
    "SteadyWindows",
    "Table",
    "Tag",
    "TagSamples",
    "TagTable",
    "Uncertainty",
    "UnknownBias",
    "UnknownDelay",
    "WideForm",
    "convert_log",
    "cross_check",
    "experiments_from",
    "find_delay",
    "find_dependent_channels",
    "inspect",
    "read_batches",
    "read_laboratory",
    "read_log",
    "read_table",
    "steady_windows",
]
