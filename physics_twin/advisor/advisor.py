"""The advisor: proposes the next move inside approved ranges, with its reason. It reads, computes and returns a value.

It has no way to a plant: no file, no network, no control system. Whoever carries a move out does so on their own
authority; `Advice.approval` names the record that allows it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physics_twin.advisor.approval import Approval
from physics_twin.advisor.envelope_hash import envelope_hash
from physics_twin.envelope import Envelope, Plan
from physics_twin.envelope.digits import clean
from physics_twin.envelope.limits.reductions import duration_text
from physics_twin.envelope.plan.plan import largest_moves
from physics_twin.envelope.plan.plan_text import gain_text
from physics_twin.errors import EnvelopeError
from physics_twin.parameters import Values
from physics_twin.signals import Setting
from physics_twin.twin.moments import moment, stamp
from physics_twin.units import QuantityLike, format_si


@dataclass(frozen=True, repr=False)
class Advice:
    """A proposed move, or why there is none."""

    settings: Mapping[str, float]
    """Setting -> value to go to in the next step, SI; the present ones where nothing is proposed."""
    moves: Mapping[str, float]
    """Setting -> change, SI; none where nothing is proposed."""
    refused: bool
    """Whether the advisor may not or cannot propose anything; staying at the best point is not a refusal."""
    reason: str
    gain: float
    """By how much the joint margin grows with the move, in units of its spread over the draws."""
    plan: Plan | None
    """All steps to the best approved point."""
    time: int
    """For when, ns UTC."""
    approval: str
    """Hash of the approval's record."""
    declared: tuple[Setting, ...]
    """The settings, with their units."""

    def in_units(self) -> dict[str, tuple[float, str]]:
        """Setting -> (proposed value, unit) in the declared units, 12 digits."""
        return {
            s.name: (clean(float(s.unit.from_si(self.settings[s.name]))), s.unit.text)
            for s in self.declared
            if s.name in self.settings
        }

    def __str__(self) -> str:
        """The advice for people."""
        head = f"{stamp(self.time)}: "
        if self.refused:
            return f"{head}no advice: {self.reason}"
        if not self.moves:
            return f"{head}stay: {self.reason}"
        lines = []
        for s in self.declared:
            size = self.moves[s.name]
            change = ("+" if size >= 0.0 else "") + format_si(size, s.unit, difference=True)
            lines.append(f"  {s.name}: {s.format(self.settings[s.name])} ({change})")
        return "\n".join([f"{head}move ({self.reason})", *lines, f"approval {self.approval[:12]}"])

    __repr__ = __str__


def _growth(gain: float) -> str:
    """What a move does to the margin of all limits together, in plant words."""
    if gain_text(gain) == "no gain":
        return "no gain in the margin of all limits together"
    way = "grows" if gain > 0.0 else "shrinks"
    return f"the margin of all limits together {way} by {abs(gain):.2f} of its standard deviation"


