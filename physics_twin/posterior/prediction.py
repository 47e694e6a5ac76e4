"""What a posterior predicts: outputs of a recipe for draws of the parameters, with bands.

Two bands: of the true output (parameters only) and of what a sensor would show (with the channel's noise, given or as
drawn). Where inputs, settings, outputs or time leave the ranges that the data covered, the prediction says so.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, SolveError
from physics_twin.measurements import Experiment
from physics_twin.model import Ensembles, Model, Trajectories
from physics_twin.posterior.evidence import ChannelEvidence, FailedSimulation
from physics_twin.posterior.inputs import input_values
from physics_twin.posterior.members import generator, is_fitted, member_values
from physics_twin.posterior.sensor_noise import SensorNoise
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, seconds
from physics_twin.validity import DATA, MODEL, OUTPUT_SLACK, Course, extrapolations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.result import Posterior

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
MOST_DRAWS = 400
"""Enough for the ends of a 95 % band to a tenth of its width."""
COVERED = 1e-6
"""Share of a range by which a value may leave it before it counts as extrapolation."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Outputs for draws of a posterior; floats in SI, times in s.

    draws: DataArray (draw, time, output) without measurement noise; NaN for members whose simulation failed.
    measured: the same with measurement noise, for outputs whose noise is known.
    extrapolated: what leaves the range of the data -> (n_times,) True where it does.
    notes: what was assumed and what is outside the data or the model's domain of validity, in sentences. failures:
    simulations that failed.
    """

    draws: xr.DataArray
    measured: xr.DataArray
    outputs: tuple[Signal, ...]
    extrapolated: Mapping[str, NDArray[np.bool_]]
    notes: tuple[str, ...]
    failures: tuple[FailedSimulation, ...]

    @property
    def times(self) -> Array:
        """(n_times,) s"""
        return np.asarray(self.draws.coords["time"].values, dtype=float)

    @property
    def dataset(self) -> xr.Dataset:
        """Bands over time in SI: for each output `<output>` (true) and `<output>_measured` over (quantile, time)."""
        found: dict[str, Any] = {}
        for k, signal in enumerate(self.outputs):
            attrs = {"units": signal.unit.si_text, "description": signal.description}
            for suffix, values in (("", self.draws), ("_measured", self.measured)):
                band = _quantiles(np.asarray(values.values[:, :, k]))
                found[signal.name + suffix] = (("quantile", "time"), band, attrs)
        for name, where in self.extrapolated.items():
            found[f"outside_data_{name}"] = (
                "time",
                where,
                {"units": "1", "description": f"{name} outside what is known"},
            )
        time = xr.Variable("time", self.times, {"units": "s"})
        return xr.Dataset(found, coords={"quantile": list(QUANTILES), "time": time})

    def in_units(self) -> xr.Dataset:
        """The bands in the declared units of the outputs."""
        bands = self.dataset
        for signal in self.outputs:
            for name in (signal.name, f"{signal.name}_measured"):
                values = signal.unit.from_si(np.asarray(bands[name].values))
                bands[name] = bands[name].copy(data=values).assign_attrs(units=signal.unit.text)
        return bands

    def __str__(self) -> str:
        from physics_twin.posterior.tables import prediction_text

        return prediction_text(self)

    def __repr__(self) -> str:
        return str(self)

    def plot(self, ax: "Axes | list[Axes] | None" = None) -> "Figure":
        """Bands over time, one panel per output; times outside what is known are shaded."""
        from physics_twin.posterior import plots

        return plots.prediction(self, ax)


def predict(
    posterior: "Posterior",
    model: Model,
    recipe: Recipe,
    times: Any,
    *,
    rng: int | np.random.Generator,
    n_draws: int | None,
    experiment: str | Experiment | None,
    values: Mapping[str, QuantityLike] | None,
) -> Prediction:
    """See `Posterior.predict`."""
    at = np.atleast_1d(seconds(times))
    own = generator(rng)
    n = min(posterior.n_draws, MOST_DRAWS if n_draws is None else n_draws)
    if n < 1:
        raise CalibrationError(f"n_draws = {n_draws}: a prediction needs at least one draw")
    rows = np.sort(own.permutation(posterior.n_draws)[:n])
    members, notes = member_values(posterior, model, recipe, rows, own, experiment=experiment, values=values)
    outputs, failures = simulate_members(model, recipe, at, members)
    unknowns = posterior.draws.values[rows]
    failed = tuple(
        FailedSimulation(dict(zip(posterior.names, unknowns[i].tolist(), strict=True)), reason, time, "")
        for i, reason, time in failures
    )
    if len(failed) == n:
        raise CalibrationError(f"all {n} simulations of the prediction failed; the first: {failed[0].reason}")
    if failed:
        notes = (*notes, f"{len(failed)} of {n} simulations failed and are left out; the first: {failed[0].reason}")
    if not is_fitted(posterior, model):
        notes = (*notes, f'the model "{model.name}" is not the one that was fitted: its equations or constants differ')
    notes = (*notes, *json.loads(posterior.provenance.get("certificates", "[]")))
    u = own.standard_normal(outputs.shape)
    measured = outputs.copy()
    for k, noise in enumerate(_noise(posterior, model, rows)):
        measured[:, :, k] += noise.draw(at, noise.sd(outputs[:, :, k]), u[:, :, k], own)
    center = {name: np.asarray([np.median(v)]) for name, v in members.items()}
    outside, more = _extrapolation(posterior, model, recipe, at, {k: float(v[0]) for k, v in center.items()}, outputs)
    coords = {
        "draw": rows,
        "time": ("time", at, {"units": "s"}),
        "output": [s.name for s in model.outputs],
        "units": ("output", [s.unit.si_text for s in model.outputs]),
    }
    return Prediction(
        draws=xr.DataArray(outputs, dims=("draw", "time", "output"), coords=coords, name="prediction"),
        measured=xr.DataArray(measured, dims=("draw", "time", "output"), coords=coords, name="measured"),
        outputs=tuple(model.outputs),
        extrapolated=outside,
        notes=(*notes, *more),
        failures=failed,
    )


def simulate_members(
    model: Model, recipe: Recipe, times: Array, members: Mapping[str, Array]
) -> tuple[Array, list[tuple[int, str, float]]]:
    """Outputs (n_members, n_times, n_outputs), NaN where (member, reason, time) is listed."""
    n = next(iter(members.values())).size
    if isinstance(model, Ensembles):
        outputs, _, failed = model.trajectories(times, recipe, members)
        return np.asarray(outputs, dtype=float), [(f.member, f.reason, f.time) for f in failed]
    found = np.full((n, times.size, len(model.outputs)), np.nan)
    failures: list[tuple[int, str, float]] = []
    for i in range(n):
        try:
            found[i] = simulate_outputs(model, recipe, times, {name: float(v[i]) for name, v in members.items()})
        except SolveError as error:
            failures.append((i, error.reason, error.time))
    return found, failures


def simulate_outputs(model: Model, recipe: Recipe, times: Array, values: Mapping[str, float]) -> Array:
    """Outputs (n_times, n_outputs) of one simulation; raises SolveError, also for a number that is not finite."""
    if isinstance(model, Trajectories):
        outputs = np.asarray(model.trajectory(times, recipe, values)[0], dtype=float)
    else:
        state, now = model.initial_state(0.0, recipe, values), 0.0
        outputs = np.empty((times.size, len(model.outputs)))
        for i, t in enumerate(times.tolist()):
            if t > now:
                state, now = model.advance(state, now, t, recipe, values), t
            outputs[i] = model.observe(state, now, recipe, values)
    if not np.isfinite(outputs).all():
        bad = float(times[int(np.flatnonzero(~np.isfinite(outputs).all(axis=1))[0])])
        raise SolveError("the model returned a number that is not finite", time=bad, values=dict(values))
    return outputs


def _noise(posterior: "Posterior", model: Model, rows: NDArray[np.intp]) -> list[SensorNoise]:
    """The noise of each output's sensor for the draws `rows`; of size 0 where it is not known."""
    sd, share, memory = np.zeros((3, rows.size, len(model.outputs)))
    tails = np.full(sd.shape, np.inf)
    position = {s.name: k for k, s in enumerate(model.outputs)}
    estimated = {
        name: posterior[name][rows] for name in {c.noise_name for c in posterior.channels} & set(posterior.parameters)
    }

    def number(channel: ChannelEvidence, what: str, given: float) -> Array:
        whose = (channel.noise_name or f"noise.{channel.output}").removeprefix("noise.")
        names = (f"{what}.{whose}", f"{what}.{whose}@{channel.experiment}")
        name = next((name for name in names if name in posterior.parameters), None)
        return np.full(rows.size, given) if name is None else posterior[name][rows]

    for channel in posterior.channels:
        if channel.output not in position:
            continue
        k = position[channel.output]
        if channel.noise_name in estimated:
            own = estimated[channel.noise_name] * channel.noise_scale
        elif channel.noise_shape:
            own = np.full(rows.size, channel.noise_shape[0])
        else:
            own = np.full(rows.size, channel.difference_unit.to_si(channel.noise, difference=True))
        sd[:, k] = np.maximum(sd[:, k], own)  # the worst sensor where experiments had different ones
        if channel.noise_shape:
            _, given, remembers, degrees = channel.noise_shape
            share[:, k] = np.maximum(share[:, k], number(channel, "proportional", given))
            memory[:, k] = np.maximum(memory[:, k], number(channel, "correlation_time", remembers))
            tails[:, k] = np.minimum(tails[:, k], number(channel, "degrees_of_freedom", degrees or np.inf))
    return [SensorNoise(sd[:, k], share[:, k], memory[:, k], tails[:, k]) for k in range(len(model.outputs))]


