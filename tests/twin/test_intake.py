"""One call of assimilate: budget, the present, what a plant may send, late entries and the journal."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import physics_twin as pt
from physics_twin.errors import DataError
from physics_twin.twin.journal import Journal
from physics_twin.twin.moments import LATEST, SECOND, moment
from physics_twin.twin.samples import samples_of
from tests.twin.plants import HEATER_CHANNELS, START, at, fed, heater_block, heater_samples, heater_twin

SAMPLES = heater_samples(30)


def test_a_budget_that_is_used_up():
    """What is not done in time waits, the twin says so, and later calls come to the same, whatever came between."""
    window = pt.Window(seconds=1000.0)
    whole = fed(heater_twin(window=window), SAMPLES)
    twin, innovation = pt.assimilate(heater_twin(window=window), SAMPLES, budget="0 s")
    assert twin.state.n_updates == 1 and innovation.pending == len(SAMPLES) - 4 == len(twin.pending)
    assert "wait" in innovation.reason and "waiting" in twin.reason
    again, innovation = pt.assimilate(twin, SAMPLES[:40], budget="0 s")
    assert innovation.counts["duplicates"] == 40 and again.state.n_updates == 2
    while again.pending:
        again, _ = pt.assimilate(again, [], budget="0 s")
    assert again.digest == whole.digest and not again.reason


def test_a_budget_and_late_entries():
    """The budget may end in the middle of going back: nothing is lost, and late ones may come meanwhile."""
    early, held = [*SAMPLES[:41], *SAMPLES[44:]], SAMPLES[41:44]
    twin = fed(heater_twin(), early)
    for entry in held:
        twin, _ = pt.assimilate(twin, [entry], budget="0 s")
        assert twin.pending
    twin = fed(twin, [])
    assert twin.digest == fed(heater_twin(), SAMPLES).digest
    assert twin.counts.late == 3


def test_the_present():
    """Entries after `until` wait, and make nothing before it late."""
    now = at(50.0)
    twin, _ = pt.assimilate(heater_twin(), SAMPLES[::-1], until=now, budget=None)
    assert twin.until == now == twin.state.time
    assert all(entry.time > now for entry in twin.pending) and not twin.reason
    assert twin.time == dt.datetime(2026, 11, 20, 6, 0, 50, tzinfo=dt.UTC)
    assert fed(twin, [], until=at(200.0)).digest == fed(heater_twin(), SAMPLES).digest
    jump = pt.Sample("T1", now + 86400 * SECOND, 20.0, "degC")
    ahead, _ = pt.assimilate(twin, [jump], until=now)
    assert fed(ahead, SAMPLES, until=at(200.0)).counts.too_late == 0


def test_what_a_plant_may_send():
    """Names that nobody knows are counted with the nearest known one; nothing is raised for data."""
    odd = [
        pt.Sample("T_1", at(5.0), 20.0),
        pt.Sample("T1", at(5.0), float("nan"), "degC"),
        pt.Sample("T2", at(5.0), 1e300, "degC"),
        pt.Sample("T2", at(-3600.0), 20.0, "degC"),
        pt.Sample("T1", at(5.0), 20.0, "no such unit", source="other"),
    ]
    twin, innovation = pt.assimilate(fed(heater_twin(), SAMPLES[:4]), odd)
    assert twin.counts.unknown == 1 and twin.counts.too_late == 1
    assert any('did you mean "T1"' in note for note in innovation.notes)
    assert twin.state.n_updates == 1 and np.isfinite(twin.mean["T1"])


def test_mistakes_of_the_program():
    """What is no sample, no filter's budget or no moment is an error of whoever wrote the call."""
    twin = heater_twin()
    with pytest.raises(pt.DataError, match="is no sample"):
        pt.assimilate(twin, [("T1", 20.0)])
    with pytest.raises(pt.UnitError):
        pt.assimilate(twin, [], budget="3 K")
    with pytest.raises(pt.DataError, match="no zone"):
        pt.assimilate(twin, [], until=dt.datetime(2026, 11, 20))


def experiment(t0_utc=dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)):
    """The same samples as a log with recorded powers."""
    times = np.array(sorted({s.time for s in SAMPLES}))
    columns = {n: np.array([s.value for s in SAMPLES if s.channel == n]) for n in ("T1", "T2", "q1", "q2")}
    seconds = (times - START) / SECOND
    rows = {name: (columns[name], "W", pt.HOLD) for name in ("q1", "q2")}
    found = pt.Experiment.from_arrays(
        "log",
        seconds,
        {name: columns[name] for name in ("T1", "T2")},
        channels=HEATER_CHANNELS,
        recipe=pt.Recipe.from_table(seconds, rows, hold_after=True),
    )
    from dataclasses import replace

    return replace(found, t0_utc=t0_utc)


