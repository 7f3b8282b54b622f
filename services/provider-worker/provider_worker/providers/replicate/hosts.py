"""Replicate's addresses: the hosts of outputs, and the filter that hides addresses from users."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

BASE_URL = "https://api.replicate.com"
HIDDEN = "[provider address]"

_DELIVERY = "replicate.delivery"
_ADDRESS = r"https?://(?:[\w-]+\.)*replicate\.(?:com|delivery)\b[^\s\"'<>)\]]*"


def delivers(url: str, base_url: str) -> bool:
    """Return whether an output may lie at `url`: on Replicate's delivery hosts, or on the server that stands in for Replicate."""
    try:
        asked, base = urlsplit(url), urlsplit(base_url)
        host = asked.hostname or ""
        is_ours = base_url != BASE_URL and (asked.scheme, host, asked.port) == (base.scheme, base.hostname, base.port)
    except ValueError:
        return False
    return is_ours or (asked.scheme == "https" and (host == _DELIVERY or host.endswith("." + _DELIVERY)))


class AddressFilter:
    """Hides Replicate's addresses, and those of the server that stands in for it, from users."""

    def __init__(self, base_url: str | None) -> None:
        others = [] if base_url is None else [re.escape(base_url.rstrip("/")) + r"[^\s\"'<>)\]]*"]
        self._pattern = re.compile("|".join([_ADDRESS, *others]))

    def text(self, text: str) -> str:
        """Return `text` without addresses."""
        return self._pattern.sub(HIDDEN, text) if "://" in text else text

    def json(self, value: Any) -> Any:
        """Return a JSON value without addresses."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {name: self.json(item) for name, item in value.items()}
            case list():
                return [self.json(item) for item in value]
        return value
