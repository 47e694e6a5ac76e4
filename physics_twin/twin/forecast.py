"""`twin.forecast()`: what the plant will do, with bands of the true output and of what a sensor will show.

The members of the belief are carried on under the recipe with the random walks of states and parameters; nothing is
learned on the way, so that bands widen as the walks and the parameters say.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.limits.limits import Limit
from physics_twin.errors import FileFormatError, unknown_name
from physics_twin.files import atomic_write
from physics_twin.measurements.quality import duration_text
from physics_twin.model import Failure
from physics_twin.posterior.tables import aligned
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal
from physics_twin.twin.carried import Carried, carry
from physics_twin.twin.history import HISTORY, recent_samples
from physics_twin.twin.live_inputs import inputs_of
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.planned import planned_until
from physics_twin.twin.present import Outset, Until, horizon_of, outset, times_of
from physics_twin.twin.promotion import posterior_in_force
from physics_twin.twin.quantiles import noisy_quantiles, quantiles
from physics_twin.twin.trust import outside_what_is_known
from physics_twin.units import QuantityLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.twin.twin import Twin

N_TIMES = 121
_FORMAT = "physics_twin forecast 1"


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    """Outputs from now to a horizon; floats in SI, times in s from now.

    time: now, ns UTC. members: DataArray (member, time, output) of true outputs; NaN from where a member failed. noise:
    output -> (level, share): its sensor has the variance level^2 + (share * value)^2, SI. bias: output -> (n_members,)
    what its sensor shows too much in each member, SI. probability: of the bands. outside: what leaves the range of the
    data or of the model's domain of validity -> (n_times,) True where it does. notes: the same, and what was assumed,
    in sentences. failures: members that failed, with the time on the recipe's clock. history: Dataset over `sample`:
    output, time (s from now, negative), value (SI), used.
    """

    time: int
    members: xr.DataArray
    outputs: tuple[Signal, ...]
    noise: Mapping[str, tuple[float, float]]
    probability: float
    outside: Mapping[str, NDArray[np.bool_]]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    history: xr.Dataset
    bias: Mapping[str, Array] = field(default_factory=dict)

    @property
    def times(self) -> Array:
        """(n_times,) s from now."""
        return np.asarray(self.members.coords["time"].values, dtype=float)

    @property
    def moments(self) -> NDArray[np.datetime64]:
        """(n_times,) UTC."""
        since = np.round(self.times * SECOND).astype(np.int64) + self.time
        return since.astype("datetime64[ns]")

    @property
    def n_members(self) -> int:
        """How many members were carried on, failed ones included."""
        return int(self.members.sizes["member"])

    @property
    def levels(self) -> Array:
        """(5,) of the quantiles: the band, its middle half and the median."""
        tail = 0.5 * (1.0 - self.probability)
        return np.array([tail, 0.25, 0.5, 0.75, 1.0 - tail])

    def __getitem__(self, output: str) -> xr.DataArray:
        """Quantiles (quantile, time) of a true output, SI; `<output>_measured` of what its sensor will show."""
        signal = self._signal(output.removesuffix("_measured"))
        values = np.asarray(self.members.sel(output=signal.name).values, dtype=float)
        if output.endswith("_measured") and output != signal.name:
            if signal.name not in self.noise:
                raise unknown_name("measured output", output, [f"{name}_measured" for name in self.noise])
            off = np.reshape(self.bias.get(signal.name, np.zeros(len(values))), (-1, 1))
            band = noisy_quantiles(values + off, *self.noise[signal.name], self.levels)
        else:
            band = quantiles(values, self.levels)
        attrs = {"units": signal.unit.si_text, "description": signal.description}
        coords = {"quantile": self.levels, "time": ("time", self.times, {"units": "s"})}
        return xr.DataArray(band, dims=("quantile", "time"), coords=coords, name=output, attrs=attrs)

    def _signal(self, name: str) -> Signal:
        for signal in self.outputs:
            if signal.name == name:
                return signal
        raise unknown_name("output", name, [s.name for s in self.outputs])

    @property
    def dataset(self) -> xr.Dataset:
        """Bands in SI: `<output>` (true) and `<output>_measured` over (quantile, time); `moment` is the time in UTC."""
        names = [name for s in self.outputs for name in (s.name, f"{s.name}_measured") if name in self._shown]
        found = xr.Dataset({name: self[name] for name in names})
        for name, where in self.outside.items():
            about = {"units": "1", "description": f"{name} is outside what is known"}
            found[f"outside_{name}"] = ("time", where, about)
        return found.assign_coords(moment=("time", self.moments))

    @property
    def _shown(self) -> set[str]:
        return {s.name for s in self.outputs} | {f"{name}_measured" for name in self.noise}

    def in_units(self) -> xr.Dataset:
        """The bands in the declared units of the outputs."""
        bands = self.dataset
        for signal in self.outputs:
            for name in (signal.name, f"{signal.name}_measured"):
                if name in bands:
                    values = signal.unit.from_si(np.asarray(bands[name].values))
                    bands[name] = bands[name].copy(data=values).assign_attrs(units=signal.unit.text)
        return bands

    def __str__(self) -> str:
        end = float(self.times[-1])
        rows = [["output", "now", f"in {duration_text(end)}", f"{100.0 * self.probability:g} % band", "of a reading"]]
        for s in self.outputs:
            true = self[s.name].values
            row = [s.name, s.format(true[2, 0]), s.format(true[2, -1]), _range(s, true)]
            rows.append([*row, _range(s, self[f"{s.name}_measured"].values) if s.name in self.noise else ""])
        head = f"forecast from {stamp(self.time)} to {stamp(self.time + round(end * SECOND))}, {self.n_members} members"
        return "\n".join([head, aligned(rows), *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__

    def plot(
        self,
        ax: "Axes | Sequence[Axes] | None" = None,
        *,
        outputs: Sequence[str] | None = None,
        limits: Sequence[Limit] = (),
    ) -> "Figure":
        """Recent samples, the present and the bands, one panel for each output, with limits as lines."""
        from physics_twin.twin import forecast_plots

        return forecast_plots.draw_forecast(self, ax, outputs, limits)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write NetCDF, whole or not at all; `load` gives the same bits back."""
        content = {
            "time": self.time,
            "probability": self.probability,
            "outputs": [[s.name, s.unit.text, s.description] for s in self.outputs],
            "noise": {name: list(pair) for name, pair in self.noise.items()},
            "bias": {name: own.tolist() for name, own in self.bias.items()},
            "outside": {name: where.astype(int).tolist() for name, where in self.outside.items()},
            "notes": list(self.notes),
            "failures": [asdict(f) for f in self.failures],
        }
        stored = self.history.rename({name: f"history_{name}" for name in self.history}).assign(
            members=self.members, content=((), json.dumps(content, ensure_ascii=False))
        )
        with atomic_write(path) as temporary:
            stored.assign_attrs(format=_FORMAT).to_netcdf(temporary, engine="h5netcdf")

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Forecast":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        try:
            with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
                stored = opened.load()
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path} is no NetCDF file of a forecast: {error}") from None
        if stored.attrs.get("format") != _FORMAT:
            raise FileFormatError(f'{path} is marked {stored.attrs.get("format")!r}, expected "{_FORMAT}"')
        try:
            content: dict[str, Any] = json.loads(str(stored["content"].item()))
            return cls(
                time=int(content["time"]),
                members=stored["members"],
                outputs=tuple(Signal(name, unit, description=text) for name, unit, text in content["outputs"]),
                noise={name: (float(pair[0]), float(pair[1])) for name, pair in content["noise"].items()},
                probability=float(content["probability"]),
                outside={name: np.array(where, dtype=bool) for name, where in content["outside"].items()},
                notes=tuple(content["notes"]),
                failures=tuple(Failure(**f) for f in content["failures"]),
                bias={name: np.array(own, dtype=float) for name, own in content.get("bias", {}).items()},
                history=xr.Dataset({name: stored[f"history_{name}"].variable for name in HISTORY}),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path} is damaged: {error}") from None


