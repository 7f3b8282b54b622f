"""Readiness answers in time whatever its checks do, and says by name what cannot be done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from chassis.http.health import Health
from chassis.obstacle import Obstacle

ANSWER_SECONDS = 2.0


async def _well() -> None:
    return


async def _hangs() -> None:
    await asyncio.Event().wait()


async def _ignores_its_end() -> None:
    for _ in range(2):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def _refused() -> None:
    raise ConnectionError("the server takes no writes")


async def _fails_without_a_word() -> None:
    raise LookupError


async def asked(**checks: Callable[[], Any]) -> tuple[int, dict[str, Any]]:
    """Return what readiness answers."""
    health = Health()
    for name, check in checks.items():
        health.add(name, check)
    app = Starlette(routes=health.routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/health/ready")
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (_well, "ok"),
        (_refused, "the server takes no writes"),
        (_fails_without_a_word, "LookupError"),
        (_hangs, "no answer within 1.8 s"),
        (_ignores_its_end, "no answer within 1.8 s"),
    ],
)
async def test_each_check_has_its_answer(check: Callable[[], Awaitable[None]], said: str) -> None:
    """Within 2 s, though a check hangs, or goes on after it was cancelled; the others are answered beside it."""
    began = time.monotonic()
    status, body = await asked(one=check, other=_well)
    assert time.monotonic() - began < ANSWER_SECONDS + 1
    assert body == {
        "status": "ready" if said == "ok" else "unready",
        "checks": {"one": said, "other": "ok"},
    }
    assert status == (200 if said == "ok" else 503)


async def test_a_check_that_hangs_is_not_asked_twice_at_once() -> None:
    """Questions that come each second pile up nothing."""
    begun, most = 0, 0

    async def check() -> None:
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        try:
            await _ignores_its_end()
        finally:
            begun -= 1

    health = Health()
    health.add("one", check)
    answers = await asyncio.gather(*(health.failures() for _ in range(5)))
    assert answers == [{"one": "no answer within 1.8 s"}] * 5
    assert most == 1


async def test_work_that_is_held_is_an_obstacle_until_it_is_done() -> None:
    """A loop that tries again and again tells readiness why, and that it got on."""
    obstacle = Obstacle()
    obstacle.reason = "events are held: disk full"
    assert (await asked(held=obstacle.check))[1]["checks"] == {"held": "events are held: disk full"}
    obstacle.reason = None
    assert (await asked(held=obstacle.check))[0] == 200
