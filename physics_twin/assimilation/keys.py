"""Random numbers by name: what is drawn depends on a seed and on what it is for, never on what was drawn before.

A filter that is restarted, fed out of order or split over calls then draws the same numbers for the same sample.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray


@dataclass(frozen=True)
class Key:
    """Names a stream of random numbers: the twin's seed and a moment.

    >>> bool(Key(7, 10).rng("noise", "T1").integers(1000) == Key(7, 10).rng("noise", "T1").integers(1000))
    True
    """

    seed: int
    time: int
    """ns since 1970, UTC"""

    def rng(self, *purpose: str) -> np.random.Generator:
        """A fresh generator for one purpose at this moment, as ("noise", channel)."""
        text = "\x1f".join([str(self.seed), str(self.time), *purpose])
        words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u8")
        source = np.random.Philox(_Words(words[:2]))  # type: ignore[arg-type]  # the stub leaves ISeedSequence out
        return np.random.Generator(source)


class _Words(ISeedSequence):
    """Gives Philox its two words. `Philox(key=...)` draws the same, and asks the system for a seed that it throws
    away: nine tenths of the time.
    """

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[np.uint64]:
        """The words."""
        return self.words
