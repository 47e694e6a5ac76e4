"""`run_cases`: claims in, evidence out. The report is generated from the cases, never written by hand."""

import hashlib
import inspect
import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from physics_twin.errors import ModelError, unknown_name
from physics_twin.files import atomic_write
from physics_twin.verification.case import Case, CaseFailure, Outcome, Status
from physics_twin.verification.evidence_page import page

if TYPE_CHECKING:
    import pandas as pd

_LIBRARIES = ("physics-twin", "numpy", "scipy", "casadi", "xarray", "pint")
_FORMAT = "physics_twin evidence 1"


@dataclass(frozen=True)
class Report:
    """The outcomes of a run of cases, in the order of the cases.

    versions: library -> version, with Python's and the computer's. sources: case -> sha256 of the files in the folder
    that defines it. started: UTC, ISO 8601.
    """

    outcomes: tuple[Outcome, ...]
    versions: Mapping[str, str]
    sources: Mapping[str, str]
    started: str

    @property
    def passed(self) -> bool:
        """Whether every case ran and passed. A case that was not run has not passed."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Cases that ran and failed, or raised."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAILED)

    @property
    def not_run(self) -> tuple[Outcome, ...]:
        """Cases whose data or extras are not here; each says why."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.NOT_RUN)

    def __getitem__(self, name: str) -> Outcome:
        """The outcome of one case."""
        for outcome in self.outcomes:
            if outcome.case.name == name:
                return outcome
        raise unknown_name("case", name, [outcome.case.name for outcome in self.outcomes])

    @property
    def summary(self) -> str:
        """One line: how many passed, failed and were not run."""
        n_passed = sum(outcome.passed for outcome in self.outcomes)
        seconds = sum(outcome.seconds for outcome in self.outcomes)
        return (
            f"{n_passed} of {len(self.outcomes)} cases passed, {len(self.failures)} failed, "
            f"{len(self.not_run)} not run ({seconds:.1f} s)"
        )

    def __str__(self) -> str:
        return "\n".join([*(str(outcome) for outcome in self.outcomes), self.summary])

    def to_dataframe(self) -> "pd.DataFrame":
        """One row per case: status, error, tolerance, seconds, claim, source, message."""
        import pandas as pd

        rows = [
            {
                "case": o.case.name,
                "status": o.status.value,
                "error": o.error,
                "tolerance": o.case.tolerance,
                "measure": o.case.measure.text,
                "seconds": o.seconds,
                "claim": o.case.claim,
                "quantity": o.case.quantity,
                "requirement": o.case.requirement,
                "source": o.case.source,
                "message": o.message,
            }
            for o in self.outcomes
        ]
        return pd.DataFrame(rows)

    def to_json(self) -> str:
        """Everything as JSON text; a number that is not finite is written as null."""
        cases = [
            {
                "name": o.case.name,
                "claim": o.case.claim,
                "requirement": o.case.requirement,
                "source": o.case.source,
                "quantity": o.case.quantity,
                "expected": list(o.case.expected),
                "measured": [_number(x) for x in o.measured],
                "measure": o.case.measure.text,
                "error": _number(o.error),
                "tolerance": o.case.tolerance,
                "acceptance": o.case.acceptance,
                "status": o.status.value,
                "seconds": o.seconds,
                "message": o.message,
                "details": dict(o.details),
                "sha256": self.sources[o.case.name],
            }
            for o in self.outcomes
        ]
        document = {
            "format": _FORMAT,
            "started": self.started,
            "passed": self.passed,
            "summary": self.summary,
            "versions": dict(self.versions),
            "cases": cases,
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """One self-contained page: a table of all cases, then a section for each."""
        verdict = Status.PASSED if self.passed else Status.FAILED if self.failures else Status.NOT_RUN
        return page(self.outcomes, verdict, self.summary, self.started, self.versions, self.sources)

    def save(self, folder: "str | os.PathLike[str]") -> None:
        """Write report.html and report.json into a folder, made if need be."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.json", self.to_json()), ("report.html", self.to_html())):
            with atomic_write(place / name) as temporary:
                Path(temporary).write_text(text, encoding="utf-8")


def run_cases(
    cases: Iterable[Case],
    out: "str | os.PathLike[str] | None" = None,
    *,
    executor: Executor | None = None,
    progress: bool = False,
    raise_on_failure: bool = False,
) -> Report:
    """Run claims and report on them.

    out: a folder for report.html and report.json. executor: runs cases in parallel (`concurrent.futures`). progress:
    show a bar. raise_on_failure: raise CaseFailure, after everything ran and was written, if a case failed; cases that
    could not be run here do not raise.

    A case that raises has failed, with its reason; the others go on. Raises ModelError for two cases of one name or
    none at all.
    """
    listed = tuple(cases)
    names = [case.name for case in listed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not listed:
        raise ModelError(f'two cases are called "{twice[0]}"' if twice else "there is no case to run")
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with _progress(progress, len(listed)) as told:
        if executor is None:
            outcomes = tuple(_told(case.run(), told) for case in listed)
        else:
            futures = [executor.submit(_run, case) for case in listed]
            outcomes = tuple(_told(_collected(c, f), told) for c, f in zip(listed, futures, strict=True))
    report = Report(outcomes, _versions(), {case.name: _source_hash(case) for case in listed}, started)
    if out is not None:
        report.save(out)
    if raise_on_failure and report.failures:
        raise CaseFailure("\n".join(str(outcome) for outcome in report.failures))
    return report


def _run(case: Case) -> Outcome:
    return case.run()


def _collected(case: Case, future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - a worker that dies fails its case and no other
        return Outcome(case, (), math.inf, Status.FAILED, 0.0, f"{type(error).__name__}: {error}")


def _told(outcome: Outcome, told: Callable[[], None]) -> Outcome:
    told()
    return outcome


@contextmanager
def _progress(shown: bool, total: int) -> Iterator[Callable[[], None]]:
    if not shown:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task("cases", total=total)
        yield lambda: bar.advance(task)


def _number(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _source_hash(case: Case) -> str:
    """Of every file in the folder that defines the case: its code, its reference numbers, its page."""
    function = case.compute
    while isinstance(function, partial):
        function = function.func
    try:
        folder = Path(inspect.getsourcefile(function) or "").parent
    except TypeError:  # a callable object or a builtin has no file
        return ""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
