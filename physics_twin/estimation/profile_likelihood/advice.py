"""Which data would tell: where the model at the end of a profile differs most from the model at the mode."""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import SolveError
from physics_twin.estimation.evaluation import grid_at, values_at
from physics_twin.estimation.problem import Problem, Task
from physics_twin.estimation.profile_likelihood.refit import Fit, weights
from physics_twin.plot_style import time_scale
from physics_twin.posterior.prediction import simulate_outputs
from physics_twin.units import format_number

TELLING = 0.1
"""Change of an output that is not measured, as a share of its own range, from which measuring it is advised."""
SEEN = 0.05
"""Change of a measured output, in standard deviations of its noise, below which more samples are no advice."""


def what_would_tell(problem: Problem, mode: Fit, end: Fit, memo: Memo) -> str:
    """A sentence, or "" where nothing at the times of the data differs."""
    found = _unmeasured(problem, mode.point.x, end.point.x, memo) or _measured(problem, mode, end)
    return max(found)[1] if found else ""


def _unmeasured(problem: Problem, mode: Array, end: Array, memo: Memo) -> list[tuple[float, str]]:
    """Outputs that nobody measured and that differ: (share of their range, a sentence)."""
    found = []
    for k, task in enumerate(problem.tasks):
        measured = {c.output_index for c in task.channels}
        others = [i for i in range(len(problem.model.outputs)) if i not in measured]
        times = grid_at(task, mode).times
        if not others:
            continue

        def both(task: Task = task, times: Array = times) -> dict[str, Array]:
            at = [simulate_outputs(problem.model, task.recipe, times, values_at(task, x)) for x in (mode, end)]
            return {"mode": at[0], "end": at[1]}

        try:
            courses = memo.recall(f"advice {k}", (mode, end), both)
        except SolveError:
            continue
        for i in others:
            change = np.abs(courses["end"][:, i] - courses["mode"][:, i])
            span = float(np.ptp(courses["mode"][:, i]))
            if span > 0.0 and change.max() >= TELLING * span:
                share, at = float(change.max()) / span, _clock(times, int(np.argmax(change)))
                name = f"{problem.model.outputs[i].name}{_where(problem, task)}"
                found.append(
                    (share, f"measuring {name} would tell: at {at} it differs by {100.0 * share:.0f} % of its range")
                )
    return found


def _measured(problem: Problem, mode: Fit, end: Fit) -> list[tuple[float, str]]:
    """Samples that differ: (change over noise, a sentence)."""
    found = []
    change = np.abs(end.point.residual - mode.point.residual) * weights(problem, mode.psi)
    for task in problem.tasks:
        for c in task.channels:
            own = change[c.rows]
            best = int(np.argmax(own))
            if own[best] >= SEEN:
                text = (
                    f"samples of {c.output}{_where(problem, task)} near {_clock(c.times, best)} tell most: the curves "
                    f"differ there by {format_number(float(own[best]), 2)} of the noise"
                )
                found.append((float(own[best]), text))
    return found


def _where(problem: Problem, task: Task) -> str:
    return f" in {task.name}" if len(problem.tasks) > 1 else ""


def _clock(times: Array, at: int) -> str:
    scale = time_scale(float(times[-1]))
    return f"{format_number(float(times[at]) / scale.seconds, 3)} {scale.unit}"
