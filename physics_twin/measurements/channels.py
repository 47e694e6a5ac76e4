"""How the columns of a log map to the outputs and inputs of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physics_twin.errors import BoundsError, DataError, UnitError, check_name
from physics_twin.measurements.places import Place
from physics_twin.measurements.sampling import Averaged, SensorRange, range_of
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.measurements.uncertainty import (
    SHAPES,
    Estimated,
    EstimatedNoise,
    Noise,
    Uncertainty,
    UnknownBias,
    UnknownDelay,
    plain,
)
from physics_twin.parameters import Parameter
from physics_twin.priors import Normal, Uniform
from physics_twin.recipes import RAMP, Rule
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit

__all__ = ["Channel", "Column", "EstimatedNoise", "Uncertainty", "UnknownBias", "UnknownDelay"]


@dataclass(frozen=True)
class Column:
    """A column of a log: its header and the unit of its numbers.

    rule: for an input, how it runs between its rows: `pt.RAMP` (straight lines, the default: it is measured) or
    `pt.HOLD` (a set point, a valve position: it holds until the next row). checks: what is declared of its sensor; what
    they find bad is bridged, for a column of inputs. sensor: of an input, which instrument it was: its readings are
    corrected as the certificate says. What the certificate leaves uncertain is not part of a fit, and the record of
    the input says so.

    Raises UnitError where the certificate is not in the unit's dimension.
    """

    name: str
    unit: "str | Unit"
    rule: Rule = RAMP
    checks: Checks | None = None
    sensor: Sensor | None = None

    def __post_init__(self) -> None:
        """Turn the unit's text into a Unit."""
        object.__setattr__(self, "unit", as_unit(self.unit))
        if self.sensor is not None:
            self.sensor.check_unit(as_unit(self.unit))
        if not isinstance(self.rule, Rule):
            raise DataError(f'column "{self.name}": rule is pt.RAMP or pt.HOLD, not {self.rule!r}')


