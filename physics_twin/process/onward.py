"""Members that go on from given states within one phase: all of them in one call, as filters ask for every second.

Members take part while nothing but time passes: no end of a phase, no event, nothing watched, inputs the same for all
(corners and jumps of tables are common to all, and split the stretch). Whoever does not is left to a single run.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.process.short_steps import Flags, ShortSteps
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
    if c.n_guards or c.n_w or not c.short_steps.usable or not _asked_well(model, schedule, group):
        return outputs, ends, done
    p = np.array([group.columns[name] for name in model.equations.parameters]).reshape(c.n_p, n)
    settings = {name: float(group.columns[name][0]) for name in schedule.settings}
    for rows, phase in _phases(schedule, group.states):
        start = _start(phase, group.states[rows, -2], settings, group.times[0])
        if start is None:
            continue
        inputs = PhaseInputs(lines_of(phase, settings, ()), start, _NONE)
        finite = np.isfinite(p[:, rows]).all(axis=0) & np.isfinite(group.states[rows]).all(axis=1)
        own = rows[finite]
        if own.size:
            found = _carried(c.short_steps, inputs, group.times[0], group.states[own], p[:, own])
            outputs[own], ends[own, : c.n_x + c.n_z], done[own] = found
    return outputs, ends, done


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
        and (np.diff(times[0]) >= 0.0).all()
    )


def _phases(schedule: Schedule, states: Array) -> Iterator[tuple[Rows, BoundPhase]]:
    """Members by the phase in which they stand and its beginning; who has not begun yet is in none."""
    places, which = states[:1, -3:-1], np.zeros(len(states), dtype=np.intp)
    if (states[:, -3:-1] != places).any():
        places, which = np.unique(states[:, -3:-1], axis=0, return_inverse=True)
    for k, number in enumerate(places[:, 0].round().astype(int).tolist()):
        phases = schedule.phases
        if number >= len(phases) and schedule.hold_end:
            phases = (*phases, *(held_end(schedule),) * (number + 1 - len(phases)))
        if 0 <= number < len(phases):
            yield np.flatnonzero(which.ravel() == k), phases[number]


def _start(phase: BoundPhase, begins: Array, settings: dict[str, float], times: Array) -> float | None:
    """When the phase began, s; None where anything but time passes between the times."""
    start, t0, t1 = float(begins[0]), float(times[0]), float(times[-1])
    if t0 < start:
        return None
    if t1 <= t0:
        return start
    if phase.until_level is not None:
        return None
    length = length_of(phase, settings)
    end = start + min(length, known_until(phase, length))
    # A moment reached up to rounding has been reached.
    if end < t1 or end - t0 <= 1e-13 * max(abs(t0), 1e-3):
        return None
    moments = [start + event.when.at(settings) for event in phase.events if event.when.at(settings) > 0.0]
    return None if any(t0 <= moment < t1 for moment in moments) else start


def _carried(
    steps: ShortSteps, inputs: PhaseInputs, times: Array, states: Array, p: Array
) -> tuple[Array, Array, Flags]:
    """Outputs (n, n_times, n_y), x and z at the end (n, n_x + n_z), and who got there (n,)."""
    c = steps.c
    x, z, q = (m.T for m in np.split(states, [c.n_x, c.n_x + c.n_z, c.n_x + c.n_z + c.n_d], axis=1)[:3])
    t, t1 = float(times[0]), float(times[-1])
    u, _ = inputs.at(t, left=True)
    z, done = steps.consistent(t, x, z, u, p, q)
    seen: list[tuple[Array, Array]] = [(x, z)] * int((times <= t).sum())
    if t1 > t:
        z, fine = steps.consistent(t, x, z, inputs.at(t)[0], p, q)
        done = done & fine
    for stop in sorted({*times[times > t].tolist(), *inputs.corners(t, t1)}):
        coefficients = inputs.on_grid(t, np.array([stop]), 0, chained=True)[:, 0]
        lines = (coefficients[: c.n_u], coefficients[c.n_u :])
        x, z, fine = _stretch(steps, stop - t, t, x, z, lines, p, q, done)
        done, t = done & fine, stop
        seen += [(x, z)] * int((times == stop).sum())
        if t < t1:
            z, fine = steps.consistent(t, x, z, inputs.at(t)[0], p, q)
            done = done & fine
    xs, zs = (np.stack([pair[k] for pair in seen], axis=2) for k in (0, 1))
    outputs = _observed(steps, inputs, times, xs, zs, p, q)
    done = done & np.isfinite(outputs).all(axis=(1, 2))
    return outputs, np.vstack([x, z]).T, done


def _stretch(
    steps: ShortSteps,
    span: float,
    t: float,
    x: Array,
    z: Array,
    lines: tuple[Array, Array],
    p: Array,
    q: Array,
    live: Flags,
) -> tuple[Array, Array, Flags]:
    """All members that are still on their way over one stretch without corners."""
    rows = np.flatnonzero(live)
    x, z, done = x.copy(), z.copy(), np.zeros(live.size, dtype=bool)
    for way in (steps.carry, steps.by_sundials):
        if rows.size:
            y, v, fine = way(span, t, x[:, rows], z[:, rows], lines, p[:, rows], q[:, rows])
            hit = rows[fine]
            x[:, hit], z[:, hit], done[hit] = y[:, fine], v[:, fine], True
            rows = rows[~fine]
    return x, z, done


def _observed(steps: ShortSteps, inputs: PhaseInputs, times: Array, x: Array, z: Array, p: Array, q: Array) -> Array:
    """Outputs (n, n_times, n_y), left limits; x: (n_x, n, n_times)."""
    c, n, m = steps.c, x.shape[1], times.size
    u, _ = inputs.along(times)
    flat = [v.reshape(v.shape[0], n * m) for v in (np.repeat(u[:, None], n, axis=1), x, z)]
    p, q = np.repeat(p, m, axis=1), np.repeat(q, m, axis=1)
    (y,) = c.output.along(n * m, np.repeat(times[None], n, axis=0).reshape(1, n * m), *flat[1:], flat[0], p, q)
    return np.asarray(y.reshape(c.n_y, n, m).transpose(1, 2, 0), dtype=float)
