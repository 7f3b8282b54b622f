"""Internal tokens: by these one service asks another, on behalf of no person. They are issued and verified by one secret of the installation.

A token is `internal.` and a compact JWT of HS256. Its key is derived from the secret for this purpose alone, and is neither the secret
of `tokens` nor one that a later purpose derives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, NamedTuple

import jwt
from cachetools import LRUCache
from pydantic import StringConstraints

from contracts.identity import Principal, Role
from contracts.message import StoredIdentifier
from identity.errors import Unauthenticated
from identity.ports import Secrets
from identity.resolved import Resolved
from identity.secrets.installation_key import InstallationKey
from identity.tokens.claims import SHARED, TimedClaims, end_of, read_header, verified_claims

PREFIX = "internal."
ISSUER = "sayso"
LIFETIME_SECONDS = 60
MOST_ISSUED = 1_000
"""Tokens that are kept for reuse. One more costs a signature, which is microseconds."""

_LABEL = b"sayso internal token v1"


class _Claims(TimedClaims):
    sub: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,99}$")]
    tenant: StoredIdentifier


class _Issued(NamedTuple):
    text: str
    exp: int

    def is_fresh(self, now: datetime) -> bool:
        """Say whether it has more than half of its time. One that has more than all was issued before a clock was set back."""
        return LIFETIME_SECONDS / 2 < self.exp - now.timestamp() <= LIFETIME_SECONDS


class InternalTokens:
    """Issues and verifies internal tokens, by a key of the installation."""

    def __init__(self, secrets: Secrets, now: Callable[[], datetime]) -> None:
        self._key = InstallationKey(secrets, _LABEL)
        self._now = now
        self._issued: LRUCache[tuple[str, str], _Issued] = LRUCache(MOST_ISSUED)

    async def issue(self, service: str, tenant: str) -> str:
        """Return a token by which `service` reads in `tenant`. It holds for LIFETIME_SECONDS, of which more than half is left.

        A service is named in lower case: letters, digits and `._-`, 100 at most. Raises ValueError, IdentityUnavailable.
        """
        issued = self._issued.get((service, tenant))
        if issued is None or not issued.is_fresh(self._now()):
            key = await self._key.get()
            issued = self._issued[service, tenant] = _issue(key, service, tenant, self._now())
        return issued.text

    async def verify(self, token: str, at: datetime) -> Resolved:
        """Return which service comes with a token: an auditor of one tenant. The clocks of services may differ, as in `claims`.

        Raises Unauthenticated `credential_expired`, or `token_invalid` with the reason; IdentityUnavailable.
        """
        compact = token.removeprefix(PREFIX)
        if not is_internal(token) or not _is_readable(compact):
            raise Unauthenticated("token_invalid", "it is no internal token")
        claims = verified_claims(compact, _Claims, await self._key.get(), SHARED, ISSUER)
        ends_at = end_of(claims, at)
        return Resolved(_principal(claims), ends_at)


def is_internal(text: str) -> bool:
    """Say whether a credential means to be an internal token, well formed or not."""
    return text.startswith(PREFIX)


def _issue(key: bytes, service: str, tenant: str, now: datetime) -> _Issued:
    exp = int(now.timestamp()) + LIFETIME_SECONDS
    claims = {"iss": ISSUER, "sub": service, "tenant": tenant, "exp": exp}
    _Claims.model_validate(claims)
    return _Issued(PREFIX + jwt.encode(claims, key, SHARED), exp)


def _principal(claims: _Claims) -> Principal:
    return Principal(
        tenant=claims.tenant,
        subject=claims.sub,
        kind="service",
        roles=(Role.AUDITOR,),
        credential=f"internal:{claims.sub}",
    )


def _is_readable(compact: str) -> bool:
    """Say whether `pyjwt` may read a token: its own reader of headers can be overrun."""
    try:
        read_header(compact)
    except ValueError:
        return False
    return True
