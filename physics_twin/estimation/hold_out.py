"""A check on samples held back: fit a part of the data, predict the rest, and say whether the rest lies in the band.

A fit that meets its own data says little; a band that holds samples which the fit never saw says that the band may be
believed. The band is that of a measurement: parameters and sensor noise.

Samples of one run share their parameters, so their deviations are not independent, and no textbook distribution says
how far they may stray together. It is counted on the predictive draws themselves: each plays the part of the data once,
and its sum of squared z-scores is compared with that of the data (a posterior predictive check; Gelman, Meng and Stern,
Statistica Sinica 6 (1996) 733, on data that the fit has not seen).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import DataError, unknown_name
from physics_twin.estimation.disjoint import data_behind, data_of, refuse_seen
from physics_twin.estimation.predicted import PredictedChannel, affordable, draw_channel, predict_channels
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import check_fitted, generator
from physics_twin.units import QuantityLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENOUGH = 0.05
"""Chance of samples as far away, or farther, below which the hold-out fails."""


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Held-back samples against their prediction; print it for a line a channel, `.plot()` for the pictures.

    posterior: the fit to the other part. channels: the held-back samples by channel and experiment. chance: how often
    the held-back samples of a right model would be as far from the prediction, or farther. n_fitted: samples fitted.
    notes: what the prediction assumed, extrapolation included.
    """

    posterior: Posterior
    channels: tuple[PredictedChannel, ...]
    chance: float
    n_fitted: int
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> PredictedChannel:
        """The channel called `output` (if one experiment has it) or `output@experiment`."""
        found = [c for c in self.channels if name in (c.name, c.channel.output)]
        if len(found) != 1:
            raise unknown_name("channel", name, [c.name for c in self.channels])
        return found[0]

    @property
    def n_samples(self) -> int:
        """Samples held back."""
        return sum(c.times.size for c in self.channels)

    @property
    def n_inside(self) -> int:
        """Of these, samples inside the 95 % band."""
        return sum(int(c.inside.sum()) for c in self.channels)

    @property
    def coverage(self) -> float:
        """Share of the held-back samples inside the 95 % band."""
        return self.n_inside / self.n_samples

    @property
    def outside(self) -> tuple[str, ...]:
        """Outputs with more than one in twenty samples outside the band, the farthest first."""
        worst = sorted(self.channels, key=lambda c: -float(np.max(np.abs(c.z))))
        return tuple(dict.fromkeys(c.channel.output for c in worst if c.strays))

    @property
    def passed(self) -> bool:
        """Whether a right model strays as far in at least one of twenty cases."""
        return self.chance >= ENOUGH

    @property
    def sentence(self) -> str:
        """The finding in one sentence that can stand beside an envelope."""
        start = (
            f"fitted to {self.n_fitted} samples, the model predicts the {self.n_samples} held back: {self.n_inside} "
            f"lie inside the 95 % band ({100.0 * self.coverage:.0f} %)"
        )
        chance = "less than 1 %" if self.chance < 0.01 else f"{100.0 * self.chance:.0f} %"
        stray = f"a right model strays as far in {chance} of cases"
        where = f", outside are too many samples of {', '.join(self.outside)}" if self.outside else ""
        if self.passed:
            return f"{start}; {stray}: the check is passed"
        return f"{start}{where}; {stray}: the check fails, and the model is more certain of itself than it should be"

    def __str__(self) -> str:
        width = max(len(c.name) for c in self.channels)
        lines = [self.sentence, *(f"  {c.name.ljust(width)}  {c}" for c in self.channels)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Draw band, fitted and held-back samples, one panel for each channel; returns the figure."""
        scale = plot_style.time_scale(max(float(c.nodes[-1]) for c in self.channels))
        several = len({c.experiment for c in self.channels}) > 1
        with plot_style.style():
            axes = plot_style.panels(len(self.channels), ax)
            for one, c in zip(axes, self.channels, strict=True):
                draw_channel(one, c, scale, name="held back")
                if several:
                    one.set_title(c.experiment)
            plot_style.label_times(axes, scale)
            figure = plot_style.figure_of(axes)
            if ax is None:
                plot_style.one_legend(figure, axes)
        return figure


def holdout(
    model: Model,
    experiments: Experiment | Sequence[Experiment],
    *,
    fit: Callable[..., Posterior],
    n_first: int | None = None,
    held: Experiment | Sequence[Experiment] = (),
    n_draws: int = 1000,
    rng: int | np.random.Generator = 0,
    values: Mapping[str, QuantityLike] | Values | None = None,
) -> HoldOut:
    """Fit a part of the data and check the prediction of the rest.

    experiments: what is fitted. fit: how, for example `lambda runs: pt.calibrate(model, runs, unknown=[...], rng=7)`.
    n_first: of each experiment only the first `n_first` sample times are fitted, the rest is held back. held: whole
    experiments held back; one of the two is needed. n_draws: draws of the posterior that predict, at most all of them.
    rng: for the sensor noise of the prediction, seed or generator (of which a copy is used). values: what the fit shall
    hold; `fit` is then called as `fit(runs, values=values)`. What a fit holds, by these or by its own, holds in the
    prediction too.

    Raises DataError when nothing is held back, when nothing is left to fit, or when a held experiment is among those
    that are fitted (see `validate`); ModelError when `fit` fits another model.
    """
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    others = (held,) if isinstance(held, Experiment) else tuple(held)
    if n_first is None and not others:
        raise DataError("nothing is held back: say n_first= (sample times to fit of each experiment) or held=")
    train, rest = list(runs), list(others)
    whole = {run.name: run for run in (*runs, *others)}
    if n_first is not None:
        too_short = [run.name for run in runs if run.times.size <= n_first]
        if too_short:
            raise DataError(f'experiment "{too_short[0]}" has no sample after its first {n_first}: fit fewer')
        train = [run.first(n_first) for run in runs]
        rest = [run.last(run.times.size - n_first) for run in runs] + rest
    refuse_seen([data_of(run) for run in train], rest)
    posterior = fit(train) if values is None else fit(train, values=values)
    own = generator(rng)
    fitted = {run.name: run for run in train}
    lengths = {name: run.duration for name, run in whole.items()}
    return _judged(model, posterior, rest, fitted, lengths, sum(r.n_used for r in train), n_draws, own)


def validate(
    model: Model,
    posterior: Posterior,
    experiments: Experiment | Sequence[Experiment],
    *,
    n_draws: int = 1000,
    rng: int | np.random.Generator = 0,
) -> HoldOut:
    """Predict experiments that a fit has not seen, and say whether they lie in the band.

    n_draws: draws of the posterior that predict, at most all of them. rng: for the sensor noise of the prediction, seed
    or generator (of which a copy is used).

    Raises ModelError for the posterior of another model, DataError for an experiment that the fit has seen: one of the
    same content hash, one that shares most of its measured samples with one of the fit whatever its name, or one of the
    same name that shares some.
    """
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    if not runs:
        raise DataError("there is no experiment to validate with")
    refuse_seen(data_behind(posterior), runs)
    own = generator(rng)
    n_fitted = sum(c.n_samples for c in posterior.channels)
    lengths = {run.name: run.duration for run in runs}
    return _judged(model, posterior, runs, {}, lengths, n_fitted, n_draws, own)


def _judged(
    model: Model,
    posterior: Posterior,
    rest: Sequence[Experiment],
    fitted: Mapping[str, Experiment],
    lengths: Mapping[str, float],
    n_fitted: int,
    n_draws: int,
    own: np.random.Generator,
) -> HoldOut:
    """Predict the rest; fitted: the parts of the same runs that were fitted; lengths: of the whole runs, s."""
    check_fitted(posterior, model)
    channels: list[PredictedChannel] = []
    replicas: list[Array] = []
    notes: list[str] = []
    n = affordable(model, rest, n_draws)
    for run in rest:
        found, distance, said = predict_channels(
            model, posterior, run, rng=own, n_draws=n, fitted=fitted.get(run.name), duration=lengths[run.name]
        )
        channels += found
        replicas.append(distance)
        notes += said
    # Experiments are independent given the parameters; the draws of one row share them.
    distances = np.sum(replicas, axis=0)
    chance = float(np.mean(distances[np.isfinite(distances)] >= sum(float(np.sum(c.z**2)) for c in channels)))
    return HoldOut(posterior, tuple(channels), chance, n_fitted, tuple(dict.fromkeys(notes)))


__all__ = ["HoldOut", "holdout", "validate"]
