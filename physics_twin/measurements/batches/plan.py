"""What the tags of a log become when it is cut: outputs, inputs, witnesses of pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from physics_twin.errors import DataError
from physics_twin.measurements.batches.batch import FromContext
from physics_twin.measurements.batches.judging import JudgedTag, judge
from physics_twin.measurements.building import distinct
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.plant_clock import PlantClock
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.sampling import range_of
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation
from physics_twin.measurements.tags.tag_table import TagTable
from physics_twin.recipes import Level
from physics_twin.units import Unit, unit as as_unit

__all__ = ["CutPlan", "InputOf", "OutputTag"]

_LACKING = "of the table are not in this log"  # as reading says it, which names the first few

type InputOf = Column | Level | FromContext


@dataclass(frozen=True)
class OutputTag:
    """A tag that shows an output."""

    tag: str
    output: str
    plain: Channel


@dataclass(frozen=True)
class CutPlan:
    """Which tags become what, and their judged samples (tag -> samples)."""

    outputs: tuple[OutputTag, ...]
    inputs: Mapping[str, InputOf]
    table: TagTable | None
    judged: Mapping[str, JudgedTag]
    installed: Mapping[str, tuple[Installation, ...]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        log: Log,
        table: TagTable | None,
        channels: Sequence[Channel] | None,
        inputs: Mapping[str, InputOf],
        has_recipe: bool,
    ) -> "CutPlan":
        """Return the plan for a log, with its tags judged.

        table: the tag table, or channels: with tags as columns. inputs: beside those of the table. has_recipe: the
        inputs of the table are not wanted.

        Raises UnknownNameError for a tag that is not in the log, DataError where no tag shows an output.
        """
        notes: list[str] = []
        columns: dict[str, InputOf] = {}
        kinds: dict[str, tuple[Unit, Checks, Mapping[str, float]]] = {}
        ends: dict[str, tuple[float, float]] = {}
        outputs: list[OutputTag] = []
        installed: dict[str, tuple[Installation, ...]] = {}
        pairs: list[Pair] = []
        if channels is not None:
            for channel in distinct(channels):
                _ = log[channel.column]
                outputs.append(OutputTag(channel.column, channel.output, channel))
                kinds[channel.column] = (channel.unit, channel.checks or Checks(), {})
                if channel.sensor_range is not None:
                    ends[channel.column] = range_of(channel.sensor_range, channel.unit, channel.output)
        elif table is not None:
            for tag in table:
                if tag.output is None and tag.input is None:
                    continue
                if tag.name not in log.samples:
                    if not any(_LACKING in note and tag.name in note for note in log.notes):
                        notes.append(f'the tag "{tag.name}" of the tag table is not in {log.source}')
                    continue
                kinds[tag.name] = (as_unit(tag.unit), tag.checks, tag.states)
                if tag.output is not None:
                    outputs.append(OutputTag(tag.name, tag.output, tag.channel()))
                    installed[tag.name] = table.installed(tag.name)
                elif tag.input is not None and not has_recipe:
                    columns[tag.input] = tag.column()
            pairs = [pair for pair in table.pairs if pair.first in log.samples and pair.second in log.samples]
            for pair in pairs:
                for name in (pair.first, pair.second):
                    kinds.setdefault(name, (as_unit(table[name].unit), table[name].checks, table[name].states))
        else:
            raise DataError(f"{log.source}: declare what the tags show: tags= (a tag table) or channels=")
        if not outputs:
            raise _without_output(log, table)
        columns |= inputs
        for one in columns.values():
            if isinstance(one, Column):
                _ = log[one.name]
                if one.sensor is None and table is not None and one.name in table:
                    installed[one.name] = table.installed(one.name)
                states = table[one.name].states if table is not None and one.name in table else {}
                kinds.setdefault(one.name, (as_unit(one.unit), one.checks or Checks(), states))
        clock = PlantClock(log.origin, log.layout.zone)
        judged = {
            name: judge(
                log[name], *kind, clock.text, export_unit=_export_unit(table, name, kind[0]), ends=ends.get(name)
            )
            for name, kind in kinds.items()
        }
        return cls(tuple(outputs), columns, table, judged, installed, tuple(pairs), tuple(notes))


def _without_output(log: Log, table: TagTable | None) -> DataError:
    """Return the error for a table of which no tag shows an output that is in the log."""
    wanted = [] if table is None else [tag.name for tag in table if tag.output is not None]
    if table is None:
        return DataError(f"{log.source}: channels= is empty; declare at least one pt.Channel, with column= its tag")
    file = table.file or "the tag table"
    if wanted:
        named = ", ".join(f'"{name}"' for name in wanted[:3])
        return DataError(
            f"{log.source}: none of the tags with output= in {file} is in the log ({named}); the log has "
            f"{', '.join(f'"{name}"' for name in list(log.samples)[:5])}"
        )
    example = next(iter(table), None)
    header = f'[tags."{example.name}"]' if example is not None else '[tags."NAME"]'
    return DataError(
        f"no tag in {file} has output=, so nothing is measured; to each tag that the model predicts write output = "
        f'"its name in the model" and noise = "0.5 K" (one standard deviation, in its unit) below its line such as '
        f'{header}, and input = "name" to each that drives the model'
    )


def _export_unit(table: TagTable | None, name: str, unit: Unit) -> str | None:
    """Return the text of the export that the table takes to mean this unit; a channel may declare another one."""
    if table is None or name not in table or as_unit(table[name].unit) != unit:
        return None
    return table[name].export_unit
