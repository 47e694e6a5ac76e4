"""One table of tags for many logs: what each tag shows, in which unit, and what its sensor can do."""

import datetime as dt
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from physics_twin.errors import BoundsError, DataError, PhysicsTwinError, UnitError, check_name, unknown_name
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.places import Place
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.uncertainty import EstimatedNoise, Uncertainty, UnknownBias, UnknownDelay, plain
from physics_twin.recipes import RAMP, Rule
from physics_twin.units import QuantityLike, dimension_text, format_si, to_si, unit as as_unit

__all__ = ["Tag", "TagTable"]


@dataclass(frozen=True)
class Tag:
    """A tag of the historian: the output or the input of the model that it shows, or neither (batch, phase).

    name: as in the export. output, input: of the model. unit: of its numbers. noise, bias, delay, place: of an output,
    as in `Channel`. rule: of an input, `pt.RAMP` or `pt.HOLD`. checks: declared limits. states: text -> number of a
    digital tag ("Open" -> 1). description: in words. export_unit: what the export states as the unit, where that is
    declared to mean `unit` although it reads otherwise.

    Read back, quantities are (number, unit). Raises DataError, UnitError or BoundsError, naming the tag.
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
    export_unit: str | None = None

    def __post_init__(self) -> None:
        """Check what is declared as far as one tag shows it."""
        if not self.name or self.name != self.name.strip():
            raise DataError(f'"{self.name}" cannot name a tag: it is empty, or has blanks around it')
        if self.output is not None and self.input is not None:
            raise DataError(
                f'tag "{self.name}" is both the output {self.output} and the input {self.input}; what is fed in is an '
                "input, what the model is compared with is an output"
            )
        if self.output is not None and self.noise is None:
            raise DataError(f'tag "{self.name}": an output needs noise="1 K" (one standard deviation)')
        try:
            for key in ("noise", "bias", "delay"):
                given = getattr(self, key)
                if given is not None and not isinstance(
                    given, Uncertainty | EstimatedNoise | UnknownBias | UnknownDelay
                ):
                    object.__setattr__(self, key, plain(given))
            unit = as_unit(self.unit)
            self.checks.limits(unit)
            # Whatever the tag is, what it declares is judged as that of an output would be.
            Channel(
                self.output or "tag",
                unit=unit,
                noise=(1.0, unit.difference().text) if self.noise is None else self.noise,
                bias=self.bias,
                delay=self.delay,
            )
            if self.input is not None:
                check_name("input", self.input)
        except PhysicsTwinError as error:
            raise _of_tag(self.name, error) from None
        object.__setattr__(self, "states", {text: _state(self.name, text, x) for text, x in self.states.items()})

    def channel(self, sensor: Sensor | None = None) -> Channel:
        """Return the channel of an output, with its sensor. Raises DataError for a tag that is no output."""
        if self.output is None or self.noise is None:
            raise DataError(f'tag "{self.name}" shows no output of the model; declare output= and noise=')
        return Channel(
            self.output,
            column=self.name,
            unit=self.unit,
            noise=self.noise,
            bias=self.bias,
            delay=self.delay,
            place=self.place,
            sensor=sensor,
            checks=self.checks,
        )

    def column(self) -> Column:
        """Return the column of an input. Raises DataError for a tag that is no input."""
        if self.input is None:
            raise DataError(f'tag "{self.name}" is no input of the model; declare input=')
        return Column(self.name, self.unit, self.rule, self.checks)


def _of_tag(name: str, error: PhysicsTwinError) -> PhysicsTwinError:
    return type(error)(f'tag "{name}": {error}')


def _state(tag: str, text: str, number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise DataError(f'tag "{tag}": the state "{text}" stands for {number!r}, which is no finite number')
    return float(number)


@dataclass(frozen=True)
class TagTable:
    """Tags, the sensors behind them and when each was installed, and which tags show one quantity.

    Made in Python or read from a file (`TagTable.load`), whose name messages then say (`file`).

    Raises DataError for what contradicts itself (two tags of one name, output or input; two sensors at one tag and
    moment), UnknownNameError for a tag or a serial that is not in the table, UnitError where a sensor or a tolerance
    does not fit its tag.
    """

    tags: tuple[Tag, ...]
    sensors: tuple[Sensor, ...] = ()
    installations: tuple[Installation, ...] = ()
    pairs: tuple[Pair, ...] = ()
    file: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check all that takes more than one tag to see."""
        object.__setattr__(self, "tags", tuple(self.tags))
        _once([tag.name for tag in self.tags], "two tags are called")
        _once([tag.input for tag in self.tags if tag.input is not None], "two tags are the input")
        twice = _twice([tag.output for tag in self.tags if tag.output is not None])
        if twice is not None:
            both = [tag.name for tag in self.tags if tag.output == twice]
            raise DataError(
                f'tags "{both[0]}" and "{both[1]}" show one output, "{twice}"; give the model one output for each '
                "sensor, or leave output= away in one of them and declare both as a pair"
            )
        _once([sensor.serial for sensor in self.sensors], "two sensors have the serial number")
        _once([sensor.name for sensor in self.sensors], "two serial numbers, as names of parameters, are")
        self._check_installations()
        self._check_pairs()
        # The order of what hangs on the tags carries no meaning: tables that say the same are equal.
        at = {tag.name: k for k, tag in enumerate(self.tags)}
        sensors = sorted(self.sensors, key=lambda one: one.serial)
        installations = sorted(self.installations, key=lambda one: (at[one.tag], one.since or _FIRST))
        pairs = sorted(self.pairs, key=lambda one: (at[one.first], at[one.second]))
        object.__setattr__(self, "sensors", tuple(sensors))
        object.__setattr__(self, "installations", tuple(installations))
        object.__setattr__(self, "pairs", tuple(pairs))

    def _check_installations(self) -> None:
        sensors = {sensor.serial: sensor for sensor in self.sensors}
        moments = [f"{one.tag}, {one.since or 'from the beginning'}" for one in self.installations]
        _once(moments, "two sensors are installed at one tag and moment:")
        for one in self.installations:
            if one.serial not in sensors:
                raise unknown_name(f'sensor (installed at tag "{one.tag}")', one.serial, sensors)
            try:
                sensors[one.serial].check_unit(as_unit(self[one.tag].unit))
            except UnitError as error:
                raise _of_tag(one.tag, error) from None

    def _check_pairs(self) -> None:
        for pair in self.pairs:
            units = [as_unit(self[name].unit) for name in (pair.first, pair.second)]
            if pair.first == pair.second:
                raise DataError(f'tag "{pair.first}" is paired with itself')
            if units[0].dimension != units[1].dimension:
                raise UnitError(
                    f'tags "{pair.first}" and "{pair.second}" are a pair, in {units[0]} '
                    f"({dimension_text(units[0].dimension)}) and {units[1]} ({dimension_text(units[1].dimension)})"
                )
            name = f'tolerance of tags "{pair.first}" and "{pair.second}"'
            if not to_si(pair.tolerance, units[0], name=name, difference=True) > 0.0:
                raise BoundsError(f"{name} is not above 0")

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

    def __len__(self) -> int:
        """How many tags."""
        return len(self.tags)

    def __str__(self) -> str:
        """Return a row a tag: what it shows, unit, noise and the sensors behind it."""
        rows = [("tag", "shows", "unit", "noise", "sensors", "description")]
        for tag in self.tags:
            shows = tag.output or (f"input {tag.input}" if tag.input is not None else "")
            sensors = ", ".join(
                one.serial if one.since is None else f"{one.serial} (since {one.since:%Y-%m-%d %H:%M %Z})"
                for one in self.installed(tag.name)
            )
            noise = "" if tag.output is None else format_si(tag.channel().noise, as_unit(tag.unit), difference=True)
            rows.append((tag.name, shows, tag.unit, noise, sensors, tag.description))
        kept = [k for k in range(len(rows[0])) if any(row[k] for row in rows[1:])]
        widths = {k: max(len(row[k]) for row in rows) for k in kept}
        return "\n".join("  ".join(row[k].ljust(widths[k]) for k in kept).rstrip() for row in rows)

    @property
    def outputs(self) -> Mapping[str, Tag]:
        """Output of the model -> tag."""
        return {tag.output: tag for tag in self.tags if tag.output is not None}

    @property
    def inputs(self) -> Mapping[str, Tag]:
        """Input of the model -> tag."""
        return {tag.input: tag for tag in self.tags if tag.input is not None}

    def installed(self, name: str) -> tuple[Installation, ...]:
        """Return what was installed at a tag, in the order of time. Raises UnknownNameError."""
        self[name]
        return tuple(one for one in self.installations if one.tag == name)

    def sensor(self, name: str, at: dt.datetime | None = None) -> Sensor | None:
        """Return the sensor that was behind a tag at a moment, None where none is known.

        at: with a zone; without it, for a log of elapsed time, there must be one sensor only. Raises UnknownNameError,
        and DataError where `at` is needed or has no zone.
        """
        history = self.installed(name)
        if at is None:
            if len(history) > 1:
                raise DataError(
                    f'tag "{name}" has had {len(history)} sensors ({", ".join(one.serial for one in history)}); '
                    "say at= which moment"
                )
            current = history[0].serial if history else None
        else:
            if at.tzinfo is None:
                raise DataError(f'sensor at tag "{name}": the moment {at} has no zone')
            before = [one.serial for one in history if one.since is None or one.since <= at]
            current = before[-1] if before else None
        return next((sensor for sensor in self.sensors if sensor.serial == current), None)

    def channel(self, name: str, at: dt.datetime | None = None) -> Channel:
        """Return the channel of a tag that shows an output, with its checks and the sensor of that moment.

        Raises as `sensor` does, and DataError for a tag that is no output.
        """
        return self[name].channel(self.sensor(name, at))

    def column(self, name: str, at: dt.datetime | None = None) -> Column:
        """Return the column of a tag that is an input, with its checks and the sensor of that moment.

        Raises as `sensor` does, and DataError for a tag that is no input.
        """
        return replace(self[name].column(), sensor=self.sensor(name, at))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "TagTable":
        """Read a table from .toml or .csv; `physics_twin.measurements.tags.files` documents both.

        Raises FileFormatError for a file that is neither, UnknownNameError for a key that is not in the schema, and
        what the table itself raises, all naming file and tag (or line).
        """
        from physics_twin.measurements.tags.files import load_tags

        return load_tags(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write .toml or .csv, whole or not at all; `TagTable.load` gives back an equal table."""
        from physics_twin.measurements.tags.files import save_tags

        save_tags(self, path)


# Before any stamp; datetime.min would leave its range in a zone west of Greenwich.
_FIRST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)


def _twice(names: list[str]) -> str | None:
    return next((name for name, n in Counter(names).items() if n > 1), None)


def _once(names: list[str], words: str) -> None:
    name = _twice(names)
    if name is not None:
        raise DataError(f'{words} "{name}"')
