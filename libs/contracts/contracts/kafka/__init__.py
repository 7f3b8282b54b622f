"""Kafka for the services: consuming through FastStream, producing in batches, asking and being answered, topics and dead letters.

The only package that names FastStream or aiokafka.
"""

from contracts.kafka.admin import ensure_topics, log_identity
from contracts.kafka.asking import Desk, Unavailable
from contracts.kafka.consuming import RawRecord, create_broker, subscribe_group, subscribe_partitions
from contracts.kafka.producing import Outgoing, Producer, dead_letter

__all__ = [
    "Desk",
    "Outgoing",
    "Producer",
    "RawRecord",
    "Unavailable",
    "create_broker",
    "dead_letter",
    "ensure_topics",
    "log_identity",
    "subscribe_group",
    "subscribe_partitions",
]
