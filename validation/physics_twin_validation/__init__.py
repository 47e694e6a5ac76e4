"""The claims of physics_twin as cases, one folder a case or family: `pt.run_cases(CASES, out="evidence/")`.

`CASES` take seconds each. `STUDIES` are claims about hundreds of fits or long runs of filters, which take
a minute to an hour each, and claims that are not met.
"""

from physics_twin.verification import Case
from physics_twin_validation.akzo_nobel.case import CASES as AKZO_NOBEL
from physics_twin_validation.autofrettage.case import CASES as AUTOFRETTAGE
from physics_twin_validation.batch_temperature.case import CASES as BATCH_TEMPERATURE
from physics_twin_validation.calibration_coverage.case import CASES as CALIBRATION_COVERAGE
from physics_twin_validation.catalyst_mixing.case import CASES as CATALYST_MIXING
from physics_twin_validation.convection_diffusion.case import CASES as CONVECTION_DIFFUSION
from physics_twin_validation.cook_membrane.case import CASES as COOK_MEMBRANE
from physics_twin_validation.heat_conduction_exact.case import CASES as HEAT_CONDUCTION_EXACT
from physics_twin_validation.heated_block.case import CASES as HEATED_BLOCK
from physics_twin_validation.heated_block_online.case import (
    CASES as HEATED_BLOCK_ONLINE,
    STUDIES as HEATED_BLOCK_ONLINE_STUDIES,
)
from physics_twin_validation.heated_rod.case import CASES as HEATED_ROD
from physics_twin_validation.heisler_plate.case import CASES as HEISLER_PLATE
from physics_twin_validation.ignition_envelope.case import (
    CASES as IGNITION_ENVELOPE,
    STUDIES as IGNITION_ENVELOPE_STUDIES,
)
from physics_twin_validation.jacketed_reactor.case import CASES as JACKETED_REACTOR
from physics_twin_validation.kinetics_estimates.case import CASES as KINETICS_ESTIMATES
from physics_twin_validation.laboratory_scatter.case import CASES as LABORATORY_SCATTER
from physics_twin_validation.lorenz.case import CASES as LORENZ, STUDIES as LORENZ_STUDIES
from physics_twin_validation.lumped_radiation.case import CASES as LUMPED_RADIATION
from physics_twin_validation.nafems_elasticity.case import CASES as NAFEMS_ELASTICITY
from physics_twin_validation.nafems_heat.case import CASES as NAFEMS_HEAT
from physics_twin_validation.natural_frequencies.case import CASES as NATURAL_FREQUENCIES
from physics_twin_validation.oregonator.case import CASES as OREGONATOR
from physics_twin_validation.penicillin_feed.case import STUDIES as PENICILLIN_FEED
from physics_twin_validation.plate_with_hole.case import CASES as PLATE_WITH_HOLE
from physics_twin_validation.robertson.case import CASES as ROBERTSON
from physics_twin_validation.semi_infinite_solid.case import CASES as SEMI_INFINITE_SOLID
from physics_twin_validation.sensitivities.case import CASES as SENSITIVITIES
from physics_twin_validation.stefan.case import CASES as STEFAN
from physics_twin_validation.thermal_contact.case import CASES as THERMAL_CONTACT
from physics_twin_validation.thermal_stress.case import CASES as THERMAL_STRESS
from physics_twin_validation.thick_cylinder.case import CASES as THICK_CYLINDER
from physics_twin_validation.transistor_amplifier.case import CASES as TRANSISTOR_AMPLIFIER
from physics_twin_validation.van_de_vusse.case import CASES as VAN_DE_VUSSE
from physics_twin_validation.van_der_pol.case import CASES as VAN_DER_POL
from physics_twin_validation.williams_otto.case import CASES as WILLIAMS_OTTO

CASES: tuple[Case, ...] = (
    *ROBERTSON,
    *VAN_DER_POL,
    *OREGONATOR,
    *AKZO_NOBEL,
    *TRANSISTOR_AMPLIFIER,
    *SENSITIVITIES,
    *KINETICS_ESTIMATES,
    *JACKETED_REACTOR,
    *IGNITION_ENVELOPE,
    *VAN_DE_VUSSE,
    *WILLIAMS_OTTO,
    *HEATED_BLOCK,
    *HEATED_BLOCK_ONLINE,
    *LABORATORY_SCATTER,
    *HEATED_ROD,
    *PLATE_WITH_HOLE,
    *NAFEMS_HEAT,
    *HEISLER_PLATE,
    *SEMI_INFINITE_SOLID,
    *THERMAL_CONTACT,
    *STEFAN,
    *LUMPED_RADIATION,
    *HEAT_CONDUCTION_EXACT,
    *CONVECTION_DIFFUSION,
    *NAFEMS_ELASTICITY,
    *COOK_MEMBRANE,
    *THICK_CYLINDER,
    *THERMAL_STRESS,
    *NATURAL_FREQUENCIES,
    *AUTOFRETTAGE,
    *LORENZ,
    *CATALYST_MIXING,
    *BATCH_TEMPERATURE,
)

STUDIES: tuple[Case, ...] = (
    *CALIBRATION_COVERAGE,
    *LORENZ_STUDIES,
    *HEATED_BLOCK_ONLINE_STUDIES,
    *PENICILLIN_FEED,
    *IGNITION_ENVELOPE_STUDIES,
)

__all__ = ["CASES", "STUDIES"]
