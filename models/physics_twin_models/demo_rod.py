"""The second part of the demonstration: a field model (finite elements) goes the same way from data to an envelope.

A square aluminum rod, heated at one end, with fifteen thermocouples (Smith 2013, table 3.2). Flux into the rod and film
coefficient are estimated in 1-D and in 3-D; what the fit predicts for a load that was not measured stands beside the
closed form; the envelope is the flux that may be set in a warm room. It needs DOLFINx.
"""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import physics_twin as pt
from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.comparison import Comparison
from physics_twin.envelope import Budget
from physics_twin_models.heated_rod import ALUMINUM, Fin, FinFit, experiment, fit_fin, heated_rod, heated_rod_3d
from physics_twin_models.heated_rod.model import LENGTH, PLACES, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEED = 7
UNKNOWN = ("source_flux", "film_coefficient")
N_STEPS = 4
N_PREDICTED = 200

CONDUCTIVITY, AMBIENT = 2.37, 21.29
"""W/(cm K) and degC of the measured rod, for the closed form."""
FORECAST = Fin(flux=15.0, film_coefficient=0.0, conductivity=CONDUCTIVITY, ambient=30.0)
"""A load that was not measured: less heat, a warmer room; the film coefficient is the fit's."""
FORECAST_RECIPE = pt.Recipe.constant(
    heat_flux=f"{FORECAST.flux} W/cm^2", ambient_temperature=f"{FORECAST.ambient} degC", duration="1 s"
)

FLUX = pt.Setting("flux", "W/cm^2", bounds=(5, 25), description="heat that the source gives, into the rod")
RECIPE = pt.Recipe.constant(heat_flux=FLUX, ambient_temperature="25 degC", duration="1 s")
LIMITS = (pt.Limit("hot_end", upper="150 degC", over=pt.final),)
BUDGET = Budget(n_search=150, n_certification=300, n_points=8)

Step = Callable[[str], None]


@dataclass(frozen=True)
class RodDemo:
    """What the second part computed."""

    model: pt.Model
    experiment: pt.Experiment
    comparison: Comparison
    fit: pt.Posterior
    """1-D."""
    fit_3d: pt.Posterior
    closed_form: FinFit
    """Least squares with the fin, for comparison."""
    prediction: pt.Prediction
    envelope: pt.Envelope
    seconds: dict[str, float]
    """Step -> time it took, compilation included."""

    @property
    def forecast(self) -> Fin:
        """The closed form of the forecast, with the film coefficient of the mode."""
        return Fin(
            FORECAST.flux, float(self.fit.mode["film_coefficient"]) / 1e4, FORECAST.conductivity, FORECAST.ambient
        )

    @property
    def forecast_difference(self) -> float:
        """Median of the prediction minus closed form over all thermocouples, the largest, K."""
        bands = self.prediction.in_units()
        median = np.array([bands[f"T_{x}"].sel(quantile=0.5).values[-1] for x in PLACES])
        return float(np.abs(median - self.forecast.temperature(PLACES)).max())


def run(step: Step = lambda text: None) -> RodDemo:
    """Do the second part; `step` is told what comes next. Raises MissingDependencyError without DOLFINx."""
    seconds: dict[str, float] = {}
    clock = [time.perf_counter()]

    def done(name: str) -> None:
        now = time.perf_counter()
        seconds[name], clock[0] = now - clock[0], now

    step("heated rod: finite elements in 1-D, fit to fifteen thermocouples")
    model, readings = heated_rod(ALUMINUM), experiment(ALUMINUM)
    comparison = pt.compare(model, readings, n_draws=100, rng=SEED)
    fit = pt.calibrate(model, readings, unknown=UNKNOWN, rng=SEED)
    known = measured(ALUMINUM)
    closed_form = fit_fin(list(known), list(known.values()), CONDUCTIVITY, AMBIENT)
    done("rod in 1-D")
    step("heated rod in 3-D")
    fit_3d = pt.calibrate(heated_rod_3d(ALUMINUM), readings, unknown=UNKNOWN, rng=SEED)
    done("rod in 3-D")
    step("heated rod: another load, beside the closed form")
    prediction = fit.predict(model, FORECAST_RECIPE, [0.0], n_draws=N_PREDICTED, rng=SEED)
    done("forecast")
    step("heated rod: the flux that may be set")
    envelope = pt.find_envelope(
        model, fit, recipe=RECIPE, settings=[FLUX], limits=LIMITS, probability=0.95, budget=BUDGET, rng=SEED
    )
    envelope = envelope.marked("one load was measured: that the film coefficient holds at others is the model's claim")
    done("flux envelope")
    return RodDemo(model, readings, comparison, fit, fit_3d, closed_form, prediction, envelope, seconds)


