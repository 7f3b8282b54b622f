"""The one reading of `DATABASE_URL`: from it the arguments of both drivers are made, so that all services start alike, or none.

It knows both drivers' arguments and imports neither.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlencode

from chassis.postgres.url_parameters import LIBPQ, STARTUP, TLS, MalformedUrl, check_parameters

PORT = 5432

LOCAL = ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")  # noqa: S108 - where servers put their sockets
"""Where a server is looked for when the URL names no host."""

_SUPABASE_POOLER = ".pooler.supabase.com"
_SUPABASE_TRANSACTION_PORT = 6543

_SCHEME = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_PORTS = range(1, 65536)


class Host(NamedTuple):
    """A server: a name, an address or the folder of a socket, and a port."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A PostgreSQL database and how to reach it. Its text form shows no password."""

    hosts: tuple[Host, ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    session: Literal["read-write", "primary"]
    connect_seconds: int | None
    is_pooled: bool
    """Whether a pooler in transaction mode stands before the server, which may give each transaction to another session."""
    passfile: str | None
    tls: Mapping[str, str] = field(repr=False)
    startup: Mapping[str, str]
    libpq: Mapping[str, str]

    def for_libpq(self, **defaults: Any) -> dict[str, Any]:
        """Return the keyword arguments of libpq; `defaults` are used where the URL says nothing."""
        named = {
            "host": ",".join(host.name for host in self.hosts),
            "port": ",".join(str(host.port) for host in self.hosts),
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "passfile": self.passfile,
            "connect_timeout": self.connect_seconds,
            # A pooler does not say which server it gives; the first statement that writes does.
            "target_session_attrs": None if self.is_pooled else self.session,
            **self.tls,
            **self.startup,
            **self.libpq,
        }
        return defaults | {name: value for name, value in named.items() if value is not None}

    def for_asyncpg(self, host: Host, **defaults: str) -> dict[str, Any]:
        """Return the keyword arguments of asyncpg for one of the hosts; `defaults` are settings of the session that the URL may replace."""
        found: dict[str, Any] = {
            # Names of files are read from a URL alone; all else is given by name.
            "dsn": f"postgresql://?{urlencode(self.tls)}" if self.tls else None,
            "host": [host.name],
            "port": [host.port],
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "passfile": self.passfile,
            "target_session_attrs": "any" if self.is_pooled else self.session,
            "server_settings": defaults | dict(self.startup),
        }
        if self.tls.get("sslrootcert") == "system":
            found |= {"dsn": None, "ssl": self._system_tls()}
        if self.is_pooled:
            # A statement that one session prepared is unknown to the next.
            found["statement_cache_size"] = 0
        return found

    def _system_tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if "sslcert" in self.tls:
            context.load_cert_chain(self.tls["sslcert"], self.tls.get("sslkey"), self.tls.get("sslpassword"))
        return context


def parse_database_url(text: str) -> DatabaseUrl:
    """Read a URL as the consoles of hosters give it; space around it counts for nothing. Raises MalformedUrl with one line."""
    text = text.strip()
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise MalformedUrl("not a URL that begins with postgresql://")
    for wrong, said in (
        (_CONTROL, "a space or a control character"),
        (_BROKEN_PERCENT, "a % that begins no encoded byte"),
    ):
        if wrong.search(text):
            raise MalformedUrl(f"has {said}; in a password it is percent-encoded")
    address, _, query = text[scheme.end() :].partition("?")
    authority, _, path = address.partition("/")
    if "@" in path or ("@" in query and "@" not in authority and "user=" not in query):
        # What follows would be quoted as the name of a database or of a parameter, and is the end of a password.
        raise MalformedUrl("a / or ? stands before the @; in a password it is percent-encoded")
    given = _parameters(query)
    # A host has no `@`, so the last one ends the user and the password, whatever these hold.
    access, _, places = authority.rpartition("@")
    user, _, password = access.partition(":")
    named = {
        "user": _one("user", unquote(user), given.get("user")),
        "password": _one("password", unquote(password), given.get("password")),
        "database": _one("dbname", unquote(path), given.get("dbname") or given.get("database")),
    }
    hosts = _hosts(places, given)
    return DatabaseUrl(
        hosts=hosts,
        **named,
        session="primary" if given.get("target_session_attrs") == "primary" else "read-write",
        connect_seconds=int(given.get("connect_timeout", 0)) or None,
        is_pooled=_is_pooled(hosts, given.get("pgbouncer")),
        passfile=given.get("passfile"),
        tls=_tls(given),
        startup=_startup(given),
        libpq={name: value for name, value in given.items() if name in LIBPQ},
    )


def _parameters(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals:
            raise MalformedUrl(f"{name[:60]!r} has no value; an & in a password is percent-encoded")
        if unquote(name) in given:
            raise MalformedUrl(f"{unquote(name)[:60]!r} is given twice")
        given[unquote(name)] = unquote(value)  # a plus is a plus, as libpq has it
    check_parameters(given)
    return {name: value for name, value in given.items() if value}


def _one(name: str, before: str, behind: str | None) -> str | None:
    if before and behind and before != behind:
        raise MalformedUrl(f"{name} is given twice")
    return before or behind or None


def _hosts(places: str, given: Mapping[str, str]) -> tuple[Host, ...]:
    if places and "host" in given:
        raise MalformedUrl("host is given twice")
    named = given.get("host")
    found = [(name, None) for name in named.split(",")] if named else [_place(place) for place in places.split(",")]
    ports = given["port"].split(",") if "port" in given else [""]
    if len(ports) not in (1, len(found)):
        raise MalformedUrl("port has another number of values than host")
    ports = ports * len(found) if len(ports) == 1 else ports
    listed = [(name, _port(own or port)) for (name, own), port in zip(found, ports, strict=True)]
    return tuple(Host(name, port) for given_name, port in listed for name in ((given_name,) if given_name else LOCAL))


def _place(place: str) -> tuple[str, str | None]:
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+(?:%25[\w.-]+)?)\](?::(.*))?", place)
    if bracketed is not None:
        return unquote(bracketed[1]), bracketed[2]
    name, _, port = place.partition(":")
    if ":" in port or "[" in place:
        raise MalformedUrl("a host is no name; an IPv6 address stands in brackets")
    return unquote(name), port or None


def _port(text: str) -> int:
    if not text:
        return PORT
    if not text.isascii() or not text.isdecimal() or int(text) not in _PORTS:
        raise MalformedUrl("a port is no number up to 65535; a / or : in a password is percent-encoded")
    return int(text)


def _is_pooled(hosts: tuple[Host, ...], said: str | None) -> bool:
    if said is not None:
        return said == "true"
    return any(host.name.endswith(_SUPABASE_POOLER) and host.port == _SUPABASE_TRANSACTION_PORT for host in hosts)


def _tls(given: Mapping[str, str]) -> dict[str, str]:
    found = {name: value for name, value in given.items() if name in TLS}
    if found.get("sslrootcert") == "system":
        return found | {"sslmode": "verify-full"}
    if given.get("channel_binding") == "require" and found.get("sslmode", "prefer") in ("allow", "prefer"):
        return found | {"sslmode": "require"}  # one driver binds its sign-in to TLS; the other must not go without
    return found


def _startup(given: Mapping[str, str]) -> dict[str, str]:
    found = {name: value for name, value in given.items() if name in STARTUP}
    fallback = given.get("fallback_application_name")
    return {"application_name": fallback} | found if fallback else found
