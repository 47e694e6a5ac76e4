"""Lengths of time as people say them."""

_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0))


def duration_text(seconds: float) -> str:
    """A duration in the largest unit of which there are at least two, four digits at most.

    >>> duration_text(90.0), duration_text(5400.0), duration_text(2.0e6)
    ('90 s', '90 min', '23.15 d')
    """
    for text, size in _UNITS:
        if abs(seconds) >= 2.0 * size:
            return f"{seconds / size:.4g} {text}"
    return f"{seconds:.4g} s"


__all__ = ["duration_text"]