@dataclass(frozen=True, init=False)
class Channel:
    """A measured column of a log, and what is known of its sensor.

    output: the model output that it shows. column: its header, when it differs from `output`. unit: of its numbers.
    noise: one standard deviation as a difference ("2 K"), `Uncertainty("0.8 K", k=2)` or `EstimatedNoise("2 K")`,
        which calibration estimates as the parameter `noise.<output>` (or `noise.<shared>`); `Noise(...)` for one that
        grows with the value, remembers, or has outliers.
    bias: known ("0.5 K": measured = true + bias), or `UnknownBias("1 K")`: parameter `bias.<output>`. Without it, a
        sensor whose certificate states an uncertainty has an unknown bias of that size.
    delay: known ("20 s"), or `UnknownDelay("0 s", "60 s")`: parameter `delay.<output>`.
    place: where the sensor sits, if it is one of an array of like sensors.
    sensor: which instrument it was, with its certificate: readings are corrected by it, and its bias is the parameter
        `bias.<serial>`, one unknown for all channels and experiments that used it.
    checks: what is declared of the instrument; its samples are checked against it.
    sensor_range: lowest and highest value that it shows, ("0 degC", "400 degC"), None for no such end: a sample at an
        end or beyond says only that the truth lies there or farther, and a fit uses it as that.
    averaged: each sample is a mean over a window, `Averaged("60 s", stamp="end")`.
    time_noise: one standard deviation of the time at which a sample was taken ("30 s").

    Read back, `noise`, `bias` (SI differences), `delay` and `time_noise` (s) are floats, 0.0 where there is none; where
    one is to be estimated they are its starting value and `parameters` holds its declaration.

    Raises UnitError when a unit does not fit, certificate and checks included, BoundsError for a noise that is not
    above 0, a negative delay or an empty range.

    >>> Channel("core", column="TC3", unit="degC", noise=Uncertainty("4 K", k=2)).noise
    2.0
    """

    # init=False: `dataclasses.replace` would feed SI numbers back as declared ones; it fails instead
    output: str = field(init=False)
    column: str = field(init=False)
    unit: Unit = field(init=False)
    noise: float = field(init=False)
    bias: float = field(init=False)
    delay: float = field(init=False)
    unknown_noise: EstimatedNoise | None = field(init=False)
    noise_shape: Noise | None = field(init=False)
    unknown_bias: UnknownBias | None = field(init=False)
    unknown_delay: UnknownDelay | None = field(init=False)
    place: Place | None = field(init=False)
    sensor: Sensor | None = field(init=False)
    checks: Checks | None = field(init=False)
    sensor_range: SensorRange | None = field(init=False)
    averaged: Averaged | None = field(init=False)
    time_noise: float = field(init=False)

    def __init__(
        self,
        output: str,
        *,
        column: str | None = None,
        unit: "str | Unit",
        noise: QuantityLike | Uncertainty | EstimatedNoise | Noise,
        bias: QuantityLike | UnknownBias | None = None,
        delay: QuantityLike | UnknownDelay | None = None,
        place: Place | None = None,
        sensor: Sensor | None = None,
        checks: Checks | None = None,
        sensor_range: SensorRange | None = None,
        averaged: Averaged | None = None,
        time_noise: QuantityLike | None = None,
    ) -> None:
        check_name("channel", output, library_forms=True)
        declared = as_unit(unit)
        if sensor is not None:
            sensor.check_unit(declared)
        if checks is not None:
            checks.limits(declared, name=output)
        if sensor_range is not None:
            range_of(sensor_range, declared, output)
            sensor_range = tuple(None if end is None else plain(end) for end in sensor_range)  # type: ignore[assignment]
        time_sd = 0.0 if time_noise is None else to_si(time_noise, as_unit("s"), name=f"time_noise of {output}")
        if not 0.0 <= time_sd < float("inf"):
            raise BoundsError(f"time_noise of {output} is {time_sd:g} s; a standard deviation is above 0")

        shape = noise if isinstance(noise, Noise) else None
        if shape is not None and shape.proportional is not None and declared.offset != 0.0:
            raise UnitError(
                f"noise of {output}: a share of a value needs a unit whose zero is nothing, which {declared} is not; "
                f"declare the channel in {declared.si_text}, or leave proportional out"
            )
        stated = noise.level if isinstance(noise, Noise) else noise
        level: Any = stated
        if isinstance(stated, Uncertainty):
            level = stated.standard
        elif isinstance(stated, EstimatedNoise):
            level = stated.start
        sd = to_si(level, declared, name=f"noise of {output}", difference=True)
        if not 0.0 < sd < float("inf"):
            raise BoundsError(
                f"noise of {output} is {format_si(sd, declared, difference=True)}; a standard deviation is above 0"
            )

        if bias is None and sensor is not None and sensor.uncertainty is not None:
            bias = UnknownBias(sensor.uncertainty.standard)
        shift: Any = bias
        if isinstance(bias, UnknownBias):
            to_si(bias.sd, declared, name=f"bias of {output}", difference=True)
            shift = None
        late: Any = delay
        if isinstance(delay, UnknownDelay):
            low, high = (to_si(x, as_unit("s"), name=f"delay of {output}") for x in (delay.low, delay.high))
            late = (0.5 * (low + high), "s")
        seconds_late = 0.0 if late is None else to_si(late, as_unit("s"), name=f"delay of {output}")
        if not 0.0 <= seconds_late < float("inf"):
            raise BoundsError(f"delay of {output} is {seconds_late:g} s; a sensor does not show the future")

        self._set(
            output=output,
            column=output if column is None else column,
            unit=declared,
            noise=sd,
            bias=0.0 if shift is None else to_si(shift, declared, name=f"bias of {output}", difference=True),
            delay=seconds_late,
            unknown_noise=stated if isinstance(stated, EstimatedNoise) else None,
            noise_shape=shape,
            unknown_bias=bias if isinstance(bias, UnknownBias) else None,
            unknown_delay=delay if isinstance(delay, UnknownDelay) else None,
            place=place,
            sensor=sensor,
            checks=checks,
            sensor_range=sensor_range,
            averaged=averaged,
            time_noise=time_sd,
        )

    def _set(self, **fields: object) -> None:
        for key, value in fields.items():
            object.__setattr__(self, key, value)

    @property
    def noise_name(self) -> str:
        """Name of the noise parameter: `noise.<shared>` or `noise.<output>`."""
        shared = None if self.unknown_noise is None else self.unknown_noise.shared
        return f"noise.{self.output if shared is None else shared}"

    @property
    def bias_name(self) -> str:
        """Name of the bias parameter: `bias.<serial>` of a known sensor, else `bias.<output>`."""
        return f"bias.{self.output if self.sensor is None else self.sensor.name}"

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What is to be estimated about the sensor: "noise", "bias", "delay", ... -> Parameter (what is unknown)."""
        found: dict[str, Parameter] = {}
        if self.unknown_noise is not None:
            start, text = plain(self.unknown_noise.start)
            found["noise"] = Parameter(
                self.noise_name,
                (start, text),
                # Wide enough to never bind on a sane guess; above zero, so that the search runs on the log scale.
                bounds=((1e-3 * start, text), (1e3 * start, text)),
                description=f"noise of {self.output}, one standard deviation",
                difference=True,
            )
        for what in SHAPES if self.noise_shape is not None else ():
            given = getattr(self.noise_shape, what)
            if isinstance(given, Estimated):
                start, text = plain(given.start)
                low, high = (1.1, 1e3) if what == "degrees_of_freedom" else (1e-3 * start, 1e3 * start)
                found[what] = Parameter(
                    f"{what}.{self.noise_name.removeprefix('noise.')}",
                    (start, text),
                    bounds=((low, text), (high, text)),
                    description=f"{what.replace('_', ' ')} of the noise of {self.output}",
                )
        if self.unknown_bias is not None:
            sd, text = plain(self.unknown_bias.sd)
            whose = self.output if self.sensor is None else f"value of sensor {self.sensor.serial}"
            found["bias"] = Parameter(
                self.bias_name,
                (0.0, text),
                prior=Normal((0.0, text), (sd, text)),
                description=f"measured minus true {whose}",
                difference=True,
            )
        if self.unknown_delay is not None:
            low, high = (
                to_si(x, as_unit("s"), name="delay") for x in (self.unknown_delay.low, self.unknown_delay.high)
            )
            found["delay"] = Parameter(
                f"delay.{self.output}",
                (self.delay, "s"),
                bounds=((low, "s"), (high, "s")),
                prior=Uniform((low, "s"), (high, "s")),
                description=f"delay of the sensor of {self.output}",
            )
        return found
