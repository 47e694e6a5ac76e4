"""Equations that know their units.

An `Expression` is a magnitude in SI and a dimension. The magnitude is a float, a CasADi SX or a UFL expression; the
dimension is checked by every operation, so that a wrong equation fails where it is written. There is no `__float__`,
no `__array__` and no `__SX__`: a function that does not know units cannot strip them.

`where` marks a switch: for CasADi magnitudes its condition becomes a mode, found and located by the integrator, so
that sensitivities across the switch are exact.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from physics_twin.errors import UnitError
from physics_twin.units import Unit, parse

Dimension = tuple[Fraction, ...]

_ONE: Dimension = Unit("1").dimension
_ANGLE: Dimension = Unit("rad").dimension


@dataclass(frozen=True)
class Switch:
    """One condition of a `where`: `mode` is 1 where `guard` >= 0, and is held fixed between crossings."""

    mode: Any
    guard: Any


@dataclass(frozen=True)
class Condition:
    """A comparison of two expressions, true where `guard` >= 0 (or > 0: the difference is a single moment)."""

    guard: Any
    switches: tuple[Switch, ...]

    def __bool__(self) -> bool:
        raise TypeError("a condition on an expression is not known while the model is built; use pt.where(...)")


class Expression:
    """A magnitude in SI with its dimension; made by a builder, combined with operators and the functions below."""

    __slots__ = ("dimension", "magnitude", "switches")

    def __init__(self, magnitude: Any, dimension: Dimension, switches: tuple[Switch, ...] = ()) -> None:
        self.magnitude = magnitude
        self.dimension = dimension
        self.switches = switches

    # -- arithmetic -------------------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> "Expression":
        if _is_zero(other):
            return self
        other = _operand(other, self, "+", offset=False)
        _same(self, other, "add", "and")
        return Expression(self.magnitude + other.magnitude, self.dimension, _join(self, other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Expression":
        if _is_zero(other):
            return self
        other = _operand(other, self, "-", offset=True)
        _same(self, other, "subtract", "and")
        return Expression(self.magnitude - other.magnitude, self.dimension, _join(self, other))

    def __rsub__(self, other: Any) -> "Expression":
        return -self if _is_zero(other) else _operand(other, self, "-", offset=True) - self

    def __mul__(self, other: Any) -> "Expression":
        other = _operand(other, self, "*", offset=False)
        dimension = tuple(a + b for a, b in zip(self.dimension, other.dimension, strict=True))
        return Expression(self.magnitude * other.magnitude, dimension, _join(self, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Expression":
        other = _operand(other, self, "/", offset=False)
        dimension = tuple(a - b for a, b in zip(self.dimension, other.dimension, strict=True))
        return Expression(self.magnitude / other.magnitude, dimension, _join(self, other))

    def __rtruediv__(self, other: Any) -> "Expression":
        return _operand(other, self, "/", offset=False) / self

    def __pow__(self, exponent: Any) -> "Expression":
        if isinstance(exponent, Expression):
            return power(self, exponent)
        if isinstance(exponent, bool) or not isinstance(exponent, int | float | Fraction | np.number):
            raise TypeError(f"an exponent is a number or a dimensionless expression, not {exponent!r}")
        ratio = (exponent if isinstance(exponent, Fraction) else Fraction(float(exponent))).limit_denominator(1000)
        dimension = tuple(a * ratio for a in self.dimension)
        return Expression(self.magnitude ** float(exponent), dimension, self.switches)

    def __rpow__(self, base: Any) -> "Expression":
        return power(base, self)

    def __neg__(self) -> "Expression":
        return Expression(-self.magnitude, self.dimension, self.switches)

    def __pos__(self) -> "Expression":
        return self

    def __abs__(self) -> "Expression":
        return Expression(_function("fabs", self.magnitude), self.dimension, self.switches)

    # -- comparison -------------------------------------------------------------------------------------------------
    def __ge__(self, other: Any) -> Condition:
        return _compare(self, other)

    def __gt__(self, other: Any) -> Condition:
        return _compare(self, other)

    def __le__(self, other: Any) -> Condition:
        return _compare(_operand(other, self, "<=", offset=True), self)

    def __lt__(self, other: Any) -> Condition:
        return _compare(_operand(other, self, "<", offset=True), self)

    def __eq__(self, other: object) -> Any:
        raise TypeError("two expressions are not compared for equality; use >= or <=, or `is`")

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value while the model is built; use pt.where(condition, a, b)")

    # -- what numpy may do ------------------------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> "Expression | Condition":
        if method != "__call__" or kwargs or ufunc.__name__ not in _UFUNCS:
            raise TypeError(f"numpy.{ufunc.__name__} does not know units; use the functions of physics_twin")
        inputs = tuple(float(x) if isinstance(x, np.number) else x for x in inputs)
        if any(isinstance(x, np.ndarray) for x in inputs):
            raise TypeError("an expression is a scalar; write the sum or the loop out")
        result: Expression | Condition = _UFUNCS[ufunc.__name__](*inputs)
        return result

    def __repr__(self) -> str:
        return f"Expression({self.magnitude!s} [{_unit_text(self.dimension)}])"


def constant(quantity: Any) -> Expression:
    """An expression from a number with its unit; a bare number is dimensionless."""
    if isinstance(quantity, Expression):
        return quantity
    if isinstance(quantity, int | float | np.number) and not isinstance(quantity, bool):
        return Expression(float(quantity), _ONE)
    number, unit = parse(quantity)
    return Expression(float(unit.to_si(number)), unit.dimension)


def _unit_text(dimension: Dimension) -> str:
    """The SI unit of a dimension, for messages."""
    unit = Unit.from_dimension(dimension)
    return "a pure number" if unit.is_one else str(unit)


def _is_zero(other: Any) -> bool:
    """The literal 0, with which `sum` begins."""
    return type(other) is int and other == 0


def _join(a: Expression, b: Expression) -> tuple[Switch, ...]:
    if not a.switches or a.switches is b.switches:
        return b.switches
    return a.switches + tuple(s for s in b.switches if not any(s is known for known in a.switches))


def _operand(other: Any, beside: Expression, sign: str, *, offset: bool) -> Expression:
    """`other` as an Expression. offset: whether a temperature in degC may stand here as a point on its scale."""
    if isinstance(other, Expression):
        return other
    if isinstance(other, np.ndarray):
        raise TypeError("an expression is a scalar; write the sum or the loop out")
    if isinstance(other, str | tuple) or hasattr(other, "magnitude"):
        number, unit = parse(other)
        if unit.offset != 0.0 and not offset:
            raise UnitError(
                f'"{other}" is a point on a scale with an offset and cannot be {"added" if sign == "+" else "scaled"}; '
                f"write a difference in {unit.difference()} or the absolute value in SI"
            )
        return Expression(float(unit.to_si(number)), unit.dimension)
    if sign in "+-<=>" and beside.dimension != _ONE and not isinstance(other, bool):
        raise UnitError(
            f"{other!r} has no unit beside an expression in {_unit_text(beside.dimension)}; "
            f'write "{other} {_unit_text(beside.dimension)}"'
        )
    return constant(other)


def _same(a: Expression, b: Expression, verb: str, link: str) -> None:
    if a.dimension != b.dimension:
        raise UnitError(f"cannot {verb} {_unit_text(a.dimension)} {link} {_unit_text(b.dimension)}")


def _compare(a: Expression, b: Any) -> Condition:
    b = _operand(b, a, ">=", offset=True)
    _same(a, b, "compare", "with")
    return Condition(a.magnitude - b.magnitude, _join(a, b))


# -- functions ------------------------------------------------------------------------------------------------------


def _backend(*magnitudes: Any) -> str:
    for magnitude in magnitudes:
        home = type(magnitude).__module__.partition(".")[0]
        if home in ("casadi", "ufl", "dolfinx"):
            return "casadi" if home == "casadi" else "ufl"
    return "float"


def _function(name: str, *args: Any) -> Any:
    """The function of that (CasADi) name for floats, SX or UFL magnitudes."""
    kind = _backend(*args)
    if kind == "casadi":
        import casadi

        return getattr(casadi, name)(*args)
    if kind == "ufl":
        import ufl

        if name == "log10":
            return ufl.ln(args[0]) / math.log(10.0)
        if name == "fabs":
            return abs(args[0])
        return getattr(ufl, {"log": "ln", "fmin": "min_value", "fmax": "max_value"}.get(name, name))(*args)
    if name in ("fmin", "fmax"):
        return (min if name == "fmin" else max)(*args)
    return getattr(math, name)(*args)


def _dimensionless(name: str, x: Any, *, angle: bool = False) -> Expression:
    e = constant(x)
    if e.dimension != _ONE and not (angle and e.dimension == _ANGLE):
        wanted = "an angle or a pure number" if angle else "a pure number"
        raise UnitError(f"{name} of {_unit_text(e.dimension)}: its argument must be {wanted}; divide by a reference")
    return e


def _unary(name: str, *, angle: bool = False) -> Callable[[Any], Expression]:
    def apply(x: Any) -> Expression:
        e = _dimensionless(name, x, angle=angle)
        return Expression(_function(name, e.magnitude), _ONE, e.switches)

    apply.__name__ = apply.__qualname__ = name
    extra = " (an angle or a pure number)" if angle else " (a pure number)"
    apply.__doc__ = f"{name} of an expression or number{extra}; UnitError for anything with another unit."
    return apply


exp = _unary("exp")
log = _unary("log")
log10 = _unary("log10")
tanh = _unary("tanh")
sin = _unary("sin", angle=True)
cos = _unary("cos", angle=True)
tan = _unary("tan", angle=True)


def sqrt(x: Any) -> Expression:
    """Square root; the unit's exponents are halved."""
    e = constant(x)
    return Expression(_function("sqrt", e.magnitude), tuple(a / 2 for a in e.dimension), e.switches)


