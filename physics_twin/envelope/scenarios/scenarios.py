"""What if: the same question asked several times with something changed, and the envelopes side by side.

All scenarios use the same seed (common random numbers), so that two of them differ by what was changed and not by the
luck of the draws. A scenario that has no answer is a row with its reason.
"""

import inspect
import logging
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from physics_twin.envelope.arguments import refuse_wrong_kinds
from physics_twin.envelope.digits import inward, share_text
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.limits.limits import Limit
from physics_twin.envelope.search import find_envelope
from physics_twin.errors import EnvelopeError, PhysicsTwinError, unknown_name
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.posterior.tables import aligned
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import format_si

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

_SHARED = ("rng", "checkpoint", "executor", "progress")
"""Arguments that are the same for all scenarios: with another seed, luck would be compared as well."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """One row of the comparison."""

    name: str
    changed: tuple[str, ...]
    """Names of the arguments that differ from the common ones."""
    envelope: Envelope | None
    """None where the question had no answer; an empty envelope is an answer."""
    reason: str
    """Why there is no box; empty where there is one."""

    @property
    def volume(self) -> float:
        """Product of the widths, SI; 0 without a box."""
        if self.envelope is None or self.envelope.empty:
            return 0.0
        return math.prod(high - low for low, high in self.envelope.box.values())


@dataclass(frozen=True, eq=False, repr=False)
class Scenarios:
    """Envelopes of several scenarios, the first of which the others are compared with."""

    rows: tuple[Scenario, ...]

    def __getitem__(self, name: str) -> Envelope:
        """The envelope of a scenario; raises EnvelopeError with the reason where there is none."""
        for row in self.rows:
            if row.name == name:
                if row.envelope is None:
                    raise EnvelopeError(f'the scenario "{name}" has no envelope: {row.reason}')
                return row.envelope
        raise unknown_name("scenario", name, [row.name for row in self.rows])

    def relative_volume(self, name: str) -> float:
        """Volume of a scenario's box, that of the first one being 1; NaN over other settings, or if the first has none.

        Raises UnknownNameError.
        """
        names = [row.name for row in self.rows]
        if name not in names:
            raise unknown_name("scenario", name, names)
        row, first = self.rows[names.index(name)], self.rows[0]
        if not first.volume:
            return math.nan
        if row.envelope is not None and first.envelope is not None:
            own, other = ({s.name for s in e.settings} for e in (row.envelope, first.envelope))
            if own != other:
                return math.nan
        return row.volume / first.volume

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All settings, those of the first scenario first."""
        found = {s.name: s for row in self.rows if row.envelope is not None for s in row.envelope.settings}
        return tuple(found.values())

    @property
    def table(self) -> list[list[str]]:
        """The comparison, with the heading in the first row."""
        objectives = list(dict.fromkeys(n for r in self.rows if r.envelope is not None for n in r.envelope.objectives))
        names = [s.name for s in self.settings]
        heading = ["scenario", "changed", *names, "volume", *(f"{name} at set point" for name in names), *objectives]
        rows = [[*heading, "probability", "ended by", "message"]]
        for row in self.rows:
            envelope = row.envelope
            cells = [row.name, ", ".join(row.changed) or "nothing"]
            if envelope is None or envelope.empty:
                dashes = ["-"] * (2 * len(names) + 1 + len(objectives))
                chance = "-" if envelope is None else f"{share_text(envelope.probability)} at best"
                rows.append([*cells, *dashes, chance, "-", row.reason])
                continue
            shown = [_range_text(envelope, name) for name in names]
            volume = self.relative_volume(row.name)
            points = [_point_text(envelope, name) for name in names]
            values = [_objective_text(envelope, name) for name in objectives]
            chance = f"{share_text(envelope.probability)} (at least {share_text(envelope.probability_lower)})"
            ends = [end for sides in envelope.binding.values() for end in sides]
            cells += [*shown, "-" if math.isnan(volume) else f"{volume:.3g}", *points, *values, chance]
            rows.append([*cells, ", ".join(dict.fromkeys(ends)), ""])
        return rows

    def __str__(self) -> str:
        """The comparison for people; long reasons stand below it."""
        table = self.table
        notes = [f"{row[0]}: {row[-1]}" for row in table[1:] if row[-1]]
        narrow = [[*row[:-1], "see below" if row[-1] else ""] for row in table]
        narrow[0][-1] = "message"
        if not notes:
            narrow = [row[:-1] for row in narrow]
        head = f"what if: {len(self.rows)} scenarios; volume relative to the first"
        return "\n".join([head, aligned(narrow), *notes])

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Certified ranges as bars, a panel for each setting, the set points as dots."""
        from physics_twin.envelope.scenarios.scenarios_plot import plot_scenarios  # matplotlib takes long to import

        return plot_scenarios(self)


def _range_text(envelope: Envelope, name: str) -> str:
    if name not in envelope.box:
        return "-"
    unit, (low, high) = envelope.setting(name).unit, envelope.box[name]
    return " to ".join(inward(low, high, unit))


def _point_text(envelope: Envelope, name: str) -> str:
    return format_si(envelope.set_point[name], envelope.setting(name).unit) if name in envelope.set_point else "-"


def _objective_text(envelope: Envelope, name: str) -> str:
    if name not in envelope.objectives:
        return "-"
    found = envelope.objectives[name]
    return format_si(found.value, found.unit)


def compare_scenarios(
    model: Model,
    posterior: Posterior,
    scenarios: Mapping[str, Mapping[str, Any]],
    *,
    recipe: Recipe,
    settings: Sequence[Setting],
    limits: Sequence[Limit],
    rng: int | np.random.Generator,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **common: Any,
) -> Scenarios:
    """The envelopes of several scenarios, each of which names only what differs.

    scenarios: name -> arguments of `find_envelope` that replace the common ones; `{}` for none. "model", "posterior",
    "recipe", "settings", "limits", "probability", "tolerance" and all others may differ, except for the seed, the
    executor and progress. The first scenario is the one that others are compared with. common: further arguments of
    `find_envelope` for all scenarios. checkpoint: a folder, in which every scenario has one of its own name.

        pt.compare_scenarios(model, posterior, {"today": {}, "better valve": {"tolerance": {"flow": "1 L/h"}}}, ...)

    A scenario that cannot be answered is a row with its reason. Raises EnvelopeError without scenarios, or for one that
    changes what must be the same; UnknownNameError for an argument that `find_envelope` does not have.
    """
    refuse_wrong_kinds(scenarios=scenarios, rng=rng)
    if not scenarios:
        raise EnvelopeError('compare_scenarios needs at least one scenario: {"as planned": {}, "hotter": {...}}')
    known = list(inspect.signature(find_envelope).parameters)
    for name, change in scenarios.items():
        if not isinstance(name, str):
            raise EnvelopeError(f"the scenario {name!r} needs a name: a text, as in the table")
        if not isinstance(change, Mapping):
            raise EnvelopeError(
                f'scenario "{name}": {change!r} does not name what differs; write {{"tolerance": {{...}}}}, or {{}}'
            )
    for where, given in (("", common), *((f' of scenario "{name}"', change) for name, change in scenarios.items())):
        for argument in given:
            if argument not in known:
                raise unknown_name(f"argument{where}", argument, known)
    for name, change in scenarios.items():
        fixed = next((argument for argument in change if argument in _SHARED), None)
        if fixed is not None:
            raise EnvelopeError(f'scenario "{name}": {fixed} is the same for all scenarios; give it once, beside them')
    all_of_them = {
        **{"model": model, "posterior": posterior, "recipe": recipe, "settings": settings, "limits": limits},
        **common,
    }
    rows = []
    for name, change in scenarios.items():
        logger.info("compare_scenarios: %s", name)
        shared: dict[str, Any] = {"rng": rng, "executor": executor, "progress": progress}
        if checkpoint is not None:
            shared["checkpoint"] = Path(checkpoint) / quote(name, safe="")
        try:
            envelope = find_envelope(**{**all_of_them, **change, **shared})
        except PhysicsTwinError as error:
            rows.append(Scenario(name, tuple(change), None, str(error)))
        else:
            rows.append(Scenario(name, tuple(change), envelope, envelope.message if envelope.empty else ""))
    return Scenarios(tuple(rows))
