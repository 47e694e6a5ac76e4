"""What a source says of a value, as a flag."""

import functools

import polars as pl

from physics_twin.measurements import QualityScheme
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.quality_codes import read_quality


@functools.lru_cache(maxsize=256)
def flag_of(code: str | int, scheme: QualityScheme) -> Flag:
    """The flag of one code or word, as exports of historians are read; what nobody knows is suspect."""
    return Flag(int(read_quality(pl.Series("quality", [str(code)]), scheme=scheme).flags[0]))
