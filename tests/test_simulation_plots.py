"""Pictures of runs: one panel for each unit, numbers in declared units."""

import ast
from pathlib import Path

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
    axes = run.plot().axes
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
    """What comes back is the figure, as of a picture of its own: it can be saved at once."""
    figure, two = plt.subplots(2)
    assert run.plot(list(two)) is figure
    assert all(one.lines for one in two)
    plt.close("all")


def test_the_style_leaves_matplotlib_as_it_was() -> None:
    """No global setting survives the block."""
    before = plt.rcParams["axes.grid"]
    with style():
        assert plt.rcParams["axes.grid"] is True
    assert plt.rcParams["axes.grid"] == before


def test_whatever_can_be_drawn_returns_its_figure() -> None:
    """One rule for the whole library: `.plot...()` returns a Figure, so that `.savefig(path)` can follow."""
    source = Path(pt.__file__).parent
    methods = [
        (f"{path.relative_to(source)}: {one.name}.{method.name}", method)
        for path in sorted(source.rglob("*.py"))
        for one in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(one, ast.ClassDef)
        for method in one.body
        if isinstance(method, ast.FunctionDef) and method.name.startswith("plot")
    ]
    assert len(methods) > 25
    returned = {name: ast.unparse(m.returns).strip("'") if m.returns else "" for name, m in methods}
    assert {name: what for name, what in returned.items() if what != "Figure"} == {}
