"""Prior distributions of one parameter, declared with units and used in SI.

A person writes `Normal("850 degC", "20 degC")`; the parameter it belongs to turns that into the same class with floats
in SI (`in_si`), and only then does it answer questions. Bare numbers are in the parameter's declared unit, since they
stand right beside it.

A least-squares fit needs each prior as a residual r with -2 log p(x) = r(x)^2 + const. For a normal prior that is
(x - m)/s; for a log-normal, whose density carries a 1/x, completing the square gives (ln x - mu + s^2)/s, so that the
mode of the fit is the mode of the density and not its median. Densities are those in the declared unit: going to SI
multiplies them by a constant, which no mode, draw or misfit sees. For the same reason LogNormal and HalfNormal refuse
degC and barg: their shape depends on where zero is.

Everything reduces to a standard normal z cut to [a, b] with x = g(z), evaluated through log_ndtr and ndtri_exp, so
that a cut forty standard deviations out is as exact as none.
"""

import math
from typing import Any, ClassVar, Protocol, Self, overload, runtime_checkable

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, PhysicsTwinError, UnitError
from physics_twin.units import Dimension, QuantityLike, Unit, format_number, format_si, in_unit, parse, to_si

_LOG_2PI = math.log(2.0 * math.pi)


@runtime_checkable
class Prior(Protocol):
    """A prior in SI, as the rest of the library uses it."""

    @property
    def mean(self) -> float:
        """The expectation."""
        ...

    @property
    def sd(self) -> float:
        """The standard deviation."""
        ...

    @property
    def support(self) -> tuple[float, float]:
        """Where the density is above zero, infinite ends included."""
        ...

    def in_si(self, unit: Unit, name: str, difference: bool = False) -> "Prior":
        """Return this prior with floats in SI, for a parameter called `name` declared in `unit`."""
        ...

    def describe(self, unit: Unit, difference: bool = False) -> str:
        """Return the SI prior as a person would have declared it in `unit`."""
        ...

    @overload
    def logpdf(self, x: float) -> float: ...
    @overload
    def logpdf(self, x: Array) -> Array: ...
    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Return `n` draws, `(n,)`."""
        ...

    def residual(self, x: float) -> float:
        """Return r with -2 logpdf(x) = r^2 + const."""
        ...

    def residual_slope(self, x: float) -> float:
        """Return dr/dx."""
        ...


class _Distribution:
    """What all priors share: immutable, compared by their arguments, declared first and converted to SI once."""

    __slots__ = ("_dimension", "_values")
    _fields: ClassVar[tuple[str, ...]] = ()

    _values: tuple[Any, ...]
    _dimension: Dimension | None  # of a prior in SI; None while it is as declared

    def _keep(self, *values: Any, dimension: Dimension | None = None) -> None:
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_dimension", dimension)

    @classmethod
    def _si(cls, unit: Unit, *values: Any) -> Self:
        made = object.__new__(cls)
        made._keep(*values, dimension=unit.dimension)
        return made

    def _in_si_already(self, unit: Unit, name: str) -> bool:
        """Whether this is in SI: a prior taken from one parameter fits another of the same dimension only."""
        if self._dimension is not None and self._dimension != unit.dimension:
            given = Unit.from_dimension(self._dimension)
            raise UnitError(f"{name}: the prior {self!r} is in {given}, but one in a unit like {unit} is expected")
        return self._dimension is not None

    def _number(self, i: int) -> float:
        value = self._values[i]
        if type(value) is float:
            return value
        if isinstance(value, int | np.number) and not isinstance(value, bool):
            return float(value)
        raise UnitError(
            f"{self!r} is declared with units; ask the parameter that holds it, or convert it with in_si(unit, name)"
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a prior is immutable, {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, _Distribution):
            return NotImplemented
        return self._values == other._values and self._dimension == other._dimension

    def __hash__(self) -> int:
        return hash((type(self).__name__, tuple(map(str, self._values))))

    def __repr__(self) -> str:
        pairs = ", ".join(f"{k}={v!r}" for k, v in zip(self._fields, self._values, strict=True))
        return f"{type(self).__name__}({pairs})"

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self._values, self._dimension)


def _restored(cls: type[_Distribution], values: tuple[Any, ...], dimension: Dimension | None) -> _Distribution:
    made = object.__new__(cls)
    made._keep(*values, dimension=dimension)
    return made


def _declared(quantity: Any, what: str) -> Any:
    """Return the quantity after reading it once, so that a misspelt unit fails on the line that has it."""
    try:
        number, _ = parse(quantity)
    except PhysicsTwinError as error:
        raise type(error)(f"{what}: {error}") from None
    if math.isnan(number):
        raise UnitError(f"{what} is not a number")
    return quantity


def _require_positive(number: float, what: str, shown: object) -> None:
    if not number > 0.0 or math.isinf(number):
        raise BoundsError(f"{what} = {shown} is not a positive number; a spread is above zero")


def _require_ratio_scale(cls: type, unit: Unit, name: str, difference: bool) -> None:
    if unit.offset != 0.0 and not difference:
        raise UnitError(
            f"{name}: a {cls.__name__} prior depends on where zero is, and {unit} has its own zero; "
            f"declare the parameter in {unit.si_text}, or use Normal"
        )


class Normal(_Distribution):
    """The normal distribution with `mean` and standard deviation `sd` (a difference: "20 degC" is 20 K)."""

    __slots__ = ()
    _fields = ("mean", "sd")

    def __init__(self, mean: QuantityLike, sd: QuantityLike) -> None:
        _declared(mean, "Normal: mean")
        _require_positive(parse(_declared(sd, "Normal: sd"))[0], "Normal: sd", sd)
        self._keep(mean, sd)

    def in_si(self, unit: Unit, name: str, difference: bool = False) -> "Normal":
        """Return this prior with floats in SI, for a parameter called `name` declared in `unit`."""
        if self._in_si_already(unit, name):
            return self
        mean = in_unit(self._values[0], unit, name=f"{name}: mean of the prior", difference=difference)
        return Normal._si(unit, mean, in_unit(self._values[1], unit, name=f"{name}: sd of the prior", difference=True))

    def describe(self, unit: Unit, difference: bool = False) -> str:
        """Return the SI prior as a person would have declared it in `unit`."""
        return f"Normal({format_si(self.mean, unit, 4, difference)}, {format_si(self.sd, unit, 4, True)})"

    @property
    def mean(self) -> float:
        """The expectation."""
        return self._number(0)

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return self._number(1)

    @property
    def support(self) -> tuple[float, float]:
        """The whole line."""
        return -math.inf, math.inf

    @overload
    def logpdf(self, x: float) -> float: ...
    @overload
    def logpdf(self, x: Array) -> Array: ...
    def logpdf(self, x: float | Array) -> float | Array:
        """Return the log density at `x`."""
        z = (x - self.mean) / self.sd
        return -0.5 * (z * z + _LOG_2PI) - math.log(self.sd)

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def quantile(self, q: float | Array) -> float | Array:
        """Return the quantile(s) of the probability `q`."""
        return _like(q, self._g(_z_quantile(_probability(q), -math.inf, math.inf)))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Return `n` draws, `(n,)`."""
        return self._g(rng.standard_normal(n))

    def residual(self, x: float) -> float:
        """Return r with -2 logpdf(x) = r^2 + const."""
        return (x - self.mean) / self.sd

    def residual_slope(self, x: float) -> float:
        """Return dr/dx."""
        return 1.0 / self.sd

    def _g(self, z: Array) -> Array:
        return self.mean + self.sd * z

    def _z(self, x: float) -> float:
        return (x - self.mean) / self.sd

    _z_support: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    _growth: float = 0.0  # x grows like exp(growth*z)


