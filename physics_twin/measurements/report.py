"""An experiment in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.measurements.flags import Flag
from physics_twin.measurements.quality import duration_text
from physics_twin.units import format_si

if TYPE_CHECKING:
    from physics_twin.measurements.experiment import Experiment, Series
    from physics_twin.measurements.tags.sensors import Sensor

__all__ = ["describe", "rows_of"]

MOST = 20
"""Sensors that are printed, a line each."""


def describe(experiment: "Experiment") -> str:
    """Return name, duration, samples by flag, inputs, notes and provenance as text."""
    lines = [f'experiment "{experiment.name}", {duration_text(experiment.duration)}']
    if experiment.t0_utc is not None:
        lines[0] += f", time zero {experiment.t0_utc.isoformat()}"
    head = ["channel", "unit", "noise", *(flag.words for flag in Flag), "censored", "left out", "used"]
    rows = [head]
    for name, own in rows_of(experiment):
        channel = own[0].channel
        levels = {s.channel.noise for s in own}
        noise = format_si(max(levels), channel.unit, difference=True)
        if len(levels) > 1:
            noise += " at most"
        if channel.unknown_noise is not None:
            noise += " (to be estimated)"
        if any(s.noise_scale is not None for s in own):
            noise += _scales(own)
        rows.append(
            [
                name,
                str(channel.unit),
                noise,
                *(str(sum(s.counts[flag] for s in own)) for flag in Flag),
                str(sum(s.n_censored for s in own)),
                str(sum(int((s.left_out > 0).sum()) for s in own)),
                str(sum(int(s.informative.sum()) for s in own)),
            ]
        )
    # A column in which nobody has anything to say is left out, the good and the used ones apart.
    kept = [
        k
        for k, title in enumerate(head)
        if title in ("channel", "unit", "noise", "good", "used") or any(row[k] != "0" for row in rows[1:])
    ]
    widths = [max(len(row[k]) for row in rows) for k in kept]
    for row in rows:
        lines.append("  " + "  ".join(row[k].ljust(width) for k, width in zip(kept, widths, strict=True)).rstrip())
    for one in experiment.inputs:
        lines.append(f'  input {one.name}: column "{one.column}" in {one.unit}, {one.rule.value}, {one.used} rows')
        if one.counts[Flag.SUSPECT]:
            lines[-1] += f", {one.counts[Flag.SUSPECT]} suspect"
    if not experiment.inputs:
        lines += [f"  {line}" for line in str(experiment.recipe).splitlines()]
    lines += _sensors(experiment)
    for phase in experiment.phases:
        lines.append(f"  phase {phase.name}: {duration_text(phase.start)} to {duration_text(phase.end)}")
    lines += [f"  {key}: {value}" for key, value in experiment.context.items()]
    lines += [f"  note: {note}" for note in experiment.notes]
    for series in experiment:
        lines += [f"  note: {series.channel.output}: {note}" for note in series.notes]
        lines += [f"  left out: {series.channel.output}: {reason}" for reason in series.reasons]
    for one in experiment.inputs:
        lines += [f"  note: input {one.name}: {note}" for note in one.notes]
    lines += [f"  selected: {selection}" for selection in experiment.provenance.selections]
    origin = f"  from {experiment.provenance.source}"
    if experiment.provenance.sha256:
        origin += f", sha256 {experiment.provenance.sha256[:12]}"
    lines.append(origin)
    return "\n".join(lines)


def _sensors(experiment: "Experiment") -> list[str]:
    """A line for each sensor with a certificate: what it stood behind, what is left of its bias, until when."""
    outputs: dict[Sensor, list[str]] = {}
    for channel in experiment.channels:
        if channel.sensor is not None:
            outputs.setdefault(channel.sensor, []).append(channel.output)
    lines = []
    for sensor, behind in outputs.items():
        parts = [f"  sensor {sensor.serial}: {', '.join(behind)}"]
        if sensor.uncertainty is not None:
            unit = experiment[behind[0]].channel.unit
            sd = format_si(sensor.standard_uncertainty or 0.0, unit, difference=True)
            parts.append(f"bias known to {sd} (one standard deviation)")
        if sensor.valid_until is not None:
            parts.append(f"certificate until {sensor.valid_until}")
        lines.append(", ".join(parts))
    for one in experiment.inputs:
        for own in one.sensors:
            parts = [f"  sensor {own.sensor.serial}: input {one.name}"]
            if own.sensor.uncertainty is not None:
                sd = format_si(own.sensor.standard_uncertainty or 0.0, one.unit, difference=True)
                parts.append(f"its bias of {sd} (one standard deviation) is not part of the fit")
            if own.sensor.valid_until is not None:
                parts.append(f"certificate until {own.sensor.valid_until}")
            lines.append(", ".join(parts))
    more = [f"  and {len(lines) - MOST} more sensors"] if len(lines) > MOST else []
    return [*lines[:MOST], *more]


def _scales(own: "Sequence[Series]") -> str:
    """How the noise of samples in use differs from that of their channel: " times 0.13"."""
    scales = np.concatenate([s.noise_scale[s.used] for s in own if s.noise_scale is not None])
    if not scales.size:
        return ""
    low, high = (f"{end:.3g}" for end in (scales.min(), scales.max()))
    return f" times {low}" if low == high else f" times {low} to {high}"


def rows_of(experiment: "Experiment") -> "list[tuple[str, tuple[Series, ...]]]":
    """What stands in one row: a channel, or all of an array."""
    arrays = experiment.arrays
    found: dict[str, tuple[Series, ...]] = {}
    for series in experiment:
        place = series.channel.place
        if place is not None and place.array in arrays:
            found[f"{place.array} ({len(arrays[place.array])} places)"] = arrays[place.array]
        else:
            found[series.channel.output] = (series,)
    return list(found.items())
