"""Large exports once into Parquet: long form, UTC, flags; read back at once, and a window of it without the rest.

Chunks are written one by one and joined at the end by streaming, so memory does not grow with the export.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from physics_twin.errors import DataError
from physics_twin.files import atomic_write
from physics_twin.measurements.logs.frames import NATIVE
from physics_twin.measurements.logs.gathering import Gathering, Window, data_rows
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.reading import Source, names_of, opened, show_bar, tag_table
from physics_twin.measurements.tags import TagTable

__all__ = ["Conversion", "convert_log"]

_GROUP = 500_000  # rows of a row group: its first and last time decide whether a window needs it


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
    what it says of states and zeros is applied on reading.

    Local times are turned to UTC by the rows that came before, a few hours of each tag. Raises what `read_log` raises,
    and DataError for another suffix.
    """
    final = Path(out)
    if final.suffix != ".parquet":
        raise DataError(f'out="{final.name}": the file is Parquet, so its name ends in .parquet')
    table = tag_table(tags)
    wanted = table if table is not None else names_of(tags)
    n_samples = 0
    with ExitStack() as stack:
        told = stack.enter_context(show_bar(source, shown=progress))
        log = stack.enter_context(opened(source, layout or Layout(), told=told))
        parent = final.resolve().parent
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=".converting-")))
        state = Gathering(log, wanted, Window())
        parts: list[Path] = []
        for rows in data_rows(log, Window(), state.count):
            state.take(rows)
            frame = state.drain()
            if frame is not None:
                parts.append(folder / f"{len(parts):06d}.parquet")
                frame.write_parquet(parts[-1], compression="lz4")
                n_samples += frame.height
        state.check_decimals()
        found = state.finish()
        sha256 = log.sha256()
        if not parts:
            raise DataError(f"{log.name}: none of the tags that are wanted has a sample")
        said = {NATIVE: "1", "source": log.name, "source_sha256": sha256}
        with atomic_write(final) as temporary:
            pl.scan_parquet(parts).sink_parquet(temporary, row_group_size=_GROUP, compression="zstd", metadata=said)
    return Conversion(final, found.n_rows, n_samples, tuple(found.samples), sha256, found.layout, found.notes)
