"""What holds for all tests: broken imports fail, and only DOLFINx may be missing, where it cannot be installed.

Tests that need DOLFINx skip and say why where there is no wheel of it. Where the lock file installs it, they fail.
"""

import platform
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from physics_twin.errors import MissingDependencyError

REQUIRED = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for doctests in the library only.

    The option --doctest-ignore-import-errors, meant for modules of extras, would import a test module first, skip it
    when that fails, and leave half of it in sys.modules, where no tests are then found: green, whatever is broken.
    """
    collectors = yield
    if not file_path.name.startswith(("test_", "bench_")):
        return collectors
    return [collector for collector in collectors if type(collector).__name__ != "DoctestModule"]


@pytest.fixture(scope="session")
def spawned() -> Iterator[ProcessPoolExecutor]:
    """One spawned process for all models that have to travel: starting it and importing the library takes seconds."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


class Module(pytest.Module):
    """A test module that skips where DOLFINx, which it imports, cannot be had."""

    def collect(self) -> Any:
        """Collect as usual; an import that fails for the lack of DOLFINx skips the whole module."""
        try:
            return super().collect()
        except self.CollectError as error:
            if not isinstance(error.__cause__, MissingDependencyError) or REQUIRED:
                raise
            pytest.skip(str(error.__cause__), allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Have test modules collected by `Module`."""
    return Module.from_parent(parent, path=module_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Skip where a fixture lacks DOLFINx."""
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Skip where a test, an example or a page of the documentation lacks it."""
    return (yield from _skipping())


def _skipping() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except MissingDependencyError as error:
        if REQUIRED:
            raise
        pytest.skip(str(error))
