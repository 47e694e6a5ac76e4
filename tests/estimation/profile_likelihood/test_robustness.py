"""Profiles that meet trouble: simulations that fail, better fits, kills, other executors, wrong options."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, UnknownNameError
from physics_twin.estimation import GaussNewton, Population, ProfileLikelihood, calibrate
from physics_twin.measurements import EstimatedNoise
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Identification, Posterior
from physics_twin.signals import Signal

TIMES = np.geomspace(0.5, 12.0, 14)


def saturation(t: Any, v: Any) -> Any:
    return (v["most"] * t / (v["half"] + t))[:, None]


@pytest.fixture
def model(closed_form) -> Any:
    parameters = [
        Parameter("most", "3 m", bounds=("0.01 m", "100 m")),
        Parameter("half", "2 s", bounds=("0.01 s", "100 s")),
    ]
    return closed_form(saturation, ParameterSet(parameters), (Signal("y", "m"),))


@pytest.fixture
def run(experiment) -> Any:
    y = saturation(TIMES, {"most": 2.0, "half": 3.0})[:, 0]
    y = y + 0.12 * np.random.default_rng(7).standard_normal(TIMES.size)
    return experiment("run", TIMES, y, unit="m", noise=EstimatedNoise("0.3 m"))


def profiled(model: Any, run: Any, **options: Any) -> Posterior:
    return calibrate(model, run, unknown=["most", "half"], method=ProfileLikelihood(), rng=3, **options)


def same(one: Posterior, other: Posterior) -> None:
    np.testing.assert_array_equal(one.draws.values, other.draws.values)
    assert one.diagnostics.equals(other.diagnostics)
    assert (one.message, dict(one.verdicts), one.failures) == (other.message, dict(other.verdicts), other.failures)


def test_failing_simulations_end_a_side_and_not_the_fit(model, run) -> None:
    """Beyond half = 3.3 s nothing can be simulated: the profile goes up to there and says why it ends."""
    free = profiled(model, run)
    wall = free.mode["half"] * 1.1
    model.forbidden = lambda v: np.real(v["half"]) > wall
    posterior = profiled(model, run)
    own = posterior.diagnostics.sel(profile="half")
    assert own["end"].values.tolist() == ["threshold", "failed"]
    assert own["end_reason"].values[1] == "the pump cavitates"
    assert int(own["n_failed"].values[1]) > 0
    last = float(np.nanmax(own["value"].values))
    assert 0.99 * wall < last <= wall, "shorter steps go up to the wall"
    assert own["interval_end"].sel(probability=0.95).values.tolist() == ["crossing", "failed"]
    lower = posterior.diagnostics["interval"].sel(profile="half", probability=0.95, side="lower")
    before = free.diagnostics["interval"].sel(profile="half", probability=0.95, side="lower")
    assert float(lower) == pytest.approx(float(before), rel=1e-4)
    assert "no fit succeeds (the pump cavitates)" in str(posterior.verdicts["half"])
    assert any("half ends early on its upper side" in w for w in posterior.warnings)
    assert posterior.failures and posterior["half"].max() <= wall
    assert posterior.verdicts["half"].identification is Identification.WEAK


def test_a_hole_is_stepped_over_or_said(model, run) -> None:
    """Single values that fail make the step shorter and leave the rest of the profile as it was."""
    free = profiled(model, run)
    fifth = float(free.diagnostics["value"].sel(profile="half").values[3])
    model.forbidden = lambda v: abs(np.real(v["half"]) / fifth - 1.0) < 1e-6
    posterior = profiled(model, run)
    assert posterior.diagnostics["end"].sel(profile="half").values.tolist() == ["threshold", "threshold"]
    np.testing.assert_allclose(posterior.diagnostics["interval"].values, free.diagnostics["interval"].values, rtol=2e-3)
    assert int(posterior.diagnostics["n_failed"].sum()) > 0


class Backwards(Executor):
    """Computes the last job first."""

    def __init__(self, n: int) -> None:
        self.n, self.jobs = n, []  # type: ignore[var-annotated]

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future = Future()
        self.jobs.append((future, fn, args))
        if len(self.jobs) == self.n:
            for later, work, given in reversed(self.jobs):
                later.set_result(work(*given))
        return future


def test_any_executor_and_order(model, run) -> None:
    """The same bits from threads and from jobs that end in reverse."""
    serial = profiled(model, run)
    for executor in (Backwards(4), ThreadPoolExecutor(2)):
        same(profiled(model, run, executor=executor), serial)


@pytest.mark.parametrize("after", [0, 3, 20, 60])
def test_a_kill_anywhere_and_a_resume(after, model, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run killed after some simulations and called again gives the bytes of a run that was never stopped."""
    whole = profiled(model, run)
    recall, asked = Memo.recall, [0]

    class Killed(BaseException):
        pass

    def deadly(self: Memo, *args: Any) -> Any:
        asked[0] += 1
        if asked[0] > after:
            raise Killed
        return recall(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Memo, "recall", deadly)
        with pytest.raises(Killed):
            profiled(model, run, checkpoint=tmp_path / "kept")
    model.calls.clear()
    same(profiled(model, run, checkpoint=tmp_path / "kept"), whole)
    first = len(model.calls)
    model.calls.clear()
    same(profiled(model, run, checkpoint=tmp_path / "kept"), whole)
    assert len(model.calls) < 0.2 * first, "what was simulated is remembered"


