"""A notifier that asks for credentials, on keys in memory and a clock that tests turn, with what stands around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from websockets.asyncio.client import ClientConnection, connect

from chassis.failpoints import utc_now
from chassis.settings import Settings
from contracts.identity import Role
from contracts.runs.run_event import RunEvent
from identity.absences.substitutes import Substitutes
from identity.keys.record import KeyRecord, principal_of
from identity.resolver import Resolver
from identity.sessions.record import new_session, session_record
from identity.testing.keys import made_key
from identity.testing.memory import MemoryKeys
from identity.testing.memory_absences import MemoryAbsences
from identity.testing.memory_sessions import MemorySessions
from identity.tokens.verifier import JwtRules, TokenVerifier
from notifier.ports import Adapters
from notifier.testing.gateway import MemoryGateway
from notifier.testing.log import MemoryLog, MemoryTopics

from .running_notifier import Answers, RunningNotifier, running

RULES = JwtRules("a-secret-of-the-issuer-32-bytes-or-more", None, "https://issuer.example", "sayso")


@dataclass
class Clock:
    """The time of the day, which a test can turn forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Return the time."""
        return utc_now() + self.ahead


@dataclass
class KnownKeys:
    """Implements `notifier.ports.Identity` on keys in memory."""

    keys: MemoryKeys = field(default_factory=MemoryKeys)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.sessions, self.absences = MemorySessions(self.keys), MemoryAbsences(self.keys)
        self.resolver: Resolver | None = Resolver(
            self.keys,
            TokenVerifier(RULES),
            self.clock,
            sessions=self.sessions,
            substitutes=Substitutes(self.absences, self.clock),
        )

    async def open(self) -> None:
        """Be ready."""

    def close(self) -> None:
        """End."""

    def forget(self, tenant: str = "default") -> None:
        """Ask for absences anew, as after two seconds."""
        assert self.resolver is not None
        self.resolver.forget_absences(tenant)

    async def key(self, subject: str, *roles: Role, **members: Any) -> tuple[str, KeyRecord]:
        """Make a key; return its text and what is kept of it."""
        made, record = made_key(subject, *roles, at=utc_now(), **members)
        await self.keys.add(record, made.sha256)
        return made.text, record

    async def session(self, record: KeyRecord) -> str:
        """Make a session for a key; return its text."""
        made = new_session()
        await self.sessions.add(session_record(principal_of(record), uuid4(), utc_now()), made.sha256)
        return made.text

    def token(self, subject: str, *roles: Role, secret: str = str(RULES.secret), **claims: Any) -> str:
        """Return a token of the issuer, for an hour."""
        known = {
            "iss": RULES.issuer,
            "aud": RULES.audience,
            "sub": subject,
            "tenant": "default",
            "roles": roles,
            "exp": (utc_now() + timedelta(hours=1)).timestamp(),
        }
        return jwt.encode({**known, **claims}, secret, "HS256")


@dataclass
class Site:
    """A notifier that asks for credentials, and what stands around it."""

    notifier: RunningNotifier
    identity: KnownKeys
    topics: MemoryTopics
    gateway: MemoryGateway
    answers: Answers

    def opened(self, credential: str | None = None, **query: str) -> connect:
        """Open a socket, with a credential in its header."""
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return connect(f"{self.notifier.ws_url}?{asked}", additional_headers=headers)

    def opened_by_page(self, session: str, origin: str | None = None, **further: str) -> connect:
        """Open a socket as a page does: with a cookie, and with the page's origin unless that is empty."""
        page = f"http://{self.notifier.address}" if origin is None else origin
        headers = {"Cookie": f"sayso_session={session}", **({"Origin": page} if page else {}), **further}
        return connect(self.notifier.ws_url, additional_headers=headers)

    def forget(self) -> None:
        """Forget the commands that left the notifier, and the credentials that it asked with."""
        self.answers.commands.clear()
        self.gateway.credentials.clear()

    async def publish(self, *events: RunEvent) -> None:
        """Let events happen."""
        await self.topics.publish(*((str(event.run_id).encode(), event.to_bytes()) for event in events))


@asynccontextmanager
async def guarded_site() -> AsyncIterator[Site]:
    """Run it."""
    identity, gateway, answers = KnownKeys(), MemoryGateway(), Answers()
    topics = MemoryTopics(answers)
    adapters = Adapters(gateway, MemoryLog(topics), identity.clock, identity)
    async with running(Settings(_env_file=None, auth="on"), adapters) as notifier:
        yield Site(notifier, identity, topics, gateway, answers)


async def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a type."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Wait until a socket is closed from the other side; return the code and the reason."""
    async with asyncio.timeout(10):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""
