"""`calibrate()`: measured data and a model in, a posterior out."""

import copy
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from physics_twin.checkpoints import Checkpoint
from physics_twin.errors import CalibrationError
from physics_twin.estimation import diagnostics
from physics_twin.estimation.copies import copies_said
from physics_twin.estimation.discrepancy.confounding import confounding_said, larger_than_declared
from physics_twin.estimation.gauss_newton import GaussNewton
from physics_twin.estimation.likelihood.fitting import whitened
from physics_twin.estimation.method import Estimate, Method
from physics_twin.estimation.population import memberships
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.estimation.smooth_prior import UnknownItem
from physics_twin.estimation.verdicts import bounds_said, conflicts, verdicts
from physics_twin.estimation.work import Work
from physics_twin.measurements import Experiment, find_dependent_channels
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.result import covariance_array, draws_array
from physics_twin.progress import Progress
from physics_twin.units import QuantityLike

LIBRARIES = ("physics-twin", "numpy", "scipy", "casadi", "xarray")
GAUSS_NEWTON = GaussNewton()
SHOWN = 10
"""Names in a sentence."""

_log = logging.getLogger(__name__)


def calibrate(
    model: Model,
    experiments: Experiment | Sequence[Experiment],
    *,
    unknown: Sequence[UnknownItem],
    method: Method = GAUSS_NEWTON,
    values: Mapping[str, QuantityLike] | Values | None = None,
    rng: int | np.random.Generator = 0,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    preview: Callable[[Posterior], None] | None = None,
) -> Posterior:
    """Estimate parameters of `model` from `experiments`.

    unknown: what to estimate: names of model parameters (also `initial.<state>`) and of open settings; a `Parameter`
        to say other bounds or another prior; `PerExperiment(name)` for a value of its own in each experiment,
        `Population(name, spread, by)` for values of lots that are draws from a population;
        `SmoothPrior(names, ...)` for the values of a smooth function. Noise, bias and delay are unknown where a channel
        says so.
    method: `GaussNewton(...)`, or `QuasiNewton(...)` for hundreds of unknowns of a model with adjoints. values: other
        numbers for what is not unknown, with units; a setting given here holds in all experiments, one that is not has
        the value of each recipe. rng: a seed, or a generator (of which a copy is used). executor: runs the starts in
        parallel (`concurrent.futures`); the result does not depend on it. progress: show a bar.
    checkpoint: a folder where simulations are remembered as they are done; the same call after a kill goes on from
        there, to the same bytes. preview: called with a rough posterior as soon as there is one, by methods that
        refine it for long.

    A pure function: nothing it is given is changed, and the same inputs give the same bytes.

    Raises UnknownNameError, UnitError, BoundsError for mistakes in names and quantities, DataError for experiments
    without a usable sample, CalibrationError for what is no method, contradictory unknowns or when no start can be
    simulated. A simulation that fails on the way is recorded in `posterior.failures`.
    """
    given: object = method  # what a person wrote, whatever the annotation says
    if isinstance(given, type) or not isinstance(given, Method):
        shown = given.__name__ if isinstance(given, type) else str(given)
        raise CalibrationError(f"method={shown} is no calibration method; write method=pt.{shown}()")
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    problem = set_up(model, runs, unknown, values)
    own = copy.deepcopy(rng) if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)
    seed = _seed(rng)
    _log.info("calibrating %d unknowns on %d samples", len(problem.parameters), problem.n_data)
    kept: Checkpoint | None = None
    opened: AbstractContextManager[None] = nullcontext()
    if checkpoint is not None:
        kept = Checkpoint(Path(checkpoint))
        opened = kept.open(
            _provenance(problem, method, seed) | {"unknown": repr(problem.parameters), "held": repr(problem.held)}
        )

    def show(rough: Estimate) -> None:
        if preview is not None:
            preview(_posterior(problem, rough, method, seed))

    with opened:
        estimate = method.estimate(problem, own, Work(executor, Progress(progress), kept, show))
    return _posterior(problem, estimate, method, seed)