def plot_forecast(demo: RodDemo) -> "Figure":
    """Draw the measured profile with the fit, and the forecast for another load, beside the closed form of each."""
    mode, readings = demo.fit.mode, measured(ALUMINUM)
    flux, film = (float(mode[name]) / 1e4 for name in UNKNOWN)
    now = demo.fit.predict(demo.model, demo.experiment.recipe, [0.0], n_draws=N_PREDICTED, rng=SEED)
    with plot_style.style():
        axes = plot_style.panels(4, height=2.5, shared=False)
        _draw(axes[0], axes[1], now, Fin(flux, film, CONDUCTIVITY, AMBIENT), np.array(list(readings.values())))
        axes[0].set_title(f"measured, {AMBIENT:g} °C")
        _draw(axes[2], axes[3], demo.prediction, demo.forecast, None)
        axes[2].set_title(f"forecast: {FORECAST.flux:g} W/cm², {FORECAST.ambient:g} °C")
        figure = plot_style.figure_of(axes)
        plot_style.one_legend(figure, axes)
    return figure


def _draw(left: "Axes", right: "Axes", prediction: pt.Prediction, fin: Fin, readings: Array | None) -> None:
    """Left: temperatures over the rod. Right: what is left when the closed form is taken off."""
    x, at = np.linspace(0.0, LENGTH, 141), np.array([0.0, *PLACES, LENGTH])
    bands = prediction.in_units()
    table = np.array([bands[name].values[:, -1] for name in ("hot_end", *(f"T_{p}" for p in PLACES), "far_end")])
    low, median, high = table[:, 0], table[:, 2], table[:, -1]
    bars: dict[str, Any] = {"fmt": "s", "ms": 3.0, "color": plot_style.MODEL, "capsize": 2.5, "lw": 1.0}
    for ax, off in ((left, 0.0), (right, fin.temperature(at))):
        ax.errorbar(at, median - off, [median - low, high - median], label="finite elements, 95 %", **bars)
        if readings is not None:
            shift = np.asarray(off)[1:-1] if np.ndim(off) else 0.0
            plot_style.draw_samples(ax, at[1:-1], readings - shift)
        ax.set_xlabel("x / cm")
    for ax, line in ((left, fin.temperature(x)), (right, np.zeros(x.size))):
        ax.plot(x, line, color=plot_style.ALARM, lw=1.0, ls="--", label="closed form at the mode", zorder=1)
    left.set_ylabel("temperature / °C")
    right.set_ylabel("minus closed form / K")


def write(demo: RodDemo, out: Path, date: dt.date | None = None) -> Path:
    """Write report, numbers and pictures of the rod to `out`; returns the path of the report."""
    from matplotlib import pyplot as plt

    out.mkdir(parents=True, exist_ok=True)
    demo.fit.save(out / "rod_posterior.nc")
    demo.experiment.save(out / "rod_experiment.nc")
    demo.envelope.save(out / "rod_envelope.nc")
    pictures: dict[str, Callable[[], Figure]] = {
        "rod_fit": demo.fit.plot_fit,
        "rod_parameters": demo.fit.plot_parameters,
        "rod_forecast": partial(plot_forecast, demo),
        "rod_envelope": demo.envelope.plot,
    }
    for name, draw in pictures.items():
        figure = draw()
        figure.savefig(out / f"{name}.png", dpi=150)
        plt.close(figure)
    return pt.write_report(
        out / "rod_report.html",
        title="Heated rod: calibration of a field model, and the flux that may be set",
        posterior=demo.fit,
        experiments=demo.experiment,
        model=demo.model,
        recipe=RECIPE,
        comparison=demo.comparison,
        envelope=demo.envelope,
        alternatives={"in 3-D": demo.fit_3d},
        notes=(
            "Data: R. C. Smith, Uncertainty Quantification, SIAM 2013, table 3.2 (aluminum). The book counts heat that "
            "leaves as positive: its flux is -18.41 W/cm^2.",
            closed_form_sentence(demo),
            forecast_sentence(demo),
        ),
        date=date,
    )


def closed_form_sentence(demo: RodDemo) -> str:
    """The estimates beside least squares with the fin."""
    c, mode, error = demo.closed_form, demo.fit.mode, demo.fit.standard_errors
    flux, film = (float(mode[name]) / 1e4 for name in UNKNOWN)
    flux_error, film_error = (error[name] / 1e4 for name in UNKNOWN)
    return (
        f"Finite elements (1-D): flux {flux:.4f} ({flux_error:.4f}) W/cm^2, film coefficient {1e3 * film:.5f} "
        f"({1e3 * film_error:.5f}) mW/(cm^2 K), noise {float(mode['noise.thermocouple']):.4f} K. Least squares with "
        f"the fin in closed form: {c.flux:.4f} ({c.flux_error:.4f}), {1e3 * c.film_coefficient:.5f} "
        f"({1e3 * c.film_coefficient_error:.5f}), {c.noise:.4f} K."
    )


def forecast_sentence(demo: RodDemo) -> str:
    """The forecast beside the closed form."""
    low, *_, high = demo.prediction.in_units()["hot_end"].values[:, -1]
    hot = demo.forecast.temperature([0.0])[0]
    return (
        f"Forecast for {FORECAST.flux:g} W/cm^2 in a room of {FORECAST.ambient:g} degC: hot end {low:.1f} to "
        f"{high:.1f} degC (95 %), in closed form {hot:.1f} degC; over the thermocouples median and closed form differ "
        f"by {demo.forecast_difference:.2f} K at most (rod_forecast.png)."
    )
