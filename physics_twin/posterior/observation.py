"""What a sample shows of the model: its output at a moment, over a window, or at a time that is known roughly.

A window is covered with Gauss-Legendre nodes, five a piece: exact for polynomials up to degree 9, and to 1e-10 for an
exponential over one time constant. Pieces end where an input of the recipe jumps and at the start of the run, since
nothing smooth runs across these. A time that is normally distributed is covered with five Gauss-Hermite nodes, exact
for polynomials up to degree 9: they give the expected value and the variance that the uncertain time adds. Nodes before
the start of the run show the initial state, as a delayed sensor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, RecipeError, SolveError, unknown_name
from physics_twin.measurements import Series
from physics_twin.model import Model
from physics_twin.recipes import Recipe
from physics_twin.schedules import Schedule, bind, known_until, length_of

ORDER = 5
"""Nodes a piece of a window..."""
COARSE = 2
"""...and where an input jumps often, so that each piece is short."""
MANY = 8
"""Pieces of a window from which on the coarse rule does."""
HERMITE = 5
"""Nodes for an uncertain time."""
NOTHING = 1e-12
"""Integral of a weight, as a share of the integral of its size, below which it is zero."""


@dataclass(frozen=True)
class Windows:
    """Over which times the samples of a channel look; all (n,) s."""

    begins: Array
    """The same as `ends` for a moment."""
    ends: Array
    time_sd: Array | None
    """None where all times are certain."""
    weight_index: int
    """Output that weighs the mean, -1 for none."""
    weight: str
    """Its name, "" for none."""


def windows_of(series: Series, picked: NDArray[np.intp], outputs: Mapping[str, int], experiment: str) -> Windows | None:
    """Over which times the samples `picked` look; None where each shows the output at its time.

    outputs: name -> position, of the model. Raises UnknownNameError for a weight that is none of them, DataError for a
    window without beginning or end.
    """
    times, name = series.times[picked], series.channel.output
    sd = None if series.time_sd is None or not series.time_sd[picked].any() else series.time_sd[picked]
    if series.begins is None or series.ends is None:
        begins = ends = times
    else:
        begins, ends = series.begins[picked], series.ends[picked]
    if sd is None and np.array_equal(begins, times) and np.array_equal(ends, times):
        return None
    weight = None if series.channel.averaged is None else series.channel.averaged.weight
    if weight is not None and weight not in outputs:
        raise unknown_name(f"output that weighs the means of {name}@{experiment}", weight, outputs)
    if not (np.isfinite(begins).all() and np.isfinite(ends).all()):
        raise DataError(
            f'experiment "{experiment}": a sample of {name} does not say when its window begins and ends; leave it out'
        )
    return Windows(begins, ends, sd, -1 if weight is None else outputs[weight], weight or "")


def in_order(series: Series) -> NDArray[np.intp]:
    """Positions (n,) of the samples that a fit learns from, in the order of time."""
    picked = np.flatnonzero(series.informative)
    return picked[np.argsort(series.times[picked], kind="stable")]


@dataclass(frozen=True)
class Course:
    """What is known of a recipe before a run: where inputs jump, and how far it goes; s."""

    jumps: Array
    """(n_jumps,) ascending; time zero is the first."""
    end: float
    """Beyond it nothing is known; infinite where the inputs go on."""


def course_of(schedule: Schedule, values: Mapping[str, float]) -> Course:
    """Jumps and end of a recipe, with settings at `values`; up to the first phase that ends on a level."""
    start, end = 0.0, np.inf
    found = [np.zeros(1)]
    for phase in schedule.phases:
        try:
            found += [np.array([start + event.when.at(values)]) for event in phase.events]
            length = length_of(phase, values)
        except RecipeError:  # a setting that is open: the run itself will say so
            return Course(np.unique(np.concatenate(found)), np.inf)
        for pieces in phase.inputs:
            if pieces.jumps:
                found.append(start + pieces.times[1:][np.diff(pieces.starts) != 0.0])
        if phase.duration is None or not np.isfinite(length):
            break
        end = start + known_until(phase, length)
        if np.isfinite(end):
            break
        start += length
        found.append(np.array([start]))
    else:
        end = np.inf if schedule.hold_end else start
    return Course(np.unique(np.concatenate(found)), end)


def course_for(model: Model, recipe: Recipe, values: Mapping[str, float]) -> Course:
    """The course of a recipe for a model; values: of settings, SI, as far as known beside those that it declares."""
    states = {block.name: (block.unit, block.lower, block.upper) for block in model.state}
    known = {name: setting.value for name, setting in recipe.settings.items() if setting.value is not None}
    return course_of(bind(recipe, model.inputs, model.outputs, states), {**known, **values})


@dataclass(frozen=True)
class Nodes:
    """Times at which the model is looked at for the samples of a channel, and what they weigh.

    A sample is a mean over its shifts (one, or one for each possible time), a shift is a mean over its nodes.
    """

    times: Array
    """(n_nodes,) s, not below zero; those of a sample together."""
    moving: NDArray[np.bool_]
    """(n_nodes,) whether a delay would move them: not where the sensor still shows the beginning."""
    weights: Array
    """(n_nodes,) their sum over a shift is one."""
    shift: NDArray[np.intp]
    """(n_nodes,) the shift of each."""
    first_node: NDArray[np.intp]
    """(n_shifts,)"""
    chances: Array
    """(n_shifts,) their sum over a sample is one."""
    sample: NDArray[np.intp]
    """(n_shifts,) the sample of each."""
    first_shift: NDArray[np.intp]
    """(n,)"""
    uncertain: bool
    """Whether any sample has more than one shift."""
    output_index: int
    weight_index: int
    weight: str
    rows: NDArray[np.intp]
    """(n_nodes,) of the grid of times."""

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.first_shift.size


def lay_out(windows: Windows, output_index: int, delay: float, course: Course) -> Nodes:
    """The nodes of a channel's samples, all earlier by `delay` s; rows are filled in with the grid."""
    begins, ends = windows.begins, windows.ends
    sample = np.arange(begins.size)
    shifts, chances = np.zeros(begins.size), np.ones(begins.size)
    sd = windows.time_sd
    if sd is not None and sd.any():
        points, mass = np.polynomial.hermite_e.hermegauss(HERMITE)
        many = sd > 0.0
        sample = np.repeat(sample, np.where(many, HERMITE, 1))
        place = _within(np.where(many, HERMITE, 1))
        shifts = np.where(many[sample], sd[sample] * points[place], 0.0)
        chances = np.where(many[sample], mass[place] / np.sqrt(2.0 * np.pi), 1.0)
    low, high = begins[sample] + shifts - delay, ends[sample] + shifts - delay
    # No run is asked for times beyond its recipe because a sample may have been late.
    late = (shifts != 0.0) & (high > course.end)
    low, high = np.where(late, np.minimum(low, course.end), low), np.where(late, course.end, high)
    moment = low == high
    piece, begin, end = _pieces(low, high, moment, course.jumps)
    n_nodes = np.where(moment[piece], 1, np.where(np.bincount(piece)[piece] > MANY, COARSE, ORDER))
    n_nodes = np.where(end <= 0.0, 1, n_nodes)
    owner, k = np.repeat(np.arange(piece.size), n_nodes), _within(n_nodes)
    points, weights = _RULES
    half = 0.5 * (end - begin)[owner]
    times = 0.5 * (begin + end)[owner] + half * points[n_nodes[owner], k]
    length = np.where(moment, 1.0, high - low)[piece][owner]
    share = np.where(moment[piece][owner], 1.0, half * weights[n_nodes[owner], k] / np.where(length > 0.0, length, 1.0))
    shift = piece[owner]
    return Nodes(
        times=np.maximum(times, 0.0),
        moving=(times > 0.0) & ~late[shift],
        weights=share,
        shift=shift,
        first_node=np.searchsorted(shift, np.arange(sample.size)),
        chances=chances,
        sample=sample,
        first_shift=np.searchsorted(sample, np.arange(begins.size)),
        uncertain=bool(sample.size > begins.size),
        output_index=output_index,
        weight_index=windows.weight_index,
        weight=windows.weight,
        rows=np.empty(0, dtype=np.intp),
    )


