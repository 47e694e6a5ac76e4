"""The package of the example on the path, and a service that is started in a folder of its own."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.running import EXAMPLE, Running, Starter

if str(EXAMPLE) not in sys.path:
    sys.path.insert(0, str(EXAMPLE))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Starter]:
    """Start the service with a configuration, in a folder that stays the same over restarts."""
    with contextlib.ExitStack() as stack:

        def start(text: str, folder: Path = tmp_path, **environment: str) -> Running:
            (folder / "service.toml").write_text(text)
            running = Running(folder, environment)
            stack.callback(running.close)
            return running

        yield start
