"""Administration: topics are created and get their settings, and the log is named.

A setting that a topic has from its broker alone becomes what it is where we create the topic. One that an operator gave it stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code

from contracts.topics import MAX_RECORD_BYTES, SLOT_MAPS, Topic, all_topics
from messaging.errors import BrokerUnavailable, KafkaError, TopicsUnfit
from messaging.producer import Producer

_log = logging.getLogger(__name__)

_GIVEN_TO_TOPIC = 1
"""The source of a setting that stands on the topic itself, in Kafka's protocol; others come from the broker or its defaults."""

QUORUM_REPLICAS = 3
"""Replicas from which on two must have each record: one of three may be unavailable."""


ANSWER_SECONDS = 15.0


async def provide_topics(bootstrap: str, replication: int | None = None) -> None:
    """Ensure the topics of the contracts, see `ensure_topics`. Raises TopicsUnfit, or BrokerUnavailable in ANSWER_SECONDS at most, with one line."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the error that is raised says it
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await ensure_topics(bootstrap, replication=replication)
    except TimeoutError:
        raise BrokerUnavailable(f"no Kafka answers at {bootstrap} within {ANSWER_SECONDS:g} s") from None
    except KafkaConnectionError:
        raise BrokerUnavailable(f"no Kafka answers at {bootstrap}") from None
    except KafkaError as error:
        raise BrokerUnavailable(f"the Kafka at {bootstrap} does not make the topics: {error}") from None


async def ensure_topics(bootstrap: str, *, replication: int | None = 1, topics: Iterable[Topic] = ()) -> None:
    """Create every topic that is missing, and give those that a broker created by itself our settings. Raises TopicsUnfit.

    Without `replication` the cluster's size decides how many copies a record has.

    The embedded broker cannot be asked to create topics; there a topic appears when it is first named.
    """
    wanted = tuple(topics) or all_topics()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        if await _is_embedded(admin):
            return await _create_by_name(bootstrap, wanted)
        replicas = replication or await _fitting_replicas(admin)
        answer = await admin.create_topics([_new(topic, replicas) for topic in wanted])
        standing = []
        for name, code, *said in answer.topic_errors:
            if for_code(code) is TopicAlreadyExistsError:
                standing.append(name)
            elif code:
                raise for_code(code)(f"topic {name}: {said[0] if said else ''}")
        await _fit(admin, [topic for topic in wanted if topic.name in standing])
    finally:
        await admin.close()


async def fit_topics(bootstrap: str, topics: Iterable[Topic]) -> None:
    """Give topics that a broker created by itself our settings, those of the maps of slots too. Raises TopicsUnfit, KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        if not await _is_embedded(admin):
            await _fit(admin, {SLOT_MAPS, *topics})
    finally:
        await admin.close()


async def log_identity(bootstrap: str) -> str:
    """Return the cluster's id: positions in the ledger belong to one log."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()


async def _fit(admin: AIOKafkaAdminClient, topics: Iterable[Topic]) -> None:
    by_name = {topic.name: topic for topic in topics}
    if not by_name:
        return
    changes: dict[str, _Change] = {}
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in by_name]):
        for code, _, _, name, entries in answer.resources:
            if code or not answer.API_VERSION:
                _log.warning("the settings of topic %s are unknown: %s", name, for_code(code).__name__)
            elif (change := _change(by_name[name], entries)).inherited:
                changes[name] = change
    if not changes:
        return
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, change.after) for name, change in changes.items()]
    for answer in await admin.alter_configs(asked):
        for code, said, _, name in answer.resources:
            change = changes[name]
            if code:
                _refuse_unfit(name, change.before)
                _log.warning("topic %s keeps its broker's settings: %s", name, said or for_code(code).__name__)
            else:
                _log.info("topic %s had its broker's settings; it has ours now: %s", name, change.inherited)


class _Change(NamedTuple):
    """A topic's settings as they are, and those that stand on the topic afterwards: its own, and ours for what it inherits."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    inherited: Mapping[str, str]


def _change(topic: Topic, entries: Iterable[tuple[Any, ...]]) -> _Change:
    before = {key: str(value) for key, value, *_ in entries}
    given = {key: str(value) for key, value, _, source, *_ in entries if source == _GIVEN_TO_TOPIC}
    wanted = _new(topic, 1).topic_configs
    inherited = {key: value for key, value in wanted.items() if key not in given and before[key] != value}
    _refuse_unfit(topic.name, given)
    return _Change(before, given | inherited, inherited)


def _refuse_unfit(name: str, settings: Mapping[str, str]) -> None:
    largest = int(settings.get("max.message.bytes", MAX_RECORD_BYTES))
    if largest < MAX_RECORD_BYTES:
        raise TopicsUnfit(
            f"topic {name} takes records of {largest} bytes at most: set its max.message.bytes to {MAX_RECORD_BYTES}"
        )
    if name == SLOT_MAPS.name and "compact" not in settings.get("cleanup.policy", "compact"):
        raise TopicsUnfit(f"topic {name} loses its records by age: set its cleanup.policy to compact")


def _new(topic: Topic, replication: int) -> NewTopic:
    configs = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    if topic.retention_ms is None:
        configs["cleanup.policy"] = "compact"
    else:
        configs["retention.ms"] = str(topic.retention_ms)
    if replication >= QUORUM_REPLICAS:
        # Acknowledged by one machine alone, a record would be lost with its power.
        configs["min.insync.replicas"] = "2"
    return NewTopic(topic.name, topic.partitions, replication, topic_configs=configs)


async def _fitting_replicas(admin: AIOKafkaAdminClient) -> int:
    brokers = len((await admin.describe_cluster())["brokers"])
    return QUORUM_REPLICAS if brokers >= QUORUM_REPLICAS else 1


async def _is_embedded(admin: AIOKafkaAdminClient) -> bool:
    return str((await admin.describe_cluster())["cluster_id"]).startswith("mockCluster")


async def _create_by_name(bootstrap: str, topics: Iterable[Topic]) -> None:
    producer = Producer(bootstrap, "topics")
    await producer.start()
    try:
        for topic in topics:
            await producer.partitions(topic.name)
    finally:
        await producer.stop()
