"""Functions that a file cannot hold: what stays of them is a name and a hash of their source."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from physics_twin.errors import EnvelopeError


@dataclass(frozen=True)
class NamedFunction:
    """A function of a limit or an objective, as a file remembers it: it can be compared and printed, not called."""

    name: str
    source: str
    """Hash of its source, see `source_hash`."""

    @property
    def __name__(self) -> str:
        """The function's own name, for labels."""
        return self.name

    def stands_for(self, function: Callable[..., Any]) -> bool:
        """Whether this is what was remembered of `function`."""
        return self.source == source_hash(function)

    def __call__(self, *_: object) -> NoReturn:
        """Say that a file holds no functions."""
        raise EnvelopeError(
            f'"{self.name}" is a function of a person, and a file holds its name and hash only: to compute with it '
            "again, give the limits once more, with the function (limits=[...])"
        )


def source_hash(function: Callable[..., Any]) -> str:
    """A hash that changes with the text of a function and with the numbers that it takes from around it.

    Of its compiled form where there is no text; a callable that is no function counts by its class and what it shows.
    """
    if isinstance(function, NamedFunction):
        return function.source
    code = getattr(function, "__code__", None)
    if code is None:
        return hashlib.sha256(f"{type(function).__qualname__} {_shown(function)}".encode()).hexdigest()[:16]
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = f"{code.co_code.hex()} {code.co_names} {code.co_consts}"
    around = inspect.getclosurevars(function)
    taken = {**around.globals, **around.nonlocals}
    numbers = "".join(f"\n{name}={_shown(value)}" for name, value in sorted(taken.items()))
    defaults = f"{_shown(function.__defaults__)} {_shown(function.__kwdefaults__)}"
    return hashlib.sha256(f"{text}\n{defaults}{numbers}".encode()).hexdigest()[:16]


def _shown(value: object) -> str:
    """What tells plain values apart; no address of memory, which is another in every process."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {value.tobytes().hex()}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_shown(one)}' for name, one in value.items())}}}"
    if value is None or isinstance(value, bool | int | float | complex | str | np.generic):
        return repr(value)
    text = repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__) if " at 0x" in text else text
