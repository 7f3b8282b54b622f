"""HEAD on every path that takes GET: the same answer without its body (RFC 9110, section 9.3.2). Knows no routes."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Serves a HEAD request as a GET whose body is not sent. A stream ends with its head."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _head_alone(send))
        else:
            await self._app(scope, receive, send)


def _head_alone(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            # The answer is complete for the server, which tells a stream behind it that its client has left.
            await send({"type": "http.response.body", "body": b""})

    return sending
