"""Cookies of sessions, as headers have them. Pure.

Browsers send cookies to every port of a host. So the gateway and the notifier read the same one.
"""

from __future__ import annotations

from collections.abc import Iterable

NAME = "sayso_session"
HOST_PREFIX = "__Host-"
"""A browser takes a cookie of such a name under https alone, for one host, from that very host."""


def cookie_name(*, secure: bool, name: str = NAME) -> str:
    """Return a cookie's name, for requests under https or not."""
    return HOST_PREFIX + name if secure else name


def read_cookies(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[str]:
    """Return the different values that a request gives a cookie, in order: more than one where a stranger has set it too."""
    fields = [value.decode("latin-1") for field, value in headers if field == b"cookie"]
    pairs = [pair.strip(" \t").partition("=") for field in fields for pair in field.split(";")]
    return list(dict.fromkeys(value.strip('"') for named, _, value in pairs if named == name))


def session_of(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> str | None:
    """Return the session of a request, or None where it has none. Of several values none is believed: an empty text is returned."""
    found = read_cookies(headers, cookie_name(secure=secure))
    if not found:
        return None
    return found[0] if len(found) == 1 else ""


def written(name: str, value: str, seconds: int, *, secure: bool, path: str = "/") -> str:
    """Return a field Set-Cookie. Scripts do not see the cookie, and foreign pages send it with top-level reads alone."""
    return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
