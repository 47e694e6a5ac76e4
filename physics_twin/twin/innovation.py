"""`Innovation`: what one call of `assimilate` did, sample by sample and moment by moment."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.special import chdtri

from physics_twin.arrays import Array
from physics_twin.errors import DataError, unknown_name
from physics_twin.twin.moments import stamp
from physics_twin.twin.sensors.reading import Verdict
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONSISTENT = 0.999
"""Probability with which the NIS of a consistent filter lies within the bounds of `Innovation.consistent`."""


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One sample beside what the model expected, SI.

    variance: of the sensor's noise as used in the update (with the verdict's factor). predicted_variance: of the true
    output before the update, widened if the gate was opened again. source: as of the sample.
    """

    channel: str
    observed: float
    variance: float
    predicted: float
    predicted_variance: float
    verdict: Verdict
    source: str = ""

    @property
    def residual(self) -> float:
        """Observed less predicted, SI."""
        return self.observed - self.predicted


@dataclass(frozen=True, slots=True)
class MomentRecord:
    """What became of the samples of one moment.

    time: ns UTC. nis, dof: normalized innovation squared of the samples that were used, and how many they are; 0 and 0
    without an update. trouble: why there was no update, "" where there was one or nothing to update with.
    """

    time: int
    samples: tuple[SampleRecord, ...]
    nis: float = 0.0
    dof: int = 0
    trouble: str = ""
    n_failed_members: int = 0


def normalized_innovation_squared(residuals: Array, covariance: Array) -> float:
    """r^T S^-1 r of residuals (n,) with the covariance S (n, n) of observed less predicted, noise included, SI.

    A chi-square of n degrees of freedom where the filter's uncertainty is right (Bar-Shalom, Li and Kirubarajan,
    Estimation with Applications to Tracking and Navigation, 2001, section 5.4). Samples in units as different as K and
    Pa are scaled by their own spread before they are combined. Infinite where S is not positive definite.
    """
    if not residuals.size:
        return 0.0
    spread = np.sqrt(np.diag(covariance))
    if not (np.isfinite(covariance).all() and (spread > 0.0).all()):
        return float("inf")
    try:
        root = np.linalg.cholesky(covariance / (spread[:, None] * spread))
    except np.linalg.LinAlgError:
        return float("inf")
    return float(np.sum(np.linalg.solve(root, residuals / spread) ** 2))


