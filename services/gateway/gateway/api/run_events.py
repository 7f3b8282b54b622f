"""`GET /hitl/runs/{id}/events`: a run's events as Server-Sent Events, from any version on. The only stream of this path.

`sse-starlette` would decode each stored event, split it into lines and send it alone. Here the bytes go out as they are stored,
all due frames in one write; the follower gives the heartbeat, and Starlette ends the body when the client leaves.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from chassis.http.problems import issue
from contracts.providers.call_stream import PartialOutput, PushedPartialOutput
from gateway.api.runs import readable
from gateway.http import headers
from gateway.http.caller import Caller, caller_of
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import invalid
from gateway.ports import Now, StepEvent, Views
from gateway.read_model.follower import SETTLE_SECONDS, Follower
from identity.watch import CredentialWatch

_VERSION = re.compile(r"[0-9]{1,18}")
_PARTIAL = PushedPartialOutput.model_fields["type"].default.encode()
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_HEARTBEAT = b": still here\n\n"


def run_events_router(views: Views, follower: Follower, credentials: CredentialWatch, now: Now) -> APIRouter:
    """Return the route that streams."""
    router = APIRouter()

    @router.get(
        "/hitl/runs/{run_id}/events",
        tags=["runs"],
        summary="Follow a run",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            204: {"description": "No event follows `Last-Event-ID`, and none ever will: do not connect again"},
            **problems("run_not_found", "validation_failed", "unavailable"),
        },
    )
    async def follow_run(
        request: Request,
        run_id: str,  # noqa: ARG001 - the document names it
        _: Annotated[NoParameters, Query()],
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Push every event behind `Last-Event-ID`, then new ones as they come, until the run is over and cannot be retried.

        Then 204 answers a client that has seen the last event, which ends an EventSource. An id that the run has not reached begins anew.
        The id of an event is its version, its data the member of `history`. While a call streams, pieces of its text come as events of the
        type `HITL_PARTIAL_OUTPUT`, without an id. Comments keep the connection alive. The stream ends when its credential does, and when
        absences change for whom it stands in.
        """
        caller, found_id = caller_of(request), headers.run_id_of(request)
        after = _version(last_event_id)
        run = await follower.reached(caller.tenant, found_id, after, SETTLE_SECONDS) if after else None
        await readable(views, run or await follower.settled(caller.tenant, found_id), found_id, caller)
        if after and await follower.is_finished(caller.tenant, found_id, after, now()):
            return Response(status_code=204, headers=_HEADERS)
        if run is not None and run.version < after:
            after = 0
        return StreamingResponse(
            _body(follower, credentials, caller, found_id, after), headers=_HEADERS, media_type="text/event-stream"
        )

    return router


async def _body(
    follower: Follower, credentials: CredentialWatch, caller: Caller, run_id: UUID, after: int
) -> AsyncIterator[bytes]:
    holds = True

    def end() -> None:
        nonlocal holds
        holds = False
        follower.look_again(run_id)

    # A client that lost sight of a run is refused when it connects again.
    with credentials.held(caller, end, lambda _: end()):
        async for due in follower.events(caller.tenant, run_id, after, lambda: holds):
            yield frames(due) or _HEARTBEAT


def frames(due: Sequence[StepEvent | PartialOutput]) -> bytes:
    """Write events and pieces of text as frames: an event with its version as the id, a piece under an event type of its own.

    A piece has no id, so that a reconnecting client goes on from an event. Neither holds a line break: both are compact JSON.
    """
    return b"".join(
        b"id: %d\ndata: %b\n\n" % (each.version, each.json)
        if isinstance(each, StepEvent)
        else b"event: %b\ndata: %b\n\n" % (_PARTIAL, each.to_push())
        for each in due
    )


def _version(last_event_id: str | None) -> int:
    """Return the version that a client saw last. Raises Problem."""
    if not last_event_id:
        return 0
    if _VERSION.fullmatch(last_event_id) is None:
        message = "the id of an event is its version, a number"
        raise invalid([issue("/Last-Event-ID", "header_invalid", message, **{"in": "header"})])
    return int(last_event_id)
