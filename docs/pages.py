"""The code on the pages of this documentation, run as a reader would run it: from top to bottom, in an empty folder.

A block marked `python` is executed. A block marked `output` says what the one before it printed, or the error of this
library that it raised. Numbers there agree within 2 % or a unit of their last digit, whole numbers below 1000 exactly;
`...` stands for anything. `.ci/run` and `make test` run every page; so does `pytest docs/tutorial.md`.

    python docs/pages.py [page ...]      writes what was printed into the pages, and their pictures into _static/

is for the writer: no output on a page is typed by hand.
"""

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sybil import Document, Example
from sybil.parsers.myst import CodeBlockParser

from physics_twin import PhysicsTwinError
from physics_twin.errors import MissingDependencyError

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
TOLERANCE = 0.02
WHOLE = 1000

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
# What changes with the version of a solver and tells a reader nothing.
_VOLATILE = {
    r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,64}\b": "...",  # hashes
    r"after \d+ iterations": "after ... iterations",
    r"\d+ simulations": "... simulations",
    r"\d+ gradients": "... gradients",
    r"\d+ backward runs": "... backward runs",
    r"rank: \d+ of": "rank: ... of",
    r"\d+ stretch.*integrations?": "...",
}


class PageError(AssertionError):
    """A page does not do what it says."""


def pages() -> list[Path]:
    """Every page with code, README first."""
    return [README, *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]


class _Runner:
    """Runs the blocks of one page in order."""

    def __init__(self, path: Path) -> None:
        self.path, self.printed, self.error = path, "", None
        self.namespace: dict[str, Any] = {"__name__": "__page__"}
        self.found: list[tuple[Example, str]] = []
        self.n_blocks = 0

    def python(self, example: Example) -> None:
        self.finish()
        self.n_blocks += 1
        # Blank lines put the code on its line of the page, so that a traceback names it.
        code = compile("\n" * example.line + example.parsed, str(self.path), "exec", dont_inherit=True)
        stream = io.StringIO()
        try:
            with contextlib.redirect_stdout(stream):
                exec(code, self.namespace)  # noqa: S102  our own pages
        except MissingDependencyError:
            raise  # no page is about that; where it cannot be installed the page is skipped
        except PhysicsTwinError as error:
            self.error = error
            stream.write(f"{type(error).__name__}: {error}\n")
        self.printed = stream.getvalue()

    def output(self, example: Example) -> None:
        self.error = None
        self.found.append((example, self.printed))

    def finish(self) -> None:
        """An error that no output block announces is one."""
        if self.error is not None:
            raise self.error


def run(path: Path, pictures: Path | None = None) -> tuple[int, list[tuple[Example, str]]]:
    """Run a page; returns the number of blocks and, for each output block, what was printed before it.

    pictures: where PNG files that the page saves are copied to, as `<page>_<file>`.
    """
    runner = _Runner(path)
    parsers = [CodeBlockParser("python", runner.python), CodeBlockParser("output", runner.output)]
    document = Document.parse(str(path), *parsers)
    with _empty_folder() as folder:
        for example in document.examples():
            example.evaluate()
        runner.finish()
        if pictures is not None:
            for picture in folder.glob("*.png"):
                shutil.copy(picture, pictures / f"{path.stem}_{picture.name}".replace("-", "_"))
    return runner.n_blocks, runner.found


def check(path: Path) -> int:
    """Run a page and compare; returns the number of blocks. Raises PageError, with the place, where it differs."""
    n_blocks, found = run(path)
    for example, printed in found:
        if not agree(example.parsed, printed):
            raise PageError(
                f"{path.name}, line {example.line}: the page says\n\n{example.parsed}\n"
                f"but this is printed\n\n{printed}\nif so it should be: python docs/pages.py {path.name}"
            )
    return n_blocks


def refresh(path: Path) -> None:
    """Write what is printed into the output blocks that differ."""
    _, found = run(path, DOCS / "_static")
    text = path.read_text(encoding="utf-8")
    for example, printed in reversed(found):
        if agree(example.parsed, printed):
            continue
        start = text.index("\n", example.start) + 1
        stop = text.index("```", start)
        shown = _settled("\n".join(line.rstrip() for line in printed.rstrip().splitlines()))
        before = example.parsed.rstrip().splitlines()
        if before and before[-1] == "...":  # a block that was cut short stays so
            shown = "\n".join([*shown.splitlines()[: len(before) - 1], "..."])
        text = text[:start] + shown + "\n" + text[stop:]
    path.write_text(text, encoding="utf-8")


def _settled(text: str) -> str:
    for pattern, stand_in in _VOLATILE.items():
        text = re.sub(pattern, stand_in, text)
    return text


def agree(wanted: str, got: str) -> bool:
    """Whether what was printed is what the page says, up to white space and the last digits."""
    have = got.split()
    ends = {0}  # how many words of `got` the words of `wanted` so far may stand for
    for word in wanted.split():
        if word == "...":
            ends = set(range(min(ends, default=len(have) + 1), len(have) + 1))
        else:
            ends = {j + 1 for j in ends if j < len(have) and _same_word(word, have[j])}
    return len(have) in ends


def _same_word(want: str, have: str) -> bool:
    if want == have or (set(want) == set(have) == {"-"}):
        return True
    if "..." in want:
        parts = [re.escape(part) for part in want.split("...")]
        return re.fullmatch(".*".join(parts), have) is not None
    if _NUMBER.sub("#", want) != _NUMBER.sub("#", have):
        return False
    pairs = zip(_NUMBER.findall(want), _NUMBER.findall(have), strict=True)
    return all(_close(a, b) for a, b in pairs)


def _close(want: str, have: str) -> bool:
    a, b = float(want), float(have)
    mantissa, _, exponent = want.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    if not decimals and not exponent and abs(a) < WHOLE:
        return a == b
    last_digit = 10.0 ** (int(exponent or 0) - decimals)
    return abs(a - b) <= max(TOLERANCE * abs(a), 1.01 * last_digit)


@contextlib.contextmanager
def _empty_folder() -> Iterator[Path]:
    import matplotlib

    matplotlib.use("Agg")
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)
            from matplotlib import pyplot

            pyplot.close("all")


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]] or pages():
        refresh(page)
        print(page.name)
