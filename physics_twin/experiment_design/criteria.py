"""What the next experiment is chosen for: one small object per criterion.

Letters: C_i (n_s, n_s) the covariance that draw i expects after the experiment, in coordinates t (see knowledge.py).
Everything that is not chosen is marginalized, since a block of C is the covariance of what it is about. Scores are
averages over the draws and comparable between experiments of one design; lower is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.reductions import UPPER, Custom, Reduction, final
from physics_twin.envelope.margins.evaluation import simulate_members
from physics_twin.errors import CalibrationError, unknown_name
from physics_twin.experiment_design.knowledge import Knowledge, own_values
from physics_twin.posterior.populations import SPREAD
from physics_twin.recipes import Recipe
from physics_twin.units import QuantityLike, Unit

N_NODES = 60
"""Samples per phase for reductions that look at the whole course."""
SECANT = 0.05
"""Step of the secants of a prediction, in standard deviations of what is known: far above integrator noise."""


class Bound(Protocol):
    """A criterion for one posterior."""

    @property
    def columns(self) -> tuple[int, ...]:
        """Columns that were chosen."""
        ...

    def score(self, covariances: Array) -> float:
        """Lower is better; covariances (n_draws, n_s, n_s) of t."""
        ...

    def describe(self) -> str:
        """In words."""
        ...

    def prediction_sd(self, covariances: Array) -> float | None:
        """Expected standard deviation of the prediction, SI; None where the criterion is about parameters."""
        ...


class Criterion(Protocol):
    """`DOptimal`, `AOptimal`, `PredictionVariance`."""

    def bind(self, known: Knowledge) -> Bound:
        """The criterion for a posterior; raises UnknownNameError."""
        ...


@dataclass(frozen=True)
class DOptimal:
    """The volume of the uncertainty of the chosen parameters (of all without `parameters`, those of
    past experiments left out): the determinant.

    Does not depend on units. Its number is the expected standard deviation that is left, as a share of today's:
    geometric mean over the axes of the ellipsoid.
    """

    parameters: Sequence[str] = ()

    def bind(self, known: Knowledge) -> "Bound":
        """See Criterion."""
        columns = _columns(self.parameters, known)
        return _Volume(columns, _log_det(known.covariance[None], columns, known), known)


@dataclass(frozen=True)
class AOptimal:
    """The sum of the relative variances of the chosen parameters (of all without `parameters`, those of past
    experiments left out).

    Relative to the mode; the variance of ln x for parameters that are searched in their logarithm. Its number is the
    expected root mean square of the relative standard deviations.
    """

    parameters: Sequence[str] = ()

    def bind(self, known: Knowledge) -> "Bound":
        """See Criterion."""
        columns = _columns(self.parameters, known)
        for j in columns:
            if not known.log[j] and known.mode[j] == 0.0:
                raise CalibrationError(
                    f'the mode of "{known.names[j]}" is zero, so its relative variance is not defined; leave it out, '
                    "or use DOptimal, which needs no scale"
                )
        return _Relative(columns, np.where(known.log, 1.0, known.mode)[list(columns)])


@dataclass(frozen=True)
class PredictionVariance:
    """The variance of a prediction: a reduction of an output under a recipe, such as the one of production.

    output: of the model. recipe: with a duration. over: `pt.final` (default), `pt.peak`, `pt.at("20 min")`, ... values:
    settings of the recipe, with units. The prediction is of a new batch, so what batches have for themselves adds to
    its variance, and no experiment takes that away.
    """

    output: str
    recipe: Recipe
    over: Reduction = final
    values: dict[str, QuantityLike] = field(default_factory=dict)

    def bind(self, known: Knowledge) -> "Bound":
        """See Criterion; simulates the recipe at and beside the draws. Raises CalibrationError where that fails."""
        names = [signal.name for signal in known.model.outputs]
        if self.output not in names:
            raise unknown_name("output", self.output, names)
        if isinstance(self.over, Custom):
            raise CalibrationError("over= is a reduction of the library: pt.final, pt.peak, pt.mean, pt.at(...)")
        signal = known.model.outputs[names.index(self.output)]
        gradient, own = _gradients(self, known, names.index(self.output), signal.unit)
        words = self.over.label(self.output, signal.unit)
        return Predicted(words, self.over.unit(signal.unit), gradient, own)


@dataclass(frozen=True)
class _Volume:
    columns: tuple[int, ...]
    before: float
    known: Knowledge

    def score(self, covariances: Array) -> float:
        change = _log_det(covariances, self.columns, self.known) - self.before
        return float(np.exp(0.5 * change / len(self.columns)))

    def describe(self) -> str:
        return "D: standard deviation left, as a share of today's (geometric mean)"

    def prediction_sd(self, covariances: Array) -> float | None:
        return None


@dataclass(frozen=True)
class _Relative:
    columns: tuple[int, ...]
    scale: Array

    def score(self, covariances: Array) -> float:
        variances = np.diagonal(covariances, axis1=-2, axis2=-1)[:, list(self.columns)].mean(axis=0)
        return float(np.sqrt(np.mean(variances / self.scale**2)))

    def describe(self) -> str:
        return "A: relative standard deviation (root mean square)"

    def prediction_sd(self, covariances: Array) -> float | None:
        return None


@dataclass(frozen=True)
class Predicted:
    """The linearized prediction."""

    words: str
    unit: Unit
    gradient: Array
    """(n_draws, n_s) SI"""
    own: Array
    """(n_draws,) SI^2: variance by what a batch has for itself."""
    columns: tuple[int, ...] = ()

    def score(self, covariances: Array) -> float:
        """Standard deviation, SI."""
        shared = np.einsum("ni,nij,nj->n", self.gradient, covariances, self.gradient)
        return float(np.sqrt(np.mean(np.maximum(shared, 0.0) + self.own)))

    def describe(self) -> str:
        """In words."""
        return f"standard deviation of {self.words}"

    def prediction_sd(self, covariances: Array) -> float | None:
        """The score itself."""
        return self.score(covariances)


def _columns(names: Sequence[str], known: Knowledge) -> tuple[int, ...]:
    if isinstance(names, str):
        names = [names]
    plant = [n for n in known.names if "@" not in n and not n.startswith(("bias.", "delay.", SPREAD))]
    if not plant:  # only what experiments have for themselves
        plant = [n for n in known.names if not n.startswith(("bias.", "delay."))]
    for name in names:
        if name not in known.names:
            raise unknown_name("parameter of the posterior", name, known.names)
    chosen = tuple(known.index(n) for n in (names or plant))
    fixed = [known.names[j] for j in chosen if known.covariance[j, j] <= 0.0]
    if fixed:
        raise CalibrationError(f'all draws of "{fixed[0]}" are the same: there is nothing left to learn about it')
    return chosen


def _log_det(covariances: Array, columns: tuple[int, ...], known: Knowledge) -> float:
    block = covariances[:, list(columns)][:, :, list(columns)]
    sign, log = np.linalg.slogdet(block)
    if (sign <= 0.0).any():
        names = ", ".join(known.names[j] for j in columns)
        raise CalibrationError(
            f"the draws of {names} lie in a plane, so their volume is zero; choose fewer of them, or AOptimal"
        )
    return float(log.mean())


def _gradients(wanted: PredictionVariance, known: Knowledge, column: int, unit: Unit) -> tuple[Array, Array]:
    """Gradients (n_draws, n_s) of the prediction with respect to t, and the variance (n_draws,) by own values."""
    everyone = known.members(wanted.recipe, wanted.values, np.arange(known.posterior.n_draws))
    base = {name: v[known.rows] for name, v in everyone.items()}
    shared = [n for n in known.names if n in base and n not in wanted.values]
    own = {}
    for label, declared in known.parameters.items():
        root = label.partition("@")[0]
        if "@" in label and root in base and root not in own and root not in wanted.values:
            own[root] = declared.replace(name=root)
    slope, root_s = own_values(known, everyone, list(own.values()))
    moved, steps = [], []
    for name in (*shared, *own):
        p = own.get(name) or known.parameters[name]
        spread = float(np.std(np.log(everyone[name]) if p.log_scale else everyone[name]))
        h = SECANT * (spread or 1e-3 * (1.0 if p.log_scale else abs(p.value) or 1.0))
        low, high = p.bounds
        ends = []
        for sign in (1.0, -1.0):
            x = base[name] * np.exp(sign * h) if p.log_scale else base[name] + sign * h
            ends.append(np.clip(x, low, high))
            moved.append({**base, name: ends[-1]})
        steps.append(np.log(ends[0] / ends[1]) if p.log_scale else ends[0] - ends[1])
    n = known.rows.size
    values = {name: np.concatenate([m[name] for m in moved]) for name in base} if moved else base
    dense = N_NODES if wanted.over.dense else 0
    times, outputs, failures = simulate_members(known.model, wanted.recipe, values, dense, wanted.over.moments)
    reduced = wanted.over(times, outputs[:, :, column], UPPER, unit)
    if failures or not np.isfinite(reduced).all():
        why = failures[0].reason if failures else "the run ends before the moment it is about"
        raise CalibrationError(f"the prediction cannot be simulated for {len(failures)} of {len(reduced)} runs: {why}")
    pairs = reduced.reshape(-1, 2, n)
    slopes = (pairs[:, 0] - pairs[:, 1]) / np.array(steps)
    found = np.zeros((n, len(known.names)))
    for k, name in enumerate(shared):
        found[:, known.index(name)] = slopes[k]
    of_own = slopes[len(shared) :].T
    return found + of_own @ slope, ((of_own @ root_s) ** 2).sum(axis=1)


def prediction_unit(bound: Bound) -> tuple[str, Unit] | None:
    """Words and unit of a prediction criterion."""
    return (bound.words, bound.unit) if isinstance(bound, Predicted) else None


__all__ = ["AOptimal", "Bound", "Criterion", "DOptimal", "PredictionVariance", "prediction_unit"]
