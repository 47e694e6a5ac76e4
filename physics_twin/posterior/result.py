"""`Posterior`: draws of the unknowns and the evidence of the fit they come from.

Every uncertainty in the library is one of these, whichever method made it. Floats are SI throughout; `in_units()`
and everything that is printed, plotted or saved carries the declared units.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ShapeError, unknown_name
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.posterior.drawing.origin import Origin, Priors
from physics_twin.posterior.evidence import ChannelEvidence, FailedSimulation, Identification, Verdict
from physics_twin.recipes import Recipe
from physics_twin.splines import Spline
from physics_twin.units import QuantityLike, to_si_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.functions import Correlated
    from physics_twin.posterior.prediction import Prediction

RESIDUAL_COLUMNS = ("time", "observed", "predicted", "residual", "whitened")


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws `(draw, parameter)` and evidence; immutable.

    parameters: the unknowns as declared (noise, bias and delay parameters included), with their priors.
    draws: DataArray (draw, parameter), SI; the coordinate "units" names the SI units.
    mode: name -> value at the mode, SI: maximum of likelihood times prior density in declared units (in ln x for the
        members of a population in ln x).
    covariance: DataArray (parameter, parameter_2), SI: the classical (J^T W J)^-1 with the prior; `draws` are wider
        where residuals are correlated. Of `MarkovChain` it is the covariance of the draws.
    misfit: whitened sum of squares at the mode. With estimated noise it only says how many samples there are;
        `sum_of_squares` is then the number to look at.
    channels: the misfit by channel, in declared units, with what the residuals show.
    verdicts: name -> what the data say about it.
    coverage: name -> (low, high) SI: inputs, settings, outputs and "time" as the data covered them.
    failures: simulations that failed during the fit.
    inflation: name -> factor by which correlated residuals widen the standard deviation; exactly 1 where they do not.
    residuals: Dataset over `sample`: experiment, output, time, observed, predicted, residual, whitened, used, flag.
    values: what a model needs to run at the mode, SI: `pt.simulate(model, times, values=posterior.values)`.
    fixed: values of what was not unknown, SI; a setting that the fit left to the recipes is `name@experiment`, initial
        values that every experiment binds are left out.
    provenance: model, fingerprint, experiment hashes, method, seed, versions; no clock, so the same inputs give the
        same bytes.
    effective_draws: independent draws that tell as much as `draws` do; envelopes count with it. All of them where the
        method draws independently, fewer from a chain.
    diagnostics: Dataset with what the method says about itself, empty where it has nothing to say (each method's
        docstring lists it): chains, spread of an ensemble, profiles.
    origin: what more draws can be made from without the model (`redraw`); None where that cannot be done.
    """

    parameters: ParameterSet
    draws: xr.DataArray
    mode: Values
    covariance: xr.DataArray
    misfit: float
    channels: tuple[ChannelEvidence, ...]
    verdicts: Mapping[str, Verdict]
    coverage: Mapping[str, tuple[float, float]]
    failures: tuple[FailedSimulation, ...]
    converged: bool
    message: str
    warnings: tuple[str, ...]
    inflation: Mapping[str, float]
    residuals: xr.Dataset
    fixed: Values
    provenance: Mapping[str, str]
    effective_draws: float
    diagnostics: xr.Dataset
    origin: Origin | None = None

    # Other ways to one ---------------------------------------------------------------------------------------------

    @classmethod
    def from_draws(
        cls,
        parameters: ParameterSet | Sequence[Parameter],
        draws: "Array | xr.DataArray | Mapping[str, Any]",
        *,
        message: str = "draws given by the caller",
    ) -> "Posterior":
        """A posterior from draws made elsewhere.

        draws: (n_draws, n_parameters) in SI, columns in the order of `parameters`; a DataArray (draw, parameter) in
        SI; or name -> (values (n_draws,), unit). The mode is taken as the median.

        Raises ShapeError for a wrong shape, UnknownNameError for a wrong name, BoundsError for a draw out of bounds.
        """
        declared = parameters if isinstance(parameters, ParameterSet) else ParameterSet(parameters)
        table = _table(declared, draws)
        names = list(declared)
        for j, name in enumerate(names):
            low, high = declared[name].bounds
            if not np.isfinite(table[:, j]).all():
                raise BoundsError(f'draws of "{name}" hold numbers that are not finite')
            if table[:, j].min() < low or table[:, j].max() > high:
                raise BoundsError(
                    f'draws of "{name}" run from {table[:, j].min():g} to {table[:, j].max():g} SI, outside its bounds '
                    f"[{low:g}, {high:g}]; are they in SI?"
                )
        median = np.median(table, axis=0)
        spread = np.atleast_2d(np.cov(table, rowvar=False)) if len(table) > 1 else np.zeros((len(names),) * 2)
        return cls(
            parameters=declared,
            draws=draws_array(declared, table),
            mode=Values(dict(zip(names, median.tolist(), strict=True))),
            covariance=covariance_array(declared, spread),
            misfit=float("nan"),
            channels=(),
            verdicts={},
            coverage={},
            failures=(),
            converged=True,
            message=message,
            warnings=(),
            inflation=dict.fromkeys(names, 1.0),
            residuals=no_residuals(),
            fixed=Values({}),
            provenance={"method": message},
            effective_draws=float(len(table)),
            diagnostics=xr.Dataset(),
        )

    @classmethod
    def from_prior(
        cls, parameters: ParameterSet | Sequence[Parameter], n_draws: int = 1000, rng: int | np.random.Generator = 0
    ) -> "Posterior":
        """What is known before any data: draws from the priors, independent of one another.

        A parameter without a prior is drawn evenly between its bounds, evenly in its logarithm where the search runs
        in the logarithm too. Raises BoundsError for one that has neither prior nor bounds.
        """
        from physics_twin.posterior.members import from_prior

        declared = parameters if isinstance(parameters, ParameterSet) else ParameterSet(parameters)
        drawn = cls.from_draws(declared, from_prior(declared, n_draws, rng), message="draws from the priors")
        return replace(drawn, origin=Priors())

    def redraw(self, n_draws: int, rng: int | np.random.Generator) -> "Posterior":
        """The same posterior with `n_draws` fresh independent draws, none of which was among the first; no simulation.

        Draws of `GaussNewton` and `QuasiNewton` come from their normal approximation, with its bounds and noise levels,
        those of `from_prior` from the priors. rng: seed or generator (copied).

        Raises CalibrationError where the posterior has no `origin`: chains, ensembles and profiles, draws given by the
        caller, and fits whose noise has a shape, is censored, or that estimated the spread of a population.
        """
        from physics_twin.posterior.redraw import redraw

        return redraw(self, n_draws, rng)

    # Reading it ----------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unknowns, in the order of the columns of `draws`."""
        return tuple(self.parameters)

    @property
    def n_draws(self) -> int:
        """How many draws."""
        return int(self.draws.sizes["draw"])

    def __getitem__(self, name: str) -> Array:
        """Draws of one parameter (n_draws,), SI."""
        if name not in self.parameters:
            raise unknown_name("parameter", name, self.parameters)
        return np.asarray(self.draws.sel(parameter=name).values, dtype=float)

    @property
    def values(self) -> Values:
        """The mode with what the fit held, SI, as `simulate` takes it; settings of single recipes are left out."""
        return Values({k: v for k, v in self.fixed.items() if "@" not in k}).merge(self.mode)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Name -> classical standard error, SI: square root of the diagonal of `covariance`."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance.values)).tolist(), strict=True))

    @property
    def correlation(self) -> xr.DataArray:
        """Correlation of the draws, (parameter, parameter_2)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix = np.atleast_2d(np.corrcoef(self.draws.values, rowvar=False))
        return covariance_array(self.parameters, matrix).rename("correlation").drop_vars("units")

    @property
    def sum_of_squares(self) -> dict[str, float]:
        """Unit -> sum over the channels of that unit of squared residuals, in the unit squared, not whitened."""
        sums: dict[str, float] = {}
        for channel in self.channels:
            unit = channel.difference_unit.text
            sums[unit] = sums.get(unit, 0.0) + channel.sum_of_squares
        return sums

    def quantile(self, q: float | Iterable[float]) -> xr.DataArray:
        """Quantiles of the draws, SI: (parameter,) for one q, (quantile, parameter) for several."""
        levels = q if isinstance(q, int | float) else list(q)
        found = np.quantile(self.draws.values, levels, axis=0)
        if isinstance(q, int | float):
            return self.draws.isel(draw=0, drop=True).copy(data=found)
        like = self.draws.isel(draw=[0] * len(found)).rename(draw="quantile")
        return like.copy(data=found).assign_coords(quantile=levels)

    def interval(self, name: str, probability: float = 0.95) -> tuple[float, float]:
        """Interval of one parameter, SI: equal tails, or one-sided from a bound that is active at the mode."""
        draws = self[name]
        verdict = self.verdicts.get(name)
        if verdict is not None and verdict.identification is Identification.AT_BOUND:
            mode = float(self.mode[name])
            if mode <= draws.min():
                return mode, float(np.quantile(draws, probability))
            return float(np.quantile(draws, 1.0 - probability)), mode
        low, high = np.quantile(draws, [0.5 - 0.5 * probability, 0.5 + 0.5 * probability])
        return float(low), float(high)

    def in_units(self) -> xr.Dataset:
        """Draws, mode and the 95 % interval in the declared units, one variable per parameter with its unit."""
        found: dict[str, xr.Variable] = {}
        for j, (name, parameter) in enumerate(self.parameters.items()):
            unit, difference = parameter.unit, parameter.difference
            column = unit.from_si(np.asarray(self.draws.values[:, j]), difference=difference)
            low, high = (unit.from_si(end, difference) for end in self.interval(name))
            attrs = {
                "units": (unit.difference() if difference else unit).text,
                "mode": float(unit.from_si(float(self.mode[name]), difference=difference)),
                "interval_95": [low, high],
                "description": parameter.description,
            }
            found[name] = xr.Variable(("draw",), column, attrs)
        return xr.Dataset(found)

    def __str__(self) -> str:
        from physics_twin.posterior.tables import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from physics_twin.posterior.tables import as_html

        return as_html(self)

    # Using it ------------------------------------------------------------------------------------------------------

    def predict(
        self,
        model: Model,
        recipe: Recipe,
        times: Any,
        *,
        rng: int | np.random.Generator = 0,
        n_draws: int | None = None,
        experiment: str | Experiment | None = None,
        values: Mapping[str, QuantityLike] | None = None,
    ) -> "Prediction":
        """Outputs of `model` under `recipe` at `times` (bare seconds, or (array, unit)) for draws of this posterior.

        n_draws: how many of the draws (all, at most 400, by default). experiment: whose values to use of what each
        experiment or lot has for itself: a fitted experiment or lot, or an `Experiment`, whose context says its lot. A
        new lot is a draw from its population, a new batch of a `PerExperiment` a random one of those fitted, and the
        prediction says so. values: overrides, and the recipe's open settings; a setting that `calibrate(values=)` held
        keeps that value otherwise. What lies outside the ranges of the data is marked; failures are counted.
        """
        from physics_twin.posterior.prediction import predict

        return predict(self, model, recipe, times, rng=rng, n_draws=n_draws, experiment=experiment, values=values)

    def plot_parameters(self, ax: "Sequence[Axes] | None" = None) -> "Figure":
        """Histogram of each parameter with its prior, mode and interval."""
        from physics_twin.posterior import plots

        return plots.parameters(self, ax)

    def plot_pairs(self, names: Sequence[str] | None = None) -> "Figure":
        """Scatter of each pair of parameters."""
        from physics_twin.posterior import plots

        return plots.pairs(self, names)

    def plot_function(
        self,
        spline: Spline,
        *,
        experiment: str | None = None,
        prior: "Correlated | None" = None,
        ax: "Axes | None" = None,
    ) -> "Figure":
        """The 95 % band and median of a function over its argument, with its knots and its band before the data.

        experiment: whose function, of one that each experiment has for itself. prior: the `SmoothPrior` of the fit, for
        the band before the data between the knots; without it the values there vary independently.
        Raises CalibrationError where no value of the function was unknown.
        """
        from physics_twin.posterior import functions

        return functions.plot(self, spline, experiment=experiment, prior=prior, ax=ax)

    def plot_discrepancy(
        self, model: Model, *, experiment: str | None = None, ax: "Axes | Sequence[Axes] | None" = None
    ) -> "Figure":
        """Median and 95 % band of each discrepancy of a model of `with_discrepancy`, and its band before the data.

        experiment: whose, where each has its own; the first one otherwise. ax: one for each output. Raises ModelError
        for a model without discrepancies or a posterior without their coefficients.
        """
        from physics_twin.posterior import discrepancy_plot

        return discrepancy_plot.discrepancy(self, model, experiment, ax)

    def plot_fit(self, ax: "Sequence[Axes] | None" = None) -> "Figure":
        """Data and model at the mode over time, one panel per output."""
        from physics_twin.posterior import plots

        return plots.fit(self, ax)

    def plot_residuals(self, ax: "Sequence[Axes] | None" = None) -> "Figure":
        """Residuals over time, one panel per output."""
        from physics_twin.posterior import plots

        return plots.residuals(self, ax)

    def plot_chains(self, names: Sequence[str] | None = None) -> "Figure":
        """Trace and ranks of the chains, a row per parameter, with R-hat; raises CalibrationError without chains."""
        from physics_twin.posterior import chains

        return chains.plot(self, names)

    def plot_ensemble(self, ax: "Sequence[Axes] | None" = None) -> "Figure":
        """Spread of the parameters and misfit of the members over the assimilations of an ensemble smoother.

        ax: two axes. Raises CalibrationError for the posterior of another method.
        """
        from physics_twin.posterior import ensembles

        return ensembles.ensemble(self, ax)

    def plot_profiles(self, names: Sequence[str] | None = None, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Profile of each parameter, of a posterior from `ProfileLikelihood`: rise of the misfit against its value.

        Raises CalibrationError where there is none.
        """
        from physics_twin.posterior import profile_plots

        return profile_plots.profiles(self, names, ax)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write everything to a NetCDF file; `load` gives the same bits back."""
        from physics_twin.posterior.storage import save

        save(self, path)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Posterior":
        """Read a file of `save`. Raises FileFormatError for anything else."""
        from physics_twin.posterior.storage import load

        return load(path)

    def to_datatree(self) -> xr.DataTree:
        """An ArviZ-readable DataTree: groups posterior, prior, observed_data, posterior at dims (chain, draw)."""
        from physics_twin.posterior.storage import to_datatree

        return to_datatree(self)


def draws_array(parameters: ParameterSet, table: Array) -> xr.DataArray:
    """Draws (n_draws, n_parameters) SI with names and units."""
    return xr.DataArray(
        np.ascontiguousarray(table, dtype=np.float64),
        dims=("draw", "parameter"),
        coords={
            "draw": np.arange(len(table)),
            "parameter": list(parameters),
            "units": ("parameter", [p.unit.si_text for p in parameters.parameters]),
        },
        name="draws",
        attrs={"units": "SI, see the coordinate units"},
    )


def covariance_array(parameters: ParameterSet, matrix: Array) -> xr.DataArray:
    """A matrix over parameters with their names and SI units."""
    names = list(parameters)
    return xr.DataArray(
        np.ascontiguousarray(matrix, dtype=np.float64),
        dims=("parameter", "parameter_2"),
        coords={
            "parameter": names,
            "parameter_2": names,
            "units": ("parameter", [p.unit.si_text for p in parameters.parameters]),
        },
        name="covariance",
        attrs={"units": "product of the SI units of both parameters"},
    )


def no_residuals() -> xr.Dataset:
    """The residuals of a posterior that was not fitted."""
    empty = {name: ("sample", np.empty(0)) for name in RESIDUAL_COLUMNS}
    text = {name: ("sample", np.empty(0, dtype="<U1")) for name in ("experiment", "output", "units")}
    flags = {"used": ("sample", np.empty(0, dtype=bool)), "flag": ("sample", np.empty(0, dtype=np.int8))}
    return xr.Dataset({**text, **empty, **flags})


def _table(declared: ParameterSet, draws: "Array | xr.DataArray | Mapping[str, Any]") -> Array:
    names = list(declared)
    if isinstance(draws, xr.DataArray):
        given = [str(name) for name in draws.coords["parameter"].values]
        for name in given:
            if name not in declared:
                raise unknown_name("parameter", name, names)
        missing = [name for name in names if name not in given]
        if missing:
            raise ShapeError(f'the draws hold no column "{missing[0]}"')
        return np.asarray(draws.sel(parameter=names).transpose("draw", "parameter").values, dtype=float)
    if isinstance(draws, Mapping):
        for name in draws:
            if name not in declared:
                raise unknown_name("parameter", name, names)
        missing = [name for name in names if name not in draws]
        if missing:
            raise ShapeError(f'the draws hold no "{missing[0]}"')
        columns = [to_si_array(draws[n], declared[n].unit, name=n, difference=declared[n].difference) for n in names]
        if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
            raise ShapeError("the draws of all parameters must be columns of one length")
        return np.stack(columns, axis=1)
    table = np.asarray(draws, dtype=float)
    if table.ndim != 2 or table.shape[1] != len(names) or len(table) == 0:
        raise ShapeError(f"draws have the shape {table.shape}; expected (n_draws, {len(names)})")
    return table
