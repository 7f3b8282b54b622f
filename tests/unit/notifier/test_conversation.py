"""What a client says is answered, whatever it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from contracts.runs.commands import Decide
from contracts.runs.outcomes import Outcome, Refused
from notifier.protocol.client_session import MOST_AT_ONCE, Conversation
from notifier.protocol.messages import ErrorMessage


class Talk:
    """A conversation, what was sent to the client, and a core that answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.arrived = asyncio.Condition()
        self.asked: list[Decide] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.conversation = Conversation(self._send, self._ask, "ann")

    async def say(self, text: str | None) -> dict[str, Any]:
        """Say something that is answered at once."""
        await self.conversation.hear(text)
        return self.sent[-1]

    async def until(self, count: int) -> None:
        """Wait for so many answers."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.sent) >= count)

    async def _send(self, text: str) -> None:
        async with self.arrived:
            self.sent.append(json.loads(text))
            self.arrived.notify_all()

    async def _ask(self, command: Decide) -> Outcome | None:
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
    talk = Talk()
    assert await talk.say('{"type":"PING"}') == {"type": "PONG"}
    assert await talk.say('{"type":"AUTH","token":"t"}') == {"type": "AUTH_OK"}


@pytest.mark.parametrize(
    ("text", "path", "request_id"),
    [
        (None, "", None),
        ("", "", None),
        ("{", "", None),
        ("[]", "", None),
        ("1", "", None),
        ('{"a":NaN}', "", None),
        ('{"type":"PING","x":"\\ud800"}', "", None),
        ("[" * 5_000 + "]" * 5_000, "", None),
        ('{"type":"PING","a":' + "[" * 5_000 + "]" * 5_000 + "}", "", None),
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
async def test_what_is_not_understood_is_answered_with_its_place(
    text: str | None, path: str, request_id: str | None
) -> None:
    """An ERROR names what is wrong, and the request where it can be read; nothing is done."""
    talk = Talk()
    error = ErrorMessage.model_validate(await talk.say(text))
    assert error.code == "validation_failed"
    assert path in [fault.path for fault in error.issues]
    assert error.request_id == request_id
    assert talk.asked == []
    assert await talk.say('{"type":"PING"}') == {"type": "PONG"}


async def test_a_decision_is_answered_when_it_is_decided() -> None:
    """What is said meanwhile is answered before."""
    talk = Talk()
    talk.answering.clear()
    await talk.conversation.hear(response("r1"))
    await talk.conversation.hear('{"type":"PING"}')
    talk.answering.set()
    await talk.until(2)
    assert [message["type"] for message in talk.sent] == ["PONG", "HITL_APPROVAL_RESULT"]
    assert (talk.sent[1]["request_id"], talk.asked[0].actor) == ("r1", "ann")


async def test_decisions_under_way_are_bounded_and_none_is_lost() -> None:
    """A client that says more is read on when one is answered."""
    talk = Talk()
    talk.answering.clear()
    for number in range(MOST_AT_ONCE):
        await talk.conversation.hear(response(str(number)))
    one_more = asyncio.create_task(talk.conversation.hear(response("last")))
    for _ in range(10):
        await turn()
    assert not one_more.done()
    talk.answering.set()
    await one_more
    await talk.until(MOST_AT_ONCE + 1)
    assert len(talk.asked) == MOST_AT_ONCE + 1
