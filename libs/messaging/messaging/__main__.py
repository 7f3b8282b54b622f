"""Creates every topic that is missing: `KAFKA_BOOTSTRAP_SERVERS=… python -m messaging [replicas]`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from contracts.topics import all_topics
from messaging.admin import provide_topics
from messaging.errors import BrokerUnavailable, TopicsUnfit


def create(bootstrap: str, arguments: Sequence[str]) -> None:
    """Create the topics and name them. Exits with 1 and one line when Kafka does not take them."""
    try:
        replication = int(arguments[0]) if arguments else None
    except ValueError:
        sys.exit(f"sayso: topics: {arguments[0]} is no number of replicas")
    try:
        asyncio.run(provide_topics(bootstrap, replication))
    except BrokerUnavailable as error:
        sys.exit(f"sayso: topics: KAFKA_BOOTSTRAP_SERVERS: {error}")
    except TopicsUnfit as error:
        sys.exit(f"sayso: topics: {error}")
    sys.stdout.writelines(f"{topic.name:<24} {topic.holds}\n" for topic in all_topics())


if __name__ == "__main__":
    create(os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or "127.0.0.1:9092", sys.argv[1:])
