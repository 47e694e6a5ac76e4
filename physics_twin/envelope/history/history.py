"""Past batches against an envelope: where they ran, what they kept to, and whether that fits what was certified.

A batch fails where a measured limit is broken, passes where all limits were measured and met, and is not judged
otherwise; so it is where its samples are too coarse to say (see `measured_courses`). Limits under a fault are left out
of this: no past batch can show them, since the fault did not happen to it.
A certified probability that holds for them as well holds all the more for the others alone.

The certificate says that inside, at every point, the limits are met with at least the required probability; more
failures inside than that allows (one-sided binomial test) speak against it. Passes outside do not: an envelope says
nothing about what lies outside of it. Batches that the model was fitted to are no independent witnesses.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.stats import binom, binomtest

from physics_twin.envelope.arguments import refuse_wrong_kinds
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.history.capability import Capability, one_sided, two_sided
from physics_twin.envelope.history.measured_limits import Judgment, judged, rules_of
from physics_twin.envelope.history.past_settings import PastSetting, past_setting
from physics_twin.envelope.limits.allowed import Group
from physics_twin.envelope.region.surrogate import SURVIVAL
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.measurements import Experiment
from physics_twin.posterior import Posterior
from physics_twin.units import QuantityLike

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

DOUBT = 0.05
"""Chance of as many failures below which the certified probability is not believed."""
INSIDE, ALL, PREDICTED = "batches inside", "all batches", "predicted at the set point"


class Outcome(enum.Enum):
    """What became of a batch."""

    PASS = "pass"
    FAIL = "fail"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class PastBatch:
    """One batch against the envelope."""

    name: str
    settings: Mapping[str, PastSetting]
    inside: bool | None
    """None where a setting was not found, or there is no box."""
    judgments: tuple[Judgment, ...]
    """One for each limit of the envelope, in its order."""

    @property
    def outcome(self) -> Outcome:
        """Pass, fail or not judged."""
        return outcome_of(self.judgments)

    @property
    def placed(self) -> bool:
        """Whether all settings are known."""
        return all(s.found for s in self.settings.values())

    @property
    def why(self) -> str:
        """What broke, what was not judged and why, which settings are missing; empty for a plain pass."""
        broken = [f"broken: {j.limit}" for j in self.judgments if j.met is False]
        open_ = [f"not judged: {j.limit} ({j.reason})" for j in self.judgments if j.met is None and j.counts]
        return "; ".join([*(s.source for s in self.settings.values() if not s.found), *broken, *open_])


@dataclass(frozen=True)
class Share:
    """A share k of n with its interval (Clopper and Pearson, Biometrika 26, 1934)."""

    k: int
    n: int
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        if self.n == 0:
            return "none judged"
        return f"{self.k} of {self.n} (interval {self.low:.3g} to {self.high:.3g}, confidence {self.confidence:g})"


@dataclass(frozen=True)
class Verdict:
    """Failures inside against the certified probability of one group of limits."""

    group: str
    required: float
    failures: Share
    """Failed batches inside, of those that were judged."""
    chance: float
    """Of as many failures or more if the required probability is just kept; 1 without a batch."""
    enough: int
    """Failures, of as many batches, from which on the certified probability is not believed."""
    n_left_out: int = 0
    """Limits of the group under a fault, which no past batch can show."""

    @property
    def compatible(self) -> bool:
        """Whether the failures fit the certified probability."""
        return self.chance >= DOUBT

    def __str__(self) -> str:
        share = self.failures
        if share.n == 0:
            return f"{self.group}: no batch inside was judged, so the history says nothing about the certificate"
        claim = f"the certified probability of {self.required:g}"
        group = f"{self.group} but those under a fault" if self.n_left_out else self.group
        text = f"{group}: {share.k} of {share.n} batches inside failed"
        if not self.compatible:
            return (
                f"{text}; that contradicts {claim} (chance of as many: {self.chance:.2g}): the model or its "
                "uncertainty is too good, or these batches had something that the probability does not include"
            )
        power = f"{self.enough} would contradict it" if self.enough <= share.n else "too few batches to contradict it"
        return f"{text}; that is compatible with {claim} (chance of as many or more: {self.chance:.2g}; {power})"


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """What `envelope.against(history)` returns."""

    envelope: Envelope
    batches: tuple[PastBatch, ...]
    verdicts: tuple[Verdict, ...]
    """One for each group of limits that is kept with one probability."""
    capability: tuple[Capability, ...]
    confidence: float

    def __getitem__(self, name: str) -> PastBatch:
        """The batch of this name; raises UnknownNameError."""
        for batch in self.batches:
            if batch.name == name:
                return batch
        raise unknown_name("batch", name, [b.name for b in self.batches])

    def count(self, outcome: Outcome, *, inside: bool) -> int:
        """How many batches inside (or outside) had this outcome."""
        return sum(b.inside is inside and b.outcome is outcome for b in self.batches)

    @property
    def not_shown(self) -> tuple[str, ...]:
        """Limits that no past batch can show: those under a fault. They are no part of any outcome."""
        return tuple(j.limit for j in self.batches[0].judgments if not j.counts)

    @property
    def failures_inside(self) -> Share:
        """Failed batches inside, of those judged there."""
        return self._share(Outcome.FAIL, inside=True)

    @property
    def passes_outside(self) -> Share:
        """Passed batches outside, of those judged there: how much a box leaves unused, if they are no luck."""
        return self._share(Outcome.PASS, inside=False)

    @property
    def compatible(self) -> bool:
        """Whether the failures inside fit the certified probabilities, all groups of limits taken together."""
        return all(v.compatible for v in self.verdicts)

    @property
    def table(self) -> xr.Dataset:
        """Settings, outcome, and each limit's measured value, margin and noise for every batch; SI, units beside."""
        from physics_twin.envelope.history.history_tables import history_dataset

        return history_dataset(self)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write a CSV file, a row for each batch, in declared units with the units in the headings."""
        from physics_twin.envelope.history.history_tables import save_csv

        save_csv(self, path)

    def plot(self, ax: Any = None) -> "Figure":
        """The envelope with these batches in it."""
        return self.envelope.plot(ax, history=self)

    def __str__(self) -> str:
        """Counts, verdicts, capability and a table of the batches."""
        from physics_twin.envelope.history.history_tables import history_text

        return history_text(self)

    def __repr__(self) -> str:
        """The same text."""
        return str(self)

    def _share(self, outcome: Outcome, *, inside: bool) -> Share:
        n = sum(self.count(o, inside=inside) for o in (Outcome.PASS, Outcome.FAIL))
        return share_of(self.count(outcome, inside=inside), n, self.confidence)


def against(
    envelope: Envelope,
    history: Sequence[Experiment],
    *,
    settings: Mapping[str, Mapping[str, QuantityLike]] | None = None,
    posterior: Posterior | None = None,
    confidence: float = 0.95,
) -> History:
    """Judge past batches; see `Envelope.against`.

    Raises EnvelopeError for no batch, two of one name, or an envelope without its question; UnknownNameError for a
    name in `settings`; UnitError for a channel that is not in the dimension of its limit.
    """
    refuse_wrong_kinds(history=history)
    question = envelope.question
    given = dict(settings or {})
    _check_names(envelope, history, given)
    rules = rules_of(question.limits, envelope.limits, history)
    batches = []
    for run in history:
        own = given.get(run.name, {})
        at = {s.name: past_setting(s, question.recipe, run, own, posterior) for s in envelope.settings}
        placed = all(s.found for s in at.values()) and not envelope.empty
        inside = envelope.checker.si([s.value for s in at.values()]).inside if placed else None
        batches.append(PastBatch(run.name, at, inside, tuple(judged(rule, run) for rule in rules)))
    verdicts = [_verdict(group, batches, confidence) for group in envelope.certificate.groups]
    return History(envelope, tuple(batches), tuple(verdicts), _capability(envelope, batches, confidence), confidence)


def outcome_of(judgments: Sequence[Judgment]) -> Outcome:
    """Fail where one limit is broken, pass where all are met that a run can show."""
    counted = [j for j in judgments if j.counts]
    if any(j.met is False for j in counted):
        return Outcome.FAIL
    return Outcome.PASS if counted and all(j.met for j in counted) else Outcome.NOT_JUDGED


def share_of(k: int, n: int, confidence: float) -> Share:
    """k of n with its interval; from 0 to 1 for none."""
    if n == 0:
        return Share(0, 0, 0.0, 1.0, confidence)
    interval = binomtest(k, n).proportion_ci(confidence, method="exact")
    return Share(k, n, float(interval.low), float(interval.high), confidence)


def _check_names(
    envelope: Envelope, history: Sequence[Experiment], given: Mapping[str, Mapping[str, QuantityLike]]
) -> None:
    for run in history:
        if not isinstance(run, Experiment):
            raise EnvelopeError(f"against: {run!r} is no past batch; give a list of experiments (pt.Experiment)")
    names = [run.name for run in history]
    if not names:
        raise EnvelopeError("against: there is no batch; give a list of experiments")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EnvelopeError(f'against: two batches are called "{twice}"; a batch counts once')
    for name, own in given.items():
        if name not in names:
            raise unknown_name("batch", name, names)
        for setting in own:
            envelope.setting(setting)


def _verdict(group: Group, batches: Sequence[PastBatch], confidence: float) -> Verdict:
    inside = [outcome_of([b.judgments[j] for j in group.columns]) for b in batches if b.inside]
    n, k = sum(o is not Outcome.NOT_JUDGED for o in inside), inside.count(Outcome.FAIL)
    broken = 1.0 - group.probability
    chance = float(binom.sf(k - 1, n, broken))
    enough = int(np.argmax(binom.sf(np.arange(-1, n + 1), n, broken) < DOUBT))
    left_out = sum(not batches[0].judgments[j].counts for j in group.columns)
    return Verdict(group.name, group.probability, share_of(k, n, confidence), chance, enough, left_out)


def _capability(envelope: Envelope, batches: Sequence[PastBatch], confidence: float) -> tuple[Capability, ...]:
    """Of each limit: measured values of the batches inside and of all, and what the draws predict at the set point.

    Values that are too coarsely recorded to judge count too: they lie near their limit, and an index of the others
    alone would flatter the process.
    """
    measured = np.array([[j.margin for j in b.judgments] for b in batches])
    inside = np.array([bool(b.inside) for b in batches])
    bases = [(INSIDE, measured[inside]), (ALL, measured)]
    if envelope.design is not None:
        bases.append((PREDICTED, _predicted(envelope)))
    found: list[Capability] = []
    column = 0
    for limit in envelope.question.limits:
        sides = [index for index, bound in (("Ppl", limit.lower), ("Ppu", limit.upper)) if bound is not None]
        names = envelope.limits[column : column + len(sides)]
        for basis, margins in bases:
            both = [
                one_sided(name, index, margins[:, column + i], confidence, basis)
                for i, (name, index) in enumerate(zip(names, sides, strict=True))
            ]
            title = limit.name or " and ".join(names)
            found.append(both[0] if len(both) == 1 else two_sided(title, both, confidence))
        column += len(sides)
    return tuple(found)


def _predicted(envelope: Envelope) -> Any:
    """Margins (n_draws, n_limits) SI that the search draws have at the set point, by the surrogate."""
    space = envelope.space
    point = np.array(
        [(envelope.margins_at[s.name] - s.bounds[0]) / (s.bounds[1] - s.bounds[0]) for s in envelope.settings]
    )
    scaled = space.predicted(point[None])[0]
    ran = (scaled > -0.5 * SURVIVAL).all(axis=0)  # a run that fails has no margin
    return scaled.T[ran] * space.scale
