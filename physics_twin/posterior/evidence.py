"""What a fit leaves behind besides its draws: verdicts, misfit by channel, failed simulations."""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from physics_twin.units import Unit


class Identification(enum.Enum):
    """How much the data say about a parameter."""

    IDENTIFIED = "identified"
    WEAK = "weakly identified"
    NOT = "not identified"
    STRUCTURALLY_NOT = "structurally not identified"
    """Others make up for any value of it: no data of this kind can tell. Seen by profiles only."""
    PRACTICALLY_NOT = "practically not identified"
    """These data do not limit it on one side or on both. Seen by profiles only."""
    AT_BOUND = "at its bound"

    @property
    def failed(self) -> bool:
        """Whether the data leave the parameter open, for whatever reason."""
        return self in (Identification.NOT, Identification.STRUCTURALLY_NOT, Identification.PRACTICALLY_NOT)


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
    """Used in the fit; limits of censored samples count apart."""
    n_excluded: int
    """In the log and not used: bad, missing, masked, settling."""
    sum_of_squares: float
    rms: float
    bias: float
    """Mean of measured minus model."""
    noise: float
    """One standard deviation, as given or as estimated; root mean square where samples differ in it."""
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
    array: str = ""
    """The array of sensors that it belongs to, where that is looked at over its places; "" over time."""
    noise_scale: float = 1.0
    """`noise` as a multiple of the parameter `noise_name` or of the channel's: below one for averages."""
    noise_shape: tuple[float, ...] = ()
    """Level (SI), share of the value, memory (s), degrees of freedom (0 for normal), as declared; () where it is plain.

    Those that were estimated are draws of `proportional.*`, `correlation_time.*` and `degrees_of_freedom.*`.
    """
    n_censored: int = 0
    """Samples of which only a limit is known, used in the fit as such; they have no residual."""

    @property
    def name(self) -> str:
        """output@experiment."""
        return f"{self.output}@{self.experiment}"

    @property
    def difference_unit(self) -> Unit:
        """Unit of a residual: K where the channel is in degC."""
        return Unit(self.unit).difference()


def arrays_together(channels: Sequence[ChannelEvidence]) -> tuple[ChannelEvidence, ...]:
    """The channels with one row for all sensors of an array in an experiment, called by the array and their number."""
    groups: dict[tuple[str, str], list[ChannelEvidence]] = {}
    for c in channels:
        groups.setdefault((c.array or c.output, c.experiment), []).append(c)
    return tuple(_together(own) if own[0].array else own[0] for own in groups.values())


def _together(own: Sequence[ChannelEvidence]) -> ChannelEvidence:
    n, unit = sum(c.n_samples for c in own), own[0].difference_unit

    def in_unit(x: float, c: ChannelEvidence) -> float:
        return x * c.difference_unit.factor / unit.factor

    squares = sum(in_unit(in_unit(c.sum_of_squares, c), c) for c in own)
    return replace(
        own[0],
        output=f"{own[0].array} ({len(own)} places)",
        n_samples=n,
        n_excluded=sum(c.n_excluded for c in own),
        sum_of_squares=squares,
        rms=math.sqrt(squares / max(n, 1)),
        bias=sum(in_unit(c.bias, c) * c.n_samples for c in own) / max(n, 1),
        noise=math.sqrt(sum(in_unit(c.noise, c) ** 2 * c.n_samples for c in own) / max(n, 1)),
        n_censored=sum(c.n_censored for c in own),
        noise_name=own[0].noise_name if len({c.noise_name for c in own}) == 1 else "",
        whitened=sum(c.whitened for c in own),
        effective_samples=sum(c.effective_samples for c in own),
        findings=tuple(f"{c.output}: {text}" for c in own for text in c.findings),
    )


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

    @property
    def sentence(self) -> str:
        """Why, and in which experiment."""
        return f'{self.reason} (experiment "{self.experiment}")' if self.experiment else self.reason
