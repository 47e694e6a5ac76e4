"""The claims of physics_twin as cases, one folder a case or family: `pt.run_cases(CASES, out="evidence/")`."""

from physics_twin.verification import Case
from physics_twin_validation.akzo_nobel.case import CASES as AKZO_NOBEL
from physics_twin_validation.heated_block.case import CASES as HEATED_BLOCK
from physics_twin_validation.jacketed_reactor.case import CASES as JACKETED_REACTOR
from physics_twin_validation.kinetics_estimates.case import CASES as KINETICS_ESTIMATES
from physics_twin_validation.oregonator.case import CASES as OREGONATOR
from physics_twin_validation.robertson.case import CASES as ROBERTSON
from physics_twin_validation.sensitivities.case import CASES as SENSITIVITIES
from physics_twin_validation.transistor_amplifier.case import CASES as TRANSISTOR_AMPLIFIER
from physics_twin_validation.van_der_pol.case import CASES as VAN_DER_POL

CASES: tuple[Case, ...] = (
    *ROBERTSON,
    *VAN_DER_POL,
    *OREGONATOR,
    *AKZO_NOBEL,
    *TRANSISTOR_AMPLIFIER,
    *SENSITIVITIES,
    *KINETICS_ESTIMATES,
    *JACKETED_REACTOR,
    *HEATED_BLOCK,
)

__all__ = ["CASES"]
