"""What a tolerance class promises of a new sensor: limits of error of thermocouples and platinum thermometers.

Thermocouples: IEC 60584-1:2013, table of tolerances (the numbers are those of IEC 60584-2:1982 with amendment 1:1989,
which it replaced), for wires as delivered and a reference junction at 0 degC. Platinum resistance thermometers:
IEC 60751:2008, tables of tolerance classes for thermometers with wire-wound and with film resistors; the edition of
2022 keeps the formulas.

A class says nothing of drift in use: a thermocouple of type K that has spent a year at 1100 degC is outside of it.
"""

from dataclasses import dataclass

from physics_twin.errors import BoundsError, DataError, unknown_name

__all__ = ["Tolerance", "pt100_tolerance", "thermocouple_tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """The limit of error of a class: the greater of `constant` and `share` * |t|, or their sum where `added`.

    name: with its standard. constant: degC. share: per degC. low, high: where the class holds, degC. above: for types
    R and S of class 1 the share counts from this temperature on, degC, and is added.
    """

    name: str
    constant: float
    share: float
    low: float
    high: float
    added: bool = False
    above: float | None = None

    def limit(self, celsius: float) -> float:
        """Return the limit of error in K at a temperature in degC. Raises BoundsError outside the range of the class.

        >>> thermocouple_tolerance("K", 1).limit(850.0)
        3.4
        """
        if not self.low <= celsius <= self.high:
            raise BoundsError(
                f"{celsius:g} degC is outside {self.low:g} to {self.high:g} degC, where {self.name} holds; state the "
                "uncertainty of the certificate instead"
            )
        if self.above is not None:
            return self.constant + self.share * max(0.0, celsius - self.above)
        if self.added:
            return self.constant + self.share * abs(celsius)
        return max(self.constant, self.share * abs(celsius))


# Letter -> class -> (constant in degC, share of |t|, low, high in degC); class 1 of R and S is special below.
_THERMOCOUPLES: dict[str, dict[int, tuple[float, float, float, float]]] = {
    "T": {1: (0.5, 0.004, -40, 350), 2: (1.0, 0.0075, -40, 350), 3: (1.0, 0.015, -200, 40)},
    "E": {1: (1.5, 0.004, -40, 800), 2: (2.5, 0.0075, -40, 900), 3: (2.5, 0.015, -200, 40)},
    "J": {1: (1.5, 0.004, -40, 750), 2: (2.5, 0.0075, -40, 750)},
    "K": {1: (1.5, 0.004, -40, 1000), 2: (2.5, 0.0075, -40, 1200), 3: (2.5, 0.015, -200, 40)},
    "N": {1: (1.5, 0.004, -40, 1000), 2: (2.5, 0.0075, -40, 1200), 3: (2.5, 0.015, -200, 40)},
    "R": {1: (1.0, 0.003, 0, 1600), 2: (1.5, 0.0025, 0, 1600)},
    "S": {1: (1.0, 0.003, 0, 1600), 2: (1.5, 0.0025, 0, 1600)},
    "B": {2: (1.5, 0.0025, 600, 1700), 3: (4.0, 0.005, 600, 1700)},
}
_NOBLE = 1100.0  # class 1 of R and S: 1 degC up to here, and 0.003 of what lies above more

# Class -> (constant in degC, share of |t|), then the range by the make of the resistor.
_PT100 = {"AA": (0.1, 0.0017), "A": (0.15, 0.002), "B": (0.3, 0.005), "C": (0.6, 0.01)}
_PT100_RANGES: dict[bool, dict[str, tuple[float, float]]] = {
    False: {"AA": (-50, 250), "A": (-100, 450), "B": (-196, 600), "C": (-196, 600)},  # wire-wound
    True: {"AA": (0, 150), "A": (-30, 300), "B": (-50, 500), "C": (-50, 600)},  # film
}


def thermocouple_tolerance(type: str, tolerance_class: int) -> Tolerance:
    """Return the tolerance of a thermocouple; type: letter K, J, N, T, E, R, S or B; tolerance_class: 1, 2 or 3.

    Raises UnknownNameError for another letter, DataError for a class that the type does not have.
    """
    if type not in _THERMOCOUPLES:
        raise unknown_name("thermocouple type", type, _THERMOCOUPLES)
    classes = _THERMOCOUPLES[type]
    if tolerance_class not in classes:
        known = " and ".join(map(str, classes)) if len(classes) == 2 else ", ".join(map(str, classes))
        raise DataError(f"IEC 60584-1 has no class {tolerance_class} for type {type}, only {known}")
    constant, share, low, high = classes[tolerance_class]
    noble = type in ("R", "S") and tolerance_class == 1
    name = f"type {type}, class {tolerance_class} (IEC 60584-1)"
    return Tolerance(name, constant, share, low, high, above=_NOBLE if noble else None)


def pt100_tolerance(tolerance_class: str, *, film: bool = False) -> Tolerance:
    """Return the tolerance of a platinum thermometer; tolerance_class: AA, A, B or C; film: not wire-wound.

    Raises UnknownNameError for another class.

    >>> pt100_tolerance("A").limit(100.0)
    0.35
    """
    if tolerance_class not in _PT100:
        raise unknown_name("tolerance class of IEC 60751", tolerance_class, _PT100)
    constant, share = _PT100[tolerance_class]
    low, high = _PT100_RANGES[film][tolerance_class]
    name = f"Pt100, class {tolerance_class}, {'film' if film else 'wire-wound'} (IEC 60751)"
    return Tolerance(name, constant, share, low, high, added=True)
