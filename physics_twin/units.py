"""Units at the border: what people, files and equations write becomes float64 in SI, checked without exception.

Inside the library every number is SI. A quantity is read in two parts, number and unit, and only the unit goes through
a parser: `"1e3 1/min"` is 1000 per minute, and no arithmetic is ever done on a text. The grammar is our own, the
table of units is pint's (one private registry in exact fractions, created when the first unit is read, so that
`import physics_twin` stays fast). pint's own quantities are not used, because three of its conventions cost money at
a furnace:

- **Offsets.** degC, degF, barg and psig have an offset only where they stand alone and only where the quantity is not
  a difference. In a compound ("W/m^2/degC", "degC/min") a degree is a difference; a gauge pressure in a compound is
  refused.
- **Angles** are a dimension of their own here: 60 rpm is 1 Hz and never silently 6.28 rad/s.
- **What needs more than a factor** is refused with the reason: pH and dB are logarithms, Nm3/h and slpm are amounts
  only together with their reference state (`normal_flow`).
"""

import datetime
import math
import numbers
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Never, final, overload

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import PhysicsTwinError, ShapeError, UnitError, nearest

if TYPE_CHECKING:
    import pint

type Dimension = tuple[Fraction, ...]
"""Exponents of length, mass, time, temperature, current, substance, luminosity, angle."""

type QuantityLike = str | float | int | tuple[float, str] | np.number[Any] | "pint.Quantity[Any]"
"""What a person may pass for one quantity: "850 kg", (850, "kg"), a pint quantity; a bare number if dimensionless."""

BASES = ("length", "mass", "time", "temperature", "current", "substance", "luminosity", "angle")
_BASE_UNITS = ("m", "kg", "s", "K", "A", "mol", "cd", "rad")
# pint's root units, gram among them. A count is a number; bits and pixels are nothing that a physical model holds.
_ROOTS = {"meter": 0, "gram": 1, "second": 2, "kelvin": 3, "ampere": 4, "mole": 5, "candela": 6, "radian": 7}
_NONE: Dimension = (Fraction(0),) * len(BASES)
_TEMPERATURE: Dimension = tuple(Fraction(int(base == "temperature")) for base in BASES)
_PRESSURE: Dimension = (Fraction(-1), Fraction(1), Fraction(-2), *(Fraction(0),) * 5)
_FREQUENCY: Dimension = (Fraction(0), Fraction(0), Fraction(-1), *(Fraction(0),) * 5)

_ATMOSPHERE = 101325  # Pa; gauge pressures are read against the standard atmosphere
_GAS_CONSTANT = 8.31446261815324  # J/(mol K), exact in the SI of 2019 (k times N_A)

_DIMENSIONLESS = frozenset({"", "1", "-", "dimensionless", "fraction"})

# Differences of affine temperatures read better in the unit without a prefix where that exists.
_DIFFERENCE_OF = {"degree_Celsius": "K", "degree_Fahrenheit": "delta_degF"}
_OFFSETS = {"degree_Celsius": Fraction("273.15"), "degree_Fahrenheit": Fraction("459.67") * Fraction(5, 9)}
_FACTORS = {"degree_Celsius": Fraction(1), "degree_Fahrenheit": Fraction(5, 9)}

_GAUGE = {"barg": "bar", "mbarg": "mbar", "psig": "psi", "Pag": "Pa", "hPag": "hPa", "kPag": "kPa", "MPag": "MPa"}
_ALIASES = {
    "bara": "bar", "mbara": "mbar", "psia": "psi", "Paa": "Pa", "hPaa": "hPa", "kPaa": "kPa", "MPaa": "MPa",
    "pct": "percent", "‰": "permille", "°": "degree", "inWC": "inH2O", "mmWC": "mmH2O",
    "Celsius": "degC", "Fahrenheit": "degF",
}  # fmt: skip
# Flows by their initials, of the actual volume; gallons are those of the US, barrels of 42 gallons. pint would read cfm
# as a hundredth of a femtometer.
_FLOWS = {
    "gpm": "gal/min", "gph": "gal/h", "gpd": "gal/d", "cfm": "ft^3/min", "acfm": "ft^3/min", "cfh": "ft^3/h",
    "lpm": "L/min", "lph": "L/h", "bpd": "oil_bbl/d",
}  # fmt: skip
_FLOWS |= {name.upper(): flow for name, flow in _FLOWS.items()}
# N m and J have one dimension and one factor; pint does not know the short form.
_TORQUES = {"Nm": "J", "kNm": "kJ", "mNm": "mJ", "MNm": "MJ"}
# A revolution per minute is a frequency here; pint makes it 2 pi rad/min.
_PER_SECOND = {"revolutions_per_minute": Fraction(1, 60), "revolutions_per_second": Fraction(1)}

_LOGARITHMIC = frozenset({"decibel", "decibelmilliwatt", "decibelmicrowatt", "bel", "neper", "octave", "decade"})
_CONSTANTS = frozenset({
    "speed_of_light", "elementary_charge", "avogadro_number", "pi", "eulers_number", "tansec", "ln10",
    "wien_x", "wien_u", "standard_gravity", "electron_mass", "proton_mass", "neutron_mass", "fine_structure",
    "zeta", "dirac_constant",
})  # fmt: skip
_NORMAL_VOLUMES = {  # written name -> the plain unit of the same volume or volume flow, and the power it belongs to
    "Nm": ("m", 3), "Sm": ("m", 3), "Ncm": ("cm", 3), "Ndm": ("dm", 3), "Scm": ("cm", 3),
    "NL": ("L", 1), "Nl": ("L", 1), "NmL": ("mL", 1), "Nml": ("mL", 1), "SL": ("L", 1), "sL": ("L", 1),
    "scf": ("ft^3", 1), "SCF": ("ft^3", 1), "Mscf": ("", 1), "MMscf": ("", 1),
    "scfm": ("ft^3/min", 1), "SCFM": ("ft^3/min", 1), "scfh": ("ft^3/h", 1), "SCFH": ("ft^3/h", 1),
    "slpm": ("L/min", 1), "SLPM": ("L/min", 1), "slm": ("L/min", 1), "SLM": ("L/min", 1), "nlpm": ("L/min", 1),
    "NLPM": ("L/min", 1), "sccm": ("cm^3/min", 1), "SCCM": ("cm^3/min", 1), "sccs": ("cm^3/s", 1),
    "scfd": ("ft^3/d", 1), "SCFD": ("ft^3/d", 1), "MSCFD": ("", 1), "MMSCFD": ("", 1),
}  # fmt: skip

