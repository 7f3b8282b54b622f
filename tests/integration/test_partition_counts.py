"""All services on topics with whatever number of partitions a cluster gives them: none is missed, and what is missing is said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import confluent_kafka
import httpx
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from apache_kafka.artifacts import Unavailable
from apache_kafka.broker import RealKafka
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS, EVENTS, RUN_TOPICS
from local_stack.ports import LOOPBACK, free_ports
from local_stack.postgres.server import Postgres
from local_stack.services import MODULES, Addresses, Services
from local_stack.wait import until
from messaging.admin import ensure_topics
from messaging.client.slots import read_slot_maps
from testkit.kafka.partitions import UNEVEN, add_partitions, partitions_of, topics_with
from testkit.kafka.servers import Kafka
from testkit.postgres.servers import fresh_database
from testkit.runs.command_records import start
from testkit.runs.commands import at_payload_review
from testkit.runs.pushed_events import values_of
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User

RUNS, CALLS = 32, 16
FOLLOWED_SECONDS = 60
ONE_REVIEW = {"policy": "require_human", "allowed_steps": ["payload_review"]}
FOR_LONG = {"stream": True, "fault": "slow", "delay_seconds": 120}
NAMES = [topic.name for topic in RUN_TOPICS]


@contextlib.asynccontextmanager
async def kafka_of(folder: Path, **settings: object) -> AsyncIterator[RealKafka]:
    """Run an Apache Kafka with some settings of its own and without topics."""
    kafka = RealKafka(folder, settings={name.replace("_", "."): value for name, value in settings.items()})
    try:
        await kafka.start()
        yield kafka
    except Unavailable as missing:
        pytest.skip(f"Apache Kafka cannot be run here: {missing}")
    finally:
        await kafka.stop()


async def made_with_limit(bootstrap: str, topic: str, most: int) -> None:
    """Create a topic that takes records up to `most` bytes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 4, 1, topic_configs={"max.message.bytes": str(most)})])
    await admin.close()


@contextlib.asynccontextmanager
async def services_on(kafka: RealKafka, server: Postgres, folder: Path) -> AsyncIterator[tuple[Stack, User]]:
    """Run all services, and a user of theirs."""
    async with (
        fresh_database(server) as url,
        running_stack(Kafka(kafka.bootstrap, embedded=False, log_id=None), url, folder) as stack,
    ):
        user = User(stack.gateway_url, stack.ws_url)
        async with user.http:
            yield stack, user


async def every_run_is_pushed_and_every_call_stopped(user: User) -> None:
    """Start runs that wait and runs that call; every request reaches one socket, and every cancel its call."""
    async with user.watch() as socket:
        await socket.until("SNAPSHOT")
        waiting = [(await user.start(hitl=ONE_REVIEW))["run_id"] for _ in range(RUNS)]
        for run_id in waiting:
            await socket.until("HITL_APPROVAL_REQUEST", run_id=run_id)
        calling = [(await user.start(parameters=FOR_LONG))["run_id"] for _ in range(CALLS)]
        for run_id in calling:
            await socket.until("HITL_PARTIAL_OUTPUT", run_id=run_id)
            assert (await user.post(run_id, "cancel")).status_code == 200

    async def stopped() -> bool:
        return all(["call-stopped" in await user.kinds(run_id) for run_id in calling])

    await until(stopped, 30, "every cancelled call is stopped")


async def write(bootstrap: str, topic: str, partition: int, key: object, *values: bytes) -> None:
    """Write records as any client does, into a partition of its choice."""
    writer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    for value in values:
        writer.produce(topic, value=value, key=str(key).encode(), partition=partition)
    await asyncio.to_thread(writer.flush, 20)