def forecast(
    twin: "Twin",
    recipe: Recipe | None = None,
    until: Until = "90 min",
    times: Any = None,
    values: Mapping[str, QuantityLike] | None = None,
    n_members: int | None = None,
    probability: float = 0.95,
) -> Forecast:
    """See `Twin.forecast`."""
    horizon = horizon_of(until, twin.until)
    at = times_of(times, horizon, twin.until, N_TIMES)
    begun = outset(twin, recipe, values, n_members)
    return forecast_of(twin, begun, carry(begun.present, at, horizon), horizon, probability)


def forecast_of(twin: "Twin", begun: Outset, carried: Carried, horizon: float, probability: float) -> Forecast:
    """The forecast of members that have been carried on."""
    model = twin.setup.model
    coords = {
        "member": np.arange(len(carried.outputs)),
        "time": ("time", carried.times, {"units": "s"}),
        "output": [s.name for s in model.outputs],
        "units": ("output", [s.unit.si_text for s in model.outputs]),
    }
    outside, doubts = outside_what_is_known(twin.setup, posterior_in_force(twin).coverage, begun, carried)
    return Forecast(
        time=twin.until,
        members=xr.DataArray(carried.outputs, dims=("member", "time", "output"), coords=coords, name="members"),
        outputs=tuple(model.outputs),
        noise={name: (facts.level, facts.share) for name, facts in twin.setup.facts.items()},
        probability=probability,
        outside=outside,
        notes=(*_notes(twin, begun, carried, horizon), *doubts),
        failures=(*begun.lost, *carried.failures),
        history=recent_samples(twin),
        bias=_biases(twin, begun),
    )


