"""The same decision on several checkpoints: one command each, one by one and in order, each with an answer of its own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

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
from gateway.http.problems import answer_to


class BulkAnswer(BaseModel):
    """What became of one item: the run's view, or the problem. `status` is what a request of its own would have got."""

    run_id: UUID
    status: int
    view: RunView | None = None
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

        Each item is decided as by a request of its own, after the one before. With an Idempotency-Key the same request again goes on
        where it was cut off: what was decided is answered again, and nothing is decided twice.
        """
        headers.check_parameters(request)
        caller, key = caller_of(request), headers.idempotency_key(request)
        body, raw = await read_json(request, self._requests.max_body_bytes)
        said = read_model(BulkBody, body, raw)
        answers = [await self._answer(request, caller, key, said, item) for item in said.items]
        return Response(to_json({"items": answers}), media_type="application/json")

    async def _answer(
        self, request: Request, caller: Caller, key: str | None, said: BulkBody, item: BulkItem
    ) -> dict[str, Any]:
        try:
            answer = await self._decide(caller, key, said, item)
        except Exception as error:  # each becomes the item's answer, and the next item is decided all the same
            answer, bug = await answer_to(request, error)
            if bug is not None:
                raise
        told = from_json(bytes(answer.body))
        member = "view" if answer.status_code < 300 else "problem"  # noqa: PLR2004 - HTTP's own bound
        return {"run_id": str(item.run_id), "status": answer.status_code, member: told}

    async def _decide(self, caller: Caller, key: str | None, said: BulkBody, item: BulkItem) -> Response:
        common = said.model_dump(exclude={"items", "action"})
        reason = {} if said.action == "reject" else {"reason": None, "reason_code": None}
        body = BODIES[said.action](**{**common, **reason}, **item.model_dump(exclude={"run_id"}))
        named = None if key is None else f"{key}\x1f{item.checkpoint_id}"
        sha256 = digest_of("bulk", {**common, "action": said.action, "item": item.model_dump(mode="json")}, key)
        command = command_of(said.action, body, self._requests.head(caller, item.run_id, named, said, sha256))
        return await self._requests.answer(command)


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
        responses=problems(
            "forbidden", "payload_too_large", "unsupported_media_type", "validation_failed", "unavailable"
        ),
        openapi_extra=openapi.write(BulkBody),
    )
    return router
