"""Kafka for the services: consuming through FastStream, producing in batches, asking and being answered, topics and dead letters.

The only package that names FastStream or aiokafka.
"""

from aiokafka.errors import KafkaError

from contracts.kafka.admin import ensure_topics, log_identity
from contracts.kafka.asking import Desk, Unavailable
from contracts.kafka.confirming import Confirming, Handed
from contracts.kafka.consuming import (
    RawRecord,
    Stretch,
    commit_offsets,
    create_broker,
    end_offsets,
    guarded,
    skip_to_last,
    subscribe_group,
    subscribe_partitions,
)
from contracts.kafka.lanes import Outgoing
from contracts.kafka.producing import Producer, RecordTooLarge, dead_letter

__all__ = [
    "Confirming",
    "Desk",
    "Handed",
    "KafkaError",
    "Outgoing",
    "Producer",
    "RawRecord",
    "RecordTooLarge",
    "Stretch",
    "Unavailable",
    "commit_offsets",
    "create_broker",
    "dead_letter",
    "end_offsets",
    "ensure_topics",
    "guarded",
    "log_identity",
    "skip_to_last",
    "subscribe_group",
    "subscribe_partitions",
]
