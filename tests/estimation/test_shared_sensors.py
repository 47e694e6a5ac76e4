"""The bias of an instrument is one unknown wherever it was used, against exact Gaussian answers."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation import GaussNewton, QuasiNewton, calibrate
from physics_twin.measurements import Channel, Experiment, Uncertainty, UnknownBias
from physics_twin.measurements.tags.sensors import Sensor

OLD = Sensor("TC-0417/2", uncertainty=Uncertainty("4 K"))
NEW = Sensor("TC-0900", uncertainty=Uncertainty("4 K"))
TIMES = np.arange(8.0)


def line_with_reference(closed_form: Any) -> Any:
    """Two outputs: y = a + b t and z = a, the second of which a reference shows without bias."""
    return closed_form(
        lambda t, v: np.stack([v["a"] + v["b"] * t, v["a"] + 0.0 * t], axis=1),
        pt.ParameterSet([pt.Parameter("a", "1 K"), pt.Parameter("b", "0.1 K/s")]),
        (pt.Signal("y", "K"), pt.Signal("z", "K")),
        name="line",
    )


def run(name: str, outputs: dict[str, Sensor | None], seed: int, bias: float) -> Experiment:
    """a = 300, b = 0.5; channels with a sensor are off by `bias`."""
    rng = np.random.default_rng(seed)
    truth = {"y": 300.0 + 0.5 * TIMES, "z": np.full(TIMES.size, 300.0)}
    data = {
        o: truth[o] + (0.0 if sensor is None else bias) + 0.2 * rng.standard_normal(TIMES.size)
        for o, sensor in outputs.items()
    }
    channels = [Channel(o, unit="K", noise="0.2 K", sensor=sensor) for o, sensor in outputs.items()]
    return Experiment.from_arrays(name, TIMES, data, channels=channels)


def exact(runs: list[Experiment], biases: list[str]) -> tuple[Any, Any]:
    """Mean and covariance of (a, b, biases...) of the linear Gaussian problem."""
    n = 2 + len(biases)
    information, right = np.diag([0.0, 0.0] + [1.0 / 2.0**2] * len(biases)), np.zeros(n)
    for one in runs:
        for series in one:
            design = np.zeros((TIMES.size, n))
            design[:, 0] = 1.0
            design[:, 1] = TIMES if series.channel.output == "y" else 0.0
            if series.channel.sensor is not None:
                design[:, 2 + biases.index(series.channel.bias_name)] = 1.0
            information += design.T @ design / 0.04
            right += design.T @ series.values / 0.04
    return np.linalg.solve(information, right), np.linalg.inv(information)


def check(posterior: pt.Posterior, runs: list[Experiment], biases: list[str]) -> None:
    """Names, mode and covariance are exact."""
    assert set(posterior.names) == {"a", "b", *biases}
    mean, covariance = exact(runs, biases)
    names = ["a", "b", *biases]
    order = [posterior.names.index(name) for name in names]
    np.testing.assert_allclose([posterior.mode.scalar(name) for name in names], mean, rtol=1e-7)
    np.testing.assert_allclose(posterior.covariance.values[np.ix_(order, order)], covariance, rtol=1e-6)


def test_one_thermocouple_in_two_experiments_has_one_bias(closed_form: Any) -> None:
    """Also where it was moved to another output: one unknown, and the exact posterior of it."""
    runs = [run("first", {"y": OLD, "z": None}, 1, 1.7), run("second", {"z": OLD}, 2, 1.7)]
    posterior = calibrate(line_with_reference(closed_form), runs, unknown=["a", "b"], rng=1)
    check(posterior, runs, ["bias.TC_0417_2"])
    assert posterior.mode.scalar("bias.TC_0417_2") == pytest.approx(1.7, abs=0.3)


def test_one_sensor_behind_two_outputs_of_one_experiment(closed_form: Any) -> None:
    """A multiplexed input card: the derivatives of both channels add up in one column."""
    runs = [run("first", {"y": OLD, "z": OLD}, 3, -1.0), run("second", {"z": None}, 4, 0.0)]
    posterior = calibrate(line_with_reference(closed_form), runs, unknown=["a", "b"], rng=1)
    check(posterior, runs, ["bias.TC_0417_2"])


def test_a_replacement_is_another_unknown(closed_form: Any) -> None:
    """Two serials, two biases, each with its own value."""
    runs = [run("first", {"y": OLD, "z": None}, 1, 1.7), run("second", {"y": NEW, "z": None}, 2, -2.0)]
    posterior = calibrate(line_with_reference(closed_form), runs, unknown=["a", "b"], rng=1)
    check(posterior, runs, ["bias.TC_0417_2", "bias.TC_0900"])
    assert posterior.mode.scalar("bias.TC_0417_2") == pytest.approx(1.7, abs=0.3)
    assert posterior.mode.scalar("bias.TC_0900") == pytest.approx(-2.0, abs=0.3)


def test_a_bias_by_experiment_is_still_possible(closed_form: Any) -> None:
    """PerExperiment of a sensor's bias: a column for each experiment that used it."""
    runs = [run("first", {"y": OLD, "z": None}, 1, 1.7), run("second", {"y": OLD, "z": None}, 2, -1.0)]
    unknown = ["a", "b", pt.PerExperiment("bias.TC_0417_2")]
    posterior = calibrate(line_with_reference(closed_form), runs, unknown=unknown, rng=1)
    assert posterior.mode.scalar("bias.TC_0417_2@first") == pytest.approx(1.7, abs=0.3)
    assert posterior.mode.scalar("bias.TC_0417_2@second") == pytest.approx(-1.0, abs=0.3)


