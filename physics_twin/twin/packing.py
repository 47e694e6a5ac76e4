"""What a twin is made of, as one JSON text and a few flat arrays, and back.

Explicit, since files come from elsewhere: only the classes listed here can be written or made, field by field. An
object that many snapshots share is written once and shared again when it is read. Arrays lie behind one another in one
vector of floats and one of bytes, since a file of many small arrays is slow and large. Floats in JSON are written by
repr: every bit comes back.
"""

import dataclasses
import enum
import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import DataError, FileFormatError
from physics_twin.measurements import Channel
from physics_twin.measurements.places import Place
from physics_twin.measurements.records import channel_from_record, channel_record, recipe_from_record, recipe_record
from physics_twin.model import Model
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.posterior.storage import parameter_from_record, parameter_record
from physics_twin.recipes import Recipe
from physics_twin.twin.audit import Audit, AuditRecord
from physics_twin.twin.entry_columns import entries_from_record, entries_record
from physics_twin.twin.posterior_bytes import posterior_from_bytes, posterior_to_bytes
from physics_twin.twin.timeline import Operation, Sample
from physics_twin.units import Unit, parse

_MODULES = {
    "physics_twin.assimilation.belief": ("Belief", "Start"),
    "physics_twin.assimilation.random_walk": ("RandomWalk",),
    "physics_twin.assimilation.extended_kalman": ("ExtendedKalman",),
    "physics_twin.assimilation.unscented_kalman": ("UnscentedKalman",),
    "physics_twin.assimilation.runge_kutta": ("RungeKutta",),
    "physics_twin.assimilation.ensemble_kalman": ("EnsembleKalman", "AdaptiveInflation", "Localized"),
    "physics_twin.assimilation.moving_horizon.method": ("MovingHorizon",),
    "physics_twin.assimilation.moving_horizon.solvers": ("Converged", "RealTimeIteration"),
    "physics_twin.twin.setup": ("Setup", "Beginning", "Guard", "Window"),
    "physics_twin.twin.state": (
        "FilterState",
        "Batch",
        "Mask",
        "Excess",
        "ChannelMonitor",
        "InputMonitor",
        "Consistency",
    ),
    "physics_twin.twin.counts": ("Counts",),
    "physics_twin.twin.twin": ("Twin",),
}
CLASSES = {name: module for module, names in _MODULES.items() for name in names}
"""Dataclasses that a file may hold, and where they are."""
ENUMS = {"Mode": "physics_twin.twin.state", "Flag": "physics_twin.measurements.flags"}
KINDS: Mapping[str, Any] = {"numbers": np.float64, "bytes": np.uint8}
_CODES = {"f8": "numbers", "i8": "bytes", "u1": "bytes", "b1": "bytes"}

_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Packed:
    """text: plain JSON. arrays: "numbers" (n,) float64, "bytes" (n,) uint8: all others."""

    text: dict[str, Any]
    arrays: Mapping[str, Array]