@dataclass(frozen=True, eq=False)
class Innovation:
    """What the samples of one call, or of a stretch of calls, said that the model did not know.

    records: a moment each, ascending. channels: name -> declared unit. begin, end: ns UTC, of the twin before and
    after. counts: what became of the samples by kind ("late", "duplicates", "unknown", ...). pending: entries that the
    budget left for the next call. reason: why the twin is a prediction only, "" where it is not. seconds: that the call
    took. notes: what else is to be said (unknown channels, inputs that were not used).
    """

    records: tuple[MomentRecord, ...]
    channels: Mapping[str, Unit]
    begin: int
    end: int
    counts: Mapping[str, int] = field(default_factory=dict)
    pending: int = 0
    reason: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @classmethod
    def join(cls, innovations: "Sequence[Innovation]") -> "Innovation":
        """One of a stretch of calls. Moments that were filtered again (late samples) stand as they were at last.

        Raises DataError for none, or where two declare one channel in different units.
        """
        if not innovations:
            raise DataError("no innovation to join; give those of the calls")
        channels: dict[str, Unit] = {}
        for one in innovations:
            for name, unit in one.channels.items():
                if channels.setdefault(name, unit) != unit:
                    raise DataError(f"{name} is in {channels[name]} and in {unit}: these are of different twins")
        moments = {record.time: record for one in innovations for record in one.records}
        counts: dict[str, int] = {}
        for one in innovations:
            for kind, n in one.counts.items():
                counts[kind] = counts.get(kind, 0) + n
        return cls(
            records=tuple(moments[time] for time in sorted(moments)),
            channels=channels,
            begin=min(one.begin for one in innovations),
            end=max(one.end for one in innovations),
            counts=counts,
            pending=innovations[-1].pending,
            reason=innovations[-1].reason,
            seconds=sum(one.seconds for one in innovations),
            notes=tuple(dict.fromkeys(note for one in innovations for note in one.notes)),
        )

    # What it says -----------------------------------------------------------------------------------------------

    @property
    def n_samples(self) -> int:
        """Samples of channels, used or not."""
        return sum(len(record.samples) for record in self.records)

    @property
    def n_used(self) -> int:
        """Of these, how many an update has used."""
        return sum(record.dof for record in self.records)

    @property
    def nis(self) -> float:
        """Mean normalized innovation squared over its degrees of freedom; 1 is expected, NaN without an update."""
        dof = self.n_used
        return sum(record.nis for record in self.records) / dof if dof else float("nan")

    @property
    def nis_bounds(self) -> tuple[float, float]:
        """Where `nis` of a consistent filter lies with the probability CONSISTENT; NaN without an update."""
        dof = self.n_used
        if not dof:
            return float("nan"), float("nan")
        tail = 0.5 * (1.0 - CONSISTENT)
        return float(chdtri(dof, 1.0 - tail)) / dof, float(chdtri(dof, tail)) / dof

    @property
    def consistent(self) -> bool:
        """Whether the filter's uncertainty is as large as the residuals say; True without an update."""
        low, high = self.nis_bounds
        return not self.n_used or low <= self.nis <= high

    @property
    def surprise(self) -> dict[str, float]:
        """Channel -> root mean square of residuals over their predicted standard deviation; 1 is expected.

        Of all samples that were compared with the model, those turned away included.
        """
        squares: dict[str, list[float]] = {}
        for sample in self._samples():
            if sample.verdict.judged:
                squares.setdefault(sample.channel, []).append(sample.verdict.surprise**2)
        return {name: math.sqrt(sum(own) / len(own)) for name, own in squares.items()}

    @property
    def flags(self) -> dict[str, tuple[str, ...]]:
        """Channel -> what was found wrong, each finding with how often; channels without a finding are left out."""
        found: dict[str, dict[str, int]] = {}
        for sample in self._samples():
            if sample.verdict.words:
                kinds = found.setdefault(sample.channel, {})
                kind = _kind(sample.verdict.words)
                kinds[kind] = kinds.get(kind, 0) + 1
        return {
            name: tuple(f"{kind} ({n} samples)" if n > 1 else kind for kind, n in kinds.items())
            for name, kinds in found.items()
        }

    def _samples(self) -> Iterable[SampleRecord]:
        return (sample for record in self.records for sample in record.samples)

    # Tables -----------------------------------------------------------------------------------------------------

    @cached_property
    def dataset(self) -> xr.Dataset:
        """Over `sample` (coordinates time, channel, unit) and `moment`, SI."""
        from physics_twin.twin.innovation_tables import dataset_of

        return dataset_of(self)

    def __getitem__(self, channel: str) -> xr.Dataset:
        """The samples of one channel over `time`, SI; raises UnknownNameError."""
        from physics_twin.twin.innovation_tables import of_channel

        if channel not in self.channels:
            raise unknown_name("channel", channel, list(self.channels))
        return of_channel(self.dataset, channel, self.channels[channel])

    def in_units(self) -> xr.Dataset:
        """`dataset` with every sample in the declared unit of its channel."""
        from physics_twin.twin.innovation_tables import in_units

        return in_units(self)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write NetCDF: whole, or not at all."""
        from physics_twin.twin.innovation_tables import save

        save(self, path)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Innovation":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        from physics_twin.twin.innovation_tables import load

        return load(path)

    # For people -------------------------------------------------------------------------------------------------

    @property
    def line(self) -> str:
        """All that matters in one line, for a log."""
        parts = [f"{stamp(self.end)}: {self.n_used} of {self.n_samples} samples used"]
        if self.n_used:
            parts.append(f"NIS {self.nis:.3g}{'' if self.consistent else ' (not consistent)'}")
        parts += [f"{n} {kind.replace('_', ' ')}" for kind, n in self.counts.items() if n and kind != "samples"]
        parts += [f"{name}: {'; '.join(words)}" for name, words in self.flags.items()]
        parts += [f"{self.pending} pending"] if self.pending else []
        parts += [f"prediction only: {self.reason}"] if self.reason else []
        return ", ".join([*parts, f"{self.seconds:.3g} s"])

    def __str__(self) -> str:
        low, high = self.nis_bounds
        lines = [self.line]
        if self.n_used:
            lines.append(f"  NIS {self.nis:.3g} over {self.n_used} samples, {low:.3g} to {high:.3g} expected")
        surprise, flags = self.surprise, self.flags
        for name, unit in self.channels.items():
            own = [sample for sample in self._samples() if sample.channel == name]
            if not own:
                continue
            used = [sample.residual for sample in own if sample.verdict.use]
            mean = format_si(sum(used) / len(used), unit, 3, difference=True) if used else "-"
            row = f"  {name}: {len(used)} of {len(own)} used, mean residual {mean}"
            row += f", surprise {surprise[name]:.3g}" if name in surprise else ""
            lines.append("; ".join([row, *flags.get(name, ())]))
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    __repr__ = __str__

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Residuals of each channel over time in its declared unit, with the band in which 95 % are expected.

        What was not used is crossed out. ax: one Axes for each channel with samples; a new figure without it. Raises
        ShapeError for another number of axes.
        """
        from physics_twin.twin.innovation_plot import plot_innovation

        return plot_innovation(self, ax)


def _kind(words: str) -> str:
    """A finding without its numbers, so that the same one is counted and not listed."""
    for kind in ("turned away", "stuck", "masked", "looks like"):
        if words.startswith(kind):
            return words.partition(": ")[0] if kind in ("masked", "looks like") else kind
    if "the gate is open again" in words:
        return "the plant has changed, the gate is open again"
    if words.startswith("the same number"):
        return "the same number again and again"
    return words.partition(" (")[0]
