"""Quantities as the person wrote them: read when they are given, and repeated word for word in an error."""

from physics_twin.errors import ShapeError, UnitError
from physics_twin.units import QuantityLike, Unit, parse, scales_in


def as_given(quantity: QuantityLike) -> str:
    """Number and unit as they were given, for messages.

    >>> as_given("-2 min"), as_given((-2.0, "min")), as_given(-0.5)
    ('-2 min', '-2 min', '-0.5')
    """
    if isinstance(quantity, str):
        return quantity
    number, unit = parse(quantity)
    return f"{number:g}" if unit.is_one else f"{number:g} {unit.text}"


def check_quantity(quantity: QuantityLike, name: str) -> None:
    """Raise UnitError (or ShapeError), beginning with `name`, for what is no quantity, whatever its dimension."""
    try:
        parse(quantity)
    except (UnitError, ShapeError) as error:
        raise type(error)(f"{name}: {error}") from None


def check_integral(quantity: QuantityLike, output: Unit, name: str) -> None:
    """Raise UnitError for the integral of a temperature in "degC*min": only kelvin add up over a time.

    In a compound a degree is a difference, so that 12000 degC*min would be 12000 K*min of the absolute temperature, a
    quarter of what was meant. An output that is a difference itself (delta_degC) may have either.
    """
    absolute = output.dimension == Unit("K").dimension and not output.is_difference
    scales = scales_in(parse(quantity)[1])
    if absolute and scales:
        raise UnitError(
            f"{name}: {as_given(quantity)}: {scales[0]} counts from a zero of its own, so it cannot be added up over a "
            'time. If you mean the integral of the absolute temperature, write it in "K*min"; for the excess over a '
            "reference give the model an output for that difference in K, and limit its integral; for what a "
            "temperature has done there are pt.time_above, pt.lethality and pt.equivalent_time"
        )
