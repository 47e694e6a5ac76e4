"""The hash of the library's own code."""

import shutil
import subprocess
import sys
from pathlib import Path

import physics_twin
from physics_twin.source import code_hash


def _hash_of(folder: Path) -> str:
    """Of the copy of the package in a folder, by a process of its own that imports nothing else of it."""
    script = f"import runpy; print(runpy.run_path({str(folder / 'physics_twin' / 'source.py')!r})['code_hash']())"
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_that_of_every_module_and_of_nothing_else(tmp_path: Path) -> None:
    """A copy elsewhere has the same hash; a changed line or another name gives another; notes do not count."""
    package = Path(physics_twin.__file__).parent
    shutil.copytree(package, tmp_path / "physics_twin", ignore=shutil.ignore_patterns("__pycache__"))
    found = [code_hash(), _hash_of(tmp_path)]
    assert found[0] == found[1]
    (tmp_path / "physics_twin" / "notes.txt").write_text("read me")
    assert _hash_of(tmp_path) == found[0]
    units = tmp_path / "physics_twin" / "units.py"
    units.write_bytes(units.read_bytes() + b"# a line\n")
    changed = _hash_of(tmp_path)
    units.rename(units.with_name("measures.py"))
    renamed = _hash_of(tmp_path)
    assert len({found[0], changed, renamed}) == 3