class LogNormal(_Distribution):
    """The log-normal distribution: ln x is normal with standard deviation `sigma` (a number) around ln `median`."""

    __slots__ = ()
    _fields = ("median", "sigma")

    def __init__(self, median: QuantityLike, sigma: QuantityLike) -> None:
        _require_positive(parse(_declared(median, "LogNormal: median"))[0], "LogNormal: median", median)
        number = to_si(sigma, Unit("1"), name="LogNormal: sigma (the standard deviation of ln x)")
        _require_positive(number, "LogNormal: sigma", sigma)
        self._keep(median, number)

    def in_si(self, unit: Unit, name: str, difference: bool = False) -> "LogNormal":
        """Return this prior with floats in SI, for a parameter called `name` declared in `unit`."""
        if self._in_si_already(unit, name):
            return self
        _require_ratio_scale(LogNormal, unit, name, difference)
        median = in_unit(self._values[0], unit, name=f"{name}: median of the prior", difference=difference)
        return LogNormal._si(unit, median, self.sigma)

    def describe(self, unit: Unit, difference: bool = False) -> str:
        """Return the SI prior as a person would have declared it in `unit`."""
        return f"LogNormal({format_si(self.median, unit, 4, difference)}, {format_number(self.sigma)})"

    @property
    def median(self) -> float:
        """The median."""
        return self._number(0)

    @property
    def sigma(self) -> float:
        """The standard deviation of ln x."""
        return self._number(1)

    @property
    def mean(self) -> float:
        """The expectation, median*exp(sigma^2/2)."""
        return self.median * math.exp(0.5 * self.sigma**2)

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return self.mean * math.sqrt(math.expm1(self.sigma**2))

    @property
    def support(self) -> tuple[float, float]:
        """The positive numbers."""
        return 0.0, math.inf

    @overload
    def logpdf(self, x: float) -> float: ...
    @overload
    def logpdf(self, x: Array) -> Array: ...
    def logpdf(self, x: float | Array) -> float | Array:
        """Return the log density at `x`, -inf where x <= 0."""
        s = self.sigma
        positive = np.asarray(x) > 0.0
        log_x = np.log(np.where(positive, x, 1.0))
        z = (log_x - math.log(self.median)) / s
        return _like(x, np.where(positive, -0.5 * (z * z + _LOG_2PI) - math.log(s) - log_x, -np.inf))

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def quantile(self, q: float | Array) -> float | Array:
        """Return the quantile(s) of the probability `q`."""
        return _like(q, self._g(_z_quantile(_probability(q), -math.inf, math.inf)))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Return `n` draws, `(n,)`."""
        return self._g(rng.standard_normal(n))

    def residual(self, x: float) -> float:
        """Return (ln x - mu + s^2)/s: -2 logpdf(x) = r^2 + const, the 1/x of the density included."""
        if not x > 0.0:
            raise BoundsError(f"a log-normal prior has no density at {x:g}; give the parameter a lower bound above 0")
        return (math.log(x / self.median) + self.sigma**2) / self.sigma

    def residual_slope(self, x: float) -> float:
        """Return dr/dx."""
        return 1.0 / (self.sigma * x)

    def _g(self, z: Array) -> Array:
        return self.median * np.exp(self.sigma * z)

    def _z(self, x: float) -> float:
        return -math.inf if x <= 0.0 else (math.log(x) - math.log(self.median)) / self.sigma

    _z_support: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    @property
    def _growth(self) -> float:
        return self.sigma


class Uniform(_Distribution):
    """The uniform distribution between `low` and `high`."""

    __slots__ = ()
    _fields = ("low", "high")

    def __init__(self, low: QuantityLike, high: QuantityLike) -> None:
        a, unit_a = parse(_declared(low, "Uniform: low"))
        b, unit_b = parse(_declared(high, "Uniform: high"))
        if unit_a == unit_b:
            _require_interval(a, b, "Uniform", low, high)
        self._keep(low, high)

    def in_si(self, unit: Unit, name: str, difference: bool = False) -> "Uniform":
        """Return this prior with floats in SI, for a parameter called `name` declared in `unit`."""
        if self._in_si_already(unit, name):
            return self
        low = in_unit(self._values[0], unit, name=f"{name}: low end of the prior", difference=difference)
        high = in_unit(self._values[1], unit, name=f"{name}: high end of the prior", difference=difference)
        _require_interval(low, high, f"{name}: uniform prior", *self._values)
        return Uniform._si(unit, low, high)

    def describe(self, unit: Unit, difference: bool = False) -> str:
        """Return the SI prior as a person would have declared it in `unit`."""
        return f"Uniform({format_si(self.low, unit, 4, difference)}, {format_si(self.high, unit, 4, difference)})"

    @property
    def low(self) -> float:
        """The lower end."""
        return self._number(0)

    @property
    def high(self) -> float:
        """The upper end."""
        return self._number(1)

    @property
    def mean(self) -> float:
        """The expectation."""
        return 0.5 * (self.low + self.high)

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return (self.high - self.low) / math.sqrt(12.0)

    @property
    def support(self) -> tuple[float, float]:
        """The interval."""
        return self.low, self.high

    @overload
    def logpdf(self, x: float) -> float: ...
    @overload
    def logpdf(self, x: Array) -> Array: ...
    def logpdf(self, x: float | Array) -> float | Array:
        """Return the log density at `x`, -inf outside."""
        points = np.asarray(x)
        inside = (points >= self.low) & (points <= self.high)
        return _like(x, np.where(inside, -math.log(self.high - self.low), -np.inf))

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def quantile(self, q: float | Array) -> float | Array:
        """Return the quantile(s) of the probability `q`."""
        p = _probability(q)
        return _like(q, self.low * (1.0 - p) + self.high * p)  # both ends exact

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Return `n` draws, `(n,)`."""
        return rng.uniform(self.low, self.high, n)

    def residual(self, x: float) -> float:
        """Return 0: a uniform prior only bounds."""
        return 0.0

    def residual_slope(self, x: float) -> float:
        """Return 0."""
        return 0.0


