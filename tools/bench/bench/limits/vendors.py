"""Three fake vendors in one process that record when each call begins and ends. A call takes CALL_SECONDS.

`GET /_calls` answers `[[began, ended, tokens], ...]`, in seconds of the monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvicorn
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fake_vendors.anthropic import FakeAnthropic
from fake_vendors.huggingface import FakeHuggingFace
from fake_vendors.openai import FakeOpenAI

CALL_SECONDS = 1.0
_NOT_YET = 1e9


class RecordingVendor:
    """A fake vendor that records its calls."""

    def __init__(self, vendor: ASGIApp) -> None:
        self._vendor = vendor
        self._calls: list[list[float]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a call, or answer with all."""
        if scope["type"] != "http" or scope["method"] != "POST":
            is_calls = scope.get("path") == "/_calls"
            answer: Response = JSONResponse(self._calls) if is_calls else Response(status_code=404)
            return await (answer if scope["type"] == "http" else self._vendor)(scope, receive, send)
        call = [time.monotonic(), _NOT_YET, 0.0]
        self._calls.append(call)
        bodies: list[bytes] = []

        async def record(message: Message) -> None:
            bodies.append(message.get("body", b""))
            await send(message)

        await asyncio.sleep(CALL_SECONDS)
        try:
            await self._vendor(scope, receive, record)
        finally:
            call[1] = time.monotonic()
        call[2] = float(_tokens(b"".join(bodies)))
        return None


def _tokens(body: bytes) -> int:
    """Return the tokens in an answer's usage: in its JSON, or in one of its events."""
    found = 0
    for line in [body, *body.splitlines()]:
        try:
            answer = json.loads(line.removeprefix(b"data: "))
        except ValueError:
            continue
        usage = answer.get("usage") if isinstance(answer, dict) else None
        found = max(found, (usage or {}).get("total_tokens", 0))
    return found


async def serve(ports: list[int]) -> None:
    """Serve OpenAI, Anthropic and HuggingFace on loopback until a signal."""
    vendors: list[Any] = [FakeOpenAI(), FakeAnthropic(), FakeHuggingFace()]
    configs = [
        uvicorn.Config(RecordingVendor(vendor.app()), port=port, log_level="warning", lifespan="off")
        for vendor, port in zip(vendors, ports, strict=True)
    ]
    await asyncio.gather(*(uvicorn.Server(config).serve() for config in configs))


if __name__ == "__main__":
    asyncio.run(serve([int(port) for port in sys.argv[1:]]))
