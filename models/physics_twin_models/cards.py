"""Model cards: what a model is for, what it assumes, where it holds, and what it was checked against."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from physics_twin.errors import FileFormatError, unknown_name


@dataclass(frozen=True)
class Check:
    """A claim that the model's tests verify, and how closely."""

    claim: str
    number: str


@dataclass(frozen=True)
class Card:
    """The card of a model. validity: name -> (low, high), quantities with their units."""

    name: str
    version: str
    summary: str
    intended_use: str
    assumptions: tuple[str, ...]
    sources: tuple[str, ...]
    limits: tuple[str, ...]
    validity: Mapping[str, tuple[str, str]]
    checked: tuple[Check, ...]


def read_card(folder: str) -> Card:
    """The card of the model in `folder` ("furnace").

    Raises UnknownNameError for a folder without a card, FileFormatError for a card with an entry missing or unknown.
    """
    home = resources.files("physics_twin_models")
    path = home / folder / "card.toml"
    if not path.is_file():
        raise unknown_name("model card", folder, [e.name for e in home.iterdir() if (e / "card.toml").is_file()])
    found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    expected = set(Card.__annotations__)
    if set(found) != expected:
        wrong = sorted(set(found) ^ expected)[0]
        raise FileFormatError(f'{folder}/card.toml: "{wrong}" is {"missing" if wrong in expected else "unknown"}')
    texts = {key: tuple(str(line) for line in found[key]) for key in ("assumptions", "sources", "limits")}
    return Card(
        name=str(found["name"]),
        version=str(found["version"]),
        summary=str(found["summary"]),
        intended_use=str(found["intended_use"]),
        **texts,
        validity={str(name): (str(low), str(high)) for name, (low, high) in found["validity"].items()},
        checked=tuple(Check(str(row["claim"]), str(row["number"])) for row in found["checked"]),
    )
