"""Certificates on draws made anew, where the posterior has too few and says how its draws come about."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.stats import norm

import physics_twin as pt
from physics_twin.envelope import Budget, Envelope, Limit, final, find_envelope
from physics_twin.envelope.certificate.attempts import n_certified
from physics_twin.envelope.certificate.certificate import draws_needed, lower_bound
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.next_batch.draws import SLACK, split_draws
from physics_twin.errors import EnvelopeError

TIMES = np.linspace(0.0, 1.0, 8)
NOISE = 0.05
NEEDED = draws_needed(0.95, 0.025 / n_certified(3))
"""At the corners of three settings and the worst points; the first attempt may use half of the error of 0.05."""
LIMITS = [Limit("y", upper=1.0, over=final)]


@pytest.fixture(scope="module")
def model(analytic):
    """y = s0 + s1 + s2 + a."""
    return analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + v["s2"] + v["a"] + 0.0 * t}, ["a"])


def settings() -> tuple[pt.Setting, ...]:
    return tuple(pt.Setting(f"s{i}", "1", bounds=(0.0, 1.0)) for i in range(3))


def recipe() -> pt.Recipe:
    return pt.Recipe([pt.Phase("run", duration="1 h")], initial={s.name: s for s in settings()})


@pytest.fixture(scope="module")
def fitted(analytic):
    """n_draws -> the fit of a to readings of a alone: normal about their mean, standard deviation NOISE / sqrt(8)."""
    alone = analytic.closed_form({"y": lambda t, v: v["a"] + 0.0 * t}, ["a"])
    y = 0.1 + NOISE * np.random.default_rng(1).standard_normal(TIMES.size)
    data = pt.Experiment.from_arrays("run", TIMES, {"y": y}, channels=[pt.Channel("y", unit="1", noise=NOISE)])

    def fit(n_draws: int) -> pt.Posterior:
        return pt.calibrate(alone, data, unknown=["a"], method=pt.GaussNewton(n_draws=n_draws), rng=2)

    return fit


@pytest.fixture(scope="module")
def posterior(fitted) -> pt.Posterior:
    return fitted(100)


def ask(model: object, posterior: pt.Posterior, **options: object) -> Envelope:
    options = {"recipe": recipe(), "settings": settings(), "limits": LIMITS, "rng": 3, **options}
    return find_envelope(model, posterior, **options)


@pytest.fixture(scope="module")
def envelope(model, posterior) -> Envelope:
    return ask(model, posterior)


def test_a_hundred_draws_of_a_fit_get_a_certificate_over_three_settings(model, posterior, envelope):
    """Fresh draws certify and count in full; the search has all of the posterior's own."""
    assert not envelope.empty
    c = envelope.certificate
    assert c.passed
    assert (c.n_search, c.n_certification) == (100, SLACK * NEEDED)
    assert c.n_effective == c.n_certification
    assert c.redrawn == "the posterior's normal approximation"
    expected = [lower_bound(v, c.n_certification, c.attempts[-1].error) for v in c.violations[:, 0]]
    assert c.lower_bounds[:, 0] == pytest.approx(expected, rel=1e-12)
    # The truth: a has the law of the fit exactly, since y is linear in it and the noise is known.
    mean, sd = float(posterior.mode["a"]), NOISE / np.sqrt(TIMES.size)
    worst = sum(high for _, high in envelope.box.values())
    assert norm.cdf((1.0 - worst - mean) / sd) >= 0.95
    said = f"certified on {SLACK * NEEDED} draws made anew from the posterior's normal approximation"
    assert said in envelope.includes
    assert said in str(envelope)
    assert f"100 draws for the search, {SLACK * NEEDED} made anew from" in str(envelope)


def test_no_draw_that_certifies_was_seen_by_the_search(model, posterior, envelope):
    """Nor is any of the others the posterior's own; the search sees every one of these."""
    question = envelope.question
    problem = Problem(model, question.recipe, question.settings, bind_limits(question.limits, model.outputs), 8)
    draws = split_draws(problem, posterior, question, np.random.default_rng(3), NEEDED)
    assert sorted(draws.search.values["a"]) == sorted(posterior["a"])
    assert np.unique(draws.held.values["a"]).size == SLACK * NEEDED
    assert not np.isin(draws.held.values["a"], posterior["a"]).any()


