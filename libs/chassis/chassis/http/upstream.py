"""The address and the key of a server that settings name: one rule for all of them, checked when settings are read.

What is wrong with one is said in words that tell what to write, and never repeats it: an address may hold a password.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_EXAMPLE = "http://127.0.0.1:9101 or https://llm.example/v1"
_OPERATIONS = re.compile(
    r"/(chat/completions|completions|responses|messages|predictions|embeddings|models|images/generations)/?$"
)
_QUOTES = ("'", '"', "`")


def parse_base_url(text: str) -> str:
    """Return the address of a server without spaces around it and without a slash at its end. Raises ValueError saying what to write."""
    url = text.strip()
    if re.search(r"[\s\x00-\x1f\x7f\\]", url) or url.startswith(_QUOTES) or url.endswith(_QUOTES):
        raise ValueError(
            f"holds a space, a line break, a backslash or quotation marks; write the address alone, such as {_EXAMPLE}"
        )
    parts = _split(url)
    if "?" in url or "#" in url:
        raise ValueError("holds a query or a fragment (`?` or `#`); write the address without them")
    if "@" in parts.netloc:
        raise ValueError(
            "holds a user or a password; write the address without them, and the key in the setting for the key"
        )
    if _OPERATIONS.search(parts.path):
        raise ValueError("names one operation of the server; write the address up to and with /v1")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _split(url: str) -> SplitResult:
    scheme, found, _ = url.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise ValueError(f"does not begin with http:// or https://; write the whole address, such as {_EXAMPLE}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"names no host, or a port that is none; write the whole address, such as {_EXAMPLE}")
    return parts


def parse_key(text: str) -> str | None:
    """Return a key without spaces around it, None where it is empty. Raises ValueError saying what to write."""
    key = text.strip()
    if key.lower().startswith("bearer "):
        raise ValueError("begins with the word Bearer; write the key alone")
    if key.startswith(_QUOTES) or key.endswith(_QUOTES):
        raise ValueError("stands in quotation marks, which would be sent; write the key without them")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError(
            "holds a space, a line break, or a letter that no key has; write the key alone, as the vendor shows it"
        )
    return key or None