def _quantiles(values: Array) -> Array:
    good = values[np.isfinite(values).all(axis=1)]
    return np.asarray(np.quantile(good, QUANTILES, axis=0))


def _extrapolation(
    posterior: "Posterior", model: Model, recipe: Recipe, times: Array, values: Mapping[str, float], outputs: Array
) -> tuple[dict[str, NDArray[np.bool_]], tuple[str, ...]]:
    """What leaves the ranges of the data and the model's domain of validity, and where."""
    coverage = posterior.coverage
    if not coverage and not model.validity:
        return {}, ()
    found, marks = extrapolations(
        _courses(model, recipe, times, values, outputs), {DATA: coverage, MODEL: model.validity}
    )
    found = {name: np.broadcast_to(where, times.shape).copy() for name, where in found.items()}
    array_of = {c.output: c.array for c in posterior.channels if c.array}
    notes: dict[tuple[str, str], str] = {}  # one sensor of an array speaks for all
    for mark in marks:
        array = array_of.get(mark.name, "")
        words = mark.text.replace(f"{mark.name} reaches", f"{mark.name} (of {array}) reaches") if array else mark.text
        notes.setdefault((array or mark.name, mark.source), words)
    said = list(notes.values())
    end = coverage.get("time", (0.0, np.inf))[1]
    if times.max() > end * (1.0 + COVERED):
        found["time"] = times > end * (1.0 + COVERED)
        said.insert(0, f"extrapolation: the prediction runs to {times.max():g} s, the data end at {end:g} s")
    return found, tuple(said)


def _courses(
    model: Model, recipe: Recipe, times: Array, values: Mapping[str, float], outputs: Array
) -> Iterator[Course]:
    """Inputs, settings, parameters and outputs of the median member."""
    inputs = input_values(model, recipe, values, times)
    for j, signal in enumerate(model.inputs):
        yield Course(signal.name, signal.unit, inputs[:, j], COVERED)
    for name, setting in recipe.settings.items():
        if name in values:
            yield Course(name, setting.unit, np.array([values[name]]), COVERED)
    for name in model.validity:
        if name in model.parameters and name in values and name not in recipe.settings:
            yield Course(name, model.parameters[name].unit, np.array([values[name]]), COVERED)
    middle = np.median(outputs[np.isfinite(outputs).all(axis=(1, 2))], axis=0)
    for k, signal in enumerate(model.outputs):
        yield Course(signal.name, signal.unit, middle[:, k], OUTPUT_SLACK)
