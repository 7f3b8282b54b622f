"""Clients that do not read or are gone: they are disconnected, and no other client is affected."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from notifier.hub.client import HubBounds
from testkit.runs.commands import at_payload_review, edit
from testkit.runs.pushed_events import moved
from testkit.stack.user import until

from .running_notifier import Backend, Publisher, RunningNotifier, through, updates

WAITING = at_payload_review()


async def test_a_slow_client_is_disconnected_and_the_others_get_everything(
    publisher: Publisher, backend: Backend
) -> None:
    """The close reason says to return with the cursor; a client that does misses nothing."""
    session = uuid4().hex
    big = at_payload_review().given(edit({"prompt": "x" * 50_000}))
    async with backend.notifier(HubBounds(queue_count=50)) as notifier:
        dropped = partial(notifier.metric, 'sayso_notifier_clients_dropped_total{why="too_slow"}')
        before = await dropped()
        slow = await connect(f"{notifier.ws_url}?session_id={session}", max_size=None, max_queue=1, ping_interval=None)
        slow.transport.pause_reading()
        async with notifier.watch(session_id=session) as quick:
            await quick.until("SNAPSHOT")
            while await dropped() == before:
                run = moved(big, session_id=session)
                await publisher.publish(*run, learn=False)
                await through(quick, run[-1])
                assert updates(quick.seen, run[0].run_id) == [event.version for event in run]
        slow.transport.resume_reading()
        cursor = json.loads([text async for text in _until_closed(slow)][-1])["cursor"]
        assert (slow.close_code, slow.close_reason) == (4008, "too slow: come back with your cursor")
        async with notifier.watch(session_id=session, cursor=cursor) as returned:
            await through(returned, run[-1])
            assert "SNAPSHOT" not in [message["type"] for message in returned.seen]


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str]:
    with contextlib.suppress(ConnectionClosedError):
        async with asyncio.timeout(30):
            while True:
                yield str(await socket.recv())


@pytest.mark.parametrize("nonsense", [b"", b"\xff\xff\xff\xff"])
async def test_a_client_that_is_gone_while_it_is_written_to_is_no_error(
    notifier: RunningNotifier, publisher: Publisher, nonsense: bytes
) -> None:
    """It hangs up, or sends invalid frames and is closed; neither is logged as an error."""
    session = uuid4().hex
    clients = partial(notifier.metric, 'sayso_notifier_clients{edge="websocket"}')
    before = await clients()
    with capture_logs() as logs:
        leaving = await connect(f"{notifier.ws_url}?session_id={session}", max_size=None, max_queue=1)
        await leaving.recv()
        leaving.transport.pause_reading()
        run = moved(at_payload_review().given(edit({"prompt": "x" * 200_000})), session_id=session)
        await publisher.publish(*run, learn=False)
        leaving.transport.write(nonsense)
        await publisher.publish(*moved(WAITING, session_id=session), learn=False)
        leaving.transport.abort()

        async def gone() -> bool | None:
            return await clients() == before or None

        await until(gone)
    assert [log for log in logs if log["log_level"] != "info"] == []
