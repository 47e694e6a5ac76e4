"""Whether courses are sampled densely enough for the limits that look at them; where they are not, how densely.

A limit on a whole course is judged on samples and the curve through them (see `hermite`). What happens between two
samples and leaves no trace in either is not seen, and no curve brings it back. So before a range is put to the test,
some of the search draws are simulated at its points with several times the samples, and their margins are compared.
Only a margin that falls counts: one that rises makes a range smaller than it need be and no claim wrong.

An extreme that the model itself keeps (a state of its own, or `maximum` of a process model, under `final`) has no such
doubt and is not looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.errors import EnvelopeError
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from physics_twin.envelope.margins.simulator import Simulator

FINER = 4
"""How many times the samples a comparison has; a few runs of it have that many times again."""
MOST = 16
"""More than this many times the samples asked for are not taken unasked: the search would take as much longer."""
OF_SPREAD = 0.01
"""Tolerated fall of a margin, in standard deviations over the draws. The share of draws that break a limit changes by
density times fall: for a normal margin at a required 0.95 by 0.103 times 0.01, a thousandth, which is a third of the
standard error of 5,000 certification draws."""
OF_RANGE = 1e-3
"""The same as a share of how much the margin differs over the points: a side then moves by a thousandth of the range,
about what the search settles at."""
OF_MARGIN = 0.01
"""The same as a share of what is left of the margin: what falls from 50 K to 49.7 K decides nothing."""
OF_NUMBERS = 1e-6
"""The same as a share of the size of the number: an integrator's own error is no matter of samples."""
COST = 0.005
"""Share of all simulations so far that one of the two sides of a comparison may take."""
N_DRAWS = (4, 24)
"""Fewest and most draws that are compared."""
N_LONG = 2
"""Draws that are simulated with FINER times FINER the samples."""


@dataclass(frozen=True)
class Sampling:
    """How the samples of courses were checked, and what more of them changed."""

    n_nodes: int
    """Samples in each phase on which margins are judged."""
    compared: int
    """Samples in each phase that they were compared with."""
    n_runs: int
    """Draws times points that were compared."""
    limit: str
    """Whose margin fell most, against what is tolerated."""
    change: float
    """How far it fell at most, SI; below zero where it rose everywhere."""
    unit: Unit
    doubt: str = ""
    """In words, why there are more samples than were asked for."""

    def __str__(self) -> str:
        """What was checked, in a sentence."""
        fall = format_si(max(self.change, 0.0), self.unit, 2, difference=True)
        return (
            f"courses as sampled {self.n_nodes} times in each phase; checked in {self.n_runs} runs with up to "
            f'{self.compared} samples, where the margin of "{self.limit}" falls by {fall} at most'
        )


