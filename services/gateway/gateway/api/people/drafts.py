"""Drafts of decisions: one a person and run. That there is one is an event; its content is in no history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from contracts.runs.commands import Command, DropDraft, KeepDraft
from contracts.runs.outcomes import Refused
from contracts.runs.tasks.bodies import DraftBody
from contracts.runs.tasks.persons import person_of
from contracts.runs.views import RenderedView, RunView
from gateway.api import openapi
from gateway.api.command_requests import CommandRequests, late
from gateway.api.runs import RunReads
from gateway.http import headers
from gateway.http.caller import caller_of
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem, refused
from gateway.ports import Drafts, KeptDraft


class Draft(BaseModel):
    """A draft, and the checkpoint that it is about, which may be decided by now."""

    checkpoint_id: UUID
    saved_at: datetime
    action: str | None = None
    edits: dict[str, Any] | None = None
    comment: str | None = None
    reason: str | None = None
    reason_code: str | None = None


class DraftEndpoints:
    """The endpoints."""

    def __init__(self, requests: CommandRequests, reads: RunReads, drafts: Drafts) -> None:
        self._requests = requests
        self._reads = reads
        self._drafts = drafts

    async def put(self, request: Request, run_id: str) -> Response:  # noqa: ARG002 - named for the document
        """Keep one's draft of a decision on what waits. A holder's draft renews its claim."""
        said = await self._requests.read(request, "draft", DraftBody)
        head, body = said.head, said.body
        view = await self._carried_out(KeepDraft(**head._asdict(), checkpoint_id=body.checkpoint_id))
        if isinstance(view, Response):
            return view
        assert view.checkpoint is not None, "a draft is kept of what waits"
        content = body.model_dump(mode="json", exclude={"checkpoint_id", "actor"})
        # Every character beyond ASCII is escaped: the column takes no NUL, and a lone surrogate is none of its text.
        kept = KeptDraft(view.checkpoint.checkpoint_id, to_json(content).decode(), self._requests.now())
        person = person_of(head.principal, head.actor)
        await self._drafts.put(head.tenant, head.run_id, person, kept)
        return _told(kept)

    async def get(self, request: Request, run_id: str, _: Annotated[NoParameters, Query()]) -> Response:  # noqa: ARG002
        """Return one's draft, also after somebody else has decided."""
        tenant, found_id, person = await self._whose(request)
        kept = await self._drafts.get(tenant, found_id, person)
        if kept is None:
            raise _not_found(found_id)
        return _told(kept)

    async def drop(self, request: Request, run_id: str, _: Annotated[NoParameters, Query()]) -> Response:  # noqa: ARG002
        """Drop one's draft."""
        tenant, found_id, person = await self._whose(request)
        if not await self._drafts.drop(tenant, found_id, person):
            raise _not_found(found_id)
        head = self._requests.head(caller_of(request), found_id, headers.idempotency_key(request), None, None)
        # A draft of what is decided by now is no event.
        await self._requests.ask(DropDraft(**head._asdict()))
        return Response(status_code=204)

    async def _whose(self, request: Request) -> tuple[str, UUID, str]:
        await self._reads.check(caller_of(request), headers.run_id_of(request))
        head = self._requests.head(caller_of(request), headers.run_id_of(request), None, None, None)
        return head.tenant, head.run_id, person_of(head.principal, head.actor)

    async def _carried_out(self, command: Command) -> RunView | Response:
        match outcome := await self._requests.ask(command):
            case RenderedView(json=view):
                return RunView.model_validate_json(view)
            case Refused():
                raise refused(outcome)
            case _:
                return late(outcome, command)


def drafts_router(endpoints: DraftEndpoints) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["tasks"])
    path = "/hitl/runs/{run_id}/draft"
    reading = problems("run_not_found", "draft_not_found", "validation_failed", "unavailable")
    router.add_api_route(
        path,
        endpoints.put,
        methods=["PUT"],
        summary="Keep one's draft",
        operation_id="put_draft",
        response_model=Draft,
        responses=problems(
            *("not_candidate", "run_not_found", "not_allowed", "checkpoint_already_decided"),
            *("checkpoint_mismatch", "payload_too_large", "unsupported_media_type", "validation_failed", "unavailable"),
            "idempotency_key_reused",
        ),
        openapi_extra=openapi.write(DraftBody),
    )
    router.add_api_route(
        path,
        endpoints.get,
        summary="Read one's draft",
        operation_id="get_draft",
        response_model=Draft,
        responses=reading,
    )
    router.add_api_route(
        path,
        endpoints.drop,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        summary="Drop one's draft",
        operation_id="drop_draft",
        responses=reading,
    )
    return router


def _told(kept: KeptDraft) -> Response:
    draft = Draft(checkpoint_id=kept.checkpoint_id, saved_at=kept.saved_at, **from_json(kept.json))
    return JSONResponse(draft.model_dump(mode="json"))


def _not_found(run_id: UUID) -> Problem:
    return Problem("draft_not_found", f"you have no draft of {run_id}")