# What people at a plant write; asked first when a name is unknown.
_COMMON = [
    "K", "degC", "degF", "degR", "delta_degC", "delta_degF", "s", "min", "h", "d", "ms", "us", "week", "year", "m",
    "mm", "cm", "km", "um", "nm", "ft", "in", "kg", "g", "mg", "t", "tonne", "lb", "mol", "mmol", "kmol", "L", "mL",
    "m3", "Pa", "hPa", "kPa", "MPa", "bar", "mbar", "barg", "psi", "psig", "atm", "mmHg", "J", "kJ", "MJ", "kWh",
    "Wh", "W", "kW", "MW", "V", "mV", "kV", "A", "mA", "ohm", "N", "kN", "rad", "deg", "turn", "Hz", "kHz", "rpm",
    "percent", "ppm", "ppb", "cP", "poise", "kcal", "cal", "BTU", "hp", "GPa", "kgf", "lbf", "kmol", "newton",
    "kelvin", "watt", "joule", "gpm", "gph", "gpd", "cfm", "lpm", "bpd", "inHg", "inH2O", "mmH2O",
]  # fmt: skip

_NUMBER = re.compile(
    r"\s*([+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?:inf(?:inity)?|nan)(?![^\s]))|[+-]?∞)"
)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>(?:[^\W\d]|[°%‰])+(?:\d+[^\W\d]+)*)
      | (?P<exponent>(?:\^|\*\*)\s*(?:\(\s*[+-]?\d+(?:\.\d+|\s*/\s*\d+)?\s*\)|[+-]?\d+(?:\.\d+)?))
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<times>[*·⋅×.∙•])
      | (?P<over>/)
      | (?P<open>\()
      | (?P<close>\))
    )""",
    re.VERBOSE,
)
_BARE_EXPONENT = re.compile(r"[+-]?\d+")
# "ms715951548" is a tag with its number and no unit; to compute its factor exactly would take days.
_GREATEST_POWER = 60


type _Atoms = tuple[tuple[str, Fraction], ...]  # names and exponents, in the order of the text


class _Atom(NamedTuple):
    """One named unit: SI = x*factor + offset; `difference` names the unit of its differences if it has an offset."""

    factor: Fraction | float
    offset: Fraction
    dimension: Dimension
    difference: str
    is_delta: bool


@lru_cache(maxsize=1)
def _registry() -> "pint.UnitRegistry[Any]":
    # Exact fractions: with floats a litre is 0.0010000000000000002 m3, and equal units compare unequal.
    import pint

    return pint.UnitRegistry(non_int_type=Fraction, autoconvert_offset_to_baseunit=False, cache_folder=None)


@lru_cache(maxsize=4096)
def _atom(name: str) -> _Atom:
    if name in _GAUGE:
        plain = _atom(_GAUGE[name])
        return _Atom(plain.factor, Fraction(_ATMOSPHERE), _PRESSURE, _GAUGE[name], False)
    if name == "ppb":
        return _Atom(Fraction(1, 10**9), Fraction(0), _NONE, "", False)
    if name in _NORMAL_VOLUMES and _NORMAL_VOLUMES[name][1] == 1:
        raise UnitError(_normal_reason(name))
    if name in ("pH", "PH", "ph"):
        raise UnitError(
            '"pH" is a logarithm and has no factor to SI; give the concentration of H+ ("1e-7 mol/L"), '
            'or a dimensionless number with the unit "1"'
        )
    if name in ("wt%", "vol%", "mol%", "m%", "v%", "wt", "vol"):
        raise UnitError(f'"{name}" does not fit in a unit; write "percent" and say in the description of what')

    if name in _TORQUES:
        return _atom(_TORQUES[name])
    if name in _FLOWS:
        flow = _unit_of(_FLOWS[name])
        exact: Fraction | float = Fraction(1)
        for part, exponent in flow._atoms:
            exact = _times(exact, _power(_atom(part).factor, exponent))
        return _Atom(exact, Fraction(0), flow.dimension, "", False)
    registry = _registry()
    parts = registry.parse_unit_name(_ALIASES.get(name, name))
    canonical = parts[0][1] if parts else ""
    prefix = parts[0][0] if parts else ""
    if not canonical:
        raise UnitError(_unknown(name))
    if canonical in _LOGARITHMIC or canonical.startswith("decibel"):
        raise UnitError(
            f'"{name}" is logarithmic and has no factor to SI; give the plain ratio or the quantity itself '
            f'(20 dB of amplitude are a factor of 10, with the unit "1")'
        )
    if canonical in _CONSTANTS or canonical.endswith("_constant"):
        hint = {"R": "degR", "k": "K", "c": "", "e": "", "C": "degC"}.get(name, "")
        raise UnitError(
            f'"{name}" is a physical constant ({canonical.replace("_", " ")}), not a unit'
            + (f'; did you mean "{hint}"?' if hint else "")
        )
    if canonical == "barrel":  # pint's has 31.5 gallons, as no plant's has
        raise UnitError(f'"{name}" is 42 gallons of oil or 31 of beer; write "oil_bbl" or "beer_bbl"')
    if canonical == "ton" and "short" not in name:
        raise UnitError(f'"{name}" is a metric, a short or a long ton; write "t" (1000 kg), "short_ton" or "long_ton"')
    if canonical in _OFFSETS:
        if prefix:
            raise UnitError(f'"{name}": a prefix on a temperature scale has no meaning; use K')
        return _Atom(_FACTORS[canonical], _OFFSETS[canonical], _TEMPERATURE, _DIFFERENCE_OF[canonical], False)
    if canonical == "degree_Reaumur":
        raise UnitError(f'"{name}": use degC or K')
    if canonical in _PER_SECOND:
        scale = _pint_root(registry, prefix + "second")[0] if prefix else Fraction(1)
        return _Atom(_PER_SECOND[canonical] * scale, Fraction(0), _FREQUENCY, "", False)
    factor, dimension = _pint_root(registry, _ALIASES.get(name, name))
    return _Atom(factor, Fraction(0), dimension, "", canonical.startswith("delta_"))


def _pint_root(registry: "pint.UnitRegistry[Any]", name: str) -> tuple[Fraction | float, Dimension]:
    root: Any = registry.Quantity(Fraction(1), registry.UnitsContainer({name: Fraction(1)})).to_root_units()
    magnitude: Any = root.magnitude
    exponents = list(_NONE)
    for base, exponent in root.unit_items():
        if base in _ROOTS:
            exponents[_ROOTS[base]] = _as_exponent(exponent)
        elif base != "count":
            raise UnitError(f'"{name}" is not a unit of a physical quantity here (it counts in {base})')
    factor: Fraction | float = magnitude if isinstance(magnitude, float) else Fraction(magnitude)
    return _times(factor, _power(Fraction(1, 1000), exponents[1])), tuple(exponents)


def _times(a: Fraction | float, b: Fraction | float) -> Fraction | float:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    return float(a) * float(b)


def _power(factor: Fraction | float, exponent: Fraction) -> Fraction | float:
    if isinstance(factor, Fraction) and exponent.denominator == 1:
        return Fraction(factor**exponent.numerator)
    return float(float(factor) ** float(exponent))


def _normal_reason(name: str) -> str:
    return (
        f'"{name}" counts gas at a reference state, and there are several (0 degC, 15 degC, 20 degC, 60 degF): '
        "give a molar flow, or say which with "
        'normal_flow("5 Nm3/h", temperature="0 degC", pressure="1.01325 bar")'
    )


def _unknown(name: str) -> str:
    if re.search(r"\d", name):
        spaced = re.sub(r"(\d+)(?=\D)", r"\1 ", name)
        return f'unknown unit "{name}"; separate its parts: "{spaced}", below a fraction bar "/({spaced})"'
    close = nearest(name, [*_COMMON, *_registry()], n=3)
    folded = [c for c in _COMMON if c.lower() == name.lower()]
    close = list(dict.fromkeys([*folded, *close]))[:3]
    return f'unknown unit "{name}"' + (
        "; did you mean " + " or ".join(f'"{c}"' for c in close) + "?" if close else "; write it in SI units"
    )


# Parsing -------------------------------------------------------------------------------------------------------------


def _normalized(text: str) -> str:
    # NFKC: superscripts to digits (an exponent without caret), the micro sign to mu, ℃ to °C, Å and Ω to letters.
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-").strip()
    # "deg C" is no degree times coulomb, and "psi g" no pressure times gram.
    plain = re.sub(r"(?<![a-zA-Z])(?i:deg(?:rees?)?)\s+([CF])(?![a-zA-Z0-9])", r"deg\1", plain)
    plain = re.sub(r"(?<![a-zA-Z])(?i:deg(?:rees?)?)\s+([KR])(?![a-zA-Z0-9])", _absolute_degree, plain)
    plain = re.sub(r"^((?:m|k|M|h)?(?:bar|Pa)|psi)\s+([ag])$", r"\1\2", plain)
    plain = re.sub(r"([Δ∆]|delta[ _]?)\s*(°|deg(?=[CF]))\s*", "delta_deg", plain)
    plain = re.sub(r"°\s*(?=[CFR](?![a-zA-Z]))", "deg", plain)
    return re.sub(r"\b((?:m|k|M|h)?(?:bar|Pa|psi))\s?\(([ag])\)", r"\1\2", plain)


def _absolute_degree(found: re.Match[str]) -> str:
    return "K" if found[1] == "K" else "degR"


def _atoms_of(text: str) -> _Atoms:
    """Return (name, exponent) in the order of the text."""
    plain = _normalized(text)
    if plain in _DIMENSIONLESS:
        return ()
    reader = _Reader(plain, text)
    found = reader.product(top=True)
    reader.expect_end()
    if len(found) == 2 and found[0] == ("U", Fraction(1)) and found[1] in _PER_TIME:
        raise UnitError(
            f'"{text}" can be revolutions (Umdrehungen) or enzyme units per time; write "rpm" for a speed, '
            '"umol/min/min" for the other'
        )
    return tuple(found)


_PER_TIME = tuple((name, Fraction(-1)) for name in ("min", "s", "h"))


class _Reader:
    """One pass over a unit's text: factors joined by "*", "·", a space or "/", with exponents and brackets."""

    def __init__(self, plain: str, declared: str) -> None:
        self.plain, self.declared, self.at = plain, declared, 0

    def fail(self, reason: str) -> Never:
        raise UnitError(f'cannot read the unit "{self.declared}": {reason}')

    def peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self.plain, self.at)

    def expect_end(self) -> None:
        rest = self.plain[self.at :].strip()
        if rest.startswith("-"):
            self.fail(f'"{rest}" starts with a hyphen; join units with "*" or a space')
        if rest:
            self.fail(f'"{rest}" is not part of a unit')

    def product(self, top: bool = False) -> list[tuple[str, Fraction]]:
        found: list[tuple[str, Fraction]] = []
        sign, divided, wants_factor = 1, False, True
        while True:
            token = self.peek()
            kind = token.lastgroup if token else None
            if token is None or kind == "close":
                if wants_factor:
                    self.fail("something is missing" + ("" if token is None else ' before ")"'))
                return found
            if kind == "over" or (kind == "name" and token.group("name") == "per"):
                if wants_factor and not (top and not found and not divided):
                    self.fail('two operators follow each other at "/"')
                self.at, sign, divided, wants_factor = token.end(), -1, True, True
                continue
            if kind == "times":
                if wants_factor:
                    self.fail(f'nothing stands before "{token.group().strip()}"')
                if divided:
                    self.ambiguous()
                self.at, sign, wants_factor = token.end(), 1, True
                continue
            if not wants_factor:  # a space multiplies
                if divided:
                    self.ambiguous()
                sign = 1
            for name, exponent in self.factor(token):
                found.append((name, sign * exponent))
            wants_factor = False

    def ambiguous(self) -> Never:
        self.fail(
            'a product after "/" can be read in two ways; write "W/(m2 K)" or "W/m2/K" if it belongs below the bar'
        )

    def factor(self, token: re.Match[str]) -> list[tuple[str, Fraction]]:
        kind = token.lastgroup
        self.at = token.end()
        if kind == "open":
            inner = self.product()
            closing = self.peek()
            if closing is None or closing.lastgroup != "close":
                self.fail('a ")" is missing')
            self.at = closing.end()
            exponent = self.exponent()
            return [(name, own * exponent) for name, own in inner]
        if kind == "number":
            if float(token.group("number")) != 1.0:  # as a fraction, "1e999999999" would take forever
                self.fail(f'a unit holds no number, and this one has "{token.group("number")[:40]}"')
            return []
        if kind == "exponent":
            self.fail(f'nothing stands before "{token.group().strip()}"')
        name = token.group("name")
        exponent = self.exponent()
        if name in _NORMAL_VOLUMES and _NORMAL_VOLUMES[name][1] == abs(exponent):
            raise UnitError(_normal_reason(f"{name}{abs(exponent)}" if abs(exponent) != 1 else name))
        if name == "Nm" and abs(exponent) != 1:
            self.fail('"Nm" with an exponent can be a normal meter or a newton meter; write "N m"')
        return [] if name in _DIMENSIONLESS else [(name, exponent)]

    def exponent(self) -> Fraction:
        token = self.peek()
        if token is not None and token.lastgroup == "exponent":
            self.at = token.end()
            return self.power(re.sub(r"[\s()^*]", "", token.group()))
        bare = _BARE_EXPONENT.match(self.plain, self.at)
        if bare is None:
            return Fraction(1)
        self.at = bare.end()
        return self.power(bare.group())

    def power(self, digits: str) -> Fraction:
        if len(digits) > 12:  # a tag or a stamp, not a unit; and Python converts no number of 4300 digits
            self.fail(f'"{digits[:12]}..." is no exponent')
        try:
            return Fraction(digits)
        except ZeroDivisionError:
            self.fail(f'"{digits}" is no exponent')


