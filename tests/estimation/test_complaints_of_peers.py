"""What users of other libraries complain of, asked of this one: failures, long runs, intervals, results.

Each docstring names the thread. Data and units are asked in `test_complaints_about_data.py`.
"""

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import physics_twin as pt

TIMES = np.linspace(0.0, 10.0, 21)
NOISE = 0.3
Y = 2.4 + 0.4 * TIMES + NOISE * np.random.default_rng(0).standard_normal(TIMES.size)
BOUNDED = [
    pt.Parameter("a", "1 K", bounds=("-20 K", "20 K")),
    pt.Parameter("b", "0.1 K/s", bounds=("-5 K/s", "5 K/s")),
]
METHODS = {
    "GaussNewton": pt.GaussNewton(n_draws=200),
    "QuasiNewton": pt.QuasiNewton(n_draws=200),
    "EnsembleSmoother": pt.EnsembleSmoother(n_members=60),
    "MarkovChain": pt.MarkovChain(n_draws=200, steps=100, warm_up=60, n_chains=2),
    "ProfileLikelihood": pt.ProfileLikelihood(fit=pt.GaussNewton(n_draws=200)),
}
methods = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


@pytest.fixture
def model(closed_form) -> Any:
    """y = a + b t, which refuses what a test forbids, knows its adjoints and keeps every value it is asked for."""

    class Watched(closed_form):  # type: ignore[misc]
        def trajectory(self, times: Any, recipe: Any, values: Any, state: Any = None) -> Any:
            asked.append(dict(values))
            return super().trajectory(times, recipe, values, state)

        def pullback(self, times: Any, recipe: Any, values: Any, wrt: Any) -> Any:
            outputs, jacobian, _ = self.sensitivity(times, recipe, values, wrt)
            return outputs, lambda weights: np.einsum("to,tok->k", weights, jacobian)

    asked: list[dict[str, float]] = []
    made = Watched(
        lambda t, v: (v["a"] + v["b"] * t)[:, None], pt.ParameterSet(BOUNDED), (pt.Signal("y", "K"),), name="line"
    )
    made.asked = asked
    return made


@pytest.fixture
def run(experiment) -> pt.Experiment:
    return experiment("run", TIMES, Y, noise=(NOISE, "K"))


# Failed simulations ---------------------------------------------------------------------------------------------------


@methods
def test_a_failed_simulation_is_no_perfect_fit(method: Any, model, run) -> None:
    """AMICI 1.0.2 (zero residuals), ProgPy (1e99), PyBOP #98, #102, #166, #526 (early stops).

    Half of what is searched cannot be simulated. Failures are counted with values and reason, and the answer is the
    one that is had without them.
    """
    right = pt.calibrate(model, run, unknown=["a", "b"], method=METHODS["GaussNewton"], rng=1)
    model.forbidden = lambda v: np.real(v["b"]) < -0.5
    start = pt.Parameter("b", "-0.4 K/s", bounds=("-5 K/s", "5 K/s"), prior=pt.Normal("0 K/s", "1.5 K/s"))
    posterior = pt.calibrate(model, run, unknown=["a", start], method=method, rng=1)
    spread = right.standard_errors["b"]
    assert posterior.mode["b"] == pytest.approx(right.mode["b"], abs=1.5 * spread)
    assert posterior.misfit == pytest.approx(right.misfit, abs=3.0)
    for failure in posterior.failures:
        assert (failure.reason, failure.experiment) == ("the pump cavitates", "run")
        assert failure.values["b"] < -0.5
    failed = sum(v["b"] < -0.5 for v in model.asked)
    assert (failed > 0) == bool(posterior.failures)
    if isinstance(method, pt.EnsembleSmoother):  # the prior reaches there, so some members must have been lost
        assert 0 < len(posterior.failures) == method.n_members - posterior.n_draws


def test_members_that_die_are_left_out_and_the_update_goes_on(model, run, tmp_path) -> None:
    """ERT #7055, IES #196, ERT #7505: an update is possible with failed members, and the mask survives save and load.

    A member that died takes no part again, and its draws are missing.
    """
    model.forbidden = lambda v: v["a"] > 15.0
    posterior = pt.calibrate(model, run, unknown=["a", "b"], method=pt.EnsembleSmoother(n_members=80), rng=2)
    posterior.save(tmp_path / "posterior.nc")
    active = pt.Posterior.load(tmp_path / "posterior.nc").diagnostics["active"].values
    active = active if active.shape[0] == 5 else active.T
    assert active.shape == (5, 80)
    np.testing.assert_array_equal(active, active & np.concatenate([active[:1], active[:-1]]))
    assert posterior.n_draws == active[-1].sum() < 80
    assert len(posterior.failures) == (~active[-1]).sum()
    assert any("failed to simulate and are left out" in w for w in posterior.warnings)


