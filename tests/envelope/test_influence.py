"""Influences: slopes, shares and what narrowing buys, against linear margins whose answers are known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from physics_twin.envelope import Budget, Envelope, Limit, find_envelope
from physics_twin.envelope.influence.gain_errors import gain_errors
from physics_twin.errors import EnvelopeError, UnknownNameError
from physics_twin.posterior import Posterior

A, B = 0.04, 0.03
Z95 = 1.6448536269514722
QUICK = Budget(n_points=16)


def envelope_of(analytic, model, posterior, limits=None, **more):
    (knob,) = analytic.knobs(1)
    limits = [Limit("sum", upper="0.6 1")] if limits is None else limits
    recipe = analytic.one_hour([knob])
    return find_envelope(model, posterior, recipe=recipe, settings=[knob], limits=limits, rng=2, budget=QUICK, **more)


@pytest.fixture(scope="module")
def linear(analytic):
    """The margin is 0.6 - s0 - A a - B b with independent standard normal a and b."""
    model = analytic.closed_form({"sum": lambda t, v: v["s0"] + A * v["a"] + B * v["b"]}, ["a", "b"])
    posterior = analytic.gaussian_draws(model, 4000, 0)
    return model, posterior, envelope_of(analytic, model, posterior)


@pytest.fixture(scope="module")
def found(linear):
    model, posterior, envelope = linear
    return envelope.influence(model, posterior, n_draws=4000)


def test_slopes_are_those_of_the_model(found):
    assert found.source_slopes[:, 0, found.source("a")] == pytest.approx(-A, rel=1e-9)
    assert found.source_slopes[:, 0, found.source("b")] == pytest.approx(-B, rel=1e-9)
    assert found.setting_slopes[:, 0, 0] == pytest.approx(-1.0, rel=1e-6)


def test_shares_of_independent_sources_are_their_variances_and_add_up_to_one(found):
    """Chance correlations of 4,000 draws move a share by at most about 2 A B / (A^2 + B^2) / sqrt(4000)."""
    shares = found.shares[0, 0]
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.unexplained[0, 0] == pytest.approx(0.0, abs=1e-12)
    exact = np.array([A**2, B**2]) / (A**2 + B**2)
    assert shares == pytest.approx(exact, abs=4.0 * 2.0 * A * B / (A**2 + B**2) / np.sqrt(4000.0))


def test_the_gain_of_halving_a_spread_is_that_of_the_normal_quantile(found):
    """Kept margin: mean - z sd. The error of an empirical 5 % quantile of 4,000 draws is 2.1 sd / sqrt(4000)."""
    sd = np.hypot(A, B)
    error = 4.0 * 2.1 * sd / np.sqrt(4000.0)
    assert found.gains[0, 0, found.source("a")] == pytest.approx(Z95 * (sd - np.hypot(A / 2.0, B)), abs=error)
    assert found.gains[0, 0, found.source("b")] == pytest.approx(Z95 * (sd - np.hypot(A, B / 2.0)), abs=error)
    assert found.ranked() == ("a", "b")


def test_gains_have_the_standard_error_of_their_draws():
    """500 times 400 draws of a margin a + b, b halved: the gain scatters by what the resamples of each say, to 15 %."""
    rng = np.random.default_rng(3)

    def kept(margins):
        return np.partition(margins[:, :, 0], 20, axis=1)[:, 20, None]

    a, b = rng.standard_normal((2, 500, 400, 1))
    gains, errors = gain_errors(kept, a + b, a + 0.5 * b, rng)
    assert gains.mean() == pytest.approx(Z95 * (np.sqrt(2.0) - np.sqrt(1.25)), abs=4.0 * gains.std() / np.sqrt(500.0))
    assert np.sqrt((errors**2).mean()) == pytest.approx(gains.std(), rel=0.15)


def test_gains_and_moves_carry_their_errors(found):
    """Each number of the table has its error beside it, and the error is that of a quantile of 4,000 draws."""
    assert (found.gain_errors > 0.0).all() and (found.gain_errors < 2.1 * np.hypot(A, B) / np.sqrt(4000.0)).all()
    side = found.place("upper side of s0")
    assert found.move_errors[side] == pytest.approx(found.gain_errors[side, 0], rel=0.6)  # the slope is one
    for row in found.rows[1:]:
        assert "+-" in row[6]
    assert "+-" in found.rows[-1][7]


def test_with_one_source_everything_is_exact(analytic):
    """Halving the only spread halves the distance between mean and kept margin; the side moves by the same."""
    model = analytic.closed_form({"sum": lambda t, v: v["s0"] + A * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 1000, 0)
    envelope = envelope_of(analytic, model, posterior)
    found = envelope.influence(model, posterior, n_draws=1000)
    mean = 0.6 - np.array([p.settings["s0"] for p in found.places]) - A * posterior["a"].mean()
    assert found.gains[:, 0, 0] == pytest.approx(0.5 * (mean - found.margins[:, 0]), rel=1e-9)
    # At the side the quantile is that of the search: fewer violations are allowed there than 5 %.
    side = found.place("upper side of s0")
    margins = np.sort(mean[side] - A * (posterior["a"] - posterior["a"].mean()))
    k = envelope.searched.allowed.k[0]
    level = margins[int(k * 1000 / envelope.space.n_draws)]
    assert found.moves[side, 0] == pytest.approx(0.5 * (mean[side] - level), rel=1e-6)
    assert np.isnan(found.moves[0, 0])


def test_what_ends_a_side_has_a_place_and_a_bound_has_none(found):
    assert [place.name for place in found.places] == ["set point", "upper side of s0"]
    assert found.places[1].limit == "sum <= 0.6"


def test_learning_one_parameter_teaches_its_correlated_ones(analytic):
    """The margin depends on b alone; with a known exactly, sqrt(1 - rho^2) of the spread of b is left."""
    rho, n = 0.8, 2000
    model = analytic.closed_form({"sum": lambda t, v: v["s0"] + A * v["b"] + 0.0 * v["a"]}, ["a", "b"])
    draws = np.random.default_rng(1).multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]], n)
    posterior = Posterior.from_draws(model.parameters, draws)
    envelope = envelope_of(analytic, model, posterior)
    found = envelope.influence(model, posterior, narrowed=0.0, n_draws=n)
    a, b = draws.T - draws.mean(axis=0)[:, None]
    rest = b - (a @ b) / (a @ a) * a
    k = int(0.05 * n + 1e-9)
    exact = A * (np.sort(-rest)[k] - np.sort(-b)[k])
    assert found.gains[0, 0, found.source("a")] == pytest.approx(exact, rel=1e-9)
    assert found.gains[0, 0, found.source("a")] == pytest.approx(
        A * Z95 * (1.0 - np.sqrt(1.0 - rho**2)), abs=4.0 * 2.1 * A / np.sqrt(n)
    )
    # Its own slope is zero: what it teaches comes through b alone.
    assert found.source_slopes[0, 0, found.source("a")] == pytest.approx(0.0, abs=1e-12)
    assert found.shares[0, 0, found.source("b")] == pytest.approx(1.0)


def test_scatter_and_tolerance_are_sources_of_their_own(analytic):
    model = analytic.closed_form({"sum": lambda t, v: v["s0"] + A * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 2000, 0)
    envelope = envelope_of(analytic, model, posterior, batch_variation={"a": "2 1"}, tolerance={"s0": "0.04 1"})
    found = envelope.influence(model, posterior, n_draws=2000)
    assert [s.name for s in found.sources] == ["a", "a, batch to batch", "tolerance of s0"]
    exact = np.array([A**2, (2.0 * A) ** 2, 0.04**2])
    assert found.shares[0, 0] == pytest.approx(exact / exact.sum(), abs=0.05)
    assert found.ranked()[0] == "a, batch to batch"
    assert found.source_slopes[0, 0] == pytest.approx([-A, -A, -1.0], rel=1e-9)


def test_the_envelope_of_a_narrower_posterior_moves_as_estimated(linear, analytic):
    """The first-order move of a side against a new search with draws that are really narrower."""
    model, posterior, envelope = linear
    draws = np.stack([posterior["a"], posterior["b"]], axis=1)
    draws[:, 0] = draws[:, 0].mean() + 0.5 * (draws[:, 0] - draws[:, 0].mean())
    narrower = envelope_of(analytic, model, Posterior.from_draws(model.parameters, draws))
    moved = narrower.box["s0"][1] - envelope.box["s0"][1]
    found = envelope.influence(model, posterior, n_draws=4000)
    assert found.moves[1, found.source("a")] == pytest.approx(moved, rel=0.25)


def test_text_and_picture_name_sources_with_units(found):
    text = str(found)
    for words in (
        "share of variance",
        "side moves by",
        "upper side of s0",
        "nothing of this is certified",
        "per 1 of s0",
    ):
        assert words in text
    figure = found.plot()
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]
    plt.close(figure)
    with pytest.raises(UnknownNameError, match="limit"):
        found.plot(limit="som")


def test_an_empty_envelope_says_what_would_help_at_its_closest_settings(analytic):
    model = analytic.closed_form({"sum": lambda t, v: v["s0"] + A * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 500, 0)
    envelope = envelope_of(analytic, model, posterior, limits=[Limit("sum", upper="0.0001 1")])
    assert envelope.empty
    found = envelope.influence(model, posterior)
    assert [place.name for place in found.places] == ["closest settings"]
    assert found.gains[0, 0, 0] > 0.0
    assert "closest settings" in str(found)


def test_another_posterior_is_refused(linear, analytic):
    model, posterior, envelope = linear
    with pytest.raises(EnvelopeError, match="rests on the posterior"):
        envelope.influence(model, analytic.gaussian_draws(model, 4000, 1))
    with pytest.raises(EnvelopeError, match="narrowed"):
        envelope.influence(model, posterior, narrowed=1.0)


def test_where_too_many_runs_fail_nothing_is_known_and_it_says_so(analytic):
    """A tenth of the runs fails whatever the settings are: no margin is kept with 0.95, and none can be gained."""
    model = analytic.closed_form(
        {"sum": lambda t, v: v["s0"] + A * v["a"]}, ["a"], fails=lambda v: v["a"] > 1.2815515655446004
    )
    posterior = analytic.gaussian_draws(model, 400, 0)
    envelope = envelope_of(analytic, model, posterior)
    found = envelope.influence(model, posterior, narrowed=0.9)
    assert envelope.empty
    assert np.isnan(found.margins).all()
    assert np.isnan(found.gains).all()
    assert "unknown" in str(found)
    assert found.unexplained[0, 0] == pytest.approx(0.0, abs=1e-12)  # of the runs that did not fail


def test_limits_with_a_probability_of_their_own_are_judged_by_it(analytic):
    """The same margin kept with 0.8 and with 0.95: the first is larger by the difference of the normal quantiles."""
    formulas = {name: lambda t, v: v["s0"] + A * v["a"] for name in ("sum", "other")}
    model = analytic.closed_form(formulas, ["a"])
    posterior = analytic.gaussian_draws(model, 2000, 0)
    limits = [Limit("sum", upper="0.6 1"), Limit("other", upper="0.6 1", probability=0.8)]
    envelope = envelope_of(analytic, model, posterior, limits=limits)
    found = envelope.influence(model, posterior, n_draws=2000)
    margins = np.sort(-A * posterior["a"])
    exact = margins[int(0.2 * 2000 + 1e-9)] - margins[int(0.05 * 2000 + 1e-9)]
    assert found.margins[0, 1] - found.margins[0, 0] == pytest.approx(exact)


def test_a_loaded_envelope_answers_as_the_one_that_was_saved(linear, found, tmp_path):
    """Question and design are in the file: influences and plans come out the same to the last bit."""
    model, posterior, envelope = linear
    envelope.save(tmp_path / "e.nc")
    loaded = Envelope.load(tmp_path / "e.nc")
    again = loaded.influence(model, posterior, n_draws=4000)
    for name in ("margins", "setting_slopes", "source_slopes", "shares", "gains", "moves"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    there = {"s0": "0.05 1"}
    assert loaded.plan(there, steps={"s0": "0.1 1"}).steps == envelope.plan(there, steps={"s0": "0.1 1"}).steps
    assert loaded.predict(there) == envelope.predict(there)
    assert loaded.check(there) == envelope.check(there)
