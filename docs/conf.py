"""Configuration of the documentation: `make docs` builds it offline, with warnings as errors."""

import inspect
import re
from typing import Any

import physics_twin as pt

project = "physics_twin"
author = "physics_twin developers"
copyright = "physics_twin developers, BSD-3-Clause"
version = release = pt.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings: list[str] = []

html_theme = "furo"
html_title = f"physics_twin {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {"color-brand-primary": "#0b5394", "color-brand-content": "#0b5394"},
    "dark_css_variables": {"color-brand-primary": "#8fc1f0", "color-brand-content": "#8fc1f0"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
default_role = "literal"  # `name` in a docstring is code


# The docstrings of the library are plain text: "times: (n,) s. values: (n,) in `unit`." Here such sentences become a
# list of definitions, and the names of the library become links.

_NAMES = {name for name in pt.__all__ if name[0].isalpha()}
# Nobody calls the constructor of a result: its signature would only repeat its fields.
_RESULTS = (
    "Ahead", "Attempt", "AuditRecord", "Candidate", "Certificate", "Change", "ChannelEvidence", "ChannelHealth",
    "Check", "Comparison", "ConsistencyVerdict", "Conversion", "Counts", "CrossChecked", "Dataset", "Delay",
    "Dependency", "DriftAlarm", "Envelope", "Evidence", "Experiment", "Experiments", "FailedSimulation",
    "Forecast", "Header", "Health", "HeldOut", "HoldOut", "Innovation", "InspectedTag", "Inspection", "Log",
    "Margin", "NoiseFactors", "Posterior", "Prediction", "ProcessModel", "Promotion", "Redundancy", "Report",
    "Run", "SavedState", "Series", "SteadyWindow", "SteadyWindows", "TagSamples", "TimeTo", "Timeline", "Twin",
    "Verdict", "WalkEstimate", "WhatIf",
)  # fmt: skip


def _arguments(thing: Any) -> list[str]:
    try:
        names = list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        names = []
    return [*names, *getattr(thing, "__dataclass_fields__", ())]


def _paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [p for p in found if p]


def _definitions(paragraph: list[str], names: list[str]) -> list[str] | None:
    """The entries of a paragraph that describes arguments, as a definition list; None for any other paragraph."""
    text = " ".join(line.strip() for line in paragraph)
    one = "|".join(sorted(map(re.escape, {*names}), key=len, reverse=True))
    if not one:
        return None
    entry = re.compile(rf"(?:^|(?<=[.;)] ))((?:{one})(?:, (?:{one}))*)( \([^()]*\))?: ")
    starts = list(entry.finditer(text))
    if not starts or starts[0].start():
        return None
    lines: list[str] = []
    for this, following in zip(starts, [*starts[1:], None], strict=True):
        said = text[this.end() : following.start() if following else len(text)].strip()
        term = ", ".join(f"``{name}``" for name in this[1].split(", ")) + (this[2] or "")
        lines += [term, f"    {said}", ""]
    return lines


def _linked(line: str, own: str) -> str:
    def link(found: re.Match[str]) -> str:
        name = found[1]
        return f":py:obj:`{name} <physics_twin.{name}>`" if name in _NAMES and name != own else found[0]

    line = re.sub(r"(?<![`:\w])`(\w+)`(?!`)", link, line)
    return re.sub(r"(?<![`.<\w])(\w+Error)(?![`>\w])", link, line)


def _docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    names = _arguments(thing)
    own = name.rpartition(".")[2]
    found: list[str] = []
    for paragraph in _paragraphs(lines):
        if paragraph[0].lstrip().startswith((">>>", "- ")) or paragraph[0].startswith("    "):
            found += [*paragraph, ""]
            continue
        described = _definitions(paragraph, names)
        found += described if described is not None else [*(line.strip() for line in paragraph), ""]
    lines[:] = [_linked(line, own) for line in found]


def _signature(app: Any, what: str, name: str, *rest: Any) -> tuple[str, None] | None:
    return ("", None) if what == "class" and name.rpartition(".")[2] in _RESULTS else None


def setup(app: Any) -> dict[str, bool]:
    """Register what reads the docstrings."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
