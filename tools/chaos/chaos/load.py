"""People at work: runs are started at a steady rate, seen by their watchers and decided, whatever is done to the services."""

from __future__ import annotations

import asyncio
import secrets
import time
from types import TracebackType
from typing import Self

from chaos.asking import Asking, Urls
from chaos.laws import longest
from chaos.stories import Answer, Asked, Story
from chaos.watching import News, Watcher
from local_stack.wait import until

SESSIONS = 4
AGAIN = 5
"""Every so many decisions, the answer is asked for once more: it has to be the same."""


class Load:
    """Starts `rate` runs a second, as an async context; leaving it ends the starting, `settle` waits for what was begun."""

    def __init__(self, gateways: Urls, sockets: Urls, rate: float) -> None:
        self._asking = Asking(gateways)
        self._pause = 1 / rate
        self._name = secrets.token_hex(4)
        self.watchers = [Watcher(sockets, f"{self._name}-{number}") for number in range(SESSIONS)]
        self.stories: list[Story] = []
        self.over: list[Story] = []
        self.progress: list[float] = []
        """When each answer came that says that something took effect."""
        self.unequal: list[str] = []
        """Answers that were another when they were asked for again."""
        self.repeated = 0
        """How often an answer was asked for once more without need."""
        self.padding = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._lives: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        self.progress.append(time.monotonic())
        self._tasks = [asyncio.create_task(watcher.run()) for watcher in self.watchers]
        self._starting = asyncio.create_task(self._start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Start no more runs; what was begun goes on until `end`."""
        self._starting.cancel()
        if error is not None:
            await self.end()

    async def more(self, count: int, seconds: float = 90) -> None:
        """Return when so many more runs have come to their end."""
        seen = len(self.over)
        await until(lambda: len(self.over) >= seen + count, seconds, f"{count} more runs end")

    async def begun_before_end(self, seconds: float = 90) -> None:
        """Return when every run that was begun before now has come to its end."""
        begun = list(self.stories)
        await until(lambda: all(story.state for story in begun), seconds, "what was begun before ends")

    async def settle(self, seconds: float) -> None:
        """Wait until everybody has their answers, and at most so long; then everybody goes home."""
        if self._lives:
            await asyncio.wait(self._lives, timeout=seconds)
        await self.end()

    async def end(self) -> None:
        """Send everybody home."""
        everybody = (*self._tasks, *self._lives)
        for task in everybody:
            task.cancel()
        ended = await asyncio.gather(*everybody, return_exceptions=True)
        self.failure = self.failure or next((error for error in ended if isinstance(error, Exception)), None)
        await self._asking.close()

    def be_rude(self) -> None:
        """Let every request be hung up on once before it is asked in earnest."""
        self._asking.rude = True

    @property
    def longest_stall(self) -> float:
        """The longest time in seconds in which nothing that was asked for took effect."""
        return longest(self.progress)

    @property
    def longest_wait(self) -> float:
        """The longest time in seconds in which one person was told nothing."""
        return max((longest(story.moments) for story in self.stories), default=0)

    async def _start(self) -> None:
        while True:
            number = len(self.stories)
            watcher = self.watchers[number % SESSIONS]
            story = Story(number, f"{self._name}-{number}", f"{self._name}-{number % SESSIONS}", self.padding)
            self.stories.append(story)
            life = asyncio.create_task(self._live(story, watcher))
            self._lives.add(life)
            life.add_done_callback(self._lived)
            await asyncio.sleep(self._pause)

    def _lived(self, life: asyncio.Task[None]) -> None:
        self._lives.discard(life)
        if not life.cancelled() and (error := life.exception()) is not None:
            self.failure = self.failure or error

    async def _live(self, story: Story, watcher: Watcher) -> None:
        start = story.begin()
        story.note()
        start.answer = await self._asking.ask(start, "/hitl/runs")
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

    async def _react(self, story: Story, run_id: str, news: News, watcher: Watcher) -> None:
        match news.what:
            case "request":
                assert news.checkpoint is not None
                story.seen.add(news.checkpoint["checkpoint_id"])
                for asked in story.decide(dict(news.checkpoint)):
                    await self._decide(asked, run_id, watcher)
                    story.note()
            case "over":
                story.state = news.state
            case "look":
                view = await self._asking.read(f"/hitl/runs/{run_id}")
                if view is not None and view["state"] in ("completed", "failed", "cancelled"):
                    story.state = view["state"]

    async def _decide(self, asked: Asked, run_id: str, watcher: Watcher) -> None:
        asked.answer = await self._once(asked, run_id, watcher)
        if asked.answer.accepted:
            self.progress.append(asked.answer.at)
        if len(self.over) % AGAIN == 0:
            self.repeated += 1
            again = await self._once(asked, run_id, watcher)
            if (again.status, again.body) != (asked.answer.status, asked.answer.body):
                self.unequal.append(f"{asked.key}: {asked.answer} and then {again}")

    async def _once(self, asked: Asked, run_id: str, watcher: Watcher) -> Answer:
        if asked.channel == "socket":
            return await watcher.ask(asked, run_id)
        return await self._asking.ask(asked, f"/hitl/runs/{run_id}/{asked.action}")
