"""Kafka stops and starts: sockets stay, no event is lost, and the notifier needs no restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from apache_kafka.broker import RealKafka
from contracts.runs.run_event import RunEvent
from messaging.producer import Producer
from notifier.testing.gateway import MemoryGateway
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved
from testkit.stack.user import until

from .running_notifier import (
    KafkaBackend,
    Publisher,
    RunningNotifier,
    running,
    settings_on,
    updates,
)

FINISHED = at_payload_review().given(approve(), executed(), approve())


@pytest_asyncio.fixture
async def lone_notifier(private_kafka: RealKafka, gateway_url: str) -> AsyncIterator[RunningNotifier]:
    """Run a notifier on a Kafka that the test may stop."""
    async with running(settings_on(private_kafka.bootstrap, gateway_url, outcome_wait_seconds=1)) as notifier:
        yield notifier


async def publish(kafka: RealKafka, gateway: MemoryGateway, *events: RunEvent) -> None:
    """Publish through a producer that lives no longer than that."""
    producer = Producer(kafka.bootstrap, "press")
    await producer.start()
    await Publisher(KafkaBackend(kafka.bootstrap, "", producer, gateway)).publish(*events)
    await producer.stop()


async def test_sockets_outlive_an_outage_of_kafka(
    lone_notifier: RunningNotifier, private_kafka: RealKafka, lone_gateway: MemoryGateway
) -> None:
    """Readiness names Kafka, decisions are answered as unavailable, and the feed continues at its position."""
    run = moved(FINISHED)
    async with lone_notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await publish(private_kafka, lone_gateway, *run[:3])
        await watching.until("HITL_APPROVAL_REQUEST")
        await private_kafka.stop()
        assert "ok" not in (await lone_notifier.readiness())["kafka"]
        await watching.say(type="HITL_APPROVAL_RESPONSE", request_id="r", run_id=str(run[0].run_id), action="approve")
        assert (await watching.until("HITL_APPROVAL_RESULT"))["code"] == "unavailable"
        async with lone_notifier.watch(run_id=str(uuid4())) as other:
            await other.until("SNAPSHOT")
        await private_kafka.start()
        await publish(private_kafka, lone_gateway, *run[3:])
        await watching.until("HITL_STATUS_UPDATE", version=run[-1].version)
    assert updates(watching.seen, run[0].run_id) == [event.version for event in run]
    await lone_notifier.until_ready()


async def test_a_notifier_waits_for_a_kafka_that_is_not_there_yet(private_kafka: RealKafka, gateway_url: str) -> None:
    """It is live and not ready; when Kafka comes, it serves."""
    await private_kafka.stop()
    async with running(settings_on(private_kafka.bootstrap, gateway_url), wait=False) as notifier:
        assert (await notifier.http.get("/health/live")).status_code == 200
        assert (await notifier.readiness())["feed"] != "ok"
        await private_kafka.start()
        await notifier.until_ready()
        async with notifier.watch() as watching:
            assert (await watching.next())["type"] == "SNAPSHOT"

    async def ended() -> bool | None:
        return notifier.app.state.background.failure is None or None

    await until(ended)
