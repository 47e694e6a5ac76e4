"""What an export states as the unit of a column, read and compared with the unit that a person declared.

Exports are written by machines that print in capitals, without blanks, or in the words of a country: "DEG C", "M3/H",
"PSIG", "U/min". The grammar of `Unit` would take some of them for something else ("T/H" is a tesla per henry), so the
spellings that mean one thing at every plant stand in a table here. What can mean two things ("C" is the coulomb) is
never read on its own: it is compared with what is declared, and in the first look it is a suggestion.
"""

import math
import re
from dataclasses import dataclass

from physics_twin.errors import PhysicsTwinError, UnitError
from physics_twin.units import Unit, unit as as_unit

__all__ = ["StatedUnit", "compared_unit", "mean_the_same", "read_unit", "same_unit", "without_brackets"]

# Folded as by `_folded`: small letters, no blanks. What changes its size with that of a letter (MPA, MW) is not here,
# for capitals do not say which.
_SPELLINGS = {
    "degc": "degC", "deg.c": "degC", "gradc": "degC", "grdc": "degC", "celsius": "degC", "gradcelsius": "degC",
    "degf": "degF", "deg.f": "degF", "fahrenheit": "degF", "kelvin": "K", "degk": "K", "degr": "degR",
    "rpm": "rpm", "upm": "rpm", "rev/min": "rpm", "tr/min": "rpm", "r/min": "rpm", "1/min": "1/min", "min-1": "1/min",
    "psi": "psi", "psia": "psia", "psig": "psig", "bar": "bar", "bara": "bara", "barabs": "bara", "barg": "barg",
    "mbar": "mbar", "mbara": "mbara", "mbarg": "mbarg", "kpa": "kPa", "kpaa": "kPaa", "kpag": "kPag", "hpa": "hPa",
    "bar(a)": "bara", "bar(g)": "barg", "mbar(a)": "mbara", "mbar(g)": "mbarg", "psi(a)": "psia", "psi(g)": "psig",
    "kpa(a)": "kPaa", "kpa(g)": "kPag", "torr": "torr", "mmhg": "mmHg", "inhg": "inHg", "inh2o": "inH2O",
    "inwc": "inH2O", "inwg": "inH2O", "mmh2o": "mmH2O", "mmwc": "mmH2O", "mmws": "mmH2O", "mmce": "mmH2O",
    "kgf/cm2": "kgf/cm^2", "kgf/cm^2": "kgf/cm^2",
    "gpm": "gpm", "usgpm": "gpm", "u.s.gpm": "gpm", "gal/min": "gpm", "gph": "gph", "gal/h": "gph",
    "gal/hr": "gph", "gpd": "gpd",
    "gal/d": "gpd", "cfm": "cfm", "acfm": "cfm", "ft3/min": "cfm", "cfh": "cfh", "lpm": "L/min", "lph": "L/h",
    "l/min": "L/min", "l/h": "L/h", "l/hr": "L/h", "l/s": "L/s", "m3/h": "m^3/h", "m3/hr": "m^3/h", "cbm/h": "m^3/h",
    "m3/min": "m^3/min", "m3/s": "m^3/s", "m3/d": "m^3/d", "m3": "m^3", "bpd": "bpd",
    "kg/h": "kg/h", "kg/hr": "kg/h", "kg/min": "kg/min", "kg/s": "kg/s", "t/h": "t/h", "t/hr": "t/h", "to/h": "t/h",
    "lb/h": "lb/h", "lb/hr": "lb/h", "lbs/h": "lb/h", "lbs/hr": "lb/h", "pph": "lb/h", "lb/min": "lb/min",
    "klb/h": "klb/h", "klb/hr": "klb/h", "kg": "kg", "lb": "lb", "lbs": "lb", "kg/m3": "kg/m^3",
    "btu/h": "BTU/h", "btu/hr": "BTU/h", "kw": "kW", "kwh": "kWh", "kv": "kV", "kj": "kJ",
    "sec": "s", "min": "min", "hr": "h", "hrs": "h", "pct": "percent", "percent": "percent", "prozent": "percent",
    "ppm": "ppm", "ppb": "ppb", "m/s": "m/s", "m/min": "m/min", "m/h": "m/h", "mm/s": "mm/s", "hz": "Hz", "khz": "kHz",
}  # fmt: skip
_COULOMB = "which is the coulomb, but in an export usually degrees Celsius"
_FARAD = "which is the farad, but in an export usually degrees Fahrenheit"
_TURNS = "which is usually revolutions per minute (Umdrehungen), and could be enzyme units per minute"
_FORCE = "a mass per area, but in an export usually a pressure (kgf/cm^2)"
_LIKELY = {
    "C": ("degC", _COULOMB),
    "F": ("degF", _FARAD),
    "u/min": ("rpm", _TURNS),
    "kg/cm2": ("kgf/cm^2", _FORCE),
    "kg/cm^2": ("kgf/cm^2", _FORCE),
}
_SAME = 1e-9  # relative: a factor that went through decimals is the same one


