"""The WebSocket edge: one connection, what it is due, and what it says. Whom to send what is decided in the hub.

Close codes: 4008 too slow and 4009 records were lost before they were read, both: come back with your cursor;
1013 no snapshot can be had now, try again later; 1012 the service stops.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from chassis.origins import is_welcome
from notifier import metrics
from notifier.adapters.gateway import GatewayAway, Snapshots
from notifier.edges.catch_up import begin
from notifier.edges.problems import problem
from notifier.edges.websocket_protocol import TEXTS, SendTexts
from notifier.hub.client import Client, Dropped
from notifier.hub.hub import Hub, Overtaken
from notifier.protocol.approvals import Ask, Misunderstood
from notifier.protocol.client_session import Conversation
from notifier.protocol.messages import Snapshot
from notifier.protocol.subscription import Watch, read_watch

TRY_AGAIN_LATER = 1013
CLOSE_CODES = {Dropped.TOO_SLOW: 4008, Dropped.GAP: 4009, Dropped.STOPPING: 1012}

CATCH_UP_SECONDS = 10.0
"""How long a client waits for an instance that has just begun."""

CLOSE_SECONDS = 5.0
"""How long a client that reads nothing may keep us from telling it why it is let go of."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every connection works with. `caught_up` is set once the feed has read what was there at its start."""

    hub: Hub
    snapshots: Snapshots
    ask: Ask
    caught_up: asyncio.Event


class Sockets:
    """Serves `/ws`, to programs, to pages of the host that is asked, and to those of `others`."""

    def __init__(self, surroundings: Surroundings, others: Collection[str]) -> None:
        self._surroundings = surroundings
        self._others = others

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        path = websocket.url.path
        if not is_welcome(websocket.headers, self._others):
            detail = f"a page of {websocket.headers['origin']} may not connect to this host; see SAYSO_ORIGINS"
            await websocket.send_denial_response(problem(HTTPStatus.FORBIDDEN, "forbidden", detail, path))
            return
        try:
            watch = read_watch(websocket.query_params)
        except Misunderstood as error:
            refusal = problem(HTTPStatus.UNPROCESSABLE_ENTITY, "validation_failed", str(error), path, error.faults)
            await websocket.send_denial_response(refusal)
            return
        await websocket.accept()
        with metrics.CLIENTS.labels("websocket").track_inprogress():
            await Connection(websocket, watch, self._surroundings).run()


class Closing(Exception):
    """The connection is to be closed, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Connection:
    """One client: a task that pushes what is due and a task that reads what it says. When one ends, so does the other."""

    def __init__(self, websocket: WebSocket, watch: Watch, surroundings: Surroundings) -> None:
        self._websocket = websocket
        self._watch = watch
        self._around = surroundings
        self._bell = asyncio.Event()
        self._client: Client | None = None
        self._pushing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until the client leaves or is let go of."""
        conversation = Conversation(self._websocket.send_text, self._around.ask, self._watch.user_id)
        pushing = self._pushing = asyncio.create_task(self._push())
        reading = asyncio.create_task(self._read(conversation))
        try:
            await asyncio.wait((pushing, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pushing.cancel()
            reading.cancel()
            ended = await asyncio.gather(pushing, reading, return_exceptions=True)
            if self._client is not None:
                self._around.hub.leave(self._client)
        await self._close(ended)

    async def _push(self) -> None:
        client = await self._begin()
        send_texts: SendTexts = self._websocket.scope["extensions"][TEXTS]
        while True:
            await self._bell.wait()
            self._bell.clear()
            while taken := client.take():
                frames = [frame for notification in taken for frame in notification.frames]
                await send_texts([frame.body for frame in frames])
                for kind, count in Counter([frame.type for frame in frames]).items():
                    metrics.sent_of(kind).inc(count)

    async def _begin(self) -> Client:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._around.caught_up.wait()
        except TimeoutError:
            raise Closing(TRY_AGAIN_LATER, "just begun: try again later") from None
        hub, filters = self._around.hub, self._watch.filters()
        self._client = hub.join(filters, self._wake)
        if self._watch.cursor and hub.resume(self._client, self._watch.cursor):
            return self._client
        try:
            begun = await begin(hub, filters, self._wake, partial(self._around.snapshots.take, filters))
        except (GatewayAway, Overtaken) as error:
            metrics.SNAPSHOTS.labels(type(error).__name__).inc()
            _log.warning("no snapshot", reason=str(error) or type(error).__name__)
            raise Closing(TRY_AGAIN_LATER, "no snapshot: try again later") from error
        self._client = begun.client
        snapshot = Snapshot.model_construct(
            cursor=begun.cursor, approvals=begun.look.approvals, runs=begun.look.runs, truncated=begun.look.truncated
        )
        await self._websocket.send_text(snapshot.model_dump_json())
        metrics.SNAPSHOTS.labels("sent").inc()
        return begun.client

    def _wake(self) -> None:
        self._bell.set()
        if self._client is not None and self._client.dropped and self._pushing is not None:
            # It may be in the middle of a write that never ends.
            self._pushing.cancel()

    async def _read(self, conversation: Conversation) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await conversation.hear(message.get("text"))

    async def _close(self, ended: Sequence[BaseException | None]) -> None:
        code, reason = 1000, ""
        # A client that leaves is no failure, however it does; a server says so with an OSError.
        left = (WebSocketDisconnect, OSError)
        failures = [end for end in ended if isinstance(end, Exception) and not isinstance(end, left)]
        match failures:
            case [Closing() as closing, *_]:
                code, reason = closing.code, closing.reason
            case [error, *_]:
                _log.error("connection failed", exc_info=error)
                code, reason = 1011, "internal error"
        if self._client is not None and (why := self._client.dropped):
            metrics.DROPPED.labels(why.name.lower()).inc()
            code, reason = CLOSE_CODES[why], f"{why.value}: come back with your cursor"
        # It may be gone, and then there is nobody to tell.
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code, reason)