def test_one_refit_that_fails_does_not_kill_a_profile(model, run) -> None:
    """pyPESTO #1148: the side that cannot go on ends there and says so; all others are whole."""
    model.forbidden = lambda v: np.real(v["a"]) > 2.55
    method = pt.ProfileLikelihood(fit=pt.GaussNewton(n_draws=200))
    posterior = pt.calibrate(model, run, unknown=["a", "b"], method=method, rng=1)
    ends = posterior.diagnostics["end"].sel(profile="a").values.tolist()
    assert ends == ["threshold", "failed"]
    assert any("the profile of a ends early on its upper side: the pump cavitates" in w for w in posterior.warnings)
    assert posterior.diagnostics["end"].sel(profile="b").values[1] == "threshold"


# Long runs ------------------------------------------------------------------------------------------------------------


@methods
def test_a_run_that_is_lost_goes_on_where_it_was(method: Any, model, run, tmp_path) -> None:
    """pyPESTO #720 (a seven-day run lost at 99 %), ERT #358 (rerun only what is missing).

    Stopped there, the same call computes only what was not there yet, and gives the same bytes.
    """
    ask: dict[str, Any] = {"unknown": ["a", "b"], "method": method, "rng": 3}
    whole = pt.calibrate(model, run, **ask)
    n = len(model.asked)
    model.asked.clear()
    last = max(int(0.99 * n) - 3, 1)

    def stop(values: Any) -> bool:
        if len(model.asked) > last:
            raise KeyboardInterrupt
        return False

    model.forbidden = stop
    with pytest.raises(KeyboardInterrupt):
        pt.calibrate(model, run, checkpoint=tmp_path / "long", **ask)
    model.forbidden = lambda values: False
    model.asked.clear()
    again = pt.calibrate(model, run, checkpoint=tmp_path / "long", **ask)
    np.testing.assert_array_equal(again.draws.values, whole.draws.values)
    # What was being done when it stopped is done again: one simulation, or the five members that go together.
    assert len(model.asked) <= n - last + 6


@pytest.mark.parametrize("method", [pt.GaussNewton, pt.QuasiNewton])
def test_memory_does_not_grow_with_the_data_of_each_start(method: Any, model, experiment) -> None:
    """pyPESTO #1499: all starts were copied upfront. Ten more starts do not keep the data of ten more.

    A start that is kept with residuals and derivatives, as they are and whitened, takes 2 (1 + d) = 6 numbers a sample.
    """
    times = np.linspace(0.0, 10.0, 5_000)
    y = 2.4 + 0.4 * times + NOISE * np.random.default_rng(1).standard_normal(times.size)
    big = experiment("big", times, y, noise=(NOISE, "K"))

    def peak(starts: int) -> int:
        tracemalloc.start()
        posterior = pt.calibrate(model, big, unknown=["a", "b"], method=method(starts=starts, n_draws=10), rng=1)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        model.asked.clear()
        assert starts == 1 or f"{starts} of {starts} starts reached this minimum" in posterior.message
        return found

    peak(1)  # what is loaded once
    assert (peak(14) - peak(4)) / 10 < 2 * 8 * times.size