def test_violations_of_fresh_draws_are_those_of_the_law_of_the_fit(posterior, envelope):
    """At the corner P is known: violations of independent draws are binomial about it, within five standard errors."""
    c = envelope.certificate
    mean, sd = float(posterior.mode["a"]), NOISE / np.sqrt(TIMES.size)
    for point, violated in zip(c.points, c.violations[:, 0], strict=True):
        p = norm.sf((1.0 - point.sum() - mean) / sd)
        assert abs(violated - c.n_certification * p) <= 5.0 * np.sqrt(c.n_certification * p * (1.0 - p)) + 1e-9
    corners = itertools.product(*envelope.box.values())
    assert max(sum(corner) for corner in corners) == pytest.approx(c.points.sum(axis=1).max())


def test_the_same_seed_gives_the_same_numbers_and_so_does_recertify_from_files(model, posterior, envelope, tmp_path):
    again = ask(model, posterior)
    assert again.box == envelope.box
    assert again.certificate.violations.tolist() == envelope.certificate.violations.tolist()
    posterior.save(tmp_path / "posterior.nc")
    envelope.save(tmp_path / "envelope.nc")
    loaded, held = Envelope.load(tmp_path / "envelope.nc"), pt.Posterior.load(tmp_path / "posterior.nc")
    assert loaded.certificate.redrawn == envelope.certificate.redrawn
    found = loaded.recertify(model, held)
    assert found.reproduced
    assert found.changes == ()
    assert found.certificate.redrawn == envelope.certificate.redrawn
    assert found.certificate.n_certification == envelope.certificate.n_certification
    assert ask(model, posterior, rng=4).margins[0].expected != envelope.margins[0].expected


def test_recertify_refuses_the_same_draws_without_their_origin(model, posterior, envelope):
    bare = dataclasses.replace(posterior, origin=None)
    with pytest.raises(EnvelopeError, match="does not say how more of them are made"):
        envelope.recertify(model, bare)


def test_a_new_posterior_of_few_draws_certifies_on_fresh_ones(model, fitted, envelope):
    found = envelope.recertify(model, fitted(99))
    assert found.certificate.redrawn
    assert found.certificate.n_certification > 100
    assert found.passed
    assert "the posterior" in found.changes[0]


def test_priors_are_drawn_anew_too(model):
    declared = [pt.Parameter("a", 0.1, unit="1", prior=pt.Normal(0.1, 0.02))]
    found = ask(model, pt.Posterior.from_prior(declared, 100, rng=3))
    assert found.certificate.passed
    assert found.certificate.redrawn == "the priors"


def test_enough_draws_are_not_made_anew(model, fitted):
    found = ask(model, fitted(1000))
    assert not found.certificate.redrawn
    assert found.certificate.n_search + found.certificate.n_certification == 1000
    assert not any("made anew" in said for said in found.includes)


def test_given_draws_are_refused_with_the_number_needed_and_what_to_do(model, posterior):
    """So many without a violation, and two search draws for three that certify."""
    given = pt.Posterior.from_draws(posterior.parameters, posterior.draws.values)
    held = NEEDED
    total = held + int(np.ceil(held * 0.4 / 0.6))
    with pytest.raises(EnvelopeError, match=rf"{NEEDED} without a violation.*at least {total} draws.*100; more have"):
        ask(model, given)


def test_a_budget_too_small_for_fresh_draws_is_what_is_refused(model, posterior):
    with pytest.raises(EnvelopeError, match=rf"Give budget=pt\.Budget\(n_certification={NEEDED}\)"):
        ask(model, posterior, budget=Budget(n_certification=NEEDED - 1))
    least = ask(model, posterior, budget=Budget(n_certification=NEEDED))
    assert least.certificate.n_certification == NEEDED


def test_a_set_point_is_certified_on_fresh_draws(model, fitted):
    """A point needs 72 draws; of 60 the search leaves 36."""
    found = pt.find_set_point(
        model,
        fitted(60),
        recipe=recipe(),
        settings=settings(),
        limits=LIMITS,
        objectives=pt.Maximize("s0"),
        probability=0.95,
        rng=1,
    )
    assert found.met
    assert found.certificate.redrawn
    assert any("made anew" in said for said in found.includes)
