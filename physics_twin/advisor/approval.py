"""Approvals: a person takes responsibility for ranges, and that is written down in a log that shows every change.

An approval is one record of a hash-chained log (see `twin.audit`): who, when, why, for which ranges, until when, and
the hash of the envelope that it rests on. It is a value; nothing is approved by calling anything else. Withdrawing it
is one more record of the same log, by a person and with a reason; no record is ever taken out.
"""

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.advisor.envelope_hash import envelope_hash
from physics_twin.envelope import Envelope
from physics_twin.envelope.arguments import refuse_wrong_options
from physics_twin.envelope.digits import inward
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope
from physics_twin.errors import DataError, EnvelopeError, FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.signals import Setting
from physics_twin.twin.audit import Audit, AuditRecord
from physics_twin.twin.moments import moment, stamp
from physics_twin.units import QuantityLike, Unit, format_si, to_si

ACT, WITHDRAW = "approve operating ranges", "withdraw an approval"
FORMAT, VERSION = "physics_twin approval", 1
ROUNDING = 1e-9
"""Share of a certified range by which an approved one may exceed it: rounding of units, taken back to the range; and of
an approved range by which a setting may: rounding too."""


@dataclass(frozen=True)
class Approval:
    """Ranges in which a person allows a plant to be moved.

    record: what stands in the log. log: all records up to this one, and those that came after it where it was
    withdrawn.
    """

    record: AuditRecord
    log: Audit

    @property
    def who(self) -> str:
        """The person."""
        return self.record.who

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self.record.reason

    @property
    def time(self) -> int:
        """When, ns UTC."""
        return self.record.time

    @property
    def until(self) -> int | None:
        """When it expires, ns UTC; None: it does not."""
        until = self.record.content["until"]
        return None if until is None else int(until)

    @property
    def envelope(self) -> str:
        """Hash of the envelope that was approved, see `envelope_hash`."""
        return str(self.record.content["envelope"])

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Setting -> (low, high) that was approved, SI."""
        found = self.record.content["ranges"]
        return {name: (float(entry["low"]), float(entry["high"])) for name, entry in found.items()}

    @property
    def sides(self) -> tuple[tuple[dict[str, float], float, str], ...] | None:
        """Slanted sides, where a polytope was approved: coefficient of each setting, level (SI), and both in words.

        Of all settings within the `ranges`, those are approved whose coefficients times values add up to no more than
        the level, on every side. None: a box was approved, every combination within the ranges.
        """
        found = self.record.content.get("polytope")
        return None if found is None else tuple((dict(s["times"]), float(s["level"]), s["words"]) for s in found)

    @property
    def withdrawal(self) -> AuditRecord | None:
        """The record by which it was withdrawn; None while it stands."""
        after = itertools.dropwhile(lambda record: record.hash != self.hash, self.log)
        found = (r for r in after if r.act == WITHDRAW and r.content.get("approval") == self.hash)
        return next(found, None)

    def outside(self, settings: Mapping[str, float]) -> tuple[str, ...]:
        """Why settings (name -> SI, all that were approved) are not approved, in words; nothing for those that are."""
        found = []
        for name, x in settings.items():
            entry = self.record.content["ranges"][name]
            unit = Unit(entry["unit"])
            slack = ROUNDING * (entry["high"] - entry["low"])
            if not entry["low"] - slack <= x <= entry["high"] + slack:
                ends = f"{format_si(entry['low'], unit)} to {format_si(entry['high'], unit)}"
                found.append(f"{name} = {format_si(x, unit)} is outside the approved {ends}")
        for times, level, words in () if found else self.sides or ():
            terms = [c * settings[name] for name, c in times.items()]
            if sum(terms) - level > ROUNDING * (sum(map(abs, terms)) + abs(level)):
                found.append(f"outside a side of the approved polytope: {words}")
        return tuple(found)

    @property
    def hash(self) -> str:
        """Hash of the record: it stands for the approval and for the log up to it."""
        return self.record.hash

    def __str__(self) -> str:
        """The approval for people."""
        until = "without expiry" if self.until is None else f"until {stamp(self.until)}"
        lines = [f"approved by {self.who}, {stamp(self.time)}, {until}: {self.reason}"]
        gone = self.withdrawal
        if gone is not None:
            lines.insert(0, f"WITHDRAWN by {gone.who}, {stamp(gone.time)}: {gone.reason}")
        for name, entry in self.record.content["ranges"].items():
            unit = Unit(entry["unit"])
            lines.append(f"  {name}: {' to '.join(inward(entry['low'], entry['high'], unit))}")
        if self.sides is not None:
            lines.append("  the certified polytope: not every combination of these, only those with")
            lines += [f"    {words}" for _, _, words in self.sides]
        claim = self.record.content["claim"]
        lines.append(f"envelope {self.envelope[:12]}: {claim}")
        lines += [f"  ! {warning}" for warning in self.record.content["warnings"]]
        lines.append(f"record {self.hash[:12]}")
        return "\n".join(lines)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write the approval and its log as JSON, whole or not at all."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "approval": self.hash,
            "log": [json.loads(record.line) for record in self.log],
        }
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf8")

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Approval":
        """Read what `save` wrote; raises FileFormatError for another file, DataError where anything was changed."""
        name = Path(path).name
        try:
            content = json.loads(Path(path).read_text(encoding="utf8"))
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise FileFormatError(f"{name} is no approval of physics_twin")
            if content.get("version") != VERSION:
                raise FileFormatError(
                    f"{name} has format version {content.get('version')}, this library reads {VERSION}; use the one "
                    "that wrote it"
                )
            records = tuple(AuditRecord.from_line(json.dumps(record)) for record in content["log"])
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise FileFormatError(f"{name} is no approval, or is damaged: {error}") from None
        log = Audit(records)
        log.verify()
        own = [record for record in records if record.hash == content.get("approval")]
        if not own:
            raise DataError(f"{name}: the log does not hold the approval that the file is about; it was changed")
        return cls(_checked(own[0], name), log)


def _checked(record: AuditRecord, name: str) -> AuditRecord:
    """A record that holds what an approval says."""
    found = Approval(record, Audit((record,)))
    try:
        if record.act != ACT:
            raise ValueError(f"the act is {record.act!r}")
        str(found)
        if not all(low <= high for low, high in found.ranges.values()):
            raise ValueError("a range ends before it begins")
        found.outside({name: low for name, (low, _) in found.ranges.items()})
    except (KeyError, TypeError, ValueError, AttributeError, PhysicsTwinError) as error:
        raise FileFormatError(f"{name}: the record is no approval ({error})") from None
    return record


def approve(
    envelope: Envelope,
    *,
    who: str,
    reason: str,
    at: Any,
    ranges: Mapping[str, tuple[QuantityLike, QuantityLike]] | None = None,
    until: Any = None,
    log: Audit | None = None,
) -> Approval:
    """Approve what an envelope certifies, or a part of it, and write it down.

    who: the person. reason: why, in words. at: when, an aware time ("2026-11-21T06:00Z"). ranges: setting -> (low,
    high) with units, within the certified ones; settings left out are approved as they are certified. Of an envelope
    with a polytope all of the polytope is approved, or, with ranges, that box inside it; settings left out then have
    the ranges of `envelope.box`. until: when the approval expires. log: what was written before; the approval's `.log`
    is one record longer.

    Raises EnvelopeError for an empty envelope and for more than is certified, DataError for a missing person or reason
    and for a moment that is none, UnknownNameError and UnitError for wrong settings and units.
    """
    asked: Any = envelope  # the path of its file comes too
    if not isinstance(asked, Envelope):
        raise EnvelopeError(f"approve: {asked!r} is no envelope; give what pt.find_envelope returned")
    refuse_wrong_options(ranges=ranges)
    if not isinstance(log, Audit | None):
        raise EnvelopeError("approve: log= is the .log of an earlier approval; load that with pt.Approval.load(path)")
    if envelope.empty:
        raise EnvelopeError(f"there is nothing to approve, the envelope is empty: {envelope.message}")
    whole = envelope.polytope if ranges is None else None
    chosen = _chosen(envelope, ranges or {}) if whole is None else _ends(whole)
    begins, ends = moment(at), None if until is None else moment(until)
    if ends is not None and ends <= begins:
        raise DataError(f"the approval would expire at {stamp(ends)}, before it begins at {stamp(begins)}")
    content = {
        "envelope": envelope_hash(envelope),
        "ranges": {
            s.name: {"low": chosen[s.name][0], "high": chosen[s.name][1], "unit": s.unit.text, "si": s.unit.si_text}
            for s in envelope.settings
        },
        "polytope": None if whole is None else _slanted(whole),
        "until": ends,
        "claim": f"{envelope.message} (confidence {envelope.confidence:g})",
        "warnings": list(envelope.warnings),
        "model": envelope.certificate.model,
        "fingerprint": envelope.certificate.fingerprint,
        "posterior": envelope.certificate.posterior,
    }
    longer = (Audit() if log is None else log).append(begins, who, ACT, reason, content)
    return Approval(longer[-1], longer)


def withdraw(approval: Approval, *, who: str, reason: str, at: Any, log: Audit | None = None) -> Approval:
    """Withdraw an approval: it stays in the log, a record that it no longer holds follows, and no advice rests on it.

    who: the person, not necessarily the one who approved. reason: why, in words. at: when, an aware time. log: the
    newest one, where records (later approvals, say) followed. Returns the approval with the longer log: save it over
    the file that the plant reads, for whoever reads an older file knows of no withdrawal.

    Raises EnvelopeError for an approval that was withdrawn before or does not stand in `log`, DataError for a missing
    person or reason, for a moment that is none or lies before the approval, and for a log that was changed.
    """
    before = approval.log if log is None else log
    before.verify()
    if approval.record not in before.records:
        raise EnvelopeError(f"the approval of {approval.who} does not stand in that log; give the one that it is in")
    gone = Approval(approval.record, before).withdrawal
    if gone is not None:
        raise EnvelopeError(f"the approval was withdrawn by {gone.who} at {stamp(gone.time)} already: {gone.reason}")
    now = moment(at)
    if now < approval.time:
        raise DataError(f"withdrawn at {stamp(now)}, before the approval of {stamp(approval.time)}")
    content = {"approval": approval.hash, "envelope": approval.envelope}
    return Approval(approval.record, before.append(now, who, WITHDRAW, reason, content))


def _ends(polytope: OperatingPolytope) -> dict[str, tuple[float, float]]:
    """Setting -> (low, high) SI of a polytope."""
    d = len(polytope.settings)
    return {
        s.name: (-float(polytope.levels[d + i]), float(polytope.levels[i])) for i, s in enumerate(polytope.settings)
    }


def _slanted(polytope: OperatingPolytope) -> list[dict[str, Any]]:
    """The sides that single ranges do not say, SI, by the names of the settings."""
    d, names = len(polytope.settings), [s.name for s in polytope.settings]
    sides = zip(polytope.sides[2 * d :], polytope.levels[2 * d :], polytope.lines[d:], strict=True)
    return [
        {"times": dict(zip(names, row.tolist(), strict=True)), "level": float(level), "words": words}
        for row, level, words in sides
    ]


def _chosen(
    envelope: Envelope, ranges: Mapping[str, tuple[QuantityLike, QuantityLike]]
) -> dict[str, tuple[float, float]]:
    """Setting -> (low, high) SI, never more than is certified."""
    found = {name: (float(low), float(high)) for name, (low, high) in envelope.box.items()}
    for name, given in ranges.items():
        setting = envelope.setting(name)
        pair: Any = given  # "860 to 880 degC" comes too
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise EnvelopeError(f'ranges: "{name}" is a pair (low, high) with units, such as ("860 degC", "880 degC")')
        low, high = (to_si(end, setting.unit, name=f"approved range of {name}") for end in pair)
        if low > high:
            raise EnvelopeError(
                f"the approved range of {name} ends at {setting.format(high)}, before it begins at "
                f"{setting.format(low)}"
            )
        if envelope.polytope is None:
            low, high = _within(setting, low, high, *found[name])
        found[name] = (low, high)
    if envelope.polytope is not None:
        corners = np.array(list(itertools.product(*(found[s.name] for s in envelope.settings))))
        if not envelope.checker.many(corners).inside.all():
            raise EnvelopeError(
                "the approved ranges reach out of the certified polytope: not every combination of them is certified"
            )
    return found


def _within(setting: Setting, low: float, high: float, least: float, most: float) -> tuple[float, float]:
    slack = ROUNDING * (most - least)
    if low < least - slack or high > most + slack:
        raise EnvelopeError(
            f"{setting.name}: {setting.format(low)} to {setting.format(high)} is more than the certified "
            f"{setting.format(least)} to {setting.format(most)}; only what is certified can be approved"
        )
    return max(low, least), min(high, most)