class HalfNormal(_Distribution):
    """The normal distribution around zero with standard deviation `scale`, cut to x >= 0 (for noise levels)."""

    __slots__ = ()
    _fields = ("scale",)

    def __init__(self, scale: QuantityLike) -> None:
        _require_positive(parse(_declared(scale, "HalfNormal: scale"))[0], "HalfNormal: scale", scale)
        self._keep(scale)

    def in_si(self, unit: Unit, name: str, difference: bool = False) -> "HalfNormal":
        """Return this prior with floats in SI, for a parameter called `name` declared in `unit`."""
        if self._in_si_already(unit, name):
            return self
        _require_ratio_scale(HalfNormal, unit, name, difference)
        return HalfNormal._si(unit, in_unit(self._values[0], unit, name=f"{name}: scale of the prior", difference=True))

    def describe(self, unit: Unit, difference: bool = False) -> str:
        """Return the SI prior as a person would have declared it in `unit`."""
        return f"HalfNormal({format_si(self.scale, unit, 4, True)})"

    @property
    def scale(self) -> float:
        """The standard deviation of the normal distribution that is cut in half."""
        return self._number(0)

    @property
    def mean(self) -> float:
        """The expectation."""
        return self.scale * math.sqrt(2.0 / math.pi)

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return self.scale * math.sqrt(1.0 - 2.0 / math.pi)

    @property
    def support(self) -> tuple[float, float]:
        """Zero and the positive numbers."""
        return 0.0, math.inf

    @overload
    def logpdf(self, x: float) -> float: ...
    @overload
    def logpdf(self, x: Array) -> Array: ...
    def logpdf(self, x: float | Array) -> float | Array:
        """Return the log density at `x`, -inf below zero."""
        points = np.asarray(x)
        z = points / self.scale
        return _like(x, np.where(points >= 0.0, -0.5 * (z * z + _LOG_2PI) - math.log(0.5 * self.scale), -np.inf))

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def quantile(self, q: float | Array) -> float | Array:
        """Return the quantile(s) of the probability `q`."""
        return _like(q, self._g(_z_quantile(_probability(q), 0.0, math.inf)))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Return `n` draws, `(n,)`."""
        return np.abs(self._g(rng.standard_normal(n)))

    def residual(self, x: float) -> float:
        """Return r with -2 logpdf(x) = r^2 + const for x >= 0."""
        return x / self.scale

    def residual_slope(self, x: float) -> float:
        """Return dr/dx."""
        return 1.0 / self.scale

    def _g(self, z: Array) -> Array:
        return self.scale * z

    def _z(self, x: float) -> float:
        return x / self.scale

    _z_support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    _growth: float = 0.0


type _Plain = Normal | LogNormal | HalfNormal


class Truncated(_Distribution):
    """Any of the priors above, cut to [`low`, `high`] and normalized again; None leaves an end open.

    >>> speed = Truncated(Normal("2 m/s", "1 m/s"), low="0 m/s").in_si(Unit("m/s"), "speed")
    >>> round(speed.mean, 4), speed.support
    (2.0552, (0.0, inf))
    """

    __slots__ = ()
    _fields = ("prior", "low", "high")

    def __init__(
        self,
        prior: "Normal | LogNormal | Uniform | HalfNormal | Truncated",
        low: QuantityLike | None = None,
        high: QuantityLike | None = None,
    ) -> None:
        if not isinstance(prior, Normal | LogNormal | Uniform | HalfNormal | Truncated):
            raise BoundsError(f"Truncated cuts Normal, LogNormal, Uniform and HalfNormal, not {prior!r}")
        for end, what in ((low, "low"), (high, "high")):
            if end is not None:
                _declared(end, f"Truncated: {what}")
        self._keep(prior, low, high)

    def in_si(self, unit: Unit, name: str, difference: bool = False) -> "Truncated":
        """Return this prior with floats in SI, for a parameter called `name` declared in `unit`.

        A truncated truncated prior becomes one, cut at the inner pair of ends.
        """
        if self._in_si_already(unit, name):
            return self
        inner, low_given, high_given = self._values
        low = -math.inf if low_given is None else _end(low_given, unit, f"{name}: low end of the prior", difference)
        high = math.inf if high_given is None else _end(high_given, unit, f"{name}: high end of the prior", difference)
        base = inner.in_si(unit, name, difference)
        if isinstance(base, Truncated):
            base, inner_low, inner_high = base._values
            low, high = max(low, inner_low), min(high, inner_high)
        low, high = max(low, base.support[0]), min(high, base.support[1])
        _require_interval(low, high, f"{name}: truncated prior", low_given, high_given)
        made = Truncated._si(unit, base, low, high)
        if not isinstance(base, Uniform):
            a, b = made._cut()
            if not a < b or not math.isfinite(_z_log_mass(a, b)):
                raise BoundsError(
                    f"{name}: {base.describe(unit, difference)} has no probability between "
                    f"{format_si(low, unit, 4, difference)} and {format_si(high, unit, 4, difference)}"
                )
        return made

    def describe(self, unit: Unit, difference: bool = False) -> str:
        """Return the SI prior as a person would have declared it in `unit`."""
        low, high = self.support
        ends = f"[{format_si(low, unit, 4, difference)}, {format_si(high, unit, 4, difference)}]"
        return f"{self.prior.describe(unit, difference)} within {ends}"

    @property
    def prior(self) -> Normal | LogNormal | Uniform | HalfNormal:
        """The prior that is cut."""
        inner: Normal | LogNormal | Uniform | HalfNormal = self._values[0]
        return inner

    @property
    def support(self) -> tuple[float, float]:
        """Where the density is above zero."""
        if self._dimension is None:
            raise UnitError(f"{self!r} is not in SI; convert it with in_si(unit, name)")
        return self._values[1], self._values[2]

    @property
    def mean(self) -> float:
        """The expectation."""
        return self._moments()[0]

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return self._moments()[1]

    @overload
    def logpdf(self, x: float) -> float: ...
    @overload
    def logpdf(self, x: Array) -> Array: ...
    def logpdf(self, x: float | Array) -> float | Array:
        """Return the log density at `x`, -inf outside."""
        low, high = self.support
        points = np.asarray(x)
        inside = (points >= low) & (points <= high)
        if isinstance(self.prior, Uniform):
            return _like(x, np.where(inside, -math.log(high - low), -np.inf))
        plain = np.asarray(self.prior.logpdf(np.asarray(x, dtype=np.float64)))
        log_mass = _z_log_mass(*self._cut()) - _z_log_mass(*self.prior._z_support)
        return _like(x, np.where(inside, plain - log_mass, -np.inf))

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def quantile(self, q: float | Array) -> float | Array:
        """Return the quantile(s) of the probability `q`."""
        low, high = self.support
        p = _probability(q)
        if isinstance(self.prior, Uniform):
            return _like(q, low * (1.0 - p) + high * p)
        return _like(q, np.clip(self.prior._g(_z_quantile(p, *self._cut())), low, high))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Return `n` draws, `(n,)`."""
        return self.quantile(rng.random(n))

    def residual(self, x: float) -> float:
        """Return the residual of the prior that is cut: cutting changes the density by a constant."""
        return self.prior.residual(x)

    def residual_slope(self, x: float) -> float:
        """Return dr/dx."""
        return self.prior.residual_slope(x)

    def _cut(self) -> tuple[float, float]:
        low, high = self.support
        prior = self.prior
        assert not isinstance(prior, Uniform)
        return max(prior._z(low), prior._z_support[0]), min(prior._z(high), prior._z_support[1])

    def _moments(self) -> tuple[float, float]:
        low, high = self.support
        prior = self.prior
        if isinstance(prior, Uniform):
            return 0.5 * (low + high), (high - low) / math.sqrt(12.0)
        z, weights = _z_quadrature(*self._cut(), prior._growth)
        x = prior._g(z)
        mean = float(weights @ x)
        return mean, math.sqrt(float(weights @ (x - mean) ** 2))


