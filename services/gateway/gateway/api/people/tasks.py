"""Requests about a task: claim it, hand it on, give it back, ask others, change its dates."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.runs.tasks.bodies import TASK_BODIES, TaskAction, task_command_of
from contracts.runs.views import RunView
from gateway.api import openapi
from gateway.api.command_requests import CommandRequests
from gateway.http.problem_schemas import problems

_SUMMARIES: dict[TaskAction, str] = {
    "claim": "Claim what waits, or renew one's claim",
    "release": "Give a claim up",
    "assign": "Hand it to a person or a group",
    "delegate": "Ask another person, who gives it back",
    "return": "Give it back to its owner",
    "escalate": "Ask others in place of those before",
    "reschedule": "Change priority and dates",
}

_REFUSED = (
    *("not_candidate", "run_not_found", "not_allowed", "claimed_by_other", "not_claimed", "delegated"),
    *("checkpoint_already_decided", "checkpoint_mismatch", "newer_history", "history_too_long", "precondition_failed"),
    *("payload_too_large", "unsupported_media_type", "validation_failed", "idempotency_key_reused", "unavailable"),
)


def tasks_router(requests: CommandRequests) -> APIRouter:
    """Return the routes. Each answers with the run's view."""
    router = APIRouter(tags=["tasks"])
    for action, summary in _SUMMARIES.items():
        router.add_api_route(
            f"/hitl/runs/{{run_id}}/{action}",
            _endpoint(requests, action),
            methods=["POST"],
            summary=summary,
            operation_id=f"{action}_task",
            response_model=RunView,
            responses=problems(*_REFUSED),
            openapi_extra=openapi.write(TASK_BODIES[action], required=action in ("assign", "delegate")),
        )
    return router


def _endpoint(requests: CommandRequests, action: TaskAction) -> Any:
    async def act(request: Request, run_id: str) -> Response:  # noqa: ARG001 - named for the document
        said = await requests.read(request, action, TASK_BODIES[action])
        return await requests.answer(task_command_of(said.body, said.head))

    return act
