"""OPC UA against a real server: signed and encrypted, nobody anonymous, status codes and source times, gaps filled."""

import asyncio
import contextlib
import datetime as dt
import shutil
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.measurements.flags import Flag
from physics_twin.twin.moments import SECOND
from tests.service import small_plant
from tests.service.certificates import self_signed
from tests.service.small_plant import T0, configuration, temperature
from tests.service.test_inbox import events, running
from tests.service.test_mqtt import free_port, until

asyncua = pytest.importorskip("asyncua", reason="the extra live is not installed")
from asyncua import Server, ua  # noqa: E402
from asyncua.crypto.permission_rules import (  # noqa: E402
    SimpleRoleRuleset,
    User,
    UserRole,
)
from asyncua.server.user_managers import UserManager  # noqa: E402

URI = "urn:physics_twin:service"


class Users(UserManager):
    """One user with a password; nobody else."""

    def get_user(self, iserver, username=None, password=None, certificate=None):
        return User(role=UserRole.User, name=username) if (username, password) == ("twin", "tw1n") else None


class Plant:
    """A server with one node, "T"."""

    def __init__(self, folder: Path, port: int, history: bool = True) -> None:
        self.folder, self.port, self._history = folder, port, history
        self.server = Server(user_manager=Users())
        self.attempts_to_write = 0

    async def __aenter__(self) -> "Plant":
        own = self.server
        await own.init()
        own.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/plant")
        await own.set_application_uri("urn:plant")
        own.set_security_policy(
            [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt], permission_ruleset=SimpleRoleRuleset()
        )
        await own.load_certificate(str(self.folder / "server.der"))
        await own.load_private_key(str(self.folder / "server.key"), format="pem")
        index = await own.register_namespace("plant")
        self.node = await own.nodes.objects.add_variable(ua.NodeId("T", index), "T", 0.0)
        self.address = self.node.nodeid.to_string()
        if self._history:
            await own.historize_node_data_change(self.node, period=None, count=10_000)
        await own.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()

    async def show(self, first: int, end: int, code: int = 0) -> None:
        """The values of these seconds, at their own times."""
        for k in range(first, end):
            value = ua.DataValue(
                ua.Variant(float(temperature(k)), ua.VariantType.Double),
                StatusCode=ua.StatusCode(code),
                SourceTimestamp=T0 + dt.timedelta(seconds=k),
            )
            await self.node.write_value(value)


def read(folder: Path, plant: Plant, **other: str):
    from twin_service.configuration import read as real

    (folder / "word").write_text("tw1n")
    given = {
        "endpoint": f"opc.tcp://127.0.0.1:{plant.port}/plant",
        "certificate": "client.der",
        "key": "client.key",
        "server_certificate": "server.der",
        "application": URI,
        "user": "twin",
        "password": f"file:{folder / 'word'}",
        "interval": "0.1 s",
        **other,
    }
    tags = f'tag = [{{ channel = "T", unit = "degC", opcua = "{plant.address}" }}]'
    tail = "[opcua]\n" + "".join(f'{key} = "{value}"\n' for key, value in given.items())
    (folder / "service.toml").write_text(configuration(small_plant.asset("line1", tags=tags)) + tail)
    return real(folder / "service.toml")


