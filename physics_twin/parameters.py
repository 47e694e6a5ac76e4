"""Parameters: what a model can be told, declared once with unit, bounds and prior.

A `Parameter` declares and never stores a fit; a `ParameterSet` is an ordered, immutable mapping of them; `Values` are
the numbers of one simulation, in SI. A person's numbers become `Values` in one place, `ParameterSet.values`, where
unit, bounds and name are checked.
"""

import html
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError, ShapeError, UnitError, check_name, unknown_name
from physics_twin.priors import LogNormal, Prior, Truncated
from physics_twin.units import QuantityLike, Unit, format_number, format_si, in_unit, parse, to_si, unit as as_unit

type Bounds = tuple[QuantityLike | None, QuantityLike | None] | None

# Two decades between the bounds: the scale of the number is what is unknown, and a search in ln x is the right one.
_LOG_SCALE_RATIO = 100.0
# Values computed elsewhere (draws, optimizers) may sit on a bound up to rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, init=False)
class Parameter:
    """A named quantity with what is known about it before any data.

    `value` is a quantity ("500 W/m^2/K"), and its unit is the declared one unless `unit` names another. `bounds`
    (lower, upper; None leaves an end open), `prior` and, where `unit` is given, `value` may be bare numbers in the
    declared unit. `difference` says that the quantity is a difference (a bias, a tolerance), so that degC has no
    offset. Afterwards `value` and `bounds` are floats in SI and `prior` is one in SI. `log_scale` says that a search
    runs over ln x.

    Raises `UnitError`, `BoundsError` (value, prior and bounds contradict one another), `ModelError` (the name).

    >>> Parameter("film_coefficient", "500 W/m^2/K", bounds=("5 W/m^2/K", "5 kW/m^2/K")).bounds
    (5.0, 5000.0)
    """

    # init=False: `dataclasses.replace` would feed SI numbers back as declared ones; it fails instead (use `replace`).
    name: str = field(init=False)
    value: float = field(init=False)
    unit: Unit = field(init=False)
    bounds: tuple[float, float] = field(init=False)
    prior: Prior | None = field(init=False)
    description: str = field(init=False)
    source: str = field(init=False)
    difference: bool = field(init=False)

    def __init__(
        self,
        name: str,
        value: QuantityLike,
        *,
        bounds: Bounds = None,
        prior: Prior | None = None,
        unit: str | Unit | None = None,
        description: str = "",
        source: str = "",
        difference: bool = False,
    ) -> None:
        check_name("parameter", name, library_forms=True)
        try:
            declared = parse(value)[1] if unit is None else as_unit(unit)
        except (UnitError, ShapeError) as error:
            raise type(error)(f"{name}: {error}") from None
        difference = difference or declared.is_difference
        if unit is None:
            number = to_si(value, declared, name=name, difference=difference)
        else:
            number = in_unit(value, declared, name=name, difference=difference)
        low, high = bounds_in_si(bounds, declared, name, difference)
        if prior is not None and not isinstance(prior, Prior):
            raise UnitError(
                f"{name}: {prior!r} is not a prior; write Normal, LogNormal, Uniform, HalfNormal, Truncated"
            )
        for key, item in {
            "name": name,
            "value": number,
            "unit": declared,
            "bounds": (low, high),
            "prior": None if prior is None else prior.in_si(declared, name, difference),
            "description": description,
            "source": source,
            "difference": difference,
        }.items():
            object.__setattr__(self, key, item)
        self.check(number)
        self._check_prior()

    def _check_prior(self) -> None:
        if self.prior is None:
            return
        low, high = self.bounds
        least, most = self.prior.support
        shown = self.prior.describe(self.unit, self.difference)
        if not (max(low, least) < min(high, most)):
            raise BoundsError(f"{self.name}: the prior {shown} has no probability within the bounds {self._interval()}")
        if not low <= self.prior.mean <= high:
            raise BoundsError(
                f"{self.name}: the mean of the prior {shown} is {self.format(self.prior.mean)}, outside the bounds "
                f"{self._interval()}; widen the bounds or move the prior"
            )

    @property
    def log_scale(self) -> bool:
        """Whether a search runs over ln x: lower bound above zero, and two decades of bounds or a log-normal prior."""
        low, high = self.bounds
        prior = self.prior.prior if isinstance(self.prior, Truncated) else self.prior
        return low > 0.0 and (high / low >= _LOG_SCALE_RATIO or isinstance(prior, LogNormal))

    def check(self, number: float) -> None:
        """Raise `BoundsError` if a number in SI is outside the bounds, by more than rounding."""
        check_bounds(self.name, number, self.bounds, self.unit, self.difference)

    def format(self, number: float, digits: int = 4) -> str:
        """Return a number in SI as text in the declared unit."""
        return format_si(number, self.unit, digits, self.difference)

    def in_declared(self, number: float) -> float:
        """Return a number in SI in the declared unit."""
        return self.unit.from_si(number, self.difference)

    def replace(self, **changes: Any) -> "Parameter":
        """Return a copy with other `value`, `bounds`, `prior`, ..., given as to the constructor."""
        si = Unit(self.unit.si_text)
        kept: dict[str, Any] = {
            "name": self.name,
            "value": (self.value, si),
            "bounds": tuple((b, si) if math.isfinite(b) else None for b in self.bounds),
            "prior": self.prior,
            "unit": self.unit,
            "description": self.description,
            "source": self.source,
            "difference": self.difference,
        }
        for key in changes:
            if key not in kept:
                raise unknown_name("field of a Parameter", key, kept)
        return Parameter(**{**kept, **changes})

    def _interval(self) -> str:
        return interval_text(self.bounds, self.unit, self.difference)

    def __repr__(self) -> str:
        parts = [repr(self.name), repr(self.format(self.value, 6))]
        if any(map(math.isfinite, self.bounds)):
            parts.append(f"bounds={self._interval()}")
        if self.prior is not None:
            parts.append(f"prior={self.prior.describe(self.unit, self.difference)}")
        return f"Parameter({', '.join(parts)})"


