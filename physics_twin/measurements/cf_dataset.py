"""An experiment as a dataset that follows the CF conventions, with one JSON record for the rest.

CF is NetCDF Climate and Forecast Metadata Conventions 1.11 (cfconventions.org, 2023).
"""

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.records import channel_record, input_sensors_record, recipe_record
from physics_twin.measurements.series import Series
from physics_twin.recipes import Table
from physics_twin.units import Unit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMAT", "to_dataset"]

FORMAT = "physics_twin experiment 2"
_COMMENT = 8000
"""Most characters of the context in an attribute: HDF5 holds attributes of up to 64 KB; the record has all of it."""
_SIDES: Mapping[int, str] = {-1: "true_value_is_below", 0: "measured", 1: "true_value_is_above"}


def to_dataset(experiment: Experiment) -> "xr.Dataset":
    """Return samples, flags and recipe as a Dataset in SI that follows the CF conventions 1.11.

    Each channel is a variable over a time coordinate (`time`, or `time_2`, ... where channels were sampled at other
    times), with its flags `<name>_flag` and `<name>_left_out` as ancillary variables, and `<name>_censored`,
    `<name>_noise_scale`, `<name>_reported`, `<name>_time_sd` where it has them. Means over windows have a time
    coordinate with bounds, `<time>_bnds`, and say so in `cell_methods`. Times that are not known throughout, repeat
    or go back cannot be a coordinate: they are a variable over the row of the log, `row`. An array of sensors is one
    variable over its places. Phases are `phase_start` and `phase_end`; tables of the recipe are `recipe_table_<k>`.
    """
    import xarray as xr

    # No featureType: what it names are stations, profiles and tracks on the earth, and needs latitude and longitude.
    parts = _Parts(experiment)
    together = _one_clock(experiment)
    entries: list[dict[str, Any]] = []
    for series in experiment:
        place = series.channel.place
        if place is not None and place.array in together:
            own = together[place.array]
            entries.append(parts.array(place.array, own) | {"place": own.index(series)})
        else:
            entries.append(parts.single(series))
    if experiment.phases:
        parts.phases()
    record, tables = recipe_record(experiment.recipe)
    for position, table in enumerate(tables):
        parts.table(position, table)
    words = {"units": "1", "long_name": "channels, recipe, context and provenance as JSON"}
    parts.variables["record"] = (), json.dumps(_record(experiment, record, entries)), words
    comment = "; ".join(f"{key}: {value}" for key, value in experiment.context.items())
    attributes = {
        "Conventions": "CF-1.11",
        "title": experiment.name,
        "source": _readable(f"measured, read from {experiment.provenance.source}"),
        "history": _readable("; ".join(["read with physics_twin", *experiment.provenance.selections])[:_COMMENT]),
        "comment": _readable(comment[:_COMMENT]),
        "format": FORMAT,
        "sha256": experiment.sha256,
    }
    return xr.Dataset(parts.variables, parts.coordinates, {key: text for key, text in attributes.items() if text})


