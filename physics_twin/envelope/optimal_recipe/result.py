"""The outcome of `find_recipe`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.certificate import Certificate
from physics_twin.envelope.digits import clean, share_text
from physics_twin.envelope.optimal_recipe.nominal import RecipeStart
from physics_twin.envelope.optimal_recipe.profile_text import profile_lines
from physics_twin.envelope.set_point.objectives import ObjectiveValue
from physics_twin.envelope.set_point.set_point import Margin
from physics_twin.measurements.records import recipe_record
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.simulation import Run
from physics_twin.units import Unit, format_si, unit as as_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PathLimit:
    """A limit as the picture shows it: a line in the panel of its output, or only a mark at its end."""

    output: str
    level: float
    """SI."""
    side: int
    """1 for an upper limit, -1 for a lower one."""
    kind: str
    """"path", "final", or "" for one that is no level of the output (an integral, a mean)."""


@dataclass(frozen=True, eq=False)
class OptimalRecipe:
    """A recipe with free courses of its inputs, found on the model and tried on draws held out from the search."""

    recipe: Recipe
    """To be run: phases, and tables of the inputs that were free."""
    objective: ObjectiveValue
    """By simulation of the recipe, over the held-out draws; of the one batch where there is no posterior."""
    draws: Array
    """(n_draws,) the objective of each held-out draw, SI; NaN for a failed one."""
    duration: float
    """s."""
    settings: Mapping[str, float]
    """Free duration and charges as chosen, SI."""
    chosen: tuple[Setting, ...]
    profiles: xr.Dataset
    """The free inputs over time, SI: (time,) corners of steps and lines; attribute `shape` of each."""
    margins: tuple[Margin, ...]
    """Of each limit, over the held-out draws."""
    limits: tuple[PathLimit, ...]
    certificate: Certificate | None
    """None without a posterior or without limits."""
    starts: tuple[RecipeStart, ...]
    """How each start of the optimization for the median batch ended."""
    n_scenarios: int
    """Possible batches that the optimization kept the limits for."""
    planned: float
    """The objective of the scenarios as the collocation has it, SI."""
    difference: float
    """Largest difference of a state between collocation and simulation, over the state's largest value."""
    run: Run
    """The median batch, simulated."""
    bands: xr.Dataset
    """Outputs over (quantile, time), SI: 2.5 %, 50 % and 97.5 % of the held-out draws."""
    includes: tuple[str, ...]
    """What the probability includes."""
    warnings: tuple[str, ...]
    message: str

    @property
    def passed(self) -> bool:
        """Whether the limits are kept with the required probability and confidence; False without a certificate."""
        return self.certificate is not None and self.certificate.passed

    def in_units(self) -> dict[str, Any]:
        """In declared units: objective, duration and settings as (number, unit), and profiles as a dataset."""
        shown = self.profiles.copy()
        for name in list(shown.data_vars):
            unit = Unit(shown[name].attrs["declared_units"])
            attrs = {**shown[name].attrs, "units": unit.text}
            shown[name] = ("time", np.asarray(unit.from_si(shown[name].values)), attrs)
        units = {s.name: s.unit for s in self.chosen}
        return {
            "objective": (clean(self.objective.unit.from_si(self.objective.value)), self.objective.unit.text),
            "duration": (self.duration, "s"),
            "settings": {n: (clean(units[n].from_si(x)), units[n].text) for n, x in self.settings.items()},
            "profiles": shown,
        }

    def record(self) -> dict[str, Any]:
        """The recipe as JSON: phases, and the rows of its tables in their units, for another system."""
        record, tables = recipe_record(self.recipe)
        rows = [
            {
                "unit": t.unit.text,
                "time_s": list(t.times),
                "value": np.asarray(t.unit.from_si(np.array(t.values))).tolist(),
            }
            for t in tables
        ]
        return {**record, "tables": rows}

    def __str__(self) -> str:
        return as_text(self)

    def plot(self) -> "Figure":
        """Profiles as steps or lines, outputs with the band of the draws, limits; one panel for each."""
        from physics_twin.envelope.optimal_recipe.plots import plot_recipe

        return plot_recipe(self)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write NetCDF: whole, or not at all."""
        from physics_twin.envelope.optimal_recipe.storage import save_recipe

        save_recipe(self, path)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "OptimalRecipe":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        from physics_twin.envelope.optimal_recipe.storage import load_recipe

        return load_recipe(path)


def as_text(found: OptimalRecipe) -> str:
    """The outcome as plain text."""
    hours = as_unit("h") if found.duration >= 3600.0 else as_unit("min" if found.duration >= 60.0 else "s")
    lines = [found.message, "", f"{found.objective}", f"duration: {format_si(found.duration, hours, 5)}"]
    units = {s.name: s.unit for s in found.chosen}
    lines += [f"{name} = {format_si(x, units[name], 5)}" for name, x in found.settings.items()]
    lines += profile_lines(found.profiles)
    if found.margins:
        lines += ["", "margins (median; kept with the required probability; share of draws that keep the limit):"]
        for m in found.margins:
            expected, assured = (format_si(x, m.unit, 3, difference=True) for x in (m.expected, m.assured))
            lines.append(f"  {m.limit}: {expected}; {assured}; {share_text(m.probability)}")
    lines += ["", "starts:"]
    for start in found.starts:
        reached = f", {format_si(start.objective, found.objective.unit, 6)}" if start.solved else ""
        lines.append(f"  {start.name}: {start.words} in {start.iterations} iterations{reached}")
    lines += ["", f"collocation and simulation differ by {found.difference:.1g} of a state's largest value"]
    if found.includes:
        lines += ["the probability includes:", *(f"  - {item}" for item in found.includes)]
    if found.warnings:
        lines += ["warnings:", *(f"  ! {item}" for item in found.warnings)]
    if found.certificate is not None:
        lines.append(certificate_text(found.certificate))
    return "\n".join(lines)


def certificate_text(c: Certificate) -> str:
    """How the recipe was certified, in one line."""
    shown = "; ".join(
        f"{group.name} met by {c.n_certification - int(broken)} of {c.n_certification} held-out draws, that is with "
        f"probability {share_text(float(bound))} at least ({group.probability:g} required)"
        for group, broken, bound in zip(c.groups, c.violations[0], c.lower_bounds[0], strict=True)
    )
    tries = f"{len(c.attempts)} attempt{'' if len(c.attempts) == 1 else 's'}"
    return (
        f"certificate: {'passed' if c.passed else 'NOT PASSED'}, confidence {c.confidence:g}: {shown}; {c.n_search} "
        f"draws for the search, {tries}, {c.n_simulations} simulations; seed {c.seed}; model {c.model} (fingerprint "
        f"{c.fingerprint[:12]}), posterior {c.posterior}, recipe {c.recipe}, physics_twin {c.library}"
    )
