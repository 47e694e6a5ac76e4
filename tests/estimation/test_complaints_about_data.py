"""What users of other libraries complain of, asked of this one: inputs, samples, units, what can be unknown.

Each docstring names the thread. Failures, long runs and results are asked in `test_complaints_of_peers.py`.
"""

import functools
from typing import Any

import numpy as np
import pytest

import physics_twin as pt

TIGHT = pt.Sundials(rtol=1e-11, atol=1e-13)


@functools.cache
def tank() -> Any:
    """level' = gain * inflow"""
    m = pt.ProcessBuilder("tank", version="1.0")
    inflow = m.input("inflow", "kg/s")
    gain = m.parameter("gain", 1.0, bounds=(0.1, 10.0))
    level = m.state("level", "kg", initial="0 kg")
    m.rate(level, gain * inflow)
    m.output("level", level)
    m.output("flow", gain * inflow)
    return m.build(integrator=TIGHT)


@functools.cache
def cooling() -> Any:
    """A body that cools toward an ambient, all declared in degC."""
    m = pt.ProcessBuilder("cooling", version="1.0")
    k = m.parameter("k", "0.1 1/s", bounds=("0.01 1/s", "1 1/s"))
    ambient = m.parameter("ambient", "25 degC", bounds=("0 degC", "60 degC"))
    body = m.state("body", "degC", initial="80 degC")
    m.rate(body, -k * (body - ambient))
    m.output("body", body)
    return m.build(integrator=TIGHT)


def celsius(t: Any, k: float, ambient: float) -> Any:
    return ambient + (80.0 - ambient) * np.exp(-k * t)


# Inputs from tables ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1.0, 1e-2, 1e-4])
def test_a_short_pulse_in_a_table_is_not_skipped(length: float) -> None:
    """PyBaMM #2789, #5145, #3011, #3960: short pulses skipped, tiny steps stall; FESTIM #1045: milestones ignored.

    1 kg in a pulse of 1 s to 0.1 ms within an hour, sampled every ten minutes, tells the gain to all digits.
    """
    table = ([0.0, 1234.5, 1234.5 + length, 3600.0], {"inflow": ([0.0, 1.0 / length, 0.0, 0.0], "kg/s", pt.HOLD)})
    times = np.arange(600.0, 3601.0, 600.0)
    data = pt.Experiment.from_arrays(
        "pulse",
        times,
        {"level": np.where(times > 1234.5, 2.5, 0.0)},
        channels=[pt.Channel("level", unit="kg", noise="0.01 kg")],
        recipe=pt.Recipe.from_table(*table),
    )
    posterior = pt.calibrate(tank(), data, unknown=["gain"], rng=1)
    assert posterior.mode["gain"] == pytest.approx(2.5, rel=1e-6)
    assert posterior.standard_errors["gain"] == pytest.approx(0.01 / 2.0, rel=1e-6)  # four samples after the pulse


def test_data_after_the_end_of_a_table_are_an_error() -> None:
    """PyBaMM #3612: unclear error where a table is extrapolated. The end and the way out are in the message."""
    recipe = pt.Recipe.from_table([0.0, 100.0], {"inflow": ([1.0, 1.0], "kg/s", pt.HOLD)})
    with pytest.raises(pt.PhysicsTwinError, match=r"ends at 100 s.*hold_end"):
        data = pt.Experiment.from_arrays(
            "late",
            [50.0, 200.0],
            {"level": [50.0, 200.0]},
            channels=[pt.Channel("level", unit="kg", noise="1 kg")],
            recipe=recipe,
        )
        pt.calibrate(tank(), data, unknown=["gain"], rng=1)


# Samples --------------------------------------------------------------------------------------------------------------


def test_the_number_of_data_is_counted_from_data(line, experiment) -> None:
    """Pyomo PR #2287: the covariance was wrong as the number of data was inferred. archimedes PR #70: missing samples.

    Half of the samples are missing: noise and errors are those of a record without these rows.
    """
    t = np.linspace(0.0, 10.0, 30)
    y = 1.0 + 0.2 * t + 0.3 * np.random.default_rng(1).standard_normal(t.size)
    holes = np.where(np.arange(30) % 2 == 0, y, np.nan)
    with_holes = experiment("run", t, holes, noise=pt.EstimatedNoise("1 K"))
    without = experiment("run", t[::2], y[::2], noise=pt.EstimatedNoise("1 K"))
    one, other = (pt.calibrate(line(), e, unknown=["a", "b"], rng=1) for e in (with_holes, without))
    np.testing.assert_allclose(one.covariance.values, other.covariance.values, rtol=1e-9)
    design = np.stack([np.ones(15), t[::2]], axis=1)
    rest = y[::2] - design @ np.linalg.lstsq(design, y[::2])[0]
    expected = rest @ rest / (15 - 2) * np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(one.covariance.values[:2, :2], expected, rtol=1e-5)