def test_a_better_fit_on_the_way_begins_anew(closed_form, experiment) -> None:
    """From a start in the wrong valley, the profile walks into the right one, and all is done again from there."""
    t = np.linspace(0.0, 6.0, 60)
    parameters = [Parameter("rate", "3.5 1/s", bounds=("0.2 1/s", "6 1/s"))]
    model = closed_form(lambda t, v: np.cos(v["rate"] * t)[:, None], ParameterSet(parameters), (Signal("y", "m"),))
    y = np.cos(1.6 * t) + 0.5 * np.random.default_rng(0).standard_normal(t.size)
    run = experiment("run", t, y, unit="m", noise="2.5 m")
    plain = calibrate(model, run, unknown=["rate"], method=GaussNewton(), rng=0)
    assert abs(plain.mode["rate"] - 1.6) > 0.3, "this start leads astray"
    posterior = calibrate(model, run, unknown=["rate"], method=ProfileLikelihood(), rng=0)
    assert posterior.mode["rate"] == pytest.approx(1.6, abs=0.1)
    assert "began anew there" in posterior.message
    assert float(posterior.diagnostics["rise"].min()) > -0.05
    assert posterior.verdicts["rate"].identified


def test_a_model_without_derivatives(model, run, without_sensitivities) -> None:
    """Differences do: the same intervals to their accuracy."""
    exact = profiled(model, run).diagnostics["interval"]
    differenced = profiled(without_sensitivities(model), run).diagnostics["interval"]
    np.testing.assert_allclose(differenced.values, exact.values, rtol=2e-3)


def test_some_parameters_only(model, run) -> None:
    """Others keep the draws and the verdict of the Laplace approximation."""
    method = ProfileLikelihood(parameters="half", probabilities=(0.9,))
    posterior = calibrate(model, run, unknown=["most", "half"], method=method, rng=3)
    assert posterior.diagnostics["profile"].values.tolist() == ["half"]
    assert posterior.diagnostics["probability"].values.tolist() == [0.9]
    laplace = calibrate(model, run, unknown=["most", "half"], rng=3)
    np.testing.assert_array_equal(posterior["most"], laplace["most"])
    assert posterior.verdicts["most"] == laplace.verdicts["most"]


def test_members_of_a_population_keep_their_draws(decay, experiment) -> None:
    """Profiles hold the spread; the draws of mean and members know how uncertain it is."""
    t, rng = np.linspace(0.5, 8.0, 10), np.random.default_rng(0)
    runs = []
    for i in range(4):
        y = 10.0 * np.exp(-0.3 * np.exp(0.2 * rng.standard_normal()) * t) + 0.2 * rng.standard_normal(10)
        runs.append(experiment(f"run{i}", t, y, output="c", unit="mol/m^3", noise="0.2 mol/m^3"))
    fit = GaussNewton(n_draws=200)
    unknown = ["start", Population("rate", 0.3)]
    found = [calibrate(decay(), runs, unknown=unknown, method=m, rng=1) for m in (fit, ProfileLikelihood(fit=fit))]
    for name in ("mean.rate", "rate@run0", "spread.rate"):
        np.testing.assert_array_equal(found[1][name], found[0][name])
    assert set(found[1].diagnostics["end"].values.ravel().tolist()) == {"threshold"}


def test_the_rough_answer_comes_first(model, run) -> None:
    """The Gauss-Newton fit is shown before the profiles are computed."""
    shown: list[Posterior] = []
    posterior = profiled(model, run, preview=shown.append)
    assert len(shown) == 1 and "rise" not in shown[0].diagnostics
    assert shown[0].mode == posterior.mode


def test_wrong_options(model, run) -> None:
    """Each is refused with what is right."""
    for options, text in (
        ({"probabilities": (0.5, 1.0)}, "below 1"),
        ({"probabilities": ()}, "above 0"),
        ({"steps": 2}, "at least 3"),
        ({"parameters": ()}, "leave it out"),
    ):
        with pytest.raises(CalibrationError, match=text):
            ProfileLikelihood(**options)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="half"):
        calibrate(model, run, unknown=["most", "half"], method=ProfileLikelihood(parameters=["halt"]), rng=0)
    with pytest.raises(CalibrationError, match="belongs to the noise"):
        calibrate(model, run, unknown=["most", "half"], method=ProfileLikelihood(parameters=["noise.y"]), rng=0)