def test_an_experiment_is_its_samples():
    """A log with stamps gives the same twin as its samples one by one, up to the rounding of units."""
    twin = fed(heater_twin(), experiment())
    reference = fed(heater_twin(), SAMPLES)
    assert twin.state.n_updates == reference.state.n_updates
    for name, value in reference.mean.items():
        assert twin.mean[name] == pytest.approx(value, rel=1e-9)
    with pytest.raises(pt.DataError, match="no time zero"):
        pt.assimilate(heater_twin(), experiment(t0_utc=None))


def test_a_data_frame_is_its_samples():
    """A table in long form gives the same twin, bit for bit."""
    rows = [(s.channel, pd.Timestamp(s.time, tz="UTC"), s.value, s.unit) for s in SAMPLES]
    frame = pd.DataFrame(rows, columns=["channel", "time", "value", "unit"])
    assert fed(heater_twin(), frame).digest == fed(heater_twin(), SAMPLES).digest
    with pytest.raises(pt.DataError, match='no column "value"'):
        pt.assimilate(heater_twin(), frame.drop(columns="value"))


def long_run(n=40, step=300.0):
    return heater_samples(n, step)


def test_laboratory_results_through_the_journal(tmp_path):
    """A result that comes hours late is filtered from a sparse state and the journal: the same as in time."""
    samples = long_run()
    window = pt.Window(seconds=600.0, n=4, every=3600.0, n_sparse=3)
    late = [s for s in samples if s.channel == "T2" and at(3000.0) < s.time < at(4000.0)]
    others = [s for s in samples if s not in late]
    with Journal(tmp_path / "journal.sqlite") as journal:
        view = journal.of("A")
        twin = heater_twin(window=window)
        for entry in [*others, *late]:
            journal.append("A", [entry])
            twin = fed(twin, [entry], journal=view)
    assert twin.counts.late >= len(late) and twin.counts.too_late == 0
    assert twin.digest == fed(heater_twin(window=window), samples).digest


def test_too_late():
    """Beyond the window an entry is counted and changes nothing, in any number of calls."""
    samples = long_run()
    twin = fed(heater_twin(window=pt.Window(seconds=600.0)), samples)
    old = pt.Sample("T1", at(3000.0), 25.0, "degC", source="laboratory")
    later, innovation = pt.assimilate(twin, [old])
    assert later.counts.too_late == 1 and later.digest == twin.digest
    assert any("too late" in note for note in innovation.notes)
    at_once = fed(heater_twin(window=pt.Window(seconds=600.0)), [*samples, old])
    assert at_once.counts.too_late == 1 and at_once.digest == twin.digest


def test_memory_is_bounded():
    """Four times as many samples, the same memory; and less of it where only a little is allowed."""
    short, long = (fed(heater_twin(window=pt.Window(seconds=50.0, n=8)), heater_samples(n)) for n in (60, 240))
    assert len(long.snapshots) == len(short.snapshots) < 20
    assert len(long.recent) <= 2 * len(short.recent)
    tight = pt.Window(seconds=50.0, n=8, megabytes=0.02)
    small = fed(heater_twin(window=tight, method=pt.EnsembleKalman(n_members=50)), heater_samples(40))
    assert len(small.snapshots) < len(short.snapshots)
    arrivals = list(heater_samples(40))
    arrivals[60:80] = arrivals[60:80][::-1]
    again = heater_twin(window=tight, method=pt.EnsembleKalman(n_members=50))
    for entry in arrivals:
        again = fed(again, [entry])
    assert again.digest == small.digest


@pytest.mark.parametrize("first", [pt.UnscentedKalman(), pt.EnsembleKalman(n_members=30)])
@pytest.mark.parametrize("second", [pt.ExtendedKalman(), pt.EnsembleKalman(n_members=200)])
def test_another_method(first, second):
    """A change of the filter hands over what is known; from then on older samples are too late."""
    twin = fed(heater_twin(method=first), SAMPLES[:80])
    other, _ = pt.assimilate(twin, SAMPLES[80:], second)
    assert other.setup.method == second and not other.reason
    handed, _ = pt.assimilate(twin, [], second)
    for name in ("T1", "T2", "UA"):
        assert handed.mean[name] == pytest.approx(twin.mean[name], abs=0.6 * twin.spread[name])
        assert handed.spread[name] == pytest.approx(twin.spread[name], rel=0.3)
    late = pt.Sample("T1", at(40.0), 25.0, "degC", source="late")
    assert fed(handed, [late]).counts.too_late == 1
    same, _ = pt.assimilate(twin, [], first)
    assert same.digest == twin.digest


def test_a_method_before_the_first_sample():
    """A filter named in the first call begins from the draws themselves."""
    method = pt.EnsembleKalman(n_members=12)
    named, _ = pt.assimilate(heater_twin(), SAMPLES, method, budget=None)
    assert named.digest == fed(heater_twin(method=method), SAMPLES).digest


def test_delayed_sensors_are_placed_where_they_belong():
    """A channel that shows what was 10 s ago: its samples stand 10 s earlier on the timeline."""
    channels = [pt.Channel("T1", unit="degC", noise="0.1 K", delay="10 s"), HEATER_CHANNELS[1]]
    shifted = [pt.Sample(s.channel, s.time + 10 * SECOND, s.value, s.unit) if s.channel == "T1" else s for s in SAMPLES]
    shifted.sort(key=lambda s: s.key)
    twin = heater_twin(channels=channels)
    for entry in shifted:
        twin = fed(twin, [entry])
    assert twin.digest == fed(heater_twin(), SAMPLES).digest
    assert moment("2026-11-20T06:00Z") == START


