"""Samples of a channel with a delay: a twin keeps them at the moments that they show, once."""

import numpy as np

import physics_twin as pt
from physics_twin.twin.entry_columns import entries_from_record, entries_record
from physics_twin.twin.journal import Journal
from tests.twin.plants import HEATER_CHANNELS, at, fed, heater_samples, heater_twin

LATE = [pt.Channel("T1", unit="degC", noise="0.1 K", delay="30 s"), HEATER_CHANNELS[1]]
SAMPLES = heater_samples(16)


def followed():
    return fed(heater_twin(channels=LATE, window=pt.Window(seconds=1000.0)), SAMPLES)


def test_pictures_show_a_sample_where_the_model_saw_it():
    """The newest sample of 75 s, 30 s late, lies 30 s before now."""
    rows = followed().forecast(until="1 min").history.to_dataframe()
    assert rows[rows["output"] == "T1"]["time"].max() == -30.0
    assert rows[rows["output"] == "T2"]["time"].max() == 0.0


def test_what_a_twin_remembers_can_be_gone_through_again(tmp_path):
    """Its own entries give the same twin, also after a file or a journal."""
    twin = followed()
    assert twin.replay(twin.recent).digest == twin.digest
    assert entries_from_record(entries_record(twin.recent)) == twin.recent
    with Journal(tmp_path / "plant.journal") as journal:
        journal.append("line1", twin.recent)
        stamps = sorted(s.time for s in journal.entries("line1") if s.channel == "T1")
    # What was stamped before 30 s shows a moment before the twin began.
    np.testing.assert_array_equal(stamps, [at(5.0 * k) for k in range(6, 16)])
