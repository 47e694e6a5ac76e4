"""Past batches against an envelope: where they ran, what was measured, and what that says of the certificate."""

import csv
from dataclasses import replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Envelope, Limit, final, find_envelope, peak
from physics_twin.envelope.history.history import Outcome
from physics_twin.errors import EnvelopeError, UnknownNameError

TIMES = np.linspace(0.0, 3600.0, 25)
EVERY = ("y", "z")
AIR = pt.Exclusion("3590 s", "3610 s", "air in the cell", by="A. Smith")


@pytest.fixture(scope="module")
def envelope(analytic) -> Envelope:
    """y = s0 + s1 + 0.1 a with y <= 1, and z = s0 at its peak with z >= 0.1; the box lies in s0 + s1 < 0.84."""
    formulas = {
        "y": lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"],
        "z": lambda t, v: v["s0"] + 0.0 * v["a"],
    }
    model = analytic.closed_form(formulas, ["a"])
    settings = analytic.knobs(2)
    limits = [Limit("y", upper=1.0, over=final), Limit("z", lower=0.1, over=peak)]
    posterior = analytic.gaussian_draws(model, 1000, seed=1)
    return find_envelope(model, posterior, recipe=analytic.one_hour(settings), settings=settings, limits=limits, rng=1)


def run(name: str, s0: float, s1: float, y: float, *, outputs=EVERY, noise: float = 0.01, **options) -> pt.Experiment:
    """A run at these settings (in its context) that shows y all the time, and z = s0."""
    values = {"y": np.full(TIMES.size, y), "z": np.full(TIMES.size, s0)}
    channels = [pt.Channel(output, unit="1", noise=noise) for output in outputs]
    options = {"context": {"s0": s0, "s1": s1}, **options}
    data = {output: values[output] for output in outputs}
    return pt.Experiment.from_arrays(name, (TIMES, "s"), data, channels=channels, **options)


def center(envelope: Envelope) -> tuple[float, float]:
    low, high = zip(*envelope.box.values(), strict=True)
    return 0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])


# Where they ran -------------------------------------------------------------------------------------------------------


def test_settings_are_found_wherever_a_batch_says_them(envelope):
    """In the call, in its recipe, in its context with a unit or without; the answer says where."""
    initial = pt.Recipe([pt.Phase("run", duration="1 h")], initial={"s0": 0.3, "s1": 0.2})
    own = pt.Recipe(
        [pt.Phase("run", duration="1 h")], initial={"s0": pt.Setting("s0", "1", value=0.4), "s1": (0.1, "1")}
    )
    batches = [
        run("told", 0.3, 0.2, 0.5, context={}),
        run("recipe", 0.3, 0.2, 0.5, context={}, recipe=initial),
        run("own", 0.3, 0.2, 0.5, context={}, recipe=own),
        run("text", 0.3, 0.2, 0.5, context={"s0": "30 percent", "s1": 0.2}),
    ]
    found = envelope.against(batches, settings={"told": {"s0": 0.25, "s1": "15 percent"}})
    values = {b.name: tuple(s.value for s in b.settings.values()) for b in found.batches}
    assert values["told"] == pytest.approx((0.25, 0.15))
    assert values["recipe"] == pytest.approx((0.3, 0.2))
    assert values["own"] == pytest.approx((0.4, 0.1))
    assert values["text"] == pytest.approx((0.3, 0.2))
    sources = {b.name: b.settings["s0"].source for b in found.batches}
    assert sources == {
        "told": "given",
        "recipe": "initial value of its recipe",
        "own": "setting of its recipe",
        "text": "context",
    }
    assert "a bare number taken in 1" in found["text"].settings["s1"].source


def test_a_batch_without_its_settings_is_listed_with_the_reason(envelope):
    """It is neither inside nor outside, and not dropped; a setting in a wrong unit is one that was not found."""
    found = envelope.against([run("lost", 0.3, 0.2, 0.5, context={}), run("odd", 0.3, 0.2, 0.5, context={"s0": "5 K"})])
    assert [b.inside for b in found.batches] == [None, None]
    assert 's0 not found: neither its recipe nor its context says so; give settings={"lost"' in found["lost"].why
    assert 'context "s0"' in found["odd"].why
    assert "settings unknown: 2" in str(found)
    assert found["lost"].outcome is Outcome.PASS


