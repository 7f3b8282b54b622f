"""The load: runs are started at a steady rate, watched and decided, through any fault."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Self

from chaos.clients.bulk import BulkRequests
from chaos.clients.desk import Pause, Steps, Until
from chaos.clients.http_client import HttpClient, Keys, Urls
from chaos.clients.people import REVIEWER
from chaos.clients.plans.rotation import plan_of
from chaos.clients.requests import Answer, Request
from chaos.clients.socket_watcher import Notice, Watcher
from chaos.clients.stories import RunStory
from local_stack.wait import until

SESSIONS = 4
AGAIN = 5
"""Every so many decisions, the request is sent once more: the answer must be the same."""


class Load:
    """Starts `rate` runs a second inside an async context; `settle` waits for the runs in progress."""

    def __init__(self, gateways: Urls, sockets: Urls, rate: float, keys: Keys | None = None) -> None:
        self._keys = keys or {}
        self._http = HttpClient(gateways, self._keys)
        self._pause = 1 / rate
        self._name = secrets.token_hex(4)
        self.watchers = [
            Watcher(sockets, f"{self._name}-{number}", self._keys.get(REVIEWER)) for number in range(SESSIONS)
        ]
        self.stories: list[RunStory] = []
        self.over: list[RunStory] = []
        self.progress: list[float] = []
        """The times of answers that accepted a request."""
        self._unequal: list[str] = []
        self._repeated = 0
        self.padding = 0
        self.with_rules = True
        """Whether runs are started whose reviews have rules."""
        self._bulk = BulkRequests(self._http)
        self._tasks: list[asyncio.Task[None]] = []
        self._runs: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Start the watchers and the runs."""
        self.progress.append(time.monotonic())
        self._tasks = [asyncio.create_task(watcher.run()) for watcher in self.watchers]
        self._starter = asyncio.create_task(self._start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Start no more runs; those in progress go on until `end`."""
        self._starter.cancel()
        if error is not None:
            await self.end()

    async def more(self, count: int, seconds: float = 90) -> None:
        """Return when `count` more runs have ended."""
        seen = len(self.over)
        await self._until(lambda: len(self.over) >= seen + count, seconds, f"{count} more runs end")

    async def runs_in_progress_end(self, seconds: float = 90) -> None:
        """Return when every run started before now has ended."""
        begun = list(self.stories)
        await self._until(lambda: all(story.state for story in begun), seconds, "the runs in progress end")

    async def _until(self, condition: Callable[[], bool], seconds: float, name: str) -> None:
        """Wait for a condition, and no longer once a client has failed."""
        try:
            await until(lambda: self.failure is not None or condition(), seconds, name)
        except TimeoutError as late:
            late.add_note("\n".join(map(str, [story for story in self.stories if story.state is None][:3])))
            raise
        if self.failure is not None:
            raise self.failure

    async def settle(self, seconds: float) -> None:
        """Wait for all answers, at most `seconds`; then end all clients."""
        if self._runs:
            await asyncio.wait(self._runs, timeout=seconds)
        await self.end()

    async def end(self) -> None:
        """End all clients."""
        tasks = (*self._tasks, *self._runs)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        self.failure = self.failure or next((error for error in ended if isinstance(error, Exception)), None)
        await self._http.close()

    def hang_up_on_requests(self) -> None:
        """Break off every request once before it is sent in full."""
        self._http.hangs_up = True

    @property
    def unequal(self) -> list[str]:
        """Answers that differed when the request was repeated."""
        return self._unequal + self._bulk.unequal

    @property
    def repeated(self) -> int:
        """How many requests were repeated although answered."""
        return self._repeated + self._bulk.repeated

    @property
    def longest_stall(self) -> float:
        """The longest time in seconds between two accepted requests."""
        return longest_gap(self.progress)

    @property
    def longest_wait(self) -> float:
        """The longest time in seconds that one client waited for an answer or a push; plans wait on purpose."""
        return max((longest_gap(story.moments) for story in self.stories if story.plan is None), default=0)

    async def _start(self) -> None:
        while True:
            number = len(self.stories)
            watcher = self.watchers[number % SESSIONS]
            plan = plan_of(number, int(self._name, 16), by_key=bool(self._keys)) if self.with_rules else None
            story = RunStory(number, f"{self._name}-{number}", f"{self._name}-{number % SESSIONS}", self.padding, plan)
            self.stories.append(story)
            run = asyncio.create_task(self._drive(story, watcher))
            self._runs.add(run)
            run.add_done_callback(self._on_run_end)
            await asyncio.sleep(self._pause)

    def _on_run_end(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        if not run.cancelled() and (error := run.exception()) is not None:
            self.failure = self.failure or error

    async def _drive(self, story: RunStory, watcher: Watcher) -> None:
        start = story.begin()
        story.note()
        start.answer = await self._http.ask(start, "/hitl/runs")
        story.note()
        if not start.answer.accepted:
            return
        self.progress.append(start.answer.at)
        story.run_id = run_id = str(start.answer.body["run_id"])
        while story.state is None:
            news = await watcher.news[run_id].get()
            story.note()
            await self._react(story, run_id, news, watcher)
        self.over.append(story)

    async def _react(self, story: RunStory, run_id: str, news: Notice, watcher: Watcher) -> None:
        story.version = max(story.version, news.version)
        match news.what:
            case "request":
                assert news.checkpoint is not None
                story.seen.add(news.checkpoint["checkpoint_id"])
                await self._carry_out(story.steps(news.checkpoint), story, run_id, watcher)
            case "event":
                story.pushed.add(news.version)
            case "over":
                story.state = news.state
            case "look":
                story.caught_up = True
                view = await self._http.read(f"/hitl/runs/{run_id}")
                if view is not None and view["state"] in ("completed", "failed", "cancelled"):
                    story.state = view["state"]

    async def _carry_out(self, steps: Steps, story: RunStory, run_id: str, watcher: Watcher) -> None:
        answers: list[Answer] = []
        step = next(steps, None)
        while step is not None:
            match step:
                case Pause(seconds=seconds):
                    await asyncio.sleep(seconds)  # what its people take
                case Until():
                    await self._wait(step, story, run_id, watcher)
                case requests:
                    asked = (self._decide(self._signed(request), run_id, watcher) for request in requests)
                    answers = await asyncio.gather(*asked)
                    story.version = max(story.version, *(answer.body.get("version", 0) for answer in answers))
            story.note()
            try:
                step = steps.send(answers)
            except StopIteration:
                step = None

    async def _wait(self, until: Until, story: RunStory, run_id: str, watcher: Watcher) -> None:
        """Return when a task is so, or its checkpoint closed. Only a push leads to a further look."""
        while story.state is None:
            view = await self._http.read(f"/hitl/runs/{run_id}?min_version={story.version}")
            checkpoint = view and view["checkpoint"]
            if checkpoint is None or until.holds(checkpoint["task"]):
                return
            await self._react(story, run_id, await watcher.news[run_id].get(), watcher)

    def _signed(self, request: Request) -> Request:
        """Let the key say who asks, where there is one: over the socket it is who opened it."""
        if self._keys:
            request.body.pop("actor", None)
            request.channel = request.channel if request.actor == REVIEWER else "http"
        return request

    async def _decide(self, request: Request, run_id: str, watcher: Watcher) -> Answer:
        request.answer = await self._once(request, run_id, watcher)
        if request.answer.accepted:
            self.progress.append(request.answer.at)
        # A draft that is kept again is saved anew, and a bulk request is repeated as a whole.
        if len(self.over) % AGAIN == 0 and request.action not in ("draft", "bulk"):
            self._repeated += 1
            again = await self._once(request, run_id, watcher)
            if (again.status, again.body) != (request.answer.status, request.answer.body):
                self._unequal.append(f"{request.key}: {request.answer} and then {again}")
        return request.answer

    async def _once(self, request: Request, run_id: str, watcher: Watcher) -> Answer:
        if request.channel == "socket":
            return await watcher.ask(request, run_id)
        if request.action == "bulk":
            return await self._bulk.decide(request, run_id)
        return await self._http.ask(request, request.path(run_id))


def longest_gap(moments: Sequence[float]) -> float:
    """Return the longest time between a moment and the next."""
    return max((after - before for before, after in pairwise(moments)), default=0.0)
