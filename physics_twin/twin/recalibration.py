"""Recalibration under change control: a candidate with its evidence, and a person who puts it in force.

An adaptive twin follows slow changes by itself. What it was calibrated to changes only here: a fit to new experiments
is a candidate, judged on data that it has not seen beside the posterior in force, and nothing happens until somebody
signs for it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physics_twin.errors import CalibrationError, DataError, FileFormatError
from physics_twin.estimation import GaussNewton, Method, calibrate
from physics_twin.files import atomic_write
from physics_twin.measurements import Experiment
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.twin.evidence import Change, Evidence, Fit, HeldOut, evidence_for
from physics_twin.twin.moments import moment, stamp
from physics_twin.twin.nulls import without_nan
from physics_twin.twin.orders import carried_out
from physics_twin.twin.promotion import (
    Promotion,
    content_of,
    hash_in_force,
    in_force,
    posterior_hash,
    posterior_in_force,
    promotions_of,
    put_in_force,
)
from physics_twin.twin.timeline import Act, Operation

if TYPE_CHECKING:
    from physics_twin.twin.journal import Timeline
    from physics_twin.twin.twin import Twin

HELD_OUT = 0.3
"""Share of the sample times of a single experiment that is held back."""
_FORMAT = "physics_twin candidate 1"


@dataclass(frozen=True, eq=False, repr=False)
class Candidate:
    """A recalibration that is not in force yet.

    posterior: of the fit, which has not seen the held-out data. evidence: on it. made_at: the twin's time, ns UTC.
    method: how it was fitted. in_force: hash of the posterior that it was compared with. model: fingerprint.
    """

    posterior: Posterior
    evidence: Evidence
    made_at: int
    method: str
    in_force: str
    model: str

    @property
    def hash(self) -> str:
        """SHA-256 of what the posterior says."""
        return posterior_hash(self.posterior)

    def __str__(self) -> str:
        head = f"candidate {self.hash[:12]}, made by {self.method} for the twin at {stamp(self.made_at)}"
        return f"{head}: {self.evidence}"

    __repr__ = __str__

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write the evidence as JSON, and the posterior as NetCDF beside it under the same name; each whole or not at
        all. Raises DataError for a name that does not end in .json.
        """
        own = _json_path(path)
        self.posterior.save(own.with_suffix(".nc"))
        content = {
            "format": _FORMAT,
            "posterior": self.hash,
            "made_at": self.made_at,
            "made_at_utc": stamp(self.made_at),
            "method": self.method,
            "in_force": self.in_force,
            "model": self.model,
            "sentence": self.evidence.sentence,
            "evidence": without_nan(asdict(self.evidence)),
        }
        with atomic_write(own) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf8")

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Candidate":
        """Read what `save` wrote; raises FileFormatError where the posterior is not the one of the evidence."""
        own = _json_path(path)
        try:
            content = json.loads(own.read_text(encoding="utf8"))
            if content["format"] != _FORMAT:
                raise ValueError(f'it is marked {content["format"]!r}, expected "{_FORMAT}"')
            found = cls(
                posterior=Posterior.load(own.with_suffix(".nc")),
                evidence=_evidence(content["evidence"]),
                made_at=int(content["made_at"]),
                method=str(content["method"]),
                in_force=str(content["in_force"]),
                model=str(content["model"]),
            )
        except (KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{own.name} is no candidate: {error}") from None
        if found.hash != content["posterior"]:
            raise FileFormatError(
                f"{own.with_suffix('.nc').name} has the hash {found.hash[:12]}, the evidence in {own.name} is about "
                f"{content['posterior'][:12]}: one of the two was replaced"
            )
        return found


def recalibrate(
    twin: "Twin",
    experiments: Experiment | Sequence[Experiment],
    *,
    method: Method | None = None,
    hold_out: Sequence[str] | float | None = None,
    unknown: Sequence[Any] | None = None,
    rng: int = 0,
    **options: Any,
) -> Candidate:
    """See `Twin.recalibrate`."""
    setup = twin.setup
    if not setup.adaptive:
        raise CalibrationError("this twin is frozen: its parameters are not to change; start one with adaptive=True")
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    fitted, held = _split(runs, hold_out)
    names = setup.coordinates.of_plant
    wanted = list(setup.parameters[: len(names)]) if unknown is None else list(unknown)
    held_values = {k: v for k, v in setup.fixed.items() if not k.startswith("initial.") and k not in _named(wanted)}
    chosen = GaussNewton() if method is None else method
    values = options.pop("values", None)
    posterior = calibrate(
        setup.model,
        fitted,
        unknown=wanted,
        method=chosen,
        values=Values(held_values) if values is None else values,
        rng=rng,
        **options,
    )
    missing = [name for name in names if name not in posterior.parameters]
    if missing:
        raise CalibrationError(
            f'the twin\'s "{missing[0]}" was not among the unknowns; a candidate needs all of {", ".join(names)}'
        )
    return Candidate(
        posterior=posterior,
        evidence=evidence_for(setup, posterior, posterior_in_force(twin), fitted, held, rng),
        made_at=twin.until,
        method=posterior.provenance.get("method", type(chosen).__name__),
        in_force=hash_in_force(twin),
        model=setup.model.fingerprint,
    )


def _split(
    runs: Sequence[Experiment], hold_out: Sequence[str] | float | None
) -> tuple[tuple[Experiment, ...], tuple[Experiment, ...]]:
    """What is fitted and what is held back; raises DataError where one of the two would be empty."""
    if not runs:
        raise DataError("there is no experiment to recalibrate with")
    if isinstance(hold_out, Sequence):
        known = {run.name for run in runs}
        wrong = [name for name in hold_out if name not in known]
        if wrong or isinstance(hold_out, str):
            raise DataError(f"hold_out={hold_out!r} names no experiments of {', '.join(sorted(known))}; give a list")
        fitted = tuple(run for run in runs if run.name not in hold_out)
        held = tuple(run for run in runs if run.name in hold_out)
    elif hold_out is None and len(runs) > 1:
        fitted, held = tuple(runs[:-1]), (runs[-1],)
    else:
        share = HELD_OUT if hold_out is None else float(hold_out)
        if not 0.0 < share < 1.0:
            raise DataError(f"hold_out={share:g}: a share of the samples lies between 0 and 1")
        counts = [min(max(round((1.0 - share) * run.times.size), 1), run.times.size - 1) for run in runs]
        if min(counts) < 1:
            raise DataError("an experiment with one sample time cannot be split; name whole experiments in hold_out=[]")
        fitted = tuple(run.first(n) for run, n in zip(runs, counts, strict=True))
        held = tuple(run.last(run.times.size - n) for run, n in zip(runs, counts, strict=True))
    if not fitted or not held:
        raise DataError("something must be fitted and something held back: hold_out= leaves one of the two empty")
    return fitted, held


def _named(items: Sequence[Any]) -> set[str]:
    return {item if isinstance(item, str) else str(getattr(item, "name", "")) for item in items}


def promote(
    twin: "Twin",
    candidate: Candidate,
    *,
    who: str,
    reason: str,
    at: Any = None,
    against_evidence: bool = False,
    journal: "Timeline | None" = None,
) -> "Twin":
    """See `Twin.promote`."""
    setup = twin.setup
    if not setup.adaptive:
        raise CalibrationError("this twin is frozen: its parameters are not to change; no candidate can be promoted")
    if candidate.model != setup.model.fingerprint:
        raise CalibrationError(
            f"the candidate was fitted to a model of the fingerprint {candidate.model[:12]}, the twin's is "
            f"{setup.model.fingerprint[:12]}: equations or constants differ; recalibrate this twin"
        )
    before = hash_in_force(twin)
    if candidate.in_force != before:
        raise CalibrationError(
            f"the candidate was compared with the posterior {candidate.in_force[:12]}; since then {before[:12]} has "
            "been put in force. Recalibrate, so that the evidence is about the one that would be replaced"
        )
    if not candidate.evidence.may_be_promoted and not against_evidence:
        raise CalibrationError(
            f"{candidate.evidence.sentence}. Whoever knows better says against_evidence=True, with the reason"
        )
    more = {
        "method": candidate.method,
        "made_at": candidate.made_at,
        "evidence": candidate.evidence.sentence,
        "against_evidence": not candidate.evidence.may_be_promoted,
    }
    content = content_of(setup, candidate.posterior, before, more)
    return _done(twin, Act.PROMOTE, content, who, reason, at, journal)


def revert(
    twin: "Twin",
    promotion: Promotion | None = None,
    *,
    who: str,
    reason: str,
    at: Any = None,
    journal: "Timeline | None" = None,
) -> "Twin":
    """See `Twin.revert`."""
    last = in_force(twin)
    if last is None:
        raise DataError("nothing has been promoted: the posterior that the twin began with is in force")
    if promotion is None:
        promotion = last
    if promotion.posterior != last.posterior or promotion.time != last.time:
        raise DataError(f"that promotion is not the one in force, which is {last}; take back what came later first")
    if last.reverts:
        raise DataError(f"{last}: there is nothing to take back; promote a candidate")
    earlier = next((p for p in reversed(promotions_of(twin.audit)) if p.posterior == last.before), None)
    more = {"reverts": last.time}
    if earlier is None:
        content = content_of(twin.setup, twin.setup.posterior, last.posterior, more)
    else:
        content = {**earlier.operation.content, "before": last.posterior, **more}
    return _done(twin, Act.REVERT, content, who, reason, at, journal)


def _done(
    twin: "Twin", act: Act, content: dict[str, Any], who: str, reason: str, at: Any, journal: "Timeline | None"
) -> "Twin":
    if not who.strip():
        raise DataError("a person answers for what a twin is calibrated to: who= needs a name")
    if not reason.strip():
        raise DataError("reason= is empty: say why, for those who read the audit log")
    time = max(twin.until, twin.newest) + 1 if at is None else moment(at)
    operation = Operation(act, time, who, reason, content)
    return carried_out(twin, operation, journal, CalibrationError)


def _json_path(path: "str | os.PathLike[str]") -> Path:
    own = Path(path)
    if own.suffix != ".json":
        raise DataError(f"a candidate is saved under a name that ends in .json, not {own.name}")
    return own


def _evidence(record: dict[str, Any]) -> Evidence:
    def held_out(part: dict[str, Any]) -> HeldOut:
        numbers = {key: float("nan") if part[key] is None else float(part[key]) for key in ("chance", "score")}
        return HeldOut(**{**part, **numbers, "rms": tuple((str(name), float(x)) for name, x in part["rms"])})

    return Evidence(
        fitted=tuple(record["fitted"]),
        held=tuple(record["held"]),
        fit=tuple(Fit(**part) for part in record["fit"]),
        candidate=held_out(record["candidate"]),
        current=held_out(record["current"]),
        changes=tuple(
            Change(**{**part, "before": tuple(part["before"]), "after": tuple(part["after"])})
            for part in record["changes"]
        ),
        converged=bool(record["converged"]),
        against=tuple(record["against"]),
        notes=tuple(record["notes"]),
    )


__all__ = ["Candidate", "promote", "put_in_force", "recalibrate", "revert"]
