"""Provision of a real Kafka: a given one, one by testcontainers, one by Maven and Java. The first that works is used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from apache_kafka.artifacts import Unavailable, version
from apache_kafka.broker import START_SECONDS, RealKafka, answers
from local_stack.wait import until


@dataclass(frozen=True)
class ProvisionedKafka:
    """A real Kafka. `line` says where it is and how it was provisioned."""

    bootstrap: str
    line: str


@contextlib.asynccontextmanager
async def provisioned_kafka(folder: Path) -> AsyncIterator[ProvisionedKafka]:
    """Yield the first real Kafka that can be provisioned. Raises Unavailable with the reason of every way."""
    ways: tuple[Callable[[Path], AbstractAsyncContextManager[ProvisionedKafka]], ...] = (given, by_container, by_java)
    reasons = []
    async with contextlib.AsyncExitStack() as stack:
        for way in ways:
            try:
                found = await stack.enter_async_context(way(folder))
            except Unavailable as reason:
                reasons.append(str(reason))
                continue
            yield found
            return
    raise Unavailable("; ".join(reasons))


@contextlib.asynccontextmanager
async def given(_: Path) -> AsyncIterator[ProvisionedKafka]:
    """Use the Kafka at KAFKA_BOOTSTRAP_SERVERS. Raises TimeoutError, and no Unavailable, when it is set and does not answer."""
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if not bootstrap:
        raise Unavailable("KAFKA_BOOTSTRAP_SERVERS is not set")
    await until(lambda: answers(bootstrap), START_SECONDS, f"Kafka answers at {bootstrap}")
    yield ProvisionedKafka(bootstrap, f"real Kafka: given at {bootstrap}")


@contextlib.asynccontextmanager
async def by_container(_: Path) -> AsyncIterator[ProvisionedKafka]:
    """Run Apache Kafka in a container."""
    from testkit.kafka.container import kafka_container  # noqa: PLC0415 - Docker's client is slow to import

    with kafka_container() as bootstrap:
        await until(lambda: answers(bootstrap), START_SECONDS, "Apache Kafka answers in its container")
        yield ProvisionedKafka(bootstrap, f"real Kafka: Apache Kafka by testcontainers at {bootstrap}")


@contextlib.asynccontextmanager
async def by_java(folder: Path) -> AsyncIterator[ProvisionedKafka]:
    """Run Apache Kafka by Java from Maven's artifacts."""
    kafka = RealKafka(folder)
    await kafka.start()
    try:
        yield ProvisionedKafka(
            kafka.bootstrap, f"real Kafka: Apache Kafka {version()} by Maven and Java at {kafka.bootstrap}"
        )
    finally:
        await kafka.stop()
