"""MQTT against a real Mosquitto: passwords and TLS, acknowledged after the commit, nothing lost."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.measurements.flags import Flag
from physics_twin.twin.moments import stamp
from tests.service import small_plant
from tests.service.certificates import self_signed
from tests.service.small_plant import configuration, samples
from tests.service.test_inbox import events, running

aiomqtt = pytest.importorskip("aiomqtt", reason="the extra live is not installed")
TAGS = """tag = [
    { channel = "T", unit = "degC", mqtt = "plant/T" },
    { channel = "power", unit = "W", mqtt = "plant/power" },
]"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Broker:
    """Mosquitto with a password for "twin", TLS, and a store on disk."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary, self.folder, self.port = binary, folder, free_port()
        self_signed(folder, "broker")
        (folder / "words").write_text("twin:tw1n\nplant:pl4nt\n")
        subprocess.run(["mosquitto_passwd", "-U", folder / "words"], check=True, capture_output=True)
        user = "user root\n" if os.getuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/words\n"
            f"certfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
            f"persistence true\npersistence_location {folder}/\nlog_dest file {folder}/log\n"
        )
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([self._binary, "-c", self.folder / "mosquitto.conf"])
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self._process.poll() is not None:
                pytest.skip(f"Mosquitto does not start here: {(self.folder / 'log').read_text()[-300:]}")
        pytest.fail("Mosquitto does not listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "broker.pem"))

    async def publish(self, messages, retain: bool = False) -> None:
        """(topic, payload) as the plant sends them."""
        async with aiomqtt.Client(
            "127.0.0.1", self.port, username="plant", password="pl4nt", tls_context=self.context
        ) as client:
            for topic, payload in messages:
                await client.publish(topic, payload, qos=1, retain=retain)


@pytest.fixture
def broker(tmp_path: Path):
    binary = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if binary is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("Mosquitto is not installed here")
    folder = tmp_path / "broker"
    folder.mkdir()
    one = Broker(binary, folder)
    yield one
    one.stop()


def messages(found) -> list[tuple[str, str]]:
    """Samples as the plant publishes them."""
    return [(f"plant/{s.channel}", json.dumps({"value": s.value, "time": stamp(s.time)})) for s in found]


def read(folder: Path, broker: Broker, password: str = "tw1n"):
    from twin_service.configuration import read as real

    (folder / "word").write_text(password)
    tail = (
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nclient = "line1"\nuser = "twin"\n'
        f'password = "file:{folder / "word"}"\nauthority = "{broker.folder / "broker.pem"}"\n'
    )
    (folder / "service.toml").write_text(configuration(small_plant.asset("line1", tags=TAGS)) + tail)
    return real(folder / "service.toml")


@contextlib.asynccontextmanager
async def listening(c, inbox):
    """The source at work."""
    from twin_service.mqtt_source import MqttSource

    source = asyncio.create_task(MqttSource(c, inbox, inbox.log).run())
    try:
        yield
    finally:
        source.cancel()
        await asyncio.gather(source, return_exceptions=True)


async def until(found, what: str) -> None:
    for _ in range(1200):
        if found():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"waited in vain for {what}")


def test_what_is_published_is_in_the_journal_once(broker: Broker, tmp_path: Path):
    """Published twice, and once more as retained messages at each new subscription: in the journal once."""
    c = read(tmp_path, broker)
    found = samples(0, 100)

    async def life(journal):
        async with running(journal) as inbox:
            async with listening(c, inbox):
                await until(lambda: "source_up" in events(inbox), "the subscription")
                await broker.publish(messages(found))
                await broker.publish(messages(found), retain=True)
                await until(lambda: inbox.counts.samples >= 400, "all messages")
            async with listening(c, inbox):
                await until(lambda: inbox.counts.samples >= 402, "the retained messages")

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
        assert sorted(journal.entries("line1"), key=repr) == sorted(found, key=repr)


def test_nothing_is_acknowledged_before_the_commit(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed with messages received and the journal failing, the next life is given them again by the broker."""
    c = read(tmp_path, broker)
    found = samples(0, 10)

    async def first(journal):
        async with running(journal) as inbox, listening(c, inbox):
            await until(lambda: "source_up" in events(inbox), "the subscription")
            await broker.publish(messages(found))
            await until(lambda: inbox.counts.failed_commits > 0 and inbox.n_waiting > 0, "a failed commit")

    async def second(journal):
        async with running(journal) as inbox, listening(c, inbox):
            await until(lambda: inbox.counts.samples >= len(found), "what was not acknowledged")

    from physics_twin.errors import JournalError

    with pt.Journal(tmp_path / "j") as journal:
        with monkeypatch.context() as patch:

            def fail(*_: object, **__: object) -> int:
                raise JournalError("no room")

            patch.setattr(journal, "append", fail)
            asyncio.run(first(journal))
        assert list(journal.entries("line1")) == []
        asyncio.run(second(journal))
        assert len(list(journal.entries("line1"))) == len(found)


