"""In which unit a column probably is: what the export states, what its name says, what its range allows.

A guess is never used for reading; it is shown with its reason, and the person who knows the plant declares the unit.
Letters of tags are those of ISO 14617-6 and ISA 5.1: first what is measured, then what is done with it (TI, PT, LIC).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.measurements.tags.export_units import read_unit, without_brackets
from physics_twin.units import unit as as_unit

__all__ = ["LikelyUnit", "likely_units"]

_FUNCTIONS = "ICTERAYSQDZVHLK"
_LETTERS = re.compile(rf"(?<![A-Za-z])(PD|FF|[TPFLSWJEIADQ])[{_FUNCTIONS}]{{1,4}}(?=[-_ ]?\d)")
_MEASURED = {
    "T": "temperature",
    "P": "pressure",
    "PD": "pressure difference",
    "F": "flow",
    "L": "level",
    "S": "speed",
    "W": "weight",
    "J": "power",
    "E": "voltage",
    "I": "current",
    "D": "density",
    "A": "analysis",
    "Q": "analysis",
}
_DIMENSIONS = {"temperature": "K", "pressure": "Pa", "pressure difference": "Pa", "power": "W"}
_WORDS = {
    "temperature": ("temperatur", "temp"),
    "pressure": ("pressure", "druck", "pression"),
    "flow": ("flow", "durchfluss", "durchfluß", "debit", "débit"),
    "level": ("level", "füllstand", "fuellstand", "niveau"),
    "speed": ("speed", "drehzahl", "vitesse"),
    "weight": ("weight", "gewicht", "poids"),
    "power": ("power", "leistung", "puissance"),
}
_IN_BRACKETS = re.compile(r"[\[(]([^\])]+)[\])]\s*$")
_LAST_WORD = re.compile(r"(?:[_ ]| in )([^\s_]+)$")
# Last words of a header that are units even without brackets: short ones ("h", "s", "in", "C") may be anything.
_PLAIN = re.compile(
    r"deg[CF]|°[CF]|K|m?barg?|[hkM]?Pa|psig?|[kM]?Wh?|kg/[hs]|t/h|m(\^?3|³)/h|[Ll]/(min|h)|kg|mm|percent|pct|%|rpm|"
    r"1/min|Hz|mol/L|m?g/L|ppm|mA|V"
)
_OUTPUT_SUFFIX = re.compile(r"[._](OP|OUT|MV|CO)$", re.IGNORECASE)


@dataclass(frozen=True)
class LikelyUnit:
    """A unit that a column may be in, and why. stated: whether the export says so itself."""

    unit: str
    reason: str
    stated: bool = False


def likely_units(tag: str, stated: str, values: Array) -> tuple[LikelyUnit, ...]:
    """Return the units that a column may be in, the likeliest first; () where nothing speaks for any.

    tag: its name or header. stated: the unit that the export gives, "" if none. values: (n,) what was read, NaN where
    nothing was.
    """
    quantity, reason = _quantity(tag)
    if without_brackets(stated):
        return (_of_text(without_brackets(stated), "the export says so", quantity, reason),)
    in_name = _unit_in_name(tag)
    if in_name is not None:
        return (_of_text(in_name, f'the name ends in "{in_name}"', quantity, reason),)
    seen = values[np.isfinite(values)]
    if quantity is None or not seen.size:
        return ()
    low, high = (float(x) for x in np.quantile(seen, [0.01, 0.99]))
    between = f"and 98 % of the values lie between {low:.4g} and {high:.4g}"
    guesses = _RANGES[quantity](low, high) if quantity in _RANGES else ()
    return tuple(LikelyUnit(unit, f"{reason}, {between}") for unit in guesses)


def _of_text(text: str, source: str, quantity: str | None, reason: str) -> LikelyUnit:
    """Return what a text of the export says; source: where it stands, in words."""
    read = read_unit(text)
    if read.unit is None and read.likely is not None:
        return LikelyUnit(read.likely.text, f"the export says {read.reason}")
    if read.unit is None:
        return LikelyUnit(text, f"{source}, but it is no unit here: {read.reason}", True)
    usual = _DIMENSIONS.get(quantity or "")
    if usual is not None and read.unit.dimension != as_unit(usual).dimension and not read.unit.is_dimensionless:
        return LikelyUnit(text, f"{source}, but {reason}, and that is no unit of {quantity}", True)
    spelled = source if read.unit.text in (text, "1") or source != "the export says so" else f'the export says "{text}"'
    return LikelyUnit(text if read.unit.text == "1" else read.unit.text, spelled, True)


def _unit_in_name(tag: str) -> str | None:
    bracketed, last = _IN_BRACKETS.search(tag), _LAST_WORD.search(tag)
    if bracketed is not None and _is_unit(bracketed[1].strip()):
        return bracketed[1].strip()
    return last[1] if last is not None and _PLAIN.fullmatch(last[1]) else None


def _is_unit(text: str) -> bool:
    if not re.search(r"[^\W\d]|[%°‰]", text):
        return False  # "(1)" numbers a sensor
    read = read_unit(text)
    return read.unit is not None or read.likely is not None


def _quantity(tag: str) -> tuple[str | None, str]:
    """Return what a tag measures as far as its name says, and which part of the name says it."""
    if _OUTPUT_SUFFIX.search(tag):
        return "controller output", f'"{_OUTPUT_SUFFIX.search(tag)[0]}" is a controller output'  # type: ignore[index]
    letters = _LETTERS.search(tag)
    if letters is not None and letters[1] in _MEASURED:
        measured = _MEASURED[letters[1]]
        return measured, f'"{letters[0]}" stands for {measured}'
    small = tag.casefold()
    for measured, words in _WORDS.items():
        for word in words:
            if word in small:
                return measured, f'"{word}" says {measured}'
    return None, ""


def _temperature(low: float, high: float) -> tuple[str, ...]:
    if low >= 255.0 and high < 450.0:
        return ("K", "degC", "degF")
    if low >= 32.0 and high > 120.0 and high < 600.0:
        return ("degC", "degF")
    return ("degC",) if low > -100.0 else ("degC", "K")


def _pressure(low: float, high: float) -> tuple[str, ...]:
    size = max(abs(low), abs(high))
    if size > 2e4:
        return ("Pa",)
    if low > 700.0 and high < 1300.0:
        return ("mbar", "hPa")
    if low > 70.0 and high < 130.0:
        return ("kPa", "bar")
    return ("bar", "barg", "MPa") if size <= 400.0 else ("kPa", "mbar", "psi")


def _level(low: float, high: float) -> tuple[str, ...]:
    if low >= -5.0 and 1.5 < high <= 110.0:
        return ("percent",)
    return ("1", "m") if low >= -0.05 and high <= 1.05 else ("mm", "m")


def _share(low: float, high: float) -> tuple[str, ...]:
    return ("percent",) if low >= -10.0 and 1.5 < high <= 110.0 else ("1",)


_RANGES: dict[str, Callable[[float, float], tuple[str, ...]]] = {
    "temperature": _temperature,
    "pressure": _pressure,
    "pressure difference": _pressure,
    "level": _level,
    "controller output": _share,
    "speed": lambda low, high: ("rpm", "percent") if high <= 110.0 else ("rpm",),
    "weight": lambda low, high: ("kg", "t") if high > 100.0 else ("t", "kg"),
    "power": lambda low, high: ("kW", "W"),
    "voltage": lambda low, high: ("V",),
    "current": lambda low, high: ("A", "mA"),
    "density": lambda low, high: ("kg/m^3",) if high > 50.0 else ("kg/L",),
}
"""Flow and analysis are missing: numbers do not tell kg/h from m^3/h."""