def test_each_output_has_its_own_times(closed_form) -> None:
    """KIPET #128: species sampled at different times. No sample is invented where only the other one was measured."""
    own = [pt.Parameter("a", "1 K"), pt.Parameter("b", "1 K/s")]
    two = closed_form(
        lambda t, v: np.stack([v["a"] + 0.0 * t, v["b"] * t], axis=1),
        pt.ParameterSet(own),
        (pt.Signal("x", "K"), pt.Signal("y", "K")),
    )
    tx, ty = np.array([0.0, 1.0, 7.0]), np.array([0.5, 2.0])
    data = pt.Experiment.from_arrays(
        "run",
        {"x": tx, "y": ty},
        {"x": [1.0, 2.0, 3.0], "y": [1.0, 4.0]},
        channels=[pt.Channel("x", unit="K", noise="1 K"), pt.Channel("y", unit="K", noise="1 K")],
    )
    posterior = pt.calibrate(two, data, unknown=["a", "b"], rng=1)
    assert posterior.mode["a"] == pytest.approx(2.0, rel=1e-9)
    assert posterior.mode["b"] == pytest.approx((0.5 * 1.0 + 2.0 * 4.0) / (0.25 + 4.0), rel=1e-9)
    assert posterior.residuals.sizes["sample"] == 5


def test_pooled_fractions_are_compared_with_pooled_fractions() -> None:
    """CADET-Process #9: data of fractions that were collected over minutes, weighted by the flow."""
    recipe = pt.Recipe.from_table([0.0, 60.0, 180.0], {"inflow": ([1.0, 3.0, 3.0], "kg/s", pt.HOLD)})
    # level = t up to 60 s, 60 + 3 (t - 60) after it; the flow weighs its second part threefold.
    mean = ((60.0**2 / 2.0) + 3.0 * (60.0 * 60.0 + 3.0 * 60.0**2 / 2.0)) / (60.0 + 180.0)
    data = pt.Experiment.from_arrays(
        "fraction",
        [120.0],
        {"level": [1.5 * mean]},
        channels=[
            pt.Channel("level", unit="kg", noise="1 kg", averaged=pt.Averaged("120 s", stamp="end", weight="flow"))
        ],
        recipe=recipe,
    )
    posterior = pt.calibrate(tank(), data, unknown=["gain"], rng=1)
    assert posterior.mode["gain"] == pytest.approx(1.5, rel=1e-6)


def test_noise_is_estimated_with_the_parameters(line, experiment) -> None:
    """ProgPy #40 and #232: noise had to be tuned by hand. Its level and its interval come with the fit."""
    t = np.linspace(0.0, 10.0, 400)
    y = 1.0 + 0.2 * t + 0.7 * np.random.default_rng(2).standard_normal(t.size)
    posterior = pt.calibrate(line(), experiment("run", t, y, noise=pt.EstimatedNoise("5 K")), unknown=["a", "b"], rng=1)
    assert posterior.mode["noise.y"] == pytest.approx(0.7, abs=4.0 * 0.7 / np.sqrt(800.0))
    low, high = posterior.interval("noise.y")
    assert low < 0.7 < high


# Names, units, numbers ------------------------------------------------------------------------------------------------


def test_misspelt_names_are_errors_that_name_the_right_one(line, experiment) -> None:
    """CADET-Core #761: a misspelt name returned zeros. Unknowns, values, channels, profiles: each is told."""
    data = experiment("run", [0.0, 1.0], [1.0, 1.1], noise="1 K")
    decoy = line(parameters=[pt.Parameter("gain", "1 K"), pt.Parameter("b", "0.1 K/s"), pt.Parameter("a", "1 K")])
    for ask in (
        {"unknown": ["gian"]},
        {"unknown": ["a"], "values": {"gian": "1 K"}},
        {"unknown": ["a"], "method": pt.ProfileLikelihood(parameters=["gian"])},
    ):
        with pytest.raises(pt.UnknownNameError, match="gian"):
            pt.calibrate(decoy, data, **ask)  # type: ignore[arg-type]
    with pytest.raises(pt.UnknownNameError, match='did you mean "gain"'):
        pt.calibrate(decoy, data, unknown=["gian"])
    with pytest.raises(pt.UnknownNameError, match="z"):
        pt.calibrate(decoy, experiment("run", [0.0], [1.0], output="z", noise="1 K"), unknown=["a"])


