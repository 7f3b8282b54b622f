"""The version in a server's address: one rule for all vendors, so that an address may be written with `/v1` or without.

An address without a path, or with `/v1` at its end, is that of a server whose interface is at `/v1`. Another path stands as it is
written: `https://llm.example/v1beta/openai`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_VERSION = "/v1"


def without_version(url: str) -> str:
    """Return an address for a client that adds `/v1` by itself."""
    return url.rstrip("/").removesuffix(_VERSION)


def with_version(url: str) -> str:
    """Return an address for a client that adds no version."""
    url = url.rstrip("/")
    return url if urlsplit(url).path else url + _VERSION
