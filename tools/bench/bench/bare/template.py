"""Makes the steps with the product's core and sandbox, so that records have its contents and sizes. Runs before the measurement."""

from __future__ import annotations

from pydantic_core import from_json

from bench.bare.steps import REPLY_TO, Json, Step
from bench.driver.reviewers import START
from contracts.message import Message
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.runs.commands import StartRun
from contracts.runs.outcomes import Accepted
from contracts.runs.requests import RunRequest
from provider_worker.execution.execute import execute
from provider_worker.preparation.draft import Drafter
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.runs.commands import approve_as_seen, executed, prepared
from testkit.runs.specification import Ask, Story

_START = Ask(StartRun, lambda _: {"request": RunRequest.model_validate(START), "reply_to": REPLY_TO})
_APPROVE = approve_as_seen(reply_to=REPLY_TO)


async def make_steps() -> list[Step]:
    """Take one run from start to end through the product's core; return its steps."""
    story, steps = Story(), list[Step]()
    ask: Ask | None = _START
    while ask is not None:
        outcome = story.when(ask)
        assert outcome.refusal is None, f"{ask.kind.__name__} was refused: {outcome.refusal!r}"
        story, reached = outcome.story, len(story.history)
        orders = story.orders(since=reached)
        view = story.now.view
        answer = Accepted(command_id=outcome.command.command_id, run_id=view.run_id, view=view)
        steps.append(
            Step(
                command=_json(outcome.command),
                events=[_json(event) for event in outcome.events],
                order=_json(orders[0]) if orders else None,
                outcome=_json(answer) if outcome.command.reply_to is not None else None,
            )
        )
        ask = await _work(orders[0]) if orders else _APPROVE
        if view.is_over:
            ask = None
    return steps


async def _work(order: Message) -> Ask:
    """Execute an order as the worker does, with its sandbox."""
    sandbox, artifacts, sanitizer = SandboxProvider(), MemoryArtifacts(), Sanitizer([])
    match order:
        case PrepareOrder():
            drafted = await Drafter(Registry([sandbox]), artifacts, sanitizer).draft(order, sandbox)
            return prepared(**dict(drafted.preparation))
        case ExecuteOrder():
            return executed(**dict(await execute(order, sandbox, artifacts.of(order.tenant), sanitizer)))
        case _:
            raise AssertionError(f"no work for the sandbox: {order!r}")


def _json(message: Message) -> Json:
    return dict(from_json(message.model_dump_json()))