def _end(quantity: QuantityLike, unit: Unit, name: str, difference: bool) -> float:
    return in_unit(quantity, unit, name=name, difference=difference, allow_infinite=True)


def _require_interval(low: float, high: float, what: str, shown_low: object, shown_high: object) -> None:
    if not low < high:
        raise BoundsError(f"{what}: low = {shown_low} is not below high = {shown_high}")


def _probability(q: float | Array) -> Array:
    p = np.asarray(q, dtype=np.float64)
    if not np.all((p >= 0.0) & (p <= 1.0)):
        raise BoundsError(f"a probability lies between 0 and 1, got {q}")
    return p


@overload
def _like(x: float, y: Array) -> float: ...
@overload
def _like(x: Array, y: Array) -> Array: ...
def _like(x: float | Array, y: Array) -> float | Array:
    return np.asarray(y, dtype=np.float64) if isinstance(x, np.ndarray) else float(y)


# The standard normal cut to [a, b] -----------------------------------------------------------------------------------


def _z_log_mass(a: float, b: float) -> float:
    """Return ln P(a < z < b), exact in both tails."""
    from scipy.special import log_ndtr

    if a > 0.0:  # the mirror image keeps its digits: in the upper tail both distribution functions round to 1
        a, b = -b, -a
    top, bottom = float(log_ndtr(b)), float(log_ndtr(a))
    return top if bottom == -math.inf else top + math.log1p(-math.exp(bottom - top)) if bottom < top else -math.inf