class Packer:
    """Writes values down; objects are told apart by identity."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._arrays: list[Any] = []
        self._parts: dict[str, list[Array]] = {kind: [] for kind in KINDS}
        self._lengths = dict.fromkeys(KINDS, 0)
        self._fields: dict[str, list[str]] = {}
        self._alive: list[Any] = []

    def packed(self, value: Any) -> Packed:
        """A value and all that it holds."""
        root = self._value(value)
        text = {"root": root, "objects": self._objects, "arrays": self._arrays, "fields": self._fields}
        empty = {kind: np.empty(0, dtype) for kind, dtype in KINDS.items()}
        return Packed(
            text, {kind: np.concatenate(parts) if parts else empty[kind] for kind, parts in self._parts.items()}
        )

    def _value(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        if isinstance(value, np.bool_ | np.integer | np.floating):
            return value.item()
        if isinstance(value, np.ndarray):
            return {"array": self._array(value)}
        if isinstance(value, tuple):
            if value and all(isinstance(item, Sample | Operation) for item in value):
                return {"entries": self._value(entries_record(value))}
            return [self._value(item) for item in value]
        if isinstance(value, enum.Enum) and ENUMS.get(type(value).__name__) == type(value).__module__:
            return {"enum": [type(value).__name__, value.value]}
        if isinstance(value, Unit):
            return {"unit": value.text}
        number = self._numbers.get(id(value))
        if number is None:
            record = self._object(value)  # what it holds comes before it
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(record)
            self._alive.append(value)  # else another object could get its id
        return {"is": number}

    def _object(self, value: Any) -> list[Any]:
        """The record of an object: what it is, and its parts."""
        name = type(value).__name__
        if CLASSES.get(name) == _home(type(value)):
            names = [f.name for f in dataclasses.fields(value)]
            self._fields.setdefault(name, names)
            return [name, *(self._value(getattr(value, own)) for own in names)]
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise DataError(f"a twin cannot be saved: {key!r} is a key of a mapping; keys are texts")
            return ["{}", {key: self._value(item) for key, item in value.items()}]
        if isinstance(value, Recipe):
            record, tables = recipe_record(value)
            return ["Recipe", record, [[self._array(np.array(c)) for c in (t.times, t.values)] for t in tables]]
        if isinstance(value, Channel):
            return ["Channel", channel_record(value)]
        if isinstance(value, Parameter):
            return ["Parameter", parameter_record(value)]
        if isinstance(value, Place):
            return ["Place", value.array, list(value.coordinates)]
        if isinstance(value, Posterior):
            return ["Posterior", self._array(np.frombuffer(posterior_to_bytes(value), dtype=np.uint8))]
        if isinstance(value, Audit):
            return ["Audit", [record.line for record in value]]
        if isinstance(value, Model):
            return ["Model"]
        if isinstance(value, list | set) or dataclasses.is_dataclass(value) or callable(value):
            raise DataError(f"a twin cannot be saved: it holds a {name} ({value!r:.80}), which no file can hold")
        number, its_unit = parse(value)  # a quantity of pint
        return ["Quantity", number, its_unit.text]

    def _array(self, array: Array) -> int:
        number = self._numbers.get(id(array))
        if number is not None:
            return number
        code = array.dtype.str[1:]
        if code not in _CODES or not array.dtype.isnative:
            raise DataError(f"a twin cannot be saved: it holds an array of {array.dtype}")
        # Sums and products round by the order in memory: it comes back as it was.
        order: Literal["C", "F"] = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        flat = array.ravel(order=order)
        kind = _CODES[code]
        flat = flat.view(KINDS[kind])
        self._arrays.append([code, order, self._lengths[kind], list(array.shape)])
        self._parts[kind].append(flat)
        self._lengths[kind] += flat.size
        self._alive.append(array)
        self._numbers[id(array)] = len(self._arrays) - 1
        return len(self._arrays) - 1


class Unpacker:
    """Reads what a `Packer` wrote. Raises FileFormatError, KeyError, TypeError, ValueError or IndexError else."""

    def __init__(self, packed: Packed, model: Model) -> None:
        self._packed = packed
        self._model = model
        self._made: list[Any] = []
        self._arrays = [self._array(*one) for one in packed.text["arrays"]]

    def value(self) -> Any:
        """What was packed."""
        for record in self._packed.text["objects"]:
            self._made.append(self._object(*record))
        return self._value(self._packed.text["root"])

    def _array(self, code: str, order: str, begin: int, shape: Sequence[int]) -> Array:
        kind, dtype = _CODES[code], np.dtype(code if code != "b1" else bool)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize // np.dtype(KINDS[kind]).itemsize
        # A copy lies where its type may lie, which a part of a vector of bytes need not.
        flat = self._packed.arrays[kind][begin : begin + size].copy()
        if begin < 0 or len(flat) != size or order not in ("C", "F"):
            raise FileFormatError("an array reaches beyond its end")
        return flat.view(dtype).reshape(shape, order="F" if order == "F" else "C")

    def _value(self, record: Any) -> Any:
        if isinstance(record, list):
            return tuple(self._value(item) for item in record)
        if not isinstance(record, dict):
            return record
        ((kind, what),) = record.items()
        match kind:
            case "is":
                if not 0 <= what < len(self._made):
                    raise FileFormatError(f"object {what} is not there yet")
                return self._made[what]
            case "array":
                return self._arrays[what]
            case "entries":
                return entries_from_record(self._value(what))
            case "enum":
                name, value = what
                return _class(name, ENUMS)(value)
            case "unit":
                return Unit(what)
        raise FileFormatError(f'nothing is known of a "{kind}"')

    def _object(self, name: str, *parts: Any) -> Any:
        match name:
            case "{}":
                return {key: self._value(item) for key, item in parts[0].items()}
            case "Recipe":
                record, tables = parts
                return recipe_from_record(record, [(self._arrays[t], self._arrays[v]) for t, v in tables])
            case "Channel":
                return channel_from_record(parts[0])
            case "Parameter":
                return parameter_from_record(parts[0])
            case "Place":
                return Place(parts[0], *((float(x), "m") for x in parts[1]))
            case "Posterior":
                return posterior_from_bytes(self._arrays[parts[0]].tobytes())
            case "Audit":
                log = Audit(tuple(AuditRecord.from_line(line) for line in parts[0]))
                log.verify()
                return log
            case "Model":
                return self._model
            case "Quantity":
                return float(parts[0]), str(parts[1])
        own = _class(name, CLASSES)
        names = self._packed.text["fields"][name]
        given = dict(zip(names, (self._value(part) for part in parts), strict=True))
        known = {f.name: f for f in dataclasses.fields(own)}
        needed = {n for n, f in known.items() if f.default is f.default_factory is dataclasses.MISSING}
        if not needed <= set(given) <= set(known):
            raise FileFormatError(f"a {name} holds {', '.join(known)}; this one {', '.join(given)}")
        return own(**given)


def _home(own: type) -> str:
    """Where the table looks for a class: its module, or the package that exports it."""
    module = CLASSES.get(own.__name__, "")
    return module if own.__module__ == module or own.__module__.startswith(f"{module}.") else own.__module__


@functools.cache
def _named(name: str, module: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _class(name: str, table: Mapping[str, str]) -> Any:
    if name not in table:
        raise FileFormatError(f'there is no class "{name}" that a twin may hold')
    return _named(name, table[name])
