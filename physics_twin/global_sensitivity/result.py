"""`Influences`: factors ranked for each quantity, with intervals and what was left out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.errors import unknown_name
from physics_twin.files import atomic_write
from physics_twin.global_sensitivity.factors import Factor
from physics_twin.global_sensitivity.methods import Index
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FailedMember:
    """A simulation that failed."""

    values: Mapping[str, float]
    """Of the factors, SI."""
    reason: str
    time: float
    """s"""


@dataclass(frozen=True, eq=False)
class Table:
    """Indices of all factors for one quantity."""

    name: str
    unit: Unit
    indices: Mapping[str, Index]
    """The first one ranks."""
    n_blocks: int
    """Complete blocks that it rests on."""
    numbers: Array
    """(n,) SI: the quantity in the simulations of these blocks."""
    difference: bool
    """Whether the quantity is one, as a margin is."""


@dataclass(frozen=True, eq=False, repr=False)
class Influences:
    """How much each factor moves each quantity.

    tables: one for each quantity. factors: what was varied, with the distribution in words. n_simulations, n_blocks: as
    planned. failures: simulations that failed; the blocks they are in were left out. correlations: pairs of factors
    that the posterior knows to be correlated, in words. method, seed: as given.
    """

    tables: tuple[Table, ...]
    factors: tuple[Factor, ...]
    n_simulations: int
    n_blocks: int
    failures: tuple[FailedMember, ...]
    correlations: tuple[str, ...]
    method: str
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors."""
        return tuple(f.name for f in self.factors)

    def ranked(self, quantity: str | None = None) -> tuple[str, ...]:
        """Factors by falling influence on a quantity (the first one by default)."""
        first = next(iter(self._table(quantity).indices.values()))
        return tuple(self.names[j] for j in np.argsort(-first.value, kind="stable"))

    def index(self, kind: str, factor: str, quantity: str | None = None) -> tuple[float, float]:
        """A number and half its 95 % interval; "total", "first" of Sobol, "mu_star", "sigma" (SI) of Morris."""
        table = self._table(quantity)
        if kind not in table.indices:
            raise unknown_name("index", kind, table.indices)
        if factor not in self.names:
            raise unknown_name("factor", factor, self.names)
        j = self.names.index(factor)
        return float(table.indices[kind].value[j]), float(table.indices[kind].half[j])

    def dataset(self) -> xr.Dataset:
        """The indices (quantity, factor), SI, with `<index>_half` for half their 95 % intervals."""
        kinds = list(self.tables[0].indices)
        variables = {}
        for kind in kinds:
            stack = [t.indices[kind] for t in self.tables]
            attrs = {"units": "1" if stack[0].dimensionless else "SI, see the coordinate units"}
            variables[kind] = (("quantity", "factor"), np.array([i.value for i in stack]), attrs)
            variables[f"{kind}_half"] = (("quantity", "factor"), np.array([i.half for i in stack]), attrs)
        return xr.Dataset(
            variables,
            {
                "quantity": [t.name for t in self.tables],
                "units": ("quantity", [t.unit.difference().si_text for t in self.tables]),
                "n_blocks_used": ("quantity", [t.n_blocks for t in self.tables]),
                "factor": list(self.names),
                "distribution": ("factor", [f.words for f in self.factors]),
            },
            {
                "method": self.method,
                "seed": self.seed,
                "n_simulations": self.n_simulations,
                "n_blocks": self.n_blocks,
                "n_failed": len(self.failures),
                "correlations": "; ".join(self.correlations),
            },
        )

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write `dataset()` as NetCDF: whole, or not at all."""
        with atomic_write(path) as temporary:
            self.dataset().to_netcdf(temporary, engine="h5netcdf")

    def plot(self, quantity: str | None = None, *, n_shown: int = 20) -> "Figure":
        """Bars with intervals (Sobol), or sizes against their spread (Morris); the strongest `n_shown` factors."""
        from physics_twin.global_sensitivity.plots import plot_table

        return plot_table(self, self._table(quantity), n_shown)

    def _table(self, quantity: str | None) -> Table:
        if quantity is None:
            return self.tables[0]
        for table in self.tables:
            if table.name == quantity:
                return table
        raise unknown_name("quantity", quantity, [t.name for t in self.tables])

    def __str__(self) -> str:
        lines = []
        for table in self.tables:
            ends = np.quantile(table.numbers, [0.025, 0.975])
            low, high = (format_si(x, table.unit, difference=table.difference) for x in ends)
            kinds = list(table.indices)
            lines.append(f"{table.name}: 95 % of the runs between {low} and {high}")
            width = max(map(len, self.names))
            lines.append("  " + "factor".ljust(width) + "".join(kind.rjust(24) for kind in kinds))
            for name in self.ranked(table.name):
                cells = [self._cell(table, kind, name) for kind in kinds]
                lines.append("  " + name.ljust(width) + "".join(cell.rjust(24) for cell in cells))
        lines.append(f"{self.n_simulations} simulations, {self.method}, seed {self.seed}")
        dropped = self.n_blocks - min(t.n_blocks for t in self.tables)
        if dropped:
            lines.append(
                f"{len(self.failures)} simulations failed: {dropped} of {self.n_blocks} blocks are left out; the "
                "ranges are those in which the model can be simulated"
            )
        lines += [f"taken as independent, but {text}" for text in self.correlations]
        return "\n".join(lines)

    __repr__ = __str__

    def _cell(self, table: Table, kind: str, name: str) -> str:
        value, half = self.index(kind, name, table.name)
        if table.indices[kind].dimensionless:
            return f"{value:.3f} ± {half:.3f}"
        text = format_si(value, table.unit, 3, difference=True)
        return text if np.isnan(half) else f"{text} ± {format_si(half, table.unit, 2, difference=True)}"
