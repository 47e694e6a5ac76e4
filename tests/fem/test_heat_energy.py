"""Energy: what a body stores is what sources and surroundings supplied, to the tolerance of the solver."""

import math

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.fem import materials

STEEL = fem.Solid(conductivity="40 W/m/K", density="7800 kg/m^3", heat_capacity="500 J/kg/K")
ICE = fem.Solid(
    conductivity="2 W/m/K",
    density="1000 kg/m^3",
    heat_capacity="2 kJ/kg/K",
    latent_heat="300 kJ/kg",
    solidus="-1 degC",
    liquidus="1 degC",
)
EULER = fem.FixedSteps("2 s", fem.IMPLICIT_EULER)


def bar(boundaries, *, material=STEEL, initial="20 degC", sources=None, stepping=None, sensors=None, **more):
    """A bar of 0.1 m in 8 cells."""
    return fem.HeatConduction(
        mesh=fem.mesh.bar("0.1 m", 8),
        materials={"bar": material},
        boundaries=boundaries,
        sources=sources or {},
        initial=initial,
        sensors=sensors or {"mean": fem.Average("bar")},
        stepping=stepping or fem.Adaptive("0.05 K"),
        **more,
    )


def closed(run, part=1e-9):
    """The imbalance at every time is below a part of the largest energy that was exchanged."""
    size = max(np.abs(run["supplied_energy"]).max(), np.abs(run["stored_energy"]).max())
    assert float(size) > 0.0
    assert float(np.abs(run["energy_imbalance"]).max()) < part * float(size)
    np.testing.assert_allclose(
        run["stored_energy"] - run["supplied_energy"], run["energy_imbalance"], atol=1e-12 * float(size)
    )


# Every boundary condition; what may vary varies with time, place or temperature.
WARMING = fem.Temperature(lambda t: "293.15 K" + "0.5 K/s" * t)
BOUNDARIES = {
    "temperature": {"left": fem.Temperature("300 degC")},
    "moving_temperature": {"left": WARMING, "right": fem.Temperature("20 degC")},
    "flux": {"left": fem.Flux("50 kW/m^2")},
    "flux_of_time": {"left": fem.Flux(lambda t: "5 kW/m^2/s" * t)},
    "convection": {"left": fem.Convection("500 W/m^2/K", "300 degC")},
    "film_of_temperature": {
        "left": fem.Convection(lambda T: "500 W/m^2/K" * (1.0 + "0.01 1/K" * (T - "293 K")), "300 degC")
    },
    "radiation": {"left": fem.Radiation(0.8, "1200 K")},
    "sum": {
        "left": [fem.Flux("50 kW/m^2"), fem.Convection("100 W/m^2/K", "0 degC"), fem.Radiation(0.8, "300 K")],
        "right": WARMING,
    },
}
MATERIALS = {
    "constant": STEEL,
    "formula": materials.steel_304().with_outside(fem.Outside.HOLD),
    "table": STEEL.replace(
        heat_capacity=fem.Tabulated(
            ([0.0, 100.0, 200.0], "degC"), ([400.0, 700.0, 500.0], "J/kg/K"), outside=fem.Outside.HOLD
        )
    ),
    "function": STEEL.replace(heat_capacity=lambda T: "500 J/kg/K" * (T / "300 K") ** 0.5),
}


@pytest.mark.parametrize("stepping", [fem.Adaptive("0.05 K"), EULER], ids=["adaptive", "euler"])
@pytest.mark.parametrize("name", BOUNDARIES)
def test_balance_closes_with_every_boundary_condition(name, stepping):
    """Stored minus supplied is zero to solver tolerance at every output time, inside steps as well."""
    closed(pt.simulate(bar(BOUNDARIES[name], stepping=stepping), np.linspace(0.0, 100.0, 14)))


@pytest.mark.parametrize("name", MATERIALS)
def test_balance_closes_with_every_kind_of_heat_capacity(name):
    """What is stored is a function of the temperature, not a capacity times a change."""
    closed(pt.simulate(bar(BOUNDARIES["sum"], material=MATERIALS[name]), np.linspace(0.0, 100.0, 7)))