async def test_a_clusters_default_number_serves_where_brokers_create_topics(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    """Eight partitions that no command of ours made: all is pushed, all is stopped, and the maps of slots are kept for ever."""
    async with (
        kafka_of(tmp_path / "kafka", auto_create_topics_enable="true", num_partitions=8) as kafka,
        services_on(kafka, postgres_server, tmp_path / "services") as (_, user),
    ):
        assert await partitions_of(kafka.bootstrap, NAMES) == dict.fromkeys(NAMES, 8)
        await every_run_is_pushed_and_every_call_stopped(user)
        assert set(NAMES) <= (await read_slot_maps(kafka.bootstrap)).keys()


async def test_topics_of_unequal_numbers_serve_and_so_do_partitions_that_are_added(
    empty_kafka: RealKafka, postgres_server: Postgres, tmp_path: Path
) -> None:
    """One partition, two, up to nine; then three more each, whose records are read from the first one within a minute."""
    await ensure_topics(empty_kafka.bootstrap, topics=topics_with(UNEVEN))
    async with services_on(empty_kafka, postgres_server, tmp_path / "services") as (_, user):
        await every_run_is_pushed_and_every_call_stopped(user)
        more = {name: count + 3 for name, count in UNEVEN.items()}
        async with user.watch() as socket:
            await socket.until("SNAPSHOT")
            await add_partitions(empty_kafka.bootstrap, more)
            asked = RunRequest.model_validate({"prompt": "p", "provider": "sandbox", "hitl_config": ONE_REVIEW})
            foreign, commanded = uuid4(), start(uuid4(), request=asked)
            events = values_of(at_payload_review(), foreign)
            await write(empty_kafka.bootstrap, EVENTS.name, more[EVENTS.name] - 1, foreign, *events)
            body = commanded.model_dump_json().encode()
            await write(empty_kafka.bootstrap, COMMANDS.name, more[COMMANDS.name] - 1, commanded.run_id, body)
            async with asyncio.timeout(FOLLOWED_SECONDS):
                for run_id in (str(foreign), str(commanded.run_id)):
                    await socket.until("HITL_APPROVAL_REQUEST", run_id=run_id)
        await user.until(str(commanded.run_id), "payload_review")
        await every_run_is_pushed_and_every_call_stopped(user)


async def answers_of(services: Services) -> Mapping[str, str]:
    """Return what each service answers when it is asked whether it is ready."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answers: dict[str, str] = {}
        for service in MODULES:
            with contextlib.suppress(httpx.TransportError):
                answers[service] = (await client.get(f"{services.addresses.http(service)}/health/ready")).text
        return answers


@pytest_asyncio.fixture
async def services_without_topics(empty_kafka: RealKafka, postgres_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Start the services where no topic is made and none is created by itself."""
    addresses = Addresses(LOOPBACK, dict(zip(MODULES, free_ports(len(MODULES)), strict=True)))
    environment = {"KAFKA_BOOTSTRAP_SERVERS": empty_kafka.bootstrap, "DATABASE_URL": postgres_url}
    services = Services(addresses, environment, tmp_path / "services")
    services.start()
    yield services
    await services.stop()


async def test_missing_topics_are_named_by_every_service_until_they_are_made(
    empty_kafka: RealKafka, services_without_topics: Services
) -> None:
    """No service says ready; each names what is missing, in its readiness and in one line of its log, and goes on once it is there."""

    async def all_name_it() -> bool:
        answers = await answers_of(services_without_topics)
        return len(answers) == len(MODULES) and all("Kafka has no topic" in said for said in answers.values())

    await until(all_name_it, 30, "every service names the missing topics")
    for process in services_without_topics:
        assert "Kafka has no topic" in process.last_lines(), process.program.name
    assert EVENTS.name in (await answers_of(services_without_topics))["notifier"]
    await ensure_topics(empty_kafka.bootstrap)
    await services_without_topics.ready()


async def test_a_topic_that_takes_smaller_records_than_ours_is_refused_with_one_line(
    empty_kafka: RealKafka, services_without_topics: Services
) -> None:
    """An operator's own limit is no surprise at the first large record: the orchestrator ends and says which setting to change."""
    topics = topics_with({})
    await ensure_topics(empty_kafka.bootstrap, topics=[topic for topic in topics if topic.name != EVENTS.name])
    await made_with_limit(empty_kafka.bootstrap, EVENTS.name, 1_000_000)
    orchestrator = services_without_topics["orchestrator"]
    await until(lambda: not orchestrator.alive, 30, "the orchestrator ends")
    assert orchestrator.exit_code != 0
    assert (
        f"topic {EVENTS.name} takes records of 1000000 bytes at most: set its max.message.bytes"
        in orchestrator.last_lines()
    )
