"""An export cut into experiments: one for each batch, with its phases, its laboratory values and its context."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from physics_twin.errors import DataError, RecipeError
from physics_twin.measurements.batches.batch import Batch, FromContext, LaboratoryValue
from physics_twin.measurements.batches.batch_tables import BatchList, batch_list
from physics_twin.measurements.batches.batch_tags import ByTag, batches_by_tag
from physics_twin.measurements.batches.building import BatchBuilder, InitialOf, check_initial
from physics_twin.measurements.batches.collection import Experiments
from physics_twin.measurements.batches.cutting_report import CuttingReport, MissingTag, NotBuilt, Replacement
from physics_twin.measurements.batches.laboratory_joining import join_batches, orphan
from physics_twin.measurements.batches.laboratory_series import LaboratoryChannels
from physics_twin.measurements.batches.lists import ZonelessError
from physics_twin.measurements.batches.plan import CutPlan, InputOf
from physics_twin.measurements.batches.windows import orphans_of, overlaps, rows_in, windows_of
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.provenance import Exclusion
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.recipes import Recipe
from physics_twin.units import QuantityLike

__all__ = ["FromContext", "experiments_from"]


def experiments_from(
    log: Any,
    *,
    batches: Any,
    layout: Layout | None = None,
    tags: TagTable | str | os.PathLike[str] | None = None,
    channels: Sequence[Channel] | None = None,
    inputs: Mapping[str, InputOf] | None = None,
    laboratory: Sequence[LaboratoryValue] = (),
    initial: InitialOf | None = None,
    recipe: Recipe | Callable[[Batch], Recipe] | None = None,
    settle: QuantityLike | None = None,
    exclude: Sequence[Exclusion] | Mapping[str, Sequence[Exclusion]] = (),
    time_zero: str = "start",
    name: Callable[[Batch], str] | None = None,
    strict: bool = False,
    progress: bool = False,
) -> Experiments:
    """Cut an export into experiments, one for each batch.

    log: a `Log`, or what `read_log` takes with layout=. batches: batches (`read_batches`), the path or frame of a batch
        list whose headers say what they are, or `ByTag("BATCH_ID", phase="PHASE")`. Stamps of a list that is given by
        its path are in the zone of the log where they have no offset, and where its header does not say UTC.
    tags: the tag table, or its file; without it, that of the log. channels: instead of it, with tags as columns.
    inputs: model input -> `Column` (its tag), a quantity or setting that holds throughout, or `FromContext`; they are
        added to those of the tag table. recipe: the inputs instead, or what makes one from a batch.
    laboratory: of `read_laboratory`; a value belongs to the batch that it names, else to the one that its time lies in.
    initial: state -> quantity or `FromContext`, "steady", or what makes it from a batch.
    settle, exclude: as in `Experiment.from_csv`, in each batch; or batch -> its exclusions.
    time_zero: "start" of the batch, or the name of the phase whose beginning is time zero; samples before it are kept
        and left out of the misfit.
    name: what makes the name of the experiment from a batch. strict: raise for the first batch that cannot be built.
    progress: show a bar while the log is read.

    A batch holds the samples from its start to its end, both included; a sample at the moment where the next batch
    begins belongs to that one. Inputs at time zero follow from the sample before it too. All checks judge whole tags
    before they are cut (see `judging`). Whatever did not go into an experiment is counted in `report`: samples outside
    of batches, overlaps, batches and tags without samples, laboratory values without batch, samples after the
    replacement of a sensor.

    Raises UnknownNameError for tags, channels and phases that are not there, UnitError for units that do not fit,
    DataError where nothing can be built, or for a batch that cannot be built if `strict`.
    """
    if not callable(initial):
        check_initial(initial)
    _check_laboratory(laboratory)
    if recipe is not None and inputs is not None:
        raise DataError("give inputs= (recorded) or recipe=, and not both")
    table = None if channels is not None else _tag_table(tags)
    if channels is not None and tags is not None:
        raise DataError("give tags= or channels=, and not both")
    log = _read(log, layout, batches, table, channels, inputs, progress)
    if table is None and channels is None:
        table = log.tags
    listed = _listed(batches, log)
    windows, unplaced = windows_of(log, listed.batches, time_zero)
    plan = CutPlan.of(log, table, channels, {} if recipe is not None else inputs or {}, recipe is not None)
    lab = LaboratoryChannels.of(laboratory, {one.output for one in plan.outputs})
    joined, orphans = join_batches(laboratory, windows, log)
    builder = BatchBuilder(log, listed, plan, lab, initial, recipe, settle, exclude, name)
    builder.check_exclusions([window.batch for window in windows] + [one.batch for one in unplaced])
    built: list[Experiment] = []
    not_built: list[NotBuilt] = list(unplaced)
    missing: list[MissingTag] = []
    replaced: list[Replacement] = []
    rows = {tag: rows_in(judged.times, windows) for tag, judged in plan.judged.items()}
    for k, window in enumerate(windows):
        slices = {tag: slice(int(low[k]), int(high[k])) for tag, (low, high) in rows.items()}
        try:
            experiment, absent, changes = builder.build(window, slices, joined.get(k, []))
        except (DataError, RecipeError) as error:
            if strict:
                raise type(error)(f'batch "{window.batch.name}": {error}') from error
            not_built.append(NotBuilt(window.batch.name, str(error)))
            orphans += [orphan(one.value, "its batch could not be built") for one in joined.get(k, [])]
            continue
        built.append(experiment)
        missing += absent
        replaced += changes
    if not built:
        reasons = "; ".join(f"{one.batch}: {one.reason}" for one in not_built[:3]) or "there is none"
        raise DataError(f"{log.source}: none of {len(listed.batches)} batches could be built ({reasons})")
    _distinct_names(built)
    lost = [orphans_of(judged, *rows[tag]) for tag, judged in plan.judged.items()]
    report = CuttingReport(
        n_batches=len(listed.batches),
        overlaps=overlaps(windows),
        orphans=tuple(one for one in lost if one.n_outside + one.n_timeless),
        not_built=tuple(not_built),
        missing=tuple(missing),
        laboratory=tuple(orphans),
        replaced=tuple(replaced),
        disordered={tag: one.n_disordered for tag, one in plan.judged.items() if one.n_disordered},
        tags={tag: one.notes for tag, one in plan.judged.items() if one.notes},
        notes=(*log.notes, *listed.notes, *plan.notes),
    )
    return Experiments(tuple(built), report)


def _check_laboratory(values: object) -> None:
    """Raise DataError, with the call to write, for a list that is yet to be read: no header says what is what."""
    read = isinstance(values, Sequence) and not isinstance(values, str)
    given = values if isinstance(values, Sequence) and read else [values]
    strange = next((one for one in given if not isinstance(one, LaboratoryValue)), None)
    if read and strange is None:
        return
    path = isinstance(strange, str | os.PathLike)
    shown = f'"{strange}"' if path else "frame"
    what = f"laboratory={shown}" if path and not read else f"laboratory= holds a {type(strange).__name__}"
    raise DataError(
        f'{what}: say which column is what, laboratory=pt.read_laboratory({shown}, output="concentration", '
        'value="Result", unit="mol/L", uncertainty="0.02 mol/L", batch="Batch", sampled_at="Sampled", '
        'zone="Europe/Berlin"), with the names of your own columns'
    )


def _distinct_names(built: Sequence[Experiment]) -> None:
    seen: set[str] = set()
    for experiment in built:
        if experiment.name in seen:
            raise DataError(f'name= makes "{experiment.name}" of two batches')
        seen.add(experiment.name)


def _tag_table(tags: TagTable | str | os.PathLike[str] | None) -> TagTable | None:
    return TagTable.load(tags) if isinstance(tags, str | os.PathLike) else tags


def _read(
    log: Any,
    layout: Layout | None,
    batches: Any,
    table: TagTable | None,
    channels: Sequence[Channel] | None,
    inputs: Mapping[str, InputOf] | None,
    progress: bool,
) -> Log:
    if isinstance(log, Log):
        if layout is not None:
            raise DataError("layout= is for a log that is yet to be read; this one is a Log")
        return log
    from physics_twin.measurements.logs.reading import read_log

    by = batches.tags if isinstance(batches, ByTag) else ()
    named = _texts(batches, table, channels, inputs) if isinstance(batches, ByTag) else ()
    if named:
        layout = layout or Layout()
        layout = replace(layout, texts=tuple(dict.fromkeys([*(layout.texts or ()), *named])))
    columns = [one.name for one in (inputs or {}).values() if isinstance(one, Column)]
    if table is not None:
        more = [tag for tag in dict.fromkeys([*by, *columns]) if tag not in table]
        return read_log(log, layout=layout, tags=replace(table, tags=(*table.tags, *map(Tag, more))), progress=progress)
    if channels is None:
        raise DataError("declare what the tags show: tags= (a tag table) or channels=")
    names = dict.fromkeys([*(channel.column for channel in channels), *columns, *by])
    return read_log(log, layout=layout, tags=list(names), progress=progress)


def _texts(
    by: ByTag, table: TagTable | None, channels: Sequence[Channel] | None, inputs: Mapping[str, InputOf] | None
) -> tuple[str, ...]:
    """Return the tags of batch and phase, which are texts whatever they look like, but for those in use as numbers."""
    numbers = {channel.column for channel in channels or ()}
    numbers |= {one.name for one in (inputs or {}).values() if isinstance(one, Column)}
    numbers |= {tag.name for tag in table or () if tag.states or tag.output is not None or tag.input is not None}
    return tuple(tag for tag in by.tags if tag not in numbers)


def _listed(batches: Any, log: Log) -> BatchList:
    if isinstance(batches, ByTag):
        return BatchList(batches_by_tag(log, batches), f'{log.source}, tag "{batches.tag}"')
    if isinstance(batches, Batch):
        return BatchList((batches,))
    if isinstance(batches, Sequence) and not isinstance(batches, str):
        strange = next((one for one in batches if not isinstance(one, Batch)), None)
        if strange is not None:
            raise DataError(f"batches= holds {strange!r}, which is no Batch")
        return BatchList(tuple(batches))
    try:
        return batch_list(batches, zone=log.layout.zone)
    except ZonelessError as error:
        raise DataError(
            f"{error.args[0]}, and that of {log.source} is not known either; say it where the log is read, "
            'layout=pt.Layout(zone="Europe/Berlin"), or for the list alone, batches=pt.read_batches(..., '
            'zone="Europe/Berlin")'
        ) from None
