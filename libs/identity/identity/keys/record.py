"""API keys: their text, their hash, and what is kept about them. Pure; `store` keeps them.

A key is `sayso_`, 32 random bytes in base64 (43 characters) and their CRC-32 in base62 (6 characters). The checksum tells a key that is
mistyped from one that is unknown, and a scanner of secrets from a random text.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from contracts.identity import Kind, Principal, Role
from identity.errors import Unauthenticated

SCHEME = "sayso_"
PREFIX_LENGTH = 12

_BYTES = 32
_CHECKSUM_LENGTH = 6
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"({SCHEME}[A-Za-z0-9_-]{{43}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})")
_CREDENTIAL = "key:"

State = Literal["active", "expired", "revoked"]


class NewKey(NamedTuple):
    """A key that was just made. `text` is shown once and kept nowhere; `prefix` stands for it in lists; `sha256` is stored."""

    text: str
    prefix: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept about a key, without its hash. Times have a zone."""

    id: UUID
    tenant: str
    name: str
    subject: str
    kind: Kind
    roles: tuple[Role, ...]
    groups: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    """The rights that it is narrowed to. One that only a newer version knows is kept: without any, the key would have all of its roles."""
    owner: str | None
    """The person who answers for a service."""
    prefix: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: UUID | None = None
    """The key that rotation put in its place."""

    def state_at(self, now: datetime) -> State:
        """Return whether the key can be used. A revoked key is so from the first read on, whatever the clocks say."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def new_key() -> NewKey:
    """Make a key of 256 random bits."""
    body = SCHEME + secrets.token_urlsafe(_BYTES)
    text = body + _checksum(body)
    return NewKey(text, text[:PREFIX_LENGTH], _sha256(text))


def is_key(text: str) -> bool:
    """Say whether a credential means to be an API key, well formed or not."""
    return text.startswith(SCHEME)


def digest_of(text: str) -> str:
    """Return the SHA-256 of a key in hex. Raises Unauthenticated `credential_malformed` for a text that no key can have."""
    found = _FORM.fullmatch(text)
    if found is None or _checksum(found[1]) != found[2]:
        raise Unauthenticated("credential_malformed")
    return _sha256(text)


def principal_of(record: KeyRecord) -> Principal:
    """Return who comes with this key. Whether the key still holds is not asked."""
    return Principal(
        tenant=record.tenant,
        subject=record.subject,
        kind=record.kind,
        name=record.name,
        roles=record.roles,
        groups=record.groups,
        scopes=record.scopes,
        credential=f"{_CREDENTIAL}{record.id}",
        owner=record.owner,
    )


def key_id_of(credential: str) -> UUID | None:
    """Return the id of the key by which a principal came, or None if it came by something else."""
    return UUID(credential.removeprefix(_CREDENTIAL)) if credential.startswith(_CREDENTIAL) else None


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
