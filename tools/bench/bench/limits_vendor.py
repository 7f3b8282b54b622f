"""Three fake vendors in one process that note when each call begins and ends. Their calls take a while, as real ones do.

`GET /_noted` tells it all, in seconds of the machine's steady clock: `[[began, ended, tokens], ...]`.
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


class Noting:
    """A fake vendor with a notebook."""

    def __init__(self, vendor: ASGIApp) -> None:
        self._vendor = vendor
        self._noted: list[list[float]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note a call, or tell of all."""
        if scope["type"] != "http" or scope["method"] != "POST":
            tells = scope.get("path") == "/_noted"
            answer: Response = JSONResponse(self._noted) if tells else Response(status_code=404)
            return await (answer if scope["type"] == "http" else self._vendor)(scope, receive, send)
        noted = [time.monotonic(), _NOT_YET, 0.0]
        self._noted.append(noted)
        said: list[bytes] = []

        async def note(message: Message) -> None:
            said.append(message.get("body", b""))
            await send(message)

        await asyncio.sleep(CALL_SECONDS)
        try:
            await self._vendor(scope, receive, note)
        finally:
            noted[1] = time.monotonic()
        noted[2] = float(_tokens(b"".join(said)))
        return None


def _tokens(body: bytes) -> int:
    """Return the tokens that an answer speaks of: in its JSON, or in one of its events."""
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
        uvicorn.Config(Noting(vendor.app()), port=port, log_level="warning", lifespan="off")
        for vendor, port in zip(vendors, ports, strict=True)
    ]
    await asyncio.gather(*(uvicorn.Server(config).serve() for config in configs))


if __name__ == "__main__":
    asyncio.run(serve([int(port) for port in sys.argv[1:]]))
