"""Pictures of profiles say what a stranger needs: values in declared units, thresholds, bounds, the verdict."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

import physics_twin as pt


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def posterior() -> pt.Posterior:
    m = pt.ProcessBuilder("line", version="1")
    start = m.parameter("start", "20 degC", bounds=("0 degC", "100 degC"))
    slope = m.parameter("slope", "1 K/min", bounds=("-5 K/min", "1.2 K/min"))
    T = m.state("T", "degC", initial=start)
    m.rate(T, slope)
    m.output("T", T)
    t = np.linspace(0.0, 300.0, 20)
    y = 21.0 + t / 60.0 * 1.18 + 0.2 * np.random.default_rng(0).standard_normal(20)
    run = pt.Experiment.from_arrays("run", t, {"T": y}, channels=[pt.Channel("T", unit="degC", noise="0.2 K")])
    return pt.calibrate(m.build(), run, unknown=["start", "slope"], method=pt.ProfileLikelihood(), rng=0)


def test_one_panel_per_parameter_in_declared_units(posterior: pt.Posterior) -> None:
    """Names, units and verdicts are on it, the curve goes through the points of the record."""
    figure = posterior.plot_profiles()
    panels = figure.axes[:2]
    assert [a.get_xlabel() for a in panels] == ["start / °C", "slope / (K/min)"]
    assert all(a.get_ylabel().startswith("rise") for a in panels)
    assert "identified" in panels[0].get_title(loc="left")
    assert {"50 %", "80 %", "95 %"} <= {text.get_text() for text in panels[0].texts}
    points = next(line for line in panels[0].lines if line.get_marker() == "o")
    own = posterior.diagnostics.sel(profile="start")
    np.testing.assert_allclose(points.get_xdata(), own["value"].values[: int(own["n_points"])] - 273.15, atol=1e-9)
    curve = next(line for line in panels[0].lines if line.get_label() == "profile")
    at = np.interp(points.get_xdata(), curve.get_xdata(), curve.get_ydata())
    np.testing.assert_allclose(at, points.get_ydata(), atol=1e-6)


def test_a_linear_model_lies_on_its_parabola(posterior: pt.Posterior) -> None:
    """Profile and parabola coincide where the profile is one, far from any bound of the other parameter."""
    axis = posterior.plot_profiles("start").axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    grid = np.asarray(lines["parabola (Laplace)"].get_xdata(), dtype=float)
    curve = np.interp(grid, lines["profile"].get_xdata(), lines["profile"].get_ydata())
    parabola = np.asarray(lines["parabola (Laplace)"].get_ydata(), dtype=float)
    upper = (grid > posterior.mode["start"] - 273.15) & (parabola < 4.0)
    np.testing.assert_allclose(curve[upper], parabola[upper], atol=0.02)


def test_what_lies_beyond_a_bound_is_hatched(posterior: pt.Posterior) -> None:
    """Only where the panel reaches beyond a bound."""
    start, slope = posterior.plot_profiles().axes[:2]
    assert any(patch.get_hatch() for patch in slope.patches)
    assert not any(patch.get_hatch() for patch in start.patches)


def test_chosen_parameters_and_axes(posterior: pt.Posterior) -> None:
    """Names choose panels, given axes are used."""
    _, axis = plt.subplots()
    assert posterior.plot_profiles(["slope"], ax=axis) is axis.get_figure()
    assert axis.get_xlabel() == "slope / (K/min)"


def test_without_profiles_it_says_how_to_get_them(posterior: pt.Posterior) -> None:
    """A clear error for posteriors of other methods, and for a parameter without a profile."""
    draws = pt.Posterior.from_draws(posterior.parameters, posterior.draws)
    assert draws.diagnostics.equals(xr.Dataset())
    with pytest.raises(pt.CalibrationError, match="ProfileLikelihood"):
        draws.plot_profiles()
    with pytest.raises(pt.CalibrationError, match="start, slope"):
        posterior.plot_profiles(["stop"])