# Unit ----------------------------------------------------------------------------------------------------------------


@final
class Unit:
    """A unit as a person declared it, and its conversion: SI = x*factor + offset.

    Immutable, hashable, cached by text; two units are equal when they convert alike. `text` is the declared text ("1"
    for every spelling of dimensionless), `dimension` the exponents of length, mass, time, temperature, current,
    substance, luminosity and angle. Products and powers drop an offset and keep the factor.

    >>> Unit("degC").to_si(20.0), Unit("degC").to_si(20.0, difference=True)
    (293.15, 20.0)
    >>> Unit("W/m^2") / Unit("degC"), Unit("W/(m2 °C)") == Unit("W/m^2/K")
    (Unit('W/m^2/K'), True)
    """

    __slots__ = ("_atoms", "_divisor", "_hash", "_si_text", "dimension", "factor", "is_difference", "offset", "text")

    text: str
    factor: float
    offset: float
    dimension: Dimension
    is_difference: bool  # a lone delta_degC, delta_degF: an absolute temperature does not fit it
    _atoms: _Atoms
    _divisor: float
    _hash: int
    _si_text: str

    def __new__(cls, text: str) -> "Unit":
        """Return the unit of `text`; raises `UnitError` with the nearest known unit if it cannot be read."""
        if not isinstance(text, str):
            raise UnitError(f"a unit is a text such as 'W/m^2/K', not {text!r}")
        return _unit_of(text)

    @classmethod
    def from_dimension(cls, dimension: Sequence[Fraction | int]) -> "Unit":
        """Return the SI unit (factor 1) of a dimension, under its usual name where it has one.

        >>> (Unit("kg") / Unit("m") / Unit("s") ** 2).dimension == Unit("Pa").dimension
        True
        >>> Unit.from_dimension(Unit("bar/min").dimension), Unit.from_dimension(Unit("atm").dimension)
        (Unit('W/m^3'), Unit('Pa'))
        """
        return _si_unit_of(tuple(dimension))

    @property
    def si_text(self) -> str:
        """The SI unit in which numbers of this unit are held: "K" for degC, "1" for percent."""
        if not self._si_text:
            # N*m stays N*m and Hz stays Hz; what is not made of SI units alone gets the usual name
            si = not self.is_difference and all(_atom(n).factor == 1 and _atom(n).offset == 0 for n, _ in self._atoms)
            object.__setattr__(self, "_si_text", _rendered(self._atoms) if si else _si_unit_of(self.dimension).text)
        return self._si_text

    @property
    def is_dimensionless(self) -> bool:
        """Whether every exponent is zero (so for percent and ppm, not for rad)."""
        return self.dimension == _NONE

    @property
    def is_one(self) -> bool:
        """Whether numbers of this unit are plain numbers: dimensionless with factor 1."""
        return self.factor == 1.0 and self.dimension == _NONE

    @overload
    def to_si(self, x: float, difference: bool = False) -> float: ...
    @overload
    def to_si(self, x: Array, difference: bool = False) -> Array: ...
    def to_si(self, x: float | Array, difference: bool = False) -> float | Array:
        """Return `x` of this unit in SI; a difference never gets the offset."""
        # Division by a whole number is correctly rounded: 1.1 mm is 0.0011 m, not 0.0011000000000000001 m.
        y = x / self._divisor if self._divisor else x * self.factor
        return y if difference or self.offset == 0.0 else y + self.offset

    @overload
    def from_si(self, x: float, difference: bool = False) -> float: ...
    @overload
    def from_si(self, x: Array, difference: bool = False) -> Array: ...
    def from_si(self, x: float | Array, difference: bool = False) -> float | Array:
        """Return the SI number `x` in this unit; a difference never gets the offset."""
        y = x if difference or self.offset == 0.0 else x - self.offset
        return y * self._divisor if self._divisor else y / self.factor

    def difference(self) -> "Unit":
        """Return the unit of differences: K for degC, delta_degF for degF, bar for barg, itself without offset."""
        return self if self.offset == 0.0 else _from_atoms(_without_offset(self._atoms, self.text))

    def __mul__(self, other: "Unit") -> "Unit":
        return _from_atoms((*_without_offset(self._atoms, self.text), *_without_offset(other._atoms, other.text)))

    def __truediv__(self, other: "Unit") -> "Unit":
        return self * other**-1

    def __rtruediv__(self, one: int) -> "Unit":
        return self**-1 if one == 1 else NotImplemented

    def __pow__(self, exponent: int | float | Fraction) -> "Unit":
        power = _as_exponent(exponent)
        return _from_atoms(tuple((n, e * power) for n, e in _without_offset(self._atoms, self.text)))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Unit):
            return NotImplemented
        mine, theirs = (self.factor, self.offset, self.dimension), (other.factor, other.offset, other.dimension)
        return mine == theirs

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return "-" if self.text == "1" else self.text

    def __repr__(self) -> str:
        return f"Unit({self.text!r})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Unit is immutable, {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Unit is immutable, {name} cannot be deleted")

    def __reduce__(self) -> tuple[object, ...]:
        return Unit, (self.text,)

    def __copy__(self) -> "Unit":
        return self

    def __deepcopy__(self, memo: object) -> "Unit":
        return self


