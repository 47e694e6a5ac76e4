"""What a report is made of, as it was handed over."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.comparison import Comparison
from physics_twin.envelope import Envelope
from physics_twin.envelope.history.history import History
from physics_twin.envelope.next_batch.uncertainty import draws_hash
from physics_twin.estimation import HoldOut
from physics_twin.estimation.predicted import PredictedChannel, affordable, predict_channels
from physics_twin.measurements import Experiment, Redundancy
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe

N_DRAWS = 500
BAND_SEED = 0
"""Seed of the sensor noise of the bands."""


@dataclass(frozen=True)
class Content:
    """Everything that `write_report` was given; what is None or empty has no chapter."""

    title: str
    posterior: Posterior | None
    experiments: tuple[Experiment, ...]
    model: Model | None
    recipe: Recipe | None
    comparison: Comparison | None
    holdouts: tuple[tuple[str, HoldOut], ...]
    envelope: Envelope | None
    dependent: Redundancy | None
    alternatives: tuple[tuple[str, Posterior], ...]
    notes: tuple[str, ...]
    date: str
    history: History | None = None
    """Past batches against the envelope."""

    @property
    def fits(self) -> dict[str, Posterior]:
        """All fits by what they are called, the main one first."""
        found = {} if self.posterior is None else {"all channels" if self.alternatives else "fit": self.posterior}
        return found | dict(self.alternatives)

    @property
    def behind_envelope(self) -> tuple[str, Posterior] | None:
        """The fit whose draws the envelope rests on."""
        if self.envelope is None:
            return None
        for name, posterior in self.fits.items():
            if draws_hash(posterior) == self.envelope.certificate.posterior:
                return name, posterior
        return None

    def predicted(self) -> dict[str, list[PredictedChannel]]:
        """Experiment -> fitted samples beside the band of the fit; empty without a model."""
        if self.model is None or self.posterior is None:
            return {}
        fitted = {c.experiment for c in self.posterior.channels}
        runs: Sequence[Experiment] = [run for run in self.experiments if run.name in fitted]
        rng = np.random.default_rng(BAND_SEED)
        found = {}
        for run in runs:
            n = affordable(self.model, runs, N_DRAWS)
            found[run.name] = predict_channels(self.model, self.posterior, run, rng=rng, n_draws=n)[0]
        return found


__all__ = ["Content", "draws_hash"]
