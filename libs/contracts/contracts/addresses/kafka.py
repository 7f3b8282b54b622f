"""The one reading of `KAFKA_BOOTSTRAP_SERVERS`, for the services and for `python -m messaging`."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s,:/@\[\]]+):(\d{1,5})")
_PORTS = range(1, 65536)


def parse_kafka_addresses(text: str) -> str:
    """Return addresses as every client takes them: `host:port[,host:port]`. Raises ValueError with one line.

    Space around an address and a comma at the end count for nothing.
    """
    addresses = [one.strip() for one in text.strip().removesuffix(",").split(",")]
    if any("://" in address for address in addresses):
        raise ValueError("an address has no scheme: write host:port")
    found = [_ADDRESS.fullmatch(address) for address in addresses]
    if not all(one is not None and int(one[1]) in _PORTS for one in found):
        raise ValueError("not host:port, nor several of them with commas between")
    return ",".join(addresses)
