"""Commands out, outcomes back. Knows neither routes nor bodies, and makes no HTTP answers."""

from __future__ import annotations

import time
from typing import NamedTuple

import structlog

from contracts.runs.commands import Command
from contracts.runs.outcomes import Refused
from contracts.runs.views import RenderedView
from gateway.metrics import seconds_to
from gateway.ports import Broker, Database
from gateway.read_model.answer_cache import AnswerCache
from messaging.errors import BrokerUnavailable

_log = structlog.get_logger(__name__)


class Late(NamedTuple):
    """The outcome did not come in time. The command is kept in Kafka and carried out later."""

    database_is_unavailable: bool


CommandOutcome = RenderedView | Refused | Late


class CommandBus:
    """Sends commands to the orchestrator and waits for their outcomes, `wait_seconds` at most."""

    def __init__(self, broker: Broker, database: Database, answers: AnswerCache, wait_seconds: float) -> None:
        self._broker = broker
        self._database = database
        self._answers = answers
        self._wait_seconds = wait_seconds

    async def ask(self, command: Command) -> CommandOutcome:
        """Send `command` and return what became of it: the run's view, the refusal, or that the outcome is late.

        Raises BrokerUnavailable when Kafka does not take it, DatabaseUnavailable before anything is sent: the orchestrator could not decide.
        """
        await self._database.check()
        began = time.perf_counter()
        try:
            outcome = await self._broker.ask(command, self._wait_seconds)
        except BrokerUnavailable as error:
            _log.warning("Kafka does not take a command", run_id=str(command.run_id), reason=str(error))
            raise
        waited = time.perf_counter() - began
        match outcome:
            case RenderedView():
                seconds_to("accepted.v1").observe(waited)
                self._answers.answered(command.tenant, command.run_id, outcome)
                return outcome
            case Refused():
                seconds_to(outcome.kind).observe(waited)
                return outcome
            case None:
                seconds_to("late").observe(waited)
                return Late(self._database.is_unavailable)
