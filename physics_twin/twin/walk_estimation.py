"""`estimate_walks`: how much noise plant and sensors have, from recorded samples; `with_walks`: go on with that.

The likelihood of the innovations (see `assimilation.innovation_likelihood`) needs the same steps and samples in every
trial. They are those that the twin itself would take: one pass of its fold says which readings are used.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from physics_twin.assimilation.belief import Observation, Step
from physics_twin.assimilation.innovation_likelihood import NoiseFactors, estimate_walks as maximize
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.errors import DataError, SolveError, unknown_name
from physics_twin.measurements import Experiment
from physics_twin.posterior.tables import aligned
from physics_twin.twin.arrivals import taken
from physics_twin.twin.fold import through
from physics_twin.twin.innovation import MomentRecord
from physics_twin.twin.moments import SECOND
from physics_twin.twin.samples import samples_of
from physics_twin.twin.setup import Setup
from physics_twin.twin.state import FilterState
from physics_twin.twin.timeline import Entry, Sample
from physics_twin.units import parse

if TYPE_CHECKING:
    import pandas as pd

    from physics_twin.twin.twin import Twin

_HEADER = ("", "given", "found", "factor", "95 %")
_MANY = 0.05
"""Share of samples turned away above which the noise that was given was not fit to choose the samples by."""


@dataclass(frozen=True, eq=False)
class WalkEstimate:
    """Random walks and sensor noise under which the samples are most likely; print it.

    factors: on variances, with errors and likelihoods; walks first, then channels. walks: as `Twin.start` takes them,
    those that were estimated. noise: channel -> factor on the standard deviation of its noise. rows: name, given and
    found standard deviation of each, as text. n_left: samples that the twin turned away, no part of the estimate.
    """

    factors: NoiseFactors
    walks: Mapping[str, RandomWalk]
    noise: Mapping[str, float]
    rows: tuple[tuple[str, str, str], ...]
    n_left: int

    def __str__(self) -> str:
        found = self.factors
        reach = float(norm.ppf(0.975)) * 0.5 * found.errors
        with np.errstate(over="ignore"):
            ends = np.sqrt(found.factors) * np.exp([-reach, reach])
        shown = [
            [*row, f"{math.sqrt(found.factors[k]):.3g}", f"{ends[0, k]:.3g} to {ends[1, k]:.3g}"]
            for k, row in enumerate(self.rows)
        ]
        said = f"{found.n_samples} samples, {self.n_left} left out; {found.message}; "
        said += f"ln likelihood {found.log_likelihood - found.log_likelihood_before:+.3g}"
        if self.n_left > _MANY * found.n_samples:
            said += "; many were turned away: begin with a larger noise"
        return f"{aligned([[*_HEADER], *shown])}\n{said}"


def estimate_walks(
    twin: "Twin",
    samples: "Iterable[Entry] | Experiment | pd.DataFrame",
    *,
    walks: Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
) -> WalkEstimate:
    """Noise of the plant and of the sensors from samples that come after what the twin knows.

    walks: states and parameters whose random walk is to be found, all that have one without it; each needs a first
    guess. channels: sensors whose noise is to be found, all without it. A channel of few samples, or a walk that no
    sensor sees, has wide errors; leave it out.

    Raises DataError for operations among the samples, for samples before the twin's present and where nothing is left,
    UnknownNameError for a walk or channel that the twin does not have, SolveError where the filter fails.
    """
    setup = twin.setup
    chosen = tuple(setup.walks) if walks is None else tuple(walks)
    for name in chosen:
        if name not in setup.walks:
            raise unknown_name("random walk", name, setup.walks)
    sensors = tuple(setup.channels) if channels is None else tuple(channels)
    for name in sensors:
        if name not in setup.channels:
            raise unknown_name("channel", name, setup.channels)
    entries = sorted(taken(twin, samples_of(samples), None, journaled=False).entries, key=lambda entry: entry.key)
    if any(not isinstance(entry, Sample) for entry in entries):
        raise DataError("noise is estimated from samples alone; leave operations out, and choose one batch")
    if entries and entries[0].time <= twin.state.time:
        raise DataError("some samples lie before the twin's present; begin with the twin as it was before all of them")
    record, n_left = _record(setup, twin.state, entries)
    masks = {name: _coordinates(setup, name) for name in chosen}
    dynamics = setup.dynamics(twin.state.batch.recipe)
    factors = maximize(setup.method, twin.state.belief, dynamics, record, walks=masks, channels=sensors)
    sizes = np.sqrt(factors.factors)
    found = {name: _scaled(setup.walks[name], float(sizes[k])) for k, name in enumerate(chosen)}
    noise = {name: float(sizes[len(chosen) + k]) for k, name in enumerate(sensors)}
    rows = [(name, _walk_text(setup.walks[name]), _walk_text(found[name])) for name in chosen]
    rows += [(name, _noise_text(setup, name, 1.0), _noise_text(setup, name, noise[name])) for name in sensors]
    return WalkEstimate(factors, found, noise, tuple(rows), n_left)


def with_walks(twin: "Twin", walks: "WalkEstimate | Mapping[str, RandomWalk]") -> "Twin":
    """The twin with other random walks, and other noise of its sensors, from here on.

    What it knows stays as it is, and samples from before are too late from now on. `replay` goes through the whole
    timeline with the new noise. It stands on no timeline, and is gone after a kill: `Twin.change_filter` writes it
    down. Raises UnknownNameError, UnitError.
    """
    setup = twin.setup
    new = walks.walks if isinstance(walks, WalkEstimate) else walks
    noise = dict(setup.noise)
    if isinstance(walks, WalkEstimate):
        noise |= {name: factor * noise.get(name, 1.0) for name, factor in walks.noise.items()}
    state = twin.state
    started = state.time == setup.beginning.time - 1
    setup = replace(
        setup,
        walks={**setup.walks, **new},
        noise=noise,
        earliest=setup.earliest if started else state.time + 1,
    )
    setup.rates  # noqa: B018  # a misspelt name is found here
    return replace(twin, setup=setup, snapshots=(state,), recent=())


def _record(setup: Setup, state: FilterState, entries: Sequence[Entry]) -> tuple[list[tuple[Step, Observation]], int]:
    """Steps of the filter with the samples that the twin uses at their end, and how many it does not."""
    record: list[tuple[Step, Observation]] = []
    n_left = 0
    for time, group in itertools.groupby(entries, key=lambda entry: entry.time):
        before, folded = state, through(setup, state, time, tuple(group))
        state = folded.state
        if state.reached < time and folded.record.samples:
            raise SolveError(state.trouble, time=state.batch.elapsed(time))
        observation = _observation(setup, folded.record)
        n_left += len(folded.record.samples) - observation.rows.size
        if state.reached == before.reached and not observation.rows.size:
            continue
        step = Step(
            state.batch.elapsed(before.reached),
            state.batch.elapsed(state.reached),
            # The first reading of an input holds from the start on.
            {**state.held, **before.held},
            setup.rates * ((state.reached - before.reached) / SECOND),
            Key(setup.seed, time),
        )
        record.append((step, observation))
    return record, n_left


def _observation(setup: Setup, record: MomentRecord) -> Observation:
    used = [sample for sample in record.samples if sample.verdict.use]
    return Observation(
        np.array([setup.facts[sample.channel].row for sample in used], dtype=np.int64),
        np.array([sample.observed for sample in used]),
        np.array([sample.variance for sample in used]),
        tuple(sample.channel for sample in used),
    )


def _coordinates(setup: Setup, name: str) -> NDArray[np.bool_]:
    """(n_coordinates,) which ones a walk acts on."""
    own = setup.coordinates
    return np.array([given.partition("[")[0] == name for given in own.names], dtype=np.bool_)


def _scaled(walk: RandomWalk, factor: float) -> RandomWalk:
    number, unit = parse(walk.sd)
    return RandomWalk((number * factor, unit.text), per=walk.per)


def _walk_text(walk: RandomWalk) -> str:
    (number, unit), (time, of_time) = parse(walk.sd), parse(walk.per)
    return f"{number:.3g} {unit.text} in {time:g} {of_time.text}"


def _noise_text(setup: Setup, name: str, factor: float) -> str:
    facts = setup.facts[name]
    return f"{float(facts.unit.difference().from_si(factor * facts.level)):.3g} {facts.unit.difference().text}"
