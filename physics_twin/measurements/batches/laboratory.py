"""Results of the laboratory: sampled at one time, reported at another, each with its own uncertainty."""

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from physics_twin.errors import DataError
from physics_twin.measurements.batches.batch import LaboratoryValue, Moment, batch_name
from physics_twin.measurements.batches.lists import (
    KeptList,
    Reading,
    candidates,
    is_blank,
    moments,
    read_list,
    text_of,
)
from physics_twin.measurements.batches.printed_lists import LaboratoryValues
from physics_twin.measurements.channels import Column
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.uncertainty import Uncertainty
from physics_twin.units import QuantityLike, Unit, parse, to_si, unit as as_unit

__all__ = ["read_laboratory"]

type Level = QuantityLike | Uncertainty
"""One standard deviation, or an expanded uncertainty; "2 %" of a quantity that is no percentage is relative to it."""

_BOUND = re.compile(r"(<=|>=|[<>≤≥])\s*(.*)")


def read_laboratory(
    source: str | os.PathLike[str] | Any,
    *,
    outputs: Mapping[str, tuple[str, str, Level]] | None = None,
    output: str | None = None,
    value: str | None = None,
    unit: str | None = None,
    uncertainty: Level | None = None,
    analyte: str | None = None,
    batch: str | None = None,
    sampled_at: str | tuple[str, str] | None = None,
    reported_at: str | tuple[str, str] | None = None,
    time_uncertainty: QuantityLike | Column | None = None,
    zone: str | None = None,
    format: str | None = None,
    layout: Layout | None = None,
) -> tuple[LaboratoryValue, ...]:
    """Read a list of laboratory results.

    source: path of a text file or workbook, a pandas or polars frame, or a `Query`. It has one of three forms:

    - one quantity: output= of the model, value= its column, unit=, uncertainty=
    - wide, a column for each quantity: outputs={"Conc. [mol/L]": ("concentration", "mol/L", "0.01 mol/L"), ...}
    - long, a row for each result: analyte= and value= are columns, outputs= as above by the text of the analyte

    uncertainty: one standard deviation ("0.01 mol/L"), `Uncertainty("0.02 mol/L", k=2)`, a share of the value ("2 %",
        for quantities that are no percentages themselves), or the name of a column that holds one standard deviation.
    batch: column of the batch. sampled_at, reported_at: columns of stamps, or of date and time; a value whose cell in
        sampled_at is empty, or all of them without that column, belong to the end of the batch that they name: one
        list may hold samples of the process and of the product. time_uncertainty: one standard deviation of the time at
        which samples were drawn ("2 min"), or `pt.Column("+-", "min")`, a column of them. zone, format, layout: as in
        `read_batches`.

    "<0.05" is censored: the truth is below. An empty cell is no result. Any other text stays as `text` of a value that
    is no number, for the report of `experiments_from`. The tuple prints as a table.

    Raises DataError, naming table, row and column, for a stamp or an uncertainty that cannot be read, or a result with
    neither batch nor time; UnknownNameError for a column that is not there; UnitError for units that do not fit.
    """
    kept = read_list(source, layout)
    table = kept.table
    quantities = _quantities(kept, outputs, output, value, unit, uncertainty, analyte)
    if batch is None and sampled_at is None:
        raise DataError(
            f"{table.source}: say batch= (the column of the batch), sampled_at= (that of the time), or both"
        )
    names = [""] * table.n_rows if batch is None else ["" if is_blank(x) else text_of(x) for x in table[batch]]
    drawn = _in_zone(kept, sampled_at, names, zone, format, None)
    known = _in_zone(kept, reported_at, names, zone, format, drawn)
    found = []
    for row in range(table.n_rows):
        for one in quantities:
            if analyte is not None and text_of(table[analyte][row]) != one.analyte:
                continue
            cell = table[one.column][row]
            if is_blank(cell):
                continue
            if drawn[row].moment is None and not names[row]:
                if sampled_at is None:
                    raise kept.error(row, str(batch), f'the result "{text_of(cell)}" has no batch')
                lacks = "no time of its sample" if batch is None else f'no time of its sample and no batch ("{batch}")'
                raise kept.error(row, _shown(sampled_at), f'the result "{text_of(cell)}" has {lacks}')
            number, censored = _number(kept, cell)
            found.append(
                LaboratoryValue(
                    one.output,
                    float("nan") if number is None else number,
                    one.unit.text,
                    (1.0, one.unit.difference().text) if number is None else one.spread(kept, row, number),
                    drawn[row].moment,
                    known[row].moment,
                    censored,
                    batch_name(names[row]) if names[row] else "",
                    kept.row(row),
                    text_of(cell) if number is None else "",
                    (*drawn[row].notes, *known[row].notes),
                    _time_uncertainty(kept, row, time_uncertainty),
                )
            )
    if analyte is not None:
        _check_analytes(kept, analyte, quantities)
    return LaboratoryValues(found)


def _time_uncertainty(kept: KeptList, row: int, given: QuantityLike | Column | None) -> QuantityLike | None:
    if not isinstance(given, Column):
        return given
    cell = kept.table[given.name][row]
    number = None if is_blank(cell) else kept.number(cell)
    if number is None and not is_blank(cell):
        raise kept.error(
            row, given.name, f'"{text_of(cell)}" is no uncertainty of a time: it is a number in {given.unit}'
        )
    return None if number is None else (number, str(given.unit))


