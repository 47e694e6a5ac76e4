"""Members that go on from given states within one phase: all of them in one call, as filters ask for every second.

Members take part while nothing but time passes: no end of a phase, no event, no switch, and settings that are the same
for all. Corners and jumps of tables split the way where they are common to all. Whoever does not take part is left to a
single run.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.inputs import Line, PhaseInputs, lines_of
from physics_twin.process.passage import Passage
from physics_twin.process.short_steps import Flags
from physics_twin.schedules import BoundPhase, Schedule, held_end, known_until, length_of

if TYPE_CHECKING:
    from physics_twin.process.ensemble import Members
    from physics_twin.process.process_model import ProcessModel

Rows = NDArray[np.intp]

_NONE = np.empty(0)


def go_on(model: "ProcessModel", schedule: Schedule, group: "Members") -> tuple[Array, Array, Flags]:
    """Outputs (n, n_times, n_outputs), end states (n, n_state), and which members they are of (n,)."""
    c = model.compiled
    assert group.states is not None
    n, n_times = group.times.shape
    outputs, ends = np.full((n, n_times, c.n_y), np.nan), group.states.copy()
    done = np.zeros(n, dtype=bool)
    if not c.short_steps.usable or not _asked_well(model, schedule, group):
        return outputs, ends, done
    p = np.array([group.columns[name] for name in model.equations.parameters]).reshape(c.n_p, n)
    settings = {name: float(group.columns[name][0]) for name in schedule.settings}
    finite = np.isfinite(p).all(axis=0) & np.isfinite(group.states).all(axis=1)
    times = group.times[0]
    for every, phase in _phases(schedule, group.states):
        lines = lines_of(phase, settings, ())
        begins = group.states[every, -2]
        inside = finite[every] & _inside(phase, lines, begins, settings, times)
        rows, begins = every[inside], begins[inside]
        if not rows.size:
            continue
        common = bool((begins == begins[0]).all())
        inputs = PhaseInputs(lines, float(begins[0]) if common else begins[:, None], _NONE)
        level = 0.0 if phase.until_level is None else phase.until_level.at(settings)
        own = rows if rows.size < n else slice(None)  # a view, where nobody is left out
        way = Passage(c, phase, inputs, level, p[:, own], group.states[own], float(times[0]))
        seen = _along(way, times)
        outputs[own], ends[own, :-3] = seen, way.ends
        done[own] = way.live & np.isfinite(seen).all(axis=(1, 2))
    return outputs, ends, done


def _along(way: Passage, times: Array) -> Array:
    """Outputs (n, n_times, n_y) of a passage through all times."""
    moments = Counter(times.tolist())
    t0, t1 = float(times[0]), float(times[-1])
    way.settle(left=True)
    seen = [way.observe(t0)] * moments.pop(t0)
    corners = [] if isinstance(way.inputs.start, np.ndarray) else way.inputs.corners(t0, t1)
    if t1 > t0:
        way.settle(left=False)
    for stop in sorted({*moments, *corners}):
        way.go(stop)
        n = moments[stop]
        if n:
            seen += [way.observe(stop)] * n
        if stop < t1:
            way.settle(left=False)
    return np.stack(seen).transpose(2, 0, 1)


def _asked_well(model: "ProcessModel", schedule: Schedule, group: "Members") -> bool:
    """Whether all ask for the same times and settings, and nothing is missing (of which a single run tells)."""
    assert group.states is not None
    times, columns = group.times, group.columns
    return bool(
        all(name in columns for name in (*model.equations.parameters, *schedule.settings))
        and all((columns[name] == columns[name][0]).all() for name in schedule.settings)
        and group.states.ndim == 2
        and group.states.shape[1] == len(model.state)
        and times.shape[1]
        and np.isfinite(times).all()
        and (times == times[0]).all()
        and (times[0, 1:] >= times[0, :-1]).all()
    )


def _phases(schedule: Schedule, states: Array) -> Iterator[tuple[Rows, BoundPhase]]:
    """Members by the phase in which they stand (who has not begun yet is in none), and by its beginning where jumps
    of its inputs come at other times for each.
    """
    places = states[:, -3:-1]
    for number in sorted({round(float(v)) for v in places[:, 0]}):
        phases = schedule.phases
        if number >= len(phases) and schedule.hold_end:
            phases = (*phases, *(held_end(schedule),) * (number + 1 - len(phases)))
        if not 0 <= number < len(phases):
            continue
        rows = np.flatnonzero(places[:, 0] == number)
        begins = places[rows, 1]
        if not any(pieces.jumps for pieces in phases[number].inputs):
            yield rows, phases[number]
            continue
        for begin in np.unique(begins):
            yield rows[begins == begin], phases[number]


def _inside(
    phase: BoundPhase, lines: tuple[Line, ...], begins: Array, settings: Mapping[str, float], times: Array
) -> Flags:
    """For which members nothing but time passes between the times, by the clock."""
    t0, t1 = float(times[0]), float(times[-1])
    begun = begins <= t0
    if t1 <= t0:
        return np.asarray(begun)
    length = length_of(phase, settings)
    ends = begins + min(length, known_until(phase, length))
    # A moment reached up to rounding has been reached.
    result = begun & (ends >= t1) & (ends - t0 > 1e-13 * max(abs(t0), 1e-3))
    moments = [event.when.at(settings) for event in phase.events]
    if not (begins == begins[0]).all():
        moments += [float(r) for line in lines for r in line.r[1:]]
    for moment in moments:
        at = begins + moment
        result &= (moment <= 0.0) | (at < t0) | (at >= t1)
    return np.asarray(result)