@pytest.mark.parametrize("name", ["temperature", "flux", "convection", "radiation", "sum"])
@pytest.mark.parametrize("degree", [1, 2])
def test_balance_closes_with_latent_heat(name, degree):
    """Also where a front moves through the body, with storage at nodes (degree 1) and at quadrature points (2)."""
    conditions = {
        "temperature": {"left": fem.Temperature("30 degC")},
        "flux": BOUNDARIES["flux"],
        "convection": BOUNDARIES["convection"],
        "radiation": BOUNDARIES["radiation"],
        "sum": {"left": [fem.Flux("5 kW/m^2"), fem.Convection("100 W/m^2/K", "0 degC")], "right": WARMING},
    }
    model = bar(conditions[name], material=ICE, initial="-5 degC", degree=degree)
    run = pt.simulate(model, np.linspace(0.0, 1000.0, 6))
    closed(run, 1e-8)


@pytest.mark.parametrize("name", ["constant", "formula", "table"])
def test_stored_energy_is_the_integral_of_the_heat_capacity(name):
    """A bar heated evenly from 20 degC to some 160 degC, over the rows of the table: rho times the integral of c dT."""
    solid = MATERIALS[name]
    run = pt.simulate(bar({}, material=solid, sources={"bar": fem.HeatSource("5 MW/m^3")}), [100.0])
    reached = float(run["mean"][0])
    assert 370.0 < reached < 470.0
    kelvin = np.linspace(293.15, reached, 4001)
    capacity = np.array([solid.at("heat_capacity", f"{T} K") * solid.at("density", f"{T} K") for T in kelvin])
    np.testing.assert_allclose(0.1 * np.trapezoid(capacity, kelvin), run["stored_energy"], rtol=1e-6)
    np.testing.assert_allclose(run["stored_energy"], 5e6 * 0.1 * 100.0, rtol=1e-8)


def test_supplied_energy_is_the_flow_times_the_time():
    """Constant flux and source: 50 kW/m^2 + 0.1 m * 200 kW/m^3, over 100 s."""
    run = pt.simulate(bar({"left": fem.Flux("50 kW/m^2")}, sources={"bar": fem.HeatSource("200 kW/m^3")}), [0.0, 100.0])
    np.testing.assert_allclose(run["supplied_energy"], [0.0, (5e4 + 2e4) * 100.0], rtol=1e-10, atol=1e-6)
    np.testing.assert_allclose(run["mean"][-1] - 293.15, 7e6 / (7800.0 * 500.0 * 0.1), rtol=1e-9)


@pytest.mark.parametrize("name", ["convection", "film_of_temperature", "radiation"])
def test_supplied_energy_is_the_sum_of_the_flows_of_steps(name):
    """With implicit Euler it is exactly the flow that the sensor shows at the end of each step, times the step."""
    model = bar(BOUNDARIES[name], stepping=EULER, sensors={"flow": fem.HeatFlow("left")})
    run = pt.simulate(model, np.arange(0.0, 41.0, 2.0))
    np.testing.assert_allclose(2.0 * np.cumsum(run["flow"][1:]), run["supplied_energy"][1:], rtol=1e-8)


def test_a_jump_of_a_prescribed_temperature_is_supplied():
    """Insulated but for one end that jumps by 100 K: in the limit 0.1 m * 100 K * rho c have come in."""
    run = pt.simulate(bar({"left": fem.Temperature("120 degC")}), [0.0, 1e-6, 1e4])
    capacity = 7800.0 * 500.0 * 0.1
    np.testing.assert_allclose(run["supplied_energy"][-1], capacity * 100.0, rtol=1e-5)
    # At once: half a cell of linear elements.
    np.testing.assert_allclose(run["supplied_energy"][1], capacity * 100.0 / 16.0, rtol=1e-2)


