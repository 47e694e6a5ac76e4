"""The runbook knows every word that a twin, its files and its journal can say to whoever is woken by it."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from physics_twin.twin.counts import Counts
from physics_twin.twin.health import Status
from physics_twin.twin.state import Mode

ROOT = Path(__file__).resolve().parents[2]
TWIN = ROOT / "physics_twin" / "twin"
FILES = [TWIN / name for name in ("storage.py", "generations.py", "migrations.py")]
JOURNAL = sorted((TWIN / "journal").glob("*.py"))


def plain(text):
    """In one line, without the marks of a page."""
    return re.sub(r"\s+", " ", text.replace("`", ""))


PAGE = plain((ROOT / "docs" / "howto" / "at-three-in-the-morning.md").read_text(encoding="utf8"))


def pieces(node):
    """The fixed parts of a text in source code."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return [part.value for part in node.values if isinstance(part, ast.Constant)]
    if isinstance(node, ast.BinOp):
        return [*pieces(node.left), *pieces(node.right)]
    return []


def longest(node):
    """The longest fixed part up to the first colon or bracket, where numbers and causes begin."""
    found = [re.split(r"[:(;]", piece)[0].strip(" ,.") for piece in pieces(node)]
    return max(found, key=len, default="")


def raised(path):
    """What the errors of a module say, by their longest fixed part."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.args]
    return [longest(n.args[0]) for n in calls if n.func.id in ("JournalError", "FileFormatError")]


def said(path, function):
    """What a function of a module says: texts of two words or more, by their longest fixed part."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    (body,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function]
    texts = [n for n in ast.walk(body) if isinstance(n, ast.Constant | ast.JoinedStr)]
    parts = {id(part) for text in texts for part in ast.walk(text) if part is not text}
    texts = [text for text in texts if id(text) not in parts]
    if ast.get_docstring(body):
        texts = texts[1:]
    return sorted({words for words in map(longest, texts) if len(words.split()) >= 2})


@pytest.mark.parametrize("status", [one.value for one in Status])
def test_every_status_stands_in_the_first_table(status):
    """With what it means and what to do."""
    assert f"| {status} |" in PAGE


@pytest.mark.parametrize("path", [*FILES, *JOURNAL], ids=lambda path: path.name)
def test_every_error_of_files_and_journals_is_on_the_page(path):
    """By the longest part of it that never changes."""
    missing = [words for words in raised(path) if words not in PAGE]
    assert missing == []


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("health.py", "_channel_words"),
        ("health.py", "_status"),
        ("health.py", "_drifts"),
        ("live_inputs.py", "inputs_of"),
        ("consistency.py", "_words"),
        ("drift.py", "_of_channel"),
        ("sensors/judgment.py", "_turn_away"),
        ("sensors/judgment.py", "_trust"),
        ("sensors/judgment.py", "_examine"),
        ("sensors/judgment.py", "_stuck_words"),
        ("sensors/quality.py", "unreadable"),
        ("sensors/quality.py", "out_of_the_question"),
        ("fold.py", "_learned"),
        ("fold.py", "_measured"),
        ("fold.py", "_live"),
        ("fold.py", "through"),
        ("operations.py", "carried_on"),
        ("operations.py", "_start_batch"),
    ],
)
def test_every_reason_is_on_the_page(module, function):
    """What health, checks and the fold say, by the longest part of it that never changes."""
    assert [words for words in said(TWIN / module, function) if words not in PAGE] == []


def test_counts_and_modes_are_on_the_page():
    """Every count by its name; the modes that stop a twin from learning."""
    assert [f.name for f in fields(Counts) if f.name not in PAGE] == []
    assert [m.value for m in Mode if m is not Mode.IDLE and m.value not in PAGE] == []
