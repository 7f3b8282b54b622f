"""The work, `hitl-2`: start, stop at payload review, approve, call, stop at response review, approve, completed, result read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.driver.connection import Connection, Unexpected
from bench.driver.watcher import Watcher

START = {
    "prompt": "a red bicycle in the rain",
    "provider": "sandbox",
    "user_id": "u1",
    "session_id": "s1",
    "hitl_config": {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]},
}


@dataclass
class Timings:
    """The latencies that reviewers saw, in seconds, one figure a run."""

    first_request: list[float] = field(default_factory=list)
    next_request: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def runs(self) -> int:
        """The number of completed runs."""
        return len(self.completed)

    @property
    def rate(self) -> float:
        """Completed runs a second."""
        return self.runs / self.seconds


class Reviewers:
    """Reviewers who each take one run after another, with a connection each and one watcher for all."""

    def __init__(self, connections: list[Connection], watcher: Watcher, signature: dict[str, str]) -> None:
        """`signature` are the members of a decision that say who decides."""
        self.connections = connections
        self.watcher = watcher
        self._signature = signature

    @classmethod
    async def open(cls, gateway_url: str, ws_url: str, count: int, key: str | None = None) -> Reviewers:
        """Connect `count` reviewers, with one key for all."""
        watcher = await Watcher.open(ws_url, key)
        signature = {"actor": "ann"} if key is None else {}
        return cls([Connection(gateway_url, key) for _ in range(count)], watcher, signature)

    def close(self) -> None:
        """Close all connections."""
        self.watcher.close()
        for connection in self.connections:
            connection.close()

    async def work(self, runs: int) -> Timings:
        """Complete `runs` runs, all reviewers at once."""
        timings, left = Timings(), iter(range(runs))
        began = time.perf_counter()
        work = asyncio.gather(*(self._take_runs(connection, left, timings) for connection in self.connections))
        await asyncio.wait((work, self.watcher.lost), return_when=asyncio.FIRST_COMPLETED)
        await (work if work.done() else self.watcher.lost)
        timings.seconds = time.perf_counter() - began
        return timings

    async def _take_runs(self, connection: Connection, left: Iterator[int], timings: Timings) -> None:
        for _ in left:
            run_id, request = await self.start(connection, timings)
            await self.finish(connection, run_id, request, timings)

    async def start(self, connection: Connection, timings: Timings) -> tuple[str, Any]:
        """Start a run and wait for its first checkpoint."""
        began = time.perf_counter()
        run_id = (await connection.post("/hitl/runs", START, 201))["run_id"]
        first = await self.watcher.request(run_id)
        timings.first_request.append(first.at - began)
        return run_id, first.content

    async def finish(self, connection: Connection, run_id: str, checkpoint: Any, timings: Timings) -> None:
        """Approve both checkpoints of a started run and read its result."""
        began = time.perf_counter()
        await self._approve(connection, run_id, checkpoint)
        following = await self.watcher.request(run_id)
        timings.next_request.append(following.at - began)
        began = time.perf_counter()
        await self._approve(connection, run_id, following.content)
        over = await self.watcher.over(run_id)
        timings.completed.append(over.at - began)
        view = await connection.get(f"/hitl/runs/{run_id}?min_version={over.content}")
        if view["state"] != "completed" or not view["result"]:
            raise Unexpected(f"run {run_id} is {view['state']} after its completion was announced")

    async def _approve(self, connection: Connection, run_id: str, checkpoint: Any) -> None:
        bound = {name: checkpoint[name] for name in ("checkpoint_id", "subject_sha256")}
        await connection.post(f"/hitl/runs/{run_id}/approve", {**bound, **self._signature})
