"""Replicate's addresses: the hosts of outputs, the filter that hides addresses from users, and the links that users get all the same.

A file that could not be kept is named by its link: a prediction is paid for, so a person gets what there is of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from contracts.providers.signals import Finding
from provider_worker.providers.payload_schema import at

BASE_URL = "https://api.replicate.com"
HIDDEN = "[provider address]"

_DELIVERY = "replicate.delivery"
_ADDRESS = r"https?://(?:[\w-]+\.)*replicate\.(?:com|delivery)\b[^\s\"'<>)\]]*"


MEMBER = "not_kept"
"""The member that a prediction gets: the addresses of files that were not kept, each with the reason."""


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

    def json(self, value: Any, shown: Collection[str] = ()) -> Any:
        """Return a JSON value without addresses, but for those that are `shown`."""
        match value:
            case str():
                return value if value in shown else self.text(value)
            case Mapping():
                return {name: self.json(item, shown) for name, item in value.items()}
            case list():
                return [self.json(item, shown) for item in value]
        return value


def member_of(links: Mapping[str, str]) -> dict[str, Any]:
    """Return the member that tells of `links`, reasons by address; none where all files were kept."""
    return {MEMBER: [{"url": url, "reason": reason} for url, reason in links.items()]} if links else {}


def links_in(raw: Any) -> list[str]:
    """Return the addresses of the files that were not kept."""
    told = at(raw, [MEMBER])
    return [item["url"] for item in told if isinstance(at(item, ["url"]), str)] if isinstance(told, list) else []


def finding_of(raw: Mapping[str, Any]) -> Finding:
    """Return the finding that brings the links to a person while they can be followed."""
    told = raw[MEMBER]
    message = (
        f"{len(told)} file(s) of the output could not be kept: {told[0]['reason']}. The response has their links; Replicate deletes "
        "the files within an hour. The prediction is paid for, and is not bought again."
    )
    return Finding(check="files", code="file_not_kept", message=message, force=True, data={MEMBER: told})