def test_degrees_celsius_are_accepted_at_the_edge_and_kelvin_inside() -> None:
    """IDAES #173, underworld3 PR #295: degC raised offset errors, or failed silently.

    Parameter, bounds, prior, state, data and noise in degC: the answer is the one in kelvin.
    """
    t = np.linspace(0.0, 30.0, 16)
    y = celsius(t, 0.12, 22.0)
    prior = pt.Normal("25 degC", "5 K")
    found = []
    for shift, unit in ((0.0, "degC"), (273.15, "K")):
        ambient = pt.Parameter(
            "ambient", (25.0 + shift, unit), bounds=((shift, unit), (60.0 + shift, unit)), prior=prior
        )
        data = pt.Experiment.from_arrays(
            "run", t, {"body": y + shift}, channels=[pt.Channel("body", unit=unit, noise=(0.5, unit))]
        )
        found.append(pt.calibrate(cooling(), data, unknown=["k", ambient], rng=1))
    assert found[0].mode["ambient"] == pytest.approx(273.15 + 22.0, abs=0.1)
    np.testing.assert_allclose(found[0].draws.values, found[1].draws.values, rtol=1e-9)
    assert found[0].in_units()["ambient"].attrs["units"] == "degC"
    assert found[0].in_units()["ambient"].attrs["mode"] == pytest.approx(22.0, abs=0.1)


def test_fractional_powers_and_numpy_scalars_have_units() -> None:
    """Pyomo #2393, #3100: unit checks gave false errors for fractional powers and numpy scalars."""
    m = pt.ProcessBuilder("weir", version="1.0")
    c = m.parameter("c", (np.float64(0.5), "m^0.5/s"), bounds=((np.float32(0.1), "m^0.5/s"), (np.int64(5), "m^0.5/s")))
    height = m.state("height", "m", initial=(np.float64(1.0), "m"))
    m.rate(height, -c * pt.sqrt(height))
    m.output("flow", c * height**1.5, unit="m^2/s")
    t = np.linspace(0.0, 1.0, 9)
    root = 1.0 - 0.5 * 0.8 * t
    data = pt.Experiment.from_arrays(
        "run",
        t,
        {"flow": 0.8 * root**3},
        channels=[pt.Channel("flow", unit="m^2/s", noise=(np.float64(0.01), "m^2/s"))],
    )
    posterior = pt.calibrate(m.build(integrator=TIGHT), data, unknown=["c"], rng=np.int64(1))
    assert posterior.mode["c"] == pytest.approx(0.8, rel=1e-6)
    assert posterior.parameters["c"].unit.text == "m^0.5/s"


# Derivatives ----------------------------------------------------------------------------------------------------------


def test_errors_across_an_event_are_those_of_the_closed_form() -> None:
    """AMICI #18, #2086, #3274, CADET-Core #536, #553: sensitivities around events were inexact for years.

    A ball falls from 1 m and bounces; its height afterwards depends on g also through the moment of the bounce.
    """
    m = pt.ProcessBuilder("ball", version="1.0")
    g = m.parameter("g", "9.81 m/s^2", bounds=("9 m/s^2", "11 m/s^2"))
    height, speed = m.state("height", "m", initial="1 m"), m.state("speed", "m/s", initial="0 m/s")
    m.rate(height, speed)
    m.rate(speed, -g)
    m.event("bounce", when=height <= "0 m", then={speed: -0.8 * speed})
    m.output("height", height)
    t, a = np.linspace(0.6, 0.9, 7), 9.9
    down = np.sqrt(2.0 / a)
    late, up = t - down, 0.8 * np.sqrt(2.0 * a)
    slope = 0.8 / np.sqrt(2.0 * a) * late + (up - a * late) * down / (2.0 * a) - 0.5 * late**2
    data = pt.Experiment.from_arrays(
        "drop", t, {"height": up * late - 0.5 * a * late**2}, channels=[pt.Channel("height", unit="m", noise="1 mm")]
    )
    posterior = pt.calibrate(m.build(integrator=TIGHT), data, unknown=["g"], rng=1)
    assert posterior.mode["g"] == pytest.approx(a, rel=1e-7)
    assert posterior.standard_errors["g"] == pytest.approx(1e-3 / np.linalg.norm(slope), rel=1e-6)


def test_sensitivities_of_the_model_are_used(line, experiment) -> None:
    """CADET-Process #166: the solver's sensitivities as Jacobian of the fit. No simulation is done for a difference."""
    model = line()
    t = np.linspace(0.0, 10.0, 11)
    posterior = pt.calibrate(model, experiment("run", t, 1.0 + t, noise="1 K"), unknown=["a", "b"], rng=1)
    assert posterior.converged
    # Each sensitivity runs the model once; what else was run are the steps that were tried.
    differences = len(model.parameters) * model.calls.count("sensitivity")
    assert model.calls.count("trajectory") - model.calls.count("sensitivity") < differences
    assert not any("finite differences" in w for w in posterior.warnings)


