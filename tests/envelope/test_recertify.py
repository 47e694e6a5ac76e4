"""Certificates computed anew."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from physics_twin.envelope import Envelope, Limit, final, find_envelope
from physics_twin.envelope.certificate.certificate import attempt_error, lower_bound
from physics_twin.envelope.certificate.recertify import N_SCOUTS
from physics_twin.envelope.ranges.shapes import Polytope
from physics_twin.errors import EnvelopeError, ModelError, UnknownNameError
from physics_twin.posterior import Posterior
from physics_twin.source import code_hash


def formula(t, v):
    return v["s0"] + v["s1"] + 0.1 * v["a"]


@pytest.fixture(scope="module")
def case(analytic):
    """s0 + s1 + 0.1 a <= 1."""
    model = analytic.closed_form({"y": formula}, ["a"])
    settings = analytic.knobs(2)
    posterior = analytic.gaussian_draws(model, 3000, seed=1)
    options = {"recipe": analytic.one_hour(settings), "settings": settings}
    limits = [Limit("y", upper=1.0, over=final)]
    return model, posterior, options, limits, find_envelope(model, posterior, limits=limits, rng=3, **options)


def test_the_same_inputs_give_the_same_numbers_bit_for_bit_from_a_file(case, tmp_path):
    model, posterior, _, _, envelope = case
    envelope.save(tmp_path / "envelope.nc")
    again = Envelope.load(tmp_path / "envelope.nc").recertify(model, posterior)
    assert again.passed
    assert again.reproduced
    assert again.changes == ()
    old, new = envelope.certificate, again.certificate
    assert (new.violations == old.violations).all()
    assert (new.lower_bounds == old.lower_bounds).all()
    assert (new.points == old.points).all()
    same = ("n_draws", "n_search", "n_certification", "n_effective", "seed", "fingerprint", "posterior", "recipe")
    assert all(getattr(new, name) == getattr(old, name) for name in same)
    assert new.attempts == old.attempts
    assert "the claim holds" in str(again)
    assert "every count and bound is that of the envelope" in str(again)


def test_batch_to_batch_variation_and_tolerance_are_drawn_again_alike(case):
    model, posterior, options, limits, _ = case
    more = {"batch_variation": {"a": 0.5}, "tolerance": {"s0": 0.02}}
    envelope = find_envelope(model, posterior, limits=limits, rng=11, **options, **more)
    assert envelope.recertify(model, posterior).reproduced


def test_a_polytope_is_certified_again_at_its_vertices(case):
    model, posterior, options, limits, _ = case
    envelope = find_envelope(model, posterior, limits=limits, rng=3, shape=Polytope(2), **options)
    assert envelope.recertify(model, posterior).reproduced


def test_a_generator_must_be_given_again(case):
    model, posterior, options, limits, _ = case
    envelope = find_envelope(model, posterior, limits=limits, rng=np.random.default_rng(5), **options)
    with pytest.raises(EnvelopeError, match="found with a generator"):
        envelope.recertify(model, posterior)
    assert envelope.recertify(model, posterior, rng=np.random.default_rng(5)).reproduced


def test_another_seed_with_the_same_draws_is_refused(case):
    """The other split would let draws certify that the search has seen."""
    model, posterior, _, _, envelope = case
    with pytest.raises(EnvelopeError, match="another split of the draws"):
        envelope.recertify(model, posterior, rng=4)


def test_all_draws_of_a_new_posterior_certify_but_those_that_look_for_worst_points(case, analytic):
    """One test, all of the error: bounds are Clopper and Pearson's with 0.05 over the number of points."""
    model, _, _, _, envelope = case
    fresh = analytic.gaussian_draws(model, 1000, seed=77)
    again = envelope.recertify(model, fresh)
    c = again.certificate
    assert (c.n_search, c.n_certification) == (N_SCOUTS, 1000 - N_SCOUTS)
    assert len(c.points) == len(envelope.certificate.points) + 4
    assert (c.points[: len(envelope.certificate.points)] == envelope.certificate.points).all()
    error = 0.05 / len(c.points)
    expected = [lower_bound(v, 1000 - N_SCOUTS, error) for v in c.violations[:, 0]]
    assert c.lower_bounds[:, 0] == pytest.approx(expected, rel=1e-12)
    assert again.passed
    assert not again.reproduced
    assert len(again.changes) == 1
    assert "the posterior" in again.changes[0]
    assert envelope.recertify(model, fresh).certificate.violations.tolist() == c.violations.tolist()


