"""Older files beside the newest one."""

import pytest

import physics_twin as pt
from physics_twin.errors import BoundsError, FileFormatError
from physics_twin.twin import generations
from tests.twin.plants import at, heater_block, heater_twin


def saved(folder, n=5, keep=3):
    path = folder / "line.3.nc"
    for k in range(n):
        heater_twin().at(at(60 * k)).save(path, keep=keep)
    return path


def test_the_newest_k_stay(tmp_path):
    """Five saves and three kept: the newest under its name, two older ones with the time of their twin in theirs."""
    path = saved(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "line.3.20261120T060200.000000000Z.nc",
        "line.3.20261120T060300.000000000Z.nc",
        "line.3.nc",
    ]
    assert pt.Twin.load(path, heater_block()).until == at(240)


def test_the_newest_before_a_moment_is_loaded(tmp_path):
    """Strictly before: asked for the time of one, the one before it comes; nothing earlier than the oldest."""
    path = saved(tmp_path)
    for before, found in ((at(240) + 1, 240), (at(240), 180), ("2026-11-20T06:03:00Z", 120)):
        assert pt.Twin.load(path, heater_block(), before=before).until == at(found)
    with pytest.raises(FileFormatError, match=r"no generation before 2026-11-20T06:02:00Z; there are .*06:04.*06:02"):
        pt.Twin.load(path, heater_block(), before=at(120))


def test_a_damaged_newest_one_names_the_one_that_can_be_loaded(tmp_path):
    """Nothing is loaded in its place by itself; with `before`, the older one is."""
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match=r"line\.3\.nc is damaged.*line\.3\.20261120T060300\S*\.nc can be loaded"):
        pt.Twin.load(path, heater_block())
    assert pt.Twin.load(path, heater_block(), before=at(240)).until == at(180)
    older = generations.generations(path)[0][1]
    assert pt.Twin.load(older, heater_block()).until == at(180)


def test_a_damaged_older_one_is_not_recommended(tmp_path):
    """The hint names a file whose bytes are whole."""
    path = saved(tmp_path)
    for broken in (path, generations.generations(path)[0][1]):
        broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match=r"line\.3\.20261120T060200\S*\.nc can be loaded"):
        pt.Twin.load(path, heater_block())


def test_there_is_a_whole_file_at_every_moment(tmp_path, monkeypatch):
    """Whatever call is the last one before a kill: a twin lies at the path, the old or the new one."""
    path = saved(tmp_path)
    before = path.read_bytes()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for where in ("os.link", "os.replace", "pathlib.Path.unlink", "pathlib.Path.write_bytes"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(where, killed)
            heater_twin().at(at(600)).save(path, keep=3)
        assert path.read_bytes() == before, where
        assert pt.Twin.load(path, heater_block()).until == at(240)


def test_one_generation_is_one_file(tmp_path):
    """Without `keep` nothing lies beside the file; older ones of a larger `keep` go when a smaller one is asked for."""
    path = saved(tmp_path)
    heater_twin().save(path)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(BoundsError, match="keep = 0"):
        heater_twin().save(path, keep=0)


def test_other_files_are_left_alone(tmp_path):
    """Names that are alike belong to others."""
    (tmp_path / "line.3.nc").write_bytes(b"no twin")
    for name in ("line.3.notes.nc", "line.20261120T060200.000000000Z.nc", "line.3.20261120T060200.000000000Z.txt"):
        (tmp_path / name).write_bytes(b"mine")
    saved(tmp_path, n=2, keep=1)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_disk_that_is_full_takes_no_generation_away(tmp_path, monkeypatch):
    """Generations are only deleted once the new file is in its place."""
    path = saved(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        heater_twin().at(at(600)).save(path, keep=3)
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