def power(base: Any, exponent: Any) -> Expression:
    """base ** exponent. A numeric exponent works on any unit; a symbolic one needs a dimensionless base."""
    if not isinstance(exponent, Expression):
        result: Expression = constant(base) ** exponent
        return result
    b, e = _dimensionless("power", base), _dimensionless("power", exponent)
    return Expression(b.magnitude**e.magnitude, _ONE, _join(b, e))


def _pair(name: str, a: Any, b: Any) -> tuple[Expression, Expression]:
    if isinstance(a, Expression):
        x, y = a, _operand(b, a, "<", offset=True)
    else:
        y = constant(b)
        x = _operand(a, y, "<", offset=True)
    _same(x, y, f"take {name} of", "and")
    return x, y


def minimum(a: Any, b: Any) -> Expression:
    """The smaller of two; continuous, so not a switch."""
    x, y = _pair("the minimum", a, b)
    return Expression(_function("fmin", x.magnitude, y.magnitude), x.dimension, _join(x, y))


def maximum(a: Any, b: Any) -> Expression:
    """The larger of two; continuous, so not a switch."""
    x, y = _pair("the maximum", a, b)
    return Expression(_function("fmax", x.magnitude, y.magnitude), x.dimension, _join(x, y))


def where(condition: Condition, a: Any, b: Any) -> Expression:
    """`a` where the condition holds, else `b`.

    In a process model the moment of change is located, the integrator restarts there, and sensitivities jump as they
    must; use `minimum` and `maximum` for what is continuous.
    """
    if not isinstance(condition, Condition):
        raise TypeError("where(condition, a, b): the condition is a comparison of expressions, such as T >= '400 K'")
    x, y = _pair("either", a, b)
    kind = _backend(condition.guard)
    joined = _join(Expression(0.0, _ONE, condition.switches), Expression(0.0, _ONE, _join(x, y)))
    if kind == "float":
        return Expression(x.magnitude if condition.guard >= 0 else y.magnitude, x.dimension, joined)
    if kind == "ufl":
        import ufl

        return Expression(ufl.conditional(ufl.ge(condition.guard, 0.0), x.magnitude, y.magnitude), x.dimension, joined)
    import casadi

    mode = casadi.SX.sym("mode")
    switch = Switch(mode, condition.guard)
    return Expression(casadi.if_else(mode, x.magnitude, y.magnitude), x.dimension, (*joined, switch))


