"""What the service is told: one TOML file, read once, checked before anything is started."""

import dataclasses
import ipaddress
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physics_twin.errors import DataError, PhysicsTwinError, unknown_name
from physics_twin.twin.moments import moment
from physics_twin.units import to_si, unit
from twin_service.references import Reference


@dataclass(frozen=True)
class TagConfig:
    """Where one channel or live input of an asset comes from.

    unit: of the numbers that arrive; the twin's own without it. opcua: a node, "ns=2;s=TI101". mqtt: a topic. column:
    in historian files; the channel's name without it.
    """

    channel: str
    unit: str = ""
    opcua: str = ""
    mqtt: str = ""
    column: str = ""


@dataclass(frozen=True)
class AssetConfig:
    """One twin.

    model: "module:function" that makes the model. start: "module:function" (asset, at) -> Twin, called once in the life
    of the asset. begin: when the twin takes over; without it at its first sample. live: whether the present is the wall
    clock; False for records, whose present is their newest sample. envelope: a file to show the present point in.
    historian: files to be filled in, as "history/line3_*.csv".
    """

    name: str
    model: str
    start: str
    begin: str = ""
    live: bool = True
    envelope: str = ""
    historian: str = ""
    tag: tuple[TagConfig, ...] = ()


@dataclass(frozen=True)
class WorkersConfig:
    """Processes that run models. hung_after: without a sign of life for so long one is killed. backoff: wait before the
    first restart, doubled each time. crashes: in a row at one asset, then it is put in quarantine.
    """

    n: int = 1
    hung_after: str = "2 min"
    backoff: str = "0.5 s"
    crashes: int = 3
    budget: str = "1 s"


@dataclass(frozen=True)
class WebConfig:
    """The page. token: needed where anybody else than this host can reach it, and so is a certificate."""

    host: str = "127.0.0.1"
    port: int = 8321
    token: Reference | None = None
    certificate: str = ""
    key: str = ""
    insecure: bool = False


@dataclass(frozen=True)
class OpcuaConfig:
    """An OPC UA server. server_certificate: of the server, pinned. insecure: anonymous and in clear, for a test rig."""

    endpoint: str
    certificate: str = ""
    key: str = ""
    server_certificate: str = ""
    application: str = "urn:physics_twin:service"
    user: str = ""
    password: Reference | None = None
    interval: str = "1 s"
    insecure: bool = False


@dataclass(frozen=True)
class MqttConfig:
    """An MQTT broker. client: names the session, in which the broker keeps what comes while the service is down."""

    host: str
    client: str
    port: int = 8883
    tls: bool = True
    authority: str = ""
    certificate: str = ""
    key: str = ""
    user: str = ""
    password: Reference | None = None
    insecure: bool = False


@dataclass(frozen=True)
class Configuration:
    """The whole file.

    journal: a path, or "postgresql://...". states: folder for the files of twins. save_every: between two saved states.
    generations: files kept of each twin. tolerance: how far stamps may lie in the future. retention: how long entries
    stay in the journal. waiting: samples that may wait for the journal; then sources are made to wait.
    """

    journal: str
    states: str
    asset: tuple[AssetConfig, ...]
    save_every: str = "1 min"
    report_every: str = "1 s"
    generations: int = 3
    tolerance: str = "2 s"
    retention: str = "90 d"
    waiting: int = 20_000
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    web: WebConfig = field(default_factory=WebConfig)
    opcua: OpcuaConfig | None = None
    mqtt: MqttConfig | None = None
    folder: Path = Path()

    def path(self, name: str) -> Path:
        """A path of the file, relative to its folder."""
        return self.folder / name

    @property
    def journal_target(self) -> str:
        """As `Journal` takes it."""
        return self.journal if "://" in self.journal else str(self.path(self.journal))

    def seconds(self, text: str) -> float:
        """A duration of the file in s."""
        return to_si(text, unit("s"), name="duration")


