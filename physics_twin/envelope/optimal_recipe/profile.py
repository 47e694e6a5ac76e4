"""Profiles: what an optimal recipe may do with an input, and the recipe that a chosen profile becomes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.recipes import HOLD, RAMP, Level, Phase, Recipe, Table, table
from physics_twin.signals import Setting, Signal
from physics_twin.units import QuantityLike, to_si, unit as as_unit


@dataclass(frozen=True)
class Profile:
    """An input whose course is free: `pt.Profile(bounds=("298 K", "398 K"), pieces=20)`.

    bounds: lowest and highest value. shape: "constant", steps of equal length that are held, or "linear", straight
    lines between corners at equal distances. pieces: how many of them over the run. rate: how fast the input may
    change: the slope of a line, or the step from one piece to the next over the length of a piece.
    """

    bounds: tuple[QuantityLike, QuantityLike]
    shape: Literal["constant", "linear"] = "constant"
    pieces: int = 20
    rate: QuantityLike | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.shape not in ("constant", "linear"):
            raise EnvelopeError(f'Profile(shape={self.shape!r}): "constant" for steps or "linear" for straight lines')
        if self.pieces < 1:
            raise EnvelopeError(f"Profile(pieces={self.pieces}): at least 1")
        if len(self.bounds) != 2:
            raise EnvelopeError(f"Profile(bounds={self.bounds!r}): two bounds, the lower and the upper")


@dataclass(frozen=True)
class BoundProfile:
    """A profile bound to an input of a model, in SI."""

    signal: Signal
    column: int
    """Which input of the model."""
    low: float
    high: float
    linear: bool
    pieces: int
    rate: float
    """Per s; infinite where it is free."""

    @property
    def n(self) -> int:
        """Numbers that describe the profile: one for each piece, or one for each corner."""
        return self.pieces + 1 if self.linear else self.pieces

    @property
    def corners(self) -> Array:
        """(pieces + 1,) shares of the run at which a piece begins or ends."""
        return np.arange(self.pieces + 1) / self.pieces

    def weights(self, shares: Array, inside: Array) -> Array:
        """(n_times, n): how the numbers make the input at `shares` of the run.

        inside: (n_times,) shares somewhere inside the piece that each time belongs to, so that a corner is on the right
        side of itself.
        """
        piece = np.clip(np.floor(inside * self.pieces).astype(int), 0, self.pieces - 1)
        rows = np.arange(shares.size)
        found = np.zeros((shares.size, self.n))
        if not self.linear:
            found[rows, piece] = 1.0
            return found
        along = shares * self.pieces - piece
        found[rows, piece], found[rows, piece + 1] = 1.0 - along, along
        return found

    def value(self, numbers: Array, shares: Array) -> Array:
        """The input (n_times,) SI; at a step, what is held from there on."""
        result: Array = self.weights(shares, shares) @ numbers
        return result

    def table(self, numbers: Array, begin: float, end: float, duration: float) -> "Table | tuple[float, str]":
        """The input from `begin` to `end` (s) of a run that takes `duration`: rows for a phase, or one level."""
        unit = self.signal.unit
        corners = self.corners * duration
        # A corner within rounding of an end of the phase is that end.
        inner = corners[(corners > begin + 1e-9 * duration) & (corners < end - 1e-9 * duration)]
        times = np.concatenate([[begin], inner, [end]])
        if self.linear:
            values = np.interp(times, corners, numbers)
        else:
            middle = 0.5 * (times[:-1] + times[1:]) / duration
            held = self.value(numbers, middle)
            values = np.append(held, held[-1])
        if (values == values[0]).all():
            return float(unit.from_si(float(values[0]))), unit.text
        return table(times - begin, np.asarray(unit.from_si(values)), unit, RAMP if self.linear else HOLD)


def bind_profiles(profiles: Mapping[str, Profile], inputs: Sequence[Signal]) -> tuple[BoundProfile, ...]:
    """The profiles in SI; raises UnknownNameError, UnitError, EnvelopeError."""
    if not profiles:
        raise EnvelopeError('nothing is free: say which input may vary, profiles={"temperature": pt.Profile(...)}')
    names = [signal.name for signal in inputs]
    found = []
    for name, profile in profiles.items():
        if name not in names:
            raise unknown_name("input", name, names)
        signal = inputs[names.index(name)]
        low, high = (to_si(end, signal.unit, name=f"bounds of {name}") for end in profile.bounds)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise EnvelopeError(
                f"bounds of {name}: {signal.format(low)} to {signal.format(high)}; two finite ones are needed, the "
                "lower first"
            )
        for end in (low, high):
            signal.check(end)
        rate = math.inf
        if profile.rate is not None:
            per_second = signal.unit.difference() / as_unit("s")
            rate = to_si(profile.rate, per_second, name=f"rate of {name}", difference=True)
            if not rate > 0.0:
                raise EnvelopeError(f"rate of {name}: {rate:g} {per_second}; it must be above zero")
        column = names.index(name)
        found.append(BoundProfile(signal, column, low, high, profile.shape == "linear", profile.pieces, rate))
    return tuple(found)


def with_profiles(
    recipe: Recipe,
    profiles: Sequence[BoundProfile],
    numbers: Sequence[Array],
    edges: Array,
    chosen: Mapping[str, tuple[float, str]],
) -> Recipe:
    """The recipe with other courses of the free inputs.

    numbers: (n,) SI for each profile. edges: (n_phases + 1,) s, the phases of the new recipe. chosen: setting -> its
    number and unit, put where the recipe leaves it open.
    """
    duration = float(edges[-1])
    phases = []
    for i, phase in enumerate(recipe.phases):
        inputs: dict[str, Any] = {name: _closed(item, chosen) for name, item in phase.inputs.items()}
        for profile, own in zip(profiles, numbers, strict=True):
            inputs[profile.signal.name] = profile.table(own, float(edges[i]), float(edges[i + 1]), duration)
        length = _closed(phase.duration, chosen)
        phases.append(Phase(phase.name, duration=length, **inputs))
    initial = recipe.initial
    assert isinstance(initial, Mapping)  # a steady start was refused
    return Recipe(phases, initial={k: _closed(v, chosen) for k, v in initial.items()}, hold_end=recipe.hold_end)


def _closed(item: Any, chosen: Mapping[str, Level]) -> Any:
    return chosen[item.name] if isinstance(item, Setting) and item.name in chosen else item
