"""Kafka for tests: a real one, and the embedded one, each in a process of its own.

- `kafka_bootstrap`: the address of the session's real Kafka, topics made.
- `embedded_bootstrap`: the address of the session's embedded broker, topics made.
- `any_kafka`: one after the other, for suites that must hold on both (ids `embedded` and `real`).
- `private_kafka`: an Apache Kafka of the test's own, to stop, kill, pause and start again; `private_embedded` its embedded twin,
  `empty_kafka` the same without topics.

Topics of real ones have as many partitions as `testkit.kafka.partitions` says.

The real one is the first of: a given `KAFKA_BOOTSTRAP_SERVERS`; testcontainers where Docker answers and has the image of `make images`;
Java with the artifacts of `deploy/apache_kafka/pom.xml`. Without any, tests that need it are skipped; with `CI=true` they fail.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from apache_kafka.artifacts import Unavailable
from apache_kafka.broker import RealKafka
from local_stack.broker.embedded import FETCH_WAIT_MS, EmbeddedBroker
from messaging.admin import ensure_topics
from testkit.kafka.partitions import provisioned_topics
from testkit.kafka.provision import ProvisionedKafka, provisioned_kafka

_used = pytest.StashKey[str]()


@dataclass(frozen=True)
class Kafka:
    """A Kafka to test on, with the settings that its consumers need."""

    bootstrap: str
    embedded: bool
    log_id: str | None
    """The log's name on an embedded broker, for `SAYSO_LOG_ID`; None where the cluster has an id of its own."""

    @property
    def fetch_wait_ms(self) -> int:
        """The fetch wait for this Kafka."""
        return FETCH_WAIT_MS if self.embedded else 500


@pytest_asyncio.fixture(scope="session")
async def real_kafka(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ProvisionedKafka]:
    """Give the session's real Kafka."""
    try:
        async with provisioned_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
            pytestconfig.stash[_used] = kafka.line
            await ensure_topics(kafka.bootstrap, topics=provisioned_topics())
            yield kafka
    except Unavailable as missing:
        pytestconfig.stash[_used] = f"real Kafka: none ({missing})"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and there is no real Kafka: {missing}", pytrace=False)
        pytest.skip(f"no real Kafka: {missing}")


@pytest.fixture(scope="session")
def kafka_bootstrap(real_kafka: ProvisionedKafka) -> str:
    """Give the address of a real Kafka that has all topics."""
    return real_kafka.bootstrap


@pytest_asyncio.fixture(scope="session")
async def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    """Run the session's embedded broker."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("embedded"))
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture(scope="session")
def embedded_bootstrap(embedded_broker: EmbeddedBroker) -> str:
    """Give the address of an embedded broker that has all topics."""
    return embedded_broker.bootstrap


@pytest.fixture(scope="session", params=["embedded", "real"])
def any_kafka(request: pytest.FixtureRequest) -> Kafka:
    """Give the embedded broker, then the real Kafka."""
    if request.param == "real":
        return Kafka(request.getfixturevalue("kafka_bootstrap"), embedded=False, log_id=None)
    broker: EmbeddedBroker = request.getfixturevalue("embedded_broker")
    return Kafka(broker.bootstrap, embedded=True, log_id=broker.log_id)


@pytest_asyncio.fixture
async def empty_kafka(real_kafka: ProvisionedKafka, tmp_path: Path) -> AsyncIterator[RealKafka]:
    """Run an Apache Kafka by Java, without topics, that the test may stop, kill, pause and start again: same address, same data."""
    kafka = RealKafka(tmp_path / "kafka")
    try:
        await kafka.start()
    except Unavailable as missing:
        pytest.skip(f"Apache Kafka cannot be run here: {missing}; the session's is {real_kafka.line}")
    yield kafka
    await kafka.stop()


@pytest_asyncio.fixture
async def private_kafka(empty_kafka: RealKafka) -> RealKafka:
    """Give an Apache Kafka of the test's own, topics made."""
    await ensure_topics(empty_kafka.bootstrap, topics=provisioned_topics())
    return empty_kafka


@pytest_asyncio.fixture
async def private_embedded(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """Run an embedded broker of the test's own; started again, it is empty and has another address."""
    broker = EmbeddedBroker(tmp_path / "embedded")
    await broker.start()
    yield broker
    await broker.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which Kafka the tests ran on."""
    if line := config.stash.get(_used, None):
        terminalreporter.write_line(line)
