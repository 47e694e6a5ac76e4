"""What a cross-validation found: coverage and bias by channel, log predictive density by fold."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from physics_twin.errors import unknown_name
from physics_twin.estimation.cross_validation.folds import Fold, HeldChannel
from physics_twin.posterior.tables import aligned
from physics_twin.units import Unit, format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = (0.5, 0.8, 0.95)
ENOUGH = 0.05
"""Chance of samples as far away, or farther, below which the model is more certain of itself than it should be."""


@dataclass(frozen=True)
class ChannelBelief:
    """One output over all folds; standard errors are over folds, since samples of one batch err together."""

    output: str
    unit: Unit
    """Of a deviation."""
    n_samples: int
    n_folds: int
    coverage: tuple[float, ...]
    """Share of the samples in the central intervals of 50, 80 and 95 %."""
    coverage_error: tuple[float, ...]
    """Standard errors; NaN with one fold."""
    bias: float
    """Mean of measured minus predicted over the folds, SI."""
    bias_error: float
    rms: float
    """Of measured minus predicted, SI."""

    @property
    def biased(self) -> bool:
        """Whether the bias is farther from zero than that of a right model in nineteen of twenty cases.

        By Student's t for the number of folds: the standard error is known from them alone. Never with one fold.
        """
        return self.n_folds > 1 and abs(self.bias) > float(stdtrit(self.n_folds - 1, 0.975)) * self.bias_error


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Experiments predicted by fits that have not seen them; print it for a table, `.plot()` for pictures.

    model, fingerprint: what was validated. by: what was left out at a time ("experiment", a key of the context,
    "fold"). folds: in order, failed ones with their reason. chance: how often the left-out samples of a right model
    would be as far from their prediction, or farther, in all.
    """

    model: str
    fingerprint: str
    by: str
    folds: tuple[Fold, ...]
    chance: float

    @property
    def done(self) -> tuple[Fold, ...]:
        """The folds that did not fail."""
        return tuple(fold for fold in self.folds if not fold.failed)

    def __getitem__(self, name: str) -> Fold:
        """A fold by its name."""
        for fold in self.folds:
            if fold.name == name:
                return fold
        raise unknown_name("fold", name, [fold.name for fold in self.folds])

    @property
    def n_samples(self) -> int:
        """Samples that were predicted."""
        return sum(fold.n_samples for fold in self.done)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that were predicted."""
        return tuple(dict.fromkeys(c.output for fold in self.done for c in fold.channels))

    @property
    def channels(self) -> tuple[ChannelBelief, ...]:
        """Coverage and bias of each output."""
        return tuple(self._belief(output) for output in self.outputs)

    @property
    def coverage(self) -> tuple[float, ...]:
        """Share of all samples in the central intervals of 50, 80 and 95 %; NaN where all of them are limits."""
        held = [c for fold in self.done for c in fold.channels]
        if not held:
            return (np.nan,) * len(LEVELS)
        return tuple(float(np.concatenate([c.inside(level) for c in held]).mean()) for level in LEVELS)

    @property
    def log_density(self) -> float:
        """Sum of the log predictive densities of the folds, of quantities in SI; only its differences mean a thing."""
        return float(sum(fold.log_density for fold in self.done))

    @property
    def passed(self) -> bool:
        """Whether a right model strays as far in at least one of twenty cases."""
        return self.chance >= ENOUGH

    def _belief(self, output: str) -> ChannelBelief:
        own = [[c for c in fold.channels if c.output == output] for fold in self.done]
        own = [rows for rows in own if rows]
        error = [np.concatenate([c.observed - c.middle for c in rows]) for rows in own]
        inside = np.array([[np.concatenate([c.inside(p) for c in rows]).mean() for p in LEVELS] for rows in own])
        every = [c for rows in own for c in rows]
        means = np.array([e.mean() for e in error])
        n = len(own)
        return ChannelBelief(
            output=output,
            unit=every[0].difference_unit,
            n_samples=sum(c.times.size for c in every),
            n_folds=n,
            coverage=tuple(float(np.concatenate([c.inside(p) for c in every]).mean()) for p in LEVELS),
            coverage_error=tuple((inside.std(axis=0, ddof=1) / np.sqrt(n)).tolist() if n > 1 else [np.nan] * 3),
            bias=float(means.mean()),
            bias_error=float(means.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
            rms=float(np.sqrt(np.mean(np.concatenate(error) ** 2))),
        )

    @property
    def sentence(self) -> str:
        """The finding in one sentence that can stand beside an envelope."""
        half, most, nearly = (f"{100.0 * share:.0f} %" for share in self.coverage)
        chance = "less than 1 %" if self.chance < 0.01 else f"{100.0 * self.chance:.0f} %"
        what = f"each {self.by}" if self.by != "fold" else f"each of {len(self.folds)} parts"
        inside = (
            f"of {self.n_samples} samples {nearly} lie in their 95 % band ({most} in the 80 %, {half} in the 50 % band)"
        )
        if not self.outputs:
            inside = "every sample left out is a limit"
        text = (
            f"{what} was predicted by a fit to the others: {inside}; a right model strays as far in {chance} of cases"
        )
        text += "" if self.passed else ": the model is more certain of itself than it should be"
        biased = [c for c in self.channels if c.biased]
        if biased:
            listed = ", ".join(f"{c.output} by {_with_error(c)}" for c in biased)
            text += f"; measured is off what is predicted in the mean: {listed}"
        if len(self.done) < len(self.folds):
            text += f"; {len(self.folds) - len(self.done)} of {len(self.folds)} fits or predictions failed"
        return text

    def __str__(self) -> str:
        rows = [["channel", "samples", "folds", "in 50 %", "in 80 %", "in 95 %", "bias", "rms"]]
        for c in self.channels:
            shares = [
                f"{100.0 * share:.0f} %" + (f" +- {100.0 * error:.0f}" if np.isfinite(error) else "")
                for share, error in zip(c.coverage, c.coverage_error, strict=True)
            ]
            rms = f"{format_number(c.unit.from_si(c.rms, True), 3)}{_text(c.unit)}"
            rows.append([c.output, str(c.n_samples), str(c.n_folds), *shares, _with_error(c), rms])
        parts = [self.sentence, "", aligned(rows), "", self._fold_table()]
        notes = dict.fromkeys(note for fold in self.done for note in fold.notes)
        return "\n".join([*parts, *(f"note: {note}" for note in notes)])

    __repr__ = __str__

    def _fold_table(self) -> str:
        rows = [[self.by, "fitted", "left out", "in 95 %", "log density", "Monte Carlo error", "by"]]
        for fold in self.folds:
            if fold.failed:
                rows.append([fold.name, str(fold.n_fitted), "", "", "", "", f"failed: {fold.failure}"])
                continue
            held = [c.inside(0.95) for c in fold.channels]
            inside = f"{100.0 * float(np.concatenate(held).mean()):.0f} %" if held else ""
            way = "draws" if all(d.trusts_draws for d in fold.densities) else "normal"
            numbers = [inside, f"{fold.log_density:.1f}", f"{fold.log_density_error:.2f}", way]
            rows.append([fold.name, str(fold.n_fitted), str(fold.n_samples), *numbers])
        return aligned(rows)

    def plot(self, ax: "Sequence[Axes] | None" = None) -> "Figure":
        """Draw coverage beside what is claimed, predicted over measured, and bias by fold; returns the figure."""
        from physics_twin.estimation.cross_validation.pictures import plot

        return plot(self, ax)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write a JSON file, whole or not at all; `load` gives the same numbers back."""
        from physics_twin.estimation.cross_validation.storage import save

        save(self, path)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "CrossValidation":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        from physics_twin.estimation.cross_validation.storage import load

        return load(path)


def chance_of(folds: Sequence[Fold]) -> float:
    """Share of the predictive draws that are as far from the predictions as the data, or farther."""
    done = [fold for fold in folds if not fold.failed]
    seen = sum(fold.distance for fold in done)
    return float(np.mean(np.sum([fold.replicas for fold in done], axis=0) >= seen))


def _text(unit: Unit) -> str:
    return "" if unit.text == "1" else f" {unit.text}"


def _with_error(c: ChannelBelief) -> str:
    bias, error = (c.unit.from_si(x, True) for x in (c.bias, c.bias_error))
    shown = f"{bias:.2g}" + (f" +- {error:.2g}" if np.isfinite(error) else "")
    return f"{shown}{_text(c.unit)}"


__all__ = ["ChannelBelief", "CrossValidation", "Fold", "HeldChannel"]
