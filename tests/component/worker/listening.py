"""A listener of running calls, and waits for its text or for a fake vendor's counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from provider_worker.providers.base import AIProvider, Answer, Call
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.testing.memory import MemoryArtifacts

PATIENCE_SECONDS = 20


class Listener:
    """Hears a call."""

    def __init__(self, operation: str = "text") -> None:
        self.heard: list[str] = []
        self.progress = Progress(self.heard.append)
        self._operation = operation

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.heard)

    def call(self, **given: Any) -> Call:
        """Return the circumstances of a call that is heard."""
        artifacts = MemoryArtifacts().of("acme")
        return Call(self._operation, None, 1, "work-1:1", artifacts, progress=self.progress, **given)

    async def cut_short(
        self, provider: AIProvider, payload: Mapping[str, Any], far_enough: Callable[[], bool], **given: Any
    ) -> Unfinished:
        """Cancel a call once it is far enough, and return the facts about it."""
        calling: asyncio.Task[Answer] = asyncio.create_task(provider.execute(payload, self.call(**given)))
        await until(lambda: far_enough() or calling.done())
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling
        return Unfinished(self._operation, None, payload, self.progress.characters, self.progress.usage)


async def until(holds: Callable[[], bool]) -> None:
    """Return once something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - neither a counter nor a list sets an event
            await asyncio.sleep(0.005)
