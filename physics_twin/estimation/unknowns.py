"""What `unknown=[...]` means: names become columns of a search vector, each with a target in the model or a sensor.

The search coordinate z of an unknown x is (x - origin)/scale, or ln(x/origin)/scale where the parameter is searched
in its logarithm; scale makes one unit of z a modest change. The transform serves the search only: densities stay
those of the declared units.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, CalibrationError, UnitError, unknown_name
from physics_twin.estimation.hypers import Hyper, NoiseShape, noise_hypers
from physics_twin.measurements import Channel, Experiment, UnknownBias
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.measurements.uncertainty import SHAPES
from physics_twin.model import Model
from physics_twin.parameters import Parameter, PerExperiment
from physics_twin.priors import LogNormal, Prior, Truncated
from physics_twin.recipes import Steady
from physics_twin.signals import Setting, Signal

OF_NOISE = ("noise.", *(f"{what}." for what in SHAPES))


class Kind(enum.Enum):
    """Where an unknown acts."""

    MODEL = "model"
    """A model parameter or an open setting of a recipe."""
    BIAS = "bias"
    DELAY = "delay"


@dataclass(frozen=True)
class Unknown:
    """One column of the search."""

    parameter: Parameter
    """As declared; named as in the posterior."""
    kind: Kind
    target: str
    """Model parameter or setting; of a delay the output, of a bias the output or the serial of the sensor."""
    experiment: str | None
    """The only experiment it acts on, or None for all."""

    @property
    def name(self) -> str:
        """As in the posterior."""
        return self.parameter.name

    def acts_on(self, experiment: str) -> bool:
        """Whether it acts on an experiment."""
        return self.experiment is None or self.experiment == experiment


@dataclass(frozen=True)
class NoiseGroup:
    """Channels whose noise is estimated together."""

    parameter: Parameter
    members: tuple[tuple[str, str], ...]
    """(experiment, output)"""


@dataclass(frozen=True)
class Unknowns:
    """Everything to be estimated."""

    columns: tuple[Unknown, ...]
    noise: tuple[NoiseGroup, ...]
    hypers: tuple[Hyper, ...] = ()
    """Shapes of noise, then spreads of populations."""
    shapes: Mapping[tuple[str, str], NoiseShape] = field(default_factory=dict)
    """(experiment, output) -> what its noise is beyond a level."""


def resolve(
    model: Model,
    experiments: Sequence[Experiment],
    unknown: Sequence[str | Parameter | PerExperiment],
    priors: Mapping[str, Prior] | None = None,
) -> Unknowns:
    """Columns for the names that a person gave and for what the channels declare unknown.

    priors: for names whose own prior they replace.

    Raises UnknownNameError for a name nobody has, UnitError for a unit that does not fit, CalibrationError for an
    unknown that an experiment binds, that is named twice, or that no experiment uses.
    """
    if isinstance(unknown, str | Parameter | PerExperiment):
        unknown = [unknown]
    settings = _settings(experiments)
    sensors = _sensors(experiments)
    columns: dict[str, Unknown] = {}
    own_bias_delay: set[str] = set()
    own_noise: set[str] = set()
    known = [*model.parameters, *settings, *sensors]
    for item in unknown:
        name = item if isinstance(item, str) else item.name
        if name.startswith("noise."):
            _check_noise(name, item, sensors)
            if isinstance(item, PerExperiment):
                own_noise.add(name)
            continue
        declared = _declaration(name, item, model, settings, sensors, known)
        kind, target = _target(name)
        if kind is not Kind.MODEL:
            own_bias_delay.add(name)
        if isinstance(item, PerExperiment):
            owners: list[str | None] = [e.name for e in experiments if _uses(e, kind, target, model)]
        else:
            owners = [None]
        if not owners:
            raise CalibrationError(f'no experiment uses "{name}"')
        for owner in owners:
            label = name if owner is None else f"{name}@{owner}"
            if label in columns:
                raise CalibrationError(f'"{label}" is named twice among the unknowns')
            bound = [e.name for e in experiments if (owner in (None, e.name)) and binds(e, kind, target)]
            if bound:
                raise CalibrationError(
                    f'"{name}" is bound by experiment "{bound[0]}" (its initial state is given), so it cannot be '
                    "unknown; leave it out of initial= there, or out of unknown="
                )
            if owner is not None and name in settings and name not in model.parameters:
                declared = _from_setting(next(e.recipe.settings[name] for e in experiments if e.name == owner))
            if priors is not None and name in priors:
                declared = declared.replace(prior=priors[name])
            columns[label] = Unknown(renamed(declared, label), kind, target, owner)
    for name, parameter in sensors.items():
        if not name.startswith(OF_NOISE) and name not in own_bias_delay:
            kind, target = _target(name)
            columns[name] = Unknown(parameter, kind, target, None)
    for column in columns.values():
        others = [n for n, c in columns.items() if c is not column and c.target == column.target]
        if column.experiment is None and others and all(columns[n].kind is column.kind for n in others):
            raise CalibrationError(f'"{column.name}" is unknown both for all experiments and for each: name it once')
    if not columns:
        raise CalibrationError(
            f"nothing is unknown: name what to estimate, for example unknown=[{', '.join(map(repr, known[:3]))}]"
        )
    hypers, shapes = noise_hypers(experiments, own_noise)
    return Unknowns(tuple(columns.values()), _noise_groups(experiments, own_noise), hypers, shapes)


def renamed(parameter: Parameter, name: str) -> Parameter:
    """The same declaration under another name."""
    return parameter if parameter.name == name else parameter.replace(name=name)


def _settings(experiments: Sequence[Experiment]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for experiment in experiments:
        for name, setting in experiment.recipe.settings.items():
            if found.setdefault(name, setting).unit.dimension != setting.unit.dimension:
                raise UnitError(f'setting "{name}" is in {found[name].unit} and in {setting.unit} in two recipes')
    return found


def _sensors(experiments: Sequence[Experiment]) -> dict[str, Parameter]:
    """Unknown noise, bias and delay parameters that the channels declare."""
    _check_certificates(experiments)
    found: dict[str, Parameter] = {}
    for experiment in experiments:
        for parameter in experiment.parameters.values():
            if found.setdefault(parameter.name, parameter).unit.dimension != parameter.unit.dimension:
                raise UnitError(
                    f"{parameter.name} is in {found[parameter.name].unit} and in {parameter.unit} in two experiments"
                )
    return found


def _check_certificates(experiments: Sequence[Experiment]) -> None:
    """One bias is one instrument under one certificate: another one makes it another unknown."""
    first: dict[str, tuple[str, Sensor, UnknownBias | None]] = {}
    for experiment in experiments:
        for channel in experiment.channels:
            if channel.sensor is None or "bias" not in channel.parameters:
                continue
            name = channel.bias_name
            where, sensor, bias = first.setdefault(name, (experiment.name, channel.sensor, channel.unknown_bias))
            if (sensor, bias) == (channel.sensor, channel.unknown_bias):
                continue
            if sensor != channel.sensor:
                serials = dict.fromkeys([sensor.serial, channel.sensor.serial])
                raise CalibrationError(
                    f"{name} would be one bias of two instruments or certificates: {' and '.join(map(repr, serials))} "
                    f'in "{where}" and in "{experiment.name}"; after a new calibration give the sensor another serial, '
                    'such as "TC-0417/2026"'
                )
            raise CalibrationError(
                f'{name} has two standard deviations, in "{where}" and in "{experiment.name}" ({channel.output}); '
                "state one bias= for the sensor"
            )


def _declaration(
    name: str,
    item: str | Parameter | PerExperiment,
    model: Model,
    settings: Mapping[str, Setting],
    sensors: Mapping[str, Parameter],
    known: Sequence[str],
) -> Parameter:
    if name in model.parameters:
        own = model.parameters[name]
    elif name in settings:
        own = _from_setting(settings[name])
    elif name in sensors:
        own = sensors[name]
    else:
        if name.startswith(("bias.", "delay.")):
            kind = name.partition(".")[0]
            example = 'bias=UnknownBias("1 K")' if kind == "bias" else 'delay=UnknownDelay("0 s", "60 s")'
            raise CalibrationError(f'"{name}": no channel declares it unknown; say {example} in the channel')
        raise unknown_name("parameter", name, known)
    if not isinstance(item, Parameter):
        return own
    if item.unit.dimension != own.unit.dimension:
        raise UnitError(f"{name} is given in {item.unit} and declared in {own.unit}")
    return item


def _from_setting(setting: Setting) -> Parameter:
    low, high = setting.bounds
    value = setting.value
    if value is None:
        if not np.isfinite(low + high):
            raise BoundsError(f'setting "{setting.name}" has neither a value nor bounds to start from; give it one')
        value = 0.5 * (low + high)
    si = setting.unit.si_text
    return Parameter(
        setting.name,
        (value, si),
        bounds=((low, si) if np.isfinite(low) else None, (high, si) if np.isfinite(high) else None),
        unit=setting.unit,
        description=setting.description,
    )


def _target(name: str) -> tuple[Kind, str]:
    if name.startswith("bias."):
        return Kind.BIAS, name.removeprefix("bias.")
    if name.startswith("delay."):
        return Kind.DELAY, name.removeprefix("delay.")
    return Kind.MODEL, name


def _uses(experiment: Experiment, kind: Kind, target: str, model: Model) -> bool:
    if kind is Kind.MODEL:
        return target in model.parameters or target in experiment.recipe.settings
    return f"{kind.value}.{target}" in experiment.parameters


def binds(experiment: Experiment, kind: Kind, target: str) -> bool:
    """Whether the experiment itself gives the value (an initial state)."""
    if kind is not Kind.MODEL or not target.startswith("initial."):
        return False
    initial = experiment.recipe.initial
    return isinstance(initial, Steady) or target.removeprefix("initial.") in initial


def _check_noise(name: str, item: str | Parameter | PerExperiment, sensors: Mapping[str, Parameter]) -> None:
    if name not in sensors:
        raise CalibrationError(
            f'"{name}": no channel declares its noise unknown; say noise=EstimatedNoise("2 K") in it'
        )
    if isinstance(item, Parameter):
        raise CalibrationError(f'"{name}": a noise level has no prior of its own; its start is that of EstimatedNoise')


def _noise_groups(experiments: Sequence[Experiment], own: set[str]) -> tuple[NoiseGroup, ...]:
    members: dict[str, list[tuple[str, str]]] = {}
    declared: dict[str, Parameter] = {}
    for experiment in experiments:
        for channel in experiment.channels:
            parameter = channel.parameters.get("noise")
            if parameter is None:
                continue
            name = f"{parameter.name}@{experiment.name}" if parameter.name in own else parameter.name
            members.setdefault(name, []).append((experiment.name, channel.output))
            declared.setdefault(name, renamed(parameter, name))
    return tuple(NoiseGroup(declared[name], tuple(m)) for name, m in members.items())


def check_channel(channel: Channel, outputs: Mapping[str, tuple[int, Signal]], experiment: str) -> int:
    """Position of the channel's output; raises UnknownNameError and UnitError. outputs: name -> position, output."""
    if channel.output not in outputs:
        error = unknown_name("output", channel.output, outputs)
        raise type(error)(f'experiment "{experiment}": {error}')
    position, signal = outputs[channel.output]
    if signal.unit.dimension != channel.unit.dimension:
        raise UnitError(
            f'experiment "{experiment}": channel "{channel.output}" is in {channel.unit}, the model\'s output in '
            f"{signal.unit}; these are different quantities"
        )
    return position


