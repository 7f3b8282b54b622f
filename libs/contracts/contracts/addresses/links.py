"""Hosts and URLs as outsiders write them: which address a host means in any spelling, and which URLs may be called. Asks no DNS."""

from __future__ import annotations

import re
import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

IpAddress = IPv4Address | IPv6Address

_NUMERIC = re.compile(r"[0-9a-fx.]*[0-9a-f]", re.IGNORECASE)
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")

_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES = frozenset(
    {ip_address("fd00:ec2::254"), ip_address("fd20:ce::254"), ip_address("100.100.100.200")}
)
"""Where machines of a cloud ask for their own credentials, beside the link-local addresses."""

_NAT64 = "64:ff9b::"


def address_of(host: str) -> IpAddress | None:
    """Return the address that a host is, in any spelling that clients take (`127.1`, `0x7f000001`, `[::ffff:7f00:1]`), or None for a name."""
    text = host.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        return _inner(ip_address(text))
    except ValueError:
        pass
    if not _NUMERIC.fullmatch(text):
        return None
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def host_name(host: str) -> str:
    """Return a host in one spelling: lower case, no final dot, an address in its shortest form and without brackets."""
    named = host.lower().removesuffix(".")
    address = address_of(named)
    return named if address is None else str(address)


def _inner(address: IpAddress) -> IpAddress:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    prefix = int(ip_address(_NAT64))
    return IPv4Address(int(address) - prefix) if prefix <= int(address) < prefix + 2**32 else address


def _checked(url: str) -> str:
    """Return a URL that may be kept in an event and called."""
    if "\\" in url or any(unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"} for each in url):
        raise PydanticCustomError("url_malformed", "a URL has no backslash and no character that is not seen")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise PydanticCustomError("url_malformed", "not a URL with a host and a port") from None
    if "@" in parts.netloc:
        raise PydanticCustomError(
            "url_credentials", "a URL may carry no user and no password: it stands in the history"
        )
    if not parts.hostname:
        raise PydanticCustomError("url_malformed", "a URL names a host")
    if _is_out_of_bounds(parts):
        raise PydanticCustomError("url_forbidden", "this host is not one that may be called")
    return url


def _is_out_of_bounds(parts: SplitResult) -> bool:
    plain = unicodedata.normalize("NFKC", unquote(parts.hostname or "")).translate(_DOTS)
    address = address_of(plain.removesuffix("."))
    if address is None:
        return host_name(plain) in _METADATA_NAMES
    odd = address.is_link_local or address.is_multicast or address.is_unspecified
    return odd or address in _METADATA_ADDRESSES


Link = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2048)]
"""A URL in a stored message."""

OpenLink = Annotated[Link, AfterValidator(_checked)]
"""A URL given from outside: without credentials, and not of an address that names no machine of its own (RFC 3927, RFC 4291) or a cloud's metadata.

A name is not looked up: what it resolves to is checked where it is called.
"""