def _z_quantile(p: Array, a: float, b: float) -> Array:
    """Return z with P(a < Z < z) = p P(a < Z < b)."""
    from scipy.special import log_ndtr, ndtri_exp

    if a > 0.0:
        return -_z_quantile(1.0 - p, -b, -a) if b < math.inf else -_z_upper(p, a)
    top, bottom = float(log_ndtr(b)), float(log_ndtr(a))
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
        log_rest = np.log1p(-p)
    z = ndtri_exp(np.minimum(np.logaddexp(log_rest + bottom, log_p + top), 0.0))
    if b > 0.0 and a < 0.0:
        # beyond the median the upper tail holds the digits
        survival = np.logaddexp(log_p + float(log_ndtr(-b)), log_rest + float(log_ndtr(-a)))
        z = np.where(survival < math.log(0.5), -ndtri_exp(np.minimum(survival, 0.0)), z)
    # ndtri_exp is good to 1e-12; the ends are known
    return np.asarray(np.where(p == 0.0, a, np.where(p == 1.0, b, np.clip(z, a, b))), dtype=np.float64)


def _z_upper(p: Array, a: float) -> Array:
    from scipy.special import log_ndtr, ndtri_exp

    with np.errstate(divide="ignore"):
        z = ndtri_exp(np.log1p(-p) + float(log_ndtr(-a)))
    return np.asarray(np.where(p == 0.0, -a, np.minimum(z, -a)), dtype=np.float64)


def _z_quadrature(a: float, b: float, growth: float) -> tuple[Array, Array]:
    """Return nodes and weights (sum 1) for expectations over the cut z of functions that grow like exp(2 growth z)."""
    # Moments up to the second of exp(growth z) live around z = 2*growth at most; beyond 9 of the density there, or 40
    # e-foldings where the cut leaves only a tail, nothing above 1e-17 is left.
    center = min(max(0.0, a), b)
    far = min(max(2.0 * growth, a), b)
    low = max(a, center - min(9.0, 40.0 / max(1.0, -center)))
    high = min(b, far + min(9.0, 40.0 / max(1.0, far - 2.0 * growth)))
    nodes, node_weights = np.polynomial.legendre.leggauss(24)
    edges = np.linspace(low, high, 1 + max(4, math.ceil(high - low)) * 4)
    half = 0.5 * np.diff(edges)
    z = (0.5 * (edges[:-1] + edges[1:]))[:, None] + half[:, None] * nodes
    log_density = -0.5 * z * z
    weights = half[:, None] * node_weights * np.exp(log_density - log_density.max())
    return z.ravel(), (weights / weights.sum()).ravel()
