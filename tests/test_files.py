"""Files that are whole or absent."""

from pathlib import Path

import pytest

from physics_twin.files import atomic_write


def test_the_new_content_replaces_the_old_one(tmp_path: Path) -> None:
    """After the block the file holds what was written, and nothing else lies in the folder."""
    target = tmp_path / "result.nc"
    target.write_bytes(b"old")
    with atomic_write(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".nc"
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old", "the old file stays until the new one is whole"
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_write_leaves_the_old_file_and_no_debris(tmp_path: Path) -> None:
    """An interrupt in the middle of the writing changes nothing."""
    target = tmp_path / "result.nc"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(target) as temporary:
        temporary.write_bytes(b"ha")
        raise KeyboardInterrupt
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    """A forgotten write does not pass as an empty file."""
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "result.nc"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_has_the_ordinary_permissions(tmp_path: Path) -> None:
    """Colleagues can read a saved result as they can read any other new file."""
    plain, saved = tmp_path / "plain", tmp_path / "saved"
    plain.write_bytes(b"")
    with atomic_write(saved) as temporary:
        temporary.write_bytes(b"")
    assert saved.stat().st_mode == plain.stat().st_mode


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    """`latest.nc -> run_7.nc` is written through, not replaced."""
    target, link = tmp_path / "run_7.nc", tmp_path / "latest.nc"
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system does not allow symbolic links")
    with atomic_write(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
