"""Whether an experiment can be done: every limit is kept with a stated probability over the draws."""

from collections.abc import Sequence

import numpy as np

from physics_twin.envelope import Limit
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem, member_margins
from physics_twin.experiment_design.knowledge import Knowledge
from physics_twin.experiment_design.planned import Planned

N_DRAWS = 400
"""At most so many draws are simulated for the limits."""
FEW = 40
"""So many are simulated first: what breaks limits by far is seen at once."""
N_NODES = 40


def share_kept(planned: Planned, known: Knowledge, limits: Sequence[Limit], probability: float) -> tuple[float, str]:
    """Share of the draws that keep every limit, and what breaks most often. A run that fails keeps none.

    probability: what is asked for; a share that is below it beyond doubt (3 binomial standard deviations) may rest on
    fewer draws.
    """
    kept, worst = _share(planned, known, limits, FEW)
    if kept + 3.0 * np.sqrt(max(kept * (1.0 - kept), 1.0 / FEW) / FEW) < probability:
        return kept, worst
    return _share(planned, known, limits, N_DRAWS)


def _share(planned: Planned, known: Knowledge, limits: Sequence[Limit], n_draws: int) -> tuple[float, str]:
    requirements = bind_limits(limits, known.model.outputs)
    n = known.posterior.n_draws
    rows = np.unique(np.linspace(0, n - 1, min(n_draws, n)).round().astype(np.intp))
    values = known.members(planned.recipe, planned.values, rows)
    margins, failures = member_margins(Problem(known.model, planned.recipe, (), requirements, N_NODES), values)
    broken = ~(margins >= 0.0)
    worst = int(broken.mean(axis=0).argmax())
    name = requirements[worst].name
    if failures and len(failures) >= 0.5 * broken[:, worst].sum():
        name = f"the simulation fails ({failures[0].reason})"
    return float((~broken.any(axis=1)).mean()), name
