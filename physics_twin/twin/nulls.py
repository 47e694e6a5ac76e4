"""Numbers that are not known, on their way to JSON."""

import math
from typing import Any


def without_nan(record: Any) -> Any:
    """The record with null for what is no finite number: JSON has no word for it, and strict readers refuse it.

    >>> without_nan({"rms": float("nan"), "n": (1, 2.5)})
    {'rms': None, 'n': [1, 2.5]}
    """
    if isinstance(record, dict):
        return {key: without_nan(item) for key, item in record.items()}
    if isinstance(record, tuple | list):
        return [without_nan(item) for item in record]
    return None if isinstance(record, float) and not math.isfinite(record) else record


__all__ = ["without_nan"]