def test_a_posterior_that_has_moved_fails_at_the_worst_corner_and_says_so(case, analytic):
    """Half a unit of a more: at the corner P = Phi((1 - sum)/0.1 - 0.5) is below 0.95."""
    model, _, _, _, envelope = case
    corner = sum(high for _, high in envelope.box.values())
    moved = analytic.gaussian_draws(model, 3000, seed=78, mean=0.5)
    again = envelope.recertify(model, moved)
    assert not again.passed
    assert not again
    c = again.certificate
    truth = norm.cdf((1.0 - corner) / 0.1 - 0.5)
    share = 1.0 - c.violations[c.worst, 0] / c.n_certification
    assert share == pytest.approx(truth, abs=4 * np.sqrt(truth * (1 - truth) / c.n_certification))
    assert c.points[c.worst].sum() == pytest.approx(corner, rel=1e-9)
    assert "NOT shown" in str(again)
    assert "where 0.95 is required" in again.worst


def test_scouts_find_a_new_weak_spot_inside_the_box(case, analytic):
    """A new model with a narrow peak in the middle of the box: the corners are fine, the certificate still fails."""
    _, _, _, _, envelope = case
    middle = np.mean([0.5 * (low + high) for low, high in envelope.box.values()])

    def peaked(t, v):
        return formula(t, v) + 2.0 * np.exp(-(((v["s0"] - middle) / 0.05) ** 2 + ((v["s1"] - middle) / 0.05) ** 2))

    model = analytic.closed_form({"y": peaked}, ["a"], fingerprint="closed-form-2", version="2")
    again = envelope.recertify(model, analytic.gaussian_draws(model, 1000, seed=79))
    assert not again.passed
    assert again.certificate.points[again.certificate.worst] == pytest.approx([middle, middle], abs=0.08)
    assert any("the model: closed_form 2" in change for change in again.changes)


def test_a_model_without_the_output_or_the_parameter_is_refused(case, analytic):
    _, posterior, _, _, envelope = case
    other = analytic.closed_form({"x": formula}, ["a"])
    with pytest.raises(UnknownNameError, match="output"):
        envelope.recertify(other, posterior)
    nothing = analytic.closed_form({"y": lambda t, v: v["s0"]}, ["b"])
    with pytest.raises(ModelError, match="the posterior of another model"):
        envelope.recertify(nothing, posterior)


def test_a_changed_file_is_found_out(case):
    """Counts that somebody has made smaller do not come out again."""
    model, posterior, _, _, envelope = case
    flattered = dataclasses.replace(envelope.certificate, violations=0 * envelope.certificate.violations)
    again = dataclasses.replace(envelope, certificate=flattered).recertify(model, posterior)
    assert not again.reproduced
    assert "the file was changed" in again.changes[0]


def test_other_code_of_the_library_is_named(case):
    """The certificate has the hash of the source that made it; a file that is older than the hash says nothing."""
    model, posterior, _, _, envelope = case
    assert envelope.certificate.code == code_hash()
    for code, said in (("0123456789abcdef", True), ("", False)):
        older = dataclasses.replace(envelope, certificate=dataclasses.replace(envelope.certificate, code=code))
        changes = older.recertify(model, posterior).changes
        assert any("the library's code" in change and code in change for change in changes) is said


def test_functions_of_limits_have_to_be_given_again(case, tmp_path):
    model, posterior, options, _, _ = case

    def last(times, values):
        return float(values[-1])

    limits = [Limit("y", upper=1.0, over=last, unit="1", name="last y")]
    envelope = find_envelope(model, posterior, limits=limits, rng=3, **options)
    assert envelope.recertify(model, posterior).reproduced
    envelope.save(tmp_path / "envelope.nc")
    loaded = Envelope.load(tmp_path / "envelope.nc")
    with pytest.raises(EnvelopeError, match="give the limits once more"):
        loaded.recertify(model, posterior)
    again = loaded.recertify(model, posterior, limits=limits)
    assert again.reproduced
    assert again.changes == ()
    looser = [Limit("y", upper=1.2, over=last, unit="1", name="last y")]
    with pytest.raises(EnvelopeError, match='"last y" is another one'):
        loaded.recertify(model, posterior, limits=looser)
    with pytest.raises(EnvelopeError, match="not among those given"):
        loaded.recertify(model, posterior, limits=[Limit("y", upper=1.0, over=final)])


