"""The SSE edge: one run, from its first event or from the one that the client saw last, and on from there.

The id of an event is the run's version. The past is read from the gateway, what the read model does not have yet and all
that comes from the hub; both together, each version once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from contracts.runs.event_effects import REQUESTING
from contracts.runs.event_header import EventHeader
from notifier import metrics
from notifier.adapters.gateway import GatewayAway, Snapshots
from notifier.edges.catch_up import begin
from notifier.edges.problems import problem
from notifier.hub.client import Client, Filters
from notifier.hub.event_buffer import Frame, Notification, Passing
from notifier.hub.frames import frames_of, frames_with_request
from notifier.hub.hub import Hub, Overtaken
from notifier.hub.run_states import Known, after, open_checkpoint
from notifier.protocol.messages import Fault

HEARTBEAT_SECONDS = 15.0
HEARTBEAT = b": still here\n\n"

_VERSION = re.compile(r"[0-9]{1,18}")


class EventStreams:
    """Serves `/hitl/runs/{run_id}/events`."""

    def __init__(
        self, hub: Hub, snapshots: Snapshots, caught_up: asyncio.Event, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._hub = hub
        self._heartbeat_seconds = heartbeat_seconds
        self._snapshots = snapshots
        self._caught_up = caught_up

    async def endpoint(self, request: Request) -> Response:
        """Answer with the run's events for as long as the client listens, or with a problem."""
        try:
            return await self._follow(request)
        except Refusal as error:
            return problem(error.status, error.code, str(error), request.url.path, error.faults)

    async def _follow(self, request: Request) -> Response:
        run_id, seen = _run_id(request), _last_seen(request)
        if not self._caught_up.is_set():
            raise _unavailable("just begun: try again later")
        bell = asyncio.Event()
        try:
            begun = await begin(self._hub, Filters(run_id=run_id), bell.set, partial(self._look, run_id))
        except (GatewayAway, Overtaken) as error:
            raise _unavailable(str(error) or "too much is happening: try again later") from error
        if begun.look.values is None and not begun.client.is_due:
            self._hub.leave(begun.client)
            raise _not_found(run_id)
        replay = list(_replay(begun.look, seen, self._hub.oldest_cursor))
        return EventStream(self._hub, begun.client, self._body(begun.client, bell, replay, seen))

    async def _look(self, run_id: str) -> Past:
        values = await self._snapshots.history(run_id)
        return Past(run_id, values, [EventHeader.parse(value) for value in values or ()])

    async def _body(
        self, client: Client, bell: asyncio.Event, replay: Sequence[bytes], seen: int
    ) -> AsyncIterator[bytes]:
        if replay:
            yield b"".join(replay)
        while not client.dropped:
            if written := [_news(one) for one in client.take() if isinstance(one, Passing) or one.version > seen]:
                yield b"".join(written)
            if client.is_due:
                continue
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    await bell.wait()
            except TimeoutError:
                yield HEARTBEAT
            bell.clear()


@dataclass(frozen=True, slots=True)
class Past:
    """What the read model has of a run; `values` None when it knows no such run."""

    run_id: str
    values: list[bytes] | None
    events: list[EventHeader]
    truncated: bool = False

    @property
    def versions(self) -> dict[str, int]:
        """How far it goes."""
        return {self.run_id: self.events[-1].version} if self.events else {}


class EventStream(StreamingResponse):
    """The answer: what was, then what comes. Ends when the client leaves or the hub lets go of it."""

    def __init__(self, hub: Hub, client: Client, body: AsyncIterator[bytes]) -> None:
        self._hub = hub
        self._client = client
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(body, headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, and leave the hub however it ends."""
        try:
            with metrics.CLIENTS.labels("sse").track_inprogress():
                await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._client)
            if self._client.dropped:
                metrics.DROPPED.labels(self._client.dropped.name.lower()).inc()


class Refusal(Exception):
    """The client gets a problem instead of events."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, *faults: Fault) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.faults = faults


def _unavailable(detail: str) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail)


def _not_found(run_id: object) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "run_not_found", f"there is no run {run_id}")


def _run_id(request: Request) -> str:
    named = request.path_params["run_id"]
    try:
        return str(UUID(named))
    except ValueError:
        raise _not_found(named) from None


def _last_seen(request: Request) -> int:
    told = request.headers.get("last-event-id") or "0"
    if _VERSION.fullmatch(told) is None:
        fault = Fault(
            path="/Last-Event-ID", code="header_invalid", message="the id of an event is its version, a number"
        )
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "validation_failed", fault.message, fault)
    return int(told)


def _replay(past: Past, seen: int, cursor: str) -> Iterator[bytes]:
    known: Known | None = None
    for header, value in zip(past.events, past.values or (), strict=True):
        known = after(known, header, value)
        if header.version <= seen:
            continue
        checkpoint = open_checkpoint(known) if header.kind in REQUESTING else None
        if checkpoint is None:
            yield _written(header.version, frames_of(header, value, known.state, cursor))
        else:
            yield _written(header.version, frames_with_request(header, value, known.state, checkpoint, cursor, cursor))


def _news(one: Notification | Passing) -> bytes:
    if isinstance(one, Notification):
        return _written(one.version, one.frames)
    return b"".join(map(_part, one.frames))


def _written(version: int, frames: Sequence[Frame]) -> bytes:
    # Only the last message of a version carries its id: who came no further returns with the version before.
    parts = list(map(_part, frames))
    return b"".join((*parts[:-1], b"id: %d\n" % version, parts[-1]))


def _part(frame: Frame) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (frame.type.encode(), _one_line(frame.body))


def _one_line(body: bytes) -> bytes:
    # In JSON a bare line end can only stand between tokens.
    return body.replace(b"\r", b"").replace(b"\n", b"")