def read(path: Path) -> Configuration:
    """Read and check a configuration. Raises DataError that names the table, the key and what is expected."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is no TOML: {error}") from error
    found: Configuration = _made(Configuration, given, path.name)
    found = dataclasses.replace(found, folder=path.resolve().parent)
    _check(found)
    return found


def _made(kind: type[Any], given: Any, where: str) -> Any:
    if not isinstance(given, dict):
        raise DataError(f"{where} is a table: write [{where}]")
    fields = {one.name: one for one in dataclasses.fields(kind) if one.name != "folder"}
    for key in given:
        if key not in fields:
            raise DataError(f"{where}: {unknown_name('key', key, list(fields))}")
    hints = typing.get_type_hints(kind)
    values = {}
    for name, one in fields.items():
        if name in given:
            values[name] = _value(hints[name], given[name], f"{where}: {name}")
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise DataError(f'{where}: "{name}" is missing')
    return kind(**values)


def _value(hint: Any, given: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):  # X | None
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if typing.get_origin(hint) is tuple:
        own = typing.get_args(hint)[0]
        if not isinstance(given, list):
            raise DataError(f"{where} is a list: write [[...]]")
        return tuple(_made(own, one, f"{where}[{k + 1}]") for k, one in enumerate(given))
    if hint is Reference:
        if not isinstance(given, str):
            raise DataError(f'{where} is a reference: write "env:NAME" or "file:/path"')
        try:
            return Reference(given)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
    if dataclasses.is_dataclass(hint):
        return _made(typing.cast("type[Any]", hint), given, where)
    if type(given) is not hint:
        raise DataError(f"{where} = {given!r}; expected {hint.__name__}")
    return given


def loopback(host: str) -> bool:
    """Whether only this host can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check(c: Configuration) -> None:
    _check_numbers(c)
    names = [asset.name for asset in c.asset]
    if not names or len(set(names)) < len(names):
        raise DataError("every asset has a name of its own, and there is one at least: write [[asset]] name = ...")
    for asset in c.asset:
        where = f"asset {asset.name}"
        if not asset.name or set(asset.name) & set("/\\.%?#"):
            raise DataError(f'asset "{asset.name}": the name becomes a file and an address: letters, digits, - and _')
        for key in ("model", "start"):
            if getattr(asset, key).count(":") != 1:
                raise DataError(f'{where}: {key} = "{getattr(asset, key)}"; write "module:function"')
        if asset.begin:
            try:
                moment(asset.begin)
            except DataError as error:
                raise DataError(f"{where}: begin: {error}") from error
        for tag in asset.tag:
            if tag.opcua and c.opcua is None:
                raise DataError(f"{where}: {tag.channel} comes from OPC UA; there is no [opcua]")
            if tag.mqtt and c.mqtt is None:
                raise DataError(f"{where}: {tag.channel} comes from MQTT; there is no [mqtt]")
    _check_security(c)


def _check_numbers(c: Configuration) -> None:
    durations = {key: getattr(c, key) for key in ("save_every", "report_every", "tolerance", "retention")}
    durations |= {f"workers.{key}": getattr(c.workers, key) for key in ("hung_after", "backoff", "budget")}
    for key, text in durations.items():
        try:
            if not c.seconds(text) > 0.0:
                raise DataError(f"{text} is not positive")
        except PhysicsTwinError as error:
            raise DataError(f'{key}: {error}; write it as "30 s"') from error
    for key, n in {
        "workers.n": c.workers.n,
        "generations": c.generations,
        "workers.crashes": c.workers.crashes,
    }.items():
        if n < 1:
            raise DataError(f"{key} = {n}; at least 1")


def _check_security(c: Configuration) -> None:
    web, ua, mqtt = c.web, c.opcua, c.mqtt
    if not loopback(web.host) and web.token is None:
        raise DataError(f'web: host = "{web.host}" can be reached by others: give a token = "env:NAME", or 127.0.0.1')
    if not loopback(web.host) and not (web.certificate and web.key) and not web.insecure:
        raise DataError(
            "web: the token would cross the network in clear: give certificate and key, or say insecure = true where "
            "something else encrypts"
        )
    if ua is not None and not ua.insecure:
        for key in ("certificate", "key", "server_certificate", "user", "password"):
            if not getattr(ua, key):
                raise DataError(
                    f'opcua: "{key}" is missing: messages are signed and encrypted (Basic256Sha256), and nobody is '
                    "anonymous; insecure = true is for a test rig"
                )
    if mqtt is not None and not mqtt.insecure:
        if not mqtt.tls and not loopback(mqtt.host):
            raise DataError(f'mqtt: tls = false to "{mqtt.host}": passwords would cross the network in clear')
        if not mqtt.user or mqtt.password is None:
            raise DataError('mqtt: "user" and "password" are missing: nobody is anonymous')
