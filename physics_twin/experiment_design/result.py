"""`ExperimentDesign`: what each candidate would tell, and which to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from physics_twin.errors import unknown_name
from physics_twin.experiment_design.confirmation import Confirmation
from physics_twin.signals import Setting
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Quantity:
    """A parameter or a prediction that a design is judged by."""

    name: str
    unit: Unit
    before: float
    """Standard deviation today, SI."""

    def format(self, sd: float) -> str:
        """A standard deviation with its unit."""
        return format_si(sd, self.unit, 3, difference=True)


@dataclass(frozen=True)
class Candidate:
    """What one planned experiment would tell if it were the next one."""

    name: str
    settings: Mapping[str, float]
    """Chosen within their bounds, SI; empty where nothing was open."""
    score: float
    """The criterion, lower is better; NaN where the candidate is refused."""
    after: tuple[float, ...]
    """Expected standard deviations afterwards, SI, in the order of the design's quantities."""
    refused: str
    """Why it cannot be done; "" where it can."""
    kept: float
    """Share of the draws for which every limit is kept; 1 without limits."""

    @property
    def allowed(self) -> bool:
        """Whether it can be done."""
        return not self.refused


@dataclass(frozen=True)
class Choice:
    """One experiment of the sequence that was chosen."""

    name: str
    settings: Mapping[str, float]
    """SI"""
    score: float
    """The criterion after this one and those before it."""
    after: tuple[float, ...]
    """Expected standard deviations after this one and those before it, SI."""


@dataclass(frozen=True, repr=False)
class ExperimentDesign:
    """Which experiments to do next, and what each candidate would tell.

    candidates: each alone, in the order given. chosen: the sequence, best first; every one is chosen for what the ones
    before it leave open. quantities: what standard deviations are stated of. criterion: in words; before: its value
    today. uninformed: parameters of the posterior that no allowed candidate tells anything about. n_draws: at which the
    model was linearized. settings: what was chosen within bounds. confirmation: fits of simulated data, if asked for.
    """

    candidates: tuple[Candidate, ...]
    chosen: tuple[Choice, ...]
    quantities: tuple[Quantity, ...]
    criterion: str
    before: float
    uninformed: tuple[str, ...]
    n_draws: int
    settings: tuple[Setting, ...]
    confirmation: Confirmation | None

    @property
    def best(self) -> Choice:
        """The experiment to do first."""
        return self.chosen[0]

    def __getitem__(self, name: str) -> Candidate:
        """A candidate by its name; raises UnknownNameError."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise unknown_name("candidate", name, [c.name for c in self.candidates])

    @property
    def sentence(self) -> str:
        """What to do, and what it brings."""
        names = ", then ".join(self._named(c.name, c.settings) for c in self.chosen)
        gains = "; ".join(
            f"{q.name} from {q.format(q.before)} to {q.format(sd)}"
            for q, sd in list(zip(self.quantities, self.chosen[-1].after, strict=True))[:4]
        )
        text = f"Do {names}: the standard deviation is expected to fall: {gains}."
        if self.uninformed:
            text += f" No candidate tells anything about {', '.join(self.uninformed)}."
        return text

    def dataset(self) -> xr.Dataset:
        """The table: before (quantity), after (candidate, quantity), score, kept, SI; the declared units as text."""
        names = [q.name for q in self.quantities]
        return xr.Dataset(
            {
                "before": ("quantity", np.array([q.before for q in self.quantities])),
                "after": (("candidate", "quantity"), np.array([c.after for c in self.candidates])),
                "score": ("candidate", np.array([c.score for c in self.candidates])),
                "kept": ("candidate", np.array([c.kept for c in self.candidates])),
                "refused": ("candidate", [c.refused for c in self.candidates]),
            },
            {
                "candidate": [c.name for c in self.candidates],
                "quantity": names,
                "units": ("quantity", [q.unit.si_text for q in self.quantities]),
                "declared_units": ("quantity", [q.unit.text for q in self.quantities]),
            },
            {"criterion": self.criterion, "today": self.before, "n_draws": self.n_draws},
        )

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Expected standard deviations as a share of today's, for each candidate."""
        from physics_twin.experiment_design.plots import plot_design

        return plot_design(self, ax)

    def __str__(self) -> str:
        rows = [["candidate", self.criterion.partition(":")[0], *(f"sd of {q.name}" for q in self.quantities)]]
        rows.append(["today", f"{self.before:.3g}", *(q.format(q.before) for q in self.quantities)])
        for c in self.candidates:
            numbers = [q.format(sd) for q, sd in zip(self.quantities, c.after, strict=True)]
            rows.append([self._named(c.name, c.settings), f"{c.score:.3g}", *(numbers if c.allowed else [])])
            if not c.allowed:
                rows[-1][1:] = ["refused"]
        lines = [self.sentence, "", *_aligned(rows), ""]
        lines += [f"refused: {c.name}: {c.refused}" for c in self.candidates if not c.allowed]
        lines.append(f"criterion: {self.criterion}; linearized at {self.n_draws} draws of the posterior")
        if self.confirmation is not None:
            lines.append(str(self.confirmation))
        return "\n".join(lines)

    __repr__ = __str__

    def _named(self, name: str, settings: Mapping[str, float]) -> str:
        known = {s.name: s for s in self.settings}
        chosen = ", ".join(f"{n} = {known[n].format(x)}" for n, x in settings.items())
        return f'"{name}"' + (f" ({chosen})" if chosen else "")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    n = max(map(len, rows))
    full = [[*row, *[""] * (n - len(row))] for row in rows]
    widths = [max(len(row[k]) for row in full) for k in range(n)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in full]
