"""Numbers as people read them: as many digits as the uncertainty leaves, powers of ten written out, minus signs."""

import math

from physics_twin.envelope.digits import decimals, rounded_inward
from physics_twin.parameters import Parameter
from physics_twin.plot_style import unit_text
from physics_twin.report.page import Html, joined, safe
from physics_twin.units import Unit, format_number

PLAIN = (1e-3, 1e5)
"""Magnitudes that are written without a power of ten."""


def power(exponent: int) -> Html:
    """Return " × 10^n" as HTML, nothing for n = 0."""
    return Html(f" × 10<sup>{_minus(str(exponent))}</sup>") if exponent else Html("")


def numeral(x: float, digits: int = 3) -> Html:
    """Return a number with `digits` significant digits.

    >>> numeral(0.000059258), numeral(1e-7), numeral(-12.5)
    ('5.93 × 10<sup>−5</sup>', '1 × 10<sup>−7</sup>', '−12.5')
    """
    if x == 0.0 or not math.isfinite(x) or PLAIN[0] <= abs(x) < PLAIN[1]:
        return Html(_minus(format_number(x, digits)))
    exponent = math.floor(math.log10(abs(x)))
    mantissa = f"{x / 10.0**exponent:.{digits - 1}f}".rstrip("0").rstrip(".")
    return joined([_minus(mantissa), power(exponent)])


def decimals_for(width: float, digits: int = 2) -> int:
    """Return how many decimals show a width (of an interval) with this many digits: 0 or more.

    >>> decimals_for(0.0213), decimals_for(35.0)
    (3, 0)
    """
    if width <= 0.0 or not math.isfinite(width):
        return 3
    return min(9, max(0, digits - 1 - math.floor(math.log10(width))))


def with_interval(value: float, low: float, high: float) -> tuple[Html, Html]:
    """Return a value, and its interval "low to high", with one power of ten and the digits that the interval bears out.

    >>> with_interval(0.00027448, 0.0002019, 0.0003466)
    ('2.74 × 10<sup>−4</sup>', '2.02 to 3.47 × 10<sup>−4</sup>')
    """
    largest = max(abs(value), abs(low), abs(high))
    plain = largest == 0.0 or not math.isfinite(largest) or PLAIN[0] <= largest < PLAIN[1]
    exponent = 0 if plain else math.floor(math.log10(largest))
    scale = 10.0**exponent
    n = decimals_for((high - low) / scale, 3)
    texts = [_minus(f"{x / scale:.{n}f}") for x in (value, low, high)]
    return joined([texts[0], power(exponent)]), joined([f"{texts[1]} to {texts[2]}", power(exponent)])


def quantity(x: float, unit: Unit, digits: int = 3, *, difference: bool = False) -> Html:
    """Return an SI number in `unit`, with the unit."""
    shown = unit.difference() if difference else unit
    return with_unit(numeral(float(unit.from_si(float(x), difference)), digits), shown)


def ranged(low: float, high: float, unit: Unit) -> Html:
    """Return "low to high unit" of two SI numbers."""
    a, b = (float(unit.from_si(float(x))) for x in (low, high))
    small, large = sorted((abs(a), abs(b)))
    if 0.0 < small < 1e-3 * large or not PLAIN[0] <= large < PLAIN[1]:
        return with_unit(joined([numeral(a), " to ", numeral(b)]), unit)
    n = decimals_for(b - a, 3)
    ends = (f"{x:.{n}f}" for x in (a, b))
    return with_unit(Html(_minus(" to ".join(e.rstrip("0").rstrip(".") if "." in e else e for e in ends))), unit)


def inward(low: float, high: float, unit: Unit) -> tuple[Html, Html]:
    """Return the ends of an operating range of SI numbers with its unit, rounded into the range and never out of it.

    The digits are those of the printed envelope and of its export.

    >>> inward(0.8896, 0.99994, Unit("percent"))
    ('88.96 %', '99.99 %')
    """
    first, last = (float(unit.from_si(float(x))) for x in (low, high))
    n, ends = decimals(first, last), rounded_inward(low, high, unit)
    room = all(x == round(x, n) for x in ends) and PLAIN[0] <= max(map(abs, ends)) < PLAIN[1]
    texts = [Html(_minus(f"{x:.{n}f}")) if room else numeral(x, 6) for x in ends]
    low_text, high_text = (with_unit(text, unit) for text in texts)
    return low_text, high_text


def with_unit(number: object, unit: Unit) -> Html:
    """Return a number with its unit; a pure number stands alone."""
    return joined([number] if unit.text == "1" else [number, " ", pretty(unit)])


def pretty(unit: Unit) -> Html:
    """Return a unit for people: "W/m²/K", "°C", "%"; a dash for a pure number."""
    return safe(unit_text(unit) or "–")


def squared(unit: Unit) -> Html:
    """Return the square of a unit.

    >>> squared(Unit("K")), squared(Unit("mol/L")), squared(Unit("percent"))
    ('K²', '(mol/L)²', '(%)²')
    """
    text = unit_text(unit)
    return safe(f"{text}²" if text.isalpha() else f"({text})²")


def own_unit(parameter: Parameter) -> Unit:
    """Return the unit that a parameter is shown in."""
    return parameter.unit.difference() if parameter.difference else parameter.unit


def percent(share: float, digits: int = 3) -> Html:
    """Return a share as a percentage; one that is not quite everything is never rounded up to 100 %.

    >>> percent(0.964), percent(0.99996), percent(1.0)
    ('96.4 %', '> 99.9 %', '100 %')
    """
    text = format_number(100.0 * share, digits)
    if text == "100" and share < 1.0:
        return Html("> 99.9 %")
    return Html(f"{text} %")


def signs(text: str) -> str:
    """Return prose of other parts of the library with the signs of this page: ≥ for >=, % for percent.

    >>> signs("final dimer <= 19 percent")
    'final dimer ≤ 19 %'
    """
    for plain, sign in ((">=", "≥"), ("<=", "≤"), (" percent", " %"), (" degC", " °C")):
        text = text.replace(plain, sign)
    return text


def count(n: int, word: str, plural: str = "") -> str:
    """Return a number of things.

    >>> count(1, "sample"), count(3, "sample"), count(2, "box", "boxes")
    ('1 sample', '3 samples', '2 boxes')
    """
    return f"{n} {word if n == 1 else plural or word + 's'}"


def listed(words: "list[str] | tuple[str, ...]") -> str:
    """Return words as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _minus(text: str) -> str:
    return text.replace("-", "−")


__all__ = [
    "count",
    "decimals_for",
    "inward",
    "listed",
    "numeral",
    "own_unit",
    "percent",
    "power",
    "pretty",
    "quantity",
    "ranged",
    "signs",
    "squared",
    "with_interval",
    "with_unit",
]
