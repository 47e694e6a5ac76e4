"""Whether settings lie inside an operating range: prepared once, then answered in microseconds and without a model.

Most of the time of a check goes into reading texts. Texts that were read are kept, and units that fitted once are
trusted again; whatever is unusual takes the full path, which has the errors.

The margin of a setting is how far it may move alone before it meets a side, negative where a side that it can help is
broken. Of a box that is the distance to the nearer end of the range.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.set_point.set_point import SETTING_BOUND
from physics_twin.errors import EnvelopeError, ShapeError, unknown_name
from physics_twin.parameters import Values
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, Unit, format_si, to_si, to_si_array
from physics_twin.validity import left

if TYPE_CHECKING:
    from physics_twin.envelope.envelope import Envelope

N_KEPT = 4096
"""Texts and units that a checker remembers; a service that runs for years must not grow."""
_NUMBERS = (float, int)
ROUNDING = 1e-12
"""Distance beyond a slanted side, relative to the widths searched, that is rounding and not outside."""


@dataclass(frozen=True)
class Check:
    """Whether settings lie inside an operating range."""

    inside: bool
    margins: Mapping[str, float]
    """Setting -> how far it may move alone before it meets a side, SI; negative outside."""
    reason: str
    warnings: tuple[str, ...] = ()
    """Where the settings leave the ranges that the data or the model cover."""

    def __bool__(self) -> bool:
        """Whether the settings are inside."""
        return self.inside

    def __str__(self) -> str:
        return "; ".join([self.reason, *self.warnings])


@dataclass(frozen=True, eq=False)
class Checks:
    """The check of many points at once."""

    inside: NDArray[np.bool_]
    """(n,)"""
    margins: Array
    """(n, n_settings) SI, as those of a `Check`."""


@dataclass(frozen=True, eq=False)
class Slanted:
    """The sides of a polytope: `normals @ settings <= levels`, SI."""

    normals: Array
    """(n_sides, n_settings)"""
    levels: Array
    """(n_sides,)"""
    names: tuple[str, ...]
    """What ends each side."""
    slack: Array
    """(n_sides,) rounding."""


@dataclass(frozen=True, eq=False)
class Checker:
    """An envelope, prepared for fast checks: `envelope.checker`, a value that holds nothing but ranges."""

    settings: tuple[Setting, ...]
    low: tuple[float, ...]
    """SI; none for an empty envelope."""
    high: tuple[float, ...]
    binding: tuple[tuple[str, str], ...]
    slanted: Slanted | None
    empty: str
    """Why there is no range; empty where there is one."""
    known: tuple[tuple[str, int, float, float], ...]
    """What covers which range of a setting: what, number of the setting, low, high (SI)."""
    _texts: dict[tuple[str, str], float] = field(default_factory=dict)
    _units: dict[tuple[str, str], Unit] = field(default_factory=dict)

    def __call__(self, settings: Mapping[str, QuantityLike] | Values) -> Check:
        """Whether `settings` lie inside: name -> quantity with its unit, or `Values`, whose floats are SI.

        Raises UnknownNameError for a setting the envelope does not know, EnvelopeError for one that is missing,
        UnitError for a wrong unit.
        """
        return self._judged(self.read(settings))

    def si(self, point: Array | Sequence[float]) -> Check:
        """Whether one point (n_settings,) in SI lies inside, in the order of the envelope's settings."""
        row = [float(x) for x in point]
        if len(row) != len(self.settings):
            raise ShapeError(f"check: {len(row)} numbers for {len(self.settings)} settings ({self._names})")
        return self._judged(row)

    def many(self, points: Array | Mapping[str, Any]) -> Checks:
        """Whether points lie inside: an array (n, n_settings) in SI, or name -> (array (n,), unit).

        Raises ShapeError for arrays that do not fit, else as a check of one point.
        """
        table = self._table(points)
        if self.empty:
            return Checks(np.zeros(len(table), dtype=bool), np.full(table.shape, -np.inf))
        if self.slanted is not None:
            return _slanted_checks(self.slanted, table)
        low, high = np.array(self.low), np.array(self.high)
        margins = np.minimum(table - low, high - table)
        return Checks((margins >= 0.0).all(axis=1), margins)

    @property
    def _names(self) -> str:
        return ", ".join(s.name for s in self.settings)

    def read(self, settings: Mapping[str, QuantityLike] | Values) -> list[float]:
        """Settings in SI, in their order."""
        plain = type(settings) is Values
        if type(settings) is not dict and not isinstance(settings, Mapping):
            name = self.settings[0].name
            raise EnvelopeError(f'the settings are {settings!r}; name each of them, with its unit: {{"{name}": "..."}}')
        if len(settings) != len(self.settings):
            self._refuse_names(settings)
        row: list[float] = []
        for setting in self.settings:
            name = setting.name
            if name not in settings:
                self._refuse_names(settings)
            given: Any = settings[name]
            if plain:
                row.append(settings.scalar(name))  # type: ignore[union-attr]  # plain says that these are Values
                continue
            kind = type(given)
            if kind is str:
                found = self._texts.get((name, given))
                row.append(self._first_text(setting, given) if found is None else found)
            elif kind is tuple and len(given) == 2 and type(given[0]) in _NUMBERS and type(given[1]) is str:
                row.append(self._pair(setting, given))
            else:
                row.append(to_si(given, setting.unit, name=name))
        return row

    def _refuse_names(self, settings: Mapping[str, Any]) -> None:
        names = [s.name for s in self.settings]
        for name in settings:
            if name not in names:
                raise unknown_name("setting", name, names)
        missing = next(name for name in names if name not in settings)
        raise EnvelopeError(f'check: "{missing}" is missing; an envelope is about all its settings at once')

    def _first_text(self, setting: Setting, text: str) -> float:
        found = to_si(text, setting.unit, name=setting.name)
        if len(self._texts) >= N_KEPT:
            self._texts.clear()
        self._texts[setting.name, text] = found
        return found

    def _pair(self, setting: Setting, pair: tuple[float, str]) -> float:
        """A (number, unit): a unit that was read before converts at once, if the number raises no question."""
        unit = self._units.get((setting.name, pair[1]))
        if unit is not None:
            value = unit.to_si(pair[0])
            if math.isfinite(value) and (unit.offset == 0.0 or value >= 0.0):
                return value
        value = to_si(pair, setting.unit, name=setting.name)
        unit = Unit(pair[1])
        # A difference passes for some settings only, and its conversion is not `to_si(number)`: always read in full.
        if not (unit.is_difference or setting.unit.is_difference):
            if len(self._units) >= N_KEPT:
                self._units.clear()
            self._units[setting.name, pair[1]] = unit
        return value

    def _table(self, points: Array | Mapping[str, Any]) -> Array:
        if isinstance(points, Mapping):
            self._require_all(points)
            columns = [to_si_array(points[s.name], s.unit, name=s.name) for s in self.settings]
            lengths = {len(c) for c in columns}
            if len(lengths) > 1:
                raise ShapeError(f"check: one number for each point, but the settings have {sorted(lengths)} numbers")
            return np.stack(columns, axis=1)
        table = np.asarray(points, dtype=float)
        if table.ndim != 2 or table.shape[1] != len(self.settings):
            raise ShapeError(
                f"check: points are (n, {len(self.settings)}) in SI, one column for each of {self._names}, not of "
                f"shape {table.shape}"
            )
        return table

    def _require_all(self, points: Mapping[str, Any]) -> None:
        if set(points) != {s.name for s in self.settings}:
            self._refuse_names(points)

    def _judged(self, row: list[float]) -> Check:
        warnings = self._outside_known(row) if self.known else ()
        if self.empty:
            return Check(False, {}, f"there is no box: {self.empty}", warnings)
        if self.slanted is not None:
            return self._judged_slanted(self.slanted, row, warnings)
        margins: dict[str, float] = {}
        inside = True
        for setting, value, low, high in zip(self.settings, row, self.low, self.high, strict=True):
            below, above = value - low, high - value
            margin = below if below < above else above
            margins[setting.name] = margin
            if not margin >= 0.0:  # NaN is not inside
                inside = False
        return Check(inside, margins, "inside the box" if inside else self._why_outside(row), warnings)

    def _why_outside(self, row: list[float]) -> str:
        reasons = []
        for setting, value, low, high, ends in zip(self.settings, row, self.low, self.high, self.binding, strict=True):
            if low <= value <= high:
                continue
            below = value < low
            reasons.append(
                f"{setting.name} = {format_si(value, setting.unit)} is {'below' if below else 'above'} "
                f"{format_si(low if below else high, setting.unit)} ({_end_text(ends[0] if below else ends[1])})"
            )
        return "; ".join(reasons)

    def _judged_slanted(self, slanted: Slanted, row: list[float], warnings: tuple[str, ...]) -> Check:
        found = _slanted_checks(slanted, np.array([row]))
        margins = {s.name: float(m) for s, m in zip(self.settings, found.margins[0], strict=True)}
        if found.inside[0]:
            return Check(True, margins, "inside the polytope", warnings)
        room = slanted.levels - slanted.normals @ np.array(row)
        broken = [i for i in np.argsort(room / slanted.slack, kind="stable") if not room[i] >= -slanted.slack[i]]
        ends = list(dict.fromkeys(slanted.names[i] for i in broken))
        where = ", ".join(f"{s.name} = {format_si(x, s.unit)}" for s, x in zip(self.settings, row, strict=True))
        return Check(False, margins, f"{where} is outside the polytope ({'; '.join(map(_end_text, ends))})", warnings)

    def _outside_known(self, row: list[float]) -> tuple[str, ...]:
        found = []
        for what, i, low, high in self.known:
            # A setting that left its range is rare: the rule of all results is asked only then.
            if not low <= row[i] <= high and left(row[i], (low, high)):
                setting = self.settings[i]
                found.append(
                    f"extrapolation: {setting.name} = {format_si(row[i], setting.unit)} is outside the {what}, "
                    f"{format_si(low, setting.unit)} to {format_si(high, setting.unit)}"
                )
        return tuple(found)


