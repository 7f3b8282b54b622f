"""A client's session: every message is answered."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from contracts.runs.commands import Asked
from contracts.runs.outcomes import Answer, Refused
from notifier.errors import ClientGone
from notifier.protocol.client_session import MAX_REQUESTS, ClientSession
from notifier.protocol.messages import ErrorMessage

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Client:
    """A client, the messages that it got, and an orchestrator that answers while `answering` is set."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.arrived = asyncio.Condition()
        self.asked: list[Asked] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.gone = False
        self.session = ClientSession(self._send, self._ask, "ann", lambda: NOW)

    async def say(self, text: str | None) -> dict[str, Any]:
        """Send a message that is answered at once."""
        await self.session.receive(text)
        return self.sent[-1]

    async def until(self, count: int) -> None:
        """Wait for so many answers."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.sent) >= count)

    async def _send(self, text: str) -> None:
        if self.gone:
            raise ClientGone
        async with self.arrived:
            self.sent.append(json.loads(text))
            self.arrived.notify_all()

    async def _ask(self, command: Asked) -> Answer | None:
        self.asked.append(command)
        await self.answering.wait()
        return Refused(command_id=command.command_id, run_id=command.run_id, code="not_allowed", message="no")


def response(request_id: str = "r") -> str:
    """Return a decision."""
    message = {"type": "HITL_APPROVAL_RESPONSE", "request_id": request_id, "run_id": str(uuid4()), "action": "approve"}
    return json.dumps(message)


async def turn() -> None:
    """Let the loop turn once."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await turned.wait()


async def test_a_ping_gets_its_pong_and_an_auth_its_ok() -> None:
    """While authentication is off, any token will do."""
    client = Client()
    assert await client.say('{"type":"PING"}') == {"type": "PONG"}
    assert await client.say('{"type":"AUTH","token":"t"}') == {"type": "AUTH_OK"}


@pytest.mark.parametrize(
    ("text", "path", "request_id"),
    [
        (None, "", None),
        ("", "", None),
        ("{", "", None),
        ("[]", "", None),
        ("1", "", None),
        ('{"a":NaN}', "/a", None),
        ('{"type":"PING","x":"\\ud800"}', "/x", None),
        ("[" * 5_000 + "]" * 5_000, "", None),
        ('{"type":"PING","a":' + "[" * 5_000 + "]" * 5_000 + "}", "/a", None),
        ("{}", "/type", None),
        ('{"type":5,"request_id":"r"}', "/type", "r"),
        ('{"type":"FLY","request_id":"r"}', "/type", "r"),
        ('{"type":"PING","x":1,"request_id":"r"}', "/x", "r"),
        ('{"type":"AUTH"}', "/token", None),
        ('{"type":"AUTH","token":5,"request_id":["r"]}', "/request_id", None),
        ('{"type":"HITL_APPROVAL_RESPONSE","request_id":"r"}', "/run_id", "r"),
        ('{"type":"HITL_APPROVAL_RESPONSE","request_id":"' + "r" * 201 + '"}', "/request_id", None),
    ],
)
async def test_an_invalid_message_is_answered_with_its_faults(
    text: str | None, path: str, request_id: str | None
) -> None:
    """An ERROR names each fault, and the request where it can be read; the message has no effect."""
    client = Client()
    error = ErrorMessage.model_validate(await client.say(text))
    assert error.code == "validation_failed"
    assert path in [fault.path for fault in error.issues]
    assert error.request_id == request_id
    assert client.asked == []
    assert await client.say('{"type":"PING"}') == {"type": "PONG"}


async def test_a_decision_is_answered_when_its_outcome_comes() -> None:
    """Messages that come meanwhile are answered before it. Its time is the session's clock's."""
    client = Client()
    client.answering.clear()
    await client.session.receive(response("r1"))
    await client.session.receive('{"type":"PING"}')
    client.answering.set()
    await client.until(2)
    assert [message["type"] for message in client.sent] == ["PONG", "HITL_APPROVAL_RESULT"]
    assert (client.sent[1]["request_id"], client.asked[0].actor, client.asked[0].at) == ("r1", "ann", NOW)


async def test_a_decision_of_a_client_that_is_gone_is_sent_all_the_same() -> None:
    """Its result is lost, which is no error; the session's other decisions are not affected."""
    client = Client()
    client.answering.clear()
    with capture_logs() as logs:
        await client.session.receive(response("r1"))
        client.gone = True
        client.answering.set()
        for _ in range(10):
            await turn()
    assert len(client.asked) == 1
    assert logs == []
    client.gone = False
    await client.session.receive(response("r2"))
    await client.until(1)
    assert [message["request_id"] for message in client.sent] == ["r2"]


async def test_unanswered_decisions_are_bounded_and_none_is_lost() -> None:
    """The session reads on when one is answered."""
    client = Client()
    client.answering.clear()
    for number in range(MAX_REQUESTS):
        await client.session.receive(response(str(number)))
    one_more = asyncio.create_task(client.session.receive(response("last")))
    for _ in range(10):
        await turn()
    assert not one_more.done()
    client.answering.set()
    await one_more
    await client.until(MAX_REQUESTS + 1)
    assert len(client.asked) == MAX_REQUESTS + 1
