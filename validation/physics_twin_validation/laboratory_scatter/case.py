"""Thermogravimetry of PMMA by two laboratories: one is predicted from the other with its thermometer as a new one's."""

import functools
import hashlib
from collections.abc import Sequence

import physics_twin as pt
from physics_twin import datasets
from physics_twin.errors import DataError
from physics_twin.verification import AT_LEAST, AT_MOST, Case, Measured, NotAvailable
from physics_twin_models.pmma_decomposition import KINETICS, pmma_decomposition, populations, thermogravimetry

_SET = "macfp_pmma_kinetics"
_SOURCE = "MaCFP Condensed Phase Working Group, Material Database (MaCFP/matl-db @14b73ea, MIT): PMMA, NIST and FSRI"
_BEGUN = 4
"""Samples, 30 K without a loss, that the fit has of the laboratory that is left out: a spread needs two laboratories,
and these say that there is another one and nothing about its thermometer."""


@functools.cache
def records(laboratory: str, rate: str = "") -> tuple[pt.Experiment, ...]:
    """The records of a laboratory at a heating rate ("10K", all by default); NotAvailable where they cannot be had."""
    data = datasets.load(_SET)
    drift = pt.Noise(pt.EstimatedNoise(0.003, shared="balance"), correlation_time=pt.Estimated("3 min"))
    files = [name for name in data.files if name.startswith(f"{laboratory}_TGA_N2_{rate}")]
    try:
        return tuple(thermogravimetry(data.path(name), error="thermometer_error", noise=drift) for name in files)
    except DataError as error:
        raise NotAvailable(str(error)) from None


def _fit(runs: Sequence[pt.Experiment]) -> pt.Posterior:
    return pt.calibrate(pmma_decomposition(), runs, unknown=[*KINETICS, *populations()], rng=7)


@functools.cache
def predicted(laboratory: str, other: str) -> pt.HoldOut:
    """The records of a laboratory at 10 K/min, predicted from all records of the other one."""
    first, *rest = records(laboratory, "10K")
    return pt.holdout(
        pmma_decomposition(),
        [*records(other), first.first(_BEGUN)],
        fit=_fit,
        held=[first.last(first.n_used - _BEGUN), *rest],
        n_draws=300,
        rng=3,
    )


def _measured(laboratory: str, other: str) -> Measured:
    found = predicted(laboratory, other)
    data = datasets.load(_SET)
    files = sorted(name for name in data.files if "_TGA_" in name)
    digest = hashlib.sha256(b"".join(data.path(name).read_bytes() for name in files))
    verdict = found.posterior.verdicts["spread.thermometer_error"]
    details = {
        "fingerprint": pmma_decomposition().fingerprint,
        "data": f"{_SET}, thermogravimetry, sha256 {digest.hexdigest()}",
        "inside the 95 % band": f"{found.n_inside} of {found.n_samples}",
        "spread of laboratories": str(verdict),
    }
    return Measured([found.chance], details)


CASES = (
    Case(
        name="laboratory_scatter_new",
        claim="Fitted to FSRI, 3 to 30 K/min, with laboratories and runs as populations, the prediction of five "
        "records of NIST at 10 K/min is as far off as a right model is.",
        requirement="the answer for a new laboratory carries the scatter among laboratories",
        source=_SOURCE,
        quantity="chance that records of a right model are as far from the prediction, or farther",
        expected=(0.05,),
        tolerance=0.0,
        acceptance="one in twenty, the limit of every hold-out",
        compute=functools.partial(_measured, "NIST", "FSRI"),
        measure=AT_LEAST,
    ),
    Case(
        name="laboratory_scatter_not_known",
        claim="Fitted to NIST, whose balance repeats several times better than that of FSRI, the prediction of three "
        "records of FSRI at 10 K/min is too certain, and the hold-out says so.",
        requirement="a prediction that does not hold is refused",
        source=_SOURCE,
        quantity="chance that records of a right model are as far from the prediction, or farther",
        expected=(0.05,),
        tolerance=0.0,
        acceptance="one in twenty, the limit of every hold-out; the end of two records lies 0.02 below zero",
        compute=functools.partial(_measured, "FSRI", "NIST"),
        measure=AT_MOST,
    ),
)
