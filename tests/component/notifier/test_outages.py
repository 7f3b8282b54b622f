"""Kafka goes away and returns: sockets stay, nothing is lost, and nobody has to start anything again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from apache_kafka.broker import RealKafka
from component.notifier.watchtower import Press, Tower, tower
from messaging.producer import Producer
from notifier.testing.gateway import MemoryGateway
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved
from testkit.stack.user import until

FINISHED = at_payload_review().given(approve(), executed(), approve())


@pytest_asyncio.fixture
async def lonely(private_kafka: RealKafka, gateway_url: str) -> AsyncIterator[Tower]:
    """Run a notifier on a Kafka that the test may stop."""
    async with tower(private_kafka.bootstrap, gateway_url, outcome_wait_seconds=1) as running:
        yield running


async def test_sockets_outlive_an_outage_of_kafka(
    lonely: Tower, private_kafka: RealKafka, gateway: MemoryGateway
) -> None:
    """Readiness says what is wrong, decisions are answered honestly, and the feed goes on where it stood."""
    run = moved(FINISHED)
    async with lonely.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        producer = Producer(private_kafka.bootstrap, "press")
        await producer.start()
        await Press(producer, gateway).publish(*run[:3])
        await producer.stop()
        await watching.until("HITL_APPROVAL_REQUEST")
        await private_kafka.stop()
        assert "ok" not in (await lonely.readiness())["kafka"]
        await watching.say(type="HITL_APPROVAL_RESPONSE", request_id="r", run_id=str(run[0].run_id), action="approve")
        assert (await watching.until("HITL_APPROVAL_RESULT"))["code"] == "unavailable"
        async with lonely.watch(run_id=str(uuid4())) as other:
            await other.until("SNAPSHOT")
        await private_kafka.start()
        producer = Producer(private_kafka.bootstrap, "press")
        await producer.start()
        await Press(producer, gateway).publish(*run[3:])
        await producer.stop()
        await watching.until("HITL_STATUS_UPDATE", version=run[-1].version)
    told = [m["version"] for m in watching.seen if m["type"] == "HITL_STATUS_UPDATE"]
    assert told == [event.version for event in run]
    await lonely.until_ready()


async def test_a_notifier_waits_for_a_kafka_that_is_not_there_yet(private_kafka: RealKafka, gateway_url: str) -> None:
    """It lives and says that it is not ready; when Kafka comes, it serves."""
    await private_kafka.stop()
    async with tower(private_kafka.bootstrap, gateway_url, wait=False) as running:
        assert (await running.http.get("/health/live")).status_code == 200
        assert (await running.readiness())["feed"] != "ok"
        await private_kafka.start()
        await running.until_ready()
        async with running.watch() as watching:
            assert (await watching.next())["type"] == "SNAPSHOT"

    async def ended() -> bool | None:
        return running.app.state.background.failure is None or None

    await until(ended)
