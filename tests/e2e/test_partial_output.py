"""A call's output is streamed while it runs, on WebSocket and SSE, and a cancelled run stops its call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx

from testkit.stack.services import Stack
from testkit.stack.user import WAIT_SECONDS, User, WatchSocket, until

SLOWLY = {"stream": True, "fault": "slow", "delay_seconds": 1}
FOR_LONG = {**SLOWLY, "delay_seconds": 120}


async def partials(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """Yield the pieces of text in a stream of server-sent events."""
    kind = ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        if name == "data" and kind == "HITL_PARTIAL_OUTPUT":
            yield json.loads(value)
        if not line:
            kind = ""


def joined(pieces: list[dict[str, Any]]) -> str:
    """Return the text that pieces join up to, each where its offset says."""
    text = ""
    for piece in pieces:
        assert piece["offset"] == len(text)
        text += piece["text"]
    return text


def heard_in(socket: WatchSocket) -> list[dict[str, Any]]:
    """Return the pieces of text that were heard so far."""
    return [message for message in socket.seen if message["type"] == "HITL_PARTIAL_OUTPUT"]


async def test_what_a_call_says_is_pushed_while_it_runs(ann: User) -> None:
    """On the WebSocket, before the answer; together the pieces are the answer. Nothing of it is stored."""
    session = uuid4().hex
    async with ann.watch(session_id=session) as socket:
        await socket.until("SNAPSHOT")
        run_id = (await ann.start(parameters=SLOWLY, session_id=session))["run_id"]
        answer = await socket.until("HITL_STATUS_UPDATE", run_id=run_id, state="completed")
        text = answer["event"]["data"]["result"]["text"]
        while joined(pieces := heard_in(socket)) != text:  # events travel on a topic of their own, and may be faster
            await socket.next()
    kinds = [message["type"] for message in socket.seen]
    assert len(pieces) > 2
    assert kinds.index("HITL_PARTIAL_OUTPUT") < kinds.index("HITL_STATUS_UPDATE", kinds.index("HITL_PARTIAL_OUTPUT"))
    assert not any("partial" in kind for kind in await ann.kinds(run_id))


async def test_a_running_calls_text_is_pushed_to_a_runs_stream(ann: User, stack: Stack) -> None:
    """On the run's stream of Server-Sent Events, as events of a type of their own."""
    run_id = (await ann.start(parameters={**SLOWLY, "delay_seconds": 3}))["run_id"]
    address = f"{stack.gateway_url}/hitl/runs/{run_id}/events"
    async with httpx.AsyncClient(timeout=WAIT_SECONDS) as http, http.stream("GET", address) as answer:
        assert answer.status_code == 200
        piece = await anext(partials(answer.aiter_lines()))
    assert (piece["run_id"], piece["attempt"]) == (run_id, 1)
    assert piece["text"]


async def test_cancelling_a_run_ends_its_call_and_the_ledger_says_what_was_spent(ann: User) -> None:
    """The call would have gone on for two minutes; it costs what it had said."""
    async with ann.watch() as socket:
        run_id = (await ann.start(parameters=FOR_LONG))["run_id"]
        await socket.until("HITL_PARTIAL_OUTPUT", run_id=run_id)
    cancelled = await ann.post(run_id, "cancel", reason="enough")
    assert cancelled.json()["state"] == "cancelled"

    async def stopped() -> dict[str, Any] | None:
        return next((e for e in await ann.history(run_id) if e["kind"] == "call-stopped.v1"), None)

    event = await until(stopped)
    assert (event["data"]["ending"], event["actor"]) == ("stopped", "worker:sandbox")
    spent = event["data"]["spent"]
    assert spent["usage"]["answer_characters"] > 0
    view = await ann.view(run_id, event["version"])
    assert view["state"] == "cancelled"
    assert Decimal(view["cost"]["actual"]) == Decimal(spent["cost"]) > 0


async def test_a_run_that_is_cancelled_while_nothing_is_called_costs_nothing(ann: User) -> None:
    """There is no call to speak of."""
    run_id = (await ann.start(hitl={"policy": "require_human"}))["run_id"]
    await ann.until(run_id, "information_review")
    await ann.post(run_id, "cancel")
    await asyncio.sleep(0)
    assert "call-stopped" not in await ann.kinds(run_id)