@dataclass(frozen=True)
class StatedUnit:
    """A text that an export gives as a unit, without brackets around it.

    unit: what it is beyond doubt, None if it can be read in two ways or not at all. likely: what it probably is, None
    where nothing is. reason: why it is not beyond doubt, "" if it is.
    """

    text: str
    unit: Unit | None
    likely: Unit | None = None
    reason: str = ""


def without_brackets(text: str) -> str:
    """Return a unit without a pair of brackets around it: "[bar(g)]" -> "bar(g)", and "bar(g)" stays."""
    text = " ".join(text.split())
    while len(text) > 1 and text[0] + text[-1] in ("[]", "()") and not _closes_early(text):
        text = text[1:-1].strip()
    return text


def _closes_early(text: str) -> bool:
    """Whether the bracket that begins a text ends before its end: "(kg)/(h)"."""
    depth = 0
    for k, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if depth == 0:
            return k < len(text) - 1
    return False


def read_unit(text: str) -> StatedUnit:
    """Return what an export states as a unit; the text must not be empty. Nothing is raised for an unreadable one."""
    text = without_brackets(text)
    folded = _folded(text)
    doubtful = _LIKELY.get(text) or _LIKELY.get(folded)
    if doubtful is not None:
        likely, why = doubtful
        return StatedUnit(text, None, as_unit(likely), f'"{text}", {why}')
    known = as_unit(_SPELLINGS[folded]) if folded in _SPELLINGS else None
    try:
        exact = as_unit(text)
    except PhysicsTwinError as error:
        return StatedUnit(text, known, None, "" if known is not None else str(error))
    return StatedUnit(text, exact if known is None or same_unit(exact, known) else known)


def compared_unit(stated: str, declared: Unit, where: str, *, accepted: str | None = None, remedy: str = "") -> str:
    """Compare what an export states with what is declared; return a note, "" where both say the same.

    stated: "" if nothing. where: begins the error. accepted: a text of the export that a person declared to mean
    `declared`. remedy: how to overrule the export, for the error.

    Raises UnitError where the export states another unit.
    """
    text = without_brackets(stated)
    if not text:
        return ""
    if accepted is not None and _folded(text) == _folded(without_brackets(accepted)):
        return f'the export says "{text}"; taken as {declared}, as declared by export_unit'
    read = read_unit(text)
    if read.unit is None and read.likely is None:
        known = "" if read.reason.startswith(("unknown unit", "cannot read")) else f" ({read.reason})"
        return f'the export says "{text}", which cannot be read as a unit{known}; taken as {declared}, as declared'
    if read.unit is not None:
        if same_unit(read.unit, declared):
            return ""
    elif read.likely is not None and (same_unit(read.likely, declared) or _literal_is(text, declared)):
        return f"the export says {read.reason}; taken as {declared}, as declared"
    found = read.unit or read.likely
    assert found is not None
    says = f'"{text}"' if read.unit is not None else read.reason
    message = f'{where}: the export says {says}, and {declared} is declared; declare unit="{found.text}"'
    if found.dimension == declared.dimension and (found.offset != 0.0) != (declared.offset != 0.0):
        gauge = [one for one in (found, declared) if one.offset != 0.0 and one.dimension == as_unit("Pa").dimension]
        if gauge:
            message += f" ({gauge[0]} is above the pressure of the air, the other one is absolute)"
    raise UnitError(message + (f"; {remedy}" if remedy else ""))


def mean_the_same(a: str, b: str) -> bool:
    """Whether two texts of an export are beyond doubt one unit: "DEG C" and "°C"."""
    one, other = (read_unit(text).unit for text in (a, b))
    return one is not None and other is not None and same_unit(one, other)


def same_unit(a: Unit, b: Unit) -> bool:
    """Whether two units convert alike, whatever their spelling."""
    return (
        a.dimension == b.dimension
        and math.isclose(a.factor, b.factor, rel_tol=_SAME)
        and math.isclose(a.offset, b.offset, rel_tol=_SAME)
    )


def _folded(text: str) -> str:
    plain = text.replace("²", "2").replace("³", "3").replace("°", "deg").replace("**", "^")
    plain = re.sub(r"(?i)\bm\^3", "m3", plain)
    plain = re.sub(r"(?i)^degrees?(?=[\s.]*[CFKR]$)", "deg", plain)
    return re.sub(r"\s+", "", plain).casefold()


def _literal_is(text: str, declared: Unit) -> bool:
    try:
        return same_unit(as_unit(text), declared)
    except UnitError:
        return False