def _as_exponent(exponent: int | float | Fraction) -> Fraction:
    power = Fraction(exponent).limit_denominator(1000)
    if abs(float(power) - float(exponent)) > 1e-12:
        raise UnitError(f"a unit has no power {exponent}: it is not a simple fraction")
    return power


@lru_cache(maxsize=8192)
def _unit_of(text: str) -> Unit:
    declared = " ".join(text.split())
    return _build("1" if _normalized(declared) in _DIMENSIONLESS else declared, _atoms_of(declared))


@lru_cache(maxsize=8192)
def _from_atoms(atoms: _Atoms) -> Unit:
    merged: dict[str, Fraction] = {}
    for name, exponent in atoms:
        merged[name] = merged.get(name, Fraction(0)) + exponent
    kept = tuple((name, exponent) for name, exponent in merged.items() if exponent != 0)
    return _build(_rendered(kept), kept)


def _rendered(atoms: Iterable[tuple[str, Fraction]]) -> str:
    above: list[str] = []
    below: list[str] = []
    for name, exponent in atoms:
        size = abs(exponent)
        power = "" if size == 1 else f"^{size}" if size.denominator == 1 else f"^({size})"
        (above if exponent > 0 else below).append(name + power)
    return "/".join(["*".join(above) or "1", *below])


