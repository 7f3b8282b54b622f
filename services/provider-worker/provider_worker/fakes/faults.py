"""What all fake vendors share: the calls they remember, the faults that are asked of them, those that no protocol decides.

A fault is chosen by the model (`fault-429`), by the header `x-fake-fault: 429`, or by `[fault:429]` in the prompt;
`[fault:429 x2]` has it for two calls with that mark only.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

WRONG_KEY = "wrong-key"

_MARKER = re.compile(r"\[fault:(\w+)(?: x(\d+))?\]")
_HUGE = 21 * 1024 * 1024


class FakeServer(ABC):
    """A vendor's memory: which calls it got. `GET /_calls` counts them by path, `GET /_prompts` by prompt; `DELETE /_calls` forgets."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._faulted: Counter[str] = Counter()

    @abstractmethod
    def app(self) -> Starlette:
        """Return the server as an ASGI application."""

    @abstractmethod
    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return what a call asks, as text."""

    @property
    def counters(self) -> Sequence[Route]:
        """The routes that tell of the calls."""
        return [Route("/_calls", self._counted, methods=["GET", "DELETE"]), Route("/_prompts", self._prompts)]

    def begin(self, request: Request, body: dict[str, Any]) -> str | None:
        """Count a call, and return the fault that it asks for."""
        self.calls[request.url.path] += 1
        self.bodies.append(body)
        if named := request.headers.get("x-fake-fault"):
            return named
        model = str(body.get("model"))
        if model.startswith("fault-"):
            return model.removeprefix("fault-")
        marked = _MARKER.search(self.prompt_of(body))
        if marked is None:
            return None
        self._faulted[marked[0]] += 1
        return marked[1] if marked[2] is None or self._faulted[marked[0]] <= int(marked[2]) else None

    async def _counted(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.calls.clear()
            self.bodies.clear()
            self._faulted.clear()
        return JSONResponse({**self.calls, "total": self.calls.total()})

    async def _prompts(self, _: Request) -> Response:
        return JSONResponse(Counter(map(self.prompt_of, self.bodies)))


async def transport_fault(fault: str | None) -> Response | None:
    """Wait a second (`slow`) or for ever (`hang`), break off (`reset`), or answer with no JSON (`malformed`) or 21 MB (`huge`)."""
    match fault:
        case "slow":
            await asyncio.sleep(1)
        case "hang":
            await asyncio.Event().wait()
        case "reset":
            return Response(b'{"begun":', headers={"content-length": "1000", "content-type": "application/json"})
        case "malformed":
            return Response("<html>Bad gateway</html>", media_type="text/html")
        case "huge":
            return StreamingResponse(_much(), media_type="application/json")
    return None


async def _much() -> AsyncIterator[bytes]:
    for _ in range(_HUGE // 65536):
        yield b" " * 65536


def serve(app: Starlette, description: str, port: int) -> None:
    """Serve on loopback until a signal, on `--port` or else on `port`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=port)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning")
