"""What a sample shows of the model: window means, weighted means, uncertain times, and their derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import norm

import physics_twin as pt
from physics_twin.errors import SolveError, UnknownNameError
from physics_twin.estimation.adjoint import pull_back
from physics_twin.estimation.evaluation import Differences, evaluate
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.measurements import Averaged, Channel, Experiment, UnknownBias, UnknownDelay
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior.observation import Course, course_for
from physics_twin.signals import Signal
from tests.estimation.conftest import ClosedForm

START, RATE = 10.0, 0.02
STEP = Differences(1e-3, True)
TIMES = np.array([40.0, 100.0, 160.0, 400.0])


def transient(**changes: Any) -> ClosedForm:
    """c = start exp(-rate t), with a flow that falls on a straight line."""

    def formula(t: Any, v: Any) -> Any:
        c = v["start"] * np.exp(-v["rate"] * t)
        return np.stack([c, v["flow"] * (1.0 - t / 1000.0)], axis=-1)

    parameters = [
        Parameter("start", (START, "mol/m^3"), bounds=("0.1 mol/m^3", "100 mol/m^3")),
        Parameter("rate", (RATE, "1/s"), bounds=("1e-4 1/s", "1 1/s")),
        Parameter("flow", "2 m^3/s", bounds=("0.1 m^3/s", "10 m^3/s")),
    ]
    signals = (Signal("c", "mol/m^3"), Signal("q", "m^3/s"))
    return ClosedForm(formula, ParameterSet(parameters), signals, name="transient", **changes)


def problem(channel: Channel, model: ClosedForm | None = None, times: Any = TIMES, **arrays: Any) -> Problem:
    run = Experiment.from_arrays("run", times, {"c": np.zeros(len(times))}, channels=[channel], **arrays)
    return set_up(transient() if model is None else model, (run,), ["start", "rate", "flow"])


def declared(**more: Any) -> Channel:
    return Channel("c", unit="mol/m^3", noise="0.1 mol/m^3", **more)


def at_start(found: Problem) -> Any:
    return found.space.z(np.array([c.parameter.value for c in found.columns]))


def mean_of(begin: Any, end: Any) -> Any:
    """Mean of the transient over windows, in closed form; before time zero it stands at its start."""
    inside = START / RATE * (np.exp(-RATE * np.maximum(begin, 0.0)) - np.exp(-RATE * end))
    return (inside + START * np.maximum(-begin, 0.0)) / (end - begin)


@pytest.mark.parametrize(("stamp", "before"), [("start", 0.0), ("middle", 30.0), ("end", 60.0)])
def test_a_window_mean_is_that_of_the_model(stamp: Any, before: float) -> None:
    """Means over 60 s of an exponential, wherever the stamp lies: the closed form to 1e-10, also before time zero."""
    found = problem(declared(averaged=Averaged("60 s", stamp=stamp)))
    shown = -evaluate(found, at_start(found), None).residual
    np.testing.assert_allclose(shown, mean_of(TIMES - before, TIMES - before + 60.0), rtol=1e-10)


def test_windows_of_any_length_from_arrays() -> None:
    """Windows that are stated one by one, one of them a moment."""
    begins, ends = np.array([0.0, 90.0, 150.0, 300.0]), np.array([50.0, 110.0, 150.0, 360.0])
    found = problem(declared(), windows={"c": (begins, ends)})
    shown = -evaluate(found, at_start(found), None).residual
    expected = np.array(
        [mean_of(b, e) if e > b else START * np.exp(-RATE * b) for b, e in zip(begins, ends, strict=True)]
    )
    np.testing.assert_allclose(shown, expected, rtol=1e-10)


def test_a_mean_weighted_by_the_flow() -> None:
    """What a vessel holds after a fraction: the integral of concentration times flow over that of the flow."""
    found = problem(declared(averaged=Averaged("60 s", stamp="end", weight="q")))
    shown = -evaluate(found, at_start(found), None).residual

    def collected(end: float) -> float:
        begin = end - 60.0

        def flow(t: float) -> float:
            return 2.0 * (1.0 - max(t, 0.0) / 1000.0)

        def c(t: float) -> float:
            return float(START * np.exp(-RATE * max(t, 0.0)))

        points = {"points": [0.0]} if begin < 0.0 else {}
        amount = integrate.quad(lambda t: flow(t) * c(t), begin, end, epsabs=1e-13, **points)[0]
        return float(amount / integrate.quad(flow, begin, end, **points)[0])

    np.testing.assert_allclose(shown, [collected(t) for t in TIMES], rtol=1e-10)


def test_a_weight_that_integrates_to_zero_is_an_error() -> None:
    """No flow, no fraction: the message names output and window."""
    channel = declared(averaged=Averaged("60 s", stamp="end", weight="q"))
    found = problem(channel, times=np.array([1030.0]))
    with pytest.raises(SolveError, match=r'weight "q" of a mean integrates to zero over its window, from about 97'):
        evaluate(found, at_start(found), None)


def test_a_weight_that_no_output_has_is_named() -> None:
    """A misspelled weight is told before any simulation."""
    with pytest.raises(UnknownNameError, match='"Q"'):
        problem(declared(averaged=Averaged("60 s", stamp="end", weight="Q")))


LOOKS: dict[str, dict[str, Any]] = {
    "mean": {"averaged": Averaged("60 s", stamp="end")},
    "weighted": {"averaged": Averaged("60 s", stamp="end", weight="q")},
    "uncertain": {"time_noise": "8 s"},
    "both": {"averaged": Averaged("60 s", stamp="middle", weight="q"), "time_noise": "8 s"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_derivatives_are_those_of_central_differences(look: str) -> None:
    """Of residuals and extra variances, delay and bias among the unknowns: exact against steps of 1e-5 of the search.

    Central differences err by h^2 times the third derivative, and 1e-16/h by rounding: 1e-8 together is generous.
    """
    channel = declared(**LOOKS[look], delay=UnknownDelay("0 s", "30 s"), bias=UnknownBias("1 mol/m^3"))
    found = problem(channel)
    z = at_start(found)
    point = evaluate(found, z, STEP)
    steps = 1e-5 * np.eye(z.size)
    for key, slope in (("residual", point.jacobian), ("extra", point.extra_jacobian)):
        if slope is None:
            assert "uncertain" not in look and look != "both"
            continue
        moved = [
            (getattr(evaluate(found, z + h, None), key) - getattr(evaluate(found, z - h, None), key)) / 2e-5
            for h in steps
        ]
        np.testing.assert_allclose(slope, np.array(moved).T, rtol=1e-6, atol=2e-8 * max(1.0, np.abs(slope).max()))


@pytest.mark.parametrize("look", LOOKS)
def test_without_sensitivities_all_is_differenced(look: str, without_sensitivities: Callable[..., Any]) -> None:
    """A model that only steps gives the same point, by differences."""
    channel = declared(**LOOKS[look])
    exact, plain = (problem(channel, model) for model in (transient(), without_sensitivities(transient())))
    z = at_start(exact)
    ours, theirs = (evaluate(one, z, STEP) for one in (exact, plain))
    np.testing.assert_allclose(theirs.residual, ours.residual, rtol=1e-12)
    np.testing.assert_allclose(theirs.jacobian, ours.jacobian, atol=1e-5 * np.abs(ours.jacobian).max())
    if ours.extra is not None:
        assert theirs.extra_jacobian is not None and ours.extra_jacobian is not None
        np.testing.assert_allclose(theirs.extra, ours.extra, rtol=1e-10)
        np.testing.assert_allclose(
            theirs.extra_jacobian, ours.extra_jacobian, atol=1e-5 * np.abs(ours.extra_jacobian).max()
        )


class RunsBackward:
    """The closed form with adjoints made of its sensitivities."""

    def __init__(self, inner: ClosedForm) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def pullback(self, times: Any, recipe: Any, values: Any, wrt: Any) -> Any:
        outputs, slopes, _ = self._inner.sensitivity(times, recipe, values, wrt)
        return outputs, lambda weights: np.einsum("to,tow->w", weights, slopes)


@pytest.mark.parametrize("look", LOOKS)
def test_products_with_adjoints_are_those_with_the_jacobian(look: str) -> None:
    """J^T v and E^T u of backward runs against the exact Jacobians, delays (by differences) included."""
    channel = declared(**LOOKS[look], delay=UnknownDelay("0 s", "30 s"))
    forward, backward = problem(channel), problem(channel, RunsBackward(transient()))  # type: ignore[arg-type]
    z = at_start(forward)
    point, pulled = evaluate(forward, z, STEP), pull_back(backward, z)
    v, u = np.random.default_rng(1).standard_normal((2, forward.n_data))
    expected = point.jacobian.T @ v
    np.testing.assert_allclose(pulled.point.residual, point.residual, rtol=1e-12)
    np.testing.assert_allclose(pulled.transpose(v), expected, rtol=1e-5, atol=1e-6)
    if point.extra is not None and point.extra_jacobian is not None:
        np.testing.assert_allclose(pulled.point.extra, point.extra, rtol=1e-12)
        np.testing.assert_allclose(pulled.transpose(v, u), expected + point.extra_jacobian.T @ u, rtol=1e-5, atol=1e-5)


def test_an_uncertain_time_against_quadrature_and_chance() -> None:
    """Expected value and extra variance over a normal time: closed form of an exponential, and 200,000 random times.

    Five Gauss-Hermite nodes are exact to degree 9, and rate * sd = 0.16: the rest is 0.16^10 / 10! * 945 < 1e-11. All
    times are twelve standard deviations from the start.
    """
    times = TIMES[1:]
    found = problem(declared(time_noise="8 s"), times=times)
    point = evaluate(found, at_start(found), None)
    a = RATE * 8.0
    y = START * np.exp(-RATE * times)
    expected = y * np.exp(0.5 * a**2)
    variance = y**2 * (np.exp(2.0 * a**2) - np.exp(a**2))
    np.testing.assert_allclose(-point.residual, expected, rtol=1e-9)
    np.testing.assert_allclose(point.extra, variance, rtol=1e-6)
    at = times + 8.0 * np.random.default_rng(0).standard_normal((200_000, 1))
    random = START * np.exp(-RATE * at)
    np.testing.assert_allclose(-point.residual, random.mean(axis=0), rtol=5 * a / np.sqrt(200_000))
    np.testing.assert_allclose(point.extra, random.var(axis=0), rtol=5 * np.sqrt(2.0 / 200_000))


def test_times_before_the_start_show_the_start() -> None:
    """A sample at 1 s +- 8 s: before zero the initial value, behind it the exponential of a cut normal, closed form.

    E[exp(-r t); t > 0] of a normal is exp(-r m + r^2 s^2 / 2) Phi((m - r s^2) / s).
    """
    found = problem(declared(time_noise="8 s"), times=np.array([1.0]))
    point = evaluate(found, at_start(found), None)
    assert point.extra is not None

    def moment(r: float) -> float:
        return float(norm.cdf(-1.0 / 8.0) + np.exp(-r + 0.5 * (8.0 * r) ** 2) * norm.cdf((1.0 - 64.0 * r) / 8.0))

    assert -point.residual[0] == pytest.approx(START * moment(RATE), rel=1e-10)
    assert point.extra[0] == pytest.approx(START**2 * (moment(2.0 * RATE) - moment(RATE) ** 2), rel=1e-7)


def test_a_delay_moves_whole_windows() -> None:
    """A sensor that is 20 s late shows the mean over the window 20 s before."""
    found = problem(declared(averaged=Averaged("60 s", stamp="end"), delay="20 s"))
    shown = -evaluate(found, at_start(found), None).residual
    np.testing.assert_allclose(shown, mean_of(TIMES - 80.0, TIMES - 20.0), rtol=1e-10)


def test_windows_are_cut_where_an_input_jumps() -> None:
    """An output with a kink where the heater is switched on within the window: exact, and 7 % off without the cut."""
    recipe = pt.Recipe(
        [pt.Phase("off", duration="130 s", heat="0 W"), pt.Phase("on", duration="1 h", heat="5 W")], hold_end=True
    )

    def formula(t: Any, v: Any) -> Any:
        return (v["a"] * np.where(np.real(t) > 130.0, 5.0 * (1.0 - np.exp(-(t - 130.0) / 40.0)), 0.0 * t))[:, None]

    model = ClosedForm(formula, ParameterSet([Parameter("a", "1")]), (Signal("y", "1"),), (Signal("heat", "W"),))
    channel = Channel("y", unit="1", noise="0.1", averaged=Averaged("60 s", stamp="end"))
    run = Experiment.from_arrays("run", [160.0], {"y": [0.0]}, channels=[channel], recipe=recipe)
    found = set_up(model, (run,), ["a"])
    shown = -evaluate(found, at_start(found), None).residual[0]
    exact = 5.0 * (30.0 - 40.0 * (1.0 - np.exp(-30.0 / 40.0))) / 60.0
    assert shown == pytest.approx(exact, rel=1e-8)
    assert course_for(model, recipe, {}).jumps.tolist() == [0.0, 130.0, 3730.0]
    assert isinstance(found.tasks[0].course, Course)


def held_at(corners: Any, levels: Any) -> pt.Recipe:
    """A heater held at levels (W) from corners (s) on."""
    heat = pt.table(corners, levels, "W", pt.HOLD, hold_after=True)
    return pt.Recipe([pt.Phase("run", duration="2 d", heat=heat)], hold_end=True)


def shown_of(output: Callable[[Any], Any], channel: dict[str, Any], times: Any, recipe: pt.Recipe) -> Any:
    """Problem and point of a model a * output(t) at a = 1; a recipe with an input "heat"."""

    def formula(t: Any, v: Any) -> Any:
        return (v["a"] * output(t))[:, None]

    a = Parameter("a", "1", bounds=("0.1", "10"))
    model = ClosedForm(formula, ParameterSet([a]), (Signal("y", "1"),), (Signal("heat", "W"),))
    own = Channel("y", unit="1", **{"noise": "0.01", **channel})
    run = Experiment.from_arrays("run", times, {"y": np.zeros(len(times))}, channels=[own], recipe=recipe)
    found = set_up(model, (run,), ["a"])
    return found, evaluate(found, at_start(found), STEP)


@pytest.mark.parametrize("n_pulses", [1, 8, 9, 40])
def test_early_pulses_leave_the_rest_of_a_window_as_exact(n_pulses: int) -> None:
    """A ten-minute mean with a time constant of one minute, however often the heater jumps in its first seconds.

    Graded pieces leave 1e-6 of the height; two nodes on the long rest left a third of the mean.
    """
    recipe = held_at(np.arange(n_pulses + 1.0), np.arange(n_pulses + 1.0) % 2)
    mean = {"averaged": Averaged("10 min", stamp="end")}
    point = shown_of(lambda t: np.exp(-t / 60.0), mean, [600.0], recipe)[1]
    assert -point.residual[0] == pytest.approx(0.1 * (1.0 - np.exp(-10.0)), abs=2e-6)


@pytest.mark.parametrize("constant", [30.0, 300.0, 3600.0, 86400.0])
def test_a_composite_of_a_day_for_any_time_constant(constant: float) -> None:
    """Relaxations of half a minute to a day, read as one mean over the day, noise 1e-2: far within the noise."""
    mean = {"averaged": Averaged("1 d", stamp="end")}
    point = shown_of(lambda t: np.exp(-t / constant), mean, [86400.0], held_at([0.0], [1.0]))[1]
    exact = constant / 86400.0 * (1.0 - np.exp(-86400.0 / constant))
    assert -point.residual[0] == pytest.approx(exact, abs=2e-5)


@pytest.mark.parametrize("cycles", [5, 17, 60])
def test_windows_are_cut_until_oscillations_average_out(cycles: int) -> None:
    """sin^2 over many periods is a half: as exact as a thousandth of the noise, whatever five nodes would say."""
    mean = {"averaged": Averaged("10 min", stamp="end"), "noise": "0.01"}
    found, point = shown_of(
        lambda t: np.sin(np.pi * cycles * t / 600.0) ** 2, mean, [2000.0, 2600.0], held_at([0.0], [1.0])
    )
    np.testing.assert_allclose(-point.residual, 0.5 + _rest(cycles, np.array([2000.0, 2600.0])), atol=1e-5)
    windows = found.channels[0].windows
    assert windows is not None and windows.parts.max() <= 64


def _rest(cycles: int, ends: Any) -> Any:
    """What sin^2 averages to over windows of 600 s, beyond a half."""
    rate = 2.0 * np.pi * cycles / 600.0
    return -0.5 * (np.sin(rate * ends) - np.sin(rate * (ends - 600.0))) / (600.0 * rate)


def test_smooth_windows_keep_their_five_nodes() -> None:
    """Far from jumps and smooth within: five nodes a window, so nothing is paid for the check but one run."""
    found = problem(declared(averaged=Averaged("20 s", stamp="end")), times=TIMES[1:])
    grid = found.tasks[0].grid
    assert grid is not None and grid.times.size == 5 * 3


def test_predictions_are_cut_as_finely() -> None:
    """Held-back means of an oscillation are those of the model, although it is another run that predicts them."""

    def formula(t: Any, v: Any) -> Any:
        return (v["a"] * np.sin(np.pi * t / 60.0) ** 2)[:, None]

    model = ClosedForm(formula, ParameterSet([Parameter("a", "1", bounds=("0.1", "10"))]), (Signal("y", "1"),))
    own = Channel("y", unit="1", noise="1e-3", averaged=Averaged("10 min", stamp="end"))
    first, second = (
        Experiment.from_arrays(name, start + 600.0 * np.arange(1.0, 9.0), {"y": 0.5 + 1e-3 * noise}, channels=[own])
        for name, start, noise in zip(
            ("first", "second"), (0.0, 1200.0), np.random.default_rng(0).standard_normal((2, 8)), strict=True
        )
    )
    checked = pt.holdout(model, first, fit=lambda runs: pt.calibrate(model, runs, unknown=["a"], rng=0), held=second)
    assert checked.posterior.mode.scalar("a") == pytest.approx(1.0, abs=4e-3)
    np.testing.assert_allclose(checked.channels[0].middle, 0.5, atol=2e-3)


def test_jumps_behind_a_phase_that_ends_on_a_level() -> None:
    """They come at times that only the run knows: the course says so, and windows there are cut finely.

    512 parts of two nodes or more place a step within 600 s / 1024 at worst.
    """
    recipe = pt.Recipe(
        [
            pt.Phase("fill", duration="100 s", heat="1 W"),
            pt.Phase("heat", until=pt.rises_to("y", "0.5"), at_most="1 h", heat="5 W"),
            pt.Phase("hold", duration="1 h", heat="0 W"),
        ],
        hold_end=True,
    )
    mean = {"averaged": Averaged("10 min", stamp="end")}
    found, point = shown_of(lambda t: np.where(np.real(t) > 237.0, 1.0, 0.0) + 0.0 * t, mean, [600.0], recipe)
    assert found.tasks[0].course.jumps.tolist() == [0.0, 100.0]
    assert found.tasks[0].course.jumps_until == 100.0
    assert -point.residual[0] == pytest.approx(363.0 / 600.0, abs=1e-3)


SPOT = np.array([85.0, 87.0, 90.0, 95.0, 99.0, 100.0, 103.0, 120.0])


def test_an_uncertain_time_across_a_step_is_exact() -> None:
    """Expected value and variance of a step at 100 s are p and p (1 - p), p the chance that it is past."""
    step = held_at([0.0, 100.0], [0.0, 1.0])
    point = shown_of(lambda t: np.where(np.real(t) >= 100.0, 1.0, 0.0) + 0.0 * t, {"time_noise": "10 s"}, SPOT, step)[1]
    chance = norm.cdf((SPOT - 100.0) / 10.0)
    np.testing.assert_allclose(-point.residual, chance, rtol=1e-12)
    np.testing.assert_allclose(point.extra, chance * (1.0 - chance), rtol=1e-11)


@pytest.mark.parametrize("lag", [2.0, 5.0, 20.0])
def test_an_uncertain_time_across_a_lagging_response(lag: float) -> None:
    """A response that lags behind the step: closed form of the exponential behind a cut normal, to 1e-3 of the height.

    At a lag of half a standard deviation and more the expected value is good to 2e-5, the variance to 2e-4.
    """
    step = held_at([0.0, 100.0], [0.0, 1.0])

    def response(t: Any) -> Any:
        return np.where(np.real(t) > 100.0, 1.0 - np.exp(-(t - 100.0) / lag), 0.0 * t)

    point = shown_of(response, {"time_noise": "10 s"}, SPOT, step)[1]
    m = (SPOT - 100.0) / 10.0

    def died(rate: float) -> Any:
        return np.exp(-rate * m + 0.5 * rate**2) * norm.cdf(m - rate)

    once, twice = died(10.0 / lag), died(20.0 / lag)
    mean = norm.cdf(m) - once
    np.testing.assert_allclose(-point.residual, mean, atol=1e-3 if lag < 5.0 else 2e-5)
    variance = norm.cdf(m) - 2.0 * once + twice - mean**2
    np.testing.assert_allclose(point.extra, variance, atol=1e-3 if lag < 5.0 else 2e-4)


JUMPING: dict[str, dict[str, Any]] = {
    "uncertain": {"time_noise": "10 s"},
    "mean": {"averaged": Averaged("60 s", stamp="middle")},
    "both": {"averaged": Averaged("60 s", stamp="middle"), "time_noise": "8 s"},
}


@pytest.mark.parametrize("look", JUMPING)
def test_the_delay_of_an_output_that_jumps(look: str) -> None:
    """Derivatives by the delay where the output itself jumps: against central differences, and not zero.

    Nodes do not move as a whole there: chances and weights go from one side of the jump to the other.
    """
    step = held_at([0.0, 100.0], [0.0, 1.0])

    def formula(t: Any, v: Any) -> Any:
        return (v["a"] * np.where(np.real(t) >= 100.0, 2.0 - 0.01 * t, 0.0 * t))[:, None]

    a = Parameter("a", "1", bounds=("0.1", "10"))
    model = ClosedForm(formula, ParameterSet([a]), (Signal("y", "1"),), (Signal("heat", "W"),))
    own = Channel("y", unit="1", noise="0.01", delay=UnknownDelay("0 s", "31 s"), **JUMPING[look])
    run = Experiment.from_arrays("run", SPOT, {"y": np.zeros(SPOT.size)}, channels=[own], recipe=step)
    found = set_up(model, (run,), ["a"])
    z = at_start(found)
    point = evaluate(found, z, STEP)
    late = found.names.index("delay.y")
    h = np.zeros(z.size)
    h[late] = 1e-5
    above, below = evaluate(found, z + h, None), evaluate(found, z - h, None)
    np.testing.assert_allclose(point.jacobian[:, late], (above.residual - below.residual) / 2e-5, rtol=1e-5, atol=1e-7)
    assert np.abs(point.jacobian[:, late]).max() > 0.1
    if point.extra_jacobian is not None and above.extra is not None and below.extra is not None:
        changed = (above.extra - below.extra) / 2e-5
        np.testing.assert_allclose(point.extra_jacobian[:, late], changed, rtol=1e-5, atol=1e-7)


def test_sixty_second_means_of_a_fast_transient() -> None:
    """Time constant 20 s, read as means over 60 s: the rate is found, where a fit at the mean times is 22 % off.

    A mean over a window is sinh(x)/x times the value in its middle, x = rate * 30 s: the first sample alone, with the
    start held, asks for a rate that is ln(sinh(1.5)/1.5)/1.5 = 23 % too low; the later ones pull it back a little.
    """
    rate, start = 0.05, 10.0
    ends = np.arange(60.0, 361.0, 60.0)
    truth = start / rate / 60.0 * (np.exp(-rate * (ends - 60.0)) - np.exp(-rate * ends))
    noisy = truth + 1e-4 * np.random.default_rng(3).standard_normal(ends.size)
    channel = {"unit": "mol/m^3", "noise": "1e-4 mol/m^3"}

    def fit(times: Any, **more: Any) -> Any:
        run = Experiment.from_arrays("run", times, {"c": noisy}, channels=[Channel("c", **channel, **more)])
        return pt.calibrate(transient(), run, unknown=["rate"], rng=0)

    right = fit(ends, averaged=Averaged("60 s", stamp="end"))
    naive = fit(ends - 30.0)
    sd = float(right.draws.sel(parameter="rate").std())
    assert abs(right.mode.scalar("rate") - rate) < 4.0 * sd < 1e-4
    assert naive.mode.scalar("rate") / rate - 1.0 == pytest.approx(-0.23, abs=0.015)


def test_moments_are_asked_as_ever() -> None:
    """Without windows the grid is that of the sample times, and its rows are plain numbers."""
    found = problem(declared())
    grid = found.tasks[0].grid
    assert grid is not None and isinstance(grid.rows[0], np.ndarray)
    np.testing.assert_array_equal(grid.times, TIMES)
    assert found.plain and not found.uncertain_times


def test_quasi_newton_fits_windows() -> None:
    """The mode of means weighted by a flow is the same by backward runs as by the Jacobian."""
    ends = np.arange(30.0, 301.0, 30.0)
    values = mean_of(ends - 30.0, ends) + 0.05 * np.random.default_rng(0).standard_normal(ends.size)
    own = declared(averaged=Averaged("30 s", stamp="end", weight="q"))
    run = Experiment.from_arrays("run", ends, {"c": values}, channels=[own])
    forward, backward = (
        pt.calibrate(model, run, unknown=["start", "rate"], method=method, rng=0)
        for model, method in ((transient(), pt.GaussNewton()), (RunsBackward(transient()), pt.QuasiNewton()))
    )
    for name in ("start", "rate"):
        sd = float(forward.draws.sel(parameter=name).std())
        assert backward.mode.scalar(name) == pytest.approx(forward.mode.scalar(name), abs=3e-3 * sd)


def test_a_process_model_is_averaged_with_its_own_derivatives() -> None:
    """Means of a builder's model against the closed form, and its Jacobian against central differences.

    The integrator's tolerance is 1e-6 or so: that is what means agree to.
    """
    m = pt.ProcessBuilder("decay", version="1.0")
    rate = m.parameter("rate", "0.02 1/s", bounds=("0.001 1/s", "1 1/s"))
    c = m.state("c", "mol/m^3", initial="10 mol/m^3")
    m.rate(c, -rate * c)
    m.output("c", c)
    own = declared(averaged=Averaged("60 s", stamp="end"), delay=UnknownDelay("0 s", "30 s"))
    recipe = pt.Recipe.constant(duration="500 s")
    run = Experiment.from_arrays("run", TIMES, {"c": np.zeros(4)}, channels=[own], recipe=recipe)
    found = set_up(m.build(), (run,), ["rate"])
    z = at_start(found)
    point = evaluate(found, z, STEP)
    np.testing.assert_allclose(-point.residual, mean_of(TIMES - 75.0, TIMES - 15.0), rtol=2e-5)
    for j, h in enumerate(1e-2 * np.eye(2)):
        moved = (evaluate(found, z + h, None).residual - evaluate(found, z - h, None).residual) / 2e-2
        np.testing.assert_allclose(point.jacobian[:, j], moved, rtol=2e-2, atol=2e-3)


def test_intervals_of_samples_at_uncertain_times_cover() -> None:
    """Forty data sets whose times are off by 4 s: 95 % intervals hold the rate as often as binomial chance allows.

    Fewer than 34 of 40 has a probability of 2 % at 95 %; taken as exact, the times leave it outside in most.
    """
    times, rng = np.arange(10.0, 200.0, 10.0), np.random.default_rng(0)
    held = {"told": 0, "taken as exact": 0}
    for _ in range(40):
        at = np.maximum(times + 4.0 * rng.standard_normal(times.size), 0.0)
        values = START * np.exp(-RATE * at) + 0.02 * rng.standard_normal(times.size)
        for how in held:
            more = {"time_noise": "4 s"} if how == "told" else {}
            channel = Channel("c", unit="mol/m^3", noise="0.02 mol/m^3", **more)  # type: ignore[arg-type]
            run = Experiment.from_arrays("run", times, {"c": values}, channels=[channel])
            posterior = pt.calibrate(transient(), run, unknown=["rate"], rng=0)
            low, high = posterior.quantile([0.025, 0.975]).sel(parameter="rate").values
            held[how] += int(low < RATE < high)
    assert held["told"] >= 34
    assert held["taken as exact"] <= 20