# What can be unknown --------------------------------------------------------------------------------------------------


def test_a_curve_is_fitted_and_not_only_numbers() -> None:
    """ProgPy #41, PyBOP #396 and PR #442: only scalar parameters could be fitted. A rate over temperature is found."""
    film = pt.Spline(
        "k", over="T", knots=(["20 degC", "50 degC", "80 degC"]), value="0.1 1/s", bounds=("0 1/s", "1 1/s")
    )
    m = pt.ProcessBuilder("cooling", version="1.0")
    body = m.state("body", "degC", initial="80 degC")
    m.rate(body, -m.function(film, of=body) * (body - "20 degC"))
    m.output("body", body)
    model = m.build(integrator=TIGHT)
    t = np.linspace(0.0, 40.0, 21)
    truth = dict(zip(film.names, ["0.05 1/s", "0.08 1/s", "0.15 1/s"], strict=True))
    y = pt.simulate(model, t, values=truth)["body"].values
    data = pt.Experiment.from_arrays("run", t, {"body": y}, channels=[pt.Channel("body", unit="K", noise="0.1 K")])
    posterior = pt.calibrate(model, data, unknown=list(film.names), rng=1)
    np.testing.assert_allclose([posterior.mode[n] for n in film.names], [0.05, 0.08, 0.15], rtol=1e-4)


def test_a_parameter_that_drifts_in_time_is_found() -> None:
    """PyBOP #680: parameters that change during the run, as a function of time with a smoothness prior."""
    drift = pt.Spline("gain", over="t", knots=([0.0, 50.0, 100.0], "s"), value=1.0, bounds=(0.0, 5.0))
    m = pt.ProcessBuilder("tank", version="1.0")
    level = m.state("level", "kg", initial="0 kg")
    m.rate(level, m.function(drift, of=m.time) * m.constant("1 kg/s"))
    m.output("level", level)
    t = np.linspace(5.0, 100.0, 20)
    data = pt.Experiment.from_arrays(
        "run", t, {"level": t - 0.0025 * t**2}, channels=[pt.Channel("level", unit="kg", noise="0.001 kg")]
    )
    smooth = pt.SmoothPrior(drift, mean=1.0, sd=1.0, length="100 s")
    posterior = pt.calibrate(m.build(integrator=TIGHT), data, unknown=[smooth], rng=1)
    # The rate 1 - 0.005 t is a straight line, which the spline holds exactly.
    np.testing.assert_allclose([posterior.mode[n] for n in drift.names], [1.0, 0.75, 0.5], atol=1e-3)


def test_shared_and_own_parameters_in_one_fit(line, experiment) -> None:
    """Pyomo #2466: a slope that all experiments share, an intercept that each has for itself."""
    t = np.linspace(0.0, 10.0, 11)
    runs = [experiment(f"r{i}", t, start + 0.3 * t, noise="0.1 K") for i, start in enumerate((1.0, 4.0, -2.0))]
    posterior = pt.calibrate(line(), runs, unknown=["b", pt.PerExperiment("a")], rng=1)
    assert posterior.names == ("b", "a@r0", "a@r1", "a@r2")
    np.testing.assert_allclose([posterior.mode[n] for n in posterior.names], [0.3, 1.0, 4.0, -2.0], rtol=1e-6)


def test_a_beginner_fits_a_parameter_in_a_dozen_lines() -> None:
    """DAPPER #98: a beginner could not fit parameters. A Python function, a table of numbers, one call."""
    model = pt.FunctionModel(
        "cooling",
        version="1",
        rate=lambda t, state, inputs, values: {"T": -values["k"] * (state["T"] - 293.15)},
        states={"T": ("K", "80 degC")},
        parameters=[pt.Parameter("k", "0.01 1/s", bounds=("1e-4 1/s", "1 1/s"))],
        outputs={"T": "K"},
    )
    t = np.linspace(0.0, 300.0, 11)
    data = pt.Experiment.from_arrays(
        "cup", t, {"T": celsius(t, 0.02, 20.0)}, channels=[pt.Channel("T", unit="degC", noise="0.5 K")]
    )
    posterior = pt.calibrate(model, data, unknown=["k"])
    assert posterior.mode["k"] == pytest.approx(0.02, rel=1e-4)
    assert "k" in str(posterior) and "identified" in str(posterior)
