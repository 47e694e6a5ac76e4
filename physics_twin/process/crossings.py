"""Crossings: the moments at which a switch changes, an event acts or an output reaches its level."""

import math
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, SolveError
from physics_twin.process.compiled import arguments_of
from physics_twin.process.stage import Situation, Stage
from physics_twin.recipes import BoundPhase


def margin(stage: Stage, at: Situation, phase: BoundPhase) -> float:
    """Output minus level of a phase that ends on a level."""
    assert phase.until_level is not None
    y = stage.c.output(*arguments_of(stage.point(at))).full()[phase.until_output, 0]
    return float(y) - phase.until_level.at(stage.values)


def wanted_rows(stage: Stage, at: Situation, phase: BoundPhase) -> list[tuple[Any, float]]:
    """For each watched row: what it means, and the sign towards which a crossing counts."""
    n = stage.c.equations.n_switches
    rows: list[tuple[Any, float]] = [(k, -1.0 if stage.modes[k] else 1.0) for k in range(n)]
    rows += [(n + k, 1.0) for k in range(stage.c.n_guards - n)]
    if phase.until_level is not None:
        sign = float(phase.direction.value) or -at.side
        rows.append(("until", sign))
    return rows


def first_crossing(stage: Stage, at: Situation, phase: BoundPhase, reach: float) -> tuple[float, Any] | None:
    """The earliest crossing up to `reach`: (time, guard), or None."""
    rows = wanted_rows(stage, at, phase)
    if math.isinf(reach):
        raise RecipeError("a run that waits for a crossing needs an end: give times or a duration")
    here = stage.point(at)
    x0, z0, u0, slope0 = (v[:, None] for v in (here.x, here.z, here.u, here.slope))
    value, rate = stage.watched(at, np.array([at.t]), x0, z0, u0, slope0, phase)
    for row, (what, sign) in enumerate(rows):
        met = sign * value[row, 0]
        if what == "until" and (met >= 0.0 or sign == 0.0):
            return at.t, what
    nodes, x, z = stage.nodes(at, reach)
    values, rates = stage.watched(at, nodes, x, z, *stage.inputs_on(nodes), phase)
    t = np.concatenate([[at.t], nodes])
    values, rates = np.hstack([value, values]), np.hstack([rate, rates])
    best: tuple[float, Any, int] | None = None
    for row, (what, sign) in enumerate(rows):
        k = _first_change(t, sign * values[row], sign * rates[row])
        if k is not None and (best is None or t[k[0]] + k[1] < best[0]):
            best = (t[k[0]] + k[1], what, row)
    if best is None:
        return None
    return _located(stage, at, phase, best, rows[best[2]][1])


def _located(
    stage: Stage, at: Situation, phase: BoundPhase, guess: tuple[float, Any, int], sign: float
) -> tuple[float, Any]:
    """Newton's method on the time of a crossing, each step a run from the stretch's beginning."""
    moment, what, row = guess
    low, high = at.t, math.inf
    moment = max(moment, at.t + 4e-16 * max(abs(at.t), 1.0))
    for _ in range(40):
        span = moment - at.t
        x, z, _, _ = stage.solve(at, span, (1.0,), sensitive=False)
        u, slope = stage.inputs.at(moment, left=True)
        value, rate = stage.watched(at, np.array([moment]), x[:, -1:], z[:, -1:], u[:, None], slope[:, None], phase)
        g = sign * float(value[row, 0])
        low, high = (moment, high) if g < 0.0 else (low, moment)
        flow = sign * float(rate[row, 0])
        step = -g / flow if flow > 0.0 else math.nan
        new = moment + step
        if not (low <= new <= high) or math.isnan(new):
            new = 0.5 * (low + high) if math.isfinite(high) else moment + max(span, 1e-12) * 0.5
        if abs(new - moment) <= 1e-13 * max(abs(moment), span) or high - low <= 4e-16 * max(abs(high), 1e-300):
            return new, what
        moment = new
    return moment, what


def movement(stage: Stage, at: Situation, phase: BoundPhase, what: Any) -> Array:
    """dt*/dw of a crossing, (n_wrt,)."""
    if not stage.n_wrt:
        return np.zeros(0)
    if what == "until" and at.t == at.phase_start:
        return at.d_start.copy()  # met as the phase began: it ends when it begins
    here = stage.point(at, left=True)
    if what == "until":
        assert phase.until_level is not None
        row, function = phase.until_output, stage.c.output_jacobian
        level = phase.until_level.slope(stage.wrt)
    else:
        row, function, level = int(what), stage.c.guard_jacobian, np.zeros(stage.n_wrt)
    tangent, rate = stage.derivatives(at, here, function)
    flow = float(rate[row])
    if flow == 0.0:
        raise SolveError("a crossing is tangential: it has no derivative", time=at.t)
    return np.asarray(-(tangent[row] - level) / flow, dtype=float)


def _first_change(t: Array, value: Array, rate: Array) -> tuple[int, float] | None:
    """First interval k and offset from t[k] at which `value` rises through zero; None where it never does.

    Between nodes the value is the cubic through both values and rates, so a crossing back and forth is seen. A value
    that begins at or above zero counts only after it has been below.
    """
    for k in range(t.size - 1):
        a, b = value[k], value[k + 1]
        h = t[k + 1] - t[k]
        if a >= 0.0:
            continue
        if b >= 0.0:
            return k, float(_cubic_root(a, b, rate[k] * h, rate[k + 1] * h) * h)
        if rate[k] > 0.0 > rate[k + 1]:
            inside = np.linspace(0.0, 1.0, 33)
            over = np.flatnonzero(_cubic(a, b, rate[k] * h, rate[k + 1] * h, inside) >= 0.0)
            if over.size:
                return k, float(inside[max(int(over[0]), 1)] * h)
    return None


def _cubic(a: float, b: float, da: float, db: float, s: Any) -> Any:
    """Cubic Hermite on [0, 1] with end values a, b and end slopes da, db."""
    return (1 + 2 * s) * (1 - s) ** 2 * a + s * (1 - s) ** 2 * da + s**2 * (3 - 2 * s) * b + s**2 * (s - 1) * db


def _cubic_root(a: float, b: float, da: float, db: float) -> float:
    s = np.linspace(0.0, 1.0, 65)
    shape = _cubic(a, b, da, db, s)
    k = int(np.flatnonzero(shape >= 0.0)[0]) if (shape >= 0.0).any() else s.size - 1
    if k == 0:
        return 0.0
    low, high = shape[k - 1], shape[k]
    return float(s[k - 1] + (s[k] - s[k - 1]) * (-low / (high - low)))
