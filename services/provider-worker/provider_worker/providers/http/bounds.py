"""Bounds on answers, on the files that they name and on kept connections, for both HTTP libraries that the vendors' SDKs are built on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from provider_worker.errors import WorkerError
from provider_worker.providers.http.errors.failures import MAX_RESPONSE_BYTES, ResponseTooLarge
from provider_worker.providers.http.errors.refusal import READ_BYTES

SECONDS = {"connect": 10.0, "read": 540.0, "write": 60.0, "pool": 10.0}
"""The time limits of a call, in seconds. Reading waits for a whole answer, which may take minutes while a model thinks or is loaded."""

MOST_FILE_BYTES = 25 * 1024 * 1024
"""As large as a file in the artifact store is by default."""

PLAIN = {"accept-encoding": "identity"}
"""Headers that go with a bound: it counts bytes as they arrive."""

KEPT_SECONDS = 3.0
"""How long an idle connection is kept. Many servers end theirs after 5 s: a call that met that end may have happened, or not."""


def kept_by(library: ModuleType) -> Any:
    """Return the limits of connections for clients of `library` (`httpx` or `httpx2`)."""
    return library.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEPT_SECONDS)


def bound_by(library: ModuleType) -> Callable[[Any], Awaitable[None]]:
    """Return a response hook for clients of `library` (`httpx` or `httpx2`): reading more than is taken raises ResponseTooLarge."""

    class Bounded(library.AsyncByteStream):  # type: ignore[misc, name-defined] # one of two modules of the same shape
        def __init__(self, stream: Any, *, refused: bool) -> None:
            self._stream = stream
            self._refused = refused

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = READ_BYTES if self._refused else MAX_RESPONSE_BYTES
            async for chunk in self._stream:
                left -= len(chunk)
                if left < 0 and self._refused:
                    yield chunk[:left]
                    return  # the beginning of a refusal says enough
                if left < 0:
                    raise ResponseTooLarge
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(response: Any) -> None:
        response.stream = Bounded(response.stream, refused=not response.is_success)

    return bound


class NotFetched(WorkerError):
    """The file was not fetched. `passing`: the host may give it later."""

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.passing = passing


@dataclass(frozen=True, slots=True)
class DownloadTerms:
    """How large a file may be in bytes, how long all files of an answer may take in seconds, how often one is tried, and how long apart."""

    most_bytes: int = MOST_FILE_BYTES
    seconds: float = 300.0
    tries: int = 3
    pause: float = 0.5
