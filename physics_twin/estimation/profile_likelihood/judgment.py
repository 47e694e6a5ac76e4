"""Verdicts from profiles: identified, structurally not, practically not, at its bound; which side; with whom it trades.

Structurally not (Raue et al. 2009, section 2.3): along the profile the data do not move to numerical accuracy, both
ways, as far as no other unknown has come to its bound, although the unknown alone would move them. Practically not: the
rise stays below the threshold of the largest probability on a side, and the profile has flattened there, so that it is
not just a bound that cuts an interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.advice import what_would_tell
from physics_twin.estimation.profile_likelihood.intervals import interval as interval_of
from physics_twin.estimation.profile_likelihood.path import End
from physics_twin.estimation.profile_likelihood.profile import Interval, Profile
from physics_twin.estimation.profile_likelihood.refit import Fit
from physics_twin.estimation.profile_likelihood.trades import NO_TRADE, Trade, trade
from physics_twin.estimation.trust_region import NOISE
from physics_twin.estimation.verdicts import WEAK_NARROWING, verdicts, what_limits
from physics_twin.posterior import Identification, Verdict
from physics_twin.units import format_number

FLAT = 10.0
"""Rise of the part of the data, in differences that an integrator makes up, below which a profile is flat."""
ALONE = 1.0
"""Change of the whitened residuals by the unknown alone from which others must have made up for it."""
SAME = 1e-6
"""Share of the information on an unknown that is left when others follow, below which nothing is left."""
OF_PRIOR = 0.1
"""Share of a rise that may come from the data although it is the priors that make it."""
FLATTENED = 0.5
"""Root of the rise at a bound, over that of the parabola at the mode, below which a profile has flattened."""
WORDS = {-1: ("downward", "below"), 1: ("upward", "above")}


@dataclass(frozen=True)
class Evidence:
    """What the verdicts are made from."""

    problem: Problem
    estimate: Estimate
    mode: Fit
    profiles: Mapping[int, Profile]
    probability: float
    """The largest that intervals are wanted for."""
    memo: Memo


def judged(evidence: Evidence) -> dict[str, Verdict]:
    """Name -> verdict of the unknowns that have a profile."""
    before = verdicts(evidence.problem, evidence.estimate)
    return {p.name: _judge(evidence, p, before[p.name]) for p in evidence.profiles.values()}


def _judge(evidence: Evidence, profile: Profile, before: Verdict) -> Verdict:
    parameter = evidence.problem.columns[profile.column].parameter
    information = evidence.estimate.information
    if "no measured output depends on it" in before.sentence:
        return replace(before, identification=Identification.STRUCTURALLY_NOT)
    if _structural(evidence, profile):
        found = trade(evidence.problem, profile, information, _free_rows(profile))
        text = _structural_text(found) + what_limits(parameter)
        return _with(evidence, before, Identification.STRUCTURALLY_NOT, text, found)
    interval = interval_of(evidence.problem, profile, evidence.probability)
    if before.identification is Identification.AT_BOUND:
        inward = 1 if profile.mode == 0 else -1
        if interval.ends[(inward + 1) // 2] == "crossing":
            return before
        return replace(before, sentence=f"{before.sentence}; {_unlimited(evidence, profile, interval, inward)}")
    loose = [s for s in (-1, 1) if interval.ends[(s + 1) // 2] != "crossing" or _until_partner(evidence, profile, s)]
    if not loose:
        return _closed(evidence, profile, before, interval)
    if all(_only_cut(profile, s) for s in loose) and len(loose) == 1 and before.narrowing <= WEAK_NARROWING:
        name = "lower" if loose[0] < 0 else "upper"
        space = evidence.problem.space
        bound = float((space.x_low if loose[0] < 0 else space.x_high)[profile.column])
        text = f"its {name} bound {parameter.format(bound)} cuts the {_percent(evidence)} interval"
        return replace(before, sentence="; ".join(t for t in (before.sentence, text) if t))
    if all(interval.ends[(s + 1) // 2] == "failed" for s in loose):
        text = "; ".join(_unlimited(evidence, profile, interval, s) for s in loose)
        return replace(before, identification=Identification.WEAK, sentence=text)
    return _practical(evidence, profile, before, interval, loose)


def _closed(evidence: Evidence, profile: Profile, before: Verdict, interval: Interval) -> Verdict:
    if before.identification is Identification.IDENTIFIED:
        return before
    parameter = evidence.problem.columns[profile.column].parameter
    found = trade(evidence.problem, profile, evidence.estimate.information, range(profile.z.size))
    low, high = parameter.format(interval.low), parameter.format(interval.high)
    text = f"by its profile it lies between {low} and {high} ({_percent(evidence)})"
    return _with(evidence, before, Identification.WEAK, text + _trading(found), found)


def _practical(evidence: Evidence, profile: Profile, before: Verdict, interval: Interval, loose: list[int]) -> Verdict:
    parameter = evidence.problem.columns[profile.column].parameter
    texts = []
    if len(loose) == 1:
        closed = -loose[0]
        limit = parameter.format((interval.low, interval.high)[(closed + 1) // 2])
        texts.append(f"{WORDS[-closed][1]} {limit} ({_percent(evidence)})")
    texts += [_unlimited(evidence, profile, interval, s) for s in loose]
    outward = max(loose, key=lambda s: abs(profile.z[0 if s < 0 else -1] - profile.z[profile.mode]))
    found = _trade_far_out(evidence, profile, outward)
    fits = profile.sides[(outward + 1) // 2].fits
    free = _free_rows(profile)
    n_free = free[-1] - profile.mode if outward > 0 else profile.mode - free[0]
    end = fits[(n_free or len(fits)) - 1] if fits else evidence.mode
    advice = what_would_tell(evidence.problem, evidence.mode, end, evidence.memo)
    text = "; ".join(texts) + _trading(found) + (f"; {advice}" if advice else "")
    return _with(evidence, before, Identification.PRACTICALLY_NOT, text, found)


def _trade_far_out(evidence: Evidence, profile: Profile, direction: int) -> Trade:
    """With whom the unknown trades on the outer half of a side, where the profile is flattest."""
    n, at = profile.z.size, profile.mode
    rows = range(0, at // 2 + 1) if direction < 0 else range(n - 1 - (n - 1 - at) // 2, n)
    if len(rows) < 3:
        rows = range(0, at + 1) if direction < 0 else range(at, n)
    free = [i for i in rows if not (profile.on_bound[i] & ~profile.on_bound[at])[_others(profile)].any()]
    return trade(evidence.problem, profile, evidence.estimate.information, free)


def _structural(evidence: Evidence, profile: Profile) -> bool:
    """See above."""
    rows = _free_rows(profile)
    white = evidence.mode.of_data if not evidence.problem.noise_groups else float(evidence.problem.n_data)
    flat = np.full(len(rows), FLAT * max(NOISE[0], NOISE[1] * abs(white)))
    moved = np.abs(profile.rise_of_data[rows])
    if _unseen(evidence.estimate.information, profile.column):  # priors pull the others off the path a little
        flat = flat + OF_PRIOR * np.maximum(profile.rise[rows], 0.0)
    alone = float(evidence.estimate.information[profile.column, profile.column])
    reach = float(np.ptp(profile.z[rows]))
    failed = any(s.end in (End.FAILED, End.STEPS) for s in profile.sides)
    return bool((moved <= flat).all()) and np.sqrt(max(alone, 0.0)) * reach > ALONE and not failed


def _unseen(information: Array, j: int) -> bool:
    """Whether the others can make up for any small change of an unknown, as far as the data see it."""
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    unit = information / np.outer(scale, scale)
    rest = np.delete(unit[j], j)
    inner = np.delete(np.delete(unit, j, axis=0), j, axis=1)
    left = 1.0 - float(rest @ np.linalg.pinv(inner, rcond=SAME, hermitian=True) @ rest)
    return left < SAME


def _free_rows(profile: Profile) -> list[int]:
    """Points around the mode before another unknown comes to its bound."""
    new = (profile.on_bound & ~profile.on_bound[profile.mode])[:, _others(profile)].any(axis=1)
    first = profile.mode
    while first > 0 and not new[first - 1]:
        first -= 1
    last = profile.mode
    while last + 1 < new.size and not new[last + 1]:
        last += 1
    return list(range(first, last + 1))


def _others(profile: Profile) -> NDArray[np.intp]:
    return np.flatnonzero(np.arange(profile.x.shape[1]) != profile.column)


def _only_cut(profile: Profile, direction: int) -> bool:
    """Whether a bound ends a side before the profile has flattened."""
    side = profile.sides[(direction + 1) // 2]
    edge = 0 if direction < 0 else -1
    return side.end is End.BOUND and abs(float(profile.root[edge])) >= FLATTENED * _parabola(profile, edge)


def _until_partner(evidence: Evidence, profile: Profile, direction: int) -> str:
    """Who ends a side that had flattened, by coming to its bound, in words; "" where nobody does."""
    rows = _free_rows(profile)
    row = rows[0] if direction < 0 else rows[-1]
    if row == profile.mode or row + direction in (-1, profile.z.size):
        return ""
    root = abs(float(profile.root[row]))
    needed = profile.scale.root(abs(profile.thresholds(evidence.probability)[(direction + 1) // 2]))
    if root >= needed or root >= FLATTENED * _parabola(profile, row):
        return ""
    new = profile.on_bound[row + direction] & ~profile.on_bound[profile.mode]
    i = next(int(i) for i in np.flatnonzero(new) if i != profile.column)
    other = evidence.problem.columns[i].parameter
    return f"{other.name} coming to its bound {other.format(float(profile.x[row + direction, i]))}"


def _parabola(profile: Profile, row: int) -> float:
    """The root that the parabola at the mode has at a point."""
    return float(np.sqrt(0.5 * profile.bend) * abs(profile.z[row] - profile.z[profile.mode]))


def _unlimited(evidence: Evidence, profile: Profile, interval: Interval, direction: int) -> str:
    """Why a side has no limit."""
    parameter = evidence.problem.columns[profile.column].parameter
    side = profile.sides[(direction + 1) // 2]
    edge = 0 if direction < 0 else -1
    reached = parameter.format(float(profile.x[edge, profile.column]))
    if interval.ends[(direction + 1) // 2] == "failed":
        if side.end is End.STEPS:
            return f"{WORDS[direction][1]} {reached} it was not looked at: allow more steps"
        if side.end is End.LOWER:
            return f"{WORDS[direction][1]} {reached} there is a better fit than the one reported: allow more starts"
        return f"{WORDS[direction][1]} {reached} no fit succeeds ({side.reason})"
    partner = _until_partner(evidence, profile, direction)
    if partner:
        limit = parameter.format((interval.low, interval.high)[(direction + 1) // 2])
        return f"the data do not limit it {WORDS[direction][0]}: only {partner} does, at {limit}"
    needed = profile.scale.root(abs(profile.thresholds(evidence.probability)[(direction + 1) // 2]))
    rise = max(float(profile.rise[edge]), 0.0)
    place = f"at its bound {reached}" if side.end is End.BOUND else f"at {reached}"
    return (
        f"the data do not limit it {WORDS[direction][0]}: {place} the misfit has risen by {format_number(rise, 2)}, "
        f"{format_number(needed**2 - profile.lift, 3)} would end the {_percent(evidence)} interval"
    )


def _structural_text(found: Trade) -> str:
    if found.constant:
        return f"only {found.constant} is seen, {found.course} at no cost"
    if found.partners:
        verb = "makes" if len(found.partners) == 1 else "make"
        return f"{_listed(found.partners)} {verb} up for any change of it"
    return "the other unknowns make up for any change of it"


def _trading(found: Trade) -> str:
    if found.constant:
        return f"; mostly {found.constant} is seen, {found.course}"
    return f"; it trades with {_listed(found.partners)}" if found.partners else ""


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _with(evidence: Evidence, before: Verdict, kind: Identification, text: str, found: Trade) -> Verdict:
    """The verdict with partners: those of the path first, with their correlation at the mode."""
    if found is NO_TRADE or not found.partners:
        return replace(before, identification=kind, sentence=text)
    names = evidence.problem.names
    covariance = evidence.estimate.covariance
    j = names.index(before.parameter)
    rest = {name: r for name, r in before.moves_with if name not in found.partners}
    moves = []
    for partner in found.partners:
        i = names.index(partner)
        moves.append((partner, float(covariance[i, j] / np.sqrt(covariance[i, i] * covariance[j, j]))))
    return replace(before, identification=kind, sentence=text, moves_with=(*moves, *rest.items()))


def _percent(evidence: Evidence) -> str:
    return f"{100.0 * evidence.probability:g} %"
