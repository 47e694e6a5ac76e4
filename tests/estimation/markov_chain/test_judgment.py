"""Chains that should not be believed say so, in words; simulations that fail are recorded and not gone to."""

import sys
from typing import Any

import numpy as np
import pytest

from physics_twin.errors import CalibrationError, MissingDependencyError
from physics_twin.estimation import MarkovChain, calibrate
from physics_twin.estimation.markov_chain.chain import Chain
from physics_twin.estimation.markov_chain.diagnosis import diagnose, objections
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.signals import Signal

TINY = MarkovChain(n_draws=80, steps=40, warm_up=20)
SMALL = MarkovChain(n_draws=600, steps=150, warm_up=100)


def chain(u: Any, divergences: int = 0, energy: Any = None) -> Chain:
    own = np.random.default_rng(9).standard_normal(len(u)) if energy is None else energy
    return Chain(u[:, None, :], np.zeros((len(u), 1)), 0.9, divergences, 0, own, 1, ())


def said(tables: Any, **more: Any) -> str:
    """Objections to chains (n_chains, n, 1)."""
    chains = [chain(u, **more) for u in tables]
    return " ".join(objections(diagnose(tables[:, :, None, :], chains), ["rate"], chains, tables.shape[1]))


@pytest.fixture
def good() -> Any:
    """Four chains of independent draws."""
    return np.random.default_rng(0).standard_normal((4, 500, 1))


def test_good_chains_are_believed(good: Any) -> None:
    """Independent draws raise no objection."""
    assert said(good) == ""


def test_chain_elsewhere(good: Any) -> None:
    """One chain half a standard deviation away."""
    good[0] += 0.5
    assert "the chains disagree about rate (R-hat" in said(good)


def test_chain_that_never_moved(good: Any) -> None:
    """All chains on one spot have no R-hat, and are not believed for it."""
    assert "disagree" in said(np.zeros_like(good))


def test_sticky_chains(good: Any) -> None:
    """A random walk counts as few draws, and the number of steps to ask for is said."""
    walk = good.copy()
    for k in range(1, 500):
        walk[:, k] = 0.97 * walk[:, k - 1] + 0.243 * good[:, k]
    assert "independent ones, 400 wanted" in said(walk) and "steps=" in said(walk)


def test_divergences_and_energy(good: Any) -> None:
    """Each has a sentence with what to do."""
    assert "2 of 2000 trajectories diverged" not in said(good)
    assert "4 of 2000 trajectories diverged" in said(good, divergences=1)
    slow = np.cumsum(np.random.default_rng(3).standard_normal(500))
    assert "E-BFMI" in said(good, energy=slow)


def test_banana_that_chains_of_this_length_do_not_explore(closed_form: Any, experiment: Any) -> None:
    """Rosenbrock's valley, a hundred times longer than wide: short chains are not called converged anywhere."""
    model = closed_form(
        lambda t, v: np.where(t < 0.5, v["a"], 20.0 * (v["b"] - v["a"] ** 2))[:, None],
        ParameterSet([Parameter("a", "0.5 K", bounds=("-5 K", "5 K")), Parameter("b", "0.5 K")]),
        (Signal("y", "K"),),
    )
    run = experiment("run", np.array([0.0, 1.0]), np.array([1.0, 0.0]), noise="1 K")
    posterior = calibrate(model, run, unknown=["a", "b"], method=TINY)
    assert not posterior.converged
    assert "400 wanted" in posterior.message
    assert any("did not converge" in w and "steps=" in w for w in posterior.warnings)
    assert "NOT CONVERGED" in str(posterior)


@pytest.mark.parametrize("gradients", [True, False])
def test_region_that_cannot_be_simulated(
    gradients: bool, line: Any, experiment: Any, without_sensitivities: Any
) -> None:
    """No draw lies where the model fails; what failed is on record and counted."""
    model = line(forbidden=lambda v: v["a"] > 1.2)
    run = experiment("run", np.arange(4.0), np.full(4, 1.0), noise="1 K")
    posterior = calibrate(
        model if gradients else without_sensitivities(model),
        run,
        unknown=[Parameter("a", "1 K")],
        method=SMALL if gradients else TINY,
    )
    assert posterior["a"].max() <= 1.2 and posterior["a"].min() < 0.5
    assert posterior.failures and all(f.values["a"] > 1.2 and "cavitates" in f.reason for f in posterior.failures)
    assert "simulations failed" in posterior.message
    if gradients:
        assert posterior.diagnostics["cut_short"].sum() > 0
        assert any("trajectories ended where a simulation failed" in w for w in posterior.warnings)
        assert "diverged" not in posterior.message


