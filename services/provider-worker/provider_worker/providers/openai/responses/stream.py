"""Hearing a response while it is made. Its last event carries the whole of it: the same object as an answer that did not stream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.errors.failures import error_in, half_heard, of_error, unended
from provider_worker.providers.openai.responses.failures import of_end
from provider_worker.providers.openai.responses.items import OutputItems
from provider_worker.providers.progress import Progress

_BEGUN = ("response.created", "response.queued", "response.in_progress")
_ENDED = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_SAID = ("response.output_text.delta", "response.refusal.delta")


async def gather_response(
    events: AsyncGenerator[Any], progress: Progress, begun: Callable[[str], Awaitable[None]]
) -> dict[str, Any]:
    """Return the response of the `events` up to its end. `begun` gets its id, `progress` its text meanwhile, and holds what came.

    Raises ProviderError. A retryable failure is uncertain once a part of the answer has come, since that part is paid for.
    """
    heard = _Heard()
    progress.hold(heard.received)
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                await heard.add(event, progress, begun)
                if heard.whole is not None:  # whether or not the server closes the connection
                    break
    except ProviderError as error:
        raise ProviderError(heard.doubted(error.failure)) from error
    if heard.whole is None:
        raise ProviderError(heard.doubted(unended()))
    if (end := of_end(heard.whole)) is not None:
        raise ProviderError(heard.doubted(end))
    return heard.whole


class _Heard:
    """The events so far; `whole` is the response once it has ended."""

    def __init__(self) -> None:
        self.whole: dict[str, Any] | None = None
        self._begun: dict[str, Any] = {}
        self._items = OutputItems()
        self._is_begun = False

    async def add(self, event: Any, progress: Progress, begun: Callable[[str], Awaitable[None]]) -> None:
        """Add an event. Raises ProviderError when it reports an error."""
        self._items.add(event)
        match event:
            case {"type": kind, "response": dict(response)} if kind in _BEGUN:
                self._begun = response
                if isinstance(response.get("id"), str):
                    await begun(response["id"])
            case {"type": kind, "response": dict(response)} if kind in _ENDED:
                # Some servers leave the items out of the end, which came before.
                self.whole = response if response.get("output") else {**response, "output": self._items.whole()}
                progress.use(response["usage"] if isinstance(response.get("usage"), dict) else {})
            case _ if (error := error_in(event, in_stream=True)) is not None:
                raise ProviderError(of_error(error))
            case {"type": str(kind), "delta": str(text)} if kind.endswith(".delta") and text:
                self._is_begun = True
                progress.say(text if kind in _SAID else "")

    def received(self) -> Any:
        """Return what came of the response, whether or not it is complete; None where nothing did."""
        if self.whole is not None:
            return self.whole
        items = self._items.whole()
        return {**self._begun, "output": items} if items else None

    def doubted(self, failure: Failure) -> Failure:
        """Return a failure as it counts after the events so far."""
        return half_heard(failure) if self._is_begun else failure
