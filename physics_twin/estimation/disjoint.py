"""Data that a fit has seen do not validate it: calibration and validation experiments are kept apart.

Three ways to be the same data: the same hash; most samples in common, under whatever name; a sample or two in common
with the experiment of the same name. Limits are no samples here: late samples of independent batches all read "<0.5".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.errors import DataError
from physics_twin.measurements import Experiment
from physics_twin.posterior import Posterior

MOST_IN_COMMON = 0.5
"""Share of the samples of the shorter record, time and value bit for bit: quantized sensors may agree by chance."""
LEAST = 3
"""Samples in common below which it is chance."""
LEAST_OF_ONE_NAME = 2
"""The same, where the two records have one name: the first sample may be a given initial value."""

type Sample = tuple[str, float, float]
"""Output, time in s, value in SI."""


@dataclass(frozen=True)
class Seen:
    """The data of one experiment."""

    name: str
    sha256: str
    samples: frozenset[Sample]


def data_of(run: Experiment) -> Seen:
    """The measured samples in use of an experiment."""
    found: set[Sample] = set()
    for series in run:
        mine = series.used
        output = series.channel.output
        found |= {
            (output, t, y) for t, y in zip(series.times[mine].tolist(), series.values[mine].tolist(), strict=True)
        }
    return Seen(run.name, run.sha256, frozenset(found))


def data_behind(posterior: Posterior) -> tuple[Seen, ...]:
    """The experiments that a posterior was fitted to; none where it does not say."""
    hashes = json.loads(posterior.provenance.get("experiments", "{}"))
    r = posterior.residuals
    # A limit has been fitted and has no residual.
    mine = np.asarray(r["used"].values, dtype=bool) & np.isfinite(r["residual"].values)
    columns = [r[key].values[mine].tolist() for key in ("experiment", "output", "time", "observed")]
    samples: dict[str, set[Sample]] = {}
    for name, output, time, value in zip(*columns, strict=True):
        samples.setdefault(name, set()).add((output, time, value))
    return tuple(Seen(name, sha, frozenset(samples.get(name, ()))) for name, sha in hashes.items())


def refuse_seen(fitted: Sequence[Seen], held: Sequence[Experiment]) -> None:
    """Raise DataError where an experiment that is to be predicted is among those of the fit."""
    for run in held:
        mine = data_of(run)
        for other in fitted:
            reason = _same(other, mine)
            if reason:
                raise DataError(
                    f'experiment "{run.name}" cannot be predicted as one that was not seen: {reason} experiment '
                    f'"{other.name}" of the fit; leave it out of one of the two'
                )


def _same(fitted: Seen, held: Seen) -> str:
    """How the data of two experiments are the same, "" where they are not."""
    if fitted.sha256 == held.sha256:
        return "it is"
    common = len(fitted.samples & held.samples)
    shorter = min(len(fitted.samples), len(held.samples))
    if common >= LEAST and common > MOST_IN_COMMON * shorter:
        return f"{common} of its {len(held.samples)} samples are also in"
    if fitted.name == held.name and common >= LEAST_OF_ONE_NAME:
        return f"{common} of its {len(held.samples)} samples are also in"
    return ""