def test_an_empty_envelope_and_too_few_draws_are_refused(case, analytic):
    model, posterior, options, _, envelope = case
    empty = find_envelope(model, posterior, limits=[Limit("y", upper=-5.0)], rng=3, **options)
    with pytest.raises(EnvelopeError, match="nothing to certify"):
        empty.recertify(model, posterior)
    with pytest.raises(EnvelopeError, match="too few draws"):
        envelope.recertify(model, analytic.gaussian_draws(model, 60, seed=8))


def both(first, second):
    """A posterior of the draws of two."""
    return Posterior.from_draws(first.parameters, np.concatenate([first.draws.values, second.draws.values]))


def test_draws_that_were_looked_at_do_not_pass_for_new_ones(case, analytic, tmp_path):
    """In another order, some of them, or beside new ones: the search has chosen the box on them."""
    model, posterior, _, _, envelope = case
    envelope.save(tmp_path / "envelope.nc")
    values = posterior.draws.values
    fresh = analytic.gaussian_draws(model, 1000, seed=77)
    for asked in (envelope, Envelope.load(tmp_path / "envelope.nc")):
        for old in (values[::-1], values[:400]):
            with pytest.raises(EnvelopeError, match=f"{len(old)} of the {len(old)} draws of this posterior are among"):
                asked.recertify(model, Posterior.from_draws(posterior.parameters, old))
        with pytest.raises(EnvelopeError, match="3000 of the 4000 draws"):
            asked.recertify(model, both(fresh, posterior))
        assert asked.recertify(model, fresh).passed


def test_batch_to_batch_variation_is_drawn_anew_for_a_new_posterior(analytic):
    """Where the parameters are known the variation is all there is: none that the first call drew comes again."""
    seen: list[np.ndarray] = []

    def noted(t, v):
        seen.append(np.unique(v["a"]))
        return v["s0"] + 0.1 * v["a"]

    model, settings = analytic.closed_form({"y": noted}, ["a"]), analytic.knobs(1)
    known = [Posterior.from_draws(model.parameters, np.zeros((n, 1))) for n in (400, 401)]
    envelope = find_envelope(
        model,
        known[0],
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=0.5, over=final)],
        batch_variation={"a": 1.0},
        rng=3,
    )
    before = np.unique(np.concatenate(seen))
    seen.clear()
    assert envelope.recertify(model, known[1]).passed
    drawn = np.unique(np.concatenate(seen))
    assert len(before) > 300
    assert len(drawn) > 300
    # Zero is the batch of a warning's course, which is no draw.
    assert not np.isin(drawn[drawn != 0.0], before).any()


def test_another_model_has_its_worst_points_looked_for_with_the_same_draws(case, analytic):
    """The corners are fine and so are their counts, to the bit; a peak inside is found by search draws."""
    _, posterior, _, _, envelope = case
    low, high = (np.array([bounds[i] for bounds in envelope.box.values()]) for i in (0, 1))
    at = 0.5 * (low + high)

    def peaked(t, v):
        return formula(t, v) + 2.0 * np.exp(-(((v["s0"] - at[0]) / 0.04) ** 2 + ((v["s1"] - at[1]) / 0.04) ** 2))

    same = analytic.closed_form({"y": formula}, ["a"], version="2", fingerprint="closed-form-2")
    other = analytic.closed_form({"y": peaked}, ["a"], version="2", fingerprint="closed-form-2")
    c = envelope.recertify(same, posterior).certificate
    assert c.passed
    assert (c.violations[: len(envelope.certificate.points)] == envelope.certificate.violations).all()
    assert len(c.points) > len(envelope.certificate.points)
    assert c.attempts[-1].error == attempt_error(0.95, len(c.attempts) - 1, len(c.points))
    again = envelope.recertify(other, posterior)
    assert not again.passed
    assert again.certificate.points[again.certificate.worst] == pytest.approx(at, abs=0.06)
