"""One table of tags for many logs: what each tag shows, in which unit, and what its sensor can do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.channels import EstimatedNoise, Uncertainty, UnknownBias, UnknownDelay
from physics_twin.measurements.checks import Checks
from physics_twin.measurements.places import Place
from physics_twin.measurements.sensors import Installation, Sensor
from physics_twin.recipes import RAMP, Rule
from physics_twin.units import QuantityLike

__all__ = ["Tag", "TagTable"]


@dataclass(frozen=True)
class Tag:
    """A tag of the historian: the output or the input of the model that it shows, or neither (batch, phase).

    name: as in the export. output, input: of the model. unit: of its numbers. noise, bias, delay, place: of an output,
    as in `Channel`. rule: of an input, `pt.RAMP` or `pt.HOLD`. checks: declared limits. states: text -> number of a
    digital tag ("Open" -> 1). description: in words.
    """

    name: str
    output: str | None = None
    input: str | None = None
    unit: str = "1"
    noise: QuantityLike | Uncertainty | EstimatedNoise | None = None
    bias: QuantityLike | UnknownBias | None = None
    delay: QuantityLike | UnknownDelay | None = None
    place: Place | None = None
    rule: Rule = RAMP
    checks: Checks = field(default_factory=Checks)
    states: Mapping[str, float] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        """Check that an output has a noise."""
        if self.output is not None and self.noise is None:
            raise DataError(f'tag "{self.name}": an output needs noise="1 K" (one standard deviation)')


@dataclass(frozen=True)
class TagTable:
    """Tags, the sensors behind them and when each was installed."""

    tags: tuple[Tag, ...]
    sensors: tuple[Sensor, ...] = ()
    installations: tuple[Installation, ...] = ()

    def __getitem__(self, name: str) -> Tag:
        """Return a tag. Raises UnknownNameError with the nearest one."""
        found = {tag.name: tag for tag in self.tags}
        if name not in found:
            raise unknown_name("tag", name, found)
        return found[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a tag of this name."""
        return any(tag.name == name for tag in self.tags)

    def __iter__(self) -> Iterator[Tag]:
        """Run through the tags."""
        return iter(self.tags)
