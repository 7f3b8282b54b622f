"""Requests that become commands: what they have in common, from the head and the body to the answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar, assert_never
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chassis.http.problems import issue
from contracts.json_values import digest
from contracts.message import Message
from contracts.runs.commands import Command
from contracts.runs.decisions import ANONYMOUS, CommandHead
from contracts.runs.outcomes import Refused
from contracts.runs.views import RenderedView
from gateway.commands.bus import CommandBus, CommandOutcome, Late
from gateway.http import headers
from gateway.http.body import read_json
from gateway.http.caller import Caller, caller_of
from gateway.http.models import read_model
from gateway.http.problems import invalid, refused, unavailable
from gateway.ports import Now

B = TypeVar("B", bound=Message)


class Said(NamedTuple, Generic[B]):
    """What a request about a run says: its body as a model, and the head of its command."""

    body: B
    head: CommandHead


class CommandRequests:
    """Reads requests about a run, asks the orchestrator, and makes the answers."""

    def __init__(self, bus: CommandBus, now: Now, max_body_bytes: int) -> None:
        self.now = now
        self.max_body_bytes = max_body_bytes
        self._bus = bus

    async def read(self, request: Request, action: str, body_type: type[B]) -> Said[B]:
        """Return what a request says; `action` tells one body under an Idempotency-Key from another's. Raises Problem."""
        headers.check_parameters(request)
        caller, run_id, key = caller_of(request), headers.run_id_of(request), headers.idempotency_key(request)
        expected = headers.expected_version(request)
        body, raw = await read_json(request, self.max_body_bytes)
        said = read_model(body_type, body, raw)
        return Said(said, self.head(caller, run_id, key, said, digest_of(action, raw, key), expected))

    def head(
        self, caller: Caller, run_id: UUID, key: str | None, said: Any, sha256: str | None, expected: int | None = None
    ) -> CommandHead:
        """Return the head of a caller's command. Raises Problem for an actor that a body names beside a credential."""
        return CommandHead(
            command_id=headers.new_command_id(caller, run_id, key),
            run_id=run_id,
            tenant=caller.tenant,
            at=self.now(),
            actor=_actor(getattr(said, "actor", None), caller),
            principal=caller.principal,
            request_sha256=sha256,
            expected_version=expected,
        )

    async def ask(self, command: Command) -> CommandOutcome:
        """Send a command and return what became of it."""
        return await self._bus.ask(command)

    async def answer(self, command: Command, status: int = 200) -> Response:
        """Send a command and answer with the view; `status` is that of an accepted one, and 201 says where the run is. Raises Problem."""
        match outcome := await self._bus.ask(command):
            case RenderedView(version=version, json=view):
                location = {"Location": _location(command)} if status == HTTPStatus.CREATED else {}
                return Response(view, status, {"ETag": f'"{version}"', **location}, "application/json")
            case Refused():
                raise refused(outcome)
            case Late():
                return late(outcome, command)
            case _:
                assert_never(outcome)


def digest_of(action: str, raw: Any, key: str | None) -> str | None:
    """Return the digest by which a body under an Idempotency-Key is known again."""
    return None if key is None else digest({"route": action, "body": raw})


def late(outcome: Late, command: Command) -> Response:
    """Return 202, or raise 503 when the outcome is late because of the database: then it cannot be said to come soon."""
    ids = {"run_id": str(command.run_id), "command_id": str(command.command_id)}
    if outcome.database_is_unavailable:
        raise unavailable("the database does not answer; the command is kept and carried out when it returns", **ids)
    body = {**ids, "state": "accepted", "detail": "the outcome is late; the command is kept and carried out"}
    return JSONResponse(body, 202, {"Location": _location(command)})


def _actor(said: str | None, caller: Caller) -> str:
    """Return who decides: as the credential says, and as the body says only where there is none. Raises Problem."""
    if caller.subject is None:
        return said or ANONYMOUS
    if said is not None:
        raise invalid([issue("/actor", "extra_forbidden", "who decides is who the credential says")])
    return caller.subject


def _location(command: Command) -> str:
    return f"/hitl/runs/{command.run_id}"
