"""A client that asks over HTTP until it knows: again after 503, 202, timeouts and lost connections, with the same key."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from chaos.rudeness import hang_up
from chaos.stories import Answer, Asked

ANSWER_SECONDS = 15.0
"""How long one answer is waited for; the gateway promises to say something within its own wait."""

AGAIN_SECONDS = (0.1, 0.25, 0.5, 1.0)
"""Pauses between tries; the last one repeats."""

Urls = Callable[[], Sequence[str]]
"""The gateways or notifiers that stand at the moment, as a load balancer knows them."""


class Asking:
    """Asks any of the gateways. `rude` hangs up on each request once, somewhere in its middle, before it is asked in earnest."""

    def __init__(self, gateways: Urls) -> None:
        self._gateways = gateways
        self._turn = itertools.count()
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=2), limits=httpx.Limits(max_connections=200), trust_env=False
        )
        self.rude = False

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    async def ask(self, asked: Asked, path: str) -> Answer:
        """Return the truth about `asked`, however long it takes."""
        for pause in itertools.chain(AGAIN_SECONDS, itertools.repeat(AGAIN_SECONDS[-1])):
            if self.rude:
                await hang_up(self._gateway(), path, asked, next(self._turn))
            answer = await self._once("POST", path, asked.body, {"Idempotency-Key": asked.key})
            asked.sent += 1
            if answer is not None:
                asked.said.append(answer)
                if answer.is_final:
                    return answer
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def read(self, path: str) -> dict[str, Any] | None:
        """Return what stands at `path`, or None when there is nothing, however long it takes to be told."""
        while True:
            answer = await self._once("GET", path)
            if answer is not None and answer.is_final:
                return answer.body if answer.status == 200 else None
            await asyncio.sleep(AGAIN_SECONDS[-1])

    def _gateway(self) -> str:
        urls = self._gateways()
        return urls[next(self._turn) % len(urls)]

    async def _once(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer | None:
        try:
            said = await self._http.request(method, self._gateway() + path, json=body, headers=headers)
            return Answer(said.status_code, dict(said.json()))
        except httpx.TransportError:
            return None
