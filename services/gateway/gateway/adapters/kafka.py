"""Kafka behind the gateway's port. Requests and projection have a broker each: joining the group may take seconds, commands need not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from chassis.background import briefly
from chassis.retry import patiently
from contracts.runs.commands import Command
from contracts.runs.outcomes import Answer
from contracts.topics import CATALOG, COMMANDS, EVENTS, OUTCOMES, PARTIALS
from gateway.ports import Readers
from messaging.consumer import (
    DeferredHandler,
    check_group,
    commit_offsets,
    create_broker,
    end_offsets,
    subscribe_broadcast,
    subscribe_group,
)
from messaging.errors import BrokerUnavailable, KafkaError
from messaging.offset_committer import OffsetCommitter
from messaging.producer import Producer
from messaging.records import Outgoing
from messaging.request_reply import RequestReply

GROUP = "gateway-views"

SETTLE_SECONDS, LEAVE_SECONDS = 1.5, 2.0
"""How long a stop waits for the commit of what was done here, and for leaving the group."""

TOPICS = (COMMANDS.name, OUTCOMES.name, EVENTS.name, EVENTS.dead, CATALOG.name, CATALOG.dead, PARTIALS.name)


class KafkaBroker:
    """The connections of one gateway."""

    def __init__(self, bootstrap: str, fetch_wait_ms: int, *, steady_path: bool) -> None:
        self._requests = create_broker(bootstrap, "gateway", [COMMANDS], steady_path=steady_path)
        self._projection = create_broker(bootstrap, "gateway", steady_path=steady_path)
        self._producer = Producer(bootstrap, "gateway", steady_path=steady_path)
        self._request_reply = RequestReply(self._requests, self._producer, fetch_wait_ms)
        self.committer = OffsetCommitter(self._commit)
        self._on_events, self._on_catalog, self._on_partial_output = (DeferredHandler() for _ in range(3))
        self._events = subscribe_group(
            self._projection,
            EVENTS,
            self._on_events,
            group=GROUP,
            fetch_wait_ms=fetch_wait_ms,
            on_revoked=self.committer.revoke,
        )
        self._catalog = subscribe_broadcast(
            self._requests, CATALOG, self._on_catalog, fetch_wait_ms=fetch_wait_ms, from_beginning=True
        )
        subscribe_broadcast(self._requests, PARTIALS, self._on_partial_output, fetch_wait_ms=fetch_wait_ms)
        self._is_connected = False

    async def send_all(self, records: Sequence[Outgoing]) -> Sequence[asyncio.Future[Any]]:
        """Hand records over in order; each future ends when its record is acknowledged."""
        return await self._producer.send_all(records)

    async def ask(self, command: Command, wait_seconds: float) -> Answer | None:
        """Send a command and return its outcome, or None when that is late. Raises BrokerUnavailable."""
        if not self._is_connected:
            raise BrokerUnavailable("not connected yet")
        return await self._request_reply.ask(command, wait_seconds)

    async def connect(self, readers: Readers) -> None:
        """Return once commands can be sent and no outcome will be missed; waits for Kafka without end. Events come after `join`."""
        self._on_events.bind(readers.events)
        self._on_catalog.bind(readers.catalog)
        self._on_partial_output.bind(readers.partial_output)
        await patiently("Kafka", self._producer.start, KafkaError)
        await patiently("Kafka", self._require_topics, KafkaError, BrokerUnavailable)
        await patiently("Kafka", self._requests.start, KafkaError)
        await self._request_reply.ready()
        self._is_connected = True

    async def join(self) -> None:
        """Begin to read `run.events` in the group of all gateways. Waits until a member that died is removed from it."""
        await patiently("Kafka", self._projection.start, KafkaError)

    async def check(self) -> None:
        """Raise unless Kafka answers, has the topics and the group of all gateways, and outcomes are read."""
        await self._require_topics()
        if not self._is_connected:
            raise ConnectionError("not connected yet")
        await end_offsets(self._catalog, CATALOG, [0])
        # A member that died delays the projection of its share, and no request.
        check_group(self._events, joined=False)

    async def settle(self) -> None:
        """Commit the offsets of what was written, if Kafka takes them in time."""
        await briefly(self.committer.settle(), SETTLE_SECONDS)

    async def stop(self) -> None:
        """Disconnect. Takes seconds, even when Kafka does not answer."""
        await asyncio.gather(*(briefly(broker.stop(), LEAVE_SECONDS) for broker in (self._projection, self._requests)))
        await self._producer.stop()

    async def _require_topics(self) -> None:
        await self._producer.require(TOPICS)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        await commit_offsets(self._events, EVENTS, offsets)
