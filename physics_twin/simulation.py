"""`simulate`: one run of any model; `compare`: a model that has not been fitted over measured data."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError, ModelError, RecipeError, ShapeError, unknown_name
from physics_twin.files import atomic_write
from physics_twin.measurements.uncertainty import SHAPES
from physics_twin.model import Counted, Fields, FieldSeries, Model, Phased, SIValues, Trajectories
from physics_twin.parameters import Parameter, Values
from physics_twin.recipes import STEADY, Recipe
from physics_twin.signals import Setting, Signal
from physics_twin.units import QuantityLike, seconds
from physics_twin.validity import MODEL, Course, extrapolations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FORMAT = "physics_twin run 1"
_OUTSIDE = "outside."


@dataclass(frozen=True)
class Run:
    """What a simulation returns.

    dataset: one variable per output over `time` (s), SI, with `units` (SI), `declared_units` and `long_name`; the
    model's name, version and fingerprint, the values used and the phases in its attributes.
    state: the model's state at the last time. statistics: what the integrator did. fields: those that `simulate` was
    asked for, else None; `save` leaves them out, `save_fields` writes them.
    outside: name of a parameter, setting, input or output -> (n_times,) True where it is outside the model's domain of
    validity. notes: the same in sentences.
    """

    dataset: xr.Dataset
    state: Array
    statistics: Mapping[str, int]
    fields: FieldSeries | None = None
    outside: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, output: str) -> xr.DataArray:
        """One output, SI; `run.in_units()["core_temperature"]` is in its declared unit."""
        if output not in self.dataset.data_vars:
            raise unknown_name("output", output, [str(name) for name in self.dataset.data_vars])
        return self.dataset[output]

    @property
    def time(self) -> Array:
        """(n_times,) s."""
        return np.asarray(self.dataset["time"].values, dtype=float)

    def in_units(self) -> xr.Dataset:
        """A copy with every output in its declared unit."""
        shown = self.dataset.copy()
        for name in list(shown.data_vars):
            signal = Signal(str(name), shown[name].attrs["declared_units"])
            attrs = {**shown[name].attrs, "units": signal.unit.text}
            shown[name] = ("time", np.asarray(signal.unit.from_si(shown[name].values)), attrs)
        return shown

    def __str__(self) -> str:
        a = self.dataset.attrs
        lines = [
            f"run of {a['model']} {a['version']} ({a['fingerprint']}): {self.time.size} times, "
            f"{self.time[0]:g} s to {self.time[-1]:g} s"
        ]
        for name, column in self.in_units().data_vars.items():
            v = column.values
            lines.append(
                f"  {name}: {v[0]:.5g} -> {v[-1]:.5g} {column.attrs['units']} (low {v.min():.5g}, high {v.max():.5g})"
            )
        if self.statistics:
            lines.append(
                "  " + ", ".join(f"{count} {name.removeprefix('n_')}" for name, count in self.statistics.items())
            )
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    __repr__ = __str__

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """One panel for each unit, outputs named; ax: one Axes for each unit, a new figure without it."""
        from physics_twin.simulation_plots import plot_run

        return plot_run(self, ax)

    def field(self, name: str, time: Any = None) -> Any:
        """A field at a time that `simulate` was asked for: bare seconds or "10 min"; the last one without.

        A `physics_twin.fem.fields.Field` for the models of `physics_twin.fem`: values in SI, `.in_units()`,
        `.at(points)`, `.plot()`. Raises ModelError where no fields were asked for.
        """
        return self._kept().field(name, time)

    def save_fields(self, path: "str | os.PathLike[str]", names: Sequence[str] | None = None) -> None:
        """Write the fields at all times as VTKHDF (run.vtkhdf), which ParaView opens: whole, or not at all.

        names: some of the fields; all by default. Under MPI to be called on all ranks; the first one writes.
        """
        self._kept().save(path, names)

    def _kept(self) -> FieldSeries:
        if self.fields is None:
            raise ModelError(
                f"this run of {self.dataset.attrs['model']} kept no fields; ask for them: simulate(..., fields=True), "
                "or fields with their names"
            )
        return self.fields

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write NetCDF: whole, or not at all."""
        stored = self.dataset.copy()
        stored["end_state"] = ("state", self.state)
        for name, where in self.outside.items():
            about = {"units": "1", "description": f"{name} is outside the model's domain of validity"}
            stored[f"{_OUTSIDE}{name}"] = ("time", where.astype(np.int8), about)
        if self.notes:
            stored.attrs["notes"] = json.dumps(self.notes, ensure_ascii=False)
        stored.attrs |= {"format": _FORMAT, **{f"statistics.{k}": v for k, v in self.statistics.items()}}
        with atomic_write(path) as temporary:
            stored.to_netcdf(temporary, engine="h5netcdf")

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Run":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                stored = opened.load()
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path} is no NetCDF file of a run: {error}") from None
        if stored.attrs.get("format") != _FORMAT:
            raise FileFormatError(f'{path} is marked {stored.attrs.get("format")!r}, expected "{_FORMAT}"')
        marked = {k: v for k, v in stored.attrs.items() if k.startswith("statistics.")}
        statistics = {k.removeprefix("statistics."): int(v) for k, v in marked.items()}
        state = np.asarray(stored["end_state"].values, dtype=float)
        notes = tuple(str(note) for note in json.loads(stored.attrs.get("notes", "[]")))
        marks = [str(name) for name in stored.data_vars if str(name).startswith(_OUTSIDE)]
        outside = {name.removeprefix(_OUTSIDE): np.asarray(stored[name].values, dtype=bool) for name in marks}
        stored.attrs = {k: v for k, v in stored.attrs.items() if k not in marked and k not in ("format", "notes")}
        return cls(stored.drop_vars(["end_state", *marks]), state, statistics, outside=outside, notes=notes)


