"""What cutting an experiment into windows, phases and parts has in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from physics_twin.errors import BoundsError
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.series import Series
from physics_twin.units import QuantityLike, to_si, unit as as_unit

__all__ = ["ON_EDGE", "as_seconds", "chosen_outputs", "declared", "positive_seconds", "with_selection"]

ON_EDGE = 1e-9
"""Share of a period by which a time may miss an edge and count as on it: 0.1 s added six hundred times is not 60 s."""


def as_seconds(time: QuantityLike, name: str) -> float:
    """Return a time in s; a bare number is in s already, as for `Experiment.between`."""
    if isinstance(time, int | float | np.floating | np.integer) and not isinstance(time, bool):
        return float(time)
    return to_si(time, as_unit("s"), name=name)


def positive_seconds(time: QuantityLike, name: str) -> float:
    """Return a time in s. Raises BoundsError when it is not above 0 or not finite."""
    found = as_seconds(time, name)
    if not 0.0 < found < float("inf"):
        raise BoundsError(f"{name} = {found:g} s is not above 0 s")
    return found


def chosen_outputs(experiment: Experiment, outputs: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the channels that are meant; None means all. Raises UnknownNameError."""
    if outputs is None:
        return tuple(experiment.series)
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    for name in names:
        experiment[name]
    return names


def declared(series: Series, key: str) -> float | None:
    """Return the declared "resolution" or "deadband" of a channel as a difference in SI; None where there is none."""
    checks = series.channel.checks
    given: QuantityLike | None = None if checks is None else getattr(checks, key)
    if given is None:
        return None
    return to_si(given, series.channel.unit, name=f"{key} of {series.channel.output}", difference=True)


def with_selection(experiment: Experiment, series: Mapping[str, Series], words: str) -> Experiment:
    """Return the experiment with these series; its provenance says what was done, all else stays."""
    provenance = replace(experiment.provenance, selections=(*experiment.provenance.selections, words))
    return replace(experiment, series=series, provenance=provenance)
