"""Which residuals are neighbors: those of an output over time, those of an array of sensors over its places.

Fifteen thermocouples on a rod, read once, are one series of fifteen along the rod and not fifteen series of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.cloud_correlation import Cloud, examine_cloud
from physics_twin.estimation.correlation import LEVEL, LEVEL_MODELED, Correlation, Segment, examine
from physics_twin.estimation.hypers import PLAIN
from physics_twin.estimation.problem import ChannelData, Problem

STRAIGHT = 1e-6
"""Width over length of an array up to which its places lie on a line."""


def examine_all(problem: Problem, r: Array, u: Array) -> dict[str, Correlation]:
    """Series -> what the whitened residuals r (n_data,) with rows u (n_data, d) of J A^{-1/2} show, all experiments.

    Censored samples have no residual and are left out.
    """
    measured = problem.sample_noise.measured
    none = Correlation(0, 0.0, 0.0, 1.0, 0.0, np.zeros((u.shape[1],) * 2), 0.0)
    modeled = {c.output for c in problem.channels if c.shape.correlation_time != PLAIN.correlation_time}
    over_time: dict[str, list[Segment]] = {}
    over_places: dict[str, list[ChannelData]] = {}
    found: dict[str, Correlation] = {}
    for c in problem.channels:
        if c.array:
            over_places.setdefault(c.array, []).append(c)
        else:
            own = measured[c.rows]
            over_time.setdefault(c.output, []).append(Segment(c.times[own], r[c.rows][own], u[c.rows][own]))
    for output, segments in over_time.items():
        level = LEVEL_MODELED if output in modeled else LEVEL
        found[output] = examine(segments, level) if any(s.r.size for s in segments) else none
    for array, members in over_places.items():
        some = any(measured[c.rows].any() for c in members)
        found[array] = _examine_array(members, r, u, measured) if some else none
    return found


def _examine_array(channels: Sequence[ChannelData], r: Array, u: Array, measured: NDArray[np.bool_]) -> Correlation:
    """The residuals of one array: a series for each moment of each experiment."""
    moments: dict[tuple[str, float], list[tuple[tuple[float, ...], int]]] = {}
    for c in channels:
        for k in np.flatnonzero(measured[c.rows]):
            time = c.times[k]
            moments.setdefault((c.experiment, float(time)), []).append((c.place, c.rows.start + int(k)))
    along = _line(moments)
    if along is None:
        clouds = []
        for members in moments.values():
            rows = np.array([row for _, row in members])
            clouds.append(Cloud(np.array([place for place, _ in members]), r[rows], u[rows]))
        return examine_cloud(clouds)
    segments = []
    for members in moments.values():
        where = (np.array([place for place, _ in members]) - along[0]) @ along[1]
        order = np.argsort(where, kind="stable")
        rows = np.array([row for _, row in members])[order]
        segments.append(Segment(where[order], r[rows], u[rows]))
    return replace(examine(segments), along="m")


def _line(moments: Mapping[tuple[str, float], list[tuple[tuple[float, ...], int]]]) -> tuple[Array, Array] | None:
    """A point and the direction of the line through all places; None where they do not lie on one."""
    places = np.unique(np.array([place for members in moments.values() for place, _ in members]), axis=0)
    center = places.mean(axis=0)
    if places.shape[1] == 1 or len(places) < 2:
        return center, np.eye(places.shape[1])[0]
    _, size, directions = np.linalg.svd(places - center, full_matrices=False)
    return (center, directions[0]) if size[1] <= STRAIGHT * size[0] else None
