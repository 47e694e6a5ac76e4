"""What a fit holds: each experiment the settings of its own recipe, and no number that acts nowhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.errors import BoundsError, CalibrationError
from physics_twin.process import ProcessModel

TIMES = np.linspace(0.5, 20.0, 40)
NOISE = 0.02


def tank() -> ProcessModel:
    """dx/dt = u - k x, x(0) = 1."""
    b = pt.ProcessBuilder("tank", version="1")
    k = b.parameter("k", "0.1 1/s", bounds=("1e-3 1/s", "10 1/s"))
    u = b.input("u", "kg/s")
    x = b.state("x", "kg", initial="1 kg")
    b.rate(x, u - k * x)
    b.output("x", x)
    return b.build()


MODEL = tank()


def recipe(flow: str | None, bounds: Any = (0, 10), **changes: Any) -> pt.Recipe:
    """A feed whose rate is an open setting."""
    setting = pt.Setting("flow", "kg/s", bounds=bounds, value=flow)
    return pt.Recipe([pt.Phase("feed", duration="20 s", u=setting)], **changes)


def measured(name: str, used: pt.Recipe, flow: str, seed: int = 0, **values: str) -> pt.Experiment:
    """A run at k = 0.3 1/s with the given flow, whatever the recipe's setting says."""
    x = pt.simulate(MODEL, TIMES, used, {"k": "0.3 1/s", "flow": flow, **values})["x"].values
    x = x + NOISE * np.random.default_rng(seed).standard_normal(TIMES.size)
    return pt.Experiment.from_arrays(
        name, TIMES, {"x": x}, channels=[pt.Channel("x", unit="kg", noise=f"{NOISE} kg")], recipe=used
    )


def fit(runs: pt.Experiment | Sequence[pt.Experiment], unknown: Any = ("k",), **changes: Any) -> pt.Posterior:
    return pt.calibrate(MODEL, runs, unknown=unknown, method=pt.GaussNewton(n_draws=300), rng=1, **changes)


def two_runs() -> list[pt.Experiment]:
    """Two recipes that name their setting alike and value it differently."""
    return [measured(f"run{i}", recipe(flow), flow, seed=i) for i, flow in enumerate(("0.5 kg/s", "2 kg/s"))]


@pytest.mark.parametrize("order", [1, -1])
def test_settings_of_one_name_keep_the_value_of_each_recipe(order: int) -> None:
    """Two flows, one k: the truth comes back, and the two flows are not reported as one."""
    posterior = fit(two_runs()[::order])
    assert posterior.mode.scalar("k") == pytest.approx(0.3, rel=0.01)
    assert "flow" not in posterior.fixed
    assert (posterior.fixed["flow@run0"], posterior.fixed["flow@run1"]) == (0.5, 2.0)
    assert posterior.coverage["flow"] == (0.5, 2.0)


def test_a_setting_that_the_fit_holds_is_one_number() -> None:
    """What the recipes say is each recipe's, what `values` say is the fit's."""
    fixed = fit([measured(n, recipe("2 kg/s"), "2 kg/s") for n in "ab"]).fixed
    assert "flow" not in fixed and fixed["flow@a"] == fixed["flow@b"] == 2.0
    fixed = fit(two_runs(), values={"flow": "1 kg/s"}).fixed
    assert fixed["flow"] == 1.0 and "flow@run0" not in fixed


def test_a_value_for_a_setting_acts_in_every_run() -> None:
    """It takes the place of each recipe's own, and keeps to the bounds of each."""
    runs = [measured("a", recipe("0.5 kg/s"), "2 kg/s"), measured("b", recipe("3 kg/s"), "2 kg/s", seed=1)]
    assert fit(runs, values={"flow": "2 kg/s"}).mode.scalar("k") == pytest.approx(0.3, rel=0.01)
    narrow = measured("narrow", recipe("0.5 kg/s", bounds=(0, 1)), "0.5 kg/s")
    with pytest.raises(BoundsError, match='experiment "narrow": flow = 2'):
        fit([*runs, narrow], values={"flow": "2 kg/s"})