def _without_offset(atoms: _Atoms, text: str) -> _Atoms:
    """Replace affine temperatures by their differences; gauge pressures only where they stand alone."""
    if all(_atom(name).offset == 0 for name, _ in atoms):
        return atoms
    if len(atoms) > 1 or atoms[0][1] != 1:
        for name, _ in atoms:
            if name in _GAUGE:
                raise UnitError(
                    f'"{text}": a gauge pressure has an offset and makes no sense in a compound unit; '
                    f'write "{text.replace(name, _GAUGE[name])}"'
                )
    return tuple((_atom(name).difference or name, exponent) for name, exponent in atoms)


def _build(text: str, atoms: _Atoms) -> Unit:
    offset = Fraction(0)
    is_difference = False
    if len(atoms) == 1 and atoms[0][1] == 1:
        alone = _atom(atoms[0][0])
        offset, is_difference = alone.offset, alone.is_delta
    else:
        atoms = _without_offset(atoms, text)
    exact: Fraction | float = Fraction(1)
    dimension = list(_NONE)
    for name, exponent in atoms:
        if abs(exponent) > _GREATEST_POWER:
            raise UnitError(f'"{text}": no unit has the power {exponent}')
        atom = _atom(name)
        try:
            exact = _times(exact, _power(atom.factor, exponent))
            size = float(exact)
        except OverflowError:
            size = math.inf
        if not 1e-300 < size < 1e300:
            raise UnitError(f'"{text}": the factor to SI is beyond what a number can be')
        for i, own in enumerate(atom.dimension):
            if own:
                dimension[i] += own * exponent
    divisor = 0.0
    if isinstance(exact, Fraction) and exact.numerator == 1 and 1 < exact.denominator <= 2**53:
        divisor = float(exact.denominator)
    made = object.__new__(Unit)
    fields = {
        "text": text,
        "factor": float(exact),
        "offset": float(offset),
        "dimension": tuple(dimension),
        "is_difference": is_difference,
        "_atoms": atoms,
        "_divisor": divisor,
        "_si_text": "",
    }
    for field, value in fields.items():
        object.__setattr__(made, field, value)
    object.__setattr__(made, "_hash", hash((made.factor, made.offset, made.dimension)))
    return made


# The usual names of SI units, in the order of preference where two have one dimension (Pa before J/m^3).
_NAMED = [
    "N", "Pa", "J", "W", "V", "ohm", "C", "F", "H", "T", "Wb", "W/m^2", "W/m^2/K", "W/m/K", "W/K", "K/W", "m^2*K/W",
    "W/m^3", "W/m^2/K^4", "J/K", "J/kg", "J/kg/K", "J/mol", "J/mol/K", "J/m^3/K", "Pa*s", "mol/m^3", "mol/s",
    "mol/m^3/s", "mol/m^2/s", "kg/m^3", "kg/s", "N/m", "V/m", "W/kg", "Pa/m", "1/Pa", "m^3/s", "m^2/s", "m/s",
    "m/s^2", "rad/s",
]  # fmt: skip


@lru_cache(maxsize=1)
def _named_units() -> dict[Dimension, Unit]:
    named: dict[Dimension, Unit] = {}
    for text in _NAMED:
        named.setdefault(Unit(text).dimension, Unit(text))
    return named


@lru_cache(maxsize=4096)
def _si_unit_of(dimension: tuple[Fraction | int, ...]) -> Unit:
    if len(dimension) != len(BASES):
        raise UnitError(f"a dimension has {len(BASES)} exponents ({', '.join(BASES)}), not {len(dimension)}")
    if dimension == _NONE:
        return Unit("1")
    exponents = tuple(Fraction(e) for e in dimension)
    known = _named_units().get(exponents)
    if known is not None:
        return known
    # kg before m: "kg*m/s^2", as it is spoken
    order = (1, 0, 2, 3, 4, 5, 6, 7)
    return _from_atoms(tuple((_BASE_UNITS[i], exponents[i]) for i in order if exponents[i] != 0))


def dimension_text(dimension: Dimension) -> str:
    """Return a dimension in words.

    >>> dimension_text(Unit("W/m^2/K").dimension)
    'mass/time^3/temperature'
    """
    if tuple(dimension) == _NONE:
        return "dimensionless"
    order = (1, 0, 2, 3, 4, 5, 6, 7)
    return _rendered((BASES[i], dimension[i]) for i in order if dimension[i] != 0)


def unit(text_or_unit: "str | Unit | pint.Unit") -> Unit:
    """Return the `Unit` of a text, a `Unit` or a pint unit."""
    if isinstance(text_or_unit, Unit):
        return text_or_unit
    if isinstance(text_or_unit, str):
        return _unit_of(text_or_unit)
    if _is_pint(text_or_unit, "Unit"):
        return _unit_of(f"{text_or_unit:D}")
    raise UnitError(f"a unit is a text such as 'W/m^2/K', not {text_or_unit!r}")


