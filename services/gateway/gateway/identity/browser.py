"""What a request of a browser shows: whether it wants a page, which session it has, and where it may be led."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Scope

from identity.sessions.cookies import cookie_name, session_of, written
from identity.sessions.record import LIFETIME

SIGN_IN = "/signin"
HOME = "/"
SESSION_SECONDS = int(LIFETIME.total_seconds())

FORM = "application/x-www-form-urlencoded"
READS = ("GET", "HEAD", "OPTIONS")

_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1999}")
"""A path of this host as a browser reads it: neither `//host` nor `/\\host`, no space, no control character, no backslash."""


def is_secure(scope: Scope) -> bool:
    """Return whether a request came under https, to this process or to the proxy before it."""
    return bool(scope["scheme"] in ("https", "wss"))


def is_local(path: str) -> bool:
    """Return whether a path, with its query, leads to this host alone."""
    return _LOCAL.fullmatch(path) is not None


def wants_page(scope: Scope) -> bool:
    """Return whether a person looks at the answer: a browser that goes somewhere, or sends a form."""
    if "text/html" not in field(scope, b"accept"):
        return False
    return scope["method"] in READS or is_form(scope)


def is_form(scope: Scope) -> bool:
    """Return whether a request's body is a form."""
    return field(scope, b"content-type").partition(";")[0].strip().lower() == FORM


def field(scope: Scope, name: bytes) -> str:
    """Return a field of a request, or nothing; of several the first."""
    return next((value.decode("latin-1") for named, value in scope["headers"] if named == name), "")


def session_text(scope: Scope) -> str | None:
    """Return the session that a request's cookie has, or None. It counts for nothing beside a field Authorization."""
    return session_of(scope["headers"], secure=is_secure(scope))


def to_sign_in(scope: Scope) -> Response:
    """Lead a browser to the page where one signs in, and back afterwards. A session that has ended is forgotten."""
    query = scope["query_string"].decode("latin-1")
    path = quote(scope["path"], errors="replace") + (f"?{query}" if query else "")
    back = path if scope["method"] in READS and is_local(path) else HOME
    return see_other(sign_in_for(back), *([] if session_text(scope) is None else [without_session(scope)]))


def sign_in_for(leads_to: str) -> str:
    """Return the address of the page where one signs in, which leads to a path of this host afterwards."""
    return SIGN_IN if leads_to == HOME else f"{SIGN_IN}?next={quote(leads_to, safe='')}"


def see_other(where: str, *cookies: str) -> Response:
    """Lead a browser somewhere, by GET."""
    response = Response(status_code=303, headers={"Location": where, "Cache-Control": "no-store"})
    return with_cookies(response, *cookies)


def with_cookies(response: Response, *cookies: str) -> Response:
    """Return an answer with fields Set-Cookie."""
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
    return response


def with_session(scope: Scope, text: str) -> str:
    """Return the cookie of a session that begins."""
    secure = is_secure(scope)
    return written(cookie_name(secure=secure), text, SESSION_SECONDS, secure=secure)


def without_session(scope: Scope) -> str:
    """Return the cookie that ends a session in its browser."""
    secure = is_secure(scope)
    return written(cookie_name(secure=secure), "", 0, secure=secure)
