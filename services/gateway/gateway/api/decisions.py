"""Starting runs and deciding on them. Plain Starlette routes: on this path FastAPI's own handling costs as much as all the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from contracts.json_values import digest
from contracts.runs.commands import CONTROLS, DECISIONS, StartRun
from contracts.runs.requests import ApproveBody, ControlBody, EditBody, RejectBody
from gateway.catalog import Catalog
from gateway.commands.bus import Outcomes
from gateway.http import headers
from gateway.http.body import read_json
from gateway.http.fast_path import Endpoint
from gateway.http.issues import issue
from gateway.http.models import Start, read_model, read_start
from gateway.http.problems import Problem, invalid

START_PATHS = ("/hitl/runs", "/hitl/run")
BODIES: dict[str, type[ApproveBody | EditBody | RejectBody | ControlBody]] = {
    "approve": ApproveBody,
    "edit": EditBody,
    "reject": RejectBody,
    **dict.fromkeys(CONTROLS, ControlBody),
}
"""What is posted to each action of a run."""


class Writes:
    """Makes a command of each request, and the answer of what became of it."""

    def __init__(self, outcomes: Outcomes, catalog: Catalog, max_body_bytes: int) -> None:
        self._outcomes = outcomes
        self._catalog = catalog
        self._max_body_bytes = max_body_bytes

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """Return the endpoints by method and path."""
        starting = {("POST", path): self.start for path in START_PATHS}
        return starting | {("POST", f"/hitl/runs/{{run_id}}/{action}"): self._deciding(action) for action in BODIES}

    def routes(self) -> list[Route]:
        """Return the routes, for the front of the application's own."""
        return [_Write(path, endpoint, methods=[method]) for (method, path), endpoint in self.endpoints().items()]

    async def start(self, request: Request) -> Response:
        """Start a run."""
        headers.check_parameters(request)
        key = headers.idempotency_key(request)
        if headers.expected_version(request) is not None:
            raise Problem("precondition_failed", "a run that is not there yet has no version")
        body, raw = await read_json(request, self._max_body_bytes)
        start = read_start(body, raw)
        command = StartRun(
            command_id=headers.new_command_id("start", key),
            run_id=headers.new_run_id(key),
            tenant=headers.TENANT,
            at=datetime.now(UTC),
            actor=headers.ANONYMOUS,
            request_sha256=_digest("start", raw, key),
            request=start.request.changed({"provider": await self._provider(start)}),
        )
        return await self._outcomes.ask(command)

    def _deciding(self, action: str) -> Endpoint:
        command_type, body_type = (DECISIONS | CONTROLS)[action], BODIES[action]

        async def act(request: Request) -> Response:
            headers.check_parameters(request)
            run_id, key = headers.run_id_of(request), headers.idempotency_key(request)
            expected = headers.expected_version(request)
            body, raw = await read_json(request, self._max_body_bytes)
            said = read_model(body_type, body, raw)
            command = command_type(
                command_id=headers.new_command_id(run_id, key),
                run_id=run_id,
                tenant=headers.TENANT,
                at=datetime.now(UTC),
                request_sha256=_digest(action, raw, key),
                expected_version=expected,
                **{**vars(said), "actor": said.actor or headers.ANONYMOUS},
            )
            return await self._outcomes.ask(command)

        return act

    async def _provider(self, start: Start) -> str:
        await self._catalog.check()
        offer = self._catalog.find(start.request.provider)
        if offer is None:
            self._catalog.check_complete()
            known = ", ".join(offer.provider for offer in self._catalog.all())
            said = f"there is no provider {start.request.provider!r}; known are {known}"
            raise invalid([issue(start.provider_at, "provider_unknown", said)])
        return offer.provider


class _Write(Route):
    """Says which route was taken, as FastAPI's own do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


def _digest(action: str, raw: Any, key: str | None) -> str | None:
    return None if key is None else digest({"route": action, "body": raw})