def _biases(twin: "Twin", begun: Outset) -> dict[str, Array]:
    """Output -> (n_members,) SI: known, or what each member has for it; nothing is known of a sensor put in later."""
    found: dict[str, Array] = {}
    names, drawn = twin.setup.coordinates.parameters, begun.present.parameters
    for name, facts in twin.setup.facts.items():
        monitor = twin.state.monitors.get(name)
        replaced = monitor is not None and monitor.replaced is not None
        known = np.full(len(drawn), 0.0 if replaced else facts.bias)
        found[name] = drawn[:, names.index(facts.parameter)] if facts.parameter else known
    return found


def _notes(twin: "Twin", begun: Outset, carried: Carried, horizon: float) -> list[str]:
    found: list[str] = []
    gap = (twin.until - twin.state.last_update) / SECOND
    if twin.state.trouble:
        found.append(f"the twin predicts only: {twin.state.trouble}")
    elif gap > twin.setup.guard.gap:
        found.append(f"the last samples that were used are {duration_text(gap)} old")
    found += [f"{one.name}: {one.words}" for one in inputs_of(twin) if one.words]
    if begun.ends <= 0.0:
        found.append("the last phase of the recipe is over; its last inputs are held")
    elif begun.ends < horizon * (1.0 - 1e-9):
        found.append(
            f"the last phase of the recipe ends in {duration_text(begun.ends)}; after that its last inputs are held"
        )
    found += [f"not in this forecast: {words}" for words in planned_until(twin, twin.until + int(horizon * SECOND))]
    ended = carried.phases >= len(begun.recipe.phases)
    if np.isnan(begun.ends) and ended.any():
        share = 100.0 * float(ended.mean())
        found.append(
            f"in {share:.0f} % of the members the recipe ends before {duration_text(horizon)}: inputs are held"
        )
    failed = [*begun.lost, *carried.failures]
    if failed:
        n = begun.present.n_members + len(begun.lost)
        found.append(
            f"{len(failed)} of {n} members failed and are in no band after that; the first: {failed[0].reason}"
        )
    return found


def _range(signal: Signal, band: Array) -> str:
    return f"{signal.format(band[0, -1])} to {signal.format(band[4, -1])}"


__all__ = ["Forecast", "forecast", "forecast_of"]
