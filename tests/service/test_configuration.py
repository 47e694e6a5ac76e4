"""The configuration: mistakes are said with their place before anything is started; security is on unless told off."""

from pathlib import Path

import pytest

import physics_twin as pt
from tests.service.running import EXAMPLE
from tests.service.small_plant import asset, configuration

PLAIN = asset("line1")


def read(tmp_path: Path, text: str):
    from twin_service.configuration import read as real

    (tmp_path / "service.toml").write_text(text)
    return real(tmp_path / "service.toml")


def test_the_example_can_be_read():
    """The file that a stranger begins with."""
    from twin_service.configuration import read as real

    found = real(EXAMPLE / "service.toml")
    assert [one.name for one in found.asset] == ["tank"]
    assert found.web.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jornal = 1\n" + configuration(PLAIN), "no key.*jornal.*journal"),
        (configuration(PLAIN.replace("channel =", "chanel =", 1)), "chanel.*channel"),
        (configuration(asset("a/b")), "a/b"),
        (configuration(PLAIN, PLAIN), "a name of its own"),
        (configuration(), '"asset" is missing'),
        (configuration(PLAIN).replace('"0.2 s"', '"0.2 kg"'), "report_every"),
        (configuration(PLAIN).replace("n = 2", "n = 0"), r"workers\.n = 0"),
        (configuration(PLAIN).replace("n = 2", 'n = "2"'), "expected int"),
        (configuration(PLAIN).replace("port = 0", 'host = "0.0.0.0"'), "token"),
        (configuration(PLAIN).replace("port = 0", 'host = "0.0.0.0"\ntoken = "env:X"'), "certificate and key"),
        (configuration(PLAIN.replace('unit = "W"', 'unit = "W", mqtt = "a"')), r"no \[mqtt\]"),
        (configuration(PLAIN) + '[mqtt]\nhost = "10.0.0.1"\nclient = "c"\ntls = false\n', "in clear"),
        (configuration(PLAIN) + '[mqtt]\nhost = "10.0.0.1"\nclient = "c"\n', "anonymous"),
        (configuration(PLAIN) + '[opcua]\nendpoint = "opc.tcp://x"\n', "certificate.*signed and encrypted"),
        ("journal = ", "no TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str):
    """Each mistake is an error that names the key and what is expected."""
    with pytest.raises(pt.DataError, match=f"(?s){words}"):
        read(tmp_path, text)


def test_a_secret_is_never_in_the_file_nor_in_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A literal password is refused without being repeated; a reference is read where it is needed."""
    from twin_service.references import Reference

    tail = '[mqtt]\nhost = "h"\nclient = "c"\nuser = "u"\npassword = "hunter2"\n'
    with pytest.raises(pt.DataError, match="by reference") as caught:
        read(tmp_path, configuration(PLAIN) + tail)
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("TWIN_TEST", "s3cret")
    assert Reference("env:TWIN_TEST").read() == "s3cret"
    (tmp_path / "word").write_text("other\n")
    assert Reference(f"file:{tmp_path / 'word'}").read() == "other"
    with pytest.raises(pt.DataError, match="NOT_THERE is empty"):
        Reference("env:NOT_THERE").read()
