"""Checks on a request's body before any model reads it: size, time, media type, UTF-8, depth, duplicate members.

Knows no routes and no models.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from chassis.http.problems import issue
from contracts.json_pointer import pointer
from contracts.json_values import MAX_DEPTH
from gateway.errors import GatewayError
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
    """Parse JSON that every reader understands alike (RFC 7493). Raises Problem with the issue.

    NaN and lone surrogates pass: the models refuse them, and can name their member.
    """
    check_depth(body)
    try:
        return _read(body.decode())
    except UnicodeDecodeError as error:
        raise invalid([issue("", "json_invalid", f"not UTF-8 at byte {error.start}")]) from None
    except DuplicateMember as error:
        raise invalid([issue("", "json_duplicate", f"an object has two members {error}")]) from None
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise invalid([issue("", "json_invalid", message)]) from None
    except ValueError as error:
        raise invalid([issue("", "json_invalid", f"not JSON: {error}")]) from None


class DuplicateMember(GatewayError, ValueError):
    """An object has two members of one name, and readers differ on which they take."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise DuplicateMember(repr(next(name for name in names if names.count(name) > 1)))
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_members)
"""Kept: with a hook, `json.loads` makes a decoder for each text, which costs as much as to parse a short one."""


def _read(text: str) -> Any:
    # `json.loads` names a byte order mark in its error.
    return json.loads(text) if text.startswith("\ufeff") else _DECODER.decode(text)


# Possessive quantifiers: without backtracking, a text of quotes and backslashes costs no more than any other.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_TOKEN = re.compile(rb'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|[\[\]{}:]', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def check_depth(body: bytes) -> None:
    """Raise Problem if arrays and objects are nested deeper than MAX_DEPTH. Costs one linear scan at most."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += _STEPS[bracket]
        if depth > MAX_DEPTH:
            raise invalid([issue(_deep_member(body), "json_too_deep", f"nested deeper than {MAX_DEPTH} levels")])


def _deep_member(body: bytes) -> str:
    """Return the JSON Pointer of the outermost member that is too deep."""
    depth, member, last = 0, "", b""
    for token in _TOKEN.finditer(body):
        text = token[0]
        if token["string"] is not None:
            last = text
        elif text == b":":
            member = pointer([last[1:-1].decode(errors="replace")]) if depth == 1 else member
        else:
            depth += _STEPS[text[0]]
            if depth > MAX_DEPTH:
                return member
    return member
