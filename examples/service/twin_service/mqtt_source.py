"""Samples from an MQTT broker, acknowledged when the journal has them.

The session is persistent: what is published while the service is down, or while the journal cannot be written, waits at
the broker. What comes twice (a redelivery, a retained message after each subscription) is the same sample.
"""

import asyncio
import json
import ssl
from collections.abc import Sequence

import aiomqtt

from physics_twin.errors import DataError
from physics_twin.measurements import QualityScheme
from physics_twin.twin.timeline import Sample
from twin_service.configuration import Configuration, MqttConfig, TagConfig
from twin_service.inbox import Inbox, NotKeptError
from twin_service.logs import Event, Log
from twin_service.quality import flag_of

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""s between two attempts to reach the broker."""
AT_LEAST_ONCE = 1


class MqttSource:
    """All topics of all assets, by one session."""

    def __init__(self, configuration: Configuration, inbox: Inbox, log: Log) -> None:
        if configuration.mqtt is None:
            raise DataError("there is no [mqtt]")
        self._mqtt: MqttConfig = configuration.mqtt
        self._path = configuration.path
        self._inbox, self._log = inbox, log
        self._tags: dict[str, list[tuple[str, TagConfig]]] = {}
        for asset in configuration.asset:
            for tag in asset.tag:
                if tag.mqtt:
                    self._tags.setdefault(tag.mqtt, []).append((asset.name, tag))

    async def run(self) -> None:
        """Listen; reach for the broker again when it goes."""
        wait = FIRST_WAIT
        while True:
            try:
                async with self._client() as client:
                    wait = FIRST_WAIT
                    await self._listen(client)
            except aiomqtt.MqttError as error:
                self._log(Event.SOURCE_LOST, f"MQTT {self._mqtt.host}:{self._mqtt.port}: {error}")
            await asyncio.sleep(wait)
            wait = min(2.0 * wait, LONGEST_WAIT)

    def _client(self) -> aiomqtt.Client:
        own = self._mqtt
        context = None
        if own.tls:
            context = ssl.create_default_context(cafile=str(self._path(own.authority)) if own.authority else None)
            if own.certificate:
                context.load_cert_chain(self._path(own.certificate), self._path(own.key))
        client = aiomqtt.Client(
            own.host,
            own.port,
            username=own.user or None,
            password=None if own.password is None else own.password.read(),
            identifier=own.client,
            clean_session=False,
            tls_context=context,
            keepalive=20,
        )
        # aiomqtt has no words for it: its paho client is not to acknowledge what is merely received.
        client._client.manual_ack_set(True)
        return client

    async def _listen(self, client: aiomqtt.Client) -> None:
        # What was received over a connection that broke is sent again by the broker: the queue goes with it.
        received: asyncio.Queue[aiomqtt.Message] = asyncio.Queue()
        taking = asyncio.create_task(self._take(client, received))
        try:
            for topic in self._tags:
                await client.subscribe(topic, qos=AT_LEAST_ONCE)
            self._log(Event.SOURCE_UP, f"MQTT {self._mqtt.host}:{self._mqtt.port}, {len(self._tags)} topics")
            async for message in client.messages:
                received.put_nowait(message)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take(self, client: aiomqtt.Client, received: "asyncio.Queue[aiomqtt.Message]") -> None:
        """Messages into the journal, as many at once as have come; then acknowledge them, in their order."""
        while True:
            messages = [await received.get()]
            while not received.empty():
                messages.append(received.get_nowait())
            try:
                await self._deliver(messages)
            except NotKeptError:
                return
            for message in messages:
                client._client.ack(message.mid, message.qos)

    async def _deliver(self, messages: Sequence[aiomqtt.Message]) -> None:
        samples: dict[str, list[Sample]] = {}
        for message in messages:
            topic = str(message.topic)
            for asset, tag in self._tags.get(topic, ()):
                try:
                    samples.setdefault(asset, []).append(sample_of(message.payload, tag))
                except DataError as error:
                    self._inbox.refuse(asset, f"{topic}: {error}")
        await asyncio.gather(*(self._inbox.deliver(asset, found) for asset, found in samples.items()))


def sample_of(payload: object, tag: TagConfig) -> Sample:
    """The sample of a message: {"value": 20.5, "time": "2026-11-20T06:00:00Z", "quality": "good", "unit": "degC"}.

    quality and unit may be left out. The moment may not: that of arrival would make another sample of each redelivery.
    Raises DataError.
    """
    try:
        given = json.loads(payload if isinstance(payload, str | bytes | bytearray) else b"")
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"no JSON: {error}") from None
    if not isinstance(given, dict) or "value" not in given or not isinstance(given.get("time"), str):
        raise DataError('expected {"value": 20.5, "time": "2026-11-20T06:00:00Z"}')
    value = given["value"]
    if value is None:
        value = float("nan")
    if not isinstance(value, int | float):
        raise DataError(f"the value {value!r} is no number")
    return Sample(
        tag.channel,
        given["time"],
        float(value),
        str(given.get("unit", "")) or tag.unit,
        quality=flag_of(str(given.get("quality", "good")), QualityScheme.WORDS),
    )
