"""Shared by all fake vendors: remembered calls, the choice of a fault, and the faults below every protocol.

A fault is chosen by the model (`fault-429`), by the header `x-fake-fault: 429`, or by `[fault:429]` in the prompt;
`[fault:429 x2]` has it for two calls with that mark only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fake_vendors.streams import PACE, event
from provider_worker.providers.payload_schema import at

WRONG_KEY = "wrong-key"

_MARKER = re.compile(r"\[fault:(\w+)(?: x(\d+))?\]")
_HUGE = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that a test states byte by byte. `missing` bytes are promised and never come: the connection breaks."""

    body: bytes
    media_type: str = "application/json"
    missing: int = 0

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return a whole answer of a JSON value."""
        return cls(json.dumps(value).encode())

    @classmethod
    def stream(cls, *events: Any, missing: int = 0) -> Self:
        """Return a stream of server-sent events."""
        return cls(b"".join(map(event, events)), "text/event-stream", missing)

    def response(self) -> Response:
        """Return it over HTTP."""
        length = {"content-length": str(len(self.body) + self.missing)}
        return StreamingResponse(_chunks(self.body), media_type=self.media_type, headers=length)


class FakeServer(ABC):
    """A vendor's memory: which calls it got. `GET /_calls` counts them by path, `GET /_prompts` by prompt; `DELETE /_calls` forgets.

    `pace` is the time between two words of a stream. `GET /_calls` counts `disconnects` too, the streams that a client closed
    before their end, and a vendor's `others`. The answers in `told` are given first, one for each call.
    """

    def __init__(self, pace: float = 0.0) -> None:
        self.calls: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.pace = pace
        self.bodies: list[dict[str, Any]] = []
        self.told: list[Told] = []
        self._faulted: Counter[str] = Counter()

    @abstractmethod
    def app(self) -> Starlette:
        """Return the server as an ASGI application."""

    @abstractmethod
    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return the prompt of a call, as text."""

    @property
    def counters(self) -> Sequence[Route]:
        """The routes that count the calls."""
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

    async def unanswered(self, fault: str | None) -> Response | None:
        """Answer as a test tells, or with a fault below the protocol; None where the call is answered by rule."""
        return self.told.pop(0).response() if self.told else await transport_fault(fault)

    def gone(self) -> None:
        """Count a client that closed its connection before the end of a stream."""
        self.others["disconnects"] += 1

    async def _counted(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.calls.clear()
            self.others.clear()
            self.bodies.clear()
            self._faulted.clear()
        return JSONResponse({**self.calls, "total": self.calls.total(), **self.others})

    async def _prompts(self, _: Request) -> Response:
        return JSONResponse(Counter(map(self.prompt_of, self.bodies)))


def refused_key(request: Request) -> str | None:
    """Return the key that a request shows, as a bearer token or in `x-api-key`, when it is none or the wrong one; else None."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    key = request.headers.get("x-api-key", bearer)
    return None if key and key != WRONG_KEY else key


def texts_of(messages: Any) -> str:
    """Return the texts of all messages, whose contents are texts or lists of parts."""
    contents = [at(message, ["content"]) for message in messages] if isinstance(messages, list) else []
    parts = [part for one in contents for part in (one if isinstance(one, list) else [{"text": one}])]
    return "\n".join(part["text"] for part in parts if isinstance(at(part, ["text"]), str))


async def transport_fault(fault: str | None) -> Response | None:
    """Wait a second (`slow`) or for ever (`hang`), break off (`reset`), or answer with no JSON (`malformed`) or 50 MB (`huge`)."""
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


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _much() -> AsyncIterator[bytes]:
    for _ in range(_HUGE // 65536):
        yield b" " * 65536


def serve(server: type[FakeServer], description: str, port: int) -> None:
    """Serve on loopback until a signal, on `--port` or else on `port`, with `--pace` seconds between two words of a stream."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--pace", type=float, default=PACE)
    given = parser.parse_args()
    uvicorn.run(server(given.pace).app(), host="127.0.0.1", port=given.port, log_level="warning")
