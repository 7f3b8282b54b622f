"""Comments on what waits: added, answered, edited, deleted, each an event of the run."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from contracts.runs.commands import AddComment, Command, DeleteComment, EditComment
from contracts.runs.outcomes import Refused
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.bodies import CommentBody, CommentEdit
from contracts.runs.views import RenderedView
from gateway.api import openapi
from gateway.api.command_requests import CommandRequests, late
from gateway.api.runs import RunReads
from gateway.commands.bus import Late
from gateway.http import headers
from gateway.http.caller import Caller, caller_of
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem, refused
from gateway.projection.comments import KINDS, Comment, comments_of


class CommentPage(BaseModel):
    """All comments of a run, in order."""

    items: list[Comment]
    next_cursor: str | None = None


class Comments:
    """The endpoints."""

    def __init__(self, requests: CommandRequests, reads: RunReads) -> None:
        self._requests = requests
        self._reads = reads

    async def add(self, request: Request, run_id: str) -> Response:  # noqa: ARG002 - named for the document
        """Comment on what waits, or answer a comment."""
        said = await self._requests.read(request, "comment", CommentBody)
        command = AddComment(**said.head._asdict(), text=said.body.text, answers=said.body.reply_to)
        return await self._told(request, command, command.command_id, 201)

    async def edit(self, request: Request, run_id: str, comment_id: str) -> Response:  # noqa: ARG002
        """Change the text of one's own comment. The history keeps the former one."""
        named = _id(comment_id)
        said = await self._requests.read(request, f"comment {named}", CommentEdit)
        command = EditComment(**said.head._asdict(), comment_id=named, text=said.body.text)
        return await self._told(request, command, named, 200)

    async def delete(self, request: Request, run_id: str, comment_id: str) -> Response:  # noqa: ARG002
        """Delete one's own comment. Its place stays, and says who deleted it and when."""
        headers.check_parameters(request)
        named, key = _id(comment_id), headers.idempotency_key(request)
        head = self._requests.head(caller_of(request), headers.run_id_of(request), key, None, None)
        return await self._told(request, DeleteComment(**head._asdict(), comment_id=named), named, 200)

    async def list_all(self, request: Request, run_id: str, _: Annotated[NoParameters, Query()]) -> CommentPage:  # noqa: ARG002
        """Return the comments of a run, in the order in which they were added."""
        return CommentPage(items=await self._all(caller_of(request), headers.run_id_of(request)))

    async def _told(self, request: Request, command: Command, comment_id: UUID, status: int) -> Response:
        """Carry a command out, and answer with the comment as it is then; with 202 if the read model does not show it in time."""
        caller = caller_of(request)
        match outcome := await self._requests.ask(command):
            case RenderedView(version=version):
                if not await self._reads.has_reached(caller, command.run_id, version):
                    return late(Late(database_is_unavailable=False), command)
                comments = await self._all(caller, command.run_id)
                found = next((one for one in comments if one.comment_id == comment_id), None)
                if found is None:
                    raise _not_found(comment_id)
                return JSONResponse(found.model_dump(mode="json"), status, {"ETag": f'"{version}"'})
            case Refused():
                raise refused(outcome)
            case _:
                return late(outcome, command)

    async def _all(self, caller: Caller, run_id: UUID) -> list[Comment]:
        events = await self._reads.events_of(caller, run_id, KINDS)
        return comments_of(RunEvent.parse(event.json) for event in events)


def comments_router(endpoints: Comments) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["tasks"])
    path, one = "/hitl/runs/{run_id}/comments", "/hitl/runs/{run_id}/comments/{comment_id}"
    refusals = ("not_candidate", "run_not_found", "comment_not_found", "not_allowed", "history_too_long")
    common = ("payload_too_large", "unsupported_media_type", "validation_failed", "idempotency_key_reused")
    responses = problems(*refusals, *common, "newer_history", "unavailable")
    router.add_api_route(
        path,
        endpoints.add,
        methods=["POST"],
        status_code=201,
        summary="Comment on what waits",
        operation_id="add_comment",
        response_model=Comment,
        responses=responses,
        openapi_extra=openapi.write(CommentBody),
    )
    router.add_api_route(
        path,
        endpoints.list_all,
        summary="Read the comments",
        operation_id="list_comments",
        response_model=CommentPage,
        responses=problems("run_not_found", "validation_failed", "unavailable"),
    )
    router.add_api_route(
        one,
        endpoints.edit,
        methods=["PUT"],
        summary="Edit a comment",
        operation_id="edit_comment",
        response_model=Comment,
        responses=responses,
        openapi_extra=openapi.write(CommentEdit),
    )
    router.add_api_route(
        one,
        endpoints.delete,
        methods=["DELETE"],
        summary="Delete a comment",
        operation_id="delete_comment",
        response_model=Comment,
        responses=responses,
    )
    return router


def _id(named: str) -> UUID:
    try:
        return UUID(named)
    except ValueError:
        raise _not_found(named) from None


def _not_found(named: UUID | str) -> Problem:
    return Problem("comment_not_found", f"there is no comment {named}")
