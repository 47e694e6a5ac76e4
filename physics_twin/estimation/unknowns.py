"""What `unknown=[...]` means: names become columns of a search vector, each with a target in the model or a sensor."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from physics_twin.errors import BoundsError, CalibrationError, UnitError, unknown_name
from physics_twin.estimation.hypers import ColumnGroup, Hyper, HyperKind, NoiseShape, noise_hypers
from physics_twin.estimation.population import Population, groups_of, mean_of, member_of, spread_of
from physics_twin.measurements import Channel, Experiment, UnknownBias
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.measurements.uncertainty import SHAPES
from physics_twin.model import Model
from physics_twin.parameters import Parameter, PerExperiment
from physics_twin.posterior.populations import in_logarithm
from physics_twin.priors import Prior
from physics_twin.recipes import Steady
from physics_twin.signals import Setting, Signal

OF_NOISE = ("noise.", *(f"{what}." for what in SHAPES))


class Kind(enum.Enum):
    """Where an unknown acts."""

    MODEL = "model"
    """A model parameter or an open setting of a recipe."""
    BIAS = "bias"
    DELAY = "delay"
    MEAN = "mean"
    """Of a population: no simulation depends on it."""


@dataclass(frozen=True)
class Unknown:
    """One column of the search."""

    parameter: Parameter
    """As declared; named as in the posterior."""
    kind: Kind
    target: str
    """Model parameter or setting; of a delay the output, of a bias the output or the serial of the sensor."""
    experiments: tuple[str, ...] | None
    """Those it acts on, None for all."""
    log_normal: bool = False
    """Whether it is searched and drawn in its logarithm in any case: of a population in ln x."""

    @property
    def name(self) -> str:
        """As in the posterior."""
        return self.parameter.name

    def acts_on(self, experiment: str) -> bool:
        """Whether it acts on an experiment."""
        return self.experiments is None or experiment in self.experiments


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
    groups: tuple[ColumnGroup, ...] = ()
    """Columns that are draws from one population."""
    populations: tuple[Population, ...] = ()
    """What these were declared as."""


type Item = str | Parameter | PerExperiment | Population


def resolve(
    model: Model,
    experiments: Sequence[Experiment],
    unknown: Sequence[Item],
    priors: Mapping[str, Prior] | None = None,
) -> Unknowns:
    """Columns for the names that a person gave and for what the channels declare unknown.

    priors: for names whose own prior they replace.

    Raises UnknownNameError for a name nobody has, UnitError for a unit that does not fit, CalibrationError for an
    unknown that an experiment binds, that is named twice, or that no experiment uses.
    """
    if isinstance(unknown, str | Parameter | PerExperiment | Population):
        unknown = [unknown]
    settings = _settings(experiments)
    sensors = _sensors(experiments)
    columns: dict[str, Unknown] = {}
    populations: dict[str, tuple[Population, Parameter]] = {}
    own_bias_delay: set[str] = set()
    own_noise: set[str] = set()
    known = [*model.parameters, *settings, *sensors]
    for item in unknown:
        name = item if isinstance(item, str) else item.name
        if name.startswith("noise.") and not isinstance(item, Population):
            _check_noise(name, item, sensors)
            if isinstance(item, PerExperiment):
                own_noise.add(name)
            continue
        kind, target = _target(name)
        if isinstance(item, Population) and (kind is not Kind.MODEL or name.startswith(OF_NOISE)):
            raise CalibrationError(f'Population of "{name}": only parameters and settings of the model have one')
        declared = _declaration(name, item, model, settings, sensors, known)
        if kind is not Kind.MODEL:
            own_bias_delay.add(name)
        users = [e for e in experiments if _uses(e, kind, target, model)]
        owners: Mapping[str, tuple[str, ...] | None] = {"": None}
        if isinstance(item, Population):
            owners = groups_of(item, users)
            populations[name] = (item, declared)
            mean = mean_of(declared)
            columns[mean.name] = Unknown(mean, Kind.MEAN, target, (), in_logarithm(declared))
        elif isinstance(item, PerExperiment):
            owners = {e.name: (e.name,) for e in users}
        if not owners:
            raise CalibrationError(f'no experiment uses "{name}"')
        for owner, acts_on in owners.items():
            label = f"{name}@{owner}" if owner else name
            if label in columns:
                raise CalibrationError(f'"{label}" is named twice among the unknowns')
            bound = [e.name for e in experiments if (acts_on is None or e.name in acts_on) and binds(e, kind, target)]
            if bound:
                raise CalibrationError(
                    f'"{name}" is bound by experiment "{bound[0]}" (its initial state is given), so it cannot be '
                    "unknown; leave it out of initial= there, or out of unknown="
                )
            if isinstance(item, Population):
                columns[label] = Unknown(member_of(declared, owner), kind, target, acts_on, in_logarithm(declared))
                continue
            if owner and name in settings and name not in model.parameters:
                declared = _from_setting(next(e.recipe.settings[name] for e in experiments if e.name == owner))
            if priors is not None and name in priors:
                declared = declared.replace(prior=priors[name])
            columns[label] = Unknown(renamed(declared, label), kind, target, acts_on)
    for name, parameter in sensors.items():
        if not name.startswith(OF_NOISE) and name not in own_bias_delay:
            kind, target = _target(name)
            columns[name] = Unknown(parameter, kind, target, None)
    _check_once(columns.values())
    if not columns:
        raise CalibrationError(
            f"nothing is unknown: name what to estimate, for example unknown=[{', '.join(map(repr, known[:3]))}]"
        )
    shaping, shapes = noise_hypers(experiments, own_noise)
    spreads = tuple(Hyper(spread_of(item, declared), HyperKind.SPREAD) for item, declared in populations.values())
    return Unknowns(
        tuple(columns.values()),
        _noise_groups(experiments, own_noise),
        (*shaping, *spreads),
        shapes,
        _column_groups(tuple(columns.values()), populations, len(shaping)),
        tuple(item for item, _ in populations.values()),
    )


def _check_once(columns: Iterable[Unknown]) -> None:
    """Raise CalibrationError where two columns would give one experiment the same number."""
    taken: dict[tuple[Kind, str], Unknown] = {}
    shared: set[tuple[Kind, str]] = set()
    for column in columns:
        if column.kind is Kind.MEAN:
            continue
        about = (column.kind, column.target)
        first = taken.setdefault(about, column)
        if column.experiments is None:
            shared.add(about)
        if first is not column and about in shared:
            name = column.target if column.kind is Kind.MODEL else f"{column.kind.value}.{column.target}"
            raise CalibrationError(f'"{name}" is unknown both for all experiments and for each: name it once')
        for experiment in column.experiments or ():
            if taken.setdefault((column.kind, f"{column.target}@{experiment}"), column) is not column:
                raise CalibrationError(f'"{column.target}" has two unknowns in experiment "{experiment}": name it once')


def _column_groups(
    columns: Sequence[Unknown], populations: Mapping[str, tuple[Population, Parameter]], first: int
) -> tuple[ColumnGroup, ...]:
    """The members of each population; `first` is the number of the first spread among the hypers."""
    found = []
    for k, (name, (_, declared)) in enumerate(populations.items()):
        own = [j for j, c in enumerate(columns) if c.kind is Kind.MODEL and c.target == name]
        mean = next(j for j, c in enumerate(columns) if c.kind is Kind.MEAN and c.target == name)
        found.append(
            ColumnGroup(np.array(own, dtype=np.intp), np.ones(len(own)), mean, in_logarithm(declared), first + k)
        )
    return tuple(found)


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
    item: Item,
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
    if isinstance(item, Population):
        item = item.parameter
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


def _check_noise(name: str, item: Item, sensors: Mapping[str, Parameter]) -> None:
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
