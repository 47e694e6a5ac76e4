"""What fails raises SolveError with reason, time and values; nothing that is not finite comes back; stderr is quiet."""

import os
import pickle
import threading

import numpy as np
import pytest

import physics_twin as pt
from tests.process.plants import TIGHT, decay, run, sampled


def explosion():
    """x' = k x^2 from 1: infinite at 1/k."""
    m = pt.ProcessBuilder("explosion", version="1.0")
    k = m.parameter("k", "1 1/s")
    x = m.state("x", "1", initial=1.0)
    m.rate(x, k * x**2)
    m.output("x", x)
    return m.build()


def logarithm():
    """x' = -k sqrt(x) log(x) beyond where it is defined."""
    m = pt.ProcessBuilder("logarithm", version="1.0")
    k = m.parameter("k", "1 1/s")
    x = m.state("x", "1", initial=1.0)
    m.rate(x, -k * pt.sqrt(x) / (1.0 + pt.log(x + 1.0)) - k)
    m.output("x", x)
    return m.build()


@pytest.mark.parametrize(("model", "times", "when"), [(explosion(), [2.0], 1.0), (logarithm(), [9.0], None)])
@pytest.mark.parametrize("how", ["trajectory", "sensitivity", "advance"])
def test_a_run_that_blows_up_raises_with_time_reason_values_and_state(model, times, when, how, capfd):
    """In every way of asking; SUNDIALS's own lines never reach stderr."""
    recipe = pt.Recipe.constant()
    values = sampled(model, recipe)
    with pytest.raises(pt.SolveError) as caught:
        if how == "trajectory":
            model.trajectory(np.array(times), recipe, values)
        elif how == "sensitivity":
            model.sensitivity(np.array(times), recipe, values, ["k"])
        else:
            model.advance(model.initial_state(0.0, recipe, values), 0.0, times[0], recipe, values)
    error = caught.value
    assert error.reason
    assert "CV_" not in error.reason and "casadi" not in error.reason.lower()
    assert error.values["k"] == 1.0
    assert "x" in error.state
    assert 0.0 < error.time <= times[0]
    if when is not None:
        assert error.time == pytest.approx(when, rel=1e-2)
    out, err = capfd.readouterr()
    assert err == ""
    assert out == ""


