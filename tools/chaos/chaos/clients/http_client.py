"""An HTTP client that retries with the same Idempotency-Key after 503, 202, timeouts and lost connections."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from chaos.clients.bad_clients import hang_up
from chaos.clients.people import REQUESTER, token_of
from chaos.clients.requests import Answer, Request
from local_stack.credential import headers_of

ANSWER_SECONDS = 15.0
"""The timeout of one answer; longer than the gateway's own wait."""

AGAIN_SECONDS = (0.1, 0.25, 0.5, 1.0)
"""Pauses between tries; the last one repeats."""

Urls = Callable[[], Sequence[str]]
"""The current gateways or notifiers, as a load balancer knows them."""

Keys = Mapping[str, str]
"""The key of each person; none while authentication is off."""


class HttpClient:
    """Sends requests to any of the gateways. With `hangs_up`, each request is broken off once before it is sent in full."""

    def __init__(self, gateways: Urls, keys: Keys) -> None:
        self._gateways = gateways
        self._keys = keys
        self._turn = itertools.count()
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=2), limits=httpx.Limits(max_connections=200), trust_env=False
        )
        self.hangs_up = False

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(self, request: Request, path: str) -> Answer:
        """Return the final answer to `request`, however long it takes."""
        for pause in itertools.chain(AGAIN_SECONDS, itertools.repeat(AGAIN_SECONDS[-1])):
            headers = {"Idempotency-Key": request.key, **headers_of(self._credential(request))}
            if self.hangs_up:
                await hang_up(self._gateway(), f"{request.method} {path}", request.body, headers, next(self._turn))
            answer = await self._once(request.method, path, request.body, headers)
            request.sent += 1
            if answer is not None:
                request.answers.append(answer)
                if answer.is_final:
                    return answer
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def read(self, path: str) -> dict[str, Any] | None:
        """Return the JSON at `path`, or None if there is none, however long it takes."""
        while True:
            answer = await self._once("GET", path, headers=headers_of(self._keys.get(REQUESTER)))
            if answer is not None and answer.is_final:
                assert answer.status in (200, 404), f"{path}: {answer}"
                return answer.body if answer.status == 200 else None
            await asyncio.sleep(AGAIN_SECONDS[-1])

    def _credential(self, request: Request) -> str | None:
        return self._keys.get(request.actor) if request.groups is None else token_of(request.actor, request.groups)

    def _gateway(self) -> str:
        urls = self._gateways()
        return urls[next(self._turn) % len(urls)]

    async def _once(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer | None:
        try:
            response = await self._http.request(method, self._gateway() + path, json=body, headers=headers)
            return Answer(response.status_code, dict(response.json()))
        except httpx.TransportError:
            return None