def test_error_of_a_model_is_raised_as_it_is(line: Any, experiment: Any) -> None:
    """A mistake in a model, deep inside a chain, ends the call with that mistake and not the process."""
    model = line()
    inner, calls = model.formula, []

    def formula(t: Any, v: Any) -> Any:
        calls.append(1)
        if len(calls) > 200:
            raise ZeroDivisionError("a mistake of mine")
        return inner(t, v)

    model.formula = formula
    run = experiment("run", np.arange(4.0), np.full(4, 1.0), noise="1 K")
    with pytest.raises(ZeroDivisionError, match="a mistake of mine"):
        calibrate(model, run, unknown=["a"], method=TINY)


@pytest.mark.parametrize(("library", "gradients"), [("nutpie", True), ("emcee", False), ("arviz_stats", True)])
def test_missing_extra_is_named(
    library: str, gradients: bool, line: Any, experiment: Any, without_sensitivities: Any, monkeypatch: Any
) -> None:
    """Before anything is simulated."""
    monkeypatch.setitem(sys.modules, library, None)
    model = line()
    run = experiment("run", np.arange(4.0), np.full(4, 1.0), noise="1 K")
    with pytest.raises(MissingDependencyError, match=r"physics-twin\[bayes\]"):
        calibrate(model if gradients else without_sensitivities(model), run, unknown=["a"], method=TINY)
    assert model.calls == []


@pytest.mark.parametrize(
    "wrong", [{"n_chains": 1}, {"n_draws": 1}, {"steps": 5}, {"warm_up": 0}, {"target_acceptance": 1.0}]
)
def test_options_that_make_no_sense(wrong: Any) -> None:
    """Named, with the number."""
    with pytest.raises(CalibrationError, match=next(iter(wrong))):
        MarkovChain(**wrong)


def test_correlated_residuals_do_not_widen_but_are_said(line: Any, experiment: Any) -> None:
    """Residuals with a memory: the draws are those of the declared noise, and the warning names the better one."""
    t = np.arange(60.0)
    y = 1.0 + np.sin(t / 5.0)
    posterior = calibrate(line(), experiment("run", t, y, noise="0.7 K"), unknown=["a"], method=SMALL)
    assert set(posterior.inflation.values()) == {1.0}
    assert any("correlation_time=pt.Estimated" in w for w in posterior.warnings)
    assert posterior["a"].std() == pytest.approx(0.7 / np.sqrt(60.0), rel=0.25)


def test_chains_in_tables_trees_and_files(line: Any, experiment: Any, tmp_path: Any) -> None:
    """Kept draws are even over the chains, and chains outlive a file."""
    run = experiment("run", np.arange(6.0), np.arange(6.0), noise="1 K")
    rough: list[Posterior] = []
    posterior = calibrate(
        line(), run, unknown=["a", "b"], method=MarkovChain(n_draws=40, steps=40, warm_up=20), preview=rough.append
    )
    assert rough[0].n_draws == 1000 and not rough[0].diagnostics.sizes
    assert posterior.n_draws == 40 and posterior.effective_draws <= 40
    assert np.bincount(posterior.diagnostics["chain_number"].values).tolist() == [10] * 4
    assert posterior.to_datatree()["posterior"].sizes == {"chain": 4, "draw": 10}
    assert "R-hat" in str(posterior) and "R-hat" not in str(rough[0])
    posterior.save(tmp_path / "p.nc")
    again = Posterior.load(tmp_path / "p.nc")
    assert again.diagnostics.identical(posterior.diagnostics)
    assert len(again.plot_chains().axes) == 4
    with pytest.raises(CalibrationError, match="MarkovChain"):
        rough[0].plot_chains()
