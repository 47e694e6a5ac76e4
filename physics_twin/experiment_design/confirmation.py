"""A check of the linearization: simulate the chosen experiments at draws of the posterior, fit them, and compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.evaluation import evaluate
from physics_twin.estimation.gauss_newton import GaussNewton
from physics_twin.estimation.likelihood.local_model import local_model
from physics_twin.estimation.likelihood.terms import terms
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.estimation.work import Work
from physics_twin.experiment_design.knowledge import Knowledge, resolved
from physics_twin.experiment_design.planned import Planned, simulated, with_samples
from physics_twin.measurements import Experiment
from physics_twin.parameters import Parameter, Values
from physics_twin.posterior.members import bound_initials
from physics_twin.posterior.sensor_noise import SensorNoise
from physics_twin.priors import LogNormal, Normal


@dataclass(frozen=True)
class Confirmation:
    """Fits of simulated data, with the posterior of today as their prior.

    names: parameters. predicted: expected standard deviations by linearization. fitted: root mean square of those of
    the fits. errors: root mean square of estimate minus truth. All (n_names,) SI. n: fits.
    """

    names: tuple[str, ...]
    predicted: Array
    fitted: Array
    errors: Array
    n: int

    def __str__(self) -> str:
        parts = [
            f"{name} {fitted / predicted:.2f} (errors {error / predicted:.2f})"
            for name, predicted, fitted, error in zip(self.names, self.predicted, self.fitted, self.errors, strict=True)
            if predicted > 0.0
        ]
        return f"{self.n} fits of simulated data, standard deviation over the predicted one: {', '.join(parts)}"


def confirm(chosen: Sequence[Planned], known: Knowledge, predicted: Mapping[str, float], n: int) -> Confirmation:
    """Simulate the experiments at n draws, fit each, and compare with the predicted standard deviations.

    Raises CalibrationError for a posterior with values of single experiments, and where a fit fails.
    """
    if any("@" in name for name in known.posterior.names):
        raise CalibrationError(
            "confirm= refits with one prior for all experiments, and this posterior has values of single experiments; "
            "leave confirm out"
        )
    runs = []
    for i, planned in enumerate(chosen, start=1):
        full = resolved(known, planned.recipe, planned.values)
        runs.append((f"planned_{i}", planned, full))
    rng = np.random.default_rng([known.seed, 1])
    truths = rng.choice(known.posterior.n_draws, size=n, replace=n > known.posterior.n_draws)
    sds, errors = [], []
    names: tuple[str, ...] = ()
    for row in truths:
        problem = _problem([simulated(label, p, known.model, full) for label, p, full in runs], runs[0][2], known)
        truth = _truth(problem, known, int(row), rng)
        data = _with_noise(problem, [p for _, p, _ in runs], truth, rng)
        fitted = _problem(data, runs[0][2], known)
        estimate = GaussNewton(n_draws=1).estimate(fitted, rng, Work())
        names = fitted.names
        sds.append(np.sqrt(np.diag(estimate.covariance)[: len(names)]))
        errors.append(estimate.point.x - truth)
    keep = [j for j, name in enumerate(names) if name in predicted]
    rms = [np.sqrt(np.mean(np.square(rows), axis=0))[keep] for rows in (sds, errors)]
    return Confirmation(tuple(names[j] for j in keep), np.array([predicted[names[j]] for j in keep]), rms[0], rms[1], n)


def _problem(experiments: Sequence[Experiment], full: Mapping[str, float], known: Knowledge) -> Problem:
    """The fit of these experiments with the posterior as prior: normal in t, correlated."""
    model = known.model
    bound = set.union(*(bound_initials(e.recipe, model) for e in experiments))
    places = {*model.parameters, *(n for e in experiments for n in e.recipe.settings)} - bound
    sensors = {p.name for e in experiments for p in e.parameters.values()}
    unknown = [_with_prior(p, known) for n, p in known.parameters.items() if n in places or n in sensors]
    names = {p.name for p in unknown}
    held = Values({n: v for n, v in full.items() if n not in names and n not in bound})
    problem = set_up(model, tuple(experiments), unknown, held)
    columns = [known.index(n) for n in problem.names]
    block = known.covariance[np.ix_(columns, columns)]
    sd = np.sqrt(np.diag(block))
    return replace(problem, coupling=np.linalg.inv(np.linalg.cholesky(block / np.outer(sd, sd))))


def _with_prior(parameter: Parameter, known: Knowledge) -> Parameter:
    j = known.index(parameter.name)
    sd, mean = float(np.sqrt(known.covariance[j, j])), float(known.table[:, j].mean())
    si = parameter.unit.si_text
    if known.log[j]:
        return parameter.replace(prior=LogNormal((float(np.exp(mean)), si), sd))
    return parameter.replace(prior=Normal((mean, si), (sd, si)))


def _truth(problem: Problem, known: Knowledge, row: int, rng: np.random.Generator) -> Array:
    """A possible state of the world (d,) SI: a draw of the posterior, and of the sensors it does not know."""
    found = []
    for column in problem.columns:
        if column.name in known.posterior.parameters:
            found.append(float(known.posterior[column.name][row]))
        else:
            assert column.parameter.prior is not None
            found.append(float(column.parameter.prior.sample(rng, 1)[0]))
    return np.array(found)


def _with_noise(
    problem: Problem, planned: Sequence[Planned], truth: Array, rng: np.random.Generator
) -> list[Experiment]:
    """The experiments with the samples that these sensors would show."""
    psi = np.array(
        [np.log(known) for known in (p.value for n, p in problem.parameters.items() if n not in problem.names)]
    )
    point = evaluate(problem, problem.space.z(truth), None)
    at = terms(problem.sample_noise, psi, local_model(problem, point))
    numbers = problem.sample_noise.at(psi)
    shown = np.concatenate([c.observed for c in problem.channels]) - point.residual
    for c in problem.channels:
        first = slice(c.rows.start, c.rows.start + 1)  # the shape of the noise is that of the channel
        noise = SensorNoise(numbers.level[first], numbers.share[first], numbers.memory[first], numbers.tails[first])
        u = rng.standard_normal((1, c.times.size))
        shown[c.rows] += noise.draw(c.times, at.s[None, c.rows], u, rng)[0]
    found = []
    for task, plan in zip(problem.tasks, planned, strict=True):
        found.append(with_samples(task.name, plan, {c.output: shown[c.rows] for c in task.channels}))
    return found
