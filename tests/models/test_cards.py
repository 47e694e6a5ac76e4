"""Model cards: complete, true to the model they describe, and refused when they are not."""

from importlib import resources
from pathlib import Path

import pytest

from physics_twin.errors import FileFormatError, UnknownNameError
from physics_twin.units import to_si
from physics_twin_models import CATALOGUE, cards, read_card

FOLDERS = sorted(e.name for e in resources.files("physics_twin_models").iterdir() if (e / "model.py").is_file())
MODELS = {factory.__name__: factory for factory in CATALOGUE}


def test_every_folder_has_a_model_of_its_name():
    """A folder is called as its factory, and the factory as its model."""
    assert set(FOLDERS) <= set(MODELS)
    for name, factory in MODELS.items():
        assert factory().name == name
        assert factory.__module__.split(".")[1] in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_card_tells_the_truth(folder):
    """Name, version and domain of validity are those of the model; use, assumptions, sources, limits are said."""
    card, model = read_card(folder), MODELS[folder]()
    assert (card.name, card.version) == (model.name, model.version)
    units = {s.name: s.unit for s in (*model.inputs, *model.outputs)}
    units |= {name: parameter.unit for name, parameter in model.parameters.items()}
    said = {
        name: tuple(to_si(float(end) if units[name].text == "1" else end, units[name], name=name) for end in ends)
        for name, ends in card.validity.items()
    }
    assert said == dict(model.validity)
    assert card.summary and card.intended_use
    assert card.assumptions and card.sources and card.limits and card.checked
    assert all(check.claim and check.number for check in card.checked)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_described(name):
    """Every parameter has a description, bounds that hold its value, and every signal a unit."""
    model = MODELS[name]()
    for parameter in model.parameters.parameters:
        assert parameter.description, parameter.name
        if not parameter.name.startswith("initial.") and not parameter.name.startswith("heater_power_"):
            assert parameter.bounds[0] < parameter.value < parameter.bounds[1], parameter.name


def test_an_unknown_card_is_refused_with_the_nearest_name():
    """A misspelt folder is an error that names the right one."""
    with pytest.raises(UnknownNameError, match="furnace"):
        read_card("furnce")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("intended_use", "purpose"), '"intended_use" is missing'),
        (('version = "1.0"', 'version = "1.0"\nauthor = "me"'), '"author" is unknown'),
    ],
)
def test_an_incomplete_card_is_refused(tmp_path: Path, monkeypatch, change, message):
    """An entry that is missing or unknown is an error that says which."""
    text = (resources.files("physics_twin_models") / "gas_oil" / "card.toml").read_text(encoding="utf-8")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "card.toml").write_text(text.replace(*change), encoding="utf-8")
    monkeypatch.setattr(cards.resources, "files", lambda package: tmp_path)
    with pytest.raises(FileFormatError, match=message):
        read_card("own")
