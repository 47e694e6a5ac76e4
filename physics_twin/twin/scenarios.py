"""`twin.what_if()`: the same present under different recipes, side by side.

Members, their parameters and the increments of their random walks are the same in all scenarios (common random
numbers), so that two scenarios differ by what was changed and by nothing else, member by member.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.limits.limits import Limit, Requirement, bind_limits, moments
from physics_twin.envelope.limits.reductions import UPPER, Extreme, peak
from physics_twin.errors import DataError, RecipeError, SolveError, unknown_name
from physics_twin.measurements.quality import duration_text
from physics_twin.model import StateBlock, StateKind
from physics_twin.posterior.tables import aligned
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal
from physics_twin.twin.carried import Carried, carry
from physics_twin.twin.forecast import N_TIMES, Forecast, forecast_of
from physics_twin.twin.moments import stamp
from physics_twin.twin.present import Until, horizon_of, outset, times_of
from physics_twin.twin.quantiles import binomial_interval, quantiles
from physics_twin.twin.time_to import level_of
from physics_twin.units import QuantityLike, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.twin.twin import Twin

type Change = Recipe | Mapping[str, QuantityLike] | None
"""A recipe from now on, other values under the running recipe, or None: as it runs."""


@dataclass(frozen=True)
class Kept:
    """How often a limit is kept. n_kept of n members; a member that failed has not kept it."""

    limit: str
    n_kept: int
    n: int

    @property
    def probability(self) -> float:
        """That the limit is kept."""
        return self.n_kept / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, for so many members."""
        return binomial_interval(self.n_kept, self.n)


@dataclass(frozen=True, eq=False)
class Scenario:
    """One row of the comparison.

    forecast: None where no member got to the end; reason: then, why. peaks: (n_members, n_outputs) SI, highest value of
    each output between now and the horizon; NaN of members that failed. kept: of each limit. accumulated: what the
    model adds up -> (n_members, 2) SI, now and at the end.
    """

    name: str
    forecast: Forecast | None
    reason: str
    peaks: Array
    kept: tuple[Kept, ...]
    accumulated: Mapping[str, Array]


@dataclass(frozen=True, eq=False, repr=False)
class WhatIf:
    """Scenarios by name, compared at the horizon (s from now). time: now, ns UTC. limits: as tables call them."""

    time: int
    horizon: float
    scenarios: tuple[Scenario, ...]
    limits: tuple[str, ...]
    outputs: tuple[Signal, ...]
    accumulators: tuple[StateBlock, ...]
    probability: float

    def __getitem__(self, name: str) -> Forecast:
        """The forecast of a scenario; raises SolveError with the reason where it failed."""
        scenario = self.scenario(name)
        if scenario.forecast is None:
            raise SolveError(f'the scenario "{name}" has no forecast: {scenario.reason}', time=0.0)
        return scenario.forecast

    def scenario(self, name: str) -> Scenario:
        """A row of the comparison, also of one that failed."""
        for scenario in self.scenarios:
            if scenario.name == name:
                return scenario
        raise unknown_name("scenario", name, [s.name for s in self.scenarios])

    @property
    def dataset(self) -> xr.Dataset:
        """Over (scenario, quantile) in SI: `<output>_final`, `<output>_peak`, `<accumulator>_added`; over (scenario,
        limit) `kept`, the probability of keeping it. NaN in the rows of scenarios that failed; `reason` says why.
        """
        tail = 0.5 * (1.0 - self.probability)
        levels = np.array([tail, 0.5, 1.0 - tail])
        found: dict[str, tuple[tuple[str, str], Array, dict[str, str]]] = {}
        for k, signal in enumerate(self.outputs):
            attrs = {"units": signal.unit.si_text}
            final = [_quantiles(_final(s, k), levels) for s in self.scenarios]
            peaks = [_quantiles(s.peaks[:, k], levels) for s in self.scenarios]
            found[f"{signal.name}_final"] = ("scenario", "quantile"), np.array(final), attrs
            found[f"{signal.name}_peak"] = ("scenario", "quantile"), np.array(peaks), attrs
        for block in self.accumulators:
            added = [_quantiles(_added(s, block.name), levels) for s in self.scenarios]
            found[f"{block.name}_added"] = ("scenario", "quantile"), np.array(added), {"units": block.unit.si_text}
        kept = np.full((len(self.scenarios), len(self.limits)), np.nan)
        for row, scenario in zip(kept, self.scenarios, strict=True):
            row[: len(scenario.kept)] = [k.probability for k in scenario.kept]
        found["kept"] = ("scenario", "limit"), kept, {"units": "1"}
        coords = {"scenario": [s.name for s in self.scenarios], "quantile": levels, "limit": list(self.limits)}
        reasons = ("scenario", np.array([s.reason for s in self.scenarios], dtype=np.str_))
        return xr.Dataset(found, coords=coords).assign_coords(reason=reasons)

    def __str__(self) -> str:
        band = f"{100.0 * self.probability:g} %"
        rows = [["scenario", "", f"median and {band}"]]
        for scenario in self.scenarios:
            lines = self._lines(scenario)
            rows += [[scenario.name if i == 0 else "", *line] for i, line in enumerate(lines)]
        head = f"what if, from {stamp(self.time)}, over {duration_text(self.horizon)}"
        notes = [
            f'note on "{s.name}": {note}' for s in self.scenarios if s.forecast is not None for note in s.forecast.notes
        ]
        return "\n".join([head, aligned(rows), *notes])

    __repr__ = __str__

    def _lines(self, scenario: Scenario) -> list[list[str]]:
        if scenario.forecast is None:
            return [["failed", scenario.reason]]
        tail = 0.5 * (1.0 - self.probability)
        levels = np.array([tail, 0.5, 1.0 - tail])
        found: list[list[str]] = []
        for k, signal in enumerate(self.outputs):
            for words, values in (("final", _final(scenario, k)), ("peak", scenario.peaks[:, k])):
                found.append([f"{words} {signal.name}", _text(_quantiles(values, levels), signal.format)])
        for block in self.accumulators:
            shown = _text(_quantiles(_added(scenario, block.name), levels), partial(format_si, unit=block.unit))
            found.append([f"{block.name}, from now on", shown])
        for kept in scenario.kept:
            low, high = kept.interval
            chance = f"{100.0 * kept.probability:.3g} % ({100.0 * low:.0f} to {100.0 * high:.0f} %)"
            found.append([f"keeps {kept.limit}", chance])
        return found

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None, *, outputs: Sequence[str] | None = None) -> "Figure":
        """Medians and bands of all scenarios over time, one panel for each output."""
        from physics_twin.twin import forecast_plots

        return forecast_plots.draw_what_if(self, ax, outputs)


