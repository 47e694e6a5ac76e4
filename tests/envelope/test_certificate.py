"""The statistics of the certificate."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from physics_twin.envelope.certificate.certificate import (
    SPENDING,
    attempt_error,
    draws_needed,
    lower_bound,
    search_violations,
    violations_allowed,
)
from physics_twin.envelope.limits.limits import Limit, bind_limits
from physics_twin.envelope.limits.reductions import final
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.next_batch.draws import split_draws
from physics_twin.envelope.question import Question
from physics_twin.posterior import Posterior


def test_59_clean_draws_show_95_percent_at_95_percent_confidence():
    assert draws_needed(0.95, 0.05) == 59
    assert lower_bound(0, 59, 0.05) >= 0.95 > lower_bound(0, 58, 0.05)


@pytest.mark.parametrize(("k", "n"), [(0, 60), (3, 100), (40, 900), (59, 60)])
def test_the_lower_bound_is_clopper_and_pearsons(k, n):
    assert lower_bound(k, n, 0.05) == pytest.approx(beta.ppf(0.05, n - k, k + 1), rel=1e-12)
    assert lower_bound(n, n, 0.05) == 0.0


@pytest.mark.parametrize("p", [0.9, 0.95, 0.99])
def test_the_bound_exceeds_the_truth_in_no_more_than_the_stated_error(p):
    """Exact coverage: the sum of binomial weights of the counts whose bound is above the true probability."""
    n, error = 400, 0.05
    too_high = [k for k in range(n + 1) if lower_bound(k, n, error) > p]
    assert binom.pmf(too_high, n, 1.0 - p).sum() <= error


def test_allowed_violations_are_the_most_whose_bound_reaches_the_probability():
    k = violations_allowed(600, 0.95, 0.003)
    assert lower_bound(k, 600, 0.003) >= 0.95 > lower_bound(k + 1, 600, 0.003)
    assert violations_allowed(20, 0.95, 0.05) == -1


def test_the_error_is_spent_once_over_all_attempts_and_points():
    total = sum(8 * attempt_error(0.95, number, 8) for number in range(len(SPENDING)))
    assert total == pytest.approx(0.05, rel=1e-12)


def test_the_search_leaves_the_slack_that_the_certificate_needs():
    """A point with that many violations on the search draws passes the certificate as often as asked, on average over
    what its true probability may be (simulated: uniform prior, binomial draws on both sides)."""
    n_search, n_held, chance = 300, 500, 0.9
    allowed = violations_allowed(n_held, 0.95, 0.01)
    k = search_violations(n_search, n_held, allowed, chance)
    rng = np.random.default_rng(1)

    def passes(count):
        violation = rng.beta(count + 1, n_search - count + 1, 200_000)
        return (rng.binomial(n_held, violation) <= allowed).mean()

    assert passes(k) >= chance - 0.004
    assert passes(k + 1) < chance + 0.004


def test_draws_that_certify_are_worth_what_they_are_by_themselves(analytic):
    """40 copies among 240: on the side that certifies they leave less than the whole has for each of its draws.

    Kish: n draws of which n_i are alike are worth n^2 / sum n_i^2.
    """
    model, settings = analytic.closed_form({"y": lambda t, v: v["a"]}, ["a"]), analytic.knobs(1)
    values = np.random.default_rng(0).standard_normal((240, 1))
    values[:40] = values[0]
    posterior = Posterior.from_draws(model.parameters, values)
    question = Question(analytic.one_hour(settings), settings, (Limit("y", upper=1.0, over=final),))
    problem = Problem(model, question.recipe, settings, bind_limits(question.limits, model.outputs, ()), 4)
    whole = 240.0 / (40.0**2 + 200.0)
    seen = set()
    for seed in range(8):
        draws = split_draws(problem, posterior, question, np.random.default_rng(seed))
        held = draws.held.values["a"]
        copies = int((held == values[0, 0]).sum())
        assert copies in (0, 40)
        assert 240 - draws.search.n == held.size
        own = held.size / (copies**2 + held.size - copies) if copies else 1.0
        assert draws.independence == pytest.approx(min(own, whole))
        seen.add(copies)
    assert seen == {0, 40}