def simulate(
    model: Model,
    times: Any = None,
    recipe: Recipe | None = None,
    values: "Mapping[str, QuantityLike] | Values | None" = None,
    state: Array | None = None,
    *,
    fields: "bool | str | Sequence[str]" = False,
) -> Run:
    """Run a model through a recipe.

    times: (n_times,) bare seconds from the recipe's start, or (array, unit), ascending; without it, 201 times over the
        recipe's duration (phases that end on a level included).
    recipe: may be left out when the model has no inputs.
    values: parameters, initial values ("initial.<state>") and open settings, with their units; what is not named keeps
        its default. SI mappings of the library (`posterior.values`) are taken as they are.
    state: the state at times[0], from an earlier run; without it the run starts at 0 s.
    fields: names of fields to keep at all of the times, True for all that the model has; `run.field(name, time)`.

    Raises SolveError with reason, time and state when the run fails; UnknownNameError, UnitError, RecipeError.
    """
    recipe = _recipe_of(model, recipe)
    if state is not None and times is None:
        raise ShapeError("a state belongs to a time: give times, the first of which is the state's own")
    full = complete_values(model, recipe, values)
    t = _times_of(model, recipe, full, times)
    statistics: Mapping[str, int] = {}
    names = _fields_of(model, fields)
    if names:
        assert isinstance(model, Fields)
        outputs, end, statistics, kept = model.field_trajectory(t, recipe, full, names, state)
        return Run(
            run_dataset(model, recipe, t, outputs, full), end, statistics, kept, *_left(model, recipe, t, outputs, full)
        )
    if state is None and isinstance(model, Counted):
        outputs, end, statistics = model.counted_trajectory(t, recipe, full)
    else:
        outputs, end = trajectory(model, t, recipe, full, state)
    return Run(
        run_dataset(model, recipe, t, outputs, full), end, statistics, None, *_left(model, recipe, t, outputs, full)
    )


def trajectory(
    model: Model, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
) -> tuple[Array, Array]:
    """Outputs (n_times, n_outputs) and end state of any model: one run where it offers that, else step by step."""
    if isinstance(model, Trajectories):
        return model.trajectory(times, recipe, values, state)
    start = 0.0 if state is None else float(times[0])
    at = model.initial_state(0.0, recipe, values) if state is None else state
    rows = []
    for t in times:
        at = model.advance(at, start, float(t), recipe, values) if t > start else at
        rows.append(model.observe(at, float(t), recipe, values))
        start = float(t)
    return np.array(rows).reshape(len(times), len(model.outputs)), at


_SENSORS = ("noise.", "bias.", "delay.", *(f"{shape}." for shape in SHAPES))


def complete_values(
    model: Model, recipe: Recipe, values: "Mapping[str, QuantityLike] | Values | None" = None
) -> Values:
    """Every parameter and open setting in SI; what `values` does not name keeps its default.

    Raises UnknownNameError for a name that neither the model nor the recipe has, RecipeError for a setting without a
    value.
    """
    given: dict[str, Any] = dict(values or {})
    if isinstance(values, Values):
        # A fit also knows its sensors (noise, bias, delay of a channel), which no simulation has.
        given = {name: value for name, value in given.items() if not name.startswith(_SENSORS)}
    # Names first: of a misspelled setting it helps nobody to hear that another one is open.
    for name in given:
        form, _, shared = name.partition(".")
        if name in recipe.settings or name in model.parameters:
            continue
        if form in ("mean", "spread") and shared in model.parameters:
            raise RecipeError(f'"{name}" is about a population; choose the value of one as values={{"{shared}": ...}}')
        if "@" in name:
            shared = name.partition("@")[0]
            raise RecipeError(f'"{name}" is the value of one experiment; choose one as values={{"{shared}": ...}}')
        raise unknown_name("parameter or setting", name, [*model.parameters.names, *recipe.settings])
    settings: dict[str, float] = {}
    for name, setting in recipe.settings.items():
        if name in given:
            quantity = given.pop(name)
            settings[name] = float(quantity) if isinstance(values, Values) else setting.to_si(quantity)
        elif setting.value is not None:
            settings[name] = setting.value
        else:
            raise RecipeError(
                f'the recipe leaves "{name}" open: give it in values, e.g. {{"{name}": "... {setting.unit}"}}'
            )
    bound = [] if recipe.initial is STEADY else [f"initial.{name}" for name in recipe.initial]
    for name in given:
        if name in bound:
            raise RecipeError(f'"{name}" is bound by the recipe; change it there, or leave it out of the values')
    chosen = Values(given) if isinstance(values, Values) else given
    return model.parameters.values(chosen).merge(settings)