def _posterior(problem: Problem, estimate: Estimate, method: Method, seed: str) -> Posterior:
    parameters = problem.parameters
    point, levels = estimate.point, estimate.levels
    white, sd = whitened(problem, point, levels.sd, estimate.hypers)
    channels = diagnostics.channel_table(problem, point, levels, estimate.correlations, white, sd)
    found = {**verdicts(problem, estimate), **estimate.verdicts}
    mode = dict(zip(problem.names, point.x.tolist(), strict=True))
    mode.update({g.parameter.name: float(s) for g, s in zip(problem.noise_groups, levels.sd, strict=True)})
    mode.update({h.parameter.name: float(v) for h, v in zip(problem.hypers, estimate.hypers, strict=True)})
    message = estimate.message
    if estimate.differenced:
        names = estimate.differenced
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        message += f"; derivatives by differences for {', '.join(names[:SHOWN])}{more}"
    if estimate.failures:
        message += f"; {len(estimate.failures)} simulations failed on the way"
    warnings = [
        *([] if estimate.converged else [f"the fit did not converge: {estimate.message}"]),
        *estimate.warnings,
        *bounds_said(found),
        *conflicts(problem, estimate),
        *confounding_said(problem, estimate),
        *larger_than_declared(problem, estimate),
        *diagnostics.summary(channels, estimate.correlations, estimate.widens),
        *diagnostics.between_experiments(problem, white),
        *copies_said(problem.experiments),
        *_dependent(problem),
        *expired_certificates(problem.experiments),
    ]
    d = point.z.size
    classical = np.sqrt(np.diag(estimate.covariance)[:d])
    widened = np.sqrt(np.diag(estimate.widened)) * problem.space.slope(point.x)
    correlated = estimate.widens and any(c.significant for c in estimate.correlations.values())
    inflation = dict.fromkeys(parameters.names, 1.0)
    if correlated:
        wider = widened / np.maximum(classical, 1e-300)  # no spread where an ensemble is all on a bound
        inflation.update({n: max(float(w), 1.0) for n, w in zip(problem.names, wider, strict=True)})
    measured = white[problem.sample_noise.measured]
    return Posterior(
        parameters=parameters,
        draws=draws_array(parameters, estimate.draws),
        mode=Values(mode),
        covariance=covariance_array(parameters, estimate.covariance),
        misfit=float(measured @ measured),
        channels=channels,
        verdicts=found,
        coverage=diagnostics.coverage(problem, point),
        failures=estimate.failures,
        converged=estimate.converged,
        message=message,
        warnings=tuple(warnings),
        inflation=inflation,
        residuals=diagnostics.residual_dataset(problem, point, white),
        fixed=problem.held.reported,
        provenance=_provenance(problem, method, seed),
        effective_draws=float(len(estimate.draws) if estimate.effective_draws is None else estimate.effective_draws),
        diagnostics=estimate.diagnostics,
        origin=estimate.origin,
    )


def _dependent(problem: Problem) -> list[str]:
    """Channels that are not independent measurements (Box et al. 1973)."""
    found = find_dependent_channels(problem.experiments)
    texts = [d.text for d in found.dependencies if d.simple]
    if found.leave_out and texts:
        one = len(found.leave_out) == 1
        texts.append(
            f"dependent channels are counted as independent here: leave out {', '.join(found.leave_out)}, "
            f"{'it tells' if one else 'they tell'} nothing new (experiment.without)"
        )
    return texts


def _provenance(problem: Problem, method: Method, seed: str) -> dict[str, str]:
    model = problem.model
    found = {
        "model": model.name,
        "version": model.version,
        "fingerprint": model.fingerprint,
        "method": repr(method),
        "seed": seed,
        "experiments": json.dumps({e.name: e.sha256 for e in problem.experiments}),
        "sources": json.dumps({e.name: [e.provenance.source, e.provenance.sha256] for e in problem.experiments}),
        "settings": " ".join(sorted({name for e in problem.experiments for name in e.recipe.settings})),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    if problem.unknowns.populations:  # predictions look up the lot of an experiment
        found["populations"] = memberships(problem.unknowns.populations, problem.experiments)
    expired = expired_certificates(problem.experiments)
    if expired:  # predictions repeat it
        found["certificates"] = json.dumps(expired)
    return {**found, **_versions()}


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _seed(rng: int | np.random.Generator) -> str:
    """The seed, or a hash of the state of a generator."""
    if not isinstance(rng, np.random.Generator):
        return str(rng)
    state = json.dumps(rng.bit_generator.state, sort_keys=True, default=str)
    return "generator " + hashlib.sha256(state.encode()).hexdigest()[:16]