def test_energy_of_a_body_of_revolution_is_that_of_the_whole_body():
    """A cylinder of 20 mm radius and 0.1 m height, 1 kW/m^2 through its side for 100 s."""
    model = fem.HeatConduction(
        mesh=fem.mesh.cylinder("20 mm", "0.1 m", (4, 2), axisymmetric=True),
        materials={"body": STEEL},
        boundaries={"side": fem.Flux("1 kW/m^2")},
        sensors={"mean": fem.Average("body")},
    )
    run = pt.simulate(model, [100.0])
    supplied = 1e3 * 2.0 * math.pi * 0.02 * 0.1 * 100.0
    np.testing.assert_allclose(run["supplied_energy"], supplied, rtol=1e-10)
    volume = math.pi * 0.02**2 * 0.1
    np.testing.assert_allclose(run["mean"] - 293.15, supplied / (volume * 7800.0 * 500.0), rtol=1e-9)


# -- phase change -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [1, 2])
def test_melting_takes_the_latent_heat(degree):
    """An insulated bar that was heated through its melting range: its end temperature is that of its energy."""
    flux = pt.Signal("flux", "kW/m^2")
    model = bar({"left": fem.Flux(flux)}, material=ICE, initial="-20 degC", degree=degree)
    recipe = pt.Recipe(
        [pt.Phase("heat", flux="10 kW/m^2", duration="1 h"), pt.Phase("rest", flux="0 W/m^2", duration="100 h")]
    )
    run = pt.simulate(model, np.array([0.0, 1800.0, 3600.0, 3.6e5]), recipe)
    closed(run, 1e-8)
    per_volume = 1e4 * 3600.0 / 0.1  # 3.6e8 J/m^3: 20 K * 2e6 + 3e8 + the rest
    expected = -20.0 + (per_volume - 3e8) / 2e6
    np.testing.assert_allclose(run.in_units()["mean"][-1], expected, atol=1e-3)


def test_freezing_gives_it_back():
    """Heated and cooled again by the same amount, the bar is where it began."""
    flux = pt.Signal("flux", "kW/m^2")
    model = bar({"left": fem.Flux(flux)}, material=ICE, initial="-20 degC")
    recipe = pt.Recipe(
        [
            pt.Phase("heat", flux="10 kW/m^2", duration="1 h"),
            pt.Phase("cool", flux="-5 kW/m^2", duration="2 h"),
            pt.Phase("rest", flux="0 W/m^2", duration="100 h"),
        ]
    )
    run = pt.simulate(model, np.array([0.0, 3600.0, 3.7e5]), recipe)
    assert abs(float(run["stored_energy"][-1])) < 1e-8 * float(run["stored_energy"][1])
    np.testing.assert_allclose(run.in_units()["mean"][-1], -20.0, atol=1e-3)


# -- sources ------------------------------------------------------------------------------------------------------


def block(sources=None, boundaries=None):
    """A block of 24 mm x 24 mm x 12 mm, insulated, in cells of 1.5 mm."""
    return fem.HeatConduction(
        mesh=fem.mesh.box(("24 mm", "24 mm", "12 mm"), cells=(16, 16, 8)),
        materials={"body": STEEL},
        sources=sources or {},
        boundaries=boundaries or {},
        sensors={"mean": fem.Average("body")},
        stepping=fem.FixedSteps("0.5 s"),
    )


def test_goldak_sets_free_its_power():
    """1 kW for 2 s, moving by 4 mm along x: 2 kJ come in, whatever the share of the front."""
    for share in (0.6, 1.0):
        source = fem.Goldak(
            "1 kW",
            width="3 mm",
            depth="4 mm",
            front="3 mm",
            rear="5 mm",
            x=lambda t: "10 mm" + "2 mm/s" * t,
            y="12 mm",
            z="12 mm",
            share=share,
        )
        run = pt.simulate(block({"body": source}), [2.0])
        # 3 % of the rear ellipsoid's tail lies beyond x = 0; the front has a kink inside a cell.
        np.testing.assert_allclose(run["stored_energy"], 2000.0, rtol=5e-3)


