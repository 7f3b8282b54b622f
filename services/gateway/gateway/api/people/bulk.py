"""The same decision on several checkpoints: one command each, one by one and in order, each with an answer of its own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from contracts.runs.decisions import BODIES, command_of
from contracts.runs.tasks.bodies import BulkBody, BulkItem
from contracts.runs.views import RunView
from gateway.api import openapi
from gateway.api.command_requests import CommandRequests, digest_of
from gateway.http import headers
from gateway.http.body import read_json
from gateway.http.caller import Caller, caller_of
from gateway.http.models import read_model
from gateway.http.problem_schemas import ProblemDocument, problems
from gateway.http.problems import answer_to, document, unavailable

NOT_ASKED = (
    "an item before it is late, and this one was not asked: send the same request again under its Idempotency-Key"
)

_LATE = (HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE)
"""Each further item would wait as long, and the client for all of them."""

_log = structlog.get_logger(__name__)


class BulkPending(BaseModel):
    """A command whose outcome is late. It is kept and carried out."""

    run_id: UUID
    command_id: UUID
    state: str
    detail: str


class BulkAnswer(BaseModel):
    """What became of one item: the run's view, a late command or a problem. `status` is what a request of its own would have got."""

    run_id: UUID
    status: int
    view: RunView | None = None
    pending: BulkPending | None = None
    problem: ProblemDocument | None = None


class BulkAnswers(BaseModel):
    """One answer an item, in the order of the items."""

    items: list[BulkAnswer]


class Bulk:
    """The endpoint."""

    def __init__(self, requests: CommandRequests) -> None:
        self._requests = requests

    async def decide(self, request: Request) -> Response:
        """Decide on several checkpoints, each bound to the bytes that were seen.

        Each item is decided as by a request of its own, after the one before. Behind an item whose outcome is late, or that could not be
        sent, the rest is not asked. With an Idempotency-Key the same request again goes on where it was cut off: what was decided is
        answered again, and nothing is decided twice.
        """
        headers.check_parameters(request)
        caller, key = caller_of(request), headers.idempotency_key(request)
        body, raw = await read_json(request, self._requests.max_body_bytes)
        said = read_model(BulkBody, body, raw)
        answers: list[dict[str, Any]] = []
        is_late = False
        for item in said.items:
            if is_late:
                answer = document(unavailable(NOT_ASKED), request.url.path)
            else:
                answer = await self._answer(request, caller, key, said, item)
                is_late = answer.status_code in _LATE
            answers.append({"run_id": str(item.run_id), **_told(answer)})
        return Response(to_json({"items": answers}), media_type="application/json")

    async def _answer(
        self, request: Request, caller: Caller, key: str | None, said: BulkBody, item: BulkItem
    ) -> Response:
        try:
            return await self._decide(caller, key, said, item)
        except Exception as error:  # each becomes the item's answer: raised, it would lose the answers before it
            answer, bug = await answer_to(request, error)
            if bug is not None:
                _log.exception("an item of several could not be decided", run_id=str(item.run_id))
            return answer

    async def _decide(self, caller: Caller, key: str | None, said: BulkBody, item: BulkItem) -> Response:
        common = said.model_dump(exclude={"items", "action"})
        reason = {} if said.action == "reject" else {"reason": None, "reason_code": None}
        body = BODIES[said.action](**{**common, **reason}, **item.model_dump(exclude={"run_id"}))
        named = None if key is None else f"{key}\x1f{item.checkpoint_id}"
        sha256 = digest_of("bulk", {**common, "action": said.action, "item": item.model_dump(mode="json")}, key)
        command = command_of(said.action, body, self._requests.head(caller, item.run_id, named, said, sha256))
        return await self._requests.answer(command)


def _told(answer: Response) -> dict[str, Any]:
    status = answer.status_code
    member = "pending" if status == HTTPStatus.ACCEPTED else "view" if status < HTTPStatus.BAD_REQUEST else "problem"
    return {"status": status, member: from_json(bytes(answer.body))}


def bulk_router(endpoint: Bulk) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["approvals"])
    router.add_api_route(
        "/hitl/approvals/bulk",
        endpoint.decide,
        methods=["POST"],
        summary="Decide on several checkpoints",
        operation_id="decide_several",
        response_model=BulkAnswers,
        responses=problems("payload_too_large", "unsupported_media_type", "validation_failed", "unavailable"),
        openapi_extra=openapi.write(BulkBody),
    )
    return router
