"""Tags and sensors as records: mappings of keys to texts, numbers and lists, as TOML knows them, and back.

What a key may hold is written here, once for all kinds of files; `tag_files` documents it for people.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from physics_twin.errors import DataError, FileFormatError, PhysicsTwinError, unknown_name
from physics_twin.measurements.places import Place
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.tag_table import Tag
from physics_twin.measurements.uncertainty import EstimatedNoise, Uncertainty, UnknownBias, UnknownDelay, plain
from physics_twin.recipes import Rule
from physics_twin.units import QuantityLike

__all__ = [
    "SENSOR_KEYS",
    "TAG_KEYS",
    "Entry",
    "Record",
    "check_keys",
    "installation_from",
    "key_text",
    "list_from",
    "named",
    "quantity_from",
    "quantity_text",
    "sensor_from",
    "sensor_record",
    "table_from",
    "tag_from",
    "tag_record",
    "text_from",
    "toml_text",
]

type Entry = Mapping[str, object]
type Record = dict[str, object]

_LIMITS = ("low", "high", "resolution", "deadband", "rate", "spike", "flat", "gap")
_IN_TAG_UNIT = ("low", "high", "resolution", "deadband", "spike")
TAG_KEYS = (
    *("output", "input", "unit", "export_unit", "noise", "bias", "delay", "place", "rule", "range"),
    *_LIMITS,
    *("zero_is_missing", "states", "description", "sensor"),
)
SENSOR_KEYS = ("correction", "uncertainty", "valid_until", "description", "thermocouple", "pt100")


def check_keys(entry: Iterable[str], known: Sequence[str], kind: str) -> None:
    """Raise UnknownNameError, with the nearest right one, for the first key that is not known."""
    for key in entry:
        if key not in known:
            raise unknown_name(kind, key, known)


def table_from(entry: object, where: str) -> Entry:
    """Return an entry that must be a table of keys. Raises FileFormatError."""
    if not isinstance(entry, dict):
        raise FileFormatError(f"{where} is {entry!r}, not a table of keys")
    return entry


def list_from(entry: object, where: str) -> Sequence[object]:
    """Return an entry that must be a list. Raises FileFormatError."""
    if not isinstance(entry, list):
        raise FileFormatError(f"{where} is {entry!r}, not a list; in TOML write [[{where}]]")
    return entry


def text_from(entry: Entry, key: str, where: str, default: str | None = None) -> str:
    """Return the text under a key; without it the default. Raises FileFormatError where there is neither."""
    given = entry.get(key, default)
    if given is None:
        raise FileFormatError(f"{where}: {key} is missing")
    if not isinstance(given, str):
        raise FileFormatError(f"{where}: {key} is {given!r}, not a text")
    return given


def quantity_from(given: object, name: str, unit: str | None = None) -> QuantityLike:
    """Return a quantity; a bare number is in `unit`, if there is one."""
    if isinstance(given, str):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise FileFormatError(f'{name} is {given!r}; a quantity is a text such as "2 K"')
    if unit is None:
        raise FileFormatError(f'{name} is {given:g} without a unit; write it as a text such as "2 K"')
    return (float(given), unit)


def tag_from(name: str, entry: Entry) -> Tag:
    """Return the tag that a record describes. Raises a PhysicsTwinError that names the tag."""
    where = f'tag "{name}"'
    check_keys(entry, TAG_KEYS, f"key of {where}")
    unit = text_from(entry, "unit", where, "1")
    limits: dict[str, QuantityLike] = {}
    if "range" in entry:
        both = list_from(entry["range"], f"range of {where}")
        if len(both) != 2 or "low" in entry or "high" in entry:
            raise FileFormatError(f"{where}: range = [low, high], or low and high by themselves")
        limits = {
            key: quantity_from(end, f"{key} of {where}", unit) for key, end in zip(("low", "high"), both, strict=True)
        }
    for key in _LIMITS:
        if key in entry:
            limits[key] = quantity_from(entry[key], f"{key} of {where}", unit if key in _IN_TAG_UNIT else None)
    zero = entry.get("zero_is_missing", False)
    if not isinstance(zero, bool):
        raise FileFormatError(f"{where}: zero_is_missing is {zero!r}, neither true nor false")
    states = table_from(entry.get("states", {}), f"states of {where}")
    rule = text_from(entry, "rule", where, Rule.RAMP.value)
    if rule not in [one.value for one in Rule]:
        raise unknown_name(f"rule of an input ({where})", rule, [one.value for one in Rule])
    place = list_from(entry["place"], f"place of {where}") if "place" in entry else []
    if "place" in entry and not (place and isinstance(place[0], str)):
        raise FileFormatError(f'{where}: place is {place!r}; write ["rod", "10 cm"]')
    return named(
        where,
        lambda: Tag(
            name,
            output=text_from(entry, "output", where) if "output" in entry else None,
            input=text_from(entry, "input", where) if "input" in entry else None,
            unit=unit,
            noise=_noise(entry["noise"], where, unit) if "noise" in entry else None,
            bias=_bias(entry["bias"], where, unit) if "bias" in entry else None,
            delay=_delay(entry["delay"], where) if "delay" in entry else None,
            place=Place(str(place[0]), *(quantity_from(x, f"place of {where}") for x in place[1:])) if place else None,
            rule=Rule(rule),
            checks=Checks(**limits, zero_is_missing=zero),
            states=states,  # type: ignore[arg-type]  # Tag looks at each number
            description=text_from(entry, "description", where, ""),
            export_unit=text_from(entry, "export_unit", where) if "export_unit" in entry else None,
        ),
    )


def named[T](where: str, make: Callable[[], T]) -> T:
    """Return what `make` returns; its errors say where."""
    try:
        return make()
    except PhysicsTwinError as error:
        if str(error).startswith(where):
            raise
        raise type(error)(f"{where}: {error}") from None


def _noise(given: object, where: str, unit: str) -> QuantityLike | Uncertainty | EstimatedNoise:
    if not isinstance(given, dict):
        return quantity_from(given, f"noise of {where}", unit)
    estimated = "estimate" in given
    check_keys(
        given, ("estimate", "shared") if estimated else ("value", "k", "estimate"), f"key of the noise of {where}"
    )
    if not estimated:
        return _uncertainty(given, where, unit)
    start = quantity_from(given["estimate"], f"noise of {where}", unit)
    return EstimatedNoise(start, text_from(given, "shared", where) if "shared" in given else None)


def _uncertainty(given: object, where: str, unit: str | None) -> Uncertainty:
    if not isinstance(given, dict):
        return Uncertainty(quantity_from(given, f"uncertainty of {where}", unit))
    check_keys(given, ("value", "k"), f"key of the uncertainty of {where}")
    k = given.get("k", 2.0)
    if isinstance(k, bool) or not isinstance(k, int | float):
        raise FileFormatError(f"{where}: k is {k!r}, not a number")
    return Uncertainty(quantity_from(given.get("value"), f"uncertainty of {where}", unit), float(k))


def _bias(given: object, where: str, unit: str) -> QuantityLike | UnknownBias:
    if not isinstance(given, dict):
        return quantity_from(given, f"bias of {where}", unit)
    check_keys(given, ("sd",), f"key of the bias of {where}")
    return UnknownBias(quantity_from(given.get("sd"), f"bias of {where}", unit))


def _delay(given: object, where: str) -> QuantityLike | UnknownDelay:
    if not isinstance(given, dict):
        return quantity_from(given, f"delay of {where}")
    check_keys(given, ("low", "high"), f"key of the delay of {where}")
    low, high = (quantity_from(given.get(key), f"delay of {where}") for key in ("low", "high"))
    return UnknownDelay(low, high)


def sensor_from(serial: str, entry: Entry) -> Sensor:
    """Return the sensor that a record describes. Raises a PhysicsTwinError that names the sensor."""
    where = f"sensor {serial}"
    check_keys(entry, SENSOR_KEYS, f"key of {where}")
    until = entry.get("valid_until")
    if until is not None and (isinstance(until, dt.datetime) or not isinstance(until, dt.date)):
        raise FileFormatError(f"{where}: valid_until is {until}, not a day; write 2027-03-01")
    words = text_from(entry, "description", where, "")
    told = [key for key in ("uncertainty", "thermocouple", "pt100") if key in entry]
    if len(told) > 1 or ("correction" in entry and told[:1] not in ([], ["uncertainty"])):
        raise DataError(f"{where}: {' and '.join(told)} exclude each other, and a class has no correction")
    if "thermocouple" in entry:
        given = table_from(entry["thermocouple"], f"thermocouple of {where}")
        check_keys(given, ("type", "class", "at"), f"key of the thermocouple of {where}")
        tolerance_class, at = given.get("class", 1), quantity_from(given.get("at"), f"at of {where}")
        if not isinstance(tolerance_class, int):
            raise FileFormatError(f"{where}: class is {tolerance_class!r}, not 1, 2 or 3")
        letter = text_from(given, "type", where)
        return named(
            where,
            lambda: Sensor.thermocouple(serial, letter, tolerance_class, at=at, valid_until=until, description=words),
        )
    if "pt100" in entry:
        given = table_from(entry["pt100"], f"pt100 of {where}")
        check_keys(given, ("class", "at", "film"), f"key of the pt100 of {where}")
        letters, where_used = text_from(given, "class", where), quantity_from(given.get("at"), f"at of {where}")
        film = given.get("film", False)
        if not isinstance(film, bool):
            raise FileFormatError(f"{where}: film is {film!r}, neither true nor false")
        return named(
            where,
            lambda: Sensor.pt100(serial, letters, at=where_used, film=film, valid_until=until, description=words),
        )
    points: list[tuple[QuantityLike, QuantityLike]] = []
    for point in list_from(entry.get("correction", []), f"correction of {where}"):
        if not isinstance(point, list) or len(point) != 2:
            raise FileFormatError(f'{where}: a point of its correction is ["0 degC", "0.5 K"], not {point!r}')
        reading, added = (quantity_from(x, f"correction of {where}") for x in point)
        points.append((reading, added))
    stated = named(where, lambda: _uncertainty(entry["uncertainty"], where, None)) if "uncertainty" in entry else None
    return named(where, lambda: Sensor(serial, tuple(points), stated, until, words))


def installation_from(tag: str, serial: str, since: object) -> Installation:
    """Return an installation. Raises FileFormatError where `since` is no moment, DataError where it has no zone."""
    if since is not None and not isinstance(since, dt.datetime):
        raise FileFormatError(
            f'sensor {serial} at tag "{tag}": since is {since}, not a moment; write 2026-03-01T06:00:00+01:00'
        )
    return Installation(tag, serial, since)


def tag_record(tag: Tag) -> Record:
    """Return the record of a tag, of which `tag_from` makes an equal one."""
    record: Record = {}
    if tag.output is not None:
        record["output"] = tag.output
    if tag.input is not None:
        record["input"] = tag.input
    record["unit"] = tag.unit
    noise, bias, delay = tag.noise, tag.bias, tag.delay
    if isinstance(noise, EstimatedNoise):
        shared = {} if noise.shared is None else {"shared": noise.shared}
        record["noise"] = {"estimate": quantity_text(noise.start), **shared}
    elif noise is not None:
        record["noise"] = _stated(noise) if isinstance(noise, Uncertainty) else quantity_text(noise)
    if bias is not None:
        record["bias"] = {"sd": quantity_text(bias.sd)} if isinstance(bias, UnknownBias) else quantity_text(bias)
    if delay is not None:
        record["delay"] = _delay_record(delay)
    if tag.place is not None:
        record["place"] = [tag.place.array, *(quantity_text((x, "m")) for x in tag.place.coordinates)]
    if tag.rule is not Rule.RAMP:
        record["rule"] = tag.rule.value
    for key in _LIMITS:
        if getattr(tag.checks, key) is not None:
            record[key] = quantity_text(getattr(tag.checks, key))
    if tag.checks.zero_is_missing:
        record["zero_is_missing"] = True
    if tag.states:
        record["states"] = dict(tag.states)
    if tag.export_unit is not None:
        record["export_unit"] = tag.export_unit
    if tag.description:
        record["description"] = tag.description
    return record


def _delay_record(delay: QuantityLike | UnknownDelay) -> object:
    if isinstance(delay, UnknownDelay):
        return {"low": quantity_text(delay.low), "high": quantity_text(delay.high)}
    return quantity_text(delay)


def sensor_record(sensor: Sensor) -> Record:
    """Return the record of a sensor, of which `sensor_from` makes an equal one."""
    record: Record = {}
    if sensor.correction:
        record["correction"] = [[quantity_text(reading), quantity_text(added)] for reading, added in sensor.correction]
    if sensor.uncertainty is not None:
        record["uncertainty"] = _stated(sensor.uncertainty)
    if sensor.valid_until is not None:
        record["valid_until"] = sensor.valid_until
    if sensor.description:
        record["description"] = sensor.description
    return record


def _stated(uncertainty: Uncertainty) -> Record:
    return {"value": quantity_text(uncertainty.value), "k": uncertainty.k}


def quantity_text(quantity: QuantityLike) -> str:
    """Return number and unit as a text that reads back the same, bit for bit."""
    number, unit = plain(quantity)
    # With its "1": a bare number would be taken for one in the tag's unit.
    return f"{_number(number)} {unit}"


def _number(number: float) -> str:
    text = repr(float(number))
    return text.removesuffix(".0")


def key_text(text: str) -> str:
    """Return a key as TOML writes it: bare where it can be, else quoted."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_text(value: object) -> str:
    """Return a text, number, truth value, day, moment, list or table as TOML in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return _number(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dt.date):  # a moment is one too
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key_text(key)} = {toml_text(entry)}' for key, entry in value.items())} }}"
    raise FileFormatError(f"{value!r} cannot be written as TOML")
