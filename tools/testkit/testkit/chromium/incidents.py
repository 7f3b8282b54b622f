"""What goes wrong in the pages of a visitor: a test that does not expect it fails."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Request, Response, WebError

from local_stack.ports import LOOPBACK

_NETWORK = ("http", "https", "ws", "wss")
_OURS = (LOOPBACK, "localhost")
_TOLD_BY_ITS_REQUEST = "Failed to load resource"
_GIVEN_UP = "net::ERR_ABORTED"
"""A page was left, or closed a stream of its own."""


class Incidents:
    """Errors on the console, uncaught exceptions, requests that failed, were answered by an error or went elsewhere than loopback."""

    def __init__(self, context: BrowserContext) -> None:
        self._seen: list[str] = []
        self._expected: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", self._on_exception)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.on("response", self._on_response)

    def expect(self, pattern: str) -> None:
        """Let incidents pass in which a pattern is found. One at least has to come."""
        self._expected.append(pattern)

    def judge(self) -> None:
        """Raise AssertionError for each incident that was not expected, and each that was and did not come."""
        sudden = [seen for seen in self._seen if not any(re.search(pattern, seen) for pattern in self._expected)]
        missed = [pattern for pattern in self._expected if not any(re.search(pattern, seen) for seen in self._seen)]
        told = [*(f"  {seen}" for seen in sudden), *(f"  expected, and did not come: {pattern}" for pattern in missed)]
        assert not told, "\n".join(["in the browser:", *told])

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_TOLD_BY_ITS_REQUEST):
            self._seen.append(f"console at {message.location['url']}: {message.text}")

    def _on_exception(self, error: WebError) -> None:
        self._seen.append(f"exception: {error.error}")

    def _on_request(self, request: Request) -> None:
        if is_foreign(request.url):
            self._seen.append(f"foreign: {_named(request)}")

    def _on_failure(self, request: Request) -> None:
        if request.failure != _GIVEN_UP and not is_foreign(request.url):
            self._seen.append(f"failed: {_named(request)}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._seen.append(f"{response.status}: {_named(response.request)}")


def is_foreign(url: str) -> bool:
    """Return whether a request for a URL leaves this machine."""
    parts = urlsplit(url)
    return parts.scheme in _NETWORK and parts.hostname not in _OURS


def _named(request: Request) -> str:
    page = request.headers.get("referer")
    return f"{request.method} {request.url}" + (f" of {page}" if page else "")
