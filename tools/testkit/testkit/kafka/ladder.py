"""The ladder to a real Kafka: given, by testcontainers, or by Maven and Java. The first rung that holds is taken."""

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
class Rung:
    """The real Kafka that was found. `line` says where it is and how it came about."""

    bootstrap: str
    line: str


@contextlib.asynccontextmanager
async def climb(folder: Path) -> AsyncIterator[Rung]:
    """Yield the first real Kafka that the ladder offers. Raises Unavailable with the reason of every rung."""
    rungs: tuple[Callable[[Path], AbstractAsyncContextManager[Rung]], ...] = (given, by_container, by_java)
    reasons = []
    async with contextlib.AsyncExitStack() as standing:
        for rung in rungs:
            try:
                found = await standing.enter_async_context(rung(folder))
            except Unavailable as reason:
                reasons.append(str(reason))
                continue
            yield found
            return
    raise Unavailable("; ".join(reasons))


@contextlib.asynccontextmanager
async def given(_: Path) -> AsyncIterator[Rung]:
    """Take the Kafka at KAFKA_BOOTSTRAP_SERVERS. One that is named and does not answer is no reason to look elsewhere."""
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if not bootstrap:
        raise Unavailable("KAFKA_BOOTSTRAP_SERVERS is not set")
    await until(lambda: answers(bootstrap), START_SECONDS, f"Kafka answers at {bootstrap}")
    yield Rung(bootstrap, f"real Kafka: given at {bootstrap}")


@contextlib.asynccontextmanager
async def by_container(_: Path) -> AsyncIterator[Rung]:
    """Run Apache Kafka in a container."""
    from testkit.kafka.container import kafka_container  # noqa: PLC0415 - Docker's client is slow to import

    with kafka_container() as bootstrap:
        await until(lambda: answers(bootstrap), START_SECONDS, "Apache Kafka answers in its container")
        yield Rung(bootstrap, f"real Kafka: Apache Kafka by testcontainers at {bootstrap}")


@contextlib.asynccontextmanager
async def by_java(folder: Path) -> AsyncIterator[Rung]:
    """Run Apache Kafka by Java from Maven's artifacts."""
    kafka = RealKafka(folder)
    await kafka.start()
    try:
        yield Rung(kafka.bootstrap, f"real Kafka: Apache Kafka {version()} by Maven and Java at {kafka.bootstrap}")
    finally:
        await kafka.stop()
