"""The model that a worker process keeps between pieces of work.

A field model travels as a description and is built anew where it arrives, which takes as long as several of its
simulations. So it travels as bytes, and a worker that had the same bytes last keeps the model made of them. A model's
results depend on its arguments only, whatever it simulated before, so they do not depend on who keeps it.
"""

import functools
import importlib
import pickle
from typing import Any, cast

from physics_twin.model import Model


def packed(model: Model) -> bytes:
    """The model as bytes, functions in it included; processes of one pool exchange them, no file holds them."""
    return cast(bytes, _pickling().dumps(model))


def _pickling() -> Any:
    """cloudpickle, by which functions in field models travel; without the extra fem, where there are none, pickle."""
    try:
        return importlib.import_module("cloudpickle")
    except ModuleNotFoundError:
        return pickle


@functools.lru_cache(maxsize=1)
def unpacked(data: bytes) -> Model:
    """The model of these bytes: the last one, where they were the last ones."""
    return cast(Model, pickle.loads(data))  # noqa: S301  bytes of this pool
