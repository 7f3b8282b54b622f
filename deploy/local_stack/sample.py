"""A sample run that waits for a decision, started over REST."""

from __future__ import annotations

from typing import Any

import httpx

from local_stack.credential import headers_of
from local_stack.wait import until

WAITING_SECONDS = 15.0
SESSION = "sample"
_RUN = {
    "prompt": "Write a friendly reminder that the invoice of last month is still open.",
    "provider": "sandbox",
    "user_id": "you",
    "session_id": SESSION,
    "hitl_config": {
        "policy": "require_human",
        "allowed_steps": ["payload_review", "response_review"],
        "timeout_seconds": 30 * 24 * 3600,
    },
}


class SampleFailed(Exception):
    """The sample run does not wait for a decision; the message says why."""


class KeyRefused(SampleFailed):
    """The gateway does not accept the key."""


async def waiting_sample(gateway: str, key: str | None = None) -> dict[str, Any]:
    """Return the view of a sample run that waits: the one of an earlier start, or a new one. Raises SampleFailed, KeyRefused."""
    async with httpx.AsyncClient(
        base_url=gateway, headers=headers_of(key), timeout=15, trust_env=False, event_hooks={"response": [_check]}
    ) as client:
        try:
            run_id = await _earlier(client) or await _start(client)
            return await _waiting(client, run_id)
        except (httpx.HTTPError, TimeoutError) as error:
            raise SampleFailed(str(error) or type(error).__name__) from None


async def _check(answer: httpx.Response) -> None:
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        await answer.aread()
        raise KeyRefused(str(answer.json()["detail"]))


async def _earlier(client: httpx.AsyncClient) -> str | None:
    page = await client.get("/hitl/approvals", params={"session_id": SESSION, "limit": 1})
    page.raise_for_status()
    items = page.json()["items"]
    return str(items[0]["run_id"]) if items else None


async def _start(client: httpx.AsyncClient) -> str:
    started = await client.post("/hitl/runs", json=_RUN)
    started.raise_for_status()
    return str(started.json()["run_id"])


async def _waiting(client: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    view: dict[str, Any] = {}

    async def waits() -> bool:
        nonlocal view
        answer = await client.get(f"/hitl/runs/{run_id}")
        if answer.is_success:
            view = answer.json()
        return bool(view.get("checkpoint"))

    await until(waits, WAITING_SECONDS, f"run {run_id} waits for a decision")
    return view
