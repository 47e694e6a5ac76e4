"""What the samples of a channel need on their way to the filter: one number each, worked out once."""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.errors import UnitError
from physics_twin.measurements import Channel
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.twin.sensors.reading import Reading
from physics_twin.twin.timeline import Sample
from physics_twin.units import Unit, to_si, unit as as_unit


@dataclass(frozen=True)
class ChannelFacts:
    """One channel with what the posterior says of its sensor; SI.

    row: of its readings among those of `Dynamics.advance`: that of its output, or of the output with an unknown bias.
    level, share: the noise has the variance level^2 + (share * value)^2. bias: known, and taken off each reading.
    parameter: name of the unknown bias among the coordinates, "" where there is none. fresh_sd: of that bias before
    anything is known of it, for a sensor that has been replaced. shift: ns by
    which a sample's time lies after the moment that it shows. lower, upper: ends of the range. resolution: 0 unknown.
    """

    name: str
    row: int
    unit: Unit
    level: float
    share: float
    bias: float
    parameter: str
    fresh_sd: float
    shift: int
    lower: float
    upper: float
    resolution: float
    sensor: Sensor | None

    def noisier(self, factor: float) -> "ChannelFacts":
        """The same with `factor` times the standard deviation of the noise."""
        return self if factor == 1.0 else replace(self, level=self.level * factor, share=self.share * factor)

    def si(self, sample: Sample) -> float:
        """The number of a sample, corrected as the certificate says; raises UnitError."""
        unit = self.unit if not sample.unit else _unit(sample.unit)
        if unit.dimension != self.unit.dimension:
            raise UnitError(f"{sample.channel} is in {unit}, the channel in {self.unit}: another dimension")
        number = float(unit.to_si(sample.value))
        if self.sensor is None or not self.sensor.correction or math.isnan(number):
            return number
        return float(self.sensor.correct(np.array([number]))[0])

    def reading(
        self, sample: Sample, predicted: float, predicted_variance: float, *, moved: float, replaced: bool
    ) -> Reading:
        """A sample beside what the model expects of it; raises UnitError."""
        number = self.si(sample)
        at_end = not self.lower < number < self.upper and not math.isnan(number)
        spread = self.level**2 + (self.share * predicted) ** 2 if self.share else self.level**2
        return Reading(
            time=sample.time,
            value=number - (0.0 if replaced else self.bias),
            variance=spread,
            # At an end of its range a sensor shows a limit and no number.
            flag=Flag.BAD if at_end and sample.quality < Flag.BAD else sample.quality,
            predicted=predicted,
            predicted_variance=predicted_variance,
            unit=self.unit,
            resolution=self.resolution,
            lower=self.lower,
            upper=self.upper,
            moved=moved,
        )


@functools.lru_cache(maxsize=256)
def _unit(text: str) -> Unit:
    return as_unit(text)


def unknown_bias(channel: Channel, posterior: Posterior) -> Parameter | None:
    """The bias of a sensor that is known by its spread only: as the posterior has it, or as it was declared."""
    return posterior.parameters.get(channel.bias_name) or channel.parameters.get("bias")


def facts_of(channel: Channel, row: int, posterior: Posterior) -> ChannelFacts:
    """The facts of a channel, at the mode of the posterior where that knows more than the declaration.

    row: of its readings, see `ChannelFacts`.
    """
    unit = channel.unit

    def mode(name: str, declared: float) -> float:
        known = posterior.values
        return known.scalar(name) if name in known else declared

    shape = channel.noise_shape
    tails = None if shape is None else shape.number("degrees_of_freedom")
    stem = channel.noise_name.removeprefix("noise.")
    share = 0.0 if shape is None else shape.number("proportional") or 0.0
    # The variance of Student's t is that of its scale times nu / (nu - 2); below three degrees it hardly has one.
    nu = math.inf if tails is None else max(mode(f"degrees_of_freedom.{stem}", tails), 3.0)
    heavy = 1.0 if math.isinf(nu) else math.sqrt(nu / (nu - 2.0))
    unknown, fresh = unknown_bias(channel, posterior), 0.0
    if channel.unknown_bias is not None:
        fresh = to_si(channel.unknown_bias.sd, unit, name=f"bias of {channel.output}", difference=True)
    elif unknown is not None:  # another instrument of the kind will be as far off as this one is
        fresh = float(np.sqrt(np.mean(posterior[unknown.name] ** 2)))
    low, high = (-math.inf, math.inf)
    if channel.sensor_range is not None:
        ends = [
            end if q is None else to_si(q, unit, name="sensor_range")
            for q, end in zip(channel.sensor_range, (low, high), strict=True)
        ]
        low, high = ends
    step = 0.0
    if channel.checks is not None and channel.checks.resolution is not None:
        step = to_si(channel.checks.resolution, unit, name="resolution", difference=True)
    late = mode(f"delay.{channel.output}", channel.delay)
    if channel.averaged is not None and math.isfinite(channel.averaged.seconds):
        # A mean over a window is taken for the value in its middle.
        begin, end = channel.averaged.windows(np.zeros(1))
        late -= 0.5 * float(begin[0] + end[0])
    return ChannelFacts(
        name=channel.output,
        row=row,
        unit=unit,
        level=mode(channel.noise_name, channel.noise) * heavy,
        share=mode(f"proportional.{stem}", share) * heavy,
        bias=channel.bias if unknown is None else 0.0,
        parameter="" if unknown is None else unknown.name,
        fresh_sd=fresh,
        shift=round(late * 1e9),
        lower=low,
        upper=high,
        resolution=step,
        sensor=channel.sensor,
    )
