"""Who shares what, as Kafka's own coordinator sees it."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from local_stack.wait import until

SECONDS = 40.0
"""A member that says nothing for 10 s is taken to be gone; a rebalance waits for those who are there."""


async def shared_by(bootstrap: str, group: str, members: int) -> None:
    """Return when a group is settled among so many members."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def settled() -> bool:
        (answer,) = await admin.describe_consumer_groups([group])
        ((_, _, state, _, _, found, *_),) = answer.groups
        return state == "Stable" and len(found) == members

    try:
        await until(settled, SECONDS, f"{group} is shared by {members}")
    finally:
        await admin.close()
