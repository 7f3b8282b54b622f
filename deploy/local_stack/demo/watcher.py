"""A reviewer at the WebSocket."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import websockets

from local_stack.demo.people import Person
from local_stack.demo.terminal import NotAsToldError

PATIENCE_SECONDS = 20.0
Json = dict[str, Any]


class Watcher:
    """A client of the WebSocket that reads the pushed messages and decides there."""

    def __init__(self, socket: websockets.ClientConnection, person: Person) -> None:
        self._socket = socket
        self._person = person

    async def receive(self, kind: str, **members: object) -> Json:
        """Return the next message of `kind` with these members. Raises NotAsToldError when none comes."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    message: Json = json.loads(await self._socket.recv())
                    if message["type"] == kind and members.items() <= message.items():
                        return message
        except TimeoutError:
            raise NotAsToldError(f"no {kind} on the WebSocket within {PATIENCE_SECONDS:g} s") from None

    async def stream_output(self, run_id: str) -> Json:
        """Print the call's partial output as it comes; return the request to review its answer. Raises NotAsToldError."""
        text, request = "", None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                # The request travels on another topic than the partial output and may overtake it.
                while request is None or not text:
                    message: Json = json.loads(await self._socket.recv())
                    if message["type"] == "HITL_PARTIAL_OUTPUT" and message["run_id"] == run_id:
                        print("" if text else "  ", message["text"], sep="", end="", flush=True)
                        text += message["text"]
                    if message["type"] == "HITL_APPROVAL_REQUEST" and message["run_id"] == run_id:
                        request = message
        except TimeoutError:
            missing = "no answer" if text else "said nothing while it ran"
            raise NotAsToldError(f"the call has {missing}, after {PATIENCE_SECONDS:g} s") from None
        answer = str(request["checkpoint"]["subject"].get("text", ""))
        print(answer.removeprefix(text) if answer.startswith(text) else "")
        return request

    async def approve(self, request: Json) -> Json:
        """Approve the request's checkpoint; return the result."""
        decision = {
            "type": "HITL_APPROVAL_RESPONSE",
            "request_id": secrets.token_hex(4),
            "run_id": request["run_id"],
            "checkpoint_id": request["checkpoint"]["checkpoint_id"],
            "subject_sha256": request["checkpoint"]["subject_sha256"],
            "action": "approve",
            **self._person.signature,
        }
        await self._socket.send(json.dumps(decision))
        return await self.receive("HITL_APPROVAL_RESULT", request_id=decision["request_id"])
