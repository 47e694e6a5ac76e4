"""Lists of batches and laboratory values that print as tables: who reads a list looks at it first."""

from collections.abc import Callable, Sequence

from physics_twin.measurements.batches.batch import Batch, LaboratoryValue, Moment, moment_text
from physics_twin.measurements.uncertainty import Uncertainty

__all__ = ["Batches", "LaboratoryValues"]

_SHOWN = 20
"""Rows that are printed; of more, the first and the last."""
_WIDTH = 24
"""Letters of a cell."""


class Batches(tuple[Batch, ...]):
    """The batches of a list; a tuple."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return a table: name, start, end, phases and context, and below it what was found on reading."""
        keys = list(dict.fromkeys(key for one in self for key in one.context))
        phases = ["phases"] if any(one.phases for one in self) else []

        def row(one: Batch) -> list[str]:
            end = "end of the log" if one.end is None else moment_text(one.end)
            named = [", ".join(name for name, _, _ in one.phases)] if phases else []
            return [one.name, moment_text(one.start), end, *named, *(str(one.context.get(key, "")) for key in keys)]

        notes = [f"note: {one.name}: {note}" for one in self for note in one.notes]
        return _table("batches", ["batch", "start", "end", *phases, *keys], self, row, notes)


class LaboratoryValues(tuple[LaboratoryValue, ...]):
    """The results of a laboratory list; a tuple."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return a table: output, batch, value, uncertainty and times, and below it what was found on reading."""
        head = ["output", "batch", "sampled", "value", "uncertainty"]
        late = ["reported"] if any(one.reported_at is not None for one in self) else []

        def row(one: LaboratoryValue) -> list[str]:
            drawn = _moment(one.sampled_at) or "end of the batch"
            value = one.text or f"{_SIDES[one.censored]}{one.value:g} {one.unit}".removesuffix(" 1")
            known = [_moment(one.reported_at)] if late else []
            return [one.output, one.batch, drawn, value, "" if one.text else _spread(one), *known]

        notes = [f"note: {one.source or one.output}: {note}" for one in self for note in one.notes]
        return _table("laboratory values", [*head, *late], self, row, notes)


_SIDES = {-1: "<", 0: "", 1: ">"}


def _moment(moment: Moment | None) -> str:
    return "" if moment is None else moment_text(moment)


def _spread(one: LaboratoryValue) -> str:
    given = one.uncertainty.standard if isinstance(one.uncertainty, Uncertainty) else one.uncertainty
    return f"{given[0]:g} {given[1]}" if isinstance(given, tuple) else str(given)


def _table[T](what: str, head: list[str], rows: Sequence[T], row: Callable[[T], list[str]], notes: list[str]) -> str:
    if not rows:
        return f"no {what}"
    n = len(rows)
    shown = list(rows) if n <= _SHOWN else [*rows[: _SHOWN - 3], *rows[-2:]]
    cells = [
        head,
        *([cell if len(cell) <= _WIDTH else f"{cell[: _WIDTH - 3]}..." for cell in row(one)] for one in shown),
    ]
    # A column in which nobody has anything to say is left out.
    kept = [k for k in range(len(head)) if any(line[k] for line in cells[1:])]
    widths = [max(len(line[k]) for line in cells) for k in kept]
    lines = ["  ".join(line[k].ljust(width) for k, width in zip(kept, widths, strict=True)).rstrip() for line in cells]
    if len(shown) < n:
        lines.insert(-2, f"... {n - len(shown)} more")
    more = [f"and {len(notes) - _SHOWN} more notes"] if len(notes) > _SHOWN else []
    return "\n".join([*lines, *notes[:_SHOWN], *more])
