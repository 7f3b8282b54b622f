"""The log on Kafka: two subscriptions outside any group, and commands that are answered. Commits no offset."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.background import briefly
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.runs.commands import Asked
from contracts.runs.outcomes import Answer
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, PARTIALS
from messaging.admin import log_identity
from messaging.consumer import DeferredHandler, create_broker, end_offsets, seek_to_last, subscribe_broadcast
from messaging.errors import BrokerUnavailable as CommandNotTaken
from messaging.errors import KafkaError
from messaging.producer import Producer
from messaging.request_reply import RequestReply
from notifier.errors import BrokerUnavailable
from notifier.ports import OnRecords

TOPICS = (COMMANDS.name, OUTCOMES.name, EVENTS.name, PARTIALS.name)

LAST_RECORDS = 20_000
"""Records that a new instance reads again, of all partitions together, so that it can serve the cursors of other instances."""

CLOSE_SECONDS = 2.0


class KafkaLog:
    """The log on the Kafka that the settings name. Nothing connects before `connect`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        bootstrap, steady = settings.kafka_bootstrap_servers, settings.kafka_steady_path
        self._broker = create_broker(bootstrap, "notifier", [COMMANDS], steady_path=steady)
        self._producer = Producer(bootstrap, "notifier", steady_path=steady)
        wait = settings.fetch_wait_ms
        self._on_events, self._on_partial_output = DeferredHandler(), DeferredHandler()
        self._requests = RequestReply(self._broker, self._producer, wait)
        self._events = subscribe_broadcast(
            self._broker, EVENTS, self._on_events, fetch_wait_ms=wait, from_beginning=True
        )
        subscribe_broadcast(self._broker, PARTIALS, self._on_partial_output, fetch_wait_ms=wait)

    async def connect(self) -> str:
        """Connect, as often as it takes; return the identity of the log."""
        await patiently("Kafka", self._producer.start, KafkaError)
        await patiently("Kafka", self._require_topics, KafkaError, CommandNotTaken)
        if self._settings.log_id is not None:
            return self._settings.log_id
        return await patiently("Kafka", lambda: log_identity(self._settings.kafka_bootstrap_servers), KafkaError)

    async def read(self, on_events: OnRecords, on_partial_output: OnRecords) -> Mapping[int, range]:
        """Begin to hand over records; return the offsets of `run.events` to be read before clients are served, by partition."""
        self._on_events.bind(on_events)
        self._on_partial_output.bind(on_partial_output)
        await patiently("Kafka", self._broker.start, KafkaError)
        await self._requests.ready()
        last = await patiently("Kafka", lambda: seek_to_last(self._events, LAST_RECORDS), KafkaError)
        return {partition: range(offsets.begin, offsets.end) for partition, offsets in last.items()}

    async def ask(self, command: Asked) -> Answer | None:
        """Send a command and return its outcome, or None when that is late. Raises BrokerUnavailable."""
        try:
            return await self._requests.ask(command, self._settings.outcome_wait_seconds)
        except CommandNotTaken as error:
            raise BrokerUnavailable(str(error)) from error

    async def check(self) -> None:
        """Return if the log has its topics and can be read."""
        await self._require_topics()
        if self._events.consumer is None:
            raise BrokerUnavailable("starting")
        await end_offsets(self._events, EVENTS, [0])

    async def _require_topics(self) -> None:
        await self._producer.require(TOPICS)

    async def close(self) -> None:
        """Disconnect. Takes seconds, even when Kafka does not answer."""
        await briefly(self._broker.stop(), CLOSE_SECONDS)
        await self._producer.stop()
