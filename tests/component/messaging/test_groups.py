"""A group's reader knows whether it gets records from the group, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from apache_kafka.broker import RealKafka
from contracts.topics import WORK
from local_stack.wait import until
from messaging.admin import ensure_topics
from messaging.consumer import check_group, create_broker, subscribe_broadcast, subscribe_group
from messaging.errors import BrokerUnavailable
from messaging.records import RawRecord


async def _take(_: Sequence[RawRecord]) -> None:
    return


async def test_a_reader_says_when_its_group_has_no_coordinator(private_kafka: RealKafka) -> None:
    """Joined, it has no trouble; with Kafka gone the reason names the group, and it joins again by itself."""
    await ensure_topics(private_kafka.bootstrap)
    broker = create_broker(private_kafka.bootstrap, "test")
    reader = subscribe_group(broker, WORK, _take, group="some-group", fetch_wait_ms=50)
    outside = subscribe_broadcast(broker, WORK, _take, fetch_wait_ms=50)
    check_group(reader)  # nothing was started: its owner knows

    def is_well() -> bool:
        try:
            check_group(reader)
        except BrokerUnavailable:
            return False
        return True

    def has_no_coordinator() -> bool:
        try:
            check_group(reader, joined=False)
        except BrokerUnavailable as error:
            return "the group some-group has no coordinator that answers" in str(error)
        return False

    await broker.start()
    try:
        await until(is_well, 30, "the reader has joined")
        await private_kafka.stop()
        await until(has_no_coordinator, 30, "the coordinator is missed")
        check_group(outside)
        await private_kafka.start()
        await until(is_well, 60, "the reader has joined again")
    finally:
        async with asyncio.timeout(20):
            await broker.stop()
