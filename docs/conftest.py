"""Every page is one test: its blocks share names, so they run in order and in one process (see pages.py)."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

collect_ignore = ["conf.py", "_build"]


def _pages() -> ModuleType:
    name = "physics_twin_docs_pages"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("pages.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class Page(pytest.File):
    """A page of the documentation."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test for the whole page, if it has code."""
        if "```python" in self.path.read_text(encoding="utf-8"):
            yield Blocks.from_parent(self, name="blocks")


class Blocks(pytest.Item):
    """All code blocks of one page."""

    def runtest(self) -> None:
        """Run them and compare what they print."""
        _pages().check(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a difference as it is, and no traceback of this machinery."""
        return str(excinfo.value) if type(excinfo.value).__name__ == "PageError" else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the test is."""
        return self.path, 0, f"code on the page {self.path.name}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Page | None:
    """Take every Markdown page."""
    return Page.from_parent(parent, path=file_path) if file_path.suffix == ".md" else None
