"""A test that cannot run is seen: broken imports fail; what cannot be installed here skips, with the reason."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BROKEN = "from physics_twin.errors import no_such_name\n\ndef test_nothing() -> None: ...\n"
NEEDS_MORE = """
import conftest
from physics_twin.errors import MissingDependencyError

conftest.REQUIRED = {required}

def test_while_it_runs():
    raise MissingDependencyError("install that")
"""
NEEDS_MORE_AT_IMPORT = NEEDS_MORE.partition("def test")[0] + 'raise MissingDependencyError("install this")\n'


def collected(folder: Path, **modules: str) -> tuple[int, str]:
    """Exit status and output of pytest, with the settings of this repository, on modules of a folder."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    options = ["-c", "pyproject.toml", "-p", "conftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    """Not a skip: looking for doctests in it first would make it one."""
    status, output = collected(tmp_path, test_broken=BROKEN)
    assert status == pytest.ExitCode.INTERRUPTED and "no_such_name" in output, output


@pytest.mark.parametrize("required", [False, True])
def test_what_needs_more_skips_only_where_it_cannot_be_installed(tmp_path: Path, required: bool) -> None:
    """Both a module that cannot be imported and a test that finds out later; the reason is shown."""
    status, output = collected(tmp_path, test_later=NEEDS_MORE.format(required=required))
    assert ("1 failed" if required else "1 skipped") in output and "install that" in output, output
    status, output = collected(tmp_path, test_import=NEEDS_MORE_AT_IMPORT.format(required=required))
    assert "install this" in output and ("1 error" if required else "2 skipped") in output, output
    assert status == (pytest.ExitCode.INTERRUPTED if required else pytest.ExitCode.OK)
