"""Files that earlier libraries wrote are read, and their twins go on."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.twin import storage
from tests.twin.fixtures.make import FOLDER, START, samples, tank

VERSIONS = [1]
# As the library that wrote the file said them: W/K and K.
PARAMETER, TEMPERATURE = 1.9487372101823226, 298.30442173245785


def test_there_is_a_file_of_every_version():
    """Whoever makes a new format leaves a file of it here."""
    assert list(range(1, storage.VERSION + 1)) == VERSIONS
    assert sorted(file.name for file in FOLDER.glob("*.nc")) == [f"version_{k}.nc" for k in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_this_version_is_read_and_goes_on(version):
    """Times, entries, audit and numbers as they were written; it learns from the next samples."""
    path = FOLDER / f"version_{version}.nc"
    assert storage.header(path).version == version
    twin = pt.Twin.load(path, tank())
    assert twin.until == START + 115 * 10**9 and twin.state.batch.name == "first" and twin.state.n_updates == 12
    assert [e.time for e in twin.pending] == [START + 120 * 10**9] * 2
    assert twin.audit.table[0][1:] == ("A. Miller", "mask", "being cleaned")
    assert twin.setup.method == pt.EnsembleKalman(n_members=10) and twin.setup.seed == 11
    assert any(getattr(entry, "source", "") == "lab" for entry in twin.recent)
    assert twin.state.belief.parameters.mean() == pytest.approx(PARAMETER, rel=1e-12)
    assert twin.state.belief.states[:, 0].mean() == pytest.approx(TEMPERATURE, rel=1e-12)
    later, _ = pt.assimilate(twin, samples(13, 16), budget=None)
    assert later.state.n_updates == 16 and not later.pending and np.isfinite(later.mean["T"])
