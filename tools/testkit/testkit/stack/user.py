"""A user of the product for tests: REST and WebSocket, nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from local_stack.credential import headers_of

WAIT_SECONDS = 60.0
"""How long a condition may take before the test fails with the last state it saw."""

_T = TypeVar("_T")


class User:
    """Starts runs, decides checkpoints, reads views and histories."""

    def __init__(self, gateway_url: str, ws_url: str, name: str = "ann", key: str | None = None) -> None:
        """With a `key`, it says who the user is; without one, while authentication is off, each decision does."""
        self._headers = headers_of(key)
        self._signature = {"actor": name} if key is None else {}
        self.http = httpx.AsyncClient(base_url=gateway_url, headers=self._headers, timeout=40)
        self.ws_url = ws_url
        self.name = name

    async def start(self, *, hitl: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
        """Start a run on the sandbox; `hitl` is its review configuration."""
        body = {"prompt": "a red bicycle in the rain", "provider": "sandbox", "hitl_config": hitl or {}, **request}
        answer = await self.http.post("/hitl/runs", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def view(self, run_id: str, min_version: int | None = None) -> dict[str, Any]:
        """Read a run, once its view has reached `min_version`."""
        params = {} if min_version is None else {"min_version": min_version}
        answer = await self.http.get(f"/hitl/runs/{run_id}", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, run_id: str, *states: str, paused: bool = False) -> dict[str, Any]:
        """Wait until a run has a checkpoint in one of `states`, or has ended in it."""

        async def look() -> dict[str, Any] | None:
            answer = await self.http.get(f"/hitl/runs/{run_id}")
            if answer.status_code != 200:
                return None
            view = dict(answer.json())
            waits = view["checkpoint"] is not None or view["state"] in ("completed", "failed", "cancelled")
            return view if view["state"] in states and (waits or paused) else None

        return await until(look, lambda: self.http.get(f"/hitl/runs/{run_id}"))

    async def decide(self, view: dict[str, Any], action: str, **body: Any) -> httpx.Response:
        """Decide the open checkpoint of `view`, bound to it and to its bytes."""
        checkpoint = view["checkpoint"]
        bound = {"checkpoint_id": checkpoint["checkpoint_id"], "subject_sha256": checkpoint["subject_sha256"]}
        return await self.post(view["run_id"], action, **{**bound, **self._signature, **body})

    async def post(
        self, run_id: str, action: str, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Post any action on a run."""
        return await self.http.post(f"/hitl/runs/{run_id}/{action}", json=body, headers=headers)

    async def history(self, run_id: str) -> list[dict[str, Any]]:
        """Read every event of a run."""
        answer = await self.http.get(f"/hitl/runs/{run_id}/history")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def kinds(self, run_id: str) -> list[str]:
        """Read the kinds of a run's events, without their version suffix."""
        return [event["kind"].removesuffix(".v1") for event in await self.history(run_id)]

    def watch(self, **query: str) -> WatchSocket:
        """Watch over the WebSocket."""
        return WatchSocket(self.ws_url, query, self._headers)


class WatchSocket:
    """One WebSocket connection, as an async context manager."""

    def __init__(self, url: str, query: dict[str, str], headers: dict[str, str] | None = None) -> None:
        self._headers = headers
        self._url = str(httpx.URL(url, params=query)) if query else url
        self._socket: ClientConnection | None = None
        self.seen: list[dict[str, Any]] = []
        self._given: set[int] = set()

    async def __aenter__(self) -> Self:
        self._socket = await connect(self._url, max_size=None, additional_headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        assert self._socket is not None
        async with asyncio.timeout(WAIT_SECONDS):
            message = dict(json.loads(await self._socket.recv()))
        self.seen.append(message)
        return message

    async def until(self, kind: str, **members: Any) -> dict[str, Any]:
        """Return the first message of a type with these members that was not returned before."""
        looked = 0
        while True:
            for number, message in enumerate(self.seen[looked:], looked):
                fits = message["type"] == kind and all(message.get(name) == value for name, value in members.items())
                if fits and number not in self._given:
                    self._given.add(number)
                    return message
            looked = len(self.seen)
            await self.next()

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.send_text(json.dumps(message))

    async def send_text(self, text: str) -> None:
        """Send any text."""
        assert self._socket is not None
        await self._socket.send(text)

    async def decide(self, request: dict[str, Any], action: str, **body: Any) -> dict[str, Any]:
        """Answer a `HITL_APPROVAL_REQUEST` and return the result."""
        request_id = uuid4().hex
        await self.say(
            type="HITL_APPROVAL_RESPONSE",
            request_id=request_id,
            run_id=request["run_id"],
            checkpoint_id=request["checkpoint"]["checkpoint_id"],
            action=action,
            **body,
        )
        return await self.until("HITL_APPROVAL_RESULT", request_id=request_id)


async def until(look: Callable[[], Awaitable[_T | None]], explain: Callable[[], Awaitable[Any]] | None = None) -> _T:
    """Return the first result of `look` that is not None."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                found = await look()
                if found is not None:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        seen = await explain() if explain else None
        raise AssertionError(f"did not come true; last seen: {getattr(seen, 'text', seen)}") from None
