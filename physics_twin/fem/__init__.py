"""Field models: heat, reaction and mechanics on DOLFINx."""

from physics_twin.fem import mesh as mesh
from physics_twin.fem.boundaries import (
    Convection as Convection,
    Flux as Flux,
    GaussianSpot as GaussianSpot,
    Radiation as Radiation,
    Temperature as Temperature,
)
from physics_twin.fem.distribution import Distribution as Distribution
from physics_twin.fem.elasticity import Driven as Driven, Elasticity as Elasticity
from physics_twin.fem.field_model import FieldModel as FieldModel
from physics_twin.fem.hardening import (
    BackStress as BackStress,
    Chaboche as Chaboche,
    FlowCurve as FlowCurve,
    Linear as Linear,
    Voce as Voce,
)
from physics_twin.fem.harmonic import HarmonicResponse as HarmonicResponse, PointForce as PointForce
from physics_twin.fem.heat import HeatConduction as HeatConduction
from physics_twin.fem.heat_and_light import HeatAndLight as HeatAndLight
from physics_twin.fem.linear_solver import Direct as Direct, Iterative as Iterative
from physics_twin.fem.materials import (
    ContactLayer as ContactLayer,
    Outside as Outside,
    Solid as Solid,
    Tabulated as Tabulated,
)
from physics_twin.fem.mechanical_sensors import (
    DisplacementField as DisplacementField,
    LargestVonMises as LargestVonMises,
    PointDisplacement as PointDisplacement,
    Reaction as Reaction,
    RelativeDisplacement as RelativeDisplacement,
    Strain as Strain,
    Stress as Stress,
    VonMises as VonMises,
)
from physics_twin.fem.mesh import Mesh as Mesh
from physics_twin.fem.modes import Modes as Modes
from physics_twin.fem.plasticity import Plasticity as Plasticity
from physics_twin.fem.reactions import Local as Local, Reactions as Reactions
from physics_twin.fem.sensors import (
    Average as Average,
    HeatFlow as HeatFlow,
    Integral as Integral,
    Maximum as Maximum,
    Minimum as Minimum,
    Point as Point,
)
from physics_twin.fem.sources import Absorbed as Absorbed, Goldak as Goldak, HeatSource as HeatSource
from physics_twin.fem.stepping import (
    IMPLICIT_EULER as IMPLICIT_EULER,
    TR_BDF2 as TR_BDF2,
    Adaptive as Adaptive,
    FixedSteps as FixedSteps,
)
from physics_twin.fem.strain import PLANE_STRAIN as PLANE_STRAIN, PLANE_STRESS as PLANE_STRESS
from physics_twin.fem.supports import (
    Clamped as Clamped,
    Displacement as Displacement,
    Foundation as Foundation,
    Pressure as Pressure,
    Symmetry as Symmetry,
    Traction as Traction,
)
from physics_twin.fem.thermo_mechanics import ThermoMechanics as ThermoMechanics
