"""One verification or validation claim: its source, its acceptance number, its outcome.

A claim is one sentence that can be false. Its acceptance is chosen before it is run, and how it was chosen is part of
the case (ASME V&V 10-2019, section 2.6).
"""

import enum
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import MissingDependencyError, ModelError, PhysicsTwinError, check_name
from physics_twin.verification.agreement import RELATIVE, Measure


class NotAvailable(PhysicsTwinError, RuntimeError):
    """Raised by a case that cannot be run here: its data or an extra is missing. It is then not run, never passed."""


class CaseFailure(PhysicsTwinError, AssertionError):
    """Raised by `run_cases(..., raise_on_failure=True)`."""


class Status(enum.Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Measured:
    """What a case computes.

    values: numbers to hold beside the expected ones, same order and unit. details: what the evidence should name
    (fingerprints of models, hashes of data, settings).
    """

    values: Sequence[float] | Array
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A claim with a number.

    name: an identifier. claim: one sentence. requirement: what asks for it. source: where the expected values are from,
    so that a reader finds them. quantity: what is compared, with its unit. expected: (n,) values. tolerance: the
    largest error that passes, by `measure`. acceptance: how the tolerance was chosen. compute: () -> `Measured` or (n,)
    values; a function at the top of a module, so that it travels to worker processes. It raises `NotAvailable` when
    data it needs are not here, `MissingDependencyError` when a library is not.

    Raises ModelError for a case that could not fail or says nothing.
    """

    name: str
    claim: str
    requirement: str
    source: str
    quantity: str
    expected: tuple[float, ...]
    tolerance: float
    acceptance: str
    compute: Callable[[], "Measured | Sequence[float] | Array"]
    measure: Measure = RELATIVE

    def __post_init__(self) -> None:
        check_name("case", self.name)
        for what in ("claim", "requirement", "source", "quantity", "acceptance"):
            if not str(getattr(self, what)).strip():
                raise ModelError(f'case "{self.name}" has no {what}')
        values = np.asarray(self.expected, dtype=float)
        if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
            raise ModelError(f'case "{self.name}": expected is a tuple of finite numbers, not {self.expected!r}')
        object.__setattr__(self, "expected", tuple(values.tolist()))
        if not 0.0 <= self.tolerance < np.inf:
            raise ModelError(f'case "{self.name}": with a tolerance of {self.tolerance!r} it could not fail')

    def run(self) -> "Outcome":
        """Compute and judge; what goes wrong is part of the outcome."""
        begin = time.perf_counter()
        values: tuple[float, ...] = ()
        details: Mapping[str, str] = {}
        error, status, message = float("inf"), Status.FAILED, ""
        try:
            found = self.compute()
            measured = found if isinstance(found, Measured) else Measured(found)
            array = np.atleast_1d(np.asarray(measured.values, dtype=float))
            values, details = tuple(array.tolist()), dict(measured.details)
            expected = np.asarray(self.expected)
            error = self.measure(array, expected)
            status = Status.PASSED if error <= self.tolerance else Status.FAILED
            if array.shape != expected.shape:
                message = f"{array.size} values were measured and {expected.size} are expected"
            elif not np.isfinite(array).all():
                message = "a measured value is not a finite number"
            elif status is Status.FAILED:
                message = f"the error {error:.3g} is above the tolerance {self.tolerance:.3g}"
        except (NotAvailable, MissingDependencyError) as reason:
            status, message = Status.NOT_RUN, str(reason)
        except Exception as reason:  # noqa: BLE001 - one case that raises must not hide the others; its reason is kept
            message = f"{type(reason).__name__}: {reason}"
        return Outcome(self, values, error, status, time.perf_counter() - begin, message, details)


@dataclass(frozen=True)
class Outcome:
    """What a case gave.

    measured: (n,) values, empty when it raised. error: by the case's measure, inf when there is none. seconds: time
    taken. message: why it failed or was not run, else empty.
    """

    case: Case
    measured: tuple[float, ...]
    error: float
    status: Status
    seconds: float
    message: str
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the case ran and its error is within its tolerance."""
        return self.status is Status.PASSED

    def __str__(self) -> str:
        text = f"{self.status.value:8} {self.case.name}: "
        if self.status is Status.NOT_RUN:
            return text + self.message
        return (
            text
            + f"error {self.error:.2e}, tolerance {self.case.tolerance:.3g}"
            + (f" ({self.message})" if self.message else "")
        )
