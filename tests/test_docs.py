"""The README works when pasted, links lead somewhere, and every public name is in the reference.

The pages themselves are run by docs/conftest.py.
"""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import physics_twin as pt

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]


def pages() -> ModuleType:
    """Import docs/pages.py, which is no package."""
    spec = importlib.util.spec_from_file_location("physics_twin_docs_pages", ROOT / "docs" / "pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_works_when_pasted() -> None:
    """Its blocks run from top to bottom and print what it shows."""
    assert pages().check(ROOT / "README.md") >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link or picture of a page is a file in the checkout."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_public_name_is_in_the_reference() -> None:
    """What `import physics_twin` offers is documented."""
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "reference").glob("*.md"))
    missing = [name for name in pt.__all__ if not name.startswith("_") and not re.search(rf"\b{name}\b", text)]
    assert missing == []


@pytest.mark.parametrize("package", ["fem", "fem/mesh", "fem/materials"])
def test_every_public_name_of_field_models_is_in_the_reference(package: str) -> None:
    """What a package of field models imports under its own name is documented; their import takes seconds, so read."""
    source = (ROOT / "physics_twin" / package / "__init__.py").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "reference" / "fem.md").read_text(encoding="utf-8")
    names = re.findall(r"\b(\w+) as \1\b", source)
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_picture_of_the_readme_is_small() -> None:
    """A README that loads quickly: its picture stays below 150 kB."""
    assert (ROOT / "docs" / "_static" / "tutorial_envelope.png").stat().st_size < 150_000


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        ("rms 0.20 K", "rms 0.203 K", True),
        ("rms 0.20 K", "rms 0.22 K", False),
        ("8 samples", "9 samples", False),
        ("1.0 kg", "1.0 K", False),
        ("first ... last", "first\nthis and that\nlast", True),
        ("first ... last", "first and more", False),
        ("sha256 ...", "sha256 0f3c", True),
        ("5.926e-05 1/min", "5.93e-05 1/min", True),
        ("5.926e-05 1/min", "6.2e-05 1/min", False),
        ("-----", "---------", True),
        ("a ... b", "a c b d", False),
        pytest.param("word " * 20000, "word " * 20000, True, id="long"),
    ],
)
def test_outputs_agree_in_words_and_nearly_in_numbers(wanted: str, got: str, same: bool) -> None:
    """A page that says something else than what is printed is found out; the last digits may move."""
    assert pages().agree(wanted, got) is same
