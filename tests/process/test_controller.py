"""A PI controller between set point and input, against the same loop written by hand, and against what it promises."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import check_model
from tests.process.plants import TIGHT, run, sampled


def oven(loop=None):
    """T' = (P - a (T - T0)) / C; with `loop`, the controlled model."""
    m = pt.ProcessBuilder("oven", version="1.0")
    power, capacity, loss = m.input("power", "W"), m.parameter("capacity", "500 J/K"), m.parameter("loss", "2 W/K")
    t = m.state("t", "degC", initial="20 degC", scale="10 K")
    m.rate(t, (power - loss * (t - "20 degC")) / capacity)
    m.accumulator("energy", "J", power)
    m.output("t", t)
    model = m.build(integrator=TIGHT)
    return model if loop is None else pt.with_controller(model, "power", "t", loop)


LAW = pt.PI(gain="40 W/K", integral_time="100 s", limits=("0 W", "600 W"), start="0 W")
STEP = pt.Recipe(
    [pt.Phase("a", t_setpoint="50 degC", duration="1 h"), pt.Phase("b", t_setpoint="120 degC", duration="2 h")]
)


def by_hand(setpoints, end, h=0.02):
    """The loop by Heun's method with a small step, from the equations of Astrom and Hagglund."""

    def rate(t, x):
        target = setpoints(t)
        wanted = x[1] + 40.0 * (target - x[0])
        limited = min(max(wanted, 0.0), 600.0)
        return np.array(
            [(limited - 2.0 * (x[0] - 20.0)) / 500.0, 40.0 * (target - x[0]) / 100.0 + (limited - wanted) / 100.0]
        )

    x = np.array([20.0, 0.0])
    for k in range(round(end / h)):
        a = rate(k * h, x)
        x = x + 0.5 * h * (a + rate((k + 1) * h - 1e-9, x + h * a))
    return x[0]


@pytest.mark.parametrize("end", [60.0, 300.0, 900.0])
def test_the_loop_is_the_one_of_the_book(end):
    """Saturated at first, then free: the temperature of a loop written by hand."""
    assert run(oven(LAW), [end], STEP)[0, 0] - 273.15 == pytest.approx(by_hand(lambda t: 50.0, end), abs=2e-3)


def test_it_reaches_its_set_point_without_windup():
    """The error vanishes, the input stays in its limits, and the step of 70 K overshoots by less than 5 K.

    The input is saturated for a minute; an integral that went on meanwhile would have to be paid back above 130 degC.
    """
    model = oven(LAW)
    t = np.linspace(0.0, 10_800.0, 2161)
    outputs = run(model, t, STEP)
    names = [s.name for s in model.outputs]
    temperature, power = outputs[:, names.index("t")] - 273.15, outputs[:, names.index("power")]
    assert temperature[t == 3600.0][0] == pytest.approx(50.0, abs=1e-6)
    assert temperature[-1] == pytest.approx(120.0, abs=1e-6)
    assert power.min() >= 0.0
    assert power.max() == pytest.approx(600.0, rel=1e-9)
    assert temperature.max() < 125.0
    assert power[-1] == pytest.approx(200.0, abs=1e-6)


def test_a_rate_limit_holds():
    """The actuator never moves faster than its rate."""
    from dataclasses import replace

    model = oven(replace(LAW, rate="2 W/s"))
    t = np.linspace(0.0, 600.0, 601)
    power = run(model, t, STEP)[:, [s.name for s in model.outputs].index("power")]
    assert np.max(np.abs(np.diff(power))) <= 2.0 * (1.0 + 1e-6)
    assert np.max(np.abs(np.diff(power))) == pytest.approx(2.0, rel=1e-3)


def test_a_controlled_model_keeps_the_contract_and_travels(spawned):
    """Also its sensitivities to gain, integral time and the settings of set points."""
    setting = pt.Setting("target", "degC", bounds=(30, 90), value="50 degC")
    recipe = pt.Recipe(
        [pt.Phase("a", t_setpoint=setting, duration="15 min"), pt.Phase("b", t_setpoint="40 degC", duration="10 min")]
    )
    report = check_model(oven(LAW), recipe=recipe, accuracy=1e-6, executor=spawned)
    assert report.passed


def test_names_units_and_fingerprints():
    """Parameters of the loop, the new input, the new output; another law is another model."""
    from dataclasses import replace

    model = oven(LAW)
    assert {"power_gain", "power_integral_time"} <= set(model.parameters.names)
    assert [s.name for s in model.inputs] == ["t_setpoint"]
    assert model.inputs[0].unit.text == "degC"
    assert "power" in [s.name for s in model.outputs]
    assert model.fingerprint != oven().fingerprint
    assert oven(replace(LAW, limits=("0 W", "700 W"))).fingerprint != model.fingerprint
    assert oven(LAW).fingerprint == model.fingerprint
    assert sampled(model, STEP)["power_gain"] == 40.0


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"gain": "40 W"}, pt.UnitError),
        ({"gain": "40 W/degC^2"}, pt.UnitError),
        ({"integral_time": "5 K"}, pt.UnitError),
        ({"limits": ("600 W", "0 W")}, pt.ModelError),
        ({"limits": ("0 K", "600 W")}, pt.UnitError),
        ({"start": "5 K"}, pt.UnitError),
        ({"rate": "5 W"}, pt.UnitError),
        ({"start": "900 W"}, (pt.ModelError, pt.BoundsError)),
        ({"integral_time": "0 s"}, (pt.ModelError, pt.BoundsError)),
        ({"rate": "-5 W/s"}, (pt.ModelError, pt.BoundsError)),
        ({"rate": "5 W/s", "response": "0 s"}, (pt.ModelError, pt.BoundsError)),
    ],
)
def test_a_wrong_law_raises(wrong, error):
    """Units, ascending limits, a start within them, times and rates above zero."""
    from dataclasses import replace

    with pytest.raises(error):
        oven(replace(LAW, **wrong))


def test_wrong_names_and_algebraic_loops_raise():
    """The input and the output exist, and the output does not jump with the input."""
    with pytest.raises(pt.UnknownNameError, match="power"):
        pt.with_controller(oven(), "powr", "t", LAW)
    with pytest.raises(pt.UnknownNameError, match='"t"'):
        pt.with_controller(oven(), "power", "tt", LAW)
    m = pt.ProcessBuilder("direct", version="1.0")
    power = m.input("power", "W")
    t = m.state("t", "K", initial="300 K")
    m.rate(t, power / m.constant("500 J/K"))
    m.output("t", t + power / m.constant("10 W/K"))
    with pytest.raises(pt.ModelError, match="at once"):
        pt.with_controller(m.build(), "power", "t", LAW)