@dataclass(frozen=True)
class SearchSpace:
    """The transform between unknowns x (SI) and search coordinates z, elementwise over d columns."""

    log: NDArray[np.bool_]
    origin: Array
    scale: Array
    """dz = 1 is a modest change: of x, or of ln x."""
    low: Array
    """Bounds and supports of the priors, in z."""
    high: Array
    x_low: Array
    x_high: Array
    log_normal: NDArray[np.bool_]
    """Where the prior is log-normal: these are drawn in their logarithm."""
    reference: Array
    """Standard deviation in z before the data: of the prior, or of an even spread over the bounds."""

    def x(self, z: Array) -> Array:
        """Unknowns in SI, exactly on a bound where z is."""
        with np.errstate(over="ignore"):
            linear = self.origin + self.scale * z
            x = np.where(self.log, np.abs(self.origin) * np.exp(np.where(self.log, self.scale * z, 0.0)), linear)
        x = np.where(z <= self.low, self.x_low, np.where(z >= self.high, self.x_high, x))
        return np.asarray(np.clip(x, self.x_low, self.x_high))

    def slope(self, x: Array) -> Array:
        """dx/dz."""
        return np.where(self.log, x * self.scale, self.scale)

    def z(self, x: Array) -> Array:
        """Search coordinates of x."""
        ratio = np.where(self.log, x / np.where(self.log, self.origin, 1.0), 1.0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(self.log, np.log(ratio), x - self.origin) / self.scale)