def bounds_in_si(bounds: object, unit: Unit, name: str, difference: bool = False) -> tuple[float, float]:
    """Return (lower, upper) in SI, infinite where open; bare numbers are in `unit`. Raises if they are not ordered."""
    if bounds is None:
        return -math.inf, math.inf
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise BoundsError(f"{name}: bounds are a pair (lower, upper), not {bounds!r}")
    if isinstance(bounds[1], str) and isinstance(bounds[0], int | float) and _names_unit(bounds[1]):
        raise BoundsError(f"{name}: bounds are a pair (lower, upper); {bounds!r} is one quantity")
    ends = [
        open_end
        if end is None
        else in_unit(end, unit, name=f"{name}: {what} bound", difference=difference, allow_infinite=True)
        for end, open_end, what in zip(bounds, (-math.inf, math.inf), ("lower", "upper"), strict=True)
    ]
    if not ends[0] < ends[1]:
        raise BoundsError(f"{name}: the lower bound {bounds[0]} is not below the upper bound {bounds[1]}")
    return ends[0], ends[1]


def _names_unit(text: str) -> bool:
    return text.strip()[:1].isalpha()


def interval_text(bounds: tuple[float, float], unit: Unit, difference: bool = False) -> str:
    """Return bounds in SI as people write them: "[5, 500] W/m^2/K"."""
    shown = unit.difference() if difference else unit
    low, high = (format_number(shown.from_si(b), 6) for b in bounds)
    return f"[{low}, {high}]" + ("" if shown.text == "1" else f" {shown}")


def check_bounds(name: str, number: float, bounds: tuple[float, float], unit: Unit, difference: bool = False) -> None:
    """Raise `BoundsError` if a number in SI is outside `bounds` by more than rounding, or is NaN."""
    low, high = bounds
    if low <= number <= high:
        return
    slack = _ROUNDING * max(abs(number), abs(low) if math.isfinite(low) else 0, abs(high) if math.isfinite(high) else 0)
    if low - slack <= number <= high + slack:
        return
    text = f"{name} = {format_si(number, unit, 6, difference)} is outside {interval_text(bounds, unit, difference)}"
    if low >= 0.0 > number:
        text += "; check its sign"
    else:
        text += "; check its unit, or widen the bounds"
    raise BoundsError(text)


