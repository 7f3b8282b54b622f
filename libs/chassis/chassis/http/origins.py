"""Origins: the pages that may write to a service, those of its own host and those that a setting names. No sockets here.

Browsers open a socket, or post a body that has no type, for any page without asking the service first. On a service without
authentication, any page that a person looks at could decide in that person's place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

ORIGIN = re.compile(r"https?://[^\s/,?#@]+")
"""An origin as browsers write it (RFC 6454, section 6.2): scheme and host, with its port unless that is the scheme's own."""


def is_welcome(headers: Mapping[str, str], others: Collection[str] = ()) -> bool:
    """Return whether a request comes from no page, from a page of the host that it asks (ports may differ), or of `others`."""
    origin = headers.get("origin")
    if origin is None or origin.lower() in others:
        return True
    from_host, to_host = _host(origin), _host(f"//{headers.get('host', '')}")
    if from_host is None or to_host is None:
        return False
    return from_host == to_host or {from_host, to_host} <= LOOPBACK


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