def search_space(columns: Sequence[Unknown]) -> SearchSpace:
    """The transform for these unknowns, with the origin at their declared values."""
    rows = [_coordinate(unknown.parameter) for unknown in columns]
    log, origin, scale, x_low, x_high, log_normal, sd = (np.array(column) for column in zip(*rows, strict=True))
    space = SearchSpace(log, origin, scale, -np.inf * scale, np.inf * scale, x_low, x_high, log_normal, scale)
    low, high = space.z(x_low), space.z(x_high)
    with np.errstate(invalid="ignore"):
        even = (high - low) / np.sqrt(12.0)
    unbounded = np.where(np.isfinite(even), even, 10.0)
    reference = np.where(np.isnan(sd), unbounded, sd / scale)
    return SearchSpace(log, origin, scale, low, high, x_low, x_high, log_normal, reference)


def _coordinate(p: Parameter) -> tuple[bool, float, float, float, float, bool, float]:
    low, high = p.bounds
    base = p.prior.prior if isinstance(p.prior, Truncated) else p.prior
    log_normal = isinstance(base, LogNormal)
    if p.prior is not None:
        low, high = max(low, p.prior.support[0]), min(high, p.prior.support[1])
    value = min(max(p.value, low), high)
    log = p.log_scale or (log_normal and value > 0.0)
    sd = np.nan
    if isinstance(base, LogNormal):
        sd = base.sigma
    elif p.prior is not None and np.isfinite(p.prior.sd):
        sd = p.prior.sd / (value if log else 1.0)
    if log:
        if not value > 0.0:
            raise BoundsError(f"{p.name}: the search runs in its logarithm, so its value must be above zero")
        return True, value, float(np.fmin(sd, 1.0)), low, high, log_normal, sd
    width = high - low
    candidates = [s for s in (sd, 0.25 * width, abs(value)) if np.isfinite(s) and s > 0.0]
    return False, value, min(candidates, default=1.0), low, high, log_normal, sd
