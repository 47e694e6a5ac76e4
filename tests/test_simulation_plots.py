"""Pictures of runs: one panel for each unit, numbers in declared units."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

import physics_twin as pt
from physics_twin.plot_style import style


@pytest.fixture
def run() -> pt.Run:
    def column(values: list[float], si: str, declared: str) -> tuple[str, np.ndarray, dict[str, str]]:
        return "time", np.array(values), {"units": si, "declared_units": declared, "long_name": ""}

    variables = {
        "core": column([300.15, 310.15], "K", "degC"),
        "surface": column([301.15, 321.15], "K", "degC"),
        "power": column([0.0, 2000.0], "W", "kW"),
    }
    data = xr.Dataset(variables, {"time": [0.0, 7200.0]}, {"model": "oven", "version": "1", "fingerprint": "0"})
    return pt.Run(data, np.zeros(1), {})


def test_outputs_of_one_unit_share_a_panel_and_lines_differ_without_color(run: pt.Run) -> None:
    """Two temperatures in one panel, the power in another, each in its declared unit."""
    axes = run.plot()
    assert [one.get_ylabel() for one in axes] == ["°C", "power / kW"]
    core, surface = axes[0].lines
    assert core.get_ydata() == pytest.approx([27.0, 37.0]) and surface.get_ydata() == pytest.approx([28.0, 48.0])
    assert core.get_linestyle() != surface.get_linestyle() and core.get_marker() != surface.get_marker()
    assert axes[1].lines[0].get_xdata() == pytest.approx([0.0, 120.0]) and axes[1].get_xlabel() == "time / min"
    plt.close("all")


def test_a_wrong_number_of_axes_is_refused(run: pt.Run) -> None:
    """Two units need two axes."""
    _, one = plt.subplots()
    with pytest.raises(pt.ShapeError, match="1 axes were given for 2 panels"):
        run.plot(one)
    plt.close("all")


def test_given_axes_are_drawn_on(run: pt.Run) -> None:
    """The caller's axes come back."""
    _, two = plt.subplots(2)
    assert run.plot(list(two)) == list(two)
    plt.close("all")


def test_the_style_leaves_matplotlib_as_it_was() -> None:
    """No global setting survives the block."""
    before = plt.rcParams["axes.grid"]
    with style():
        assert plt.rcParams["axes.grid"] is True
    assert plt.rcParams["axes.grid"] == before
