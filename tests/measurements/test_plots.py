"""Pictures of experiments: the legend says what is drawn, and nothing lies over anything else."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Annotation

from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.batches.collection import Experiments
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def run_of(name: str = "a", bad: float = 25.0) -> Experiment:
    """An hour of a channel; of its samples, three are suspect and three bad, one without a number."""
    t = np.arange(60) * 60.0
    values = 20.0 + np.arange(60) / 6.0
    values[40:43] = bad, bad, np.nan
    channel = Channel("core", unit="degC", noise="0.1 K")
    run = Experiment.from_arrays(name, t, {"core": values}, channels=[channel])
    series = run["core"]
    flags = np.array(series.flags)
    flags[10:13], flags[40:43] = Flag.SUSPECT, Flag.BAD
    return replace(run, series={"core": replace(series, flags=flags)})


def labels(run: Experiment) -> list[str]:
    """The legend of its panel."""
    legend = run.plot().axes[0].get_legend()
    assert legend is not None
    return [text.get_text().replace("\n", " ") for text in legend.get_texts()]


def test_bad_samples_without_a_place_are_on_the_axis() -> None:
    """Two have a number near the others and are drawn at it; the third is on the axis, and all three are counted."""
    assert labels(run_of()) == ["core", "suspect (3)", "bad (3), 1 on the axis"]


def test_a_full_scale_reading_does_not_press_the_others_flat() -> None:
    """850 degC among 20 to 30: on the axis too, and the scale stays that of the others."""
    run = run_of(bad=850.0)
    assert labels(run) == ["core", "suspect (3)", "bad (3), on the axis"]
    assert run.plot().axes[0].get_ylim()[1] < 40.0


def test_a_channel_that_is_all_suspect_has_no_key_to_good_samples() -> None:
    """Nothing blue is drawn, so nothing blue is in the legend."""
    run = run_of()
    series = run["core"]
    run = replace(run, series={"core": replace(series, flags=np.full(60, Flag.SUSPECT, dtype=np.int8))})
    assert labels(run) == ["suspect (60)"]


def test_names_of_phases_do_not_overlap() -> None:
    """Phases of minutes in a run of an hour: their names take lines of their own, and no two share a spot."""
    starts = {"charging": 0.0, "heating": 120.0, "reaction": 240.0, "cooling": 3000.0}
    phases = tuple(PhaseWindow(name, start, start + 60.0) for name, start in starts.items())
    figure = replace(run_of(), phases=phases).plot()
    axes = figure.axes
    figure.canvas.draw()
    boxes = [one.get_window_extent() for one in axes[0].texts if isinstance(one, Annotation)]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert boxes[3].y0 == boxes[0].y0  # what has room stays on the first line


def test_one_key_to_lines_and_marks() -> None:
    """Of a few experiments with a dense channel and a sparse one: each has one entry that shows line and marker."""
    runs = []
    for name in ("a", "b"):
        channels = [Channel("core", unit="degC", noise="0.1 K"), Channel("salt", unit="g/L", noise="0.1 g/L")]
        t = np.arange(60) * 60.0
        salt = np.where(np.arange(60) % 20 == 0, 5.0, np.nan)
        runs.append(Experiment.from_arrays(name, t, {"core": t / 100.0, "salt": salt}, channels=channels))
    (legend,) = Experiments(tuple(runs)).plot().legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    assert all(line.get_linestyle() != "None" and line.get_marker() for line in legend.get_lines())
