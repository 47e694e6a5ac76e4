"""Where the sensors of an array sit: thermocouples along a rod, the pixels of a camera line, a cloud of points."""

from dataclasses import dataclass

from physics_twin.errors import DataError, check_name
from physics_twin.units import QuantityLike, Unit, to_si

__all__ = ["Place"]

_METER = Unit("m")


@dataclass(frozen=True, init=False)
class Place:
    """A place in an array of like sensors: `Place("rod", "10 cm")`, `Place("camera_x", "12 mm", "3 mm")`.

    array: what the sensors have in common; a calibration looks for correlation along the array and draws its channels
    as one profile or map. coordinates: one to three lengths; read back, they are in m.

    Raises DataError for another number of coordinates, UnitError for one that is no length.

    >>> Place("rod", "10 cm").coordinates
    (0.1,)
    """

    array: str
    coordinates: tuple[float, ...]

    def __init__(self, array: str, *coordinates: QuantityLike) -> None:
        check_name("array", array)
        if not 1 <= len(coordinates) <= 3:
            raise DataError(f'a place in the array "{array}" has {len(coordinates)} coordinates; give one to three')
        object.__setattr__(self, "array", array)
        places = tuple(to_si(x, _METER, name=f"place in {array}") for x in coordinates)
        object.__setattr__(self, "coordinates", places)
