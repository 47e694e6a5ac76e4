"""Descriptions that travel to other processes, functions in them included."""

from collections.abc import Callable
from typing import Any

import cloudpickle


class Portable[T]:
    """A function with its argument, called without one; a lambda in the argument travels as well.

    Processes of one pool exchange it; it is never read from a file.
    """

    def __init__(self, function: Callable[[Any], T], description: Any) -> None:
        self.function, self.description = function, description

    def __call__(self) -> T:
        """Call the function with the description."""
        return self.function(self.description)

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (cloudpickle.dumps((self.function, self.description)),)


def _restored(data: bytes) -> Portable[Any]:
    function, description = cloudpickle.loads(data)
    return Portable(function, description)
