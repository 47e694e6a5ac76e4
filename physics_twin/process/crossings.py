"""Crossings: the moments at which a switch changes, an event acts or an output reaches its level."""

import math
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, SolveError
from physics_twin.process.compiled import arguments_of
from physics_twin.process.stage import Course, Situation, Stage, cubic, significant
from physics_twin.schedules import BoundPhase

_LOOK_AHEAD = 8.0  # times the distance of the last crossing

UNTIL = -1
"""Stands for the level on which a phase ends, where guards are numbered."""


@dataclass(frozen=True)
class _Row:
    """One watched quantity: which row of the course, what it means, and the sign towards which a crossing counts."""

    row: int
    what: int
    sign: float
    armed: bool
    """Whether it may act at once; otherwise only after it has been clearly below its level."""


def margin(stage: Stage, at: Situation, phase: BoundPhase) -> float:
    """Output minus level of a phase that ends on a level."""
    assert phase.until_level is not None
    (y,) = stage.c.output.at(*arguments_of(stage.point(at)))
    return float(y[phase.until_output, 0]) - phase.until_level.at(stage.values)


def first_crossing(stage: Stage, at: Situation, phase: BoundPhase, reach: float) -> tuple[float, int] | None:
    """The earliest crossing up to `reach`: (time, guard or UNTIL), or None."""
    if math.isinf(reach):
        raise RecipeError("a run that waits for a crossing needs an end: give times or a duration")
    rows = _rows(stage, at, phase)
    _, touching, rate = stage.guards(at)
    for row in rows:
        if row.what == UNTIL:
            if row.sign == 0.0 or row.sign * margin(stage, at, phase) >= 0.0:
                return at.t, UNTIL
        elif row.armed and touching[row.what] and row.sign * rate[row.what] > 0.0:
            return at.t, row.what
    # Where crossings follow one another closely, a look at the near future is enough.
    window = stage.window
    while True:
        stop = min(reach, at.t + window)
        course = stage.course(at, stop, phase)
        risen = [(found, row) for row in rows if (found := _first_rise(course, row)) is not None]
        if risen:
            guess, row = min(risen, key=lambda pair: pair[0])
            moment = _located(stage, at, phase, guess, row)
            stage.window = _LOOK_AHEAD * (moment - at.t) or math.inf
            return moment, row.what
        if stop >= reach:
            return None
        window *= _LOOK_AHEAD


def _rows(stage: Stage, at: Situation, phase: BoundPhase) -> list[_Row]:
    n = stage.c.equations.n_switches
    rows = [_Row(k, k, -1.0 if stage.modes[k] else 1.0, True) for k in range(n)]
    rows += [_Row(n + k, n + k, 1.0, bool(armed)) for k, armed in enumerate(at.armed)]
    if phase.until_level is not None:
        sign = float(phase.direction.value) or -at.side
        rows.append(_Row(stage.c.n_guards + stage.c.n_w, UNTIL, sign, True))
    return rows


def _located(stage: Stage, at: Situation, phase: BoundPhase, guess: float, row: _Row) -> float:
    """Newton's method on the time of a crossing, each step a run from the stretch's beginning."""
    low, high = at.t, math.inf
    moment = max(guess, at.t + 4e-16 * max(abs(at.t), 1.0))
    for _ in range(60):
        span = moment - at.t
        corners = significant((np.array(stage.inputs.corners(at.t, moment)) - at.t) / span)
        x, z, _, _ = stage.solve(at, span, tuple(sorted({*corners.tolist(), 1.0})), sensitive=False)
        value, rate = stage.watched(at, np.array([moment]), x[:, -1:], z[:, -1:], phase)
        g, flow = row.sign * float(value[row.row, 0]), row.sign * float(rate[row.row, 0])
        low, high = (moment, high) if g < 0.0 else (low, moment)
        new = moment - g / flow if flow > 0.0 else math.nan
        if not low <= new <= high:
            new = 0.5 * (low + high) if math.isfinite(high) else moment + max(0.5 * span, 1e-12)
        if abs(new - moment) <= 1e-13 * max(abs(moment), span) or high - low <= 4e-16 * max(abs(high), 1e-300):
            return new
        moment = new
    return moment


def movement(stage: Stage, at: Situation, phase: BoundPhase, what: int) -> Array:
    """dt*/dw of a crossing, (n_wrt,)."""
    if not stage.n_wrt:
        return np.zeros(0)
    if what == UNTIL:
        assert phase.until_level is not None
        row, function, level = phase.until_output, stage.c.output_jacobian, phase.until_level.slope(stage.wrt)
    else:
        row, function, level = what, stage.c.guard_jacobian, np.zeros(stage.n_wrt)
    tangent, rate = stage.derivatives(at, function)
    flow = float(rate[row])
    if flow == 0.0:
        raise SolveError("a crossing is tangential: it has no derivative", time=at.t)
    return np.asarray(-(tangent[row] - level) / flow, dtype=float)


def _first_rise(course: Course, row: _Row) -> float | None:
    """Time at which a row first rises through zero, by the cubics between nodes; None where it never does."""
    t, value, rate = course.t, row.sign * course.value[row.row], row.sign * course.rate[row.row]
    start = 0
    if value[0] >= 0.0 or not row.armed:
        below = np.flatnonzero(value[1:] < 0.0)
        if row.armed and value[1:].any() and value[1 + int(np.flatnonzero(value[1:])[0])] > 0.0:
            return float(t[0])  # on its level and beyond at once, as a ball that has come to rest
        # On its level, or it has acted already: it counts once it has been below.
        if not below.size:
            return None
        start = int(below[0]) + 1
    h = np.diff(t)
    a, b, da, db = value[:-1], value[1:], rate[:-1] * h, rate[1:] * h
    # Candidates: a change of sign, or both ends below with the slopes pointing up and down.
    change = (a < 0.0) & (b >= 0.0)
    bump = (a < 0.0) & (b < 0.0) & (da > 0.0) & (db < 0.0)
    for k in np.flatnonzero(change | bump):
        if k < start:
            continue
        s = np.linspace(0.0, 1.0, 65)
        over = np.flatnonzero(cubic(a[k], b[k], da[k], db[k], s) >= 0.0)
        if over.size:
            j = max(int(over[0]), 1)
            low, high = (float(cubic(a[k], b[k], da[k], db[k], s[i])) for i in (j - 1, j))
            part = s[j - 1] + (s[j] - s[j - 1]) * (-low / (high - low) if high > low else 1.0)
            return float(t[k] + part * h[k])
        if change[k]:
            return float(t[k + 1])
    return None