class HasUnit(Protocol):
    """A declaration that knows its unit: `Parameter`, `Setting`, `Signal`."""

    @property
    def unit(self) -> Unit:
        """The declared unit."""
        ...


class Values(Mapping[str, "float | Array"]):
    """Immutable numbers in SI by name: model parameters and open recipe settings of one simulation.

    A number is a float, or an array `(n,)` for a vector. Numbers in a `Values` are trusted to be SI; what a person
    writes becomes one through `ParameterSet.values`.
    """

    __slots__ = ("_numbers",)
    _numbers: dict[str, "float | Array"]

    def __init__(self, numbers: "Mapping[str, float | Array] | None" = None) -> None:
        object.__setattr__(self, "_numbers", {name: _si_number(name, x) for name, x in (numbers or {}).items()})

    def __getitem__(self, name: str) -> "float | Array":
        try:
            return self._numbers[name]
        except KeyError:
            raise unknown_name("value", name, self._numbers) from None

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def scalar(self, name: str) -> float:
        """Return a number that is known to be a scalar; raises `ShapeError` for a vector."""
        number = self[name]
        if isinstance(number, float):
            return number
        raise ShapeError(f"{name}: a scalar is expected, not an array of shape {number.shape}")

    def merge(self, other: "Mapping[str, float | Array]") -> "Values":
        """Return a copy with the SI numbers of `other` added; they win where both have a name."""
        return Values({**self._numbers, **other})

    def replace(self, **changes: "float | Array") -> "Values":
        """Return a copy with other SI numbers under names that are there already."""
        for name in changes:
            if name not in self._numbers:
                raise unknown_name("value", name, self._numbers)
        return self.merge(changes)

    def select(self, names: Iterable[str]) -> "Values":
        """Return those of `names`, in that order."""
        return Values({name: self[name] for name in names})

    def in_units(self, declared: Mapping[str, HasUnit]) -> "dict[str, tuple[float | Array, str]]":
        """Return name -> (number, unit text) in the units of a `ParameterSet` (or of any declarations by name).

        The pairs are quantities again: `parameters.values(values.in_units(parameters))` gives the same numbers.
        """
        shown: dict[str, tuple[float | Array, str]] = {}
        for name, number in self._numbers.items():
            if name not in declared:
                raise unknown_name("declared unit", name, declared)
            difference = bool(getattr(declared[name], "difference", False))
            unit = declared[name].unit
            target = unit.difference() if difference else unit
            shown[name] = (target.from_si(number, difference), target.text)
        return shown

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._numbers.keys() == other.keys() and all(np.array_equal(x, other[n]) for n, x in self.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Values(" + ", ".join(f"{name}={_shown(x)}" for name, x in self._numbers.items()) + ") in SI"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Values are immutable; use replace or merge")

    def __reduce__(self) -> tuple[object, ...]:
        return Values, (self._numbers,)


def _si_number(name: str, x: object) -> "float | Array":
    if type(x) is float:
        number: float | Array = x
    elif isinstance(x, bool | np.bool_ | str | tuple):
        raise UnitError(f"{name}: {x!r} is not a number in SI; ParameterSet.values reads quantities with units")
    else:
        try:
            array = np.array(x, dtype=np.float64)
        except (TypeError, ValueError):
            raise UnitError(f"{name}: {x!r} is not a number in SI") from None
        if array.ndim > 1:
            raise ShapeError(f"{name}: a scalar or one row of numbers is expected, not shape {array.shape}")
        array.flags.writeable = False
        number = float(array) if array.ndim == 0 else array
    if not (math.isfinite(number) if isinstance(number, float) else np.isfinite(number).all()):
        raise UnitError(f"{name}: {x} is not a finite number")
    return number


def _shown(x: "float | Array") -> str:
    return f"{x:.6g}" if isinstance(x, float) else f"<array of {len(x)}>"


