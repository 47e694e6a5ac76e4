"""Files of earlier formats, brought to the present one step by step.

Each step takes the packed content of one version and returns that of the next. A step is never changed once a library
that needs it is released; tests keep a file of every version.
"""

from collections.abc import Callable, Mapping

from physics_twin.errors import FileFormatError
from physics_twin.twin.packing import Packed

type Step = Callable[[Packed], Packed]

STEPS: Mapping[int, Step] = {}
"""Version -> what makes the next version of it. Version 1 is the first."""


def migrated(packed: Packed, version: int, present: int, steps: Mapping[int, Step] = STEPS) -> Packed:
    """The content as the present version has it; raises FileFormatError for a version that nothing leads on from."""
    for older in range(version, present):
        if older not in steps:
            raise FileFormatError(f"its format version {older} is older than any that this library reads")
        packed = steps[older](packed)
    return packed
