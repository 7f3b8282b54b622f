"""The parameters of a PostgreSQL URL: which driver knows which, and what a value means where they differ. Connects to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final


class MalformedUrl(ValueError):
    """A PostgreSQL URL is not understood. The message names the place and never quotes what stands before the host."""


PLACE: Final = ("host", "port", "user", "password", "dbname", "database")
"""Parts of the address, which may also stand behind the question mark."""

TLS: Final = (
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
"""Known to both drivers under these names."""

STARTUP: Final = ("application_name", "options")
"""Sent to the server as they are, by both drivers."""

LIBPQ: Final = (
    "channel_binding",
    "gssencmode",
    "krbsrvname",
    "gsslib",
    "sslsni",
    "sslcompression",
    "load_balance_hosts",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
"""Known to libpq alone. asyncpg needs none of them: it bounds every statement by a time of its own."""

OURS: Final = (
    "passfile",
    "connect_timeout",
    "target_session_attrs",
    "client_encoding",
    "fallback_application_name",
    "pgbouncer",
)
"""Read here, and handed to each driver in its own way."""

KNOWN: Final = frozenset((*PLACE, *TLS, *STARTUP, *LIBPQ, *OURS))

_ONE_OF: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "allow", "prefer"),
    "target_session_attrs": ("any", "read-write", "primary"),
    "client_encoding": ("utf8", "utf-8", "unicode", "auto"),
    "sslnegotiation": ("postgres", "direct"),
    "load_balance_hosts": ("disable", "random"),
    "pgbouncer": ("true", "false"),
    "keepalives": ("0", "1"),
}

_IN_ANY_CASE: Final = ("client_encoding",)

_NUMBERS: Final = ("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")

_BECAUSE: Final = {
    "gssencmode=require": "one of our two drivers cannot encrypt by GSSAPI",
    "target_session_attrs=standby": "Sayso writes",
    "target_session_attrs=prefer-standby": "Sayso writes",
    "target_session_attrs=read-only": "Sayso writes",
    "hostaddr": "name the server by host alone",
    "service": "write what the service file says into the URL",
    "ssl": "write sslmode=require",
    "require_auth": "one of our two drivers cannot keep it",
    "requirepeer": "one of our two drivers cannot keep it",
}


def check_parameters(given: Mapping[str, str]) -> None:
    """Raise MalformedUrl for the first parameter that is unknown, or whose value is."""
    for name, value in given.items():
        because = _BECAUSE.get(name) or _BECAUSE.get(f"{name}={value}")
        if because is not None:
            raise MalformedUrl(f"{name if name in _BECAUSE else f'{name}={value}'} is not supported: {because}")
        if name not in KNOWN:
            raise MalformedUrl(_unknown(name))
        allowed = _ONE_OF.get(name)
        if allowed is not None and (value.lower() if name in _IN_ANY_CASE else value) not in allowed:
            raise MalformedUrl(f"{name} is none of {', '.join(allowed)}")
        if name in _NUMBERS and not value.isdecimal():
            raise MalformedUrl(f"{name} is no whole number")
    if given.get("sslrootcert") == "system" and given.get("sslmode", "verify-full") != "verify-full":
        raise MalformedUrl("sslrootcert=system asks for sslmode=verify-full")
    if given.get("channel_binding") == "require" and given.get("sslmode") == "disable":
        raise MalformedUrl("channel_binding=require asks for TLS, which sslmode=disable turns off")


def _unknown(name: str) -> str:
    nearest = get_close_matches(name, KNOWN, 1)
    hint = (
        f"; did you mean {nearest[0]}?" if nearest else "; a setting of the server is written options=-c%20name%3Dvalue"
    )
    return f"no such parameter: {name[:60]!r}{hint}"
