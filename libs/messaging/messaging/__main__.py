"""Creates every topic that is missing: `KAFKA_BOOTSTRAP_SERVERS=… python -m messaging [replicas]`."""

from __future__ import annotations

import asyncio
import os
import sys

from aiokafka.errors import KafkaError

from contracts.topics import all_topics
from messaging.admin import ensure_topics
from messaging.errors import TopicsUnfit


def main(arguments: list[str]) -> None:
    """Create the topics and name them; exit with one line when Kafka does not take them."""
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    try:
        asyncio.run(ensure_topics(bootstrap, replication=int(arguments[0]) if arguments else 1))
    except (KafkaError, TopicsUnfit, OSError, ValueError) as error:
        sys.exit(f"sayso: topics on {bootstrap}: {error}")
    sys.stdout.writelines(f"{topic.name:<24} {topic.holds}\n" for topic in all_topics())


if __name__ == "__main__":
    main(sys.argv[1:])
