"""Why there is no operating box, in words: what cannot be met, by how much it is short, and what stands against it."""

from collections.abc import Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.attempts import Trial
from physics_twin.envelope.limits.allowed import EVERY, OTHER, Group
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.set_point.set_point import Margin
from physics_twin.units import format_si


def why_empty(
    trial: Trial,
    draws: Draws,
    confidence: float,
    margins: Sequence[Margin],
    kept: Array,
    words: tuple[str, str],
    cloud: Array,
) -> str:
    """The reason for people.

    margins: at the closest settings. kept: (n_groups,) share of draws that keep each group there. words: those
    settings, and which of them the box must hold ("" where it is free). cloud: points (n, d) of the unit cube over
    which the surrogate says what each limit could reach alone.
    """
    where, around = words
    groups = trial.allowed.groups
    required = np.array([group.probability for group in groups])
    if (kept >= required).all():
        return _not_shown(trial, draws, confidence, kept, where)
    short = int(np.argmin(kept - required))
    group = groups[short]
    own = [margins[j] for j in group.columns]
    worst = min(own, key=lambda m: (m.probability, m.assured))
    if around:
        least = f"{_limits(group)} only with probability {kept[short]:.3f} where {group.probability:g} is required"
        reach = f"{where} meets {least}" if where == around else f"the closest settings with it, {where}, meet {least}"
        return f"no box can hold {around}: {reach}. {_shortfall(worst)}; ask for a box around another point"
    j = margins.index(worst)
    alone = float(trial.space.probability(cloud)[:, 1 + j].max())
    text = (
        f"no settings within their bounds meet {_limits(group)} with probability {group.probability:g}; the closest, "
        f"{where}, reach {kept[short]:.3f}. {_shortfall(worst)}"
    )
    if alone < worst.required:
        return f"{text}: it cannot be met anywhere, even alone (at best with probability {alone:.3f})"
    others = [m.limit for m in margins if m is not worst and m.probability < 1.0]
    against = " and ".join(f'"{name}"' for name in others) if others else "the other limits"
    return f"{text}: it can be met alone, but not together with {against}"


def _limits(group: Group) -> str:
    return "the limits" if group.name == EVERY else group.name if group.name == OTHER else f'"{group.name}"'


def _shortfall(margin: Margin) -> str:
    if not np.isfinite(margin.assured):
        return f'"{margin.limit}" is met in {margin.probability:.3f} of the draws, the rest failed'
    short = format_si(max(-margin.assured, 0.0), margin.unit, difference=True)
    return f'"{margin.limit}" is short by {short} there'


def _not_shown(trial: Trial, draws: Draws, confidence: float, kept: Array, where: str) -> str:
    """The limits can be met, but no box passes the certificate."""
    if trial.attempts:
        last = trial.attempts[-1]
        tried = "the box" if len(trial.attempts) == 1 else f"the last of {len(trial.attempts)} boxes"
        over = np.array(last.violations) * draws.independence - np.array(last.allowed)
        g = int(np.argmax(over))
        which = _limits(trial.allowed.groups[g])
        why = (
            f"{tried} that was tried broke {which} in {last.violations[g]} of {draws.held.n} held-out draws at its "
            f"worst point, where {last.allowed[g]} were allowed"
        )
    else:
        why = "the search finds no box with the slack that a certificate from so many draws needs"
    met = " and ".join(
        f"{_limits(group)} in {share:.3f}" for group, share in zip(trial.allowed.groups, kept, strict=True)
    )
    needed = " and ".join(f"{group.probability:g}" for group in trial.allowed.groups)
    return (
        f"no box can be certified at {needed} with confidence {confidence:g}, although {where} meets {met} of "
        f"{draws.search.n + draws.held.n} draws: {why}; give more draws, or relax a limit"
    )
