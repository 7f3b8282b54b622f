"""The names by which a service may be asked, and the pages that may ask it. Rules alone: no sockets here.

Without authentication, whatever a browser sends counts as its person's word. Browsers open sockets and send some requests for any page.
A page whose own name is turned to this machine (DNS rebinding) even looks like a page of ours: the name in `Host` tells it apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from contracts.addresses.links import address_of, host_name

ORIGIN = re.compile(r"https?://[^\s/,?#@]+")
"""An origin as browsers write it (RFC 6454, section 6.2): scheme and host, with its port unless that is the scheme's own."""

HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\\\[\]%,*]+)(?::(?P<port>[0-9]{0,5}))?")
"""A Host field (RFC 9110, section 7.2)."""

_PORTS = {"http": 80, "https": 443}
_KEPT = 1024


class Authority(NamedTuple):
    """A host in one spelling, its port where one is named, and whether it is this machine."""

    host: str
    port: int | None
    is_loopback: bool


class Origin(NamedTuple):
    """An origin in one spelling: two that a browser takes for one are equal."""

    scheme: str
    host: str
    port: int


@lru_cache(_KEPT)
def read_host(field_value: str) -> Authority | None:
    """Return what a Host field says, or None where it is malformed."""
    found = HOST.fullmatch(field_value)
    if found is None:
        return None
    host = host_name(found["host"])
    return Authority(host, int(found["port"]) if found["port"] else None, is_loopback(host))


@lru_cache(_KEPT)
def read_origin(text: str) -> Origin | None:
    """Return an origin, or None for `null` and everything else that names no page."""
    if not ORIGIN.fullmatch(text.lower()):
        return None
    try:
        parts = urlsplit(text.lower())
        return Origin(parts.scheme, host_name(parts.hostname or ""), parts.port or _PORTS[parts.scheme])
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, in any spelling."""
    address = address_of(host)
    return host == "localhost" if address is None else address.is_loopback


@dataclass(frozen=True)
class Site:
    """The names of a service beside loopback, and the origins of pages elsewhere that may use it.

    Pages of the port `page_port` of the host that is asked are pages of ours as well: another service of ours serves them there.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[Origin] = frozenset()
    page_port: int | None = None

    @cached_property
    def named(self) -> frozenset[str]:
        """The hosts that the operator named, those of the origins too."""
        return self.hosts | {origin.host for origin in self.origins}

    def is_named(self, asked: Authority, reached: str | None = None) -> bool:
        """Return whether `asked` is a name of this service. `reached` is the address that the connection came to: no page can make that up."""
        if asked.is_loopback or asked.host in self.named:
            return True
        return reached is not None and address_of(asked.host) is not None and asked.host == host_name(reached)

    def allows(self, origin: Origin | None) -> bool:
        """Return whether the operator named this origin."""
        return origin in self.origins

    def is_own_page(self, origin: Origin | None, asked: Authority) -> bool:
        """Return whether a page comes from the very host and port that it asks, or from `page_port` of that host."""
        if origin is None:
            return False
        if origin.port == self.page_port:
            return origin.host == asked.host or (asked.is_loopback and is_loopback(origin.host))
        return origin.host == asked.host and origin.port == (asked.port or _PORTS[origin.scheme])


def may_probe(asked: str) -> bool:
    """Return whether `asked` is a host that no page can have: an address, or a name without a dot, such as a container's."""
    return address_of(asked) is not None or "." not in asked
