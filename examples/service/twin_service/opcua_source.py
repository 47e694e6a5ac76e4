"""Samples from an OPC UA server: a subscription, and its history for what was missed. Nodes are read, never written."""

import asyncio
import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.uaerrors import UaError

from physics_twin.errors import DataError
from physics_twin.measurements import QualityScheme
from physics_twin.twin.journal import Journal
from physics_twin.twin.moments import moment, stamp, utc
from physics_twin.twin.timeline import Sample
from twin_service.configuration import Configuration, OpcuaConfig, TagConfig
from twin_service.inbox import Inbox
from twin_service.logs import Event, Log
from twin_service.quality import flag_of

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""s between two attempts to reach the server."""
ALIVE_EVERY = 1.0
TIMEOUT = 5.0
QUEUE = 1_000
"""Values of one node that the server keeps for one notification."""
HISTORY = 2_000
"""Values of one request to the server's history."""

type Value = tuple[str, TagConfig, Any]
"""Asset, tag, DataValue."""
type Readers = dict[Node, list[tuple[str, TagConfig]]]


class OpcuaSource:
    """All nodes of all assets, by one session."""

    def __init__(self, configuration: Configuration, inbox: Inbox, log: Log, journal: Journal) -> None:
        if configuration.opcua is None:
            raise DataError("there is no [opcua]")
        self._ua: OpcuaConfig = configuration.opcua
        self._path = configuration.path
        self._interval = 1000.0 * configuration.seconds(configuration.opcua.interval)
        self._inbox, self._log = inbox, log
        self._tags = [(asset.name, tag) for asset in configuration.asset for tag in asset.tag if tag.opcua]
        self._last: dict[tuple[str, str], int] = {}
        for name in {asset for asset, _ in self._tags}:
            known = journal.positions(name)
            self._last |= {(name, tag.opcua): known[_source(tag)] for _, tag in self._tags if _source(tag) in known}

    async def run(self) -> None:
        """Listen; reach for the server again when it goes."""
        wait = FIRST_WAIT
        while True:
            try:
                async with await self._client() as client:
                    wait = FIRST_WAIT
                    await self._listen(client)
            except (OSError, TimeoutError, UaError) as error:
                self._log(Event.SOURCE_LOST, f"OPC UA {self._ua.endpoint}: {type(error).__name__}: {error}")
            await asyncio.sleep(wait)
            wait = min(2.0 * wait, LONGEST_WAIT)

    async def _client(self) -> Client:
        own = self._ua
        client = Client(own.endpoint, timeout=TIMEOUT)
        client.application_uri = own.application
        client.name = client.description = "physics_twin service"
        if own.certificate:
            # The certificate of the server is pinned: another one cannot open the channel.
            await client.set_security(
                SecurityPolicyBasic256Sha256,
                certificate=self._certificate(own.certificate),
                private_key=self._certificate(own.key),
                server_certificate=self._certificate(own.server_certificate),
                mode=ua.MessageSecurityMode.SignAndEncrypt,
            )
        if own.user:
            client.set_user(own.user)
            client.set_password("" if own.password is None else own.password.read())
        return client

    def _certificate(self, name: str) -> CertProperties:
        """A certificate or key, PEM or DER by its content, whatever its name ends with."""
        path = self._path(name)
        return CertProperties(path, extension="pem" if path.read_bytes().startswith(b"-----BEGIN") else "der")

    async def _listen(self, client: Client) -> None:
        received: asyncio.Queue[Value] = asyncio.Queue()
        by_node: Readers = {}
        for asset, tag in self._tags:
            by_node.setdefault(client.get_node(tag.opcua), []).append((asset, tag))
        subscription = await client.create_subscription(self._interval, _Handler(by_node, received))
        nodes = list(by_node)
        answers: Sequence[Any] = await subscription.subscribe_data_change(
            nodes, queuesize=QUEUE, sampling_interval=ua.Double(0.5 * self._interval)
        )
        for node, answer in zip(nodes, answers, strict=True):
            for asset, tag in by_node[node] if isinstance(answer, ua.StatusCode) else ():
                self._inbox.refuse(asset, f"{tag.channel}: node {tag.opcua}: {answer}")
        self._log(Event.SOURCE_UP, f"OPC UA {self._ua.endpoint}, {len(nodes)} nodes")
        taking = asyncio.create_task(self._take(received))
        try:
            # Live values come in meanwhile: the server's history reaches into them, and what comes twice is one.
            await self._fill(by_node)
            while not taking.done():
                await client.check_connection()
                await asyncio.wait([taking], timeout=ALIVE_EVERY)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _fill(self, by_node: "Readers") -> None:
        """What came between the last value in the journal and now, from the history of the server."""
        for node, asset, tag in [(node, *reader) for node, readers in by_node.items() for reader in readers]:
            last = self._last.get((asset, tag.opcua))
            if last is None:
                continue
            try:
                n = await self._fill_node(node, asset, tag, last)
            except UaError as error:
                words = f"{tag.channel} after {stamp(last)}: the server has no history of it ({type(error).__name__})"
                self._log(Event.GAP, words, asset=asset)
                continue
            if n:
                self._log(Event.FILLED, f"{n} values of {tag.channel} since {stamp(last)}", asset=asset)
            else:  # not even the value that is known
                self._log(Event.GAP, f"{tag.channel} after {stamp(last)}: the server has no history", asset=asset)

    async def _fill_node(self, node: Node, asset: str, tag: TagConfig, since: int) -> int:
        n = 0
        end = dt.datetime.now(dt.UTC)
        while True:
            found = await node.read_raw_history(utc(since), end, numvalues=HISTORY, return_bounds=False)
            values = [(asset, tag, value) for value in found]
            await self._deliver(values, live=False)
            n += len(values)
            newest = max((_time(value) for value in found), default=since)
            if len(found) < HISTORY or newest <= since:
                return n
            since = newest

    async def _take(self, received: "asyncio.Queue[Value]") -> None:
        while True:
            values = [await received.get()]
            while not received.empty():
                values.append(received.get_nowait())
            await self._deliver(values)

    async def _deliver(self, values: Sequence[Value], *, live: bool = True) -> None:
        by_asset: dict[str, list[Sample]] = {}
        positions: dict[str, dict[str, str | int | float]] = {}
        for asset, tag, value in values:
            try:
                sample = sample_of(value, tag)
            except DataError as error:
                self._inbox.refuse(asset, f"{tag.channel}: {error}")
                continue
            by_asset.setdefault(asset, []).append(sample)
            last = max(self._last.get((asset, tag.opcua), 0), sample.time)
            if last <= self._inbox.now():
                self._last[asset, tag.opcua] = last
                positions.setdefault(asset, {})[_source(tag)] = last
        await asyncio.gather(
            *(self._inbox.deliver(asset, found, positions.get(asset), live=live) for asset, found in by_asset.items())
        )


