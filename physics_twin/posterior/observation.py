"""What a sample shows of the model: its output at a moment, over a window, or at a time that is known roughly.

A window is covered with pieces between the jumps of inputs, graded behind each, of five Gauss-Legendre nodes
(`window_pieces`): relaxations behind a jump are exact to 1e-6 of their height for time constants down to a tenth of
the window, to 1e-5 down to a hundredth, to 1e-3 for any. What a window shows otherwise is compared with a finer rule
at the declared values, or on draws of a posterior, and its pieces are halved until that changes its mean by less than
a thousandth of the noise (`node_refinement`). A time that is normally distributed is covered with a Gauss rule of the
normal, cut at jumps, at time zero and at the end of the recipe (`uncertain_times`): expected value and variance are
exact for outputs that are polynomials up to degree 9 and 4 on each part, and so for steps. Nodes before the start of
the run show the initial state, as a delayed sensor does.

Jumps behind a phase that ends on a level come at times that only the run knows. Windows have eight times as many parts
there; uncertain times are not cut, and an expected value is wrong by up to a quarter of a jump of the output itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, RecipeError, SolveError, unknown_name
from physics_twin.measurements import Series
from physics_twin.model import Model
from physics_twin.posterior.uncertain_times import shifts_of
from physics_twin.posterior.window_pieces import POINTS, WEIGHTS, pieces as pieces_of, within
from physics_twin.recipes import Recipe
from physics_twin.schedules import Schedule, bind, known_until, length_of

UNKNOWN_JUMPS = 8
"""Times as many parts has a piece of a window in which inputs may jump at times that are not known before a run."""
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
    parts: NDArray[np.intp]
    """(n,) into how many parts each piece of a window is cut."""


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
    return Windows(
        begins, ends, sd, -1 if weight is None else outputs[weight], weight or "", np.ones(picked.size, np.intp)
    )


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
    jumps_until: float = np.inf
    """Up to where the jumps are known: the earliest end of a phase that ends on a level."""


def course_of(schedule: Schedule, values: Mapping[str, float]) -> Course:
    """Jumps and end of a recipe, with settings at `values`.

    Behind a phase that ends on a level, jumps are where only the run knows: they are known up to its beginning, and so
    are those of its own inputs.
    """
    start, end, until = 0.0, np.inf, np.inf
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
        if phase.duration is None:
            until = start
            break
        if not np.isfinite(length):
            break
        end = start + known_until(phase, length)
        if np.isfinite(end):
            break
        start += length
        found.append(np.array([start]))
    else:
        end = np.inf if schedule.hold_end else start
    return Course(np.unique(np.concatenate(found)), end, until)


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
    begins, ends = windows.begins - delay, windows.ends - delay
    sample, shifts, chances = np.arange(begins.size), np.zeros(begins.size), np.ones(begins.size)
    if windows.time_sd is not None and windows.time_sd.any():
        found = shifts_of(begins, ends, windows.time_sd, course.jumps, course.end)
        sample, shifts, chances = found.sample, found.shift, found.chance
    low, high = begins[sample] + shifts, ends[sample] + shifts
    # No run is asked for times beyond its recipe because a sample may have been late.
    late = (ends[sample] <= course.end) & (high > course.end)
    low, high = np.where(late, np.minimum(low, course.end), low), np.where(late, course.end, high)
    parts = windows.parts[sample] * np.where(high > course.jumps_until, UNKNOWN_JUMPS, 1)
    shift, begin, end, n_nodes = pieces_of(low, high, course.jumps, parts)
    owner, k = np.repeat(np.arange(shift.size), n_nodes), within(n_nodes)
    half = 0.5 * (end - begin)[owner]
    times = 0.5 * (begin + end)[owner] + half * POINTS[n_nodes[owner], k]
    shift, whole = shift[owner], (high - low)[shift][owner]
    share = np.where(whole == 0.0, 1.0, half * WEIGHTS[n_nodes[owner], k] / np.where(whole > 0.0, whole, 1.0))
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

    def derivative(self, slopes: Array, of_extra: bool = False, rate: Array | None = None) -> Array:
        """d value (or d extra) from d outputs: slopes (n_times, n_outputs, ...) -> (n, ...). rate: (n_nodes,)."""
        nodes = self.nodes
        first = nodes.first_node[nodes.first_shift]
        factor = np.ones(1) if self.off is None or not of_extra else self.off
        if rate is not None:
            factor = factor * rate
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
    windows: Windows | None = None

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
    return Look(k, np.empty(0), lay_out(windows, k, delay, course), windows)
