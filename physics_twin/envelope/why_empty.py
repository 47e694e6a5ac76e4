"""Why there is no operating box, in words: what cannot be met, by how much it is short, and what stands against it."""

from collections.abc import Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.attempts import Trial
from physics_twin.envelope.limits.allowed import EVERY, OTHER, Group, broken_text
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
    narrow: str = "",
) -> str:
    """The reason for people.

    margins: at the closest settings. kept: (n_groups,) share of draws that keep each group there. words: those
    settings, and which of them the box must hold ("" where it is free). cloud: points (n, d) of the unit cube over
    which the surrogate says what each limit could reach alone. narrow: how wide the region is around those settings,
    where that is why no box was tried.
    """
    where, around = words
    groups = trial.allowed.groups
    required = np.array([group.probability for group in groups])
    if (kept >= required).all() and narrow:
        return _too_narrow(trial, draws, confidence, kept, words, narrow)
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
    if len(margins) == 1:
        return (
            f"{text}: the search expected more and the model did not confirm it; search narrower bounds, or let the "
            "search try more settings, budget=pt.Budget(n_points=...)"
        )
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


def _too_narrow(trial: Trial, draws: Draws, confidence: float, kept: Array, words: tuple[str, str], narrow: str) -> str:
    """Settings that keep the limits with slack were found, but no box around them that the model confirms."""
    where, around = words
    return (
        f"no box can be certified at {_needed(trial)} with confidence {confidence:g}: {where} meets "
        f"{_met(trial, kept)} of {draws.search.n + draws.held.n} draws, but the region around these settings is too "
        f"narrow for the search: about {narrow}. More draws do not help; search narrower bounds around these settings"
        + ("" if around else ", or ask for a box that holds them, shape=pt.LargestBox(around=...)")
    )


def _needed(trial: Trial) -> str:
    return " and ".join(f"{group.probability:g}" for group in trial.allowed.groups)


def _met(trial: Trial, kept: Array) -> str:
    """Which share of the draws keeps which limits."""
    pairs = zip(trial.allowed.groups, kept, strict=True)
    return " and ".join(f"{_limits(group)} in {share:.3f}" for group, share in pairs)


def _not_shown(trial: Trial, draws: Draws, confidence: float, kept: Array, where: str) -> str:
    """The limits can be met, but no box passes the certificate."""
    if trial.attempts:
        last = trial.attempts[-1]
        tried = "the box" if len(trial.attempts) == 1 else f"the last of {len(trial.attempts)} boxes"
        over = np.array(last.violations) * draws.independence - np.array(last.allowed)
        g = int(np.argmax(over))
        which = broken_text(trial.allowed.groups[g])
        why = (
            f"{tried} that was tried broke {which} in {last.violations[g]} of {draws.held.n} held-out draws at its "
            f"worst point, where {last.allowed[g]} were allowed"
        )
    else:
        why = "the search finds no box with the slack that a certificate from so many draws needs"
    return (
        f"no box can be certified at {_needed(trial)} with confidence {confidence:g}, although {where} meets "
        f"{_met(trial, kept)} of {draws.search.n + draws.held.n} draws: {why}; give more draws, or relax a limit"
    )