class ParameterSet(Mapping[str, Parameter]):
    """Parameters by name, ordered and immutable.

    >>> parameters = ParameterSet([Parameter("k1", "6e-5 1/min"), Parameter("k2", "3e-5 1/min")])
    >>> parameters.names, parameters.values({"k2": "1e-6 1/s"})
    (('k1', 'k2'), Values(k1=1e-06, k2=1e-06) in SI)
    """

    __slots__ = ("_parameters",)
    _parameters: dict[str, Parameter]

    def __init__(self, parameters: "Iterable[Parameter] | ParameterSet" = ()) -> None:
        held: dict[str, Parameter] = {}
        given: Iterable[object] = parameters.parameters if isinstance(parameters, ParameterSet) else parameters
        for parameter in given:
            if not isinstance(parameter, Parameter):
                raise ModelError(f"a ParameterSet holds parameters, not {parameter!r}")
            if parameter.name in held:
                raise ModelError(f'two parameters are called "{parameter.name}"')
            held[parameter.name] = parameter
        object.__setattr__(self, "_parameters", held)

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self._parameters[name]
        except KeyError:
            raise unknown_name("parameter", name, self._parameters) from None

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self._parameters)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, in order (`values` is taken by the numbers)."""
        return tuple(self._parameters.values())

    def select(self, names: Iterable[str]) -> "ParameterSet":
        """Return those of `names`, in that order."""
        if isinstance(names, str):
            names = (names,)
        return ParameterSet([self[name] for name in names])

    def with_(self, parameters: Iterable[Parameter]) -> "ParameterSet":
        """Return a copy in which `parameters` take the place of those of the same name; new ones come last."""
        return ParameterSet(({**self._parameters, **{p.name: p for p in parameters}}).values())

    def values(  # type: ignore[override]  # the word for numbers by name; dict(parameters) and items() work as ever
        self, given: "Mapping[str, QuantityLike] | Values | None" = None
    ) -> Values:
        """Return the numbers of one simulation in SI: declared values, and `given` in their place.

        A plain mapping holds quantities with units; a `Values` holds SI numbers. Raises `UnknownNameError`,
        `UnitError`, `BoundsError`.
        """
        numbers: dict[str, float | Array] = {name: p.value for name, p in self._parameters.items()}
        trusted = isinstance(given, Values)
        for name, quantity in (given or {}).items():
            parameter = self[name]
            if trusted:
                number: Any = quantity
                for x in (number,) if isinstance(number, float) else number:
                    parameter.check(float(x))
            else:
                number = to_si(cast(QuantityLike, quantity), parameter.unit, name=name, difference=parameter.difference)
                parameter.check(number)
            numbers[name] = number
        return Values(numbers)

    def table(self) -> list[tuple[str, ...]]:
        """Return the rows of the printed table: name, value, bounds, prior, description, source."""
        rows: list[tuple[str, ...]] = []
        for p in self._parameters.values():
            bounded = any(map(math.isfinite, p.bounds))
            prior = "" if p.prior is None else p.prior.describe(p.unit, p.difference)
            rows.append(
                (p.name, p.format(p.value, 6), p._interval() if bounded else "", prior, p.description, p.source)
            )
        return rows

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ParameterSet):
            return NotImplemented
        return self.parameters == other.parameters

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        rows = [_COLUMNS, *self.table()]
        used = [i for i in range(len(_COLUMNS)) if any(row[i] for row in rows[1:]) or i < 2]
        widths = {i: max(len(row[i]) for row in rows) for i in used}
        lines = ["  ".join(row[i].ljust(widths[i]) for i in used).rstrip() for row in rows]
        return "\n".join([f"ParameterSet of {len(self)}", *lines])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.table()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a ParameterSet is immutable; use with_")

    def __reduce__(self) -> tuple[object, ...]:
        return ParameterSet, (self.parameters,)


_COLUMNS = ("name", "value", "bounds", "prior", "description", "source")


@dataclass(frozen=True)
class PerExperiment:
    """Marks a parameter that has a value of its own in each experiment (`calibrate(unknown=...)`).

    >>> PerExperiment("ambient_temperature").of("charge_0417")
    'ambient_temperature@charge_0417'
    """

    name: str

    def __post_init__(self) -> None:
        """Check the name."""
        check_name("parameter", self.name, library_forms=True)
        if "@" in self.name:
            raise ModelError(f'PerExperiment("{self.name}"): give the name alone, the experiment is added')

    def of(self, experiment: str) -> str:
        """Return the name of the unknown that belongs to one experiment."""
        return check_name("parameter", f"{self.name}@{experiment}", library_forms=True)