@dataclass(frozen=True)
class _Quantity:
    """Where the results of one output stand; analyte is the text of the rows that are meant."""

    column: str
    output: str
    unit: Unit
    uncertainty: Level
    analyte: str = ""

    def spread(self, kept: KeptList, row: int, number: float) -> tuple[float, str]:
        """Return one standard deviation of a result: number and unit."""
        shown = self.unit.difference()
        given = self.uncertainty
        if isinstance(given, str) and given in kept.table.columns:
            cell = kept.table[given][row]
            level = None if is_blank(cell) else kept.number(cell)
            if level is None or not level > 0.0:
                raise kept.error(row, given, f'"{text_of(cell)}" is no uncertainty: it is a number above 0 in {shown}')
            return level, shown.text
        plain: QuantityLike = given.standard if isinstance(given, Uncertainty) else given
        share, own = parse(plain)
        if own.dimension == as_unit("1").dimension != self.unit.dimension:
            level = float(own.to_si(share)) * abs(number)
            if not level > 0.0:
                raise kept.error(row, self.column, f"an uncertainty of {share:g} {own} of {number:g} is none; give one")
            return level, shown.text
        si = to_si(plain, self.unit, name=f"uncertainty of {self.output}", difference=True)
        level = float(self.unit.from_si(si, difference=True))
        if not level > 0.0:
            raise DataError(f"uncertainty of {self.output} is {level:g} {shown}; a standard deviation is above 0")
        return level, shown.text


def _quantities(
    kept: KeptList,
    outputs: Mapping[str, tuple[str, str, Level]] | None,
    output: str | None,
    value: str | None,
    unit: str | None,
    uncertainty: Level | None,
    analyte: str | None,
) -> tuple[_Quantity, ...]:
    table = kept.table
    if outputs is None:
        if output is None or value is None or unit is None or uncertainty is None or analyte is not None:
            raise DataError(
                f"{table.source}: give output=, value=, unit= and uncertainty= for one quantity, or outputs="
            )
        found: tuple[_Quantity, ...] = (_Quantity(value, output, as_unit(unit), uncertainty),)
    else:
        if any(x is not None for x in (output, unit, uncertainty)):
            raise DataError(f"{table.source}: outputs= has output, unit and uncertainty of each; give it alone")
        if (analyte is None) != (value is None):
            raise DataError(f"{table.source}: analyte= and value= belong together: a row for each result")
        found = tuple(
            _Quantity(key if value is None else value, *_declared(spec), analyte="" if value is None else key)
            for key, spec in outputs.items()
        )
    for one in found:
        _ = table[one.column]
    if analyte is not None:
        _ = table[analyte]
    return found


def _declared(spec: tuple[str, str, Level]) -> tuple[str, Unit, Level]:
    try:
        output, unit, level = spec
    except (TypeError, ValueError):
        raise DataError(f'outputs= takes ("output", "unit", "uncertainty") for each, not {spec!r}') from None
    return output, as_unit(unit), level


def _check_analytes(kept: KeptList, analyte: str, quantities: tuple[_Quantity, ...]) -> None:
    shown = sorted({text_of(cell) for cell in kept.table[analyte] if not is_blank(cell)})
    for one in quantities:
        if one.analyte not in shown:
            names = ", ".join(f'"{text}"' for text in shown[:10])
            raise DataError(f'{kept.table.source}, column "{analyte}": no row has "{one.analyte}"; there are {names}')


def _number(kept: KeptList, cell: object) -> tuple[float | None, int]:
    """Return number and side: -1 for "<0.05", 1 for ">100", 0 else; None for what is no number."""
    bound = _BOUND.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if bound is None:
        return kept.number(cell), 0
    number = kept.number(bound.group(2))
    return number, 0 if number is None else -1 if bound.group(1) in ("<", "<=", "≤") else 1


def _shown(column: str | tuple[str, str]) -> str:
    return column if isinstance(column, str) else " + ".join(column)


@dataclass(frozen=True)
class _Stamp:
    """A moment in UTC, or s, or None; and what had to be assumed."""

    moment: Moment | None
    notes: tuple[str, ...] = ()


def _in_zone(
    kept: KeptList,
    column: str | tuple[str, str] | None,
    batches: list[str],
    zone: str | None,
    format: str | None,
    after: list[_Stamp] | None,
) -> list[_Stamp]:
    """Return the moments of a column; in the repeated hour the order of a batch's rows tells the pass, or `after`."""
    if column is None:
        return [_Stamp(None)] * kept.table.n_rows
    found: list[_Stamp] = []
    latest: dict[str, dt.datetime] = {}
    for row, reading in enumerate(moments(kept, column, zone=zone, format=format)):
        if not isinstance(reading, dt.datetime):
            found.append(_Stamp(reading))
            continue
        meanings = _meanings(kept, row, column, reading, zone)
        floor = latest.get(batches[row]) if after is None else after[row].moment
        later = [one for one in meanings if not isinstance(floor, dt.datetime) or one >= floor]
        moment = (later or meanings)[0]
        sure = len(meanings) == 1 or len(later) == 1
        words = f'the stamp {reading} ("{_shown(column)}") lies in the hour that {zone} repeats'
        note = f"{words}; taken as its first pass (summer time)"
        found.append(_Stamp(moment, () if sure else (note,)))
        latest[batches[row]] = moment
    return found


def _meanings(
    kept: KeptList, row: int, column: str | tuple[str, str], reading: Reading, zone: str | None
) -> tuple[dt.datetime, ...]:
    assert isinstance(reading, dt.datetime)
    found = candidates(reading, zone)
    if not found:
        words = f"{reading:%Y-%m-%d %H:%M:%S} does not exist in {zone}: summer time skips that hour"
        raise kept.error(row, _shown(column), words)
    return found