class _Handler:
    """What asyncua calls for each change."""

    def __init__(self, by_node: "Readers", received: "asyncio.Queue[Value]") -> None:
        self._by_node, self._received = by_node, received

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        """Keep it with its status and the time of its source."""
        for asset, tag in self._by_node[node]:
            self._received.put_nowait((asset, tag, data.monitored_item.Value))

    def status_change_notification(self, status: Any) -> None:
        """The subscription has ended; the session notices by itself, and begins anew."""


def sample_of(value: Any, tag: TagConfig) -> Sample:
    """The sample of a DataValue; its status code as OPC UA has it. Raises DataError for what is no number."""
    code = 0 if value.StatusCode is None else int(value.StatusCode.value)
    number = None if value.Value is None else value.Value.Value
    if number is None:
        number = math.nan
    if not isinstance(number, int | float):
        raise DataError(f"the value {number!r} is no number")
    quality = flag_of(code, QualityScheme.OPC_UA)
    if math.isinf(number):
        raise DataError(f"the value {number} is no reading")
    return Sample(tag.channel, _time(value), float(number), tag.unit, quality=quality)


def _time(value: Any) -> int:
    """ns UTC of the source, or of the server where the source says none."""
    when = value.SourceTimestamp or value.ServerTimestamp
    if when is None:
        raise DataError("the value has no time")
    return moment(when if when.tzinfo else when.replace(tzinfo=dt.UTC))


def _source(tag: TagConfig) -> str:
    return f"opcua:{tag.opcua}"