def test_what_is_in_the_journal_is_not_changed_by_what_comes_again(tmp_path):
    """A reading of long ago sent again, as it was or with another value: it keeps the value that was written first."""
    twin = heater_twin(window=pt.Window(seconds=20.0))
    old = next(s for s in SAMPLES if s.channel == "T1" and s.time == at(50.0))
    with Journal(tmp_path / "plant.journal") as journal:
        journal.save_state("line1", twin, reached=0)
        for call in (SAMPLES, [old], [pt.Sample("T1", old.time, old.value + 0.3, "degC")]):
            journal.append("line1", call)
            twin = fed(twin, call, journal=journal.of("line1"))
        assert twin.digest == fed(heater_twin(window=pt.Window(seconds=20.0)), SAMPLES).digest
        assert journal.resume("line1", heater_block()).digest == twin.digest


NEVER = ["9999-12-31T23:59:59Z", "0001-01-02T00:00Z", 2**63 - 1, np.datetime64("9999-12-31T00:00:00")]


@pytest.mark.parametrize("when", NEVER, ids=str)
def test_a_stamp_that_means_never_is_no_sample(when):
    """Refused where it is made a sample, with the years that are meant: whoever reads from a server drops that one."""
    with pytest.raises(DataError, match="1679 to 2261"):
        pt.Sample("T1", when, 20.0, "degC")
    with pytest.raises(DataError, match="1679 to 2261"):
        pt.Sample("T1", at(1.0), 20.0, "degC", reported=when)


def test_the_first_and_the_last_moment_are_taken():
    """The ends of what a moment may be go through the filter as any other."""
    early = heater_twin(at=-LATEST)
    twin = fed(early, [pt.Sample(name, -LATEST, 1.0, "W") for name in ("q1", "q2")])
    twin = fed(twin, [pt.Sample("T1", 1 - LATEST, 23.0, "degC")])
    assert twin.state.n_updates == 1
    assert fed(twin, [pt.Sample("T1", LATEST, 23.0, "degC")]).time.year == 2261


FRAME = pd.DataFrame(
    {
        "channel": ["q1", "q2", "T1", "T2"],
        "time": pd.to_datetime([at(0.0), at(0.0), at(0.0), at(0.0) + 1], utc=True),
        "value": [2.0, 1.0, 23.0, None],
        "unit": ["W", None, np.nan, "degC"],
        "quality": [np.nan, 1, 1.0, None],
        "source": [None, "", np.nan, "lab"],
        "reported": [None, pd.NaT, None, "2026-11-20T07:00Z"],
    },
    dtype=object,
)


def test_empty_cells_of_a_data_frame():
    """No unit is the channel's own, no quality is good, no value is a reading that is missing; every ns counts."""
    found = list(samples_of(FRAME))
    assert found[:3] == [
        pt.Sample("q1", at(0.0), 2.0, "W"),
        pt.Sample("q2", at(0.0), 1.0),
        pt.Sample("T1", at(0.0), 23.0),
    ]
    last = found[3]
    assert (last.time, last.unit, last.source, last.reported) == (at(0.0) + 1, "degC", "lab", at(3600.0))
    assert np.isnan(last.value) and last.quality is pt.Flag.MISSING


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("time", pd.Timestamp("2026-11-20T06:00:00"), "no zone"),
        ("time", "2026-11-20 06:00", "no zone"),
        ("time", pd.NaT, "no time"),
        ("time", "yesterday", "yesterday"),
        ("reported", pd.Timestamp("2026-11-20T06:00:00"), "no zone"),
        ("quality", 77, "77"),
        ("value", "closed", "closed"),
        ("channel", None, "no channel"),
    ],
)
def test_a_row_that_is_no_sample_is_named(column, cell, words):
    """By its number, with the words that a single sample would have got."""
    frame = FRAME.copy()
    frame.at[2, column] = cell
    with pytest.raises(pt.DataError, match=rf"row 2 .*{words}"):
        pt.assimilate(heater_twin(), frame)


@pytest.mark.parametrize("given", [SAMPLES[0], "T1", None, 3.0])
def test_what_is_no_list_of_samples(given):
    """One sample alone is none, and the message shows a list."""
    with pytest.raises(DataError, match="is no list of samples"):
        heater_twin().assimilate(given)


@pytest.mark.parametrize(
    ("value", "quality", "words"),
    [(None, pt.Flag.GOOD, "T1: None is no number; give NaN"), (20.0, "bad", r"pt.Flag.BAD \(4\)")],
)
def test_what_is_no_reading(value, quality, words):
    """A null of a historian, a quality by its name: said with what to give."""
    with pytest.raises(DataError, match=words):
        pt.Sample("T1", START, value, "degC", quality=quality)