def _readable(text: str) -> str:
    """Return a text that a file can hold: names of files may carry bytes that are no character."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


class _Parts:
    """Variables and coordinates of a dataset while it grows; names are letters, digits and underscores, as CF asks."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.variables: dict[str, Any] = {}
        self.coordinates: dict[str, Any] = {}
        self._taken: set[str] = set()
        self._clocks: dict[tuple[bytes, ...], tuple[str, str]] = {}
        self._bounds: dict[str, str] = {}
        self._arrays: dict[str, dict[str, Any]] = {}

    def put(self, name: str, dims: tuple[str, ...], values: Any, attributes: Mapping[str, Any]) -> str:
        """Add a variable under `name`, or one like it where that is taken; return its name."""
        unique = self._free(name)
        self.variables[unique] = (dims, values, dict(attributes))
        return unique

    def _free(self, name: str) -> str:
        """Return a name for a variable or a dimension that nothing has yet."""
        clean = re.sub(r"[^A-Za-z0-9_]", "_", name)
        clean = clean if clean[:1].isalpha() else f"x{clean}"
        unique, k = clean, 1
        while unique.lower() in self._taken or _OURS.fullmatch(unique.lower()):
            k += 1
            unique = f"{clean}_{k}"
        self._taken.add(unique.lower())
        return unique

    def single(self, series: Series) -> dict[str, Any]:
        """Add the variables of one channel; return what each is called."""
        channel = series.channel
        dimension, time = self._clock(series)
        attributes = {
            "units": channel.unit.si_text,
            "long_name": channel.output.replace("_", " "),
            **_metadata(channel.unit),
            "declared_units": channel.unit.text,
            "noise_standard_deviation": channel.noise,
        }
        if dimension != time:
            attributes["coordinates"] = time
        return self._when(dimension, time, attributes) | self._samples(
            channel.output, (dimension,), [series], attributes
        )

    def _when(self, dimension: str, time: str, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the names of times and, of means, of their windows; the latter are said in `attributes` too."""
        if time not in self._bounds:
            return {"time": time}
        attributes["cell_methods"] = f"{dimension}: mean"
        return {"time": time, "bounds": self._bounds[time]}

    def array(self, array: str, own: Sequence[Series]) -> dict[str, Any]:
        """Add the variables of an array of sensors that were read together; return what each is called."""
        if array not in self._arrays:
            dimension, time = self._clock(own[0])
            dims = (self._free(f"place_{array}"), dimension)
            places = np.array([s.channel.place.coordinates for s in own if s.channel.place is not None])
            where = []
            for k, axis in enumerate("xyz"[: places.shape[1]]):
                words = {"units": "m", "long_name": f"{axis} of the sensor"}
                where.append(self.put(f"{array}_{axis}", dims[:1], places[:, k], words))
            attributes = {
                "units": own[0].channel.unit.si_text,
                **_metadata(own[0].channel.unit),
                "long_name": array.replace("_", " "),
                "coordinates": " ".join([*where, *([time] if dimension != time else [])]),
            }
            when = self._when(dimension, time, attributes)
            self._arrays[array] = when | self._samples(array, dims, own, attributes)
        return dict(self._arrays[array])

    def _samples(
        self, called: str, dims: tuple[str, ...], own: Sequence[Series], attributes: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Add values and what belongs to them; sensors first where there are several."""

        def column(key: str) -> Any:
            rows = [getattr(s, key) for s in own]
            return np.array(rows) if len(dims) == 2 else rows[0]

        words = called.replace("_", " ")
        names: dict[str, Any] = {"values": self.put(called, dims, column("values"), attributes)}

        def beside(key: str, attributes: Mapping[str, Any]) -> None:
            names[key] = self.put(f"{called}_{key.removesuffix('s')}", dims, column(key), attributes)

        beside(
            "flags",
            {
                "units": "1",
                "standard_name": "quality_flag",
                "long_name": f"QARTOD quality flag of {words}",
                **_meanings({int(flag): flag.name.lower() for flag in Flag}),
            },
        )
        most = max(own, key=lambda s: len(s.reasons)).reasons
        same = all(s.reasons == most[: len(s.reasons)] for s in own)
        reasons = [reason if same else f"reason {k + 1} of the sensor" for k, reason in enumerate(most)]
        beside(
            "left_out",
            {
                "units": "1",
                "long_name": f"why samples of {words} are left out of the misfit",
                **_meanings(dict(enumerate(["in use", *reasons]))),
            },
        )
        if own[0].censored is not None:
            beside("censored", {"units": "1", "long_name": f"side of the limits of {words}", **_meanings(_SIDES)})
        if own[0].noise_scale is not None:
            words_of_scale = f"noise of each sample of {words} as a multiple of the channel's"
            beside("noise_scale", {"units": "1", "long_name": words_of_scale})
        if own[0].reported is not None:
            beside("reported", self._time_attributes(f"when {words} was known"))
        if own[0].time_sd is not None:
            beside("time_sd", {"units": "s", "long_name": f"standard deviation of the time of each sample of {words}"})
        beside_them = ("flags", "left_out", "censored", "noise_scale", "reported", "time_sd")
        ancillary = [names[key] for key in beside_them if key in names]
        self.variables[names["values"]][2]["ancillary_variables"] = " ".join(ancillary)
        return names

    def _clock(self, series: Series) -> tuple[str, str]:
        """Return the dimension of samples and the variable of their times, made with its bounds if they are new."""
        times, key = series.times, _clock_of(series)
        if key not in self._clocks:
            time = self._free("time")
            attributes = self._time_attributes("time since time zero")
            # CF wants coordinates without gaps and in order; a log has rows in which the clock was wrong.
            if np.isfinite(times).all() and (times[1:] > times[:-1]).all():
                dimension = time
                attributes["axis"] = "T"
                self.coordinates[time] = (dimension, times, attributes)
            else:
                dimension = self._free("row")
                self.variables[time] = (dimension, times, attributes)
            self._clocks[key] = dimension, time
            if series.begins is not None and series.ends is not None:
                bounds = self._free(f"{time}_bnds")
                self.variables[bounds] = (dimension, "bound"), np.column_stack([series.begins, series.ends]), {}
                attributes["bounds"] = self._bounds[time] = bounds
        return self._clocks[key]

    def _time_attributes(self, words: str) -> dict[str, str]:
        zero = self.experiment.t0_utc
        if zero is None:  # elapsed time has no standard name: that of time needs a date to count from
            return {"units": "s", "long_name": words}
        stamp = zero.astimezone(dt.UTC).replace(tzinfo=None).isoformat()
        return {
            "units": f"seconds since {stamp}Z",
            "units_metadata": "leap_seconds: none",
            "calendar": "standard",
            "standard_name": "time",
            "long_name": words,
        }

    def phases(self) -> None:
        """Add when each phase ran."""
        phases = self.experiment.phases
        names = np.array([_readable(phase.name) for phase in phases], dtype=object)
        self.variables["phase_name"] = ("phase",), names, {"long_name": "name of the phase"}
        for key in ("start", "end"):
            times = np.array([getattr(phase, key) for phase in phases], dtype=np.float64)
            self.variables[f"phase_{key}"] = ("phase",), times, self._time_attributes(f"{key} of the phase")

    def table(self, position: int, table: Table) -> None:
        """Add a table of the recipe."""
        dimension = f"recipe_time_{position}"
        attributes = {"units": "s", "long_name": "time in its phase"}
        self.coordinates[dimension] = (dimension, np.array(table.times), attributes)
        self.variables[f"recipe_table_{position}"] = (
            (dimension,),
            np.array(table.values),
            {
                "units": table.unit.si_text,
                **_metadata(table.unit),
                "long_name": "input of the recipe",
                "declared_units": table.unit.text,
                "rule": table.rule.value,
            },
        )


_OURS = re.compile(r"record|bound|phase|phase_(name|start|end)|recipe_(time|table)_\d+")
"""Names that are read back as they are; a channel that is called so gets another."""


def _metadata(unit: Unit) -> dict[str, str]:
    """Return what CF 1.11 adds to kelvins: a temperature, not a difference of two."""
    return {"units_metadata": "temperature: on_scale"} if unit.si_text == "K" and not unit.is_difference else {}


def _meanings(words: Mapping[int, str]) -> dict[str, Any]:
    """Return the attributes of a variable of flags; CF has meanings of letters, digits and a few signs."""
    clean = [re.sub(r"[^A-Za-z0-9_\-.+@]+", "_", text).strip("_") or "other" for text in words.values()]
    kind = np.int8 if max(words, default=0) <= np.iinfo(np.int8).max else np.int16  # that of the variable
    return {"flag_values": np.array(list(words), dtype=kind), "flag_meanings": " ".join(clean)}


def _clock_of(series: Series) -> tuple[bytes, ...]:
    """Return what samples of one clock have in common: their times, and the windows of means."""
    if series.begins is None or series.ends is None:
        return (series.times.tobytes(),)
    return series.times.tobytes(), series.begins.tobytes(), series.ends.tobytes()


def _one_clock(experiment: Experiment) -> dict[str, tuple[Series, ...]]:
    """Arrays of sensors that were read at the same times: each is one variable, and not thousands."""

    def kind(s: Series) -> tuple[object, ...]:
        rare = (s.censored is None, s.noise_scale is None, s.reported is None, s.time_sd is None)
        return (*_clock_of(s), s.channel.unit.si_text, *rare)

    return {array: own for array, own in experiment.arrays.items() if len({kind(s) for s in own}) == 1}


def _record(experiment: Experiment, recipe: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    provenance = experiment.provenance
    return {
        "name": experiment.name,
        "t0_utc": None if experiment.t0_utc is None else experiment.t0_utc.isoformat(),
        "notes": list(experiment.notes),
        "context": dict(experiment.context),
        "recipe": recipe,
        "phases": [phase.name for phase in experiment.phases],
        "series": [
            {
                "channel": channel_record(one.channel),
                "reasons": list(one.reasons),
                "notes": list(one.notes),
                "variables": entry,
            }
            for one, entry in zip(experiment, entries, strict=True)
        ],
        "inputs": [
            {
                "name": one.name,
                "column": one.column,
                "unit": one.unit.text,
                "rule": one.rule.value,
                "counts": {str(int(flag)): n for flag, n in one.counts.items()},
                "notes": list(one.notes),
                **({} if one.n_used is None else {"used": one.n_used}),
                **({"sensors": input_sensors_record(one.sensors)} if one.sensors else {}),
            }
            for one in experiment.inputs
        ],
        "provenance": {
            "source": provenance.source,
            "sha256": provenance.sha256,
            "options": dict(provenance.options),
            "selections": list(provenance.selections),
            "exclusions": [
                {"span": list(one.span), "reason": one.reason, "by": one.by, "channels": list(one.channels)}
                for one in provenance.exclusions
            ],
        },
    }