def test_two_cases_at_once_do_not_know_of_each_other(model, experiment, tmp_path) -> None:
    """CADET-RDM #91: only one case was tracked at a time. Here each result carries its own provenance."""
    found: dict[str, pt.Posterior] = {}

    def one(name: str, shift: float) -> None:
        own = experiment(name, TIMES, Y + shift, noise=(NOISE, "K"))
        found[name] = pt.calibrate(model, own, unknown=["a", "b"], checkpoint=tmp_path / name, rng=1)

    threads = [threading.Thread(target=one, args=case) for case in (("north", 0.0), ("south", 2.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found["south"].mode["a"] - found["north"].mode["a"] == pytest.approx(2.0, rel=1e-6)
    assert found["south"].provenance["experiments"] != found["north"].provenance["experiments"]
    assert "south" in found["south"].provenance["experiments"]


# Intervals and verdicts -----------------------------------------------------------------------------------------------


@methods
def test_no_negative_variance_and_one_sided_intervals_at_bounds(method: Any, model, run) -> None:
    """Pyomo #1599: a negative diagonal of the covariance, undefined at active bounds. PyBOP #380: bounds ignored.

    The data want b = 0.39 K/s, its bound is 0.3 K/s: the interval begins or ends there, and no simulation was asked
    beyond.
    """
    cut = pt.Parameter("b", "0.1 K/s", bounds=("0 K/s", "0.3 K/s"))
    posterior = pt.calibrate(model, run, unknown=["a", cut], method=method, rng=1)
    values = np.linalg.eigvalsh(posterior.covariance.values)
    assert values.min() >= -1e-12 * values.max()
    assert all(0.0 <= v["b"] <= 0.3 * (1.0 + 1e-12) for v in model.asked)
    low, high = posterior.interval("b")
    assert 0.0 <= low < high <= 0.3 * (1.0 + 1e-9)
    if not isinstance(method, pt.EnsembleSmoother):  # it has no mode, and its mean lies inside
        assert posterior.verdicts["b"].identification is pt.Identification.AT_BOUND
        assert high == pytest.approx(0.3)
        assert any("one-sided" in w for w in posterior.warnings)


def test_draws_of_a_prior_lie_within_bounds(model, run) -> None:
    """PyBOP #69: samples of a prior outside the bounds crashed. A prior wider than the bounds is cut by them."""
    wide = pt.Parameter("b", "0.1 K/s", bounds=("0 K/s", "0.5 K/s"), prior=pt.Normal("0.1 K/s", "10 K/s"))
    prior = pt.Posterior.from_prior([BOUNDED[0], wide], n_draws=500)
    assert prior["b"].min() >= 0.0 and prior["b"].max() <= 0.5
    posterior = pt.calibrate(model, run, unknown=["a", wide], method=METHODS["EnsembleSmoother"], rng=1)
    assert posterior["b"].min() >= 0.0 and posterior["b"].max() <= 0.5


def test_profiles_are_read_for_the_user(closed_form, experiment) -> None:
    """pyPESTO #451: users could not read profiles. A verdict says in words what is seen, and what decides the rest."""
    own = [pt.Parameter(n, "1 K", bounds=("-20 K", "20 K")) for n in ("shift", "offset")]
    twin = closed_form(
        lambda t, v: (v["shift"] + v["offset"] + 0.0 * t)[:, None], pt.ParameterSet(own), (pt.Signal("y", "K"),)
    )
    data = experiment("run", TIMES, Y, noise=(NOISE, "K"))
    posterior = pt.calibrate(twin, data, unknown=["shift", "offset"], method=METHODS["ProfileLikelihood"], rng=1)
    assert "structurally not identified: only the sum shift + offset is seen" in str(posterior.verdicts["shift"])
    assert "structurally not identified" in str(posterior)


def test_two_unknowns_that_only_add_up_are_called_a_sum(closed_form, experiment) -> None:
    """pyPESTO #451, without profiles: at equal values a sum looks like a product; bounds below zero tell it is one."""
    own = [pt.Parameter(n, "1 K", bounds=("-20 K", "20 K")) for n in ("shift", "offset")]
    twin = closed_form(
        lambda t, v: (v["shift"] + v["offset"] + 0.0 * t)[:, None], pt.ParameterSet(own), (pt.Signal("y", "K"),)
    )
    posterior = pt.calibrate(twin, experiment("run", TIMES, Y, noise=(NOISE, "K")), unknown=["shift", "offset"], rng=1)
    assert "only the sum shift + offset is seen" in str(posterior.verdicts["shift"])


def test_the_better_of_two_solutions_is_found(closed_form, experiment) -> None:
    """Pyomo PR #3575: several starts. One start ends in the wrong period; twelve find the right one."""
    wave = closed_form(
        lambda t, v: np.sin(v["omega"] * t)[:, None],
        pt.ParameterSet([pt.Parameter("omega", "1 1/s", bounds=("0.5 1/s", "4 1/s"))]),
        (pt.Signal("y", "K"),),
    )
    data = experiment("run", TIMES, np.sin(2.7 * TIMES), noise="0.1 K")
    one = pt.calibrate(wave, data, unknown=["omega"], rng=1)
    many = pt.calibrate(wave, data, unknown=["omega"], method=pt.GaussNewton(starts=12), rng=1)
    assert abs(one.mode["omega"] - 2.7) > 0.1
    assert many.mode["omega"] == pytest.approx(2.7, abs=1e-4)


# What comes back ------------------------------------------------------------------------------------------------------


def test_a_saved_result_holds_its_objective(model, run, tmp_path) -> None:
    """pyPESTO #860: the file lacked the objective. Misfit, sums, residuals, verdicts and provenance come back."""
    posterior = pt.calibrate(model, run, unknown=["a", "b"], rng=1)
    posterior.save(tmp_path / "posterior.nc")
    again = pt.Posterior.load(tmp_path / "posterior.nc")
    residual = Y - posterior.mode["a"] - posterior.mode["b"] * TIMES
    assert again.misfit == posterior.misfit == pytest.approx(float(residual @ residual) / NOISE**2)
    assert again.sum_of_squares["K"] == pytest.approx(float(residual @ residual))
    assert dict(again.provenance) == dict(posterior.provenance)


@methods
def test_nothing_that_is_given_is_changed(method: Any, model, run) -> None:
    """ProgPy: estimate_params changed the model in place. Model, data, generator and declarations stay as they were."""
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state, run.sha256, dict(model.parameters), repr(BOUNDED)
    pt.calibrate(model, run, unknown=["a", "b"], method=method, rng=rng)
    assert (rng.bit_generator.state, run.sha256, dict(model.parameters), repr(BOUNDED)) == before


def test_the_ready_model_is_one_call_away(model, run) -> None:
    """PyBOP #631: give back the ready model. The mode of a fit is what simulate() takes, noise levels included."""
    noisy = pt.Experiment.from_arrays(
        "run", TIMES, {"y": Y}, channels=[pt.Channel("y", unit="K", noise=pt.EstimatedNoise("1 K"))]
    )
    posterior = pt.calibrate(model, noisy, unknown=["a", "b"], rng=1)
    assert "noise.y" in posterior.mode
    for values in (posterior.mode, posterior.values):
        ready = pt.simulate(model, TIMES, values=values)
        np.testing.assert_allclose(ready["y"].values, posterior.residuals["predicted"].values, rtol=1e-12)


def test_the_ready_model_holds_what_the_fit_held(model, run) -> None:
    """PyBOP #631 again: `posterior.values` is the mode and what `values=` held, not the model's defaults."""
    posterior = pt.calibrate(model, run, unknown=["a"], values={"b": "0.6 K/s"}, rng=1)
    assert dict(posterior.values) == {"a": posterior.mode["a"], "b": 0.6}
    ready = pt.simulate(model, TIMES, values=posterior.values)
    np.testing.assert_allclose(ready["y"].values, posterior.residuals["predicted"].values, rtol=1e-12)


def test_the_ready_model_takes_settings_from_the_recipe_that_it_runs() -> None:
    """What recipes say for themselves is no part of `posterior.values`; a setting that the fit held is."""
    p = pt.ProcessBuilder("tank", version="1")
    flow, gain = p.input("flow", "kg/s"), p.parameter("gain", 1.0, bounds=(0.1, 10.0))
    level = p.state("level", "kg", initial="0 kg")
    p.rate(level, gain * flow)
    p.output("level", level)
    tank = p.build()

    def at(rate: str | None) -> pt.Recipe:
        pump = pt.Setting("pump", "kg/s", value=rate, bounds=("0 kg/s", "10 kg/s"))
        return pt.Recipe([pt.Phase("run", duration="100 s", flow=pump)])

    t = np.array([20.0, 50.0, 90.0])
    runs = [
        pt.Experiment.from_arrays(
            str(k),
            t,
            {"level": 2.0 * k * t},
            channels=[pt.Channel("level", unit="kg", noise="1 kg")],
            recipe=at(f"{k} kg/s"),
        )
        for k in (1, 2)
    ]
    own = pt.calibrate(tank, runs, unknown=["gain"], rng=1)
    assert "pump@1" in own.fixed
    shown = pt.simulate(tank, t, at("2 kg/s"), values=own.values)["level"].values
    np.testing.assert_allclose(shown, 4.0 * t, rtol=1e-6)
    held = pt.calibrate(tank, runs[0], unknown=["gain"], values={"pump": "4 kg/s"}, rng=1)
    shown = pt.simulate(tank, t, at(None), values=held.values)["level"].values
    np.testing.assert_allclose(shown, 2.0 * t, rtol=1e-6)


@pytest.mark.parametrize(
    "method",
    [m for name, m in METHODS.items() if name != "QuasiNewton"],
    ids=[n for n in METHODS if n != "QuasiNewton"],
)
def test_a_recipe_that_is_too_short_is_named(method: Any) -> None:
    """Samples go on behind the end of one recipe of two: the error says of which experiment."""
    p = pt.ProcessBuilder("tank", version="1")
    flow, gain = p.input("flow", "kg/s"), p.parameter("gain", 1.0, bounds=(0.1, 10.0))
    level = p.state("level", "kg", initial="0 kg")
    p.rate(level, gain * flow)
    p.output("level", level)
    recipe = pt.Recipe.from_table([0.0, 100.0], {"flow": ([1.0, 1.0], "kg/s", pt.HOLD)})
    runs = [
        pt.Experiment.from_arrays(
            name, t, {"level": t}, channels=[pt.Channel("level", unit="kg", noise="1 kg")], recipe=recipe
        )
        for name, t in (("fine", [50.0, 90.0]), ("late", [50.0, 200.0]))
    ]
    with pytest.raises(pt.RecipeError, match='experiment "late": the recipe ends at 100 s'):
        pt.calibrate(p.build(), runs, unknown=["gain"], method=method)
