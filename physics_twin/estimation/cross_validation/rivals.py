"""`compare_models()`: rival models on the batches that each of them had to predict unseen.

The difference of log predictive density is summed over folds, and its standard error is sqrt(n) times the standard
deviation of the folds' differences (Vehtari, Gelman and Gabry, Statistics and Computing 27 (2017) 1413, section 5.2).
That error is itself known badly with few folds, and too small where the models hardly differ (Sivula, Magnusson,
Matamoros and Vehtari 2020, arXiv:2008.10296): with fewer than `FEWEST` folds, or a difference below `SMALL`, nothing is
claimed.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from physics_twin.errors import DataError, FileFormatError
from physics_twin.estimation.cross_validation.folds import Fold
from physics_twin.estimation.cross_validation.result import CrossValidation
from physics_twin.estimation.cross_validation.storage import marked_json
from physics_twin.files import atomic_write
from physics_twin.posterior.tables import aligned

FORMAT = "physics_twin model comparison 1"
FEWEST = 4
SMALL = 4.0
"""Difference of log density below which models predict alike (Sivula et al. 2020)."""
SURE = 0.975


@dataclass(frozen=True)
class Rival:
    """One model beside the one that predicts best."""

    name: str
    log_density: float
    """Summed over the folds that all models have."""
    difference: float
    """To the best one, zero or below."""
    standard_error: float
    """Of the difference over folds, Monte Carlo error included; NaN for the best and with one fold."""
    folds_behind: int
    """In how many folds the best one predicts better."""

    def told_apart(self, n_folds: int) -> bool:
        """Whether the difference is beyond doubt: of a size that matters, and of twice its error or more."""
        if n_folds < FEWEST or -self.difference < SMALL:
            return False
        return bool(-self.difference > float(student.ppf(SURE, n_folds - 1)) * self.standard_error)


@dataclass(frozen=True)
class ModelComparison:
    """Rival models, best first; print it for the table and the verdict."""

    rivals: tuple[Rival, ...]
    n_folds: int
    n_samples: int
    left_out: tuple[str, ...]
    """Folds that at least one model could not predict."""

    @property
    def best(self) -> Rival:
        """The one with the highest log predictive density."""
        return self.rivals[0]

    @property
    def verdict(self) -> str:
        """In words that claim no more than the folds allow."""
        said = [self._against(rival) for rival in self.rivals[1:]]
        text = "; ".join(said)
        if self.left_out:
            text += f"; left out of the comparison, since a model failed there: {', '.join(self.left_out)}"
        return text

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write a JSON file, whole or not at all; `load` gives the same numbers back."""
        record = {"format": FORMAT, **dataclasses.asdict(self)}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "ModelComparison":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        record = marked_json(path, FORMAT)
        try:
            rivals = tuple(Rival(**one) for one in record["rivals"])
            return cls(rivals, int(record["n_folds"]), int(record["n_samples"]), tuple(record["left_out"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path} is damaged: {error!r}") from None

    def _against(self, rival: Rival) -> str:
        by = f"{-rival.difference:.1f}"
        error = f" +- {rival.standard_error:.1f}" if np.isfinite(rival.standard_error) else ""
        count = f"better on {rival.folds_behind} of {self.n_folds} folds"
        if rival.told_apart(self.n_folds):
            return (
                f'"{self.best.name}" predicts what it has not seen better than "{rival.name}": its log density is '
                f"higher by {by}{error}, {count}"
            )
        start = f'"{self.best.name}" and "{rival.name}" cannot be told apart'
        if self.n_folds < FEWEST:
            return (
                f'"{self.best.name}" predicts better than "{rival.name}" on {rival.folds_behind} of {self.n_folds} '
                f"folds, by {by} in log density; {self.n_folds} folds are too few to say how sure that is"
            )
        if -rival.difference < SMALL:
            return f"{start}: they predict alike (difference of log density {by}{error}; {count})"
        return f"{start}: the difference of log density is {by}{error} ({count})"

    def __str__(self) -> str:
        rows = [["model", "log density", "difference", "standard error", "folds behind"]]
        for k, rival in enumerate(self.rivals):
            behind = ["", "", ""]
            if k:
                error = f"{rival.standard_error:.1f}" if np.isfinite(rival.standard_error) else "unknown"
                behind = [f"{rival.difference:.1f}", error, f"{rival.folds_behind} of {self.n_folds}"]
            rows.append([rival.name, f"{rival.log_density:.1f}", *behind])
        return f"{aligned(rows)}\n{self.verdict}"

    __repr__ = __str__


def compare_models(validations: Mapping[str, CrossValidation]) -> ModelComparison:
    """Compare models that were cross-validated on the same experiments, by what they have not seen.

    validations: name of the model -> its `CrossValidation`. Folds that a model could not predict are left out for all.
    Where the density of a batch cannot be had from the draws for one of them, the normal one is taken for all.

    Raises DataError for fewer than two models, folds or samples that differ, and where no fold is common.
    """
    if len(validations) < 2:
        raise DataError("a comparison takes two models or more: name -> CrossValidation")
    names = list(validations)
    first = validations[names[0]]
    order = [fold.name for fold in first.folds]
    for name in names[1:]:
        if [fold.name for fold in validations[name].folds] != order:
            raise DataError(f'"{names[0]}" and "{name}" were validated on other folds; give both the same experiments')
    common = [n for n in order if not any(v[n].failed for v in validations.values())]
    if not common:
        raise DataError("there is no fold that every model could predict")
    for n in common:
        for name in names[1:]:
            if not _same_data(first[n], validations[name][n]):
                raise DataError(f'in "{n}" the models "{names[0]}" and "{name}" were asked for other samples')
    both = np.array([[_density(n, validations, name) for n in common] for name in names])
    table, error = both[..., 0], both[..., 1]
    total = table.sum(axis=1)
    best = int(np.argmax(total))
    rivals = []
    for k in np.argsort(-total, kind="stable").tolist():
        apart = table[k] - table[best]
        monte_carlo = float(np.sum(error[k] ** 2 + error[best] ** 2))
        spread = np.sqrt(len(common) * apart.var(ddof=1) + monte_carlo) if len(common) > 1 and k != best else np.nan
        rivals.append(Rival(names[k], float(total[k]), float(apart.sum()), float(spread), int((apart < 0.0).sum())))
    left = tuple(n for n in order if n not in common)
    return ModelComparison(tuple(rivals), len(common), sum(first[n].n_samples for n in common), left)


def _density(fold: str, validations: Mapping[str, CrossValidation], name: str) -> tuple[float, float]:
    """Of a fold under a model, each batch in the way that serves all models; and its Monte Carlo error."""
    every = [v[fold].densities for v in validations.values()]
    normal = [not all(own[k].trusts_draws for own in every) for k in range(len(every[0]))]
    own = list(zip(validations[name][fold].densities, normal, strict=True))
    error = np.sqrt(sum(d.error(normal=way) ** 2 for d, way in own))
    return float(sum(d.value(normal=way) for d, way in own)), float(error)


def _same_data(a: Fold, b: Fold) -> bool:
    def content(fold: Fold) -> list[tuple[str, str, bytes, bytes]]:
        return sorted((c.experiment, c.output, c.times.tobytes(), c.observed.tobytes()) for c in fold.channels)

    return content(a) == content(b)