def scales_in(unit: Unit) -> tuple[str, ...]:
    """Return the temperature scales that a unit's text names; in a compound or as a difference they lose their offset.

    >>> scales_in(Unit("degC*min")), scales_in(Unit("K*min"))
    (('degC',), ())
    """
    atoms = [(name, _atom(name)) for name, _ in _atoms_of(unit.text)]
    return tuple(name for name, atom in atoms if atom.dimension == _TEMPERATURE and (atom.offset or atom.is_delta))


def _is_pint(x: object, kind: str) -> bool:
    # Nobody holds a pint object before pint is imported: asking sys.modules keeps our own import lazy.
    module = sys.modules.get("pint")
    return module is not None and isinstance(x, getattr(module, kind))


# Quantities ----------------------------------------------------------------------------------------------------------


def parse(quantity: QuantityLike) -> tuple[float, Unit]:
    """Return number and unit, read apart; a bare number is dimensionless.

    >>> parse("-3.5e-2 W/m^2/K")
    (-0.035, Unit('W/m^2/K'))
    """
    number, given = _read(quantity)
    return number, Unit("1") if given is None else given


@lru_cache(maxsize=16384)
def _read_text(text: str) -> tuple[float, Unit | None]:
    plain = text.replace("−", "-")
    match = _NUMBER.match(plain)
    if match is None:
        raise UnitError(f'"{text}" does not begin with a number; a quantity reads "850 kg"')
    digits, rest = match.group(1), plain[match.end() :].strip()
    number = float(digits.replace("∞", "inf"))
    if re.match(r",\s?[0-9]", rest):
        raise UnitError(f'"{text}": a comma can be a decimal or a thousands sign; write a point, or no comma')
    if re.match(r"[_'][0-9]|[0-9]", rest) and not re.match(r"1\s*(?:/|$)", rest):
        raise UnitError(f'"{text}": digits after the number; write it without gaps, such as "1000 kg"')
    if re.match(r"[x×*·]\s*10(\^|\*\*|[⁰¹²³⁴-⁹⁻])", rest):
        raise UnitError(f'"{text}": write powers of ten as "5e3 kg"')
    return number, _unit_of(rest) if rest else None


def _read(quantity: object) -> tuple[float, Unit | None]:
    """Return number and unit, None where the quantity has no unit."""
    kind = type(quantity)
    if kind is float or kind is int:
        return float(quantity), None  # type: ignore[arg-type]
    if isinstance(quantity, str):
        return _read_text(quantity)
    if isinstance(quantity, bool | np.bool_):
        raise UnitError(f"{quantity} is a truth value, not a number")
    if isinstance(quantity, tuple | list):
        if len(quantity) == 2 and (isinstance(quantity[1], str | Unit) or _is_pint(quantity[1], "Unit")):
            number, inner = _read(quantity[0])
            if inner is not None:
                raise UnitError(f"{quantity!r} has two units; write (number, unit)")
            return number, unit(quantity[1])
        raise ShapeError(f"one quantity is expected, not {_shown(quantity)}")
    if isinstance(quantity, np.ndarray):
        if quantity.ndim:
            raise ShapeError(f"one quantity is expected, not an array of shape {quantity.shape}")
        return _read(quantity[()])
    if isinstance(quantity, numbers.Real):
        return float(quantity), None
    if _is_pint(quantity, "Quantity"):
        number, _ = _read(quantity.magnitude)  # type: ignore[attr-defined]
        return number, unit(quantity.units)  # type: ignore[attr-defined]
    if quantity is None:
        raise UnitError("no value was given (None)")
    raise UnitError(f'{_shown(quantity)} is not a quantity; write "850 kg" or (850, "kg")')


def _shown(quantity: object) -> str:
    if isinstance(quantity, str):
        return f'"{quantity}"'
    if isinstance(quantity, tuple) and len(quantity) == 2 and isinstance(quantity[1], str | Unit):
        return f'"{quantity[0]} {quantity[1]}"'
    if isinstance(quantity, float | np.floating):
        return f"{quantity:.10g}"
    text = str(quantity) if isinstance(quantity, numbers.Number) or _is_pint(quantity, "Quantity") else repr(quantity)
    return text if len(text) <= 80 else text[:77] + "..."


def _named(name: str, error: PhysicsTwinError) -> PhysicsTwinError:
    return type(error)(f"{name}: {error}")


def missing_unit(name: str, quantity: object, expected: Unit) -> UnitError:
    """Return the error for a quantity without a unit where one of the dimension of `expected` is needed."""
    number = _shown(quantity).strip('"')
    if isinstance(quantity, np.ndarray | list | tuple) or len(number) > 24:
        number, example = "an array", "(values, " + f'"{expected.text}")'
    else:
        example = f'"{number} {expected.text}"'
    return UnitError(
        f"{name}: {number} has no unit; give it one of the dimension of {expected.text}, for example {example}"
    )


def wrong_dimension(name: str, quantity: object, given: Unit, expected: Unit) -> UnitError:
    """Return the error for a quantity in `given` where the dimension of `expected` is needed; it names both.

    `quantity` is shown as it was written; None if there is only the unit to show.
    """
    what = f"{_shown(quantity)} is in" if quantity is not None else "is in"
    return UnitError(
        f"{name}: {what} {given} ({dimension_text(given.dimension)}), but a unit like {expected} "
        f"({dimension_text(expected.dimension)}) is expected{_hint(given, expected)}"
    )


def _hint(given: Unit, expected: Unit) -> str:
    names = {name for name, _ in given._atoms}
    wants_temperature = expected.dimension[3] != 0 and given.dimension[3] == 0
    if wants_temperature and "C" in names:
        return '; "C" is the coulomb, degrees Celsius are "degC"'
    if wants_temperature and "F" in names:
        return '; "F" is the farad, degrees Fahrenheit are "degF"'
    quotient = tuple(e - g for e, g in zip(expected.dimension, given.dimension, strict=True))
    if quotient[:7] == _NONE[:7]:
        verb = "multiply" if quotient[7] > 0 else "divide"
        if _FREQUENCY[2] in (given.dimension[2], expected.dimension[2]):
            power = "" if abs(quotient[7]) == 1 else f" to the power {abs(quotient[7])}"
            return (
                "; a frequency is not an angular velocity and an angle is a dimension of its own here: "
                f"{verb} by 2*pi rad explicitly{power}"
            )
        return f"; an angle is a dimension of its own here: {verb} by 1 rad explicitly"
    if tuple(-e for e in expected.dimension) == given.dimension:
        return "; it looks upside down"
    substance = quotient[:5] + quotient[6:]
    if quotient[5] != 0 and quotient[1] == -quotient[5] and not any(e for i, e in enumerate(substance) if i != 1):
        return "; divide or multiply by the molar mass"
    return ""


