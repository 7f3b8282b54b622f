"""Administration: topics are created, and the log is named."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from contracts.topics import MAX_RECORD_BYTES, Topic, all_topics
from messaging.producer import Producer

QUORUM_REPLICAS = 3
"""Replicas from which on two must have each record: one of three may be unavailable."""


async def ensure_topics(bootstrap: str, *, replication: int = 1, topics: Iterable[Topic] = ()) -> None:
    """Create every topic that is missing and leave the others as they are.

    The embedded broker cannot be asked to create topics; there a topic appears when it is first named.
    """
    wanted = tuple(topics) or all_topics()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        if await _is_embedded(admin):
            return await _create_by_name(bootstrap, wanted)
        answer = await admin.create_topics([_new(topic, replication) for topic in wanted])
        for name, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"topic {name}")
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