def test_levels_and_durations_come_from_what_was_recorded(analytic):
    """An input that was logged counts with its mean over the phase, a duration with the phase's window."""
    power = pt.Setting("power", "kW", bounds=(0, 10))
    hold = pt.Setting("hold", "min", bounds=(1, 60))
    recipe = pt.Recipe(
        [pt.Phase("heat", duration="10 min", power="1 kW"), pt.Phase("soak", duration=hold, power=power)]
    )
    from physics_twin.envelope.history.past_settings import past_setting
    from physics_twin.measurements.batches.batch import PhaseWindow

    rows = {"power": ([1.0, 1.0, 5.0, 7.0], "kW")}
    record = pt.Recipe.from_table(([0.0, 599.999, 600.0, 1800.0], "s"), rows)
    windows = (PhaseWindow("heat", 0.0, 600.0), PhaseWindow("soak", 600.0, 1800.0))
    one = replace(run("one", 0.0, 0.0, 0.0, context={}), recipe=record, phases=windows)
    found = past_setting(power, recipe, one, {}, None)
    assert found.value == pytest.approx(6000.0)
    assert "mean of the recorded power, which ran from 5 kW to 7 kW" in found.source
    assert past_setting(hold, recipe, one, {}, None).value == pytest.approx(1200.0)


def test_a_fit_that_held_a_setting_of_one_batch_is_asked(envelope):
    """`s0@batch` among the fixed values comes before the context."""
    posterior = pt.Posterior.from_draws([pt.Parameter("a", 0.0, unit="1")], np.zeros((5, 1)))
    posterior = replace(posterior, fixed=pt.Values({"s0@b": 0.45}))
    found = envelope.against([run("b", 0.3, 0.2, 0.5)], posterior=posterior)
    assert found["b"].settings["s0"].value == 0.45
    assert found["b"].settings["s0"].source == "held in the fit"


# What was measured ----------------------------------------------------------------------------------------------------


def test_limits_are_judged_by_the_samples_and_the_noise_is_stated(envelope):
    """Value, margin and noise of the reduced samples; a margin of half a standard deviation is not clear."""
    found = envelope.against([run("good", 0.3, 0.2, 0.5), run("bad", 0.3, 0.2, 1.005)])
    good, bad = (found[name].judgments[0] for name in ("good", "bad"))
    assert (good.value, good.margin, good.met, good.clear) == (0.5, 0.5, True, True)
    assert good.noise == pytest.approx(0.01, rel=0.2)  # 200 draws know a standard deviation to 5 %
    assert bad.margin == pytest.approx(-0.005) and bad.met is False and not bad.clear
    assert [found[name].outcome for name in ("good", "bad")] == [Outcome.PASS, Outcome.FAIL]
    assert "broken: final y <= 1" in found["bad"].why


def test_what_was_not_measured_is_never_a_pass(envelope):
    """An output without a channel leaves the batch not judged; a broken limit is a failure whatever else is missing."""
    found = envelope.against([run("half", 0.3, 0.2, 0.5, outputs=("y",)), run("worse", 0.3, 0.2, 2.0, outputs=("y",))])
    assert found["half"].outcome is Outcome.NOT_JUDGED
    assert "not judged: peak z >= 0.1 (z was not measured)" in found["half"].why
    assert found["worse"].outcome is Outcome.FAIL
    assert found.failures_inside.n + found.passes_outside.n == 1
    assert "passes like them are not counted" in str(found)


def test_bad_samples_are_left_out_and_a_run_that_ends_early_is_not_judged(envelope):
    """A last sample that was excluded breaks nothing; a last sample at half time is no final value."""
    spiked = np.full(TIMES.size, 0.5)
    spiked[-1] = 9.0
    options = {"channels": [pt.Channel("y", unit="1", noise=0.01)], "context": {"s0": 0.3, "s1": 0.2}}
    excluded = pt.Experiment.from_arrays("spike", (TIMES, "s"), {"y": spiked}, exclude=[AIR], **options)
    recipe = pt.Recipe([pt.Phase("run", duration="1 h")])
    short = pt.Experiment.from_arrays("short", (TIMES[:12], "s"), {"y": spiked[:12]}, recipe=recipe, **options)
    found = envelope.against([excluded, short])
    assert found["spike"].judgments[0].met is True
    assert "1 samples bad or left out" in found["spike"].judgments[0].reason
    assert found["short"].judgments[0].met is None
    assert "the last sample is at 27.5 min, the run ended at 60 min" in found["short"].why


def test_a_gap_hides_a_peak_but_not_a_peak_that_was_seen(envelope):
    """A limit on the whole course cannot be met by samples with a hole of half the run; broken it can be."""
    from physics_twin.envelope.history.measured_limits import Rule, judged
    from physics_twin.envelope.limits.limits import bind_limits
    from physics_twin.signals import Signal

    (requirement,) = bind_limits([Limit("y", upper=1.0)], [Signal("y", "1")])
    keep = (TIMES < 900.0) | (TIMES > 2800.0)
    for level, met in ((0.5, None), (1.5, False)):
        gappy = pt.Experiment.from_arrays(
            "gappy",
            (TIMES[keep], "s"),
            {"y": np.full(int(keep.sum()), level)},
            channels=[pt.Channel("y", unit="1", noise=0.01)],
        )
        assert judged(Rule("y <= 1", "y", requirement), gappy).met is met