def what_if(
    twin: "Twin",
    scenarios: Mapping[str, Change],
    until: Until = "90 min",
    limits: Sequence[Limit] = (),
    values: Mapping[str, QuantityLike] | None = None,
    n_members: int | None = None,
    probability: float = 0.95,
) -> WhatIf:
    """See `Twin.what_if`."""
    if not scenarios:
        raise DataError('what_if needs at least one scenario: {"as it runs": None, "hotter": recipe}')
    model = twin.setup.model
    requirements = bind_limits(limits, model.outputs) if limits else ()
    paths = [r for r in requirements if isinstance(r.reduction, Extreme)]
    horizon = horizon_of(until, twin.until)
    at = np.union1d(times_of(None, horizon, twin.until, N_TIMES), [t for t in moments(requirements) if t <= horizon])
    found: list[Scenario] = []
    for name, change in scenarios.items():
        recipe = change if isinstance(change, Recipe) else None
        own = {**(values or {}), **(change if isinstance(change, Mapping) else {})}
        try:
            begun = outset(twin, recipe, own, n_members)
            carried = carry(begun.present, at, horizon, [[level_of(r)] for r in paths])
        except (SolveError, RecipeError) as error:
            found.append(_failed(name, str(error), len(model.outputs)))
            continue
        forecast = forecast_of(twin, begun, carried, horizon, probability)
        kept = _kept(requirements, paths, carried, len(begun.lost))
        found.append(_row(name, forecast, carried, kept))
    return WhatIf(
        time=twin.until,
        horizon=horizon,
        scenarios=tuple(found),
        limits=tuple(r.name for r in requirements),
        outputs=tuple(model.outputs),
        accumulators=tuple(b for b in model.state if b.kind is StateKind.ACCUMULATOR and b.size == 1),
        probability=probability,
    )


def _row(name: str, forecast: Forecast, carried: Carried, kept: tuple[Kept, ...]) -> Scenario:
    times = np.broadcast_to(carried.times, carried.outputs.shape[:2])
    peaks = [peak(times, carried.outputs[:, :, k], UPPER, s.unit) for k, s in enumerate(forecast.outputs)]
    accumulated = {block: x[:, :, 0] for block, x in carried.accumulated.items() if x.shape[2] == 1}
    return Scenario(name, forecast, "", np.stack(peaks, axis=1), kept, accumulated)


def _kept(
    requirements: Sequence[Requirement], paths: Sequence[Requirement], carried: Carried, n_lost: int
) -> tuple[Kept, ...]:
    """A limit on the whole course is kept where it is never crossed, between the times shown included."""
    times = np.broadcast_to(carried.times, carried.outputs.shape[:2])
    found: list[Kept] = []
    for requirement in requirements:
        if requirement in paths:
            good = np.isinf(carried.crossings[paths.index(requirement)])
        else:
            with np.errstate(invalid="ignore"):
                good = requirement.margins(times, carried.outputs) >= 0.0
        n_kept = int(np.count_nonzero(good & ~carried.failed))
        found.append(Kept(requirement.name, n_kept, len(good) + n_lost))
    return tuple(found)


def _final(scenario: Scenario, k: int) -> Array:
    return np.full(1, np.nan) if scenario.forecast is None else np.asarray(scenario.forecast.members.values[:, -1, k])


def _added(scenario: Scenario, block: str) -> Array:
    both = scenario.accumulated.get(block)
    return np.full(1, np.nan) if both is None else both[:, 1] - both[:, 0]


def _quantiles(values: Array, levels: Array) -> Array:
    return quantiles(values[:, None], levels)[:, 0]


def _text(three: Array, shown: Callable[[float], str]) -> str:
    low, middle, high = (shown(float(x)) for x in three)
    return middle if low == high else f"{middle} ({low} to {high})"


def _failed(name: str, reason: str, n_outputs: int) -> Scenario:
    return Scenario(name, None, reason, np.full((1, n_outputs), np.nan), (), {})


__all__ = ["Kept", "Scenario", "WhatIf", "what_if"]
