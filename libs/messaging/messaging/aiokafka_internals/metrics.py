"""How often the steady path is left."""

from __future__ import annotations

from prometheus_client import Counter

LEFT_TO_LIBRARY = Counter(
    "sayso_kafka_left_to_library",
    "Requests that were left to the routine of the Kafka client library, by what was unusual",
    ["request", "reason"],
)
