"""Does a method mean what it says? Simulation-based calibration: fit many made-up data sets whose truth is known.

The truth is drawn from the prior, data are simulated from it, the method fits them. If the posterior is right, the rank
of the truth among its draws is uniform, for any number of data and however curved the model (Talts, Betancourt,
Simpson, Vehtari and Gelman 2018, arXiv 1804.06788, theorem 1), and a central interval of probability p holds the truth
in a share p of the data sets. A method that is too sure of itself has truths in the tails: ranks pile up at both ends.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, chi2

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, PhysicsTwinError
from physics_twin.estimation import Method, calibrate
from physics_twin.estimation.ensemble_smoother.prior_map import PriorMap
from physics_twin.estimation.made_up import made_up
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.estimation.smooth_prior import UnknownItem
from physics_twin.estimation.work import Work
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.progress import Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = (0.5, 0.8, 0.95)
BINS = 20


@dataclass(frozen=True, eq=False)
class Coverage:
    """How a method did on data sets with a known truth; print it for a table, `.plot()` for the ranks.

    method: what was judged. names: (n_parameters,) the unknowns. ranks: (n_sets, n_parameters) in 0 to 1, where the
    truth lies among the draws of the posterior. inside: (n_levels, n_parameters) share of the data sets whose central
    interval of probability `LEVELS` holds the truth. failures: data sets that could not be simulated or fitted, with
    the reason; they are left out of both. n_unconverged: fits that say themselves that they did not converge; they are
    counted like the others.
    """

    method: str
    names: tuple[str, ...]
    ranks: Array
    failures: tuple[str, ...]
    n_unconverged: int

    @property
    def n_sets(self) -> int:
        """Data sets that were fitted."""
        return len(self.ranks)

    @property
    def inside(self) -> Array:
        """(n_levels, n_parameters), see the class."""
        away = np.abs(self.ranks - 0.5)
        return np.array([np.mean(away <= 0.5 * level, axis=0) for level in LEVELS])

    @property
    def deviations(self) -> Array:
        """(n_levels, n_parameters) coverage minus its level, in binomial standard errors."""
        level = np.array(LEVELS)[:, None]
        return np.asarray((self.inside - level) / np.sqrt(level * (1.0 - level) / self.n_sets))

    @property
    def chances(self) -> Array:
        """(n_parameters,) chance that uniform ranks are as uneven (chi-square over 20 bins, or 5 sets a bin)."""
        bins = max(2, min(BINS, self.n_sets // 5))
        expected = self.n_sets / bins
        counts = np.array([np.histogram(column, bins=bins, range=(0.0, 1.0))[0] for column in self.ranks.T])
        return np.asarray(chi2.sf(((counts - expected) ** 2 / expected).sum(axis=1), bins - 1))

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        worst = np.unravel_index(int(np.argmax(np.abs(self.deviations))), self.deviations.shape)
        name, level, share = self.names[worst[1]], LEVELS[worst[0]], float(self.inside[worst])
        text = (
            f"{self.n_sets} data sets: farthest off is {name}, whose {100 * level:.0f} % intervals hold the truth in "
            f"{100 * share:.1f} % ({self.deviations[worst]:+.1f} standard errors); least chance of the ranks "
            f"{self.chances.min():.2g} ({self.names[int(np.argmin(self.chances))]})"
        )
        if self.n_unconverged:
            text += f"; {self.n_unconverged} fits did not converge"
        return text + (f"; {len(self.failures)} data sets failed: {self.failures[0]}" if self.failures else "")

    def __str__(self) -> str:
        width = max(len("parameter"), *map(len, self.names))
        head = "parameter".ljust(width) + "".join(f"{100 * level:8.0f} %" for level in LEVELS) + "   chance of ranks"
        rows = [
            name.ljust(width) + "".join(f"{100 * share:8.1f} %" for share in shares) + f"   {chance:.2g}"
            for name, shares, chance in zip(self.names, self.inside.T, self.chances, strict=True)
        ]
        return "\n".join([f"{self.method}: {self.sentence}", head, *rows])

    __repr__ = __str__

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Histogram of the ranks of each parameter, with the range that 99 of 100 bars of a right method stay in."""
        bins = max(2, min(BINS, self.n_sets // 5))
        low, high = binom.interval(0.99, self.n_sets, 1.0 / bins)
        with plot_style.style():
            axes = plot_style.panels(len(self.names), ax)
            for one, name, column, shares in zip(axes, self.names, self.ranks.T, self.inside.T, strict=True):
                one.axhspan(low, high, color=plot_style.MUTED, alpha=0.25, lw=0, label="99 % of right bars")
                one.hist(column, bins=bins, range=(0.0, 1.0), color=plot_style.MODEL, alpha=0.8, label="data sets")
                told = ", ".join(f"{100 * s:.0f}" for s in shares)
                one.set_title(f"{name}: {told} % inside {', '.join(f'{100 * x:.0f}' for x in LEVELS)} %")
                one.set_xlabel("rank of the truth among the draws")
                one.set_ylabel("data sets")
                one.set_xlim(0.0, 1.0)
            figure = plot_style.figure_of(axes)
            if ax is None:
                plot_style.one_legend(figure, axes)
        return figure


def check_coverage(
    model: Model,
    experiments: Experiment | Sequence[Experiment],
    *,
    unknown: Sequence[UnknownItem],
    method: Method,
    n_sets: int = 300,
    rng: int = 0,
    executor: Executor | None = None,
    progress: bool = False,
) -> Coverage:
    """Fit `n_sets` made-up data sets with `method` and see where their truths lie in the posteriors.

    experiments: templates: their recipes, sample times, channels and noise are used, their measured values are not (see
    `estimation.made_up`). unknown: as in `calibrate`, each with a prior, from which the truth is drawn. Numbers about
    the noise that are estimated have their starting values as truth and no rank. rng: a seed; each data set has its
    own stream, so that any of them can be made again alone. executor: spreads the data sets.

    Raises CalibrationError for an unknown without a prior, and where no data set could be fitted.
    """
    templates = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    problem = set_up(model, templates, unknown)
    members = {int(j) for group in problem.column_groups for j in group.columns}
    for j, column in enumerate(problem.columns):
        if column.parameter.prior is None and j not in members:
            raise CalibrationError(f'"{column.name}" has no prior that a truth could be drawn from; give it one')
    jobs = [(model, templates, tuple(unknown), method, (rng, i)) for i in range(n_sets)]
    done = Work(executor, Progress(progress)).run("data sets", _one, jobs)
    fitted = [d for d in done if not isinstance(d, str)]
    failures = tuple(d for d in done if isinstance(d, str))
    if not fitted:
        raise CalibrationError(f"none of {n_sets} data sets could be fitted; the first: {failures[0]}")
    names = fitted[0][0]
    ranks = np.array([r for _, r, _ in fitted])
    return Coverage(repr(method), names, ranks, failures, sum(not ok for _, _, ok in fitted))


type _Fitted = tuple[tuple[str, ...], Array, bool]


def _one(
    model: Model,
    templates: tuple[Experiment, ...],
    unknown: tuple[UnknownItem, ...],
    method: Method,
    seed: tuple[int, int],
    memo: object,
) -> _Fitted | str:
    """Names, ranks of the truth and whether the fit converged; or why there is none."""
    rng = np.random.default_rng(seed)
    try:
        x, truth = truth_from_prior(set_up(model, templates, list(unknown)), rng)
        runs = made_up(model, templates, unknown, x, rng)
        posterior = calibrate(model, runs, unknown=list(unknown), method=method, rng=int(rng.integers(2**31)))
    except PhysicsTwinError as error:
        return f"data set {seed[1]}: {error}"
    names = tuple(truth)
    ranks = np.array([_rank(posterior[name], truth[name], posterior.effective_draws, rng) for name in names])
    return names, ranks, posterior.converged


def truth_from_prior(problem: Problem, rng: np.random.Generator) -> tuple[Array, dict[str, float]]:
    """One draw (d,) of the unknowns from their joint prior, SI, and it by name with the spreads of populations."""
    prior = PriorMap.of(problem)
    x, spreads = prior.values(prior.draw(1, rng))
    truth = dict(zip(problem.names, x[0].tolist(), strict=True))
    truth |= {problem.hypers[k].parameter.name: float(s) for k, s in zip(prior.spreads, spreads[0], strict=True)}
    return x[0], truth


def _rank(draws: Array, truth: float, effective: float, rng: np.random.Generator) -> float:
    """Where the truth lies among the draws, 0 to 1: its rank among independent ones, evenly within it."""
    every = max(1, int(np.ceil(draws.size / max(effective, 1.0))))
    own: NDArray[np.float64] = draws[::every]
    below, equal = int((own < truth).sum()), int((own == truth).sum())
    return float((below + rng.random() * (equal + 1)) / (own.size + 1))
