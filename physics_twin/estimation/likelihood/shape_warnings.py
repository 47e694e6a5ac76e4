"""What a person should hear about estimated shapes of noise and spreads."""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.hypers import PLAIN, HyperKind
from physics_twin.estimation.likelihood.psi_draws import Pool
from physics_twin.estimation.log_density import psi_bounds
from physics_twin.estimation.problem import ChannelData, Problem
from physics_twin.units import format_number

AT_BOUND = 1e-3
"""Distance of ln x from that of a bound that counts as at it."""
UNKNOWN = 1.0
"""Standard deviation of ln x from which a number of the noise is not known: a factor of three either way."""
LONG = 0.2
"""Share of the record from which a correlation time is too long to be told from a slow misfit: a handful of
independent deviations are left."""
FEW = 0.1
"""Share of the draws of psi that have to count, or they are said to be poor."""


def shape_warnings(problem: Problem, psi: Array, pool: Pool, limited: float | None) -> tuple[str, ...]:
    """Sentences; psi (n_psi,) at the mode. limited: share of the draws that count, None where no limits weigh them."""
    found: list[str] = []
    if not problem.sample_noise.measured.any():
        draws = (
            "the draws do not know the limits; MarkovChain samples them"
            if limited is None
            else "the draws follow the limits as far as the model is linear; MarkovChain samples them"
        )
        found.append(
            "no sample was measured, all are censored: limits and priors alone speak, and what has no prior is known "
            f"on one side at most; {draws}"
        )
    if limited is not None and limited < FEW:
        found.append(
            f"limits: {limited:.1%} of the draws count, as the limits leave little of what measured samples and priors "
            "allow; MarkovChain samples it"
        )
    if psi.size == 0:
        return tuple(found)
    low, high = psi_bounds(problem)
    declared = [*(g.parameter for g in problem.noise_groups), *(h.parameter for h in problem.hypers)]
    kinds = [None] * len(problem.noise_groups) + [h.kind for h in problem.hypers]
    for k, (p, kind) in enumerate(zip(declared, kinds, strict=True)):
        shown = p.format(float(np.exp(psi[k])))
        if psi[k] <= low[k] + AT_BOUND and kind is HyperKind.SPREAD:
            found.append(f"{p.name} is {shown}, its least: the groups do not differ by more than their data can tell")
        elif psi[k] <= low[k] + AT_BOUND and kind is not None:
            found.append(f"{p.name} is {shown}, its least: the data show none; leave it out")
        elif psi[k] >= high[k] - AT_BOUND and kind is HyperKind.DEGREES_OF_FREEDOM:
            found.append(f"{p.name} is {shown}, its largest: the noise has no outliers; leave it out")
        elif kind is None and psi[k] <= low[k] + AT_BOUND and _grows(problem, k):
            found.append(f"{p.name} is {shown}, its least: the noise that grows with the value explains all there is")
        elif kind is HyperKind.CORRELATION_TIME and psi[k] >= high[k] - AT_BOUND:
            continue  # as long as the record, which is said below
        elif not low[k] + AT_BOUND < psi[k] < high[k] - AT_BOUND:
            found.append(
                f"{p.name} is {shown}, at the end of its range, far from its starting value "
                f"{p.format(p.value)}: check the channel's unit and the model"
            )
    sd = np.sqrt(np.diag(pool.covariance))
    seen: set[tuple[int, int]] = set()
    for c in problem.channels:
        found += _of_channel(problem, c, psi, sd, seen)
    if pool.effective < FEW * len(pool.given):
        found.append(
            f"noise and spreads: {len(pool.given)} draws of them count as {pool.effective:.0f}, as their posterior is "
            "far from normal; MarkovChain samples it"
        )
    return tuple(found)


def _grows(problem: Problem, group: int) -> bool:
    """Whether a channel of a noise group has a part that is proportional to the value."""
    return any(c.group == group and c.shape.proportional != PLAIN.proportional for c in problem.channels)


def _of_channel(problem: Problem, c: ChannelData, psi: Array, sd: Array, seen: set[tuple[int, int]]) -> list[str]:
    found = []
    first = len(problem.noise_groups)
    share, memory = c.shape.proportional.hyper, c.shape.correlation_time.hyper
    if share >= 0 and c.group >= 0 and (c.group, share) not in seen and max(sd[c.group], sd[first + share]) > UNKNOWN:
        seen.add((c.group, share))
        found.append(
            f"{problem.noise_groups[c.group].parameter.name} and {problem.hypers[share].parameter.name} cannot be told "
            f"apart: {c.output} has too few samples, or hardly varies; state one of them"
        )
    if memory >= 0 and (-1, memory) not in seen:
        time, record = float(np.exp(psi[first + memory])), float(np.ptp(c.times)) if c.times.size else 0.0
        if time > LONG * record:
            seen.add((-1, memory))
            found.append(
                f"{problem.hypers[memory].parameter.name} is {format_number(time, 3)} s, in a record of "
                f"{format_number(record, 3)} s: noise that slow cannot be told from what the model misses; state it, "
                "or log for longer"
            )
    return found
