"""Arguments that are something else altogether are refused before anything is computed, in the caller's own words.

What an argument holds (names, units, numbers) is checked by whoever uses it; here it is only asked whether it can be
used at all, so that nobody reads of an attribute that a text does not have.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.envelope.question import Budget
from physics_twin.envelope.ranges.shapes import LargestBox, Polytope
from physics_twin.envelope.set_point.objectives import Objective
from physics_twin.errors import EnvelopeError
from physics_twin.measurements import Experiment
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting


@dataclass(frozen=True)
class Kind:
    """What an argument must be."""

    fits: Callable[[Any], bool]
    write: str
    """What to give instead of something else."""


def _list(x: Any) -> bool:
    return isinstance(x, Iterable) and not isinstance(x, str | type | Mapping)


def _model(x: Any) -> bool:
    return hasattr(x, "outputs") and hasattr(x, "parameters") and not isinstance(x, type)


def _seed(x: Any) -> bool:
    whole = isinstance(x, int | np.integer) and not isinstance(x, bool)
    return isinstance(x, np.random.Generator) or (whole and bool(x >= 0))


def _mapping(x: Any) -> bool:
    return isinstance(x, Mapping)


FITTED = "give what pt.calibrate or pt.Posterior.from_prior returns, after the model"
KINDS: Mapping[str, Kind] = {
    "model": Kind(_model, "give the model that was calibrated, first of all"),
    "posterior": Kind(lambda x: isinstance(x, Posterior), FITTED),
    "recipe": Kind(lambda x: isinstance(x, Recipe), "write recipe=pt.Recipe([pt.Phase(...)])"),
    "settings": Kind(_list, "give a list: settings=[pt.Setting(...)]"),
    "limits": Kind(_list, "give a list: limits=[pt.Limit(...)]"),
    "objectives": Kind(
        lambda x: isinstance(x, Objective) or _list(x), 'write objectives=pt.Maximize("profit"), or a list of such'
    ),
    "rng": Kind(_seed, "give a whole number from 0 up, for example rng=1; the same number gives the same envelope"),
    "shape": Kind(lambda x: isinstance(x, LargestBox | Polytope), "write shape=pt.LargestBox() or shape=pt.Polytope()"),
    "batch_variation": Kind(_mapping, 'name the parameter: batch_variation={"feed_temperature": "2 K"}'),
    "tolerance": Kind(_mapping, 'name the setting: tolerance={"hold_time": "1 min"}'),
    "values": Kind(_mapping, 'name what is held: values={"ambient_temperature": "20 degC"}'),
    "budget": Kind(lambda x: isinstance(x, Budget), "write budget=pt.Budget(n_points=40)"),
    "executor": Kind(
        lambda x: hasattr(x, "submit") and not isinstance(x, type),
        "give an executor, such as concurrent.futures.ProcessPoolExecutor(4)",
    ),
    "checkpoint": Kind(lambda x: isinstance(x, str | os.PathLike), 'name a folder: checkpoint="overnight"'),
    "rate_limits": Kind(_mapping, 'name the setting: rate_limits={"temperature": "5 K/h"}'),
    "steps": Kind(_mapping, 'name the setting: steps={"temperature": "2 K"}'),
    "objective": Kind(lambda x: isinstance(x, Objective), 'write objective=pt.Maximize("profit")'),
    "duration": Kind(lambda x: isinstance(x, Setting), 'write duration=pt.Setting("duration", "h", bounds=(4, 12))'),
    "method": Kind(lambda x: hasattr(x, "elements") and not isinstance(x, type), "write method=pt.Collocation()"),
    "profiles": Kind(_mapping, 'name the input: profiles={"jacket_temperature": pt.Profile(...)}'),
    "charges": Kind(_list, "give a list: charges=[pt.Setting(...)]"),
    "scenarios": Kind(_mapping, 'name each: {"today": {}, "better valve": {"tolerance": {"flow": "1 L/h"}}}'),
    "ranges": Kind(_mapping, 'name the setting: ranges={"temperature": ("860 degC", "880 degC")}'),
    "history": Kind(
        lambda x: _list(x) and not isinstance(x, Experiment), "give a list of past batches (pt.Experiment)"
    ),
}


def refuse_wrong_kinds(**given: Any) -> None:
    """Raise EnvelopeError for the first argument that is something else altogether; see `KINDS` for the names."""
    for name, value in given.items():
        kind = KINDS[name]
        if not kind.fits(value):
            raise EnvelopeError(f"{name} is {_called(value)}; {kind.write}")


def refuse_wrong_options(**given: Any) -> None:
    """The same for arguments that may be left out (None)."""
    refuse_wrong_kinds(**{name: value for name, value in given.items() if value is not None})


def _called(x: Any) -> str:
    if x is None or isinstance(x, bool | int | float | str):
        return repr(x)
    if isinstance(x, type):
        return f"the class {x.__name__} itself, without ()"
    if callable(x) and hasattr(x, "__name__"):
        return f"the function {x.__name__} itself, not called"
    return f"a {type(x).__name__}"