# What it says ---------------------------------------------------------------------------------------------------------


def test_failures_inside_are_tested_against_the_certified_probability(envelope):
    """One failure in 20 fits 0.95; five do not: P(X >= 5) = 0.0026 for 20 batches that fail with 0.05."""
    s0, s1 = center(envelope)

    def batches(n_failed: int) -> list[pt.Experiment]:
        return [run(f"b{i}", s0, s1, 1.2 if i < n_failed else 0.5) for i in range(20)]

    fits = envelope.against(batches(1))
    assert fits.failures_inside.k == 1 and fits.failures_inside.n == 20
    # Clopper and Pearson for 1 of 20.
    assert (fits.failures_inside.low, fits.failures_inside.high) == pytest.approx((0.00127, 0.24873), abs=1e-5)
    assert fits.compatible and fits.verdicts[0].chance == pytest.approx(1.0 - 0.95**20)
    assert fits.verdicts[0].enough == 4
    broken = envelope.against(batches(5))
    assert not broken.compatible and broken.verdicts[0].chance == pytest.approx(0.00257, abs=1e-5)
    assert "contradicts the certified probability of 0.95" in str(broken)


def test_passes_outside_are_counted_and_contradict_nothing(envelope):
    """An envelope says nothing about what lies outside of it."""
    found = envelope.against([run(f"b{i}", 0.9, 0.9, 0.5) for i in range(4)])
    assert (found.passes_outside.k, found.passes_outside.n) == (4, 4)
    assert found.failures_inside.n == 0 and found.compatible
    assert "the history says nothing about the certificate" in str(found)


def test_capability_is_that_of_the_measured_values_and_of_the_draws(envelope):
    """From the batches inside, from all, and as predicted at the set point: (1 - s0 - s1) / 0.3 for the sum."""
    s0, s1 = center(envelope)
    inside = [run(f"i{k}", s0, s1, y) for k, y in enumerate((0.4, 0.5, 0.6))]
    found = envelope.against([*inside, run("far", 0.9, 0.9, 1.7)])
    first = {c.basis: c for c in found.capability if c.limit == "final y <= 1"}
    assert first["batches inside"].value == pytest.approx(0.5 / 0.3)
    assert first["batches inside"].n == 3 and first["all batches"].n == 4
    exact = (1.0 - sum(envelope.set_point.values())) / 0.3
    predicted = first["predicted at the set point"]
    assert predicted.low < exact < predicted.high
    assert "3 values only" in str(found)


def test_an_index_of_batches_at_different_settings_says_that_it_is_not_of_one_setting(envelope, tmp_path):
    """The spread of settings is in the standard deviation; of batches at one point nothing is said."""
    s0, s1 = center(envelope)
    words = "the batches ran at different settings"
    same = envelope.against([run(f"b{k}", s0, s1, y) for k, y in enumerate((0.4, 0.5, 0.6))])
    other = envelope.against([run("a", s0, s1, 0.4), run("b", 0.9 * s0, s1, 0.5)])
    assert words not in str(same) and words in str(other)
    page = pt.write_report(tmp_path / "r.html", title="Past", envelope=envelope, history=other).read_text("utf8")
    assert words.capitalize() in page