def to_si(
    quantity: QuantityLike, unit: Unit, *, name: str, difference: bool = False, allow_infinite: bool = False
) -> float:
    """Return a quantity in SI, checked against the dimension of `unit`.

    `difference` says that it is a difference (a noise, a tolerance, a bias): degC, degF and gauge pressures then keep
    their factor and lose their offset; so they do where `unit` itself is a difference (delta_degC). A bare number is
    accepted only where `unit` is "1". Raises `UnitError` (its text begins with `name`), `ShapeError` for an array.

    >>> to_si("20 degC", Unit("K"), name="ambient_temperature")
    293.15
    >>> to_si("2 degC", Unit("degC"), name="noise", difference=True)
    2.0
    """
    try:
        number, given = _read(quantity)
    except (UnitError, ShapeError) as error:
        raise _named(name, error) from None
    return _checked(number, given, quantity, unit, name, difference, allow_infinite)


def _checked(
    number: float,
    given: Unit | None,
    quantity: object,
    expected: Unit,
    name: str,
    difference: bool,
    allow_infinite: bool,
) -> float:
    if given is None:
        if not expected.is_one:
            raise missing_unit(name, quantity, expected)
        given = expected
    elif given.dimension != expected.dimension:
        raise wrong_dimension(name, quantity, given, expected)
    value = _converted(number, given, expected, difference, name, quantity)
    if not math.isfinite(value) and not (allow_infinite and math.isinf(value)):
        raise UnitError(f"{name}: {_shown(quantity)} is not a finite number")
    return value


def _converted(number: float, given: Unit, expected: Unit, difference: bool, name: str, quantity: object) -> float:
    is_difference = difference or expected.is_difference
    if given.offset == 0.0 or is_difference:
        if given.is_difference and not is_difference and expected.offset != 0.0:
            raise UnitError(
                f"{name}: {_shown(quantity)} is a difference, but an absolute value such as "
                f'"{number:g} {expected.text}" is expected'
            )
        return given.to_si(number, True)
    value = given.to_si(number)
    if value < -1e-9:  # 1e-9 lets -459.67 degF pass, which rounding puts a hair below 0 K
        raise UnitError(
            f"{name}: {_shown(quantity)} lies below {'absolute zero' if given.dimension[3] else 'vacuum'}; "
            "if it is a difference, write it in "
            f"{given.difference().text}"
        )
    return value


def to_si_array(values: object, unit: Unit, *, name: str, difference: bool = False, allow_nan: bool = False) -> Array:
    """Return quantities in SI as a new array of at least one dimension, checked against the dimension of `unit`.

    `values` is a list of quantities ("5 K", (5, "K")), a pair (array, "K"), a pint array, or an xarray DataArray with
    `units` among its attributes; bare numbers only where `unit` is "1". `allow_nan` lets NaN through, where it means
    "not measured"; infinite numbers are always refused. Raises `UnitError`.
    """
    return np.atleast_1d(_array(values, unit, name, difference, allow_nan, bare_is_declared=False))


def _array(
    values: object, expected: Unit, name: str, difference: bool, allow_nan: bool, bare_is_declared: bool
) -> Array:
    given: Unit | None = None
    numbers_: object = values
    try:
        if isinstance(values, str):
            number, given = _read_text(values)
            numbers_ = number
        elif (
            isinstance(values, tuple | list)
            and len(values) == 2
            and not isinstance(values[0], str)
            and (isinstance(values[1], str | Unit) or _is_pint(values[1], "Unit"))
            and not (isinstance(values[0], tuple) and any(isinstance(v, str) for v in values[0]))
        ):
            numbers_, given = values[0], _as_unit(values[1])
        elif _is_pint(values, "Quantity"):
            numbers_, given = values.magnitude, _as_unit(values.units)  # type: ignore[attr-defined]
        elif isinstance(values, list | tuple) and any(
            isinstance(v, str | tuple) or _is_pint(v, "Quantity") for v in values
        ):
            return np.array(
                [
                    _element(v, expected, f"{name}[{i}]", difference, allow_nan, bare_is_declared)
                    for i, v in enumerate(values)
                ],
                dtype=np.float64,
            )
        elif isinstance(attributes := getattr(values, "attrs", None), dict) and "units" in attributes:
            given = _as_unit(attributes["units"])
    except (UnitError, ShapeError) as error:
        raise error if str(error).startswith(name) else _named(name, error) from None
    array = _floats(numbers_, name)
    if given is None:
        if not (bare_is_declared or expected.is_one):
            raise missing_unit(name, values, expected)
        given = expected
    elif given.dimension != expected.dimension:
        raise wrong_dimension(name, None, given, expected)
    is_difference = difference or expected.is_difference
    if given.is_difference and not is_difference and expected.offset != 0.0:
        raise UnitError(f"{name}: values in {given} are differences, but absolute values in {expected} are expected")
    result = np.asarray(given.to_si(array, is_difference), dtype=np.float64)
    _require_finite(result, name, allow_nan)
    if given.offset != 0.0 and not is_difference and np.any(result < -1e-9):
        raise UnitError(f"{name}: {given.from_si(float(np.nanmin(result))):.6g} {given} lies below absolute zero")
    return result


def _element(
    value: object, expected: Unit, name: str, difference: bool, allow_nan: bool, bare_is_declared: bool
) -> float:
    number, given = _read(value)
    if allow_nan and math.isnan(number):
        return math.nan
    if given is None and bare_is_declared:
        given = expected
    return _checked(number, given, value, expected, name, difference, False)


def _as_unit(x: object) -> Unit:
    return unit(x)  # type: ignore[arg-type]


