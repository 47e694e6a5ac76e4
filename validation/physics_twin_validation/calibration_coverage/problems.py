"""Three small problems whose truth is drawn from the prior: two process models and a rod."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import physics_twin as pt


@dataclass(frozen=True)
class CalibrationProblem:
    """What `check_coverage` needs."""

    name: str
    build: Callable[[], pt.Model]
    template: Callable[[], pt.Experiment]
    unknown: tuple[str, ...]


def heated_tank() -> pt.ProcessModel:
    """A stirred tank, heated from 20 degC, that loses heat to a hall: mildly nonlinear in its three unknowns."""
    m = pt.ProcessBuilder("heated_tank", version="1.0")
    loss = m.parameter("loss", "120 W/K", bounds=("10 W/K", "1 kW/K"), prior=pt.LogNormal("120 W/K", 0.3))
    power = m.parameter("power", "20 kW", prior=pt.Normal("20 kW", "2 kW"))
    hall = m.parameter("hall", "20 degC", prior=pt.Normal("20 degC", "3 K"))
    temperature = m.state("temperature", "degC", initial="20 degC", scale="10 K")
    m.rate(temperature, (power - loss * (temperature - hall)) / m.constant("400 kJ/K"))
    m.output("temperature", temperature)
    return m.build()


def heated_tank_run() -> pt.Experiment:
    """Twelve readings in two hours, 1 K."""
    times = np.linspace(600.0, 7200.0, 12)
    return _template("tank", times, pt.Channel("temperature", unit="degC", noise="1 K"))


def substrate() -> pt.ProcessModel:
    """Michaelis-Menten decay from 2 mol/m^3 with wide priors: rate and saturation are seen as a curved valley."""
    m = pt.ProcessBuilder("substrate", version="1.0")
    fastest = m.parameter("fastest", "0.02 mol/m^3/s", prior=pt.LogNormal("0.02 mol/m^3/s", 0.8))
    half = m.parameter("half", "2 mol/m^3", prior=pt.LogNormal("2 mol/m^3", 0.8))
    left = m.state("left", "mol/m^3", initial="2 mol/m^3")
    m.rate(left, -fastest * left / (half + left))
    m.output("left", left)
    return m.build()


def substrate_run() -> pt.Experiment:
    """Six samples in five minutes, 0.15 mol/m^3."""
    times = np.linspace(50.0, 300.0, 6)
    return _template("flask", times, pt.Channel("left", unit="mol/m^3", noise="0.15 mol/m^3"))


def rod() -> pt.Model:
    """A rod in one dimension, heated at one end, cooled by air at the other: conductivity and film coefficient."""
    from physics_twin import fem

    conductivity = pt.Parameter(
        "conductivity", "20 W/m/K", bounds=("2 W/m/K", "200 W/m/K"), prior=pt.LogNormal("20 W/m/K", 0.2)
    )
    film = pt.Parameter(
        "film_coefficient",
        "300 W/m^2/K",
        bounds=("30 W/m^2/K", "3000 W/m^2/K"),
        prior=pt.LogNormal("300 W/m^2/K", 0.2),
    )
    return fem.HeatConduction(
        name="rod",
        mesh=fem.mesh.bar("100 mm", 10),
        materials={"bar": fem.Solid(conductivity=conductivity, density="7800 kg/m^3", heat_capacity="500 J/kg/K")},
        boundaries={
            "left": fem.Flux("20 kW/m^2"),
            "right": fem.Convection(film, ambient="20 degC"),
        },
        initial="20 degC",
        sensors={"near": fem.Point("20 mm"), "far": fem.Point("90 mm")},
        stepping=fem.FixedSteps("120 s"),
    )


def rod_run() -> pt.Experiment:
    """Two thermocouples, eight readings in 32 minutes, 1 K."""
    times = np.linspace(240.0, 1920.0, 8)
    return _template("rod", times, *(pt.Channel(name, unit="degC", noise="1 K") for name in ("near", "far")))


def _template(name: str, times: np.ndarray, *channels: pt.Channel) -> pt.Experiment:
    data = {c.output: np.linspace(10.0, 11.0, times.size) for c in channels}
    return pt.Experiment.from_arrays(name, times, data, channels=channels)


PROBLEMS = (
    CalibrationProblem("heated_tank", heated_tank, heated_tank_run, ("loss", "power", "hall")),
    CalibrationProblem("substrate", substrate, substrate_run, ("fastest", "half")),
    CalibrationProblem("rod", rod, rod_run, ("conductivity", "film_coefficient")),
)
