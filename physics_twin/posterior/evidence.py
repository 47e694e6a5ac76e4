"""What a fit leaves behind besides its draws: verdicts, misfit by channel, failed simulations."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from physics_twin.units import Unit


class Identification(enum.Enum):
    """How much the data say about a parameter."""

    IDENTIFIED = "identified"
    WEAK = "weakly identified"
    NOT = "not identified"
    AT_BOUND = "at its bound"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one parameter; `str(verdict)` is the sentence that is printed."""

    parameter: str
    identification: Identification
    sentence: str
    """Why, in words: the direction that the data cannot see, or the bound."""
    narrowing: float
    """Standard deviation after the data over the one before (prior, or what the bounds allow); 1 says nothing seen."""
    moves_with: tuple[tuple[str, float], ...]
    """Parameters that it trades with, and the correlations, strongest first."""

    @property
    def identified(self) -> bool:
        """Whether the data determine the parameter."""
        return self.identification is Identification.IDENTIFIED

    def __str__(self) -> str:
        if not self.sentence:
            return self.identification.value
        if self.identification is Identification.AT_BOUND:
            return self.sentence
        return f"{self.identification.value}: {self.sentence}"


@dataclass(frozen=True)
class ChannelEvidence:
    """How well one channel of one experiment is met at the mode; numbers are differences in the declared unit."""

    experiment: str
    output: str
    unit: str
    """As the channel declares it."""
    n_samples: int
    """Used in the fit."""
    n_excluded: int
    """In the log and not used: bad, missing, masked, settling."""
    sum_of_squares: float
    rms: float
    bias: float
    """Mean of measured minus model."""
    noise: float
    """One standard deviation, as given or as estimated."""
    noise_name: str
    """Parameter of an estimated noise, "" where it is given."""
    whitened: float
    """Sum of squares over noise squared; close to n_samples where model and noise are right."""
    lag_one: float
    """Autocorrelation of neighboring residuals."""
    effective_samples: float
    """Independent samples that tell as much; equal to n_samples where autocorrelation is not significant."""
    findings: tuple[str, ...]
    """What the residuals show, each in a sentence."""

    @property
    def name(self) -> str:
        """output@experiment."""
        return f"{self.output}@{self.experiment}"

    @property
    def difference_unit(self) -> Unit:
        """Unit of a residual: K where the channel is in degC."""
        return Unit(self.unit).difference()


@dataclass(frozen=True)
class FailedSimulation:
    """A simulation that failed in a fit or a prediction; it was left out, never counted as a residual."""

    values: Mapping[str, float]
    """The unknowns that were tried, SI."""
    reason: str
    time: float
    """s from the start of the recipe."""
    experiment: str
    """Empty in a prediction."""
