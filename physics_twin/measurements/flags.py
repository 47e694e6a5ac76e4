"""Quality flags of samples: the codes of QARTOD (IOOS, Real-Time Quality Control, flag scheme of UNESCO 2013)."""

import enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Flag", "FlagArray", "worst"]

type FlagArray = NDArray[np.int8]


class Flag(enum.IntEnum):
    """What is known about one sample. Bad and missing samples are never used; suspect ones are, and are counted."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    BAD = 4
    MISSING = 9

    @property
    def words(self) -> str:
        """The flag as it is printed: "not evaluated"."""
        return self.name.lower().replace("_", " ")


def worst(first: FlagArray, second: FlagArray) -> FlagArray:
    """Return the graver flag of each sample, (n,): missing over bad over suspect over not evaluated over good."""
    return np.maximum(first, second)  # the codes are in this order
