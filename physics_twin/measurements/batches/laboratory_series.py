"""Laboratory values as channels: few samples, each with its own uncertainty and the time when it was known."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.errors import DataError, UnitError
from physics_twin.measurements.batches.batch import LaboratoryValue
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.sampling import limit_notes
from physics_twin.measurements.series import Series
from physics_twin.measurements.uncertainty import Uncertainty
from physics_twin.units import to_si, unit as as_unit

__all__ = ["Drawn", "LaboratoryChannels"]


@dataclass(frozen=True)
class Drawn:
    """A laboratory value with the time of its sample and of its report (NaN if not known), s since a log's origin."""

    value: LaboratoryValue
    at: float
    reported: float


@dataclass(frozen=True)
class LaboratoryChannels:
    """Output -> channel of the laboratory, one for all batches: its noise is the median of all uncertainties."""

    channels: Mapping[str, Channel]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that the laboratory shows."""
        return tuple(self.channels)

    @classmethod
    def of(cls, values: Sequence[LaboratoryValue], taken: Collection[str]) -> "LaboratoryChannels":
        """Return the channels of values; taken: outputs that tags show.

        Raises DataError for an output that a tag shows as well, UnitError for values of one output in units that do
        not fit, or an uncertainty that does not fit.
        """
        spreads: dict[str, list[float]] = {}
        units: dict[str, str] = {}
        for value in values:
            if value.output in taken:
                raise DataError(
                    f'"{value.output}" is shown by a tag and by the laboratory; give the model one output for each'
                )
            unit = units.setdefault(value.output, value.unit)
            if as_unit(unit).dimension != as_unit(value.unit).dimension:
                where = f" ({value.source})" if value.source else ""
                raise UnitError(f'laboratory values of "{value.output}" are in {unit} and in {value.unit}{where}')
            spread = _spread(value)
            if not value.text:
                spreads.setdefault(value.output, []).append(spread)
        return cls(
            {
                output: Channel(
                    output,
                    unit=units[output],
                    noise=(float(np.median(own)), as_unit(units[output]).difference().si_text),
                )
                for output, own in spreads.items()
            }
        )

    def series(self, values: Sequence[Drawn], zero: float, end: float) -> dict[str, Series]:
        """Return the series of one batch; zero, end: of the batch, s since the origin of the log."""
        found: dict[str, Series] = {}
        for output, channel in self.channels.items():
            own = sorted((one for one in values if one.value.output == output), key=lambda one: one.at)
            if own:
                found[output] = _series(channel, own, zero, end)
        return found


def _spread(value: LaboratoryValue) -> float:
    """Return one standard deviation, an SI difference."""
    given = value.uncertainty
    plain = given.standard if isinstance(given, Uncertainty) else given
    spread = to_si(plain, as_unit(value.unit), name=f"uncertainty of {value.output}", difference=True)
    if not 0.0 < spread < float("inf"):
        where = f" ({value.source})" if value.source else ""
        raise DataError(f"uncertainty of {value.output} is {given}{where}; a standard deviation is above 0")
    return spread


def _series(channel: Channel, own: Sequence[Drawn], zero: float, end: float) -> Series:
    times = np.array([one.at - zero for one in own])
    si = np.array([float(as_unit(one.value.unit).to_si(one.value.value)) for one in own])
    scale = np.array([_spread(one.value) for one in own]) / channel.noise
    censored = np.array([one.value.censored for one in own], dtype=np.int8)
    reported = np.array([one.reported - zero for one in own])
    notes = list(dict.fromkeys(note for one in own for note in one.value.notes))
    late = int((times > end - zero).sum())
    if late:
        longest = duration_text(float(times.max()) - (end - zero))
        notes.append(f"{late} sampled after the end of the batch, by up to {longest}")
    again = int((np.diff(times) == 0.0).sum())
    if again:
        notes.append(f"{again} results of a sample that has another one: all are used")
    notes += limit_notes(censored)
    time_sd = np.array([_time_sd(one.value) for one in own])
    return Series(
        channel,
        times,
        si,
        np.full(times.size, Flag.GOOD, dtype=np.int8),
        np.zeros(times.size, np.int8),
        (),
        tuple(notes),
        censored=censored if censored.any() else None,
        # Rounding of a unit conversion is no uncertainty of its own.
        noise_scale=None if np.allclose(scale, 1.0, rtol=1e-12, atol=0.0) else scale,
        reported=reported if np.isfinite(reported).any() else None,
        time_sd=time_sd if time_sd.any() else None,
    )


def _time_sd(value: LaboratoryValue) -> float:
    """Return one standard deviation of the time of a sample, s."""
    if value.time_uncertainty is None:
        return 0.0
    return to_si(value.time_uncertainty, as_unit("s"), name=f"time_uncertainty of {value.output}")
