"""Laws of the certificate and boxes known in closed form, beyond those of test_find_envelope."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from physics_twin.envelope import Budget, Limit, final, find_envelope
from physics_twin.envelope.next_batch import draws
from physics_twin.errors import EnvelopeError
from physics_twin.posterior import Posterior


def question(analytic, formula, d=2, *, n=400, upper=0.5, sd=1.0, **options):
    model, settings = analytic.closed_form({"y": formula}, ["a"]), analytic.knobs(d)
    return {
        "model": model,
        "posterior": analytic.gaussian_draws(model, n, seed=d, sd=sd),
        "recipe": analytic.one_hour(settings),
        "settings": settings,
        "limits": [Limit("y", upper=upper, over=final)],
        "rng": 3,
        **options,
    }


def slanted(t, v):
    return v["s0"] + v["s1"] + 0.1 * v["a"]


# Walls and needles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.01, 0.004])
def test_no_certified_box_of_two_settings_holds_a_wall_wider_than_the_scouts_are_apart(analytic, width):
    """A wall across one setting, half of its height 1.7 widths wide; scouts lie a 256th of a box apart along an axis.

    A first pass of scouts meets the narrower one once or twice, and a box that only avoids those points holds it.
    """

    def wall(u):
        return np.exp(-(((u - 0.3719) / width) ** 2))

    envelope = find_envelope(**question(analytic, lambda t, v: wall(v["s0"]) + 0.02 * v["a"]))
    assert not envelope.empty
    low, high = envelope.box["s0"]
    assert norm.cdf((0.5 - wall(np.linspace(low, high, 20001))) / 0.02).min() >= 0.95
    assert high - low > 0.3


def test_a_limit_met_exactly_is_met_and_settings_that_change_nothing_keep_their_bounds(analytic):
    """y = 0.5 everywhere with the limit 0.5; no spread and nothing that depends on the settings."""
    envelope = find_envelope(**question(analytic, lambda t, v: 0.5 + 0.0 * v["s0"] + 0.0 * v["a"]))
    assert envelope.box == {"s0": (0.0, 1.0), "s1": (0.0, 1.0)}
    assert envelope.probability == 1.0


def test_a_probability_just_below_what_is_required_is_not_certified_by_luck(analytic):
    """0.94 at all settings: the box fails on the held-out draws however often it is tried. (One-sided error 5 %.)"""

    def same_everywhere(t, v):
        return v["a"] + 0.0 * v["s0"]

    given = question(analytic, same_everywhere, d=1, upper=float(norm.ppf(0.94)))
    passed = 0
    for seed in range(20):
        posterior = analytic.gaussian_draws(given["model"], 300, seed=100 + seed)
        passed += not find_envelope(**{**given, "posterior": posterior, "rng": seed}).empty
    assert passed <= 4  # binomial(20, 0.05): more than 4 in 0.3 % of all cases


# Draws ------------------------------------------------------------------------------------------------------------


def test_the_certificate_needs_as_many_draws_as_the_formula_says_and_not_one_more(analytic):
    """0.05 / 2 over 4 points at 0.95: ln(1/160) / ln 0.95 = 98.9; 99 are left of 165 draws, 98 of 164."""
    given = question(analytic, lambda t, v: v["s0"] + 0.0 * v["a"], d=1, upper=9.0)
    everything = given["posterior"].draws.values

    def some(n):
        return {**given, "posterior": Posterior.from_draws(given["model"].parameters, everything[:n])}

    assert find_envelope(**some(165)).certificate.n_certification == 99
    with pytest.raises(EnvelopeError, match="98 independent ones are left to certify, and 99"):
        find_envelope(**some(164))


def test_copies_of_draws_count_once_and_are_never_on_both_sides(analytic):
    """100 draws, each five times, are 100 draws: too few. 300, each twice, are 300, and said to be."""
    given = question(analytic, slanted)

    def copied(n, times):
        rows = np.repeat(np.random.default_rng(0).standard_normal((n, 1)), times, axis=0)
        return Posterior.from_draws(given["model"].parameters, rows)

    with pytest.raises(EnvelopeError, match="too few draws: 60 independent"):
        find_envelope(**{**given, "posterior": copied(100, 5)})
    envelope = find_envelope(**{**given, "posterior": copied(300, 2)})
    assert envelope.certificate.n_effective == pytest.approx(180.0)
    assert any("600 draws hold 300 different ones" in warning for warning in envelope.warnings)


def test_draws_of_a_chain_that_count_a_quarter_are_refused_or_counted(analytic):
    given = question(analytic, slanted)
    chain = replace(given["posterior"], effective_draws=100.0)
    with pytest.raises(EnvelopeError, match="too few draws: 60 independent"):
        find_envelope(**{**given, "posterior": chain})


def test_the_search_never_sees_the_draws_that_certify(analytic, monkeypatch):
    """Other held-out draws, other violations; the points tried and their margins are the same to the last bit."""
    given = question(analytic, slanted, n=800)
    honest = find_envelope(**given)
    split = draws.split_draws

    def altered(*args, **kwargs):
        found = split(*args, **kwargs)
        worse = {"a": np.sort(found.held.values["a"]) * 0.7}
        return replace(found, held=replace(found.held, values=worse))

    monkeypatch.setattr("physics_twin.envelope.search.split_draws", altered)
    other = find_envelope(**given)
    n = min(len(honest.space.points), len(other.space.points))
    assert np.array_equal(honest.space.points[:n], other.space.points[:n])
    assert np.array_equal(honest.space.margins[:n], other.space.margins[:n])
    assert honest.certificate.attempts[0].box == other.certificate.attempts[0].box
    assert not np.array_equal(honest.certificate.violations, other.certificate.violations)


def test_neither_an_executor_nor_a_checkpoint_changes_a_bit(analytic, tmp_path):
    given = question(analytic, slanted, n=300, budget=Budget(n_points=30))
    plain, threads = find_envelope(**given), ThreadPoolExecutor(2)
    with threads:
        others = [
            find_envelope(**given, executor=threads),
            find_envelope(**given, checkpoint=tmp_path),
            find_envelope(**given, checkpoint=tmp_path),  # replayed
        ]
    for other in others:
        assert other.box == plain.box
        assert other.set_point == plain.set_point
        assert np.array_equal(other.space.margins, plain.space.margins)
        assert np.array_equal(other.certificate.lower_bounds, plain.certificate.lower_bounds)
        assert str(other) == str(plain)


# What was given is something else ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"limits": Limit("y", upper=1.0)}, r"limits=\[pt\.Limit"),
        ({"posterior": None}, "posterior is None; give what pt.calibrate"),
        ({"model": "boiler"}, "model is 'boiler'; give the model that was calibrated"),
        ({"shape": "box"}, r"pt\.LargestBox\(\) or"),
        ({"probability": "95 %"}, "number between 0 and 1"),
        ({"rng": None}, "whole number"),
        ({"rng": -1}, "whole number"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named_as_a_person_would(analytic, spoiled, said):
    with pytest.raises(EnvelopeError, match=said):
        find_envelope(**{**question(analytic, slanted), **spoiled})
