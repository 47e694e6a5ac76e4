"""One fold of a cross-validation: fit the others, predict what was left out, keep what is needed to judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, DataError, FileFormatError, ModelError, PhysicsTwinError, StoppedError
from physics_twin.estimation.disjoint import Seen, data_of
from physics_twin.estimation.predicted import PredictedChannel, Sampled, affordable, predict_samples
from physics_twin.estimation.predictive_density import BatchDensity, batch_density
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import check_fitted
from physics_twin.units import Unit

REPLICAS = 200
"""Sums of squares of predictive draws that a fold keeps: a chance is then known to 0.03."""


@dataclass(frozen=True, eq=False)
class HeldChannel:
    """Measured samples of one channel of a left-out experiment, limits not among them; SI, times in s, all (n,)."""

    experiment: str
    output: str
    unit: str
    """As the channel declares it."""
    times: Array
    observed: Array
    low: Array
    """Of the 95 % band of a measurement."""
    middle: Array
    high: Array
    sd: Array
    rank: Array
    """Share of the predicted measurements below the one that was measured."""

    def inside(self, probability: float) -> Array:
        """(n,) 1 where the sample lies in the central interval of this probability."""
        tail = 0.5 * (1.0 - probability)
        return np.asarray((self.rank >= tail) & (self.rank <= 1.0 - tail), dtype=float)

    @property
    def z(self) -> Array:
        """(n,) measured minus median, in standard deviations of the prediction of a measurement."""
        return (self.observed - self.middle) / self.sd

    @property
    def difference_unit(self) -> Unit:
        """Unit of a deviation: K where the channel is in degC."""
        return Unit(self.unit).difference()


@dataclass(frozen=True, eq=False)
class Fold:
    """What was left out at one time, and how it was predicted."""

    name: str
    """The experiment, or the value of the key of their context, or the number of the fold."""
    experiments: tuple[str, ...]
    n_fitted: int
    """Samples fitted."""
    channels: tuple[HeldChannel, ...]
    densities: tuple[BatchDensity, ...]
    """One for each experiment."""
    distance: float
    """Sum of squared z of the data; of a limit ("<0.05") what it contradicts the prediction by."""
    replicas: Array
    """(REPLICAS,) the same of predictive draws in the place of the data; one draw for all experiments of the fold."""
    failure: str
    """Why there is no prediction; "" where there is one."""
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether the fit or the prediction could not be carried out."""
        return self.failure != ""

    @property
    def log_density(self) -> float:
        """Log predictive density of the left-out experiments, each by itself, summed; of quantities in SI."""
        return float(sum(d.value() for d in self.densities))

    @property
    def log_density_error(self) -> float:
        """Its Monte Carlo standard error."""
        return float(np.sqrt(sum(d.error() ** 2 for d in self.densities)))

    @property
    def n_samples(self) -> int:
        """Measured samples that were left out."""
        return sum(c.times.size for c in self.channels)


@dataclass(frozen=True)
class Job:
    """One fold to be done, in this process or another."""

    name: str
    model: Model
    train: tuple[Experiment, ...]
    held: tuple[Experiment, ...]
    fit: Callable[..., Posterior]
    n_draws: int
    seed: int
    checkpoint: str | None


def one_fold(job: Job, memo: Memo) -> Fold:
    """Fit, predict and score; what the library raises on purpose is the reason of a failed fold.

    Raises StoppedError and FileFormatError of a checkpoint, where calling again does the fold, and ModelError where
    `fit` fits another model than the one that is validated.
    """
    names = tuple(run.name for run in job.held)
    n_fitted = sum(run.n_used for run in job.train)
    try:
        posterior = job.fit(job.train) if job.checkpoint is None else job.fit(job.train, checkpoint=job.checkpoint)
        return _predicted(job, posterior, names, n_fitted)
    except (StoppedError, FileFormatError, ModelError):
        raise
    except PhysicsTwinError as error:
        return Fold(job.name, names, n_fitted, (), (), np.nan, np.empty(0), f"{type(error).__name__}: {error}", ())


def _predicted(job: Job, posterior: Posterior, names: tuple[str, ...], n_fitted: int) -> Fold:
    check_fitted(posterior, job.model)
    rng = np.random.default_rng(job.seed)
    n = affordable(job.model, job.held, job.n_draws)
    share = min(posterior.effective_draws / posterior.n_draws, 1.0)
    channels: list[HeldChannel] = []
    densities: list[BatchDensity] = []
    distance, drawn = 0.0, np.zeros(1)
    notes = [] if posterior.converged else [f"the fit did not converge: {posterior.message}"]
    for run in job.held:
        found = predict_samples(job.model, posterior, run, rng=rng, n_draws=n)
        densities.append(batch_density(found.samples, share))
        # Experiments are independent given the parameters (and their lot); the draws of one row share them.
        drawn = drawn + found.distance
        notes += found.notes
        for c, s in zip(found.channels, found.samples, strict=True):
            distance += float(np.sum(c.z**2))
            if s.observed.size:
                channels.append(_held(c, s))
    good = drawn[np.isfinite(drawn)]
    if not good.size:
        raise CalibrationError("no draw of the posterior can be simulated for every experiment of the fold")
    replicas = rng.choice(good, REPLICAS)
    said = tuple(dict.fromkeys(notes))
    return Fold(job.name, names, n_fitted, tuple(channels), tuple(densities), distance, replicas, "", said)


def _held(c: PredictedChannel, s: Sampled) -> HeldChannel:
    measured = c.censored == 0
    numbers = {key: getattr(c, key)[measured] for key in ("times", "observed", "low", "middle", "high", "sd")}
    return HeldChannel(c.experiment, c.channel.output, c.channel.unit.text, **numbers, rank=s.rank)


def groups(
    runs: Sequence[Experiment], by: str | None, folds: int | None, rng: np.random.Generator
) -> dict[str, list[Experiment]]:
    """Name of a fold -> what is left out; raises DataError."""
    names = [run.name for run in runs]
    twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
    if twice:
        raise DataError(f'two experiments are called "{twice[0]}"; give them different names')
    if by is not None and folds is not None:
        raise DataError("say by= or folds=, not both")
    found: dict[str, list[Experiment]] = {}
    if folds is not None:
        if not 2 <= folds <= len(runs):
            raise DataError(f"folds = {folds}: with {len(runs)} experiments between 2 and {len(runs)} are possible")
        order = rng.permutation(len(runs))
        return {f"fold {k + 1}": [runs[i] for i in sorted(order[k::folds].tolist())] for k in range(folds)}
    for run in runs:
        if by is not None and by not in run.context:
            known = ", ".join(map(str, run.context)) or "nothing"
            raise DataError(f'experiment "{run.name}" does not say its "{by}": its context has {known}')
        found.setdefault(run.name if by is None else str(run.context[by]), []).append(run)
    if len(found) < 2:
        what = "one experiment" if by is None else f'one "{by}"'
        raise DataError(f"there is only {what}: nothing is left to fit when it is left out (holdout(n_first=) splits)")
    return found


def fitted_data(runs: Sequence[Experiment]) -> dict[str, Seen]:
    """Name -> the data of each experiment."""
    return {run.name: data_of(run) for run in runs}
