"""A parameter that is a function: a natural cubic spline through its values at knots, which are the parameters.

y(x) = sum_j v_j l_j(x): linear in the values, so derivatives with respect to them are exact; linear in x beyond the end
knots. The cardinal functions l_j are those of de Boor, A Practical Guide to Splines (2001), chapter 4, with natural
ends. They are written as the cubic of the middle interval plus a power max(+-(x - k), 0)^3 for each knot on its far
side: one expression without a switch, twice differentiable, and without the cancellation of powers that all begin at
one end.
"""

import functools
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError, ShapeError, UnitError, check_name
from physics_twin.expressions import Expression, exp, log, maximum
from physics_twin.parameters import Bounds, Parameter
from physics_twin.priors import Prior
from physics_twin.units import Unit, parse, to_si_array


@dataclass(frozen=True, init=False)
class Spline:
    """An unknown function of one quantity.

    Spline("film", over="T", knots=(["100 degC", "200 degC", "300 degC"]), value="20 W/m^2/K") is the parameters film_1,
    film_2 and film_3. In a `ProcessBuilder` it is `m.function(spline, of=T)`, in a field model it stands wherever a
    function of named quantities may stand.

    over: what it is a function of; in a field model a name that functions there may ask for ("T", "t", "x", a signal).
    knots: where its values are the parameters, ascending: quantities, or (numbers, unit). Two give a straight line.
    value: at all knots, or one for each: quantities, or (numbers, unit).
    bounds, prior: of each value. log: the spline goes through ln y, so that y is above zero everywhere; the values need
        a lower bound above zero.

    Raises ModelError for knots that do not ascend, ShapeError for another number of values, BoundsError for log without
    bounds above zero, UnitError for what has no unit.
    """

    name: str
    over: str
    knots: tuple[float, ...]
    """SI"""
    knot_unit: str
    """As declared."""
    parameters: tuple[Parameter, ...]
    log: bool

    def __init__(
        self,
        name: str,
        *,
        over: str,
        knots: Any,
        value: Any,
        bounds: Bounds = None,
        prior: Prior | None = None,
        log: bool = False,
    ) -> None:
        check_name("function", name)
        check_name("argument of a function", over)
        places, unit = quantities_and_unit(knots, f"knots of {name}")
        if places.size < 2 or not (np.diff(places) > 0.0).all():
            raise ModelError(f"knots of {name}: two or more that ascend are needed")
        values = one_for_each(value, places.size, f"value of {name}")
        parameters = tuple(
            Parameter(
                f"{name}_{k + 1}", one, bounds=bounds, prior=prior, description=f"{name} at {over} = {_shown(x, unit)}"
            )
            for k, (x, one) in enumerate(zip(places.tolist(), values, strict=True))
        )
        if log and not all(p.bounds[0] > 0.0 for p in parameters):
            raise BoundsError(
                f"{name}: its logarithm is a spline, so its values stay above zero; give bounds with a lower end above "
                "zero, or leave log= out"
            )
        for key, item in {
            "name": name,
            "over": over,
            "knots": tuple(places.tolist()),
            "knot_unit": unit.text,
            "parameters": parameters,
            "log": log,
        }.items():
            object.__setattr__(self, key, item)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parameters, in the order of the knots."""
        return tuple(p.name for p in self.parameters)

    @property
    def unit(self) -> Unit:
        """Of its values."""
        return self.parameters[0].unit

    @property
    def argument_unit(self) -> Unit:
        """Of its knots."""
        return Unit(self.knot_unit)

    def of(self, argument: Expression, values: Sequence[Expression]) -> Expression:
        """The function at `argument`, given its values at the knots; raises UnitError for another dimension."""
        dimension = self.argument_unit.dimension
        if argument.dimension != dimension:
            raise UnitError(
                f'the function "{self.name}" has its knots in {self.knot_unit}, and its argument is in '
                f"{Unit.from_dimension(argument.dimension)}"
            )
        cubic, hinges = self._pieces
        origin, scale = Expression(self._origin, dimension), Expression(self._scale, dimension)
        u = (argument - origin) / scale
        if self.log:
            values = [log(v / Expression(1.0, v.dimension)) for v in values]
        c = [_combined(row, values) for row in cubic]
        result = c[0] + u * (c[1] + u * (c[2] + u * c[3]))
        for place, side, row in hinges:
            result = result + _combined(row, values) * maximum(side * (u - place), 0.0) ** 3
        return exp(result) * Expression(1.0, self.unit.dimension) if self.log else result

    @property
    def __signature__(self) -> inspect.Signature:
        """A function of named quantities: its argument and its parameters."""
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in (self.over, *self.names)])

    def __call__(self, **quantities: Expression) -> Expression:
        """The function at the quantity called `over`, given its parameters by name."""
        return self.of(quantities[self.over], [quantities[name] for name in self.names])

    def at(self, x: Any, values: Any) -> Array:
        """The function in numbers (n_draws, n): x (n,) SI, values at the knots (n_draws, n_knots) or (n_knots,) SI."""
        table = np.atleast_2d(np.asarray(values, dtype=float))
        if table.shape[1] != len(self.knots):
            raise ShapeError(f'"{self.name}" has {len(self.knots)} knots, and {table.shape[1]} values are given')
        found = (np.log(table) if self.log else table) @ self.basis(x).T
        return np.exp(found) if self.log else np.asarray(found)

    def basis(self, x: Any) -> Array:
        """The cardinal functions (n, n_knots) at x (n,) SI."""
        u = (np.atleast_1d(np.asarray(x, dtype=float)) - self._origin) / self._scale
        cubic, hinges = self._pieces
        found = np.vander(u, 4, increasing=True) @ cubic
        for place, side, row in hinges:
            found = found + np.maximum(side * (u - place), 0.0)[:, None] ** 3 * row
        return np.asarray(found)

    @property
    def _middle(self) -> int:
        """The interval whose cubic is written out."""
        return (len(self.knots) - 1) // 2

    @property
    def _origin(self) -> float:
        return self.knots[self._middle]

    @property
    def _scale(self) -> float:
        return self.knots[-1] - self.knots[0]

    @functools.cached_property
    def _pieces(self) -> tuple[Array, list[tuple[float, float, Array]]]:
        """The cubic (4, n_knots) by rising power; and place, side and coefficients (n_knots,) of each power beyond.

        All in u = (x - origin) / scale.
        """
        from scipy.interpolate import CubicSpline

        u = (np.array(self.knots) - self._origin) / self._scale
        n = u.size
        coefficients = CubicSpline(u, np.eye(n), bc_type="natural").c  # (4, n - 1, n), falling powers
        third = np.concatenate([np.zeros((1, n)), coefficients[0], np.zeros((1, n))])  # beyond the ends as well
        change = np.diff(third, axis=0)
        hinges = [(float(u[k]), 1.0, change[k]) for k in range(self._middle + 1, n)]
        hinges += [(float(u[k]), -1.0, change[k]) for k in range(self._middle + 1)]
        return coefficients[::-1, self._middle], hinges


def _combined(row: Array, values: Sequence[Expression]) -> Expression:
    total = float(row[0]) * values[0]
    for weight, value in zip(row[1:].tolist(), values[1:], strict=True):
        if weight != 0.0:
            total = total + weight * value
    return total


def quantities_and_unit(given: Any, name: str) -> tuple[Array, Unit]:
    """A column of quantities, ["20 degC", "100 degC"] or ([20, 100], "degC"), in SI and its unit; raises UnitError."""
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str | Unit):
        unit = given[1] if isinstance(given[1], Unit) else Unit(given[1])
    elif isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise UnitError(f'{name}: write a list of quantities, ["20 degC", "100 degC"], or ([20, 100], "degC")')
    else:
        unit = parse(given[0])[1]
    return to_si_array(given, unit, name=name), unit


def one_for_each(value: Any, n: int, name: str) -> list[Any]:
    """A list of n quantities from one for all, a list of them, or (numbers, unit); raises ShapeError."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str | Unit) and np.ndim(value[0]) == 1:
        value = [(float(number), str(value[1])) for number in value[0]]
    if not isinstance(value, list):
        return [value] * n
    if len(value) != n:
        raise ShapeError(f"{name}: {len(value)} quantities for {n} places; give one for each, or one for all")
    return value


def _shown(x: float, unit: Unit) -> str:
    return f"{float(unit.from_si(x)):.6g} {unit}"
