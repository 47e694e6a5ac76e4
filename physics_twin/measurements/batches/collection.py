"""Experiments of one log or campaign: a sequence that knows what did not go into it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

import numpy as np

from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.batches.cutting_report import CuttingReport
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.tags.certificates import SHOWN, expired_certificates, expired_sensors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Experiments"]

_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Experiments(Sequence[Experiment]):
    """Experiments in the order of their batches, by number or by name; `pt.calibrate` takes them as they are.

    runs: the experiments. report: what did not go into them when the log was cut.

    Raises DataError for two experiments of one name.
    """

    runs: tuple[Experiment, ...]
    report: CuttingReport = field(default_factory=CuttingReport)

    def __post_init__(self) -> None:
        """Check the names."""
        object.__setattr__(self, "runs", tuple(self.runs))
        seen: set[str] = set()
        for run in self.runs:
            if run.name in seen:
                raise DataError(f'two experiments are called "{run.name}"')
            seen.add(run.name)

    @overload
    def __getitem__(self, index: int | str) -> Experiment: ...
    @overload
    def __getitem__(self, index: slice) -> "Experiments": ...
    def __getitem__(self, index: int | str | slice) -> "Experiment | Experiments":
        """Return an experiment by number or name, or several. Raises UnknownNameError with the nearest name."""
        if isinstance(index, str):
            for run in self.runs:
                if run.name == index:
                    return run
            raise unknown_name("experiment", index, self.names)
        if isinstance(index, slice):
            return Experiments(self.runs[index], self.report)
        return self.runs[index]

    def __len__(self) -> int:
        """How many."""
        return len(self.runs)

    def __iter__(self) -> Iterator[Experiment]:
        """Run through the experiments."""
        return iter(self.runs)

    def __contains__(self, item: object) -> bool:
        """Whether an experiment, or one of this name, is among them."""
        if isinstance(item, str):
            return item in self.names
        return any(run is item for run in self.runs) or (isinstance(item, Experiment) and item in self.runs)

    def __eq__(self, other: object) -> bool:
        """Whether experiments and report are the same."""
        if not isinstance(other, Experiments):
            return NotImplemented
        return self.runs == other.runs and self.report == other.report

    def __hash__(self) -> int:
        """Hash of the experiments."""
        return hash(self.runs)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(run.name for run in self.runs)

    @property
    def summary(self) -> "pd.DataFrame":
        """A row an experiment: start, duration in s, channels, samples by flag, left out, censored, used; context.

        These are samples of channels; beside them, how many suspect samples the inputs rest on, and the sensors whose
        calibration certificate had ended while samples in use were taken.
        """
        import pandas as pd

        rows = {run.name: _row(run) for run in self.runs}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("experiment")

    def __str__(self) -> str:
        """Return a table of the experiments, and what did not go into them."""
        head = ["experiment", "start (UTC)", "duration", "channels", "used", "suspect", "bad", "missing", "left out"]
        rows = [head]
        shown = self.runs if len(self.runs) <= _SHOWN else (*self.runs[: _SHOWN - 3], *self.runs[-2:])
        for run in shown:
            row = _row(run)
            start = "" if run.t0_utc is None else f"{run.t0_utc:%Y-%m-%d %H:%M:%S}"
            counts = [str(row[key]) for key in head[3:]]
            rows.append([run.name, start, duration_text(run.duration), *counts])
        widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        if len(shown) < len(self.runs):
            lines.insert(-2, f"... {len(self.runs) - len(shown)} more")
        doubtful = {
            f"{one.name}@{run.name}": one.counts[Flag.SUSPECT]
            for run in self.runs
            for one in run.inputs
            if one.counts[Flag.SUSPECT]
        }
        if doubtful:
            more = f" and {len(doubtful) - SHOWN} more" if len(doubtful) > SHOWN else ""
            where, n = ", ".join(list(doubtful)[:SHOWN]), sum(doubtful.values())
            samples = "1 suspect sample of an input is" if n == 1 else f"{n} suspect samples of inputs are"
            lines.append(f"note: {samples} in use ({where}{more})")
        lines += [f"note: {words}" for words in expired_certificates(self.runs)]
        if self.report.n_batches:
            lines += ["", str(self.report)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return one line."""
        ends = ", ".join(self.names) if len(self.runs) <= 3 else f"{self.names[0]}, ..., {self.names[-1]}"
        return f"<Experiments: {len(self.runs)}: {ends}>"

    def split(
        self,
        train: float | Sequence[str] = 0.7,
        *,
        by: str | None = None,
        rng: np.random.Generator | None = None,
    ) -> "tuple[Experiments, Experiments]":
        """Return two parts, one to fit and one to check on.

        train: the share of experiments in the first part, above 0 and below 1, or their names. by: a key of the context
        ("lot", "campaign"): experiments that share it stay together, since they share what nobody measured. rng: draws
        the groups; without it, the first ones are for training, as for a forecast.

        A share is met as closely as whole groups allow, and no part is empty. Raises DataError where that cannot be,
        where an experiment lacks the key, or where names divide a group; UnknownNameError for a name that is not there.
        """
        groups = self._groups(by)
        if isinstance(train, str) or not isinstance(train, int | float):
            chosen = self._chosen([train] if isinstance(train, str) else list(train), groups, by)
        else:
            chosen = self._drawn(float(train), groups, by, rng)
        parts = [tuple(run for run in self.runs if (run.name in chosen) is first) for first in (True, False)]
        if not all(parts):
            raise DataError(f"all {len(self.runs)} experiments would be in one part; nothing is left for the other")
        return Experiments(parts[0], self.report), Experiments(parts[1], self.report)

    def _groups(self, by: str | None) -> Mapping[str | int | float, list[str]]:
        groups: dict[str | int | float, list[str]] = {}
        for run in self.runs:
            if by is not None and by not in run.context:
                keys = ", ".join(run.context) or "nothing"
                raise DataError(f'experiment "{run.name}" has no "{by}" in its context; it has {keys}')
            groups.setdefault(run.name if by is None else run.context[by], []).append(run.name)
        return groups

    def _chosen(self, names: list[str], groups: Mapping[str | int | float, list[str]], by: str | None) -> set[str]:
        for name in names:
            _ = self[name]
        chosen = set(names)
        for key, own in groups.items():
            inside = [name for name in own if name in chosen]
            if 0 < len(inside) < len(own):
                other = next(name for name in own if name not in chosen)
                raise DataError(f'"{inside[0]}" and "{other}" share the {by} "{key}"; take both or none for training')
        return chosen

    def _drawn(
        self,
        share: float,
        groups: Mapping[str | int | float, list[str]],
        by: str | None,
        rng: np.random.Generator | None,
    ) -> set[str]:
        if not 0.0 < share < 1.0:
            raise DataError(f"train={share:g}: the share is above 0 and below 1, for example 0.7")
        if len(groups) < 2:
            what = "experiment" if by is None else f'value of "{by}"'
            raise DataError(f"there is one {what} only; it cannot be split in two")
        keys = list(groups)
        if rng is not None:
            keys = [keys[k] for k in rng.permutation(len(keys))]
        sizes = np.cumsum([len(groups[key]) for key in keys])
        n = 1 + int(np.argmin(np.abs(sizes[:-1] - share * len(self.runs))))
        return {name for key in keys[:n] for name in groups[key]}

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Draw all experiments over each other, a panel for each channel, in its unit over time since time zero.

        Up to seven have colors of their own; more are thin lines below their median and the band of the middle 90 %.
        Samples that are not used are not drawn. ax: one Axes for each channel; without it, a new figure.
        """
        from physics_twin.measurements.batches.collection_plots import plot_experiments

        return plot_experiments(self, ax)

    def without_suspect(self, outputs: str | Sequence[str] | None = None) -> "Experiments":
        """Return the experiments with suspect samples left out of the misfit, as `Experiment.without_suspect` does.

        outputs: of which channels, where an experiment has them; all without it. Raises UnknownNameError for an output
        that none has, DataError for an experiment without any other sample in use.
        """
        names = None if outputs is None else [outputs] if isinstance(outputs, str) else list(outputs)
        known = dict.fromkeys(output for run in self.runs for output in run.series)
        for output in names or ():
            if output not in known:
                raise unknown_name("channel of the experiments", output, known)
        runs = (
            run.without_suspect(None if names is None else [name for name in names if name in run.series])
            for run in self.runs
        )
        return Experiments(tuple(runs), self.report)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder: one NetCDF for each experiment, and index.json with the names, the hashes and the report.

        The index is replaced last, so that a folder that was saved before stays whole until the new one is.
        """
        from physics_twin.measurements.batches.collection_storage import save_experiments

        save_experiments(self, folder)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> "Experiments":
        """Read what `save` wrote. Raises FileNotFoundError; FileFormatError for what was changed or is damaged."""
        from physics_twin.measurements.batches.collection_storage import load_experiments

        return load_experiments(folder)


def _row(run: Experiment) -> dict[str, object]:
    counts = np.zeros(int(max(Flag)) + 1, dtype=int)
    left_out = censored = used = 0
    for series in run:
        counts += np.bincount(series.flags, minlength=counts.size)
        left_out += int(np.count_nonzero(series.left_out))
        censored += 0 if series.censored is None else int(np.count_nonzero(series.censored))
        used += int(np.count_nonzero(series.informative))
    row: dict[str, object] = {"start": run.t0_utc, "duration": run.duration, "channels": len(run.series), "used": used}
    row |= {flag.words: int(counts[flag]) for flag in Flag}
    row |= {"left out": left_out, "censored": censored}
    row["suspect in inputs"] = sum(one.counts[Flag.SUSPECT] for one in run.inputs)
    row["expired certificates"] = ", ".join(expired_sensors(run))
    return row | {key if key not in row else f"{key} (context)": value for key, value in run.context.items()}
