"""The array type of the library: float64, and in SI unless a docstring says otherwise."""

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.float64]
