"""Limits on whole courses: what happens between the samples is found, or nothing is certified."""

import numpy as np
import pytest
from scipy.stats import norm

from physics_twin import Maximize, find_set_point
from physics_twin.envelope import Budget, Envelope, Limit, final, find_envelope, mean
from physics_twin.errors import EnvelopeError

HOUR = 3600.0
WHEN = 0.6321
"""Of the pulse, in phases: no node of 32 is near it (the next are 0.627 and 0.651 at a width of 1/200)."""
HEIGHT_SD = 0.05
LEVEL = 0.6


def pulse(width, when=WHEN):
    """A pulse whose height is s0 + 0.05 a, with a standard normal; width: its standard deviation, in phases."""
    return lambda t, v: (v["s0"] + HEIGHT_SD * v["a"]) * np.exp(-0.5 * ((t / HOUR - when) / width) ** 2)


def ask(analytic, course, limits, budget=None, n_draws=1000, seed=0, **more):
    model = analytic.closed_form({"y": course}, ["a"])
    posterior = analytic.gaussian_draws(model, n_draws, seed)
    settings = analytic.knobs(1)
    more = {"rng": 1, **more}
    envelope = find_envelope(
        model,
        posterior,
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=limits,
        budget=Budget(n_points=12, n_search=150) if budget is None else budget,
        **more,
    )
    return model, posterior, envelope


def kept(s0):
    """True probability that the pulse stays below LEVEL."""
    return norm.cdf((LEVEL - s0) / HEIGHT_SD)


@pytest.fixture(scope="module")
def narrow(analytic):
    """A pulse of 1/200 of the phase, which 32 samples miss."""
    return ask(analytic, pulse(1.0 / 200.0), [Limit("y", upper=LEVEL)])


def test_a_pulse_between_the_samples_ends_the_box_where_it_truly_does(narrow):
    """Judged on the samples alone every setting up to the bound would pass, where the truth is kept(1) = 6e-16."""
    _, _, envelope = narrow
    high = envelope.box["s0"][1]
    assert kept(high) >= 0.95
    assert high == pytest.approx(LEVEL - norm.ppf(0.95) * HEIGHT_SD, abs=2.0 * HEIGHT_SD)


def test_what_was_checked_and_what_was_missed_is_said(narrow):
    _, _, envelope = narrow
    sampling = envelope.certificate.sampling
    assert sampling.n_nodes in (128, 512)
    assert sampling.compared == 16 * sampling.n_nodes
    assert sampling.limit == "y <= 0.6"
    assert abs(sampling.change) <= 0.02 * HEIGHT_SD
    assert any(f"sampled {sampling.n_nodes} times" in line for line in envelope.includes)
    (warning,) = [line for line in envelope.warnings if "samples in each phase" in line]
    assert f"Budget(n_nodes={sampling.n_nodes})" in warning
    assert "32 samples" in warning


def test_asked_with_enough_samples_nothing_is_warned_of(analytic, narrow):
    n_nodes = narrow[2].certificate.sampling.n_nodes
    budget = Budget(n_points=12, n_search=150, n_nodes=n_nodes)
    _, _, again = ask(analytic, pulse(1.0 / 200.0), [Limit("y", upper=LEVEL)], budget)
    assert again.certificate.sampling.n_nodes == n_nodes
    assert not any("samples in each phase" in line for line in again.warnings)
    assert again.box["s0"][1] == pytest.approx(narrow[2].box["s0"][1], abs=HEIGHT_SD)


def test_a_pulse_too_narrow_for_the_samples_that_may_be_taken_is_refused(analytic):
    """Width 1/3000: two samples of 512 are 7 widths apart."""
    with pytest.raises(EnvelopeError, match=r"nothing can be certified.*Budget\(n_nodes=2048\)"):
        ask(analytic, pulse(1.0 / 3000.0), [Limit("y", upper=LEVEL)])


