"""Which batch a laboratory value belongs to: the one that it names, else the one that its time lies in."""

from collections.abc import Mapping, Sequence

import numpy as np

from physics_twin.measurements.batches.batch import LaboratoryValue
from physics_twin.measurements.batches.cutting_report import LaboratoryOrphan
from physics_twin.measurements.batches.laboratory_series import Drawn
from physics_twin.measurements.batches.windows import Window, seconds_on
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.quality import duration_text

__all__ = ["join_batches", "orphan"]


def orphan(value: LaboratoryValue, reason: str) -> LaboratoryOrphan:
    """Return a value that belongs to no experiment, with the reason."""
    sign = {-1: "<", 0: "", 1: ">"}[value.censored]
    shown = value.text or f"{sign}{value.value:g} {value.unit}"
    return LaboratoryOrphan(value.output, shown, reason, value.source)


def join_batches(
    laboratory: Sequence[LaboratoryValue], windows: Sequence[Window], log: Log
) -> tuple[dict[int, list[Drawn]], list[LaboratoryOrphan]]:
    """Return the values of each window (by position), and those of none."""
    by_name = {window.batch.name: k for k, window in enumerate(windows)}
    found: dict[int, list[Drawn]] = {}
    orphans: list[LaboratoryOrphan] = []
    for value in laboratory:
        at = None if value.sampled_at is None else seconds_on(log, None, value.sampled_at)
        k, reason = _batch_of(value, at, windows, by_name)
        if k is None:
            orphans.append(orphan(value, reason))
        else:
            reported = np.nan if value.reported_at is None else seconds_on(log, None, value.reported_at)
            found.setdefault(k, []).append(Drawn(value, windows[k].end if at is None else at, reported))
    return found, orphans


def _batch_of(
    value: LaboratoryValue, at: float | None, windows: Sequence[Window], by_name: Mapping[str, int]
) -> tuple[int | None, str]:
    """Return the position of the window that a value belongs to, or None and why."""
    if value.text:
        return None, "it is no number"
    if value.batch:
        k = by_name.get(value.batch)
        if k is None:
            return None, f'there is no batch "{value.batch}"'
        window = windows[k]
        if at is None:
            return k, ""
        # Samples are drawn a little before the start or after the end; a day off is a slip of the pen.
        beyond = max(window.start - at, at - window.end)
        if beyond > window.end - window.start:
            when = "before the start" if at < window.start else "after the end"
            return None, f'it was sampled {duration_text(beyond)} {when} of its batch "{value.batch}"'
        return k, ""
    assert at is not None
    hits = [k for k, one in enumerate(windows) if one.start <= at and (at < one.end or (one.closed and at == one.end))]
    if len(hits) == 1:
        return hits[0], ""
    if not hits:
        return None, "its time lies outside every batch"
    names = " and ".join(f'"{windows[k].batch.name}"' for k in hits[:3])
    return None, f"its time lies in {len(hits)} batches ({names}), and it names none"
