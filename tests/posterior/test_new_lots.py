"""Predictions for lots: a fitted lot has its value, a new one is a draw from the population."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.posterior.members import member_values

N = 4000
COOLING = pt.FunctionModel(
    "lump",
    version="1",
    rate=lambda t, s, u, v: {"T": -v["k"] * (s["T"] - v["room"])},
    states={"T": ("K", "400 K")},
    parameters=[
        pt.Parameter("k", "1e-3 1/s", bounds=("1e-5 1/s", "1e-1 1/s")),
        pt.Parameter("room", "293 K", bounds=("250 K", "350 K")),
    ],
    outputs={"T": "K"},
)
RECIPE = pt.Recipe.constant(duration="10 min")


def lots(log: bool = True, mean: float | None = None, spread: float = 0.3) -> pt.Posterior:
    """A posterior of three lots with a known population, as a fit by "lot" would leave it."""
    bounds: tuple[str, str] = ("1e-5 1/s", "1e-1 1/s") if log else ("250 K", "350 K")
    name, unit = ("k", "1/s") if log else ("room", "K")
    center = (1e-3 if log else 300.0) if mean is None else mean
    members = [pt.Parameter(f"{name}@{lot}", (center, unit), bounds=bounds) for lot in "ABC"]
    parameters = [
        pt.Parameter(f"mean.{name}", (center, unit), bounds=bounds),
        *members,
        pt.Parameter(f"spread.{name}", (spread, "1" if log else "K"), bounds=(1e-4, 1e2), unit="1" if log else "K"),
    ]
    table = np.tile([center, center * 0.9, center, center * 1.1, spread], (N, 1))
    posterior = pt.Posterior.from_draws(parameters, table)
    noted = {name: {"by": "lot", "of": {"r1": "A", "r2": "B", "r3": "C", "r4": "A"}}}
    return dataclasses.replace(posterior, provenance={"populations": json.dumps(noted)})


def values(posterior: pt.Posterior, experiment: str | pt.Experiment | None, seed: int = 1, **given: str) -> tuple:
    rng = np.random.default_rng(seed)
    return member_values(posterior, COOLING, RECIPE, np.arange(N), rng, experiment=experiment, values=given)


def batch(name: str, **context: str) -> pt.Experiment:
    channels = [pt.Channel("T", unit="K", noise="1 K")]
    return pt.Experiment.from_arrays(name, [0.0, 60.0], {"T": [400.0, 390.0]}, channels=channels, context=context)


def test_a_new_lot_is_log_normal_where_the_search_is_in_the_logarithm() -> None:
    """The spread is that of ln k; the note says what was drawn from."""
    found, notes = values(lots(), None)
    assert stats.kstest(np.log(found["k"]), stats.norm(np.log(1e-3), 0.3).cdf).pvalue > 1e-3
    assert notes == (
        'k: of a new lot, drawn from the population of the 3 that were fitted; say experiment="A" or '
        'values={"k": ...} for another choice',
    )


def test_a_new_lot_is_normal_within_the_bounds_otherwise() -> None:
    """A population that reaches beyond the bounds is cut there."""
    found, _ = values(lots(log=False, spread=40.0), None)
    cut = stats.truncnorm((250.0 - 300.0) / 40.0, (350.0 - 300.0) / 40.0, 300.0, 40.0)
    assert stats.kstest(found["room"], cut.cdf).pvalue > 1e-3
    assert found["room"].min() >= 250.0
    assert found["room"].max() <= 350.0


def test_without_a_spread_a_new_lot_is_the_mean() -> None:
    """Limit of a population of equals; a mean on its bound stays there."""
    for mean in (1e-3, 1e-5, 1e-1):
        table = lots(mean=1e-3)
        draws = table.draws.values.copy()
        draws[:, 0], draws[:, -1] = mean, 1e-4
        found, _ = values(dataclasses.replace(table, draws=table.draws.copy(data=draws)), None)
        assert np.abs(found["k"] / mean - 1.0).max() < 1e-3
        assert np.isfinite(found["k"]).all()


@pytest.mark.parametrize(
    ("experiment", "factor"),
    [("A", 0.9), ("r4", 0.9), (batch("new_run", lot="C"), 1.1), (batch("r2", lot="C"), 1.1)],
)
def test_a_fitted_lot_has_its_own_value(experiment: str | pt.Experiment, factor: float) -> None:
    """Asked for by the lot, by a fitted experiment of it, or by an experiment whose context names it."""
    found, notes = values(lots(), experiment)
    assert np.allclose(found["k"], 1e-3 * factor)
    assert notes == ()


def test_a_lot_that_nobody_has_seen_is_drawn() -> None:
    """An experiment of a new lot or without a lot; a name alone must be a fitted one."""
    for run in (batch("b", lot="Z"), batch("b")):
        found, notes = values(lots(), run)
        assert np.std(np.log(found["k"])) == pytest.approx(0.3, rel=0.05)
        assert "of a new lot" in notes[0]
    with pytest.raises(pt.UnknownNameError, match="Z"):
        values(lots(), "Z")


def test_runs_of_one_new_lot_share_it_and_two_new_lots_do_not() -> None:
    """For the same seed, so that samples of one lot are predicted together."""
    one, _ = values(lots(), batch("b1", lot="Z"))
    same, _ = values(lots(), batch("b2", lot="Z"))
    other, _ = values(lots(), batch("b3", lot="Y"))
    assert np.array_equal(one["k"], same["k"])
    # Independent: a correlation of N draws is below 4/sqrt(N) but for one case in ten thousand.
    assert abs(np.corrcoef(one["k"], other["k"])[0, 1]) < 4.0 / np.sqrt(N)


def test_a_given_value_comes_before_the_population() -> None:
    """As before any other draw."""
    found, notes = values(lots(), None, k="2e-3 1/s")
    assert np.all(found["k"] == 2e-3)
    assert notes == ()


def test_a_saved_posterior_draws_the_same_lots(tmp_path) -> None:
    """Bounds and priors tell that the population is one of logarithms, and they are saved."""
    posterior = lots()
    posterior.save(tmp_path / "lots.nc")
    back = pt.Posterior.load(tmp_path / "lots.nc")
    assert np.array_equal(values(posterior, None)[0]["k"], values(back, None)[0]["k"])
    assert values(back, "r4")[1] == ()


def test_priors_of_lots_are_drawn_from_their_population() -> None:
    """Before the data a lot is a draw from the population that its mean and spread make: their variances add."""
    parameters = [
        pt.Parameter("mean.room", "300 K", prior=pt.Normal("300 K", "3 K")),
        pt.Parameter("room@A", "300 K"),
        pt.Parameter("spread.room", "4 K", difference=True, prior=pt.HalfNormal("4 K")),
    ]
    prior = pt.Posterior.from_prior(parameters, 20000, rng=3)
    # Standard errors: 1/sqrt(2 N) = 0.5 % of a standard deviation, some more for the heavier tails.
    assert np.std(prior["room@A"]) == pytest.approx(5.0, rel=0.02)
    assert np.corrcoef(prior["room@A"], prior["mean.room"])[0, 1] == pytest.approx(0.6, abs=0.03)


def test_a_prediction_for_a_new_lot_is_wider_than_for_a_fitted_one() -> None:
    """predict() takes the experiment itself; the band of a new lot carries the spread between lots."""
    posterior = lots()
    new = posterior.predict(COOLING, RECIPE, [600.0], n_draws=200)
    known = posterior.predict(COOLING, RECIPE, [600.0], n_draws=200, experiment=batch("x", lot="B"))
    assert np.std(new.draws.values) > 10.0
    assert np.std(known.draws.values) < 1e-9
    assert "population" in str(new)


def test_the_envelope_says_that_a_new_lot_is_drawn() -> None:
    """What an envelope includes names the population."""
    from physics_twin.envelope.next_batch.uncertainty import next_batches

    posterior = dataclasses.replace(lots(), provenance={**lots().provenance, "fingerprint": COOLING.fingerprint})
    found = next_batches(COOLING, posterior, RECIPE, [], {}, {}, np.random.default_rng(1))
    assert found.includes == (
        "batch-to-batch variation: k of a new lot, drawn from the population of the 3 that were fitted",
    )
    assert np.std(np.log(found.batches.values["k"])) == pytest.approx(0.3, rel=0.05)


def test_the_mode_of_a_population_is_no_value_of_a_model() -> None:
    """Simulated with it, the model asks for the value of one; shapes of noise are left out like its level."""
    with pytest.raises(pt.RecipeError, match=r'"mean.k" is about a population; choose the value of one as values={"k"'):
        pt.simulate(COOLING, [0.0, 60.0], RECIPE, values=lots().mode)
    values = pt.Values({"k": 1e-3, "noise.T": 1.0, "correlation_time.T": 30.0})
    assert pt.simulate(COOLING, [0.0, 60.0], RECIPE, values=values).in_units()["T"].values[0] == pytest.approx(400.0)
