"""Quantities as the person wrote them: read when they are given, and repeated word for word in an error."""

from physics_twin.errors import ShapeError, UnitError
from physics_twin.units import QuantityLike, parse


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
