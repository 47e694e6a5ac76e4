"""Values of envelopes as JSON and arrays, and back: class by class, from a list, since files come from elsewhere.

Nothing is looked up by a name that is not in the list, and nothing is executed. Floats are written with repr and read
back to the same bits; arrays and datasets stand beside the record under names that the record gives. What has no plain
form is an object whose key "is" says what it stands for.
"""

import enum
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.files.named_function import NamedFunction, source_hash
from physics_twin.errors import FileFormatError
from physics_twin.measurements.records import recipe_from_record, recipe_record
from physics_twin.parameters import Values
from physics_twin.priors import HalfNormal, LogNormal, Normal, Truncated, Uniform
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import Unit, parse

IS = "is"
PRIORS: Mapping[str, Any] = {c.__name__: c for c in (Normal, LogNormal, Uniform, HalfNormal, Truncated)}

type Classes = Mapping[str, type]


@dataclass
class Writer:
    """Makes records; keeps the arrays and datasets that they refer to."""

    classes: Classes | None
    """None: every dataclass, for records that are compared and never read."""
    arrays: dict[str, Array] = field(default_factory=dict)
    datasets: dict[str, xr.Dataset] = field(default_factory=dict)

    def record(self, x: Any, at: str) -> Any:
        """`x` as JSON; at: where it stands, which names its arrays. Raises FileFormatError for what has no form."""
        if isinstance(x, np.generic):
            x = x.item()
        if x is None or isinstance(x, bool | int | str):
            return x
        if isinstance(x, float):
            return x if math.isfinite(x) else {IS: "float", "text": repr(x)}
        if isinstance(x, list | tuple):
            return [self.record(one, f"{at}.{i}") for i, one in enumerate(x)]
        if isinstance(x, np.ndarray):
            return self._array(x, at)
        if isinstance(x, xr.Dataset):
            return {IS: "dataset", "name": _keep(self.datasets, at, x)}
        if isinstance(x, Values):
            return {IS: "Values", "numbers": self._named(x, at)}
        if isinstance(x, Mapping):
            return self._named(x, at)
        kind = type(x).__name__
        if is_dataclass(x) and not isinstance(x, type) and self._known(x):
            return {IS: kind, **{f.name: self.record(getattr(x, f.name), f"{at}.{f.name}") for f in fields(x)}}
        return self._special(x, at)

    def _known(self, x: Any) -> bool:
        return self.classes is None or self.classes.get(type(x).__name__) is type(x)

    def _array(self, x: Array, at: str) -> Any:
        if x.dtype.kind == "U":
            return {IS: "texts", "values": x.tolist()}
        if x.dtype.kind not in "biuf":
            raise FileFormatError(f"{at} holds an array of {x.dtype}, which has no form in a file")
        return {IS: "array", "name": _keep(self.arrays, at, x)}

    def _named(self, x: Mapping[Any, Any], at: str) -> dict[str, Any]:
        for name in x:
            if not isinstance(name, str) or name == IS:
                raise FileFormatError(f"{at} has the key {name!r}, which has no form in a file")
        return {name: self.record(value, f"{at}.{name}") for name, value in x.items()}

    def _special(self, x: Any, at: str) -> Any:
        if isinstance(x, enum.Enum) and self._known(x):
            return {IS: type(x).__name__, "member": x.name}
        if isinstance(x, Unit):
            return {IS: "Unit", "text": x.text}
        if isinstance(x, Setting):
            si = {"unit": x.unit.text, "si_unit": x.unit.si_text, "bounds": self.record(x.bounds, at)}
            return {IS: "Setting", "name": x.name, **si, "value": x.value, "description": x.description}
        if isinstance(x, Recipe):
            plain, tables = recipe_record(x)
            columns = [[np.asarray(t.times, dtype=float), np.asarray(t.values, dtype=float)] for t in tables]
            return {IS: "Recipe", "recipe": plain, "tables": self.record(columns, at)}
        if type(x).__name__ in PRIORS and type(x) is PRIORS[type(x).__name__]:
            # A prior is as a person declared it, or in the SI of the parameter that holds it.
            unit = None if x._dimension is None else Unit.from_dimension(x._dimension).text
            return {IS: type(x).__name__, "arguments": self.record(x._values, at), "si": unit}
        if isinstance(x, NamedFunction):
            return {IS: "function", "name": x.name, "source": x.source}
        if hasattr(x, "magnitude"):
            number, unit_of = parse(x)
            return [number, unit_of.text]
        if callable(x) and not isinstance(x, type):
            return {IS: "function", "name": getattr(x, "__name__", type(x).__name__), "source": source_hash(x)}
        raise FileFormatError(f"{at} holds a {type(x).__name__}, which has no form in a file")