def _pieces(low: Array, high: Array, moment: NDArray[np.bool_], jumps: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """Windows (n,) cut at the jumps within: the window of each piece, its beginning and its end."""
    first = np.searchsorted(jumps, low, side="right")
    n_cuts = np.where(moment, 0, np.maximum(np.searchsorted(jumps, high, side="left") - first, 0))
    piece, k = np.repeat(np.arange(low.size), n_cuts + 1), _within(n_cuts + 1)
    cuts = np.append(jumps, np.nan)
    at = np.minimum(first[piece] + k, jumps.size)
    begin = np.where(k == 0, low[piece], cuts[at - 1])
    end = np.where(k == n_cuts[piece], high[piece], cuts[at])
    return piece, begin, end


def _within(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """0, 1, ... counts[0] - 1, 0, 1, ...: the number of each member in its group."""
    return np.asarray(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))


def _rules() -> tuple[Array, Array]:
    points, weights = np.zeros((ORDER + 1, ORDER)), np.zeros((ORDER + 1, ORDER))
    for order in (1, COARSE, ORDER):
        points[order, :order], weights[order, :order] = np.polynomial.legendre.leggauss(order)
    return points, weights


_RULES = _rules()


@dataclass(frozen=True)
class Reading:
    """What the samples of a channel show at one point, and its derivatives with respect to outputs at the nodes."""

    nodes: Nodes
    value: Array
    """(..., n) SI"""
    extra: Array | None
    """(..., n) SI^2, variance from uncertain times; None where all are certain."""
    by_output: Array
    """(..., n_nodes) d shift / d output, times the chance of the shift."""
    by_weight: Array | None
    """(..., n_nodes) d shift / d weight likewise; None where means are not weighted."""
    off: Array | None
    """(..., n_nodes) twice what the value of a node's shift is above the expected one: d extra / d shift."""

    def derivative(self, slopes: Array, of_extra: bool = False, only: NDArray[np.bool_] | None = None) -> Array:
        """d value (or d extra) from d outputs: slopes (n_times, n_outputs, ...) -> (n, ...). only: nodes that count."""
        nodes = self.nodes
        first = nodes.first_node[nodes.first_shift]
        factor = np.ones(1) if self.off is None or not of_extra else self.off
        if only is not None:
            factor = factor * only
        total = _times(factor * self.by_output, slopes[nodes.rows, nodes.output_index])
        if self.by_weight is not None:
            total = total + _times(factor * self.by_weight, slopes[nodes.rows, nodes.weight_index])
        return np.asarray(np.add.reduceat(total, first, axis=0))

    def pull(self, weights: Array, v: Array, u: Array | None = None) -> None:
        """Add to weights (n_times, n_outputs) what v (n,) of the values and u (n,) of the extra ask of the outputs."""
        nodes = self.nodes
        asked = v[nodes.sample[nodes.shift]]
        if u is not None and self.off is not None:
            asked = asked + u[nodes.sample[nodes.shift]] * self.off
        np.add.at(weights[:, nodes.output_index], nodes.rows, self.by_output * asked)
        if self.by_weight is not None:
            np.add.at(weights[:, nodes.weight_index], nodes.rows, self.by_weight * asked)


def _times(factor: Array, slopes: Array) -> Array:
    return np.asarray(factor.reshape(-1, *(1,) * (slopes.ndim - 1)) * slopes)


def read(nodes: Nodes, outputs: Array) -> Reading:
    """What samples show, from outputs (..., n_times, n_outputs) at the times of the grid.

    Where a weight, as a flow, integrates to zero over a window, there is no mean: SolveError of one run, NaN of many.
    """
    y = outputs[..., nodes.rows, nodes.output_index]
    share, by_weight = np.broadcast_to(nodes.weights, y.shape), None
    if nodes.weight_index >= 0:
        amount = nodes.weights * outputs[..., nodes.rows, nodes.weight_index]
        total = np.add.reduceat(amount, nodes.first_node, axis=-1)
        size = np.add.reduceat(np.abs(amount), nodes.first_node, axis=-1)
        empty = np.abs(total) <= NOTHING * size
        if outputs.ndim == 2:
            _check_weight(nodes, empty)
        total = np.where(empty, np.nan, total)
        share = amount / total[..., nodes.shift]
    shown = np.add.reduceat(share * y, nodes.first_node, axis=-1)
    chance = nodes.chances[nodes.shift]
    if nodes.weight_index >= 0:
        by_weight = chance * nodes.weights * (y - shown[..., nodes.shift]) / total[..., nodes.shift]
    extra = off = None
    value = shown
    if nodes.uncertain:
        value = np.add.reduceat(nodes.chances * shown, nodes.first_shift, axis=-1)
        above = shown - value[..., nodes.sample]
        extra = np.add.reduceat(nodes.chances * above**2, nodes.first_shift, axis=-1)
        off = 2.0 * above[..., nodes.shift]
    return Reading(nodes, value, extra, chance * share, by_weight, off)


def _check_weight(nodes: Nodes, empty: NDArray[np.bool_]) -> None:
    if not empty.any():
        return
    shift = int(np.argwhere(empty)[0][-1])
    mine = nodes.times[nodes.shift == shift]
    raise SolveError(
        f'the weight "{nodes.weight}" of a mean integrates to zero over its window, from about {mine.min():g} s to '
        f"{mine.max():g} s, so there is no mean: leave the sample out, or check the flow of the recipe",
        time=float(mine.max()),
    )


@dataclass(frozen=True)
class Look:
    """When the samples of a channel look at the model: at moments, or over windows."""

    output_index: int
    moments: Array
    """(n,) s, not below zero; of windows none"""
    nodes: Nodes | None

    @property
    def times(self) -> Array:
        """All times at which the model is asked, s."""
        return self.moments if self.nodes is None else self.nodes.times

    def shown(self, times: Array, outputs: Array) -> tuple[Array, Array | None]:
        """Values (..., n) without bias, and their variance from uncertain times; outputs (..., n_times, n_outputs).

        times: (n_times,) s, ascending, those of the look among them.
        """
        rows = np.searchsorted(times, self.times)
        if self.nodes is None:
            return outputs[..., rows, self.output_index], None
        reading = read(replace(self.nodes, rows=rows), outputs)
        return reading.value, reading.extra


def look(
    series: Series, picked: NDArray[np.intp], outputs: Mapping[str, int], experiment: str, delay: float, course: Course
) -> Look:
    """When the samples `picked` of a channel with this delay (s) look at the model; arguments as in `windows_of`."""
    windows, k = windows_of(series, picked, outputs, experiment), outputs[series.channel.output]
    if windows is None:
        return Look(k, np.maximum(series.times[picked] - delay, 0.0), None)
    return Look(k, np.empty(0), lay_out(windows, k, delay, course))
