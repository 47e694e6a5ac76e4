"""What the checks of a sensor are given (a reading beside what the model expects) and what they answer (a verdict)."""

from dataclasses import dataclass

from physics_twin.measurements.flags import Flag
from physics_twin.units import Unit


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of one channel, after `predict` and before the update.

    time: ns UTC. value: SI; NaN where nothing was read. variance: of the sensor's noise, SI squared. flag: what the
    source says of the sample. predicted, predicted_variance: of the true output, without the sensor's noise. unit: that
    the channel declares. resolution: of the converter, SI; 0 where it is not known. lower, upper: ends of the sensor's
    range, SI: a value there or beyond is a limit and no reading. moved: by how much the model's expectation has moved
    by itself since the last moment (predicted now less the expectation after the last update); NaN where it is not
    known.
    """

    time: int
    value: float
    variance: float
    flag: Flag
    predicted: float
    predicted_variance: float
    unit: Unit
    resolution: float = 0.0
    lower: float = float("-inf")
    upper: float = float("inf")
    moved: float = float("nan")
    note: str = ""
    """Why the value could not be read, where that is known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a reading is used, and how far.

    flag: of the reading after all checks. variance_factor: multiplies the variance of its noise in the update. reopen:
    the readings agree with each other and not with the model: it is to be widened by `widen` before the update. words:
    why, for a person; "" where nothing is to be said.
    """

    flag: Flag
    use: bool
    variance_factor: float = 1.0
    reopen: bool = False
    widen: float = 1.0
    """By which the predicted variance is to be multiplied, 1 where nothing is to be widened."""
    words: str = ""
    surprise: float = float("nan")
    """Residual over its predicted standard deviation; NaN where nothing was compared."""

    @property
    def judged(self) -> bool:
        """Whether the reading was compared with what the model expects."""
        return self.surprise == self.surprise