@contextlib.asynccontextmanager
async def subscribed(c, inbox, journal):
    from twin_service.opcua_source import OpcuaSource

    source = asyncio.create_task(OpcuaSource(c, inbox, inbox.log, journal).run())
    try:
        yield
    finally:
        source.cancel()
        await asyncio.gather(source, return_exceptions=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    self_signed(made, "server", "urn:plant")
    self_signed(made, "client", URI)
    return made


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Path:
    """With certificates of both sides."""
    for one in certificates.iterdir():
        shutil.copy(one, tmp_path)
    return tmp_path


def times(journal) -> list[int]:
    origin = round(T0.timestamp()) * SECOND
    return [round((s.time - origin) / SECOND) for s in journal.entries("line1") if s.time >= origin]


def test_values_with_their_times_and_status(folder: Path):
    """Values come at the time of their source, with their status as a flag; a bad one is bad."""

    async def life(journal):
        async with Plant(folder, free_port()) as plant, running(journal) as inbox:
            c = read(folder, plant)
            async with subscribed(c, inbox, journal):
                await until(lambda: "source_up" in events(inbox), f"the session\n{inbox.out.getvalue()}")
                await plant.show(0, 20)
                await plant.show(20, 21, ua.StatusCodes.BadSensorFailure)
                await plant.show(21, 22, ua.StatusCodes.UncertainLastUsableValue)
                await until(lambda: len(times(journal)) == 22, "all values")
            last = await plant.node.read_data_value(raise_on_bad_status=False)
            assert last.Value.Value == pytest.approx(temperature(21)), "nothing was written"

    with pt.Journal(folder / "j") as journal:
        asyncio.run(life(journal))
        assert times(journal) == list(range(22))
        flags = [s.quality for s in journal.entries("line1")][-22:]
        assert flags == [Flag.GOOD] * 20 + [Flag.BAD, Flag.SUSPECT]
        assert list(journal.entries("line1"))[-3].value == pytest.approx(temperature(19))


def test_a_gap_is_filled_from_the_history_of_the_server(folder: Path):
    """What the server recorded while the service was down is in the journal afterwards, each value once."""

    async def life(journal):
        async with Plant(folder, free_port()) as plant, running(journal) as inbox:
            c = read(folder, plant)
            async with subscribed(c, inbox, journal):
                await until(lambda: "source_up" in events(inbox), "the session")
                await plant.show(0, 5)
                await until(lambda: len(times(journal)) == 5, "the first values")
            await plant.show(5, 50)
            async with subscribed(c, inbox, journal):
                await until(lambda: len(times(journal)) == 50, "the gap")
                assert "filled" in events(inbox)

    with pt.Journal(folder / "j") as journal:
        asyncio.run(life(journal))
        assert times(journal) == list(range(50))


def test_without_a_history_the_gap_is_said(folder: Path):
    """A server that keeps no history: the gap stays, a record names it, and live values go on."""

    async def life(journal):
        async with Plant(folder, free_port(), history=False) as plant, running(journal) as inbox:
            c = read(folder, plant)
            async with subscribed(c, inbox, journal):
                await until(lambda: "source_up" in events(inbox), "the session")
                await plant.show(0, 5)
                await until(lambda: len(times(journal)) == 5, "the first values")
            await plant.show(5, 10)
            async with subscribed(c, inbox, journal):
                await until(lambda: "gap" in events(inbox), "the record of the gap")
                await plant.show(10, 12)
                await until(lambda: times(journal)[-1] == 11, "what is live")

    with pt.Journal(folder / "j") as journal:
        asyncio.run(life(journal))


def test_a_server_that_restarts(folder: Path):
    """The source reaches for the server until it is back."""
    port = free_port()

    async def life(journal):
        async with running(journal) as inbox:
            async with Plant(folder, port) as plant:
                c = read(folder, plant)
                source = subscribed(c, inbox, journal)
                await source.__aenter__()
                await until(lambda: "source_up" in events(inbox), "the session")
                await plant.show(0, 3)
                await until(lambda: len(times(journal)) == 3, "the first values")
            await until(lambda: "source_lost" in events(inbox), "the loss")
            async with Plant(folder, port) as plant:
                await until(lambda: events(inbox).count("source_up") == 2, "the next session")
                await plant.show(3, 6)
                await until(lambda: len(times(journal)) == 6, "values after it")
                await source.__aexit__(None, None, None)

    with pt.Journal(folder / "j") as journal:
        asyncio.run(life(journal))


def test_nobody_is_anonymous(folder: Path):
    """The server refuses a session without the password, and one whose certificate is not the pinned one."""

    async def life(journal):
        async with Plant(folder, free_port()) as plant, running(journal) as inbox:
            c = read(folder, plant)
            (folder / "word").write_text("wr0ng")
            async with subscribed(c, inbox, journal):
                await until(lambda: "source_lost" in events(inbox), "the refusal")
            (folder / "word").write_text("tw1n")
            c = read(folder, plant, server_certificate="client.der")
            n = events(inbox).count("source_lost")
            async with subscribed(c, inbox, journal):
                await until(lambda: events(inbox).count("source_lost") > n, "the refusal of another certificate")
            assert "source_up" not in events(inbox)
            assert "wr0ng" not in inbox.out.getvalue()

    with pt.Journal(folder / "j") as journal:
        asyncio.run(life(journal))