def phase_times(model: Model, recipe: Recipe, values: SIValues) -> Array:
    """(n_phases + 1,) s: the beginning of each phase and the end of the last."""
    if isinstance(model, Phased):
        return model.phase_times(recipe, values)
    lengths = []
    for phase in recipe.phases:
        if phase.duration is None:
            raise RecipeError(
                f'{model.name} cannot tell when phase "{phase.name}" ends on its level; give it a duration'
            )
        length = values[phase.duration.name] if isinstance(phase.duration, Setting) else Recipe([phase]).duration
        assert length is not None  # it ends by the clock
        lengths.append(float(length))
    return np.concatenate([[0.0], np.cumsum(lengths)])


def run_dataset(model: Model, recipe: Recipe, times: Array, outputs: Array, values: Mapping[str, Any]) -> xr.Dataset:
    """Outputs as a labelled dataset, units on every variable."""
    variables = {
        signal.name: (
            "time",
            outputs[:, k],
            {
                "units": signal.unit.si_text,
                "declared_units": signal.unit.text,
                "long_name": signal.description or signal.name.replace("_", " "),
            },
        )
        for k, signal in enumerate(model.outputs)
    }
    declared: dict[str, Parameter | Setting] = {**dict(model.parameters.items()), **recipe.settings}
    used: dict[str, Any] = {}
    for name, value in sorted(values.items()):
        if np.ndim(value) == 0:
            used |= {f"value.{name}": float(value), f"value.{name}.units": declared[name].unit.si_text}
    attrs = {"model": model.name, "version": model.version, "fingerprint": model.fingerprint, **used}
    return xr.Dataset(variables, {"time": ("time", times, {"units": "s", "long_name": "time"})}, attrs)


def _left(
    model: Model, recipe: Recipe, times: Array, outputs: Array, values: Values
) -> tuple[dict[str, NDArray[np.bool_]], tuple[str, ...]]:
    """What leaves the model's domain of validity, when, and the same in sentences."""
    if not model.validity:
        return {}, ()
    found, marks = extrapolations(_courses(model, recipe, times, outputs, values), {MODEL: model.validity})
    outside = {name: np.broadcast_to(where, times.shape).copy() for name, where in found.items()}
    return outside, tuple(mark.text for mark in marks)


def _courses(model: Model, recipe: Recipe, times: Array, outputs: Array, values: Values) -> Iterator[Course]:
    """Parameters, settings, inputs and outputs that the model's validity is about."""
    known: dict[str, Parameter | Setting] = {**dict(model.parameters.items()), **recipe.settings}
    for name, declared in known.items():
        if name in model.validity and name in values and np.ndim(values[name]) == 0:
            yield Course(name, declared.unit, values[name])
    if any(signal.name in model.validity for signal in model.inputs):
        from physics_twin.posterior.inputs import input_values  # a posterior imports this module

        course = input_values(model, recipe, values, times)
        for j, signal in enumerate(model.inputs):
            yield Course(signal.name, signal.unit, course[:, j])
    for k, signal in enumerate(model.outputs):
        if signal.name in model.validity:
            yield Course(signal.name, signal.unit, outputs[:, k])


def _fields_of(model: Model, fields: "bool | str | Sequence[str]") -> tuple[str, ...]:
    if fields is False:
        return ()
    if not isinstance(model, Fields):
        raise ModelError(f"{model.name} has no fields over a body; its outputs are all it has, leave fields out")
    known = model.field_names
    names = known if fields is True else (fields,) if isinstance(fields, str) else tuple(dict.fromkeys(fields))
    for name in names:
        if name not in known:
            raise unknown_name(f"field of {model.name}", name, known)
    return names


def _recipe_of(model: Model, recipe: Recipe | None) -> Recipe:
    if recipe is not None:
        return recipe
    if model.inputs:
        needed = ", ".join(f'{s.name}="... {s.unit}"' for s in model.inputs)
        raise RecipeError(f"{model.name} has inputs: give a recipe, for example Recipe.constant({needed})")
    return Recipe.constant()


def _times_of(model: Model, recipe: Recipe, values: SIValues, times: Any) -> Array:
    if times is not None:
        return np.atleast_1d(seconds(times))
    end = float(phase_times(model, recipe, values)[-1])
    if not np.isfinite(end):
        raise ShapeError("this recipe never ends; say at which times (in s) you want the outputs")
    return np.linspace(0.0, end, 201)