def test_a_smooth_course_costs_next_to_nothing_and_keeps_its_samples(analytic):
    """The same limit at the end alone is not checked; both see the same margins, since the course rises."""
    rising = lambda t, v: (v["s0"] + HEIGHT_SD * v["a"]) * (t / HOUR) ** 2  # noqa: E731
    _, _, whole = ask(analytic, rising, [Limit("y", upper=LEVEL)])
    _, _, end = ask(analytic, rising, [Limit("y", upper=LEVEL, over=final)])
    assert end.certificate.sampling is None
    assert not any("sampled" in line for line in end.includes)
    assert whole.certificate.sampling.n_nodes == 32
    assert whole.box["s0"] == pytest.approx(end.box["s0"], abs=1e-9)
    n_points = len(whole.certificate.points)
    compared = 2 * whole.certificate.sampling.n_runs + 2 * n_points  # both sides, and two draws with more samples still
    assert compared < 0.05 * whole.certificate.n_simulations


def test_a_margin_that_more_samples_raise_is_no_reason_for_more(analytic):
    """A lower limit on the mean of a pulse that the samples miss: they see less than there is, which claims less."""
    course = lambda t, v: v["s0"] + 0.1 * v["a"] + 5.0 * pulse(1.0 / 200.0)(t, {"s0": 1.0, "a": 0.0})  # noqa: E731
    _, _, envelope = ask(analytic, course, [Limit("y", lower=0.2, over=mean)])
    assert envelope.certificate.sampling.n_nodes == 32
    assert envelope.certificate.sampling.change < 0.0


def test_the_same_inputs_give_the_same_bytes_and_the_checkpoint_knows_the_samples(analytic, narrow, tmp_path):
    """Runs with more samples are other runs to the journal, which gives them all back."""
    limits = [Limit("y", upper=LEVEL)]
    first = ask(analytic, pulse(1.0 / 200.0), limits, checkpoint=tmp_path / "kept")[2]
    again = ask(analytic, pulse(1.0 / 200.0), limits, checkpoint=tmp_path / "kept")[2]
    for other in (first, again):
        assert other.box == narrow[2].box
        assert other.certificate.sampling == narrow[2].certificate.sampling
        assert (other.certificate.lower_bounds == narrow[2].certificate.lower_bounds).all()


def test_a_file_keeps_the_samples_and_the_certificate_is_computed_anew_with_them(narrow, tmp_path):
    model, posterior, envelope = narrow
    envelope.save(tmp_path / "pulse.nc")
    loaded = Envelope.load(tmp_path / "pulse.nc")
    assert loaded.certificate.sampling == envelope.certificate.sampling
    assert loaded.recertify(model, posterior).reproduced


def test_new_draws_check_the_samples_anew(analytic, narrow):
    model, _, envelope = narrow
    found = envelope.recertify(model, analytic.gaussian_draws(model, 1000, 5))
    assert found.certificate.sampling.n_nodes >= envelope.certificate.sampling.n_nodes
    assert found.passed


def test_a_limit_without_uncertainty_is_checked_on_the_range_of_its_margin(analytic):
    """All draws alike: a fall is then compared with how much the margin differs over the settings, never with zero."""
    certain = lambda t, v: v["s0"] * np.sin(np.pi * t / HOUR) + 0.0 * v["a"]  # noqa: E731
    _, _, envelope = ask(analytic, certain, [Limit("y", upper=LEVEL)])
    assert envelope.certificate.sampling.n_nodes == 32
    assert envelope.box["s0"][1] == pytest.approx(LEVEL, rel=1e-3)


def test_a_certified_set_point_refuses_what_its_samples_miss(analytic):
    """The largest s0 under the pulse: the samples see none of it, and with those that the error names it is found."""
    model = analytic.closed_form({"y": pulse(1.0 / 200.0), "s": lambda t, v: v["s0"] + 0.0 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    options = {
        "recipe": analytic.one_hour(settings),
        "settings": settings,
        "objectives": Maximize("s", over=final),
        "limits": [Limit("y", upper=LEVEL)],
    }
    posterior = analytic.gaussian_draws(model, 600, 0)
    with pytest.raises(EnvelopeError, match=r"nothing can be certified.*n_nodes=(128|512)") as refused:
        find_set_point(model, posterior, budget=Budget(n_search=150), **options)
    n_nodes = int(str(refused.value).rpartition("n_nodes=")[2].rstrip(")"))
    found = find_set_point(model, posterior, budget=Budget(n_search=150, n_nodes=n_nodes), **options)
    assert found.met
    assert kept(found.settings["s0"]) >= 0.95
    assert found.certificate.sampling.n_nodes == n_nodes
