"""Data sets by hash: offline folder, damage, absence."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pooch
import pytest
import requests

from physics_twin import datasets
from physics_twin.errors import DataError, UnknownNameError
from tests.data_marks import needs_data


class Refused:
    """A network that does not answer."""

    def __init__(self, **options: Any) -> None:
        pass

    def __call__(self, url: str, output_file: Any, store: Any, check_only: bool = False) -> None:
        raise requests.ConnectionError("no route")


class Serves:
    """A network that answers with these bytes."""

    content = b""

    def __init__(self, **options: Any) -> None:
        pass

    def __call__(self, url: str, output_file: Any, store: Any, check_only: bool = False) -> None:
        if hasattr(output_file, "write"):
            output_file.write(self.content)
        else:
            Path(output_file).write_bytes(self.content)


@pytest.fixture
def no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither an offline folder nor a filled cache."""
    monkeypatch.delenv("PHYSICS_TWIN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)


@pytest.mark.parametrize("name", datasets.names())
def test_every_data_set_states_licence_citation_and_source(name: str) -> None:
    """Nobody has to search for what to cite."""
    dataset = datasets.load(name)
    assert dataset.licence and dataset.citation and dataset.source and dataset.files
    assert all(text in str(dataset) for text in (dataset.licence, dataset.citation, *dataset.files))


@pytest.mark.skipif(not os.environ.get("PHYSICS_TWIN_DATA"), reason="PHYSICS_TWIN_DATA is not set")
@pytest.mark.parametrize("name", datasets.names())
def test_every_file_of_the_offline_folder_has_its_hash(name: str) -> None:
    """The registry and the folder agree, file by file."""
    dataset = datasets.load(name)
    for file in dataset.files:
        assert dataset.path(file).is_file()


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    """Of a data set and of a file alike."""
    with pytest.raises(UnknownNameError, match='did you mean "tclab"'):
        datasets.load("tc_lab")
    with pytest.raises(UnknownNameError, match=r'did you mean "mimo_1s_600\.csv"'):
        datasets.load("tclab").path("mimo_1s_60.csv")


def test_a_damaged_file_names_both_hashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One changed byte in the offline folder is found."""
    damaged = b"t,y1_gasoil,y2_gasoline\n0,1.0,9\n"
    folder = tmp_path / "literature_kinetics"
    folder.mkdir()
    (folder / "gas_oil_cracking.csv").write_bytes(damaged)
    monkeypatch.setenv("PHYSICS_TWIN_DATA", str(tmp_path))
    with pytest.raises(DataError) as caught:
        datasets.load("literature_kinetics").path("gas_oil_cracking.csv")
    assert hashlib.sha256(damaged).hexdigest() in str(caught.value)
    assert "4d588fdc889042a9715241e16e197ae4d07f8697083900e56a08cc265da7f458" in str(caught.value)


def test_an_offline_folder_without_the_file_says_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the folder set, the network is not asked behind the user's back."""
    monkeypatch.setenv("PHYSICS_TWIN_DATA", str(tmp_path))
    monkeypatch.setattr(pooch, "create", lambda **_: pytest.fail("the network was asked"))
    with pytest.raises(DataError, match=r"there is no .*siso_1s_601\.csv"):
        datasets.load("tclab").path("siso_1s_601.csv")


@pytest.mark.usefixtures("no_folder")
def test_without_folder_and_network_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message can be followed."""
    monkeypatch.setattr(pooch, "HTTPDownloader", Refused)
    with pytest.raises(DataError, match=r"set PHYSICS_TWIN_DATA to a folder that holds tclab/siso_1s_601\.csv"):
        datasets.load("tclab").path("siso_1s_601.csv")
    with pytest.raises(DataError, match="was never published as files; set PHYSICS_TWIN_DATA"):
        datasets.load("literature_kinetics").path("alpha_pinene.csv")


@pytest.mark.usefixtures("no_folder")
def test_a_changed_origin_is_no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A download with another hash names both and leaves nothing behind that the next call would trust."""
    monkeypatch.setattr(pooch, "HTTPDownloader", Serves)
    monkeypatch.setattr(Serves, "content", b"<html>moved</html>")
    with pytest.raises(DataError) as caught:
        datasets.load("tclab").path("siso_1s_601.csv")
    assert hashlib.sha256(Serves.content).hexdigest() in str(caught.value)
    assert "eb5eb590d99c249862fc0c422712650e3eaa83e98c19101570a258eb80d294cd" in str(caught.value)
    assert not list(tmp_path.rglob("siso_1s_601.csv"))


@needs_data("tclab")
def test_a_fetched_file_is_renamed_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The origin calls it data.txt; the second call needs no network."""
    content = datasets.load("tclab").path("mhe_3s_200.csv").read_bytes()
    monkeypatch.delenv("PHYSICS_TWIN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(pooch, "HTTPDownloader", Serves)
    monkeypatch.setattr(Serves, "content", content)
    path = datasets.load("tclab").path("mhe_3s_200.csv")
    assert path.name == "mhe_3s_200.csv"
    monkeypatch.setattr(pooch, "HTTPDownloader", Refused)
    assert datasets.load("tclab").path("mhe_3s_200.csv").read_bytes() == content