def _end_text(end: str) -> str:
    return "the range that was searched ends there" if end == SETTING_BOUND else f"ended by {end}"


def _slanted_checks(slanted: Slanted, points: Array) -> Checks:
    room = slanted.levels - points @ slanted.normals.T
    room = np.where(np.abs(room) <= slanted.slack, np.maximum(room, 0.0), room)
    size = np.abs(slanted.normals)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(size > 0.0, room[:, :, None] / size, np.inf)
    return Checks((room >= 0.0).all(axis=1), reach.min(axis=1))


def checker_of(envelope: "Envelope") -> Checker:
    """The prepared checker of an envelope."""
    settings = envelope.settings
    known = tuple(
        (what, i, float(ranges[s.name][0]), float(ranges[s.name][1]))
        for what, ranges in envelope.known_ranges.items()
        for i, s in enumerate(settings)
        if s.name in ranges
    )
    if envelope.empty:
        return Checker(settings, (), (), (), None, envelope.message, known)
    return Checker(
        settings,
        tuple(envelope.box[s.name][0] for s in settings),
        tuple(envelope.box[s.name][1] for s in settings),
        tuple(envelope.binding[s.name] for s in settings),
        None if envelope.polytope is None else _slanted(envelope),
        "",
        known,
    )


def _slanted(envelope: "Envelope") -> Slanted:
    polytope = envelope.polytope
    assert polytope is not None  # asked for only where there is one
    normals, levels = np.asarray(polytope.sides, dtype=float), np.asarray(polytope.levels, dtype=float)
    widths = np.array([s.bounds[1] - s.bounds[0] for s in envelope.settings])
    return Slanted(normals, levels, tuple(polytope.binding), ROUNDING * (np.abs(normals) @ widths))


def ranges_known(
    settings: Sequence[Setting],
    data: Mapping[str, tuple[float, float]],
    model: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """What covers which range of the settings, SI: the data of the fit, and the model's domain of validity."""
    names = [s.name for s in settings]
    found = {
        what: {name: (float(ranges[name][0]), float(ranges[name][1])) for name in names if name in ranges}
        for what, ranges in (("range of the data", data), ("model's domain of validity", model))
    }
    return {what: ranges for what, ranges in found.items() if ranges}
