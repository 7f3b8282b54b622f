"""How many partitions the tests' topics have, and more of them for a topic that is in use.

`TEST_KAFKA_PARTITIONS` sets the number for every real Kafka of the tests. The suites run with 3 and with 6: nothing may rest on a number.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from contracts.topics import RUN_TOPICS, Topic, all_topics

VARIABLE = "TEST_KAFKA_PARTITIONS"

UNEVEN = dict(zip((topic.name for topic in RUN_TOPICS), (5, 7, 2, 1, 6, 3, 9), strict=True))
"""A number of its own for each topic."""


def provisioned_topics(otherwise: Mapping[str, int] | None = None) -> tuple[Topic, ...]:
    """Return every topic, with as many partitions as the setting says; without it, as `otherwise` says or as they are by default."""
    wanted = os.environ.get(VARIABLE)
    return topics_with(dict.fromkeys(UNEVEN, int(wanted)) if wanted else otherwise or {})


def topics_with(partitions: Mapping[str, int]) -> tuple[Topic, ...]:
    """Return every topic, some with other numbers of partitions, by name."""
    return tuple(replace(topic, partitions=partitions.get(topic.name, topic.partitions)) for topic in all_topics())


async def add_partitions(bootstrap: str, totals: Mapping[str, int]) -> None:
    """Give topics more partitions, up to these totals."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_partitions({topic: NewPartitions(total) for topic, total in totals.items()})
        refused = [error for error in answer.topic_errors if error[1]]
        assert not refused, refused
    finally:
        await admin.close()


async def partitions_of(bootstrap: str, topics: Iterable[str]) -> dict[str, int]:
    """Return how many partitions topics have."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in topics}
    finally:
        await consumer.stop()