def test_a_broker_that_restarts(broker: Broker, tmp_path: Path):
    """While the broker is down the source says so and tries again; what it kept while nobody listened comes then."""
    c = read(tmp_path, broker)

    async def life(journal):
        async with running(journal) as inbox:
            async with listening(c, inbox):
                await until(lambda: "source_up" in events(inbox), "the subscription")
                await broker.publish(messages(samples(0, 10)))
                await until(lambda: inbox.counts.samples >= 20, "the first messages")
                broker.stop()
                await until(lambda: "source_lost" in events(inbox), "the loss")
                broker.start()
                await until(lambda: events(inbox).count("source_up") == 2, "the next connection")
                await broker.publish(messages(samples(10, 20)))
                await until(lambda: inbox.counts.samples >= 40, "messages after the restart")
            await broker.publish(messages(samples(20, 30)))  # while the service is down
            broker.stop()
            broker.start()
            async with listening(c, inbox):
                await until(lambda: inbox.counts.samples >= 60, "what the broker kept")

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
        assert len(list(journal.entries("line1"))) == 60


def test_a_wrong_password_is_refused_and_not_logged(broker: Broker, tmp_path: Path):
    """No connection without the password; the record names the broker and neither user nor password."""
    c = read(tmp_path, broker, password="wrong_w0rd")

    async def life(journal):
        async with running(journal) as inbox, listening(c, inbox):
            await until(lambda: "source_lost" in events(inbox), "the refusal")
            assert "source_up" not in events(inbox)
            assert "wrong_w0rd" not in inbox.out.getvalue()

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"20.5", "expected"),
        (b"\xff", "no JSON"),
        (b'{"value": 20.5}', "expected"),
        (b'{"value": "warm", "time": "2026-11-20T06:00:00Z"}', "no number"),
        (b'{"value": 1e999, "time": "2026-11-20T06:00:00Z"}', "no reading"),
        (b'{"value": 20.5, "time": "2026-11-20T06:00:00"}', "no zone"),
    ],
)
def test_what_is_no_sample(payload: bytes, words: str):
    """Each kind of wrong message is said; a moment is needed."""
    from twin_service.configuration import TagConfig
    from twin_service.mqtt_source import sample_of

    with pytest.raises(pt.DataError, match=words):
        sample_of(payload, TagConfig("T", "degC"))


def test_quality_and_unit_of_a_message():
    """Words of quality become flags; null is missing; a unit in the message wins."""
    from twin_service.configuration import TagConfig
    from twin_service.mqtt_source import sample_of

    at = '"time": "2026-11-20T06:00:00Z"'
    one = sample_of(f'{{"value": 300, {at}, "quality": "uncertain", "unit": "K"}}', TagConfig("T", "degC"))
    assert (one.quality, one.unit) == (Flag.SUSPECT, "K")
    assert sample_of(f'{{"value": null, {at}}}', TagConfig("T", "degC")).quality is Flag.MISSING
