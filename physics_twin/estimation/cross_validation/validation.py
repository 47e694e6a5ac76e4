"""`cross_validate()`: each batch predicted by a fit to the others."""

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import numpy as np

from physics_twin.errors import CalibrationError
from physics_twin.estimation.cross_validation.folds import Job, fitted_data, groups, one_fold
from physics_twin.estimation.cross_validation.result import CrossValidation, chance_of
from physics_twin.estimation.disjoint import refuse_seen
from physics_twin.estimation.work import Work
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import generator
from physics_twin.progress import Progress


def cross_validate(
    model: Model,
    experiments: Sequence[Experiment],
    *,
    fit: Callable[..., Posterior],
    by: str | None = None,
    folds: int | None = None,
    n_draws: int = 1000,
    rng: int | np.random.Generator = 0,
    executor: Executor | None = None,
    checkpoint: "str | Path | None" = None,
    progress: bool = False,
) -> CrossValidation:
    """Leave out one experiment at a time, fit the others, predict it, and say how far the predictions can be believed.

    fit: how, called with a list of experiments: `lambda runs: pt.calibrate(model, runs, unknown=[...], rng=7)`, or
        `functools.partial(pt.calibrate, model, unknown=[...], rng=7)`, which travels to worker processes too.
    by: leave out all experiments of one "lot", "campaign", ... at a time: a key of their context. folds: leave out one
        of so many parts, drawn at random. n_draws: draws of each posterior that predict. rng: of parts and of sensor
        noise; a seed, or a generator (of which a copy is used).
    executor: does folds in parallel; the result does not depend on it. checkpoint: a folder; `fit` is then called as
        `fit(runs, checkpoint=folder)` with a folder for each fold. progress: show a bar.

    A left-out experiment is a new one: parameters that each experiment or lot has for itself are drawn for it from
    their population, or are those of a fitted one at random. A fit or prediction that fails is a row with its reason.

    Raises DataError where nothing is left to fit, for a key that the context of an experiment does not have, and where
    two folds share their data; CalibrationError where every fold fails or `fit` cannot travel; ModelError where `fit`
    fits another model. What stops a run from outside is no failed fold: StoppedError for a full disk, a checkpoint
    folder in use or of another run, a dead worker process, FileFormatError for a folder of something else.
    """
    runs = tuple(experiments)
    own = generator(rng)
    parts = groups(runs, by, folds, own)
    data = fitted_data(runs)
    for name, held in parts.items():
        refuse_seen([data[run.name] for other, runs_of in parts.items() if other != name for run in runs_of], held)
    if isinstance(executor, ProcessPoolExecutor):
        _check_travels(fit)
    seeds = own.integers(2**62, size=len(parts)).tolist()
    jobs = []
    for k, (name, held) in enumerate(parts.items()):
        out = {run.name for run in held}
        left = tuple(run for run in runs if run.name not in out)
        folder = None if checkpoint is None else str(Path(checkpoint) / f"fold-{k + 1}")
        jobs.append((Job(name, model, left, tuple(held), fit, n_draws, seeds[k], folder),))
    found = tuple(Work(executor, Progress(progress)).run("fold", one_fold, jobs))
    if all(fold.failed for fold in found):
        raise CalibrationError(f"all {len(found)} folds failed; the first: {found[0].failure}")
    what = by if by is not None else "experiment" if folds is None else "fold"
    return CrossValidation(model.name, model.fingerprint, what, found, chance_of(found))


def _check_travels(fit: Callable[..., Posterior]) -> None:
    try:
        pickle.dumps(fit)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CalibrationError(
            f"fit= cannot travel to worker processes ({error}): give a function of a module, or "
            "functools.partial(pt.calibrate, model, unknown=[...])"
        ) from None
