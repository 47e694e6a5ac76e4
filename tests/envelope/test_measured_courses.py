"""What samples say of a reduction, and what they leave open: against closed forms of courses with a kink."""

import math
from functools import cache

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope.history.measured_courses import left_open, measured
from physics_twin.envelope.history.measured_limits import Judgment, Rule, judged
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.signals import Signal

RETORT, START, WATER, LAG, COOLING = 122.0, 40.0, 25.0, 12.0, 30.0
"""degC, degC, degC, min, min: a can in a retort follows with one lag, and is then cooled."""


def can(minutes, hold):
    """Temperature of the can in degC, exact: T' = (T_surrounding - T) / lag."""
    heated = RETORT + (START - RETORT) * np.exp(-np.minimum(minutes, hold) / LAG)
    cooled = WATER + (heated - WATER) * np.exp(-np.maximum(minutes - hold, 0.0) / LAG)
    return np.where(minutes <= hold, heated, cooled)


def record(every, hold, noise=0.0, seed=0) -> pt.Experiment:
    """Samples every so many minutes, with this noise in K drawn (and stated as 0.1 K)."""
    t = np.arange(0.0, hold + COOLING + 1e-9, every)
    values = can(t, hold) + noise * np.random.default_rng(seed).standard_normal(t.size)
    recipe = pt.Recipe([pt.Phase("run", duration=(hold + COOLING, "min"))])
    channels = [pt.Channel("T", unit="degC", noise="0.1 K")]
    return pt.Experiment.from_arrays("can", (60.0 * t, "s"), {"T": values}, channels=channels, recipe=recipe)


def of(run: pt.Experiment, **limit) -> Judgment:
    (requirement,) = bind_limits([pt.Limit("T", **limit)], [Signal("T", "degC")])
    return judged(Rule(requirement.name, "T", requirement), run)


@cache
def truth(name, hold):
    """Value in SI of a limit's reduction for the exact course: samples every 0.6 s, kink and moment among them."""
    t = np.union1d(np.linspace(0.0, hold + COOLING, 1 + round(100 * (hold + COOLING))), [hold, 22.0])
    (requirement,) = bind_limits([pt.Limit("T", **LIMITS[name])], [Signal("T", "degC")])
    return float(measured(requirement, 60.0 * t, can(t, hold)[None] + 273.15, 60.0 * t[-1])[0])


