"""Is it right? Claims with numbers, the contract of a model, derivatives and orders of convergence.

`run_cases` runs claims (`Case`) and writes the evidence; `check_model` holds a model to the contract of the library;
`taylor_test` checks derivatives; `observed_order` measures how fast an error falls; `check_coverage` asks whether the
intervals of a calibration hold what they promise.
"""

from physics_twin.verification.agreement import ABSOLUTE, AT_LEAST, AT_MOST, RELATIVE, Measure, digits, mixed
from physics_twin.verification.case import Case, CaseFailure, Measured, NotAvailable, Outcome, Status
from physics_twin.verification.contract import Clause, ContractReport, check_model
from physics_twin.verification.convergence import ObservedOrder, observed_order
from physics_twin.verification.coverage import Coverage, check_coverage
from physics_twin.verification.derivatives import TaylorReport, TaylorRow, taylor_test
from physics_twin.verification.evidence import Report, run_cases

__all__ = [
    "ABSOLUTE",
    "AT_LEAST",
    "AT_MOST",
    "RELATIVE",
    "Case",
    "CaseFailure",
    "Clause",
    "ContractReport",
    "Coverage",
    "Measure",
    "Measured",
    "NotAvailable",
    "ObservedOrder",
    "Outcome",
    "Report",
    "Status",
    "TaylorReport",
    "TaylorRow",
    "check_coverage",
    "check_model",
    "digits",
    "mixed",
    "observed_order",
    "run_cases",
    "taylor_test",
]
