"""The SetPoint: what `find_set_point` returns."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from physics_twin.envelope.certificate.certificate import Certificate
from physics_twin.envelope.digits import clean, share_text
from physics_twin.envelope.margins.evaluation import FailedRun
from physics_twin.envelope.set_point.objectives import ObjectiveValue
from physics_twin.envelope.set_point.set_point import CONFIDENCE, Margin
from physics_twin.signals import Setting
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AS_GOOD = 1e-6
"""Relative difference of an objective within which two points are as good."""


@dataclass(frozen=True)
class Binding:
    """A limit, or a bound of a setting, that keeps the objective from being better."""

    name: str
    """Of the limit, or for example "upper bound of feed"."""
    multiplier: float
    """What the objective gains (in its goal's sense) for each unit that it gives way, SI."""
    unit: Unit
    """Unit of the multiplier: the objective's over the limit's."""
    for_confidence: bool = False
    """Whether the limit itself has margin left with the required probability: the certificate needs that room."""

    def __str__(self) -> str:
        """In one line."""
        name = f"{CONFIDENCE}{self.name}" if self.for_confidence else self.name
        return f"{name}: each unit that it gives way is worth {format_si(self.multiplier, self.unit, 4)}"


@dataclass(frozen=True)
class Start:
    """Where the search from one start ended."""

    begin: Mapping[str, float]
    """Settings, SI."""
    end: Mapping[str, float]
    value: float
    """Of the objective at the end, SI; NaN where the start could not be simulated."""
    met: bool
    """Whether the limits are met there."""
    converged: bool
    """Whether slopes vanish there, as far as limits and bounds let them."""
    best: bool
    """Whether it ended at the set point."""


@dataclass(frozen=True, eq=False, repr=False)
class SetPoint:
    """The best settings for an objective under limits. Floats are SI; `in_units()` gives the declared units."""

    settings: Mapping[str, float]
    declared: tuple[Setting, ...]
    objectives: tuple[ObjectiveValue, ...]
    margins: tuple[Margin, ...]
    binding: tuple[Binding, ...]
    """What holds the objective back; empty in the interior. Known for a single objective."""
    met: bool
    """Whether the limits are met as required; otherwise these settings are those that come closest."""
    probability: float
    """Share of the held-out draws that met all limits; without a posterior 1 or 0."""
    probability_lower: float
    """Lower confidence bound of the above; 0 where nothing is certified."""
    certificate: Certificate | None
    """At this one point; None without a posterior or without limits."""
    starts: tuple[Start, ...]
    """The searches, where there were several."""
    front: xr.Dataset | None
    """The Pareto front, where there are several objectives; the set point is its knee."""
    slices: xr.Dataset
    """First objective and tightest margin (in units of its scale) along each setting through the set point."""
    includes: tuple[str, ...]
    """What the probability covers."""
    warnings: tuple[str, ...]
    failures: tuple[FailedRun, ...]
    n_simulations: int
    message: str
    room: str = ""
    """What was given away so that the point can be certified, in words."""

    def __getitem__(self, name: str) -> float:
        """A setting, SI."""
        return self.settings[name]

    def in_units(self) -> dict[str, dict[str, tuple[float, str]]]:
        """In declared units: {"settings": {name: (value, unit)}, "objectives": {name: (value, unit)}}, 12 digits."""
        settings = {s.name: (clean(float(s.unit.from_si(self.settings[s.name]))), s.unit.text) for s in self.declared}
        objectives = {o.name: (clean(float(o.unit.from_si(o.value))), o.unit.text) for o in self.objectives}
        return {"settings": settings, "objectives": objectives}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a NetCDF file, whole or not at all; `SetPoint.load` gives the same numbers back."""
        from physics_twin.envelope.set_point.optimum_file import save_set_point

        save_set_point(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SetPoint":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        from physics_twin.envelope.set_point.optimum_file import load_set_point

        return load_set_point(path)

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """The objective along each setting, hatched where a limit is broken; of several objectives the front.

        ax: one Axes for each setting (or pair of objectives); a new figure without it. Raises ShapeError for another
        number.
        """
        from physics_twin.envelope.set_point.optimum_plot import (
            plot_set_point,  # matplotlib takes a quarter of a second
        )

        return plot_set_point(self, ax)

    def __str__(self) -> str:
        """The set point as text for people."""
        lines = ["Set point: " + self.message, ""]
        lines += [f"  {s.name} = {format_si(self.settings[s.name], s.unit, 7)}" for s in self.declared]
        lines += ["", *(f"  {objective}" for objective in self.objectives)]
        if self.margins:
            lines += ["", "margins:"]
        for margin in self.margins:
            text = f"  {margin.limit}: {format_si(margin.expected, margin.unit, 4, difference=True)}"
            if self.certificate is not None:
                assured = format_si(margin.assured, margin.unit, 4, difference=True)
                text += f" expected, {assured} kept with probability {margin.required:g}"
            lines.append(text)
        lines += ["", "held by: " + ("; ".join(map(str, self.binding)) or "nothing")] if not self.front else []
        lines += [self.room] if self.room else []
        if self.certificate is not None:
            c = self.certificate
            lines.append(
                f"certificate: all limits met by {round(self.probability * c.n_certification)} of "
                f"{c.n_certification} held-out draws ({share_text(self.probability)}), that is with probability "
                f"{share_text(self.probability_lower)} at least (confidence {c.confidence:g}); this point only, not "
                "its surroundings"
            )
            lines += ["the probability includes:", *(f"  - {item}" for item in self.includes)]
        lines += [f"  ! {warning}" for warning in self.warnings]
        lines.append(f"{self.n_simulations} simulations")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """The same text."""
        return str(self)


def of_starts(starts: tuple[Start, ...]) -> str:
    """How the searches went, in words."""
    ended = sum(s.best for s in starts)
    failed = sum(not math.isfinite(s.value) for s in starts)
    unmet = sum(math.isfinite(s.value) and not s.met for s in starts)
    others = [s.value for s in starts if s.met and not s.best]
    reached = [s.value for s in starts if s.best]
    equal = sum(any(math.isclose(v, r, rel_tol=AS_GOOD) for r in reached) for v in others)
    text = f"{ended} of {len(starts)} starts ended there"
    for number, words in (
        (equal, "at another point that is as good"),
        (len(others) - equal, "at a worse point"),
        (unmet, "where limits are broken"),
        (failed, "with a failed simulation"),
    ):
        if number:
            text += f", {number} {words}"
    return text