def test_a_batch_that_is_too_coarsely_recorded_counts_neither_way(analytic):
    """The mean of a ramp from 0 to 1 in five samples is 0.5 give or take 0.125: with a limit of 0.6 nobody can say."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    settings, budget = analytic.knobs(1), pt.Budget(n_points=8, n_search=60)
    found = find_envelope(
        model,
        analytic.gaussian_draws(model, 500, seed=1),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=0.6, over=pt.mean)],
        rng=1,
        budget=budget,
    )

    def ramp(name: str, n: int) -> pt.Experiment:
        t = np.linspace(0.0, 3600.0, n)
        channels = [pt.Channel("y", unit="1", noise=0.001)]
        return pt.Experiment.from_arrays(name, (t, "s"), {"y": t / 3600.0}, channels=channels, context={"s0": 0.2})

    history = found.against([ramp("five", 5), ramp("many", 61)])
    assert [b.outcome.value for b in history.batches] == ["not judged", "pass"]
    assert "too coarsely recorded to say: what was measured allows 0.375 to 0.625" in history["five"].why
    assert "it takes samples every 12 min or closer (here every 15 min)" in history["five"].why
    assert (history.failures_inside.k, history.failures_inside.n) == (0, 1)
    assert "not judged:       1 (what was not measured, or too coarsely to say, is never a pass)" in str(history)


def test_limits_with_their_own_probability_are_judged_by_themselves(analytic):
    """Each group of limits has its verdict."""
    formulas = {name: lambda t, v: v["s0"] + 0.1 * v["a"] for name in ("y", "z")}
    model = analytic.closed_form(formulas, ["a"])
    settings = analytic.knobs(1)
    limits = [Limit("y", upper=1.0, over=final), Limit("z", upper=1.5, over=final, probability=0.99)]
    posterior = analytic.gaussian_draws(model, 2500, seed=1)
    own = find_envelope(model, posterior, recipe=analytic.one_hour(settings), settings=settings, limits=limits, rng=1)
    found = own.against([run("a", 0.3, 0.0, 1.2, context={"s0": 0.3})])
    assert [(v.required, v.failures.k, v.failures.n) for v in found.verdicts] == [(0.95, 1, 1), (0.99, 0, 1)]


@pytest.mark.parametrize("own", [None, 0.9])
def test_a_limit_under_a_fault_is_left_out_since_the_fault_happened_to_no_past_batch(analytic, own, tmp_path):
    """Batches are judged by the other limits, alone in the group (P = 0.95) or beside one with its own probability."""
    formulas = {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"] + 0.1 * v["a"]}
    model = analytic.closed_form(formulas, ["a"], inputs=(pt.Signal("flow", "1"), pt.Signal("feed", "1")))
    settings = analytic.knobs(1)
    recipe = pt.Recipe([pt.Phase("run", duration="1 h", flow=1.0, feed=settings[0])])
    fault = Limit("z", upper=1.5, under=pt.Fault("flow", 0.0, at="20 min"), probability=own)
    limits, posterior = [Limit("y", upper=1.0, over=final), fault], analytic.gaussian_draws(model, 500, seed=1)
    budget = pt.Budget(n_points=8, n_search=60)
    found = find_envelope(model, posterior, recipe=recipe, settings=settings, limits=limits, rng=1, budget=budget)
    runs = [run(f"b{i}", 0.3, 0.0, 1.2 if i < 2 else 0.5, context={"s0": 0.3}) for i in range(6)]
    history = found.against([*runs, run("half", 0.3, 0.0, 0.5, outputs=("z",), context={"s0": 0.3})])
    assert [b.outcome.value for b in history.batches] == [*["fail"] * 2, *["pass"] * 4, "not judged"]
    assert (history.failures_inside.k, history.failures_inside.n) == (2, 6)
    assert (history.verdicts[0].failures.k, history.verdicts[0].failures.n) == (2, 6)
    (name,) = history.not_shown
    assert "under flow = 0 from 20 min on" in name
    text = str(history)
    assert f"left out:         {name} (it is about runs with a fault, which did not happen to past batches)" in text
    assert "not judged:       1 " in text and "passes like them" not in text
    page = pt.write_report(tmp_path / "r.html", title="Past", envelope=found, history=history).read_text("utf8")
    assert "Left out: z" in page and "did not happen to past batches" in page
    if own is None:
        assert "all limits but those under a fault: 2 of 6 batches inside failed" in text
    else:
        assert history.verdicts[1].failures.n == 0 and "says nothing about the certificate" in str(history.verdicts[1])


# Files, pictures, errors ----------------------------------------------------------------------------------------------


def test_the_table_and_the_file_hold_every_batch(envelope, tmp_path):
    """Numbers in SI in the dataset; in the file declared units, which the headings name."""
    found = envelope.against([run("a", 0.3, 0.2, 0.5), run("b", 0.3, 0.2, 0.5, outputs=("y",), context={})])
    table = found.table
    assert table["margin"].sel(batch="a", limit="final y <= 1").item() == pytest.approx(0.5)
    assert table["met"].sel(batch="b").values.tolist() == [1, -1]
    assert table["inside"].values.tolist()[1] == -1
    found.save(tmp_path / "h.csv")
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["outcome"] for row in rows] == ["pass", "not judged"]
    assert float(rows[0]["final y <= 1: margin [1]"]) == pytest.approx(0.5)
    assert rows[1]["s0 [1]"] == "" and rows[1]["peak z >= 0.1: met"] == "not judged"


def test_wrong_arguments_are_named(envelope):
    """No batch, two of one name, settings of a batch or a setting that is not there."""
    batch = run("a", 0.3, 0.2, 0.5)
    with pytest.raises(EnvelopeError, match="no batch"):
        envelope.against([])
    with pytest.raises(EnvelopeError, match='two batches are called "a"'):
        envelope.against([batch, batch])
    with pytest.raises(UnknownNameError, match="b"):
        envelope.against([batch], settings={"b": {}})
    with pytest.raises(UnknownNameError, match="s0"):
        envelope.against([batch], settings={"a": {"s_0": 0.3}})