def test_gaussian_spot_sets_free_its_power():
    """100 W on the top face for 2 s."""
    spot = fem.GaussianSpot("100 W", radius="4 mm", x=lambda t: "10 mm" + "2 mm/s" * t, y="12 mm")
    run = pt.simulate(block(boundaries={"top": spot}), [2.0])
    np.testing.assert_allclose(run["stored_energy"], 200.0, rtol=2e-3)


@pytest.mark.parametrize("through", ["left", "right"])
@pytest.mark.parametrize("absorption", [20.0, 200.0])
def test_absorbed_radiation_follows_beer_and_lambert(through, absorption):
    """flux (1 - exp(-absorption depth)) stays in the body, from either side."""
    source = fem.Absorbed("10 kW/m^2", f"{absorption} 1/m", through=through)
    model = bar({}, sources={"bar": source}, stepping=fem.FixedSteps("1 s"))
    run = pt.simulate(model, [10.0])
    np.testing.assert_allclose(run["stored_energy"], 1e5 * (1.0 - math.exp(-0.1 * absorption)), rtol=3e-3)


def test_absorbed_radiation_heats_first_where_it_enters():
    """After a short time the profile is that of the source: exp(-absorption depth)."""
    source = fem.Absorbed("10 kW/m^2", "20 1/m", through="right")
    sensors = {f"p{k}": fem.Point(f"{k} cm") for k in (2, 5, 8)}
    model = bar({}, sources={"bar": source}, stepping=fem.FixedSteps("1 ms"), sensors=sensors)
    run = pt.simulate(model, [1e-3])
    rises = np.array([float(run[f"p{k}"][0]) - 293.15 for k in (2, 5, 8)])
    np.testing.assert_allclose(rises / rises[0], np.exp(20.0 * np.array([0.0, 0.03, 0.06])), rtol=2e-2)


# -- orthotropic --------------------------------------------------------------------------------------------------


def test_conductivity_has_directions():
    """A block between 1 K apart faces, along x, y and z in turn: the flow has the conductivity of that direction."""
    values, sides = (10.0, 20.0, 40.0), [("left", "right"), ("front", "back"), ("bottom", "top")]
    size = np.array([0.1, 0.2, 0.3])
    for k, (cold, hot) in enumerate(sides):
        model = fem.HeatConduction(
            mesh=fem.mesh.box(("0.1 m", "0.2 m", "0.3 m"), cells=(2, 2, 2)),
            materials={"body": fem.Solid(conductivity=tuple(f"{v} W/m/K" for v in values))},
            boundaries={cold: fem.Temperature("0 degC"), hot: fem.Temperature("1 degC")},
            sensors={"flow": fem.HeatFlow(hot)},
            steady=True,
        )
        area = size.prod() / size[k]
        np.testing.assert_allclose(pt.simulate(model, [0.0])["flow"], values[k] * area / size[k], rtol=1e-9)


def test_orthotropic_plate_against_its_series():
    """k_y = 4 k_x: a plate is an isotropic one of half the height; hot above, cold on the three other sides."""

    def middle(k_y, height):
        model = fem.HeatConduction(
            mesh=fem.mesh.plate(("1 m", f"{height} m"), cells=(16, 16)),
            materials={"body": fem.Solid(conductivity=("1 W/m/K", f"{k_y} W/m/K"))},
            boundaries={
                "top": fem.Temperature(lambda x: "273.15 K" + "100 K" * pt.sin(f"{math.pi!r} 1/m" * x)),
                **{name: fem.Temperature("0 degC") for name in ("left", "right", "bottom")},
            },
            sensors={"middle": fem.Point("0.5 m", f"{height / 2} m")},
            degree=2,
            steady=True,
        )
        return float(pt.simulate(model, [0.0]).in_units()["middle"][0])

    exact = 100.0 * math.sinh(math.pi / 4.0) / math.sinh(math.pi / 2.0)
    np.testing.assert_allclose(middle(4.0, 1.0), exact, rtol=1e-4)
    np.testing.assert_allclose(middle(1.0, 0.5), exact, rtol=1e-4)
