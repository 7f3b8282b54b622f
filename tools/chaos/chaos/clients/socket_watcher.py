"""A reviewer at a WebSocket: reconnects with its cursor, and passes each pushed message on to its run.

Duplicates are passed on once. After a snapshot each run is told to look up its state, since its end may have been missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from chaos.clients.http_client import AGAIN_SECONDS, ANSWER_SECONDS, Urls
from chaos.clients.requests import Answer, Request
from local_stack.credential import headers_of

_ENDS = {"run-completed.v1": "completed", "run-failed.v1": "failed", "run-cancelled.v1": "cancelled"}
_LATE = ("pending", "unavailable")
OF_TASK = ("task-", "claim-", "vote-", "stage-", "subject-revised", "comment-", "draft-")
"""How the kinds of a task's events begin; a run without rules has none of them."""


@dataclass(frozen=True)
class Notice:
    """A message for a run: a request for a decision, an event of its task, its end, or that its state must be looked up."""

    what: Literal["request", "event", "over", "look"]
    checkpoint: Mapping[str, Any] | None = None
    state: str | None = None
    version: int = 0


class Watcher:
    """Watches one session on any of the notifiers."""

    def __init__(self, sockets: Urls, session: str, key: str | None) -> None:
        self._sockets = sockets
        self._headers = headers_of(key)
        self._session = session
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._shown: set[tuple[str, str]] = set()
        self.cursor: str | None = None
        self.connections = 0
        self.snapshots = 0
        self.news: defaultdict[str, asyncio.Queue[Notice]] = defaultdict(asyncio.Queue)

    async def run(self) -> None:
        """Watch until cancelled."""
        for turn in itertools.count():
            urls = self._sockets()
            query = {"session_id": self._session, **({"cursor": self.cursor} if self.cursor else {})}
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, TimeoutError):
                url = f"{urls[turn % len(urls)]}?{urlencode(query)}"
                async with connect(
                    url,
                    additional_headers=self._headers,
                    max_size=None,
                    open_timeout=5,
                    ping_interval=5,
                    ping_timeout=5,
                ) as socket:
                    self.connections += 1
                    self._socket = socket
                    self._connected.set()
                    async for frame in socket:
                        self._hear(json.loads(frame))
            self._connected.clear()
            await asyncio.sleep(AGAIN_SECONDS[1])

    async def ask(self, request: Request, run_id: str) -> Answer:
        """Decide over the socket; return the final answer, however long it takes."""
        decision = {
            "type": "HITL_APPROVAL_RESPONSE",
            "request_id": request.key,
            "run_id": run_id,
            "action": request.action,
        }
        for pause in itertools.chain(AGAIN_SECONDS, itertools.repeat(AGAIN_SECONDS[-1])):
            await self._connected.wait()
            answer = self._waiting[request.key] = asyncio.get_running_loop().create_future()
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                assert self._socket is not None
                async with asyncio.timeout(ANSWER_SECONDS / 3):
                    request.sent += 1
                    await self._socket.send(json.dumps({**decision, **request.body}))
                    result = await answer
                late = result.get("code") in _LATE
                request.answers.append(Answer(200 if result["ok"] else 503 if late else 409, result))
                if not late:
                    return request.answers[-1]
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "HITL_APPROVAL_REQUEST":
                self._show(message["run_id"], message["version"], message["checkpoint"])
            case "HITL_STATUS_UPDATE":
                kind, version = message["event"]["kind"], message["version"]
                if kind in _ENDS:
                    self.news[message["run_id"]].put_nowait(Notice("over", state=_ENDS[kind], version=version))
                elif kind.startswith(OF_TASK):
                    self.news[message["run_id"]].put_nowait(Notice("event", version=version))
            case "SNAPSHOT":
                self.snapshots += 1
                for view in message["approvals"]:
                    self._show(view["run_id"], view["version"], view["checkpoint"])
                for queue in self.news.values():
                    queue.put_nowait(Notice("look"))
            case "HITL_APPROVAL_RESULT":
                waiting = self._waiting.get(message["request_id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case "ERROR":
                raise AssertionError(f"the notifier answered an error: {message}")
        self.cursor = message.get("cursor", self.cursor)

    def _show(self, run_id: str, version: int, checkpoint: Mapping[str, Any]) -> None:
        if (run_id, checkpoint["checkpoint_id"]) not in self._shown:
            self._shown.add((run_id, checkpoint["checkpoint_id"]))
            self.news[run_id].put_nowait(Notice("request", checkpoint, version=version))