def interpolate(x: Any, points: Any, values: Any) -> Expression:
    """Straight lines between the rows of a table; the end values hold outside.

    points: (numbers, unit) or a list of quantities, ascending, of the dimension of x. values: likewise.
    Continuous, so not a switch.
    """
    e = constant(x)
    xs, x_dimension = _column(points)
    ys, y_dimension = _column(values)
    if xs.size != ys.size or xs.size < 2:
        raise UnitError(f"interpolate: {xs.size} points and {ys.size} values; give two columns of the same length >= 2")
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise UnitError("interpolate: every row of the table must be a finite number")
    if (np.diff(xs) <= 0).any():
        raise UnitError("interpolate: the points must ascend")
    if e.dimension != x_dimension:
        raise UnitError(
            f"interpolate: the argument is in {_unit_text(e.dimension)}, the table's points in "
            f"{_unit_text(x_dimension)}"
        )
    inside = minimum(maximum(e, Expression(float(xs[0]), x_dimension)), Expression(float(xs[-1]), x_dimension))
    slopes = np.diff(ys) / np.diff(xs)
    # A sum of hinges: y0 + s0 (x - x0) + sum of slope changes times max(x - xk, 0).
    result: Any = float(ys[0]) + float(slopes[0]) * (inside.magnitude - float(xs[0]))
    for point, change in zip(xs[1:-1], np.diff(slopes), strict=True):
        if change != 0.0:
            result = result + float(change) * _function("fmax", inside.magnitude - float(point), 0.0)
    return Expression(result, y_dimension, e.switches)