@dataclass(frozen=True, repr=False)
class Advisor:
    """Proposes moves inside the ranges of an approval, towards the envelope's set point.

    rate_limits, steps, step, one_at_a_time: limits on moves, as of `Envelope.plan`. An advisor knows of a withdrawal
    what its approval's log held: load the approval's file anew for every advice. Raises EnvelopeError where the
    approval is about another envelope: any change of ranges, certificate or warnings needs a new approval; and, with
    UnknownNameError and UnitError, for limits on moves that are none.
    """

    approval: Approval
    envelope: Envelope
    rate_limits: Mapping[str, QuantityLike] = field(default_factory=dict)
    steps: Mapping[str, QuantityLike] = field(default_factory=dict)
    step: QuantityLike = "1 h"
    one_at_a_time: bool = False

    def __post_init__(self) -> None:
        """Refuse an envelope that was not approved, an approval that was changed, and moves that are none."""
        given: tuple[Any, Any] = (self.approval, self.envelope)  # the two swapped, or paths, come too
        if not (isinstance(given[0], Approval) and isinstance(given[1], Envelope)):
            raise EnvelopeError(
                "an advisor needs an approval and the envelope that it is about: pt.Advisor(approval, envelope), with "
                "what pt.approve and pt.find_envelope returned"
            )
        largest_moves(self.envelope.settings, self.rate_limits, self.steps, self.step)
        self.approval.log.verify()
        if self.approval.record not in self.approval.log.records:
            raise EnvelopeError(
                "the approval does not stand in its own log; load it from the file that it was saved to"
            )
        found = envelope_hash(self.envelope)
        if found != self.approval.envelope:
            raise EnvelopeError(
                f"the approval of {self.approval.who} is about the envelope {self.approval.envelope[:12]}, this one is "
                f"{found[:12]}: its ranges, certificate or warnings differ; have it approved anew"
            )

    def __str__(self) -> str:
        """What it may do, and on whose authority."""
        largest, duration = largest_moves(self.envelope.settings, self.rate_limits, self.steps, self.step)
        lines = ["advisor: proposes moves to the set point inside approved ranges; it writes nothing anywhere"]
        for s, most in zip(self.envelope.settings, largest, strict=True):
            bound = (
                f", by at most {format_si(float(most), s.unit, difference=True)} a step" if math.isfinite(most) else ""
            )
            lines.append(f"  {s.name}: to {s.format(self.envelope.set_point[s.name])}{bound}")
        together = "one setting in each step" if self.one_at_a_time else "all settings may move in a step"
        lines.append(f"  a step takes {duration_text(duration)}; {together}")
        return "\n".join([*lines, str(self.approval)])

    __repr__ = __str__

    def propose(self, present: Mapping[str, QuantityLike] | Values, *, at: Any) -> Advice:
        """The next move from the present settings, at a moment (an aware time).

        Refuses, with the reason, before and after the time of the approval, once it was withdrawn, and for present
        settings outside of the approved ranges (or polytope): from there a person has to decide. Writes nothing. Raises
        as `Envelope.check` for wrong names and units.
        """
        now = moment(at)
        row = self.envelope.checker.read(present)
        here = {s.name: x for s, x in zip(self.envelope.settings, row, strict=True)}
        why = self._why_not(now, here)
        if why:
            return self._advice(here, now, why, refused=True)
        ranges = self.approval.ranges
        best = self.envelope.set_point
        goal = {name: min(max(best[name], low), high) for name, (low, high) in ranges.items()}
        if out := self.approval.outside(goal):
            return self._advice(here, now, f"the set point is not approved: {'; '.join(out)}", refused=True)
        plan = self.envelope.plan(
            Values(here),
            Values(goal),
            rate_limits=self.rate_limits,
            steps=self.steps,
            step=self.step,
            one_at_a_time=self.one_at_a_time,
        )
        if not plan.certified:
            return self._advice(here, now, f"no certified way to the set point: {plan.message}", True, plan)
        words = "the set point" if goal == best else "the approved point nearest to the set point"
        if not plan.steps:
            return self._advice(here, now, f"this is {words}", False, plan)
        first = plan.steps[0]
        n = len(plan.steps)
        return Advice(
            settings=first.settings,
            moves={name: first.settings[name] - here[name] for name in here},
            refused=False,
            reason=(
                f"step 1 of {n} to {words}; certified at {plan.required:g}, least margin then "
                f"{format_si(first.margin, first.unit, 3, difference=True)} of {first.limit}, {_growth(first.gain)}"
            ),
            gain=first.gain,
            plan=plan,
            time=now,
            approval=self.approval.hash,
            declared=self.envelope.settings,
        )

    def _why_not(self, now: int, here: Mapping[str, float]) -> str:
        approval = self.approval
        gone = approval.withdrawal
        if gone is not None:  # at any moment: who asks about an earlier one must not move the plant either
            return f"the approval of {approval.who} was withdrawn by {gone.who} at {stamp(gone.time)}: {gone.reason}"
        if now < approval.time:
            return f"the approval begins at {stamp(approval.time)}"
        if approval.until is not None and now >= approval.until:
            return f"the approval of {approval.who} expired at {stamp(approval.until)}"
        return "; ".join(approval.outside(here))

    def _advice(
        self, here: Mapping[str, float], now: int, reason: str, refused: bool, plan: Plan | None = None
    ) -> Advice:
        return Advice(here, {}, refused, reason, 0.0, plan, now, self.approval.hash, self.envelope.settings)
