"""Sessions: their text, their hash, their CSRF token, and what is kept about them. Pure; `store` keeps them.

A session's text is `session.` and 32 random bytes in base64. It stands in a cookie, and works as a bearer credential too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from contracts.identity import Principal
from identity.keys.record import key_id_of

SCHEME = "session."
LIFETIME = timedelta(hours=12)
"""From the sign-in on, whatever is done meanwhile."""

_BYTES = 32
_FORM = re.compile(rf"{re.escape(SCHEME)}[A-Za-z0-9_-]{{43}}")
_CREDENTIAL = "session:"
_CSRF_LABEL = b"sayso csrf token v1"


class NewSession(NamedTuple):
    """A session's text, which its browser alone keeps, and the hash that is stored."""

    text: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What is kept about a session, without its hash. Times have a zone."""

    id: UUID
    principal: Principal
    key_id: UUID | None
    """The API key that was typed in, if one was: the session ends with it."""
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    """As it was read: when the session ends, or its key if that is sooner."""
    is_revoked: bool = False
    """As it was read: whether its key was revoked."""

    def holds_at(self, now: datetime) -> bool:
        """Say whether the session can be used."""
        return not self.is_revoked and now < self.expires_at


def new_session() -> NewSession:
    """Make a session of 256 random bits."""
    text = SCHEME + secrets.token_urlsafe(_BYTES)
    return NewSession(text, _sha256(text))


def session_record(principal: Principal, session_id: UUID, now: datetime) -> SessionRecord:
    """Return what is kept of a session that begins now. A principal that came by an API key leaves the key's id."""
    return SessionRecord(
        id=session_id,
        principal=principal.changed({"credential": f"{_CREDENTIAL}{session_id}"}),
        key_id=key_id_of(principal.credential),
        created_at=now,
        used_at=now,
        expires_at=now + LIFETIME,
    )


def is_session(text: str) -> bool:
    """Say whether a credential means to be a session, well formed or not."""
    return text.startswith(SCHEME)


def digest_of(text: str) -> str | None:
    """Return the SHA-256 of a session in hex, or None for a text that no session can have."""
    return _sha256(text) if _FORM.fullmatch(text) else None


def csrf_token(text: str) -> str:
    """Return the token that a session's writes carry. It is derived from the session's text, so that it is kept nowhere."""
    return _base64(hmac.digest(text.encode(), _CSRF_LABEL, "sha256"))


def session_id_of(credential: str) -> UUID | None:
    """Return the id of the session by which a principal came, or None if it came by something else."""
    return UUID(credential.removeprefix(_CREDENTIAL)) if credential.startswith(_CREDENTIAL) else None


def _base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
