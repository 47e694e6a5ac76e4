"""Large exports once into Parquet: long form, UTC, flags; read back at once, and a window of it without the rest.

Chunks are written one by one and joined at the end by streaming, so memory does not grow with the export.
"""

import datetime as dt
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from physics_twin.errors import DataError
from physics_twin.files import atomic_write
from physics_twin.measurements.flags import FlagArray
from physics_twin.measurements.logs.draining import KIND, Draining
from physics_twin.measurements.logs.frames import NATIVE, ORIGINAL
from physics_twin.measurements.logs.gathering import Gathering
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.layout_records import layout_text
from physics_twin.measurements.logs.log import Log, Original
from physics_twin.measurements.logs.moments import Window
from physics_twin.measurements.logs.reading import Source, names_of, opened, show_bar, tag_table
from physics_twin.measurements.logs.rows import data_rows
from physics_twin.measurements.tags.tag_table import TagTable

__all__ = ["Conversion", "convert_log", "save_log"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_GROUP = 500_000  # rows of a row group: its first and last time decide whether a window needs it


class _Parts:
    """Pieces of a Parquet file beside its place, joined at the end."""

    def __init__(self, final: Path) -> None:
        self.n = 0
        self._final = final
        self._folder = tempfile.TemporaryDirectory(dir=final.resolve().parent, prefix=".converting-")
        self._files: list[Path] = []

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def add(self, frame: pl.DataFrame) -> None:
        """Write one piece."""
        self._files.append(Path(self._folder.name) / f"{len(self._files):06d}.parquet")
        frame.write_parquet(self._files[-1], compression="lz4")
        self.n += frame.height

    def join(self, original: Original, verdicts: FlagArray | None = None) -> None:
        """Write the whole file, which knows its original. Raises DataError where there is nothing to write.

        verdicts: flag of each kind of quality in the pieces, (n_kinds,); None where their flags are final.
        """
        if not self._files:
            raise DataError(f"{original.source}: none of the tags that are wanted has a sample")
        of_original = (original.source, original.sha256, layout_text(original.layout))
        said = {NATIVE: "1", **dict(zip(ORIGINAL, of_original, strict=True))}
        rows = pl.scan_parquet(self._files)
        if verdicts is not None:
            flags = {-1: 0} | {kind: int(flag) for kind, flag in enumerate(verdicts)}
            settled = pl.col(KIND).replace_strict(list(flags), list(flags.values()), return_dtype=pl.Int8)
            rows = rows.with_columns(flag=pl.max_horizontal("flag", settled).cast(pl.Int8)).drop(KIND)
        with atomic_write(self._final) as temporary:
            rows.sink_parquet(temporary, row_group_size=_GROUP, compression="zstd", metadata=said)


def _named(out: str | os.PathLike[str]) -> Path:
    final = Path(out)
    if final.suffix != ".parquet":
        raise DataError(f'out="{final.name}": the file is Parquet, so its name ends in .parquet')
    return final


def save_log(log: Log, out: str | os.PathLike[str]) -> None:
    """Write the samples of a log as `convert_log` writes those of an export. Raises DataError for another suffix."""
    with _Parts(_named(out)) as parts:
        for samples in log:
            if not samples.n:
                continue
            known = np.isfinite(samples.times)
            if log.origin is None:
                time = pl.Series(np.array(samples.times))
            else:
                since = round((log.origin - _EPOCH) / dt.timedelta(microseconds=1))
                us = np.round(np.where(known, samples.times, 0.0) * 1e6).astype(np.int64) + since
                time = pl.Series(us).set(pl.Series(~known), None).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            values = np.array(samples.values)
            texts = pl.Series([None] * samples.n, dtype=pl.String)
            if samples.states:
                codes = [None if np.isnan(value) else int(value) for value in values]
                texts = pl.Series([None if code is None else samples.states[code] for code in codes], dtype=pl.String)
                values = np.full(samples.n, np.nan)
            censored = np.zeros(samples.n, dtype=np.int8) if samples.censored is None else np.array(samples.censored)
            frame = pl.DataFrame(
                {"time": time, "value": values, "flag": np.array(samples.flags), "censored": censored, "text": texts}
            )
            parts.add(frame.select(pl.lit(samples.tag).alias("tag"), pl.all(), pl.lit(samples.unit).alias("unit")))
        parts.join(log.original or Original(log.source, log.sha256, log.layout))


@dataclass(frozen=True)
class Conversion:
    """What was written. n_rows: rows of data read. n_samples: written. tags: in order of appearance. sha256: of the
    source. layout: of the source, complete. notes: what was found on reading.
    """

    out: Path
    n_rows: int
    n_samples: int
    tags: tuple[str, ...]
    sha256: str
    layout: Layout
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Say what was written, and the notes."""
        head = f"{self.out.name}: {self.n_samples} samples of {len(self.tags)} tags from {self.n_rows} rows"
        return "\n".join([head, *(f"  {note}" for note in self.notes)])


def convert_log(
    source: Source,
    out: str | os.PathLike[str],
    *,
    layout: Layout | None = None,
    tags: TagTable | str | os.PathLike[str] | Sequence[str] | None = None,
    progress: bool = False,
) -> Conversion:
    """Convert an export of any size to a Parquet file that `read_log` reads at once.

    out: its path, ending in .parquet; columns tag, time (UTC, us, or s of elapsed time), value, flag, censored, text
    (of a cell that is no number) and unit. The other arguments are those of `read_log`. A tag table only chooses tags:
    what it says of states and zeros is applied on reading. Name, hash and layout of the source are kept in the file:
    the log that is read from it, and experiments cut from that, say what they were made of.

    Local times are turned to UTC by the rows that came before, a few hours of each tag. Raises what `read_log` raises,
    and DataError for another suffix.
    """
    final = _named(out)
    table = tag_table(tags)
    wanted = table if table is not None else names_of(tags)
    with ExitStack() as stack:
        told = stack.enter_context(show_bar(source, shown=progress))
        log = stack.enter_context(opened(source, layout or Layout(), told=told))
        parts = stack.enter_context(_Parts(final))
        state = Gathering(log, wanted, Window())
        draining = Draining(state)
        for rows in data_rows(log, Window(), state.count, state.see):
            state.take(rows)
            frame = draining.frame()
            if frame is not None:
                parts.add(frame)
        found = state.finish()
        sha256 = log.sha256()
        parts.join(log.original or Original(log.name, sha256, found.layout), found.verdicts)
    return Conversion(final, found.n_rows, parts.n, tuple(found.samples), sha256, found.layout, found.notes)
