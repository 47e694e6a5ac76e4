"""Experiments that hold the same samples: a file that was read twice counts twice."""

from collections.abc import Sequence

from physics_twin.measurements import Experiment


def copies_said(experiments: Sequence[Experiment]) -> list[str]:
    """Warnings about channels of two experiments with the same numbers at the same times.

    Two samples may agree by chance, or because an instrument is coarse; three different numbers in a row are a copy.
    """
    first: dict[tuple[str, bytes, bytes], str] = {}
    found: dict[tuple[str, str], list[str]] = {}
    for experiment in experiments:
        for series in experiment:
            used = series.values[series.used]
            if len(set(used.tolist())) < 3:
                continue
            key = (series.channel.output, series.times[series.used].tobytes(), used.tobytes())
            other = first.setdefault(key, experiment.name)
            if other != experiment.name:
                found.setdefault((other, experiment.name), []).append(series.channel.output)
    return [
        f'experiments "{one}" and "{two}" hold the same samples of {", ".join(outputs)}: they count twice, and '
        "intervals are too narrow for it; leave one out"
        for (one, two), outputs in found.items()
    ]