def test_a_bias_that_is_given_is_not_estimated(closed_form: Any) -> None:
    """bias= says otherwise: a known bias is subtracted, and there is no unknown."""
    channel = Channel("y", unit="K", noise="0.2 K", sensor=OLD, bias="1.5 K")
    assert dict(channel.parameters) == {}
    one = Experiment.from_arrays("run", TIMES, {"y": 301.5 + 0.5 * TIMES}, channels=[channel])
    posterior = calibrate(line_with_reference(closed_form), one, unknown=["a", "b"], rng=1)
    assert posterior.mode.scalar("a") == pytest.approx(300.0, rel=1e-9)
    mixed = [run("first", {"y": OLD, "z": None}, 1, 1.7), one]
    assert calibrate(line_with_reference(closed_form), mixed, unknown=["a", "b"]).names == ("a", "b", "bias.TC_0417_2")


def test_two_certificates_are_not_one_bias(closed_form: Any) -> None:
    """The same serial after a new calibration, or two serials of one name, are refused in words."""
    model = line_with_reference(closed_form)
    again = Sensor("TC-0417/2", uncertainty=Uncertainty("1 K"))
    other = Sensor("TC.0417.2", uncertainty=Uncertainty("4 K"))
    for second in (again, other):
        runs = [run("first", {"y": OLD}, 1, 1.7), run("second", {"y": second}, 2, 1.7)]
        with pytest.raises(pt.CalibrationError, match=r"bias\.TC_0417_2 would be one bias of two instruments"):
            calibrate(model, runs, unknown=["a"])
    wide = Channel("y", unit="K", noise="0.2 K", sensor=OLD, bias=UnknownBias("9 K"))
    third = Experiment.from_arrays("third", TIMES, {"y": TIMES}, channels=[wide])
    with pytest.raises(pt.CalibrationError, match='two standard deviations, in "first" and in "third"'):
        calibrate(model, [run("first", {"y": OLD}, 1, 1.7), third], unknown=["a"])


def test_the_backward_run_sums_the_bias_over_channels(closed_form: Any) -> None:
    """QuasiNewton, which knows the Jacobian by products only, finds the mode of GaussNewton."""
    forward = line_with_reference(closed_form)

    class Backward(closed_form):  # type: ignore[misc]
        def pullback(self, times: Any, recipe: Any, values: Any, wrt: Any) -> Any:
            outputs, slopes, _ = self.sensitivity(times, recipe, values, wrt)
            return outputs, lambda weights: np.einsum("ij,ijk->k", weights, slopes)

    backward = Backward(forward.formula, forward.parameters, forward.outputs, name="line")
    runs = [run("first", {"y": OLD, "z": OLD}, 1, 1.7), run("second", {"z": None}, 2, 1.7)]
    one = calibrate(forward, runs, unknown=["a", "b"], rng=1, method=GaussNewton())
    other = calibrate(backward, runs, unknown=["a", "b"], rng=1, method=QuasiNewton())
    for name in one.names:
        assert other.mode.scalar(name) == pytest.approx(one.mode.scalar(name), abs=1e-3 * one.standard_errors[name])


def test_predictions_know_the_sensor(closed_form: Any) -> None:
    """The same sensor carries its estimated bias to another experiment; a new one brings its whole certificate."""
    model = line_with_reference(closed_form)
    fitted = [run("first", {"y": OLD, "z": None}, 1, 1.7)]

    def fit(runs: Any) -> pt.Posterior:
        return calibrate(model, runs, unknown=["a", "b"], rng=1)

    same = pt.holdout(model, fitted, fit=fit, held=run("same", {"y": OLD}, 5, 1.7))["y"]
    assert same.sd.max() < 0.4
    assert abs(same.z).max() < 4.0
    replaced = pt.holdout(model, fitted, fit=fit, held=run("replaced", {"y": NEW}, 5, -3.0))["y"]
    assert np.median(replaced.sd) == pytest.approx(2.0, rel=0.15), "the certificate says 4 K with k = 2"
    assert abs(replaced.z).max() < 4.0
    before = pt.compare(model, run("replaced", {"y": NEW}, 5, -3.0), n_draws=800)
    width = float(np.median(before["y"].high - before["y"].low))
    assert width == pytest.approx(2 * 1.96 * np.hypot(2.0, 0.2), rel=0.1)
    assert "bias.TC_0900" in str(before.drawn)
