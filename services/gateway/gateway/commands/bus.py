"""Commands out, outcomes back, answers made of them. Knows neither routes nor bodies."""

from __future__ import annotations

import time

import structlog
from starlette.responses import JSONResponse, Response

from contracts.runs.commands import Command, StartRun
from contracts.runs.outcomes import Accepted, Refused
from gateway.adapters.postgres.pool import Database
from gateway.http.problems import refused, unavailable
from gateway.metrics import seconds_to
from gateway.ports import Run
from gateway.projection.view import run_of
from gateway.read_model.answer_cache import Recent
from messaging.errors import BrokerUnavailable
from messaging.request_reply import RequestReply

_log = structlog.get_logger(__name__)


class Outcomes:
    """Asks the orchestrator, and waits for a bounded time."""

    def __init__(self, desk: RequestReply, database: Database, recent: Recent, wait_seconds: float) -> None:
        self._desk = desk
        self._recent = recent
        self._database = database
        self._wait_seconds = wait_seconds
        self.listening = False

    async def ask(self, command: Command) -> Response:
        """Send `command` and answer with the run's view, or 202 when the outcome is late. Raises Problem, BrokerUnavailable.

        Nothing is sent while PostgreSQL is known to be away: the orchestrator could not decide.
        """
        await self._database.check()
        if not self.listening:
            raise BrokerUnavailable("not connected yet")
        began = time.perf_counter()
        try:
            outcome = await self._desk.ask(command, self._wait_seconds)
        except BrokerUnavailable as error:
            _log.warning("Kafka does not take a command", run_id=str(command.run_id), reason=str(error))
            raise
        seconds_to(outcome.kind if outcome else "late").observe(time.perf_counter() - began)
        match outcome:
            case Accepted(view=view):
                run = run_of(view)
                self._recent.answered(command.tenant, command.run_id, run)
                return _answer(run, command)
            case Refused():
                raise refused(outcome)
            case None:
                return self._late(command)

    def _late(self, command: Command) -> Response:
        if self._database.is_away:
            raise unavailable(
                "the database went away; the command is kept and carried out when it returns",
                run_id=str(command.run_id),
                command_id=str(command.command_id),
            )
        body = {
            "run_id": str(command.run_id),
            "command_id": str(command.command_id),
            "state": "accepted",
            "detail": "the outcome is late; the command is kept and carried out",
        }
        return JSONResponse(body, 202, {"Location": _location(command)})


def _answer(run: Run, command: Command) -> Response:
    headers = {"ETag": f'"{run.version}"'}
    if isinstance(command, StartRun):
        return Response(run.view, 201, {**headers, "Location": _location(command)}, "application/json")
    return Response(run.view, 200, headers, "application/json")


def _location(command: Command) -> str:
    return f"/hitl/runs/{command.run_id}"
