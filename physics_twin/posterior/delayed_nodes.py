"""How a delay changes what samples show, where the nodes of windows and of uncertain times end at jumps.

Nodes between a jump and the end of a window do not move with the delay as a whole: they spread, and weights and chances
shift from one side of the jump to the other. Their rates are central differences of the layout, which costs no
simulation and is smooth; with them the derivative is that of the rule itself, also where the output jumps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.posterior.observation import Course, Nodes, Reading, Windows, lay_out
from physics_twin.posterior.window_pieces import within

STEP = 1e-5
"""Change of the delay, as a share of the shortest window or standard deviation: 1e-10 of truncation."""


@dataclass(frozen=True)
class Rates:
    """Derivatives of a layout with respect to the delay."""

    times: Array
    """(n_nodes,) -1 for those that move with it"""
    weights: Array
    """(n_nodes,) 1/s"""
    chances: Array
    """(n_shifts,) 1/s"""


def rates(windows: Windows, nodes: Nodes, delay: float, course: Course) -> Rates:
    """The rates of `nodes`, which `lay_out` made of the windows at `delay` s; all (n_nodes,) or (n_shifts,).

    Where a jump comes into reach of a sample or leaves it within the step, the side is taken on which none does.
    """
    sizes = [windows.ends - windows.begins, np.zeros(1) if windows.time_sd is None else windows.time_sd]
    scale = np.concatenate(sizes)
    scale = scale[scale > 0.0]
    if not scale.size:
        return Rates(np.where(nodes.moving, -1.0, 0.0), np.zeros(nodes.times.size), np.zeros(nodes.chances.size))
    step = STEP * float(scale.min())
    owner = nodes.sample[nodes.shift]
    change = np.zeros(nodes.n)
    times, weights, chances = np.zeros(owner.size), np.zeros(owner.size), np.zeros(nodes.sample.size)
    for sign in (1.0, -1.0):
        moved = lay_out(windows, nodes.output_index, delay + sign * step, course)
        same, node, shift = _matched(nodes, moved)
        change += np.where(same, step, 0.0)
        times += np.where(same[owner], sign * (moved.times[node] - nodes.times), 0.0)
        weights += np.where(same[owner], sign * (moved.weights[node] - nodes.weights), 0.0)
        chances += np.where(same[nodes.sample], sign * (moved.chances[shift] - nodes.chances), 0.0)
    known = change > 0.0
    change = np.where(known, change, 1.0)
    rigid = np.where(nodes.moving, -1.0, 0.0)
    times = np.where(known[owner], times / change[owner], rigid)
    return Rates(times, weights / change[owner], chances / change[nodes.sample])


def _matched(nodes: Nodes, moved: Nodes) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Which samples (n,) have as many shifts and nodes in both; for each node and shift its number in `moved`."""
    owner, other = nodes.sample[nodes.shift], moved.sample[moved.shift]
    n_nodes, n_others = np.bincount(owner), np.bincount(other)
    n_shifts, m_shifts = np.bincount(nodes.sample), np.bincount(moved.sample)
    same = (n_nodes == n_others) & (n_shifts == m_shifts)
    node = (np.cumsum(n_others) - n_others)[owner] + within(n_nodes)
    shift = (np.cumsum(m_shifts) - m_shifts)[nodes.sample] + within(n_shifts)
    return same, np.minimum(node, other.size - 1), np.minimum(shift, moved.sample.size - 1)


def by_delay(reading: Reading, outputs: Array, in_time: Array, rate: Rates) -> tuple[Array, Array]:
    """d value and d extra (n,) per s of delay; outputs and their derivatives in time (n_times, n_outputs)."""
    nodes = reading.nodes
    y = outputs[nodes.rows, nodes.output_index]
    shown = np.add.reduceat(reading.by_output * y, nodes.first_node) / nodes.chances
    # Weights of a shift add up to one whatever the delay, so that what it shows may be subtracted.
    share = np.where(nodes.weights > 0.0, rate.weights / np.where(nodes.weights > 0.0, nodes.weights, 1.0), 0.0)
    shifted = np.add.reduceat(share * reading.by_output * (y - shown[nodes.shift]), nodes.first_node)
    value = reading.derivative(in_time, rate=rate.times)
    value = value + np.add.reduceat(shifted + rate.chances * shown, nodes.first_shift)
    if reading.extra is None:
        return value, np.zeros(nodes.n)
    above = shown - reading.value[nodes.sample]
    extra = reading.derivative(in_time, of_extra=True, rate=rate.times)
    return value, extra + np.add.reduceat(2.0 * above * shifted + rate.chances * above**2, nodes.first_shift)