def test_a_setting_per_experiment_is_found_in_each() -> None:
    """Unknown settings of one name are separate where they are said to be."""
    low, high = recipe("0.6 kg/s", bounds=(0, 1)), recipe("3 kg/s", bounds=(1, 10))
    runs = [measured("a", low, "0.5 kg/s"), measured("b", high, "2 kg/s", seed=1)]
    posterior = fit(runs, unknown=["k", pt.PerExperiment("flow")])
    assert [posterior.parameters[f"flow@{run}"].bounds for run in "ab"] == [(0.0, 1.0), (1.0, 10.0)]
    assert posterior.mode.scalar("flow@a") == pytest.approx(0.5, rel=0.03)
    assert posterior.mode.scalar("flow@b") == pytest.approx(2.0, rel=0.03)
    assert not [name for name in posterior.fixed if name.startswith("flow")]


@pytest.mark.parametrize("unknown", ["k", pt.PerExperiment("k")])
def test_a_value_for_an_unknown_is_refused(unknown: Any) -> None:
    """Also where each experiment has its own."""
    with pytest.raises(CalibrationError, match='"k" is given in values and named as unknown'):
        fit(two_runs(), unknown=[unknown], values={"k": "7 1/s"})


def test_an_initial_value_that_every_run_binds_is_refused_and_not_reported() -> None:
    """It could act in none of them; the model's default was in none of them."""
    runs = [measured(n, recipe("1 kg/s", initial={"x": f"{x} kg"}), "1 kg/s") for n, x in (("a", 5), ("b", 7))]
    for some in (runs[:1], runs):
        with pytest.raises(CalibrationError, match=r'"initial\.x" is given in values, but .* so the value cannot act'):
            fit(some, values={"initial.x": "3 kg"})
        assert "initial.x" not in fit(some).fixed
    open_too = [*runs, measured("c", recipe("1 kg/s"), "1 kg/s", **{"initial.x": "3 kg"})]
    posterior = fit(open_too, values={"initial.x": "3 kg"})
    assert posterior.fixed["initial.x"] == 3.0
    assert posterior.mode.scalar("k") == pytest.approx(0.3, rel=0.01)


# What is held in the fit is held in the prediction --------------------------------------------------------------------


@pytest.mark.parametrize("own", ["0.1 kg/s", None])
def test_a_right_model_passes_the_hold_out_with_a_setting_that_the_fit_holds(own: str | None) -> None:
    """Held by the fit itself or through holdout(values=); the recipe's own value is not the plant's."""
    run = measured("run", recipe(own), "2 kg/s")
    held = {"flow": "2 kg/s"}
    check = pt.holdout(MODEL, run, fit=lambda runs: fit(runs, values=held), n_first=20)
    assert check.passed and check.coverage > 0.8
    assert pt.holdout(MODEL, run, fit=fit, n_first=20, values=held).chance == check.chance


def test_a_held_out_run_keeps_the_setting_of_its_own_recipe() -> None:
    """Runs with other values of a setting of the same name check a fit that holds none."""
    first, other = two_runs()
    assert pt.holdout(MODEL, first, fit=fit, held=other).passed


def test_a_prediction_uses_what_the_fit_held_and_says_where_the_recipe_differs() -> None:
    """The fit's value, then the recipe's; `values` come before both."""
    used = recipe("0.1 kg/s")
    posterior = fit(measured("run", used, "2 kg/s"), values={"flow": "2 kg/s"})
    end = pt.simulate(MODEL, [20.0], used, {"k": "0.3 1/s", "flow": "2 kg/s"})["x"].values[0]
    prediction = posterior.predict(MODEL, used, [20.0])
    assert float(prediction.draws.mean()) == pytest.approx(end, rel=0.01)
    assert any("flow: 2 kg/s, as the fit held it, not 0.1 kg/s" in note for note in prediction.notes)
    chosen = posterior.predict(MODEL, used, [20.0], values={"flow": "0.1 kg/s"})
    assert float(chosen.draws.mean()) < 0.5 * end
    assert not any("as the fit held it" in note for note in chosen.notes)


def test_a_new_recipe_keeps_its_own_setting_where_the_fit_holds_none() -> None:
    """A value of the fitted recipe is no decision of the fit."""
    posterior = fit(two_runs()[0])
    draws = posterior.predict(MODEL, recipe("2 kg/s"), [20.0]).draws
    end = pt.simulate(MODEL, [20.0], recipe("2 kg/s"), {"k": "0.3 1/s"})["x"].values[0]
    assert float(draws.mean()) == pytest.approx(end, rel=0.02)