def identity(x: Any) -> str:
    """A hash that is the same for the same values, down to the last bit and the text of a function."""
    writer = Writer(None)
    digest = hashlib.sha256(json.dumps(writer.record(x, "x"), sort_keys=True).encode())
    for name, array in writer.arrays.items():
        digest.update(f"|{name}{array.dtype.str}{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _keep[T](store: dict[str, T], at: str, x: T) -> str:
    """Keep `x` under a name that a file may hold and nothing else has."""
    name = plain = re.sub(r"[^\w.]", "_", at)
    while name in store:
        name = f"{plain}_{len(store)}"
    store[name] = x
    return name


@dataclass(frozen=True)
class Reader:
    """Reads records back; arrays, datasets: those that stand beside them."""

    classes: Classes
    arrays: Mapping[str, Array] = field(default_factory=dict)
    datasets: Mapping[str, xr.Dataset] = field(default_factory=dict)

    def value(self, record: Any) -> Any:
        """What the record stands for; raises FileFormatError, KeyError, TypeError, ValueError or a PhysicsTwinError."""
        if isinstance(record, list):
            return tuple(self.value(one) for one in record)
        if not isinstance(record, Mapping):
            return record
        if IS not in record:
            return {str(name): self.value(one) for name, one in record.items()}
        kind, rest = record[IS], {name: one for name, one in record.items() if name != IS}
        if kind in self.classes:
            cls = self.classes[kind]
            return cls[str(rest["member"])] if issubclass(cls, enum.Enum) else self.made(cls, rest)
        if kind in PRIORS:
            return self._prior(PRIORS[kind], rest)
        readers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "float": lambda r: float(r["text"]),
            "array": lambda r: np.array(self._beside(self.arrays, r["name"])),
            "texts": lambda r: np.array(r["values"], dtype=str),
            "dataset": lambda r: self._beside(self.datasets, r["name"]),
            "Values": lambda r: Values(self.value(r["numbers"])),
            "Unit": lambda r: Unit(str(r["text"])),
            "Setting": self._setting,
            "Recipe": lambda r: recipe_from_record(r["recipe"], self.value(r["tables"])),
            "function": lambda r: NamedFunction(str(r["name"]), str(r["source"])),
        }
        if kind not in readers:
            raise FileFormatError(f'it holds a "{kind}", which this version of physics_twin does not know')
        return readers[kind](rest)

    def made[T](self, cls: type[T], record: Mapping[str, Any]) -> T:
        """A dataclass from its fields; a file may be older than a field with a default."""
        declared = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        later = {n for n, f in declared.items() if f.default is not MISSING or f.default_factory is not MISSING}
        if missing := sorted(set(declared) - later - set(record)):
            raise FileFormatError(f"a {cls.__name__} without {', '.join(missing)}")
        if unknown := sorted(set(record) - set(declared)):
            raise FileFormatError(f"a {cls.__name__} with {', '.join(unknown)}, which it does not have")
        values = {name: self.value(one) for name, one in record.items()}
        return cls(**{name: _checked(cls, name, declared[name].type, value) for name, value in values.items()})

    def _beside[T](self, store: Mapping[str, T], name: Any) -> T:
        if name not in store:
            raise FileFormatError(f'it refers to "{name}", which is not in the file')
        return store[name]

    def _setting(self, record: Mapping[str, Any]) -> Setting:
        si = str(record["si_unit"])
        low, high = (float(x) for x in self.value(record["bounds"]))
        value = None if record["value"] is None else (float(record["value"]), si)
        bounds = (None if math.isinf(low) else (low, si), None if math.isinf(high) else (high, si))
        return Setting(
            str(record["name"]), str(record["unit"]), bounds=bounds, value=value, description=str(record["description"])
        )

    def _prior(self, cls: Any, record: Mapping[str, Any]) -> Any:
        arguments = self.value(record["arguments"])
        if record["si"] is None:
            return cls(*arguments)
        si = Unit(str(record["si"]))
        given = [_end(x, si) for x in arguments]
        if cls is LogNormal:
            given[1] = arguments[1]  # the spread of a logarithm has no unit
        return cls(*given).in_si(si, "prior")


def _end(x: Any, si: Unit) -> Any:
    """An argument of a prior in SI with its unit; an end at infinity is an open one."""
    return x if not isinstance(x, float) else None if math.isinf(x) else (x, si.text)


def _checked(cls: type, name: str, declared: Any, value: Any) -> Any:
    """Numbers, texts and flags are what the class says they are; everything else checks itself."""
    if declared is float and type(value) in (int, float):
        return float(value)
    if declared in (int, str, bool, float) and type(value) is not declared:
        raise FileFormatError(f"{cls.__name__}: {name} = {value!r} is not of the type {declared.__name__}")
    return value
