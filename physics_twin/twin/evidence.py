"""Evidence on a recalibration: how it fits, how it predicts data held back, beside the posterior that is in force."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.errors import CalibrationError, DataError, ShapeError, SolveError
from physics_twin.estimation import HoldOut, validate
from physics_twin.measurements import Experiment
from physics_twin.posterior import Posterior
from physics_twin.posterior.tables import aligned
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from physics_twin.twin.setup import Setup

N_DRAWS = 400
"""That predict the held-out data: chances are told to a quarter of a per cent."""


@dataclass(frozen=True)
class Fit:
    """How a channel of the fitted data is met. rms, noise: SI differences."""

    channel: str
    unit: str
    n_samples: int
    rms: float
    noise: float


@dataclass(frozen=True)
class HeldOut:
    """How samples that were held back are predicted.

    n_inside: of n_samples, in the 95 % band. chance: how often those of a right model would be as far off. passed: at
    least one in twenty. rms: output -> root mean square of measured less predicted, SI. score: mean over the samples of
    the log density that a normal law with the predicted mean and spread gives them, in 1/SI: only differences between
    predictions of the same samples mean something; higher is better. failure: why there is no prediction, "" where
    there is one.
    """

    n_samples: int = 0
    n_inside: int = 0
    chance: float = float("nan")
    passed: bool = False
    rms: tuple[tuple[str, float], ...] = ()
    score: float = float("nan")
    failure: str = ""

    @property
    def coverage(self) -> float:
        """Share of the samples in the 95 % band."""
        return self.n_inside / self.n_samples if self.n_samples else float("nan")


@dataclass(frozen=True)
class Change:
    """A parameter in force and as recalibrated; mean and standard deviation, SI. deviations: how far apart, in standard
    deviations of the difference of both.
    """

    parameter: str
    unit: str
    difference: bool
    before: tuple[float, float]
    after: tuple[float, float]

    @property
    def deviations(self) -> float:
        """Infinite where neither has a spread."""
        spread = float(np.hypot(self.before[1], self.after[1]))
        moved = self.after[0] - self.before[0]
        if spread == 0.0:
            return 0.0 if moved == 0.0 else float(np.copysign(np.inf, moved))
        return moved / spread


@dataclass(frozen=True)
class Evidence:
    """What speaks for a candidate and what against it.

    fitted, held: names of the experiments, or parts of them. fit: of each channel. candidate, current: predictions of
    the same held-out samples by the candidate and by the posterior in force. changes: of the twin's parameters.
    converged: of the fit. against: what speaks against a promotion, in sentences; nothing where it may be promoted.
    notes: what a reader must know besides.
    """

    fitted: tuple[str, ...]
    held: tuple[str, ...]
    fit: tuple[Fit, ...]
    candidate: HeldOut
    current: HeldOut
    changes: tuple[Change, ...]
    converged: bool
    against: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def better(self) -> bool:
        """Whether the candidate predicts the held-out samples better than the posterior in force, by its score."""
        return bool(self.candidate.score > self.current.score) or bool(self.current.failure)

    @property
    def may_be_promoted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.against

    @property
    def sentence(self) -> str:
        """Whether it is better and may be promoted, in words."""
        new, old = self.candidate, self.current
        if new.failure:
            return f"it may not be promoted: {self.against[0]}"
        if old.failure:
            text = f"the one in force cannot predict the held-out data ({old.failure})"
        else:
            verb = "better" if self.better else "no better"
            text = (
                f"it predicts the {new.n_samples} held-out samples {verb} than the one in force: "
                f"{_percent(new.coverage)} against {_percent(old.coverage)} lie in the 95 % band, {self._rms()}"
            )
        if self.may_be_promoted:
            return f"{text}; it covers them, is converged and determined by the data: it may be promoted"
        return f"{text}; it may not be promoted: {'; '.join(self.against)}"

    def _rms(self) -> str:
        before = dict(self.current.rms)
        units = {fit.channel.partition("@")[0]: Unit(fit.unit) for fit in self.fit}
        parts = []
        for output, rms in self.candidate.rms:
            unit = units.get(output, Unit("1"))
            new, old = (format_si(x, unit, 3, difference=True) for x in (rms, before.get(output, float("nan"))))
            parts.append(f"{output} is off by {new} against {old}")
        return ", ".join(parts)

    def __str__(self) -> str:
        rows = [["parameter", "in force", "candidate", "moved by"]]
        for change in self.changes:
            unit = Unit(change.unit)
            shown = [
                f"{format_si(m, unit, difference=change.difference)} +- {format_si(s, unit, 2, difference=True)}"
                for m, s in (change.before, change.after)
            ]
            rows.append([change.parameter, *shown, f"{change.deviations:+.1f} standard deviations"])
        fits = [["channel fitted", "samples", "rms", "noise"]]
        for fit in self.fit:
            unit = Unit(fit.unit)
            numbers = [format_si(x, unit, 3, difference=True) for x in (fit.rms, fit.noise)]
            fits.append([fit.channel, str(fit.n_samples), *numbers])
        used = f"fitted to {', '.join(self.fitted)}; held out: {', '.join(self.held)}"
        return "\n".join([self.sentence, used, aligned(rows), aligned(fits), *(f"note: {note}" for note in self.notes)])


def evidence_for(
    setup: "Setup",
    candidate: Posterior,
    current: Posterior,
    fitted: Sequence[Experiment],
    held: Sequence[Experiment],
    rng: int,
) -> Evidence:
    """The evidence on a fit to `fitted`, on data that it has not seen."""
    notes = list(candidate.warnings)
    new, more = _held_out(setup, candidate, held, rng)
    notes += more
    old, more = _held_out(setup, current, held, rng)
    notes += [f"in force: {note}" for note in more]
    changes = tuple(_change(setup, name, current, candidate) for name in setup.coordinates.of_plant)
    return Evidence(
        fitted=tuple(run.name for run in fitted),
        held=tuple(run.name for run in held),
        fit=_fit(candidate),
        candidate=new,
        current=old,
        changes=changes,
        converged=candidate.converged,
        against=tuple(_against(setup, candidate, new, old)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _fit(posterior: Posterior) -> tuple[Fit, ...]:
    found = []
    for c in posterior.channels:
        unit = c.difference_unit
        squares = c.sum_of_squares / max(c.n_samples, 1)
        rms, noise = (float(unit.to_si(x, difference=True)) for x in (np.sqrt(squares), c.noise))
        found.append(Fit(f"{c.output}@{c.experiment}", c.unit, c.n_samples, rms, noise))
    return tuple(found)


def _held_out(
    setup: "Setup", posterior: Posterior, held: Sequence[Experiment], rng: int
) -> tuple[HeldOut, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    try:
        try:
            found = validate(setup.model, posterior, held, n_draws=N_DRAWS, rng=rng)
        except DataError as error:
            # The one in force may have been fitted to these very data: then it has an advantage, and is compared still.
            notes = (f"{error}: the comparison favors it",)
            provenance = {k: v for k, v in posterior.provenance.items() if k != "experiments"}
            found = validate(setup.model, replace(posterior, provenance=provenance), held, n_draws=N_DRAWS, rng=rng)
    except (CalibrationError, SolveError, DataError, ShapeError) as error:
        return HeldOut(failure=str(error)), notes
    return _summary(found), (*notes, *found.notes)


def _summary(found: HoldOut) -> HeldOut:
    squares: dict[str, list[float]] = {}
    scores: list[float] = []
    for c in found.channels:
        measured = c.censored == 0
        off, sd = (c.observed - c.middle)[measured], c.sd[measured]
        squares.setdefault(c.channel.output, []).extend((off**2).tolist())
        scores += (-0.5 * (off / sd) ** 2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi)).tolist()
    return HeldOut(
        n_samples=found.n_samples,
        n_inside=found.n_inside,
        chance=found.chance,
        passed=found.passed,
        rms=tuple((output, float(np.sqrt(np.mean(s)))) for output, s in squares.items() if s),
        score=float(np.mean(scores)) if scores else float("nan"),
    )


def _change(setup: "Setup", name: str, before: Posterior, after: Posterior) -> Change:
    parameter = setup.coordinates.declared[name]
    k = setup.coordinates.parameters.index(name)

    def moments(posterior: Posterior) -> tuple[float, float]:
        own = posterior[name] if name in posterior.parameters else setup.beginning.start.parameters[:, k]
        return float(np.mean(own)), float(np.std(own, ddof=1)) if own.size > 1 else 0.0

    return Change(name, parameter.unit.text, parameter.difference, moments(before), moments(after))


def _against(setup: "Setup", posterior: Posterior, new: HeldOut, old: HeldOut) -> list[str]:
    found: list[str] = []
    if not posterior.converged:
        found.append(f"the fit did not converge ({posterior.message})")
    for name in setup.coordinates.of_plant:
        verdict = posterior.verdicts.get(name)
        if verdict is not None and (verdict.identification.failed or not verdict.identified):
            found.append(f"{name} is {verdict}")
    if new.failure:
        found.append(f"it cannot predict the held-out data: {new.failure}")
    elif not new.passed:
        found.append(
            f"it does not cover the held-out data: {new.n_inside} of {new.n_samples} samples lie in the 95 % band, and "
            f"a right model strays as far in {100.0 * new.chance:.1f} % of cases"
        )
    if not new.failure and not old.failure and not new.score > old.score:
        found.append("the posterior in force predicts the held-out data as well or better")
    for name, (low, high) in setup.model.validity.items():
        if name in posterior.parameters:
            ends = posterior.interval(name)
            if ends[0] < low or ends[1] > high:
                unit = posterior.parameters[name].unit
                inside = f"{format_si(low, unit)} to {format_si(high, unit)}"
                found.append(f"{name} leaves the model's domain of validity, {inside}")
    return found


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


__all__ = ["Change", "Evidence", "Fit", "HeldOut", "evidence_for"]
