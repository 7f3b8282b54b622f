"""Members of consumer groups, as Kafka's coordinator reports them."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from local_stack.wait import until

SECONDS = 40.0
"""More than the session timeout of 10 s and a rebalance."""


async def group_settled(bootstrap: str, group: str, members: int) -> None:
    """Return when a group is stable with `members` members."""
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
