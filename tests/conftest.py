"""Tests that need DOLFINx skip, and say why, where there is no wheel of it; where there is one, a missing one fails."""

import platform
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from physics_twin.errors import MissingDependencyError

# The lock file installs DOLFINx here.
REQUIRED = sys.platform == "linux" and platform.machine() == "x86_64"


class Module(pytest.Module):
    """A test module that skips where what it imports cannot be had."""

    def collect(self) -> Any:
        """Collect as usual; an import that fails for the lack of DOLFINx skips the whole module."""
        try:
            return super().collect()
        except self.CollectError as error:
            if not isinstance(error.__cause__, MissingDependencyError) or REQUIRED:
                raise
            pytest.skip(str(error.__cause__), allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return Module.from_parent(parent, path=module_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _skipping())


def _skipping() -> Generator[None, Any, Any]:
    """Skip what raises for the lack of DOLFINx while it runs: a row of the catalogue, an example."""
    try:
        return (yield)
    except MissingDependencyError as error:
        if REQUIRED:
            raise
        pytest.skip(str(error))
