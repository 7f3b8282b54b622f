"""A run's events, pushed as they come (Server-Sent Events). The notifier pushes to many; this serves who follows one run."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from contracts.providers.call_stream import PartialOutput, PushedPartialOutput
from gateway.http import headers
from gateway.http.issues import issue
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import invalid
from gateway.ports import StepEvent
from gateway.read_model.follower import Following

_VERSION = re.compile(r"[0-9]{1,18}")
_PARTIAL = PushedPartialOutput.model_fields["type"].default.encode()
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def pushing(following: Following) -> APIRouter:
    """Return the route that streams."""
    router = APIRouter()

    @router.get(
        "/hitl/runs/{run_id}/events",
        tags=["runs"],
        summary="Follow a run",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **problems("run_not_found", "validation_failed", "unavailable"),
        },
    )
    async def follow_run(
        request: Request,
        run_id: str,
        _: Annotated[NoParameters, Query()],
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """Push every event behind `Last-Event-ID`, then new ones as they come, until the run is completed or cancelled.

        The id of an event is its version, its data the member of `history`. While a call streams, pieces of its text come as events of the
        type `HITL_PARTIAL_OUTPUT`, without an id. Comments keep the connection alive.
        """
        found_id = headers.run_id_of(request)
        after = _version(last_event_id)
        if await following.settled(headers.TENANT, found_id) is None:
            raise headers.run_not_found(run_id)
        return StreamingResponse(_frames(following, found_id, after), headers=_HEADERS, media_type="text/event-stream")

    return router


async def _frames(following: Following, run_id: UUID, after: int) -> AsyncIterator[bytes]:
    async for events in following.events(headers.TENANT, run_id, after):
        yield b"".join(map(_frame, events)) or b": still here\n\n"


def _frame(news: StepEvent | PartialOutput) -> bytes:
    if isinstance(news, PartialOutput):
        # Of a type of its own, so that a client which reads events alone hears none of it.
        return b"event: %b\ndata: %b\n\n" % (_PARTIAL, news.to_push())
    return _event_frame(news)


def _event_frame(event: StepEvent) -> bytes:
    # JSON as it is stored has no line breaks, and the kind is in it.
    return b"id: %d\ndata: %s\n\n" % (event.version, event.record)


def _version(last_event_id: str | None) -> int:
    """Return the version that a client saw last. Raises Problem."""
    if not last_event_id:
        return 0
    if _VERSION.fullmatch(last_event_id) is None:
        message = "the id of an event is its version, a number"
        raise invalid([issue("/Last-Event-ID", "header_invalid", message, **{"in": "header"})])
    return int(last_event_id)
