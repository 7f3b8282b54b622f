"""Checks on a request's body before any model reads it: size, time, media type, and the rules of JSON from outside.

Knows no routes and no models.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect, Request

from chassis.http.problems import issue
from contracts.json_text import JsonRefused
from contracts.json_text import read_json as read_value
from gateway.http.problems import Problem, invalid

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, of at most `limit` bytes. Raises Problem for a larger one, which is not read on, and for one that does not come."""
    check_head(request, limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                chunk, more = await _next_chunk(request)
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise Problem("request_timeout", f"the body did not come within {BODY_SECONDS:g} s") from None
    return b"".join(chunks)


async def _next_chunk(request: Request) -> tuple[bytes, bool]:
    """Return a piece of the body, and whether more comes. Raises ClientDisconnect."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def check_head(request: Request, limit: int) -> None:
    """Raise Problem if the head says that the body is encoded, or has more than `limit` bytes."""
    encodings = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    if any(encoding.strip() not in ("", "identity") for encoding in encodings):
        detail = "send the body as it is: no Content-Encoding is taken"
        raise Problem("unsupported_media_type", detail, headers={"Accept-Encoding": "identity"})
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)


def too_large(limit: int) -> Problem:
    """Return the problem of a body that is larger than `limit` bytes."""
    return Problem("payload_too_large", f"at most {limit} bytes are taken here", {"limit": limit})


async def read_json(request: Request, limit: int) -> tuple[bytes, Any]:
    """Return the body as bytes and as JSON; an empty one counts as `{}`. Raises Problem."""
    check_media_type(request)
    body = await read_body(request, limit)
    return (body, parse_json(body)) if body else (b"{}", {})


def check_media_type(request: Request) -> None:
    """Raise Problem unless Content-Type is JSON or missing."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise Problem("unsupported_media_type", "send a body with Content-Type: application/json")


def parse_json(body: bytes) -> Any:
    """Parse JSON that every reader understands alike (RFC 7493). Raises Problem with the issue."""
    try:
        return read_value(body)
    except JsonRefused as error:
        raise invalid([issue(error.path, error.code, error.message)]) from None
