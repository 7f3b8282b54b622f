"""Decisions on several runs in one request, sent again until each has its answer, and once more then."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, NamedTuple

from chaos.clients.http_client import AGAIN_SECONDS, HttpClient
from chaos.clients.requests import Answer, Request

SIZE = 3
SECONDS = 1.0
"""So many decisions go out in one request, or those that came within this time."""


class _Item(NamedTuple):
    request: Request
    run_id: str
    answer: asyncio.Future[Answer]


class BulkRequests:
    """Collects decisions of one person, and makes one request of them."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._open: list[_Item] = []
        self._full = asyncio.Event()
        self.unequal: list[str] = []
        """Answers that differed when the request was repeated."""
        self.repeated = 0

    async def decide(self, request: Request, run_id: str) -> Answer:
        """Return the answer to one item. The first of several waits for the others, and sends them all."""
        item = _Item(request, run_id, asyncio.get_running_loop().create_future())
        items, full = self._open, self._full
        items.append(item)
        if len(items) == SIZE:
            self._open, self._full = [], asyncio.Event()
            full.set()
        if items[0] is item:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await full.wait()
            if self._open is items:
                self._open, self._full = [], asyncio.Event()
            await self._send(items)
        return await item.answer

    async def _send(self, items: list[_Item]) -> None:
        first = items[0].request
        for item in items:
            item.request.key, item.request.sent = first.key, 1
        said = {"action": "approve", "comment": first.key, "items": [_about(item) for item in items]}
        actor = {"actor": first.body["actor"]} if "actor" in first.body else {}
        whole = Request(first.key, "bulk", "http", first.actor, said | actor)
        answers = await self._answers(whole, items)
        again = await self._answers(whole, items)
        first.sent, self.repeated = whole.sent, self.repeated + 1
        for item, one, other in zip(items, answers, again, strict=True):
            if (one.status, one.body) != (other.status, other.body):
                self.unequal.append(f"{first.key} about {item.run_id}: {one} and then {other}")
            item.answer.set_result(one)

    async def _answers(self, whole: Request, items: list[_Item]) -> list[Answer]:
        """Return the final answers, one an item."""
        while True:
            told = await self._http.ask(whole, "/hitl/approvals/bulk")
            if not told.accepted:
                return [told] * len(items)
            answers = [_answer(one) for one in told.body["items"]]
            for item, answer in zip(items, answers, strict=True):
                item.request.answers.append(answer)
            if all(answer.is_final for answer in answers):
                return answers
            await asyncio.sleep(AGAIN_SECONDS[-1])


def _about(item: _Item) -> dict[str, Any]:
    bound = {name: item.request.body[name] for name in ("checkpoint_id", "subject_sha256")}
    return {"run_id": item.run_id, **bound}


def _answer(one: dict[str, Any]) -> Answer:
    return Answer(one["status"], one.get("view") or one.get("problem") or {})
