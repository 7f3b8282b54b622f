"""Writes that a cookie authenticates carry a token, which no foreign page can know: in a field of the head, or in the form."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from gateway.http.body import read_body
from gateway.http.problems import Problem
from gateway.identity.browser import is_form

FIELD = "csrf_token"
MOST_FORM_BYTES = 16_384
MOST_FORM_FIELDS = 50

_HEADER = b"x-csrf-token"


async def checked(scope: Scope, receive: Receive, token: str) -> Receive:
    """Return where the body of a write is read from, once its token is that of its session. Raises Problem `csrf_failed`."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
    if not given and is_form(scope):
        body = await read_body(Request(scope, receive), MOST_FORM_BYTES)
        given, receive = form_values(body, FIELD), _again(body, receive)
    if len(given) != 1 or not is_same(given[0], token):
        raise Problem(
            "csrf_failed",
            f"a write by a session carries its token, which GET /me answers: in X-CSRF-Token, or in a form's {FIELD}",
        )
    return receive


def is_same(given: str, token: str) -> bool:
    """Compare two tokens, in a time that tells nothing of them."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def form_values(body: bytes, name: str) -> list[str]:
    """Return the values that a form gives a name. A form of too many fields has none."""
    try:
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FORM_FIELDS)
    except ValueError:
        return []
    return [value for named, value in pairs if named == name]


def _again(body: bytes, receive: Receive) -> Receive:
    """Give the endpoint the body that was read here."""
    is_given = False

    async def replay() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
