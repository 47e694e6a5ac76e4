"""Channels and recipes as plain JSON, and back: explicit, class by class, since files come from elsewhere.

Nothing is looked up by a name that the file gives; what is not written here cannot be made by a file. Tables of inputs
are long, so they are returned beside the record as arrays and referred to by number.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from physics_twin.errors import FileFormatError
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.places import Place
from physics_twin.measurements.recorded_inputs import InputSensor
from physics_twin.measurements.sampling import Averaged
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
)
from physics_twin.recipes import (
    STEADY,
    Action,
    Crossing,
    Direction,
    Level,
    Phase,
    Ramp,
    Recipe,
    Rule,
    StateEvent,
    Steady,
    Table,
)
from physics_twin.signals import Setting
from physics_twin.units import Unit, parse, unit as as_unit

__all__ = [
    "channel_from_record",
    "channel_record",
    "input_sensors_from_record",
    "input_sensors_record",
    "recipe_from_record",
    "recipe_record",
]

type Record = Mapping[str, Any]


def channel_record(channel: Channel) -> dict[str, Any]:
    """Return a channel as JSON; numbers are SI, or (number, unit) as declared."""
    noise, bias, delay = channel.unknown_noise, channel.unknown_bias, channel.unknown_delay
    record: dict[str, Any] = {
        "output": channel.output,
        "column": channel.column,
        "unit": channel.unit.text,
        "noise": channel.noise,
        "bias": channel.bias,
        "delay": channel.delay,
        "unknown_noise": None if noise is None else {"start": _pair(noise.start), "shared": noise.shared},
        "unknown_bias": None if bias is None else {"sd": _pair(bias.sd)},
        "unknown_delay": None if delay is None else {"low": _pair(delay.low), "high": _pair(delay.high)},
    }
    # Only where there is one: the hash of a record without places is what it was before there were any.
    if channel.noise_shape is not None:
        record["noise_shape"] = {what: _shape_record(getattr(channel.noise_shape, what)) for what in SHAPES}
        if noise is None:
            record["noise_shape"]["level"] = _level_record(channel.noise_shape.level)
    if channel.place is not None:
        record["place"] = {"array": channel.place.array, "coordinates": list(channel.place.coordinates)}
    if channel.sensor is not None:
        record["sensor"] = _sensor_record(channel.sensor)
    if channel.checks is not None:
        record["checks"] = _checks_record(channel.checks)
    if channel.sensor_range is not None:
        record["sensor_range"] = [None if end is None else _pair(end) for end in channel.sensor_range]
    if channel.averaged is not None:
        record["averaged"] = _averaged_record(channel.averaged)
    if channel.time_noise:
        record["time_noise"] = channel.time_noise
    return record


def _end(record: Any) -> tuple[float, str] | None:
    return None if record is None else _quantity(record)


def _averaged_record(given: Averaged) -> dict[str, Any]:
    over = None if given.over is None else _pair(given.over)
    return {"over": over, "stamp": given.stamp, "weight": given.weight, "begin": given.begin, "end": given.end}


def _averaged(record: Record) -> Averaged:
    over = None if record["over"] is None else _quantity(record["over"])
    return Averaged(over, record["stamp"], record["weight"], record["begin"], record["end"])


def _sensor_record(sensor: Sensor) -> dict[str, Any]:
    stated = sensor.uncertainty
    return {
        "serial": sensor.serial,
        "correction": [[_pair(reading), _pair(added)] for reading, added in sensor.correction],
        "uncertainty": None if stated is None else _uncertainty_record(stated),
        "valid_until": None if sensor.valid_until is None else sensor.valid_until.isoformat(),
        "description": sensor.description,
    }


def _sensor(record: Record) -> Sensor:
    stated, until = record["uncertainty"], record["valid_until"]
    return Sensor(
        str(record["serial"]),
        tuple((_quantity(reading), _quantity(added)) for reading, added in record["correction"]),
        None if stated is None else _uncertainty(stated),
        None if until is None else dt.date.fromisoformat(str(until)),
        str(record["description"]),
    )


def input_sensors_record(sensors: Sequence[InputSensor]) -> list[dict[str, Any]]:
    """Return the sensors of a recorded input as JSON."""
    return [{"sensor": _sensor_record(one.sensor), "first": one.first, "last": one.last} for one in sensors]


def input_sensors_from_record(record: Sequence[Record]) -> tuple[InputSensor, ...]:
    """Return the sensors of `input_sensors_record`. Raises KeyError, TypeError or a PhysicsTwinError else."""
    return tuple(InputSensor(_sensor(one["sensor"]), float(one["first"]), float(one["last"])) for one in record)


_LIMITS = ("low", "high", "resolution", "deadband", "rate", "spike", "flat", "gap")


def _checks_record(checks: Checks) -> dict[str, Any]:
    limits = {key: getattr(checks, key) for key in _LIMITS}
    stated: dict[str, Any] = {key: _pair(limit) for key, limit in limits.items() if limit is not None}
    return stated | ({"zero_is_missing": True} if checks.zero_is_missing else {})


def _checks(record: Record) -> Checks:
    limits = {key: _quantity(record[key]) for key in _LIMITS if key in record}
    return Checks(**limits, zero_is_missing=bool(record.get("zero_is_missing", False)))


def channel_from_record(record: Record) -> Channel:
    """Return the channel of `channel_record`. Raises KeyError, TypeError or a PhysicsTwinError for anything else."""
    unit = as_unit(str(record["unit"]))
    si = unit.difference().si_text
    noise, bias, delay = record["unknown_noise"], record["unknown_bias"], record["unknown_delay"]
    place, sensor, checks = (record.get(key) for key in ("place", "sensor", "checks"))
    level = (
        (float(record["noise"]), si)
        if noise is None
        else EstimatedNoise(_quantity(noise["start"]), shared=noise["shared"])
    )
    shape, ends, averaged, time_noise = (
        record.get(key) for key in ("noise_shape", "sensor_range", "averaged", "time_noise")
    )
    return Channel(
        str(record["output"]),
        column=str(record["column"]),
        unit=unit,
        noise=level if shape is None else Noise(_shape_level(shape, level), **{k: _shape(shape[k]) for k in SHAPES}),
        bias=(float(record["bias"]), si) if bias is None else UnknownBias(_quantity(bias["sd"])),
        delay=(float(record["delay"]), "s")
        if delay is None
        else UnknownDelay(_quantity(delay["low"]), _quantity(delay["high"])),
        place=None if place is None else Place(str(place["array"]), *((float(x), "m") for x in place["coordinates"])),
        sensor=None if sensor is None else _sensor(sensor),
        checks=None if checks is None else _checks(checks),
        sensor_range=None if ends is None else (_end(ends[0]), _end(ends[1])),
        averaged=None if averaged is None else _averaged(averaged),
        time_noise=None if time_noise is None else (float(time_noise), "s"),
    )


def _level_record(level: Any) -> Any:
    return _uncertainty_record(level) if isinstance(level, Uncertainty) else _pair(level)


def _shape_level(shape: Record, si: Any) -> Any:
    """The level of a `Noise` as it was declared; `si` where it is estimated, or a record has none."""
    stated = shape.get("level")
    if stated is None:
        return si
    return _uncertainty(stated) if isinstance(stated, Mapping) else _quantity(stated)


def _uncertainty_record(stated: Uncertainty) -> dict[str, Any]:
    return {"value": _pair(stated.value), "k": float(stated.k)}


def _uncertainty(record: Record) -> Uncertainty:
    return Uncertainty(_quantity(record["value"]), float(record["k"]))


def _shape_record(given: Any) -> Any:
    return {"start": _pair(given.start)} if isinstance(given, Estimated) else None if given is None else _pair(given)


def _shape(record: Any) -> Any:
    if record is None:
        return None
    return Estimated(_quantity(record["start"])) if isinstance(record, Mapping) else _quantity(record)


def _pair(level: Any) -> list[Any]:
    number, its_unit = parse(level)
    return [number, its_unit.text]


def _quantity(record: Sequence[Any]) -> tuple[float, str]:
    number, text = record
    return float(number), str(text)


def recipe_record(recipe: Recipe) -> tuple[dict[str, Any], list[Table]]:
    """Return a recipe as JSON, and its tables, which the record refers to by their position."""
    tables: list[Table] = []

    def entry(item: Any) -> Any:
        if isinstance(item, Table):
            tables.append(item)
            held = {"hold_after": True} if item.hold_after else {}
            return {"table": len(tables) - 1, "unit": item.unit.text, "rule": item.rule.value, **held}
        if isinstance(item, Ramp):
            over = None if item.over is None else _level(item.over)
            return {"ramp": [_level(item.start), _level(item.end), over]}
        return _level(item)

    phases = [
        {
            "name": phase.name,
            "inputs": {name: entry(item) for name, item in phase.inputs.items()},
            "duration": None if phase.duration is None else _level(phase.duration),
            "until": None
            if phase.until is None
            else [phase.until.output, _level(phase.until.level), phase.until.direction.name],
            "at_most": None if phase.at_most is None else _level(phase.at_most),
            "start": [_event(event) for event in phase.start],
            "at": [[_level(when), [_event(event) for event in events]] for when, events in phase.at],
        }
        for phase in recipe.phases
    ]
    initial: Any = "steady" if isinstance(recipe.initial, Steady) else {k: _level(v) for k, v in recipe.initial.items()}
    return {"phases": phases, "initial": initial, "hold_end": recipe.hold_end}, tables


def _level(level: Level) -> Any:
    if isinstance(level, Setting):
        return {
            "setting": level.name,
            "unit": level.unit.text,
            "bounds": [None if math.isinf(end) else end for end in level.bounds],
            "value": level.value,
            "description": level.description,
        }
    if isinstance(level, str):
        return level  # as it was written: "inf s" and "90 min" read back as they are
    number, its_unit = parse(level)
    return [number, its_unit.text]


def _event(event: StateEvent) -> list[Any]:
    return [event.action.name, event.state, _level(event.amount)]


def recipe_from_record(record: Record, tables: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]) -> Recipe:
    """Return the recipe of `recipe_record`; tables: (times in s, values in SI) by position.

    Raises KeyError, TypeError, ValueError or a PhysicsTwinError for anything else.
    """

    def entry(item: Any) -> Any:
        if isinstance(item, Mapping) and "table" in item:
            position = int(item["table"])
            if not 0 <= position < len(tables):
                raise FileFormatError(f"the recipe refers to table {position} of {len(tables)}")
            t, v = (np.asarray(column, dtype=np.float64) for column in tables[position])
            held = bool(item.get("hold_after", False))
            return Table(tuple(t.tolist()), tuple(v.tolist()), as_unit(str(item["unit"])), Rule(item["rule"]), held)
        if isinstance(item, Mapping) and "ramp" in item:
            start, end, over = item["ramp"]
            return Ramp(_level_from(start), _level_from(end), None if over is None else _level_from(over))
        return _level_from(item)

    phases = []
    for one in record["phases"]:
        until = one["until"]
        phases.append(
            Phase(
                str(one["name"]),
                duration=None if one["duration"] is None else _level_from(one["duration"]),
                until=None
                if until is None
                else Crossing(str(until[0]), _level_from(until[1]), Direction[str(until[2])]),
                at_most=None if one["at_most"] is None else _level_from(one["at_most"]),
                start=[_event_from(event) for event in one["start"]],
                at=[(_level_from(when), [_event_from(event) for event in events]) for when, events in one["at"]],
                **{str(name): entry(item) for name, item in one["inputs"].items()},
            )
        )
    initial = record["initial"]
    begin: Any = STEADY if initial == "steady" else {str(k): _level_from(v) for k, v in initial.items()}
    return Recipe(phases, initial=begin, hold_end=bool(record["hold_end"]))


def _level_from(record: Any) -> Level:
    if isinstance(record, Mapping):
        unit = as_unit(str(record["unit"]))
        low, high = record["bounds"]
        si = Unit(unit.si_text)
        return Setting(
            str(record["setting"]),
            unit,
            bounds=(None if low is None else (low, si.text), None if high is None else (high, si.text)),
            value=None if record["value"] is None else (record["value"], si.text),
            description=str(record["description"]),
        )
    if isinstance(record, str):
        return record
    number, text = record
    # A bare number stands for a dimensionless one, and reads the same without its "1".
    return (float(number), str(text))


def _event_from(record: Sequence[Any]) -> StateEvent:
    action, state, amount = record
    return StateEvent(Action[str(action)], str(state), _level_from(amount))