def test_a_failure_leaves_no_trace():
    """The same bits before and after a run that failed."""
    model, recipe = explosion(), pt.Recipe.constant()
    values = sampled(model, recipe)
    before = model.sensitivity(np.array([0.5, 0.9]), recipe, values, ["k"])
    for bad in ({"k": 5.0}, {"k": np.nan}, {"initial.x": np.inf}):
        with pytest.raises(pt.SolveError):
            model.trajectory(np.array([0.5, 0.9]), recipe, {**values, **bad})
    after = model.sensitivity(np.array([0.5, 0.9]), recipe, values, ["k"])
    for a, b in zip(before, after, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", ["k", "initial.x"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_numbers_raise(name, value):
    """NaN and infinite parameters, and numbers whose square overflows, are failures with their values."""
    model, recipe = explosion(), pt.Recipe.constant()
    with pytest.raises(pt.SolveError) as caught:
        model.trajectory(np.array([0.5]), recipe, {**sampled(model, recipe), name: value})
    assert name in caught.value.values


def test_an_output_that_is_not_finite_raises():
    """The states are fine, the output is log of a negative number: at that sample's time."""
    m = pt.ProcessBuilder("output", version="1.0")
    x = m.state("x", "1", initial=1.0)
    m.rate(x, m.constant("-1 1/s"))
    m.output("y", pt.log(x))
    model, recipe = m.build(), pt.Recipe.constant()
    values = sampled(model, recipe)
    with pytest.raises(pt.SolveError, match="y") as caught:
        model.trajectory(np.array([0.5, 2.0]), recipe, values)
    assert caught.value.time == 2.0
    with pytest.raises(pt.SolveError):
        state = model.advance(model.initial_state(0.0, recipe, values), 0.0, 2.0, recipe, values)
        model.observe(state, 2.0, recipe, values)


def test_a_derivative_that_is_not_finite_raises():
    """sqrt at zero has no derivative; infinity is not one."""
    m = pt.ProcessBuilder("root", version="1.0")
    k = m.parameter("k", "0 1/s")
    x = m.state("x", "1", initial=0.0)
    m.rate(x, k)
    m.output("y", pt.sqrt(x))
    model, recipe = m.build(), pt.Recipe.constant()
    with pytest.raises(pt.SolveError, match="y"):
        model.sensitivity(np.array([0.5]), recipe, sampled(model, recipe), ["k"])


def test_too_many_steps_are_given_up():
    """max_steps bounds the work, and the message says so."""
    m = pt.ProcessBuilder("fast", version="1.0")
    x, y = m.state("x", "1", initial=1.0), m.state("y", "1", initial=0.0)
    w = m.constant("1e4 1/s")
    m.rate(x, w * y)
    m.rate(y, -w * x)
    m.output("x", x)
    with pytest.raises(pt.SolveError, match="steps"):
        run(m.build(integrator=pt.Sundials(max_steps=200)), [100.0])


@pytest.mark.parametrize(
    "wrong", [{"rtol": 0.0}, {"rtol": -1e-6}, {"rtol": 2.0}, {"atol": 0.0}, {"atol": np.nan}, {"max_steps": 0}]
)
def test_integrators_refuse_senseless_tolerances(wrong):
    """Zero, negative, above one, NaN, no steps."""
    with pytest.raises(ValueError):
        pt.Sundials(**wrong)


def test_a_missing_value_is_an_error_with_its_name():
    """A parameter that the values do not hold."""
    recipe = pt.Recipe.constant(u="0 kg/s")
    values = sampled(decay(), recipe)
    del values["k"]
    with pytest.raises(KeyError, match="k"):
        decay().trajectory(np.array([1.0]), recipe, values)


def test_the_error_pickles_with_its_attributes():
    """It crosses process borders."""
    try:
        run(explosion(), [2.0])
    except pt.SolveError as error:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        assert (copy.reason, copy.time, copy.values, copy.state, str(copy)) == (
            error.reason,
            error.time,
            error.values,
            error.state,
            str(error),
        )


def test_stderr_is_still_the_same_file_afterwards(capfd):
    """The descriptor is given back, also after failures in several threads and models."""
    before = os.fstat(2)
    models = [explosion() for _ in range(4)]

    def work(model):
        for _ in range(5):
            with pytest.raises(pt.SolveError):
                run(model, [2.0])
            run(model, [0.5])

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_what_other_code_writes_to_stderr_is_not_lost(capfd):
    """Lines that another thread writes while the integrator runs come through."""
    stop = threading.Event()
    n_lines = 0

    def talk():
        nonlocal n_lines
        while not stop.is_set():
            os.write(2, b"line\n")
            n_lines += 1
            stop.wait(0.001)

    talker = threading.Thread(target=talk)
    talker.start()
    for _ in range(100):
        run(decay(TIGHT), [100.0], pt.Recipe.constant(u="0 kg/s"))
    stop.set()
    talker.join()
    assert capfd.readouterr().err == "line\n" * n_lines


@pytest.mark.parametrize("k", [1e-12, 1e12])
def test_very_slow_and_very_fast_models_are_integrated(k):
    """A rate of 1e-12/s and one of 1e12/s over 100 s."""
    recipe = pt.Recipe.constant(u="1 kg/s")
    got = run(decay(), [100.0], recipe, {"k": (k, "1/s"), "initial.x": "2 kg"})[0, 0]
    expected = (2.0 - 1.0 / k) * np.exp(-k * 100.0) + 1.0 / k if k > 1 else 102.0
    assert got == pytest.approx(expected, rel=1e-7, abs=1e-12)