def _column(given: Any) -> tuple[np.ndarray[Any, np.dtype[np.float64]], Dimension]:
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str | Unit):
        unit = given[1] if isinstance(given[1], Unit) else Unit(given[1])
        return np.asarray(unit.to_si(np.asarray(given[0], dtype=float)), dtype=float), unit.dimension
    rows: Sequence[Expression] = [constant(row) for row in given]
    if any(row.dimension != rows[0].dimension for row in rows):
        raise UnitError("interpolate: the rows of a column must have one dimension")
    return np.array([float(row.magnitude) for row in rows]), rows[0].dimension


_UFUNCS: dict[str, Callable[..., Any]] = {
    "exp": exp,
    "log": log,
    "log10": log10,
    "sqrt": sqrt,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "tanh": tanh,
    "power": power,
    "float_power": power,
    "minimum": minimum,
    "fmin": minimum,
    "maximum": maximum,
    "fmax": maximum,
    "absolute": abs,
    "negative": lambda x: -x,
    "add": lambda a, b: constant(a) + b if not isinstance(b, Expression) else b.__radd__(a),
    "subtract": lambda a, b: a - b if isinstance(a, Expression) else b.__rsub__(a),
    "multiply": lambda a, b: constant(a) * b if not isinstance(b, Expression) else b * a,
    "divide": lambda a, b: a / b if isinstance(a, Expression) else b.__rtruediv__(a),
    "greater_equal": lambda a, b: a >= b,
    "greater": lambda a, b: a > b,
    "less_equal": lambda a, b: a <= b,
    "less": lambda a, b: a < b,
}
