"""One accepted WebSocket: pushes what its hub client is given, and hands what the client says to its session.

Close codes: 4008 too slow and 4009 records were lost before they were read, or who may see one is not known for now: return with your cursor;
4010 what the client may see has changed: return without one; 1013 no snapshot can be taken now, try again later; 1012 the service stops;
4401 the credential does not hold, or no longer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from identity.resolved import Resolved
from notifier import metrics
from notifier.edges.authentication import UNAUTHORIZED, SocketAuthentication
from notifier.edges.catch_up import catch_up
from notifier.edges.snapshots import Snapshots
from notifier.edges.websocket_protocol import TEXTS, SendTexts
from notifier.errors import ClientGone, GatewayUnavailable, NotifierError, SnapshotTooOld
from notifier.hub.client import Client, DisconnectReason
from notifier.hub.hub import Hub
from notifier.ports import Ask, Now
from notifier.protocol.caller import Caller
from notifier.protocol.client_session import ClientSession
from notifier.protocol.subscription import Subscription

TRY_AGAIN_LATER = 1013
CLOSE_CODES = {
    DisconnectReason.TOO_SLOW: 4008,
    DisconnectReason.GAP: 4009,
    DisconnectReason.READERS_UNKNOWN: 4009,
    DisconnectReason.SIGHT: 4010,
    DisconnectReason.STOPPING: 1012,
}

CATCH_UP_SECONDS = 10.0
"""How long a client waits for an instance that has just started."""

CLOSE_SECONDS = 5.0
"""How long the close frame may wait behind a client that reads nothing."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What all connections share. `caught_up` is set once the feed has read the records that were there at its start."""

    hub: Hub
    snapshots: Snapshots
    ask: Ask
    caught_up: asyncio.Event
    authentication: SocketAuthentication
    now: Now


class TryAgainLater(NotifierError):
    """The connection is closed with 1013: the client cannot be served now."""

    code = "try_again_later"


class WebSocketConnection:
    """A task that pushes and a task that reads. When one ends, so does the other.

    When absences change what the client may see, it is disconnected, and gets a snapshot when it comes back.
    """

    def __init__(
        self, websocket: WebSocket, subscription: Subscription, caller: Caller, context: ConnectionContext
    ) -> None:
        self._websocket = websocket
        self._subscription = subscription
        self._caller = caller
        self._context = context
        self._woken = asyncio.Event()
        self._client: Client | None = None
        self._push_task: asyncio.Task[None] | None = None
        self._has_ended = False

    async def run(self) -> None:
        """Serve until the client leaves or is disconnected."""
        context = self._context
        session = ClientSession(
            self._send, context.ask, self._subscription.user_id, context.now, self._caller, self._renew, self._refresh
        )
        pushing = self._push_task = asyncio.create_task(self._push())
        reading = asyncio.create_task(self._read(session))
        try:
            with context.authentication.credentials.held(self._caller, self._end, self._change):
                await asyncio.wait((pushing, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pushing.cancel()
            reading.cancel()
            ended = await asyncio.gather(pushing, reading, return_exceptions=True)
            if self._client is not None:
                context.hub.leave(self._client)
        await self._close(ended)

    async def _push(self) -> None:
        client = await self._start()
        while True:
            await self._woken.wait()
            self._woken.clear()
            while taken := client.take():
                frames = [frame for item in taken for frame in item.frames if self._subscription.pushes(frame.type)]
                await self._send_texts([frame.body for frame in frames])
                for kind, count in Counter([frame.type for frame in frames]).items():
                    metrics.sent_of(kind).inc(count)

    async def _start(self) -> Client:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._context.caught_up.wait()
        except TimeoutError:
            raise TryAgainLater("just begun: try again later") from None
        hub, filters = self._context.hub, self._subscription.filters(self._caller)
        self._client = hub.join(filters, self._wake)
        if not self._resumes(hub):
            self._client = await self._start_from_snapshot()
        self._check_sight()  # it may have changed while the snapshot was taken
        return self._client

    def _resumes(self, hub: Hub) -> bool:
        """Return whether the client goes on from its cursor. A substitute may see what waited before: no cursor tells since when."""
        if not self._subscription.cursor or self._client is None or self._caller.stands_in:
            return False
        return hub.resume(self._client, self._subscription.cursor)

    async def _start_from_snapshot(self) -> Client:
        context = self._context
        try:
            client, snapshot, cursor = await catch_up(
                context.hub,
                self._subscription.filters(self._caller),
                self._wake,
                context.snapshots,
                self._caller.credential,
            )
        except (GatewayUnavailable, SnapshotTooOld) as error:
            metrics.SNAPSHOTS.labels(error.code).inc()
            _log.warning("no snapshot", reason=str(error))
            raise TryAgainLater("no snapshot: try again later") from error
        self._client = client
        for message in snapshot.messages(cursor):
            await self._send_texts([message])
        metrics.SNAPSHOTS.labels("sent").inc()
        return client

    @property
    def _send_texts(self) -> SendTexts:
        return cast("SendTexts", self._websocket.scope["extensions"][TEXTS])

    async def _send(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette raises the second after a close
            raise ClientGone from error

    def _wake(self) -> None:
        self._woken.set()
        if self._client is not None and self._client.disconnected and self._push_task is not None:
            # The push may be in the middle of a write that never ends.
            self._push_task.cancel()

    async def _renew(self, token: str) -> None:
        await self._context.authentication.renew(self._caller, token)
        self._check_sight()

    async def _refresh(self) -> None:
        await self._context.authentication.refresh(self._caller)
        self._check_sight()

    def _change(self, resolved: Resolved) -> None:
        self._caller.resolved = resolved
        self._check_sight()

    def _check_sight(self) -> None:
        """Disconnect the client at once if it follows the hub by what it might see before: nothing more of that goes out."""
        client = self._client
        if client is not None and client.disconnected is None and client.filters.reader != self._caller.reader:
            self._context.hub.disconnect(client, DisconnectReason.SIGHT)
            client.wake()

    def _end(self) -> None:
        self._has_ended = True
        if self._push_task is not None:
            self._push_task.cancel()

    async def _read(self, session: ClientSession) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await session.receive(message.get("text"))

    async def _close(self, ended: Sequence[BaseException | None]) -> None:
        code, reason = 1000, ""
        # A client that leaves is no failure, however it does; uvicorn raises an OSError then.
        left = (ClientGone, WebSocketDisconnect, OSError)
        failures = [end for end in ended if isinstance(end, Exception) and not isinstance(end, left)]
        match failures:
            case [TryAgainLater() as error, *_]:
                code, reason = TRY_AGAIN_LATER, str(error)
            case [error, *_]:
                _log.error("connection failed", exc_info=error)
                code, reason = 1011, "internal error"
        if self._client is not None and (why := self._client.disconnected):
            metrics.DROPPED.labels(why.name.lower()).inc()
            code, reason = CLOSE_CODES[why], why.value
        if self._has_ended:
            code, reason = UNAUTHORIZED, "the credential holds no longer"
        # The client may be gone: a close that cannot be sent is no failure.
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code, reason)