def _floats(values: object, name: str) -> Array:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name}: not an array of numbers ({error})") from None
    if array.dtype == np.bool_:
        raise UnitError(f"{name}: truth values are not numbers")
    if array.dtype.kind not in "fiu":
        try:
            if array.dtype.kind not in "O":
                raise TypeError(f"its type is {array.dtype}")
            return np.array([_read_plain(v) for v in array.ravel()], dtype=np.float64).reshape(array.shape)
        except (TypeError, ValueError) as error:
            raise UnitError(f"{name}: not an array of numbers ({error})") from None
    return np.array(array, dtype=np.float64)


def _read_plain(value: object) -> float:
    if value is None:
        return math.nan
    number, given = _read(value)
    if given is not None:
        raise UnitError(f"{_shown(value)} stands among bare numbers")
    return number


def _require_finite(array: Array, name: str, allow_nan: bool) -> None:
    bad = np.isinf(array) if allow_nan else ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0]) if array.ndim else ()
        where = f" at index {first[0] if len(first) == 1 else first}" if first else ""
        raise UnitError(f"{name}: {array[first]} is not a finite number{where}")


@overload
def in_unit(
    x: QuantityLike, unit: Unit, *, name: str, difference: bool = False, allow_infinite: bool = False
) -> float: ...
@overload
def in_unit(
    x: list[Any] | np.ndarray[Any, Any],
    unit: Unit,
    *,
    name: str,
    difference: bool = False,
    allow_infinite: bool = False,
) -> Array: ...
def in_unit(
    x: object, unit: Unit, *, name: str, difference: bool = False, allow_infinite: bool = False
) -> float | Array:
    """Return in SI what stands right beside its declared unit: bare numbers are taken in `unit`.

    Quantities with a unit are converted as by `to_si`. A list or an array gives an array.

    >>> in_unit(880, Unit("degC"), name="soak_temperature")
    1153.15
    """
    if isinstance(x, list) or (isinstance(x, np.ndarray) and x.ndim > 0):
        return _array(x, unit, name, difference, False, bare_is_declared=True)
    try:
        number, given = _read(x)
    except (UnitError, ShapeError) as error:
        raise _named(name, error) from None
    return _checked(number, unit if given is None else given, x, unit, name, difference, allow_infinite)


def seconds(times: object, *, name: str = "times") -> Array:
    """Return times in s as an array `(n_times,)`; bare numbers are seconds, the one exception to the rule.

    Accepts numbers, "90 min", (array, "min"), pint arrays, lists that mix them, and time deltas.

    >>> seconds([0, "1 min", (2, "h")])
    array([   0.,   60., 7200.])
    """
    if isinstance(times, datetime.timedelta):
        return np.array([times.total_seconds()])
    if isinstance(times, np.timedelta64) or (isinstance(times, np.ndarray) and times.dtype.kind == "m"):
        return _whole_seconds(np.atleast_1d(times), name)
    if isinstance(times, list | tuple) and times and all(isinstance(t, datetime.timedelta) for t in times):
        return np.array([t.total_seconds() for t in times])
    array = np.atleast_1d(_array(times, Unit("s"), name, False, False, bare_is_declared=True))
    if array.ndim != 1:
        raise ShapeError(f"{name}: one row of times is expected, not an array of shape {array.shape}")
    return array


def _whole_seconds(deltas: np.ndarray[Any, Any], name: str) -> Array:
    if np.isnat(deltas).any():
        raise UnitError(f"{name}: a time delta is missing (NaT)")
    return np.asarray(deltas / np.timedelta64(1, "s"), dtype=np.float64)


def format_si(x: float, unit: Unit, digits: int = 4, difference: bool = False) -> str:
    """Return an SI number for people: in `unit`, with `digits` significant digits and at least all before the point.

    >>> format_si(1148.15, Unit("degC")), format_si(2.0, Unit("degC"), difference=True), format_si(0.5, Unit("%"))
    ('875 degC', '2 K', '50 %')
    """
    shown = unit.difference() if difference else unit
    text = format_number(float(unit.from_si(float(x), difference or unit.is_difference)), digits)
    return text if shown.text == "1" else f"{text} {shown.text}"


def format_number(x: float, digits: int = 4) -> str:
    """Return a number with `digits` significant digits, plain between 1e-3 and 1e6; whole numbers are never cut.

    >>> format_number(12345.678), format_number(5.93e-05), format_number(0.25)
    ('12346', '5.93e-05', '0.25')
    """
    if x == 0.0 or not math.isfinite(x):
        return f"{x + 0.0:g}"
    if not 1e-3 <= abs(x) < 1e6:
        return f"{x:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(x))))
    text = f"{x:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def normal_flow(
    text: str | tuple[float, str], *, temperature: QuantityLike, pressure: QuantityLike
) -> tuple[float, str]:
    """Return a gas flow at a reference state as a molar flow (value, "mol/s"), by the ideal gas law.

    `text` is a volume flow such as "5 Nm3/h", "2 slpm", "30 sccm", "10 scfm" or plain "5 m3/h"; the reference state has
    no default, since "normal" means different states to different vendors. Raises `UnitError`.

    >>> value, unit_text = normal_flow("5 Nm3/h", temperature="0 degC", pressure="1.01325 bar")
    >>> round(value, 6), unit_text
    (0.061965, 'mol/s')
    """
    name = "normal_flow"
    if isinstance(text, str):
        match = _NUMBER.match(text)
        if match is None:
            raise UnitError(f'{name}: "{text}" does not begin with a number; it reads "5 Nm3/h"')
        number, unit_text = float(match.group(1)), text[match.end() :].strip()
    else:
        number, unit_text = float(text[0]), str(text[1])
    volume_flow = to_si((number, _plain_volume(unit_text)), Unit("m^3/s"), name=name)
    kelvin = to_si(temperature, Unit("K"), name=f"{name}: temperature")
    pascal = to_si(pressure, Unit("Pa"), name=f"{name}: pressure")
    if kelvin <= 0.0 or pascal <= 0.0:
        raise UnitError(f"{name}: a reference state of {kelvin:g} K and {pascal:g} Pa holds no gas")
    return pascal * volume_flow / (_GAS_CONSTANT * kelvin), "mol/s"


def _plain_volume(unit_text: str) -> str:
    plain = _normalized(unit_text)
    for written, (volume, _) in sorted(_NORMAL_VOLUMES.items(), key=lambda item: -len(item[0])):
        if volume and re.match(rf"{written}(?![A-Za-z])", plain):
            return volume + plain[len(written) :]
    return plain