def check_sampling(
    simulate: "Simulator", batches: Batches, points: Array, margins: Array, most: int
) -> Sampling | None:
    """The samples that the courses at `points` (n, d) of the unit cube need; None where no limit looks at a course.

    batches: draws of the search. margins: (n, n_batches, n_limits) SI of the first requirements, which are the limits,
    as the search knows them there; they choose the draws (the worst ones, and some of all others) and say how large a
    fall matters. most: samples in each phase that may be taken.

    Raises EnvelopeError where margins still fall with `most` samples.
    """
    problem = simulate.problem
    columns = [j for j, r in enumerate(problem.requirements[: margins.shape[2]]) if r.reduction.dense]
    if not columns or len(points) == 0:
        return None
    rows = _looked_at(simulate, margins[:, :, columns])
    few = batches.take(rows)
    longest = np.arange(0, len(rows), max(1, -(-len(rows) // N_LONG)))

    def margins_with(n_nodes: int, of: Batches) -> Array:
        finer = simulate.sampled(n_nodes)
        found = finer(of, points)[:, :, columns]
        simulate.n_simulations += finer.n_simulations
        return found

    n_nodes, doubt = problem.n_nodes, ""
    before = margins_with(n_nodes, few)
    while True:
        after = margins_with(FINER * n_nodes, few)
        closest = after.copy()
        longer = margins_with(FINER * FINER * n_nodes, few.take(longest))
        closest[:, longest] = np.fmin(after[:, longest], longer)
        fall = before - closest
        share = np.nan_to_num(fall / _tolerated(problem, columns, margins[:, :, columns], closest), nan=-np.inf)
        worst = int(share.max(axis=(0, 1)).argmax())
        change = float(np.nanmax(fall[:, :, worst])) if np.isfinite(fall[:, :, worst]).any() else 0.0
        requirement = problem.requirements[columns[worst]]
        if share.max() <= 1.0:
            compared = FINER * FINER * n_nodes
            sampling = (n_nodes, compared, len(points) * len(rows), requirement.name, change, requirement.unit)
            return Sampling(*sampling, doubt)
        falls = format_si(change, requirement.unit, 3, difference=True)
        if n_nodes * FINER > most:
            raise EnvelopeError(_refusal(requirement.name, falls, n_nodes))
        doubt = doubt or (
            f'{n_nodes} samples in each phase, as asked for, miss {falls} of "{requirement.name}" between them'
        )
        n_nodes, before = FINER * n_nodes, after


def refuse_coarse(simulate: "Simulator", batches: Batches, point: Array, margins: Array) -> Sampling | None:
    """The check of one point (d,) that stands already; margins (n_batches, n_limits). Raises where more is needed."""
    asked = simulate.problem.n_nodes
    found = check_sampling(simulate, batches, point[None], margins[None], MOST * asked)
    if found is not None and found.n_nodes > asked:
        raise EnvelopeError(f"nothing can be certified: {found.doubt}. Give budget=pt.Budget(n_nodes={found.n_nodes})")
    return found


def refined(doubt: str, n_nodes: int) -> str:
    """A warning: how many samples were taken instead of those asked for, and why."""
    return f"{doubt}: {n_nodes} were taken; budget=pt.Budget(n_nodes={n_nodes}) searches with them from the start"


def _refusal(name: str, falls: str, n_nodes: int) -> str:
    return (
        f'nothing can be certified: with more than {n_nodes} samples in each phase the margin of "{name}" still falls '
        f"by {falls}, so what happens between samples decides it. Give budget=pt.Budget(n_nodes={FINER * n_nodes}) or "
        "more, give what is short a phase of its own, or let the model keep the extreme itself (maximum of a process "
        "model) and limit that at the end, over=pt.final"
    )


def _looked_at(simulate: "Simulator", margins: Array) -> NDArray[np.int64]:
    """Rows of the draws that are compared: half of them the worst somewhere, the others spread over all of them."""
    n_points, n_draws, _ = margins.shape
    paid = COST * simulate.n_simulations / (n_points * max(simulate.problem.n_runs, 1))
    n = min(int(np.clip(paid, *N_DRAWS)), n_draws)
    scale = np.nanstd(margins, axis=(0, 1)) if np.isfinite(margins).any() else np.ones(margins.shape[2])
    joint = np.nan_to_num(margins / np.where(scale > 0.0, scale, 1.0), nan=np.inf).min(axis=2)
    rank = joint.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable").min(axis=0)
    worst = rank.argsort(kind="stable")[: (n + 1) // 2]
    others = np.setdiff1d(np.arange(n_draws), worst)
    spread = others[np.linspace(0, len(others) - 1, n - len(worst)).astype(int)] if n > len(worst) else others[:0]
    return np.concatenate([worst, spread])


def _tolerated(problem: Problem, columns: Sequence[int], known: Array, closest: Array) -> Array:
    """Falls of margins (n_points, n_rows, n_columns) SI that change no claim to speak of."""
    levels = np.array([problem.requirements[j].level for j in columns])
    spread, differs = np.zeros((len(known), 1, len(columns))), np.zeros(len(columns))
    for margins in (known, closest):  # what too few samples miss has no spread in what the search knows
        finite = np.ma.masked_invalid(margins)
        spread = np.maximum(spread, finite.std(axis=1).filled(0.0)[:, None])
        differs = np.maximum(differs, np.ptp(np.ma.median(finite, axis=1).filled(0.0), axis=0))
    left = np.nan_to_num(np.maximum(closest, 0.0))
    size = np.maximum(np.abs(levels), np.abs(levels - left))
    return np.asarray(
        np.maximum.reduce(
            [
                np.broadcast_to(OF_SPREAD * spread, closest.shape),
                np.broadcast_to(OF_RANGE * differs, closest.shape),
                OF_MARGIN * left,
                OF_NUMBERS * size + 1e-300,
            ]
        )
    )
