"""Writes to runs: starting one, deciding on one, steering one. Each becomes a command, and the command's outcome the answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, assert_never

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chassis.http.problems import issue
from contracts.json_values import digest
from contracts.runs.commands import Command, StartRun
from contracts.runs.decisions import ANONYMOUS, BODIES, Action, CommandHead, command_of
from contracts.runs.outcomes import Refused
from contracts.runs.views import RenderedView
from gateway.catalog import Catalog
from gateway.commands.bus import CommandBus, CommandOutcome, Late
from gateway.http import headers
from gateway.http.body import read_json
from gateway.http.caller import Caller, caller_of
from gateway.http.fast_path import Endpoint
from gateway.http.models import Start, read_model, read_start
from gateway.http.problems import Problem, invalid, refused, unavailable
from gateway.ports import Now


class RunWrites:
    """The endpoints that write."""

    def __init__(self, bus: CommandBus, catalog: Catalog, now: Now, max_body_bytes: int) -> None:
        self._bus = bus
        self._catalog = catalog
        self._now = now
        self._max_body_bytes = max_body_bytes

    async def start(self, request: Request) -> Response:
        """Start a run."""
        headers.check_parameters(request)
        caller, key = caller_of(request), headers.idempotency_key(request)
        if headers.expected_version(request) is not None:
            raise Problem("precondition_failed", "a run that is not there yet has no version")
        body, raw = await read_json(request, self._max_body_bytes)
        start = read_start(body, raw)
        command = StartRun(
            command_id=headers.new_command_id(caller, "start", key),
            run_id=headers.new_run_id(caller, key),
            tenant=caller.tenant,
            at=self._now(),
            actor=caller.subject or ANONYMOUS,
            principal=caller.principal,
            request_sha256=_digest("start", raw, key),
            request=start.request.changed({"provider": await self._provider(start)}),
        )
        return _answer(await self._bus.ask(command), command, 201)

    def action(self, action: Action) -> Endpoint:
        """Return the endpoint of one action on a run."""
        body_type = BODIES[action]

        async def act(request: Request) -> Response:
            headers.check_parameters(request)
            caller = caller_of(request)
            run_id, key = headers.run_id_of(request), headers.idempotency_key(request)
            expected = headers.expected_version(request)
            body, raw = await read_json(request, self._max_body_bytes)
            said = read_model(body_type, body, raw)
            head = CommandHead(
                command_id=headers.new_command_id(caller, run_id, key),
                run_id=run_id,
                tenant=caller.tenant,
                at=self._now(),
                actor=_actor(said.actor, caller),
                principal=caller.principal,
                request_sha256=_digest(action, raw, key),
                expected_version=expected,
            )
            command = command_of(action, said, head)
            return _answer(await self._bus.ask(command), command, 200)

        return act

    async def _provider(self, start: Start) -> str:
        """Return the name of the provider that a start asks for, by its name or a tool's. Raises Problem, NoProviders."""
        await self._catalog.check()
        offer = self._catalog.find(start.request.provider)
        if offer is None:
            self._catalog.check_complete()
            known = ", ".join(offer.provider for offer in self._catalog.all())
            message = f"there is no provider {start.request.provider!r}; known are {known}"
            raise invalid([issue(start.provider_at, "provider_unknown", message)])
        return offer.provider


def _actor(said: str | None, caller: Caller) -> str:
    """Return who decides: as the credential says, and as the body says only where there is none. Raises Problem."""
    if caller.subject is None:
        return said or ANONYMOUS
    if said is not None:
        raise invalid([issue("/actor", "extra_forbidden", "who decides is who the credential says")])
    return caller.subject


def _digest(action: str, raw: Any, key: str | None) -> str | None:
    return None if key is None else digest({"route": action, "body": raw})


def _answer(outcome: CommandOutcome, command: Command, status: int) -> Response:
    """Return the answer to a command; `status` is that of an accepted one, and 201 says where the run is. Raises Problem."""
    match outcome:
        case RenderedView(version=version, json=view):
            location = {"Location": _location(command)} if status == HTTPStatus.CREATED else {}
            return Response(view, status, {"ETag": f'"{version}"', **location}, "application/json")
        case Refused():
            raise refused(outcome)
        case Late():
            return _late(outcome, command)
        case _:
            assert_never(outcome)


def _late(late: Late, command: Command) -> Response:
    """Return 202, or raise 503 when the outcome is late because of the database: then it cannot be said to come soon."""
    ids = {"run_id": str(command.run_id), "command_id": str(command.command_id)}
    if late.database_is_unavailable:
        raise unavailable("the database does not answer; the command is kept and carried out when it returns", **ids)
    body = {**ids, "state": "accepted", "detail": "the outcome is late; the command is kept and carried out"}
    return JSONResponse(body, 202, {"Location": _location(command)})


def _location(command: Command) -> str:
    return f"/hitl/runs/{command.run_id}"