LIMITS = {
    "lethality": {"lower": "8 min", "over": pt.lethality()},
    "aged": {
        "upper": "30 min",
        "over": pt.equivalent_time(activation_energy="80 kJ/mol", reference="120 degC"),
    },
    "hot": {"lower": "20 min", "over": pt.time_above("110 degC")},
    "mean": {"upper": "83 degC", "over": pt.mean},
    "dose": {"upper": "430 K*h", "over": pt.integral},
    "early": {"upper": "109 degC", "over": pt.at("22 min")},
    "late": {"upper": "33 degC", "over": pt.final},
    "steep": {"upper": "6.5 K/min", "over": pt.rate},
    "fast": {"upper": "5.5 K/min", "over": pt.rate(over="5 min")},
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("every", [0.25, 1.0, 3.0, 10.0])
def test_no_batch_is_passed_that_broke_its_limit_nor_failed_that_met_it(name, every):
    """Holds of 38 to 60 min, records without noise: what is decided is what was true, however coarse the record is."""
    limit = LIMITS[name]
    (requirement,) = bind_limits([pt.Limit("T", **limit)], [Signal("T", "degC")])
    for hold in (38.0, 41.0, 42.0, 43.0, 44.0, 50.0, 60.0):
        found = of(record(every, hold), **limit)
        if found.met is not None:
            assert found.met is bool(requirement.side * (requirement.level - truth(name, hold)) >= 0.0), (hold, found)


@pytest.mark.parametrize("name", ["lethality", "aged", "hot", "mean", "dose"])
def test_the_bounds_hold_the_truth_and_close_in_with_the_interval(name):
    """Both bounds lie around the true value; half the interval, half the width, since it is of first order."""
    limit, widths = LIMITS[name], []
    (requirement,) = bind_limits([pt.Limit("T", **limit)], [Signal("T", "degC")])
    for every in (2.0, 1.0, 0.5):
        t = np.arange(0.0, 72.0 + 1e-9, every)
        low, high = left_open(requirement, 60.0 * t, can(t, 42.0) + 273.15, 4320.0, math.nan)
        assert low <= truth(name, 42.0) <= high
        widths.append(high - low)
    assert widths[0] / widths[2] == pytest.approx(4.0, rel=0.1)


def test_the_bounds_of_a_ramp_are_its_interval_times_its_rise():
    """Integral of y = t over 10 s from samples every 2 s: 50, and sum |dy| h / 2 = 10 around it."""
    (requirement,) = bind_limits([pt.Limit("y", upper="1 s", over=pt.integral)], [Signal("y", "1")])
    t = np.arange(0.0, 11.0, 2.0)
    assert measured(requirement, t, t[None], 10.0)[0] == pytest.approx(50.0)
    assert left_open(requirement, t, t, 10.0, 50.0) == pytest.approx((40.0, 60.0))


def test_scatter_leaves_a_mean_open_by_its_mean_difference():
    """Of normal samples with standard deviation s neighbors differ by 2 s / sqrt(pi) on average, at any interval."""
    (requirement,) = bind_limits([pt.Limit("y", upper="1", over=pt.mean)], [Signal("y", "1")])
    t, y = np.linspace(0.0, 1.0, 40001), 0.1 * np.random.default_rng(0).standard_normal(40001)
    low, high = left_open(requirement, t, y, 1.0, 0.0)
    assert high - low == pytest.approx(0.2 / math.sqrt(math.pi), rel=0.02)
    assert 0.5 * (low + high) == pytest.approx(0.0, abs=0.002)


def test_the_end_of_a_run_behind_its_last_sample_is_held_give_or_take_the_last_change():
    """A run of 11 s whose last sample is at 10 s: 10 more for it, between 8 and 12; so at its start."""
    (requirement,) = bind_limits([pt.Limit("y", upper="1 s", over=pt.integral)], [Signal("y", "1")])
    t = np.arange(0.0, 11.0, 2.0)
    assert measured(requirement, t, t[None], 11.0)[0] == pytest.approx(60.0)
    assert left_open(requirement, t, t, 11.0, 60.0) == pytest.approx((48.0, 72.0))
    assert left_open(requirement, t[1:], t[1:], 10.0, 52.0) == pytest.approx((40.0, 64.0))


def test_an_under_sterilized_batch_is_not_passed_by_a_coarse_record():
    """F0 = 7.53 min where 8 are asked: open every 10 min and every minute, broken every 6 s."""
    coarse, fine = of(record(10.0, 42.0), **LIMITS["lethality"]), of(record(0.1, 42.0), **LIMITS["lethality"])
    assert coarse.met is None and not coarse.clear
    assert "too coarsely recorded to say: what was measured allows 2.963 min to 15.51 min" in coarse.reason
    assert "it takes samples every 2.1 min or closer (here every 10 min)" in coarse.reason
    assert fine.met is False and fine.clear
    assert fine.value / 60.0 == pytest.approx(truth("lethality", 42.0) / 60.0, rel=1e-4)


def test_the_stated_noise_holds_what_lies_between_the_samples():
    """The bounds as an even distribution, (high - low) / sqrt(12): 10 s, the samples' noise, would be far too little
    where the value is off by 94 s."""
    found = of(record(10.0, 42.0), **LIMITS["lethality"])
    assert found.noise > (15.51 - 2.963) * 60.0 / math.sqrt(12.0)
    assert abs(found.value - truth("lethality", 42.0)) < 2.0 * found.noise


@pytest.mark.parametrize("over", [pt.peak, None])
@pytest.mark.parametrize("every", [1.0, 10.0])
def test_a_peak_is_the_highest_sample_and_nothing_above_it(over, every):
    """The can never was above 121.45 degC, which is a sample; a curve through the kink would say 125.3 degC."""
    limit = {"upper": "123 degC"} if over is None else {"upper": "123 degC", "over": over}
    found = of(record(every, 60.0), **limit)
    assert found.met is True
    assert found.value == pytest.approx(can(60.0, 60.0) + 273.15)


def test_records_that_are_dense_are_judged_even_with_noise():
    """Samples every 6 s with the noise that is stated: all limits are decided as is true."""
    for name in ("lethality", "aged", "mean", "dose"):
        limit = LIMITS[name]
        for hold in (38.0, 50.0):
            exact = of(record(0.1, hold), **limit)
            assert of(record(0.1, hold, noise=0.1), **limit).met is exact.met is not None


def test_a_ramp_with_kinks_has_its_own_rate_and_no_more():
    """4.8 K/min for 20 min between two holds meets 5 K/min, at any interval that divides it; nothing is open."""
    for every in (1.0, 2.0, 5.0):
        t = np.arange(0.0, 61.0, every)
        (requirement,) = bind_limits([pt.Limit("T", upper="5 degC/min", over=pt.rate)], [Signal("T", "degC")])
        low, high = left_open(requirement, t * 60.0, 4.8 * np.clip(t - 20.0, 0.0, 20.0) + 300.0, 3600.0, 4.8 / 60.0)
        assert (60.0 * low, 60.0 * high) == pytest.approx((4.8, 4.8))


def test_the_steepest_moment_between_samples_is_not_missed():
    """The can rises by 82 / 12 = 6.83 K/min at first; means over 10 min show 4.64, and leave more than that open."""
    found = of(record(10.0, 42.0), upper="6.5 K/min", over=pt.rate)
    assert found.met is None and "4.636 K/min to 7.258 K/min" in found.reason
    assert of(record(10.0, 42.0), upper="4.5 K/min", over=pt.rate).met is False


def test_a_window_between_two_samples_is_not_judged():
    """What happened within 5 min is not in samples 10 min apart."""
    found = of(record(10.0, 42.0), **LIMITS["fast"])
    assert found.met is None and "samples are up to 10 min apart, more than the window" in found.reason


def test_a_value_between_two_samples_lies_between_them():
    """At 22 min, of samples at 20 and 30 min: not judged, with both; of a sample there: judged."""
    found = of(record(10.0, 42.0), **LIMITS["early"])
    assert found.met is None and "it takes a sample at that moment" in found.reason
    assert of(record(11.0, 44.0), **LIMITS["early"]).met is True


def test_a_course_that_was_not_recorded_to_its_end_is_not_judged():
    """Two intervals without a sample at the end of the run, and two at its start, are in no mean."""
    whole = record(2.0, 42.0)
    times, values = whole.series["T"].times, whole.series["T"].values - 273.15
    options = {"channels": [pt.Channel("T", unit="degC", noise="0.1 K")], "recipe": whole.recipe}
    for keep, words in (
        (slice(2, None), "the first sample is at 4 min"),
        (slice(None, -2), "the last sample is at 68"),
    ):
        run = pt.Experiment.from_arrays("cut", (times[keep], "s"), {"T": values[keep]}, **options)
        found = of(run, upper="200 degC", over=pt.mean)
        assert found.met is None and words in found.reason


def test_a_function_of_the_caller_is_given_the_samples():
    """Nothing is put between them."""
    seen = []

    def counted(times, values):
        seen.append(times.size)
        return float(values.max())

    assert of(record(10.0, 60.0), upper="123 degC", over=counted, unit="degC").met is True
    assert set(seen) == {10}
